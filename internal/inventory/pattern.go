package inventory

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"provision/internal/suggest"
)

// Select returns the hosts that patterns choose, in the order of the inventory. Each pattern is
// a list, separated by commas, of names of hosts and groups, with globs (*, ?) and ranges
// ([1-4], [01:20], [a:c]: see Expand); "!" before one excludes what it matches, in whatever place it stands. No
// pattern, or exclusions only, start from all hosts. A pattern that matches no host and no group is an
// error that names it.
func (inv *Inventory) Select(patterns ...string) ([]*Host, error) {
	in, out := map[*Host]bool{}, map[*Host]bool{}
	positive := false
	for _, list := range patterns {
		for _, p := range splitPatterns(list) {
			rest, exclude := strings.CutPrefix(p, "!")
			matched, err := inv.match(rest)
			if err != nil {
				return nil, err
			}
			for _, h := range matched {
				if exclude {
					out[h] = true
				} else {
					in[h] = true
				}
			}
			positive = positive || !exclude
		}
	}
	var chosen []*Host
	for _, h := range inv.hosts {
		if (in[h] || !positive) && !out[h] {
			chosen = append(chosen, h)
		}
	}
	return chosen, nil
}

// splitPatterns splits at the commas outside brackets and drops empty items.
func splitPatterns(list string) []string {
	var items []string
	depth, start := 0, 0
	add := func(end int) {
		if item := strings.TrimSpace(list[start:end]); item != "" {
			items = append(items, item)
		}
		start = end + 1
	}
	for i, c := range list {
		switch {
		case c == '[':
			depth++
		case c == ']' && depth > 0:
			depth--
		case c == ',' && depth == 0:
			add(i)
		}
	}
	add(len(list))
	return items
}

// match returns the hosts of one pattern.
func (inv *Inventory) match(pattern string) ([]*Host, error) {
	if pattern == "all" || pattern == "*" {
		return inv.hosts, nil
	}
	names, err := Expand(pattern)
	if err != nil {
		return nil, err
	}
	var hosts []*Host
	known := false
	for _, name := range names {
		if !strings.ContainsAny(name, `*?[\`) {
			named, ok := inv.named(name)
			hosts, known = append(hosts, named...), known || ok
			continue
		}
		if _, err := path.Match(name, ""); err != nil {
			return nil, fmt.Errorf("the pattern %q is malformed: a bracket is not closed", pattern)
		}
		for _, h := range inv.hosts {
			if ok, _ := path.Match(name, h.Name); ok {
				hosts, known = append(hosts, h), true
			}
		}
		for _, g := range inv.groups {
			if ok, _ := path.Match(name, g); !ok {
				continue
			}
			known = true
			hosts = append(hosts, inv.In(g)...)
		}
	}
	if !known {
		return nil, &UnmatchedError{Pattern: pattern, Near: suggest.Nearest(pattern, inv.names())}
	}
	return hosts, nil
}

// named returns the host, or the hosts of the group, of a name without patterns.
func (inv *Inventory) named(name string) (hosts []*Host, known bool) {
	if h := inv.byName[name]; h != nil {
		hosts, known = append(hosts, h), true
	}
	if _, ok := slices.BinarySearch(inv.groups, name); ok {
		hosts, known = append(hosts, inv.In(name)...), true
	}
	return hosts, known
}

// An UnmatchedError says that a pattern names neither a host nor a group.
type UnmatchedError struct {
	Pattern string
	Near    string // the nearest name that exists, or ""
}

func (e *UnmatchedError) Error() string {
	text := fmt.Sprintf("no host and no group is named %q", e.Pattern)
	if strings.ContainsAny(e.Pattern, "*?[") {
		text = fmt.Sprintf("no host and no group matches %q", e.Pattern)
	}
	if e.Near != "" {
		text += fmt.Sprintf("; did you mean %q?", e.Near)
	}
	return text
}
