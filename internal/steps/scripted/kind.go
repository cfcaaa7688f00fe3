// Package scripted makes a kind of step out of scripts that somebody else wrote: one that says what is, one that makes it so, and one
// that removes it. It knows nothing of the language in which they are given.
package scripted

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/steps"
)

// A Definition is a kind of somebody's own.
type Definition struct {
	Name string
	Doc  string
	Args []Argument

	Probe  string // sh that prints a line "KEY VALUE" for each thing that it knows, and nothing of what is absent
	Apply  string // sh that makes it as it is wanted
	Absent string // sh that removes it; "" if such steps have no state

	Outputs []string // keys that the probe may print and later steps can use, as texts; null where it does not

	// Want returns an object of texts, numbers and bools by key: what the probe has to print. It gets the values of all arguments, those of
	// sensitive ones marked. What it marks as sensitive is never shown.
	Want func(map[string]cty.Value) (cty.Value, error)
}

// An Argument is one argument of such a kind.
type Argument struct {
	Name, Doc   string
	Type        cty.Type  // one that CheckType accepts
	Default     cty.Value // cty.NilVal if a value is required; null if it may be left out
	Sensitive   bool      // every value is a secret, and the probe does not get it
	PresentOnly bool      // it says nothing of what is absent

	Check func(cty.Value) error // refuses values; nil if all will do. A sensitive value comes marked
}

// MaxScript is the size in bytes that a script may have: it is one argument of a process (execve(2)).
const MaxScript = 100 << 10

// MaxOutput is the size in bytes of what a probe may print.
const MaxOutput = 256 << 10

// maxValue is the size in bytes of an argument in the environment of a script, for the same reason.
const maxValue = 64 << 10

var argumentName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// ValidName tells whether an argument may have a name: that of a variable of sh comes of it.
func ValidName(name string) bool { return argumentName.MatchString(name) }

// CheckType refuses a type whose values no variable of sh can hold in a form that a script can read.
func CheckType(t cty.Type) error {
	simple := func(t cty.Type) bool { return t == cty.String || t == cty.Number || t == cty.Bool }
	if simple(t) || (t.IsListType() || t.IsSetType() || t.IsMapType()) && simple(t.ElementType()) {
		return nil
	}
	return errors.New("an argument is a string, a number or a bool, or a list, set or map of these, such as list(string)")
}

// Kind returns the kind.
func (d *Definition) Kind() *steps.Kind {
	k := &steps.Kind{Name: d.Name, Doc: d.Doc, Example: d.example(), New: d.new}
	for _, name := range d.Outputs {
		k.Outputs = append(k.Outputs, steps.Output{Name: name, Type: cty.String, Doc: "What the probe prints of it; null if it prints nothing of it."})
	}
	if d.Absent != "" {
		var names []string
		for _, a := range d.Args {
			if !a.PresentOnly {
				names = append(names, a.Name)
			}
		}
		k.Rules = []steps.Rule{steps.AbsentTakes(names...)}
	}
	return k
}

func (d *Definition) new() (steps.Step, steps.Args) {
	s := &step{kind: d, values: map[string]cty.Value{}}
	var args steps.Args
	for i := range d.Args {
		a := &d.Args[i]
		s.values[a.Name] = cty.NullVal(a.Type)
		if a.Default != cty.NilVal {
			s.values[a.Name] = a.marked(a.Default)
		}
		args = append(args, steps.Arg{
			Name: a.Name, Doc: a.doc(), Type: a.Type, Secret: a.Sensitive, Default: a.shownDefault(), Empty: true,
			Required: a.Default == cty.NilVal && (d.Absent == "" || !a.PresentOnly),
			Decode: func(v cty.Value) error {
				v = a.marked(v)
				if err := a.accept(v); err != nil {
					return err
				}
				s.values[a.Name] = v
				return nil
			},
		})
	}
	if d.Absent != "" {
		args = append(args, stateArg(&s.state))
	}
	return s, args
}

func stateArg(to *string) steps.Arg {
	*to = "present"
	values := []string{"present", "absent"}
	return steps.Arg{Name: "state", Doc: "Whether it is there.", Type: cty.String, Values: values, Default: *to, Decode: func(v cty.Value) error {
		if s := v.AsString(); s != "present" && s != "absent" {
			return &steps.EnumError{Got: s, Values: values}
		}
		*to = v.AsString()
		return nil
	}}
}

// Accepts refuses a default as a value would be.
func (a *Argument) Accepts(v cty.Value) error { return a.accept(a.marked(v)) }

func (a *Argument) accept(v cty.Value) error {
	if v.IsNull() {
		return nil
	}
	if _, err := variable(v); err != nil {
		return err
	}
	if a.Check != nil {
		return a.Check(v)
	}
	return nil
}

// marked is a value with the mark of its secrets, if it is one. Of a map the values are secret and the keys are not, as everywhere.
func (a *Argument) marked(v cty.Value) cty.Value {
	if !a.Sensitive || v.IsNull() {
		return v
	}
	v, _ = v.UnmarkDeep()
	if !v.Type().IsMapType() || v.LengthInt() == 0 {
		return v.Mark(steps.Sensitive)
	}
	items := v.AsValueMap()
	for key, item := range items {
		items[key] = item.Mark(steps.Sensitive)
	}
	return cty.MapVal(items)
}

func (a *Argument) doc() string {
	text := a.Doc
	if text == "" {
		text = "Scripts know it as $arg_" + a.Name + "."
	}
	add := func(sentence string) { text = strings.TrimSpace(text + " " + sentence) }
	if text != "" && !strings.ContainsAny(text[len(text)-1:], ".!?") {
		text += "."
	}
	if a.Default == cty.NilVal && a.PresentOnly {
		add("Required unless state is absent.")
	}
	if a.Sensitive {
		add("Its value is never shown.")
	}
	return text
}

// shownDefault is the default as the manual has it: "" if there is none to show.
func (a *Argument) shownDefault() string {
	if a.Default == cty.NilVal || a.Default.IsNull() || a.Sensitive {
		return ""
	}
	text, err := variable(a.Default)
	if err != nil || strings.Contains(text, "\n") {
		return ""
	}
	return text
}

// example is a step with the arguments that it needs.
func (d *Definition) example() string {
	var b strings.Builder
	fmt.Fprintf(&b, "step %q \"example\" {\n", d.Name)
	width := 0
	var required []Argument
	for _, a := range d.Args {
		if a.Default == cty.NilVal {
			required = append(required, a)
			width = max(width, len(a.Name))
		}
	}
	for _, a := range required {
		fmt.Fprintf(&b, "  %-*s = %s\n", width, a.Name, placeholder(a.Type))
	}
	b.WriteString("}\n")
	return b.String()
}

func placeholder(t cty.Type) string {
	switch {
	case t == cty.Number:
		return "1"
	case t == cty.Bool:
		return "true"
	case t.IsMapType():
		return "{ name = " + placeholder(t.ElementType()) + " }"
	case t.IsListType(), t.IsSetType():
		return "[" + placeholder(t.ElementType()) + "]"
	}
	return `"…"`
}
