package kinds

import (
	_ "embed"
	"fmt"
	"path"
	"regexp"
	"strings"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

var waitForKind = &steps.Kind{
	Name: "wait_for",
	Doc: `Waiting until a port accepts connections, a path exists, or a command succeeds.

Planning looks once. If the condition holds, there is nothing to do; otherwise the step waits, looking
again every interval, and fails after the time-out. Waiting never counts as a change.

A port of the host itself is looked up in the kernel's list of listening sockets, so nothing is
connected to and no tool is needed. A port of another host is connected to from the host that the
step runs on, with bash, python or nc, whichever is there. With absent the step waits until the port
is closed, the path is gone, or the command fails. The command runs while planning too and must
only look.`,
	Example: `step "wait_for" "boot" {
  path = "/proc/1/stat"
}

step "wait_for" "quiet" {
  port   = 59999
  absent = true
}
`,
	Rules: []steps.Rule{steps.OneOf("Write one step for each thing to wait for.", "port", "path", "command")},
	Checks: []steps.Check{
		{Name: "command", Value: "[\"words\"]", Arg: "command", Words: true},
		{Name: "script", Value: "\"text\"", Arg: "command"},
		{Name: "port", Value: "NUMBER", Arg: "port"},
		{Name: "path", Value: "\"/path\"", Arg: "path"},
	},
	New: func() (steps.Step, steps.Args) {
		w := &waitFor{Host: "127.0.0.1", Timeout: 300, Interval: 2}
		return w, steps.Args{
			kit.OptIntArg("port", &w.Port, 1, 65535, "A TCP port."),
			kit.StringArg("host", &w.Host, "Name or address of the host that has the port.").With("127.0.0.1"),
			kit.PathArg("path", &w.Path, "A path on the host."),
			kit.ScriptArg("command", &w.Command, "Text for sh that exits with 0 once the wait is over. It runs while planning too."),
			kit.BoolArg("absent", &w.Absent, "Wait for the opposite."),
			kit.SecondsArg("timeout", &w.Timeout, "How long to wait at most."),
			kit.SecondsArg("interval", &w.Interval, "How long to pause between two looks."),
		}
	},
}

type waitFor struct {
	Port                *int
	Host, Path, Command string
	Absent              bool
	Timeout, Interval   int
}

var (
	_ steps.Bringer = (*waitFor)(nil)
	_ steps.Patient = (*waitFor)(nil)
)

func (w *waitFor) Validate() []steps.Problem {
	var problems []steps.Problem
	if w.Port != nil && !hostPattern.MatchString(w.Host) {
		problems = append(problems, steps.Problem{Arg: "host", Summary: fmt.Sprintf("%q is no name or address of a host", w.Host), Detail: "Give it without a scheme and without the port."})
	}
	return problems
}

// local tells whether the port is one of the host itself.
func (w *waitFor) local() bool {
	return w.Host == "" || w.Host == "localhost" || w.Host == "::1" || strings.HasPrefix(w.Host, "127.")
}

func (w *waitFor) subject() string {
	switch {
	case w.Path != "":
		return w.Path
	case w.Command != "":
		return "the command"
	case w.local():
		return fmt.Sprintf("port %d", *w.Port)
	}
	return fmt.Sprintf("%s port %d", w.Host, *w.Port)
}

// words are the condition that is waited for, and what is said if it never holds.
func (w *waitFor) words() (until, instead string) {
	switch {
	case w.Command != "" && w.Absent:
		return "fails", "still succeeds"
	case w.Command != "":
		return "succeeds", "still fails"
	case w.Port != nil && w.Absent:
		return "is closed", "is still open"
	case w.Port != nil:
		return "is open", "is not open"
	case w.Absent:
		return "is gone", "is still there"
	}
	return "is there", "is not there"
}

// look defines the function look, whose status is 0 if the condition of presence holds, 1 if it does not, 2 if the host cannot tell,
// with the reason on stderr, and 127 if it has nothing to find out with. A command prints to $look_log.
func (w *waitFor) look() string {
	switch {
	case w.Path != "":
		return fmt.Sprintf("look() { [ ! -e %[1]s ] || return 0; path_type %[1]s || return 2; return 1; }\n", shell.Quote(w.Path))
	case w.Command != "":
		// Whatever the status is, it is the command's own: a program that is not there yet, which the shell reports as 127, fails too.
		return fmt.Sprintf("look() { ( eval %s ) </dev/null >\"$look_log\" 2>&1; look_exit=$?; [ \"$look_exit\" = 0 ] || return 1; }\n", shell.Quote(w.Command))
	case w.local():
		// In state 0A a socket listens; addresses and ports are hexadecimal (proc(5)).
		return fmt.Sprintf(`look() {
	set -- /proc/net/tcp
	[ ! -r /proc/net/tcp6 ] || set -- "$@" /proc/net/tcp6
	awk '$4 == "0A" && $2 ~ /:%04X$/ { found = 1; exit } END { exit !found }' "$@"
}
`, *w.Port)
	}
	return kit.PortOpen() + fmt.Sprintf("look() { port_open %s %d; }\n", shell.Quote(w.Host), *w.Port)
}

func (w *waitFor) Probe() string {
	return "look_log=/dev/null\n" + w.look() + `look
case $? in
0) say there yes ;;
2) exit 1 ;;
127) need command 'bash or nc or python3' ;;
*) say there no ;;
esac
`
}

// Brings implements steps.Bringer: what was waited for is there.
func (w *waitFor) Brings(steps.Change) steps.Supply {
	switch {
	case w.Absent:
		return steps.Supply{}
	case w.Path != "":
		s := steps.Supply{Things: []steps.Thing{{Kind: steps.PathThing, Name: w.Path}}, Trees: []string{w.Path}, May: []string{steps.RunningThing}}
		s.AddDirectory(path.Dir(w.Path))
		return s
	case w.Port != nil:
		return steps.Supply{May: []string{steps.RunningThing}}
	}
	return steps.Anything()
}

func (w *waitFor) Plan(_ *steps.Facts, obs steps.Observation) (steps.Change, error) {
	if needs := obs.Needs(); len(needs) > 0 {
		return steps.Change{Action: steps.Unknown, Needs: needs, Predict: []steps.Observation{steps.Observe("there yes"), steps.Observe("there no")}}, nil
	}
	there, _ := obs.Get("there")
	wanted, other := "yes", "no"
	if w.Absent {
		wanted, other = other, wanted
	}
	if there == wanted {
		// An earlier step may restart what is there now: then it is waited for.
		return steps.Change{Action: steps.NoOp, Predict: []steps.Observation{steps.Observe("there " + other)}}, nil
	}
	until, _ := w.words()
	return steps.Change{
		Action:    steps.Execute,
		Reason:    fmt.Sprintf("waits until %s %s, at most %s", w.subject(), until, kit.Duration(w.Timeout)),
		Ops:       []steps.Op{steps.Run{Script: w.script()}},
		ChangedIf: steps.Never,
		Predict:   []steps.Observation{steps.Observe("there " + wanted)},
	}, nil
}

// script waits. Of a command it shows in the end what it printed, and its last lines as the reason.
func (w *waitFor) script() string {
	var b strings.Builder
	if w.Command != "" {
		b.WriteString("look_log=$(mktemp) || exit 1\ntrap 'rm -f \"$look_log\"' EXIT\ntrap 'exit 143' HUP INT TERM\n")
	}
	b.WriteString(w.look())
	holds := `[ "$look_status" = 0 ]`
	if w.Absent {
		holds = `[ "$look_status" != 0 ] && [ "$look_status" != 2 ]`
	}
	fmt.Fprintf(&b, `waited=0
while :; do
	look
	look_status=$?
	[ "$look_status" != 127 ] || exit 1
	%s && exit 0
	[ "$waited" -lt %d ] || break
	sleep %d
	waited=$((waited + %d))
done
`, holds, w.Timeout, w.Interval, w.Interval)
	_, instead := w.words()
	message := fmt.Sprintf("%s %s after %s", w.subject(), instead, kit.Duration(w.Timeout))
	if w.Command == "" {
		fmt.Fprintf(&b, "[ \"$look_status\" != 2 ] || fail %s\n", shell.Quote("the user of this step may not see "+w.subject()+"; set become = true"))
		fmt.Fprintf(&b, "fail %s\n", shell.Quote(message+"; look at what should bring it, or raise timeout"))
		return b.String()
	}
	if w.Absent {
		fmt.Fprintf(&b, "fail %s\n", shell.Quote(message+"; look at what should end it, or raise timeout"))
		return b.String()
	}
	fmt.Fprintf(&b, `cat "$look_log" >&2
# The shell's own messages begin with the name of the program that runs the steps.
why=$(awk 'NF { sub(/^(E: )?[^ ]*\/program(\[[0-9]+\])?: ((eval|exec|[a-z_]+\[[0-9]+\]|([a-z_]+: )?line [0-9]+|[0-9]+): )*/, ""); line[++n] = substr($0, 1, 300) } END { for (i = n > 3 ? n - 2 : 1; i <= n; i++) printf "%%s%%s", (s++ ? "; " : ""), line[i] }' "$look_log")
case $F_UID:$why in
0:*) ;;
*'ermission denied'* | *'peration not permitted'*) why="$why (does it need become = true?)" ;;
esac
fail %s" with status $look_exit${why:+: $why}"
`, shell.Quote(message))
	return b.String()
}

var hostPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.:-]*[A-Za-z0-9])?$|^::1$`)

// Patience implements steps.Patient.
func (w *waitFor) Patience() int { return w.Timeout }
