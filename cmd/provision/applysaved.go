package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/pflag"

	"provision/internal/engine"
	"provision/internal/event"
	"provision/internal/savedplan"
	"provision/internal/shell"
	"provision/internal/ui"
)

// adopt takes over the selection of a saved plan, and refuses flags that would choose something else.
func (o *options) adopt(plan *savedplan.Plan, flags *pflag.FlagSet, getenv func(string) string) error {
	for _, name := range []string{"limit", "shard", "tags", "skip-tags", "var-file", "sandbox", "image"} {
		if flags.Changed(name) {
			return fmt.Errorf("--%s: a saved plan applies to what it was made for; make another one with provision plan --%s … --out FILE", name, name)
		}
	}
	chosen := plan.Selection
	if chosen == nil {
		chosen = &event.Selection{}
	}
	given := map[string]bool{}
	for _, v := range o.vars {
		name, _, _ := strings.Cut(v, "=")
		if !slices.Contains(chosen.Secret, name) {
			return fmt.Errorf("--var %s: the plan was made with its own variables; make another one with provision plan --var %s=… --out FILE", name, name)
		}
		given[name] = true
	}
	for _, name := range chosen.Secret {
		if !given[name] && getenv("PROVISION_VAR_"+name) == "" {
			return fmt.Errorf("the plan was made with --var %s=…, and does not hold what is sensitive: give it again, or as PROVISION_VAR_%s in the environment", name, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(chosen.Vars)) {
		o.vars = append(o.vars, name+"="+chosen.Vars[name])
	}
	o.limit, o.shard, o.tags, o.skipTags, o.varFiles = chosen.Limit, chosen.Shard, chosen.Tags, chosen.SkipTags, chosen.VarFiles
	return nil
}

// playbookOf finds the playbook of a saved plan: where it was, or in a copy of the project that has another place.
func playbookOf(plan *savedplan.Plan) (string, error) {
	for _, path := range []string{plan.Playbook, plan.Typed} {
		if _, err := os.Stat(path); err != nil {
			continue
		}
		if typed, err := filepath.Abs(plan.Typed); err == nil && typed == path {
			return plan.Typed, nil // as it was shown
		}
		return path, nil
	}
	return "", fmt.Errorf("the playbook of the plan is not there: %s; applying needs it, since what runs is computed from it again", plan.Playbook)
}

// applySaved applies a saved plan, if it still holds on all its hosts.
func (c *cli) applySaved(ctx context.Context, file string, plan *savedplan.Plan, flags *pflag.FlagSet, o *options) error {
	if err := o.adopt(plan, flags, c.getenv); err != nil {
		return err
	}
	path, err := playbookOf(plan)
	if err != nil {
		return err
	}
	// A saved plan is the consent to it. What remains is a rollout that wants to be asked between its batches.
	o.yes = o.yes || o.json || !isatty.IsTerminal(c.stdin.Fd())
	r, err := c.prepare(ctx, event.CommandApply, path, o)
	if err != nil {
		return err
	}
	sealer := savedplan.NewSealer(plan.Salt)
	r.run.Salt, r.run.Approved = plan.Salt, savedplan.NewApproval(plan, sealer)
	r.run.Phases = phases(r.pb, r.hosts, plan.Run) // in the order of then, should it be a random one
	if others := r.run.OtherHosts(); len(others) > 0 {
		c.stale(file, plan, map[string][]string{"": others})
		return exitStatus(statusStale)
	}
	if !o.json && !o.quiet {
		fmt.Fprintf(c.stderr, "The plan in %s was made %s.\n", c.clean(file), c.clean(origin(plan, time.Now())))
	}
	summary := r.planned(ctx)
	now, err := r.run.Saved(sealer)
	var unplanned *engine.UnplannedError
	if err != nil && !errors.As(err, &unplanned) {
		_ = r.close(ctx)
		return err
	}
	stale := savedplan.Stale(plan, now)
	if len(stale) > 0 && ctx.Err() == nil {
		r.run.Next = func(*event.RunEnd) string { return planAgain(file, plan) }
		r.run.Refuse(stale)
		c.stale(file, plan, stale)
		return r.close(ctx)
	}
	if len(stale) == 0 { // an interrupt has left what was planned so far, which is not the plan of the file
		if err := r.showPlan(engine.Summary{Changes: true, Failed: summary.Failed}); err != nil {
			return err
		}
	}
	r.apply(ctx)
	return r.close(ctx)
}

// stale says what does not hold any more, hosts with the same reasons together.
func (c *cli) stale(file string, plan *savedplan.Plan, byHost map[string][]string) {
	fmt.Fprintf(c.stderr, "Error: the plan in %s is stale, and nothing was changed:\n", c.clean(file))
	hosts := map[string][]string{}
	var order []string
	for i := range plan.Hosts {
		name := plan.Hosts[i].Name
		if reasons := byHost[name]; len(reasons) > 0 {
			key := strings.Join(reasons, "\n")
			if hosts[key] == nil {
				order = append(order, key)
			}
			hosts[key] = append(hosts[key], name)
		}
	}
	for _, reason := range byHost[""] {
		fmt.Fprintln(c.stderr, "  "+ui.Line(reason))
	}
	for _, key := range order {
		fmt.Fprintln(c.stderr, "  "+ui.Line(strings.Join(hosts[key], ", ")))
		for reason := range strings.SplitSeq(key, "\n") {
			fmt.Fprintln(c.stderr, "    "+ui.Line(reason))
		}
	}
	fmt.Fprintln(c.stderr, "Look at what differs and save a new plan:", c.clean(planAgain(file, plan)))
}

// planAgain is the command that makes a plan anew.
func planAgain(file string, plan *savedplan.Plan) string {
	command := "provision plan --out " + shell.Quote(file)
	if flags := chosenFlags(plan.Selection); flags != "" {
		command += " " + flags
	}
	return command + " " + shell.Quote(plan.Typed)
}
