package main

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"provision/internal/engine"
	"provision/internal/event"
	"provision/internal/inventory"
	"provision/internal/playbook"
	"provision/internal/record"
	"provision/internal/redact"
	"provision/internal/ui"
)

// A rollout is one run of plan, apply or test, with everything that shows and keeps it.
type rollout struct {
	cli      *cli
	options  *options
	path     string
	pb       *playbook.Playbook
	hosts    []*inventory.Host
	box      *box // nil: the hosts are those of the inventory
	run      *engine.Run
	sinks    *sinks
	plan     *ui.Plan
	progress *ui.Progress // while it is shown
	log      *record.Log
}

// prepare reads the playbook, chooses the hosts and makes a run of them. With --sandbox it starts one: closeSandbox ends
// it.
func (c *cli) prepare(ctx context.Context, command, path string, o *options) (*rollout, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := o.reports.open(); err != nil {
		return nil, err
	}
	pb, err := c.load(ctx, path, o)
	if err != nil {
		return nil, err
	}
	if err := o.checkTags(pb, pb.Inventory().Hosts()); err != nil {
		return nil, err
	}
	if err := o.checkRerun(pb, pb.Inventory().Hosts()); err != nil {
		return nil, err
	}
	if command == event.CommandApply {
		if err := c.canAsk(o); err != nil {
			return nil, err
		}
	}
	hosts, box, err := c.choose(ctx, pb, o)
	if err != nil {
		return nil, err
	}
	r := &rollout{cli: c, options: o, path: path, pb: pb, hosts: hosts, box: box}
	if err := r.start(ctx, command); err != nil {
		r.closeSandbox()
		return nil, err
	}
	return r, nil
}

// again is a further run over the same hosts.
func (r *rollout) again(ctx context.Context, command string) (*rollout, error) {
	next := &rollout{cli: r.cli, options: r.options, path: r.path, pb: r.pb, hosts: r.hosts, box: r.box}
	return next, next.start(ctx, command)
}

// start makes the run and what shows and keeps it.
func (r *rollout) start(ctx context.Context, command string) error {
	now := time.Now()
	r.run = &engine.Run{
		ID: engine.NewID(now), Owner: ownerOf(now), Command: command, Playbook: r.path, Title: playbookTitle(r.path), Version: version(), Sandbox: r.box != nil,
		Parallel: r.options.parallel, Salt: engine.NewSalt(), Reconnect: r.options.reconnect, LockWait: r.options.lockWait, Orphan: r.orphan,
		Rerun: map[string]bool{},
	}
	for _, addr := range r.options.rerun {
		r.run.Rerun[addr] = true
	}
	r.run.Owner += ", run " + r.run.ID
	r.run.Selection, r.run.Inputs = r.selection(), r.pb.Inputs
	if r.options.resumes != nil {
		r.run.Resumes = r.options.resumes.run.ID
	}
	if command == event.CommandApply && r.box == nil {
		r.run.Next = r.next
	}
	r.run.Confirm = r.confirmBatch
	r.run.Phases = phases(r.pb, r.hosts, r.run.ID)
	r.sinks, r.plan = &sinks{}, ui.NewPlan()
	r.sinks.list = append(r.sinks.list, r.plan)
	if r.options.json {
		r.sinks.list = append(r.sinks.list, ui.NewJSON(r.cli.stdout))
	}
	if sink := r.options.reports.sink; sink != nil {
		r.sinks.list = append(r.sinks.list, sink)
	}
	if command != event.CommandPlan && r.box == nil {
		r.log = record.NewLog(runsDir(r.path), record.Options{Lines: ui.HostLines})
		r.sinks.list = append(r.sinks.list, r.log)
	}
	r.run.Sink, r.run.Secrets = r.sinks, redact.New(ui.Clean, ui.Line)
	r.run.Secrets.Add(r.pb.Secrets()...)

	reach, err := r.cli.newReacher(ctx, r.pb, r.hosts, r.box, r.options, func(s string) { r.run.Secrets.Add(s) })
	if err != nil {
		return err
	}
	reach.path = r.path
	r.run.Dialer = reach
	if r.cli.dialer != nil {
		r.run.Dialer = r.cli.dialer
	}
	for _, h := range r.hosts {
		host := reach.host(h)
		host.Source = hostSource{pb: r.pb, host: h, options: r.options, secrets: r.run.Secrets}
		r.run.Hosts = append(r.run.Hosts, host)
	}
	return nil
}

// orphan tells of the owner of a lock whether it is an earlier run of this playbook, on this machine, whose client is gone. Its program
// ends by itself; there is nobody else to wait for it.
func (r *rollout) orphan(owner string) bool {
	_, id, ok := strings.Cut(owner, ", run ")
	if !ok || r.box != nil {
		return false
	}
	runs, err := record.List(runsDir(r.path))
	return err == nil && slices.ContainsFunc(runs, func(run record.Run) bool { return run.ID == id && run.Status != record.Running })
}

// closeSandbox ends the sandbox, if there is one.
func (r *rollout) closeSandbox() {
	if r.box == nil {
		return
	}
	if err := r.box.close(); err != nil {
		fmt.Fprintln(r.cli.stderr, "Warning: the "+r.box.name+" left something behind:", r.cli.clean(err.Error()))
	}
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
	r.show()
	part()
	r.hide()
}

// show begins to draw the progress, and hide leaves the terminal to others.
func (r *rollout) show() {
	if r.options.json {
		return
	}
	r.progress = ui.NewProgress(r.cli.err, ui.ProgressOptions{Verbose: r.options.verbose, Quiet: r.options.quiet})
	r.cli.mu.Lock()
	r.cli.screen = r.progress
	r.cli.mu.Unlock()
	r.sinks.add(r.progress)
}

func (r *rollout) hide() {
	if r.progress == nil {
		return
	}
	r.sinks.remove(r.progress)
	r.progress.Close()
	r.progress = nil
}

// confirmBatch asks whether the next batch may begin, where somebody is there to say so.
func (r *rollout) confirmBatch(ctx context.Context, next *event.BatchStart) bool {
	if r.options.yes || r.box != nil {
		return true
	}
	r.hide()
	defer r.show()
	what := fmt.Sprintf("Begin batch %d of %d, %d hosts?", next.Number, next.Of, len(next.Hosts))
	if len(next.Hosts) == 1 {
		what = fmt.Sprintf("Begin batch %d of %d, %s?", next.Number, next.Of, r.cli.clean(next.Hosts[0]))
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // a Ctrl-C at the question ends it
		select {
		case <-r.run.Stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	ok, err := r.cli.confirm(ctx, what)
	return ok && err == nil
}

// tellRollout says in which batches the plan will be applied.
func (r *rollout) tellRollout() {
	for i := range r.run.Phases {
		if text := describe(&r.run.Phases[i], len(r.hosts)); text != "" {
			fmt.Fprintln(r.cli.stdout, r.cli.clean(text))
		}
	}
}

// planned makes the plan and returns what it came to.
func (r *rollout) planned(ctx context.Context) engine.Summary {
	var s engine.Summary
	r.watched(func() { s = r.run.Plan(ctx) })
	return s
}

// apply makes the changes, stopping gently at the first interrupt. If one came before, no host has its turn.
func (r *rollout) apply(ctx context.Context) {
	stop := make(chan struct{})
	r.run.Stop = stop
	if ctx.Err() != nil {
		close(stop)
	} else {
		r.cli.onInterrupt(func() {
			// As an event, since what draws the progress owns the terminal.
			r.run.Warn(event.Warning{Message: "Stopping after the current step of each host. Press Ctrl-C again to kill it."})
			close(stop)
		})
		defer r.cli.onInterrupt(nil)
	}
	if !r.options.json {
		summary := ui.NewSummary(r.cli.stdout, r.cli.out.Style)
		summary.Quiet = r.options.quiet
		r.sinks.add(summary)
	}
	r.watched(func() { r.run.Apply(ctx) })
}

// close ends the run and returns its status as an error.
func (r *rollout) close(ctx context.Context) error {
	status := r.run.Close()
	if status == 0 && ctx.Err() != nil && r.run.Command != event.CommandPlan {
		status = statusInterrupted // between the plan and its application
	}
	if r.log != nil {
		if err := r.log.Close(); err != nil {
			fmt.Fprintln(r.cli.stderr, "Warning: the log of the run is incomplete:", r.cli.clean(err.Error()))
		} else if dir := r.log.Dir(); dir != "" && status != 0 && !r.options.json {
			fmt.Fprintln(r.cli.stderr, "The whole output is in", dir)
		}
	}
	if err := r.options.reports.write(); err != nil {
		fmt.Fprintln(r.cli.stderr, "Error:", r.cli.clean(err.Error()))
		if status == 0 {
			status = statusFailed
		}
	}
	if status != 0 {
		return exitStatus(status)
	}
	return nil
}

// playbookTitle is what hosts know a playbook by, whose steps may have the addresses of another's: its name and that of the directory it is
// in. A directory with one file is that file, whichever of the two is given.
func playbookTitle(path string) string {
	whole, err := filepath.Abs(path)
	if err != nil {
		whole = path
	}
	if files := playbook.FilesIn(whole); len(files) == 1 {
		whole = filepath.Join(whole, files[0])
	}
	return filepath.Base(filepath.Dir(whole)) + "/" + filepath.Base(whole)
}
