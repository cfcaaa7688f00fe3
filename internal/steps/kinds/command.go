package kinds

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

var commandKind = &steps.Kind{
	Name: "command",
	Doc: `A command, run when its conditions say so.

Without a condition a command runs in every apply, and every plan says so. Give it one: creates,
removes, unless, only_if, or the meta-argument on_change. The commands of unless and only_if run
while planning too: they must only look. Once the command has run, what creates names must exist and
unless must hold; otherwise the step did not converge, which is a failure.

The command finds what a login of its user has: HOME, USER, LOGNAME, SHELL, the locale of the host
(/etc/locale.conf, /etc/default/locale) and what /etc/environment sets, in whatever way the session
became that user; env comes on top. Profiles such as .bashrc are not read.

run is a list of words that no shell expands; script is text for sh (or for the interpreter).
Secrets go in through env or stdin, never through the words of a command, which every user of the
host can read.`,
	Example: `step "command" "locale" {
  script  = "mkdir -p /opt/demo && date > /opt/demo/stamp"
  creates = "/opt/demo/stamp"
}

step "command" "ready" {
  run    = ["touch", "/opt/demo/ready"]
  unless = "test -e /opt/demo/ready"
}
`,
	Outputs: []steps.Output{
		{Name: "stdout", Type: cty.String, Doc: "What the command printed, without the final line breaks, at most 64 KiB; empty if it did not run."},
		{Name: "exit", Type: cty.Number, Doc: "Its exit status; 0 if it did not run."},
	},
	Rules: []steps.Rule{steps.OneOf("run = [\"words\", …] starts a program; script = \"text\" is run by sh.", "run", "script")},
	New: func() (steps.Step, steps.Args) {
		c := &command{}
		script := kit.ScriptArg("script", &c.Script, "Text for sh. It runs under set -e.")
		script.Interpreter = "interpreter"
		return c, steps.Args{
			kit.WordsArg("run", &c.Argv, "The command and its arguments."),
			script,
			kit.WordsArg("interpreter", &c.Interpreter, "What runs the script in place of sh, such as [\"bash\"] or [\"python3\"]: the script is a file whose path comes last."),
			kit.PathArg("creates", &c.Creates, "Do not run if this path exists. Let the command make it last, and as a whole (by mv): one that was cut off counts as run once it is there."),
			kit.PathArg("removes", &c.Removes, "Run only if this path exists."),
			kit.ScriptArg("unless", &c.Unless, "Text for sh: do not run if it exits with 0. It runs while planning too and must only look."),
			kit.ScriptArg("only_if", &c.OnlyIf, "Text for sh: run only if it exits with 0. It runs while planning too and must only look."),
			kit.ScriptArg("changed_if", &c.ChangedIf, "Text for sh, run after the command with its output in $stdout: exit 0 means that something changed. The step then raises on_change; otherwise it counts as unchanged."),
			kit.PathArg("cwd", &c.Cwd, "Working directory.").With("the user's home"),
			kit.VariablesArg("env", &c.Env, "Environment variables. They may be sensitive."),
			kit.TextArg("stdin", &c.Stdin, "Text for the standard input. It may be sensitive."),
			kit.BoolArg("repeatable", &c.CanRepeat, "Whether the command may simply run again after an interruption that leaves unknown if it ran."),
		}
	},
}

type command struct {
	Argv, Interpreter                 []string
	Script, Unless, OnlyIf, ChangedIf string
	Creates, Removes, Cwd             string
	Env                               []steps.Variable
	Stdin                             *steps.Text
	CanRepeat                         bool
}

var (
	_ steps.Settler   = (*command)(nil)
	_ steps.Bringer   = (*command)(nil)
	_ steps.Outputter = (*command)(nil)
	_ steps.Repeater  = (*command)(nil)
)

func (c *command) Validate() []steps.Problem {
	var problems []steps.Problem
	if len(c.Argv) > 0 && c.Argv[0] == "" {
		problems = append(problems, steps.Problem{Arg: "run", Summary: "the first word is empty", Detail: "It is the program to start."})
	}
	if len(c.Interpreter) > 0 && c.Script == "" {
		problems = append(problems, steps.Problem{Arg: "interpreter", Summary: "interpreter needs a script", Detail: "With run, put the program first in the list."})
	}
	return problems
}

// guarded tells whether the command has a condition of its own.
func (c *command) guarded() bool {
	return c.Creates != "" || c.Removes != "" || c.Unless != "" || c.OnlyIf != ""
}

// Repeatable implements steps.Repeater: only a condition, or the author's word, makes a second run safe.
func (c *command) Repeatable() bool { return c.CanRepeat || c.guarded() }

// Brings implements steps.Bringer.
func (c *command) Brings(steps.Change) steps.Supply { return steps.Anything() }

var _ steps.Asker = (*command)(nil)

// Asks implements Asker.
func (c *command) Asks(*steps.Facts) []steps.Thing {
	var list []steps.Thing
	for _, p := range []string{c.Creates, c.Removes, c.Cwd} {
		if p != "" {
			list = append(list, steps.Thing{Kind: steps.PathThing, Name: p})
		}
	}
	if c.Unless != "" || c.OnlyIf != "" {
		list = append(list, steps.Thing{Kind: steps.OpaqueThing})
	}
	return list
}

func (c *command) Probe() string {
	lacks := c.lacks()
	if !c.guarded() && lacks == "" {
		return ""
	}
	var b strings.Builder
	if c.Creates != "" {
		fmt.Fprintf(&b, "path_type %s || exit 1; t=$TYPE\n[ \"$t\" = absent ] || { say skip creates; exit 0; }\n", shell.Quote(c.Creates))
	}
	if c.Removes != "" {
		fmt.Fprintf(&b, "path_type %s || exit 1; t=$TYPE\n[ \"$t\" != absent ] || { say skip removes; exit 0; }\n", shell.Quote(c.Removes))
	}
	if c.Unless != "" {
		fmt.Fprintf(&b, "if ( login_environment; %seval %s ) >/dev/null 2>&1; then say skip unless; exit 0; fi\n", c.chdir("exit 1"), shell.Quote(c.Unless))
	}
	if c.OnlyIf != "" {
		fmt.Fprintf(&b, "if ( login_environment; %seval %s ) >/dev/null 2>&1; then :; else say skip only_if; exit 0; fi\n", c.chdir("exit 1"), shell.Quote(c.OnlyIf))
	}
	b.WriteString(lacks + "say run yes\n")
	return b.String()
}

// lacks is sh that reports what is missing for the command to start: its directory, and its program where the place to look for it
// is known.
func (c *command) lacks() string {
	var b strings.Builder
	if c.Cwd != "" {
		fmt.Fprintf(&b, "[ -d %[1]s ] || need directory %[1]s\n", shell.Quote(c.Cwd))
	}
	program := c.program()
	own := slices.ContainsFunc(c.Env, func(v steps.Variable) bool { return v.Name == "PATH" })
	switch {
	case path.IsAbs(program):
		fmt.Fprintf(&b, "[ -x %[1]s ] || need command %[1]s\n", shell.Quote(program))
	case program != "" && !strings.Contains(program, "/") && !own:
		fmt.Fprintf(&b, "have %[1]s || ( login_environment; have %[1]s ) || need command %[1]s\n", shell.Quote(program))
	}
	return b.String()
}

// program is what the command starts; "" is sh.
func (c *command) program() string {
	switch {
	case len(c.Argv) > 0:
		return c.Argv[0]
	case len(c.Interpreter) > 0:
		return c.Interpreter[0]
	}
	return ""
}

func (c *command) chdir(otherwise string) string {
	if c.Cwd == "" {
		return ""
	}
	return "cd -- " + shell.Quote(c.Cwd) + " 2>/dev/null || " + otherwise + "; "
}

// skipReason says why a condition keeps the command from running.
func (c *command) skipReason(condition string) string {
	switch condition {
	case "creates":
		return c.Creates + " exists"
	case "removes":
		return c.Removes + " does not exist"
	case "only_if":
		return "only_if does not hold"
	}
	return condition + " holds"
}

// skips lists the states in which the command does not run.
func (c *command) skips() []steps.Observation {
	var states []steps.Observation
	for _, condition := range []struct{ name, text string }{
		{"creates", c.Creates}, {"removes", c.Removes}, {"unless", c.Unless}, {"only_if", c.OnlyIf},
	} {
		if condition.text != "" {
			states = append(states, steps.Observe("skip "+condition.name))
		}
	}
	return states
}

// Settled implements steps.Settler.
func (c *command) Settled(*steps.Facts) []steps.Observation { return c.skips() }

func (c *command) Plan(f *steps.Facts, obs steps.Observation) (steps.Change, error) {
	if skip, yes := obs.Get("skip"); yes {
		// An earlier step may turn the condition.
		return steps.Change{Action: steps.NoOp, Reason: c.skipReason(skip), Predict: []steps.Observation{steps.Observe("run yes")}}, nil
	}
	run := steps.Run{Script: c.text(), Shown: c.shown(), Env: c.Env}
	if c.Stdin != nil {
		run.Stdin = &steps.Content{Text: *c.Stdin}
	}
	change := steps.Change{Action: steps.Execute, Ops: []steps.Op{run}, ChangedIf: c.ChangedIf, Settles: c.Creates != "" || c.Unless != ""}
	change.Diff = []steps.Attr{{Name: "command", BeforeMissing: true, After: c.shown()}}
	change.Predict = c.skips()
	change.AddNeeds(obs)
	return change, nil
}

// text is the sh of the operation.
func (c *command) text() string {
	var b strings.Builder
	b.WriteString(kit.LoginEnvironment(c.Env))
	if c.Cwd != "" {
		fmt.Fprintf(&b, "cd -- %s || exit 1\n", shell.Quote(c.Cwd))
	}
	switch {
	case len(c.Argv) > 0:
		// exec finds programs only, never a function of the prelude or a builtin.
		b.WriteString("exec " + shell.Words(c.Argv...) + "\n")
	case len(c.Interpreter) > 0 || len(c.Script) > maxWord:
		interpreter := c.Interpreter
		if len(interpreter) == 0 {
			interpreter = []string{"/bin/sh", "-e"}
		}
		fmt.Fprintf(&b, "script_file=$(mktemp) || exit 1\ntrap 'rm -f \"$script_file\"' EXIT\n")
		fmt.Fprintf(&b, "{\n%s\n} >\"$script_file\" || exit 1\n%s \"$script_file\"\n", shell.Printf([]byte(c.Script)), shell.Words(interpreter...))
	default:
		// A shell of its own: set -e would be off wherever the engine looks at the status.
		fmt.Fprintf(&b, "exec /bin/sh -e -c %s\n", shell.Quote(c.Script))
	}
	return b.String()
}

// maxWord is the length of a script that surely fits one argument: execve(2) allows 128 KiB.
const maxWord = 100 << 10

var unquoted = regexp.MustCompile(`^[A-Za-z0-9_./:=@%+,-]+$`)

func (c *command) shown() string {
	if len(c.Argv) == 0 {
		return strings.TrimRight(c.Script, "\n")
	}
	words := make([]string, len(c.Argv))
	for i, w := range c.Argv {
		if words[i] = w; !unquoted.MatchString(w) {
			words[i] = shell.Quote(w)
		}
	}
	return strings.Join(words, " ")
}

// Outputs implements steps.Outputter.
func (c *command) Outputs(_ *steps.Facts, _ steps.Observation, r steps.Result) map[string]cty.Value {
	return map[string]cty.Value{
		"stdout": cty.StringVal(strings.TrimRight(r.Stdout, "\n")),
		"exit":   cty.NumberIntVal(int64(r.Exit)),
	}
}
