package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"provision/internal/engine"
	"provision/internal/event"
	"provision/internal/inventory"
	"provision/internal/playbook"
	"provision/internal/redact"
	"provision/internal/ssh"
	"provision/internal/steps"
	"provision/internal/ui"
)

// fleetParallel is how many hosts at a time both sides take: the command's default.
const fleetParallel = 32

// BenchmarkFleetPlan is a plan of some thirty converged steps on HOSTS hosts (1000) at the distance of the other benchmarks,
// against a loop over the same hosts that connects, runs `true` and leaves, with the SSH library alone. What the probes take
// is not in it: their output is played back.
func BenchmarkFleetPlan(b *testing.B) {
	f := newFleet(b, number("HOSTS", 1000), recorded, RoundTrip)
	site := f.playbook(b)
	for b.Loop() {
		f.compare(b, func() { f.plan(b, site) }, func() { f.bare(b, fleetParallel, "true", "") })
	}
}

// BenchmarkFleetPlanNoDistance is the same with no delay: what is left is work of the processor, on both sides and that of
// the hosts.
func BenchmarkFleetPlanNoDistance(b *testing.B) {
	f := newFleet(b, number("HOSTS", 1000), recorded, 0)
	site := f.playbook(b)
	for b.Loop() {
		f.compare(b, func() { f.plan(b, site) }, func() { f.bare(b, fleetParallel, "true", "") })
	}
}

// BenchmarkFleetPlanBySh has sh run the probes on a tenth of the hosts, against a loop that sends each the very script of the
// plan: it is about the machine.
func BenchmarkFleetPlanBySh(b *testing.B) {
	f := newFleet(b, number("HOSTS", 1000)/10, byShell, 0)
	site := f.playbook(b)
	f.plan(b, site)
	script, err := os.ReadFile(scriptFile(f.dir))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		f.compare(b, func() { f.plan(b, site) }, func() { f.bare(b, fleetParallel, "exec /bin/sh", string(script)) })
	}
}

// BenchmarkFleetCommand is the whole command, with the reading and checking of the playbook and of the inventory, and the
// plan shown.
func BenchmarkFleetCommand(b *testing.B) {
	f := newFleet(b, number("HOSTS", 1000), recorded, RoundTrip)
	site, binary := f.playbook(b), build(b)
	for b.Loop() {
		f.compare(b, func() {
			cmd := fleetCommand(binary, "plan", site)
			if out, err := cmd.CombinedOutput(); err != nil {
				b.Fatalf("%v\n%s", err, out)
			}
		}, func() { f.bare(b, fleetParallel, "true", "") })
	}
}

// compare times both alternately and reports the medians and their ratio.
func (f *fleet) compare(b *testing.B, ours, theirs func()) {
	var mine, others []time.Duration
	for range number("ROUNDS", 7) {
		for _, side := range []struct {
			times *[]time.Duration
			run   func()
		}{{&mine, ours}, {&others, theirs}} {
			start := time.Now()
			side.run()
			*side.times = append(*side.times, time.Since(start))
		}
	}
	slices.Sort(mine)
	slices.Sort(others)
	m, o := mine[len(mine)/2], others[len(others)/2]
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(m.Milliseconds()), "provision-ms")
	b.ReportMetric(float64(o.Milliseconds()), "other-ms")
	b.ReportMetric(float64(m)/float64(o), "ratio")
}

// plan plans the fleet as the command does, within this process.
func (f *fleet) plan(tb testing.TB, site string) *engine.Run {
	tb.Helper()
	run, plan := f.newRun(tb, site)
	if s := run.Plan(tb.Context()); s.Changes || s.Failed {
		_ = plan.Text(os.Stderr, ui.Style{}, false)
		tb.Fatalf("the fleet is not as wanted: %+v", s)
	}
	if err := plan.Text(io.Discard, ui.Style{}, false); err != nil {
		tb.Fatal(err)
	}
	if status := run.Close(); status != 0 {
		tb.Fatalf("status %d", status)
	}
	return run
}

func (f *fleet) newRun(tb testing.TB, site string) (*engine.Run, *ui.Plan) {
	tb.Helper()
	pb, diags := playbook.Load(tb.Context(), site, playbook.Options{})
	if diags.HasErrors() {
		tb.Fatal(diags)
	}
	plan := ui.NewPlan()
	dialer := &fleetDialer{targets: map[string]ssh.Target{}}
	run := &engine.Run{
		ID: "bench", Command: event.CommandPlan, Dialer: dialer, Sink: plan, Secrets: redact.Of(pb.Secrets()...),
		Parallel: fleetParallel, Salt: engine.NewSalt(),
	}
	for i, h := range pb.Inventory().Hosts() {
		port, err := strconv.Atoi(portOf(f.Hosts[i]))
		if err != nil {
			tb.Fatal(err)
		}
		dialer.targets[h.Name] = ssh.Target{
			Name: h.Name, Address: hostOf(f.Hosts[i]), Port: port, User: "root", IdentityFiles: []string{f.Identity},
			IdentitiesOnly: true, AgentSocket: "none", KnownHostsFiles: []string{f.Known},
		}
		run.Hosts = append(run.Hosts, engine.Host{Name: h.Name, Address: f.Hosts[i], User: "root", Source: fleetSource{pb, h}})
	}
	return run, plan
}

type fleetSource struct {
	pb   *playbook.Playbook
	host *inventory.Host
}

func (s fleetSource) Steps(facts *steps.Facts, results map[string]cty.Value) ([]steps.Instance, hcl.Diagnostics) {
	return s.pb.Steps(s.host, facts, results)
}

// fleetDialer is what the command puts between the engine and SSH.
type fleetDialer struct {
	ssh.Dialer
	targets map[string]ssh.Target
}

func (d *fleetDialer) Dial(ctx context.Context, host string) (engine.Conn, error) {
	c, err := d.Dialer.Dial(ctx, d.targets[host])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", engine.ErrUnreachable, err)
	}
	return fleetConn{c}, nil
}

type fleetConn struct{ *ssh.Client }

func (c fleetConn) Start(ctx context.Context, command string) (*engine.Process, error) {
	p, err := c.Client.Start(ctx, command)
	if err != nil {
		return nil, err
	}
	return &engine.Process{Stdin: p.Stdin, Stdout: p.Stdout, Stderr: p.Stderr, Wait: p.Wait, Close: p.Close}, nil
}

func fleetCommand(binary string, args ...string) *exec.Cmd {
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), "NO_COLOR=1", "SSH_AUTH_SOCK=", "HOME=/nonexistent")
	return cmd
}

// heap is the memory in use after a collection.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
