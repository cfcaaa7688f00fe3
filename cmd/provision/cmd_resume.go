package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"provision/internal/event"
	"provision/internal/inventory"
	"provision/internal/playbook"
	"provision/internal/record"
	"provision/internal/redact"
)

// A resumption is a run that goes on with an earlier one.
type resumption struct {
	run  record.Run
	left []string // names of the hosts that are not done
	root string   // where the earlier run is kept
}

func (c *cli) resumeCommand() *cobra.Command {
	var o options
	var path, dir string
	cmd := &cobra.Command{
		Use:   "resume ID",
		Short: "Go on with a run: apply again to the hosts that are not done",
		Long: `Applies the playbook of an earlier run again, with the same tags and variables, to those of its hosts that failed, could not be
reached, were locked or interrupted, or whose turn never came. What is done is not done again: the plan of what is left is shown and
asked for as apply does. Runs that resumed the same one count too. ID may be cut short, or be "last": the latest apply.

Sensitive variables are not kept: those given with --var are to be given again.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("resume takes the ID of a run, or last; provision runs lists them")
			}
			return oneID(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.resume(cmd.Context(), args[0], path, dir, &o)
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			return completeRuns(path, dir, args), cobra.ShellCompDirectiveNoFileComp
		},
	}
	flags := cmd.Flags()
	o.variables(flags)
	flags.StringVar(&path, "playbook", "", "the playbook `PATH`, and the runs beside it")
	flags.StringVar(&dir, "dir", "", "the runs in `DIR`; the playbook is where it was")
	flags.IntVar(&o.parallel, "parallel", defaultParallel, "how many hosts at a time")
	flags.BoolVar(&o.askBecomePass, "ask-become-pass", false, "ask for the password of sudo, once")
	o.links(flags)
	flags.BoolVar(&o.json, "json", false, "events on stdout, one JSON object a line")
	o.telling(flags)
	flags.BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	o.reports.flags(flags)
	o.again(flags)
	return cmd
}

func (c *cli) resume(ctx context.Context, id, path, dir string, o *options) error {
	var root string
	var err error
	if dir != "" {
		root, err = findRuns("", dir)
	} else {
		root, err = findRuns(path, "")
	}
	if err != nil {
		return err
	}
	from, err := findResumable(root, id)
	if err != nil {
		return err
	}
	if len(from.left) == 0 {
		fmt.Fprintf(c.stderr, "Nothing is left to do: all hosts of run %s are done.\n", from.run.ID)
		return nil
	}
	if path == "" {
		if path, err = from.playbook(); err != nil {
			return err
		}
	}
	given := slices.Clone(o.varFiles)
	if err := from.choose(o); err != nil {
		return err
	}
	r, err := c.prepare(ctx, event.CommandApply, path, o)
	if err != nil {
		return err
	}
	if err := from.check(r.pb, given); err != nil {
		return err
	}
	if !o.json && !o.quiet {
		c.tellResumption(from, r)
	}
	return r.planAskApply(ctx)
}

// findResumable finds a run and what is left of it.
func findResumable(root, id string) (*resumption, error) {
	run, runs, err := findRun(root, id)
	if err != nil {
		return nil, err
	}
	if id == "last" {
		if i := slices.IndexFunc(runs, func(r record.Run) bool { return r.Command == event.CommandApply }); i >= 0 {
			run = runs[i]
		}
	}
	who, _, _ := strings.Cut(run.Owner, ", run ")
	switch {
	case run.Command == "":
		return nil, fmt.Errorf("the record of run %s in %s does not even say what was run: apply again", run.ID, run.Dir)
	case run.Command != event.CommandApply:
		return nil, fmt.Errorf("run %s was a provision %s: only runs of apply can be resumed", run.ID, run.Command)
	case run.Status == record.Running:
		return nil, fmt.Errorf("run %s is still going on (%s): wait for its end, or interrupt it", run.ID, who)
	case run.Selection == nil:
		return nil, fmt.Errorf("the record of run %s does not say what was chosen: apply again, with --limit for the hosts that are left", run.ID)
	}
	return &resumption{run: run, left: leftOf(runs, &run), root: root}, nil
}

// leftOf returns the hosts that are not done after a run, the runs that it resumed, and those that resumed these.
func leftOf(runs []record.Run, run *record.Run) []string {
	byID := map[string]*record.Run{run.ID: run}
	for i := range runs {
		byID[runs[i].ID] = &runs[i]
	}
	first := run
	for seen := map[string]bool{}; byID[first.Resumes] != nil && !seen[first.ID]; first = byID[first.Resumes] {
		seen[first.ID] = true
	}
	chain := map[string]bool{first.ID: true}
	done := map[string]bool{}
	for i := len(runs) - 1; i >= 0; i-- { // the earliest first
		r := &runs[i]
		if r.ID != first.ID && !chain[r.Resumes] {
			continue
		}
		chain[r.ID] = true
		for _, host := range r.HostNames() {
			end, ended := r.Hosts[host]
			done[host] = ended && (end.Status == event.HostOK || end.Status == event.HostSkipped)
		}
	}
	var left []string
	for _, host := range slices.Sorted(maps.Keys(done)) {
		if !done[host] {
			left = append(left, host)
		}
	}
	return left
}

// playbook is the path of the playbook: beside the runs, or where it was when the run began.
func (f *resumption) playbook() (string, error) {
	if path := playbookBeside(f.root, &f.run); path != "" {
		return path, nil
	}
	path := f.run.Playbook
	if !filepath.IsAbs(path) {
		path = filepath.Join(f.run.Selection.Directory, path)
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("the playbook of run %s was %s, and is not there any more: say with --playbook PATH where it is, and with --dir where the runs are", f.run.ID, path)
	}
	return path, nil
}

// choose sets the options as they were, but for the hosts: these are what is left. What the command line says now comes on top.
func (f *resumption) choose(o *options) error {
	was := f.run.Selection
	o.resumes, o.tags, o.skipTags = f, was.Tags, was.SkipTags
	current, _ := os.Getwd()
	var files []string
	for _, file := range was.VarFiles {
		if !filepath.IsAbs(file) && current != was.Directory {
			file = filepath.Join(was.Directory, file)
		}
		files = append(files, file)
	}
	o.varFiles = append(files, o.varFiles...)
	now := map[string]bool{}
	for _, v := range o.vars {
		name, _, _ := strings.Cut(v, "=")
		now[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(was.Vars)) {
		if now[name] || slices.Contains(was.Environ, name) && os.Getenv("PROVISION_VAR_"+name) != "" {
			continue
		}
		if strings.Contains(was.Vars[name], redact.Mask) {
			return fmt.Errorf("the value of var.%s held a secret and was not kept: give it again with --var %s=VALUE", name, name)
		}
		o.vars = append(o.vars, name+"="+was.Vars[name])
	}
	return nil
}

// check finds sensitive variables that were set from outside and are not now, so that no other value takes their place.
func (f *resumption) check(pb *playbook.Playbook, varFiles []string) error {
	var missing []string
	for _, name := range f.run.Selection.Secret {
		by := pb.GivenBy(name)
		if pb.Sensitive(name) && by != "--var" && by != "environment" && !slices.Contains(varFiles, by) {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("run %s was given values that are sensitive and not kept: give %s again, with --var %s=VALUE, with --var-file FILE, or as PROVISION_VAR_%s in the environment",
		f.run.ID, strings.Join(missing, ", "), missing[0], missing[0])
}

// hosts returns those that are left and still in the inventory.
func (f *resumption) hosts(inv *inventory.Inventory) (hosts []*inventory.Host, gone []string) {
	for _, name := range f.left {
		if inv.Host(name) == nil {
			gone = append(gone, name)
		}
	}
	for _, h := range inv.Hosts() {
		if slices.Contains(f.left, h.Name) {
			hosts = append(hosts, h)
		}
	}
	return hosts, gone
}

func (c *cli) tellResumption(f *resumption, r *rollout) {
	fmt.Fprintf(c.stderr, "Going on with run %s: %d of %s left.\n", f.run.ID, len(f.left), count(len(f.run.HostNames()), "host"))
	if was := f.run.Selection.Digest; was != "" && was != r.run.Selection.Digest {
		fmt.Fprintln(c.stderr, "The playbook has changed since then; it is applied as it is now.")
	}
	if _, gone := f.hosts(r.pb.Inventory()); len(gone) > 0 {
		fmt.Fprintf(c.stderr, "Not in the inventory any more, and left out: %s.\n", c.clean(strings.Join(gone, ", ")))
	}
}
