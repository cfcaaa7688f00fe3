package kinds

import (
	"errors"
	"strings"

	"provision/internal/steps"
	"provision/internal/steps/kit"
)

// Message is the kind of message blocks.
var Message = &steps.Kind{
	Name:  "message",
	Block: steps.MessageBlock,
	Doc: `Tells a person something, in the plan or after the run.

It changes nothing and never counts as a change. Where its when is false, or where its tags are not chosen, it tells nothing. Hosts that
are told the same are told together. A text that comes out empty, such as the output of a command that printed nothing, tells nothing.

A message for the plan whose text is known only after a step ran is told after the run. Of a run that ends before its place it tells
nothing.`,
	Example: `message "address" {
  text = "The site answers at http://${host.address}/."
}

message "memory" {
  text = "This host has ${fact.memory_mb} MB of memory."
  when = fact.memory_mb < 512
  at   = "plan"
}

step "file" "note" {
  path    = "/var/tmp/demo-message"
  content = "told\n"
}
`,
	New: func() (steps.Step, steps.Args) {
		m := &message{At: "apply"}
		text := kit.ParsedArg("text", &m.Text, "What to tell: one line or several.", func(s string) (string, error) {
			if strings.TrimSpace(s) == "" {
				return "", nil
			}
			return strings.TrimRight(s, "\n"), nil // what a host printed is cleaned where it is shown
		}).Must()
		text.Constant = func() error {
			if m.Text == "" {
				return errors.New("the text is empty: write what to tell, or leave the message out")
			}
			return nil
		}
		return m, steps.Args{
			text,
			kit.EnumArg("at", &m.At, "When to tell it: in the plan, or after the run.", "plan", "apply"),
		}
	},
}

type message struct{ Text, At string }

var _ steps.Teller = (*message)(nil)

func (m *message) Validate() []steps.Problem { return nil }
func (m *message) Probe() string             { return "" }

// Tells implements steps.Teller: nothing where the text is empty.
func (m *message) Tells() (text string, planning bool) { return m.Text, m.At == "plan" }

func (m *message) Plan(*steps.Facts, steps.Observation) (steps.Change, error) {
	return steps.Change{Action: steps.NoOp}, nil
}
