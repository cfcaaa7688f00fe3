package playbook

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"provision/internal/shell"
)

// firstWord is the program of an interpreter argument, without its directory.
func firstWord(v cty.Value) string {
	v, _ = v.UnmarkDeep()
	if !v.IsWhollyKnown() || v.IsNull() || !v.CanIterateElements() || v.LengthInt() == 0 {
		return ""
	}
	it := v.ElementIterator()
	it.Next()
	_, word := it.Element()
	if word.IsNull() || word.Type() != cty.String {
		return ""
	}
	return path.Base(word.AsString())
}

// checkShell reports text that no shell could parse. interpreter is the program that reads the text in place of sh, or "": where it
// is no shell, the text is in another language.
func (s *scope) checkShell(a argument, v cty.Value, interpreter string) {
	v, marks := v.UnmarkDeep()
	if !v.IsKnown() || v.IsNull() || v.Type() != cty.String || len(marks) > 0 {
		return
	}
	bash := false
	switch interpreter {
	case "", "sh", "dash", "ash":
	case "bash":
		bash = true
	default:
		return
	}
	text := v.AsString()
	key := fmt.Sprint(bash, "\x00", text)
	done, ok := s.run.pb.scripts.Load(key)
	if !ok {
		done, _ = s.run.pb.scripts.LoadOrStore(key, scriptCheck{shell.Check(text, bash)})
	}
	if d := shellProblem(a.expr.Expression, text, done.(scriptCheck).err); d != nil {
		s.run.found.add(d)
	}
}

// shellProblem says where in the source text for sh does not parse, by what shell.Check found; nil if it does.
func shellProblem(e hcl.Expression, text string, err error) *hcl.Diagnostic {
	var syntax *shell.SyntaxError
	if !errors.As(err, &syntax) {
		return nil
	}
	return problem(shellRange(e, text, syntax.Line), "Shell text that does not parse",
		sentence(fmt.Sprintf("line %d of the text, column %d: %s", syntax.Line, syntax.Column, syntax.Text)))
}

type scriptCheck struct{ err error }

// shellRange is the place of a line of the text in the source: for a heredoc that holds the
// text line for line, that line; else the whole expression.
func shellRange(e hcl.Expression, text string, line int) hcl.Range {
	whole := e.Range()
	t, ok := e.(*hclsyntax.TemplateExpr)
	if !ok || whole.End.Line-whole.Start.Line < 2 {
		return whole
	}
	// A heredoc begins on the line after its mark, and ends on the line before the second mark.
	lines := strings.Count(strings.TrimSuffix(text, "\n"), "\n") + 1
	inside := t.Parts[len(t.Parts)-1].Range().End.Line - whole.Start.Line
	if begin := t.Parts[0].Range().Start.Line; begin != whole.Start.Line+1 || lines > inside {
		return whole
	}
	at := whole.Start.Line + min(line, lines)
	for _, part := range t.Parts {
		r := part.Range()
		if r.Start.Line <= at && at <= r.End.Line {
			if r.Start.Line == r.End.Line || r.End.Column == 1 && r.End.Line == at+1 {
				return r
			}
		}
	}
	return whole
}
