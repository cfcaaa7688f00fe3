package kinds

import (
	"errors"
	"fmt"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

var assertKind = &steps.Kind{
	Name: "assert",
	Doc: `Something that must be so, or the host is not touched from here on.

A condition is an expression on facts, variables, and outputs of other steps. A script is text for sh that must
succeed; it runs on the host while planning too and must only look. Where it can be told before anything is changed, the plan
fails: no step of the host runs. What earlier steps of the run decide is looked at when the step's turn
comes; then the step fails, and those after it do not run.

The message says what is wrong and what to do about it. With continue_on_error a run goes on in spite of it. The
step changes nothing, whatever it finds.`,
	Example: `step "assert" "memory" {
  condition = fact.memory_mb >= 64
  message   = "The demo needs 64 MB of memory: give the machine more."
}

step "assert" "writable" {
  script  = "test -w /var/tmp"
  message = "Nobody can write to /var/tmp: mount it read-write."
}

step "file" "marker" {
  path    = "/var/tmp/demo-assert"
  content = "checked\n"
}
`,
	Rules: []steps.Rule{steps.OneOf("Write one step for each thing that must be so.", "condition", "script")},
	New: func() (steps.Step, steps.Args) {
		s := &assert{}
		return s, steps.Args{
			kit.OptBoolArg("condition", &s.Condition, "What must be true."),
			kit.ScriptArg("script", &s.Script, "Text for sh that must exit with 0."),
			kit.StringArg("message", &s.Message, "What is wrong if it is not so, and what to do.").Must(),
		}
	},
}

type assert struct {
	Condition       *bool
	Script, Message string
}

var _ steps.Asker = (*assert)(nil)

func (s *assert) Validate() []steps.Problem {
	if s.Message == "" {
		return []steps.Problem{{Arg: "message", Summary: "the message is empty", Detail: "Say what is wrong and what to do."}}
	}
	return nil
}

// Asks implements steps.Asker.
func (s *assert) Asks(*steps.Facts) []steps.Thing {
	if s.Script == "" {
		return nil
	}
	return []steps.Thing{{Kind: steps.OpaqueThing}}
}

// Probe says the last line that a script printed before it failed.
func (s *assert) Probe() string {
	if s.Script == "" {
		return ""
	}
	return fmt.Sprintf(`said=$( ( login_environment; eval %s ) 2>&1 </dev/null )
status=$?
if [ "$status" = 0 ]; then
	say holds yes
	exit 0
fi
say holds no
say status "$status"
last=$(printf '%%s\n' "$said" | awk 'NF { last = $0 } END { print substr(last, 1, 300) }')
[ -z "$last" ] || say said "$last"
`, shell.Quote(s.Script))
}

func (s *assert) Plan(_ *steps.Facts, obs steps.Observation) (steps.Change, error) {
	if s.Condition != nil {
		if !*s.Condition {
			return steps.Change{}, errors.New(s.Message)
		}
		return steps.Change{Action: steps.NoOp}, nil
	}
	if obs.Yes("holds") {
		return steps.Change{Action: steps.NoOp}, nil
	}
	status, _ := obs.Get("status")
	why := "the script ended with status " + status
	if said, there := obs.Get("said"); there {
		why += ": " + said
	}
	return steps.Change{}, fmt.Errorf("%s (%s)", s.Message, why)
}
