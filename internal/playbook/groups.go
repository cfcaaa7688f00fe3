package playbook

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"provision/internal/inventory"
	"provision/internal/steps"
	"provision/internal/suggest"
)

// join brings hosts and groups together: members named by groups, groups inside groups, and the
// variables of groups under those of hosts.
func (h *hostReader) join() {
	for g := range h.inline {
		h.group(g)
	}
	plain, err := inventory.New(h.hosts)
	if err != nil {
		panic("playbook: " + err.Error())
	}
	for _, name := range keys(h.groups) {
		h.gather(plain, name, h.groups[name])
	}
	parents := h.parents()
	depths := h.depths(parents)
	for _, host := range h.hosts {
		host.Groups = inventory.WithParents(host.Groups, parents)
		h.finish(host, h.merged(host, depths))
	}
	every := slices.DeleteFunc(keys(h.groups), func(name string) bool { return name == "all" })
	h.shared = h.merged(&inventory.Host{Groups: every}, depths)
	delete(h.groups, "all")
}

// gather makes the hosts that a group names its members.
func (h *hostReader) gather(plain *inventory.Inventory, name string, g *groupBlock) {
	var members []*inventory.Host
	for _, pattern := range g.hosts {
		chosen, err := plain.Select(pattern)
		if err != nil {
			h.s.run.found.error(g.at, "No such host", sentence(err.Error()))
		}
		members = append(members, chosen...)
	}
	for _, member := range g.members {
		if host := h.byName[member]; host != nil {
			members = append(members, host)
		}
	}
	for _, m := range members {
		if name != "all" {
			m.Groups = append(m.Groups, name)
		}
	}
	for _, child := range g.children {
		if h.groups[child] == nil {
			h.s.run.found.error(g.place(), "No such group", fmt.Sprintf("The group %q has the child %q, and there is no such group.%s", name, child, suggest.DidYouMean(child, keys(h.groups))))
		}
	}
}

// place is where a group is written.
func (g *groupBlock) place() hcl.Range {
	if g.rng != (hcl.Range{}) {
		return g.rng
	}
	return g.at
}

func (h *hostReader) parents() map[string][]string {
	parents := map[string][]string{}
	for _, name := range keys(h.groups) {
		for _, child := range h.groups[name].children {
			if name != "all" {
				parents[child] = append(parents[child], name)
			}
		}
	}
	return parents
}

// depths returns how many groups each group is inside of, by the longest way, and reports groups that contain themselves.
func (h *hostReader) depths(parents map[string][]string) map[string]int {
	depths := map[string]int{}
	var way []string
	var depth func(g string) int
	depth = func(g string) int {
		if i := slices.Index(way, g); i >= 0 {
			h.s.run.found.error(h.groups[way[len(way)-1]].place(), "A group inside itself",
				fmt.Sprintf("The group %q contains itself: %s. Take one of them out of the children of the other.", g, strings.Join(append(slices.Clone(way[i:]), g), " is in ")))
			return 0
		}
		if d, known := depths[g]; known {
			return d
		}
		way = append(way, g)
		d := 1
		for _, p := range parents[g] {
			d = max(d, 1+depth(p))
		}
		way = way[:len(way)-1]
		depths[g] = d
		return d
	}
	for _, g := range keys(h.groups) {
		depth(g)
	}
	return depths
}

// merged are the variables of a host with those of its groups under its own. Ansible's order holds for all: what stands in
// an inventory comes before group_vars and group blocks; in each, "all" comes first, then the groups from the outer to the
// inner, those of one depth by ansible_group_priority and then by name; the later wins.
func (h *hostReader) merged(host *inventory.Host, depths map[string]int) inventory.Vars {
	order := slices.Clone(host.Groups)
	slices.SortStableFunc(order, func(a, b string) int {
		return cmp.Or(depths[a]-depths[b], cmp.Compare(h.groups[a].priority(), h.groups[b].priority()), strings.Compare(a, b))
	})
	if h.groups["all"] != nil {
		order = slices.Insert(order, 0, "all")
	}
	all := inventory.Vars{}
	for _, g := range order {
		maps.Copy(all, h.groups[g].inline)
	}
	for _, g := range order {
		maps.Copy(all, h.groups[g].vars)
	}
	maps.Copy(all, h.own[host.Name])
	return all
}

// priority is what Ansible orders groups of one depth by.
func (g *groupBlock) priority() float64 {
	for _, vars := range []inventory.Vars{g.vars, g.inline} {
		v, ok := vars["ansible_group_priority"]
		if !ok || v.Value.IsNull() || !v.Value.IsKnown() || v.Value.Type() != cty.Number {
			continue
		}
		bare, _ := v.Value.Unmark()
		n, _ := bare.AsBigFloat().Float64()
		return n
	}
	return 1
}

// finish completes a host: its variables, what Ansible writes into them, and the defaults of the ssh block.
func (h *hostReader) finish(host *inventory.Host, vars inventory.Vars) {
	if h.ansible {
		notes, err := host.TakeAnsible(vars)
		if err != nil {
			h.s.run.found.error(host.Range, "A host that cannot be taken over", sentence(err.Error()))
		}
		for _, note := range notes {
			h.warn(host.Range, note)
		}
		host.Settings.IdentityFile = h.onThisMachine(host.Settings.IdentityFile)
		host.Settings.KnownHostsFile = h.onThisMachine(host.Settings.KnownHostsFile)
	}
	host.SetVars(vars)
	host.Settings = host.Settings.Over(h.base)
	for _, secret := range []*steps.Text{host.Settings.Password, host.Settings.BecomePassword} {
		if secret != nil {
			h.pb.secrets.note(cty.StringVal(secret.Reveal()).Mark(steps.Sensitive))
		}
	}
}
