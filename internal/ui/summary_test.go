package ui

import (
	"bytes"
	"fmt"
	"testing"

	"provision/internal/engine"
	"provision/internal/steps"
)

func summary(t *testing.T, s Style, events ...engine.Event) string {
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
		event("", engine.RunStart{Command: engine.CommandApply, Hosts: 1}),
		event("web1", engine.CheckEnd{Name: "site", OK: true}),
		event("web1", engine.HostEnd{
			Status: engine.HostOK, Counts: engine.Counts{"changed": 3, "unchanged": 25}, Duration: ms(72000),
		}),
		event("", engine.RunEnd{Status: "ok", Totals: map[engine.HostStatus]int{engine.HostOK: 1}, Duration: ms(72000)}),
	))
}

// Failed and unreachable are different things, and who did well takes one line.
func TestSummaryOfFleet(t *testing.T) {
	events := []engine.Event{event("", engine.RunStart{Command: engine.CommandApply, Hosts: 50})}
	for i := 1; i <= 50; i++ {
		host := fmt.Sprintf("web%02d", i)
		end := engine.HostEnd{Status: engine.HostOK, Counts: engine.Counts{"changed": 3, "unchanged": 25}, Duration: ms(70000 + i)}
		switch {
		case i == 3 || i == 12:
			events = append(events, event(host, engine.StepEnd{
				Addr: "step.command.migrate", Source: at(30, ""), Status: engine.StepFailed,
				Error: &engine.Failure{Message: "exit status 1", Exit: 1},
			}))
			end = engine.HostEnd{Status: engine.HostFailed, Counts: engine.Counts{"failed": 1, "unchanged": 12}, Duration: ms(8000)}
		case i == 20:
			end = engine.HostEnd{Status: engine.HostUnreached, Message: "connection refused", Duration: ms(30)}
		case i == 21:
			end = engine.HostEnd{Status: engine.HostIsLocked, Message: "locked by ann@laptop since 09:12"}
		case i > 40:
			end = engine.HostEnd{Status: engine.HostNotReached, Message: "too many hosts failed"}
		}
		events = append(events, event(host, end))
	}
	events = append(events, event("", engine.RunEnd{
		Status: "failed", Exit: 1, Duration: ms(95000), Next: "provision resume 20240517-093000-ab12",
		Totals: map[engine.HostStatus]int{
			engine.HostOK: 36, engine.HostFailed: 2, engine.HostUnreached: 1, engine.HostIsLocked: 1, engine.HostNotReached: 10,
		},
	}))
	golden(t, "summary_fleet.txt", summary(t, unicodeStyle, events...))
	golden(t, "summary_fleet_ascii.txt", summary(t, Style{}, events...))
}

func TestSummaryIsSilentAboutPlans(t *testing.T) {
	got := summary(
		t, unicodeStyle, event("", engine.RunStart{Command: engine.CommandPlan}),
		event("web1", engine.HostEnd{Status: engine.HostOK}), event("", engine.RunEnd{Status: "ok"}),
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
	for _, e := range append(sampleStream(evil), event(evil, engine.StepEnd{
		Addr: evil, Status: engine.StepNotConverged, Diff: []steps.Attr{{Name: evil, Before: evil, After: "x"}},
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
	for _, e := range []engine.StepEnd{
		{
			Addr: "step.command.migrate", Source: at(30, `  step "command" "migrate" {`), Status: engine.StepFailed, Duration: ms(1200),
			Error: &engine.Failure{
				Message: "the command failed", Command: "cd /srv/app\npython manage.py migrate", Exit: 1, Output: output + "10%\r99%\r\n",
				Hint: "mend it, then: provision apply --limit web1",
			},
		},
		{
			Addr: "step.file.motd", Source: at(20, `step "file" "motd" {`), Status: engine.StepNotConverged, Duration: ms(90),
			Error: &engine.Failure{Message: "the file differs again after it was written", Hint: "look for what else writes it"},
			Diff:  []steps.Attr{{Name: "mode", Before: "0600", After: "0644"}},
		},
		{Addr: "step.user.app", Source: at(9, `step "user" "app" {`), Status: engine.StepStale, Reason: "the user was made by somebody else"},
	} {
		for _, l := range v.lines(event("web1", e)) {
			text += l + "\n"
		}
	}
	golden(t, "failures.txt", text)
}
