package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"provision/internal/event"
	"provision/internal/steps"
)

// staleLimit is how often a run plans a host anew because the state of one step moved, before it gives up.
const staleLimit = 5

// A stepsError ends the work on a host because of steps whose failures have been told already.
type stepsError string

func (e stepsError) Error() string { return string(e) }

const errStepFailed stepsError = "a step failed"

// failed is why the work on the host ends with a program: always with a reason.
func (h *hostRun) failed(end ending) error {
	if end.failed == "" {
		return fmt.Errorf("the program on the host ended with %q and gave no reason; look at the journals in its state directory", end.verdict)
	}
	return fmt.Errorf("%w: %s", errStepFailed, end.failed)
}

// apply makes the planned changes of the plays that are wanted: the pending steps of the host as one program, and
// another one only where a step could not be known before an earlier one had run.
//
// The first interrupt is told to a program. All else that is said with the host only looks, and ends at once.
func (h *hostRun) apply(ctx context.Context, wanted func(*Planned) bool) error {
	err := h.applySteps(ctx, wanted)
	h.sayRest()
	return err
}

func (h *hostRun) applySteps(ctx context.Context, wanted func(*Planned) bool) error {
	gentle, cancel := h.run.gentle(ctx)
	defer cancel()
	// What an earlier phase has done stays as it is known.
	from, known := max(slices.IndexFunc(h.planned, func(p Planned) bool { return wanted(&p) }), 0), -1
	again := func() error {
		h.state.Lock = ""
		return h.replan(gentle, from)
	}
	err := h.unlocked(gentle, func() error {
		if err := h.verify(gentle); err != nil {
			return err
		}
		if owner := h.state.Lock; owner != "" && h.pending() > 0 {
			return &LockedError{Owner: owner}
		}
		return nil
	}, again)
	if err != nil {
		return err
	}
	for stale, staleAt := 0, -1; ; {
		segment := h.segment(from, wanted)
		if len(segment.entries) == 0 && segment.next >= len(h.planned) {
			h.passOver(segment, ending{verdict: doneOK})
			return nil
		}
		if len(segment.entries) == 0 {
			p := &h.planned[segment.next]
			if p.Loan != nil && !h.taken[p.Addr] {
				h.passOver(segment, ending{verdict: doneOK})
				from = segment.next
				if err := h.borrow(gentle, p); err != nil {
					return err
				}
				continue
			}
			if segment.next == known || !(p.Data() && len(p.Waits) == 0 || h.answered(p)) {
				return fmt.Errorf("%s waits for %s, which will not come", placed(p), strings.Join(p.Waits, ", "))
			}
			// What it waits for has run in an earlier phase.
			h.passOver(segment, ending{verdict: doneOK})
			from, known = segment.next, segment.next
			if err := h.replan(gentle, from); err != nil {
				return err
			}
			continue
		}
		end, err := h.execute(ctx, gentle, segment)
		var locked *LockedError
		if errors.As(err, &locked) {
			err := h.awaitLock(gentle, locked)
			if err == nil {
				err = again()
			}
			if err != nil {
				return err
			}
			continue
		}
		h.passOver(segment, end)
		if err != nil {
			return err
		}
		switch end.verdict {
		case doneOK:
			if from = segment.next; from >= len(h.planned) {
				return nil
			}
		case doneReboot:
			if err := h.awaitBoot(gentle); err != nil {
				return err
			}
			from = end.at + 1
			if from >= len(h.planned) {
				return nil
			}
		case doneUnjudged:
			// The link was away when the state of a step had to be judged.
			from = end.at + 1
		case doneMoved, doneStale:
			if end.verdict == doneStale {
				from = end.at
				if from > staleAt { // it has come further since
					stale, staleAt = 0, from
				}
			}
			if stale++; stale > staleLimit {
				return fmt.Errorf("%s: its state changes whenever it is looked at; is something else changing the host?", h.planned[from].Addr)
			}
		case doneStopped:
			if wish(h.wish.Load()) == wishNone && ctx.Err() == nil {
				return errProgramStopped
			}
			return context.Canceled
		default:
			return h.failed(end)
		}
		if err := h.replan(gentle, from); err != nil {
			return err
		}
	}
}

// answered tells whether everything that a step waits for is known by now.
func (h *hostRun) answered(p *Planned) bool {
	return len(p.Waits) > 0 && !slices.ContainsFunc(p.Waits, func(addr string) bool {
		_, ok := h.results[addr]
		return !ok
	})
}

// borrow waits for a step that another host runs, and plans anew what waits for its outputs or may have to run because of it.
func (h *hostRun) borrow(ctx context.Context, p *Planned) error {
	if err := h.await(ctx, p.Loan); err != nil {
		return err
	}
	h.taken[p.Addr] = true
	if !h.awaited(p.Addr) && p.Loan.changed == p.Loan.pending {
		h.results[p.Addr] = p.Loan.result
		return nil
	}
	return h.replan(ctx, slices.IndexFunc(h.planned, func(other Planned) bool { return other.Addr == p.Addr }))
}

// replan looks again at the steps from an index on and plans them anew.
func (h *hostRun) replan(ctx context.Context, from int) error {
	before := make(map[string]string)
	for i := from; i < len(h.planned); i++ {
		p := &h.planned[i]
		before[p.Addr] = p.shown()
	}
	h.invalidate(from)
	// What the steps that have run so far changed may be owed to one of the rest, which no plan of the rest alone can tell.
	state, err := h.askState(ctx)
	if err != nil {
		return err
	}
	h.state.Pending, h.state.OthersPending, h.boot = state.Pending, state.OthersPending, state.boot()
	if err := h.settle(ctx, from); err != nil {
		return err
	}
	for i := from; i < len(h.planned); i++ {
		p := &h.planned[i]
		if !p.Check && !(p.Message() && p.Err == nil) && before[p.Addr] != p.shown() {
			h.tellStep(p)
		}
	}
	if err := h.mistakes(); err != nil {
		return err
	}
	return h.approved(from)
}

// shown is what the plan shows of a step, to tell whether it has changed.
func (p *Planned) shown() string {
	return fmt.Sprintf("%v %v %v", p.Change.Action, p.Change.Diff, p.Err)
}

// A segment is a run of steps that can go into one program.
type segment struct {
	entries []entry
	idle    []int // indexes of the steps among them that have nothing to do
	next    int   // index of the first step that is not in it
}

// segment collects entries from an index on, up to a step whose arguments wait for one of them.
func (h *hostRun) segment(from int, wanted func(*Planned) bool) segment {
	var s segment
	owed := h.subscriptions()
	for s.next = from; s.next < len(h.planned); s.next++ {
		p := &h.planned[s.next]
		if !wanted(p) {
			continue
		}
		if p.Aside() {
			if p.Data() && p.Err == nil && p.Change.Action == steps.Unknown && h.awaited(p.Addr) {
				return s // it is looked at when all before it is done
			}
			s.idle = append(s.idle, s.next)
			continue
		}
		if p.Loan != nil {
			if !h.taken[p.Addr] {
				return s
			}
			if p.Loan.changed && len(owed[p.Addr]) > 0 {
				s.entries = append(s.entries, echo(s.next+1, p.Addr, owed[p.Addr]))
			} else {
				s.idle = append(s.idle, s.next)
			}
			continue
		}
		if len(p.Waits) > 0 || p.Step == nil {
			if !p.Skip && p.Unresolved == nil {
				return s
			}
			s.idle = append(s.idle, s.next)
			continue
		}
		// What keeps a check from being made may go away with a step before it, and with nothing else.
		hopeless := p.Check && p.Err != nil && len(s.entries) == 0
		if hopeless || !h.takesPart(p) && !(len(s.entries) > 0 && p.mayWake()) {
			s.idle = append(s.idle, s.next)
			continue
		}
		e := h.entry(s.next, owed[p.Addr])
		if h.run.Approved != nil && p.Change.Action == steps.NoOp {
			// The saved plan shows that it does nothing. Should its turn find it otherwise, that is compared with the plan first.
			e.cases = slices.DeleteFunc(e.cases, func(c stateCase) bool { return c.change.Action != steps.NoOp })
		}
		s.entries = append(s.entries, e)
		if n := len(s.entries[len(s.entries)-1].cases); n > 0 && reboots(s.entries[len(s.entries)-1].cases[0].change.Ops) {
			s.next++
			return s
		}
	}
	return s
}

// takesPart tells whether a step goes into the program.
func (h *hostRun) takesPart(p *Planned) bool {
	if p.Check {
		return !p.Skip && (p.Err != nil || p.Change.Action != steps.NoOp || h.pending() > 0)
	}
	return p.Pending()
}

// mayWake tells whether a step that has nothing to do now may have something to do once earlier steps have run, such as a
// service whose unit file one of them replaces, or one that watches such a step. The program looks at it again.
func (p *Planned) mayWake() bool {
	return p.Change.Action == steps.NoOp && !p.Skip && !p.Passive() && p.Step != nil && p.Err == nil && (len(p.Change.Predict) > 0 || p.alert || len(p.After) > 0)
}

// passOver tells of the steps of a segment that had nothing to do, as far as the program came.
func (h *hostRun) passOver(seg segment, end ending) {
	for _, i := range seg.idle {
		if end.verdict == doneOK || i < end.at || end.verdict == doneReboot {
			h.passedOver(&h.planned[i])
		}
	}
}

// passedOver tells of a step that has nothing to do, or of a check that has passed already.
func (h *hostRun) passedOver(p *Planned) {
	switch {
	case p.Message():
		h.say(p, false)
		return
	case p.Data():
		return
	}
	if p.Check {
		switch {
		case p.Err != nil:
			h.check(p, &event.StepEnd{Status: event.StepFailed, Error: planFailure(p.Err)})
		case !p.Skip:
			h.check(p, &event.StepEnd{Status: event.StepUnchanged})
		}
		return
	}
	status, action := event.StepUnchanged, p.Change.Action
	var failed *event.Failure
	if p.Err != nil {
		status, action, failed = event.StepFailed, steps.Unknown, planFailure(p.Err)
	} else if p.Skip {
		status = event.StepSkipped
	}
	if p.Loan != nil {
		status = event.StepSkipped
	} else if p.Once {
		h.repay(p, status)
	}
	h.count(status)
	h.emit(&event.StepEnd{
		Addr: p.Addr, Kind: p.Kind.Name, Action: action, Source: eventSource(p.Source), Status: status, Reason: p.Change.Reason, Error: failed,
	})
}

func (h *hostRun) count(s event.StepStatus) { h.counts[string(s)]++ }

// subscriptions returns, for each step, the notifications that others are owed once it changes something.
func (h *hostRun) subscriptions() map[string][]string {
	owed := map[string][]string{}
	for i := range h.planned {
		p := &h.planned[i]
		for event, sources := range p.OnChange {
			name := notification(&p.Instance, event)
			for _, addr := range sources {
				if !slices.Contains(owed[addr], name) {
					owed[addr] = append(owed[addr], name)
				}
			}
		}
	}
	return owed
}

func (h *hostRun) entry(i int, raises []string) entry {
	p := &h.planned[i]
	e := entry{
		number: i + 1, addr: p.Addr, runAs: h.runAs(&p.Instance), probe: p.Step.Probe(), cases: p.cases(h.facts),
		raises: raises, timeout: p.Timeout, limit: int(lookLimit(&p.Instance) / time.Second), retries: p.Retries, proceed: p.Proceed || p.Check,
	}
	e.settled, e.alike = p.settled(h.facts)
	slices.Sort(e.raises)
	if h.run.Rerun[p.Addr] {
		e.adopts = h.adopted(&p.Instance)
	}
	if r, ok := p.Step.(steps.Repeater); ok {
		if !r.Repeatable() {
			e.begun = notification(&p.Instance, begunEvent)
		}
	}
	if _, gated := p.OnChange[""]; gated {
		e.gate = notification(&p.Instance, "")
	}
	if handler, ok := p.Step.(steps.Handler); ok {
		for _, event := range handler.Events() {
			if _, watched := p.OnChange[event]; watched {
				e.events = append(e.events, eventCase{event: event, name: notification(&p.Instance, event)})
			}
		}
	}
	return e
}

// A verdict is the word of the record "done" that a program ends its journal with.
type verdict string

const (
	doneOK       verdict = "ok"
	doneFailed   verdict = "failed"   // a step did
	doneReboot   verdict = "reboot"   // the host is about to restart
	doneUnjudged verdict = "unjudged" // the link was away when the state of a step had to be judged
	doneStale    verdict = "stale"    // a state was met that nobody thought of
	doneMoved    verdict = "moved"    // the host has restarted since it was planned
	doneStopped  verdict = "stopped"
	doneUnstaged verdict = "unstaged" // its contents were gone before its first step
)

// An ending is how a program ended.
type ending struct {
	verdict verdict
	at      int    // index of the step that it was at last
	failed  string // the step that failed, with its place; "" if none did
}

// restageLimit is how often contents are staged for one program that are gone when it begins, over links that hold; with a link that
// is lost in between, what was staged over it may be swept rightly, and it is tried relinkLimit times.
const restageLimit, relinkLimit = 3, 20

// execute sends one program and follows it to its end.
func (h *hostRun) execute(ctx, gentle context.Context, seg segment) (end ending, err error) {
	for _, i := range seg.idle {
		// It is not looked at again in this program: nobody has to wait for its end.
		if p := &h.planned[i]; p.Once && p.Loan == nil {
			h.repay(p, event.StepUnchanged)
		}
	}
	for gone, tries := 0, 0; gone < restageLimit && tries < relinkLimit; tries++ {
		links := len(h.earlier)
		if end, err = h.send(ctx, gentle, seg); err != nil || end.verdict != doneUnstaged {
			return end, err
		}
		if links == len(h.earlier) {
			gone++
		}
	}
	return end, errors.New("what was staged for the program was removed again and again before it began; what removes files named .provision-stage on the host?")
}

// errNotSent means that an interrupt came before the program was sent.
var errNotSent = errors.New("the program was not sent")

// send stages what a program needs, launches it and follows it.
func (h *hostRun) send(ctx, gentle context.Context, seg segment) (ending, error) {
	h.programs++
	// Two names may be one machine.
	prog := &program{
		id: fmt.Sprintf("%s-%d-%d", h.run.ID, h.number, h.programs), owner: h.run.Owner, login: h.User, boot: h.boot, after: h.last, title: h.run.Title, salt: h.run.Salt, entries: seg.entries,
		packed: h.state.Unpacks,
	}
	text, files, err := prog.text()
	if err != nil {
		return ending{}, err
	}
	staging := &staging{files: files}
	if len(files) > 0 {
		dir, err := h.stage(gentle, staging)
		if err != nil {
			staging.remove(ctx, h.conn())
			return ending{}, err
		}
		prog.stage = dir
		if text, _, err = prog.text(); err != nil {
			staging.remove(ctx, h.conn())
			return ending{}, err
		}
	}
	w := &watcher{host: h, total: len(seg.entries)}
	err = errNotSent
	if gentle.Err() == nil {
		err = h.follow(ctx, prog, text, w)
	}
	if errors.Is(err, errNotSent) {
		staging.remove(ctx, h.conn())
		return ending{}, context.Canceled
	}
	if err != nil {
		var fault *faultError
		if errors.As(err, &fault) {
			return w.end, w.fault(fault)
		}
		if errors.Is(err, errProgramDied) {
			return w.end, w.died()
		}
		return w.end, err
	}
	if w.end.verdict == doneOK {
		w.end.at = seg.next // it came to its end, whatever became of single steps
	}
	if w.failure { // whatever the program did after it
		w.end.verdict = doneFailed
	}
	return w.end, nil
}

// stage stages contents, over as many links as that takes.
func (h *hostRun) stage(ctx context.Context, s *staging) (dir string, err error) {
	err = h.persist(ctx, func() error {
		owner, err := h.identify(ctx)
		if err == nil {
			dir, err = s.stage(ctx, h.conn(), owner)
		}
		return err
	})
	if err != nil {
		number := 0
		if _, serr := fmt.Sscanf(s.files[0].name, "%d.", &number); serr == nil && number >= 1 && number <= len(h.planned) {
			err = fmt.Errorf("the contents for %s: %w", placed(&h.planned[number-1]), err)
		}
	}
	return dir, err
}
