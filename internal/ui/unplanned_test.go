package ui

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"provision/internal/engine"
	"provision/internal/steps"
)

// linkFailure is a step that cannot be planned, as the engine tells of it.
func linkFailure() engine.PlanStep {
	return engine.PlanStep{
		Addr: "step.file.link", Kind: "file", Source: at(5, `step "file" "link" {`), Action: steps.Unknown,
		Error: &engine.Failure{Message: "/etc/mtab is a symbolic link", Hint: "name the path that it leads to"},
	}
}

func converged(n int) []engine.PlanStep {
	list := make([]engine.PlanStep, n)
	for i := range list {
		list[i] = engine.PlanStep{Addr: fmt.Sprintf("step.file.f%d", i), Kind: "file", Action: steps.NoOp}
	}
	return list
}

// unplannedHost is a host whose plan failed because of one of its steps.
func unplannedHost(host string, list ...engine.PlanStep) []engine.Event {
	return append(plannedHost(host, list), event(host, engine.HostEnd{Status: engine.HostFailed, Message: "step.file.link cannot be planned", BySteps: true, Planning: true}))
}

// A step that cannot be planned is in every form of a plan with its place and its reason, once, and no form calls its host
// unchanged.
func TestUnplannedStepEverywhere(t *testing.T) {
	made := engine.PlanStep{Addr: "step.file.made", Kind: "file", Source: at(9, `step "file" "made" {`), Action: steps.Create}
	alone := unplannedHost("web1", append(converged(2), linkFailure())...)
	beside := unplannedHost("web1", append(converged(2), made, linkFailure())...)
	var fleet []engine.Event
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
		events  []engine.Event
		summary string
	}{
		"alone":     {alone, "1 of 3 steps cannot be planned. Apply changes nothing on web1 until that is fixed."},
		"beside":    {beside, "Plan: 1 to create, 2 unchanged. 1 of 4 steps cannot be planned. Apply changes nothing on web1 until that is fixed."},
		"fleet":     {fleet, "Plan: 2 to create, 14 unchanged on 2 of 6 hosts. 2 of 18 steps cannot be planned on web1, web2. Apply changes nothing on web1, web2 until that is fixed."},
		"tolerated": {tolerated, "1 of 3 steps cannot be planned."},
	} {
		t.Run(name, func(t *testing.T) {
			events := append([]engine.Event{event("", engine.RunStart{Schema: 1, Command: engine.CommandPlan, Playbook: "server.hcl"})}, test.events...)
			events = append(events, event("", engine.RunEnd{Status: "failed", Exit: 1}))
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
	list := []engine.PlanStep{{Addr: "step.command.once", Action: steps.Execute}}
	end := engine.HostEnd{Status: engine.HostFailed, Message: "an earlier run began step.command.once and was cut off", Planning: true}
	got := planText(t, unicodeStyle, false, append(plannedHost("web1", list), event("web1", end))...)
	for _, want := range []string{"web1  failed: an earlier run began step.command.once", "Plan: 1 to run. Apply changes nothing on web1 until that is fixed."} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing:\n%s", want, got)
		}
	}
	// What happens in the apply is no matter of the plan, as a record shows it.
	end.Planning = false
	got = planText(t, unicodeStyle, false, append(plannedHost("web1", list), event("web1", end))...)
	if strings.Contains(got, "failed") {
		t.Errorf("the plan tells of the apply:\n%s", got)
	}
}

// In the summary of an apply a step that cannot be planned has its reason; one that could be planned in the end has none.
func TestSummaryOfUnplanned(t *testing.T) {
	var out bytes.Buffer
	s := NewSummary(&out, unicodeStyle)
	feed(s, event("", engine.RunStart{Command: engine.CommandApply}))
	feed(s, unplannedHost("web1", linkFailure())...)
	fixed := linkFailure()
	feed(s, event("web2", fixed))
	fixed.Error, fixed.Action = nil, steps.Create
	feed(s, event("web2", fixed), event("web2", engine.HostEnd{Status: engine.HostOK}))
	feed(s, event("", engine.RunEnd{Status: "failed", Exit: 1, Totals: map[engine.HostStatus]int{engine.HostOK: 1, engine.HostFailed: 1}}))
	want := "step.file.link cannot be planned: /etc/mtab is a symbolic link (server.hcl:5)"
	if n := strings.Count(out.String(), want); n != 1 || strings.Count(out.String(), "cannot be planned") != 1 {
		t.Errorf("%d times %q:\n%s", n, want, &out)
	}
}

// What is planned anew in an apply and cannot be, the progress tells at once; a state that has moved is no failure.
func TestProgressOfUnplanned(t *testing.T) {
	v := &verdicts{style: unicodeStyle, output: newLineSplitter()}
	if got := v.lines(event("web1", linkFailure())); len(got) > 0 {
		t.Errorf("the plan shows it, and the progress as well: %q", got)
	}
	v.lines(event("web1", engine.HostPlanned{}))
	got := strings.Join(v.lines(event("web1", linkFailure())), "\n")
	for _, want := range []string{"✗ web1  step.file.link  cannot be planned", "server.hcl:5", "/etc/mtab is a symbolic link", "name the path"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing:\n%s", want, got)
		}
	}
	if got := v.lines(event("web1", engine.StepEnd{Addr: "step.a.b", Status: engine.StepStale, Reason: "it changed"})); len(got) > 0 {
		t.Errorf("a step that is planned anew is told as a failure: %q", got)
	}
}
