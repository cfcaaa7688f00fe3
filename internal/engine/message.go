package engine

import (
	"slices"

	"provision/internal/event"
	"provision/internal/steps"
)

// say tells what a message has to tell, once, if it is for the plan or the plan was shown. One that is not known yet is told at the end of
// the run.
func (h *hostRun) say(p *Planned, planning bool) {
	switch {
	case p.Skip || p.Err != nil || h.said[p.Addr]:
		return
	case p.Step == nil || len(p.Waits) > 0:
		if i := slices.IndexFunc(h.planned, func(other Planned) bool { return other.Addr == p.Addr }); !planning && !slices.Contains(h.unsaid, i) {
			h.unsaid = append(h.unsaid, i)
		}
		return
	}
	h.sayNow(&p.Instance, planning)
}

// sayNow emits a message whose turn it is.
func (h *hostRun) sayNow(in *steps.Instance, planning bool) {
	teller, ok := in.Step.(steps.Teller)
	if !ok {
		return
	}
	text, early := teller.Tells()
	if planning && !early {
		return
	}
	if h.said == nil {
		h.said = map[string]bool{}
	}
	h.said[in.Addr] = true
	if text == "" {
		return
	}
	at := event.AtApply
	if planning {
		at = event.AtPlan
	}
	h.emit(&event.Message{Addr: in.Addr, Source: eventSource(in.Source), Text: text, At: at})
}

// sayRest tells the messages whose turn has come, and that are known by now.
func (h *hostRun) sayRest() {
	rest := h.unsaid
	h.unsaid = nil
	if len(rest) == 0 || h.evaluate() != nil {
		return
	}
	for _, i := range rest {
		switch in := &h.instances[i]; {
		case in.Unresolved != nil:
			h.emit(&event.Warning{Addr: in.Addr, Message: "it cannot be told: " + in.Unresolved.Error()})
		case in.Step != nil && !in.Skip && len(in.Waits) == 0:
			h.sayNow(in, false)
		}
	}
}
