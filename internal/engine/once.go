package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/event"
	"provision/internal/steps"
)

// A loan is a step that runs on one host for all: the first in the order of turns that has a plan and runs the step at all. The
// others wait for it where it stands in their order, and have its outputs. Since everyone waits for an earlier host only, nobody
// waits in a circle.
type loan struct {
	addr    string
	host    *hostRun  // who runs it
	pending bool      // it has something to do, or may have
	wakes   bool      // it has nothing to do now, and may wake
	early   cty.Value // its outputs if it is not pending

	done    chan struct{} // closed when the following are final
	settled bool          // done is closed; guarded by Run.mu
	ran     bool          // it came to its end; else its host failed or stopped before
	changed bool
	result  cty.Value
}

// sharing tells whether a host has steps that run once.
func (h *hostRun) sharing() bool {
	for i := range h.instances {
		if h.instances[i].Once && !h.instances[i].Skip {
			return true
		}
	}
	return false
}

// planShared decides who runs the steps that run once, and completes the plans that wait for that.
func (r *Run) planShared(ctx context.Context) {
	var sharing []*hostRun
	for _, h := range r.inTurn() {
		if h.sharing() {
			sharing = append(sharing, h)
		}
	}
	r.lent = map[string]*loan{}
	for _, h := range sharing {
		if h.mistakes() != nil {
			continue
		}
		h.borrowed = map[string]*loan{}
		for i := range h.planned {
			p := &h.planned[i]
			if !p.Once || p.Skip {
				continue
			}
			if l := r.lent[p.Addr]; l != nil {
				h.borrowed[p.Addr] = l
				continue
			}
			l := &loan{addr: p.Addr, host: h, pending: p.Pending(), wakes: p.mayWake() && h.pending() > 0, done: make(chan struct{})}
			if !l.pending {
				l.early = h.results[p.Addr]
			}
			r.lent[p.Addr] = l
		}
	}
	r.each(ctx, sharing, nil, func(h *hostRun) {
		for addr := range h.borrowed {
			delete(h.results, addr)
		}
		if len(h.borrowed) > 0 {
			if err := h.settle(ctx, 0); err != nil {
				h.fail(ctx, err)
				return
			}
		}
		h.concludePlan(ctx)
	})
}

// inTurn returns the hosts that are alive, each once, in the order in which they have their first turns.
func (r *Run) inTurn() []*hostRun {
	if len(r.Phases) == 0 {
		return r.alive()
	}
	var list []*hostRun
	seen := map[*hostRun]bool{}
	for i := range r.Phases {
		for _, h := range r.taking(&r.Phases[i]) {
			if !seen[h] {
				seen[h] = true
				list = append(list, h)
			}
		}
	}
	return list
}

// repay gives the outcome of a step that runs once to the hosts that wait for it.
func (h *hostRun) repay(p *Planned, status event.StepStatus) {
	l := h.run.lent[p.Addr]
	if l == nil || l.host != h {
		return
	}
	h.run.mu.Lock()
	defer h.run.mu.Unlock()
	switch {
	case l.settled:
		return
	case status == event.StepChanged, status == event.StepUnchanged, status == event.StepSkipped:
		l.ran, l.changed, l.result = true, status == event.StepChanged, h.results[p.Addr]
	case p.Proceed:
		l.ran, l.result = true, h.results[p.Addr]
		if l.result == cty.NilVal {
			l.result = results(h.facts, p, steps.Observation{}, steps.Result{}, false)
		}
	case status == event.StepStale:
		return // it is planned anew, and its turn comes again
	}
	l.settled = true
	close(l.done)
}

// bereave lets nobody wait for what a host that has ended did not run.
func (r *Run) bereave(h *hostRun) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.lent {
		if l.host == h && !l.settled {
			l.settled = true
			close(l.done)
		}
	}
}

// An orphanedError ends a host that waits for a step which its lender will not run.
type orphanedError struct{ loan *loan }

func (e *orphanedError) Error() string {
	return fmt.Sprintf("its turn did not come: %s runs once, on %s, and did not succeed there", e.loan.addr, e.loan.host.Name)
}

// await waits until a step that another host runs has run there. Meanwhile this host leaves its place to others.
func (h *hostRun) await(ctx context.Context, l *loan) error {
	select {
	case <-l.done:
	default:
		<-h.slots
		defer func() { h.slots <- struct{}{} }()
		select {
		case <-l.done:
		case <-h.run.Stop:
			return context.Canceled
		case <-ctx.Done():
			return context.Canceled
		}
	}
	if !l.ran {
		return &orphanedError{l}
	}
	return nil
}

// changes tells whether what watches the step has something to do.
func (l *loan) changes() bool {
	select {
	case <-l.done:
		return l.changed
	default:
		return l.pending
	}
}

// coming tells whether the step may still change something on the host that runs it.
func (l *loan) coming() bool {
	select {
	case <-l.done:
		return false
	default:
		return l.pending || l.wakes
	}
}

// echo is the entry of a step that changed something elsewhere: here it does nothing, and raises what a change raises.
func echo(number int, addr string, raises []string) entry {
	slices.Sort(raises)
	return entry{number: number, addr: addr, raises: raises, cases: []stateCase{{change: steps.Change{Ops: []steps.Op{steps.Run{Script: ":"}}}}}}
}
