package ui

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"provision/internal/event"
	"provision/internal/steps"
)

func TestPlanOfOneHost(t *testing.T) {
	events := plannedHost("web1", serverSteps())
	golden(t, "plan_one.txt", planText(t, unicodeStyle, false, events...))
	golden(t, "plan_one_detail.txt", planText(t, unicodeStyle, true, events...))
	golden(t, "plan_one_ascii_60.txt", planText(t, Style{Width: 60}, false, events...))
	golden(t, "plan_one_accessible.txt", planText(t, Style{Unicode: true, Accessible: true}, false, events...))
	golden(t, "plan_one_color.txt", planText(t, Style{Unicode: true, Color: true}, false, events...))
}

func TestPlanWithoutChanges(t *testing.T) {
	converged := make([]event.PlanStep, 30)
	for i := range converged {
		converged[i] = event.PlanStep{Addr: fmt.Sprintf("step.file.f%d", i), Action: steps.NoOp}
	}
	one := planText(t, unicodeStyle, false, plannedHost("web1", converged)...)
	if want := "No changes. web1 is as the playbook says (30 steps checked in 0.4 s).\n"; one != want {
		t.Errorf("one host: %q, want %q", one, want)
	}
	var events []event.Event
	for i := range 50 {
		events = append(events, plannedHost(fmt.Sprintf("web%02d", i+1), converged)...)
	}
	fleet := planText(t, unicodeStyle, false, events...)
	if want := "No changes. 50 hosts are as the playbook says (1500 steps checked in 0.4 s).\n"; fleet != want {
		t.Errorf("fleet: %q, want %q", fleet, want)
	}
	// A host that nobody saw is no host without changes.
	events = append(events, sampleEvent("web51", event.HostUnreachable{Phase: "connect", Message: "connection refused"}))
	fleet = planText(t, unicodeStyle, false, events...)
	if !strings.Contains(fleet, "web51  unreachable: connection refused") || !strings.Contains(fleet, "No plan for web51.") {
		t.Errorf("an unreachable host is missing:\n%s", fleet)
	}
}

// fleetEvents are fifty hosts: most alike, some that need one thing more, some converged, one
// that is quite different, one down.
func fleetEvents() []event.Event {
	var events []event.Event
	for i := 1; i <= 50; i++ {
		host := fmt.Sprintf("web%02d", i)
		list := serverSteps()
		switch {
		case i == 7:
			list[2].Diff[0].Before = "0600"
		case i == 9:
			list[1].Action, list[1].Diff = steps.NoOp, nil
		case i >= 20 && i <= 24:
			for j := range list {
				list[j] = event.PlanStep{Addr: list[j].Addr, Source: list[j].Source, Action: steps.NoOp}
			}
		case i == 30:
			list = []event.PlanStep{list[0], {
				Addr: "step.file.motd", Source: at(20, ""), Action: steps.Create,
				Diff: []steps.Attr{{Name: "content", After: "new\n", BeforeMissing: true}},
			}}
		case i == 50:
			events = append(events, sampleEvent(host, event.HostUnreachable{
				Phase: "connect", Message: "connect to 203.0.113.50:22: no route to host", Hint: "is it up?",
			}))
			continue
		}
		events = append(events, plannedHost(host, list)...)
	}
	return events
}

func TestPlanOfFleet(t *testing.T) {
	golden(t, "plan_fleet.txt", planText(t, unicodeStyle, false, fleetEvents()...))
	// On a screen, sentences break between words.
	golden(t, "plan_fleet_80.txt", planText(t, Style{Unicode: true, Width: 80}, false, fleetEvents()...))
}

// What a host says must never be control, whether in names, values, texts or reasons.
func TestPlanOfHostileText(t *testing.T) {
	evil := "a\x1b]0;owned\x07b\u202ec\u009bd\xffe\rf\x00"
	list := []event.PlanStep{{
		Addr: `step.file.x["` + evil + `"]`, Kind: evil, Source: event.Source{File: evil, Line: 1, Text: evil},
		Action: steps.Update, Reason: evil, After: []string{evil}, Dangers: []string{evil}, Events: []string{evil},
		Diff: []steps.Attr{
			{Name: evil, Before: evil, After: "x"},
			{Name: "content", Before: "a\n" + evil + "\n", After: "a\nb\n"},
		},
	}}
	events := append(plannedHost("web"+evil, list), sampleEvent("db"+evil, event.HostUnreachable{Message: evil}))
	text := planText(t, unicodeStyle, true, events...)
	golden(t, "plan_hostile.txt", text)
	if Clean(text) != text {
		t.Errorf("the text holds controls: %q", text)
	}
}

// A file of one long line, such as JSON, is not written out; what differs in it is seen all the same.
func TestPlanCutsLongLines(t *testing.T) {
	long := strings.Repeat("0123456789", 1<<10)
	list := []event.PlanStep{{
		Addr: "step.file.x", Action: steps.Update,
		Diff: []steps.Attr{
			{Name: "content", Before: long + "old" + long + "\ncontext\n" + long + "\n", After: long + "new" + long + "\ncontext\n" + long + "\n"},
		},
	}}
	text := planText(t, unicodeStyle, false, plannedHost("web1", list)...)
	for _, line := range strings.Split(text, "\n") {
		if width(line) > maxDiffWidth+20 {
			t.Errorf("a line of %d columns", width(line))
		}
	}
	for _, want := range []string{"- …", "789old012", "+ …", "789new012", "… (10.0 KiB)"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the plan:\n%s", want, text)
		}
	}
	if detail := planText(t, unicodeStyle, true, plannedHost("web1", list)...); !strings.Contains(detail, long+"new"+long) {
		t.Errorf("the line is cut with --detail too: %d bytes", len(detail))
	}
}

// What is deleted is named, also where the kind has no word of warning.
func TestPlanNamesWhatItDeletes(t *testing.T) {
	list := []event.PlanStep{{
		Addr: "step.symlink.l", Action: steps.Delete, Diff: []steps.Attr{{Name: "path", Before: "/srv/l", AfterMissing: true}},
	}}
	text := planText(t, unicodeStyle, false, plannedHost("web1", list)...)
	if !strings.Contains(text, "step.symlink.l: deletes path /srv/l\n") {
		t.Errorf("what is deleted is not named:\n%s", text)
	}
}

func TestPlanChanges(t *testing.T) {
	p := NewPlan()
	feed(p, plannedHost("web1", serverSteps())...)
	if got := p.Changes(); got != 6 {
		t.Errorf("%d changes, want 6", got)
	}
	// A step that is planned anew counts once.
	p.Event(sampleEvent("web1", event.PlanStep{Addr: "step.compose.site", Action: steps.NoOp}))
	if got := p.Changes(); got != 5 {
		t.Errorf("%d changes after planning one anew, want 5", got)
	}
}

func markdown(t *testing.T, limit int, events ...event.Event) string {
	t.Helper()
	p := NewPlan()
	feed(p, events...)
	var buf bytes.Buffer
	if err := p.Markdown(&buf, limit); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

func TestMarkdown(t *testing.T) {
	start := sampleEvent("", event.RunStart{Command: event.CommandPlan, Playbook: "server.hcl", Hosts: 1})
	golden(t, "plan_one.md", markdown(t, 0, append([]event.Event{start}, plannedHost("web1", serverSteps())...)...))
}

func TestMarkdownIsBounded(t *testing.T) {
	long := strings.Repeat("another line of a long file\n", 30)
	var list []event.PlanStep
	for i := range 300 {
		list = append(list, event.PlanStep{
			Addr: fmt.Sprintf("step.file.f%d", i), Action: steps.Update, Dangers: []string{strings.Repeat("d", 500)},
			Diff: []steps.Attr{{Name: "content", Before: fmt.Sprintf("%d\n", i), After: long}},
		})
	}
	events := plannedHost("web1", list)
	for _, limit := range []int{0, 2000, 20000} {
		text := markdown(t, limit, events...)
		bound := limit
		if bound == 0 {
			bound = MarkdownLimit
		}
		if len(text) > bound {
			t.Errorf("limit %d: %d bytes", bound, len(text))
		}
		if !strings.HasPrefix(text, "### Plan: 300 to change") || !strings.Contains(text, "did not fit") {
			t.Errorf("limit %d: no summary, or no word of what is missing:\n%.300s", bound, text)
		}
	}
}

// Content must not end the fence that it is in: what follows would be markup of its own.
func TestMarkdownFence(t *testing.T) {
	list := []event.PlanStep{{
		Addr: "step.file.x", Action: steps.Create,
		Diff: []steps.Attr{{Name: "content", After: "```\n# owned <b>\n````\n", BeforeMissing: true}},
	}}
	text := markdown(t, 0, plannedHost("web<1>", list)...)
	if !strings.Contains(text, "`````diff\n") || strings.Count(text, "`````") != 2 {
		t.Errorf("the fence is not longer than what is in it:\n%s", text)
	}
	if !strings.Contains(text, "web&lt;1&gt;") {
		t.Errorf("the host's name is markup:\n%s", text)
	}
}

// TestPlanOfHostsWithNamesOfTheirOwn: a file with the host's name in it makes no host an odd one out; one that really is odd stays so.
func TestPlanOfHostsWithNamesOfTheirOwn(t *testing.T) {
	var events []event.Event
	for i := 1; i <= 500; i++ {
		host := fmt.Sprintf("web%03d", i)
		list := []event.PlanStep{
			{Addr: "step.file.hostname", Kind: "file", Source: at(20, ""), Action: steps.Update, Diff: []steps.Attr{{Name: "content", Before: "localhost\n", After: host + "\n"}}},
			{Addr: "step.file.motd", Kind: "file", Source: at(30, ""), Action: steps.Create, Diff: []steps.Attr{{Name: "mode", After: "0644", BeforeMissing: true}}},
		}
		if i == 77 {
			list[1].Diff[0].After = "0600"
		}
		events = append(events, plannedHost(host, list)...)
	}
	golden(t, "plan_own_names.txt", planText(t, unicodeStyle, false, events...))
	if detail := planText(t, unicodeStyle, true, events...); strings.Count(detail, "+ web") != 500 {
		t.Errorf("--detail shows %d of 500", strings.Count(detail, "+ web"))
	}
}
