package kinds

import (
	"os"
	osuser "os/user"
	"strings"
	"testing"

	"provision/internal/steps"
)

// TestSchedules compares with what cron of Debian 3.0pl1 and cronie 1.7.2 run, or pass over.
func TestSchedules(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ schedule, want, fails string }{
		{"* * * * *", "* * * * *", ""},
		{"  */5\t8-18/2   1,15 jan-mar,DEC Mon-Fri ", "*/5 8-18/2 1,15 jan-mar,DEC Mon-Fri", ""},
		{"0 0 29 2 *", "0 0 29 2 *", ""},
		{"0 0 31 4,5 *", "0 0 31 4,5 *", ""},
		{"0 0 31 4 mon", "0 0 31 4 mon", ""},
		{"0 0 * * 7", "0 0 * * 7", ""},
		{"@reboot", "@reboot", ""},
		{"", "", "0 fields in place of 5"},
		{"* * * *", "", "4 fields in place of 5"},
		{"* * * * * root", "", "6 fields in place of 5"},
		{"60 * * * *", "", `field 1, the minute, is "60": 60 is not from 0 to 59`},
		{"* 24 * * *", "", `field 2, the hour, is "24"`},
		{"* * 0 * *", "", `field 3, the day of the month, is "0"`},
		{"* * * 13 *", "", `field 4, the month`},
		{"* * * foo *", "", `"foo" is no number and no name (jan, feb`},
		{"* * * mon *", "", `"mon" is no number and no name`},
		{"* * * * 8", "", `field 5, the day of the week, is "8": 8 is not from 0 to 7`},
		{"* * * * fri-sun", "", "the range fri-sun ends before it begins; write 5-7"},
		{"* * * * sat-mon", "", "write 6-6,0-1"},
		{"* 22-2 * * *", "", "write 22-23,0-2"},
		{"0/10 * * * *", "", "a step needs a range or a star; write 0-59/10"},
		{"*/0 * * * *", "", `the step "0" is no number from 1 to 59`},
		{"*/ * * * *", "", `the step "" is no number`},
		{"1, * * * *", "", "a number is missing"},
		{"-1 * * * *", "", "a number is missing"},
		{"+1 * * * *", "", `"+1" is no number`},
		{"~ * * * *", "", `"~" is no number`},
		{"? * * * *", "", `"?" is no number`},
		{"0 0 30 2 *", "", "there is no day 30 in month 2"},
		{"0 0 31 2,4,6 *", "", "there is no day 31 in month 2,4,6"},
		{"@every_minute", "", `"@every_minute" is none of @reboot`},
		{"@daily\n* * * * *", "", "a schedule is one line of ASCII"},
		{"٣ * * * *", "", "a schedule is one line of ASCII"},
	} {
		got, err := parseSchedule(c.schedule)
		if got != c.want || (err == nil) != (c.fails == "") || err != nil && !strings.Contains(err.Error(), c.fails) {
			t.Errorf("%q: %q, %v; want %q, %q", c.schedule, got, err, c.want, c.fails)
		}
	}
}

func TestBusyboxSchedules(t *testing.T) {
	t.Parallel()
	for schedule, want := range map[string]string{
		"@daily": "0 0 * * *", "@weekly": "0 0 * * 0", "*/5 * * 7 mon": "*/5 * * 7 mon", "1 2 * * 5-7": "1 2 * * 0,5,6", "1 2 * * 0-7": "1 2 * * 0,1,2,3,4,5,6", "@reboot": "",
	} {
		if got := busyboxSchedule(schedule); got != want {
			t.Errorf("%s: %q, want %q", schedule, got, want)
		}
	}
}

func TestCronCommands(t *testing.T) {
	t.Parallel()
	for command, fails := range map[string]string{
		"date +%F 'a b' \\n": "", strings.Repeat("x", 998): "",
		strings.Repeat("x", 999): "999 bytes", strings.Repeat("%", 500): "1000 bytes", "": "is empty", " x": "blanks around", "a\nb": "one line", "a\r": "one line", "a\x00": "NUL",
		`sed s/\\//`: "two backslashes", `date +\%F`: "one before a %",
	} {
		if _, err := parseCronCommand(command); (err == nil) != (fails == "") || err != nil && !strings.Contains(err.Error(), fails) {
			t.Errorf("%q: %v, want %q", command, err, fails)
		}
	}
}

// crontabStandIn is a crontab(1) whose table is the file tab, for machines without cron.
const crontabStandIn = `cd "$WORK" || exit 1
crontab() {
	[ "$1" != -u ] || shift 2
	case $1 in
	-l) [ -e tab ] || { echo "no crontab for me" >&2; return 1; }; cat tab ;;
	-) cat >tab.new; mv tab.new tab ;;
	esac
}
`

// TestCronKeepsTheTable sets and drops jobs beside those of others.
func TestCronKeepsTheTable(t *testing.T) {
	t.Parallel()
	const job = "name = \"a\"\nplace = \"crontab\"\nuser = \"$ME\"\nschedule = \"@daily\"\ncommand = \"echo '%d'\"\n"
	const absent = "name = \"a\"\nplace = \"crontab\"\nuser = \"$ME\"\nstate = \"absent\"\n"
	const mine = "# provision: a\n@daily echo '\\%d'\n"
	const others = "MAILTO=\"\"\n\n#x\n\\* * * * * odd \\\\ line  \n  * * * * * b\n# provision: ab\n@daily b\n"
	me, err := osuser.Current()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, before, args, after string }{
		{"no table", "", job, mine},
		{"end", others, job, others + mine},
		{"no last break", "#x", job, "#x\n" + mine},
		{"there", others + mine, job, others + mine},
		{"changed, in its place", "# provision: a\n@hourly old\n" + others, job, mine + others},
		{"twice", mine + others + "# provision: a\n1 2 3 4 5 c\n#z\n", job, mine + others + "#z\n"},
		{"commented out", "# provision: a\n#@daily echo '\\%d'\n" + others, job, mine + "#@daily echo '\\%d'\n" + others},
		{"comment between", "# provision: a\n# why\n@daily echo '\\%d'\n" + others, job, "# provision: a\n# why\n@daily echo '\\%d'\n" + others},
		{"comment between, other schedule", "# provision: a\n# why\n # when\n1 2 3 4 5 echo '\\%d'\n" + others, job, "# provision: a\n# why\n # when\n@daily echo '\\%d'\n" + others},
		{"commented out, with a comment", "# provision: a\n# why\n#@daily echo '\\%d'\n\n@daily b\n", job, mine + "# why\n#@daily echo '\\%d'\n\n@daily b\n"},
		{"commented out, absent", "# provision: a\n# why\n#1 2 * jan mon old\n" + others, absent, "# why\n#1 2 * jan mon old\n" + others},
		{"variable between", "# provision: a\nA = b\n1 2 3 4 5 echo '\\%d'\n", job, "# provision: a\nA = b\n@daily echo '\\%d'\n"},
		{"variable after a comment without job", "# provision: a\nA = b\n# provision: b\n@daily b\n", job, mine + "A = b\n# provision: b\n@daily b\n"},
		{"variable after a comment without job, absent", "# provision: a\n\"A\" = b\n", absent, "\"A\" = b\n"},
		{"comment between, twice", mine + "# provision: a\n# why\n1 2 3 4 5 echo '\\%d'\n#z\n", job, mine + "# why\n#z\n"},
		{"empty line between", "# provision: a\n\n@daily echo '\\%d'\n" + others, job, "# provision: a\n\n@daily echo '\\%d'\n" + others},
		{"empty line between, other schedule", "# provision: a\n \t\n1 2 3 4 5  echo '\\%d'\n#z\n", job, "# provision: a\n \t\n@daily echo '\\%d'\n#z\n"},
		{"empty lines after a comment without job", "# provision: a\n\n\n# provision: b\n@daily b\n\n", job, mine + "\n\n# provision: b\n@daily b\n\n"},
		{"empty lines at the end", "#x\n\n\n", job, "#x\n\n\n" + mine},
		{"carriage returns", "#x\r\n# provision: a\r\n@daily echo '\\%d'\r\n@hourly b\r\n", job, "#x\r\n" + mine + "@hourly b\r\n"},
		{"carriage returns, empty line between", "# provision: a\r\n\r\n@hourly echo '\\%d'\r\n", job, "# provision: a\n\r\n@daily echo '\\%d'\n"},
		{"carriage returns, absent", "#x\r\n# provision: a\r\n@daily b\r\n#y", absent, "#x\r\n#y\n"},
		{"blanks behind the comment", "# provision: a \t\n@daily echo '\\%d'\n", job, "# provision: a \t\n@daily echo '\\%d'\n"},
		{"edited by hand", "#x\n# provision: a\n  1-5  * * * * other   \n@hourly b\n", job, "#x\n" + mine + "@hourly b\n"},
		{"comment removed, other schedule", "@hourly echo '\\%d'\n", job, "@hourly echo '\\%d'\n" + mine},
		{"comment at the end", others + "# provision: a\n", job, others + mine},
		{"comment twice in a row", "# provision: a\n" + mine, job, mine},
		{"without comment", "#x\n@daily echo '\\%d'\n#y\n", job, "#x\n" + mine + "#y\n"},
		{"without comment, twice", "@daily echo '\\%d'\n#y\n@daily echo '\\%d'\n", job, mine + "#y\n"},
		{"of another step", "# provision: b\n@daily echo '\\%d'\n", job, "# provision: b\n@daily echo '\\%d'\n" + mine},
		{"of another step, behind both comments", "# provision: a\n# provision: b\n#x\n@daily echo '\\%d'\n", job, mine + "# provision: b\n#x\n@daily echo '\\%d'\n"},
		{"without comment, and with", "@daily echo '\\%d'\n#y\n" + mine, job, mine + "#y\n"},
		{"absent", others + mine + "#z\n", absent, others + "#z\n"},
		{"absent, the last one", mine, absent, ""},
		{"absent, of others", others, absent, others},
		{"absent, no table", "", absent, ""},
		{"absent, without comment", "@daily echo '\\%d'\n", absent, "@daily echo '\\%d'\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, sh := range availableShells(t, "") {
				h := &host{shell: sh, work: t.TempDir()}
				if c.before != "" {
					if err := os.WriteFile(h.work+"/tab", []byte(c.before), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				h.before = strings.ReplaceAll(crontabStandIn, "$WORK", h.work)
				got := h.settled(t, stepOf(t, "cron", strings.ReplaceAll(c.args, "$ME", me.Username)))
				if text, _ := os.ReadFile(h.work + "/tab"); got != "" || string(text) != c.after {
					t.Errorf("%v: %s; %q, want %q", sh, got, text, c.after)
				}
			}
		})
	}
}

// Nobody can tell whose job it is that follows a mark, lines that are no job, and no command of the step: it is left alone.
func TestCronAsksWhoseAJobIs(t *testing.T) {
	t.Parallel()
	me, err := osuser.Current()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{
		{"# of somebody\n", "schedule = \"@daily\"\ncommand = \"job\"\n"},
		{"# of somebody\n", "state = \"absent\"\n"},
		{"\n", "schedule = \"@daily\"\ncommand = \"job\"\n"},
		{"\r\n", "state = \"absent\"\n"},
		{"MAILTO=\"\"\n", "schedule = \"@daily\"\ncommand = \"job\"\n"},
		{"\n# of somebody\n  A = b\n", "state = \"absent\"\n"},
	} {
		table, args := "# provision: a\n"+c[0]+"@hourly other\n", c[1]
		for _, sh := range availableShells(t, "") {
			h := &host{shell: sh, work: t.TempDir()}
			if err := os.WriteFile(h.work+"/tab", []byte(table), 0o600); err != nil {
				t.Fatal(err)
			}
			h.before = strings.ReplaceAll(crontabStandIn, "$WORK", h.work)
			step := stepOf(t, "cron", "name = \"a\"\nplace = \"crontab\"\nuser = \""+me.Username+"\"\n"+args)
			if _, err := step.Plan(steps.ParseFacts(defaultFacts), h.probe(t, step, true)); err == nil || !strings.Contains(err.Error(), `between "# provision: a" and the job "@hourly other"`) {
				t.Errorf("%v: %v", sh, err)
			}
		}
	}
}

// TestCronWritesTheFile makes /etc/cron.d/NAME in a private copy of /etc, with a stand-in for the daemon.
func TestCronWritesTheFile(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		lack(t, "root, for a private /etc")
		return
	}
	step := stepOf(t, "cron", `
name        = "provision-test"
schedule    = "@daily"
command     = "date '+%F'"
environment = { MAILTO = "", A = "x \"y\"" }
`)
	for _, sh := range availableShells(t, "") {
		h := &host{shell: sh, work: t.TempDir(), enter: privateSystem(t)}
		h.before = "cron() { :; }\nmkdir -p /etc/cron.d\n"
		// The private copy ends with its process, so that all happens in one.
		change, err := step.Plan(steps.ParseFacts(defaultFacts), h.probe(t, step, true))
		if err != nil || len(change.Ops) != 1 {
			t.Fatalf("%v: %v, %v", sh, change, err)
		}
		put, ok := change.Ops[0].(steps.Put)
		if want := "A='x \"y\"'\nMAILTO=\"\"\n@daily root date '+\\%F'\n"; !ok || put.Content.Text.Reveal() != want || put.Mode != "644" || put.Owner != "root" {
			t.Errorf("%v: %+v, want %q", sh, put, want)
		}
		h.before += "cat >/etc/cron.d/provision-test <<'X'\n" + put.Content.Text.Reveal() + "X\n"
		if change, err = step.Plan(steps.ParseFacts(defaultFacts), h.probe(t, step, true)); err != nil || change.Action != steps.NoOp {
			t.Errorf("%v: %v, %v", sh, change, err)
		}
	}
}

// Of two jobs with the mark one stays, and the plan says which goes.
func TestCronTellsOfAJobThatGoes(t *testing.T) {
	t.Parallel()
	step := stepOf(t, "cron", "name = \"a\"\nplace = \"crontab\"\nschedule = \"@daily\"\ncommand = \"job\"\n")
	change, err := step.Plan(steps.ParseFacts(defaultFacts), steps.Observe("job @daily job", "job @hourly other", "job @daily job"))
	if err != nil || len(change.Dangers) != 1 || change.Dangers[0] != `removes the job "@hourly other" of root` {
		t.Errorf("%q, %v", change.Dangers, err)
	}
}
