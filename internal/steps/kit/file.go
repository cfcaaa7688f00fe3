package kit

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"provision/internal/shell"
	"provision/internal/steps"
)

// A File is a regular file whose whole content is known, or its absence. A kind embeds it, and sets Content from its own
// arguments before it calls Probe and Plan. To the Change of Plan it may add what differs beside the file (Change.Also).
type File struct {
	Path  string // absolute, on the host
	State string // "absent", or "present" or "" for a file that should be there
	Ownership
	Content *steps.Content // nil: an existing file keeps its content, a new one is empty
	Writing
}

// Absent tells whether the file should not be there.
func (c *File) Absent() bool { return c.State == "absent" }

// Probe is sh that looks at the file: it prints the type; of a regular file the sum and the attributes; of an absent one what is missing
// for it. The content is sent for the diff if it differs and everybody may see it.
func (c *File) Probe() string {
	var b strings.Builder
	b.WriteString(ProbeType(c.Path))
	if c.Absent() {
		return b.String() + "[ \"$t\" != file ] || need_unmounted \"$p\"\n"
	}
	b.WriteString("if [ \"$t\" = absent ]; then\n" + ProbeParent + c.ProbeNames(false) + "exit 0\nfi\n")
	b.WriteString("[ \"$t\" = file ] || exit 0\n")
	b.WriteString(c.Ownership.ProbeAttributes())
	if c.Content == nil {
		return b.String()
	}
	if c.secret() {
		b.WriteString("salted_sum_of \"$p\" || exit 1; s=$SUM\nsay sum \"$s\"\n" + ProbeMounted)
		return b.String()
	}
	b.WriteString("sum_of \"$p\" || exit 1; s=$SUM\nsay sum \"$s\"\n")
	b.WriteString("[ \"$s\" != " + c.Content.Sum(nil) + " ] || exit 0\n" + ProbeMounted)
	if !c.private() {
		b.WriteString(ProbePrivate + ProbeDetail)
	}
	return b.String()
}

// ProbeDetail is sh that sends the content of the file $p for a diff, unless it is large, binary,
// or for its owner only.
const ProbeDetail = `if [ "${DETAIL:-0}" = 1 ]; then
	m=$(stat -c '%a %s' -- "$p") || exit 1
	case ${m% *} in
	?00 | ??00 | 0) ;;
	*) [ "${m#* }" -gt 262144 ] || [ "$(tr -d '\000' <"$p" | wc -c)" -ne "${m#* }" ] || detail content "$p" ;;
	esac
fi
`

// ProbeMounted is sh that says whether the file $p is a mount point, for NoteMounted.
const ProbeMounted = "! mounted \"$p\" || say mounted yes\n"

// NoteMounted adds to the reason that a file is written without being replaced: what ProbeMounted found.
func NoteMounted(c *steps.Change, obs steps.Observation) {
	if _, yes := obs.Get("mounted"); yes {
		if c.Reason != "" {
			c.Reason += "; "
		}
		c.Reason += "a mount point, so it is written in place: a reader may see half of it"
	}
}

// Batch implements Batcher.
func (c *File) Batch() (attributes, sums []string) {
	if c.Absent() {
		return nil, nil
	}
	attributes = []string{c.Path}
	if c.Content != nil && !c.secret() {
		sums = attributes
	}
	return attributes, sums
}

var _ steps.Settler = (*File)(nil)

// Settled implements steps.Settler.
func (c *File) Settled(f *steps.Facts) []steps.Observation {
	if c.Absent() {
		return []steps.Observation{steps.Observe("type absent")}
	}
	lines := append([]string{"type file"}, c.Ownership.WantedLines()...)
	if c.Content != nil {
		lines = append(lines, "sum "+c.Content.Sum(f))
	}
	return []steps.Observation{steps.Observe(lines...)}
}

// secret tells whether the content must not be seen.
func (c *File) secret() bool {
	return c.Content != nil && c.Content.Local == nil && c.Content.Text.Sensitive()
}

// private tells whether only its owner may read the file: then no diff shows it.
func (c *File) private() bool { return strings.HasSuffix(c.Mode, "00") || c.Mode == "0" }

// wanted returns the content as text, if it is known and can be shown.
func (c *File) wanted() (string, bool) {
	text := ""
	switch {
	case c.secret() || c.private():
		return "", false
	case c.Content.Local == nil:
		text = c.Content.Text.Reveal()
	case c.Content.Local.Preview == nil && c.Content.Local.Size > 0:
		return "", false
	default:
		text = string(c.Content.Local.Preview)
	}
	shown := len(text) <= steps.PreviewLimit && utf8.ValidString(text) && !strings.Contains(text, "\x00")
	return text, shown
}

// contentAttr is the attribute for a content that differs.
func (c *File) contentAttr(f *steps.Facts, obs steps.Observation, exists bool) steps.Attr {
	a := steps.Attr{Name: "content", BeforeMissing: !exists}
	if c.secret() || c.private() || obs.Yes("private") {
		a.Sensitive = true
		return a
	}
	after, shown := c.wanted()
	before, known := obs.Detail("content")
	if shown && utf8.ValidString(before) && (known || !exists) {
		a.Before, a.After = before, after
		return a
	}
	sum, _ := obs.Get("sum")
	if exists {
		a.Before = "sha256 " + sum
	}
	a.After = "sha256 " + c.Content.Sum(f)
	return a
}

// Plan returns the change that the observation of Probe asks for.
func (c *File) Plan(f *steps.Facts, obs steps.Observation) (steps.Change, error) {
	if c.Absent() {
		return c.planAbsent(obs)
	}
	kind, _ := obs.Get("type")
	if kind != "absent" && kind != "file" {
		return steps.Change{}, NotA(c.Path, kind, "file")
	}
	change := steps.Change{Action: steps.NoOp}
	quoted := shell.Quote(c.Path)
	if kind == "absent" {
		change.Action = steps.Create
		content := steps.Content{}
		if c.Content != nil {
			content = *c.Content
			change.Diff = append(change.Diff, c.contentAttr(f, obs, false))
		} else {
			change.Diff = append(change.Diff, steps.Attr{Name: "path", BeforeMissing: true, After: c.Path})
		}
		c.Differences(&change, obs, quoted)
		change.Ops = []steps.Op{c.put(content)}
		change.AddNeeds(obs)
		return change, nil
	}
	if sum, _ := obs.Get("sum"); c.Content != nil && sum != c.Content.Sum(f) {
		change.Action = steps.Update
		change.Diff = append(change.Diff, c.contentAttr(f, obs, true))
		c.Differences(&change, obs, quoted)
		change.Ops = []steps.Op{c.put(*c.Content)}
		NoteMounted(&change, obs)
	} else if commands := c.Differences(&change, obs, quoted); len(commands) > 0 {
		change.Action = steps.Update
		change.Ops = []steps.Op{steps.Run{Script: strings.Join(commands, " &&\n")}}
	}
	if change.Action != steps.NoOp {
		change.AddNeeds(obs)
	}
	return change, nil
}

// planAbsent is the change for a file that should not be there.
func (c *File) planAbsent(obs steps.Observation) (steps.Change, error) {
	kind, _ := obs.Get("type")
	switch kind {
	case "absent":
		return steps.Change{Action: steps.NoOp}, nil
	case "file", "symlink":
		change := steps.Change{
			Action:  steps.Delete,
			Diff:    []steps.Attr{{Name: "path", Before: c.Path, AfterMissing: true}},
			Ops:     []steps.Op{steps.Run{Script: "rm -f -- " + shell.Quote(c.Path)}},
			Dangers: []string{"removes " + c.Path},
		}
		if kind == "symlink" {
			change.Reason = "it is a symbolic link"
		}
		change.AddNeeds(obs)
		return change, nil
	case "directory":
		return steps.Change{}, fmt.Errorf("%s is a directory; remove it with a step \"directory\"", c.Path)
	}
	return steps.Change{}, fmt.Errorf("%s is a device, pipe or socket; remove it with a step \"command\"", c.Path)
}

func (c *File) put(content steps.Content) steps.Put {
	return steps.Put{
		Path: c.Path, Content: content,
		Owner: c.Owner, Group: c.Group, Mode: c.Mode,
		Validate: c.Check, Backup: c.Backup,
	}
}

var (
	_ steps.Bringer  = (*File)(nil)
	_ steps.Requirer = (*File)(nil)
	_ steps.Batcher  = (*File)(nil)
)

// Brings implements steps.Bringer.
func (c *File) Brings(change steps.Change) steps.Supply {
	if c.Absent() {
		return RemovalSupply(change, c.Path)
	}
	return FileSupply(c.Path)
}

// Requires implements steps.Requirer: what the file needs to be written.
func (c *File) Requires() []steps.Thing {
	if c.Absent() {
		return nil
	}
	return append(c.Ownership.Accounts(), ParentOf(c.Path)...)
}
