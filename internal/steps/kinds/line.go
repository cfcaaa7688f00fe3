package kinds

import (
	"fmt"
	"slices"
	"strings"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

var lineKind = &steps.Kind{
	Name: "line",
	Doc: `One line in a text file, or its absence; everything else in the file stays as it is.

Without match the line is added unless the file holds it already, character for character. With
match (a regular expression in Go's syntax, found anywhere in a line unless ^ or $ ties it down)
the line takes the place of the lines that match: of the first one, and further ones go. So
"^#?PermitRootLogin " leaves one such line, whether it was commented out, set twice or missing.

A line that has to be added goes after the last line that after matches, or before the first one
that before matches, or to the end of the file.

state = "absent" removes every line that equals line or matches match.

What ends a line is no part of it: a file with CRLF keeps that, and a new line ends as the one before it.

The file is replaced as a whole and at once; owner, mode, access list and label stay. Files
larger than 256 KiB and files with NUL bytes are not edited. Word boundaries (\b) and ranges
beyond ASCII are not for match: grep on the host must find the same lines. Of a file that only its
owner may read no line is shown.`,
	Example: `step "file" "conf" {
  path = "/etc/demo.conf"
}

step "line" "level" {
  path  = "/etc/demo.conf"
  match = "^#?level="
  line  = "level=2"
}

step "line" "hosts" {
  path   = "/etc/demo.hosts"
  line   = "10.0.0.5 db.internal"
  create = true
}
`,
	Rules: []steps.Rule{
		steps.AbsentTakes("path", "line", "match", "validate", "backup"),
		steps.AtMostOne("after", "before"),
	},
	New: func() (steps.Step, steps.Args) {
		l := &line{Edit: kit.Edit{State: "present"}}
		args := steps.Args{
			kit.PathArg("path", &l.Path, "Absolute path of the file.").Must(),
			kit.LineArg("line", &l.Line, "The line, without a line break. Required unless state is absent."),
			kit.PatternArg("match", &l.Match, "The lines that line takes the place of, or that go."),
			kit.PatternArg("after", &l.After, "Where a new line goes: after the last line that matches."),
			kit.PatternArg("before", &l.Before, "Where a new line goes: before the first line that matches."),
		}
		args = append(args, l.Edit.Args()...)
		return l, append(args, kit.EnumArg("state", &l.State, "Whether the line is there.", "present", "absent"))
	},
}

type line struct {
	kit.Edit
	Line                 *string
	Match, After, Before *kit.Pattern
}

var (
	_ steps.Bringer  = (*line)(nil)
	_ steps.Requirer = (*line)(nil)
)

func (l *line) Validate() []steps.Problem {
	var problems []steps.Problem
	if l.State == "present" && l.Line == nil {
		problems = append(problems, steps.Problem{Arg: "line", Summary: "line is required", Detail: "Give the text that the file should hold, or set state = \"absent\"."})
	}
	if l.State == "absent" && l.Line == nil && l.Match == nil {
		problems = append(problems, steps.Problem{Summary: "one of line and match is required", Detail: "Say which lines should go."})
	}
	return append(problems, l.Edit.Problems()...)
}

// Probe counts the lines that match and those that equal the line.
func (l *line) Probe() string {
	var b strings.Builder
	// grep has status 1 if it found nothing, and prints 0.
	count := "%s=$(lines | grep -c %s -e %s)\n[ $? -lt 2 ] || exit 1\n"
	b.WriteString(kit.ProbeLines + "equal=0 match=0\n")
	if l.Line != nil {
		fmt.Fprintf(&b, count, "equal", "-Fx", shell.Quote(*l.Line))
	}
	if l.Match != nil {
		fmt.Fprintf(&b, count, "match", "-E", shell.Quote(l.Match.ERE))
	}
	fmt.Fprintf(&b, "case \"$equal $match\" in %s) r=same ;; *) r=differ ;; esac\n", l.goodCounts())
	return l.Edit.Probe(b.String())
}

// goodCounts is the pattern of sh for "EQUAL MATCH" of a file that is as it should be.
func (l *line) goodCounts() string {
	switch {
	case l.State == "absent":
		return "'0 0'"
	case l.Match == nil:
		return "[1-9]*"
	case l.Match.Finds(*l.Line):
		return "'1 1'"
	}
	return "[1-9]*' 0'"
}

func (l *line) Plan(_ *steps.Facts, obs steps.Observation) (steps.Change, error) {
	return l.Edit.Plan(obs, l.Same, func(change *steps.Change, before string) (steps.Text, error) {
		return steps.Plain(l.edit(change, before)), nil
	})
}

// edit returns the new content and notes the lines that change, by their old numbers.
func (l *line) edit(change *steps.Change, before string) string {
	lines := kit.ReadLines(before)
	old := lines.All
	lines.All = nil
	// A line that is there and that match does not find needs no second place.
	done := l.State == "present" && l.Match != nil && !l.Match.Finds(*l.Line) &&
		slices.ContainsFunc(old, func(o kit.Line) bool { return o.Text == *l.Line })
	for i, o := range old {
		equal := l.Line != nil && o.Text == *l.Line
		name := fmt.Sprintf("line %d", i+1)
		switch {
		case !equal && !l.Match.Finds(o.Text):
			lines.All = append(lines.All, o)
		case l.State == "present" && equal && (!done || !l.Match.Finds(o.Text)):
			// Where match does not count it, the line may be there more than once.
			done = true
			lines.All = append(lines.All, o)
		case l.State == "present" && !done:
			done = true
			change.Diff = append(change.Diff, steps.Attr{Name: name, Before: o.Text, After: *l.Line})
			lines.All = append(lines.All, kit.Line{Text: *l.Line, End: o.End})
		default:
			change.Diff = append(change.Diff, steps.Attr{Name: name, Before: o.Text, AfterMissing: true})
		}
	}
	if !done && l.State == "present" {
		at := l.place(lines.All)
		change.Diff = append(change.Diff, steps.Attr{Name: fmt.Sprintf("line %d", at+1), BeforeMissing: true, After: *l.Line})
		lines.Insert(at, *l.Line)
	}
	return lines.String()
}

// place is the index at which a new line goes.
func (l *line) place(lines []kit.Line) int {
	at := len(lines)
	for i, t := range lines {
		if l.Before.Finds(t.Text) {
			return i
		}
		if l.After.Finds(t.Text) {
			at = i + 1
		}
	}
	return at
}
