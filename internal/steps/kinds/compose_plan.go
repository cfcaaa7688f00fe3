package kinds

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

// Brings implements steps.Bringer: Docker makes directories that are mounted into containers and do not exist.
func (c *compose) Brings(steps.Change) steps.Supply {
	if c.State != "up" {
		return steps.Supply{}
	}
	var s steps.Supply
	if c.Source != "" || c.Dir == "" {
		s = c.tree.supply(c.Dir)
	}
	s.May = []string{steps.RunningThing, steps.DirectoryThing}
	return s
}

// Requires implements steps.Requirer.
func (c *compose) Requires() []steps.Thing {
	if c.State == "absent" {
		return nil
	}
	list := c.tree.owner.Accounts()
	if c.Source == "" {
		list = append(list, steps.Thing{Kind: steps.DirectoryThing, Name: c.Dir})
	}
	return list
}

// Asks implements steps.Asker.
func (c *compose) Asks(f *steps.Facts) []steps.Thing {
	return append(dockerAsks(f), steps.Thing{Kind: steps.DirectoryThing, Name: c.Dir})
}

func (c *compose) Plan(f *steps.Facts, obs steps.Observation) (steps.Change, error) {
	if c.State == "absent" {
		return c.planAbsent(obs), nil
	}
	change := steps.Change{Action: steps.NoOp}
	var d differences
	if c.Source != "" && c.tree.Tree != nil {
		kind, _ := obs.Get("dest")
		if kind != "absent" && kind != "directory" {
			return steps.Change{}, kit.NotA(c.Dir, kind, "directory")
		}
		var err error
		if d, err = c.tree.differences(f, obs); err != nil {
			return steps.Change{}, err
		}
		if held := obs.All("holds"); len(held) > 0 {
			return steps.Change{}, fmt.Errorf("%s/%s is a directory with files that this step did not send, and here it is none; move it away on the host", c.Dir, held[0])
		}
		if err := c.drop(&d, obs); err != nil {
			return steps.Change{}, err
		}
		c.tree.describe(&change, d, kind)
	}
	files := len(change.Diff) > 0
	if err := c.services(&change, obs, files); err != nil {
		return steps.Change{}, err
	}
	if len(change.Diff) == 0 {
		change.Predict = c.wake(obs)
		return change, nil
	}
	change.Ops = []steps.Op{c.op(d, files)}
	c.needs(&change, obs)
	return change, nil
}

// services compares the services with how they should be.
func (c *compose) services(change *steps.Change, obs steps.Observation, files bool) error {
	change.Action = steps.Update
	owed := c.owed(change, obs)
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
			change.Diff = append(change.Diff, steps.Attr{Name: "service " + name, Before: composeState(state), After: "stopped"})
			touched = append(touched, name)
			continue
		}
		if state == "up" || state == "done" {
			continue
		}
		change.Diff = append(change.Diff, steps.Attr{Name: "service " + name, Before: composeState(state), BeforeMissing: state == "absent", After: "up"})
		if state == "changed" || state == "image" || state == "unhealthy" {
			touched = append(touched, name)
		}
		changes = true
	}
	if c.RemoveOrphans {
		for _, name := range obs.All("orphan") {
			change.Diff = append(change.Diff, steps.Attr{Name: "service " + name, Before: "no longer in the files", AfterMissing: true})
			change.Dangers = append(change.Dangers, "removes the containers of "+name)
		}
	}
	running = running || obs.Yes("containers")
	known := len(obs.All("service")) > 0
	if !known && !files && c.State == "up" {
		change.Diff = append(change.Diff, steps.Attr{Name: "project " + c.title(), BeforeMissing: true, After: "up"})
	}
	switch {
	case len(change.Diff) == 0:
		change.Action = steps.NoOp
	case !running && c.State == "up":
		change.Action = steps.Create
	}
	if c.State == "stopped" && len(touched) > 0 {
		change.Dangers = append(change.Dangers, "stops "+strings.Join(touched, ", "))
	} else if len(touched) > 0 {
		change.Dangers = append(change.Dangers, "recreates "+strings.Join(touched, ", "))
	} else if (files || owed) && running && !changes {
		change.Dangers = append(change.Dangers, "recreates the services of "+c.title()+" that the files change")
	}
	return nil
}

// owed adds what an earlier run began and did not get done.
func (c *compose) owed(change *steps.Change, obs steps.Observation) bool {
	phase, there := obs.Get("owed")
	if !there || c.State != "up" {
		return false
	}
	before := map[string]string{"build": "its images are not built yet", "up": "not all brought up yet", "wait": "not seen healthy yet"}[phase]
	if before == "" {
		before = "not finished" // as another release of this program has noted it
	}
	change.Diff = append(change.Diff, steps.Attr{Name: "project " + c.title(), Before: before, After: "up"})
	return true
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

// wake lists states that earlier steps may bring about where nothing is to be done now: a new environment file changes the
// configuration of a service.
func (c *compose) wake(obs steps.Observation) []steps.Observation {
	if c.State != "up" {
		return nil
	}
	var states []steps.Observation
	lines := strings.Split(obs.State(), "\n")
	for i, line := range lines {
		if name, yes := strings.CutSuffix(line, " up"); yes && strings.HasPrefix(line, "service ") {
			changed := slices.Clone(lines)
			changed[i] = name + " changed"
			states = append(states, steps.Observe(changed...))
		}
	}
	return states
}

// needs completes a change for what is missing: users, environment files, Docker.
func (c *compose) needs(change *steps.Change, obs steps.Observation) {
	change.Needs = obs.Needs()
	dest, _ := obs.Get("dest")
	if len(change.Needs) == 0 && dest != "absent" {
		return
	}
	if c.Source == "" {
		return
	}
	if dest == "absent" {
		// Where an earlier step makes the directory, for an environment file, there are no compose files in it yet.
		change.Predict = append(change.Predict, steps.Observe("dest absent", "project absent"), steps.Observe(c.tree.empty().State(), "config broken"))
	}
}

func (c *compose) planAbsent(obs steps.Observation) steps.Change {
	if !obs.Yes("containers") {
		return steps.Change{Action: steps.NoOp}
	}
	words := []string{"compose", "down", "--remove-orphans"}
	dangers := []string{"removes the containers and networks of " + c.title()}
	if c.Volumes {
		words = append(words, "--volumes")
		dangers = []string{"removes the containers, networks and VOLUMES of " + c.title() + ": their data is lost"}
	}
	return steps.Change{
		Action: steps.Delete, Diff: []steps.Attr{{Name: "project " + c.title(), Before: "there", AfterMissing: true}}, Dangers: dangers,
		Ops: []steps.Op{steps.Run{Script: c.head() + "[ -d \"$dir\" ] || fail \"$dir is not there, and with it the files that say what belongs to the project; remove the containers by a command step\"\n" +
			c.place() + shell.Words(words...) + " || fail 'compose down failed; the lines above say why'\ncompose_paid\n"}},
	}
}

func (c *compose) op(d differences, files bool) steps.Op {
	run := steps.Run{}
	var b strings.Builder
	b.WriteString(c.head() + c.place())
	if c.Rollback {
		touched := slices.Concat(d.send, d.chmod, d.remove, d.prune)
		fmt.Fprintf(&b, "compose_save %s\n", shell.Words(touched...))
	}
	if files {
		b.WriteString("compose_owe build\n")
	}
	if files {
		send, ok := c.tree.ops(d)[0].(steps.Run)
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
	if c.Source != "" {
		b.WriteString("compose_sweep\n")
	}
	if c.State == "stopped" {
		b.WriteString("compose stop || exit 1\n")
		run.Script = b.String()
		return run
	}
	b.WriteString("compose_deploy() {\n")
	if c.Pull {
		// docker-compose 1 has another name for going on without the images that are built.
		b.WriteString("\tcompose_owe build\n\tcompose pull --ignore-pull-failures || return 1\n")
	}
	if c.Build {
		words := []string{"compose", "build"}
		for _, key := range slices.Sorted(maps.Keys(c.BuildArgs)) {
			words = append(words, "--build-arg", key+"="+c.BuildArgs[key])
		}
		b.WriteString("\tcompose_owe build\n\t" + shell.Words(words...) + " || return 1\n")
	}
	b.WriteString("\tcompose_owe up\n")
	up := []string{"compose", "up", "-d"}
	if c.RemoveOrphans {
		up = append(up, "--remove-orphans")
	}
	b.WriteString("\t" + shell.Words(up...) + " || return 1\n")
	if again := c.remount(d); len(again) > 0 {
		b.WriteString("\t" + shell.Words(append([]string{"compose", "up", "-d", "--no-deps", "--force-recreate"}, again...)...) + " || return 1\n")
	}
	b.WriteString("\tcompose_owe wait\n\tcompose_wait \"$wait\" && compose_paid\n}\n")
	b.WriteString("compose_deploy && exit 0\ncompose_logs\n")
	if c.Rollback {
		back := "compose_rollback"
		if files {
			back += " files"
		}
		b.WriteString("if " + back + "; then fail \"$project did not come up, and was rolled back to what ran before\"; fi\n" +
			"fail \"$project did not come up, and could not be rolled back\"\n")
	} else {
		b.WriteString("fail \"$project did not come up; the lines above say why\"\n")
	}
	run.Script = b.String()
	return run
}

// remount lists the services that mount a file which is replaced.
func (c *compose) remount(d differences) []string {
	var list []string
	if c.project == nil {
		return nil
	}
	for _, m := range c.project.Mounts {
		if slices.Contains(d.send[d.created:], m.Path) && !slices.Contains(list, m.Service) {
			list = append(list, m.Service)
		}
	}
	return list
}
