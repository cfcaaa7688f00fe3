package steps

import (
	"fmt"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

// Manual returns the manual of a kind as Markdown: what it is for, its arguments, its outputs and an
// example.
func (k *Kind) Manual() string {
	var b strings.Builder
	summary, rest, _ := strings.Cut(k.Doc, "\n")
	fmt.Fprintf(&b, "# %s\n\n%s\n", k.Title(), summary)
	if rest = strings.TrimSpace(rest); rest != "" {
		fmt.Fprintf(&b, "\n%s\n", rest)
	}
	fmt.Fprintf(&b, "\n## Example\n\n```hcl\n%s```\n\n## Arguments\n\n", strings.TrimLeft(k.Example, "\n"))
	step, args := k.New()
	for _, a := range args {
		fmt.Fprintf(&b, "- `%s` (%s): %s\n", a.Name, a.traits(), a.Doc)
	}
	if len(k.Rules) > 0 {
		b.WriteString("\n")
	}
	for i, r := range k.Rules {
		if i > 0 {
			b.WriteString(" ")
		}
		b.WriteString(r.String())
	}
	if len(k.Rules) > 0 {
		b.WriteString("\n")
	}
	if len(k.Outputs) > 0 {
		b.WriteString("\n## Outputs\n\n")
		for _, o := range k.Outputs {
			fmt.Fprintf(&b, "- `%s` (%s): %s\n", o.Name, typeName(o.Type), o.Doc)
		}
	}
	if h, ok := step.(Handler); ok {
		fmt.Fprintf(&b, "\n## Events\n\n`on_change = { %s = [step.KIND.NAME] }` does that when one of the named steps changed something.\n", strings.Join(h.Events(), " = […], "))
	}
	return b.String()
}

// traits describes an argument in a few words: its type, whether it is required, its default.
func (a *Arg) traits() string {
	words := []string{typeName(a.Type)}
	switch a.Origin {
	case File:
		words[0] = "local file"
	case Template:
		words[0] = "local template"
	case Dir:
		words[0] = "local directory"
	}
	if len(a.Values) > 0 {
		words[0] = strings.Join(a.Values, " | ")
	}
	if a.Required {
		words = append(words, "required")
	}
	if a.Default != "" {
		words = append(words, "default "+a.Default)
	}
	if a.Secret {
		words = append(words, "may be sensitive")
	}
	return strings.Join(words, ", ")
}

func typeName(t cty.Type) string {
	switch {
	case t.IsListType():
		return "list of " + typeName(t.ElementType())
	case t.IsMapType():
		return "map of " + typeName(t.ElementType())
	}
	return t.FriendlyName()
}
