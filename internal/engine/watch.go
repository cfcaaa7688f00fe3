package engine

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/event"
	"provision/internal/steps"
)

const (
	outputLimit = 64 << 10 // bytes of each stream that are kept of a step, for its error and its outputs
	earlyLimit  = 1 << 20  // bytes of output that wait for their step to begin
)

// The host sends what a step printed before it sends the journal, so that no output is missing when a step
// ends; at the beginning of a step that is the wrong order, and output waits here for a moment.
type early struct {
	number, stream int
	text           []byte
}

// A watcher turns what a program does into events, judges whether each step reached its state, and
// gathers results.
type watcher struct {
	host  *hostRun
	total int
	begun int
	// current is the number of the step that began last.
	current int
	out     map[int]*[2][]byte // by step: stdout and stderr, the last outputLimit bytes
	early   []early            // output that came before the record that its step began
	end     ending
	stop    func() // asks the program to end after its current step
	answer  func(number int, verdict string) (taken func())
	taken   func() // to be called when the program has an answer that it asked for; nil if it has not asked

	open    int // number of the step that has begun and not ended
	failure bool
}

// placed is the address of a step with its place in the playbook.
func placed(p *Planned) string {
	return fmt.Sprintf("%s (%s:%d)", p.Addr, p.Source.File, p.Source.Line)
}

// fault tells which step the program could not begin, or could not tell the end of.
func (w *watcher) fault(f *faultError) error {
	if f.number == 0 && w.begun == 0 {
		return fmt.Errorf("nothing was changed: %w", f)
	}
	if f.number == 0 { // what is written between two steps, or after the last one
		p, err := w.step(w.current)
		if err != nil {
			return f
		}
		return fmt.Errorf("stopped after %s: %w", placed(p), f)
	}
	p, err := w.step(f.number)
	if err != nil {
		return f
	}
	if w.open != f.number {
		return fmt.Errorf("stopped before %s: %w", placed(p), f)
	}
	w.host.count(event.StepFailed)
	w.host.emit(&event.StepEnd{
		Addr: p.Addr, Kind: p.Kind.Name, Action: p.Change.Action, Source: eventSource(p.Source), Status: event.StepFailed,
		Error: &event.Failure{Message: "how it ended could not be kept: " + f.why, Hint: "make room there and run again"},
	})
	return fmt.Errorf("%w: %s: %w", errStepFailed, placed(p), f)
}

// died tells which step the program was at when it was killed. If it was at none, nothing is half done.
func (w *watcher) died() error {
	if w.open == 0 {
		if p, err := w.step(w.current); err == nil {
			return fmt.Errorf("%w; %s had ended, and no later step had begun", errProgramDied, placed(p))
		}
		return errProgramDied
	}
	p, err := w.step(w.open)
	if err != nil {
		return errProgramDied
	}
	// It may even have come to its end: nobody could note that any more.
	const why = "the program was killed, or the host restarted, while it ran: it may be half done"
	e := &event.StepEnd{
		Addr: p.Addr, Kind: p.Kind.Name, Action: p.Change.Action, Source: eventSource(p.Source), Status: event.StepInterrupted, Reason: why,
		Error: &event.Failure{Message: why, Hint: "find out what killed it (kernel log, memory), look at what the step changes, and run again"},
	}
	stdout, stderr := w.printed(w.open)
	e.Error.Output = strings.TrimRight(w.host.run.Secrets.Text(stdout)+w.host.run.Secrets.Text(stderr), "\n")
	if p.Check {
		w.host.check(p, e)
	} else {
		w.host.count(e.Status)
		w.host.emit(e)
	}
	return stepsError(fmt.Sprintf("%v; %s was running then, and may be half done", errProgramDied, placed(p)))
}

func (w *watcher) record(r record) error {
	switch r.kind {
	case "run":
		w.host.last, _, _ = strings.Cut(r.text, " ")
	case "between":
		w.host.emit(&event.Warning{
			Message: "another run had its turn on the host between two programs of this one: " + w.host.run.Secrets.Text(oneLine(r.text)),
			Hint:    "what it has changed is noticed where a step of this run looks at it",
		})
	case "begin":
		w.begun++
		p, err := w.step(r.number)
		if err != nil {
			return err
		}
		w.current, w.open, w.end.at = r.number, r.number, r.number-1
		w.host.emit(&event.StepStart{
			Addr: p.Addr, Kind: p.Kind.Name, Action: p.Change.Action, Source: eventSource(p.Source), Number: w.begun, Of: w.total,
		})
		w.release(r.number)
	case "ask":
		p, err := w.step(r.number)
		if err != nil {
			return err
		}
		verdict := "go"
		if p.Loan == nil && w.differs(p, steps.Observation{Stdout: r.state}, &event.StepEnd{}) {
			verdict = "stop"
		}
		w.taken = w.answer(r.number, verdict)
	case "end":
		if w.taken != nil {
			w.taken()
			w.taken = nil
		}
		p, err := w.step(r.number)
		if err != nil {
			return err
		}
		w.ended(p, r)
	case "done":
		w.end.verdict = verdict(r.verdict)
	}
	return nil
}

func (w *watcher) step(number int) (*Planned, error) {
	if number < 1 || number > len(w.host.planned) {
		return nil, fmt.Errorf("the journal on the host is damaged: there is no step %d", number)
	}
	return &w.host.planned[number-1], nil
}

func (w *watcher) output(number, stream int, text []byte) {
	p, err := w.step(number)
	if err != nil {
		return
	}
	if number > w.current {
		w.hold(number, stream, text)
		return
	}
	if w.out == nil {
		w.out = map[int]*[2][]byte{}
	}
	kept := w.out[number]
	if kept == nil {
		kept = &[2][]byte{}
		w.out[number] = kept
	}
	all := append(kept[stream-1], text...)
	if extra := len(all) - outputLimit; extra > 0 {
		all = slices.Clone(all[extra:])
	}
	kept[stream-1] = all
	name := event.StreamStdout
	if stream == 2 {
		name = event.StreamStderr
	}
	w.host.emit(&event.StepOutput{Addr: p.Addr, Stream: name, Text: string(text)})
}

func (w *watcher) hold(number, stream int, text []byte) {
	w.early = append(w.early, early{number: number, stream: stream, text: text})
	size := 0
	for i := len(w.early) - 1; i >= 0; i-- {
		if size += len(w.early[i].text); size > earlyLimit {
			w.early = slices.Clone(w.early[i+1:])
			return
		}
	}
}

func (w *watcher) release(number int) {
	held := w.early
	w.early = nil
	for _, e := range held {
		if e.number > number {
			w.early = append(w.early, e)
		} else {
			w.output(e.number, e.stream, e.text)
		}
	}
}

// ended judges a step.
func (w *watcher) ended(p *Planned, r record) {
	h := w.host
	stdout, stderr := w.printed(r.number)
	delete(w.out, r.number)
	e := &event.StepEnd{Addr: p.Addr, Kind: p.Kind.Name, Action: p.Change.Action, Source: eventSource(p.Source), Duration: event.Millis(r.took)}
	obs := steps.Observation{Stdout: r.state}
	switch r.verdict {
	case "reboot":
		e.Status, e.Reason = event.StepChanged, "the host restarts"
	case "changed", "unsettled":
		if e.Status = event.StepChanged; p.Loan == nil { // its state is that of another host
			w.converged(p, obs, e)
		}
	case "unchanged":
		e.Status = event.StepUnchanged
		w.converged(p, obs, e)
	case "skipped":
		e.Status, e.Reason = event.StepSkipped, "nothing that it watches changed"
	case "stale":
		e.Status, e.Reason = event.StepStale, "its state is not the one that was planned for; it is planned anew"
	case "interrupted":
		e.Status = event.StepInterrupted
	default:
		e.Status = event.StepFailed
		r.state = h.run.Secrets.Text(r.state) // what the host said of the failure
		e.Error = failure(p, r, h.run.Secrets.Text(stdout), h.run.Secrets.Text(stderr))
		if e.Error.Hint == "" {
			e.Error.Hint = h.hint(p, stderr)
		}
	}
	if _, gated := p.OnChange[""]; e.Status == event.StepChanged && p.Change.Action == steps.Execute && !gated && len(p.Events) == 0 {
		h.repeats = true
	}
	if r.lost {
		w.cutShort(p, e)
	}
	w.open = 0
	if p.Loan != nil {
		e.Status, e.Reason = event.StepSkipped, p.Change.Reason
		h.count(e.Status)
		h.emit(e)
		return
	}
	switch e.Status {
	case event.StepChanged, event.StepUnchanged, event.StepSkipped:
		result := steps.Result{Stdout: stdout, Stderr: stderr, Exit: r.status}
		h.results[p.Addr] = results(h.facts, p, obs, result, e.Status == event.StepChanged)
	case event.StepFailed, event.StepNotConverged:
		switch {
		case p.Proceed && !r.lost:
			h.results[p.Addr] = w.passed(p, r, obs, e.Status, steps.Result{Stdout: stdout, Stderr: stderr, Exit: r.status})
		case !p.Proceed && !p.Check && !w.failure:
			w.failure = true
			w.end.failed = placed(p)
		}
	}
	if p.Check {
		h.check(p, e)
		return
	}
	if p.Once {
		h.repay(p, e.Status)
	}
	if e.Status != event.StepStale {
		h.count(e.Status)
	}
	h.emit(e)
}

// passed are the outputs of a step that failed and may: what it printed and its exit status are known. Its state is known only if it
// came to its end.
func (w *watcher) passed(p *Planned, r record, obs steps.Observation, status event.StepStatus, result steps.Result) cty.Value {
	if status == event.StepFailed {
		obs = steps.Observation{}
	}
	switch r.verdict {
	case "blind":
		result = steps.Result{}
	case "unseen":
		result.Exit = 0 // the status in the record is that of the probe
	}
	return results(w.host.facts, p, obs, result, status == event.StepNotConverged)
}

// cutShort tells that a part of a step's output will never come: the host removed it, or had no room for it. What is computed from
// the output of the step must not be computed from a part of it.
func (w *watcher) cutShort(p *Planned, e *event.StepEnd) {
	const lost = "a part of its output was lost on the host or on the way"
	switch {
	case e.Error != nil:
		e.Error.Message += " (" + lost + ")"
	case (e.Status == event.StepChanged || e.Status == event.StepUnchanged) && w.host.awaited(p.Addr):
		e.Status = event.StepFailed
		e.Error = &event.Failure{Message: lost + ", and a later step needs it", Hint: "run again; the step itself has run"}
		w.stop()
	case e.Status != event.StepInterrupted:
		w.host.emit(&event.Warning{Addr: p.Addr, Message: lost})
	}
}

func (w *watcher) printed(number int) (stdout, stderr string) {
	if kept := w.out[number]; kept != nil {
		return string(kept[0]), string(kept[1])
	}
	return "", ""
}

// converged finds out whether the step is in its state now: the same function that planned the change must
// find nothing to change. What a step waits for or runs (action run) has proved itself by its status, unless it says that
// more is to be seen.
func (w *watcher) converged(p *Planned, obs steps.Observation, e *event.StepEnd) {
	if !w.differs(p, obs, e) {
		return
	}
	e.Status = event.StepNotConverged
	if !p.Proceed && !p.Check {
		w.stop()
	}
}

// differs tells whether the state after the operations is not the wanted one, and notes why.
func (w *watcher) differs(p *Planned, obs steps.Observation, e *event.StepEnd) bool {
	if p.Step.Probe() == "" {
		return false
	}
	change, err := p.Step.Plan(w.host.facts, obs)
	switch {
	case err != nil:
		e.Error = &event.Failure{Message: err.Error(), Hint: "look at the host: the step ran, and its state is not as wanted"}
	case len(change.Needs) > 0:
		e.Error = &event.Failure{Message: change.Needs[0].Lacking(), Hint: change.Needs[0].Fix()}
	case unsettles(&change):
		e.Diff = change.Diff
		e.Error = &event.Failure{
			Message: "its operations succeeded, and " + differing(change.Diff),
			Hint:    "something on the host undoes the change, or the wanted value is one that the host writes differently",
		}
		if change.Action == steps.Execute {
			e.Error.Message = "it succeeded, and what it is meant to bring about is not there"
			e.Error.Hint = "look at its creates and unless: is that what it makes?"
		}
	default:
		return false
	}
	return true
}

// differing says what still differs, by the names of at most three attributes.
func differing(diff []steps.Attr) string {
	var names []string
	for _, a := range diff {
		names = append(names, a.Name)
	}
	switch n := len(names); {
	case n == 0:
		return "it still differs"
	case n == 1:
		return names[0] + " still differs"
	case n > 3:
		return fmt.Sprintf("%s and %d more still differ", strings.Join(names[:2], ", "), n-2)
	default:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1] + " still differ"
	}
}

// failure describes a failed operation to its reader.
func failure(p *Planned, r record, stdout, stderr string) *event.Failure {
	e := &event.Failure{Exit: r.status, Output: strings.TrimRight(stdout+stderr, "\n"), Command: command(p)}
	switch r.verdict {
	case "timeout":
		e.Message = fmt.Sprintf("did not end within its timeout of %d s", p.Timeout)
		e.Hint = "raise timeout in the step, or find out why it hangs"
	case "undecided":
		e.Message, e.Command, e.Exit = fmt.Sprintf("it ran; its changed_if did not end within its timeout of %d s", p.Timeout), "", 0
		e.Hint = "raise timeout in the step, or find out why it hangs"
	case "blind":
		e.Message, e.Command, e.Exit = "nothing was done: its state could not be told", "", 0
	case "unseen":
		e.Message, e.Command, e.Exit = "it ran; its state could not be read afterwards", "", 0
		e.Hint = "look at the host, and run again once its state can be read: what is as wanted is left alone"
	default:
		e.Message = fmt.Sprintf("failed with status %d", r.status)
	}
	if why := "there is no user " + p.RunAs + " to run as"; r.status == statusNoUser && p.RunAs != "" && lastLines(stderr, 1) == why {
		e.Message, e.Hint = why, "correct run_as, or let an earlier step make the user"
		return e
	}
	if r.verdict == "blind" || r.verdict == "unseen" {
		why := reason(r.state)
		if why == "" {
			why = fmt.Sprintf("its probe ended with status %d", r.status)
		}
		e.Message += ": " + why
		return e
	}
	if r.verdict == "timeout" || r.verdict == "undecided" {
		return e
	}
	if r.status == 127 {
		e.Hint = "name a command that the host has, or install it in an earlier step"
	}
	if why := reason(retryLine.ReplaceAllString(stderr, "")); why != "" {
		e.Message += ": " + why
	} else if r.state != "" {
		e.Message += ": there is no room for its output: " + oneLine(r.state)
	}
	return e
}

// hint is what to do about a failure that gives no advice of its own.
func (h *hostRun) hint(p *Planned, stderr string) string {
	if p.RunAs == "" && (p.Become || h.facts.IsRoot) && strings.Contains(lastLines(stderr, 5), "Operation not permitted") {
		return "root is refused: lsattr -d tells whether the path or its directory has the attribute i or a, and chattr -ia takes it away; then run the same command again"
	}
	if h.repeats {
		return "fix the cause and run the same command again: what is as wanted is left alone, and commands without a condition (creates, unless, only_if) run again"
	}
	return "fix the cause and run the same command again: finished steps are skipped"
}

// retryLine is what the program itself writes between the attempts of a step.
var retryLine = regexp.MustCompile(`(?m)^.*; trying again in [0-9]+ s\n`)

// ofProgram is how a shell begins what it says itself: with the file and the line of the program that the client sent, which is gone
// when somebody reads this.
var ofProgram = regexp.MustCompile(`^(E: )?\S*/run-[^/\s]+/program(\[[0-9]+\])?: ((eval|exec|[a-z_]+\[[0-9]+\]|([a-z_]+: )?line [0-9]+|[0-9]+): )*`)

// marked is how a line begins that tells why its program failed, such as those of git and apt.
var marked = regexp.MustCompile(`^([a-z][a-z0-9_.+-]*: )?(fatal|FATAL|error|Error|ERROR|E): `)

// reason is the line of what a failed operation wrote to stderr that tells why: the last one, unless that goes on a line before it, or
// is advice after a line that is marked as an error.
func reason(stderr string) string {
	const near = 6
	lines := strings.Split(lastLines(stderr, near), "\n")
	for i, line := range lines {
		lines[i] = ofProgram.ReplaceAllString(line, "")
	}
	at := len(lines) - 1
	for at > 0 && strings.TrimLeft(lines[at], " \t") != lines[at] {
		at--
	}
	for i := at; i >= 0; i-- {
		if marked.MatchString(lines[i]) {
			at = i
			break
		}
	}
	return strings.TrimSpace(lines[at])
}

// withoutAdvice drops the advice to add an earlier step from what a step said whose state may be another one once an earlier step has run.
func withoutAdvice(why string) string {
	if at := strings.LastIndex(why, "; "); at > 0 && strings.HasSuffix(why, "before this one") {
		return why[:at]
	}
	return why
}

// command shows what a step ran: of several operations all, since nobody knows which of them failed.
func command(p *Planned) string {
	var shown []string
	runs := false
	for _, op := range p.Change.Ops {
		text := ""
		switch op := op.(type) {
		case steps.Run:
			runs = true
			if text = op.Shown; text == "" {
				text = strings.TrimSpace(op.Script)
			}
		case steps.Put:
			text = "write " + op.Path
		}
		if text != "" && !slices.Contains(shown, text) {
			shown = append(shown, text)
		}
	}
	if !runs {
		return ""
	}
	return strings.Join(shown, "\n")
}

// check tells the verdict of a check block.
func (h *hostRun) check(p *Planned, e *event.StepEnd) {
	ok := e.Status == event.StepChanged || e.Status == event.StepUnchanged
	c := &event.CheckEnd{Name: strings.TrimPrefix(p.Addr, "check."), OK: ok, Source: eventSource(p.Source), Duration: e.Duration}
	if e.Error != nil {
		c.Message = e.Error.Message
	}
	if !ok {
		h.checksFailed++
	}
	h.emit(c)
}
