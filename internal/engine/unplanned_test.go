package engine

import (
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/zclconf/go-cty/cty"

	"provision/internal/event"
	"provision/internal/steps"
)

// linked is a file step on a symbolic link, which no plan can be made for.
func linked(t *testing.T, host *localHost) steps.Instance {
	if err := os.Symlink("nowhere", host.path("link")); err != nil {
		t.Fatal(err)
	}
	return step(t, "file", "linked", map[string]cty.Value{"path": str(host.path("link")), "content": str("x\n")})
}

// A step that cannot be planned is told where it stands, with its reason, and it is counted apart.
func TestUnplannedStepIsTold(t *testing.T) {
	host := newLocalHost(t)
	list := stepList{linked(t, host), step(t, "file", "fine", map[string]cty.Value{"path": str(host.path("fine"))})}
	exit, rec := applied(t, host, list)
	var told []event.PlanStep
	var counts event.Counts
	for _, e := range rec.events {
		if e.PlanStep != nil {
			told = append(told, *e.PlanStep)
		}
		if e.HostPlanned != nil {
			counts = e.HostPlanned.Counts
		}
	}
	if len(told) != 2 || told[0].Error == nil || told[0].Action != steps.Unknown || told[0].Source.Line != 1 || told[1].Action != steps.Create || told[1].Error != nil {
		t.Errorf("want a reason with the first step, and the change of the second: %+v", told)
	}
	if diff := cmp.Diff(event.Counts{event.CountError: 1, "create": 1}, counts); diff != "" || exit != 1 || host.exists("fine") {
		t.Errorf("exit %d %s\n%s", exit, diff, rec.dump())
	}
}

// With continue_on_error the rest of the host has its turn, what uses the outputs of the step included.
func TestProceedPastAnUnplannedStep(t *testing.T) {
	host := newLocalHost(t)
	list := stepList{linked(t, host), step(t, "file", "fine", map[string]cty.Value{"path": str(host.path("fine"))})}
	list[0].Proceed = true
	exit, rec := applied(t, host, list)
	if diff := cmp.Diff([]string{"step.file.fine changed", "step.file.linked failed"}, slices.Sorted(slices.Values(rec.verdicts()))); diff != "" || exit != 0 || !host.exists("fine") {
		t.Errorf("exit %d %s\n%s", exit, diff, rec.dump())
	}
	if e := rec.ends()["step.file.linked"]; e == nil || e.Error == nil || e.Error.Message == "" {
		t.Errorf("the failure has no reason: %+v", e)
	}
}
