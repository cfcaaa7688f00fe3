package kinds

import (
	"fmt"
	"slices"
	"strings"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

var directoryKind = &steps.Kind{
	Name: "directory",
	Doc: `A directory with its owner, group and mode, or its absence.

Missing parents are made, as mkdir -p does, with the owner and mode that the system gives them.
With recurse, owner and group apply to everything below the directory too (symbolic links are
not followed); the mode does not. A file that changes hands loses setuid and setgid.

A path that is something else than a directory is an error: nothing is replaced. A symbolic
link to a directory is such a thing, too: name the directory that it leads to. A directory at which, or
below which, something is mounted is not removed.`,
	Example: `step "directory" "releases" {
  path = "/srv/app/releases"
  mode = "0750"
}
`,
	New: func() (steps.Step, steps.Args) {
		d := &directory{State: "present"}
		args := steps.Args{kit.PathArg("path", &d.Path, "Absolute path on the host.").Must()}
		args = append(args, d.Ownership.Args("directory")...)
		return d, append(args,
			kit.BoolArg("recurse", &d.Recurse, "Apply owner and group to everything below."),
			kit.EnumArg("state", &d.State, "Whether the directory is there. absent removes it with everything in it.", "present", "absent"),
		)
	},
}

type directory struct {
	Path, State string
	kit.Ownership
	Recurse bool
}

var (
	_ steps.Settler  = (*directory)(nil)
	_ steps.Bringer  = (*directory)(nil)
	_ steps.Requirer = (*directory)(nil)
	_ steps.Batcher  = (*directory)(nil)
)

func (d *directory) Validate() []steps.Problem {
	if d.State == "absent" && kit.ProtectedPath(d.Path) {
		return []steps.Problem{{Arg: "path", Summary: fmt.Sprintf("%s cannot be removed", d.Path), Detail: "It is part of every system. Name a directory of your own."}}
	}
	if d.Recurse && d.Owner == "" && d.Group == "" {
		return []steps.Problem{{Arg: "recurse", Summary: "recurse needs an owner or a group", Detail: "Set owner or group, or leave recurse out."}}
	}
	if d.Recurse && kit.ProtectedPath(d.Path) {
		return []steps.Problem{{Arg: "recurse", Summary: fmt.Sprintf("not everything below %s can have one owner", d.Path), Detail: "It is part of every system. Name a directory of your own."}}
	}
	return nil
}

// Batch implements steps.Batcher.
func (d *directory) Batch() (attributes, sums []string) { return []string{d.Path}, nil }

// Brings implements steps.Bringer: with the directory come those above it.
func (d *directory) Brings(change steps.Change) steps.Supply {
	if d.State == "absent" {
		return kit.RemovalSupply(change, d.Path)
	}
	var s steps.Supply
	s.AddDirectory(d.Path)
	if slices.ContainsFunc(change.Diff, func(a steps.Attr) bool { return a.Name == "owner" || a.Name == "group" }) {
		s.Other = []steps.Thing{{Kind: steps.DirectoryThing, Name: d.Path}}
	}
	if len(change.Dangers) > 0 { // owners below
		s.Replaced = []steps.Replaced{{Path: d.Path}}
	}
	return s
}

// Requires implements steps.Requirer.
func (d *directory) Requires() []steps.Thing {
	if d.State == "absent" {
		return nil
	}
	return d.Accounts()
}

func (d *directory) Probe() string {
	var b strings.Builder
	b.WriteString(kit.ProbeType(d.Path))
	if d.State == "absent" {
		return b.String() + "[ \"$t\" != directory ] || need_unmounted \"$p\"\n"
	}
	// What is nearest above it has to be a directory, or nothing can be made below.
	fmt.Fprintf(&b, `if [ "$t" = absent ]; then
above "$p"
%sexit 0
fi
`, d.ProbeNames(false))
	b.WriteString("[ \"$t\" = directory ] || exit 0\n")
	b.WriteString(d.Ownership.ProbeAttributes())
	if d.Recurse {
		b.WriteString(d.probeBelow())
	}
	return b.String()
}

// probeBelow is sh that looks for the first thing below that does not have the wanted owner
// and group. find(1) refuses a name that does not exist, and then everything differs; other
// failures leave "?" as the first line.
func (d *directory) probeBelow() string {
	return fmt.Sprintf(`have find || fail "find is needed on the host; install it with a package step before this one"
n=$({ find "$p" \( %s \) -print || echo '?'; } 2>&1 | head -n 1)
case $n in
'') say below same ;;
/*) say below differs ;;
*) case $(%s) in
	'') fail "$n" ;;
	*) say below differs ;;
	esac ;;
esac
`, d.othersOwn(), strings.TrimSuffix(d.ProbeNames(false), "\n"))
}

// othersOwn are the tests of find(1) for what does not have the wanted owner and group.
func (d *directory) othersOwn() string {
	var tests []string
	if d.Owner != "" {
		tests = append(tests, "! -user "+shell.Quote(d.Owner))
	}
	if d.Group != "" {
		tests = append(tests, "! -group "+shell.Quote(d.Group))
	}
	return strings.Join(tests, " -o ")
}

// Settled implements steps.Settler.
func (d *directory) Settled(*steps.Facts) []steps.Observation {
	if d.State == "absent" {
		return []steps.Observation{steps.Observe("type absent")}
	}
	lines := append([]string{"type directory"}, d.Ownership.WantedLines()...)
	if d.Recurse {
		lines = append(lines, "below same")
	}
	return []steps.Observation{steps.Observe(lines...)}
}

func (d *directory) Plan(f *steps.Facts, obs steps.Observation) (steps.Change, error) {
	kind, _ := obs.Get("type")
	switch {
	case d.State == "absent" && kind == "absent":
		return steps.Change{Action: steps.NoOp}, nil
	case d.State == "absent" && kind == "directory":
		change := steps.Change{
			Action:  steps.Delete,
			Diff:    []steps.Attr{{Name: "path", Before: d.Path, AfterMissing: true}},
			Ops:     []steps.Op{steps.Run{Script: "rm -rf -- " + shell.Quote(d.Path)}},
			Dangers: []string{"removes " + d.Path + " and everything in it"},
		}
		change.AddNeeds(obs)
		return change, nil
	case kind != "absent" && kind != "directory":
		return steps.Change{}, kit.NotA(d.Path, kind, "directory")
	}
	change := steps.Change{Action: steps.NoOp}
	quoted := shell.Quote(d.Path)
	var commands []string
	if kind == "absent" {
		change.Action = steps.Create
		change.Diff = append(change.Diff, steps.Attr{Name: "path", BeforeMissing: true, After: d.Path})
		mkdir := "mkdir -p -- "
		if d.Mode != "" {
			// Nobody gets a look at a private directory before its mode is set.
			mkdir = "mkdir -p -m " + d.Mode + " -- "
		}
		commands = append(commands, mkdir+quoted)
	}
	attributes := d.Differences(&change, obs, quoted)
	if n := len(attributes); kind == "absent" && n > 0 && len(d.Mode) == 3 {
		attributes = attributes[:n-1] // mkdir has set the mode, and chown takes nothing of it
	}
	if below, _ := obs.Get("below"); below == "differs" {
		if d.ChownOperand(obs) == "" {
			change.Diff = append(change.Diff, steps.Attr{Name: "owner below", Before: "differs", After: d.Operand()})
		}
		if d.ChownOperand(obs) != "" {
			attributes = attributes[1:] // the chown of the directory alone
		}
		commands = append(commands, fmt.Sprintf("find %s \\( %s \\) -exec chown -h -- %s {} +", quoted, d.othersOwn(), shell.Quote(d.Operand())))
		change.Dangers = append(change.Dangers, "changes the owner of everything below "+d.Path+"; files that change hands lose setuid and setgid")
	}
	commands = append(commands, attributes...)
	if len(commands) == 0 {
		return steps.Change{Action: steps.NoOp}, nil
	}
	if change.Action == steps.NoOp {
		change.Action = steps.Update
	}
	change.Ops = []steps.Op{steps.Run{Script: strings.Join(commands, " &&\n")}}
	if kind == "absent" {
		change.Predict = append(append(change.Predict, d.madeByOthers()), d.madeAsHome()...)
	}
	change.AddNeeds(obs)
	return change, nil
}

// madeAsHome are the likely states of a directory that is made as the home of its owner; see HOME_MODE and UMASK in login.defs(5).
func (d *directory) madeAsHome() []steps.Observation {
	if d.Owner == "" || d.Mode == "" {
		return nil
	}
	var list []steps.Observation
	for _, mode := range []string{"700", "750", "755"} {
		lines := []string{"type directory", "owner " + d.Owner}
		if d.Group != "" {
			lines = append(lines, "group "+d.Group)
		}
		lines = append(lines, "mode "+mode)
		if d.Recurse {
			lines = append(lines, "below same")
		}
		list = append(list, steps.Observe(lines...))
	}
	return list
}

// madeByOthers is the likeliest state of a directory that an earlier step makes, such as the
// installation of a package.
func (d *directory) madeByOthers() steps.Observation {
	root := func(wanted string) string {
		if kit.IsNumber(wanted) {
			return "0"
		}
		return "root"
	}
	lines := []string{"type directory"}
	below := "below same"
	for _, part := range []struct{ key, wanted string }{{"owner", d.Owner}, {"group", d.Group}} {
		if part.wanted == "" {
			continue
		}
		lines = append(lines, part.key+" "+root(part.wanted))
		if part.wanted != root(part.wanted) {
			below = "below differs"
		}
	}
	if d.Mode != "" {
		lines = append(lines, "mode 755")
	}
	if d.Recurse {
		lines = append(lines, below)
	}
	return steps.Observe(lines...)
}
