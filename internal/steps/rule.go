package steps

import (
	"fmt"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

// A Rule is what the arguments of a kind ask of each other, as data: the manual shows it, and a playbook that breaks it is an
// error before Validate is asked.
type Rule struct {
	form ruleForm
	args []string
	fix  string
}

type ruleForm int

const (
	oneOf ruleForm = iota
	atMostOne
	absentTakes
)

// OneOf asks for exactly one of some arguments. fix is a sentence that says what to do about none or several.
func OneOf(fix string, args ...string) Rule { return Rule{oneOf, args, fix} }

// AtMostOne allows one of some arguments, or none.
func AtMostOne(args ...string) Rule {
	return Rule{atMostOne, args, "Keep one of them."}
}

// AbsentTakes allows a step with state = "absent" these arguments only, beside state itself. It stands before other rules: then
// OneOf does not ask such a step for any.
func AbsentTakes(args ...string) Rule { return Rule{form: absentTakes, args: args} }

// String is the sentence of the manual.
func (r Rule) String() string {
	switch r.form {
	case oneOf:
		return "One of " + quotedList(r.args) + " is required, and only one."
	case atMostOne:
		return "Only one of " + quotedList(r.args) + " can be given."
	}
	if len(r.args) == 0 {
		return "With `state = \"absent\"` no other argument can be given."
	}
	return "With `state = \"absent\"` only " + quotedList(r.args) + " can be given."
}

// quotedList is "`a`, `b` and `c`".
func quotedList(names []string) string {
	n := len(names)
	if n == 1 {
		return "`" + names[0] + "`"
	}
	return "`" + strings.Join(names[:n-1], "`, `") + "` and `" + names[n-1] + "`"
}

// Check returns what the arguments that were set break of the rules of their kind.
func (k *Kind) Check(args Args) []Problem {
	var problems []Problem
	absent := false
	for _, r := range k.Rules {
		if r.form != absentTakes {
			problems = append(problems, r.check(args, absent)...)
		} else if absent = args.Get("state").word == "absent"; absent {
			problems = append(problems, r.checkAbsent(args)...)
		}
	}
	return problems
}

// check counts the arguments that were given. None is right where the step asks for an absence.
func (r Rule) check(args Args, absent bool) []Problem {
	var given []string
	for _, name := range r.args {
		if args.Get(name).given {
			given = append(given, name)
		}
	}
	names := strings.ReplaceAll(quotedList(r.args), "`", "")
	switch {
	case len(given) > 1 && r.form == atMostOne:
		return []Problem{{Arg: given[1], Summary: names + " exclude each other", Detail: r.fix}}
	case len(given) > 1:
		return []Problem{{Arg: given[1], Summary: fmt.Sprintf("one of %s is required, and only one", names), Detail: r.fix}}
	case len(given) == 0 && r.form == oneOf && !absent:
		return []Problem{{Summary: fmt.Sprintf("one of %s is required, and only one", names), Detail: r.fix}}
	}
	return nil
}

func (r Rule) checkAbsent(args Args) []Problem {
	allowed := map[string]bool{"state": true}
	for _, name := range r.args {
		allowed[name] = true
	}
	for i := range args {
		if a := &args[i]; a.given && !allowed[a.Name] {
			return []Problem{{
				Arg: a.Name, Summary: fmt.Sprintf("state = \"absent\" takes no %s", a.Name),
				Detail: "Leave it out, or the state. " + strings.ReplaceAll(strings.ReplaceAll(r.String(), "`state = \"absent\"`", "it"), "`", ""),
			}}
		}
	}
	return nil
}

// gives tells whether a value is another than the argument's default. An empty list or map is no value, and neither is an empty
// text, unless the argument says that it is one (Arg.Empty).
func (a *Arg) gives(v cty.Value) bool {
	v, _ = v.Unmark()
	switch {
	case v.Type() == cty.String:
		return (v.AsString() != "" || a.Empty) && (a.Default == "" || v.AsString() != a.Default)
	case v.Type() == cty.Bool:
		return fmt.Sprint(v.True()) != a.Default
	case v.CanIterateElements():
		return v.LengthInt() > 0 || a.Empty
	}
	return true
}
