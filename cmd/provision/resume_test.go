package main

import (
	"strings"
	"testing"

	"provision/internal/event"
	"provision/internal/record"
)

// What is left of a run counts the runs that resumed it, whichever of them is named.
func TestWhatIsLeft(t *testing.T) {
	ended := func(id, resumes string, ends map[string]event.HostStatus) record.Run {
		r := record.Run{ID: id, Resumes: resumes, Selection: &event.Selection{}, Hosts: map[string]event.HostEnd{}}
		for host, status := range ends {
			r.Selection.Names = append(r.Selection.Names, host)
			if status != "" {
				r.Hosts[host] = event.HostEnd{Status: status}
			}
		}
		return r
	}
	runs := []record.Run{ // the latest first
		ended("5", "3", map[string]event.HostStatus{"died": event.HostOK, "locked": event.HostFailed}),
		ended("4", "", map[string]event.HostStatus{"failed": event.HostFailed}), // has nothing to do with it
		ended("3", "1", map[string]event.HostStatus{"failed": event.HostOK, "unreachable": event.HostOK, "died": "", "locked": event.HostIsLocked}),
		ended("2", "missing", map[string]event.HostStatus{"ok": event.HostFailed, "more": ""}), // what it resumed is not kept any more
		ended("1", "", map[string]event.HostStatus{
			"ok": event.HostOK, "failed": event.HostFailed, "unreachable": event.HostUnreached, "interrupted": event.HostInterrupted, "locked": event.HostIsLocked,
			"not-reached": event.HostNotReached, "stale": event.HostStale, "skipped": event.HostSkipped, "died": "",
		}),
	}
	for at, want := range map[int]string{
		4: "interrupted locked not-reached stale", 2: "interrupted locked not-reached stale", 0: "interrupted locked not-reached stale", 1: "failed", 3: "more ok",
	} {
		if got := strings.Join(leftOf(runs, &runs[at]), " "); got != want {
			t.Errorf("left of run %s: %s, want %s", runs[at].ID, got, want)
		}
	}
	// Records that name each other are nobody's work but a liar's, and end all the same.
	liars := []record.Run{ended("b", "a", map[string]event.HostStatus{"x": ""}), ended("a", "b", map[string]event.HostStatus{"y": ""})}
	if left := leftOf(liars, &liars[0]); len(left) == 0 {
		t.Error("nothing is left of runs that resume each other")
	}
}
