package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"provision/internal/event"
	"provision/internal/steps"
)

// A fleet is hosts web1, web2, … on this machine, each with a home of its own.
type fleet struct {
	t     *testing.T
	names []string
	hosts map[string]*localHost
}

func newFleet(t *testing.T, n int) *fleet {
	f := &fleet{t: t, hosts: map[string]*localHost{}}
	for i := range n {
		name := fmt.Sprintf("web%d", i+1)
		f.names = append(f.names, name)
		f.hosts[name] = newLocalHost(t)
	}
	return f
}

func (f *fleet) Dial(ctx context.Context, name string) (Conn, error) {
	return f.hosts[name].Dial(ctx, name)
}

// run is an apply of these steps on the whole fleet, in one phase.
func (f *fleet) run(rec *recorder, o *Rollout, source func(name string) StepSource) *Run {
	run := &Run{
		ID: NewID(time.Now()), Owner: "test", Command: event.CommandApply, Dialer: f, Sink: rec, Parallel: len(f.names), Salt: NewSalt(),
		Phases: []Phase{{Hosts: f.names, Rollout: o}},
	}
	for _, name := range f.names {
		run.Hosts = append(run.Hosts, Host{Name: name, Source: source(name)})
	}
	return run
}

func (f *fleet) applied(o *Rollout, source func(name string) StepSource) (int, *recorder) {
	f.t.Helper()
	rec := &recorder{}
	run := f.run(rec, o, source)
	run.Plan(f.t.Context())
	run.Apply(f.t.Context())
	return run.Close(), rec
}

// outcomes maps each host to its status.
func (r *recorder) outcomes() map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := map[string]string{}
	for _, e := range r.events {
		if e.HostEnd != nil {
			if m[e.Host] != "" {
				m[e.Host] += ", and again "
			}
			m[e.Host] += string(e.HostEnd.Status)
		}
	}
	return m
}

// batches lists the hosts of each batch that began.
func (r *recorder) batches() (list []string) {
	for _, e := range r.events {
		if e.BatchStart != nil {
			list = append(list, strings.Join(e.BatchStart.Hosts, " "))
		}
	}
	return list
}

func (f *fleet) touching(broken ...string) func(string) StepSource {
	return func(name string) StepSource {
		text := "touch done"
		if slices.Contains(broken, name) {
			text = "exit 3"
		}
		return stepList{script(f.t, "work", text)}
	}
}

func TestBatches(t *testing.T) {
	f := newFleet(t, 6)
	exit, rec := f.applied(&Rollout{Batches: []int{1, 2}}, f.touching())
	want := []string{"web1", "web2 web3", "web4 web5", "web6"}
	if diff := cmp.Diff(want, rec.batches()); exit != 0 || diff != "" {
		t.Errorf("exit %d %s\n%s", exit, diff, rec.dump())
	}
	// A batch begins only after the hosts before it have ended.
	open := map[string]bool{}
	for _, e := range rec.events {
		switch {
		case e.BatchStart != nil:
			if len(open) > 0 {
				t.Errorf("batch %d begins before %v have ended", e.BatchStart.Number, open)
			}
			for _, h := range e.BatchStart.Hosts {
				open[h] = true
			}
		case e.HostEnd != nil:
			delete(open, e.Host)
		}
	}
}

func TestCanaryStopsTheFleet(t *testing.T) {
	f := newFleet(t, 4)
	exit, rec := f.applied(&Rollout{Batches: []int{1, 3}}, f.touching("web1"))
	want := map[string]string{"web1": "failed", "web2": "not_reached", "web3": "not_reached", "web4": "not_reached"}
	if diff := cmp.Diff(want, rec.outcomes()); exit != 1 || diff != "" {
		t.Errorf("exit %d %s\n%s", exit, diff, rec.dump())
	}
	for _, name := range f.names[1:] {
		if f.hosts[name].exists("done") {
			t.Errorf("%s was touched after the canary had failed", name)
		}
	}
}

func TestBudgetIsTheFleets(t *testing.T) {
	f := newFleet(t, 6)
	// One failure in each batch: alone within the budget of one, together not.
	exit, rec := f.applied(&Rollout{Batches: []int{2}, MaxFailures: 1}, f.touching("web1", "web3"))
	want := map[string]string{"web1": "failed", "web2": "ok", "web3": "failed", "web4": "ok", "web5": "not_reached", "web6": "not_reached"}
	if diff := cmp.Diff(want, rec.outcomes()); exit != 1 || diff != "" {
		t.Errorf("exit %d %s\n%s", exit, diff, rec.dump())
	}
}

func TestBudgetHoldsWithinABatch(t *testing.T) {
	f := newFleet(t, 4)
	rec := &recorder{}
	run := f.run(rec, &Rollout{}, f.touching("web1"))
	run.Parallel = 1
	run.Plan(t.Context())
	run.Apply(t.Context())
	exit := run.Close()
	want := map[string]string{"web1": "failed", "web2": "not_reached", "web3": "not_reached", "web4": "not_reached"}
	if diff := cmp.Diff(want, rec.outcomes()); exit != 1 || diff != "" {
		t.Errorf("exit %d %s\n%s", exit, diff, rec.dump())
	}
}

func TestUnreachableHosts(t *testing.T) {
	for _, fails := range []bool{false, true} {
		f := newFleet(t, 3)
		f.hosts["web1"].refuse = true
		exit, rec := f.applied(&Rollout{Batches: []int{1}, UnreachableFails: fails}, f.touching())
		want, status := map[string]string{"web1": "unreachable", "web2": "ok", "web3": "ok"}, 3
		if fails {
			want["web2"], want["web3"], status = "not_reached", "not_reached", 1
		}
		if diff := cmp.Diff(want, rec.outcomes()); exit != status || diff != "" {
			t.Errorf("counted as failed: %v: exit %d %s\n%s", fails, exit, diff, rec.dump())
		}
	}
}

// TestRefusedBatch ends the run where a person says no.
func TestRefusedBatch(t *testing.T) {
	f := newFleet(t, 3)
	rec := &recorder{}
	run := f.run(rec, &Rollout{Batches: []int{1}, Confirm: true}, f.touching())
	var asked []int
	run.Confirm = func(_ context.Context, next *event.BatchStart) bool {
		asked = append(asked, next.Number)
		return next.Number < 3
	}
	run.Plan(t.Context())
	run.Apply(t.Context())
	exit := run.Close()
	want := map[string]string{"web1": "ok", "web2": "ok", "web3": "not_reached"}
	if diff := cmp.Diff(want, rec.outcomes()); exit != 1 || diff != "" || !slices.Equal(asked, []int{2, 3}) {
		t.Errorf("exit %d, asked before %v %s\n%s", exit, asked, diff, rec.dump())
	}
}

// TestStopInAPause ends the pause.
func TestStopInAPause(t *testing.T) {
	f := newFleet(t, 2)
	stop := make(chan struct{})
	rec := &recorder{notify: func(e event.Event) {
		if e.BatchEnd != nil {
			close(stop)
		}
	}}
	run := f.run(rec, &Rollout{Batches: []int{1}, Pause: time.Hour}, f.touching())
	run.Stop = stop
	run.Plan(t.Context())
	run.Apply(t.Context())
	if exit := run.Close(); exit != 130 || rec.outcomes()["web2"] != "not_reached" {
		t.Errorf("exit %d\n%s", exit, rec.dump())
	}
}

// TestPhases lets a host that no play takes alone, and ends each host with its own last phase.
func TestPhases(t *testing.T) {
	f := newFleet(t, 3)
	rec := &recorder{}
	run := f.run(rec, nil, func(name string) StepSource {
		list := stepList{script(t, "base", "touch base"), script(t, "app", "touch app")}
		list[0].Play, list[1].Play = "base", "app"
		return list
	})
	run.Phases = []Phase{{Plays: []string{"base"}, Hosts: []string{"web1", "web2"}}, {Plays: []string{"app"}, Hosts: []string{"web2"}, Rollout: &Rollout{}}}
	run.Plan(t.Context())
	run.Apply(t.Context())
	exit := run.Close()
	want := map[string]string{"web1": "ok", "web2": "ok", "web3": "skipped"}
	if diff := cmp.Diff(want, rec.outcomes()); exit != 0 || diff != "" {
		t.Errorf("exit %d %s\n%s", exit, diff, rec.dump())
	}
	if f.hosts["web1"].exists("app") || !f.hosts["web2"].exists("app") || len(f.hosts["web3"].conns) > 0 {
		t.Error("a step ran where it should not, or did not where it should")
	}
}

// onceSource has a step that runs once and whose output a later step needs.
type onceSource struct {
	t    *testing.T
	text string
}

func (s onceSource) Steps(_ *steps.Facts, results map[string]cty.Value) ([]steps.Instance, hcl.Diagnostics) {
	before := script(s.t, "before", "touch before")
	once := script(s.t, "token", s.text)
	once.Once = true
	use := script(s.t, "use", "true")
	use.Step, use.Waits = nil, []string{once.Addr}
	if r, ok := results[once.Addr]; ok {
		out := ""
		if v := r.GetAttr("stdout"); !v.IsNull() {
			out = strings.TrimSpace(v.AsString())
		}
		use = script(s.t, "use", "echo got "+out+" >used")
	}
	watch := script(s.t, "watch", "touch watched")
	watch.OnChange = map[string][]string{"": {once.Addr}}
	return []steps.Instance{before, once, use, watch}, nil
}

func TestOnceRunsOnOneHostForAll(t *testing.T) {
	for _, parallel := range []int{1, 3} {
		f := newFleet(t, 3)
		rec := &recorder{}
		run := f.run(rec, &Rollout{Batches: []int{2, 1}}, func(string) StepSource { return onceSource{t, "echo t0ken; touch here"} })
		run.Parallel = parallel
		run.Plan(t.Context())
		for _, e := range rec.events {
			if e.PlanStep != nil && e.PlanStep.Addr == "step.command.token" && (e.Host == "web1") != (e.PlanStep.Action == steps.Execute) {
				t.Errorf("planned on %s: %s, %s", e.Host, e.PlanStep.Action, e.PlanStep.Reason)
			}
		}
		run.Apply(t.Context())
		if exit := run.Close(); exit != 0 {
			t.Fatalf("parallel %d: exit %d\n%s", parallel, exit, rec.dump())
		}
		counted := map[string]int{}
		for _, e := range rec.events {
			if e.StepEnd != nil {
				counted[e.Host+" "+e.StepEnd.Addr]++
			}
		}
		for what, n := range counted {
			if n != 1 {
				t.Errorf("parallel %d: %s ended %d times\n%s", parallel, what, n, rec.dump())
			}
		}
		for _, name := range f.names {
			h := f.hosts[name]
			if got := h.read("used"); got != "got t0ken\n" {
				t.Errorf("%s used %q", name, got)
			}
			if h.exists("here") != (name == "web1") || !h.exists("watched") {
				t.Errorf("parallel %d, %s: the step ran there: %v; what watches it ran: %v\n%s", parallel, name, h.exists("here"), h.exists("watched"), rec.dump())
			}
		}
	}
}

func TestOnceThatFailsLeavesTheOthersUntouched(t *testing.T) {
	f := newFleet(t, 3)
	exit, rec := f.applied(&Rollout{MaxFailures: 3}, func(string) StepSource { return onceSource{t, "exit 9"} })
	want := map[string]string{"web1": "failed", "web2": "not_reached", "web3": "not_reached"}
	if diff := cmp.Diff(want, rec.outcomes()); exit != 1 || diff != "" {
		t.Errorf("exit %d %s\n%s", exit, diff, rec.dump())
	}
	if f.hosts["web2"].exists("used") {
		t.Error("a host went on without what it waits for")
	}
}

// TestOnceMovesToAHostThatAnswers takes the first host that has a plan.
func TestOnceMovesToAHostThatAnswers(t *testing.T) {
	f := newFleet(t, 3)
	f.hosts["web1"].refuse = true
	exit, rec := f.applied(nil, func(string) StepSource { return onceSource{t, "echo t0ken; touch here"} })
	if exit != 3 || !f.hosts["web2"].exists("here") || f.hosts["web3"].read("used") != "got t0ken\n" {
		t.Errorf("exit %d\n%s", exit, rec.dump())
	}
}

// TestOnceThatHasNothingToDoHoldsNobodyUp lets the others go on although the host that has the step is busy for long.
func TestOnceThatHasNothingToDoHoldsNobodyUp(t *testing.T) {
	f := newFleet(t, 2)
	source := func(name string) StepSource {
		once := step(t, "directory", "d", map[string]cty.Value{"path": str(f.hosts[name].path("."))})
		once.Once = true
		work := script(t, "work", "touch begun")
		if name == "web1" {
			// Ends only once the other host has done its part.
			work = script(t, "work", "while ! test -e '"+f.hosts["web2"].path("begun")+"'; do sleep 0.1; done")
		}
		work.Timeout = 60
		return stepList{once, work}
	}
	exit, rec := f.applied(&Rollout{}, source)
	if exit != 0 {
		t.Errorf("exit %d\n%s", exit, rec.dump())
	}
}
