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
		return steps.Supply{May: []string{steps.PortThing}}
	}
	var s steps.Supply
	if c.Source != "" || c.Dir == "" {
		s = c.tree.supply(c.Dir)
	}
	s.May = []string{steps.RunningThing, steps.DirectoryThing, steps.PortThing, steps.NetworkThing, steps.VolumeThing}
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
	again, networks, err := c.services(&change, obs, d, files)
	if err != nil {
		return steps.Change{}, err
	}
	if len(change.Diff) == 0 {
		change.Predict = c.wake(obs)
		return change, nil
	}
	change.Ops = []steps.Op{c.op(f, d, files, again, networks)}
	c.needs(&change, obs)
	return change, nil
}

// services compares the services with how they should be, and lists those of which compose does not see that they need new containers.
func (c *compose) services(change *steps.Change, obs steps.Observation, d differences, files bool) (again, remove []string, err error) {
	change.Action = steps.Update
	owed := c.owed(change, obs)
	if broken, _ := obs.Get("config"); broken == "broken" && !files {
		return nil, nil, fmt.Errorf("compose does not accept the project in %s: %s", c.Dir, lastLine(obs.Stderr))
	}
	services := readServices(obs)
	var gone []string
	known := false
	var note *shapeNote
	if files && c.project != nil {
		if text, there := obs.Detail("project"); there && c.State == "up" {
			if note = readShapeNote(text); note != nil {
				gone, known = services.release(c.project, note, d, obs.All("loud"), c.Build), true
			}
		}
		services.remount(c.project, d)
		if len(services) == 0 && !obs.Yes("containers") && c.State == "up" {
			// Nothing is there yet.
			services.release(c.project, &shapeNote{}, d, nil, false)
			known = true
		}
	}
	if files && c.project != nil && c.State == "up" {
		if remove, err = c.resources(change, services, note, obs); err != nil {
			return nil, nil, err
		}
	}
	services.spread()
	c.order(services, obs, files, len(remove) > 0)
	running, changes := obs.Yes("containers"), false
	var unchanged []string
	for _, s := range services {
		running = running || s.state != "absent" && s.state != "none"
		before, after := s.change(c.State)
		if after == "" {
			if s.state == "up" {
				unchanged = append(unchanged, s.name)
			}
			continue
		}
		changes = true
		change.Diff = append(change.Diff, steps.Attr{Name: "service " + s.name, Before: before, BeforeMissing: before == "", After: s.ordered(after)})
		change.Diff = append(change.Diff, fieldAttrs(s.fields)...)
		if after == "recreated" && (s.renewed || s.state != "changed" && s.state != "image") {
			again = append(again, s.name)
		}
	}
	if c.State == "up" {
		c.orphans(change, append(obs.All("orphan"), gone...))
	}
	if len(services) == 0 && !files && c.State == "up" {
		change.Diff = append(change.Diff, steps.Attr{Name: "project " + c.title(), BeforeMissing: true, After: "up"})
	}
	switch {
	case len(change.Diff) == 0:
		change.Action = steps.NoOp
	case !running && c.State == "up":
		change.Action = steps.Create
	}
	if len(change.Diff) > 0 && c.State == "up" {
		c.again(change, services)
		if len(unchanged) > 0 && (known || !files) {
			change.Reason = "unchanged: " + strings.Join(unchanged, ", ")
		}
	}
	change.Dangers = append(change.Dangers, services.dangers(c.State)...)
	if (files && !known && services.unexplained(d) || owed && !changes) && running && c.State == "up" {
		change.Dangers = append(change.Dangers, "recreates the services of "+c.title()+" that the files change")
	}
	return again, remove, nil
}

// orphans adds the services that the files do not name, or no longer.
func (c *compose) orphans(change *steps.Change, names []string) {
	for _, name := range names {
		if c.RemoveOrphans {
			change.Diff = append(change.Diff, steps.Attr{Name: "service " + name, Before: "no longer in the files", AfterMissing: true})
			change.Dangers = append(change.Dangers, "removes the containers of "+name)
		} else if len(change.Diff) > 0 {
			change.Dangers = append(change.Dangers, "leaves the containers of "+name+", which the files do not name (remove_orphans removes them)")
		}
	}
}

// again adds the services that have done their work: compose starts their containers once more whenever it brings a project up.
func (c *compose) again(change *steps.Change, services composeServices) {
	for _, s := range services {
		if _, after := s.change(c.State); s.state == "done" && after == "" {
			change.Diff = append(change.Diff, steps.Attr{Name: "service " + s.name, Before: "ended with 0", After: "runs once more"})
		}
	}
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
	diff := []steps.Attr{{Name: "project " + c.title(), Before: "there", AfterMissing: true}}
	for _, name := range obs.All("belongs") {
		diff = append(diff, steps.Attr{Name: name, Before: "there", AfterMissing: true})
	}
	return steps.Change{
		Action: steps.Delete, Diff: diff, Dangers: dangers,
		Ops: []steps.Op{steps.Run{Script: c.head() + "[ -d \"$dir\" ] || fail \"$dir is not there, and with it the files that say what belongs to the project; remove the containers by a command step\"\n" +
			c.place() + shell.Words(words...) + " || fail 'compose down failed; the lines above say why'\ncompose_paid\nrm -f -- \"$sent.up\" \"$sent.project\" \"$sent.beside\"\n"}},
	}
}

// op is the one operation. Services in again get new containers even where compose sees no reason.
func (c *compose) op(f *steps.Facts, d differences, files bool, again, networks []string) steps.Op {
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
		b.WriteString("compose_running halted && compose stop || exit 1\n")
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
	if c.project != nil && c.tree.Tree != nil {
		b.WriteString("\tcompose_project=" + shell.Quote(c.project.Shape.note(noteSalt(f))) + "\n")
	}
	b.WriteString("\tcompose_owe up\n")
	up := []string{"compose_bring"}
	if c.RemoveOrphans {
		up = append(up, "--remove-orphans")
	}
	b.WriteString("\t" + shell.Words(up...) + " || return 1\n")
	b.WriteString("\tcompose_owe wait\n\tcompose_wait \"$wait\" && compose_running running && compose_paid\n}\n")
	if len(networks) > 0 {
		b.WriteString("compose_networks=" + shell.Quote(strings.Join(networks, " ")) + "\n")
	}
	if len(again) > 0 {
		b.WriteString("compose_again=" + shell.Quote(strings.Join(again, " ")) + "\n")
	}
	if c.asksForOrder() && c.UpdateOrder != stopFirst {
		b.WriteString("compose_candidates=" + shell.Quote(strings.Join(c.startFirst(), " ")) + "\n")
	}
	b.WriteString("compose_deploy && exit 0\ncompose_logs\n")
	if c.Rollback {
		back := "compose_rollback"
		if files {
			back += " files"
		}
		b.WriteString("if " + back + "; then fail \"$project did not come up, and was rolled back to what ran before\"; fi\n" +
			"fail \"$project did not come up, and could not be rolled back\"\n")
	} else {
		b.WriteString("fail \"$project did not come up${compose_kept:-}; the lines above say why\"\n")
	}
	run.Script = b.String()
	return run
}
