package kit

import (
	"errors"
	"fmt"
	"strings"

	"provision/internal/steps"
)

// An Edit is a text file of which a kind changes a part and keeps the rest. A kind embeds it. Its probe decides on the host
// whether the file is as it should be. If it is not, the state holds the sum of the file, so that the edit is made on the content
// that it was computed from, and while planning the content travels as detail. Plan computes the new content and puts it in place
// as a whole. Files of more than 256 KiB and files with NUL bytes are not edited.
type Edit struct {
	Path   string // absolute, on the host
	State  string // "present", or "absent": then a file that is not there is as it should be
	Create bool   // with state present, make the file if it is not there
	Ownership
	Writing
}

// Args are the arguments of an edited file but for path and state, which come first and last in a manual.
func (e *Edit) Args() steps.Args {
	args := steps.Args{BoolArg("create", &e.Create, "Make the file if it is not there.")}
	args = append(args, e.Ownership.args("file", "For a file that create makes; an existing one keeps its own.")...)
	return append(args, e.Writing.Args()...)
}

// Absent tells whether what the kind writes into the file should not be there.
func (e *Edit) Absent() bool { return e.State == "absent" }

// Problems reports what the arguments of Args contradict in each other.
func (e *Edit) Problems() []steps.Problem {
	problems := e.Writing.Problems()
	if e.Ownership != (Ownership{}) && !e.Create {
		problems = append(problems, steps.Problem{Arg: "create", Summary: "owner, group and mode are for a file that is made", Detail: "Set create = true, or leave them out."})
	}
	return problems
}

var (
	_ steps.Bringer  = (*Edit)(nil)
	_ steps.Foreseer = (*Edit)(nil)
	_ steps.Requirer = (*Edit)(nil)
	_ steps.Settler  = (*Edit)(nil)
)

// Brings implements steps.Bringer.
func (e *Edit) Brings(steps.Change) steps.Supply { return FileSupply(e.Path) }

// Requires implements steps.Requirer.
func (e *Edit) Requires() []steps.Thing {
	switch {
	case e.Absent():
		return nil
	case e.Create:
		return append(e.Accounts(), ParentOf(e.Path)...)
	}
	return []steps.Thing{{Kind: steps.FileThing, Name: e.Path}}
}

// Settled implements steps.Settler.
func (e *Edit) Settled(*steps.Facts) []steps.Observation {
	return []steps.Observation{steps.Observe("type file", "text same")}
}

// Foresee implements steps.Foreseer: the file needs an edit, or none.
func (e *Edit) Foresee(content func(path string) (text string, known bool)) []steps.Observation {
	text, known := content(e.Path)
	if !known || len(text) > editLimit || strings.Contains(text, "\x00") {
		return nil
	}
	var differ strings.Builder
	fmt.Fprintf(&differ, "type file\ntext differ\nsum %s\n|content\n", steps.Plain(text).Sum(nil))
	for line := range strings.Lines(text) {
		differ.WriteString("|:" + line)
	}
	differ.WriteString("\n|.\n")
	return []steps.Observation{{Stdout: differ.String()}, steps.Observe("type file", "text same")}
}

// editLimit is the size in bytes up to which files are edited, as ProbeEdit has it.
const editLimit = 256 << 10

// Probe is sh that looks at the file. judge is sh that sets $r to "same" if the file $p, which is regular and can be read, is as
// it should be, and to "differ" if it is not; a status other than 0 of its last command is "could not tell". Then the state says
// "text same", or "text differ" with the sum and the content.
func (e *Edit) Probe(judge string) string {
	return e.probeFile() + strings.TrimSuffix(judge, "\n") + " || exit 1\nif [ \"$r\" = differ ]; then\n" + ProbePrivate + "fi\nsay text \"$r\"\n[ \"$r\" != same ] || exit 0\n" + ProbeEdit()
}

// ProbeParts is Probe for an edit that only Plan can judge. parts is sh that says, in lines of the state, all of the file $p that Plan
// goes by; a status other than 0 of its last command is "could not tell". The content is for the edit, and travels while planning only.
func (e *Edit) ProbeParts(parts string) string {
	return e.probeFile() + strings.TrimSuffix(parts, "\n") + " || exit 1\n" + ProbeEdit()
}

// ProbeSecret is Probe for an edit that the host must not know. sums is sh that says the salted sums of what is there in place of
// the secrets. The sum of the content is salted too.
func (e *Edit) ProbeSecret(sums string) string {
	return e.probeFile() + sums + ProbeEditSalted()
}

// probeFile is sh that goes on for a regular file that can be read.
func (e *Edit) probeFile() string {
	missing := "\tneed file \"$p\"\n"
	switch {
	case e.Absent():
		missing = ""
	case e.Create:
		missing = ProbeParent + e.ProbeNames(false)
	}
	return ProbeType(e.Path) + "if [ \"$t\" = absent ]; then\n" + missing + "\texit 0\nfi\n[ \"$t\" = file ] || exit 0\n[ -r \"$p\" ] || fail \"$p: cannot be read\"\n"
}

// Same tells whether the judge of Probe found the file as it should be.
func (e *Edit) Same(obs steps.Observation) bool {
	text, _ := obs.Get("text")
	return text == "same"
}

// Plan returns the change that an observation asks for. same tells whether an existing file is as it should be: e.Same, or a
// function of the kind's own after ProbeParts and ProbeSecret. It goes by the lines of the state: after the operations there is no content.
// edit gets the content, "" for a file that is to be made, returns the new one, and
// adds what it changes to the diff.
func (e *Edit) Plan(obs steps.Observation, same func(steps.Observation) bool, edit func(change *steps.Change, before string) (steps.Text, error)) (steps.Change, error) {
	kind, _ := obs.Get("type")
	change := steps.Change{Action: steps.Update}
	before := ""
	switch {
	case kind == "absent" && e.Absent(), kind == "file" && same(obs):
		return steps.Change{Action: steps.NoOp}, nil
	case kind == "absent":
		change.Action = steps.Create
		// What a kind says in front of the file stays as it is.
		front, _, _ := strings.Cut("\n"+obs.State(), "\ntype ")
		if settled := (steps.Observation{Stdout: strings.TrimPrefix(front+"\ntype file\ntext same\n", "\n")}); same(settled) {
			change.Predict = []steps.Observation{settled}
		}
		if !e.Create {
			change.Action, change.Needs = steps.Unknown, obs.Needs()
			return change, nil
		}
	case kind == "file":
		text, err := Editable(obs)
		if err != nil {
			return steps.Change{}, err
		}
		before = text
	default:
		return steps.Change{}, NotA(e.Path, kind, "file")
	}
	after, err := edit(&change, before)
	if err != nil {
		return steps.Change{}, err
	}
	if kind == "file" && after.Reveal() == before {
		change.Diff = nil // an earlier step has made it so: see Foresee
	}
	if obs.Yes("private") {
		HideDiff(&change)
	}
	NoteMounted(&change, obs)
	put := steps.Put{Path: e.Path, Content: steps.Content{Text: after}, Validate: e.Check, Backup: e.Backup}
	if kind == "absent" {
		put.Owner, put.Group, put.Mode = e.Owner, e.Group, e.Mode
		e.Differences(&change, obs, "")
		change.AddNeeds(obs)
	}
	change.Ops = []steps.Op{put}
	return change, nil
}

// ProbePrivate is sh that says "private yes" if only its owner may read the file $p: a plan shows nothing of its text.
const ProbePrivate = `m=$(stat -c %a -- "$p") || exit 1
case $m in ?00 | ??00 | 0) say private yes ;; esac
`

// HideDiff makes what a change says of a text sensitive.
func HideDiff(c *steps.Change) {
	for i, a := range c.Diff {
		c.Diff[i] = steps.Attr{Name: a.Name, Sensitive: true, BeforeMissing: a.BeforeMissing, AfterMissing: a.AfterMissing}
	}
}

// ProbeEdit is sh that prints the sum of the file $p and sends it. A file that is not worth
// editing is "could not tell", whether planning or not.
func ProbeEdit() string { return probeEdit("sum_of") }

// ProbeEditSalted is ProbeEdit for a file whose text the state, which a journal on the disk keeps, must not tell of: its sum is salted.
func ProbeEditSalted() string { return probeEdit("salted_sum_of") }

// probeEdit takes the function of sh that computes the sum.
func probeEdit(sum string) string {
	return `size=$(wc -c <"$p") || exit 1
[ "$size" -le 262144 ] || fail "$p is larger than 256 KiB: it is not edited; use a step \"command\""
[ "$(tr -d '\000' <"$p" | wc -c)" -eq "$size" ] || fail "$p holds NUL bytes: it is not a text to edit"
` + sum + ` "$p" || exit 1
say sum "$SUM"
` + ProbeMounted + `detail content "$p"
`
}

// errNoContent is the error for a state that asks for an edit, without the content to edit: the
// state after the operations of such a step, if they did not do what they should.
var errNoContent = errors.New("the file is not as it should be, and its content was not sent; plan again to see what is left")

// Editable returns the content that ProbeEdit sent.
func Editable(obs steps.Observation) (string, error) {
	text, ok := obs.Detail("content")
	if !ok {
		return "", errNoContent
	}
	return text, nil
}
