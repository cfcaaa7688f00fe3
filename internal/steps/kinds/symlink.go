package kinds

import (
	"fmt"
	"path"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

var symlinkKind = &steps.Kind{
	Name: "symlink",
	Doc: `A symbolic link, or its absence.

The link is replaced at once where mv can do that (GNU, uutils, and busybox from 1.33): whoever opens the
path finds the old target or the new one. The target need not exist; a relative one counts from
the directory of the link. The directory must exist.

A file in the place of the link is an error unless force is set; a directory always is. Owner and
mode of links mean nothing on Linux and are not looked at.`,
	Example: `step "directory" "release" {
  path = "/srv/demo/releases/42"
}

step "symlink" "current" {
  path   = "/srv/demo/current"
  target = "releases/42"
}
`,
	Rules: []steps.Rule{steps.AbsentTakes("path")},
	New: func() (steps.Step, steps.Args) {
		s := &symlink{State: "present"}
		return s, steps.Args{
			kit.PathArg("path", &s.Path, "Absolute path of the link.").Must(),
			kit.StringArg("target", &s.Target, "What the link points to: an absolute path, or one that counts from the directory of the link. Required unless state is absent."),
			kit.BoolArg("force", &s.Force, "Replace a file that is in the place of the link."),
			kit.EnumArg("state", &s.State, "Whether the link is there.", "present", "absent"),
		}
	},
}

type symlink struct {
	Path, Target, State string
	Force               bool
}

var (
	_ steps.Bringer  = (*symlink)(nil)
	_ steps.Requirer = (*symlink)(nil)
	_ steps.Settler  = (*symlink)(nil)
)

func (s *symlink) Validate() []steps.Problem {
	switch {
	case s.State == "present" && s.Target == "":
		return []steps.Problem{{Arg: "target", Summary: "a link needs a target", Detail: "Give the path that the link points to."}}
	case s.Target == s.Path:
		return []steps.Problem{{Arg: "target", Summary: "the link points to itself", Detail: "Give the path of something else."}}
	}
	return nil
}

// Brings implements steps.Bringer: behind the link is what its target holds, and no longer what it led to before.
func (s *symlink) Brings(change steps.Change) steps.Supply {
	if s.State == "absent" {
		return kit.RemovalSupply(change, s.Path)
	}
	supply := steps.Supply{Trees: []string{s.Path}}
	if change.Action != steps.Unknown {
		to := s.Target
		if !path.IsAbs(to) {
			to = path.Join(path.Dir(s.Path), to)
		}
		supply.Replaced = []steps.Replaced{{Path: s.Path, To: path.Clean(to)}}
	}
	return supply
}

// Requires implements steps.Requirer.
func (s *symlink) Requires() []steps.Thing {
	if s.State == "absent" {
		return nil
	}
	return kit.ParentOf(s.Path)
}

func (s *symlink) Probe() string {
	probe := kit.ProbeType(s.Path)
	if s.State == "absent" {
		return probe
	}
	return probe + `if [ "$t" = symlink ]; then
	link_target "$p" || exit 1
	say target "$LINK"
elif [ "$t" = absent ]; then
` + kit.ProbeParent + "fi\n"
}

// Settled implements steps.Settler.
func (s *symlink) Settled(*steps.Facts) []steps.Observation {
	if s.State == "absent" {
		return []steps.Observation{steps.Observe("type absent")}
	}
	return []steps.Observation{steps.Observe("type symlink", "target "+s.Target)}
}

func (s *symlink) Plan(_ *steps.Facts, obs steps.Observation) (steps.Change, error) {
	kind, _ := obs.Get("type")
	if s.State == "absent" {
		return s.planAbsent(kind)
	}
	target, _ := obs.Get("target")
	change := steps.Change{Action: steps.Update, Ops: []steps.Op{steps.Run{Script: s.script()}}}
	switch kind {
	case "symlink":
		if target == s.Target {
			return steps.Change{Action: steps.NoOp}, nil
		}
		change.Diff = []steps.Attr{{Name: "target", Before: target, After: s.Target}}
	case "absent":
		change.Action = steps.Create
		change.Diff = []steps.Attr{{Name: "target", BeforeMissing: true, After: s.Target}}
		change.AddNeeds(obs)
	case "file":
		if !s.Force {
			return steps.Change{}, fmt.Errorf("%s is a file, not a symbolic link; move it away, or set force = true to replace it", s.Path)
		}
		change.Diff = []steps.Attr{{Name: "target", BeforeMissing: true, After: s.Target}}
		change.Dangers = []string{"replaces the file " + s.Path + " by a link"}
	default:
		return steps.Change{}, kit.NotA(s.Path, kind, "symbolic link")
	}
	return change, nil
}

func (s *symlink) planAbsent(kind string) (steps.Change, error) {
	switch kind {
	case "absent":
		return steps.Change{Action: steps.NoOp}, nil
	case "symlink":
		return steps.Change{
			Action:  steps.Delete,
			Diff:    []steps.Attr{{Name: "path", Before: s.Path, AfterMissing: true}},
			Ops:     []steps.Op{steps.Run{Script: "rm -f -- " + shell.Quote(s.Path)}},
			Dangers: []string{"removes the link " + s.Path},
		}, nil
	}
	return steps.Change{}, fmt.Errorf("%s is no symbolic link; remove it with a step \"file\" or \"directory\"", s.Path)
}

// script makes the link beside its place and renames it. -T keeps mv from moving it into a
// directory that the old link leads to. mv of uutils (0.12) refuses that; it replaces a link when it
// moves one of that name into the directory around it.
func (s *symlink) script() string {
	return fmt.Sprintf(`p=%[1]s
[ -e "$p" ] || [ -h "$p" ] || exec ln -s -- %[2]s "$p"
n=$p.new.$$
ln -s -- %[2]s "$n" || exit 1
mv -fT -- "$n" "$p" 2>/dev/null && exit 0
rm -f -- "$n"
[ -h "$p" ] || [ ! -d "$p" ] || fail "$p is a directory"
mkdir -- "$n" && ln -s -- %[2]s "$n/${p##*/}" || exit 1
mv -f -- "$n/${p##*/}" "${p%%/*}/" 2>/dev/null && rmdir -- "$n" && exit 0
rm -rf -- "$n"
ln -sfn -- %[2]s "$p"
`, shell.Quote(s.Path), shell.Quote(s.Target))
}
