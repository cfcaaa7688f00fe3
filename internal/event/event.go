// Package event has what is told of a run: the events that the engine emits, that renderers and the record of runs receive, and that
// --events writes as lines of JSON.
package event

import (
	"encoding/json"
	"time"

	"provision/internal/steps"
)

// Schema is the version of the event stream, carried by its first event. It grows when a
// field changes its meaning or goes away; new fields and new types leave it as it is.
const Schema = 1

// A Type names what happened. Each type but HostConnecting carries one payload: the field
// of Event that has its name.
type Type string

// The types, in the order in which a run brings them. The steps of a host come in the order of
// its plan; the events of several hosts interleave.
const (
	TypeRunStart        Type = "run_start"        // first of the stream
	TypeHostConnecting  Type = "host_connecting"  // no payload
	TypeHostConnected   Type = "host_connected"   // logged in, facts known
	TypeHostUnreachable Type = "host_unreachable" // never logged in; host_end follows
	TypeHostRetry       Type = "host_retry"       // the link dropped; the program on the host goes on
	TypeHostLocked      Type = "host_locked"      // another run holds the host's lock
	TypePlanStep        Type = "plan_step"        // what one step would change, no-ops too
	TypeMessage         Type = "message"          // what a message block tells
	TypeHostPlanned     Type = "host_planned"     // after the host's last plan_step
	TypeBatchStart      Type = "batch_start"      // a batch of a rollout begins
	TypeBatchEnd        Type = "batch_end"        // its hosts have ended their part, or it stays away
	TypeStepStart       Type = "step_start"       // its operations begin
	TypeStepOutput      Type = "step_output"      // a chunk of what it prints
	TypeStepEnd         Type = "step_end"         // its verdict
	TypeCheckEnd        Type = "check_end"        // the verdict of a check block
	TypeHostEnd         Type = "host_end"         // exactly one for each host of the run
	TypeWarning         Type = "warning"          // Host is "" if it is about the whole run
	TypeRunEnd          Type = "run_end"          // last of the stream
)

// An Event is one thing that happened in a run. As JSON it is one line; the schema is in
// docs/events.md. No field ever holds a secret: sensitive attributes are empty, and values,
// messages and output went through the redactor of the run. Everything that a host sent (output, names, facts) is
// hostile: a terminal gets it only through ui.Clean.
type Event struct {
	Type Type      `json:"type"`
	Time time.Time `json:"time"`           // of the machine that runs provision
	Run  string    `json:"run,omitempty"`  // the run's id, a safe file name
	Host string    `json:"host,omitempty"` // name in the inventory; "" for the whole run

	RunStart        *RunStart        `json:"run_start,omitempty"`
	HostConnected   *HostConnected   `json:"host_connected,omitempty"`
	HostUnreachable *HostUnreachable `json:"host_unreachable,omitempty"`
	HostRetry       *HostRetry       `json:"host_retry,omitempty"`
	HostLocked      *HostLocked      `json:"host_locked,omitempty"`
	PlanStep        *PlanStep        `json:"plan_step,omitempty"`
	Message         *Message         `json:"message,omitempty"`
	HostPlanned     *HostPlanned     `json:"host_planned,omitempty"`
	BatchStart      *BatchStart      `json:"batch_start,omitempty"`
	BatchEnd        *BatchEnd        `json:"batch_end,omitempty"`
	StepStart       *StepStart       `json:"step_start,omitempty"`
	StepOutput      *StepOutput      `json:"step_output,omitempty"`
	StepEnd         *StepEnd         `json:"step_end,omitempty"`
	CheckEnd        *CheckEnd        `json:"check_end,omitempty"`
	HostEnd         *HostEnd         `json:"host_end,omitempty"`
	Warning         *Warning         `json:"warning,omitempty"`
	RunEnd          *RunEnd          `json:"run_end,omitempty"`
}

// Millis is a duration that JSON carries as a whole number of milliseconds.
type Millis time.Duration

// MarshalJSON implements json.Marshaler.
func (m Millis) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Duration(m).Milliseconds())
}

// UnmarshalJSON implements json.Unmarshaler.
func (m *Millis) UnmarshalJSON(data []byte) error {
	var ms int64
	if err := json.Unmarshal(data, &ms); err != nil {
		return err
	}
	*m = Millis(time.Duration(ms) * time.Millisecond)
	return nil
}

// The commands that leave an event stream.
const (
	CommandPlan  = "plan"
	CommandApply = "apply"
	CommandTest  = "test"
	CommandRun   = "run"
)

// A RunStart opens the stream.
type RunStart struct {
	Schema   int    `json:"schema"`             // the constant Schema
	Command  string `json:"command"`            // plan, apply, test or run
	Playbook string `json:"playbook,omitempty"` // path as the user wrote it
	Hosts    int    `json:"hosts"`              // how many were selected
	Sandbox  bool   `json:"sandbox,omitempty"`  // one throw-away host instead of the inventory
	Version  string `json:"version,omitempty"`  // of provision

	Argv      []string   `json:"argv,omitempty"`  // of run: the command and its arguments
	Owner     string     `json:"owner,omitempty"` // who runs it, where and since when
	Selection *Selection `json:"selection,omitempty"`
	Resumes   string     `json:"resumes,omitempty"` // the run that it goes on with
	Plan      string     `json:"plan,omitempty"`    // the run that made the saved plan which is applied
	Merges    []string   `json:"merges,omitempty"`  // the runs whose records were made one
}

// A Selection is what the flags of a command chose: what it takes to give it again.
type Selection struct {
	Limit    []string          `json:"limit,omitempty"`
	Shard    string            `json:"shard,omitempty"` // I/N
	Tags     []string          `json:"tags,omitempty"`
	SkipTags []string          `json:"skip_tags,omitempty"`
	VarFiles []string          `json:"var_files,omitempty"` // as the user wrote the paths
	Vars     map[string]string `json:"vars,omitempty"`      // without the sensitive ones
	Secret   []string          `json:"secret,omitempty"`    // names of the sensitive ones that were set
	Environ  []string          `json:"environ,omitempty"`   // names of those in Vars that came from the environment

	Names     []string `json:"names,omitempty"`     // of the hosts that this came to
	Directory string   `json:"directory,omitempty"` // absolute; relative paths begin there
	Digest    string   `json:"digest,omitempty"`    // of the playbook's files, to tell whether they changed
}

// A HostConnected tells where the run has logged in.
type HostConnected struct {
	Address string `json:"address,omitempty"` // host:port as dialled
	User    string `json:"user,omitempty"`    // login user, before become
	OS      string `json:"os,omitempty"`      // fact.os.name and version, as the host tells it
}

// A HostUnreachable says why nobody could log in.
type HostUnreachable struct {
	Phase   string `json:"phase"`          // resolve, connect, host_key, auth, shell or become
	Message string `json:"message"`        // one line
	Hint    string `json:"hint,omitempty"` // what to do
}

// A HostRetry is one attempt to come back to a host.
type HostRetry struct {
	Attempt int    `json:"attempt"`  // from 1
	Delay   Millis `json:"delay_ms"` // until it is made
	Why     string `json:"why"`      // connection lost, reboot
}

// A HostLocked names who holds the lock.
type HostLocked struct {
	Owner  string `json:"owner"`              // who, since when, and which run, in one line
	Waits  bool   `json:"waits,omitempty"`    // this run waits until the other has ended
	Limit  Millis `json:"limit_ms,omitempty"` // at most so long
	Orphan bool   `json:"orphan,omitempty"`   // the other is an earlier run of the same playbook whose client is gone
}

// A PlanStep is what the plan of one step came to.
type PlanStep struct {
	Addr    string       `json:"addr"` // step.file.motd; check.site for a check block
	Kind    string       `json:"kind"`
	Source  Source       `json:"source"`
	Path    string       `json:"path,omitempty"` // on the host, that a step with something to do is about, where nothing else here tells it
	Action  steps.Action `json:"action"`         // no-op, create, update, delete, run or unknown
	Reason  string       `json:"reason,omitempty"`
	Skipped bool         `json:"skipped,omitempty"` // its when is false; the action is no-op
	Diff    []steps.Attr `json:"diff,omitempty"`    // in the order of the kind's own choice
	After   []string     `json:"after,omitempty"`   // what an unknown waits for: step addresses, "fact"; of a no-op, the step after which it is looked at again
	Dangers []string     `json:"dangers,omitempty"` // what a person must not miss
	Events  []string     `json:"events,omitempty"`  // what else happens to it: restart, reload
	Error   *Failure     `json:"error,omitempty"`   // why it cannot be planned; the action is unknown then, and there is no diff
	Data    bool         `json:"data,omitempty"`    // it is a data block: it looks, and changes nothing; the action is no-op or unknown
}

// ReasonLeftOut is why nothing is planned for a step whose tags were not chosen.
const ReasonLeftOut = "left out: other tags were chosen"

// A Message is what a message block tells a person.
type Message struct {
	Addr   string `json:"addr"` // message.NAME
	Source Source `json:"source"`
	Text   string `json:"text"`
	At     string `json:"at"` // AtPlan or AtApply
}

// When a message is told: in the plan, or after the run.
const (
	AtPlan  = "plan"
	AtApply = "apply"
)

// A Source is the place of a step in a playbook, as in steps.Source.
type Source struct {
	File string `json:"file,omitempty"` // as the user wrote the path
	Line int    `json:"line,omitempty"` // from 1
	Text string `json:"text,omitempty"` // that line
}

// Counts holds how many steps there are for each action (in plans) or status (in applies).
type Counts map[string]int

// CountError counts the steps of a plan that cannot be planned.
const CountError = "error"

// A HostPlanned closes the plan of a host.
type HostPlanned struct {
	Counts    Counts `json:"counts"`      // by action, and CountError
	Exchanges int    `json:"exchanges"`   // scripts sent, facts among them
	Duration  Millis `json:"duration_ms"` // connecting included
}

// A BatchStart says which hosts have their turn. Batches are told of only where a rollout block makes some.
type BatchStart struct {
	Plays  []string `json:"plays,omitempty"` // whose steps run; "" is the play of steps outside of plays
	Number int      `json:"number"`          // from 1
	Of     int      `json:"of"`
	Hosts  []string `json:"hosts"`
}

// The statuses of a BatchEnd.
const (
	BatchOK      = "ok"      // the next batch may begin
	BatchStopped = "stopped" // none begins after it
)

// A BatchEnd says how a batch went.
type BatchEnd struct {
	Number      int    `json:"number"`
	Of          int    `json:"of"`
	Status      string `json:"status"`           // BatchOK or BatchStopped
	Failed      int    `json:"failed,omitempty"` // hosts of the whole fleet so far, as is the next
	Unreachable int    `json:"unreachable,omitempty"`
	Message     string `json:"message,omitempty"`  // why it stops here
	Pause       Millis `json:"pause_ms,omitempty"` // until the next one
}

// A StepStart says that the operations of a step begin on the host.
type StepStart struct {
	Addr   string       `json:"addr"`
	Kind   string       `json:"kind,omitempty"`
	Action steps.Action `json:"action,omitempty"`
	Source Source       `json:"source"`
	Number int          `json:"number,omitempty"` // of the host's pending steps, from 1
	Of     int          `json:"of,omitempty"`     // how many pending steps the host has
}

// The streams of a StepOutput.
const (
	StreamStdout = "stdout"
	StreamStderr = "stderr"
)

// A StepOutput is a chunk of what a step printed: bytes as they came, cut anywhere.
type StepOutput struct {
	Addr   string `json:"addr"`
	Stream string `json:"stream"` // stdout or stderr
	Text   string `json:"text"`   // invalid UTF-8 becomes U+FFFD in JSON
}

// A StepStatus is the verdict on a step.
type StepStatus string

// The verdicts.
const (
	StepChanged      StepStatus = "changed"
	StepUnchanged    StepStatus = "unchanged"     // it was as wanted when its turn came
	StepFailed       StepStatus = "failed"        // an operation failed, or could not tell
	StepSkipped      StepStatus = "skipped"       // its when is false, or the run stopped before it
	StepStale        StepStatus = "stale"         // the host changed since the plan was made
	StepNotConverged StepStatus = "not_converged" // the operations ran, and it still differs
	StepInterrupted  StepStatus = "interrupted"
)

// A StepEnd is how a step ended.
type StepEnd struct {
	Addr     string       `json:"addr"`
	Kind     string       `json:"kind,omitempty"`
	Action   steps.Action `json:"action,omitempty"` // what was planned
	Source   Source       `json:"source"`
	Status   StepStatus   `json:"status"`
	Reason   string       `json:"reason,omitempty"` // one line, such as why it was skipped
	Duration Millis       `json:"duration_ms"`      // on the host
	Error    *Failure     `json:"error,omitempty"`  // of failed, stale, not_converged
	Diff     []steps.Attr `json:"diff,omitempty"`   // what still differs, of not_converged
}

// A Failure is what went wrong in a step.
type Failure struct {
	Message string `json:"message"`           // one line
	Command string `json:"command,omitempty"` // what ran, without secrets
	Exit    int    `json:"exit"`              // its status; 0 if it is not a command that failed
	Output  string `json:"output,omitempty"`  // the end of stdout and stderr, at most 64 KiB
	Hint    string `json:"hint,omitempty"`    // what to do next
}

// A CheckEnd is the verdict of a check block.
type CheckEnd struct {
	Name     string `json:"name"`
	OK       bool   `json:"ok"`
	Message  string `json:"message,omitempty"`
	Source   Source `json:"source"`
	Duration Millis `json:"duration_ms"`
}

// A HostStatus is how a run ended for a host.
type HostStatus string

// The host statuses.
const (
	HostOK          HostStatus = "ok"
	HostFailed      HostStatus = "failed"
	HostUnreached   HostStatus = "unreachable"
	HostInterrupted HostStatus = "interrupted"
	HostNotReached  HostStatus = "not_reached" // its turn never came: the budget was spent, or Ctrl-C
	HostSkipped     HostStatus = "skipped"     // no play takes it
	HostIsLocked    HostStatus = "locked"
	HostStale       HostStatus = "stale" // a saved plan that no longer fits
)

// A HostEnd closes a host.
type HostEnd struct {
	Status   HostStatus `json:"status"`
	Counts   Counts     `json:"counts,omitempty"`   // by step status, or by action in a plan
	Duration Millis     `json:"duration_ms"`        // of its turns, without the waiting for them
	Message  string     `json:"message,omitempty"`  // why it is not ok, in one line
	BySteps  bool       `json:"by_steps,omitempty"` // its steps or checks say why: the message adds nothing
	Planning bool       `json:"planning,omitempty"` // it ended while it was planned: apply leaves it as it is
}

// A Warning is something that a person should know and that stops nothing.
type Warning struct {
	Message string `json:"message"`
	Addr    string `json:"addr,omitempty"` // the step that it is about
	Hint    string `json:"hint,omitempty"`
}

// A RunEnd closes the stream.
type RunEnd struct {
	Status   string             `json:"status"` // ok, failed, unreachable, stale, locked, interrupted or stopped
	Exit     int                `json:"exit"`   // exit status of the command
	Totals   map[HostStatus]int `json:"totals,omitempty"`
	Duration Millis             `json:"duration_ms"`
	Next     string             `json:"next,omitempty"` // the command that goes on, if there is one
}

// A Sink receives the events of a run. Event is called by one goroutine at a time, in order,
// and must not block for long: the hosts wait. It must not change what the event points to.
type Sink interface{ Event(Event) }

// Tee returns a Sink that gives every event to each of the sinks, in order; nil ones are left
// out.
func Tee(sinks ...Sink) Sink {
	var kept tee
	for _, s := range sinks {
		if s != nil {
			kept = append(kept, s)
		}
	}
	return kept
}

type tee []Sink

func (t tee) Event(e Event) {
	for _, s := range t {
		s.Event(e)
	}
}
