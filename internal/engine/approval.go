package engine

import (
	"context"
	"slices"

	"provision/internal/steps"
)

// An Approval is a saved plan that a run is held to.
type Approval struct {
	plan   *SavedPlan
	sealer *Sealer
	hosts  map[string]map[string]*SavedStep // by name and address
}

// NewApproval returns the approval that a saved plan is. The sealer has the salt of the plan, as the run must have.
func NewApproval(plan *SavedPlan, s *Sealer) *Approval {
	a := &Approval{plan: plan, sealer: s, hosts: map[string]map[string]*SavedStep{}}
	for i := range plan.Hosts {
		h := &plan.Hosts[i]
		byAddr := map[string]*SavedStep{}
		for j := range h.Steps {
			byAddr[plan.Shown[h.Steps[j].Shown].Addr] = &h.Steps[j]
		}
		a.hosts[h.Name] = byAddr
	}
	return a
}

// run is the run that made the plan; "" if there is none.
func (a *Approval) run() string {
	if a == nil {
		return ""
	}
	return a.plan.Run
}

// step returns what was approved for a step, nil if nothing was. The hashes come as they are computed, without a place in a table.
func (a *Approval) step(host, addr string) (*PlanStep, *SavedStep) {
	s := a.hosts[host][addr]
	if s == nil {
		return nil, nil
	}
	return &a.plan.Shown[s.Shown], &SavedStep{Probe: s.Probe, State: s.State, Change: s.Change}
}

// verify looks at a host again when its turn comes, which in a fleet may be long after its plan was compared with the saved one.
func (h *hostRun) verify(ctx context.Context) error {
	if h.run.Approved == nil || h.verified || h.pending() == 0 {
		return nil
	}
	err := h.look(ctx)
	switch {
	case err != nil:
		return err
	case h.state.Lock != "" && h.pending() > 0:
		return &LockedError{Owner: h.state.Lock}
	}
	h.verified = true
	return h.approved(0)
}

// look asks for all states once more and plans the host anew.
func (h *hostRun) look(ctx context.Context) error {
	state, err := h.askState(ctx)
	if err != nil {
		return err
	}
	h.state, h.boot = state, state.boot()
	h.invalidate(0)
	if err := h.settle(ctx, 0); err != nil {
		return err
	}
	h.tellMistakes()
	return h.mistakes()
}

// approved tells whether the plan from an index on is within what was approved with the saved plan. What an own earlier step has
// changed may lead to other operations, but to nothing graver. Where nothing was changed yet, the plan must be the same.
func (h *hostRun) approved(from int) error {
	if h.run.Approved == nil {
		return nil
	}
	own := len(h.taken)+h.counts[string(StepChanged)]+h.counts[string(StepFailed)]+h.counts[string(StepNotConverged)] > 0
	owed := h.subscriptions()
	var reasons []string
	for i := from; i < len(h.planned); i++ {
		p := &h.planned[i]
		if p.Check || p.Message() {
			continue
		}
		is := h.told(p)
		was, step := h.run.Approved.step(h.Name, p.Addr)
		if was != nil { // more secrets may be known than when it was saved
			again := hiddenPlan(*was, h.run.Secrets)
			was = &again
		}
		switch {
		case was == nil:
			reasons = append(reasons, named(&is)+" is not in the plan")
		case p.Data() && !own && was.Action == steps.NoOp && *step != h.sealedStep(h.run.Approved.sealer, i, owed):
			reasons = append(reasons, named(&is)+": it finds something else than when the plan was checked")
		case harmless(was, &is):
		case !graver(was, &is) && (own || *step == h.sealedStep(h.run.Approved.sealer, i, owed)):
		default:
			reasons = append(reasons, named(&is)+": the host has changed since the plan was checked"+turned(was, &is))
		}
	}
	if len(reasons) > 0 {
		return &StaleError{Reasons: reasons}
	}
	return nil
}

// harmless tells of a step that there is nothing more to run for than was approved, whatever its state: nothing at all, what was
// left open (but not what could not be planned), or a command or a wait that is as it was or is not needed any more.
func harmless(was, is *PlanStep) bool {
	if was.Error != nil {
		return is.Error != nil || is.Action == steps.NoOp && len(is.Events) == 0
	}
	switch was.Action {
	case steps.Unknown:
		return true
	case steps.NoOp:
		return is.Action == steps.NoOp && !graver(was, is)
	case steps.Execute:
		return is.Action == steps.NoOp && !graver(was, is) || is.Action == steps.Execute && slices.Equal(was.Diff, is.Diff) && !graver(was, is)
	}
	return false
}

// graver tells of a step that would break something which the approved plan does not mention.
func graver(was, is *PlanStep) bool {
	if was.Action == steps.Unknown && was.Error == nil {
		return false
	}
	more := func(list, than []string) bool {
		return slices.ContainsFunc(list, func(s string) bool { return !slices.Contains(than, s) })
	}
	return is.Action == steps.Delete && was.Action != steps.Delete || is.Action == steps.Execute && was.Action == steps.NoOp && len(is.Events) == 0 || more(is.Dangers, was.Dangers) || more(is.Events, was.Events)
}
