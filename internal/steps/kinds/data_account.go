package kinds

import (
	"fmt"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

var accountData = &steps.Kind{
	Name:  "account",
	Block: steps.DataBlock,
	Doc: `A user or a group as the host knows it, from whatever it takes them (files, LDAP, …).

Of a name that is not there exists is false, and all else is null.`,
	Example: `data "account" "root" {
  user = "root"
}

data "account" "sys" {
  group = "sys"
}

step "file" "note" {
  path    = "/var/tmp/demo-data-account"
  content = "${data.account.root.home}, sys: ${data.account.sys.exists}\n"
}
`,
	Rules: []steps.Rule{steps.OneOf("A block is about one of them.", "user", "group")},
	Outputs: []steps.Output{
		{Name: "exists", Type: cty.Bool, Doc: "Whether there is such a user or group."},
		{Name: "uid", Type: cty.Number, Doc: "The number of a user."},
		{Name: "gid", Type: cty.Number, Doc: "The number of a group; of a user, that of the primary group."},
		{Name: "home", Type: cty.String, Doc: "The home directory of a user."},
		{Name: "shell", Type: cty.String, Doc: "The login shell of a user; empty is /bin/sh."},
		{Name: "comment", Type: cty.String, Doc: "The comment of a user, such as the full name."},
		{Name: "groups", Type: cty.List(cty.String), Doc: "The names of all groups of a user, the primary one among them, sorted."},
		{Name: "members", Type: cty.List(cty.String), Doc: "The names of the members of a group, sorted; whose primary group it is need not be among them."},
	},
	New: func() (steps.Step, steps.Args) {
		a := &accountLook{}
		return a, steps.Args{
			kit.NameArg("user", &a.User, "Name of the user."),
			kit.NameArg("group", &a.Group, "Name of the group."),
		}
	},
}

type accountLook struct {
	looking
	User, Group string
}

var (
	_ steps.Chooser   = (*accountLook)(nil)
	_ steps.Asker     = (*accountLook)(nil)
	_ steps.Outputter = (*accountLook)(nil)
)

func (a *accountLook) Validate() []steps.Problem {
	for arg, name := range map[string]string{"user": a.User, "group": a.Group} {
		if name != "" && kit.IsNumber(name) {
			return []steps.Problem{{Arg: arg, Summary: fmt.Sprintf("%q would be taken for a number", name), Detail: "Give a name that holds a letter."}}
		}
	}
	return nil
}

// Asks implements steps.Asker. Who is in which group many steps may change.
func (a *accountLook) Asks(*steps.Facts) []steps.Thing {
	thing := steps.Thing{Kind: steps.UserThing, Name: a.User}
	if a.Group != "" {
		thing = steps.Thing{Kind: steps.GroupThing, Name: a.Group}
	}
	if a.Group != "" && a.wants("members") || a.User != "" && a.wants("groups") {
		return []steps.Thing{thing, {Kind: steps.OpaqueThing}}
	}
	return []steps.Thing{thing}
}

// fields are those of a line of the database after the name.
func (a *accountLook) fields() (database, name string, fields []string) {
	if a.Group != "" {
		return "group", a.Group, []string{"", "gid", "members"}
	}
	return "passwd", a.User, []string{"", "uid", "gid", "comment", "home", "shell"}
}

func (a *accountLook) Probe() string {
	database, name, fields := a.fields()
	var b strings.Builder
	fmt.Fprintf(&b, `l=$(account %s %s)
case $? in
0) ;;
2) say exists no; exit 0 ;;
*) fail %s ;;
esac
say exists yes
l=$l:
`, database, shell.Quote(name), shell.Quote("cannot look up "+name))
	for _, field := range fields {
		b.WriteString("l=${l#*:}\n")
		if field != "" && a.wants(field) {
			fmt.Fprintf(&b, "say %s \"${l%%%%:*}\"\n", field)
		}
	}
	if a.User != "" && a.wants("groups") {
		fmt.Fprintf(&b, "g=$(id -Gn -- %[1]s 2>/dev/null) || g=$(id -Gn %[1]s) || exit 1\nsay groups \"$g\"\n", shell.Quote(name))
	}
	return b.String()
}

func (a *accountLook) Plan(_ *steps.Facts, obs steps.Observation) (steps.Change, error) {
	for _, key := range []string{"home", "shell", "comment", "groups", "members"} {
		text, _ := obs.Get(key)
		if _, err := textValue("the "+key+" of "+a.User+a.Group, text); err != nil {
			return steps.Change{}, err
		}
	}
	return steps.Change{Action: steps.NoOp}, nil
}

// Outputs implements steps.Outputter.
func (a *accountLook) Outputs(_ *steps.Facts, obs steps.Observation, _ steps.Result) map[string]cty.Value {
	values := map[string]cty.Value{"exists": cty.BoolVal(obs.Yes("exists"))}
	for _, name := range []string{"uid", "gid"} {
		values[name] = kit.NumberOutput(obs, name)
	}
	for _, name := range []string{"home", "shell", "comment"} {
		values[name] = outputText(obs, name)
	}
	for name, separator := range map[string]string{"groups": " ", "members": ","} {
		if text, there := obs.Get(name); there {
			values[name] = nameList(strings.Split(text, separator))
		}
	}
	return values
}

func nameList(names []string) cty.Value {
	slices.Sort(names)
	return lineList(slices.DeleteFunc(slices.Compact(names), func(name string) bool { return name == "" }))
}
