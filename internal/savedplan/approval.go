package savedplan

import (
	"slices"

	"provision/internal/event"
	"provision/internal/steps"
)

// An Approval is a saved plan that a run is held to.
type Approval struct {
	plan  *Plan
	seal  *Sealer
	hosts map[string]map[string]*Step // by name and address
}

// NewApproval returns the approval that a saved plan is. The sealer has the salt of the plan, as the run must have.
func NewApproval(plan *Plan, s *Sealer) *Approval {
	a := &Approval{plan: plan, seal: s, hosts: map[string]map[string]*Step{}}
	for i := range plan.Hosts {
		h := &plan.Hosts[i]
		byAddr := map[string]*Step{}
		for j := range h.Steps {
			byAddr[plan.Shown[h.Steps[j].Shown].Addr] = &h.Steps[j]
		}
		a.hosts[h.Name] = byAddr
	}
	return a
}

// Run is the run that made the plan; "" if there is none.
func (a *Approval) Run() string {
	if a == nil {
		return ""
	}
	return a.plan.Run
}

// OtherHosts tells which hosts are not those of the plan, and why.
func (a *Approval) OtherHosts(now []Host) []string { return a.plan.OtherHosts(now) }

// Sealer returns the sealer that has the salt of the plan.
func (a *Approval) Sealer() *Sealer { return a.seal }

// Step returns what was approved for a step, nil if nothing was. The hashes come as they are computed, without a place in a table.
func (a *Approval) Step(host, addr string) (*event.PlanStep, *Step) {
	s := a.hosts[host][addr]
	if s == nil {
		return nil, nil
	}
	return &a.plan.Shown[s.Shown], &Step{Probe: s.Probe, State: s.State, Change: s.Change}
}

// Excess tells what of a step is not within what was approved for it, as a sentence with its name, or "". A step that was not in the plan has
// no was. own is whether an earlier step of this run has changed the host: then a step may come to other operations, but to nothing graver.
// same tells whether probe, state and change are what they were.
func Excess(was, is *event.PlanStep, own bool, same func() bool) string {
	switch {
	case was == nil:
		return named(is) + " is not in the plan"
	case !own && unplannable(was, is) != "":
		return named(is) + ": " + unplannable(was, is)
	case is.Data && !own && was.Action == steps.NoOp && !same():
		return named(is) + ": it finds something else than when the plan was checked"
	case harmless(was, is), !graver(was, is) && (own || same()):
		return ""
	}
	return named(is) + ": the host has changed since the plan was checked" + turned(was, is)
}

// harmless tells of a step that there is nothing more to run for than was approved, whatever its state: nothing at all, what was
// left open (but not what could not be planned), or a command or a wait that is as it was or is not needed any more.
func harmless(was, is *event.PlanStep) bool {
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
func graver(was, is *event.PlanStep) bool {
	if was.Action == steps.Unknown && was.Error == nil {
		return false
	}
	more := func(list, than []string) bool {
		return slices.ContainsFunc(list, func(s string) bool { return !slices.Contains(than, s) })
	}
	return is.Action == steps.Delete && was.Action != steps.Delete || is.Action == steps.Execute && was.Action == steps.NoOp && len(is.Events) == 0 || more(is.Dangers, was.Dangers) || more(is.Events, was.Events)
}
