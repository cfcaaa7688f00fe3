package steps

import (
	_ "embed"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/moby/patternmatcher/ignorefile"
	"github.com/zclconf/go-cty/cty"

	"provision/internal/shell"
)

//go:embed compose.sh
var composeScript string

var composeKind = &Kind{
	Name: "compose",
	Doc: `A Docker Compose project: its files, its images, its services up and healthy.

source is a local project directory. It is copied to dir as the kind sync does, leaving out what its .dockerignore
names, save for what the project itself needs: compose files, Dockerfiles, environment files, what is mounted. Its
compose files are checked before anything is connected to: keys that compose does not know, services that do not
exist, values of the wrong type. Without source the project is in dir already. An environment file that neither the
project nor the host has must be made by an earlier step of the kind env_file.

A plan compares, service by service, the configuration with the one that its containers were made from, and the image
with the one that they run, and looks whether they run and are healthy. compose's own --dry-run is not
used: it has been seen to change containers.

If something differs, images are built (build) or pulled (pull), and the project is brought up. Then the step
waits until every service is healthy, or without a health check has run steadily for some seconds; a
service that has ended with status 0 has done its work, unless it is to be restarted always. A service that fails fails the
step, with the last lines of its log. With rollback, the files and images from before are then put back and brought up; it is
a failure all the same. Volumes are never touched, unless volumes is set when state is absent.

Works with docker compose 2.7 and later, and with docker-compose 1.25 and later.`,
	Example: `step "package" "docker" {
  names = ["docker.io", "docker-compose"]
}

step "compose" "demo" {
  dir   = "/srv/demo-compose"
  state = "absent"
}
`,
	New: func() (Step, Args) {
		c := &compose{State: "up", Build: true, Wait: 120, tree: remoteTree{}}
		args := Args{
			pathArg("dir", &c.Dir, "The project directory on the host.").Must(),
			dirArg("source", &c.Source, "A local project directory, which is copied to dir."),
			relativePathsArg("files", &c.Files, "The compose files, relative to dir.").With("those that compose finds"),
			composeNameArg("project", &c.Project, "Name of the project.").With("that in the files, or the name of dir"),
			stringArg("env_file", &c.EnvFile, "The file for variables in the compose files, relative to dir or absolute.").With(".env"),
			boolArg("build", &c.Build, "Build images that services describe."),
			stringMapArg("build_args", &c.BuildArgs, "Arguments for building. They can be seen on the host."),
			boolArg("pull", &c.Pull, "Pull images that are not built."),
			stringsArg("profiles", &c.Profiles, "Profiles to enable."),
			enumArg("state", &c.State, "up: running and healthy; stopped: containers stay, and do not run; absent: no containers and networks.", "up", "stopped", "absent"),
			secondsArg("wait", &c.Wait, "How long to wait until everything is healthy."),
			boolArg("rollback", &c.Rollback, "Bring the previous files and images back if the new ones fail."),
			boolArg("remove_orphans", &c.RemoveOrphans, "Remove containers of services that the files no longer name."),
			boolArg("volumes", &c.Volumes, "Remove the volumes too when state is absent: their data is lost."),
		}
		return c, append(args, c.tree.ownerArgs()...)
	},
}

type compose struct {
	Dir, Source, Project, EnvFile, State          string
	Files, Profiles                               []string
	BuildArgs                                     map[string]string
	Build, Pull, Rollback, RemoveOrphans, Volumes bool
	Wait                                          int
	tree                                          remoteTree
	project                                       *composeProject
}

func relativePathsArg(name string, to *[]string, doc string) Arg {
	a := stringsArg(name, to, doc)
	plain := a.set
	a.set = func(v cty.Value) error {
		if err := plain(v); err != nil {
			return err
		}
		for i, p := range *to {
			if err := pathWithinArg(name, &(*to)[i], doc).set(cty.StringVal(p)); err != nil {
				return err
			}
		}
		return nil
	}
	return a
}

var (
	composeName  = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`)
	notInCompose = regexp.MustCompile(`[^a-z0-9_-]`)
)

func composeNameArg(name string, to *string, doc string) Arg {
	return Arg{Name: name, Doc: doc, Type: cty.String, set: func(v cty.Value) error {
		if !composeName.MatchString(v.AsString()) {
			return fmt.Errorf("%q is no name of a project: lower-case letters, digits, _ and - are, a letter or digit first", v.AsString())
		}
		*to = v.AsString()
		return nil
	}}
}

// stringMapArg is a map of single lines.
func stringMapArg(name string, to *map[string]string, doc string) Arg {
	return Arg{Name: name, Doc: doc, Type: cty.Map(cty.String), set: func(v cty.Value) error {
		m := map[string]string{}
		for key, value := range v.AsValueMap() {
			if value.IsNull() {
				continue
			}
			if err := noControl(key + value.AsString()); err != nil {
				return err
			}
			m[key] = value.AsString()
		}
		*to = m
		return nil
	}}
}

// Load implements Loader.
func (c *compose) Load(d *Disk) []Problem {
	if c.Source == "" {
		return nil
	}
	project, err := d.project(c.Source, c.Files, c.Profiles, c.EnvFile)
	if err != nil {
		return []Problem{{Arg: "source", Summary: "the compose project is not valid", Detail: err.Error() + "."}}
	}
	c.project = project
	var patterns []string
	text, err := d.text(path.Join(c.Source, ".dockerignore"))
	if err == nil {
		if patterns, err = ignorefile.ReadAll(strings.NewReader(text)); err != nil {
			return []Problem{{Arg: "source", Summary: ".dockerignore cannot be read", Detail: err.Error() + "."}}
		}
	}
	tree, err := d.tree(c.Source, patterns, project.Keep)
	if err != nil {
		return []Problem{{Arg: "source", Summary: "the local directory cannot be copied", Detail: err.Error() + "."}}
	}
	c.tree.Tree, c.tree.patterns, c.tree.dest = tree, patterns, c.Dir
	return nil
}

func (c *compose) Validate() []Problem {
	var problems []Problem
	if protectedPath(c.Dir) {
		problems = append(problems, Problem{Arg: "dir", Summary: c.Dir + " is part of every system", Detail: "Name a directory of its own below it."})
	}
	if c.Volumes && c.State != "absent" {
		problems = append(problems, Problem{Arg: "volumes", Summary: "volumes are removed only with the project", Detail: "Set state = \"absent\", or leave volumes out."})
	}
	if len(c.BuildArgs) > 0 && !c.Build {
		problems = append(problems, Problem{Arg: "build_args", Summary: "nothing is built", Detail: "Leave build_args out, or set build = true."})
	}
	if c.Source == "" && (c.tree.owner != ownership{}) {
		problems = append(problems, Problem{Arg: "owner", Summary: "owner and group are those of the files that are copied", Detail: "Set source, or leave them out."})
	}
	if c.State != "absent" && c.title() == "" {
		problems = append(problems, Problem{Arg: "project", Summary: "the project needs a name", Detail: "The name of dir gives none."})
	}
	return problems
}

// title is the name of the project, as compose makes it.
func (c *compose) title() string {
	if c.Project != "" {
		return c.Project
	}
	if c.project != nil && c.project.Name != "" {
		return c.project.Name
	}
	return strings.TrimLeft(notInCompose.ReplaceAllString(strings.ToLower(path.Base(c.Dir)), ""), "_-")
}

// head is sh that sets what compose.sh needs.
func (c *compose) head() string {
	var files, options []string
	list := c.Files
	if c.project != nil {
		list = c.project.Files
	}
	for _, f := range list {
		files = append(files, "-f", f)
	}
	if c.EnvFile != "" {
		options = append(options, "--env-file", c.EnvFile)
	}
	for _, p := range c.Profiles {
		options = append(options, "--profile", p)
	}
	return composeScript + fmt.Sprintf("project=%s dir=%s wait=%d\nfiles=%s\noptions=%s\n",
		shell.Quote(c.title()), shell.Quote(c.Dir), c.Wait, shell.Quote(shell.Words(files...)), shell.Quote(shell.Words(options...)))
}

func (c *compose) Probe() string {
	var b strings.Builder
	if c.State == "absent" {
		b.WriteString(dockerProbe + c.head() + "all=$(compose_containers) || fail 'the containers could not be listed'\nif [ -n \"$all\" ]; then say containers yes; else say containers no; fi\n")
		return b.String()
	}
	if c.Source != "" && c.tree.Tree != nil {
		b.WriteString(c.tree.setup() + "( sync_state ) || exit 1\n" + c.tree.owner.probeNames(false))
	}
	b.WriteString(c.probeEnv())
	b.WriteString(dockerProbe + c.head())
	b.WriteString("[ -d \"$dir\" ] || { say project absent; exit 0; }\n")
	b.WriteString("compose_look\n")
	return b.String()
}

// probeEnv is sh that reports environment files that are nowhere.
func (c *compose) probeEnv() string {
	var b strings.Builder
	if c.project == nil {
		return ""
	}
	local := map[string]bool{}
	for _, f := range c.tree.Files {
		local[f.Path] = true
	}
	for _, f := range c.project.Env {
		if local[f] {
			continue
		}
		if !path.IsAbs(f) {
			f = path.Join(c.Dir, f)
		}
		fmt.Fprintf(&b, "[ -e %s ] || say missing %s\n", shell.Quote(f), shell.Quote("file "+f))
	}
	return b.String()
}

func (c *compose) Plan(_ *Facts, obs Observation) (Change, error) {
	if c.State == "absent" {
		return c.planAbsent(obs), nil
	}
	change := Change{Action: NoOp}
	var d differences
	if c.Source != "" && c.tree.Tree != nil {
		kind, _ := obs.Get("dest")
		if kind != "absent" && kind != "directory" {
			return Change{}, notA(c.Dir, kind, "directory")
		}
		var err error
		if d, err = c.tree.differences(obs); err != nil {
			return Change{}, err
		}
		if len(d.replace) > 0 {
			return Change{}, fmt.Errorf("%s/%s is of another type than the local one (a directory, a file, a link); move it away", c.Dir, d.replace[0])
		}
		c.tree.describe(&change, d, kind)
	}
	files := len(change.Diff) > 0
	if err := c.services(&change, obs, files); err != nil {
		return Change{}, err
	}
	if len(change.Diff) == 0 {
		return change, nil
	}
	change.Ops = []Op{c.op(d, files)}
	c.needs(&change, obs)
	return change, nil
}

// services compares the services with how they should be.
func (c *compose) services(change *Change, obs Observation, files bool) error {
	change.Action = Update
	if broken, _ := obs.Get("config"); broken == "broken" && !files {
		return fmt.Errorf("compose does not accept the project in %s: %s", c.Dir, lastLine(obs.Stderr))
	}
	running, changes := false, false
	var touched []string
	for _, line := range obs.All("service") {
		name, state, _ := strings.Cut(line, " ")
		running = running || state != "absent"
		if c.State == "stopped" {
			if state == "stopped" || state == "done" || state == "failed" || state == "absent" {
				continue
			}
			change.Diff = append(change.Diff, Attr{Name: "service " + name, Before: composeState(state), After: "stopped"})
			touched = append(touched, name)
			continue
		}
		if state == "up" || state == "done" {
			continue
		}
		change.Diff = append(change.Diff, Attr{Name: "service " + name, Before: composeState(state), BeforeMissing: state == "absent", After: "up"})
		if state == "changed" || state == "image" || state == "unhealthy" {
			touched = append(touched, name)
		}
		changes = true
	}
	if c.RemoveOrphans {
		for _, name := range obs.All("orphan") {
			change.Diff = append(change.Diff, Attr{Name: "service " + name, Before: "no longer in the files", AfterMissing: true})
			change.Dangers = append(change.Dangers, "removes the containers of "+name)
		}
	}
	running = running || isYes(obs, "containers")
	known := len(obs.All("service")) > 0
	if !known && !files && c.State == "up" {
		change.Diff = append(change.Diff, Attr{Name: "project " + c.title(), BeforeMissing: true, After: "up"})
	}
	switch {
	case len(change.Diff) == 0:
		change.Action = NoOp
	case !running && c.State == "up":
		change.Action = Create
	}
	if c.State == "stopped" && len(touched) > 0 {
		change.Dangers = append(change.Dangers, "stops "+strings.Join(touched, ", "))
	} else if len(touched) > 0 {
		change.Dangers = append(change.Dangers, "recreates "+strings.Join(touched, ", "))
	} else if files && running && !changes {
		change.Dangers = append(change.Dangers, "recreates the services of "+c.title()+" that the files change")
	}
	return nil
}

// composeState is what a person reads for a state of compose.sh.
func composeState(state string) string {
	switch state {
	case "absent":
		return ""
	case "image":
		return "runs an older image"
	case "changed":
		return "runs an older configuration"
	}
	return state
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}

// needs completes a change for what is missing: users, environment files, Docker.
func (c *compose) needs(change *Change, obs Observation) {
	var need *Need
	for _, what := range obs.All("missing") {
		if need != nil {
			break
		}
		switch kind, _, _ := strings.Cut(what, " "); kind {
		case "command", "running":
			need = dockerNeed(what)
		case "file":
			need = &Need{What: what, Kinds: []string{"env_file", "file", "command"}}
		default:
			need = &Need{What: what, Kinds: []string{kind, "package"}}
		}
	}
	dest, _ := obs.Get("dest")
	if need == nil && dest != "absent" {
		return
	}
	change.Need = need
	if c.Source == "" {
		return
	}
	if dest == "absent" {
		// Where an earlier step makes the directory, for an environment file, there are no compose files in it yet.
		change.Predict = append(change.Predict, Observe("dest absent", "project absent"), Observe(c.tree.empty().State(), "config broken"))
	}
}

func (c *compose) planAbsent(obs Observation) Change {
	if !isYes(obs, "containers") {
		return Change{Action: NoOp}
	}
	words := []string{"compose", "down", "--remove-orphans"}
	dangers := []string{"removes the containers and networks of " + c.title()}
	if c.Volumes {
		words = append(words, "--volumes")
		dangers = []string{"removes the containers, networks and VOLUMES of " + c.title() + ": their data is lost"}
	}
	return Change{
		Action: Delete, Diff: []Attr{{Name: "project " + c.title(), Before: "there", AfterMissing: true}}, Dangers: dangers,
		Ops: []Op{Run{Script: c.head() + "[ -d \"$dir\" ] || fail \"$dir is not there, and with it the files that say what belongs to the project; remove the containers by a command step\"\n" +
			shell.Words(words...) + " || fail 'compose down failed; the lines above say why'\n"}},
	}
}

func (c *compose) op(d differences, files bool) Op {
	run := Run{}
	var b strings.Builder
	b.WriteString(c.head())
	if c.Rollback {
		touched := append(append([]string{}, d.send...), d.chmod...)
		fmt.Fprintf(&b, "compose_save %s\n", shell.Words(touched...))
	}
	if files {
		send, ok := c.tree.ops(d)[0].(Run)
		if !ok {
			panic("steps: a tree is sent by one Run")
		}
		run.Stdin = send.Stdin
		b.WriteString(send.Script)
		if c.Rollback {
			b.WriteString("trap 'rm -rf -- \"$compose_saved\" ${sync_temp:+\"$sync_temp\"}' EXIT\n")
		}
	}
	b.WriteString("exec </dev/null\n")
	if c.State == "stopped" {
		b.WriteString("compose stop || exit 1\n")
		run.Script = b.String()
		return run
	}
	b.WriteString("compose_deploy() {\n")
	if c.Pull {
		// docker-compose 1 has another name for going on without the images that are built.
		b.WriteString("\tcompose pull --ignore-pull-failures || return 1\n")
	}
	if c.Build {
		words := []string{"compose", "build"}
		for _, key := range slices.Sorted(maps.Keys(c.BuildArgs)) {
			words = append(words, "--build-arg", key+"="+c.BuildArgs[key])
		}
		b.WriteString("\t" + shell.Words(words...) + " || return 1\n")
	}
	up := []string{"compose", "up", "-d"}
	if c.RemoveOrphans {
		up = append(up, "--remove-orphans")
	}
	b.WriteString("\t" + shell.Words(up...) + " || return 1\n\tcompose_wait \"$wait\"\n}\n")
	b.WriteString("compose_deploy && exit 0\ncompose_logs\n")
	if c.Rollback {
		b.WriteString("if compose_rollback; then fail \"$project did not come up, and was rolled back to what ran before\"; fi\n" +
			"fail \"$project did not come up, and could not be rolled back\"\n")
	} else {
		b.WriteString("fail \"$project did not come up; the lines above say why\"\n")
	}
	run.Script = b.String()
	return run
}
