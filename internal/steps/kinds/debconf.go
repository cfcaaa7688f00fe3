package kinds

import (
	_ "embed"
	"fmt"
	"regexp"
	"strings"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

//go:embed debconf.sh
var debconfSource string

var debconfKind = &steps.Kind{
	Name: "debconf",
	Doc: `An answer to a question that a Debian package asks while it is configured.

The answer is in debconf's database before the package is installed, which then does not ask. A
package that is installed already takes no notice until it is configured again (dpkg-reconfigure), and
most packages then prefer what their own files say.

Once a package is installed its own description of the question counts: argument type only matters before,
and an answer that is none of the choices of a select is an error. Many packages forget a password as soon
as they have used it, so that it would be given again by each run: set only_new.

The value of a password, and any sensitive value, is compared by its salted sum and never shown. An answer is one line.
With state absent the package has no such question any more; one that other packages share stays for these.`,
	Example: `step "debconf" "mailer" {
  package  = "postfix"
  question = "postfix/main_mailer_type"
  type     = "select"
  value    = "Local only"
}

step "debconf" "mailname" {
  package  = "postfix"
  question = "postfix/mailname"
  type     = "string"
  value    = "demo.example.org"
}
`,
	Rules: []steps.Rule{steps.AbsentTakes("package", "question")},
	New: func() (steps.Step, steps.Args) {
		s := &debconf{Seen: true, State: "present"}
		return s, steps.Args{
			kit.NameArg("package", &s.Package, "The package that asks.").Must(),
			kit.ParsedArg("question", &s.Question, "The name of the question, such as postfix/mailname; debconf-show PACKAGE lists those of an installed package.", debconfQuestion).Must(),
			kit.EnumArg("type", &s.Type, "The type of the question, as the package has it. Required unless state is absent.", "boolean", "string", "select", "multiselect", "password", "text", "note"),
			kit.TextArg("value", &s.Value, "The answer, one line; it may be empty. The items of a multiselect are separated by a comma and a blank. Required unless state is absent."),
			kit.BoolArg("seen", &s.Seen, "Whether the question counts as asked. With false it is still asked, and the value is what it offers."),
			kit.BoolArg("only_new", &s.OnlyNew, "Look at nothing if the package is installed: the answer is for its installation."),
			kit.EnumArg("state", &s.State, "Whether the answer is there.", "present", "absent"),
		}
	},
}

var debconfName = regexp.MustCompile(`^[A-Za-z0-9][!-~]*$`)

func debconfQuestion(name string) (string, error) {
	if !debconfName.MatchString(name) {
		return "", fmt.Errorf("%q is no name of a question; such a name has no blanks and is of the form package/question", name)
	}
	return name, nil
}

type debconf struct {
	Package, Question, Type string
	Value                   *steps.Text
	Seen, OnlyNew           bool
	State                   string
}

var (
	_ steps.Requirer = (*debconf)(nil)
	_ steps.Settler  = (*debconf)(nil)
)

func (s *debconf) Validate() []steps.Problem {
	if s.State == "absent" {
		return nil
	}
	var problems []steps.Problem
	if s.Type == "" {
		problems = append(problems, steps.Problem{Arg: "type", Summary: "the type of the question is missing", Detail: "Give the one that the package has for it; debconf-show and the package's templates file tell it."})
	}
	if s.Value == nil {
		return append(problems, steps.Problem{Arg: "value", Summary: "the answer is missing", Detail: "Give the value; \"\" is an empty answer."})
	}
	switch v := s.Value.Reveal(); {
	case kit.NoControl(v) != nil:
		problems = append(problems, steps.Problem{Arg: "value", Summary: "the answer is not one line of text", Detail: "Leave out line breaks, tabs and other control characters: debconf cannot be given them."})
	case strings.TrimSpace(v) != v:
		problems = append(problems, steps.Problem{Arg: "value", Summary: "the answer begins or ends with a blank", Detail: "Leave it out: debconf does not keep it."})
	case s.Type == "boolean" && v != "true" && v != "false":
		problems = append(problems, steps.Problem{Arg: "value", Summary: "the answer to a boolean question is true or false", Detail: `Write value = "true" or value = "false".`})
	}
	return problems
}

// Requires implements steps.Requirer.
func (s *debconf) Requires() []steps.Thing {
	return []steps.Thing{{Kind: steps.CommandThing, Name: "debconf-set-selections"}}
}

// answer is the value, which is secret for a password wherever it comes from.
func (s *debconf) answer() steps.Text {
	if s.Type == "password" {
		return steps.Secret(s.Value.Reveal())
	}
	return *s.Value
}

func (s *debconf) Probe() string {
	call := []string{"debconf_look", shell.Quote(s.Package), shell.Quote(s.Question)}
	switch {
	case s.State == "absent":
		call = append(call, "absent")
	case s.answer().Sensitive():
		call = append(call, "secret")
	default:
		call = append(call, "open", shell.Quote(s.Value.Reveal()))
	}
	probe := shell.Strip(debconfSource)
	if s.OnlyNew {
		probe += fmt.Sprintf("debconf_installed %s && say installed yes && exit 0\n", shell.Quote(s.Package))
	}
	return probe + strings.Join(call, " ") + "\n"
}

// wanted is the state with the answer; of says who describes the question.
func (s *debconf) wanted(f *steps.Facts, of string) steps.Observation {
	lines := []string{"question " + of, "owner yes", "type " + s.Type, fmt.Sprintf("seen %t", s.Seen)}
	if a := s.answer(); a.Sensitive() {
		lines = append(lines, "sum "+a.Sum(f))
	} else {
		lines = append(lines, "value "+a.Reveal())
	}
	return steps.Observe(lines...)
}

// Settled implements steps.Settler.
func (s *debconf) Settled(f *steps.Facts) []steps.Observation {
	if s.State == "absent" {
		return []steps.Observation{steps.Observe("question absent"), steps.Observe("question package", "owner no"), steps.Observe("question seed", "owner no")}
	}
	return []steps.Observation{s.wanted(f, "seed"), s.wanted(f, "package")}
}

func (s *debconf) Plan(f *steps.Facts, obs steps.Observation) (steps.Change, error) {
	if obs.Yes("installed") {
		return steps.Change{Action: steps.NoOp, Reason: s.Package + " is installed"}, nil
	}
	if s.State == "absent" {
		return s.planAbsent(obs), nil
	}
	question, _ := obs.Get("question")
	change := steps.Change{Action: steps.Update}
	kind := s.Type
	switch question {
	case "package", "seed":
		found, _ := obs.Get("type")
		if question == "package" && found != "" {
			kind = found
		}
		if choices, ok := obs.Get("refused"); ok {
			return steps.Change{}, fmt.Errorf("%s takes one of: %s; correct the value", s.Question, choices)
		}
		change.Compare("type", found, kind)
		if !obs.Yes("owner") {
			change.Diff = append(change.Diff, steps.Attr{Name: "package", BeforeMissing: true, After: s.Package})
		}
		change.Diff = append(change.Diff, s.valueDiff(f, obs)...)
		seen, _ := obs.Get("seen")
		change.Compare("seen", seen, fmt.Sprint(s.Seen))
	default:
		change.Action = steps.Create
		change.AddNeeds(obs)
		if s.answer().Sensitive() {
			change.Diff = []steps.Attr{{Name: "value", Sensitive: true, BeforeMissing: true}}
		} else {
			change.Diff = []steps.Attr{{Name: "value", BeforeMissing: true, After: s.Value.Reveal()}}
		}
		if !s.Seen {
			change.Diff = append(change.Diff, steps.Attr{Name: "seen", BeforeMissing: true, After: "false"})
		}
	}
	if len(change.Diff) == 0 {
		return steps.Change{Action: steps.NoOp}, nil
	}
	line := s.Package + " " + s.Question + " " + kind + " " + s.Value.Reveal() + "\n"
	text := steps.Plain(line)
	if s.answer().Sensitive() {
		text = steps.Secret(line)
	}
	change.Ops = []steps.Op{steps.Run{
		Script: shell.Strip(debconfSource) + fmt.Sprintf("debconf_set %s %s %t\n", shell.Quote(s.Package), shell.Quote(s.Question), s.Seen),
		Shown:  "debconf-set-selections",
		Stdin:  &steps.Content{Text: text},
	}}
	return change, nil
}

func (s *debconf) valueDiff(f *steps.Facts, obs steps.Observation) []steps.Attr {
	if a := s.answer(); a.Sensitive() {
		if sum, _ := obs.Get("sum"); sum != a.Sum(f) {
			return []steps.Attr{{Name: "value", Sensitive: true}}
		}
		return nil
	}
	if value, _ := obs.Get("value"); value != s.Value.Reveal() {
		return []steps.Attr{{Name: "value", Before: value, BeforeMissing: value == "", After: s.Value.Reveal()}}
	}
	return nil
}

func (s *debconf) planAbsent(obs steps.Observation) steps.Change {
	if !obs.Yes("owner") {
		return steps.Change{Action: steps.NoOp}
	}
	return steps.Change{
		Action: steps.Delete,
		Diff:   []steps.Attr{{Name: "question", Before: s.Question, AfterMissing: true}},
		Ops: []steps.Op{steps.Run{
			Script: shell.Strip(debconfSource) + fmt.Sprintf("debconf_forget %s %s\n", shell.Quote(s.Package), shell.Quote(s.Question)),
			Shown:  "debconf-communicate",
		}},
		Dangers: []string{"forgets the answer to " + s.Question},
	}
}
