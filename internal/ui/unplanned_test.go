package ui

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"provision/internal/event"
	"provision/internal/steps"
)

// linkFailure is a step that cannot be planned, as the engine tells of it.
func linkFailure() event.PlanStep {
	return event.PlanStep{
		Addr: "step.file.link", Kind: "file", Source: at(5, `step "file" "link" {`), Action: steps.Unknown,
		Error: &event.Failure{Message: "/etc/mtab is a symbolic link", Hint: "name the path that it leads to"},
	}
}

func converged(n int) []event.PlanStep {
	list := make([]event.PlanStep, n)
	for i := range list {
		list[i] = event.PlanStep{Addr: fmt.Sprintf("step.file.f%d", i), Kind: "file", Action: steps.NoOp}
	}
	return list
}

// unplannedHost is a host whose plan failed because of one of its steps.
func unplannedHost(host string, list ...event.PlanStep) []event.Event {
	return append(plannedHost(host, list), sampleEvent(host, event.HostEnd{Status: event.HostFailed, Message: "step.file.link cannot be planned", BySteps: true, Planning: true}))
}

// A step that cannot be planned is in every form of a plan with its place and its reason, once, and no form calls its host
// unchanged.
func TestUnplannedStepEverywhere(t *testing.T) {
	made := event.PlanStep{Addr: "step.file.made", Kind: "file", Source: at(9, `step "file" "made" {`), Action: steps.Create}
	alone := unplannedHost("web1", append(converged(2), linkFailure())...)
	beside := unplannedHost("web1", append(converged(2), made, linkFailure())...)
	var fleet []event.Event
	for i := range 6 {
		host := fmt.Sprintf("web%d", i+1)
		switch {
		case i < 2:
			fleet = append(fleet, unplannedHost(host, append(converged(2), linkFailure())...)...)
		case i < 4:
			fleet = append(fleet, plannedHost(host, append(converged(2), made))...)
		default:
			fleet = append(fleet, plannedHost(host, converged(3))...)
		}
	}
	tolerated := plannedHost("web1", append(converged(2), linkFailure())) // it has continue_on_error
	for name, test := range map[string]struct {
		events  []event.Event
		summary string
	}{
		"alone":     {alone, "1 of 3 steps cannot be planned. Apply changes nothing on web1 until that is fixed."},
		"beside":    {beside, "Plan: 1 to create, 2 unchanged. 1 of 4 steps cannot be planned. Apply changes nothing on web1 until that is fixed."},
		"fleet":     {fleet, "Plan: 2 to create, 14 unchanged on 2 of 6 hosts. 2 of 18 steps cannot be planned on web1, web2. Apply changes nothing on web1, web2 until that is fixed."},
		"tolerated": {tolerated, "1 of 3 steps cannot be planned."},
	} {
		t.Run(name, func(t *testing.T) {
			events := append([]event.Event{sampleEvent("", event.RunStart{Schema: 1, Command: event.CommandPlan, Playbook: "server.hcl"})}, test.events...)
			events = append(events, sampleEvent("", event.RunEnd{Status: "failed", Exit: 1}))
			forms := map[string]string{"text": planText(t, unicodeStyle, false, events...), "detail": planText(t, unicodeStyle, true, events...)}
			plan := NewPlan()
			feed(plan, events...)
			var markdown bytes.Buffer
			if err := plan.Markdown(&markdown, 0); err != nil {
				t.Fatal(err)
			}
			forms["markdown"] = markdown.String()
			forms["html"] = report(t, ReportHTML, events...)
			forms["junit"] = report(t, ReportJUnit, events...)
			for form, got := range forms {
				for _, want := range []string{"step.file.link", "server.hcl:5", "/etc/mtab is a symbolic link", "name the path that it leads to"} {
					if !strings.Contains(got, want) {
						t.Errorf("%s lacks %q:\n%s", form, want, got)
					}
				}
				if strings.Contains(got, "No changes") {
					t.Errorf("%s says that there are no changes:\n%s", form, got)
				}
				if n := strings.Count(got, "is a symbolic link"); n != 1 && form != "html" && (form != "junit" || name != "fleet") {
					t.Errorf("%s has the reason %d times:\n%s", form, n, got)
				}
				if strings.Contains(form, "t") && form != "html" && form != "junit" && !strings.Contains(got, test.summary) {
					t.Errorf("%s lacks %q:\n%s", form, test.summary, got)
				}
			}
		})
	}
}

// What ends a planned host while the others are planned is said beside its plan.
func TestHostEndsWhilePlanned(t *testing.T) {
	list := []event.PlanStep{{Addr: "step.command.once", Action: steps.Execute}}
	end := event.HostEnd{Status: event.HostFailed, Message: "an earlier run began step.command.once and was cut off", Planning: true}
	got := planText(t, unicodeStyle, false, append(plannedHost("web1", list), sampleEvent("web1", end))...)
	for _, want := range []string{"web1  failed: an earlier run began step.command.once", "Plan: 1 to run. Apply changes nothing on web1 until that is fixed."} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing:\n%s", want, got)
		}
	}
	// What happens in the apply is no matter of the plan, as a record shows it.
	end.Planning = false
	got = planText(t, unicodeStyle, false, append(plannedHost("web1", list), sampleEvent("web1", end))...)
	if strings.Contains(got, "failed") {
		t.Errorf("the plan tells of the apply:\n%s", got)
	}
}

// In the summary of an apply a step that cannot be planned has its reason; one that could be planned in the end has none.
func TestSummaryOfUnplanned(t *testing.T) {
	var out bytes.Buffer
	s := NewSummary(&out, unicodeStyle)
	feed(s, sampleEvent("", event.RunStart{Command: event.CommandApply}))
	feed(s, unplannedHost("web1", linkFailure())...)
	fixed := linkFailure()
	feed(s, sampleEvent("web2", fixed))
	fixed.Error, fixed.Action = nil, steps.Create
	feed(s, sampleEvent("web2", fixed), sampleEvent("web2", event.HostEnd{Status: event.HostOK}))
	feed(s, sampleEvent("", event.RunEnd{Status: "failed", Exit: 1, Totals: map[event.HostStatus]int{event.HostOK: 1, event.HostFailed: 1}}))
	want := "step.file.link cannot be planned: /etc/mtab is a symbolic link (server.hcl:5)"
	if n := strings.Count(out.String(), want); n != 1 || strings.Count(out.String(), "cannot be planned") != 1 {
		t.Errorf("%d times %q:\n%s", n, want, &out)
	}
}

// What is planned anew in an apply and cannot be, the progress tells at once; a state that has moved is no failure.
func TestProgressOfUnplanned(t *testing.T) {
	v := &verdicts{style: unicodeStyle, output: newLineSplitter()}
	if got := v.lines(sampleEvent("web1", linkFailure())); len(got) > 0 {
		t.Errorf("the plan shows it, and the progress as well: %q", got)
	}
	v.lines(sampleEvent("web1", event.HostPlanned{}))
	got := strings.Join(v.lines(sampleEvent("web1", linkFailure())), "\n")
	for _, want := range []string{"✗ web1  step.file.link  cannot be planned", "server.hcl:5", "/etc/mtab is a symbolic link", "name the path"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing:\n%s", want, got)
		}
	}
	if got := v.lines(sampleEvent("web1", event.StepEnd{Addr: "step.a.b", Status: event.StepStale, Reason: "it changed"})); len(got) > 0 {
		t.Errorf("a step that is planned anew is told as a failure: %q", got)
	}
}
