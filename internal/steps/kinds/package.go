package kinds

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

var packageKind = &steps.Kind{
	Name: "package",
	Doc: `Packages of the distribution: installed, at their latest version, or absent.

Works with apt, dnf, yum, apk, zypper and pacman. All names are looked up in one query, and installed
in one transaction. A name counts as installed if another package provides it, such as the virtual
package awk of Debian; removing looks at real names only, leaves configuration files where they are,
and takes along what depends on the package.

latest compares with the lists that the host has: planning refreshes nothing. A host that lacks lists,
of one of its repositories too, is refreshed when the step runs. version is compared with the version that is installed: the
release and the epoch may be left out, and a final * leaves the rest open; an older version is
installed too (on dnf and yum by downgrade).

Lists that are older than a day, or that do not know a package, are refreshed before installing,
unless update_cache is false. Someone else's lock is waited for, at most five minutes, and its owner
is named. An interrupted dpkg is mended first. Questions are never asked: configuration files that
were changed on the host are kept. Maintainer scripts see the environment of a login: the locale of the
host, not that of this tool. Groups of packages, patterns, paths and URLs are refused.`,
	Example: `step "package" "tools" {
  names = ["tree", "less"]
}

step "package" "nano" {
  name  = "nano"
  state = "absent"
}
`,
	New: func() (steps.Step, steps.Args) {
		p := &packages{State: "installed", UpdateCache: true, Recommends: true}
		return p, steps.Args{
			packageArg("name", &p.Name, "One package. One of name and names is required; both may be given."),
			packagesArg("names", &p.Names, "Several packages."),
			kit.EnumArg("state", &p.State, "What the packages should be.", "installed", "latest", "absent"),
			kit.StringArg("version", &p.Version, "The version that one package should have, with or without its release: \"1.2.3\", \"1.2.3-4.el7\", \"1.2*\"."),
			kit.BoolArg("update_cache", &p.UpdateCache, "Refresh the lists of packages before installing if they are older than a day or do not know a package."),
			kit.BoolArg("recommends", &p.Recommends, "With apt, install recommended packages too."),
		}
	},
}

type packages struct {
	Name, State, Version    string
	Names                   []string
	UpdateCache, Recommends bool
}

var (
	_ steps.Bringer  = (*packages)(nil)
	_ steps.Asker    = (*packages)(nil)
	_ steps.Follower = (*packages)(nil)
)

var versionPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.+:~^_-]*\*?$`)

func (p *packages) Validate() []steps.Problem {
	var problems []steps.Problem
	names := p.all()
	if len(names) == 0 {
		problems = append(problems, steps.Problem{Summary: "no package is named", Detail: "Set name or names."})
	}
	if p.Version != "" {
		switch {
		case len(names) != 1:
			problems = append(problems, steps.Problem{Arg: "version", Summary: "a version needs exactly one package", Detail: "Write one step for each package whose version matters."})
		case p.State != "installed":
			problems = append(problems, steps.Problem{Arg: "version", Summary: fmt.Sprintf("a version contradicts state = %q", p.State), Detail: "Leave one of the two out."})
		case !versionPattern.MatchString(p.Version):
			problems = append(problems, steps.Problem{Arg: "version", Summary: fmt.Sprintf("%q is no version", p.Version), Detail: "Write it as the package manager shows it, such as \"1.2.3-4\" or \"1.2*\"."})
		}
	}
	return problems
}

// all returns the names, each once, in the order of the playbook.
func (p *packages) all() []string {
	var names []string
	if p.Name != "" {
		names = append(names, p.Name)
	}
	for _, name := range p.Names {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func (p *packages) Probe() string {
	names := shell.Words(p.all()...)
	var b strings.Builder
	b.WriteString(shell.Strip(packageQuerySource))
	fmt.Fprintf(&b, "lines=$(package_versions %s) || exit 1\n", names)
	switch {
	case p.Version != "":
		b.WriteString("printf '%s\\n' \"$lines\" | sed 's/^/package /'\n")
	default:
		// Versions would only make the state differ from the predicted one.
		b.WriteString("printf '%s\\n' \"$lines\" | sed -e 's/ -$/ absent/' -e t -e 's/ provided$/ provided/' -e t -e 's/ .*/ installed/' | sed 's/^/package /'\n")
	}
	if p.State == "latest" {
		b.WriteString(shell.Strip(packageListsSource))
		b.WriteString(shell.Strip(packageUpdatesSource))
		fmt.Fprintf(&b, "package_updates %s || exit 1\n", names)
	}
	return b.String()
}

func (p *packages) Plan(f *steps.Facts, obs steps.Observation) (steps.Change, error) {
	change := steps.Change{Action: steps.NoOp}
	update := map[string][]string{}
	for _, line := range obs.All("update") {
		if fields := strings.Fields(line); len(fields) == 3 {
			update[fields[0]] = fields[1:]
		}
	}
	var wrong []string
	for _, line := range obs.All("package") {
		name, found, _ := strings.Cut(line, " ")
		attr, differs := p.attr(name, found, update)
		if !differs {
			continue
		}
		wrong = append(wrong, name)
		change.Diff = append(change.Diff, attr)
		if attr.BeforeMissing {
			change.Action = steps.Create
		} else if change.Action == steps.NoOp {
			change.Action = steps.Update
		}
	}
	_, unknown := obs.Get("updates")
	if len(wrong) == 0 && p.State == "latest" && unknown {
		change.Action = steps.Update
		change.Reason = "lists of packages are lacking on this host, so the latest versions are not known yet"
		change.Ops = []steps.Op{p.run(p.all())}
		return change, nil
	}
	if len(wrong) == 0 {
		return steps.Change{Action: steps.NoOp}, nil
	}
	if p.Version != "" && f.PackageManager == "pacman" {
		return steps.Change{}, fmt.Errorf("pacman installs only the version that its repositories hold now; leave version out")
	}
	change.Ops = []steps.Op{p.run(wrong)}
	if p.State == "absent" {
		change.Action = steps.Delete
		for _, name := range wrong {
			change.Dangers = append(change.Dangers, "removes package "+name+" and what depends on it")
		}
		return change, nil
	}
	change.Predict = p.predict(obs.All("package"))
	return change, nil
}

// attr compares what was found about one package with what is wanted.
func (p *packages) attr(name, found string, update map[string][]string) (steps.Attr, bool) {
	missing := found == "absent" || found == "-"
	switch {
	case p.State == "absent":
		return steps.Attr{Name: name, Before: "installed", AfterMissing: true}, found == "installed"
	case missing && p.Version != "":
		return steps.Attr{Name: name, BeforeMissing: true, After: p.Version}, true
	case missing:
		return steps.Attr{Name: name, BeforeMissing: true, After: p.State}, true
	case p.Version != "":
		for _, version := range strings.Fields(found) {
			if versionMatches(version, p.Version) {
				return steps.Attr{}, false
			}
		}
		return steps.Attr{Name: name, Before: found, After: p.Version}, true
	case len(update[name]) == 2:
		return steps.Attr{Name: name, Before: update[name][0], After: update[name][1]}, true
	}
	return steps.Attr{}, false
}

// predict lists the states in which an earlier step has brought one of the packages, or all.
func (p *packages) predict(lines []string) []steps.Observation {
	if p.State != "installed" || p.Version != "" {
		return nil
	}
	var absent []int
	for i, line := range lines {
		if strings.HasSuffix(line, " absent") {
			absent = append(absent, i)
		}
	}
	state := func(present ...int) steps.Observation {
		var out []string
		for i, line := range lines {
			if slices.Contains(present, i) {
				line = strings.TrimSuffix(line, " absent") + " installed"
			}
			out = append(out, "package "+line)
		}
		return steps.Observe(out...)
	}
	predicted := []steps.Observation{state(absent...)}
	if len(absent) > 1 && len(absent) <= 6 {
		for _, i := range absent {
			predicted = append(predicted, state(i))
		}
	}
	return predicted
}

// run is the operation for the packages that are not as they should be.
func (p *packages) run(names []string) steps.Run {
	var b strings.Builder
	b.WriteString(shell.Strip(packageQuerySource))
	b.WriteString(shell.Strip(packageListsSource))
	b.WriteString(shell.Strip(packageChangeSource))
	switch {
	case p.State == "absent":
	case p.UpdateCache:
		b.WriteString("REFRESH=1\n")
	default:
		b.WriteString("REFRESH=0\n")
	}
	if !p.Recommends {
		b.WriteString("APT_OPTIONS=--no-install-recommends\n")
	}
	words := shell.Words(names...)
	switch {
	case p.State == "absent":
		fmt.Fprintf(&b, "remove_packages %s\n", words)
	case p.State == "latest":
		fmt.Fprintf(&b, "ensure_latest %s\n", words)
	case p.Version != "":
		fmt.Fprintf(&b, "ensure_version %s %s\n", words, shell.Quote(p.Version))
	default:
		fmt.Fprintf(&b, "ensure_installed %s\n", words)
	}
	return steps.Run{Script: b.String()}
}

// Brings implements steps.Bringer.
func (p *packages) Brings(change steps.Change) steps.Supply {
	var things []steps.Thing
	for _, name := range p.all() {
		things = append(things, steps.Thing{Kind: steps.PackageThing, Name: name})
	}
	if p.State == "absent" {
		s := steps.Supply{May: []string{steps.PortThing}} // of what ran
		if change.Action == steps.Delete {
			s.Lost = things
		}
		return s
	}
	s := steps.Anything()
	s.Things = things
	return s
}

// Asks implements steps.Asker: what a package manager can tell hangs on its configuration.
func (p *packages) Asks(*steps.Facts) []steps.Thing { return packageSources }

// Follow implements steps.Follower: what an earlier step has installed is there, and what it has removed is not.
func (p *packages) Follow(before steps.Step, change steps.Change, now steps.Observation) (steps.Observation, bool) {
	b, ok := before.(*packages)
	if !ok {
		return now, true
	}
	names, known, changed := b.all(), true, false
	_, unlisted := now.Get("updates")
	var list []string
	for _, line := range strings.Split(now.State(), "\n") {
		key, rest, _ := strings.Cut(line, " ")
		name, found, _ := strings.Cut(rest, " ")
		if key != "package" && key != "update" || !slices.Contains(names, name) {
			list = append(list, line)
			continue
		}
		missing := found == "absent" || found == "-"
		was := found
		switch {
		case key == "update": // it goes with the package, and with what brings the latest
			if b.State != "latest" && b.State != "absent" && b.Version == "" {
				list = append(list, line)
			} else {
				changed = true
			}
			continue
		case b.State == "absent" && !missing && found != "provided":
			if found = "absent"; p.Version != "" {
				found = "-"
			}
		case b.State == "absent":
		case p.Version == "":
			if missing {
				found = "installed"
			}
			known = known && (p.State != "latest" || b.Version == "" && !unlisted)
		case p.Version == b.Version:
			found = strings.TrimSuffix(b.Version, "*")
		case missing || b.Version != "" || b.State == "latest":
			known = false
		}
		changed = changed || found != was
		list = append(list, "package "+name+" "+found)
	}
	if change.Action == steps.Unknown && changed {
		known = false
	}
	return steps.Observe(list...), known
}
