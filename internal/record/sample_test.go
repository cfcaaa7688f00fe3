package record

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"provision/internal/event"
	"provision/internal/steps"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var epoch = time.Date(2024, 5, 17, 9, 30, 0, 0, time.UTC)

func sampleEvent(host string, p event.Payload) event.Event {
	return event.Event{Time: epoch, Run: "20240517-093000-ab12", Host: host}.With(p)
}

func printed(host, text string) event.Event {
	return sampleEvent(host, &event.StepOutput{Addr: "step.a.b", Stream: event.StreamStdout, Text: text})
}

func feed(to event.Sink, events ...event.Event) {
	for _, e := range events {
		to.Event(e)
	}
}

// A heard is a Sink that remembers.
type heard struct{ events []event.Event }

func (h *heard) Event(e event.Event) { h.events = append(h.events, e) }

// lines renders the events of one host for its log.
func lines() func(event.Event) []string {
	return func(e event.Event) []string {
		switch {
		case e.StepOutput != nil:
			return []string{e.StepOutput.Text}
		case e.StepEnd != nil:
			return []string{e.StepEnd.Addr + " " + string(e.StepEnd.Status)}
		case e.Warning != nil:
			return []string{e.Warning.Message}
		}
		return nil
	}
}

// applyOf is an apply on hosts, of which all but the second end well.
func applyOf(hosts int) []event.Event {
	events := []event.Event{sampleEvent("", &event.RunStart{Schema: 1, Command: event.CommandApply, Hosts: hosts})}
	for i := range hosts {
		name := fmt.Sprintf("web%02d", i+1)
		end := &event.HostEnd{Status: event.HostOK, Counts: event.Counts{"changed": 1}, Duration: event.Millis(62 * time.Second)}
		if i == 1 {
			end = &event.HostEnd{Status: event.HostFailed}
		}
		events = append(
			events, sampleEvent(name, event.HostConnecting{}),
			sampleEvent(name, &event.StepStart{Addr: "step.a.b", Action: steps.Create, Number: 1, Of: 1}), printed(name, "one\n10%\r"), printed(name, "two\n"),
			sampleEvent(name, &event.StepEnd{Addr: "step.a.b", Action: steps.Create, Status: event.StepChanged}),
			sampleEvent(name, end),
		)
	}
	return append(events, sampleEvent("", &event.RunEnd{Status: "failed", Exit: 1, Duration: event.Millis(62 * time.Second)}))
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
