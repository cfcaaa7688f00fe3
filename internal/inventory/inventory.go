// Package inventory holds the hosts of a playbook: who they are, how they are reached and which
// groups they belong to. Where they come from (host blocks, an Ansible inventory, a command, the
// configuration of ssh) is told apart only while they are read.
package inventory

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"provision/internal/steps"
)

// A Host is one machine of the inventory.
type Host struct {
	Name     string
	Address  string             // what to connect to; "" means the name, looked up in the configuration of ssh
	Groups   []string           // sorted; "all" is not among them
	Vars     cty.Value          // an object; the variables of the groups are merged into it, the host's own win
	From     map[string]*Origin // where each of the variables was written
	Settings Settings           // the host's own over those of the inventory and of the ssh block
	Range    hcl.Range          // where the host is written; empty for a throw-away host

	// Everywhere makes the host take part in every play, whatever its hosts argument says. It is
	// set for throw-away hosts.
	Everywhere bool
}

// Settings say how a host is reached and how its steps become root. The zero value of each
// field means that the playbook does not say.
type Settings struct {
	User           string
	Port           int
	IdentityFile   string // absolute
	KnownHostsFile string // absolute
	Password       *steps.Text
	Jump           []string // the hops in order, each a host of the inventory, an alias of ssh or user@host:port; empty but not nil: none
	ConnectTimeout time.Duration
	Legacy         *bool  // old algorithms are allowed
	Transport      string // openssh, auto or builtin
	Become         *bool
	BecomeMethod   string // sudo, su or doas
	BecomePassword *steps.Text
}

// Over returns the settings with those that are not set taken from base.
func (s Settings) Over(base Settings) Settings {
	pick := func(own *string, other string) {
		if *own == "" {
			*own = other
		}
	}
	pick(&s.User, base.User)
	pick(&s.IdentityFile, base.IdentityFile)
	pick(&s.KnownHostsFile, base.KnownHostsFile)
	pick(&s.BecomeMethod, base.BecomeMethod)
	pick(&s.Transport, base.Transport)
	if s.Port == 0 {
		s.Port = base.Port
	}
	if s.Password == nil {
		s.Password = base.Password
	}
	if s.Jump == nil {
		s.Jump = base.Jump
	}
	if s.ConnectTimeout == 0 {
		s.ConnectTimeout = base.ConnectTimeout
	}
	if s.Legacy == nil {
		s.Legacy = base.Legacy
	}
	if s.Become == nil {
		s.Become = base.Become
	}
	if s.BecomePassword == nil {
		s.BecomePassword = base.BecomePassword
	}
	return s
}

// In tells whether the host belongs to a group. Every host belongs to "all".
func (h *Host) In(group string) bool {
	return group == "all" || slices.Contains(h.Groups, group)
}

// Value returns the object "host" for expressions.
func (h *Host) Value() cty.Value {
	groups := cty.ListValEmpty(cty.String)
	if len(h.Groups) > 0 {
		list := make([]cty.Value, len(h.Groups))
		for i, g := range h.Groups {
			list[i] = cty.StringVal(g)
		}
		groups = cty.ListVal(list)
	}
	address := h.Address
	if address == "" {
		address = h.Name
	}
	vars := h.Vars
	if vars == cty.NilVal {
		vars = cty.EmptyObjectVal
	}
	return cty.ObjectVal(map[string]cty.Value{
		"name":    cty.StringVal(h.Name),
		"address": cty.StringVal(address),
		"groups":  groups,
		"vars":    vars,
	})
}

// An Inventory is the list of hosts in the order in which they are written.
type Inventory struct {
	hosts  []*Host
	byName map[string]*Host
	groups []string
	shared Vars // of groups, for a host that belongs to every one
}

// Share sets the variables of groups, for a host that belongs to every one of them.
func (inv *Inventory) Share(vars Vars) { inv.shared = vars }

// New builds an inventory. The groups are those of the hosts and the given ones, which may have
// no hosts. An error names a host that is there twice.
func New(hosts []*Host, groups ...string) (*Inventory, error) {
	inv := &Inventory{hosts: hosts, byName: make(map[string]*Host, len(hosts)), groups: slices.Clone(groups)}
	for _, h := range hosts {
		if inv.byName[h.Name] != nil {
			return nil, fmt.Errorf("host %q is there twice", h.Name)
		}
		inv.byName[h.Name] = h
		inv.groups = append(inv.groups, h.Groups...)
	}
	slices.Sort(inv.groups)
	inv.groups = slices.Compact(inv.groups)
	return inv, nil
}

// Hosts returns all hosts in order.
func (inv *Inventory) Hosts() []*Host { return slices.Clone(inv.hosts) }

// Host returns the host with a name, or nil.
func (inv *Inventory) Host(name string) *Host { return inv.byName[name] }

// Groups returns the names of all groups, sorted, without "all".
func (inv *Inventory) Groups() []string { return slices.Clone(inv.groups) }

// In returns the hosts of a group in order.
func (inv *Inventory) In(group string) []*Host {
	var hosts []*Host
	for _, h := range inv.hosts {
		if h.In(group) {
			hosts = append(hosts, h)
		}
	}
	return hosts
}

// Sandbox returns a throw-away host that takes part in every play: it belongs to every group
// and has the variables of all hosts, where the first host that sets one decides, and those of groups that no host is in.
func (inv *Inventory) Sandbox(name string) *Host {
	vars := map[string]cty.Value{}
	for _, h := range inv.hosts {
		if h.Vars == cty.NilVal {
			continue
		}
		for k, v := range h.Vars.AsValueMap() {
			if _, set := vars[k]; !set {
				vars[k] = v
			}
		}
	}
	for k, v := range inv.shared {
		if _, set := vars[k]; !set {
			vars[k] = v.Value
		}
	}
	return &Host{Name: name, Groups: inv.Groups(), Vars: cty.ObjectVal(vars), Everywhere: true}
}

// names returns the names of all hosts and groups, for suggestions.
func (inv *Inventory) names() []string {
	all := []string{"all"}
	for _, h := range inv.hosts {
		all = append(all, h.Name)
	}
	return append(all, inv.groups...)
}

// ValidName reports what is wrong with the name of a host or a group, or nil.
func ValidName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("the name is empty")
	case name == "all":
		return fmt.Errorf("%q means every host and cannot be a name", name)
	case name[0] == '-' || name[0] == '!' || name[0] == '@' || name[0] == '.':
		return fmt.Errorf("the name %q begins with %q; begin with a letter or a digit", name, name[0])
	}
	for _, r := range name {
		if r <= ' ' || r == 0x7f || r > 0x7e || strings.ContainsRune(`,*?[]{}!/\"'`+"`$;&|<>()", r) {
			return fmt.Errorf("the name %q holds %q; use letters, digits and . _ - : @", name, r)
		}
	}
	return nil
}
