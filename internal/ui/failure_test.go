package ui

import (
	"strings"
	"testing"
	"time"

	"provision/internal/event"
	"provision/internal/steps"
)

// A step that may fail and could not even be planned has not failed after some time; and no reason says twice that it failed.
func TestWordsOfAFailure(t *testing.T) {
	unplanned := &event.StepEnd{Addr: "step.file.a", Status: event.StepFailed, Action: steps.Unknown, Error: &event.Failure{Message: "there is no user x"}}
	if got := (Style{}).failure("h1", unplanned)[0]; !strings.HasSuffix(got, "h1  step.file.a  cannot be planned") {
		t.Error(got)
	}
	if got := failed(unplanned); got != "step.file.a cannot be planned: there is no user x" {
		t.Error(got)
	}
	ran := &event.StepEnd{Addr: "step.command.b", Status: event.StepFailed, Action: steps.Execute, Duration: event.Millis(time.Second), Error: &event.Failure{Message: "failed with status 3: bad"}}
	if got := (Style{}).failure("h1", ran)[0]; !strings.Contains(got, "failed  after 1") {
		t.Error(got)
	}
	if got := failed(ran); got != "step.command.b failed with status 3: bad" {
		t.Error(got)
	}
}
