package savedplan

import (
	"fmt"
	"slices"
	"strings"

	"provision/internal/event"
	"provision/internal/steps"
)

// A StaleError says why a saved plan does not hold on a host.
type StaleError struct{ Reasons []string }

func (e *StaleError) Error() string { return strings.Join(e.Reasons, "; ") }

// Stale compares a saved plan with one that was made in the same way now. It returns, by host, what no longer holds, one line
// for each step; hosts that have no plan now are passed over.
func Stale(saved, now *Plan) map[string][]string {
	found := map[string][]string{}
	old := map[string]*Host{}
	for i := range saved.Hosts {
		old[saved.Hosts[i].Name] = &saved.Hosts[i]
	}
	for i := range now.Hosts {
		h := &now.Hosts[i]
		before := old[h.Name]
		if before == nil {
			found[h.Name] = []string{"host " + h.Name + " is new: the plan does not have it"}
			continue
		}
		c := comparison{saved: saved, now: now, before: before, after: h}
		if reasons := c.reasons(); len(reasons) > 0 {
			found[h.Name] = reasons
		}
	}
	return found
}

// OtherHosts tells, before any is connected to, which hosts are not those of the plan: new ones, those that are gone, and other
// machines under the same name.
func (p *Plan) OtherHosts(hosts []Host) []string {
	now := map[string]*Host{}
	for i := range hosts {
		now[hosts[i].Name] = &hosts[i]
	}
	var reasons []string
	for i := range p.Hosts {
		was := &p.Hosts[i]
		is := now[was.Name]
		delete(now, was.Name)
		switch {
		case is == nil:
			reasons = append(reasons, fmt.Sprintf("host %s is gone: the playbook does not choose it any more", was.Name))
		case was.Address != is.Address || was.User != is.User:
			reasons = append(reasons, fmt.Sprintf("host %s is %s at %s now, and was planned as %s at %s", was.Name, is.User, is.Address, was.User, was.Address))
		}
	}
	for i := range hosts {
		if now[hosts[i].Name] != nil {
			reasons = append(reasons, fmt.Sprintf("host %s is new: the plan does not have it", hosts[i].Name))
		}
	}
	return reasons
}

// A comparison is that of one host's plans.
type comparison struct {
	saved, now    *Plan
	before, after *Host
}

func (c *comparison) reasons() []string {
	places := map[string]int{}
	for i := range c.before.Steps {
		places[c.saved.Shown[c.before.Steps[i].Shown].Addr] = i
	}
	var reasons, derived []string
	inOrder, last := true, -1
	for i := range c.after.Steps {
		step := &c.now.Shown[c.after.Steps[i].Shown]
		at, known := places[step.Addr]
		if !known {
			reasons = append(reasons, fmt.Sprintf("%s is new in the playbook", named(step)))
			continue
		}
		delete(places, step.Addr)
		inOrder = inOrder && at > last
		last = at
		if why := unplannable(&c.saved.Shown[c.before.Steps[at].Shown], step); why != "" {
			reasons = append(reasons, named(step)+": "+why)
		} else if why := c.step(&c.before.Steps[at], &c.after.Steps[i]); why != "" {
			reasons = append(reasons, named(step)+": "+why)
		} else if why := c.shown(&c.before.Steps[at], &c.after.Steps[i]); why != "" {
			derived = append(derived, named(step)+": "+why)
		}
	}
	for i := range c.before.Steps {
		step := &c.saved.Shown[c.before.Steps[i].Shown]
		if _, left := places[step.Addr]; left {
			reasons = append(reasons, fmt.Sprintf("%s is no longer in the playbook", named(step)))
		}
	}
	switch {
	case len(reasons) > 0:
		return reasons // what else has come of them says no more
	case !inOrder:
		return []string{"the steps come in another order now"}
	}
	return derived
}

// named is the name of a step, with its place.
func named(p *event.PlanStep) string {
	return fmt.Sprintf("%s (%s:%d)", p.Addr, p.Source.File, p.Source.Line)
}

// unplannable tells why a step that the plan could plan cannot be planned now, or "". It may be that the host could not be looked at: nobody
// knows then whether it is as it was.
func unplannable(was, is *event.PlanStep) string {
	if is.Error == nil || was.Error != nil {
		return ""
	}
	return "it cannot be planned now: " + strings.Join(strings.Fields(is.Error.Message), " ")
}

// step tells why a step is not what it was when the plan was made, or "": whether it is the host that has changed, or what is
// wanted of it.
func (c *comparison) step(before, after *Step) string {
	was, is := &c.saved.Shown[before.Shown], &c.now.Shown[after.Shown]
	switch {
	case before.Probe == after.Probe && before.State != after.State:
		return "the host is not as it was when the plan was made" + turned(was, is)
	case before.Probe != after.Probe || before.Change != after.Change:
		return c.cause()
	case after.Change == "" && is.Action == steps.Unknown && c.saved.Inputs != c.now.Inputs:
		return "it is not known before its turn comes, and the files or variables of the playbook have changed since the plan was made"
	}
	return ""
}

// cause tells why a step is computed differently.
func (c *comparison) cause() string {
	switch {
	case c.saved.Inputs != c.now.Inputs:
		return "the playbook, a variable or a file that it reads says something else now"
	case c.before.Facts != c.after.Facts:
		return "it comes of the facts of the host, and these have changed"
	case c.saved.Version != c.now.Version:
		return fmt.Sprintf("provision %s does it differently than %s, which made the plan", c.now.Version, c.saved.Version)
	}
	return "what it is computed from has changed"
}

// shown tells of a step that is in the same state, and is planned otherwise because of another one or of what is owed to it, or ""
// if what was shown of it holds. It also finds a file whose text was edited so that it says something else than its hashes.
func (c *comparison) shown(before, after *Step) string {
	was, is := c.saved.Shown[before.Shown], c.now.Shown[after.Shown]
	// A line that has moved is no change.
	was.Source, is.Source = event.Source{}, event.Source{}
	if samePlan(&was, &is) {
		return ""
	}
	if was.Action == is.Action {
		return "the plan shows something else than what it would do now: " + described(&is)
	}
	return "what it would do is not what the plan shows" + turned(&was, &is)
}

func samePlan(a, b *event.PlanStep) bool {
	return a.Addr == b.Addr && a.Kind == b.Kind && a.Action == b.Action && a.Reason == b.Reason && a.Skipped == b.Skipped && slices.Equal(a.Diff, b.Diff) &&
		slices.Equal(a.After, b.After) && slices.Equal(a.Dangers, b.Dangers) && slices.Equal(a.Events, b.Events) && sameFailure(a.Error, b.Error)
}

func sameFailure(a, b *event.Failure) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

func turned(was, is *event.PlanStep) string {
	if was.Action == is.Action {
		return ""
	}
	return fmt.Sprintf(" (planned: %s; now: %s)", described(was), described(is))
}

func described(p *event.PlanStep) string {
	if p.Reason == "" {
		return string(p.Action)
	}
	return string(p.Action) + ", " + p.Reason
}
