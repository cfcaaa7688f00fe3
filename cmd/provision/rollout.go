package main

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"sync"
	"time"

	"provision/internal/engine"
	"provision/internal/inventory"
	"provision/internal/playbook"
	"provision/internal/sandbox"
	"provision/internal/ui"
)

// A rollout is one run of plan, apply or test, with everything that shows and keeps it.
type rollout struct {
	cli      *cli
	options  *options
	pb       *playbook.Playbook
	run      *engine.Run
	sinks    *sinks
	redactor *ui.Redactor
	plan     *ui.Plan
	log      *ui.Log
}

// sinks passes events on to renderers, of which some take part for a while only.
type sinks struct {
	mu    sync.Mutex
	start *engine.Event // what a renderer that comes later must know
	list  []engine.Sink
}

func (s *sinks) Event(e engine.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Type == engine.EventRunStart {
		s.start = &e
	}
	for _, sink := range s.list {
		sink.Event(e)
	}
}

func (s *sinks) add(sink engine.Sink) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.start != nil {
		sink.Event(*s.start)
	}
	s.list = append(s.list, sink)
}

func (s *sinks) remove(sink engine.Sink) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.list {
		if s.list[i] == sink {
			s.list = append(s.list[:i:i], s.list[i+1:]...)
			return
		}
	}
}

// newRollout prepares a run of a command over hosts.
func (c *cli) newRollout(ctx context.Context, command, path string, pb *playbook.Playbook, hosts []*inventory.Host, box *sandbox.Sandbox, o *options) (*rollout, error) {
	reach, err := c.newReacher(ctx, pb, hosts, box, o)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	run := &engine.Run{
		ID: engine.NewID(now), Owner: ownerOf(now), Command: command, Playbook: path, Version: version(), Sandbox: box != nil,
		Phases: phases(pb), Dialer: reach, Parallel: o.parallel, Salt: engine.NewSalt(), Reconnect: reconnectFor,
	}
	run.Owner += ", run " + run.ID
	for _, h := range hosts {
		run.Hosts = append(run.Hosts, reach.host(pb, h, o))
	}
	r := &rollout{cli: c, options: o, pb: pb, run: run, sinks: &sinks{}, plan: ui.NewPlan()}
	r.sinks.list = append(r.sinks.list, r.plan)
	if o.json {
		r.sinks.list = append(r.sinks.list, ui.NewJSON(c.stdout))
	}
	if command != engine.CommandPlan && box == nil {
		r.log = ui.NewLog(runsDir(path), ui.LogOptions{})
		r.sinks.list = append(r.sinks.list, r.log)
	}
	r.redactor = ui.NewRedactor(r.sinks, pb.Secrets()...)
	run.Sink = r.redactor
	return r, nil
}

// runsDir is where the runs of a playbook are kept: beside it.
func runsDir(path string) string {
	dir := path
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		dir = filepath.Dir(path)
	}
	return filepath.Join(dir, ".provision", "runs")
}

// ownerOf names who runs this, for others who find the lock.
func ownerOf(now time.Time) string {
	name := os.Getenv("USER")
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	machine, err := os.Hostname()
	if err != nil {
		machine = "an unnamed machine"
	}
	return fmt.Sprintf("%s@%s since %s", name, machine, since(now))
}

// watched runs a part of the rollout with the progress shown.
func (r *rollout) watched(part func()) {
	if r.options.json {
		part()
		return
	}
	progress := ui.NewProgress(r.cli.err, ui.ProgressOptions{Verbose: r.options.verbose})
	r.sinks.add(progress)
	part()
	r.sinks.remove(progress)
	progress.Close()
}

// planned makes the plan and returns what it came to.
func (r *rollout) planned(ctx context.Context) engine.Summary {
	var s engine.Summary
	r.watched(func() { s = r.run.Plan(ctx) })
	// Evaluating for each host may have met more secrets.
	r.redactor.Add(r.pb.Secrets()...)
	return s
}

// apply makes the changes, stopping gently at the first interrupt.
func (r *rollout) apply(ctx context.Context) {
	stop := make(chan struct{})
	r.run.Stop = stop
	r.cli.onInterrupt(func() {
		fmt.Fprintln(r.cli.stderr, "Stopping after the current step of each host. Press Ctrl-C again to kill it.")
		close(stop)
	})
	defer r.cli.onInterrupt(nil)
	if !r.options.json {
		r.sinks.add(ui.NewSummary(r.cli.stdout, r.cli.out.Style))
	}
	r.watched(func() { r.run.Apply(ctx) })
}

// close ends the run and returns its status as an error.
func (r *rollout) close() error {
	status := r.run.Close()
	if r.log != nil {
		if err := r.log.Close(); err != nil {
			fmt.Fprintln(r.cli.stderr, "Warning: the log of the run is incomplete:", err)
		} else if dir := r.log.Dir(); dir != "" && status != 0 && !r.options.json {
			fmt.Fprintln(r.cli.stderr, "The whole output is in", dir)
		}
	}
	if status != 0 {
		return exitStatus(status)
	}
	return nil
}
