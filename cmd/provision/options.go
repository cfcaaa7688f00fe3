package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"provision/internal/inventory"
	"provision/internal/playbook"
	"provision/internal/sandbox"
	"provision/internal/steps"
	"provision/playbooks"
)

// options are the flags that the commands which touch hosts share.
type options struct {
	limit, tags, skipTags []string
	vars, varFiles        []string
	parallel              int
	sandbox               bool
	json, yes, verbose    bool
	askBecomePass         bool
}

// variables adds the flags of everything that reads a playbook.
func (o *options) variables(flags *pflag.FlagSet) {
	flags.StringArrayVar(&o.vars, "var", nil, "set a variable: `NAME=VALUE` (repeatable)")
	flags.StringArrayVar(&o.varFiles, "var-file", nil, "read variables from `FILE` (repeatable)")
}

// selection adds the flags of everything that chooses hosts.
func (o *options) selection(flags *pflag.FlagSet) {
	o.variables(flags)
	flags.StringArrayVar(&o.limit, "limit", nil, "only hosts that match `PATTERN`: names and groups, commas, globs, ! excludes (repeatable)")
	flags.IntVar(&o.parallel, "parallel", 10, "how many hosts at a time")
	flags.BoolVar(&o.sandbox, "sandbox", false, "one throw-away copy of this machine in place of the inventory")
	flags.BoolVar(&o.askBecomePass, "ask-become-pass", false, "ask for the password of sudo, once")
}

// plays adds the flags of everything that runs plays.
func (o *options) plays(flags *pflag.FlagSet) {
	o.selection(flags)
	flags.StringSliceVar(&o.tags, "tags", nil, "only steps with one of these tags")
	flags.StringSliceVar(&o.skipTags, "skip-tags", nil, "no steps with one of these tags")
	flags.BoolVar(&o.json, "json", false, "events on stdout, one JSON object a line")
	flags.BoolVarP(&o.verbose, "verbose", "v", false, "what steps print, and the steps that need nothing")
}

// pathOf is the playbook that the arguments name; the current directory by default.
func pathOf(args []string) string {
	if len(args) == 0 {
		return "."
	}
	return args[0]
}

// load reads and checks a playbook. It prints the diagnostics, warnings among them.
func (c *cli) load(ctx context.Context, path string, o *options) (*playbook.Playbook, error) {
	vars := map[string]string{}
	for _, v := range o.vars {
		name, value, ok := strings.Cut(v, "=")
		if !ok {
			return nil, fmt.Errorf("--var %s: write it as NAME=VALUE", v)
		}
		vars[name] = value
	}
	pb, diags := playbook.Load(ctx, path, playbook.Options{Vars: vars, VarFiles: o.varFiles, Environ: os.Environ(), Shipped: playbooks.FS})
	if !diags.HasErrors() {
		diags = append(diags, pb.Validate()...)
	}
	return pb, c.diagnose(diags, pb.Files())
}

// choose returns the hosts of the run. With --sandbox it starts one, and end stops it.
func (c *cli) choose(ctx context.Context, pb *playbook.Playbook, o *options) (hosts []*inventory.Host, box *sandbox.Sandbox, err error) {
	if o.sandbox {
		if len(o.limit) > 0 {
			return nil, nil, fmt.Errorf("--limit and --sandbox exclude each other: the sandbox is the only host then")
		}
		box, err := sandbox.Start(ctx, sandbox.Options{})
		if err != nil {
			return nil, nil, err
		}
		for _, note := range box.Notes {
			if o.verbose {
				fmt.Fprintln(c.stderr, "sandbox:", note)
			}
		}
		return []*inventory.Host{pb.Inventory().Sandbox("sandbox")}, box, nil
	}
	if len(pb.Inventory().Hosts()) == 0 {
		return nil, nil, fmt.Errorf("the playbook has no hosts: add a block host \"NAME\" { address = \"…\" }, or try it with --sandbox")
	}
	hosts, err = pb.Inventory().Select(o.limit...)
	if err == nil && len(hosts) == 0 {
		err = fmt.Errorf("--limit %s leaves no host", strings.Join(o.limit, ","))
	}
	return hosts, nil, err
}

// phases groups the plays that may run side by side on different hosts: consecutive ones for the same hosts.
func phases(pb *playbook.Playbook) [][]string {
	var groups [][]string
	var last []string
	for _, p := range pb.Plays() {
		if len(groups) > 0 && slices.Equal(last, p.Hosts) {
			groups[len(groups)-1] = append(groups[len(groups)-1], p.Name)
			continue
		}
		groups = append(groups, []string{p.Name})
		last = p.Hosts
	}
	return groups
}

// tagged tells whether --tags and --skip-tags leave a step in.
func (o *options) tagged(in *steps.Instance) bool {
	has := func(list []string) bool {
		return slices.ContainsFunc(list, func(tag string) bool { return slices.Contains(in.Tags, tag) })
	}
	return (len(o.tags) == 0 || has(o.tags)) && !has(o.skipTags)
}

// checkTags finds tags that no step has.
func (o *options) checkTags(pb *playbook.Playbook) error {
	known := pb.Tags()
	for _, tag := range slices.Concat(o.tags, o.skipTags) {
		if !slices.Contains(known, tag) {
			return fmt.Errorf("no step has the tag %q; there are: %s", tag, strings.Join(known, ", "))
		}
	}
	return nil
}

// redrawable completes hosts and groups for --limit.
func (c *cli) completeLimit(o *options) func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		pb, diags := playbook.Load(cmd.Context(), pathOf(args), playbook.Options{Environ: os.Environ(), Shipped: playbooks.FS})
		if diags.HasErrors() {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		names := map[string]bool{}
		for _, h := range pb.Inventory().Hosts() {
			names[h.Name] = true
		}
		for _, g := range pb.Inventory().Groups() {
			names[g] = true
		}
		return slices.Sorted(maps.Keys(names)), cobra.ShellCompDirectiveNoFileComp
	}
}

// since is a moment for people.
func since(t time.Time) string { return t.Format("15:04 on 2 January") }
