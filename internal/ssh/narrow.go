package ssh

import (
	"slices"
	"strings"

	"provision/internal/ssh/sshconfig"
)

// narrow applies a setting of ssh_config to the algorithms that are offered: a list, or one that begins with - (without these),
// ^ (these first) or + (these too). What is not offered anyway stays out: it is not safe, or not known here.
func narrow(offered []string, setting string) []string {
	if setting == "" || setting[0] == '+' {
		return offered
	}
	list := func(s string) []string { return strings.Split(s, ",") }
	in := func(patterns []string) func(string) bool {
		return func(algorithm string) bool {
			return slices.ContainsFunc(patterns, func(p string) bool { return sshconfig.MatchPattern(algorithm, p) })
		}
	}
	switch setting[0] {
	case '-':
		return slices.DeleteFunc(slices.Clone(offered), in(list(setting[1:])))
	case '^':
		first := chosen(offered, list(setting[1:]))
		rest := slices.DeleteFunc(slices.Clone(offered), in(list(setting[1:])))
		return slices.Concat(first, rest)
	}
	return chosen(offered, list(setting))
}

// chosen returns what patterns match, in their order.
func chosen(offered, patterns []string) []string {
	var all []string
	for _, p := range patterns {
		for _, algorithm := range offered {
			if sshconfig.MatchPattern(algorithm, p) && !slices.Contains(all, algorithm) {
				all = append(all, algorithm)
			}
		}
	}
	return all
}
