package kinds

import (
	_ "embed"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

//go:embed alternatives.sh
var alternativesScript string

var alternativesKind = &steps.Kind{
	Name: "alternatives",
	Doc: `A program among several that do the same, as update-alternatives has it; or its absence.

With link and priority, path is registered in the group: an earlier registration of it is brought to
that priority and these followers. Without them it must be registered already, as packages do, and only
mode is looked at. Followers are further links that go with the choice, such as manual pages (slaves in
older tools). Left out, those that are registered stay.

mode = "manual" chooses path, whatever the priorities are. mode = "auto" gives the choice back to the
priorities. Left out, nobody's choice is changed: a new path of a group in auto mode is chosen only if
its priority is the highest.

A file in the place of a link is an error: the tool would leave it there, and say nothing. A link of
the group that was changed by hand is put right.

With state = "absent" the path is no longer registered, and without path the whole group goes. The link
then leads to the best of the rest, and goes with the last.

Works with update-alternatives of Debian and openSUSE. For alternatives of Red Hat, in whose package
chkconfig it is, this was written from its documentation; it cannot move the link of a group.`,
	Example: `step "file" "view" {
  path    = "/usr/local/bin/demo-view"
  content = "#!/bin/sh\nexec cat \"$@\"\n"
  mode    = "0755"
}

step "alternatives" "pager" {
  name     = "pager"
  link     = "/usr/bin/pager"
  path     = "/usr/local/bin/demo-view"
  priority = 5
  mode     = "manual"
}
`,
	Rules: []steps.Rule{steps.AbsentTakes("name", "path")},
	New: func() (steps.Step, steps.Args) {
		a := &alternatives{State: "present"}
		return a, steps.Args{
			kit.ParsedArg("name", &a.Name, "The name of the group, such as editor.", parseAlternativesName).Must(),
			kit.PathArg("path", &a.Path, "Absolute path of the program. Required unless state is absent."),
			kit.PathArg("link", &a.Link, "Absolute path of the link of the group, such as /usr/bin/editor. It asks for priority."),
			kit.OptIntArg("priority", &a.Priority, -1<<31, 1<<31-1, "Its priority in auto mode; the highest is chosen. It asks for link."),
			followersArg(&a.Followers),
			kit.EnumArg("mode", &a.Mode, "Whether path is chosen (manual) or the one with the highest priority (auto). Left out, it is not looked at.", "auto", "manual"),
			kit.EnumArg("state", &a.State, "Whether path is registered.", "present", "absent"),
		}
	},
}

type alternatives struct {
	Name, Path, Link, Mode, State string
	Priority                      *int
	Followers                     []follower // nil: those that are registered stay
}

// A follower is a link that goes with the choice.
type follower struct{ Name, Link, Path string }

var (
	_ steps.Bringer  = (*alternatives)(nil)
	_ steps.Requirer = (*alternatives)(nil)
	_ steps.Asker    = (*alternatives)(nil)
	_ steps.Follower = (*alternatives)(nil)
)

var alternativesName = regexp.MustCompile(`^[A-Za-z0-9_.+][A-Za-z0-9_.+:@-]*$`)

func parseAlternativesName(name string) (string, error) {
	if !alternativesName.MatchString(name) || name == "." || name == ".." {
		return "", fmt.Errorf("%q is no name of a group; use letters, digits and _ . + : @ -", name)
	}
	return name, nil
}

// followersArg is a map of objects, as docs/kinds.md leaves it to kinds.
func followersArg(to *[]follower) steps.Arg {
	object := cty.Object(map[string]cty.Type{"link": cty.String, "path": cty.String})
	return steps.Arg{
		Name: "followers", Type: cty.Map(object), Empty: true,
		Doc: "What goes with the choice: names with a link and a path each, such as { \"editor.1.gz\" = { link = \"/usr/share/man/man1/editor.1.gz\", path = \"/usr/share/man/man1/ed.1.gz\" } }.",
		Decode: func(v cty.Value) error {
			all := []follower{}
			for it := v.ElementIterator(); it.Next(); {
				k, o := it.Element()
				f := follower{Name: k.AsString()}
				if _, err := parseAlternativesName(f.Name); err != nil {
					return err
				}
				for key, field := range map[string]*string{"link": &f.Link, "path": &f.Path} {
					if o.IsNull() || o.GetAttr(key).IsNull() {
						return fmt.Errorf("the follower %s has no %s", f.Name, key)
					}
					*field = o.GetAttr(key).AsString()
					if err := kit.NoControl(*field); err != nil {
						return fmt.Errorf("the %s of %s: %w", key, f.Name, err)
					}
					if !path.IsAbs(*field) {
						return fmt.Errorf("the %s of %s, %q, is not an absolute path", key, f.Name, *field)
					}
					*field = path.Clean(*field)
				}
				all = append(all, f)
			}
			slices.SortFunc(all, func(a, b follower) int { return strings.Compare(a.Name, b.Name) })
			*to = all
			return nil
		},
	}
}

func (a *alternatives) absent() bool { return a.State == "absent" }

func (a *alternatives) Validate() []steps.Problem {
	var problems []steps.Problem
	add := func(arg, summary, detail string) {
		problems = append(problems, steps.Problem{Arg: arg, Summary: summary, Detail: detail})
	}
	switch {
	case a.absent():
		return nil
	case a.Path == "":
		add("path", "an alternative needs a path", "Give the path of the program.")
	case a.Path == a.Link || strings.HasPrefix(a.Path, "/etc/alternatives/"):
		add("path", "the path is a link of the group itself", "Give the path of the program that the link should lead to.")
	}
	switch {
	case a.Link != "" && a.Priority == nil:
		add("priority", "a path is registered with a priority", "Give one, or leave link out to choose among what is registered.")
	case a.Link == "" && a.Priority != nil:
		add("link", "a path is registered under a link", "Give the link of the group, or leave priority out to choose among what is registered.")
	case a.Link == "" && a.Followers != nil:
		add("followers", "followers are registered with a path", "Give link and priority too.")
	case a.Link == "" && a.Mode == "":
		add("mode", "there is nothing to do", "Give link and priority to register the path, or mode to choose it.")
	}
	taken := map[string]string{a.Link: "the group"}
	for _, f := range a.Followers {
		switch other, twice := taken[f.Link]; {
		case f.Name == a.Name:
			add("followers", "a follower has the name of the group", "Give it another name.")
		case twice:
			add("followers", fmt.Sprintf("%s and %s have one link, %s", other, f.Name, f.Link), "Give each a link of its own.")
		case f.Link == f.Path:
			add("followers", fmt.Sprintf("the link of %s is its path", f.Name), "Give the path that the link should lead to.")
		}
		taken[f.Link] = f.Name
	}
	return problems
}

// Brings implements steps.Bringer.
func (a *alternatives) Brings(steps.Change) steps.Supply {
	if a.absent() || a.Link == "" {
		return steps.Supply{}
	}
	supply := kit.FileSupply(a.Link)
	supply.Things = append(supply.Things, steps.Thing{Kind: steps.CommandThing, Name: path.Base(a.Link)})
	for _, f := range a.Followers {
		supply.Things = append(supply.Things, steps.Thing{Kind: steps.FileThing, Name: f.Link})
	}
	return supply
}

// Touches implements steps.Toucher. Of a group that the playbook does not describe, only the host knows the links.
func (a *alternatives) Touches(steps.Observation) steps.Supply {
	if a.absent() || a.Link == "" {
		return steps.Anything()
	}
	s := steps.Supply{Trees: []string{a.Link, "/etc/alternatives", "/var/lib/dpkg/alternatives", "/var/lib/alternatives"}}
	for _, f := range a.Followers {
		s.Trees = append(s.Trees, f.Link)
	}
	return s
}

// Requires implements steps.Requirer.
func (a *alternatives) Requires() []steps.Thing {
	things := []steps.Thing{{Kind: steps.CommandThing, Name: "update-alternatives"}}
	if a.absent() {
		return nil
	}
	return append(things, steps.Thing{Kind: steps.FileThing, Name: a.Path})
}

// Asks implements steps.Asker.
func (a *alternatives) Asks(*steps.Facts) []steps.Thing {
	things := []steps.Thing{{Kind: steps.FileThing, Name: "/etc/alternatives/" + a.Name}}
	for _, f := range append([]follower{{Link: a.Link}}, a.Followers...) {
		if f.Link != "" {
			things = append(things, steps.Thing{Kind: steps.FileThing, Name: f.Link})
		}
	}
	return things
}

func (a *alternatives) Probe() string {
	b := shell.Strip(alternativesScript)
	if !a.absent() {
		b += "have update-alternatives || need command update-alternatives\n" +
			fmt.Sprintf("p=%s\n[ -e \"$p\" ] || { above \"$p\" && need file \"$p\"; }\n", shell.Quote(a.Path))
	}
	b += "probe_group " + shell.Words(a.Name, a.Path) + "\n"
	if a.Link != "" {
		b += "probe_link " + shell.Words(a.Link, a.Name) + "\n"
		for _, f := range a.Followers {
			// A follower whose path is not there has no link.
			b += fmt.Sprintf("[ ! -e %s ] || ! link_target %s 2>/dev/null || [ \"$LINK\" != %s ] || probe_link %s\n",
				shell.Quote(f.Path), shell.Quote("/etc/alternatives/"+a.Name), shell.Quote(a.Path), shell.Words(f.Link, f.Name))
		}
	}
	return b
}

func (a *alternatives) Plan(_ *steps.Facts, obs steps.Observation) (steps.Change, error) {
	if a.absent() {
		return a.planAbsent(obs), nil
	}
	status, grouped := obs.Get("status")
	priority, registered := obs.Get("priority")
	value, _ := obs.Get("value")
	change := steps.Change{Action: steps.Update}
	if !registered {
		change.Action = steps.Create
	}
	if a.Link == "" && !registered && len(obs.Needs()) == 0 {
		return steps.Change{}, fmt.Errorf("%s is not registered in the group %s; give link and priority to register it%s", a.Path, a.Name, listOr(obs.All("other"), ", or choose "))
	}
	if a.Link != "" {
		run, err := a.register(&change, obs, priority, registered)
		if err != nil {
			return steps.Change{}, err
		}
		if run {
			change.Ops = append(change.Ops, steps.Run{Script: a.install(obs)})
		}
	}
	installs := len(change.Ops) > 0
	switch {
	case a.Mode == "manual" && (status != "manual" || value != a.Path):
		if status != "manual" {
			change.Diff = append(change.Diff, steps.Attr{Name: "mode", Before: status, BeforeMissing: !grouped, After: "manual"})
		}
		if value != a.Path {
			change.Diff = append(change.Diff, steps.Attr{Name: "choice", Before: value, BeforeMissing: value == "", After: a.Path})
		}
		change.Ops = append(change.Ops, steps.Run{Script: "update-alternatives --set " + shell.Words(a.Name, a.Path)})
	case a.Mode == "manual" && installs:
		change.Ops = append(change.Ops, steps.Run{Script: "update-alternatives --set " + shell.Words(a.Name, a.Path)})
	case a.Mode == "auto":
		best := a.best(obs)
		right := status == "auto" && slices.Contains(best, value)
		if status != "auto" {
			change.Diff = append(change.Diff, steps.Attr{Name: "mode", Before: status, BeforeMissing: !grouped, After: "auto"})
		}
		if !slices.Contains(best, value) {
			change.Diff = append(change.Diff, steps.Attr{Name: "choice", Before: value, BeforeMissing: value == "", After: strings.Join(best, " or ")})
		}
		if !right || installs {
			change.Ops = append(change.Ops, steps.Run{Script: "update-alternatives --auto " + shell.Quote(a.Name)})
		}
	case a.Mode == "" && installs && (!grouped || status == "auto"):
		if best := a.best(obs); !slices.Contains(best, value) {
			change.Diff = append(change.Diff, steps.Attr{Name: "choice", Before: value, BeforeMissing: value == "", After: strings.Join(best, " or ")})
		}
	}
	if len(change.Ops) == 0 && len(obs.Needs()) == 0 {
		return steps.Change{Action: steps.NoOp}, nil
	}
	if len(change.Ops) == 0 {
		change.Diff = []steps.Attr{{Name: "path", BeforeMissing: true, After: a.Path}}
		change.Ops = []steps.Op{steps.Run{Script: fmt.Sprintf("[ -e %s ] || fail %s", shell.Quote(a.Path), shell.Quote(a.Path+" does not exist"))}}
	}
	if a.Link == "" && !registered {
		// Nobody knows what will be registered then, so that no state is predicted.
		change.Needs = obs.Needs()
		return change, nil
	}
	change.AddNeeds(obs)
	return change, nil
}

// best are the paths that auto mode may choose once path is registered.
func (a *alternatives) best(obs steps.Observation) []string {
	best := obs.All("best")
	own, registered := obs.Get("priority")
	priority, err := strconv.Atoi(own)
	if a.Priority != nil {
		priority, registered, err = *a.Priority, true, nil
	}
	if !registered || err != nil {
		return best
	}
	text, others := obs.Get("top")
	top, err := strconv.Atoi(text)
	switch {
	case !others || err != nil || priority > top:
		return []string{a.Path}
	case priority == top:
		return append(best, a.Path)
	}
	return best
}

// register compares the registration of path, and tells whether it has to be made.
func (a *alternatives) register(change *steps.Change, obs steps.Observation, priority string, registered bool) (bool, error) {
	links := map[string]string{a.Name: a.Link}
	for _, f := range a.Followers {
		links[f.Name] = f.Link
	}
	run := false
	for _, at := range obs.All("at") {
		kind, link, _ := strings.Cut(at, " ")
		if kind != "absent" && kind != "symlink" {
			return false, fmt.Errorf("%s is a %s in the place of the link, and would stay; move it away", link, kind)
		}
		run = true
		if group, _ := obs.Get("link"); registered && (link != a.Link || group == a.Link) {
			change.Diff = append(change.Diff, steps.Attr{Name: "link " + link, Before: "changed by hand", BeforeMissing: kind == "absent", After: "of the group"})
		}
	}
	attr := func(name, before string, missing bool, after string) {
		if missing || before != after {
			run = true
			change.Diff = append(change.Diff, steps.Attr{Name: name, Before: before, BeforeMissing: missing, After: after})
		}
	}
	link, grouped := obs.Get("link")
	attr("link", link, !grouped, a.Link)
	if grouped && link != a.Link {
		change.Dangers = append(change.Dangers, fmt.Sprintf("moves the link of the group %s from %s to %s", a.Name, link, a.Link))
	}
	if !registered {
		attr("path", "", true, a.Path)
	}
	attr("priority", priority, !registered, strconv.Itoa(*a.Priority))
	if a.Followers == nil {
		return run, nil
	}
	before, groupLinks := pairs(obs.All("follower")), pairs(obs.All("group"))
	for _, f := range a.Followers {
		target, there := before[f.Name]
		attr("follower "+f.Name, target, !there, f.Path)
		if old, known := groupLinks[f.Name]; known && old != f.Link {
			attr("link of "+f.Name, old, false, f.Link)
		}
		delete(before, f.Name)
	}
	names := make([]string, 0, len(before))
	for name := range before {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		run = true
		change.Diff = append(change.Diff, steps.Attr{Name: "follower " + name, Before: before[name], AfterMissing: true})
	}
	return run, nil
}

// install is the command that registers path. What it does not name would go.
func (a *alternatives) install(obs steps.Observation) string {
	words := []string{"update-alternatives", "--install", a.Link, a.Name, a.Path, strconv.Itoa(*a.Priority)}
	followers := a.Followers
	if followers == nil {
		links := pairs(obs.All("group"))
		for _, line := range obs.All("follower") {
			name, target, _ := strings.Cut(line, " ")
			followers = append(followers, follower{Name: name, Link: links[name], Path: target})
		}
	}
	for _, f := range followers {
		words = append(words, "--slave", f.Link, f.Name, f.Path)
	}
	return shell.Words(words...)
}

// pairs are lines "NAME VALUE" as a map.
func pairs(lines []string) map[string]string {
	m := map[string]string{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, " ")
		m[name] = value
	}
	return m
}

// listOr is a list behind some words, or nothing.
func listOr(list []string, words string) string {
	if len(list) == 0 {
		return ""
	}
	return words + strings.Join(list, ", ")
}

func (a *alternatives) planAbsent(obs steps.Observation) steps.Change {
	others := obs.All("other")
	var gone []string
	if _, registered := obs.Get("priority"); registered {
		gone = []string{a.Path}
	}
	rest := others
	if a.Path == "" {
		gone, rest = others, nil
	}
	if len(gone) == 0 {
		return steps.Change{Action: steps.NoOp}
	}
	change := steps.Change{Action: steps.Delete}
	var script strings.Builder
	for _, p := range gone {
		change.Diff = append(change.Diff, steps.Attr{Name: "path", Before: p, AfterMissing: true})
		fmt.Fprintf(&script, "update-alternatives --remove %s || exit 1\n", shell.Words(a.Name, p))
	}
	link, _ := obs.Get("link")
	if len(rest) == 0 {
		change.Dangers = append(change.Dangers, fmt.Sprintf("removes the group %s with its link %s", a.Name, link))
	} else if value, _ := obs.Get("value"); slices.Contains(gone, value) {
		change.Dangers = append(change.Dangers, fmt.Sprintf("%s no longer leads to %s", link, value))
	}
	change.Ops = []steps.Op{steps.Run{Script: script.String()}}
	return change
}

// Follow implements steps.Follower for what is to be absent: a step that registers a path has links, by which the engine compares it.
func (a *alternatives) Follow(before steps.Step, change steps.Change, now steps.Observation) (steps.Observation, bool) {
	b, ok := before.(*alternatives)
	if !ok || !a.absent() || b.Name != a.Name {
		return now, true
	}
	if change.Action == steps.Unknown {
		return now, false
	}
	link, grouped := now.Get("link")
	value, _ := now.Get("value")
	paths := now.All("other")
	if _, registered := now.Get("priority"); registered {
		paths = append(paths, a.Path)
	}
	known := true
	if b.absent() {
		paths = slices.DeleteFunc(paths, func(p string) bool { return b.Path == "" || p == b.Path })
		if len(paths) == 0 {
			return steps.Observation{}, true
		}
		if !slices.Contains(paths, value) {
			value = paths[0]
			known = len(paths) == 1 // of several, the best
		}
	} else {
		if b.Link != "" {
			link = b.Link
		}
		if !slices.Contains(paths, b.Path) {
			paths = append(paths, b.Path)
		}
		if b.Mode == "manual" || !grouped {
			value = b.Path
		}
		for _, attr := range change.Diff {
			if attr.Name == "choice" {
				value = attr.After
			}
		}
	}
	list := []string{"link " + link}
	for _, p := range paths {
		if p != a.Path {
			list = append(list, "other "+p)
		}
	}
	if a.Path != "" && slices.Contains(paths, a.Path) {
		list = append(list, "priority 0") // of whatever number
	}
	return steps.Observe(append(list, "value "+value)...), known
}
