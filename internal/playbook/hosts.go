package playbook

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"provision/internal/inventory"
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

	own     map[string]inventory.Vars // each host's own variables, by its name
	shared  inventory.Vars            // those of all groups
	written []*inventory.Host         // those of host blocks
	ansible bool                      // variables may say how to connect, as those of Ansible do
}

// groupBlock is what a group block, or an inventory, says about a group.
type groupBlock struct {
	hosts    []string // patterns
	members  []string // names
	children []string
	inline   inventory.Vars // written in an inventory of Ansible
	vars     inventory.Vars // of group_vars, and over them those of the group block
	rng      hcl.Range      // of the group block; empty if there is none
	at       hcl.Range      // of hosts, or of the inventory
}

// loadHosts builds the inventory.
func (pb *Playbook) loadHosts() {
	root := pb.root.root
	h := &hostReader{
		pb: pb, s: pb.staticScope(), byName: map[string]*inventory.Host{}, groups: map[string]*groupBlock{}, inline: map[string]hcl.Range{},
		own: map[string]inventory.Vars{},
	}
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
	inv.Share(h.shared)
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
	model := inventory.Host{Settings: h.settings(attrs), Range: b.DefRange}
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
	vars := h.vars(attrs["vars"], "")
	for i, name := range names {
		host := model
		host.Name, host.Groups = name, slices.Clone(model.Groups)
		host.Address = addresses[min(i, len(addresses)-1)]
		h.add(&host, vars, b.LabelRanges[0])
	}
}

func (h *hostReader) add(host *inventory.Host, own inventory.Vars, at hcl.Range) {
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
	h.own[host.Name] = own
}

// vars is an attribute that is an object or a map. Its values may be sensitive, its names not. group is whose variables
// they are, "" a host's.
func (h *hostReader) vars(a *hcl.Attribute, group string) inventory.Vars {
	v, ok := h.attribute(a, cty.DynamicPseudoType)
	if !ok {
		return nil
	}
	bare, marks := v.Unmark()
	if !bare.Type().IsObjectType() && !bare.Type().IsMapType() {
		h.s.run.found.error(a.Expr.Range(), "Invalid value for vars", "An object is required, such as { workers = 4 }.")
		return nil
	}
	lines := linesOf(a)
	vars := inventory.Vars{}
	for name, item := range bare.AsValueMap() {
		line, ok := lines[name]
		if !ok {
			line = a.NameRange.Start.Line
		}
		vars[name] = inventory.Var{Value: item.WithMarks(marks), From: &inventory.Origin{Group: group, File: a.Range.Filename, Line: line}}
	}
	return vars
}

// linesOf returns the line of each name of an object that is written out.
func linesOf(a *hcl.Attribute) map[string]int {
	items, diags := hcl.ExprMap(a.Expr)
	if diags.HasErrors() {
		return nil
	}
	lines := map[string]int{}
	for _, item := range items {
		name := hcl.ExprAsKeyword(item.Key)
		if v, diags := item.Key.Value(nil); name == "" && !diags.HasErrors() && v.Type() == cty.String && v.IsKnown() && !v.IsNull() {
			v, _ = v.Unmark()
			name = v.AsString()
		}
		lines[name] = item.Key.Range().Start.Line
	}
	return lines
}

func (h *hostReader) readGroup(b *hcl.Block) {
	content, diags := b.Body.Content(&groupSchema)
	h.pb.loading.add(diags...)
	name := b.Labels[0]
	if err := inventory.ValidName(name); err != nil && name != "all" {
		h.s.run.found.error(b.LabelRanges[0], "Invalid name of a group", sentence(err.Error()))
		return
	}
	g := h.group(name)
	if g.rng != (hcl.Range{}) {
		h.pb.duplicate(b, "group", g.rng)
		return
	}
	g.rng = b.DefRange
	if list, ok := h.list(content.Attributes["hosts"]); ok {
		g.hosts = append(g.hosts, list...)
		g.at = content.Attributes["hosts"].Expr.Range()
	}
	if list, ok := h.list(content.Attributes["children"]); ok {
		g.children = append(g.children, list...)
	}
	g.vars = h.vars(content.Attributes["vars"], name).Over(g.vars)
}

// group returns what is known of a group.
func (h *hostReader) group(name string) *groupBlock {
	g := h.groups[name]
	if g == nil {
		g = &groupBlock{}
		h.groups[name] = g
	}
	return g
}
