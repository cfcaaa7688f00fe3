package engine

import (
	"context"
	"strings"

	"provision/internal/event"
	"provision/internal/savedplan"
)

// OtherHosts tells, before any is connected to, which hosts are not those of the approved plan: new ones, those that are gone, and other
// machines under the same name.
func (r *Run) OtherHosts() []string {
	var now []savedplan.Host
	for _, h := range r.Hosts {
		now = append(now, savedplan.Host{Name: h.Name, Address: h.Address, User: h.User})
	}
	return r.Approved.OtherHosts(now)
}

// verify looks at a host again when its turn comes, which in a fleet may be long after its plan was compared with the saved one.
func (h *hostRun) verify(ctx context.Context) error {
	if h.run.Approved == nil {
		return nil
	}
	if h.verified || h.pending() == 0 {
		return h.mistakes()
	}
	err := h.look(ctx)
	switch {
	case err != nil:
		return err
	case h.state.Lock != "" && h.pending() > 0:
		return &LockedError{Owner: h.state.Lock}
	}
	h.verified = true
	if err := h.approved(0); err != nil {
		return err
	}
	h.tellMistakes()
	return h.mistakes()
}

// look asks for all states once more and plans the host anew.
func (h *hostRun) look(ctx context.Context) error {
	state, err := h.askState(ctx)
	if err != nil {
		return err
	}
	h.state, h.boot = state, state.boot()
	h.invalidate(0)
	return h.settle(ctx, 0)
}

// approved tells whether the plan from an index on is within what was approved with the saved plan. What an own earlier step has
// changed may lead to other operations, but to nothing graver. Where nothing was changed yet, the plan must be the same.
func (h *hostRun) approved(from int) error {
	if h.run.Approved == nil {
		return nil
	}
	own := len(h.taken)+h.counts[string(event.StepChanged)]+h.counts[string(event.StepFailed)]+h.counts[string(event.StepNotConverged)] > 0
	owed := h.subscriptions()
	var reasons []string
	for i := from; i < len(h.planned); i++ {
		p := &h.planned[i]
		if p.Check || p.Message() {
			continue
		}
		is := h.told(p)
		was, step := h.run.Approved.Step(h.Name, p.Addr)
		if was != nil { // more secrets may be known than when it was saved
			again := hiddenPlan(*was, h.run.Secrets)
			was = &again
		}
		same := func() bool { return *step == h.sealedStep(h.run.Approved.Sealer(), i, owed) }
		if why := savedplan.Excess(was, &is, own, same); why != "" {
			reasons = append(reasons, why)
		}
	}
	if len(reasons) > 0 {
		return &savedplan.StaleError{Reasons: reasons}
	}
	return nil
}

// Refuse ends the run because a saved plan is stale on some hosts: these with the reasons, the others untouched. Call it between
// Plan and Close, in place of Apply.
func (r *Run) Refuse(stale map[string][]string) {
	var names []string
	for _, h := range r.alive() {
		if reasons := stale[h.Name]; len(reasons) > 0 {
			names = append(names, h.Name)
			h.end(event.HostStale, (&savedplan.StaleError{Reasons: reasons}).Error())
		}
	}
	for _, h := range r.alive() {
		h.end(event.HostNotReached, "nothing was changed: the plan is stale on "+strings.Join(names, ", "))
	}
}
