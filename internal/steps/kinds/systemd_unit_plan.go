package kinds

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"provision/internal/shell"
	"provision/internal/steps"
)

func (s *systemdUnit) Probe() string {
	var b strings.Builder
	b.WriteString(shell.Strip(systemdUnitSource))
	name, file := shell.Quote(s.Name), shell.Quote(s.path())
	b.WriteString("if [ \"$F_INIT\" = systemd ]; then\n")
	if s.template() {
		fmt.Fprintf(&b, "unit_read=yes\n")
		if s.update() != "" {
			fmt.Fprintf(&b, "systemd_instances %s\n", name)
		}
	} else {
		fmt.Fprintf(&b, "systemd_unit_state %s %s\n", name, file)
		if s.Enabled != nil {
			b.WriteString("say enabled \"$unit_enabled\"\n")
		}
		if _, known := s.links(); known {
			fmt.Fprintf(&b, "for d in %[1]s/*.requires %[1]s/*.upholds %[1]s/*.wants; do [ ! -h \"$d/\"%[2]s ] || say link \"${d##*/}/\"%[2]s; done\n", systemdUnits, name)
			unit, _ := readUnit(s.text())
			for _, alias := range unit.words("Install", "Alias") {
				fmt.Fprintf(&b, "! link_target %[1]s/%[2]s 2>/dev/null || [ \"${LINK##*/}\" != %[3]s ] || say link %[2]s\n", systemdUnits, shell.Quote(alias), name)
			}
		}
		if s.DropIn != "" && !s.Absent() {
			fmt.Fprintf(&b, "[ \"$unit_load\" != not-found ] || need unit %s\n", name)
		}
		if unit := s.triggers(); unit != "" {
			fmt.Fprintf(&b, "systemd_exists %[1]s || need unit %[1]s\n", shell.Quote(unit))
		}
		if s.Absent() && s.DropIn == "" {
			fmt.Fprintf(&b, "! systemd_vendor %s || say vendor yes\n", name)
		}
	}
	fmt.Fprintf(&b, "say read \"$unit_read\"\n[ ! -e %s ] || say pending yes\nfi\n", shell.Quote(s.marker()))
	return b.String() + s.whole().Probe()
}

// withoutDirectory is the state without the directory of a drop-in among what is missing: it is made.
func (s *systemdUnit) withoutDirectory(obs steps.Observation) steps.Observation {
	if s.DropIn == "" {
		return obs
	}
	obs.Stdout = strings.Replace("\n"+obs.Stdout, "\nmissing directory "+path.Dir(s.path())+"\n", "\n", 1)[1:]
	return obs
}

func (s *systemdUnit) Plan(f *steps.Facts, obs steps.Observation) (steps.Change, error) {
	kind, _ := obs.Get("type")
	load, _ := obs.Get("load")
	switch {
	case f.Init != "systemd" && s.Absent() && kind == "absent":
		return steps.Change{Action: steps.NoOp}, nil
	case f.Init != "systemd":
		return steps.Change{}, fmt.Errorf("systemd does not run on this host, so it has no unit %s; leave the step out here, with when = fact.init == \"systemd\"", s.Name)
	case load == "masked" && !(s.Absent() && s.DropIn != ""):
		return steps.Change{}, fmt.Errorf("%s is masked: someone switched it off on purpose; undo that with a step \"service\" and masked = false before this one", s.Name)
	case kind == "symlink" && s.DropIn == "":
		return steps.Change{}, fmt.Errorf("%s is a symbolic link: an alias, or a unit that is linked from elsewhere; name the unit that it stands for, or remove it with systemctl disable", s.path())
	case s.Absent():
		return s.planAbsent(f, obs, kind)
	}
	return s.planPresent(f, obs, load)
}

func (s *systemdUnit) planPresent(f *steps.Facts, obs steps.Observation, load string) (steps.Change, error) {
	obs = s.withoutDirectory(obs)
	change, err := s.whole().Plan(f, obs)
	if err != nil {
		return steps.Change{}, err
	}
	written := slices.ContainsFunc(change.Ops, func(op steps.Op) bool { _, put := op.(steps.Put); return put })
	if !written && (load == "error" || load == "bad-setting" || load == "bad") && obs.Yes("read") {
		return steps.Change{}, fmt.Errorf("systemd refuses %s as it is now (%s); systemd-analyze verify %s says why", s.Name, load, s.Name)
	}
	script := s.read(&change, obs, written)
	script = append(script, s.planEnabled(&change, obs)...)
	script = append(script, s.planRunning(&change, obs, written)...)
	if change.Action == steps.NoOp && len(script) == 0 {
		return change, nil
	}
	if len(script) == 0 {
		s.need(&change, obs)
		return change, nil
	}
	if change.Action == steps.NoOp {
		change.Action = steps.Update
	}
	if written {
		before := s.script()
		var stdin *steps.Content
		if s.Verify != "none" {
			before += "systemd_verify " + shell.Words(s.Name, s.path(), yesNo(s.Verify == "strict")) + " || exit 1\n"
			stdin = s.whole().Content
		}
		if s.DropIn != "" {
			before += "mkdir -p " + shell.Quote(path.Dir(s.path())) + " || exit 1\n"
		}
		before += "systemd_mark " + shell.Quote(s.marker()) + "\n"
		change.Ops = append([]steps.Op{steps.Run{Script: before, Stdin: stdin, Shown: "verify " + s.path()}}, change.Ops...)
	}
	change.Ops = append(change.Ops, steps.Run{Script: s.script() + strings.Join(script, "\n") + "\nrm -f -- " + shell.Quote(s.marker()) + "\n"})
	s.need(&change, obs)
	return change, nil
}

// need takes over what the probe found missing, with the states that an earlier step which brings it is likely to leave.
func (s *systemdUnit) need(change *steps.Change, obs steps.Observation) {
	if change.Needs = obs.Needs(); len(change.Needs) == 0 {
		return
	}
	change.Predict = nil
	there := obs.Fulfilled()
	change.Predict = append(change.Predict, there)
	if load, _ := obs.Get("load"); s.DropIn != "" && load == "not-found" {
		loaded := there.With("load not-found", "load loaded")
		change.Predict = []steps.Observation{loaded, loaded.With("active inactive", "active active")}
	}
}

// script is what operations begin with.
func (s *systemdUnit) script() string {
	return shell.Strip(serviceRunlevelsSource+serviceChangeSource) + shell.Strip(systemdUnitSource)
}

// read is the sh that has systemd read its files.
func (s *systemdUnit) read(change *steps.Change, obs steps.Observation, written bool) []string {
	read, _ := obs.Get("read")
	switch {
	case written:
	case read == "no":
		change.Diff = append(change.Diff, steps.Attr{Name: "unit file", Before: "changed on disk", After: "read by systemd"})
	case !obs.Yes("pending"):
		return nil
	}
	return []string{"systemd_reload"}
}

// planEnabled compares the state of the unit's file and its links.
func (s *systemdUnit) planEnabled(change *steps.Change, obs steps.Observation) []string {
	if s.Enabled == nil {
		return nil
	}
	found, _ := obs.Get("enabled")
	is := found == "enabled" || found == "alias" || found == "indirect"
	name := shell.Quote(s.Name)
	if !*s.Enabled {
		if !is && found != "enabled-runtime" {
			return nil
		}
		change.Diff = append(change.Diff, steps.Attr{Name: "enabled", Before: words(found), After: "disabled"})
		return []string{"systemd_links disable " + name}
	}
	wanted, known := s.links()
	have := obs.All("link")
	slices.Sort(have)
	switch {
	case !is:
		change.Diff = append(change.Diff, steps.Attr{Name: "enabled", Before: words(found), BeforeMissing: found == "none", After: "enabled"})
		return []string{"systemd_links enable " + name}
	case !known && change.Action != steps.NoOp:
		return []string{"systemd_links reenable " + name}
	case known && !slices.Equal(have, wanted):
		change.Diff = append(change.Diff, steps.Attr{Name: "links", Before: strings.Join(have, ", "), BeforeMissing: len(have) == 0, After: strings.Join(wanted, ", ")})
		return []string{"systemd_links reenable " + name}
	}
	return nil
}

// planRunning starts, stops, restarts or reloads the unit.
func (s *systemdUnit) planRunning(change *steps.Change, obs steps.Observation, written bool) []string {
	active, _ := obs.Get("active")
	name := shell.Quote(s.Name)
	changed := written || obs.Yes("pending")
	var script []string
	runs := active == "active" || active == "activating"
	switch {
	case s.template():
		for _, instance := range obs.All("instance") {
			if changed {
				script = append(script, s.planUpdate(change, instance))
			}
		}
	case s.Running != nil && *s.Running && active != "active":
		change.Diff = append(change.Diff, steps.Attr{Name: "state", Before: words(active), After: "started"})
		script = append(script, "service_start "+name)
	case s.Running != nil && !*s.Running && runs:
		change.Diff = append(change.Diff, steps.Attr{Name: "state", Before: "started", After: "stopped"})
		change.Dangers = append(change.Dangers, "stops "+s.Name)
		script = append(script, "service_stop "+name)
	case changed && runs && s.update() != "":
		script = append(script, s.planUpdate(change, s.Name))
	case changed && runs && s.suffix() != ".timer":
		change.Reason = fmt.Sprintf("%s runs on with its old settings until it is restarted", s.Name)
	}
	return script
}

// planUpdate restarts or reloads a running unit.
func (s *systemdUnit) planUpdate(change *steps.Change, unit string) string {
	attr := steps.Attr{Name: "settings", Before: "old", After: "reloaded"}
	if s.update() == "restart" {
		attr = steps.Attr{Name: "state", Before: "running", After: "restarted"}
		change.Dangers = append(change.Dangers, "restarts "+unit)
	}
	if unit != s.Name {
		attr.Name += " of " + unit
	}
	change.Diff = append(change.Diff, attr)
	return "systemd_update " + shell.Words(s.update(), unit)
}

func (s *systemdUnit) planAbsent(f *steps.Facts, obs steps.Observation, kind string) (steps.Change, error) {
	change, err := s.whole().Plan(f, obs)
	if err != nil {
		return steps.Change{}, err
	}
	there := change.Action == steps.Delete
	active, _ := obs.Get("active")
	runs := active == "active" || active == "activating"
	name := shell.Quote(s.Name)
	var script []string
	switch {
	case there && s.DropIn == "" && !obs.Yes("vendor"):
		for _, unit := range append(obs.All("instance"), map[bool][]string{true: {s.Name}}[runs]...) {
			change.Dangers = append(change.Dangers, "stops "+unit)
			script = append(script, "service_stop "+shell.Quote(unit))
		}
		script = append(script, "systemd_links disable "+name, "rm -f -- "+shell.Quote(s.path()), "systemd_reload", "systemctl reset-failed -- "+name+" 2>/dev/null")
	case there:
		script = append(script, "systemd_mark "+shell.Quote(s.marker()), "rm -f -- "+shell.Quote(s.path()))
		if s.DropIn != "" {
			script = append(script, "rmdir "+shell.Quote(path.Dir(s.path()))+" 2>/dev/null")
		}
		script = append(append(script, "systemd_reload"), s.planRunning(&change, obs, true)...)
	default:
		script = append(s.read(&change, obs, false), s.planRunning(&change, obs, false)...)
	}
	if len(script) == 0 {
		return change, nil
	}
	if !there {
		change.Action = steps.Update
	}
	change.Ops = []steps.Op{steps.Run{Script: s.script() + strings.Join(script, "\n") + "\nrm -f -- " + shell.Quote(s.marker()) + "\n"}}
	return change, nil
}
