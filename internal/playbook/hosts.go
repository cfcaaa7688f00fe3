package playbook

import (
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

// hostReader turns ssh, host, group and inventory blocks into hosts.
type hostReader struct {
	pb     *Playbook
	s      *scope
	base   inventory.Settings
	hosts  []*inventory.Host
	byName map[string]*inventory.Host
	groups map[string]*groupBlock
	inline map[string]hcl.Range // groups that hosts name, and where

	written []*inventory.Host // those of host blocks
	ansible bool              // an inventory of Ansible is among them
}

// groupBlock is what a group block, or an inventory, says about a group.
type groupBlock struct {
	hosts    []string
	children []string
	vars     cty.Value
	rng      hcl.Range
	at       hcl.Range // of hosts
}

// loadHosts builds the inventory.
func (pb *Playbook) loadHosts() {
	root := pb.root.root
	h := &hostReader{pb: pb, s: pb.staticScope(), byName: map[string]*inventory.Host{}, groups: map[string]*groupBlock{}, inline: map[string]hcl.Range{}}
	for i, b := range root.ssh {
		if i > 0 {
			pb.duplicate(b, "ssh block", root.ssh[0].DefRange)
			continue
		}
		content, diags := b.Body.Content(&sshSchema)
		pb.loading.add(diags...)
		h.base = h.settings(content.Attributes)
	}
	for _, b := range root.hosts {
		h.readHost(b)
	}
	h.written = slices.Clone(h.hosts)
	for _, b := range root.inventories {
		h.readInventory(b)
	}
	for _, b := range root.groups {
		h.readGroup(b)
	}
	h.join()
	pb.loading.add(h.s.run.found.diags...)
	inv, err := inventory.New(h.hosts, keys(h.groups)...)
	if err != nil {
		panic("playbook: " + err.Error())
	}
	pb.inv = inv
}

// readHost reads a host block; a label with ranges such as web[01:20] stands for several hosts,
// and the ranges of address for as many addresses.
func (h *hostReader) readHost(b *hcl.Block) {
	content, diags := b.Body.Content(&hostSchema)
	h.pb.loading.add(diags...)
	names, err := inventory.Expand(b.Labels[0])
	if err != nil {
		h.pb.loading.error(b.LabelRanges[0], "Invalid name of a host", sentence(err.Error()))
		return
	}
	attrs := content.Attributes
	model := inventory.Host{Settings: h.settings(attrs), Range: b.DefRange, Vars: cty.EmptyObjectVal}
	address := h.text(attrs["address"])
	addresses, err := inventory.Expand(address)
	if err != nil || strings.HasPrefix(address, "[") {
		addresses = []string{address} // an IPv6 address in brackets
	}
	if len(addresses) > 1 && len(addresses) != len(names) {
		h.s.run.found.error(attrs["address"].Expr.Range(), "Invalid value for address", fmt.Sprintf("The address stands for %d, and the name for %d.", len(addresses), len(names)))
		return
	}
	if groups, ok := h.list(attrs["groups"]); ok {
		for _, g := range groups {
			if err := inventory.ValidName(g); err != nil {
				h.s.run.found.error(attrs["groups"].Expr.Range(), "Invalid name of a group", sentence(err.Error()))
				continue
			}
			model.Groups = append(model.Groups, g)
			h.inline[g] = attrs["groups"].Expr.Range()
		}
	}
	if v, ok := h.vars(attrs["vars"]); ok {
		model.Vars = v
	}
	for i, name := range names {
		host := model
		host.Name, host.Groups = name, slices.Clone(model.Groups)
		host.Address = addresses[min(i, len(addresses)-1)]
		h.add(&host, b.LabelRanges[0])
	}
}

func (h *hostReader) add(host *inventory.Host, at hcl.Range) {
	if err := inventory.ValidName(host.Name); err != nil {
		h.s.run.found.error(at, "Invalid name of a host", sentence(err.Error()))
		return
	}
	if first := h.byName[host.Name]; first != nil {
		h.s.run.found.error(at, "Duplicate host", fmt.Sprintf("%q is already at %s, line %d. Remove one of them.", host.Name, first.Range.Filename, first.Range.Start.Line))
		return
	}
	h.byName[host.Name] = host
	h.hosts = append(h.hosts, host)
}

// vars is an attribute that is an object or a map. Its values may be sensitive, its names not.
func (h *hostReader) vars(a *hcl.Attribute) (cty.Value, bool) {
	v, ok := h.attribute(a, cty.DynamicPseudoType)
	if !ok {
		return cty.NilVal, false
	}
	bare, marks := v.Unmark()
	if !bare.Type().IsObjectType() && !bare.Type().IsMapType() {
		h.s.run.found.error(a.Expr.Range(), "Invalid value for vars", "An object is required, such as { workers = 4 }.")
		return cty.NilVal, false
	}
	object := bare.AsValueMap()
	for name, item := range object {
		object[name] = item.WithMarks(marks)
	}
	if len(object) == 0 {
		return cty.EmptyObjectVal, true
	}
	return cty.ObjectVal(object), true
}

func (h *hostReader) readGroup(b *hcl.Block) {
	content, diags := b.Body.Content(&groupSchema)
	h.pb.loading.add(diags...)
	name := b.Labels[0]
	if err := inventory.ValidName(name); err != nil && name != "all" {
		h.s.run.found.error(b.LabelRanges[0], "Invalid name of a group", sentence(err.Error()))
		return
	}
	g := h.groups[name]
	if g != nil && g.rng != (hcl.Range{}) {
		h.pb.duplicate(b, "group", g.rng)
		return
	}
	if g == nil {
		g = &groupBlock{vars: cty.EmptyObjectVal}
		h.groups[name] = g
	}
	g.rng = b.DefRange
	if list, ok := h.list(content.Attributes["hosts"]); ok {
		g.hosts = append(g.hosts, list...)
		g.at = content.Attributes["hosts"].Expr.Range()
	}
	if list, ok := h.list(content.Attributes["children"]); ok {
		g.children = append(g.children, list...)
	}
	if v, ok := h.vars(content.Attributes["vars"]); ok {
		g.vars = merge(g.vars, v)
	}
}

// merge puts the attributes of one object over those of another.
func merge(under, over cty.Value) cty.Value {
	all := map[string]cty.Value{}
	maps.Copy(all, under.AsValueMap())
	maps.Copy(all, over.AsValueMap())
	if len(all) == 0 {
		return cty.EmptyObjectVal
	}
	return cty.ObjectVal(all)
}

// join brings hosts and groups together: members named by groups, groups inside groups, and the
// variables of groups under those of hosts.
func (h *hostReader) join() {
	for g := range h.inline {
		if h.groups[g] == nil {
			h.groups[g] = &groupBlock{vars: cty.EmptyObjectVal}
		}
	}
	plain, err := inventory.New(h.hosts)
	if err != nil {
		panic("playbook: " + err.Error())
	}
	for _, name := range keys(h.groups) {
		g := h.groups[name]
		for _, pattern := range g.hosts {
			members, err := plain.Select(pattern)
			if err != nil {
				h.s.run.found.error(g.at, "No such host", sentence(err.Error()))
				continue
			}
			for _, m := range members {
				if name != "all" {
					m.Groups = append(m.Groups, name)
				}
			}
		}
		for _, child := range g.children {
			if h.groups[child] == nil {
				h.s.run.found.error(g.rng, "No such group", fmt.Sprintf("The group %q has the child %q, and there is no such group.%s", name, child, suggest.DidYouMean(child, keys(h.groups))))
			}
		}
	}
	parents := h.parents()
	for _, host := range h.hosts {
		for i := 0; i < len(host.Groups); i++ { // grows while it is read
			for _, p := range parents[host.Groups[i]] {
				if !slices.Contains(host.Groups, p) {
					host.Groups = append(host.Groups, p)
				}
			}
		}
		h.mergeVars(host, parents)
		h.finish(host)
	}
	delete(h.groups, "all")
}

// finish completes the settings of a host: what Ansible writes into variables, and the defaults
// of the ssh block.
func (h *hostReader) finish(host *inventory.Host) {
	if h.ansible {
		if err := host.TakeAnsible(); err != nil {
			h.s.run.found.error(host.Range, "An inventory that cannot be read", sentence(err.Error()))
		}
		host.Settings.IdentityFile = h.onThisMachine(host.Settings.IdentityFile)
	}
	host.Settings = host.Settings.Over(h.base)
	for _, secret := range []*steps.Text{host.Settings.Password, host.Settings.BecomePassword} {
		if secret != nil {
			h.pb.secrets.note(cty.StringVal(secret.Reveal()).Mark(steps.Sensitive))
		}
	}
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

// mergeVars gives a host the variables of its groups: those of "all" first, then by name, a child
// after its parents, and the host's own last.
func (h *hostReader) mergeVars(host *inventory.Host, parents map[string][]string) {
	slices.Sort(host.Groups)
	host.Groups = slices.Compact(host.Groups)
	vars := cty.EmptyObjectVal
	if all := h.groups["all"]; all != nil {
		vars = all.vars
	}
	done := map[string]bool{}
	var visit func(g string)
	visit = func(g string) {
		if done[g] {
			return
		}
		done[g] = true
		for _, p := range parents[g] {
			visit(p)
		}
		if block := h.groups[g]; block != nil {
			vars = merge(vars, block.vars)
		}
	}
	for _, g := range host.Groups {
		visit(g)
	}
	host.Vars = merge(vars, host.Vars)
}
