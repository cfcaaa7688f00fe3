package kinds

import (
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

//go:embed acl.sh
var aclSource string

var aclKind = &steps.Kind{
	Name: "acl",
	Doc: `Entries of the access list (POSIX ACL) of a file or directory, for users and groups beside its own.

Only the entries that are named are looked at; the others stay. What a directory gives to what is made in it later are its
default entries. Nothing below a directory is changed.

The mask of a list limits what its entries give. It is widened where a wanted entry would not be effective, as
setfacl does. On a path with an access list the mask is what ls shows as the rights of the group, and a step with
another mode for the path changes it: give that the mode that is shown. Owner, group and others have their rights by the mode.

It takes setfacl and getfacl, which the package acl has, and a file system with access lists.`,
	Example: `step "package" "acl" {
  names = ["acl"]
}

step "directory" "shared" {
  path = "/srv/demo-shared"
}

step "acl" "shared" {
  path    = "/srv/demo-shared"
  entries = ["user:daemon:rwx", "group:mail:r-x"]
  default = ["user:daemon:rwx"]
}
`,
	Rules: []steps.Rule{
		steps.AbsentTakes("path", "entries", "default"),
	},
	New: func() (steps.Step, steps.Args) {
		s := &acl{State: "present"}
		return s, steps.Args{
			kit.PathArg("path", &s.Path, "Absolute path of the file or directory.").Must(),
			kit.ListArg("entries", &s.Entries, "Entries such as user:daemon:rwx or group:adm:r-x. With state absent the rights may be left out.", parseACLEntry),
			kit.ListArg("default", &s.Default, "Default entries of a directory, written alike.", parseACLEntry),
			kit.EnumArg("state", &s.State, "Whether the entries are there.", "present", "absent"),
		}
	},
}

// An aclEntry gives rights to somebody.
type aclEntry struct {
	kind, name string // "user" or "group", and a name or a number
	rights     string // "rwx" with dashes; "" where none are given
}

func (e aclEntry) who() string { return e.kind + ":" + e.name }

var (
	aclName   = regexp.MustCompile(`^[A-Za-z0-9_.@+][A-Za-z0-9_.@+$-]*$`)
	aclRights = regexp.MustCompile(`^[rwx-]{0,3}$`)
)

func parseACLEntry(s string) (aclEntry, error) {
	parts := strings.Split(s, ":")
	e := aclEntry{kind: parts[0]}
	switch e.kind {
	case "u":
		e.kind = "user"
	case "g":
		e.kind = "group"
	}
	switch {
	case len(parts) < 2 || len(parts) > 3 || e.kind != "user" && e.kind != "group":
		return e, fmt.Errorf("%q is no entry; write user:NAME:rwx or group:NAME:r-x (the mask follows from the entries, and default ones are in the argument default)", s)
	case parts[1] == "":
		return e, fmt.Errorf("%q names nobody; the rights of the owner and the group of the path are its mode", s)
	case !aclName.MatchString(parts[1]):
		return e, fmt.Errorf("%q is no name of a %s", parts[1], e.kind)
	}
	e.name = parts[1]
	if len(parts) == 2 {
		return e, nil
	}
	if !aclRights.MatchString(parts[2]) || parts[2] == "" {
		return e, fmt.Errorf("%q are no rights; write letters of rwx, and a dash for each that is not given, such as r-x", parts[2])
	}
	for _, letter := range "rwx" {
		switch strings.Count(parts[2], string(letter)) {
		case 0:
			e.rights += "-"
		case 1:
			e.rights += string(letter)
		default:
			return e, fmt.Errorf("%q names a right twice", parts[2])
		}
	}
	return e, nil
}

type acl struct {
	Path, State      string
	Entries, Default []aclEntry
}

var (
	_ steps.Requirer = (*acl)(nil)
	_ steps.Settler  = (*acl)(nil)
)

func (s *acl) Validate() []steps.Problem {
	if len(s.Entries)+len(s.Default) == 0 {
		return []steps.Problem{{Arg: "entries", Summary: "no entry is named", Detail: "Give entries, default, or both."}}
	}
	var problems []steps.Problem
	for _, list := range []struct {
		arg string
		all []aclEntry
	}{{"entries", s.Entries}, {"default", s.Default}} {
		seen := map[string]bool{}
		for _, e := range list.all {
			if s.State == "present" && e.rights == "" {
				problems = append(problems, steps.Problem{Arg: list.arg, Summary: e.who() + " is given no rights", Detail: "Write " + e.who() + ":rwx, or --- for none at all."})
			}
			if seen[e.who()] {
				problems = append(problems, steps.Problem{Arg: list.arg, Summary: e.who() + " is named twice", Detail: "Leave one of the entries out."})
			}
			seen[e.who()] = true
		}
	}
	return problems
}

// Requires implements steps.Requirer.
func (s *acl) Requires() []steps.Thing {
	things := []steps.Thing{{Kind: steps.PathThing, Name: s.Path}, {Kind: steps.CommandThing, Name: "setfacl"}}
	if s.State == "absent" {
		return things
	}
	for _, e := range slices.Concat(s.Entries, s.Default) {
		if !kit.IsNumber(e.name) {
			things = append(things, steps.Thing{Kind: e.kind, Name: e.name})
		}
	}
	return things
}

// words are the entries for the functions of sh: default ones begin with "default:".
func (s *acl) words() []string {
	var words []string
	for _, e := range s.Entries {
		words = append(words, strings.TrimSuffix(e.who()+":"+e.rights, ":"))
	}
	for _, e := range s.Default {
		words = append(words, strings.TrimSuffix("default:"+e.who()+":"+e.rights, ":"))
	}
	return words
}

func (s *acl) Probe() string {
	return shell.Strip(aclSource) + fmt.Sprintf("acl_look %s %t %s %s\n", s.State, len(s.Default) > 0, shell.Quote(s.Path), shell.Words(s.words()...))
}

// Settled implements steps.Settler.
func (s *acl) Settled(*steps.Facts) []steps.Observation {
	var lines []string
	if s.State == "present" {
		for _, w := range s.words() {
			lines = append(lines, "entry "+w)
		}
	}
	return []steps.Observation{steps.Observe(append([]string{"of " + s.Path}, lines...)...)}
}

func (s *acl) Plan(_ *steps.Facts, obs steps.Observation) (steps.Change, error) {
	change := steps.Change{Action: steps.Update}
	change.AddNeeds(obs)
	// What is found of a name is "NAME:RIGHTS", and for an entry that the mask limits also a line "masked NAME".
	found := map[string]string{}
	for _, line := range obs.All("entry") {
		if i := strings.LastIndex(line, ":"); i >= 0 {
			found[line[:i]] = line[i+1:]
		}
	}
	masked := obs.All("masked")
	var differ []string
	look := func(prefix string, list []aclEntry) {
		for _, e := range list {
			who := prefix + e.who()
			had, there := found[who]
			switch {
			case s.State == "absent" && there:
				change.Diff = append(change.Diff, steps.Attr{Name: who, Before: had, AfterMissing: true})
				differ = append(differ, who)
			case s.State == "absent":
			case !there || had != e.rights:
				change.Diff = append(change.Diff, steps.Attr{Name: who, Before: had, BeforeMissing: !there, After: e.rights})
				differ = append(differ, who+":"+e.rights)
			case slices.Contains(masked, who):
				change.Diff = append(change.Diff, steps.Attr{Name: who, Before: had + ", limited by the mask", After: e.rights})
				differ = append(differ, who+":"+e.rights)
			}
		}
	}
	look("", s.Entries)
	look("default:", s.Default)
	if len(differ) == 0 {
		if len(change.Needs) > 0 {
			return change, nil
		}
		return steps.Change{Action: steps.NoOp}, nil
	}
	option := "-m"
	if s.State == "absent" {
		option = "-x"
	}
	change.Ops = []steps.Op{steps.Run{Script: "setfacl " + option + " " + shell.Quote(strings.Join(differ, ",")) + " -- " + shell.Quote(s.Path)}}
	return change, nil
}
