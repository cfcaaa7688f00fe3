package inventory

import (
	"fmt"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

// Imported is what an inventory from elsewhere says. Addresses and settings that it leaves out stay
// empty, and the variables of its hosts are in Vars, not yet in the hosts.
type Imported struct {
	Hosts    []*Host
	Groups   []*ImportedGroup
	Vars     map[string]Vars // each host's own, by its name
	Ansible  bool            // variables such as ansible_host say how to connect: see Host.TakeAnsible
	HasMeta  bool            // of a dynamic inventory: it told the variables of all hosts with --list
	Warnings []string        // what is read otherwise than its writer may expect

	byName    map[string]*Host
	groupName map[string]*ImportedGroup
	templates []string // variables with templates, and where they are
}

// An ImportedGroup names members that are hosts of the same inventory, and groups inside it.
type ImportedGroup struct {
	Name     string
	Hosts    []string
	Children []string
	Vars     Vars // written with the group
	Files    Vars // from group_vars; they win over those of all groups written in the inventory itself
}

// group returns the group with a name and makes it if it is new.
func (im *Imported) group(name string) *ImportedGroup {
	if g := im.groupName[name]; g != nil {
		return g
	}
	if im.groupName == nil {
		im.groupName = map[string]*ImportedGroup{}
	}
	g := &ImportedGroup{Name: name, Vars: Vars{}, Files: Vars{}}
	im.groupName[name] = g
	im.Groups = append(im.Groups, g)
	return g
}

// host returns the host with a name and makes it if it is new.
func (im *Imported) host(name string) *Host {
	if h := im.byName[name]; h != nil {
		return h
	}
	if im.byName == nil {
		im.byName, im.Vars = map[string]*Host{}, map[string]Vars{}
	}
	h := &Host{Name: name, Vars: cty.EmptyObjectVal}
	im.byName[name] = h
	im.Vars[name] = Vars{}
	im.Hosts = append(im.Hosts, h)
	return h
}

// member makes a host a member of a group; of "all" and "ungrouped" it is one without saying so.
func (im *Imported) member(group, host string) {
	if group == "all" || group == "ungrouped" {
		return
	}
	g := im.group(group)
	g.Hosts = append(g.Hosts, host)
}

// child puts a group into another.
func (im *Imported) child(group, child string) {
	im.group(child)
	if group != "all" {
		g := im.group(group)
		g.Children = append(g.Children, child)
	}
}

// set gives a variable its value.
func (im *Imported) set(vars Vars, name string, v cty.Value, from *Origin) {
	vars[name] = Var{Value: v, From: from}
	if !strings.HasPrefix(name, "ansible_") && hasTemplate(v) {
		im.templates = append(im.templates, fmt.Sprintf("%s (%s)", name, from))
	}
}

// hasTemplate tells whether a text inside a value asks Ansible to fill something in.
func hasTemplate(v cty.Value) bool {
	switch {
	case v.IsNull() || !v.IsKnown():
		return false
	case v.Type() == cty.String:
		return isTemplate(v.AsString())
	case v.CanIterateElements():
		for it := v.ElementIterator(); it.Next(); {
			if _, item := it.Element(); hasTemplate(item) {
				return true
			}
		}
	}
	return false
}

func isTemplate(s string) bool { return strings.Contains(s, "{{") || strings.Contains(s, "{%") }

// finish settles what can be said only when everything was read.
func (im *Imported) finish() {
	if rest := im.groupName["ungrouped"]; rest != nil {
		grouped := map[string]bool{}
		for _, g := range im.Groups {
			for _, name := range g.Hosts {
				grouped[name] = true
			}
		}
		for _, h := range im.Hosts {
			if !grouped[h.Name] {
				rest.Hosts = append(rest.Hosts, h.Name)
			}
		}
	}
	if len(im.templates) == 0 {
		return
	}
	const most = 5
	names := slices.Compact(im.templates)
	text := strings.Join(names[:min(len(names), most)], ", ")
	if len(names) > most {
		text += fmt.Sprintf(" and %d more", len(names)-most)
	}
	im.Warnings = append(im.Warnings, "templates of Ansible stay text as they are written, nothing is filled in: "+text+
		"; if a step uses one, set it as a variable of a host or group block")
}

// Keep drops the hosts that patterns do not choose, as Inventory.Select does among the hosts and groups that were
// imported.
func (im *Imported) Keep(patterns ...string) error {
	parents := map[string][]string{}
	groups := map[string][]string{}
	var names []string
	for _, g := range im.Groups {
		for _, child := range g.Children {
			parents[child] = append(parents[child], g.Name)
		}
		for _, host := range g.Hosts {
			groups[host] = append(groups[host], g.Name)
		}
		names = append(names, g.Name)
	}
	bare := make([]*Host, len(im.Hosts))
	for i, h := range im.Hosts {
		bare[i] = &Host{Name: h.Name, Groups: WithParents(slices.Concat(h.Groups, groups[h.Name]), parents)}
	}
	inv, err := New(bare, names...)
	if err != nil {
		return err
	}
	chosen, err := inv.Select(patterns...)
	if err != nil {
		return err
	}
	kept := map[string]bool{}
	for _, h := range chosen {
		kept[h.Name] = true
	}
	dropped := func(name string) bool { return !kept[name] }
	im.Hosts = slices.DeleteFunc(im.Hosts, func(h *Host) bool { return dropped(h.Name) })
	for _, g := range im.Groups {
		g.Hosts = slices.DeleteFunc(g.Hosts, dropped)
	}
	return nil
}

// WithParents returns groups with the groups that they are in, sorted, each once.
func WithParents(groups []string, parents map[string][]string) []string {
	var all []string
	seen := map[string]bool{}
	var visit func(string)
	visit = func(g string) {
		if seen[g] {
			return
		}
		seen[g] = true
		all = append(all, g)
		for _, p := range parents[g] {
			visit(p)
		}
	}
	for _, g := range groups {
		visit(g)
	}
	slices.Sort(all)
	return all
}
