package kinds

import (
	"fmt"
	"sort"
	"strings"

	ctyjson "github.com/zclconf/go-cty/cty/json"

	"provision/internal/steps"
)

// renderPlan shows what Plan makes of an observation: the change, each prediction with the
// change that follows from it, the operations of each event, and the outputs.
func renderPlan(step steps.Step, f *steps.Facts, obs steps.Observation) string {
	change, err := step.Plan(f, obs)
	if err != nil {
		return fmt.Sprintf("error: %v\n", err)
	}
	var b strings.Builder
	renderChange(&b, change)
	for _, predicted := range change.Predict {
		b.WriteString("if it is then\n")
		indent(&b, predicted.State()+"\n")
		then, err := step.Plan(f, predicted)
		if err != nil {
			fmt.Fprintf(&b, "  error: %v\n", err)
			continue
		}
		then.Diff, then.Predict = nil, nil
		var inner strings.Builder
		renderChange(&inner, then)
		indent(&b, inner.String())
	}
	if h, ok := step.(steps.Handler); ok {
		for _, event := range h.Events() {
			fmt.Fprintf(&b, "on %s\n", event)
			var inner strings.Builder
			renderOps(&inner, h.Handle(f, event, change))
			indent(&b, inner.String())
		}
	}
	if o, ok := step.(steps.Outputter); ok {
		values := o.Outputs(f, obs, steps.Result{})
		var names []string
		for name := range values {
			names = append(names, name)
		}
		sort.Strings(names)
		for _, name := range names {
			text, err := ctyjson.Marshal(values[name], values[name].Type())
			if err != nil {
				text = []byte(err.Error())
			}
			fmt.Fprintf(&b, "output %s %s\n", name, text)
		}
	}
	return b.String()
}

func renderChange(b *strings.Builder, c steps.Change) {
	b.WriteString(string(c.Action))
	if c.Reason != "" {
		b.WriteString(": " + c.Reason)
	}
	b.WriteString("\n")
	for _, a := range c.Diff {
		renderAttr(b, a)
	}
	for _, t := range c.Needs {
		fmt.Fprintf(b, "need %s\n", t)
	}
	for _, d := range c.Dangers {
		fmt.Fprintf(b, "danger %s\n", d)
	}
	renderOps(b, c.Ops)
	if c.ChangedIf != "" {
		b.WriteString("changed if\n")
		indent(b, c.ChangedIf+"\n")
	}
}

func renderAttr(b *strings.Builder, a steps.Attr) {
	before, after := a.Before, a.After
	if a.BeforeMissing {
		before = "(none)"
	}
	if a.AfterMissing {
		after = "(none)"
	}
	switch {
	case a.Sensitive:
		fmt.Fprintf(b, "diff %s (sensitive)", a.Name)
		if a.BeforeMissing {
			b.WriteString(", before: none")
		}
		if a.AfterMissing {
			b.WriteString(", after: none")
		}
		if a.Before+a.After != "" {
			b.WriteString(" LEAK " + a.Before + a.After)
		}
		b.WriteString("\n")
	case strings.Contains(before+after, "\n"):
		fmt.Fprintf(b, "diff %s, before\n", a.Name)
		indent(b, visible(before))
		fmt.Fprintf(b, "diff %s, after\n", a.Name)
		indent(b, visible(after))
	default:
		fmt.Fprintf(b, "diff %s: %s → %s\n", a.Name, visible(before), visible(after))
	}
}

func renderOps(b *strings.Builder, ops []steps.Op) {
	for _, op := range ops {
		switch op := op.(type) {
		case steps.Run:
			b.WriteString("run\n")
			for _, v := range op.Env {
				fmt.Fprintf(b, "  env %s=%s\n", v.Name, v.Value)
			}
			if op.Stdin != nil {
				b.WriteString("  stdin\n")
				indent(b, "  "+strings.ReplaceAll(strings.TrimSuffix(renderContent(*op.Stdin), "\n"), "\n", "\n  ")+"\n")
			}
			indent(b, foldLibrary(op.Script))
		case steps.Put:
			fmt.Fprintf(b, "put %s", op.Path)
			for _, part := range []struct{ name, value string }{
				{"owner", op.Owner}, {"group", op.Group}, {"mode", op.Mode}, {"validate", op.Validate},
			} {
				if part.value != "" {
					fmt.Fprintf(b, " %s=%s", part.name, part.value)
				}
			}
			if op.Backup {
				b.WriteString(" backup")
			}
			b.WriteString("\n")
			indent(b, renderContent(op.Content)+"\n")
		case steps.Reboot:
			fmt.Fprintf(b, "reboot %s\n", op.Message)
		default:
			fmt.Fprintf(b, "%T\n", op)
		}
	}
}

func renderContent(c steps.Content) string {
	if c.Tree != nil {
		var b strings.Builder
		fmt.Fprintf(&b, "tar of %s", c.Tree.Root)
		for _, f := range c.Tree.Files {
			fmt.Fprintf(&b, "\n%c %s", f.Type, f.Path)
		}
		return b.String()
	}
	if c.Local != nil {
		return fmt.Sprintf("local file %s, %d bytes", c.Local.Path, c.Local.Size)
	}
	return visible(c.Text.String())
}

// visible keeps tabs and line breaks and escapes every other control character, so that a
// data file stays text; a text without a final line break says so.
func visible(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c < 0x20 && c != '\n' && c != '\t', c == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	return strings.ToValidUTF8(b.String(), "�")
}

func indent(b *strings.Builder, text string) {
	if text == "" {
		return
	}
	for _, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		b.WriteString(strings.TrimRight("  "+line, " ") + "\n")
	}
}
