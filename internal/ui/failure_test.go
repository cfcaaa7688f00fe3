package ui

import (
	"strings"
	"testing"
	"time"

	"provision/internal/engine"
	"provision/internal/steps"
)

// A step that may fail and could not even be planned has not failed after some time; and no reason says twice that it failed.
func TestWordsOfAFailure(t *testing.T) {
	unplanned := &engine.StepEnd{Addr: "step.file.a", Status: engine.StepFailed, Action: steps.Unknown, Error: &engine.Failure{Message: "there is no user x"}}
	if got := (Style{}).failure("h1", unplanned)[0]; !strings.HasSuffix(got, "h1  step.file.a  cannot be planned") {
		t.Error(got)
	}
	if got := failed(unplanned); got != "step.file.a cannot be planned: there is no user x" {
		t.Error(got)
	}
	ran := &engine.StepEnd{Addr: "step.command.b", Status: engine.StepFailed, Action: steps.Execute, Duration: engine.Millis(time.Second), Error: &engine.Failure{Message: "failed with status 3: bad"}}
	if got := (Style{}).failure("h1", ran)[0]; !strings.Contains(got, "failed  after 1") {
		t.Error(got)
	}
	if got := failed(ran); got != "step.command.b failed with status 3: bad" {
		t.Error(got)
	}
}
