package event

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

func (HostConnecting) attach(e *Event)     { e.Type = TypeHostConnecting }
func (p *RunStart) attach(e *Event)        { e.Type, e.RunStart = TypeRunStart, p }
func (p *HostConnected) attach(e *Event)   { e.Type, e.HostConnected = TypeHostConnected, p }
func (p *HostUnreachable) attach(e *Event) { e.Type, e.HostUnreachable = TypeHostUnreachable, p }
func (p *HostRetry) attach(e *Event)       { e.Type, e.HostRetry = TypeHostRetry, p }
func (p *HostLocked) attach(e *Event)      { e.Type, e.HostLocked = TypeHostLocked, p }
func (p *PlanStep) attach(e *Event)        { e.Type, e.PlanStep = TypePlanStep, p }
func (p *HostPlanned) attach(e *Event)     { e.Type, e.HostPlanned = TypeHostPlanned, p }
func (p *Message) attach(e *Event)         { e.Type, e.Message = TypeMessage, p }
func (p *BatchStart) attach(e *Event)      { e.Type, e.BatchStart = TypeBatchStart, p }
func (p *BatchEnd) attach(e *Event)        { e.Type, e.BatchEnd = TypeBatchEnd, p }
func (p *StepStart) attach(e *Event)       { e.Type, e.StepStart = TypeStepStart, p }
func (p *StepOutput) attach(e *Event)      { e.Type, e.StepOutput = TypeStepOutput, p }
func (p *StepEnd) attach(e *Event)         { e.Type, e.StepEnd = TypeStepEnd, p }
func (p *CheckEnd) attach(e *Event)        { e.Type, e.CheckEnd = TypeCheckEnd, p }
func (p *HostEnd) attach(e *Event)         { e.Type, e.HostEnd = TypeHostEnd, p }
func (p *Warning) attach(e *Event)         { e.Type, e.Warning = TypeWarning, p }
func (p *RunEnd) attach(e *Event)          { e.Type, e.RunEnd = TypeRunEnd, p }
