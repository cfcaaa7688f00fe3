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
	case p.Skip || p.Err != nil || h.said[p.Addr] != nil:
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
		h.said = map[string]*event.Message{}
	}
	at := event.AtApply
	if planning {
		at = event.AtPlan
	}
	m := &event.Message{Addr: in.Addr, Source: eventSource(in.Source), Text: text, At: at}
	if h.said[in.Addr] = m; text != "" {
		h.emit(m)
	}
}

// saidInPlan are the messages that the plan told, without secrets.
func (h *hostRun) saidInPlan() []event.Message {
	var list []event.Message
	for i := range h.planned {
		if m := h.said[h.planned[i].Addr]; m != nil && m.At == event.AtPlan && m.Text != "" {
			list = append(list, *hidden(event.Event{Message: m}, h.run.Secrets).Message)
		}
	}
	return list
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
