package kinds

import (
	_ "embed"
	"fmt"
	"regexp"
	"strings"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

//go:embed service_probe.sh
var serviceProbeSource string

//go:embed service_change.sh
var serviceChangeSource string

//go:embed service_runlevels.sh
var serviceRunlevelsSource string

var serviceKind = &steps.Kind{
	Name: "service",
	Doc: `A service: running or stopped, and whether it starts at boot.

Works with systemd, OpenRC, SysV and, under Debian's init scripts, runit, which runs what is enabled and
nothing else. Enabled means that a boot starts it: on OpenRC in the runlevels sysinit, boot and default with what is
stacked on them, on SysV in S and the runlevel of /etc/inittab. One query tells everything. On systemd the name may be any unit;
without a suffix it is a .service. Unit files that changed on disk are read anew (daemon-reload)
before anything else. A unit that does not exist yet must come from an earlier step; a service that does
not exist counts as stopped.

After a start the step looks again, a second later for services that do not tell when they are
ready, and for init scripts: one that died at once fails the step, with its status and the last lines of its log.

on_change = { restart = [...], reload = [...] } restarts or reloads the service when one of those
steps changed something; a service that is just being started is left alone, a stopped one is
started only if state is "started", and one that cannot reload is restarted.

A masked unit was switched off on purpose: it is an error to start or enable it, unless masked is
false. masked = true with enabled = false disables it first, so that it stays disabled when somebody
unmasks it. A name that is an alias stands for its unit. An init script without a unit serves no longer
where systemd has no support for it (from version 260 on): give the service a unit file. A unit without an [Install] section (static) cannot be enabled, and a oneshot unit that does
not remain after exit cannot stay started.`,
	Example: `step "package" "cron" {
  name = "cron"
}

step "file" "job" {
  path    = "/etc/cron.d/demo"
  content = "0 4 * * * root true\n"
}

step "service" "cron" {
  name      = "cron"
  state     = "started"
  enabled   = true
  on_change = { restart = [step.file.job] }
}
`,
	New: func() (steps.Step, steps.Args) {
		s := &service{}
		return s, steps.Args{
			serviceNameArg("name", &s.Name, "Name of the service or, on systemd, of any unit.").Must(),
			kit.EnumArg("state", &s.State, "Whether it runs now. Left out, it is not looked at.", "started", "stopped"),
			kit.OptBoolArg("enabled", &s.Enabled, "Whether it starts at boot. Left out, it is not looked at."),
			kit.OptBoolArg("masked", &s.Masked, "Whether it is masked, so that nothing can start it (systemd only). Left out, a masked unit is an error."),
		}
	},
}

type service struct {
	Name, State     string
	Enabled, Masked *bool
}

var (
	_ steps.Bringer = (*service)(nil)
	_ steps.Handler = (*service)(nil)
)

var serviceName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@:\\-]*$`)

func serviceNameArg(name string, to *string, doc string) steps.Arg {
	return kit.ParsedArg(name, to, doc, func(s string) (string, error) {
		if !serviceName.MatchString(s) {
			return "", fmt.Errorf("%q is no name of a service", s)
		}
		return s, nil
	})
}

// templateName is the name of a template of units, systemd.unit(5).
var templateName = regexp.MustCompile(`@(\.[a-z]+)?$`)

var unitSuffix = regexp.MustCompile(`\.(service|socket|device|mount|automount|swap|target|path|timer|slice|scope)$`)

// unit is the name for systemd.
func (s *service) unit() string {
	if unitSuffix.MatchString(s.Name) {
		return s.Name
	}
	return s.Name + ".service"
}

// bare is the name for OpenRC and SysV.
func (s *service) bare() string { return strings.TrimSuffix(s.Name, ".service") }

// setUnit is sh that puts the name for the host's service manager into $unit.
func (s *service) setUnit() string {
	return fmt.Sprintf("if [ \"$F_INIT\" = systemd ]; then unit=%s; else unit=%s; fi\n", shell.Quote(s.unit()), shell.Quote(s.bare()))
}

func (s *service) Validate() []steps.Problem {
	var problems []steps.Problem
	if s.State != "" && templateName.MatchString(s.Name) {
		problems = append(problems, steps.Problem{Arg: "name", Summary: fmt.Sprintf("%s is a template, which cannot run itself", s.Name), Detail: "Name an instance of it, such as " + templateName.ReplaceAllString(s.Name, "@NAME$1") + "."})
	}
	if s.Masked != nil && *s.Masked && (s.State == "started" || s.Enabled != nil && *s.Enabled) {
		problems = append(problems, steps.Problem{Arg: "masked", Summary: "a masked unit can be neither started nor enabled", Detail: "Set state = \"stopped\" and leave enabled out, or leave masked out."})
	}
	return problems
}

// Probe leaves out what the step does not ask for: a service that comes up just now must not make the
// plan stale.
func (s *service) Probe() string {
	return shell.Strip(serviceRunlevelsSource+serviceProbeSource) + s.setUnit() + fmt.Sprintf("service_state \"$unit\" %s %s %s\n", yesNo(s.State != ""), yesNo(s.Enabled != nil), yesNo(s.Masked != nil))
}

// shownName is the name in messages.
func (s *service) shownName(f *steps.Facts) string {
	if f.Init == "systemd" {
		return s.unit()
	}
	return s.bare()
}

// Brings implements steps.Bringer: what is started answers, and makes its own directories (RuntimeDirectory and the like in systemd.exec(5)). A
// directory of users is a service too.
func (s *service) Brings(change steps.Change) steps.Supply {
	if s.State == "stopped" || s.State == "" && change.Action == steps.Update {
		return steps.Supply{}
	}
	supply := steps.Supply{Trees: []string{"/run", "/var/run", "/var/lib", "/var/cache", "/var/log"}, May: []string{steps.RunningThing, steps.PortThing}}
	switch s.bare() {
	case "sssd", "nslcd", "winbind", "nscd", "systemd-userdbd", "systemd-homed":
		supply.May = []string{steps.RunningThing, steps.UserThing, steps.GroupThing}
	}
	return supply
}

func (s *service) Plan(f *steps.Facts, obs steps.Observation) (steps.Change, error) {
	load, _ := obs.Get("load")
	active, _ := obs.Get("active")
	enabled, _ := obs.Get("enabled")
	reload, _ := obs.Get("reload_daemon")
	masked := load == "masked" || strings.HasPrefix(enabled, "masked")
	mask, _ := obs.Get("mask")
	name := s.shownName(f)
	wantsUnit := s.State == "started" || s.Enabled != nil && *s.Enabled
	switch {
	case load == "not-found" && wantsUnit:
		return steps.Change{Action: steps.Unknown, Needs: []steps.Thing{s.needed(f, obs.Yes("script_only"))}, Predict: s.predict(f, active, enabled)}, nil
	case masked && wantsUnit && (s.Masked == nil || *s.Masked):
		return steps.Change{}, fmt.Errorf("%s is masked: someone switched it off on purpose; set masked = false to undo that", name)
	case load == "error" || load == "bad-setting" || load == "bad":
		return steps.Change{}, fmt.Errorf("the unit file of %s is wrong (%s); systemd-analyze verify %s says where", name, load, name)
	case s.Masked != nil && f.Init != "systemd":
		return steps.Change{}, fmt.Errorf("only systemd can mask a service; leave masked out")
	case s.Masked != nil && *s.Masked && obs.Yes("own_file"):
		return steps.Change{}, fmt.Errorf("%s cannot be masked: its unit file is in /etc/systemd/system, where the mask would be; move it to /usr/local/lib/systemd/system, or remove it", name)
	}
	change := steps.Change{Action: steps.NoOp}
	var script []string
	if reload == "yes" || load == "unread" {
		script = append(script, "systemctl daemon-reload || exit 1")
		change.Diff = append(change.Diff, steps.Attr{Name: "unit file", Before: "changed on disk", After: "read by systemd"})
	}
	if s.Masked != nil && !*s.Masked && mask != "no" {
		script = append(script, "service_mask no \"$unit\"")
		change.Diff = append(change.Diff, steps.Attr{Name: "masked", Before: mask, After: "no"})
	}
	if s.Enabled != nil && load != "not-found" {
		line, err := s.planEnabled(&change, name, enabled, obs.Yes("links"))
		if err != nil {
			return steps.Change{}, err
		}
		if len(line) > 0 && masked && (s.Masked == nil || *s.Masked) {
			// systemctl does not touch what is masked.
			line = append([]string{"service_mask no \"$unit\""}, append(line, "service_mask yes \"$unit\"")...)
		}
		script = append(script, line...)
	}
	running := active == "active" || active == "reloading" || active == "refreshing"
	switch {
	case s.State == "started" && !running:
		if oneshot, _ := obs.Get("type"); oneshot == "oneshot" {
			return steps.Change{}, fmt.Errorf("%s runs once and ends (Type=oneshot without RemainAfterExit), so it cannot stay started; enable it, or its timer, and run it by a command step", name)
		}
		script = append(script, "service_start \"$unit\"")
		change.Diff = append(change.Diff, steps.Attr{Name: "state", Before: words(active), After: "started"})
	case s.State == "stopped" && (running || active == "activating"):
		script = append(script, "service_stop \"$unit\"")
		change.Diff = append(change.Diff, steps.Attr{Name: "state", Before: "started", After: "stopped"})
		change.Dangers = append(change.Dangers, "stops "+name)
	}
	if s.Masked != nil && *s.Masked && mask != "yes" {
		// Last: nothing else can be done with a masked unit. A mask until the next boot is none for good.
		script = append(script, "service_mask yes \"$unit\"")
		change.Diff = append(change.Diff, steps.Attr{Name: "masked", Before: mask, After: "yes"})
	}
	// Earlier steps may change the unit file, or start the service by installing its package.
	change.Predict = s.predict(f, active, enabled)
	if len(script) == 0 {
		return change, nil
	}
	change.Action = steps.Update
	change.Ops = []steps.Op{steps.Run{Script: shell.Strip(serviceRunlevelsSource+serviceChangeSource) + s.setUnit() + strings.Join(script, "\n") + "\n"}}
	return change, nil
}

func (s *service) needed(f *steps.Facts, scriptOnly bool) steps.Thing {
	switch {
	case scriptOnly:
		return steps.Thing{Kind: steps.UnitThing, Name: fmt.Sprintf("%s (/etc/init.d/%s alone does not serve: this systemd ignores init scripts, as all do from version 260 on)", s.unit(), s.bare())}
	case f.Init == "systemd":
		return steps.Thing{Kind: steps.UnitThing, Name: s.unit()}
	}
	return steps.Thing{Kind: steps.ServiceThing, Name: s.bare()}
}

// planEnabled compares with a UnitFileState; see systemctl(1), is-enabled. links says that a masked unit would start at boot
// but for the mask.
func (s *service) planEnabled(change *steps.Change, name, found string, links bool) ([]string, error) {
	is := false
	switch found {
	case "enabled", "alias", "indirect":
		is = true
	case "static", "transient":
		if *s.Enabled {
			return nil, fmt.Errorf("%s cannot be enabled: its unit file has no [Install] section (%s), something else starts it; leave enabled out", name, found)
		}
	case "generated":
		if !*s.Enabled {
			return nil, fmt.Errorf("%s cannot be disabled: a generator makes it at every boot, from /etc/fstab or the like; change that, or set masked = true", name)
		}
		is = true
	case "masked", "masked-runtime":
		is = links
	}
	switch {
	case *s.Enabled && !is:
		change.Diff = append(change.Diff, steps.Attr{Name: "enabled", Before: words(found), After: "enabled"})
		return []string{"service_boot \"$unit\" yes"}, nil
	case !*s.Enabled && (found == "enabled" || found == "enabled-runtime" || links):
		before := words(found)
		if links {
			before = "enabled"
		}
		change.Diff = append(change.Diff, steps.Attr{Name: "enabled", Before: before, After: "disabled"})
		return []string{"service_boot \"$unit\" no"}, nil
	}
	return nil, nil
}

// predict lists what an installed package or a rewritten unit file leaves behind: on Debian a
// service that runs and is enabled, elsewhere one that does neither.
func (s *service) predict(f *steps.Facts, active, enabled string) []steps.Observation {
	actives, enableds := []string{""}, []string{""}
	if s.State != "" {
		if actives = []string{"active", "inactive"}; active == "failed" {
			actives = append(actives, active)
		}
	}
	if s.Enabled != nil {
		switch enableds = []string{"enabled", "disabled"}; enabled {
		case "static", "alias", "indirect":
			enableds = append(enableds, enabled)
		}
	}
	reloads := []string{"no"}
	if f.Init == "systemd" {
		reloads = append(reloads, "yes")
	}
	var predicted []steps.Observation
	for _, reload := range reloads {
		for _, active := range actives {
			for _, enabled := range enableds {
				lines := []string{"load loaded"}
				if active != "" {
					lines = append(lines, "active "+active)
				}
				if enabled != "" {
					lines = append(lines, "enabled "+enabled)
				}
				if s.Masked != nil {
					lines = append(lines, "mask no")
				}
				predicted = append(predicted, steps.Observe(append(lines, "reload_daemon "+reload)...))
			}
		}
	}
	return predicted
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// words shows a state that may be missing.
func words(s string) string {
	switch s {
	case "", "none":
		return "unknown"
	case "inactive":
		return "stopped"
	}
	return s
}

// Events implements steps.Handler.
func (s *service) Events() []string { return []string{"restart", "reload"} }

// Handle implements steps.Handler. The operation reads changed unit files, and finds out for itself
// whether the service runs.
func (s *service) Handle(_ *steps.Facts, event string, change steps.Change) []steps.Op {
	for _, attr := range change.Diff {
		if attr.Name == "state" {
			return nil // just being started with the new configuration, or being stopped
		}
	}
	if s.State == "stopped" {
		return nil
	}
	when := "running"
	if s.State == "started" {
		when = "always"
	}
	return []steps.Op{steps.Run{Script: shell.Strip(serviceRunlevelsSource+serviceChangeSource) + s.setUnit() + "service_event " + shell.Words(event) + " \"$unit\" " + when + "\n"}}
}
