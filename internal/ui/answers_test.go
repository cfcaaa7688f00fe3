package ui

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"provision/internal/event"
)

// answered feeds the events of a run of one command to an Answers and returns it with what it wrote.
func answered(t *testing.T, s Style, totals map[event.HostStatus]int, events ...event.Event) (*Answers, string) {
	t.Helper()
	var buf bytes.Buffer
	a := NewAnswers(&buf, s)
	feed(a, sampleEvent("", event.RunStart{Command: event.CommandRun, Hosts: len(events)}))
	feed(a, events...)
	end := event.RunEnd{Status: "ok", Totals: totals, Duration: ms(2100)}
	if totals[event.HostFailed] > 0 {
		end.Status, end.Exit = "failed", 1
	}
	feed(a, sampleEvent("", end))
	if err := a.Err(); err != nil {
		t.Fatal(err)
	}
	return a, buf.String()
}

// ran are the events of a host that printed something and ended.
func ran(host, stdout, stderr string, exit int) []event.Event {
	var events []event.Event
	for _, out := range []event.StepOutput{
		{Addr: "run", Stream: event.StreamStdout, Text: stdout}, {Addr: "run", Stream: event.StreamStderr, Text: stderr},
	} {
		if out.Text != "" {
			events = append(events, sampleEvent(host, out))
		}
	}
	step := event.StepEnd{Addr: "run", Status: event.StepChanged}
	end := event.HostEnd{Status: event.HostOK, Duration: ms(400)}
	if exit != 0 {
		message := fmt.Sprintf("exit status %d", exit)
		step.Status, step.Error = event.StepFailed, &event.Failure{Message: message, Exit: exit}
		end.Status, end.Message = event.HostFailed, message
	}
	return append(events, sampleEvent(host, step), sampleEvent(host, end))
}

// Hosts with the same answer stand together, what went wrong comes last, and nothing that a host sent steers the terminal.
func TestAnswersOfFleet(t *testing.T) {
	var events []event.Event
	events = append(events, ran("db1", "", "df: /data: No such file\n", 1)...)
	for i := 1; i <= 18; i++ {
		events = append(events, ran(fmt.Sprintf("web%02d", i), "up 3 days\nload\t0.1\n", "", 0)...)
	}
	events = append(events, ran("web19", "up 4 days\r\nno line break", "a warning\n", 0)...)
	events = append(events, ran("db2", "", "df: /data: No such file\n", 1)...)
	events = append(events, ran("evil", "\x1b]0;title\x07\u202ebidi\xff\n", "", 2)...)
	events = append(
		events,
		sampleEvent("gone", event.HostUnreachable{Phase: "connect", Message: "connect: connection refused", Hint: "is sshd running?"}),
		sampleEvent("gone", event.HostEnd{Status: event.HostUnreached, Message: "connect: connection refused", Duration: ms(30)}),
		sampleEvent("late1", event.HostEnd{Status: event.HostNotReached, Message: "the run was stopped before its turn"}),
		sampleEvent("late2", event.HostEnd{Status: event.HostNotReached, Message: "the run was stopped before its turn"}),
		sampleEvent("silent", event.HostEnd{Status: event.HostOK, Duration: ms(400)}),
	)
	totals := map[event.HostStatus]int{event.HostOK: 20, event.HostFailed: 3, event.HostUnreached: 1, event.HostNotReached: 2}
	_, text := answered(t, unicodeStyle, totals, events...)
	golden(t, "answers_fleet.txt", text)
}

// The order of chunks, and how the two streams mix, is chance and tells no hosts apart.
func TestAnswersDoNotDependOnTiming(t *testing.T) {
	chunk := func(host, stream, text string) event.Event {
		return sampleEvent(host, event.StepOutput{Addr: "run", Stream: stream, Text: text})
	}
	_, text := answered(
		t, unicodeStyle, nil,
		chunk("a", event.StreamStdout, "one\ntwo\n"), chunk("a", event.StreamStderr, "err\n"), chunk("b", event.StreamStderr, "er"),
		chunk("b", event.StreamStdout, "one\n"), chunk("b", event.StreamStderr, "r\n"), chunk("b", event.StreamStdout, "two\n"),
		sampleEvent("a", event.HostEnd{Status: event.HostOK}), sampleEvent("b", event.HostEnd{Status: event.HostOK}),
	)
	if !strings.Contains(text, "2 hosts: a, b") {
		t.Errorf("one answer became two:\n%s", text)
	}
}

// Of endless output the beginning is kept, the rest is counted, and a difference in that rest still counts.
func TestAnswersAreBounded(t *testing.T) {
	line := strings.Repeat("x", 1023) + "\n"
	var events []event.Event
	for i, host := range []string{"a", "b", "c"} {
		for range 3000 {
			events = append(events, sampleEvent(host, event.StepOutput{Addr: "run", Stream: event.StreamStdout, Text: line}))
		}
		last := "same\n"
		if i == 2 {
			last = "else\n"
		}
		events = append(events, ran(host, last, "", 0)...)
	}
	a, text := answered(t, unicodeStyle, nil, events...)
	if !a.Partial() || !strings.Contains(text, "[1.9 MiB more]") || !strings.Contains(text, "2 hosts: a, b") || !strings.Contains(text, "✓ c") {
		t.Errorf("%d bytes: %.100s … %s", len(text), text, text[len(text)-200:])
	}
	if a.kept != 2*answerBytes {
		t.Errorf("%d bytes kept for two answers", a.kept)
	}
}

// Many hosts with long answers of their own do not add up without bound.
func TestAnswersAreBoundedTogether(t *testing.T) {
	a := NewAnswers(&bytes.Buffer{}, unicodeStyle)
	long := strings.Repeat("y", answerBytes)
	const hosts = 100
	for i := range hosts {
		feed(a, ran(fmt.Sprintf("h%d", i), long, fmt.Sprint(i), 0)...)
	}
	most := answersBytes + hosts*answerHead
	total := 0
	for _, g := range a.groups {
		total += cap(g.answer.stdout.text) + cap(g.answer.stderr.text)
	}
	if len(a.groups) != hosts || a.kept > most || total > most+hosts*1024 {
		t.Errorf("%d answers, %d bytes kept, %d held", len(a.groups), a.kept, total)
	}
}
