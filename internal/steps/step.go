package steps

import (
	"strings"

	"github.com/zclconf/go-cty/cty"
)

// A Kind describes one kind of step.
type Kind struct {
	Name    string // the block label: step "directory" "logs" { … }
	Doc     string // the manual; its first line is the summary
	Example string // a playbook that shows the kind at work; a test applies it twice
	Outputs []Output
	Rules   []Rule  // what its arguments ask of each other
	Checks  []Check // what of a check block it carries out
	Block   Block   // where it stands

	// New returns a step that holds the defaults, and the arguments bound to it.
	New func() (Step, Args)
}

// A Block is the block of the language in which a kind stands.
type Block string

// The blocks.
const (
	StepBlock    Block = ""        // step "KIND" "NAME" { … }
	DataBlock    Block = "data"    // data "KIND" "NAME" { … }: it looks, and never has operations
	MessageBlock Block = "message" // message "NAME" { … }: it has neither a probe nor operations
)

// Title is how manuals and lists call the kind: "file", "data.path", "message".
func (k *Kind) Title() string {
	if k.Block == DataBlock {
		return string(k.Block) + "." + k.Name
	}
	return k.Name
}

// A Check is an argument of the check block that a kind carries out, such as check "web" { http = "https://…" }.
type Check struct {
	Name  string // of the argument in the block
	Value string // how it is written, for messages: "URL"
	Arg   string // the argument of the kind that gets the value
	Words bool   // the value is a list of words, of which the kind gets text for sh
}

// An Output is a value that later steps can use as step.KIND.NAME.OUTPUT. Every step also has
// the output "changed", a bool.
type Output struct {
	Name string
	Type cty.Type
	Doc  string
}

// A Step is one step of one host with every argument decoded. Its methods do no I/O.
type Step interface {
	// Validate reports what the arguments cannot tell one by one.
	Validate() []Problem

	// Probe returns read-only sh that prints the state as lines "KEY VALUE", or "" if there is
	// nothing to look at. The fragment runs in a subshell after shell.Prelude and FactsScript
	// (variables F_…), with the step's privileges. It prints only what Plan needs, in an order
	// that is always the same, since the program compares states as text. A status other than
	// 0 means "could not tell", with the reason on stderr; it never means absent.
	Probe() string

	// Plan returns what has to change for the observed state to become the wanted one. It is
	// called only for observations whose Exit is 0.
	Plan(*Facts, Observation) (Change, error)
}

// Salted tells whether the state that a probe prints may hold something of a secret. A probe has one way to say it: the SHA-256 over
// the run's salt, which is in $SALT, and the secret (function salted_sum_of of the prelude; Text.Sum gives the same).
func Salted(probe string) bool {
	return strings.Contains(probe, "salted_sum_of") || strings.Contains(probe, "SALT")
}

// A Problem is a mistake in the arguments of a step. Arg names the argument that it is about;
// if it is empty, the whole step is meant.
type Problem struct {
	Arg     string
	Summary string
	Detail  string // what to do about it
	Warning bool   // worth a word, but the step can be planned
}

// Optional powers of a Step.
type (
	// A Handler reacts to events of on_change = { EVENT = [...] }, such as a service that
	// restarts. Handle returns the operations for an event; change is what the step itself is
	// about to do, so that a service which is just being started is not restarted too.
	Handler interface {
		Events() []string
		Handle(f *Facts, event string, change Change) []Op
	}

	// A Batcher names the files whose attributes and SHA-256 sums its probe asks for (functions attributes and
	// sum_of), so that those of all steps are asked for at once. It only saves time.
	Batcher interface {
		Batch() (attributes, sums []string)
	}

	// A Bringer tells what its change leaves on the host for later steps that need it, and what it takes away. A step
	// without the method brings nothing. change is the planned one; where it is not known yet, its action is Unknown.
	Bringer interface {
		Brings(change Change) Supply
	}

	// A Requirer names what must be there when its turn comes, beside what its probe found missing, so that a plan is wrong in
	// which an earlier step takes it away.
	Requirer interface {
		Requires() []Thing
	}

	// An Asker names what it looks at beyond what it makes: an earlier step that changes one of these may change what the probe
	// could not tell.
	Asker interface {
		Asks(*Facts) []Thing
	}

	// A Toucher tells what its change may touch beside what it Brings, for data that look at the host: the files behind an account, what the
	// kernel says.
	Toucher interface {
		Touches(Observation) Supply
	}

	// A Finder names what its probe was led to by what the host said, such as the target of a link, beside what it Asks for.
	Finder interface {
		Found(Observation) []Thing
	}

	// An Outputter gives the values of the kind's outputs once the step is in its state.
	// Outputs left out are null.
	Outputter interface {
		Outputs(*Facts, Observation, Result) map[string]cty.Value
	}

	// A Chooser looks for no more than what the playbook refers to. Choose tells it before anything else is asked of it; without the call
	// it looks for all of its outputs.
	Chooser interface {
		Choose(wanted func(output string) bool)
	}

	// A Teller is the step of a message block: what it tells a person, nothing if that is empty, and whether in the plan or after the run.
	Teller interface {
		Tells() (text string, planning bool)
	}

	// A Settler lists states in which the step asks for nothing once its operations have succeeded. The program goes on from them by
	// itself; from a state that is neither here nor predicted it goes on once the client has judged it, which takes an exchange. It only
	// saves time: the engine asks Plan about each. A line "KEY #" (AnyNumber) stands for all with a number in its place, such as the one
	// that a host chooses for an account.
	Settler interface {
		Settled(*Facts) []Observation
	}

	// A Foreseer tells what its probe would print once an earlier step has given a file its content. The first of the states is what Plan
	// shows then, so it must be exact; the program takes along what is to be done in each. Without it, a step about a file that an earlier
	// one changes is known later, and planned anew when its turn comes.
	Foreseer interface {
		Foresee(content func(path string) (text string, known bool)) []Observation
	}

	// A Follower tells what its probe would print once an earlier step of its kind has made its change, of what several steps share that
	// no path names: packages, the jobs of a table. now is the state before; what the earlier one does not touch stays. Where nobody can
	// tell, known is false, and the step is known later.
	Follower interface {
		Follow(before Step, change Change, now Observation) (then Observation, known bool)
	}

	// A Patient says for how many seconds at most the step waits for what it looks at, so that no single look takes longer. 0: it does not say.
	Patient interface {
		Patience() int
	}

	// A Repeater says whether the operations may run again when nobody knows if they ran
	// already (the host died between begin and end). Steps without the method may.
	Repeater interface {
		Repeatable() bool
	}
)

// AnyNumber as the value of a line of a settled state is any number in decimal.
const AnyNumber = "#"

// An Observation is what a probe printed.
type Observation struct {
	Stdout, Stderr string
	Exit           int
}

// State returns the observed state: the output without the lines of detail (those that begin
// with "|"), which only serve the diff. Two equal states mean that the same operations apply.
func (o Observation) State() string {
	if !strings.Contains(o.Stdout, "|") {
		return strings.TrimRight(o.Stdout, "\n")
	}
	var kept []string
	for _, line := range strings.Split(o.Stdout, "\n") {
		if !strings.HasPrefix(line, "|") && line != "" {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

// Get returns the value of the first state line "KEY VALUE", and whether there is one.
func (o Observation) Get(key string) (string, bool) {
	for _, line := range strings.Split(o.State(), "\n") {
		if rest, ok := strings.CutPrefix(line, key); ok {
			if rest == "" {
				return "", true
			}
			if rest[0] == ' ' {
				return rest[1:], true
			}
		}
	}
	return "", false
}

// Yes tells whether the state holds the line "KEY yes".
func (o Observation) Yes(key string) bool {
	value, _ := o.Get(key)
	return value == "yes"
}

// All returns the values of all state lines "KEY VALUE", in order.
func (o Observation) All(key string) []string {
	var values []string
	for _, line := range strings.Split(o.State(), "\n") {
		if rest, ok := strings.CutPrefix(line, key+" "); ok {
			values = append(values, rest)
		}
	}
	return values
}

// Detail returns the content that the shell function detail sent under a name.
func (o Observation) Detail(name string) (string, bool) {
	_, rest, ok := strings.Cut("\n"+o.Stdout, "\n|"+name+"\n")
	if !ok {
		return "", false
	}
	body, _, ok := strings.Cut("\n"+rest, "\n|.")
	if !ok {
		return "", false
	}
	body = strings.TrimPrefix(body, "\n")
	// The function ends the content with a newline of its own: a text without a final newline
	// and one with it are still told apart by the empty line before the end mark.
	lines := strings.Split(body, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(line, "|:")
	}
	return strings.Join(lines, "\n"), true
}

// Observe is a convenience for predictions and tests: the observation whose state is the given
// lines.
func Observe(lines ...string) Observation {
	if len(lines) == 0 {
		return Observation{}
	}
	return Observation{Stdout: strings.Join(lines, "\n") + "\n"}
}

// An Action says what a change does to its subject.
type Action string

// The actions, in the order in which a summary lists them.
const (
	NoOp    Action = "no-op"
	Create  Action = "create"
	Update  Action = "update"
	Delete  Action = "delete"
	Execute Action = "run"
	Unknown Action = "unknown" // known only after an earlier step has run
)

// Never is the ChangedIf of operations that change nothing, whatever they print.
const Never = "false"

// Quiet tells of the operations that they never count as a change, even if they fail: whoever watches the step hears nothing of it.
func (c *Change) Quiet() bool { return c.ChangedIf == Never }

// A Change says what differs, and the operations that remove the difference.
type Change struct {
	Action  Action
	Reason  string   // one line for the person, such as "3.7.17 → 3.29.0"
	Diff    []Attr   // what differs
	Ops     []Op     // in order; the first that fails ends the step
	Dangers []string // what a person must not miss: "deletes user bob and its home"

	// Settles says of the action run that the state must ask for nothing once the operations have succeeded, as the other
	// actions imply: what a command creates must be there.
	Settles bool

	// ChangedIf is sh that runs after the operations with the output of the last Run in $stdout; a status other
	// than 0 means that nothing changed after all. "" means that the operations change something.
	ChangedIf string // Never: nobody need ask

	// Needs names what the step requires and what is not there now, such as a user or a unit. Each must be brought by an
	// earlier step of the plan that has something to do (Bringer); otherwise the plan is wrong, and says so.
	Needs []Thing

	// Left is what the change leaves on the host and only the state told, such as the files that come with a new home. A Bringer
	// adds it to what its arguments tell.
	Left Supply

	// Predict lists states that the step may find when its turn comes, because earlier steps
	// change what it looks at: a user that does not exist yet will exist then. The engine asks
	// Plan about each and takes the operations along, so that no round trip is needed. A state
	// that was not predicted is planned anew.
	Predict []Observation
}

// An Attr is an attribute that differs. Before and After of a sensitive one are empty. A value
// with a line break in it is shown as a unified diff.
type Attr struct {
	Name          string `json:"name"`
	Before        string `json:"before,omitempty"`
	After         string `json:"after,omitempty"`
	Sensitive     bool   `json:"sensitive,omitempty"`
	BeforeMissing bool   `json:"before_missing,omitempty"` // there was no value at all
	AfterMissing  bool   `json:"after_missing,omitempty"`  // there will be none
}

// An Op is one operation on the host: a Run, a Put or a Reboot.
type Op interface{ op() }

// A Run executes a script of sh: with the step's privileges, after shell.Prelude and
// FactsScript, in a subshell, without input unless Stdin is set. Only Env and Stdin may carry secrets:
// they travel apart from the program.
type Run struct {
	Script string
	Shown  string // what a failure shows in place of Script; "" shows that
	Env    []Variable
	Stdin  *Content
}

// A Put writes a regular file atomically: a temporary file in the directory of Path, owner and
// mode, Validate, then rename. An existing file's access list, extended attributes and SELinux
// label stay. A mount point is written in place. Parents must exist. See shell.Put.
type Put struct {
	Path         string // absolute, on the host
	Content      Content
	Owner, Group string // "" keeps those of an existing file, or takes the step's user
	Mode         string // octal; "" keeps that of an existing file, or 0644 (0600 for a secret)
	Validate     string // a command; %s in it is the temporary file. It fails: nothing is written
	Backup       bool   // keep the old content as PATH.~TIMESTAMP~
}

// A Reboot restarts the host and waits until it is back with a new boot id.
type Reboot struct{ Message string }

func (Run) op()    {}
func (Put) op()    {}
func (Reboot) op() {}

// A Result is what the operations of a step left behind.
type Result struct {
	Exit   int    // status of the last Run
	Stdout string // of the last Run, at most 64 KiB
	Stderr string // likewise
}

// An Instance is one step as it stands in a playbook, evaluated for one host.
type Instance struct {
	Addr  string // step.file.motd, step.file.conf["a"], module.python.step.package.deps
	Play  string // "" for the play that top-level steps form
	Kind  *Kind
	Step  Step     // nil while an argument is unknown
	Waits []string // what unknown arguments or conditions wait for: "fact", "step.user.app"
	Skip  bool     // its when is false, or it was left out

	LeftOut bool // Skip, because other tags were chosen

	// Unresolved is why there can be no Step on this host, once that is known.
	Unresolved error

	Source Source

	Become  bool
	RunAs   string // user name; "" is root if Become, the login user otherwise
	Tags    []string
	Timeout int // seconds; 0 is no limit
	Retries int
	Proceed bool // continue_on_error
	Once    bool // it runs on one host for all

	// OnChange maps an event to the addresses of the steps that raise it. The event "" makes
	// the step run only then; other events are those of a Handler.
	OnChange map[string][]string

	// Check marks a check block: it runs at the end, and changes nothing.
	Check bool
}

// Data tells of a data block: it only looks, and what it finds is for the steps after it.
func (in *Instance) Data() bool { return in.Kind != nil && in.Kind.Block == DataBlock }

// Message tells of a message block.
func (in *Instance) Message() bool { return in.Kind != nil && in.Kind.Block == MessageBlock }

// Aside tells that it stands beside the steps: it is data or a message.
func (in *Instance) Aside() bool { return in.Data() || in.Message() }

// Passive tells that it never has anything to do on a host.
func (in *Instance) Passive() bool { return in.Check || in.Aside() }

// A Source is the place of a step in a playbook.
type Source struct {
	File string // as the user wrote the path
	Line int    // from 1
	Text string // that line
}
