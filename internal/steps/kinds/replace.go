package kinds

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"provision/internal/steps"
	"provision/internal/steps/kit"
)

var replaceKind = &steps.Kind{
	Name: "replace",
	Doc: `Text in a file that a regular expression finds, replaced or removed.

Every match in every line is replaced; a match never goes beyond its line. match is a regular
expression in Go's syntax; it may not match the empty text. Word boundaries (\b) and ranges beyond
ASCII are not for it, since grep on the host looks for the same lines. "(?i)" in front ignores
case.

In with, $1 is what the first group of match has found, $name what the group (?P<name>…) has, and
$$ is a dollar sign; before a letter, a digit or an underscore write $${1}. A sensitive text is
taken as it is.

The step is done when nothing is left to replace: no match, or only such as are already what they
would become. So "^workers=.*" may become "workers=8". A replacement that the next run would
replace again, by something else, is an error of the plan.

after and before limit it to the lines after the first one that after matches, up to the next one
that before matches, or to the end of the file. Where no line matches after, nothing is replaced.

With count another number of matches is an error of the plan, unless nothing is left to replace.
With required it is an error if there is neither a match nor the text of with: an expression that
finds nothing is often a mistake.

state = "absent" removes the matches, and keeps the lines.

What ends a line is no part of it, and stays. The file is replaced as a whole and at once; owner,
mode, access list and label stay. Files larger than 256 KiB and files with NUL bytes are not
edited. Where the text is sensitive, neither it nor the old lines are shown, and neither are those
of a file that only its owner may read.`,
	Example: `step "command" "conf" {
  script  = "printf 'listen old.example:80\\nworkers=2\\n[jobs]\\nworkers=2\\n' >/etc/demo-replace.conf"
  creates = "/etc/demo-replace.conf"
}

step "replace" "host" {
  path  = "/etc/demo-replace.conf"
  match = "old\\.example:(\\d+)"
  with  = "new.example:$1"
  count = 1
}

step "replace" "workers" {
  path   = "/etc/demo-replace.conf"
  after  = "^\\[jobs\\]$"
  before = "^\\["
  match  = "^workers=.*"
  with   = "workers=8"
}
`,
	Rules: []steps.Rule{steps.AbsentTakes("path", "match", "after", "before", "count", "validate", "backup")},
	New: func() (steps.Step, steps.Args) {
		r := &replace{Edit: kit.Edit{State: "present"}}
		args := steps.Args{
			kit.PathArg("path", &r.Path, "Absolute path of the file.").Must(),
			kit.ParsedArg("match", &r.Match, "What is replaced: a regular expression.", parseReplaced).Must(),
			kit.TextArg("with", &r.With, "What takes its place. It may be sensitive. Required unless state is absent."),
			kit.PatternArg("after", &r.After, "Only lines after the first one that matches."),
			kit.PatternArg("before", &r.Before, "Only lines before the first one that matches; with after, before the next one."),
			kit.OptIntArg("count", &r.Count, 1, 1000000, "How many matches there must be."),
			kit.BoolArg("required", &r.Required, "There must be a match, or the text of with."),
		}
		args = append(args, r.Writing.Args()...)
		return r, append(args, kit.EnumArg("state", &r.State, "Whether there is a replacement, or the matches go.", "present", "absent"))
	},
}

type replace struct {
	kit.Edit
	Match         replaced
	With          *steps.Text
	After, Before *kit.Pattern
	Count         *int
	Required      bool
}

var (
	_ steps.Bringer  = (*replace)(nil)
	_ steps.Foreseer = (*replace)(nil)
	_ steps.Requirer = (*replace)(nil)
)

// A replaced is an expression that replaces. ere finds the same lines in grep -E.
type replaced struct {
	re  *regexp.Regexp
	ere string
}

func parseReplaced(s string) (replaced, error) {
	re, err := regexp.Compile(s)
	if err != nil {
		return replaced{}, fmt.Errorf("this is no regular expression: %w", err)
	}
	if re.MatchString("") {
		return replaced{}, fmt.Errorf("%q matches the empty text, which is everywhere; write it so that it matches one character at least", s)
	}
	ere, err := kit.ERE(s)
	return replaced{re, ere}, err
}

// reference is $$, or a reference to a group as regexp.Expand takes it, or a dollar sign alone.
var reference = regexp.MustCompile(`\$(\$|\w+|\{\w+\})?`)

func (r *replace) Validate() []steps.Problem {
	problems := r.Edit.Problems()
	if r.State == "absent" {
		return problems
	}
	if r.With == nil {
		return append(problems, steps.Problem{Arg: "with", Summary: "with is required", Detail: "Give the text that takes the place of what match finds, or set state = \"absent\"."})
	}
	text := r.With.Reveal()
	if strings.ContainsAny(text, "\n\r\x00") {
		problems = append(problems, steps.Problem{Arg: "with", Summary: "the replacement has a line break or a NUL byte", Detail: "Replace within lines; for several lines take a step \"block\"."})
	}
	if r.secret() {
		if r.Required {
			problems = append(problems, steps.Problem{Arg: "required", Summary: "a sensitive text is not looked for", Detail: "Leave required out."})
		}
		return problems
	}
	for _, ref := range reference.FindAllString(text, -1) {
		name := strings.Trim(ref[1:], "{}")
		number, err := strconv.Atoi(name)
		switch {
		case ref == "$$":
		case name == "":
			problems = append(problems, steps.Problem{Arg: "with", Summary: "a dollar sign in the replacement refers to nothing", Detail: "Write $$ for a dollar sign, and $1 for the first group."})
		case err == nil && number > r.Match.re.NumSubexp() || err != nil && r.Match.re.SubexpIndex(name) < 0:
			problems = append(problems, steps.Problem{Arg: "with", Summary: ref + " in the replacement is no group of match", Detail: "Write $$ for a dollar sign, and $${1} in place of $1 where a letter, a digit or an underscore follows."})
		}
	}
	if r.Required && len(reference.FindAllString(strings.ReplaceAll(text, "$$", ""), 1)) > 0 {
		problems = append(problems, steps.Problem{Arg: "required", Summary: "the text of a replacement with groups is not known", Detail: "Leave required out, or groups."})
	}
	if r.Required && text == "" {
		problems = append(problems, steps.Problem{Arg: "required", Summary: "an empty text is everywhere", Detail: "Leave required out."})
	}
	return problems
}

// secret tells whether the replacement may not be shown.
func (r *replace) secret() bool { return r.With != nil && r.With.Sensitive() }

// Foresee implements steps.Foreseer: the state is not that of an edit which the host judges.
func (r *replace) Foresee(func(string) (string, bool)) []steps.Observation { return nil }
