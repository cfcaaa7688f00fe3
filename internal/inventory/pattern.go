package inventory

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"provision/internal/suggest"
)

// maxRange bounds what one range in brackets expands to, so that a slip of the finger does not
// fill the memory.
const maxRange = 10000

// Select returns the hosts that patterns choose, in the order of the inventory. Each pattern is
// a list, separated by commas, of names of hosts and groups, with globs (*, ?) and number ranges
// ([1-4], [01:20]); "!" before one excludes what it matches, in whatever place it stands. No
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
			for _, h := range inv.hosts {
				if h.In(g) {
					hosts = append(hosts, h)
				}
			}
		}
	}
	if !known {
		return nil, &UnmatchedError{Pattern: pattern, Near: suggest.Nearest(pattern, inv.names())}
	}
	return hosts, nil
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

// Expand replaces the number ranges of a name: "web[01:03]" and "web[01-03]" are web01, web02
// and web03. The leading zeros of the first number set the width. Several ranges multiply. Other
// brackets, such as [ab], stay.
func Expand(name string) ([]string, error) {
	open := strings.IndexByte(name, '[')
	if open < 0 {
		return []string{name}, nil
	}
	end := strings.IndexByte(name[open:], ']')
	if end < 0 {
		return nil, fmt.Errorf("%q: a bracket is not closed", name)
	}
	end += open
	heads, err := expandRange(name[open+1:end], name)
	if err != nil {
		return nil, err
	}
	if heads == nil {
		heads = []string{name[open : end+1]}
	}
	tails, err := Expand(name[end+1:])
	if err != nil {
		return nil, err
	}
	if len(heads)*len(tails) > maxRange {
		return nil, fmt.Errorf("%q stands for more than %d names; split it", name, maxRange)
	}
	all := make([]string, 0, len(heads)*len(tails))
	for _, h := range heads {
		for _, t := range tails {
			all = append(all, name[:open]+h+t)
		}
	}
	return all, nil
}

// expandRange returns the numbers of "first:last" or "first-last", or nil if it is no such range.
func expandRange(text, whole string) ([]string, error) {
	first, last, ok := strings.Cut(text, ":")
	if !ok {
		first, last, ok = strings.Cut(text, "-")
	}
	low, errLow := strconv.ParseUint(first, 10, 31)
	high, errHigh := strconv.ParseUint(last, 10, 31)
	if !ok || errLow != nil || errHigh != nil {
		return nil, nil
	}
	if high < low {
		return nil, fmt.Errorf("%q: the range [%s] runs backwards; write the smaller number first", whole, text)
	}
	if high-low >= maxRange {
		return nil, fmt.Errorf("%q stands for more than %d names; split it", whole, maxRange)
	}
	width := 0
	if strings.HasPrefix(first, "0") {
		width = len(first)
	}
	var numbers []string
	for n := low; n <= high; n++ {
		numbers = append(numbers, fmt.Sprintf("%0*d", width, n))
	}
	return numbers, nil
}
