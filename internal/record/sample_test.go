package record

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"provision/internal/engine"
	"provision/internal/steps"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var epoch = time.Date(2024, 5, 17, 9, 30, 0, 0, time.UTC)

func event(host string, p engine.Payload) engine.Event {
	return engine.Event{Time: epoch, Run: "20240517-093000-ab12", Host: host}.With(p)
}

func printed(host, text string) engine.Event {
	return event(host, &engine.StepOutput{Addr: "step.a.b", Stream: engine.StreamStdout, Text: text})
}

func feed(to engine.Sink, events ...engine.Event) {
	for _, e := range events {
		to.Event(e)
	}
}

// A heard is a Sink that remembers.
type heard struct{ events []engine.Event }

func (h *heard) Event(e engine.Event) { h.events = append(h.events, e) }

// lines renders the events of one host for its log.
func lines() func(engine.Event) []string {
	return func(e engine.Event) []string {
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
func applyOf(hosts int) []engine.Event {
	events := []engine.Event{event("", &engine.RunStart{Schema: 1, Command: engine.CommandApply, Hosts: hosts})}
	for i := range hosts {
		name := fmt.Sprintf("web%02d", i+1)
		end := &engine.HostEnd{Status: engine.HostOK, Counts: engine.Counts{"changed": 1}, Duration: engine.Millis(62 * time.Second)}
		if i == 1 {
			end = &engine.HostEnd{Status: engine.HostFailed}
		}
		events = append(
			events, event(name, engine.HostConnecting{}),
			event(name, &engine.StepStart{Addr: "step.a.b", Action: steps.Create, Number: 1, Of: 1}), printed(name, "one\n10%\r"), printed(name, "two\n"),
			event(name, &engine.StepEnd{Addr: "step.a.b", Action: steps.Create, Status: engine.StepChanged}),
			event(name, end),
		)
	}
	return append(events, event("", &engine.RunEnd{Status: "failed", Exit: 1, Duration: engine.Millis(62 * time.Second)}))
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
