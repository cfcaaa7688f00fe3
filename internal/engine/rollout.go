package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"provision/internal/event"
)

// keepOpen is how many connections a run keeps between planning and applying. Other hosts are connected to again when their turn
// comes: file descriptors are bounded, and no host sees a connection that idles for hours.
const keepOpen = 64

// A Phase is a part of a run that ends on all its hosts before the next begins.
type Phase struct {
	Plays   []string // whose steps run; nil: all
	Hosts   []string // in the order of their turns; nil: all
	Rollout *Rollout // nil: all hosts have their turn, and the failure of one stops no other
}

// A Rollout says how many hosts have their turn at a time, and what must go well before others do.
type Rollout struct {
	Batches          []int // sizes of the batches, the last repeated; empty: all hosts
	MaxFailures      int   // hosts of the whole fleet that may fail; with one more, no host begins
	UnreachableFails bool  // a host that cannot be reached counts as failed
	Pause            time.Duration
	Confirm          bool // ask before each batch but the first
}

// Sizes returns how many hosts are in each batch of a number of hosts.
func (r *Rollout) Sizes(hosts int) []int {
	var sizes []int
	for i := 0; hosts > 0; i++ {
		size := hosts
		if r != nil && len(r.Batches) > 0 {
			size = min(max(r.Batches[min(i, len(r.Batches)-1)], 1), hosts)
		}
		sizes = append(sizes, size)
		hosts -= size
	}
	return sizes
}

// split cuts hosts into batches.
func (r *Rollout) split(hosts []*hostRun) [][]*hostRun {
	var batches [][]*hostRun
	for _, size := range r.Sizes(len(hosts)) {
		batches = append(batches, hosts[:size])
		hosts = hosts[size:]
	}
	return batches
}

// toll counts the hosts that have failed, and those that could not be reached.
func (r *Run) toll() (failed, unreachable int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed, r.unreachable
}

// spent tells why no further host may begin, or "".
func (r *Run) spent(o *Rollout) string {
	if o == nil {
		return ""
	}
	failed, unreachable := r.toll()
	if !o.UnreachableFails {
		unreachable = 0
	}
	if failed+unreachable <= o.MaxFailures {
		return ""
	}
	var what []string
	if failed > 0 {
		what = append(what, counted(failed, "host failed", "hosts failed"))
	}
	if unreachable > 0 {
		what = append(what, counted(unreachable, "host could not be reached", "hosts could not be reached"))
	}
	return fmt.Sprintf("%s, and max_failures allows %d", strings.Join(what, " and "), o.MaxFailures)
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// Apply makes the changes of the plan, phase by phase and batch by batch.
func (r *Run) Apply(ctx context.Context) {
	phases := r.Phases
	if len(phases) == 0 {
		phases = []Phase{{}}
	}
	last := map[*hostRun]int{}
	for i := range phases {
		for _, h := range r.taking(&phases[i]) {
			last[h] = i
		}
	}
	for i := range phases {
		phase := &phases[i]
		why := r.phase(ctx, phase, func(h *hostRun) bool { return last[h] == i })
		if why == "" {
			continue
		}
		for _, h := range r.alive() {
			h.end(event.HostNotReached, "its turn did not come: "+why)
		}
		return
	}
}

// taking returns the hosts that are alive and take part in a phase, in the order of their turns.
func (r *Run) taking(p *Phase) []*hostRun {
	alive := r.alive()
	if p.Hosts == nil {
		return alive
	}
	byName := make(map[string]*hostRun, len(alive))
	for _, h := range alive {
		byName[h.Name] = h
	}
	var list []*hostRun
	for _, name := range p.Hosts {
		if h := byName[name]; h != nil {
			list = append(list, h)
		}
	}
	return list
}

// strict tells whether a rollout of the run counts a host that cannot be reached as failed.
func (r *Run) strict() bool {
	return slices.ContainsFunc(r.Phases, func(p Phase) bool { return p.Rollout != nil && p.Rollout.UnreachableFails })
}

// phase applies one phase, and tells why the run ends there, or "".
func (r *Run) phase(ctx context.Context, p *Phase, last func(*hostRun) bool) string {
	batches := p.Rollout.split(r.taking(p))
	for i, batch := range batches {
		start := &event.BatchStart{Plays: p.Plays, Number: i + 1, Of: len(batches)}
		for _, h := range batch {
			start.Hosts = append(start.Hosts, h.Name)
		}
		if why := r.before(ctx, p.Rollout, start); why != "" {
			return why
		}
		if p.Rollout != nil {
			r.emit(start)
		}
		r.each(ctx, batch, func() string { return r.spent(p.Rollout) }, func(h *hostRun) { h.turn(ctx, p, last(h)) })
		if p.Rollout != nil {
			if why := r.after(p.Rollout, start); why != "" {
				return why
			}
		}
	}
	return ""
}

// before waits and asks, as the rollout says, and tells why a batch must not begin, or "".
func (r *Run) before(ctx context.Context, o *Rollout, next *event.BatchStart) string {
	if o == nil {
		return ""
	}
	if why := r.spent(o); why != "" {
		return why
	}
	if next.Number > 1 && o.Pause > 0 {
		select {
		case <-time.After(o.Pause):
		case <-r.Stop:
		case <-ctx.Done():
		}
	}
	if ctx.Err() != nil || r.stopping() {
		return "the run was stopped"
	}
	if next.Number > 1 && o.Confirm && r.Confirm != nil && !r.Confirm(ctx, next) {
		return "the run was ended before batch " + fmt.Sprint(next.Number)
	}
	return ""
}

// after tells how a batch went, and why no other begins, or "".
func (r *Run) after(o *Rollout, batch *event.BatchStart) string {
	e := &event.BatchEnd{Number: batch.Number, Of: batch.Of, Status: event.BatchOK}
	e.Failed, e.Unreachable = r.toll()
	if e.Message = r.spent(o); e.Message != "" {
		e.Status = event.BatchStopped
	} else if batch.Number < batch.Of {
		e.Pause = event.Millis(o.Pause)
	}
	r.emit(e)
	return e.Message
}

// turn makes the changes of a phase on one host. With its last phase come the checks of the playbook, which decide
// together with the steps whether the host is well.
func (h *hostRun) turn(ctx context.Context, p *Phase, last bool) {
	wanted := func(step *Planned) bool {
		return step.Check && last || !step.Check && (p.Plays == nil || slices.Contains(p.Plays, step.Play))
	}
	err := h.apply(ctx, wanted)
	switch {
	case err != nil:
		h.fail(ctx, err)
	case !last:
		h.rest()
	case h.checksFailed > 0:
		h.endBySteps(counted(h.checksFailed, "of its checks failed", "of its checks failed"))
	default:
		h.end(event.HostOK, "")
	}
}

// rest closes the connection of a host that has to wait for its turn, if there are many.
func (h *hostRun) rest() {
	if len(h.run.hosts) > keepOpen || h.run.Command == event.CommandPlan {
		h.close()
	}
}
