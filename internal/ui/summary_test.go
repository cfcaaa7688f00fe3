package ui

import (
	"bytes"
	"fmt"
	"testing"

	"provision/internal/event"
	"provision/internal/steps"
)

func summary(t *testing.T, s Style, events ...event.Event) string {
	t.Helper()
	var buf bytes.Buffer
	sink := NewSummary(&buf, s)
	feed(sink, events...)
	if err := sink.Err(); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

func TestSummaryOfOneHost(t *testing.T) {
	golden(t, "summary_one.txt", summary(
		t, unicodeStyle,
		sampleEvent("", event.RunStart{Command: event.CommandApply, Hosts: 1}),
		sampleEvent("web1", event.CheckEnd{Name: "site", OK: true}),
		sampleEvent("web1", event.HostEnd{
			Status: event.HostOK, Counts: event.Counts{"changed": 3, "unchanged": 25}, Duration: ms(72000),
		}),
		sampleEvent("", event.RunEnd{Status: "ok", Totals: map[event.HostStatus]int{event.HostOK: 1}, Duration: ms(72000)}),
	))
}

// Failed and unreachable are different things, and who did well takes one line.
func TestSummaryOfFleet(t *testing.T) {
	events := []event.Event{sampleEvent("", event.RunStart{Command: event.CommandApply, Hosts: 50})}
	for i := 1; i <= 50; i++ {
		host := fmt.Sprintf("web%02d", i)
		end := event.HostEnd{Status: event.HostOK, Counts: event.Counts{"changed": 3, "unchanged": 25}, Duration: ms(70000 + i)}
		switch {
		case i == 3 || i == 12:
			events = append(events, sampleEvent(host, event.StepEnd{
				Addr: "step.command.migrate", Source: at(30, ""), Status: event.StepFailed,
				Error: &event.Failure{Message: "exit status 1", Exit: 1},
			}))
			end = event.HostEnd{Status: event.HostFailed, Counts: event.Counts{"failed": 1, "unchanged": 12}, Duration: ms(8000)}
		case i == 20:
			end = event.HostEnd{Status: event.HostUnreached, Message: "connection refused", Duration: ms(30)}
		case i == 21:
			end = event.HostEnd{Status: event.HostIsLocked, Message: "locked by ann@laptop since 09:12"}
		case i > 40:
			end = event.HostEnd{Status: event.HostNotReached, Message: "too many hosts failed"}
		}
		events = append(events, sampleEvent(host, end))
	}
	events = append(events, sampleEvent("", event.RunEnd{
		Status: "failed", Exit: 1, Duration: ms(95000), Next: "provision resume 20240517-093000-ab12",
		Totals: map[event.HostStatus]int{
			event.HostOK: 36, event.HostFailed: 2, event.HostUnreached: 1, event.HostIsLocked: 1, event.HostNotReached: 10,
		},
	}))
	golden(t, "summary_fleet.txt", summary(t, unicodeStyle, events...))
	golden(t, "summary_fleet_ascii.txt", summary(t, Style{}, events...))
}

func TestSummaryIsSilentAboutPlans(t *testing.T) {
	got := summary(
		t, unicodeStyle, sampleEvent("", event.RunStart{Command: event.CommandPlan}),
		sampleEvent("web1", event.HostEnd{Status: event.HostOK}), sampleEvent("", event.RunEnd{Status: "ok"}),
	)
	if got != "" {
		t.Errorf("it says %q", got)
	}
}

// What a host says ends as text here too.
func TestSummaryOfHostileText(t *testing.T) {
	evil := "\x1b[2J\u202e\r\n"
	text := summary(t, unicodeStyle, sampleStream(evil)...)
	if Clean(text) != text {
		t.Errorf("controls: %q", text)
	}
	v := &verdicts{style: unicodeStyle, verbose: true, output: newLineSplitter()}
	for _, e := range append(sampleStream(evil), sampleEvent(evil, event.StepEnd{
		Addr: evil, Status: event.StepNotConverged, Diff: []steps.Attr{{Name: evil, Before: evil, After: "x"}},
	})) {
		for _, l := range v.lines(e) {
			if Line(l) != l {
				t.Errorf("%s: controls in %q", e.Type, l)
			}
		}
	}
}

func TestFailureBlock(t *testing.T) {
	output := ""
	for i := range 50 {
		output += fmt.Sprintf("line %d\n", i+1)
	}
	v := &verdicts{style: unicodeStyle, output: newLineSplitter()}
	text := ""
	for _, e := range []event.StepEnd{
		{
			Addr: "step.command.migrate", Source: at(30, `  step "command" "migrate" {`), Status: event.StepFailed, Duration: ms(1200),
			Error: &event.Failure{
				Message: "the command failed", Command: "cd /srv/app\npython manage.py migrate", Exit: 1, Output: output + "10%\r99%\r\n",
				Hint: "mend it, then: provision apply --limit web1",
			},
		},
		{
			Addr: "step.file.motd", Source: at(20, `step "file" "motd" {`), Status: event.StepNotConverged, Duration: ms(90),
			Error: &event.Failure{Message: "the file differs again after it was written", Hint: "look for what else writes it"},
			Diff:  []steps.Attr{{Name: "mode", Before: "0600", After: "0644"}},
		},
		{Addr: "step.user.app", Source: at(9, `step "user" "app" {`), Status: event.StepStale, Reason: "the user was made by somebody else"},
	} {
		for _, l := range v.lines(sampleEvent("web1", e)) {
			text += l + "\n"
		}
	}
	golden(t, "failures.txt", text)
}
