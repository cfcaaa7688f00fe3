package ui

import (
	"bytes"
	"fmt"
	"io"
	"sort"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
)

// Diagnostics writes what is wrong with a playbook, each with its source line, in the order of
// the places and each once, and a line that counts them. The values of variables are never
// shown: they may be secret. files are the sources by name, as hclparse.Parser.Files returns
// them.
func Diagnostics(w io.Writer, diags hcl.Diagnostics, files map[string]*hcl.File, s Style) error {
	if len(diags) == 0 {
		return nil
	}
	columns := s.Width
	if columns == 0 {
		columns = 100
	}
	safe := map[string]*hcl.File{}
	for name, f := range files {
		if f == nil {
			continue
		}
		safe[name] = &hcl.File{Bytes: mask(f.Bytes), Body: f.Body, Nav: f.Nav}
	}
	var buf bytes.Buffer
	out := hcl.NewDiagnosticTextWriter(&buf, safe, uint(columns), s.Color)
	errs, warnings := 0, 0
	for _, d := range sorted(diags) {
		if d.Severity == hcl.DiagError {
			errs++
		} else {
			warnings++
		}
		shown := *d
		shown.Summary, shown.Detail = Line(d.Summary), Clean(d.Detail)
		shown.Expression, shown.EvalContext = nil, nil
		shown.Extra = nil
		if err := out.WriteDiagnostic(&shown); err != nil {
			return err
		}
	}
	switch {
	case warnings == 0:
		fmt.Fprintf(&buf, "%s.\n", count(errs, "error"))
	case errs == 0:
		fmt.Fprintf(&buf, "%s.\n", count(warnings, "warning"))
	default:
		fmt.Fprintf(&buf, "%s, %s.\n", count(errs, "error"), count(warnings, "warning"))
	}
	_, err := w.Write(buf.Bytes())
	return err
}

// sorted orders diagnostics by file and place, without a place last, and leaves out repetitions:
// a mistake in a play of fifty hosts is one mistake.
func sorted(diags hcl.Diagnostics) hcl.Diagnostics {
	type key struct {
		summary, detail, place string
	}
	seen := map[key]bool{}
	var kept hcl.Diagnostics
	for _, d := range diags {
		k := key{d.Summary, d.Detail, ""}
		if d.Subject != nil {
			k.place = d.Subject.String()
		}
		if !seen[k] {
			seen[k] = true
			kept = append(kept, d)
		}
	}
	sort.SliceStable(kept, func(i, j int) bool {
		a, b := kept[i].Subject, kept[j].Subject
		switch {
		case a == nil || b == nil:
			return a != nil && b == nil
		case a.Filename != b.Filename:
			return a.Filename < b.Filename
		}
		return a.Start.Byte < b.Start.Byte
	})
	return kept
}

// mask replaces what is hostile in a source file by characters of the same length, since
// diagnostics count in bytes.
func mask(src []byte) []byte {
	out := bytes.Clone(src)
	for i := 0; i < len(out); {
		r, size := utf8.DecodeRune(out[i:])
		if r == utf8.RuneError && size == 1 || !harmless(r) && r != '\r' {
			copy(out[i:i+size], [...]string{"?", "?", "¿", "␣", "?   "}[size])
		}
		i += size
	}
	return out
}
