package engine

import "testing"

// Which status a run ends with where hosts ended in several ways.
func TestExitStatusesHaveAnOrder(t *testing.T) {
	for _, test := range []struct {
		hosts []HostStatus
		want  int
	}{
		{[]HostStatus{HostOK, HostSkipped}, 0},
		{[]HostStatus{HostOK, HostUnreached}, 3},
		{[]HostStatus{HostUnreached, HostIsLocked}, 4},
		{[]HostStatus{HostUnreached, HostStale, HostNotReached}, 4},
		{[]HostStatus{HostFailed, HostUnreached}, 1},
		{[]HostStatus{HostFailed, HostIsLocked, HostStale}, 1},
		{[]HostStatus{HostOK, HostNotReached}, 1},
		{[]HostStatus{HostInterrupted, HostFailed, HostIsLocked}, 130},
	} {
		run := &Run{Command: CommandApply, Sink: &recorder{}}
		for _, status := range test.hosts {
			run.hosts = append(run.hosts, &hostRun{run: run, outcome: status})
		}
		if got := run.Close(); got != test.want {
			t.Errorf("%v: %d, want %d", test.hosts, got, test.want)
		}
	}
}
