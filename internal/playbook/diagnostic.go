package playbook

import (
	"cmp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"provision/internal/suggest"
)

// A collector gathers diagnostics and keeps each once.
type collector struct {
	diags hcl.Diagnostics
	seen  map[diagKey]bool
}

type diagKey struct {
	severity        hcl.DiagnosticSeverity
	summary, detail string
	place           string
}

func keyOf(d *hcl.Diagnostic) diagKey {
	key := diagKey{severity: d.Severity, summary: d.Summary, detail: d.Detail}
	if d.Subject != nil {
		key.place = d.Subject.String()
	}
	return key
}

func (c *collector) add(diags ...*hcl.Diagnostic) {
	for _, d := range diags {
		key := keyOf(d)
		if c.seen[key] {
			continue
		}
		if c.seen == nil {
			c.seen = map[diagKey]bool{}
		}
		c.seen[key] = true
		c.diags = append(c.diags, d)
	}
}

// errorf reports a mistake at a place.
func (c *collector) error(at hcl.Range, summary, detail string) {
	c.add(problem(at, summary, detail))
}

// sorted returns the diagnostics by file and line.
func (c *collector) sorted() hcl.Diagnostics {
	sortDiagnostics(c.diags)
	return c.diags
}

func sortDiagnostics(diags hcl.Diagnostics) {
	slices.SortStableFunc(diags, func(a, b *hcl.Diagnostic) int {
		switch {
		case a.Subject == nil && b.Subject == nil:
			return 0
		case a.Subject == nil:
			return -1
		case b.Subject == nil:
			return 1
		}
		return cmp.Or(strings.Compare(a.Subject.Filename, b.Subject.Filename), cmp.Compare(a.Subject.Start.Byte, b.Subject.Start.Byte))
	})
}

func problem(at hcl.Range, summary, detail string) *hcl.Diagnostic {
	d := &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: detail}
	if at != (hcl.Range{}) {
		d.Subject = at.Ptr()
	}
	return d
}

// sentence makes the text of an error a sentence.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	// Names of arguments and files keep their letters.
	word, rest, _ := strings.Cut(text, " ")
	if strings.Trim(word, "abcdefghijklmnopqrstuvwxyz,:") == "" && !strings.HasPrefix(rest, "=") {
		text = strings.ToUpper(text[:1]) + text[1:]
	}
	if strings.HasSuffix(text, ".") || strings.HasSuffix(text, "?") || strings.HasSuffix(text, "!") {
		return text
	}
	return text + "."
}

// listing joins names for a sentence: "a", "a and b", "a, b and c".
func listing(names []string, last string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " " + last + " " + names[len(names)-1]
}

// prefixed puts a prefix before each name.
func prefixed(prefix string, names []string) []string {
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = prefix + name
	}
	return all
}

// known says which names exist, or suggests the one that was meant.
func known(name, what string, candidates []string) string {
	slices.Sort(candidates)
	if hint := suggest.DidYouMean(name, candidates); hint != "" {
		return hint
	}
	switch {
	case len(candidates) == 0:
		return " There is no " + what + " here."
	case len(candidates) > 12:
		return ""
	}
	return " There is " + listing(candidates, "and") + "."
}
