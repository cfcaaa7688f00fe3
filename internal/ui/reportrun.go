package ui

import (
	"crypto/sha256"
	"strings"
	"time"

	"provision/internal/event"
	"provision/internal/steps"
)

// What a report keeps of one step's output, of one failure, and of warnings.
const (
	reportedOutput   = 8 << 10
	reportedWarnings = 100
)

// A reported is what a report knows of a run.
type reported struct {
	run      string
	start    event.RunStart
	began    time.Time
	latest   time.Time // of all events
	end      *event.RunEnd
	proving  bool // the events are those of the plan that follows an apply to prove that nothing is left to do
	hosts    map[string]*reportedHost
	warnings []event.Event
	messages messages
	more     int // warnings that are not kept
	batches  []*event.BatchEnd
	plans    map[[sha256.Size]byte]*event.PlanStep // what hosts have in common is kept once
}

// A reportedHost is what a report knows of a host.
type reportedHost struct {
	name        string
	began       time.Time
	planned     time.Time // zero if there is no plan
	connected   event.HostConnected
	unreachable *event.HostUnreachable
	retries     int
	steps       []*reportedStep // in the order of the plan, checks last
	places      map[string]int  // of the steps, by stepPlace
	current     *reportedStep   // whose operations run
	end         *event.HostEnd
	ended       time.Time
}

// A reportedStep is what a report knows of a step of a host, or of a check.
type reportedStep struct {
	addr, kind string
	source     event.Source
	plan       *event.PlanStep // nil if it was never planned
	end        *event.StepEnd  // nil if it has no verdict
	check      *event.CheckEnd // of checks, in place of end
	left       *event.PlanStep // what a plan right after the apply would change still
	start      time.Time       // zero if its operations never began
	ended      time.Time
	output     string // the end of what it printed, while it runs and as far as it is kept
}

func newReported() *reported {
	return &reported{hosts: map[string]*reportedHost{}, plans: map[[sha256.Size]byte]*event.PlanStep{}}
}

func (r *reported) event(e event.Event) {
	r.latest = e.Time
	switch {
	case e.RunStart != nil && r.end != nil:
		r.proving = r.start.Command == event.CommandTest && e.RunStart.Command == event.CommandPlan
	case e.RunStart != nil:
		r.run, r.start, r.began = e.Run, *e.RunStart, e.Time
	case e.RunEnd != nil && !r.proving:
		r.end = e.RunEnd
	case e.BatchEnd != nil:
		r.batches = append(r.batches, e.BatchEnd)
	case e.Warning != nil && len(r.warnings) < reportedWarnings:
		r.warnings = append(r.warnings, e)
	case e.Warning != nil:
		r.more++
	}
	if e.Host == "" || e.Warning != nil {
		return
	}
	h := r.hosts[e.Host]
	if h == nil {
		h = &reportedHost{name: e.Host, began: e.Time, places: map[string]int{}}
		r.hosts[e.Host] = h
	}
	if p := e.PlanStep; p != nil && p.Data && p.Error == nil && (r.proving || r.start.Command != event.CommandPlan || p.Action == steps.NoOp && !h.has(p)) {
		return // it is no step: nothing is done for it. A plan tells what it waits for.
	}
	if r.proving {
		h.prove(e)
		return
	}
	if e.Message != nil {
		r.messages.add(e.Host, e.Message)
		return
	}
	if e.PlanStep != nil {
		s := h.step(e.PlanStep.Addr, e.PlanStep.Kind, e.PlanStep.Source)
		s.plan = r.shared(e.PlanStep)
		return
	}
	h.event(e, r.start.Command == event.CommandRun)
}

// shared returns one plan for all that are equal.
func (r *reported) shared(p *event.PlanStep) *event.PlanStep {
	key := sha256.Sum256([]byte(stepKey(p)))
	if known := r.plans[key]; known != nil {
		return known
	}
	r.plans[key] = p
	return p
}

// prove takes an event of the plan that has to be empty.
func (h *reportedHost) prove(e event.Event) {
	switch {
	case e.PlanStep != nil && e.PlanStep.Error != nil:
		s := h.step(e.PlanStep.Addr, e.PlanStep.Kind, e.PlanStep.Source)
		s.plan, s.end = e.PlanStep, nil
	case e.PlanStep != nil && (e.PlanStep.Action != steps.NoOp || len(e.PlanStep.Events) > 0):
		h.step(e.PlanStep.Addr, e.PlanStep.Kind, e.PlanStep.Source).left = e.PlanStep
	case e.HostEnd != nil && e.HostEnd.Status != event.HostOK:
		h.end = e.HostEnd
	}
}

// event takes an event in. What a step printed is kept only if it went wrong, unless it is what was asked for.
func (h *reportedHost) event(e event.Event, answers bool) {
	switch {
	case e.Type == event.TypeHostConnecting:
		h.began = e.Time
	case e.HostConnected != nil:
		h.connected = *e.HostConnected
	case e.HostUnreachable != nil:
		h.unreachable = e.HostUnreachable
	case e.HostRetry != nil:
		h.retries++
	case e.HostPlanned != nil:
		h.planned = e.Time
	case e.StepStart != nil:
		h.current = h.step(e.StepStart.Addr, e.StepStart.Kind, e.StepStart.Source)
		h.current.start = e.Time
	case e.StepOutput != nil && h.current != nil:
		h.current.output = tailOf(h.current.output+e.StepOutput.Text, reportedOutput)
	case e.StepEnd != nil:
		s := h.step(e.StepEnd.Addr, e.StepEnd.Kind, e.StepEnd.Source)
		s.end, s.ended = bounded(e.StepEnd), e.Time
		if !s.trouble() && !answers {
			s.output = ""
		}
	case e.CheckEnd != nil:
		addr := "check." + strings.TrimPrefix(e.CheckEnd.Name, "check.")
		s := h.step(addr, "check", e.CheckEnd.Source)
		s.check, s.ended = e.CheckEnd, e.Time
		if e.CheckEnd.OK {
			s.output = ""
		}
	case e.HostEnd != nil:
		h.end, h.ended = e.HostEnd, e.Time
	}
}

// bounded returns a verdict with no more output than a report shows.
func bounded(e *event.StepEnd) *event.StepEnd {
	if e.Error == nil || len(e.Error.Output) <= reportedOutput {
		return e
	}
	end, failure := *e, *e.Error
	failure.Output = tailOf(failure.Output, reportedOutput)
	end.Error = &failure
	return &end
}

// step returns the step of an address.
func (h *reportedHost) step(addr, kind string, source event.Source) *reportedStep {
	key := stepPlace(addr, source)
	if i, ok := h.places[key]; ok {
		return h.steps[i]
	}
	if strings.HasPrefix(addr, "check.") {
		kind = "check" // and not the kind of step that does the looking
	}
	s := &reportedStep{addr: addr, kind: kind, source: source}
	h.places[key] = len(h.steps)
	h.steps = append(h.steps, s)
	return s
}

// has tells whether a step is known.
func (h *reportedHost) has(p *event.PlanStep) bool {
	_, known := h.places[stepPlace(p.Addr, p.Source)]
	return known
}

// stepPlace tells steps apart: the same address in two plays stands in two places of the playbook.
func stepPlace(addr string, source event.Source) string { return addr + "\n" + place(source) }

// tailOf returns the last bytes of a text, from a line's beginning where there is one.
func tailOf(text string, most int) string {
	if len(text) <= most {
		return text
	}
	text = text[len(text)-most:]
	if i := strings.IndexByte(text, '\n'); i >= 0 && i < len(text)/2 {
		text = text[i+1:]
	}
	return strings.Clone(strings.ToValidUTF8(text, ""))
}
