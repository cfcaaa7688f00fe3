package kinds

import (
	_ "embed"
	"slices"
	"strings"

	"github.com/moby/patternmatcher/ignorefile"

	"provision/internal/steps"
	"provision/internal/steps/kit"
)

//go:embed sync.sh
var syncScriptSource string

var syncKind = &steps.Kind{
	Name: "sync",
	Doc: `A local directory, copied to a directory of the host.

Every file is compared by its content, and only what differs travels: packed into one archive, unpacked beside the
destination and moved into place file by file, so nobody sees half of one. Of an unchanged tree nothing travels.
New files get the mode 0644, or 0755 if they are executable here, directories 0755. A file that is there keeps its owner
and its mode, unless the right to execute differs or it is setuid or setgid. Symbolic links stay links and are never
followed. Sockets and pipes are left out.

exclude and ignore_file take patterns as in .dockerignore: "*.pyc" at the top, "**/*.pyc" everywhere, "!keep.pyc" takes back.
What they match neither travels nor is removed.

With delete, files on the host that the local tree does not have are removed. Without it, a file that is in
the way of a directory, or the other way round, is an error.`,
	Example: `step "sync" "playbook" {
  source  = path.module
  dest    = "/srv/playbook"
  exclude = ["**/*.tmp", ".git", ".provision"]
  delete  = true
}
`,
	New: func() (steps.Step, steps.Args) {
		s := &syncTree{}
		args := steps.Args{
			kit.DirArg("source", &s.Source, "The local directory; what is in it is copied, not the directory itself.").Must(),
			kit.PathArg("dest", &s.Dest, "The directory on the host. It is made if it does not exist.").Must(),
			kit.StringsArg("exclude", &s.Exclude, "Patterns of what to leave alone."),
			kit.FileArg("ignore_file", &s.IgnoreFile, "A local file with such patterns, a line each, such as .dockerignore."),
			kit.BoolArg("delete", &s.Delete, "Remove what the local tree does not have."),
		}
		return s, append(args, s.tree.ownerArgs()...)
	},
}

type syncTree struct {
	Source, Dest string
	Exclude      []string
	IgnoreFile   *steps.Local
	Delete       bool
	tree         remoteTree
}

var (
	_ steps.Settler  = (*syncTree)(nil)
	_ steps.Bringer  = (*syncTree)(nil)
	_ steps.Requirer = (*syncTree)(nil)
	_ steps.Loader   = (*syncTree)(nil)
)

// Load implements steps.Loader.
func (s *syncTree) Load(d *steps.Disk) []steps.Problem {
	patterns := s.Exclude
	if s.IgnoreFile != nil {
		text, err := d.Text(s.IgnoreFile.Path)
		if err != nil {
			return []steps.Problem{{Arg: "ignore_file", Summary: "the patterns cannot be read", Detail: err.Error() + "."}}
		}
		lines, err := ignorefile.ReadAll(strings.NewReader(text))
		if err != nil {
			return []steps.Problem{{Arg: "ignore_file", Summary: "the patterns cannot be read", Detail: err.Error() + "."}}
		}
		patterns = append(lines, patterns...)
	}
	tree, err := kit.ReadTree(d, s.Source, patterns, nil)
	if err != nil {
		return []steps.Problem{{Arg: "source", Summary: "the local directory cannot be copied", Detail: err.Error() + "."}}
	}
	s.tree.Tree, s.tree.patterns, s.tree.dest, s.tree.remove = tree, patterns, s.Dest, s.Delete
	return nil
}

func (s *syncTree) Validate() []steps.Problem {
	var problems []steps.Problem
	if kit.ProtectedPath(s.Dest) {
		problems = append(problems, steps.Problem{Arg: "dest", Summary: s.Dest + " is part of every system", Detail: "Name a directory of its own below it."})
	}
	if s.tree.Tree != nil && len(s.tree.Files) == 0 {
		problems = append(problems, steps.Problem{Arg: "source", Summary: "there is nothing to copy", Detail: "The directory is empty, or exclude leaves nothing of it."})
	}
	return problems
}

// Brings implements steps.Bringer.
func (s *syncTree) Brings(change steps.Change) steps.Supply {
	supply := s.tree.supply(s.Dest)
	if slices.ContainsFunc(change.Diff, func(a steps.Attr) bool { return a.Name == "owner" }) {
		supply.Other = []steps.Thing{{Kind: steps.DirectoryThing, Name: s.Dest}}
	}
	return supply
}

// Requires implements steps.Requirer.
func (s *syncTree) Requires() []steps.Thing { return s.tree.owner.Accounts() }

func (s *syncTree) Probe() string { return s.tree.probe() }

// Settled implements steps.Settler.
func (s *syncTree) Settled(*steps.Facts) []steps.Observation {
	return []steps.Observation{steps.Observe("dest directory")}
}

func (s *syncTree) Plan(f *steps.Facts, obs steps.Observation) (steps.Change, error) {
	return s.tree.plan(f, obs)
}
