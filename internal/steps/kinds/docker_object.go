package kinds

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

var dockerName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)

// dockerNameArg is the name of a network or a volume.
func dockerNameArg(name string, to *string, doc string) steps.Arg {
	return kit.ParsedArg(name, to, doc, func(s string) (string, error) {
		if !dockerName.MatchString(s) {
			return "", fmt.Errorf("%q is no name for Docker; write letters, digits, dots, dashes and underscores, the first a letter or digit", s)
		}
		return s, nil
	})
}

// dockerMapArg is a map of options or labels.
func dockerMapArg(name string, to *map[string]string, doc string) steps.Arg {
	return kit.MapArg(name, to, doc, func(key, value string) error {
		if key == "" || strings.ContainsAny(key, "= \t") {
			return fmt.Errorf("%q is no key; write one without blanks and =", key)
		}
		return kit.NoControl(key + value)
	})
}

// dockerUsers is sh that says the containers, running or not, that a filter of docker ps finds.
func dockerUsers(filter string) string {
	return fmt.Sprintf(`docker_ask ps -a --filter %s --format '{{.Names}}' || fail "docker ps: $docker_out"
if [ -n "$docker_out" ]; then
	printf '%%s\n' "$docker_out" | sort | sed 's/^/user /' || exit 1
fi
`, shell.Quote(filter))
}

// compareDocker adds the keys of a map that differ from those which Docker has, as JSON. Keys that are not wanted are not looked at.
func compareDocker(change *steps.Change, name string, wanted map[string]string, have string) error {
	var found map[string]string
	if have != "" {
		if err := json.Unmarshal([]byte(have), &found); err != nil {
			return fmt.Errorf("docker says %s that cannot be read: %w", name, err)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(wanted)) {
		was, there := found[key]
		if !there || was != wanted[key] {
			change.Diff = append(change.Diff, steps.Attr{Name: name + " " + key, Before: was, BeforeMissing: !there, After: wanted[key]})
		}
	}
	return nil
}

// dockerFlags are the options of a command for a map, sorted.
func dockerFlags(flag string, m map[string]string) []string {
	var words []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		words = append(words, flag, key+"="+m[key])
	}
	return words
}

// dockerDifferences are the attributes of a diff in one line.
func dockerDifferences(diff []steps.Attr) string {
	var list []string
	for _, a := range diff {
		before := a.Before
		if a.BeforeMissing {
			before = "nothing"
		}
		list = append(list, fmt.Sprintf("%s is %s in place of %s", a.Name, before, a.After))
	}
	return strings.Join(list, "; ")
}

// dockerDown tells that there is an engine which does not answer: then nobody knows what it has.
func dockerDown(obs steps.Observation) bool {
	return slices.ContainsFunc(obs.Needs(), func(t steps.Thing) bool { return t.Kind == steps.RunningThing })
}

// dockerSupply is that of a step about things of Docker.
func dockerSupply(kind, state string, change steps.Change, names ...string) steps.Supply {
	var things []steps.Thing
	for _, name := range names {
		things = append(things, steps.Thing{Kind: kind, Name: name})
	}
	switch {
	case state != "absent":
		return steps.Supply{Things: things}
	case change.Action == steps.Delete:
		return steps.Supply{Lost: things}
	}
	return steps.Supply{}
}
