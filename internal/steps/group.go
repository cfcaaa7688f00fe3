package steps

import (
	"fmt"
	"strconv"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/shell"
)

var groupKind = &Kind{
	Name: "group",
	Doc: `A group, or its absence.

Uses groupadd, groupmod and groupdel, or addgroup and delgroup of busybox (which cannot change the
number of a group). Who is a member is said by the argument groups of the kind user.`,
	Example: `step "group" "deployers" {
  name = "deployers"
}

step "group" "metrics" {
  name   = "metrics"
  gid    = 4200
  system = true
}
`,
	Outputs: []Output{{Name: "gid", Type: cty.Number, Doc: "The number of the group; null if it is absent."}},
	New: func() (Step, Args) {
		g := &group{State: "present"}
		return g, Args{
			nameArg("name", &g.Name, "Name of the group.").Must(),
			optIntArg("gid", &g.GID, 0, maxID, "Its number. Left out, a new group gets a free one and an existing one keeps its own."),
			boolArg("system", &g.System, "Take the number of a new group from the range of the system."),
			enumArg("state", &g.State, "Whether the group is there.", "present", "absent"),
		}
	},
}

type group struct {
	Name, State string
	GID         *int
	System      bool
}

func (g *group) Validate() []Problem {
	switch {
	case isNumber(g.Name):
		return []Problem{{Arg: "name", Summary: fmt.Sprintf("%q would be taken for the number of a group", g.Name), Detail: "Give a name that holds a letter."}}
	case g.State == "absent" && (g.GID != nil || g.System):
		return []Problem{{Arg: "state", Summary: "a group that is absent has no number", Detail: "Leave out every argument but name and state."}}
	case g.State == "absent" && g.Name == "root":
		return []Problem{{Arg: "name", Summary: "root cannot be removed", Detail: "Name a group of your own."}}
	}
	return nil
}

var _ Bringer = (*group)(nil)

// Brings implements Bringer.
func (g *group) Brings(change Change) Supply {
	thing := []Thing{{GroupThing, g.Name}}
	switch {
	case change.Action == Delete:
		return Supply{Lost: thing}
	case g.State == "present" && g.GID != nil && change.Action != NoOp:
		return Supply{Things: append(thing, Thing{GroupThing, strconv.Itoa(*g.GID)})}
	case g.State == "present" && (change.Action == Create || change.Action == Unknown):
		return Supply{Things: thing}
	}
	return Supply{}
}

func (g *group) Probe() string {
	return fmt.Sprintf(`l=$(account group %s)
case $? in
0)
	say exists yes
	l=${l#*:*:}
	say gid "${l%%%%:*}"
	;;
2) say exists no ;;
*) fail "cannot look up the group" ;;
esac
`, shell.Quote(g.Name))
}

func (g *group) Plan(f *Facts, obs Observation) (Change, error) {
	exists := obs.Yes("exists")
	gid, _ := obs.Get("gid")
	name := shell.Quote(g.Name)
	switch {
	case g.State == "absent" && !exists:
		return Change{Action: NoOp}, nil
	case g.State == "absent":
		return Change{
			Action:  Delete,
			Diff:    []Attr{{Name: "name", Before: g.Name, AfterMissing: true}},
			Ops:     []Op{Run{Script: "if have groupdel; then groupdel " + name + "; else delgroup " + name + "; fi"}},
			Dangers: []string{"deletes group " + g.Name},
		}, nil
	case !exists:
		change := Change{Action: Create, Diff: []Attr{{Name: "name", BeforeMissing: true, After: g.Name}}}
		if g.GID != nil {
			change.compare("gid", "", strconv.Itoa(*g.GID))
			change.Predict = []Observation{Observe("exists yes", "gid "+strconv.Itoa(*g.GID))}
		}
		change.Ops = []Op{Run{Script: g.add()}}
		return change, nil
	}
	change := Change{Action: NoOp}
	if g.GID == nil || gid == strconv.Itoa(*g.GID) {
		return change, nil
	}
	change.Action = Update
	change.compare("gid", gid, strconv.Itoa(*g.GID))
	change.Dangers = []string{fmt.Sprintf("changes the number of group %s; files of the old number %s keep it", g.Name, gid)}
	change.Ops = []Op{Run{Script: fmt.Sprintf("have groupmod || fail 'groupmod is missing: install the package shadow'\ngroupmod -g %d %s", *g.GID, name)}}
	return change, nil
}

func (g *group) add() string {
	shadow, busybox := []string{"groupadd"}, []string{"addgroup"}
	if g.System {
		shadow, busybox = append(shadow, "-r"), append(busybox, "-S")
	}
	if g.GID != nil {
		number := strconv.Itoa(*g.GID)
		shadow, busybox = append(shadow, "-g", number), append(busybox, "-g", number)
	}
	return fmt.Sprintf("if have groupadd; then\n\t%s\nelse\n\t%s\nfi",
		shell.Words(append(shadow, g.Name)...), shell.Words(append(busybox, g.Name)...))
}

// Outputs implements Outputter.
func (g *group) Outputs(_ *Facts, obs Observation, _ Result) map[string]cty.Value {
	return map[string]cty.Value{"gid": idOutput(obs, "gid")}
}
