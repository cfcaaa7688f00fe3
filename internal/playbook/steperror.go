package playbook

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// A StepError is why a step cannot be resolved for a host.
type StepError struct {
	Diagnostics hcl.Diagnostics
}

func (e *StepError) Error() string {
	var all []string
	for _, d := range e.Diagnostics {
		if d.Severity != hcl.DiagError {
			continue
		}
		text := d.Summary + ": " + strings.TrimSuffix(strings.Join(strings.Fields(d.Detail), " "), ".")
		if d.Subject != nil {
			text = fmt.Sprintf("%s:%d: %s", d.Subject.Filename, d.Subject.Start.Line, text)
		}
		all = append(all, text)
	}
	return strings.Join(all, "; ")
}

// Hint returns the message, and what to do.
func (e *StepError) Hint() (message, hint string) {
	for _, d := range e.Diagnostics {
		if fix, ok := d.Extra.(remedy); ok {
			return e.Error(), fix.text
		}
	}
	return e.Error(), "mend the playbook there, and look at what the values are on this host"
}

// A remedy is what to do about a diagnostic, as its Extra.
type remedy struct {
	text    string
	leftOut string // the step that has to be chosen too, if that is the remedy
}

// An absence is a step or a module whose outputs are null because it does not run.
type absence struct {
	addr    string
	leftOut bool // by what was chosen; else its condition is false
	found   bool // it is data, and found nothing of the kind
}

// absentParts returns why parts of values that references use are null.
func absentParts(refs []reference, values []result) []absence {
	var list []absence
	for i := range values {
		if len(values[i].absent) == 0 || (refs[i].root == "step" || refs[i].root == "data") && !partNull(&refs[i], values[i]) {
			continue
		}
		for _, a := range values[i].absent {
			if !slices.Contains(list, a) {
				list = append(list, a)
			}
		}
	}
	return list
}

// partNull tells whether the part of a value that a reference uses is null.
func partNull(ref *reference, v result) bool {
	part, err := v.value, hcl.Diagnostics(nil)
	if ref.key != nil && part.Type().IsObjectType() && part.Type().HasAttribute(*ref.key) {
		part = part.GetAttr(*ref.key)
	}
	if part, err = ref.rest.TraverseRel(part); err.HasErrors() {
		return true
	}
	part, _ = part.Unmark()
	return part.IsNull()
}

// withAbsent adds to errors which outputs are null, and what to do.
func withAbsent(diags hcl.Diagnostics, absent []absence) hcl.Diagnostics {
	if len(absent) == 0 {
		return diags
	}
	var why strings.Builder
	var fix remedy
	for _, a := range absent {
		if a.found {
			fmt.Fprintf(&why, " %s did not find that on this host, so that it is null.", a.addr)
			if fix.text == "" {
				fix.text = "let when ask before whether " + a.addr + " found it, or give a default for what is null, as in coalesce(VALUE, \"none\")"
			}
		} else if a.leftOut {
			fmt.Fprintf(&why, " %s was left out by what was chosen (--tags, --skip-tags), so that its outputs are null.", a.addr)
			fix = remedy{"choose " + a.addr + " too, or leave this step out", a.addr}
		} else {
			fmt.Fprintf(&why, " %s is skipped, since its condition is false, so that its outputs are null.", a.addr)
		}
	}
	if fix.text == "" {
		fix.text = "give this step the same when as " + absent[0].addr + ", or give a default for what is null, as in coalesce(VALUE, \"none\")"
	}
	list := slices.Clone(diags)
	for i, d := range list {
		if d.Severity == hcl.DiagError {
			c := *d
			c.Detail += why.String()
			c.Extra = fix
			list[i] = &c
		}
	}
	return list
}

// leftOutBy tells of errors that all of them come of outputs which are null since a step was left out, and which step that is.
func leftOutBy(diags hcl.Diagnostics) (addr string) {
	for _, d := range diags {
		if d.Severity != hcl.DiagError {
			continue
		}
		fix, _ := d.Extra.(remedy)
		if fix.leftOut == "" {
			return ""
		}
		addr = fix.leftOut
	}
	return addr
}
