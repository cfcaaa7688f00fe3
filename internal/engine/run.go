// Package engine plans and applies playbooks on hosts.
//
// A host's conversation has three parts. Probing sends the facts and the probes of all steps as one script
// (session.go, host.go). Planning is a pure function from the answers to changes (plan.go). Applying sends the
// changes as one program (program.go, program.sh) that runs on the host detached and under a lock, keeps a journal, and
// is followed from wherever the client left off (attend.go, follow.go, follow.sh), and judged (watch.go). Everything that happens is an
// Event; nothing here prints.
package engine

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"provision/internal/event"
	"provision/internal/redact"
	"provision/internal/savedplan"
	"provision/internal/shell"
	"provision/internal/steps"
)

// A Run plans or applies a playbook on a number of hosts. Set the fields, then call Plan, Apply and Close,
// in this order and once each.
type Run struct {
	ID       string // names the run here and on the hosts; see NewID
	Owner    string // who runs it, for others who find the lock: "ann@laptop since 10:31"
	Command  string // CommandPlan, CommandApply or CommandTest
	Playbook string // as the user wrote the path
	Title    string // what a host knows the playbook by, wherever it is run from
	Version  string
	Sandbox  bool

	Selection *event.Selection // what the command chose, for the record
	Resumes   string           // id of the run that this one goes on with
	Inputs    func() string    // the same text as long as what the playbook was computed from so far is the same; nil: nobody knows

	Hosts    []Host
	Phases   []Phase // empty: one, of everything
	Dialer   Dialer
	Sink     event.Sink
	Secrets  *redact.Secrets // what no event may show; nil: nothing
	Parallel int             // hosts at a time; at least 1
	Salt     string          // for the hashes of secrets; see NewSalt

	// Stop, once closed, lets every host end its current step and no more. Ending the context ends them
	// at once.
	Stop <-chan struct{}

	// Reconnect is how long to try to reach a host again whose link was lost, from the last that was heard of it; 0: not at all.
	Reconnect time.Duration

	// LockWait is how long to wait for another run that holds the lock of a host; 0: not at all.
	LockWait time.Duration

	// Orphan tells of the owner of a lock whether it is a run that nobody follows any more, whose end is awaited in any case; nil: none is.
	Orphan func(owner string) bool

	// Rerun holds the addresses of steps that may run again although an earlier run began them and nobody
	// knows how they ended.
	Rerun map[string]bool

	// Approved is the saved plan that the run is held to; nil: what is planned is what is wanted.
	Approved *savedplan.Approval

	// Confirm asks whether a batch of a rollout may begin, where the rollout wants to be asked; nil: it may.
	Confirm func(context.Context, *event.BatchStart) bool

	// Next returns the command that goes on with the run once it has ended, "" if there is none; nil: there is none.
	Next func(*event.RunEnd) string

	mu          sync.Mutex // guards Sink and what follows
	failed      int        // hosts that have ended so
	unreachable int

	hosts []*hostRun
	lent  map[string]*loan // by address: the steps that run once for all hosts
	began time.Time

	planning bool    // in Plan, and not in Apply
	outputs  outputs // guarded by mu
}

// NewID returns the name of a run: its start in UTC and four random letters; sorts by time, safe as a file name.
func NewID(now time.Time) string {
	b := make([]byte, 2)
	_, _ = rand.Read(b)
	return now.UTC().Format("20060102-150405-") + hex.EncodeToString(b)
}

// NewSalt returns a fresh salt for the hashes of secrets, in hexadecimal.
func NewSalt() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

// A Summary is what a plan came to.
type Summary struct {
	Changes bool // a step has, or may have, something to do
	Failed  bool // on some host there is no plan, and why was told
}

// Plan connects to every host and plans it. Hosts that fail are told by events and take no part in Apply.
func (r *Run) Plan(ctx context.Context) Summary {
	r.began = time.Now()
	r.emit(&event.RunStart{
		Schema: event.Schema, Command: r.Command, Playbook: r.Playbook, Hosts: len(r.Hosts), Sandbox: r.Sandbox, Version: r.Version,
		Owner: r.Owner, Selection: r.Selection, Resumes: r.Resumes, Plan: r.Approved.Run(),
	})
	r.keepHosts()
	r.hosts = make([]*hostRun, len(r.Hosts))
	for i := range r.Hosts {
		r.hosts[i] = &hostRun{Host: r.Hosts[i], run: r, number: i + 1, counts: event.Counts{}}
	}
	r.planning = true
	r.skip()
	r.each(ctx, r.alive(), nil, func(h *hostRun) {
		if err := h.plan(ctx); err != nil {
			h.fail(ctx, err)
		} else if !h.sharing() {
			h.concludePlan(ctx)
		}
	})
	r.planShared(ctx)
	r.planning = false
	var s Summary
	for _, h := range r.hosts {
		s.Changes = s.Changes || h.outcome == "" && h.pending() > 0
		s.Failed = s.Failed || h.outcome != "" && h.outcome != event.HostSkipped
	}
	return s
}

// skip ends the hosts that no play takes, without a connection.
func (r *Run) skip() {
	taken := map[string]bool{}
	for i := range r.Phases {
		if r.Phases[i].Hosts == nil {
			return
		}
		for _, name := range r.Phases[i].Hosts {
			taken[name] = true
		}
	}
	for _, h := range r.hosts {
		if len(r.Phases) > 0 && !taken[h.Name] {
			h.end(event.HostSkipped, "no play takes it")
		}
	}
}

// concludePlan tells the plan of a host, or why there is none.
func (h *hostRun) concludePlan(ctx context.Context) {
	h.tellPlan(0)
	h.tellPlanned()
	// Held to a saved plan, a host with such a step is compared with it, and is stale.
	if err := h.mistakes(); err != nil && h.run.Approved == nil {
		h.fail(ctx, err)
		return
	}
	h.rest()
}

// A cutOffError is why a step that an earlier run began, and that nobody knows the end of, must not simply run again.
type cutOffError struct {
	addr string
	of   string // the title of the playbook of that run, if it is another
}

func (e *cutOffError) Error() string {
	message, hint := e.Hint()
	return message + "; " + hint
}

func (e *cutOffError) Hint() (message, hint string) {
	if e.of != "" {
		return "an earlier run of " + e.of + " began a step of this address and was cut off: nobody knows whether it ran, and it may not be safe to run twice",
			"look at the host; if that is another playbook, go on with it first; then run this one again with --rerun " + shell.Quote(e.addr)
	}
	return "an earlier run began it and was cut off: nobody knows whether it ran, and it may not be safe to run twice",
		"look at the host, then run again with --rerun " + shell.Quote(e.addr) + ", or give the step a condition such as creates or unless"
}

// cutOff finds such steps.
func (h *hostRun) cutOff(planned []Planned) {
	for i := range planned {
		p := &planned[i]
		if !p.Pending() || p.Step == nil || len(p.Waits) > 0 || h.run.Rerun[p.Addr] {
			continue
		}
		name := notification(&p.Instance, begunEvent)
		of, others := h.state.OthersBegun[name]
		if r, ok := p.Step.(steps.Repeater); !ok || r.Repeatable() {
			continue
		}
		switch {
		case h.state.Begun[name]:
			p.Err = &cutOffError{addr: p.Addr}
		case others:
			p.Err = &cutOffError{p.Addr, of}
		}
	}
}

// adopt takes over what runs of other playbooks owe to steps that the user wants to run again: this is one of them, at another place.
func (h *hostRun) adopt() {
	for i := range h.instances {
		if in := &h.instances[i]; h.run.Rerun[in.Addr] {
			for _, name := range h.owedElsewhere(in) {
				h.state.Pending[name] = true
			}
		}
	}
}

// owedElsewhere returns the names of the notifications that runs of other playbooks owe to a step of the same address.
func (h *hostRun) owedElsewhere(in *steps.Instance) []string {
	var names []string
	for _, event := range slices.Sorted(maps.Keys(in.OnChange)) {
		if name := notification(in, event); h.state.OthersPending[name] != "" {
			names = append(names, name)
		}
	}
	return names
}

// adopted returns the names under which runs of other playbooks owe something to a step, or began it.
func (h *hostRun) adopted(in *steps.Instance) []string {
	names := h.owedElsewhere(in)
	if name := notification(in, begunEvent); h.state.OthersBegun[name] != "" {
		names = append(names, name)
	}
	return names
}

// othersOwe warns of what runs of other playbooks owe to steps of the same addresses. It may be this playbook, at another place.
func (h *hostRun) othersOwe() {
	for i := range h.planned {
		in := &h.planned[i].Instance
		names := h.owedElsewhere(in)
		if len(names) == 0 || h.run.Rerun[in.Addr] {
			continue
		}
		of := h.state.OthersPending[names[0]]
		h.emit(&event.Warning{
			Addr:    in.Addr,
			Message: "an earlier run of " + of + " changed what its own step of this address watches, and did not come to it: it is still owed there, and not here",
			Hint:    "apply " + of + "; if it is this playbook, which was at another place then, run with --rerun " + shell.Quote(in.Addr),
		})
	}
}

// loginOwes warns of what a run of the login user without root owes, where this one is root: it does not pay that.
func (h *hostRun) loginOwes() {
	for i := range h.planned {
		in := &h.planned[i].Instance
		for _, raised := range slices.Sorted(maps.Keys(in.OnChange)) {
			if name := notification(in, raised); !h.state.LoginPending[name] || h.state.Pending[name] {
				continue
			}
			h.emit(&event.Warning{
				Addr:    in.Addr,
				Message: "an earlier run as " + h.User + ", without root, changed what this step watches, and did not come to it: it is still owed there, and this run is root and does not pay it",
				Hint:    "look whether the step has to run, and do it by hand; then remove ~" + h.User + "/.provision/pending",
			})
			break
		}
	}
}

// wasCutOff warns of the step at which the last program on the host was killed, unless the step itself cannot be planned for that.
func (h *hostRun) wasCutOff() {
	s := &h.state
	if s.Cut == "" {
		return
	}
	for i := range h.planned {
		var cut *cutOffError
		if p := &h.planned[i]; p.Addr == s.Cut && s.CutOf == "" && errors.As(p.Err, &cut) {
			return
		}
	}
	w := &event.Warning{
		Addr:    s.Cut,
		Message: "an earlier run (" + h.run.Secrets.Text(s.CutOwner) + ") was cut off while this step ran: it may be half done",
		Hint:    "look at what it changes; this run goes by what it finds there",
	}
	if s.CutOf != "" {
		w.Addr, w.Message = "", "an earlier run of "+s.CutOf+" ("+h.run.Secrets.Text(s.CutOwner)+") was cut off while its "+s.Cut+" ran: that step may be half done"
		w.Hint = "apply " + s.CutOf
	}
	h.emit(w)
}

// alive returns the hosts that have not ended.
func (r *Run) alive() []*hostRun {
	var list []*hostRun
	for _, h := range r.hosts {
		if h.outcome == "" {
			list = append(list, h)
		}
	}
	return list
}

// each runs a function for every host, Parallel at a time and in order, and waits for all. Hosts whose turn has not come
// when the run is stopped, or when a gate (nil: none) has a reason not to begin any more, are not reached.
func (r *Run) each(ctx context.Context, hosts []*hostRun, gate func() string, do func(*hostRun)) {
	slots := make(chan struct{}, max(r.Parallel, 1))
	var wg sync.WaitGroup
	for _, h := range hosts {
		stopped, why := false, ""
		select {
		case <-r.Stop:
			stopped = true
		case <-ctx.Done():
			stopped = true
		case slots <- struct{}{}:
		}
		if stopped || ctx.Err() != nil || r.stopping() {
			why = "the run was stopped"
		} else if gate != nil {
			why = gate()
		}
		if why != "" {
			h.end(event.HostNotReached, "its turn did not come: "+why)
			if !stopped {
				<-slots
			}
			continue
		}
		h.slots = slots
		wg.Go(func() {
			defer func() { <-slots }()
			h.active = time.Now()
			do(h)
			h.worked, h.active = h.workedFor(), time.Time{}
		})
	}
	wg.Wait()
}

// gentle returns a context that ends with the first interrupt.
func (r *Run) gentle(ctx context.Context) (context.Context, func()) {
	gentle, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-r.Stop:
			cancel()
		case <-gentle.Done():
		}
	}()
	return gentle, cancel
}

func (r *Run) stopping() bool {
	select {
	case <-r.Stop:
		return true
	default:
		return false
	}
}

// fail ends a host with the status that its error stands for.
func (h *hostRun) fail(ctx context.Context, err error) {
	var locked *LockedError
	var refused *BecomeError
	var orphaned *orphanedError
	var stale *savedplan.StaleError
	var told stepsError
	var running *runningError
	var shell *noShellError
	var given *lostError
	switch {
	case errors.As(err, &running):
		h.end(event.HostInterrupted, err.Error())
	case errors.As(err, &stale):
		h.end(event.HostStale, err.Error())
	case errors.As(err, &orphaned):
		h.end(event.HostNotReached, err.Error())
	case errors.As(err, &told) && told != errStepFailed:
		h.endBySteps(told.Error()) // an interrupt beside it changes nothing about it
	case errors.Is(err, context.Canceled), ctx.Err() != nil:
		h.end(event.HostInterrupted, h.interrupted())
	case errors.As(err, &locked):
		h.emit(&event.HostLocked{Owner: locked.Owner})
		h.end(event.HostIsLocked, err.Error())
	case errors.As(err, &told):
		h.endBySteps(err.Error())
	case errors.As(err, &refused):
		said := *refused
		said.Cause = h.run.Secrets.Text(said.Cause)
		err, refused = &said, &said
		h.end(event.HostFailed, err.Error())
	case errors.As(err, &shell) && !errors.As(err, &given):
		h.end(event.HostFailed, err.Error())
	case errors.Is(err, ErrUnreachable):
		unreachable := &event.HostUnreachable{Phase: "connect", Message: strings.TrimPrefix(err.Error(), ErrUnreachable.Error()+": ")}
		var detailed interface {
			Unreachable() (phase, message, hint string)
		}
		if errors.As(err, &detailed) {
			unreachable.Phase, unreachable.Message, unreachable.Hint = detailed.Unreachable()
		}
		if errors.As(err, &given) && errors.As(err, &detailed) {
			unreachable.Message += given.suffix()
		}
		h.emit(unreachable)
		h.end(event.HostUnreached, unreachable.Message)
	default:
		h.end(event.HostFailed, err.Error())
	}
}

// interrupted says what an interrupt has left of a host on which nothing runs.
func (h *hostRun) interrupted() string {
	switch {
	case h.run.planning:
		return "interrupted: nothing was changed there"
	case h.entered == 0:
		return "interrupted before the host was entered"
	}
	return "interrupted: the steps told above are done, nothing is running there"
}

func (h *hostRun) end(status event.HostStatus, message string) {
	h.conclude(&event.HostEnd{Status: status, Message: message})
}

// endBySteps ends a host on which steps or checks failed, which were told.
func (h *hostRun) endBySteps(message string) {
	h.conclude(&event.HostEnd{Status: event.HostFailed, Message: message, BySteps: true})
}

func (h *hostRun) conclude(e *event.HostEnd) {
	h.outcome = e.Status
	h.run.tally(e.Status)
	h.run.bereave(h)
	h.close()
	e.Counts, e.Duration, e.Planning = h.counts, event.Millis(h.workedFor()), h.run.planning && e.Status != event.HostSkipped
	h.emit(e)
}

// workedFor is how long the host has had its turns; waiting for them does not count.
func (h *hostRun) workedFor() time.Duration {
	if h.active.IsZero() {
		return h.worked
	}
	return h.worked + time.Since(h.active)
}

// tally counts towards the budget of failures. Who was interrupted or did not have a turn has not failed.
func (r *Run) tally(status event.HostStatus) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch status {
	case event.HostFailed, event.HostIsLocked, event.HostStale:
		r.failed++
	case event.HostUnreached:
		r.unreachable++
	}
}

// Close ends the connections, tells how every host and the run ended, and returns the exit status of the
// command: 0, 1 a host failed, 3 one could not be reached, 4 one is locked or stale, 130 interrupted.
func (r *Run) Close() int {
	totals := map[event.HostStatus]int{}
	for _, h := range r.hosts {
		if h.outcome == "" {
			h.end(event.HostOK, "")
		}
		totals[h.outcome]++
	}
	end := &event.RunEnd{Status: "ok", Totals: totals, Duration: event.Millis(time.Since(r.began))}
	switch {
	case totals[event.HostInterrupted] > 0, r.stopping() && (r.Command != event.CommandPlan || totals[event.HostNotReached] > 0):
		end.Status, end.Exit = "interrupted", 130
	case totals[event.HostFailed] > 0, totals[event.HostUnreached] > 0 && r.strict():
		end.Status, end.Exit = "failed", 1
	case totals[event.HostIsLocked] > 0:
		end.Status, end.Exit = "locked", 4
	case totals[event.HostStale] > 0:
		end.Status, end.Exit = "stale", 4
	case totals[event.HostUnreached] > 0:
		end.Status, end.Exit = "unreachable", 3
	case totals[event.HostNotReached] > 0:
		end.Status, end.Exit = "stopped", 1
	}
	if r.Next != nil {
		end.Next = r.Next(end)
	}
	r.emit(end)
	return end.Exit
}
