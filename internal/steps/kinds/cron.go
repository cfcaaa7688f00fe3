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

//go:embed cron.sh
var cronScript string

var cronKind = &steps.Kind{
	Name: "cron",
	Doc: `A job of cron: a file in /etc/cron.d, or a line in a user's crontab; or its absence.

With place = "cron.d" the job is the file /etc/cron.d/NAME, all of it. With place = "crontab" it is a
line in the crontab of the user, behind a comment "# provision: NAME"; all other lines stay. The very
same line without a comment of the kind gets it, and goes where it stands there again. Whatever job
stands directly behind the comment is this one; where other lines are in between, its command must be
that of the step, and another job is an error. crontab(1) writes the table, so that its owner, its mode
and the daemon are in its hands.

The schedule is checked before anything is done, since cron passes over a whole file without a word
if one line in it is wrong: five fields with numbers, names, ranges, lists and steps, or @reboot, @yearly,
@annually, @monthly, @weekly, @daily, @midnight, @hourly. What only some daemons understand is an error, and
a date that never comes too.

The command is what the shell gets: a % is escaped for cron where that is needed. Two backslashes in
a row, or one before a %, mean different things to different daemons: put such a command into a
script. Cron gives a job few variables and a short PATH, and mails what it prints.

A daemon must be there, or come with a package before this step: cron of Debian, cronie, bcron or
systemd-cron. The crond of busybox reads no /etc/cron.d and no environment: give it the place
"crontab". A job is taken up by the daemon within a minute; it needs no restart. Scripts for
/etc/cron.daily and the like are a step "file" with mode 0755 and a path without a dot in its name.`,
	Example: `step "package" "cron" {
  name = "cron"
}

step "cron" "cleanup" {
  name        = "demo-cleanup"
  schedule    = "30 2 * * mon-fri"
  command     = "find /var/tmp/demo -name 'x%y' -mtime +7 -delete"
  environment = { MAILTO = "" }
}

step "cron" "heartbeat" {
  name     = "demo-heartbeat"
  place    = "crontab"
  schedule = "@hourly"
  command  = "touch /var/tmp/demo-heartbeat"
}
`,
	Rules: []steps.Rule{steps.AbsentTakes("name", "place", "user")},
	New: func() (steps.Step, steps.Args) {
		c := &cron{Place: "cron.d", User: "root", File: kit.File{State: "present", Ownership: kit.Ownership{Owner: "root", Mode: "644"}}}
		return c, steps.Args{
			kit.ParsedArg("name", &c.Name, "The name of the job: letters, digits, dashes and underscores. It is that of the file in /etc/cron.d.", parseCronName).Must(),
			kit.ParsedArg("schedule", &c.Schedule, "When it runs, such as \"*/5 8-18 * * mon-fri\" or \"@daily\". Required unless state is absent.", parseSchedule),
			kit.ParsedArg("command", &c.Command, "What /bin/sh runs, as it would be typed there. Required unless state is absent.", parseCronCommand),
			kit.ParsedArg("user", &c.User, "The user that it runs as; with place = \"crontab\" the user whose table it is in.", parseCronUser).With("root"),
			kit.EnumArg("place", &c.Place, "Where the job is written.", "cron.d", "crontab"),
			kit.MapArg("environment", &c.Environment, "Variables for the job, taken literally, such as MAILTO, PATH and SHELL. Only in /etc/cron.d.", checkCronVariable),
			kit.EnumArg("state", &c.State, "Whether the job is there.", "present", "absent"),
		}
	},
}

type cron struct {
	kit.File
	Name, Schedule, Command, User, Place string
	Environment                          map[string]string
}

var (
	_ steps.Bringer  = (*cron)(nil)
	_ steps.Requirer = (*cron)(nil)
	_ steps.Settler  = (*cron)(nil)
	_ steps.Batcher  = (*cron)(nil)
	_ steps.Follower = (*cron)(nil)
)

var (
	cronName     = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	cronAccount  = regexp.MustCompile(`^[A-Za-z0-9_.][A-Za-z0-9_.@-]*\$?$`)
	cronVariable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// cronLongest is the longest command that cron of Debian takes, in bytes; one that is longer voids the whole file.
const cronLongest = 998

func parseCronName(name string) (string, error) {
	if !cronName.MatchString(name) {
		return "", fmt.Errorf("cron passes over a file named %q in /etc/cron.d; use letters, digits, dashes and underscores", name)
	}
	return name, nil
}

func parseCronUser(name string) (string, error) {
	if !cronAccount.MatchString(name) || kit.IsNumber(name) {
		return "", fmt.Errorf("%q is no name of a user; cron takes no numbers", name)
	}
	return name, nil
}

func parseCronCommand(command string) (string, error) {
	switch {
	case strings.ContainsAny(command, "\n\r"):
		return "", fmt.Errorf("a job is one line; join the commands with \";\" or \"&&\", or put them into a script")
	case strings.ContainsRune(command, 0):
		return "", fmt.Errorf("a command cannot hold a NUL byte")
	case command == "" || strings.Trim(command, " \t") != command:
		return "", fmt.Errorf("the command %q is empty, or has blanks around it, which cron drops; leave them out", command)
	case strings.Contains(command, `\\`) || strings.Contains(command, `\%`):
		return "", fmt.Errorf("two backslashes in a row, and one before a %%, are read differently by cron of Debian and by cronie; put the command into a script. A %% alone needs no backslash here")
	case len(cronEscaped(command)) > cronLongest:
		return "", fmt.Errorf("the command has %d bytes, and cron of Debian takes %d; put it into a script", len(cronEscaped(command)), cronLongest)
	}
	return command, nil
}

func checkCronVariable(name, value string) error {
	switch {
	case !cronVariable.MatchString(name):
		return fmt.Errorf("%q is no name of a variable", name)
	case strings.ContainsAny(value, "\n\r\x00"):
		return fmt.Errorf("the value of %s holds a line break or a NUL byte, which no file of cron can", name)
	case strings.Contains(value, `"`) && strings.Contains(value, "'") && cronQuoted(value) == "":
		return fmt.Errorf("the value of %s begins or ends with a blank or a quote and holds both kinds of quotes, which cron cannot read; change it", name)
	}
	return nil
}

// cronEscaped is a command as cron reads it: a bare % would end it, and what follows would be its input.
func cronEscaped(command string) string { return strings.ReplaceAll(command, "%", `\%`) }

// cronQuoted is a value in quotes, which cron takes off but knows no escapes in; as it is where it holds both kinds and needs none;
// "" where it cannot be written.
func cronQuoted(value string) string {
	switch {
	case !strings.Contains(value, `"`):
		return `"` + value + `"`
	case !strings.Contains(value, "'"):
		return "'" + value + "'"
	case strings.Trim(value, " \t") == value && !strings.HasPrefix(value, `"`) && !strings.HasPrefix(value, "'"):
		return value
	}
	return ""
}

func (c *cron) inTable() bool { return c.Place == "crontab" }

func (c *cron) Validate() []steps.Problem {
	var problems []steps.Problem
	if !c.Absent() {
		if c.Schedule == "" {
			problems = append(problems, steps.Problem{Arg: "schedule", Summary: "a job needs a schedule", Detail: "Give five fields, such as \"30 2 * * *\", or a word such as @daily."})
		}
		if c.Command == "" {
			problems = append(problems, steps.Problem{Arg: "command", Summary: "a job needs a command", Detail: "Give what sh should run."})
		}
	}
	if c.inTable() && len(c.Environment) > 0 {
		problems = append(problems, steps.Problem{
			Arg: "environment", Summary: "variables in a crontab would be those of the jobs after it too",
			Detail: "Write them before the command (NAME=value command), or set place = \"cron.d\".",
		})
	}
	if fields := strings.Fields(c.Schedule); len(fields) == 5 && fields[2][0] != '*' && fields[4][0] != '*' {
		problems = append(problems, steps.Problem{
			Arg: "schedule", Warning: true, Summary: "the job runs on each of these days of the month, and on each of these days of the week",
			Detail: "Cron does not ask for both. Leave one of them as *, and test for the other in the command.",
		})
	}
	for name, value := range c.Environment {
		if strings.Contains(value, "$") {
			problems = append(problems, steps.Problem{
				Arg: "environment", Warning: true, Summary: "cron does not expand the $ in " + name, Detail: "Write the value out, or set the variable in the command.",
			})
		}
		if name == "CRON_TZ" {
			problems = append(problems, steps.Problem{
				Arg: "environment", Warning: true, Summary: "cron of Debian does not obey CRON_TZ", Detail: "Only cronie does; elsewhere the schedule is in the time zone of the host.",
			})
		}
	}
	slices.SortFunc(problems, func(a, b steps.Problem) int { return strings.Compare(a.Arg+a.Summary, b.Arg+b.Summary) })
	return problems
}

// file is the step as a file in /etc/cron.d.
func (c *cron) file() *kit.File {
	f := c.File
	f.Path = "/etc/cron.d/" + c.Name
	if f.Absent() {
		f.Ownership = kit.Ownership{}
		return &f
	}
	var b strings.Builder
	names := make([]string, 0, len(c.Environment))
	for name := range c.Environment {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, "%s=%s\n", name, cronQuoted(c.Environment[name]))
	}
	fmt.Fprintf(&b, "%s %s %s\n", c.Schedule, c.User, cronEscaped(c.Command))
	f.Content = &steps.Content{Text: steps.Plain(b.String())}
	return &f
}

func (c *cron) mark() string { return "# provision: " + c.Name }

// line is the job in a crontab. The crond of busybox hands a command to the shell as it is.
func (c *cron) line(busybox bool) string {
	switch {
	case c.Absent():
		return ""
	case busybox:
		return busyboxSchedule(c.Schedule) + " " + c.Command
	}
	return c.Schedule + " " + cronEscaped(c.Command)
}

// Brings implements steps.Bringer.
func (c *cron) Brings(change steps.Change) steps.Supply {
	if c.inTable() {
		return steps.Supply{}
	}
	return c.file().Brings(change)
}

// Requires implements steps.Requirer.
func (c *cron) Requires() []steps.Thing {
	if c.Absent() {
		return nil
	}
	things := []steps.Thing{{Kind: steps.UserThing, Name: c.User}}
	if c.inTable() {
		return append(things, steps.Thing{Kind: steps.CommandThing, Name: "crontab"})
	}
	return append(things, c.file().Requires()...)
}

// Batch implements steps.Batcher.
func (c *cron) Batch() (attributes, sums []string) {
	if c.inTable() {
		return nil, nil
	}
	return c.file().Batch()
}

// Settled implements steps.Settler.
func (c *cron) Settled(f *steps.Facts) []steps.Observation {
	switch {
	case !c.inTable():
		return c.file().Settled(f)
	case c.Absent():
		return []steps.Observation{{}}
	case c.line(true) != c.line(false):
		return []steps.Observation{steps.Observe("job " + c.line(false)), steps.Observe("raw yes", "job "+c.line(true))}
	}
	return []steps.Observation{steps.Observe("job " + c.line(false))}
}

func (c *cron) Probe() string {
	b := shell.Strip(cronScript)
	if !c.inTable() {
		if !c.Absent() {
			b += "cron_reader\ncron_user " + shell.Quote(c.User) + "\n"
		}
		return b + c.file().Probe()
	}
	missing := "exit 0"
	if !c.Absent() {
		missing = "{ need command crontab; exit 0; }"
	}
	user := "account passwd " + shell.Quote(c.User) + " >/dev/null || { [ $? -eq 2 ] && exit 0; exit 1; }\n"
	if !c.Absent() {
		user = "cron_user " + shell.Quote(c.User) + "\n"
	}
	b += user + "have crontab || " + missing + "\n"
	b += "l=" + shell.Quote(c.line(false)) + "\n"
	if c.line(true) != c.line(false) {
		b += "if is_busybox crontab; then say raw yes; l=" + shell.Quote(c.line(true)) + "; fi\n"
	}
	return b + fmt.Sprintf(`account passwd %[1]s >/dev/null || exit 0
t=$(cron_table %[1]s) || exit 1
[ -z "$t" ] || printf '%%s\n' "$t" | cron_jobs look %[2]s "$l"
`, shell.Quote(c.User), shell.Quote(c.mark()))
}

func (c *cron) Plan(f *steps.Facts, obs steps.Observation) (steps.Change, error) {
	if c.inTable() {
		if !c.Absent() && obs.Yes("raw") && c.Schedule == "@reboot" {
			return steps.Change{}, fmt.Errorf("the crond of busybox may not know @reboot; start the command from a service, or install cronie")
		}
		if other, yes := obs.Get("between"); yes {
			return steps.Change{}, fmt.Errorf("in the crontab of %s other lines stand between %q and the job %q, which may be another one: move them above the first of these lines if the job is this one, or remove that line", c.User, c.mark(), other)
		}
		return c.planTable(obs), nil
	}
	if reader, _ := obs.Get("reader"); reader == "busybox" {
		return steps.Change{}, fmt.Errorf("the crond of busybox does not read /etc/cron.d; set place = \"crontab\", or install cronie")
	}
	change, err := c.file().Plan(f, obs)
	if err == nil && change.Action == steps.NoOp && len(obs.Needs()) > 0 {
		// Cron has passed over the file, and looks at it again only if its time has changed.
		change.Also(steps.Attr{Name: "read by cron", Before: "no", After: "yes"}, steps.Run{Script: "touch -- " + shell.Quote("/etc/cron.d/"+c.Name)})
		change.AddNeeds(obs)
	}
	return change, err
}

// planTable compares the job in a crontab with the wanted one.
func (c *cron) planTable(obs steps.Observation) steps.Change {
	line := c.line(obs.Yes("raw"))
	jobs := obs.All("job")
	bare, copies := obs.Yes("bare"), len(obs.All("unmarked"))
	unmarked := copies > 0
	word := "set"
	change := steps.Change{Action: steps.Update}
	switch {
	case c.Absent() && len(jobs) == 0 && !bare:
		return steps.Change{Action: steps.NoOp}
	case c.Absent():
		word = "drop"
		change.Action = steps.Delete
		for _, job := range jobs {
			change.Dangers = append(change.Dangers, fmt.Sprintf("removes the job %q of %s", job, c.User))
		}
	case len(jobs) == 1 && jobs[0] == line && !bare && !unmarked && len(obs.Needs()) == 0:
		return steps.Change{Action: steps.NoOp}
	case len(jobs) == 0 && !unmarked:
		change.Action = steps.Create
	}
	there := c.Absent()
	for _, job := range jobs {
		switch {
		case there:
			if !c.Absent() && job != line {
				change.Dangers = append(change.Dangers, fmt.Sprintf("removes the job %q of %s", job, c.User))
			}
			change.Diff = append(change.Diff, steps.Attr{Name: "job", Before: job, AfterMissing: true})
		case job != line:
			change.Diff = append(change.Diff, steps.Attr{Name: "job", Before: job, After: line})
		}
		there = true
	}
	switch {
	case unmarked && !there:
		change.Diff = append(change.Diff, steps.Attr{Name: "comment", BeforeMissing: true, After: c.mark()})
		if copies > 1 {
			change.Diff = append(change.Diff, steps.Attr{Name: "the same job again", Before: line, AfterMissing: true})
		}
	case unmarked:
		change.Diff = append(change.Diff, steps.Attr{Name: "job without comment", Before: line, AfterMissing: true})
	case !there:
		change.Diff = append(change.Diff, steps.Attr{Name: "job", BeforeMissing: true, After: line})
	}
	if bare && (c.Absent() || len(jobs) > 0) {
		change.Diff = append(change.Diff, steps.Attr{Name: "comment without job", Before: c.mark(), AfterMissing: true})
	}
	if len(change.Diff) == 0 {
		change.Diff = append(change.Diff, steps.Attr{Name: "job", BeforeMissing: true, After: line})
	}
	change.Ops = []steps.Op{steps.Run{
		Script: shell.Strip(cronScript) + "cron_write " + shell.Words(c.User, word, c.mark(), line),
		Shown:  "put the job into the crontab of " + c.User,
	}}
	change.AddNeeds(obs)
	return change
}

// Follow implements steps.Follower: one table holds the jobs of many steps.
func (c *cron) Follow(before steps.Step, change steps.Change, now steps.Observation) (steps.Observation, bool) {
	b, ok := before.(*cron)
	if !ok || !c.inTable() || !b.inTable() || b.User != c.User {
		return now, true
	}
	var list []string
	if b.Name != c.Name {
		if b.Absent() || b.line(now.Yes("raw")) != c.line(now.Yes("raw")) {
			return now, true
		}
		// That step takes the same line where it stands without a comment.
		for _, line := range strings.Split(now.State(), "\n") {
			if line != "unmarked yes" {
				list = append(list, line)
			}
		}
		return steps.Observe(list...), change.Action != steps.Unknown
	}
	for _, key := range []string{"raw", "unmarked"} {
		if now.Yes(key) {
			list = append(list, key+" yes")
		}
	}
	if !b.Absent() {
		job := b.line(now.Yes("raw"))
		for _, a := range change.Diff {
			if a.Name == "job" && !a.AfterMissing {
				job = a.After // that of the crond that the host has
			}
		}
		list = append(list, "job "+job)
	}
	return steps.Observe(list...), change.Action != steps.Unknown
}
