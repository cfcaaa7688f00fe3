package kinds

import (
	_ "embed"
	"fmt"
	"path"
	"regexp"
	"sort"
	"strings"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

//go:embed supervisor_program.sh
var supervisorScriptSource string

var supervisorProgramKind = &steps.Kind{
	Name: "supervisor_program",
	Doc: `A program that supervisord keeps running.

Writes the program's own file into the directory that the configuration includes, has supervisord read it (reread
and update of this program alone), and waits until the program has been running for startsecs. If it does not stay up, the step
fails and shows the end of its log. The file is named after the program, and ends as the [include] section
wants it: .conf on Debian, .ini on Red Hat.

config is the configuration of the supervisord that is meant: that of the system, or one of a user's own, such as
/home/app/etc/supervisord.conf with run_as. supervisord itself must be running, by a service or a command step.

What supervisord cannot read would keep it from starting at its next start. Therefore it is asked to reread at once: if it refuses the
file, or finds no command to start, the step fails with its words, and the file that was there before is back.
A program with sections in two files is an error, since supervisord silently merges them; so is an option that it does not know.

environment may hold secrets; then the file has the mode 0600 and its content is not shown. A % in command,
directory and environment is written as %%, since supervisord expands %(NAME)s; the values of options are written
as they are. No value may hold a semicolon or # after a space, which begins a comment there.

on_change = { restart = [...] } restarts the program when one of those steps changed something.`,
	Example: `step "package" "supervisor" {
  name = "supervisor"
}

step "directory" "programs" {
  path = "/etc/demo/conf.d"
}

step "file" "supervisord" {
  path    = "/etc/demo/supervisord.conf"
  content = <<-EOT
    [supervisord]
    logfile = /var/log/demo-supervisord.log
    pidfile = /run/demo-supervisord.pid
    [unix_http_server]
    file = /run/demo-supervisor.sock
    [rpcinterface:supervisor]
    supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
    [supervisorctl]
    serverurl = unix:///run/demo-supervisor.sock
    [include]
    files = conf.d/*.ini
  EOT
}

step "command" "supervisord" {
  run    = ["supervisord", "-c", "/etc/demo/supervisord.conf"]
  unless = "supervisorctl -c /etc/demo/supervisord.conf pid"
}

step "supervisor_program" "clock" {
  name        = "clock"
  command     = "/bin/sleep 1000000"
  config      = "/etc/demo/supervisord.conf"
  environment = { COLOUR = "100% blue" }
}
`,
	New: func() (steps.Step, steps.Args) {
		s := &supervisorProgram{State: "running", Ctl: "supervisorctl", Wait: 60}
		return s, steps.Args{
			kit.NameArg("name", &s.Name, "Name of the program.").Must(),
			kit.StringArg("command", &s.Command, "The command, which must stay in the foreground. Required unless state is absent."),
			kit.PathArg("directory", &s.Directory, "Where it runs."),
			kit.NameArg("user", &s.User, "The user it runs as, if supervisord is root's.").With("that of supervisord"),
			kit.VariablesArg("environment", &s.Environment, "Its environment variables. They may be sensitive."),
			kit.OptBoolArg("autostart", &s.Autostart, "Whether supervisord starts it when it starts itself."),
			kit.EnumArg("autorestart", &s.Autorestart, "Whether it is started again when it ends; unexpected is unless its status was expected.", "true", "false", "unexpected"),
			kit.OptIntArg("startsecs", &s.Startsecs, 0, 3600, "How many seconds it must run to count as started."),
			kit.StringArg("stdout_logfile", &s.Stdout, "File for what it prints; AUTO and NONE are known to supervisord."),
			kit.StringArg("stderr_logfile", &s.Stderr, "File for what it prints on the standard error."),
			supervisorOptionsArg("options", &s.Options, "Other lines of the program's section, such as stopsignal, priority or redirect_stderr."),
			kit.PathArg("config", &s.Config, "The configuration of supervisord.").With("/etc/supervisor/supervisord.conf or /etc/supervisord.conf"),
			kit.PathArg("conf_dir", &s.ConfDir, "The directory for the program's file; the configuration must include it.").With("the first that it includes"),
			pythonArg("supervisorctl", &s.Ctl, "The command supervisorctl."),
			kit.SecondsArg("wait", &s.Wait, "How long to wait for the program to run."),
			kit.EnumArg("state", &s.State, "Whether it runs, is stopped, or is unknown to supervisord.", "running", "stopped", "absent"),
		}
	},
}

type supervisorProgram struct {
	Name, Command, Directory, User, Autorestart, Stdout, Stderr string
	Config, ConfDir, Ctl, State                                 string
	Environment                                                 []steps.Variable
	Options                                                     map[string]string
	Autostart                                                   *bool
	Startsecs                                                   *int
	Wait                                                        int
}

var (
	_ steps.Requirer = (*supervisorProgram)(nil)
	_ steps.Handler  = (*supervisorProgram)(nil)
)

var supervisorOption = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// supervisorOptions are those of a program in supervisor 3 and 4 that are no arguments of the step. supervisord passes over others without a word.
var supervisorOptions = []string{
	"autorestart", "autostart", "command", "directory", "environment", "exitcodes", "killasgroup", "numprocs", "numprocs_start", "priority", "process_name",
	"redirect_stderr", "serverurl", "startretries", "startsecs",
	"stderr_capture_maxbytes", "stderr_events_enabled", "stderr_logfile", "stderr_logfile_backups", "stderr_logfile_maxbytes", "stderr_syslog",
	"stdout_capture_maxbytes", "stdout_events_enabled", "stdout_logfile", "stdout_logfile_backups", "stdout_logfile_maxbytes", "stdout_syslog",
	"stopasgroup", "stopsignal", "stopwaitsecs", "umask", "user",
}

// supervisorExpansion is what supervisord expands in a value, by the rules of Python's operator %.
var supervisorExpansion = regexp.MustCompile(`%(%|\((here|program_name|host_node_name|group_name|process_num|numprocs|ENV_[^()]+)\)[-#0 +]*[0-9]*(\.[0-9]+)?[diouxXrsa])`)

var supervisorComment = regexp.MustCompile(`\s[;#]`)

func (s *supervisorProgram) Validate() []steps.Problem {
	var problems []steps.Problem
	if s.State != "absent" && s.Command == "" {
		problems = append(problems, steps.Problem{Arg: "command", Summary: "a command is required", Detail: "Only a program that is absent has none."})
	}
	for _, part := range []struct{ arg, value string }{
		{"command", s.Command}, {"directory", s.Directory}, {"stdout_logfile", s.Stdout}, {"stderr_logfile", s.Stderr},
	} {
		if supervisorComment.MatchString(" " + part.value) {
			problems = append(problems, steps.Problem{Arg: part.arg, Summary: "a semicolon or # after a space begins a comment for supervisord", Detail: "Put the command into a script of its own."})
		}
	}
	for _, part := range []struct{ arg, value string }{{"stdout_logfile", s.Stdout}, {"stderr_logfile", s.Stderr}} {
		if strings.Contains(supervisorExpansion.ReplaceAllString(part.value, ""), "%") {
			problems = append(problems, badExpansion(part.arg, part.arg))
		}
	}
	for _, v := range s.Environment {
		if _, ok := quoteForSupervisor(v.Value.Reveal()); !ok {
			problems = append(problems, steps.Problem{Arg: "environment", Summary: "supervisord cannot be told the value of " + v.Name, Detail: "It must not hold control characters, both kinds of quotes, a quote at an end, or a semicolon or # after a space. Let the program read it from a file."})
		}
	}
	for key, value := range s.Options {
		if supervisorComment.MatchString(value) {
			problems = append(problems, steps.Problem{Arg: "options", Summary: "the value of " + key + " holds a comment", Detail: "A semicolon or # after a space begins a comment for supervisord."})
		}
		if strings.Contains(supervisorExpansion.ReplaceAllString(value, ""), "%") {
			problems = append(problems, badExpansion("options", "the value of "+key))
		}
		for _, line := range s.lines() {
			if strings.HasPrefix(line, key+" = ") {
				problems = append(problems, steps.Problem{Arg: "options", Summary: key + " is given twice", Detail: "It is an argument of the step."})
			}
		}
	}
	sort.Slice(problems, func(i, j int) bool { return problems[i].Summary < problems[j].Summary })
	return problems
}

func badExpansion(arg, what string) steps.Problem {
	return steps.Problem{Arg: arg, Summary: what + " has a % that supervisord cannot expand", Detail: "Write %% for a percent sign, or %(NAME)s with program_name, process_num, numprocs, group_name, host_node_name, here or ENV_ and the name of a variable."}
}

// probeLogs is sh that reports directories of log files that are not there: supervisord would not read the file.
func (s *supervisorProgram) probeLogs() string {
	var b strings.Builder
	for _, file := range []string{s.Stdout, s.Stderr} {
		if dir := path.Dir(file); path.IsAbs(file) && !strings.Contains(file, "%") && !strings.Contains(b.String(), shell.Quote(dir)+" ") {
			fmt.Fprintf(&b, "[ -d %s ] || need directory %s\n", shell.Quote(dir), shell.Quote(dir))
		}
	}
	return b.String()
}

// find is sh that leaves the configuration in $config and the program's file in $ini. It ends with a command whose status is
// 1 if they cannot be found.
func (s *supervisorProgram) find() string {
	return fmt.Sprintf("name=%s ctl=%s config=%s dir=%s\nsupervisor_find", shell.Quote(s.Name), shell.Quote(s.Ctl), shell.Quote(s.Config), shell.Quote(s.ConfDir))
}

func (s *supervisorProgram) Probe() string {
	var b strings.Builder
	b.WriteString(shell.Strip(supervisorScriptSource))
	b.WriteString(s.find() + " || exit 0\n")
	if s.State != "absent" {
		b.WriteString("supervisor_elsewhere\n" + s.probeLogs())
	}
	b.WriteString("say config \"$config\"\nsay ini \"$ini\"\np=$ini\npath_type \"$p\" || exit 1; t=$TYPE\nsay type \"$t\"\n")
	if s.State != "absent" {
		b.WriteString("if [ \"$t\" = absent ]; then\n" + kit.ProbeParent + "elif [ \"$t\" = file ]; then\n")
		if text := s.text(); text.Sensitive() {
			b.WriteString("salted_sum_of \"$p\" || exit 1; s=$SUM\nsay sum \"$s\"\nm=$(stat -c %a -- \"$p\") || exit 1\nsay mode \"$m\"\n")
		} else {
			b.WriteString("sum_of \"$p\" || exit 1; s=$SUM\nsay sum \"$s\"\n[ \"$s\" = " + text.Sum(nil) + " ] || {\n" + kit.ProbeDetail + "}\n")
		}
		b.WriteString("fi\n[ ! -e \"$new\" ] || say unfinished yes\n")
		if s.User != "" {
			b.WriteString((&kit.Ownership{Owner: s.User}).ProbeNames(false))
		}
	}
	b.WriteString("s=$(supervisor_state) || exit 1\n")
	if s.State != "absent" {
		b.WriteString("[ \"$s\" != down ] || { need running supervisord; s=none; }\n")
	}
	b.WriteString("say process \"$s\"\n")
	return b.String()
}

// Requires implements steps.Requirer.
func (s *supervisorProgram) Requires() []steps.Thing {
	if s.State == "absent" {
		return nil
	}
	return (&kit.Ownership{Owner: s.User}).Accounts()
}

func (s *supervisorProgram) Plan(f *steps.Facts, obs steps.Observation) (steps.Change, error) {
	if _, found := obs.Get("config"); !found {
		return s.needs(obs.Needs()), nil
	}
	kind, _ := obs.Get("type")
	process, _ := obs.Get("process")
	ini, _ := obs.Get("ini")
	if kind != "file" && kind != "absent" {
		return steps.Change{}, kit.NotA(ini, kind, "file")
	}
	if s.State == "absent" {
		return s.planAbsent(obs, kind, process), nil
	}
	change := steps.Change{Action: steps.NoOp}
	text := s.text()
	sum, _ := obs.Get("sum")
	mode, _ := obs.Get("mode")
	write := kind == "absent" || sum != text.Sum(f) || text.Sensitive() && mode != "600"
	if write {
		attr := steps.Attr{Name: ini, BeforeMissing: kind == "absent", Sensitive: text.Sensitive()}
		if !attr.Sensitive {
			attr.Before, _ = obs.Detail("content")
			attr.After = text.Reveal()
		}
		change.Diff = append(change.Diff, attr)
	} else if obs.Yes("unfinished") {
		change.Diff = append(change.Diff, steps.Attr{Name: ini, Before: "not yet in force", After: "in force"})
	}
	stopped := process == "stopped" || process == "exited" || process == "fatal"
	switch {
	case s.State == "running" && process != "running":
		change.Diff = append(change.Diff, steps.Attr{Name: "process", Before: process, BeforeMissing: process == "none", After: "running"})
	case s.State == "stopped" && !stopped:
		change.Diff = append(change.Diff, steps.Attr{Name: "process", Before: process, BeforeMissing: process == "none", After: "stopped"})
	}
	if len(change.Diff) == 0 {
		if len(obs.Needs()) == 0 {
			return change, nil
		}
		// It runs, and yet supervisord could not read it as it stands at its next start.
		change.Diff = []steps.Attr{{Name: ini, Before: "not as supervisord needs it", After: "in force"}}
	}
	switch {
	case kind == "absent":
		change.Action = steps.Create
	default:
		change.Action = steps.Update
	}
	if s.State == "stopped" && process == "running" {
		change.Dangers = []string{"stops the program " + s.Name}
	} else if write && process == "running" {
		change.Dangers = []string{"restarts the program " + s.Name}
	}
	change.Ops = s.ops(obs, write)
	change.AddNeeds(obs)
	return change, nil
}

// needs is the change where supervisord is not installed or configured yet.
func (s *supervisorProgram) needs(missing []steps.Thing) steps.Change {
	if s.State == "absent" {
		return steps.Change{Action: steps.NoOp}
	}
	change := steps.Change{Action: steps.Unknown, Needs: missing}
	if s.Config == "" && s.ConfDir == "" {
		// What the package of Debian leaves behind.
		change.Predict = []steps.Observation{steps.Observe("config /etc/supervisor/supervisord.conf", "ini /etc/supervisor/conf.d/"+s.Name+".conf", "type absent", "process none")}
	}
	return change
}

func (s *supervisorProgram) planAbsent(obs steps.Observation, kind, process string) steps.Change {
	known := process != "none" && process != "down"
	if kind == "absent" && !known {
		return steps.Change{Action: steps.NoOp}
	}
	ini, _ := obs.Get("ini")
	script := s.head(obs) + "rm -f -- \"$ini\" || exit 1\nsupervisor_done\n"
	if process != "down" {
		script += "supervisor_must reread\nsupervisor_must update \"$name\"\n"
	}
	return steps.Change{
		Action: steps.Delete, Diff: []steps.Attr{{Name: "program", Before: ini, AfterMissing: true}},
		Ops: []steps.Op{steps.Run{Script: script}}, Dangers: []string{"stops and removes the program " + s.Name},
	}
}

// head is the sh that every operation begins with.
func (s *supervisorProgram) head(obs steps.Observation) string {
	config, _ := obs.Get("config")
	ini, _ := obs.Get("ini")
	return shell.Strip(supervisorScriptSource) + fmt.Sprintf("name=%s ctl=%s config=%s ini=%s new=%s\n",
		shell.Quote(s.Name), shell.Quote(s.Ctl), shell.Quote(config), shell.Quote(ini), shell.Quote(s.pending(ini)))
}

// pending is the file beside the program's that exists until supervisord has taken the new content.
func (s *supervisorProgram) pending(ini string) string {
	return path.Join(path.Dir(ini), "."+path.Base(ini)+".provision")
}

func (s *supervisorProgram) ops(obs steps.Observation, write bool) []steps.Op {
	ini, _ := obs.Get("ini")
	var ops []steps.Op
	if write {
		put := steps.Put{Path: s.pending(ini), Content: steps.Content{Text: s.text()}, Mode: "644"}
		if put.Content.Text.Sensitive() {
			put.Mode = "600"
		}
		ops = append(ops, put)
	}
	script := s.head(obs) + "supervisor_take\n"
	if s.State == "running" {
		script += s.run()
	} else {
		script += "supervisor_must stop \"$name:*\"\n"
	}
	return append(ops, steps.Run{Script: script + "supervisor_done\n"})
}

func (s *supervisorProgram) run() string { return fmt.Sprintf("supervisor_run %d\n", s.Wait) }

// Events implements steps.Handler.
func (s *supervisorProgram) Events() []string { return []string{"restart"} }

// Handle implements steps.Handler.
func (s *supervisorProgram) Handle(_ *steps.Facts, _ string, change steps.Change) []steps.Op {
	if s.State != "running" || len(change.Ops) > 0 {
		return nil // it is just being started with what is there now
	}
	script := shell.Strip(supervisorScriptSource) + s.find() + " || fail \"$name is not known to a supervisord here\"\nsupervisor_must restart \"$name:*\"\n" + s.run()
	return []steps.Op{steps.Run{Script: script}}
}
