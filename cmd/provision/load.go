package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"provision/internal/inventory"
	"provision/internal/playbook"
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
	pb, diags, err := c.read(ctx, path, o)
	if err != nil {
		return nil, err
	}
	return pb, c.diagnose(diags, pb.Files())
}

// read reads and checks a playbook.
func (c *cli) read(ctx context.Context, path string, o *options) (*playbook.Playbook, hcl.Diagnostics, error) {
	vars := map[string]string{}
	for _, v := range o.vars {
		name, value, ok := strings.Cut(v, "=")
		if !ok {
			return nil, nil, fmt.Errorf("--var %s: write it as NAME=VALUE", v)
		}
		vars[name] = value
	}
	pb, diags := playbook.Load(ctx, path, playbook.Options{Vars: vars, VarFiles: o.varFiles, Environ: os.Environ(), Test: o.test, Ask: !o.offline, Shipped: playbooks.FS})
	// It finds what can be found in spite of the errors of loading, so that all mistakes are told at once.
	return pb, append(diags, pb.Validate()...), nil
}

// choose returns the hosts of the run. With --sandbox it starts one, and whoever asked closes it.
func (c *cli) choose(ctx context.Context, pb *playbook.Playbook, o *options) ([]*inventory.Host, *box, error) {
	if o.sandbox {
		box, err := c.startBox(ctx, o.imageFor(pb))
		if err != nil {
			return nil, nil, err
		}
		if o.verbose || box.container != nil {
			for _, note := range box.notes {
				fmt.Fprintf(c.stderr, "%s: %s\n", box.name, note)
			}
		}
		return []*inventory.Host{pb.Inventory().Sandbox(box.name)}, box, nil
	}
	if len(pb.Inventory().Hosts()) == 0 {
		return nil, nil, fmt.Errorf("the playbook has no hosts: add a block host \"NAME\" { address = \"…\" }, or try it with --sandbox")
	}
	if o.resumes != nil {
		hosts, _ := o.resumes.hosts(pb.Inventory())
		if len(hosts) == 0 {
			return nil, nil, fmt.Errorf("none of the hosts that are left is in the inventory any more: %s", strings.Join(o.resumes.left, ", "))
		}
		return hosts, nil, nil
	}
	hosts, err := c.selected(pb.Inventory(), o)
	if err == nil && len(hosts) == 0 {
		err = exitStatus(0) // of a shard without hosts
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

// keysOfAddress are the keys of for_each in the address of a step.
var keysOfAddress = regexp.MustCompile(`\["(?:[^"\\]|\\.)*"\]`)

// checkRerun finds addresses that no step has. Keys that come of facts are not known yet, and may be any.
func (o *options) checkRerun(pb *playbook.Playbook, hosts []*inventory.Host) error {
	if len(o.rerun) == 0 {
		return nil
	}
	if len(hosts) == 0 || o.sandbox {
		hosts = []*inventory.Host{pb.Inventory().Sandbox("sandbox")}
	}
	left := slices.Clone(o.rerun)
	known := map[string]bool{}
	for _, h := range hosts {
		instances, _ := pb.Steps(h, nil, nil)
		for i := range instances {
			in := &instances[i]
			if in.Passive() {
				continue
			}
			known[in.Addr] = true
			left = slices.DeleteFunc(left, func(addr string) bool {
				return addr == in.Addr || len(in.Waits) > 0 && keysOfAddress.ReplaceAllString(addr, "") == keysOfAddress.ReplaceAllString(in.Addr, "")
			})
		}
		if len(left) == 0 {
			return nil
		}
	}
	hint := suggest.DidYouMean(left[0], slices.Sorted(maps.Keys(known)))
	if hint == "" {
		hint = " provision plan --detail lists the addresses of all."
	}
	return fmt.Errorf("--rerun %s: there is no such step.%s", left[0], hint)
}
