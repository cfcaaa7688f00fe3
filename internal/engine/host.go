package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"provision/internal/event"
	"provision/internal/shell"
	"provision/internal/steps"
)

// A StepSource yields the steps of one host as far as they can be known: with nil facts before the first
// exchange, and again as facts and the results of steps arrive. results maps the address of a step to the
// object of its outputs.
type StepSource interface {
	Steps(facts *steps.Facts, results map[string]cty.Value) ([]steps.Instance, hcl.Diagnostics)
}

// A Host is one host of a run.
type Host struct {
	Name    string
	Address string // as dialled, for people
	User    string // the login user
	Become  Become // how a session becomes root where a step asks for it; unused if User is root
	Source  StepSource
}

// A hostRun is the conversation with one host from connecting to the end.
type hostRun struct {
	Host
	run    *Run
	number int // of the hosts of the run, from 1

	conversation
	known
	turns
	began     time.Time
	exchanges int

	repeats      bool                      // a step has run that runs in every apply
	said         map[string]*event.Message // by address: the messages whose turn has come
	unsaid       []int                     // the messages whose turn came before they were known
	checksFailed int
	counts       event.Counts
	outcome      event.HostStatus
}

func (h *hostRun) emit(p event.Payload) { h.run.pass(event.Event{Host: h.Name}.With(p)) }

// runAs is the user that a step's fragments run as; "" is the session's own.
func (h *hostRun) runAs(in *steps.Instance) string {
	switch {
	case in.RunAs != "" && in.RunAs != h.as:
		return in.RunAs
	case in.RunAs == "" && h.root && !in.Become:
		return h.User
	}
	return ""
}

// evaluate asks the source for the steps with what is known now.
func (h *hostRun) evaluate() error {
	if h.constant {
		return nil
	}
	instances, diags := h.Source.Steps(h.facts, h.results)
	if diags.HasErrors() {
		return diags
	}
	h.instances = instances
	h.run.keepNames(instances)
	// What is known without facts and results does not come out differently with them (cty's unknown values see to it), and
	// a thousand hosts need not be evaluated twice.
	h.constant = h.facts == nil && len(h.results) == 0 && !slices.ContainsFunc(instances, func(in steps.Instance) bool {
		return len(in.Waits) > 0 || in.Step == nil && !in.Skip
	})
	return nil
}

// unasked returns the probes that are known and not yet answered, and their addresses.
func (h *hostRun) unasked(from int) ([]Fragment, []string) {
	var fragments []Fragment
	var addrs []string
	if h.session == nil { // the one that they are for is opened with these rights
		become := h.privilege()
		h.root = become.Method != "" && become.User == ""
	}
	for i := from; i < len(h.instances); i++ {
		in := &h.instances[i]
		if in.Step == nil || in.Skip || in.Message() {
			continue
		}
		answered, yes := h.asked[in.Addr]
		if yes && h.constant {
			continue
		}
		probe, runAs := in.Step.Probe(), h.runAs(in)
		if probe == "" && in.RunAs != "" {
			probe, runAs = probeUser(in.RunAs), "" // there is nothing else to look at
		}
		if probe == "" || yes && answered == probe {
			continue
		}
		if h.asked[in.Addr] = probe; h.constant {
			h.asked[in.Addr] = "" // it will not be compared with another
		}
		fragments = append(fragments, Fragment{Text: probe, RunAs: runAs, files: batchOf(in), limit: lookLimit(in)})
		addrs = append(addrs, in.Addr)
	}
	return fragments, addrs
}

// plan gathers facts and states, and plans every step. A playbook whose arguments need no facts takes one
// exchange, whatever the number of its steps.
func (h *hostRun) plan(ctx context.Context) error {
	h.began = time.Now()
	h.known = nothingKnown(h.borrowed)
	if err := h.evaluate(); err != nil {
		return err
	}
	h.emit(event.HostConnecting{})
	fragments := []Fragment{{Text: "print_facts"}, {Text: "LOGIN=" + shell.Quote(h.User) + "\nprint_state"}}
	if h.run.Command != event.CommandPlan {
		fragments[1].Text += "\n" + sweepText() + "sweep >/dev/null 2>&1\n[ -z \"$STATE_CUT\" ] || printf '%s\\n' \"$STATE_CUT\" 2>/dev/null >\"$STATE/told\""
	}
	real, paths := h.realPaths()
	if len(paths) > 0 {
		fragments = append(fragments, real)
	}
	probes, addrs := h.unasked(0)
	answers, err := h.ask(ctx, append(fragments, probes...))
	h.keep(addrs, answers, len(fragments))
	if err != nil {
		return h.silent(err, addrs, len(answers)-len(fragments))
	}
	if answers[0].Exit != 0 {
		return fmt.Errorf("the facts of the host could not be gathered: %s", lastWords(answers[0].Stderr, 3))
	}
	h.facts = steps.ParseFacts(answers[0].Stdout)
	h.facts.Salt = h.run.Salt
	h.state = h.tookState(answers[1].Stdout)
	h.boot = h.state.boot()
	if len(paths) > 0 {
		h.keepReal(paths, answers[2])
	}
	h.emit(&event.HostConnected{Address: h.Address, User: h.User, OS: h.facts.OSName})
	if err := h.settle(ctx, 0); err != nil {
		return err
	}
	h.othersOwe()
	h.loginOwes()
	h.wasCutOff()
	return nil
}

// keep stores the answers of probes.
func (h *hostRun) keep(addrs []string, answers []steps.Observation, skip int) {
	for i, addr := range addrs {
		if i+skip < len(answers) {
			obs := answers[i+skip]
			obs.Stderr = h.run.Secrets.Text(obs.Stderr) // it is there for messages
			h.observations[addr] = obs
		} else {
			delete(h.asked, addr)
		}
	}
}

// silent says which probe the host was at when it stopped answering.
func (h *hostRun) silent(err error, addrs []string, reached int) error {
	if reached >= 0 && reached < len(addrs) {
		return fmt.Errorf("while looking at %s: %w", addrs[reached], err)
	}
	return err
}

// settle evaluates and probes until nothing more can be known before something changes, and plans the steps
// from an index on. The outputs of steps that have nothing to do are known already, so that what depends on
// them is planned too.
func (h *hostRun) settle(ctx context.Context, from int) error {
	for {
		if err := h.evaluate(); err != nil {
			return err
		}
		probes, addrs := h.unasked(from)
		if len(probes) > 0 {
			answers, err := h.ask(ctx, probes)
			h.keep(addrs, answers, 0)
			if err != nil {
				return h.silent(err, addrs, len(answers))
			}
		}
		rest := h.instances[min(from, len(h.instances)):]
		h.adopt()
		planned := planHost(h.facts, rest, h.observations, h.state, h.borrowed, h.real)
		if paths := h.unresolved(planned); len(paths) > 0 {
			if err := h.resolve(ctx, paths); err != nil {
				return err
			}
			planned = planHost(h.facts, rest, h.observations, h.state, h.borrowed, h.real)
		}
		h.cutOff(planned)
		h.planned = append(h.planned[:min(from, len(h.planned))], planned...)
		if !h.learn(from) {
			return nil
		}
	}
}
