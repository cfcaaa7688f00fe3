package engine

import "encoding/json"

// A Payload is what an Event carries: a pointer to the type of one of its fields, or HostConnecting.
type Payload interface {
	// attach makes the payload that of an event.
	attach(e *Event)
}

// HostConnecting is the payload of an event that has no field for one.
type HostConnecting struct{}

// With returns the event with a payload, and the type of that.
func (e Event) With(p Payload) Event {
	p.attach(&e)
	return e
}

// Line returns the event as one line of JSON, with its line break.
func (e Event) Line() []byte {
	data, err := json.Marshal(e)
	if err != nil {
		panic(err) // an Event holds nothing that JSON cannot
	}
	return append(data, '\n')
}

func (HostConnecting) attach(e *Event)     { e.Type = EventHostConnecting }
func (p *RunStart) attach(e *Event)        { e.Type, e.RunStart = EventRunStart, p }
func (p *HostConnected) attach(e *Event)   { e.Type, e.HostConnected = EventHostConnected, p }
func (p *HostUnreachable) attach(e *Event) { e.Type, e.HostUnreachable = EventHostUnreachable, p }
func (p *HostRetry) attach(e *Event)       { e.Type, e.HostRetry = EventHostRetry, p }
func (p *HostLocked) attach(e *Event)      { e.Type, e.HostLocked = EventHostLocked, p }
func (p *PlanStep) attach(e *Event)        { e.Type, e.PlanStep = EventPlanStep, p }
func (p *HostPlanned) attach(e *Event)     { e.Type, e.HostPlanned = EventHostPlanned, p }
func (p *Message) attach(e *Event)         { e.Type, e.Message = EventMessage, p }
func (p *BatchStart) attach(e *Event)      { e.Type, e.BatchStart = EventBatchStart, p }
func (p *BatchEnd) attach(e *Event)        { e.Type, e.BatchEnd = EventBatchEnd, p }
func (p *StepStart) attach(e *Event)       { e.Type, e.StepStart = EventStepStart, p }
func (p *StepOutput) attach(e *Event)      { e.Type, e.StepOutput = EventStepOutput, p }
func (p *StepEnd) attach(e *Event)         { e.Type, e.StepEnd = EventStepEnd, p }
func (p *CheckEnd) attach(e *Event)        { e.Type, e.CheckEnd = EventCheckEnd, p }
func (p *HostEnd) attach(e *Event)         { e.Type, e.HostEnd = EventHostEnd, p }
func (p *Warning) attach(e *Event)         { e.Type, e.Warning = EventWarning, p }
func (p *RunEnd) attach(e *Event)          { e.Type, e.RunEnd = EventRunEnd, p }
