package engine

import (
	"testing"

	"provision/internal/event"
)

// Which status a run ends with where hosts ended in several ways.
func TestExitStatusesHaveAnOrder(t *testing.T) {
	for _, test := range []struct {
		hosts []event.HostStatus
		want  int
	}{
		{[]event.HostStatus{event.HostOK, event.HostSkipped}, 0},
		{[]event.HostStatus{event.HostOK, event.HostUnreached}, 3},
		{[]event.HostStatus{event.HostUnreached, event.HostIsLocked}, 4},
		{[]event.HostStatus{event.HostUnreached, event.HostStale, event.HostNotReached}, 4},
		{[]event.HostStatus{event.HostFailed, event.HostUnreached}, 1},
		{[]event.HostStatus{event.HostFailed, event.HostIsLocked, event.HostStale}, 1},
		{[]event.HostStatus{event.HostOK, event.HostNotReached}, 1},
		{[]event.HostStatus{event.HostInterrupted, event.HostFailed, event.HostIsLocked}, 130},
	} {
		run := &Run{Command: event.CommandApply, Sink: &recorder{}}
		for _, status := range test.hosts {
			run.hosts = append(run.hosts, &hostRun{run: run, outcome: status})
		}
		if got := run.Close(); got != test.want {
			t.Errorf("%v: %d, want %d", test.hosts, got, test.want)
		}
	}
}
