package kinds

import (
	"fmt"
	"slices"
	"strings"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

var blockKind = &steps.Kind{
	Name: "block",
	Doc: `Lines between two markers in a text file, or their absence.

Everything else in the file stays as it is. The markers are comments that a name or a marker
makes: name = "app" gives the lines "# BEGIN provision app" and "# END provision app". Blocks of
several names can be in one file. marker is for files with other comments, such as
"<!-- %s app -->", and for blocks that another tool has made, such as "# %s ANSIBLE MANAGED BLOCK"; %s in it
stands for BEGIN and END. Blanks around a marker make no difference.

A block that is there stays in its place. A new one goes after the last line that after matches,
or before the first one that before matches, or to the end of the file; with at = "begin" to the
begin, behind a first line with "#!".

A block with one marker only, with the markers in the wrong order or with one of them twice is an
error of the plan, and so is one in which a block of another name begins or ends: nobody knows
whose the text between is. state = "absent" removes the block with its markers.

What ends a line is no part of it: a file with CRLF keeps that, and the block gets it. The file is
replaced as a whole and at once; owner, mode, access list and label stay. Files larger than
256 KiB and files with NUL bytes are not edited.

The content may be sensitive: then neither it nor the old one is shown. Nor is the block of a file
that only its owner may read.`,
	Example: `step "file" "conf" {
  path = "/etc/demo-block.conf"
}

step "block" "limits" {
  path    = "/etc/demo-block.conf"
  name    = "limits"
  before  = "^exec "
  content = <<-EOT
    ulimit -n 4096
    umask 027
  EOT
}

step "block" "page" {
  path    = "/etc/demo-block.html"
  marker  = "<!-- %s menu -->"
  content = "<p>menu</p>"
  create  = true
}
`,
	Rules: []steps.Rule{
		steps.AbsentTakes("path", "name", "marker", "content", "validate", "backup"),
		steps.OneOf("The markers are made of it.", "name", "marker"),
		steps.AtMostOne("after", "before", "at"),
	},
	New: func() (steps.Step, steps.Args) {
		b := &block{Edit: kit.Edit{State: "present"}, At: "end"}
		args := steps.Args{
			kit.PathArg("path", &b.Path, "Absolute path of the file.").Must(),
			kit.ParsedArg("name", &b.Marker, "Name of the block, for files in which \"#\" begins a comment.", parseBlockName),
			kit.ParsedArg("marker", &b.Marker, "The line before the block, with %s in place of BEGIN, and the one after it, with %s in place of END.", parseBlockMarker),
			kit.TextArg("content", &b.Content, "The lines of the block. It may be sensitive. Required unless state is absent."),
			kit.PatternArg("after", &b.After, "Where a new block goes: after the last line that matches."),
			kit.PatternArg("before", &b.Before, "Where a new block goes: before the first line that matches."),
			kit.EnumArg("at", &b.At, "Where a new block goes: to the begin or the end of the file.", "end", "begin"),
		}
		args = append(args, b.Edit.Args()...)
		return b, append(args, kit.EnumArg("state", &b.State, "Whether the block is there.", "present", "absent"))
	},
}

type block struct {
	kit.Edit
	Marker        string
	Content       *steps.Text
	After, Before *kit.Pattern
	At            string
}

var (
	_ steps.Bringer  = (*block)(nil)
	_ steps.Requirer = (*block)(nil)
)

// blockByName is what the markers of blocks with a name begin with.
const blockByName = "# %s provision "

func parseBlockName(s string) (string, error) {
	if strings.TrimSpace(s) != s || s == "" || strings.Contains(s, "%s") {
		return "", fmt.Errorf("%q is no name of a block; it is not empty, and has neither blanks around it nor %%s", s)
	}
	return parseBlockMarker(blockByName + s)
}

func parseBlockMarker(s string) (string, error) {
	if err := kit.NoControl(strings.ReplaceAll(s, "\t", " ")); err != nil {
		return "", err
	}
	if strings.Count(s, "%s") != 1 || strings.TrimSpace(s) == "%s" {
		return "", fmt.Errorf("%q marks no block; write a comment with %%s in it, which stands for BEGIN and END, such as \"# %%s app\"", s)
	}
	return s, nil
}

// bounds are the lines around the block.
func (b *block) bounds() (begin, end string) {
	return strings.ReplaceAll(b.Marker, "%s", "BEGIN"), strings.ReplaceAll(b.Marker, "%s", "END")
}

func bareBlockLine(s string) string { return strings.Trim(s, " \t") }

func (b *block) Validate() []steps.Problem {
	problems := b.Edit.Problems()
	if b.State == "present" && b.Content == nil {
		return append(problems, steps.Problem{Arg: "content", Summary: "content is required", Detail: "Give the lines of the block, or set state = \"absent\"."})
	}
	if b.State == "absent" {
		return problems
	}
	begin, end := b.bounds()
	for _, l := range kit.ReadLines(b.Content.Reveal()).All {
		if bare := bareBlockLine(l.Text); bare == bareBlockLine(begin) || bare == bareBlockLine(end) {
			problems = append(problems, steps.Problem{Arg: "content", Summary: "the content has a line that is a marker of the block", Detail: "Leave the markers out: they are added."})
		}
	}
	if strings.ContainsRune(b.Content.Reveal(), 0) {
		problems = append(problems, steps.Problem{Arg: "content", Summary: "the content has a NUL byte", Detail: "Leave it out: a file that holds one is no text to edit."})
	}
	return problems
}

// secret tells whether the content may not be shown.
func (b *block) secret() bool { return b.Content != nil && b.Content.Sensitive() }

// wanted is the lines of the block as the host prints them, each with a line feed.
func (b *block) wanted() string {
	if b.Content == nil {
		return ""
	}
	var text strings.Builder
	for _, l := range kit.ReadLines(b.Content.Reveal()).All {
		text.WriteString(l.Text + "\n")
	}
	return text.String()
}

// blockAwk reads the lines of a file. It prints how many times $BEGIN and $END are there and whether they are in order or,
// with $BODY, what is between them.
const blockAwk = `{
	t = $0
	sub(/^[ \t]+/, "", t); sub(/[ \t]+$/, "", t)
	if (t "" == ENVIRON["END"] "") { ends++; last = NR; inside = 0 }
	if (inside && ENVIRON["BODY"] != "") print
	if (t "" == ENVIRON["BEGIN"] "") { begins++; first = NR; inside = 1 }
}
END { if (ENVIRON["BODY"] == "") print begins + 0, ends + 0, (first < last) + 0 }
`

// Probe compares the sum of what is between the markers.
func (b *block) Probe() string {
	begin, end := b.bounds()
	look := kit.ProbeLines + fmt.Sprintf("block() { lines | BEGIN=%s END=%s BODY=$1 awk %s; }\nfound=$(block '') || exit 1\n",
		shell.Quote(bareBlockLine(begin)), shell.Quote(bareBlockLine(end)), shell.Quote(blockAwk))
	if b.secret() {
		return b.Edit.ProbeSecret(look + `say markers "$found"
if [ "$found" = "1 1 1" ]; then
	SUM=$({ printf '%s' "$SALT"; block 1; } | sha256sum) || exit 1
	say block "${SUM%% *}"
fi
`)
	}
	judge := look + "r=differ\n"
	if b.Absent() {
		judge += "[ \"$found\" != '0 0 0' ] || r=same\n"
	} else {
		judge += fmt.Sprintf("if [ \"$found\" = '1 1 1' ]; then\n\tSUM=$(block 1 | sha256sum) || exit 1\n\t[ \"${SUM%%%% *}\" != %s ] || r=same\nfi\n", steps.Plain(b.wanted()).Sum(&steps.Facts{}))
	}
	return b.Edit.Probe(judge)
}

func (b *block) Plan(f *steps.Facts, obs steps.Observation) (steps.Change, error) {
	same := b.Same
	if b.secret() {
		same = func(obs steps.Observation) bool {
			markers, _ := obs.Get("markers")
			if b.Absent() {
				return markers == "0 0 0"
			}
			sum, _ := obs.Get("block")
			return markers == "1 1 1" && sum == steps.Secret(b.wanted()).Sum(f)
		}
	}
	return b.Edit.Plan(obs, same, func(change *steps.Change, before string) (steps.Text, error) {
		after, err := b.edit(change, before)
		if err != nil {
			return steps.Text{}, err
		}
		if b.secret() {
			kit.HideDiff(change)
		}
		if b.secret() {
			return steps.Secret(after), nil
		}
		return steps.Plain(after), nil
	})
}

// edit returns the new content and notes the block as it was and as it will be, with its markers.
func (b *block) edit(change *steps.Change, before string) (string, error) {
	lines := kit.ReadLines(before)
	first, last, err := b.find(lines.All)
	if err != nil {
		return "", err
	}
	begin, end := b.bounds()
	attr := steps.Attr{Name: "block"}
	at, block := first, []string{begin}
	if first < 0 {
		at = b.place(lines.All)
		attr.BeforeMissing = true
		switch {
		case at > 0:
			change.Reason = fmt.Sprintf("after line %d", at)
		case len(lines.All) > 0:
			change.Reason = "before line 1"
		}
	} else {
		attr.Before = plainLines(lines.All[first : last+1])
		begin, end = lines.All[first].Text, lines.All[last].Text
		block = []string{begin}
	}
	for _, l := range kit.ReadLines(b.wanted()).All {
		block = append(block, l.Text)
	}
	block = append(block, end)
	if b.Absent() {
		block, attr.AfterMissing = nil, true
	}
	// The new lines are put beside the old ones, so that they end as these do.
	for i, text := range block {
		lines.Insert(at+i, text)
	}
	if first >= 0 {
		if n := len(block); last+n == len(lines.All)-1 && n > 0 {
			lines.All[at+n-1].End = lines.All[last+n].End
		}
		lines.All = slices.Delete(lines.All, at+len(block), last+len(block)+1)
	}
	if !b.Absent() {
		attr.After = plainLines(lines.All[at : at+len(block)])
	}
	change.Diff = append(change.Diff, attr)
	return lines.String(), nil
}

// plainLines is the text of some lines, without what else may end them than a line feed.
func plainLines(lines []kit.Line) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l.Text + "\n")
	}
	return b.String()
}

// find returns the indices of the markers, or -1. Where they mark no block, that is an error.
func (b *block) find(lines []kit.Line) (first, last int, err error) {
	begin, end := b.bounds()
	begins, ends := indicesOf(lines, bareBlockLine(begin)), indicesOf(lines, bareBlockLine(end))
	fix := "; mend the markers by hand, or remove them, so that no text is lost"
	switch {
	case len(begins) == 0 && len(ends) == 0:
		return -1, -1, nil
	case len(begins) > 1:
		err = fmt.Errorf("%s has the marker %q more than once, in lines %d and %d%s", b.Path, begin, begins[0]+1, begins[1]+1, fix)
	case len(ends) > 1:
		err = fmt.Errorf("%s has the marker %q more than once, in lines %d and %d%s", b.Path, end, ends[0]+1, ends[1]+1, fix)
	case len(ends) == 0:
		err = fmt.Errorf("%s has the marker %q in line %d and no marker %q%s", b.Path, begin, begins[0]+1, end, fix)
	case len(begins) == 0:
		err = fmt.Errorf("%s has the marker %q in line %d and no marker %q%s", b.Path, end, ends[0]+1, begin, fix)
	case ends[0] < begins[0]:
		err = fmt.Errorf("%s has the marker %q in line %d, before %q in line %d%s", b.Path, end, ends[0]+1, begin, begins[0]+1, fix)
	default:
		return begins[0], ends[0], b.nested(lines[begins[0]+1:ends[0]], begins[0]+2)
	}
	return -1, -1, err
}

// nested is the error for a block in which another one begins or ends. number is that of the first line.
func (b *block) nested(lines []kit.Line, number int) error {
	for _, word := range []string{"BEGIN", "END"} {
		prefix := strings.ReplaceAll(blockByName, "%s", word)
		for i, l := range lines {
			if strings.HasPrefix(bareBlockLine(l.Text), prefix) && !strings.Contains("\n"+b.wanted(), "\n"+l.Text+"\n") {
				return fmt.Errorf("%s has the marker %q in line %d, inside of the block; mend the markers by hand, so that no text is lost", b.Path, bareBlockLine(l.Text), number+i)
			}
		}
	}
	return nil
}

func indicesOf(lines []kit.Line, text string) []int {
	var list []int
	for i, l := range lines {
		if bareBlockLine(l.Text) == text {
			list = append(list, i)
		}
	}
	return list
}

// place is the index at which a new block goes.
func (b *block) place(lines []kit.Line) int {
	at := len(lines)
	if b.At == "begin" {
		at = 0
		if len(lines) > 0 && strings.HasPrefix(lines[0].Text, "#!") {
			at = 1
		}
	}
	for i, l := range lines {
		if b.Before.Finds(l.Text) {
			return i
		}
		if b.After.Finds(l.Text) {
			at = i + 1
		}
	}
	return at
}
