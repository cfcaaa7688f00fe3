package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"provision/internal/inventory"
	"provision/internal/playbook"
	"provision/internal/sandbox"
	"provision/internal/suggest"
	"provision/playbooks"
)

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
	loaded := !diags.HasErrors()
	// It finds what can be found in spite of the errors of loading, so that all mistakes are told at once.
	diags = append(diags, pb.Validate()...)
	if loaded && !o.sandbox {
		diags = append(diags, unheeded(pb)...)
	}
	return pb, c.diagnose(diags, pb.Files())
}

// unheeded warns of what a playbook asks for and runs do not do yet.
func unheeded(pb *playbook.Playbook) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, p := range pb.Plays() {
		if p.Rollout.Range == (hcl.Range{}) {
			continue
		}
		at := p.Rollout.Range
		diags = append(diags, &hcl.Diagnostic{
			Severity: hcl.DiagWarning, Subject: &at,
			Summary: "The rollout block is not heeded yet",
			Detail: "It is checked, but a run takes all selected hosts side by side, as many at a time as --parallel says: there are no batches, " +
				"no pauses and no limit on failures. Go in steps with --limit: first one host, then the others.",
		})
	}
	return diags
}

// choose returns the hosts of the run. With --sandbox it starts one, and whoever asked closes it.
func (c *cli) choose(ctx context.Context, pb *playbook.Playbook, o *options) ([]*inventory.Host, *sandbox.Sandbox, error) {
	if o.sandbox {
		box, err := sandbox.Start(ctx, sandbox.Options{})
		if err != nil {
			return nil, nil, err
		}
		if o.verbose {
			for _, note := range box.Notes {
				fmt.Fprintln(c.stderr, "sandbox:", note)
			}
		}
		return []*inventory.Host{pb.Inventory().Sandbox("sandbox")}, box, nil
	}
	if len(pb.Inventory().Hosts()) == 0 {
		return nil, nil, fmt.Errorf("the playbook has no hosts: add a block host \"NAME\" { address = \"…\" }, or try it with --sandbox")
	}
	hosts, err := pb.Inventory().Select(o.limit...)
	if err == nil && len(hosts) == 0 {
		err = fmt.Errorf("--limit %s leaves no host", strings.Join(o.limit, ","))
	}
	return hosts, nil, err
}

// checkTags finds tags that no step has.
func (o *options) checkTags(pb *playbook.Playbook, hosts []*inventory.Host) error {
	var known []string
	for _, tag := range slices.Concat(o.tags, o.skipTags) {
		if known == nil {
			known = tagsOf(pb, hosts)
		}
		switch {
		case slices.Contains(known, tag):
		case len(known) == 0:
			return fmt.Errorf("no step has the tag %q: none has any", tag)
		default:
			return fmt.Errorf("no step has the tag %q.%s There are: %s", tag, suggest.DidYouMean(tag, known), strings.Join(known, ", "))
		}
	}
	return nil
}

// tagsOf lists the tags of the steps of some hosts, those that are computed among them.
func tagsOf(pb *playbook.Playbook, hosts []*inventory.Host) []string {
	tags := pb.Tags()
	for _, h := range hosts {
		instances, _ := pb.Steps(h, nil, nil)
		for i := range instances {
			tags = append(tags, instances[i].Tags...)
		}
	}
	slices.Sort(tags)
	return slices.Compact(tags)
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
