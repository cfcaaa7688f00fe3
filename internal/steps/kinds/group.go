package kinds

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

var groupKind = &steps.Kind{
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
	Outputs: []steps.Output{{Name: "gid", Type: cty.Number, Doc: "The number of the group; null if it is absent."}},
	Rules:   []steps.Rule{steps.AbsentTakes("name")},
	New: func() (steps.Step, steps.Args) {
		g := &group{State: "present"}
		return g, steps.Args{
			kit.NameArg("name", &g.Name, "Name of the group.").Must(),
			kit.OptIntArg("gid", &g.GID, 0, kit.MaxID, "Its number. Left out, a new group gets a free one and an existing one keeps its own."),
			kit.BoolArg("system", &g.System, "Take the number of a new group from the range of the system."),
			kit.EnumArg("state", &g.State, "Whether the group is there.", "present", "absent"),
		}
	},
}

type group struct {
	Name, State string
	GID         *int
	System      bool
}

var (
	_ steps.Settler   = (*group)(nil)
	_ steps.Bringer   = (*group)(nil)
	_ steps.Outputter = (*group)(nil)
)

func (g *group) Validate() []steps.Problem {
	switch {
	case kit.IsNumber(g.Name):
		return []steps.Problem{{Arg: "name", Summary: fmt.Sprintf("%q would be taken for the number of a group", g.Name), Detail: "Give a name that holds a letter."}}
	case g.State == "absent" && g.Name == "root":
		return []steps.Problem{{Arg: "name", Summary: "root cannot be removed", Detail: "Name a group of your own."}}
	}
	return nil
}

// Brings implements steps.Bringer.
func (g *group) Brings(change steps.Change) steps.Supply {
	thing := []steps.Thing{{Kind: steps.GroupThing, Name: g.Name}}
	free := steps.Thing{Kind: steps.FreeThing, Name: "(" + g.Name + " has it)"} // the number that it has now
	switch {
	case g.State == "absent" && change.Action == steps.Delete:
		return steps.Supply{Lost: thing, Things: []steps.Thing{free}}
	case g.State == "present" && g.GID != nil && change.Action != steps.NoOp:
		s := steps.Supply{Things: append(slices.Clone(thing), steps.Thing{Kind: steps.GroupThing, Name: strconv.Itoa(*g.GID)}, free)}
		if change.Action == steps.Update { // files of the group keep the old number
			s.Other = thing
		}
		return s
	case g.State == "present" && (change.Action == steps.Create || change.Action == steps.Unknown):
		return steps.Supply{Things: thing}
	}
	return steps.Supply{}
}

// Touches implements steps.Toucher: with the number of a group that of its users changes.
func (g *group) Touches(steps.Observation) steps.Supply {
	s := steps.Supply{Things: []steps.Thing{{Kind: steps.GroupThing, Name: g.Name}}, Replaced: accountFiles()}
	if g.GID != nil {
		s.Things = append(s.Things, steps.Thing{Kind: steps.UserThing})
	}
	return s
}

func (g *group) Probe() string {
	primary := ""
	if g.State == "absent" {
		primary = fmt.Sprintf(`
	while IFS=: read -r u p i d r; do
		[ "$d" != "${l%%%%:*}" ] || need free "primary group "%s" (of user $u)"
	done </etc/passwd`, shell.Quote(g.Name))
	}
	taken := ""
	if g.State == "present" && g.GID != nil {
		taken = fmt.Sprintf("taken=$(id_name group %[1]d) || taken=\ncase $taken in '' | %[2]s) ;; *) need free \"gid %[1]d ($taken has it)\" ;; esac\n", *g.GID, shell.Quote(g.Name))
	}
	return fmt.Sprintf(`l=$(account group %s)
case $? in
0)
	say exists yes
	l=${l#*:*:}
	say gid "${l%%%%:*}"%s
	;;
2) say exists no ;;
*) fail "cannot look up the group" ;;
esac
%s`, shell.Quote(g.Name), primary, taken)
}

// Settled implements steps.Settler: the host chooses the number.
func (g *group) Settled(*steps.Facts) []steps.Observation {
	switch {
	case g.State == "absent":
		return []steps.Observation{steps.Observe("exists no")}
	case g.GID == nil:
		return []steps.Observation{steps.Observe("exists yes", "gid "+steps.AnyNumber)}
	}
	return []steps.Observation{steps.Observe("exists yes", "gid "+strconv.Itoa(*g.GID))}
}

func (g *group) Plan(f *steps.Facts, obs steps.Observation) (steps.Change, error) {
	exists := obs.Yes("exists")
	gid, _ := obs.Get("gid")
	name := shell.Quote(g.Name)
	switch {
	case g.State == "absent" && !exists:
		return steps.Change{Action: steps.NoOp}, nil
	case g.State == "absent":
		change := steps.Change{
			Action:  steps.Delete,
			Diff:    []steps.Attr{{Name: "name", Before: g.Name, AfterMissing: true}},
			Ops:     []steps.Op{steps.Run{Script: "if have groupdel; then groupdel " + name + "; else delgroup " + name + "; fi"}},
			Dangers: []string{"deletes group " + g.Name},
		}
		change.AddNeeds(obs)
		return change, nil
	case !exists:
		change := steps.Change{Action: steps.Create, Diff: []steps.Attr{{Name: "name", BeforeMissing: true, After: g.Name}}}
		if g.GID != nil {
			change.Compare("gid", "", strconv.Itoa(*g.GID))
			change.Predict = []steps.Observation{steps.Observe("exists yes", "gid "+strconv.Itoa(*g.GID))}
		}
		change.Ops = []steps.Op{steps.Run{Script: g.add()}}
		change.AddNeeds(obs)
		return change, nil
	}
	change := steps.Change{Action: steps.NoOp}
	if g.GID == nil || gid == strconv.Itoa(*g.GID) {
		return change, nil
	}
	change.Action = steps.Update
	change.Compare("gid", gid, strconv.Itoa(*g.GID))
	change.Dangers = []string{fmt.Sprintf("changes the number of group %s; files of the old number %s keep it", g.Name, gid)}
	change.Ops = []steps.Op{steps.Run{Script: fmt.Sprintf("have groupmod || fail 'groupmod is missing: install the package shadow'\ngroupmod -g %d %s", *g.GID, name)}}
	change.AddNeeds(obs)
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

// Outputs implements steps.Outputter.
func (g *group) Outputs(_ *steps.Facts, obs steps.Observation, _ steps.Result) map[string]cty.Value {
	return map[string]cty.Value{"gid": kit.NumberOutput(obs, "gid")}
}
