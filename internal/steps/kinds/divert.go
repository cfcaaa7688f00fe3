package kinds

import (
	_ "embed"
	"fmt"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

//go:embed divert.sh
var divertSource string

var divertKind = &steps.Kind{
	Name: "divert",
	Doc: `A diversion of dpkg: what packages install at a path goes to another one.

So a file of one's own can stand in the place of a package's, and an update of the package does not
overwrite it. It is for programs and the like; dpkg asks before it replaces a configuration file, and
diverting one does no good.

The file that is there is moved to the new path, and then nothing is at the old one until a later step
writes it. With rename = false nothing is moved. If both paths hold a file, that is an error. A diversion that
belongs to another package is never touched.

When the diversion is removed, the package's file comes back. If a file of one's own is in its place, remove
that by an earlier step. Debian's dpkg takes /bin/tool and /usr/bin/tool for two: the path has to be the one that the package has.`,
	Example: `step "divert" "motd" {
  path = "/usr/share/base-files/motd"
  to   = "/usr/share/base-files/motd.debian"
}

step "file" "motd" {
  path    = "/usr/share/base-files/motd"
  content = "Welcome to the demo\n"
}
`,
	Rules: []steps.Rule{steps.AbsentTakes("path", "package", "rename")},
	New: func() (steps.Step, steps.Args) {
		s := &divert{Rename: true, State: "present"}
		return s, steps.Args{
			kit.PathArg("path", &s.Path, "The path that packages install.").Must(),
			kit.PathArg("to", &s.To, "Where packages install it instead.").With("path with .distrib behind it"),
			kit.NameArg("package", &s.Package, "The package whose own file stays at the path. Left out, those of all packages are diverted."),
			kit.BoolArg("rename", &s.Rename, "Move the file that is there, and back."),
			kit.EnumArg("state", &s.State, "Whether the diversion is there.", "present", "absent"),
		}
	},
}

type divert struct {
	Path, To, Package string
	Rename            bool
	State             string
}

var (
	_ steps.Asker    = (*divert)(nil)
	_ steps.Bringer  = (*divert)(nil)
	_ steps.Requirer = (*divert)(nil)
	_ steps.Settler  = (*divert)(nil)
)

func (s *divert) Validate() []steps.Problem {
	if s.To == s.Path {
		return []steps.Problem{{Arg: "to", Summary: "the path is diverted to itself", Detail: "Give another path, or leave the argument out."}}
	}
	return nil
}

// target is where packages install the file.
func (s *divert) target() string {
	if s.To == "" {
		return s.Path + ".distrib"
	}
	return s.To
}

// owner is whose diversion it is, as dpkg-divert prints it.
func (s *divert) owner() string {
	if s.Package == "" {
		return "LOCAL"
	}
	return s.Package
}

// Brings implements steps.Bringer: a file that is moved is at its new path, and no longer at the old one.
func (s *divert) Brings(change steps.Change) steps.Supply {
	for _, a := range change.Diff {
		if a.Name == "file" {
			return steps.Supply{Things: []steps.Thing{{Kind: steps.FileThing, Name: a.After}}, Gone: []string{a.Before}}
		}
	}
	return steps.Supply{}
}

// Touches implements steps.Toucher.
func (s *divert) Touches(steps.Observation) steps.Supply {
	return steps.Supply{Trees: []string{s.Path, s.target(), "/var/lib/dpkg"}}
}

// Asks implements steps.Asker: two files of which none may overwrite the other are in the way until one is removed.
func (s *divert) Asks(*steps.Facts) []steps.Thing {
	return []steps.Thing{{Kind: steps.FileThing, Name: s.Path}, {Kind: steps.FileThing, Name: s.target()}}
}

// Requires implements steps.Requirer.
func (s *divert) Requires() []steps.Thing {
	things := []steps.Thing{{Kind: steps.CommandThing, Name: "dpkg-divert"}}
	if s.State == "present" {
		things = append(things, kit.ParentOf(s.target())...)
	}
	return things
}

func (s *divert) Probe() string {
	return shell.Strip(divertSource) + fmt.Sprintf("divert_look %s %s %s %t\n", shell.Quote(s.State), shell.Quote(s.Path), shell.Quote(s.target()), s.Rename)
}

// Settled implements steps.Settler.
func (s *divert) Settled(*steps.Facts) []steps.Observation {
	if s.State == "absent" {
		return []steps.Observation{steps.Observe("by nobody")}
	}
	return []steps.Observation{steps.Observe("by "+s.owner(), "to "+s.target())}
}

func (s *divert) Plan(_ *steps.Facts, obs steps.Observation) (steps.Change, error) {
	by, _ := obs.Get("by")
	to, _ := obs.Get("to")
	switch {
	case by != "nobody" && by != "LOCAL" && by != s.Package:
		return steps.Change{}, fmt.Errorf("%s is diverted to %s already, by the package %s; remove that package, or name another path", s.Path, to, by)
	case s.State == "absent":
		return s.planAbsent(by, to, obs)
	case by == "nobody":
		return s.planNew(obs)
	case by == s.owner() && to == s.target():
		return steps.Change{Action: steps.NoOp}, nil
	}
	change := steps.Change{Action: steps.Update}
	change.Compare("to", to, s.target())
	change.Compare("package", divertPackage(by), divertPackage(s.owner()))
	change.AddNeeds(obs)
	from := ""
	if old, _ := obs.Get("moves"); old == "file" || old == "symlink" {
		from = to
		change.Diff = append(change.Diff, steps.Attr{Name: "file", Before: to, After: s.target()})
	}
	change.Ops = []steps.Op{s.run("divert_change", shell.Quote(from))}
	return change, nil
}

// divertPackage shows whose diversion it is.
func divertPackage(by string) string {
	if by == "LOCAL" {
		return "of all packages"
	}
	return by
}

func (s *divert) planNew(obs steps.Observation) (steps.Change, error) {
	if known, ok := obs.Get("known"); ok {
		return steps.Change{}, fmt.Errorf("no package has %s under this name; dpkg knows it as %s: name that path", s.Path, known)
	}
	change := steps.Change{
		Action: steps.Create,
		Diff:   []steps.Attr{{Name: "to", BeforeMissing: true, After: s.target()}},
	}
	if s.Package != "" {
		change.Diff = append(change.Diff, steps.Attr{Name: "package", BeforeMissing: true, After: s.Package})
	}
	change.AddNeeds(obs)
	from := ""
	switch kind, _ := obs.Get("moves"); kind {
	case "file", "symlink":
		from = s.Path
		change.Diff = append(change.Diff, steps.Attr{Name: "file", Before: s.Path, After: s.target()})
		change.Dangers = []string{"moves " + s.Path + " away; nothing is there until something else writes it"}
	case "directory", "other":
		return steps.Change{}, kit.NotA(s.Path, kind, "file")
	}
	change.Ops = []steps.Op{s.run("divert_add", shell.Quote(from))}
	return change, nil
}

func (s *divert) planAbsent(by, to string, obs steps.Observation) (steps.Change, error) {
	if by == "nobody" {
		return steps.Change{Action: steps.NoOp}, nil
	}
	change := steps.Change{
		Action: steps.Delete,
		Diff:   []steps.Attr{{Name: "to", Before: to, AfterMissing: true}},
	}
	from := ""
	if kind, _ := obs.Get("moves"); s.Rename && kind != "absent" {
		from = to
		change.Diff = append(change.Diff, steps.Attr{Name: "file", Before: to, After: s.Path})
	}
	change.Ops = []steps.Op{s.run("divert_remove", shell.Quote(from))}
	return change, nil
}

// run is the operation: the file that is at from is moved too.
func (s *divert) run(function, from string) steps.Op {
	return steps.Run{
		Script: shell.Strip(divertSource) + fmt.Sprintf("%s %s %s %s %s\n", function, shell.Quote(s.Path), shell.Quote(s.target()), shell.Quote(s.Package), from),
		Shown:  "dpkg-divert",
	}
}
