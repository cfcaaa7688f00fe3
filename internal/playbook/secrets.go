package playbook

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"provision/internal/steps"
)

// secrets is the set of sensitive strings that were met.
type secrets struct {
	mu     sync.Mutex
	values map[string]bool
}

func newSecrets() *secrets { return &secrets{values: map[string]bool{}} }

func (s *secrets) list() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.values))
}

// note remembers the sensitive strings inside a value.
func (s *secrets) note(v cty.Value) {
	if !v.ContainsMarked() {
		return
	}
	found := sensitiveStrings(v, false)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range found {
		s.values[f] = true
	}
}

// sensitiveStrings returns the strings (and numbers, as text) that a sensitive mark covers. The
// keys of a sensitive map are wanted where a message could name them; they are not secrets to be
// struck out of everything, since most are words such as "password".
func sensitiveStrings(v cty.Value, withKeys bool) []string {
	var found []string
	var visit func(v cty.Value, covered bool)
	visit = func(v cty.Value, covered bool) {
		v, marks := v.Unmark()
		if _, yes := marks[steps.Sensitive]; yes {
			covered = true
		}
		switch {
		case !v.IsKnown() || v.IsNull():
		case v.CanIterateElements():
			for it := v.ElementIterator(); it.Next(); {
				key, item := it.Element()
				if withKeys {
					visit(key, covered)
				}
				visit(item, covered)
			}
		case covered && v.Type() == cty.String && v.AsString() != "":
			found = append(found, v.AsString())
		case covered && v.Type() == cty.Number:
			found = append(found, v.AsBigFloat().Text('f', -1))
		}
	}
	visit(v, false)
	return found
}

func sensitive(v cty.Value) bool {
	_, marks := v.UnmarkDeep()
	_, yes := marks[steps.Sensitive]
	return yes
}

// secretFunctions are those that make sensitive values out of what is written in an expression.
func isSecretFunction(name string) bool { return name == "sensitive" || name == "decrypt" }

// withoutSecrets takes from diagnostics whatever could show a sensitive value: the values of
// variables (inside a for expression they have lost their mark) and the text of messages.
func withoutSecrets(diags hcl.Diagnostics, values []string, inline bool) hcl.Diagnostics {
	clean := make(hcl.Diagnostics, len(diags))
	for i, d := range diags {
		c := *d
		c.Expression, c.EvalContext = nil, nil
		hide := false
		for _, v := range values {
			hide = hide || strings.Contains(d.Detail, v) || strings.Contains(d.Summary, v)
		}
		if inline {
			if call, ok := hcl.DiagnosticExtra[hclsyntax.FunctionCallDiagExtra](d); ok && call.FunctionCallError() != nil {
				hide = hide || !isSecretFunction(call.CalledFunctionName())
			}
		}
		if hide {
			c.Summary = "Wrong sensitive value"
			c.Detail = "The message is not shown, since it could hold a part of the value."
		}
		c.Extra = nil
		clean[i] = &c
	}
	return clean
}

// blot replaces the bytes of a range in a source with asterisks, so that printing the line of a
// diagnostic does not show a secret. Line breaks stay, and with them all positions.
func (pb *Playbook) blot(at hcl.Range) {
	pb.mu.Lock()
	defer pb.mu.Unlock()
	f := pb.files[at.Filename]
	if f == nil || at.End.Byte > len(f.Bytes) || at.Start.Byte >= at.End.Byte {
		return
	}
	masked := *f
	masked.Bytes = bytes.Clone(f.Bytes)
	for i := at.Start.Byte; i < at.End.Byte; i++ {
		if masked.Bytes[i] != '\n' {
			masked.Bytes[i] = '*'
		}
	}
	pb.files[at.Filename] = &masked
}

func (pb *Playbook) addFile(name string, f *hcl.File) {
	pb.mu.Lock()
	defer pb.mu.Unlock()
	pb.files[name] = f
}
