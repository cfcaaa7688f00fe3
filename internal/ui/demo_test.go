package ui

import (
	"os"
	"strconv"
	"testing"
	"time"

	"provision/internal/event"
)

// TestDemo shows a person what all of it looks like: DEMO=1 with the compiled test on a
// terminal (go test -c), DEMO=v for -v, DEMO_HOSTS for how many.
func TestDemo(t *testing.T) {
	if os.Getenv("DEMO") == "" {
		t.Skip("set DEMO=1 to see it")
	}
	term := NewTerminal(os.Stdout, false, os.Getenv)
	plan := NewPlan()
	feed(plan, fleetEvents()...)
	if err := plan.Text(os.Stdout, term.Style, false); err != nil {
		t.Fatal(err)
	}
	hosts := 20
	if n, err := strconv.Atoi(os.Getenv("DEMO_HOSTS")); err == nil {
		hosts = n
	}
	events := applyOf(hosts)
	sink := event.Tee(
		NewProgress(term, ProgressOptions{Verbose: os.Getenv("DEMO") == "v"}), NewSummary(os.Stdout, term.Style),
	)
	for _, e := range events {
		if e.RunEnd != nil {
			e.RunEnd = &event.RunEnd{
				Status: "failed", Exit: 1, Duration: ms(62000), Next: "provision resume 20240517-093000-ab12",
				Totals: map[event.HostStatus]int{event.HostOK: hosts - 1, event.HostFailed: 1},
			}
		}
		sink.Event(e)
		time.Sleep(80 * time.Millisecond)
	}
}
