package bench

import (
	"fmt"
	"strings"
	"testing"

	"provision/internal/event"
)

// perHost is what the client may keep of a host between its plan and the end of the run.
const perHost = 200 << 10

// retained plans a fleet and returns the bytes that the run keeps of each host.
func retained(tb testing.TB, f *fleet) int64 {
	site := f.playbook(tb)
	run, plan := f.newRun(tb, site)
	before := heap()
	if s := run.Plan(tb.Context()); s.Changes || s.Failed {
		tb.Fatalf("the fleet is not as wanted: %+v", s)
	}
	kept := heap() - before
	if status := run.Close(); status != 0 {
		tb.Fatalf("status %d", status)
	}
	_ = plan
	return kept / int64(len(f.Hosts))
}

func TestMemoryOfAFleetIsBounded(t *testing.T) {
	few, many := retained(t, newFleet(t, 40, recorded, 0)), retained(t, newFleet(t, 160, recorded, 0))
	t.Logf("%d KiB a host for 40 hosts, %d KiB for 160", few>>10, many>>10)
	if max(few, many) > perHost {
		t.Errorf("%d and %d bytes a host, want at most %d", few, many, perHost)
	}
}

// BenchmarkFleetMemory reports what is kept of a host in fleets of three sizes.
func BenchmarkFleetMemory(b *testing.B) {
	for b.Loop() {
		for _, hosts := range []int{100, 500, 1000} {
			b.ReportMetric(float64(retained(b, newFleet(b, hosts, recorded, 0)))/1024, fmt.Sprintf("KiB/host-of-%d", hosts))
		}
		b.ReportMetric(0, "ns/op")
	}
}

// More hosts than descriptors: those that have been planned do not keep their connections.
func TestMoreHostsThanDescriptors(t *testing.T) {
	f := newFleet(t, 300, recorded, 0)
	site, binary := f.playbook(t), build(t)
	for _, args := range [][]string{{"plan"}, {event.CommandApply, "--yes"}} {
		cmd := fleetCommand("/bin/sh", append([]string{"-c", `ulimit -n 192 && exec "$@"`, "sh", binary}, append(args, site)...)...)
		out, err := cmd.CombinedOutput()
		if err != nil || strings.Contains(string(out), "too many open files") {
			t.Errorf("%s: %v\n%s", args[0], err, out)
		}
	}
}
