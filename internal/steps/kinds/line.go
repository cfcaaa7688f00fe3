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
beyond ASCII are not for match: grep on the host must find the same lines.`,
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
	New: func() (steps.Step, steps.Args) {
		l := &line{State: "present"}
		args := steps.Args{
			kit.PathArg("path", &l.Path, "Absolute path of the file.").Must(),
			kit.LineArg("line", &l.Line, "The line, without a line break. Required unless state is absent."),
			kit.PatternArg("match", &l.Match, "The lines that line takes the place of, or that go."),
			kit.PatternArg("after", &l.After, "Where a new line goes: after the last line that matches."),
			kit.PatternArg("before", &l.Before, "Where a new line goes: before the first line that matches."),
			kit.BoolArg("create", &l.Create, "Make the file if it is not there."),
		}
		for _, a := range l.Ownership.Args("file") {
			a.Doc = strings.Replace(a.Doc, "Left out, it is not looked at.", "For a file that create makes; an existing one keeps its own.", 1)
			args = append(args, a)
		}
		args = append(args, l.Writing.Args()...)
		return l, append(args, kit.EnumArg("state", &l.State, "Whether the line is there.", "present", "absent"))
	},
}

type line struct {
	Path, State          string
	Line                 *string
	Match, After, Before *kit.Pattern
	Create               bool
	kit.Ownership
	kit.Writing
}

func (l *line) Validate() []steps.Problem {
	var problems []steps.Problem
	if l.State == "present" && l.Line == nil {
		problems = append(problems, steps.Problem{Arg: "line", Summary: "line is required", Detail: "Give the text that the file should hold, or set state = \"absent\"."})
	}
	if l.State == "absent" && l.Line == nil && l.Match == nil {
		problems = append(problems, steps.Problem{Summary: "one of line and match is required", Detail: "Say which lines should go."})
	}
	if l.After != nil && l.Before != nil {
		problems = append(problems, steps.Problem{Arg: "before", Summary: "after and before exclude each other", Detail: "Keep one of them."})
	}
	if l.State == "absent" && (l.After != nil || l.Before != nil || l.Create) {
		problems = append(problems, steps.Problem{Arg: "state", Summary: "a line that is absent has no place", Detail: "Leave out after, before and create."})
	}
	problems = append(problems, l.Writing.Problems()...)
	if l.Ownership != (kit.Ownership{}) && !l.Create {
		problems = append(problems, steps.Problem{Arg: "create", Summary: "owner, group and mode are for a file that is made", Detail: "Set create = true, or leave them out."})
	}
	return problems
}

var (
	_ steps.Bringer  = (*line)(nil)
	_ steps.Requirer = (*line)(nil)
)

// Brings implements Bringer.
func (l *line) Brings(steps.Change) steps.Supply { return kit.FileSupply(l.Path) }

// Requires implements Requirer.
func (l *line) Requires() []steps.Thing {
	switch {
	case l.State == "absent":
		return nil
	case l.Create:
		return append(l.Accounts(), kit.ParentOf(l.Path)...)
	}
	return []steps.Thing{{Kind: steps.FileThing, Name: l.Path}}
}

// Probe counts the lines that match and those that equal the line, and prints whether that is
// as it should be.
func (l *line) Probe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "p=%s\npath_type \"$p\" || exit 1; t=$TYPE\nsay type \"$t\"\n", shell.Quote(l.Path))
	b.WriteString("if [ \"$t\" = absent ]; then\n")
	switch {
	case l.State == "absent":
	case l.Create:
		b.WriteString(kit.ProbeParent + l.ProbeNames(false))
	default:
		b.WriteString("\tneed file \"$p\"\n")
	}
	b.WriteString("\texit 0\nfi\n[ \"$t\" = file ] || exit 0\n[ -r \"$p\" ] || fail \"$p: cannot be read\"\n")
	// What ends a line, and the byte order mark that begins a file, are no part of any line.
	b.WriteString("cr=$(printf '\\r') bom=$(printf '\\357\\273\\277')\nlines() { sed -e \"1s/^$bom//\" -e \"s/$cr\\$//\" <\"$p\"; }\n")
	// grep has status 1 if it found nothing, and prints 0.
	count := "%s=$(lines | grep -c %s -e %s)\n[ $? -lt 2 ] || exit 1\n"
	b.WriteString("equal=0 match=0\n")
	if l.Line != nil {
		fmt.Fprintf(&b, count, "equal", "-Fx", shell.Quote(*l.Line))
	}
	if l.Match != nil {
		fmt.Fprintf(&b, count, "match", "-E", shell.Quote(l.Match.ERE))
	}
	fmt.Fprintf(&b, "case \"$equal $match\" in\n%s) say line same ;;\n*)\n\tsay line differs\n%s\t;;\nesac\n", l.goodCounts(), kit.ProbeEdit)
	return b.String()
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

func (l *line) Plan(f *steps.Facts, obs steps.Observation) (steps.Change, error) {
	kind, _ := obs.Get("type")
	same, _ := obs.Get("line")
	switch {
	case kind == "absent" && l.State == "absent", kind == "file" && same == "same":
		return steps.Change{Action: steps.NoOp}, nil
	case kind == "absent" && !l.Create:
		change := steps.Change{Action: steps.Unknown}
		change.AddNeeds(obs)
		change.Predict = []steps.Observation{steps.Observe("type file", "line same")}
		return change, nil
	case kind == "absent":
		change := steps.Change{Action: steps.Create, Diff: []steps.Attr{{Name: "line 1", BeforeMissing: true, After: *l.Line}}}
		l.Differences(&change, obs, "")
		change.Ops = []steps.Op{steps.Put{Path: l.Path, Content: steps.Content{Text: steps.Plain(*l.Line + "\n")}, Owner: l.Owner, Group: l.Group, Mode: l.Mode, Validate: l.Check}}
		change.Predict = []steps.Observation{steps.Observe("type file", "line same")}
		change.AddNeeds(obs)
		return change, nil
	case kind != "file":
		return steps.Change{}, kit.NotA(l.Path, kind, "file")
	}
	before, err := kit.Editable(obs)
	if err != nil {
		return steps.Change{}, err
	}
	change := steps.Change{Action: steps.Update}
	kit.NoteMounted(&change, obs)
	after := l.edit(&change, before)
	change.Ops = []steps.Op{steps.Put{Path: l.Path, Content: steps.Content{Text: steps.Plain(after)}, Validate: l.Check, Backup: l.Backup}}
	return change, nil
}

// A textLine is a line of a file in parts.
type textLine struct{ mark, text, end string }

func (t textLine) String() string { return t.mark + t.text + t.end }

// textLines cuts a text into lines. Only the first may have a byte order mark, and only the last may lack an end.
func textLines(text string) []textLine {
	var lines []textLine
	for i, line := range kit.SplitLines(text) {
		var t textLine
		if i == 0 && strings.HasPrefix(line, kit.ByteOrderMark) {
			t.mark, line = kit.ByteOrderMark, line[len(kit.ByteOrderMark):]
		}
		t.text = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		t.end = line[len(t.text):]
		lines = append(lines, t)
	}
	return lines
}

// edit returns the new content and notes the lines that change, by their old numbers.
func (l *line) edit(change *steps.Change, before string) string {
	lines := textLines(before)
	var out []textLine
	// A line that is there and that match does not find needs no second place.
	done := l.State == "present" && l.Match != nil && !l.Match.Finds(*l.Line) &&
		slices.ContainsFunc(lines, func(t textLine) bool { return t.text == *l.Line })
	mark := ""
	for i, old := range lines {
		equal := l.Line != nil && old.text == *l.Line
		name := fmt.Sprintf("line %d", i+1)
		switch {
		case !equal && !l.Match.Finds(old.text):
			out = append(out, old)
		case l.State == "absent":
			mark += old.mark
			change.Diff = append(change.Diff, steps.Attr{Name: name, Before: old.text, AfterMissing: true})
		case equal && (!done || !l.Match.Finds(old.text)):
			// Where match does not count it, the line may be there more than once.
			done = true
			out = append(out, old)
		case !done:
			done = true
			change.Diff = append(change.Diff, steps.Attr{Name: name, Before: old.text, After: *l.Line})
			out = append(out, textLine{old.mark, *l.Line, old.end})
		default:
			mark += old.mark
			change.Diff = append(change.Diff, steps.Attr{Name: name, Before: old.text, AfterMissing: true})
		}
	}
	if !done && l.State == "present" {
		at := l.place(out)
		change.Diff = append(change.Diff, steps.Attr{Name: fmt.Sprintf("line %d", at+1), BeforeMissing: true, After: *l.Line})
		end := endOfLines(out, at)
		if at == len(out) && at > 0 && !strings.HasSuffix(out[at-1].end, "\n") {
			out[at-1].end = end
		}
		out = slices.Insert(out, at, textLine{text: *l.Line, end: end})
	}
	var b strings.Builder
	for i := range out {
		mark += out[i].mark
		out[i].mark = ""
	}
	b.WriteString(mark)
	for _, t := range out {
		b.WriteString(t.String())
	}
	return b.String()
}

// endOfLines is what ends a line that goes to an index: as its neighbours, the one before it first.
func endOfLines(lines []textLine, at int) string {
	for _, i := range []int{at - 1, at, at - 2} {
		if i >= 0 && i < len(lines) && strings.HasSuffix(lines[i].end, "\n") {
			return lines[i].end
		}
	}
	return "\n"
}

// place is the index at which a new line goes.
func (l *line) place(lines []textLine) int {
	at := len(lines)
	for i, t := range lines {
		if l.Before.Finds(t.text) {
			return i
		}
		if l.After.Finds(t.text) {
			at = i + 1
		}
	}
	return at
}
