package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"provision/internal/event"
	"provision/internal/steps"
)

// tellPlan emits what every step from an index on would change.
func (h *hostRun) tellPlan(from int) {
	for i := from; i < len(h.planned); i++ {
		p := &h.planned[i]
		switch {
		case p.Check:
		case p.Message() && p.Err == nil:
			h.say(p, true)
		default:
			h.tellStep(p)
		}
	}
}

// tellStep emits what one step would change.
func (h *hostRun) tellStep(p *Planned) {
	told := h.told(p)
	h.emit(&told)
}

// told is what a person is told of the step, without secrets.
func (h *hostRun) told(p *Planned) event.PlanStep { return hiddenPlan(p.told(), h.run.Secrets) }

// told is what there is to tell of the step.
func (p *Planned) told() event.PlanStep {
	told := event.PlanStep{Addr: p.Addr, Kind: p.Kind.Name, Source: eventSource(p.Source), Skipped: p.Skip, Data: p.Data()}
	if p.Err != nil {
		told.Action, told.Error = steps.Unknown, planFailure(p.Err)
		return told
	}
	told.Path = p.place()
	told.Action, told.Reason, told.Diff = p.Change.Action, p.Change.Reason, p.Change.Diff
	told.After, told.Dangers, told.Events = p.After, p.Change.Dangers, p.Events
	return told
}

// place is the path that the step is about, unless its address or what is told of its change names it.
func (p *Planned) place() string {
	if p.Step == nil || len(p.Waits) > 0 || p.Skip || p.Loan != nil || p.Change.Action == steps.NoOp {
		return ""
	}
	place := p.supply().Place()
	said := append([]string{p.Addr, p.Change.Reason}, p.Change.Dangers...)
	for _, a := range p.Change.Diff {
		if a.Before == place || a.After == place {
			return ""
		}
	}
	if slices.ContainsFunc(said, func(text string) bool { return strings.Contains(text, place) }) {
		return ""
	}
	return place
}

// planFailure is the error of a step that cannot be planned. What to do about it comes apart, where it is known.
func planFailure(err error) *event.Failure {
	f := &event.Failure{Message: err.Error()}
	var hinted interface{ Hint() (message, hint string) }
	if errors.As(err, &hinted) {
		f.Message, f.Hint = hinted.Hint()
	}
	return f
}

func (h *hostRun) tellPlanned() {
	counts := event.Counts{}
	for i := range h.planned {
		switch p := &h.planned[i]; {
		case p.Check:
		case p.Err != nil:
			counts[event.CountError]++
		case p.Passive():
		default:
			counts[string(p.Change.Action)]++
		}
	}
	h.emit(&event.HostPlanned{Counts: counts, Exchanges: h.exchanges, Duration: event.Millis(time.Since(h.began))})
}

func eventSource(s steps.Source) event.Source {
	return event.Source{File: s.File, Line: s.Line, Text: s.Text}
}

// mistakes returns which steps make the plan impossible, as one error, or nil: why was told with each. A step with
// continue_on_error keeps no other from its turn.
func (h *hostRun) mistakes() error {
	var addrs []string
	for i := range h.planned {
		p := &h.planned[i]
		if p.Err != nil && !p.Check && !p.Proceed {
			addrs = append(addrs, p.Addr)
		}
	}
	switch len(addrs) {
	case 0:
		return nil
	case 1:
		return stepsError(addrs[0] + " cannot be planned")
	}
	return stepsError(fmt.Sprintf("%d steps cannot be planned: %s", len(addrs), strings.Join(addrs, ", ")))
}

// tellMistakes tells of the steps that cannot be planned, where nothing else of a plan is told.
func (h *hostRun) tellMistakes() {
	for i := range h.planned {
		if p := &h.planned[i]; p.Err != nil && !p.Check && !p.Proceed {
			h.tellStep(p)
		}
	}
}

// pending counts the steps that have, or may have, something to do.
func (h *hostRun) pending() int {
	n := 0
	for i := range h.planned {
		if h.planned[i].Pending() {
			n++
		}
	}
	return n
}
