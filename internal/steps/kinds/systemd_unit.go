package kinds

import (
	_ "embed"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"provision/internal/steps"
	"provision/internal/steps/kit"
)

//go:embed systemd_unit.sh
var systemdUnitSource string

var systemdUnitKind = &steps.Kind{
	Name: "systemd_unit",
	Doc: `A unit file of systemd, or a drop-in of one: written, read by systemd, enabled and running.

It lies in /etc/systemd/system. The text is given as content, source or template. Before it takes its place, systemd-analyze verify
reads it under its name: what it refuses is not written, and neither is a text of which systemd would
pass over a part, such as a misspelt key. verify = "errors" allows the latter, for keys that only newer systems
know; verify = "none" leaves the look out. Programs and units that the text needs have to be there
already.

After a change systemd reads its files anew (daemon-reload). A service or path that runs is then restarted, in which
case the plan says so. Other units keep running with what they were started with until somebody restarts them; timers
take a new time at once. on_update says otherwise. A template (NAME@.service) has its running instances restarted. What a run that
was cut has not restarted is restarted by the next one.

With enabled = true the links of WantedBy, RequiredBy, UpheldBy and Alias are compared too: after a change of [Install] the old
ones go. Without enabled or running that side is not looked at.

drop_in = "NAME" writes NAME.conf in the directory UNIT.d in place of the unit itself, which must be there or come from an
earlier step. The directory is made.

With state = "absent" a unit is stopped and disabled, and its file goes; where a package has a unit of the name, that one comes
back. Of a drop-in the file goes, and its directory if nothing else is in it.

Everybody on the host can ask systemd for the text of a unit, so that it takes no sensitive values: let the service read a file (EnvironmentFile=, LoadCredential=). Hosts
without a running systemd are an error. Units of users are not looked after. Services of packages are started and enabled by a step "service".`,
	Example: `step "systemd_unit" "clock" {
  name    = "demo-clock.service"
  enabled = true
  running = true
  content = <<-EOT
    [Unit]
    Description=A clock

    [Service]
    ExecStart=/bin/sleep infinity

    [Install]
    WantedBy=multi-user.target
  EOT
}

step "systemd_unit" "clock_limits" {
  name    = "demo-clock.service"
  drop_in = "limits"
  content = <<-EOT
    [Service]
    LimitNOFILE=4096
  EOT
}

step "systemd_unit" "tidy" {
  name    = "demo-tidy.service"
  content = <<-EOT
    [Service]
    Type=oneshot
    ExecStart=/bin/true
  EOT
}

step "systemd_unit" "tidy_timer" {
  name    = "demo-tidy.timer"
  enabled = true
  running = true
  content = <<-EOT
    [Timer]
    OnCalendar=*-*-* 04:00:00

    [Install]
    WantedBy=timers.target
  EOT
}
`,
	Rules: []steps.Rule{
		steps.AbsentTakes("name", "drop_in", "on_update"),
		steps.OneOf("Give the text of the unit as one of them.", "content", "source", "template"),
	},
	New: func() (steps.Step, steps.Args) {
		s := &systemdUnit{Verify: "strict", File: kit.File{State: "present", Ownership: kit.Ownership{Owner: "root", Group: "root", Mode: "644"}}}
		open := func(a steps.Arg) steps.Arg {
			a.Secret = false
			return a
		}
		return s, steps.Args{
			kit.ParsedArg("name", &s.Name, "Name of the unit with its suffix, such as app.service, backup.timer or worker@.service.", parseUnitName).Must(),
			kit.ParsedArg("drop_in", &s.DropIn, "Name of a drop-in of the unit. The text is then that of the drop-in.", parseDropIn),
			open(kit.TextArg("content", &s.Text, "The text.")),
			kit.FileArg("source", &s.Source, "A local file with the text."),
			open(kit.TemplateArg("template", &s.Rendered, "A local template that gives the text.")),
			kit.OptBoolArg("enabled", &s.Enabled, "Whether it starts at boot, or whatever its section [Install] says. Left out, it is not looked at."),
			kit.OptBoolArg("running", &s.Running, "Whether it runs now. Left out, it is not looked at."),
			kit.EnumArg("verify", &s.Verify, "What systemd-analyze verify may find: nothing, what systemd would pass over, or anything, since it is not asked.", "strict", "errors", "none"),
			kit.EnumArg("on_update", &s.OnUpdate, "What happens to a running unit after a change.", "restart", "reload", "nothing").With("restart for services and paths, otherwise nothing"),
			kit.EnumArg("state", &s.State, "Whether the file is there.", "present", "absent"),
		}
	},
}

type systemdUnit struct {
	kit.File
	Name, DropIn, Verify, OnUpdate string
	Text                           *steps.Text
	Source                         *steps.Local
	Rendered                       *steps.Text
	Enabled, Running               *bool
}

var (
	_ steps.Settler  = (*systemdUnit)(nil)
	_ steps.Bringer  = (*systemdUnit)(nil)
	_ steps.Requirer = (*systemdUnit)(nil)
	_ steps.Batcher  = (*systemdUnit)(nil)
	_ steps.Handler  = (*systemdUnit)(nil)
)

// systemdUnits is where units of the administrator are, systemd.unit(5).
const systemdUnits = "/etc/systemd/system"

// unitFileSuffix leaves out scopes, which have no files.
var unitFileSuffix = regexp.MustCompile(`^(.+)\.(service|socket|device|mount|automount|swap|target|path|timer|slice)$`)

func parseUnitName(s string) (string, error) {
	match := unitFileSuffix.FindStringSubmatch(s)
	switch {
	case !serviceName.MatchString(s) && !(match != nil && match[1] == "-"):
		return "", fmt.Errorf("%q is no name of a unit", s)
	case match == nil && strings.HasSuffix(s, ".conf"):
		return "", fmt.Errorf("%q is no name of a unit; name the unit, and the drop-in as drop_in", s)
	case match == nil:
		return "", fmt.Errorf("%q has no suffix of a unit; write %s.service, or one of socket, mount, automount, swap, target, path, timer and slice", s, s)
	case len(s) > 255:
		return "", fmt.Errorf("the name has %d bytes; systemd allows 255", len(s))
	}
	return s, nil
}

var dropInName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@:-]*$`)

func parseDropIn(s string) (string, error) {
	bare := strings.TrimSuffix(s, ".conf")
	if !dropInName.MatchString(bare) {
		return "", fmt.Errorf("%q is no name of a drop-in; write letters, digits, dots and dashes, such as override", s)
	}
	return bare, nil
}

func (s *systemdUnit) template() bool { return templateName.MatchString(s.Name) }

func (s *systemdUnit) suffix() string { return path.Ext(s.Name) }

func (s *systemdUnit) path() string {
	if s.DropIn != "" {
		return systemdUnits + "/" + s.Name + ".d/" + s.DropIn + ".conf"
	}
	return systemdUnits + "/" + s.Name
}

// marker is the file that exists while a change is written and not yet in force.
func (s *systemdUnit) marker() string {
	return "/run/provision-units/" + strings.ReplaceAll(strings.TrimPrefix(s.path(), systemdUnits+"/"), "/", ":")
}

// text is the text of the unit; "" where it is absent or cannot be shown.
func (s *systemdUnit) text() string {
	switch {
	case s.Text != nil:
		return s.Text.Reveal()
	case s.Rendered != nil:
		return s.Rendered.Reveal()
	case s.Source != nil:
		return string(s.Source.Preview)
	}
	return ""
}

// whole is the file with its text from whichever argument gives it.
func (s *systemdUnit) whole() *kit.File {
	c := s.File
	c.Path = s.path()
	switch {
	case s.Source != nil:
		c.Content = &steps.Content{Local: s.Source}
	case s.Text != nil || s.Rendered != nil:
		c.Content = &steps.Content{Text: steps.Plain(s.text())}
	}
	return &c
}

func (s *systemdUnit) Validate() []steps.Problem {
	var problems []steps.Problem
	add := func(arg, summary, detail string) {
		problems = append(problems, steps.Problem{Arg: arg, Summary: summary, Detail: detail})
	}
	if s.template() {
		for arg, given := range map[string]bool{"running": s.Running != nil, "enabled": s.Enabled != nil} {
			if given {
				add(arg, s.Name+" is a template, which can neither run nor start at boot itself", "Enable and start an instance of it with a step \"service\", such as "+templateName.ReplaceAllString(s.Name, "@NAME$1")+".")
			}
		}
		slices.SortFunc(problems, func(a, b steps.Problem) int { return strings.Compare(a.Arg, b.Arg) })
	}
	if s.Absent() || s.whole().Content == nil {
		return problems
	}
	arg := "content"
	switch {
	case s.Source != nil:
		arg = "source"
	case s.Rendered != nil:
		arg = "template"
	}
	unit, wrong := readUnit(s.text())
	if s.Source != nil && s.Source.Preview == nil {
		wrong = "it is not text"
	}
	if wrong != "" {
		add(arg, "this is no unit file: "+wrong, "Mend the text; systemd.unit(5) has its form.")
		return problems
	}
	if s.DropIn != "" {
		return problems
	}
	own := map[string]string{".service": "Service", ".socket": "Socket", ".mount": "Mount", ".automount": "Automount", ".swap": "Swap", ".path": "Path", ".timer": "Timer"}[s.suffix()]
	if own != "" && !unit.sections[own] {
		add(arg, fmt.Sprintf("%s has no section [%s]", s.Name, own), "Add it; only a drop-in does without.")
	}
	if s.Enabled != nil && *s.Enabled && !s.template() && !unit.sections["Install"] {
		add("enabled", s.Name+" has no section [Install], which says when it is started", "Add one, such as WantedBy=multi-user.target, or leave enabled out.")
	}
	if s.Running != nil && *s.Running && s.suffix() == ".service" && unit.last("Service", "Type") == "oneshot" && !slices.Contains([]string{"yes", "true", "1", "on"}, strings.ToLower(unit.last("Service", "RemainAfterExit"))) {
		add("running", s.Name+" runs once and ends (Type=oneshot without RemainAfterExit)", "Give it a timer, or run it by a step \"command\"; leave running out.")
	}
	return problems
}

// update is what happens to a running unit after a change.
func (s *systemdUnit) update() string {
	switch {
	case s.OnUpdate == "nothing":
		return ""
	case s.OnUpdate != "":
		return s.OnUpdate
	case s.suffix() == ".service" || s.suffix() == ".path":
		return "restart"
	}
	return ""
}

// links are what enabling makes, as paths in /etc/systemd/system, sorted; false where the section [Install] is not ours to read.
func (s *systemdUnit) links() ([]string, bool) {
	if s.DropIn != "" || s.Enabled == nil || !*s.Enabled {
		return nil, false
	}
	unit, _ := readUnit(s.text())
	var links []string
	for key, suffix := range map[string]string{"WantedBy": ".wants/" + s.Name, "RequiredBy": ".requires/" + s.Name, "UpheldBy": ".upholds/" + s.Name, "Alias": ""} {
		for _, name := range unit.words("Install", key) {
			if strings.Contains(name, "%") || templateName.MatchString(name) {
				return nil, false
			}
			if name != s.Name {
				links = append(links, name+suffix)
			}
		}
	}
	slices.Sort(links)
	return slices.Compact(links), true
}

// triggers is the unit that this one starts, which must be there before this one can run.
func (s *systemdUnit) triggers() string {
	if s.Running == nil || !*s.Running || s.DropIn != "" || s.suffix() != ".timer" && s.suffix() != ".path" {
		return ""
	}
	unit, _ := readUnit(s.text())
	name := unit.last(strings.ToUpper(s.suffix()[1:2])+s.suffix()[2:], "Unit")
	switch {
	case strings.Contains(name, "%"):
		return ""
	case name == "":
		return strings.TrimSuffix(s.Name, s.suffix()) + ".service"
	}
	return name
}

// Brings implements steps.Bringer.
func (s *systemdUnit) Brings(change steps.Change) steps.Supply {
	if s.Absent() {
		return kit.RemovalSupply(change, s.path())
	}
	supply := steps.Supply{}
	if s.Running != nil && *s.Running {
		supply = (&service{Name: s.Name, State: "started"}).Brings(change)
	}
	supply.Things = append(supply.Things, steps.Thing{Kind: steps.FileThing, Name: s.path()})
	if s.DropIn != "" {
		supply.AddDirectory(path.Dir(s.path()))
	} else {
		supply.Things = append(supply.Things, steps.Thing{Kind: steps.UnitThing, Name: s.Name})
	}
	return supply
}

// Touches implements steps.Toucher: what starts may write anywhere, and what is enabled has links.
func (s *systemdUnit) Touches(steps.Observation) steps.Supply { return steps.Anything() }

// Requires implements steps.Requirer: the directory of a drop-in is made.
func (s *systemdUnit) Requires() []steps.Thing { return nil }

// Batch implements steps.Batcher.
func (s *systemdUnit) Batch() (attributes, sums []string) { return s.whole().Batch() }

// Settled implements steps.Settler.
func (s *systemdUnit) Settled(f *steps.Facts) []steps.Observation {
	var front []string
	actives := []string{"active", "inactive"}
	switch {
	case s.template():
		actives = []string{""}
	case s.Running != nil && *s.Running:
		actives = actives[:1]
	case s.Running != nil:
		actives = actives[1:]
	}
	var settled []steps.Observation
	for _, active := range actives {
		front = front[:0]
		if active != "" {
			load := "loaded"
			if s.Absent() && s.DropIn == "" {
				load = "not-found"
			}
			front = append(front, "load "+load, "active "+active)
		}
		if s.Enabled != nil {
			front = append(front, "enabled "+map[bool]string{true: "enabled", false: "disabled"}[*s.Enabled])
		}
		links, _ := s.links()
		for _, link := range links {
			front = append(front, "link "+link)
		}
		front = append(front, "read yes")
		for _, file := range s.whole().Settled(f) {
			settled = append(settled, steps.Observation{Stdout: strings.Join(front, "\n") + "\n" + file.Stdout})
		}
	}
	return settled
}

// Events implements steps.Handler.
func (s *systemdUnit) Events() []string { return []string{"restart", "reload"} }

// Handle implements steps.Handler.
func (s *systemdUnit) Handle(f *steps.Facts, event string, change steps.Change) []steps.Op {
	if s.Absent() || s.template() {
		return nil
	}
	state := ""
	if s.Running != nil {
		state = map[bool]string{true: "started", false: "stopped"}[*s.Running]
	}
	return (&service{Name: s.Name, State: state}).Handle(f, event, change)
}
