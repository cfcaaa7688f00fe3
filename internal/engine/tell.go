package engine

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"provision/internal/steps"
)

// tellPlan emits what every step from an index on would change.
func (h *hostRun) tellPlan(from int) {
	for i := from; i < len(h.planned); i++ {
		p := &h.planned[i]
		if p.Check {
			continue
		}
		h.tellStep(p)
	}
}

// tellStep emits what one step would change.
func (h *hostRun) tellStep(p *Planned) {
	told := p.told()
	h.emit(Event{Type: EventPlanStep, PlanStep: &told})
}

// told is what a person is told of the step.
func (p *Planned) told() PlanStep {
	return PlanStep{
		Addr: p.Addr, Kind: p.Kind.Name, Source: eventSource(p.Source), Action: p.Change.Action, Reason: p.Change.Reason,
		Skipped: p.Skip, Diff: p.Change.Diff, After: p.After, Dangers: p.Change.Dangers, Events: p.Events,
	}
}

func (h *hostRun) tellPlanned() {
	counts := Counts{}
	for i := range h.planned {
		if !h.planned[i].Check {
			counts[string(h.planned[i].Change.Action)]++
		}
	}
	h.emit(Event{Type: EventHostPlanned, HostPlanned: &HostPlanned{Counts: counts, Exchanges: h.exchanges, Duration: Millis(time.Since(h.began))}})
}

func eventSource(s steps.Source) Source { return Source{File: s.File, Line: s.Line, Text: s.Text} }

// mistakes returns what makes the plan impossible, as one error, or nil.
func (h *hostRun) mistakes() error {
	var texts []string
	for i := range h.planned {
		p := &h.planned[i]
		if p.Err != nil && !p.Check {
			texts = append(texts, fmt.Sprintf("%s (%s:%d): %s", p.Addr, p.Source.File, p.Source.Line, p.Err))
		}
	}
	if len(texts) == 0 {
		return nil
	}
	return errors.New(strings.Join(texts, "\n"))
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
