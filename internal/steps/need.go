package steps

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// A Thing is something on a host that one step needs and another may bring. A probe says what it lacks with the function need of the
// prelude, which prints a line "missing KIND NAME"; Observation.Needs reads these lines.
type Thing struct {
	Kind string
	Name string
}

// The kinds of things.
const (
	UserThing      = "user"
	GroupThing     = "group"
	DirectoryThing = "directory" // an absolute path
	FileThing      = "file"      // an absolute path
	CommandThing   = "command"   // a name in the search path, or an absolute path; "NAME or NAME" where each will do
	UnitThing      = "unit"      // of systemd, with its suffix, and " (WHY)" where an init script of the name does not serve
	ServiceThing   = "service"   // of OpenRC or SysV
	RunningThing   = "running"   // what answers: "Docker engine", "supervisord", the URL of a server
	ModuleThing    = "module"    // of a Python
	SettingThing   = "setting"   // "FILE WHAT": what the file has to say
	KeyThing       = "key"       // of the kernel, as sysctl(8) names it
	LinkThing      = "link"      // "PATH -> TARGET": a directory where a symbolic link leads
	FreeThing      = "free"      // "uid 1000 (bob has it)": a number that nobody has

	LocaleThing = "locale" // "NAME PACKAGE": a locale of glibc, or the sources of it; the package has one of them

	UnmountedThing = "unmounted" // an absolute path at which nothing is mounted

	// What services of Docker need: "8000/tcp (WHO has it)", and what a project calls external.
	PortThing    = "port"
	NetworkThing = "network"
	VolumeThing  = "volume"

	HomeThing = "home of user" // where it is: asked for by what looks into the home, and changed by a move

	PathThing = "path" // brought by what may be a file or a directory

	PackageThing = "package" // of the kinds that install and remove it; what a package has in it is a thing of another kind
	// OwnThing is what steps of one kind alone make and remove, by the kind and what tells which one it is.
	OwnThing = "thing"

	// OpaqueThing is what a probe looks at that only the user knows: it runs sh of the playbook.
	OpaqueThing = "opaque"
)

// Anything is the supply of a step that runs the programs of others, such as a package or a command: whatever may be there afterwards.
func Anything() Supply { return Supply{May: slices.Clone(anything)} }

// anything lists the kinds of things that a step may bring which runs the programs of others: a package, a command.
var anything = []string{UserThing, GroupThing, DirectoryThing, FileThing, CommandThing, UnitThing, ServiceThing, RunningThing, ModuleThing, SettingThing, KeyThing, LinkThing, FreeThing, UnmountedThing, LocaleThing, PortThing, NetworkThing, VolumeThing}

// String is what a plan says that a step needs.
func (t Thing) String() string {
	switch t.Kind {
	case RunningThing:
		return "a running " + t.Name
	case SettingThing:
		file, what, _ := strings.Cut(t.Name, " ")
		return what + " in " + file
	case ModuleThing:
		return "the Python module " + t.Name
	case UnmountedThing:
		return t.Name + " unmounted"
	case LocaleThing:
		name, _, _ := strings.Cut(t.Name, " ")
		return "the locale " + name + ", or its sources"
	case OwnThing:
		return t.Name
	case LinkThing:
		link, target := t.link()
		return fmt.Sprintf("directory %s, to which %s leads", target, link)
	}
	return t.Kind + " " + t.Name
}

// Lacking says that the thing is not there.
func (t Thing) Lacking() string {
	switch t.Kind {
	case DirectoryThing, FileThing:
		return fmt.Sprintf("the %s %s does not exist", t.Kind, t.Name)
	case PathThing:
		return t.Name + " does not exist"
	case RunningThing:
		return fmt.Sprintf("no %s answers", t.Name)
	case SettingThing:
		file, what, _ := strings.Cut(t.Name, " ")
		return fmt.Sprintf("%s has no %s", file, what)
	case KeyThing:
		return "the kernel has no key " + t.Name
	case LinkThing:
		link, target := t.link()
		return fmt.Sprintf("%s is a symbolic link to %s, which does not exist", link, target)
	case UnmountedThing:
		return "something is mounted at " + t.Name
	case PortThing:
		port, who, _ := strings.Cut(t.Name, " ")
		return "port " + port + " is not free " + who
	case NetworkThing, VolumeThing:
		return fmt.Sprintf("Docker has no %s %s, which the project calls external", t.Kind, t.Name)
	case FreeThing:
		return "the " + t.Name + " is not free"
	case LocaleThing:
		name, _, _ := strings.Cut(t.Name, " ")
		return "the host has neither the locale " + name + " nor its sources"
	case ModuleThing:
		return "this Python has no module " + t.Name
	}
	return fmt.Sprintf("there is no %s %s", t.Kind, t.Name)
}

// Fix says what to do where no earlier step brings the thing.
func (t Thing) Fix() string {
	switch t.Kind {
	case UserThing, GroupThing, DirectoryThing:
		return fmt.Sprintf("add a step %q before this one, or correct the name", t.Kind)
	case PathThing:
		return `add a step that makes it before this one ("file", "directory", "package"), or correct the path`
	case FileThing:
		return `add a step that makes it before this one ("file", "download", "package"), or correct the path`
	case CommandThing:
		return `add a step "package" that installs it before this one`
	case UnitThing:
		return `install its package with a step "package" before this one, write the unit with a step "file", or correct the name`
	case ServiceThing:
		return `install its package with a step "package" before this one, or correct the name`
	case RunningThing:
		return `start it with a step "service" before this one`
	case LinkThing:
		link, target := t.link()
		return fmt.Sprintf("add a step \"directory\" for %s before this one, or remove %s", target, link)
	case KeyThing:
		return `load the module that has it with a step "kernel_module" before this one, or correct the name; with ignore = true only the file is written`
	case FreeThing:
		if strings.HasPrefix(t.Name, "primary group ") {
			return `let a step "user" before this one remove whose group it is, or give that user another group`
		}
		if strings.HasPrefix(t.Name, "gid ") {
			return `give another number, or let a step "group" before this one remove or renumber the one that has it`
		}
		return "give another number, or let a step \"user\" before this one remove or change whoever has it"
	case LocaleThing:
		_, pkg, _ := strings.Cut(t.Name, " ")
		return `install the package ` + pkg + ` with a step "package" before this one`
	case ModuleThing:
		return `add a step "package" that installs it before this one, such as python3-` + t.Name
	case PortThing:
		return `stop whatever has it by a step "service" or "command" before this one, or publish another port`
	case UnmountedThing:
		return `unmount it with a step "mount" and state = "absent" before this one, or leave this step out`
	case NetworkThing, VolumeThing:
		return `make it by a step "compose" or "command" before this one, or correct the name`
	}
	return `add it with a step "ini", "line" or "file" before this one`
}

// link returns the two paths of a LinkThing.
func (t Thing) link() (link, target string) {
	link, target, _ = strings.Cut(t.Name, " -> ")
	if !path.IsAbs(target) {
		target = path.Join(path.Dir(link), target)
	}
	return link, target
}

// searchPath is the PATH of the prelude.
var searchPath = []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}

// places are the files that bring the thing along with them: a command is a file in the search path, and a line in /etc/group is a
// group. A leading "*" stands for any directory.
func (t Thing) places() []string {
	var list []string
	in := func(dirs []string, name string) {
		for _, dir := range dirs {
			list = append(list, dir+"/"+name)
		}
	}
	switch t.Kind {
	case DirectoryThing, FileThing, PathThing:
		return []string{t.Name}
	case CommandThing:
		for _, name := range strings.Split(t.Name, " or ") {
			if path.IsAbs(name) {
				list = append(list, name)
			} else {
				in(searchPath, name)
			}
		}
	case UnitThing:
		unit, _, ignored := strings.Cut(t.Name, " (")
		names := []string{unit}
		if at := strings.IndexByte(unit, '@'); at >= 0 {
			names = append(names, unit[:at+1]+path.Ext(unit)) // its template
		}
		for _, name := range names {
			in([]string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}, name)
		}
		switch path.Ext(unit) {
		case ".service": // systemd-sysv-generator(8)
			if !ignored {
				in([]string{"/etc/init.d"}, strings.TrimSuffix(unit, ".service"))
			}
		case ".mount", ".automount", ".swap": // systemd-fstab-generator(8)
			list = append(list, "/etc/fstab")
		}
	case ServiceThing:
		in([]string{"/etc/init.d"}, t.Name)
	case UserThing:
		list = []string{"/etc/passwd", "/etc/nsswitch.conf", "/etc/sssd/sssd.conf"}
	case GroupThing:
		list = []string{"/etc/group", "/etc/nsswitch.conf", "/etc/sssd/sssd.conf"}
	case SettingThing:
		file, _, _ := strings.Cut(t.Name, " ")
		list = []string{file}
	}
	return list
}

// Needs returns the things that a probe found missing, in order.
func (o Observation) Needs() []Thing {
	var list []Thing
	for _, line := range o.All("missing") {
		kind, name, _ := strings.Cut(line, " ")
		if t := (Thing{kind, name}); !slices.Contains(list, t) {
			list = append(list, t)
		}
	}
	return list
}

// Fulfilled is the state in which nothing is missing any more.
func (o Observation) Fulfilled() Observation {
	var kept []string
	for _, line := range strings.Split(o.State(), "\n") {
		if line != "" && !strings.HasPrefix(line, "missing ") {
			kept = append(kept, line)
		}
	}
	return Observe(kept...)
}

// With is the state in which one line is another one, or several: other may hold line breaks.
func (o Observation) With(line, other string) Observation {
	lines := strings.Split(o.State(), "\n")
	if at := slices.Index(lines, line); at >= 0 {
		lines[at] = other
	}
	return Observe(lines...)
}

// AddNeeds completes a change for what the probe did not find: it needs that, and predicts the state in which all of it is there.
func (c *Change) AddNeeds(obs Observation) {
	if c.Needs = obs.Needs(); len(c.Needs) > 0 {
		c.Predict = append(c.Predict, obs.Fulfilled())
	}
}

// A Supply is what a step leaves on the host, for later steps that need it. The names of things and the paths of trees may be "",
// which stands for any (the arguments of the step are not known yet), or begin with "*/" for a place that is known only on the
// host, such as the home directory of a new user.
type Supply struct {
	Things []Thing  // these are there afterwards
	Trees  []string // directories below which anything may be afterwards, themselves included
	May    []string // kinds of things of which any one may be there afterwards
	Gone   []string // paths that are removed, with everything below
	Lost   []Thing  // other things that are removed
	Other  []Thing  // things that were there and are others afterwards, such as a user with another number

	Replaced []Replaced // paths below which something else is afterwards, or of somebody else
	Filled   []string   // of Trees, those into which the step puts what nobody knows before
}

// A Replaced is a path below which something else is after a step: a link that leads elsewhere, what is mounted, a tree whose owner changes.
type Replaced struct {
	Path string
	To   string // the absolute path whose files are there then; "" if that is not known
}

// AddDirectory says that a directory is there, with those above it. "" stands for any.
func (s *Supply) AddDirectory(p string) {
	s.Things = append(s.Things, Thing{DirectoryThing, p})
	for up := path.Dir(p); path.IsAbs(p) && up != "/"; up = path.Dir(up) {
		s.Things = append(s.Things, Thing{DirectoryThing, up})
	}
}

// Brings tells whether a thing may be there after the step. real gives the paths without symbolic links, as far as the host told.
func (s Supply) Brings(t Thing, real func(string) string) bool {
	if slices.Contains(s.May, t.Kind) {
		return true
	}
	if t.Kind == PathThing && (s.Brings(Thing{FileThing, t.Name}, real) || s.Brings(Thing{DirectoryThing, t.Name}, real)) {
		return true
	}
	if t.Kind == LinkThing { // its target comes, or the link itself goes
		link, target := t.link()
		return s.Brings(Thing{DirectoryThing, target}, real) || s.Removes(Thing{FileThing, link}, real)
	}
	for _, b := range s.Things {
		if b.Kind == t.Kind && (IsPath(t.Kind) && samePath(b.Name, t.Name, real) || b.Name == t.Name || b.Name == "" ||
			t.Kind == FreeThing && strings.HasSuffix(t.Name, b.Name)) {
			return true
		}
	}
	for _, place := range t.places() {
		for _, tree := range s.Trees {
			// Neither a home nor what a service keeps in /run holds the units and commands of the system.
			if elsewhere := strings.HasPrefix(tree, "*") || strings.HasPrefix(place, "/run/"); elsewhere && !IsPath(t.Kind) {
				continue
			}
			if within(place, tree, real) {
				return true
			}
		}
		for _, b := range s.Things {
			// A file of any name is hardly that of the accounts.
			any := b.Name == "" && (t.Kind == UserThing || t.Kind == GroupThing)
			if (b.Kind == PathThing || b.Kind == FileThing && t.Kind != DirectoryThing) && !any && samePath(b.Name, place, real) {
				return true
			}
		}
	}
	return false
}

// Removes tells whether the step takes a thing away.
func (s Supply) Removes(t Thing, real func(string) string) bool {
	if slices.Contains(s.Lost, t) {
		return true
	}
	return IsPath(t.Kind) && slices.ContainsFunc(s.Gone, func(gone string) bool { return within(t.Name, gone, real) })
}

// Touches tells whether the step changes what is at a path, above it or below it.
func (s Supply) Touches(t Thing, real func(string) string) bool {
	if s.Brings(t, real) || s.Removes(t, real) {
		return true
	}
	for _, place := range t.places() {
		for _, b := range s.Things {
			if !IsPath(b.Kind) && b.Kind != PathThing || b.Name == "" {
				continue
			}
			if within(b.Name, place, real) || within(place, b.Name, real) && !s.leadsTo(b) {
				return true
			}
		}
	}
	return false
}

// Stirs tells whether the step may change anything that can be seen of a thing. In doubt it may.
func (s Supply) Stirs(t Thing, real func(string) string) bool {
	// What runs the programs of others may write anywhere.
	if t.Kind == OpaqueThing || len(s.May) > 0 || s.Silent() || s.Touches(t, real) || s.Alters(t, real) {
		return true
	}
	if t.Kind == UserThing || t.Kind == GroupThing {
		for _, b := range slices.Concat(s.Things, s.Lost, s.Other) {
			if b.Kind == t.Kind && (b.Name == t.Name || b.Name == "" || t.Name == "") {
				return true
			}
		}
	}
	paths := slices.Concat(s.Trees, s.Gone)
	for _, r := range s.Replaced {
		if t.Kind != UserThing && t.Kind != GroupThing {
			paths = append(paths, r.Path)
		}
	}
	for _, b := range s.Things {
		if strings.HasPrefix(b.Name, "*/") {
			paths = append(paths, b.Name)
		}
	}
	return slices.ContainsFunc(t.places(), func(place string) bool {
		return slices.ContainsFunc(paths, func(p string) bool {
			if !strings.HasPrefix(p, "*/") {
				return within(place, p, real) || within(p, place, real)
			}
			return within(place, p, real) || slices.ContainsFunc([]string{"/home", "/root"}, func(homes string) bool {
				return within(place, homes, real) || within(homes, place, real)
			})
		})
	})
}

// Join is what both leave on the host.
func (s Supply) Join(other Supply) Supply {
	return Supply{
		Things: slices.Concat(s.Things, other.Things), Trees: slices.Concat(s.Trees, other.Trees), May: slices.Concat(s.May, other.May),
		Gone: slices.Concat(s.Gone, other.Gone), Lost: slices.Concat(s.Lost, other.Lost), Other: slices.Concat(s.Other, other.Other),
		Replaced: slices.Concat(s.Replaced, other.Replaced), Filled: slices.Concat(s.Filled, other.Filled),
	}
}

// Place is the path that the step is about: the first one that it makes or removes; "" if it is about something else, or if only the
// host knows the path.
func (s Supply) Place() string {
	place := ""
	switch {
	case len(s.Things) > 0 && (IsPath(s.Things[0].Kind) || s.Things[0].Kind == PathThing):
		place = s.Things[0].Name
	case len(s.Things) == 0 && len(s.Trees)+len(s.Gone) == 1:
		place = append(slices.Clone(s.Trees), s.Gone...)[0]
	}
	if !path.IsAbs(place) {
		return ""
	}
	return place
}

// Remakes tells whether the step is about that very directory: who owns it, with which mode.
func (s Supply) Remakes(dir string) bool {
	return slices.ContainsFunc(s.Things, func(b Thing) bool {
		if b.Kind != DirectoryThing || !definite(b.Name) || s.leadsTo(b) {
			return false
		}
		end, any := strings.CutPrefix(dir, "*")
		return b.Name == dir || any && strings.HasSuffix(b.Name, end)
	})
}

// RemovesBelow tells whether the step removes something that is in a directory.
func (s Supply) RemovesBelow(dir string) bool {
	return slices.ContainsFunc(s.Gone, func(gone string) bool { return strings.HasPrefix(gone, strings.TrimSuffix(dir, "/")+"/") })
}

// leadsTo tells of a directory that the step makes it at most on its way to another, and nothing that is in it already changes.
func (s Supply) leadsTo(b Thing) bool {
	return b.Kind == DirectoryThing && slices.ContainsFunc(s.Things, func(other Thing) bool {
		return other.Kind == DirectoryThing && strings.HasPrefix(other.Name, strings.TrimSuffix(b.Name, "/")+"/")
	})
}

// Alters tells whether the step surely changes a thing that is there: it writes that very file, removes what it is in, or puts something
// else there.
func (s Supply) Alters(t Thing, real func(string) string) bool {
	if slices.Contains(s.Lost, t) || slices.Contains(s.Other, t) || t.Kind == OwnThing && slices.Contains(s.Things, t) {
		return true
	}
	if t.Kind != DirectoryThing && s.Fills(t, real) {
		return true
	}
	if !IsPath(t.Kind) && t.Kind != PathThing || !definite(t.Name) {
		return false
	}
	if slices.ContainsFunc(s.Gone, func(gone string) bool { return definite(gone) && within(t.Name, gone, real) }) {
		return true
	}
	if slices.ContainsFunc(s.Replaced, func(r Replaced) bool { return within(t.Name, r.Path, real) }) {
		return true
	}
	return t.Kind != DirectoryThing && slices.ContainsFunc(s.Things, func(b Thing) bool {
		return (b.Kind == FileThing || b.Kind == PathThing) && definite(b.Name) && samePath(b.Name, t.Name, real)
	})
}

// Leaves tells whether a thing is surely there after the step. Of a path it tells what is there then, if that is known: a FileThing or a
// DirectoryThing.
func (s Supply) Leaves(t Thing, real func(string) string) (as string, sure bool) {
	if !IsPath(t.Kind) && t.Kind != PathThing {
		return t.Kind, slices.Contains(s.Things, t)
	}
	if !definite(t.Name) {
		return "", false
	}
	for _, b := range s.Things {
		switch {
		case !IsPath(b.Kind) && b.Kind != PathThing, !definite(b.Name):
		case samePath(b.Name, t.Name, real):
			return b.Kind, true
		case within(b.Name, t.Name, real):
			return DirectoryThing, true
		}
	}
	return "", false
}

// Fills tells whether nobody knows before if a path will be there after the step.
func (s Supply) Fills(t Thing, real func(string) string) bool {
	return (IsPath(t.Kind) || t.Kind == PathThing) && definite(t.Name) &&
		slices.ContainsFunc(s.Filled, func(tree string) bool {
			return definite(tree) && within(t.Name, tree, real) && !samePath(tree, t.Name, real)
		})
}

// definite tells of the name of a path that it stands for this path alone.
func definite(name string) bool { return name != "" && !strings.HasPrefix(name, "*") }

// Silent tells whether the step does not say what it leaves on the host.
func (s Supply) Silent() bool {
	return len(s.Things)+len(s.Trees)+len(s.May)+len(s.Gone)+len(s.Lost)+len(s.Other)+len(s.Replaced) == 0
}

// Anything tells whether the step may change everything.
func (s Supply) Anything() bool { return len(s.May) == len(anything) }

// Paths lists what Brings and Removes compare, for the host to tell where symbolic links lead.
func (s Supply) Paths() []string {
	list := slices.Concat(s.Trees, s.Gone)
	for _, t := range s.Things {
		if IsPath(t.Kind) || t.Kind == PathThing {
			list = append(list, t.Name)
		}
	}
	return list
}

// IsPath tells whether things of a kind are paths.
func IsPath(kind string) bool { return kind == DirectoryThing || kind == FileThing }

// samePath compares a pattern with a path.
func samePath(pattern, p string, real func(string) string) bool {
	if end, any := strings.CutPrefix(pattern, "*"); any {
		return strings.HasSuffix(p, end)
	}
	return pattern == "" || pattern == p || real(pattern) == real(p)
}

// within tells whether a path is a tree's root or below it.
func within(p, tree string, real func(string) string) bool {
	if end, any := strings.CutPrefix(tree, "*"); any {
		return strings.Contains(p+"/", end+"/")
	}
	below := func(p, tree string) bool { return p == tree || strings.HasPrefix(p, strings.TrimSuffix(tree, "/")+"/") }
	return tree == "" || below(p, tree) || below(real(p), real(tree))
}
