package inventory

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// A member is an entry of an object of JSON.
type member struct {
	name  string
	value json.RawMessage
}

// members returns the entries of an object in order. data is valid JSON.
func members(data []byte) ([]member, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil, errors.New("it must be an object")
	}
	var list []member
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		m := member{name: fmt.Sprint(token)}
		if err := decoder.Decode(&m.value); err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, nil
}

// isDynamic tells the form of Ansible's dynamic inventories, groups, from an object of hosts: it has _meta or a group named
// all, or it is made of lists and of objects with hosts or children.
func isDynamic(groups []member) bool {
	like := false
	for _, g := range groups {
		if g.name == "_meta" || g.name == "all" {
			return true
		}
		var fields map[string]json.RawMessage
		if json.Unmarshal(g.value, &fields) != nil {
			if !bytes.HasPrefix(bytes.TrimSpace(g.value), []byte("[")) {
				return false
			}
			like = true
			continue
		}
		if fields["hosts"] != nil || fields["children"] != nil {
			like = true
		}
		for name := range fields {
			if name != "hosts" && name != "children" && name != "vars" {
				return false
			}
		}
	}
	return like
}

// dynamicGroup is a group of a dynamic inventory; a list alone stands for its hosts.
type dynamicGroup struct {
	Hosts    []string        `json:"hosts"`
	Children []string        `json:"children"`
	Vars     json.RawMessage `json:"vars"`
}

// addDynamic reads Ansible's dynamic format.
func (im *Imported) addDynamic(groups []member) error {
	im.Ansible = true
	for _, g := range groups {
		if g.name == "_meta" {
			continue
		}
		if err := im.addDynamicGroup(g); err != nil {
			return fmt.Errorf("the group %q: %w", g.name, err)
		}
	}
	for _, g := range groups {
		if g.name != "_meta" {
			continue
		}
		var meta struct {
			HostVars json.RawMessage `json:"hostvars"`
		}
		if err := json.Unmarshal(g.value, &meta); err != nil {
			return errors.New("_meta must be an object with hostvars")
		}
		im.HasMeta = true
		if absent(meta.HostVars) {
			continue
		}
		hosts, err := members(meta.HostVars)
		if err != nil {
			return fmt.Errorf("hostvars of _meta: %w", err)
		}
		for _, h := range hosts {
			if im.byName[h.name] == nil {
				continue // as Ansible: it is of no group, and so no host
			}
			if err := im.AddHostVars(h.name, h.value); err != nil {
				return err
			}
		}
	}
	return nil
}

func (im *Imported) addDynamicGroup(m member) error {
	if m.name != "all" {
		if err := ValidName(m.name); err != nil {
			return err
		}
	}
	var g dynamicGroup
	if json.Unmarshal(m.value, &g.Hosts) != nil {
		g = dynamicGroup{}
		if err := json.Unmarshal(m.value, &g); err != nil {
			return errors.New("it must be a list of hosts, or an object with hosts, children and vars")
		}
	}
	if m.name != "all" && m.name != "ungrouped" {
		im.group(m.name)
	}
	for _, name := range g.Hosts {
		if err := ValidName(name); err != nil {
			return err
		}
		im.host(name)
		im.member(m.name, name)
	}
	for _, child := range g.Children {
		if child == "all" {
			continue
		}
		if err := ValidName(child); err != nil {
			return err
		}
		if child != "ungrouped" {
			im.child(m.name, child)
		}
	}
	if absent(g.Vars) {
		return nil
	}
	return im.addVars(im.group(m.name).Vars, m.name, g.Vars)
}

// AddHostVars gives a host the variables of an object of JSON.
func (im *Imported) AddHostVars(host string, data []byte) error {
	im.host(host)
	if err := im.addVars(im.Vars[host], "", data); err != nil {
		return fmt.Errorf("the host %q: %w", host, err)
	}
	return nil
}

func (im *Imported) addVars(vars Vars, group string, data []byte) error {
	ty, err := ctyjson.ImpliedType(data)
	if err != nil || !ty.IsObjectType() {
		return errors.New("vars must be an object")
	}
	object, err := ctyjson.Unmarshal(data, ty)
	if err != nil {
		return errors.New("vars must be an object")
	}
	values := object.AsValueMap()
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		v := values[name]
		if v == cty.NilVal {
			continue
		}
		if im.Ansible {
			im.set(vars, name, v, &Origin{Group: group})
		} else {
			vars[name] = Var{Value: v, From: &Origin{Group: group}}
		}
	}
	return nil
}

func absent(data json.RawMessage) bool {
	return len(data) == 0 || string(data) == "null"
}
