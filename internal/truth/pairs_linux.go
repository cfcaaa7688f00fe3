package truth

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"provision/internal/event"
	"provision/internal/steps"
)

// A Pair is two steps about one place, and what is there before. What the plan of both says of the second must be what a plan of it alone
// says once the first has been applied, unless it says that this is known later.
type Pair struct {
	Before        string
	First, Second string
}

func (p Pair) String() string { return p.Before + ": " + p.First + ", then " + p.Second }

// What is at the place that the steps of a pair are about.
var pairStates = map[string][]Placed{
	"nothing":   nil,
	"file":      {{Path: pairPlace, Type: "file", Mode: 0o644, Content: "one\n"}},
	"directory": {{Path: pairPlace, Type: "directory", Mode: 0o755}, {Path: pairPlace + "/y", Type: "file", Mode: 0o644, Content: "one\n"}},
	"link":      {{Path: pairPlace, Type: "symlink", Target: "/srv/else"}},
	"accounts":  nil,
}

const pairPlace = "/srv/p/x"

// pairSteps are the steps, by a name: a kind and its arguments. %s is the place.
var pairSteps = map[string][2]string{
	"directory":          {"directory", `path = "/srv/p/x"`},
	"directory mode":     {"directory", "path = \"/srv/p/x\"\nmode = \"0700\""},
	"directory owner":    {"directory", "path = \"/srv/p/x\"\nowner = \"ann\"\nmode = \"0755\""},
	"directory recurse":  {"directory", "path = \"/srv/p/x\"\nowner = \"ann\"\nrecurse = true"},
	"directory below":    {"directory", `path = "/srv/p/x/y"`},
	"directory absent":   {"directory", "path = \"/srv/p/x\"\nstate = \"absent\""},
	"file":               {"file", "path = \"/srv/p/x\"\ncontent = \"two\\n\""},
	"file mode":          {"file", "path = \"/srv/p/x\"\nmode = \"0600\""},
	"file below":         {"file", "path = \"/srv/p/x/y\"\ncontent = \"two\\n\""},
	"file absent":        {"file", "path = \"/srv/p/x\"\nstate = \"absent\""},
	"file below absent":  {"file", "path = \"/srv/p/x/y\"\nstate = \"absent\""},
	"link":               {"symlink", "path = \"/srv/p/x\"\ntarget = \"/srv/q\""},
	"other link":         {"symlink", "path = \"/srv/p/x\"\ntarget = \"/srv/other\""},
	"link below":         {"symlink", "path = \"/srv/p/x/y\"\ntarget = \"/srv/q\""},
	"link absent":        {"symlink", "path = \"/srv/p/x\"\nstate = \"absent\""},
	"line":               {"line", "path = \"/srv/p/x\"\nline = \"three\"\ncreate = true"},
	"line absent":        {"line", "path = \"/srv/p/x\"\nline = \"three\"\nstate = \"absent\""},
	"block":              {"block", "name = \"n\"\npath = \"/srv/p/x\"\ncontent = \"four\\n\"\ncreate = true"},
	"archive around":     {"archive", "source = \"x.tar\"\ndest = \"/srv/p\""},
	"archive":            {"archive", "source = \"x.tar\"\ndest = \"/srv/p/x\""},
	"sync around":        {"sync", "source = \"tree\"\ndest = \"/srv/p\""},
	"sync":               {"sync", "source = \"tree\"\ndest = \"/srv/p/x\""},
	"sync owner":         {"sync", "source = \"tree\"\ndest = \"/srv/p/x\"\nowner = \"ann\""},
	"git":                {"git", "repo = \"/srv/pool/up.git\"\ndest = \"/srv/p/x\""},
	"command":            {"command", "script = \"mkdir -p /srv/p/x/y\"\ncreates = \"/srv/p/x/y\""},
	"own":                {"marked", `name = "x"`},
	"own absent":         {"marked", "name = \"x\"\nstate = \"absent\""},
	"own other":          {"marked", "name = \"z\"\nstate = \"absent\""},
	"user":               {"user", `name = "new"`},
	"user home":          {"user", "name = \"new\"\nhome = \"/srv/p/x\""},
	"user shell":         {"user", "name = \"new\"\nshell = \"/bin/sh\""},
	"user absent":        {"user", "name = \"new\"\nstate = \"absent\""},
	"rc of user":         {"file", "path = \"/home/new/.bashrc\"\ncontent = \"two\\n\""},
	"rc of user absent":  {"file", "path = \"/home/new/.bashrc\"\nstate = \"absent\""},
	"line in rc of user": {"line", "path = \"/home/new/.profile\"\nline = \"three\"\ncreate = true"},
	"other in user home": {"file", "path = \"/srv/p/x/other\"\ncontent = \"two\\n\""},
	"group":              {"group", `name = "new"`},
	"group number":       {"group", "name = \"new\"\ngid = 4321"},
	"group absent":       {"group", "name = \"new\"\nstate = \"absent\""},
	"file of new":        {"file", "path = \"/srv/p/x\"\nowner = \"new\""},
	"key":                {"authorized_key", "user = \"ann\"\nkey = \"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ/CaQ0/qxG/1uv/8eTPGOUH46HD+c8A59rhnvcCT+Wb a\""},
	"other key":          {"authorized_key", "user = \"ann\"\nkey = \"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ/CaQ0/qxG/1uv/8eTPGOUH46HD+c8A59rhnvcCT+Wa a\""},
	"only key":           {"authorized_key", "user = \"ann\"\nexclusive = true\nkey = \"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ/CaQ0/qxG/1uv/8eTPGOUH46HD+c8A59rhnvcCT+Wb a\""},
	"key absent":         {"authorized_key", "user = \"ann\"\nkey = \"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ/CaQ0/qxG/1uv/8eTPGOUH46HD+c8A59rhnvcCT+Wb a\"\nstate = \"absent\""},
}

// Pairs lists all pairs, always in the same order.
func Pairs() []Pair {
	var list []Pair
	accounts := func(name string) bool {
		return strings.Contains(name, "user") || strings.Contains(name, "group") || strings.Contains(name, "key")
	}
	for _, before := range sorted(pairStates) {
		for _, first := range sorted(pairSteps) {
			for _, second := range sorted(pairSteps) {
				if of := accounts(first) || accounts(second); before == "accounts" && !of {
					continue
				} else if accounts(first) != accounts(second) && !strings.Contains(first, "user home") && second != "file of new" {
					continue
				}
				list = append(list, Pair{before, first, second})
			}
		}
	}
	return list
}

const pairKind = `kind "marked" {
  argument "name" {}
  probe  = "[ ! -e /srv/mark.$arg_name ] || echo there yes"
  apply  = "touch /srv/mark.$arg_name"
  absent = "rm -f /srv/mark.$arg_name"
  want   = { there = "yes" }
}

`

func pairBlock(name, label string) string {
	s := pairSteps[name]
	return fmt.Sprintf("step %q %q {\n%s\n}\n", s[0], label, s[1])
}

// CheckPair plays a pair, and returns what is false; "" if all is true, or if the first step cannot be applied.
func CheckPair(lab *Lab, run Command, p Pair) (string, error) {
	work, err := lab.Work()
	if err != nil {
		return "", err
	}
	root, err := lab.NewRoot("/usr/bin/dash")
	if err != nil {
		return "", err
	}
	defer root.Close()
	scene := &Scene{
		Users:  []string{"root:*:0:0:root:/root:/bin/sh", "ann:*:1001:1001::/home/ann:/bin/sh"},
		Groups: []string{"root:x:0:", "ann:x:1001:"},
		Files: append([]Placed{
			{Path: "/srv/p", Type: "directory", Mode: 0o755},
			{Path: "/srv/q", Type: "directory", Mode: 0o755},
			{Path: "/home/ann", Type: "directory", Mode: 0o755, UID: 1001, GID: 1001},
			{Path: "/srv/else", Type: "directory", Mode: 0o755},
		}, pairStates[p.Before]...),
		Local: []Placed{
			{Path: "tree/x/y", Type: "file", Mode: 0o644, Content: "tree\n"},
			{Path: "tree/z", Type: "file", Mode: 0o644, Content: "tree\n"},
		},
	}
	files, _ := upstream()
	for _, name := range sorted(files) {
		f := files[name]
		f.Path = "/srv/pool/" + name
		scene.Files = append(scene.Files, f)
	}
	scene.Local = append(scene.Local, Placed{Path: "x.tar", Type: "file", Mode: 0o644, Content: packed([]leaf{{name: "y", content: "two\n", mode: 0o644}}, "x")})
	if p.Before == "accounts" {
		scene.Users = append(scene.Users, "new:*:1002:1002::/home/new:/bin/bash")
		scene.Groups = append(scene.Groups, "new:x:1002:")
	}
	if err := scene.Build(root, work); err != nil {
		return "", err
	}
	first, second := pairBlock(p.First, "first"), pairBlock(p.Second, "second")
	addr := "step." + pairSteps[p.Second][0] + ".second"
	file := filepath.Join(work, "playbook.hcl")
	head := (&Scene{}).Playbook() + pairKind
	plan := func(text string) (*event.PlanStep, string, error) {
		if err := os.WriteFile(file, []byte(head+text), 0o644); err != nil {
			return nil, "", err
		}
		_, out, stderr := run(root, "plan", "--json", file)
		for d := json.NewDecoder(strings.NewReader(out)); d.More(); {
			var e event.Event
			if err := d.Decode(&e); err != nil {
				return nil, out, err
			}
			if e.PlanStep != nil && e.PlanStep.Addr == addr {
				return e.PlanStep, out, nil
			}
		}
		return nil, out + stderr, nil
	}
	said, out, err := plan(first + second)
	if err != nil || said == nil {
		return "", fmt.Errorf("the second step is not in the plan (%v): %s", err, out)
	}
	if err := os.WriteFile(file, []byte(head+first), 0o644); err != nil {
		return "", err
	}
	if status, _, _ := run(root, "apply", "--yes", file); status != 0 {
		return "", nil
	}
	is, out, err := plan(second)
	if err != nil || is == nil {
		return "", fmt.Errorf("the second step is not in its plan (%v): %s", err, out)
	}
	if why := differ(p, said, is); why != "" {
		return fmt.Sprintf("%s: %s\n  said %s\n  is   %s", p, why, planShown(said), planShown(is)), nil
	}
	return "", nil
}

func planShown(p *event.PlanStep) string {
	if p.Error != nil {
		return "error: " + p.Error.Message
	}
	return fmt.Sprintf("%s %+v dangers %q after %v: %s", p.Action, p.Diff, p.Dangers, p.After, p.Reason)
}

// anybody are the steps that run scripts.
var anybody = []string{"command", "own", "own absent", "own other"}

// differ compares what a plan says of the second step with what is so once the first has run.
func differ(p Pair, said, is *event.PlanStep) string {
	switch {
	case said.Error != nil && is.Error == nil:
		return "the plan refuses it"
	case said.Error != nil, said.Action == steps.Unknown:
		return ""
	case slices.Contains(anybody, p.First) && (said.Action != steps.NoOp || len(said.After) > 0):
		return "" // nobody knows what a script does
	case is.Error != nil:
		return "the plan does not say that it cannot be"
	case said.Action != is.Action:
		return "another action"
	case !slices.Equal(said.Dangers, is.Dangers):
		return "other dangers"
	case !reflect.DeepEqual(hidden(said.Diff, is.Diff), is.Diff) && said.Action != steps.NoOp:
		return "another difference"
	}
	return ""
}

// hidden is a diff without the text that another one hides: the first step has taken the file from the eyes of others.
func hidden(diff, by []steps.Attr) []steps.Attr {
	diff = slices.Clone(diff)
	for i := range diff {
		if i < len(by) && by[i].Sensitive {
			diff[i] = steps.Attr{Name: by[i].Name, Sensitive: true, BeforeMissing: diff[i].BeforeMissing, AfterMissing: diff[i].AfterMissing}
		}
	}
	return diff
}
