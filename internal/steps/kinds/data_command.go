package kinds

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

var commandData = &steps.Kind{
	Name:  "command",
	Block: steps.DataBlock,
	Doc: `What a command prints that only looks.

It runs in every plan and in every apply, as often as its answer is needed, and that it changes nothing is your promise: nobody
checks it. What changes something belongs into a step. A status other than 0 is an error, unless may_fail is true.

Nobody but you knows what it looks at. So while an earlier step has anything to do, whatever that is, the answer is known after that step.

The command finds what a login of its user has, as that of a step does. It has no standard input. It takes no secrets, since it runs
while planning.`,
	Example: `data "command" "kernel" {
  run = ["uname", "-r"]
}

data "command" "running" {
  script   = "pgrep -x demo-daemon"
  may_fail = true
}

step "file" "note" {
  path    = "/var/tmp/demo-data-command"
  content = "kernel ${data.command.kernel.stdout}\n"
  when    = data.command.running.exit != 0
}
`,
	Rules: []steps.Rule{steps.OneOf("run = [\"words\", …] starts a program; script = \"text\" is run by sh.", "run", "script")},
	Outputs: []steps.Output{
		{Name: "stdout", Type: cty.String, Doc: "What the command printed, without the final line breaks. More than 64 KiB is an error."},
		{Name: "stderr", Type: cty.String, Doc: "What it wrote to standard error, likewise; at most the last 4 KiB."},
		{Name: "lines", Type: cty.List(cty.String), Doc: "The lines of stdout."},
		{Name: "exit", Type: cty.Number, Doc: "Its exit status."},
	},
	New: func() (steps.Step, steps.Args) {
		c := &commandLook{}
		return c, steps.Args{
			kit.WordsArg("run", &c.Argv, "The command and its arguments."),
			kit.ScriptArg("script", &c.Script, "Text for sh. It runs under set -e."),
			kit.PathArg("cwd", &c.Cwd, "Working directory.").With("the user's home"),
			kit.StringMapArg("env", &c.Env, "Environment variables."),
			kit.BoolArg("may_fail", &c.MayFail, "Whether a status other than 0 is an answer, in exit."),
			kit.BoolArg("sensitive", &c.Sensitive, "Whether what it prints is a secret. What it writes to standard error is not kept then."),
		}
	},
}

type commandLook struct {
	looking
	Argv               []string
	Script, Cwd        string
	Env                map[string]string
	MayFail, Sensitive bool
}

var (
	_ steps.Chooser   = (*commandLook)(nil)
	_ steps.Asker     = (*commandLook)(nil)
	_ steps.Outputter = (*commandLook)(nil)
)

func (c *commandLook) Validate() []steps.Problem {
	var problems []steps.Problem
	if len(c.Argv) > 0 && c.Argv[0] == "" {
		problems = append(problems, steps.Problem{Arg: "run", Summary: "the first word is empty", Detail: "It is the program to start."})
	}
	for name := range c.Env {
		if !shellName(name) {
			problems = append(problems, steps.Problem{Arg: "env", Summary: fmt.Sprintf("%q is no name of a variable", name), Detail: "Letters, digits and _ are, a digit not first."})
		}
	}
	return problems
}

func shellName(name string) bool {
	for i, c := range name {
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

// Asks implements steps.Asker.
func (c *commandLook) Asks(*steps.Facts) []steps.Thing {
	return []steps.Thing{{Kind: steps.OpaqueThing}}
}

// Probe lets the output pass through a pipe, so that one without end is cut. An error ends with status 1: 119 would be taken for a user
// that is not there.
func (c *commandLook) Probe() string {
	var b strings.Builder
	b.WriteString("look() {\n")
	given := slices.Sorted(maps.Keys(c.Env))
	b.WriteString(shell.Words(append([]string{"login_environment"}, given...)...) + "\n")
	for _, name := range given {
		fmt.Fprintf(&b, "export %s=%s\n", name, shell.Quote(c.Env[name]))
	}
	if c.Cwd != "" {
		fmt.Fprintf(&b, "cd -- %s || exit 1\n", shell.Quote(c.Cwd))
	}
	if len(c.Argv) > 0 {
		program := shell.Quote(c.Argv[0])
		fmt.Fprintf(&b, "command -v %[1]s >/dev/null 2>&1 || { printf 'there is no command %%s\\n' %[1]s >&2; exit 127; }\n", program)
		b.WriteString("exec " + shell.Words(c.Argv...) + "\n}\n")
	} else {
		b.WriteString("exec /bin/sh -e -c " + shell.Quote(c.Script) + "\n}\n")
	}
	quiet := ""
	if c.Sensitive {
		quiet = " 2>/dev/null"
	}
	b.WriteString(piped("{ ( look ) </dev/null"+quiet+" 3>&- 4>&-; printf '%s' \"$?\" >&3; }", "out"))
	if !c.MayFail {
		b.WriteString("[ \"$status\" = 0 ] || [ \"$status\" = 141 ] || fail \"the command ended with status $status\"\n")
	}
	b.WriteString("say exit \"$status\"\n")
	return b.String()
}

func (c *commandLook) stdout(obs steps.Observation) string {
	return strings.TrimRight(strings.Join(obs.All("out"), "\n"), "\n")
}

func (c *commandLook) Plan(_ *steps.Facts, obs steps.Observation) (steps.Change, error) {
	change := steps.Change{Action: steps.NoOp}
	out := c.stdout(obs)
	if len(out) > dataLimit {
		return change, fmt.Errorf("the command printed more than %d bytes: let it print less", dataLimit)
	}
	if status, _ := obs.Get("exit"); status == "141" && !c.MayFail { // SIGPIPE: its own, since nothing was cut
		return change, errors.New("the command ended with status 141")
	}
	if _, err := textValue("what the command printed", out); err != nil {
		return change, err
	}
	return change, nil
}

// Outputs implements steps.Outputter.
func (c *commandLook) Outputs(_ *steps.Facts, obs steps.Observation, _ steps.Result) map[string]cty.Value {
	const most = 4 << 10
	out := c.stdout(obs)
	said := strings.TrimRight(strings.ToValidUTF8(obs.Stderr, "\uFFFD"), "\n")
	said = strings.ToValidUTF8(said[max(0, len(said)-most):], "")
	values := map[string]cty.Value{
		"stdout": cty.StringVal(out), "lines": textLines(out), "stderr": cty.StringVal(said), "exit": kit.NumberOutput(obs, "exit"),
	}
	secretIf(c.Sensitive, values, "stdout", "lines", "stderr")
	return values
}
