package ui

import (
	"slices"
	"strings"
	"time"

	"github.com/maruel/natural"

	"provision/internal/event"
	"provision/internal/steps"
)

// A verdict is what became of a step or a host, as one word of a report's own: those of the engine, and what only
// the whole run tells.
type verdict string

// The verdicts beside those of the engine.
const (
	verdictPending   verdict = "pending"        // a plan would change it
	verdictLater     verdict = "known_later"    // data that a plan cannot know yet; for no other step
	verdictPassed    verdict = "passed"         // a check
	verdictLeft      verdict = "not_idempotent" // right after an apply it would change something again
	verdictNotRun    verdict = "not_reached"    // its turn never came
	verdictFailed    verdict = verdict(event.StepFailed)
	verdictChanged   verdict = verdict(event.StepChanged)
	verdictUnchanged verdict = verdict(event.StepUnchanged)
	verdictSkipped   verdict = verdict(event.StepSkipped)
	verdictUnplanned verdict = "unplanned" // why is known, and it has no change
	verdictUnended   verdict = "unended"   // a host that the stream ends without
)

// words writes a verdict for people.
func (v verdict) words() string {
	switch v {
	case verdictPending:
		return "to change"
	case verdictUnended:
		return "no end is known"
	case verdictUnplanned:
		return unplannedWords
	case verdict(event.StepNotConverged):
		return "did not converge"
	}
	return strings.ReplaceAll(string(v), "_", " ")
}

// trouble tells whether a verdict is bad news.
func (v verdict) trouble() bool {
	switch v {
	case verdictFailed, verdictLeft, verdictUnplanned, verdict(event.StepStale), verdict(event.StepNotConverged), verdict(event.StepInterrupted),
		verdict(event.HostUnreached), verdict(event.HostIsLocked):
		return true
	}
	return false
}

// quiet tells whether nothing happened and nothing had to.
func (v verdict) quiet() bool { return v == verdictUnchanged || v == verdictSkipped }

// verdict tells what became of a step.
func (s *reportedStep) verdict(command string) verdict {
	switch {
	case s.left != nil:
		return verdictLeft
	case s.check != nil && s.check.OK:
		return verdictPassed
	case s.check != nil:
		return verdictFailed
	case s.unplanned():
		return verdictUnplanned
	case s.end != nil && s.end.Status == event.StepStale:
		return verdictNotRun // it was to be planned anew
	case s.end != nil:
		return verdict(s.end.Status)
	case !s.start.IsZero():
		return verdict(event.StepInterrupted)
	case s.plan == nil || command != event.CommandPlan:
		return verdictNotRun
	case s.plan.Skipped:
		return verdictSkipped
	case s.plan.Data && s.plan.Action == steps.Unknown:
		return verdictLater
	case s.plan.Action != steps.NoOp || len(s.plan.Events) > 0:
		return verdictPending
	}
	return verdictUnchanged
}

// unplanned tells whether the last word on a step is that it cannot be planned.
func (s *reportedStep) unplanned() bool {
	return s.plan != nil && s.plan.Error != nil && (s.end == nil || s.end.Status == event.StepStale)
}

func (s *reportedStep) trouble() bool { return s.verdict("").trouble() }

// took is how long the operations of a step ran on the host.
func (s *reportedStep) took() time.Duration {
	switch {
	case s.check != nil:
		return time.Duration(s.check.Duration)
	case s.end != nil:
		return time.Duration(s.end.Duration)
	}
	return 0
}

// failure returns what is known of a step that went wrong, with texts that may be empty.
func (s *reportedStep) failure() event.Failure {
	var f event.Failure
	switch {
	case s.left != nil:
		f.Message = "right after the apply it would change something again"
		f.Hint = "make it find its own result: give it a condition such as creates or unless, or look for what undoes it"
	case s.check != nil:
		f.Message = s.check.Message
	case s.unplanned():
		f = *s.plan.Error
	case s.end != nil && s.end.Error != nil:
		f = *s.end.Error
	case s.end != nil:
		f.Message = s.end.Reason
	}
	if f.Message == "" {
		f.Message = s.verdict("").words()
	}
	if f.Output == "" {
		f.Output = s.output
	}
	f.Output = tailOf(f.Output, reportedOutput)
	return f
}

// verdict tells what became of a host.
func (h *reportedHost) verdict(command string) verdict {
	if h.end == nil {
		return verdictUnended
	}
	best := verdictUnchanged
	for _, s := range h.steps {
		switch v := s.verdict(command); {
		case v == verdictLeft:
			return verdictLeft
		case v == verdictChanged, v == verdictPending:
			best = v
		}
	}
	if h.end.Status != event.HostOK {
		return verdict(h.end.Status)
	}
	return best
}

// interrupted tells whether a step of the host says that it was.
func (h *reportedHost) interrupted() bool {
	return slices.ContainsFunc(h.steps, func(s *reportedStep) bool { return s.verdict("") == verdict(event.StepInterrupted) })
}

// names returns the hosts as people sort them.
func (r *reported) names() []string {
	names := make([]string, 0, len(r.hosts))
	for name := range r.hosts {
		names = append(names, name)
	}
	slices.SortStableFunc(names, natural.Compare)
	return names
}

// took is how long the run was, or has been as far as anyone knows.
func (r *reported) took() time.Duration {
	if r.end != nil {
		return time.Duration(r.end.Duration)
	}
	return r.latest.Sub(r.began)
}

// status is the status of the whole run: that of its end, "failed" if a step proved not to be idempotent, "unended" if
// it has no end.
func (r *reported) status() string {
	if r.end == nil {
		return string(verdictUnended)
	}
	if r.end.Status != "ok" {
		return r.end.Status
	}
	for _, h := range r.hosts {
		if v := h.verdict(r.start.Command); v == verdictLeft || v == verdictFailed {
			return "failed"
		}
	}
	return "ok"
}

// ordered returns the steps of a host, its checks after all others.
func (h *reportedHost) ordered() []*reportedStep {
	list := slices.Clone(h.steps)
	slices.SortStableFunc(list, func(a, b *reportedStep) int {
		switch isA, isB := a.kind == "check", b.kind == "check"; {
		case isA && !isB:
			return 1
		case isB && !isA:
			return -1
		}
		return 0
	})
	return list
}
