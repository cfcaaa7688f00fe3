// Package savedplan has plans as they lie in a file: the file, whether a plan that was made anew is the same, and whether what a run is about to
// do is within what was approved with one.
package savedplan

import (
	"time"

	"provision/internal/event"
	"provision/internal/steps"
)

// Format is the version of the format of saved plans. It grows when an older provision could not read, or would misread, a
// newer file.
const Format = 2

// A Plan is a plan as it lies in a file: what people read, and what it takes to find out whether it still holds. It has no
// operations, which are computed anew when it is applied, and no secrets: what they enter into is there as a salted hash. As
// JSON it is one object whose first key is provision_plan.
type Plan struct {
	Format    int              `json:"provision_plan"` // Format
	Version   string           `json:"version,omitempty"`
	Run       string           `json:"run"` // id of the run that made it
	Made      time.Time        `json:"made"`
	By        string           `json:"by,omitempty"` // who made it, and where: "ann@laptop"
	Playbook  string           `json:"playbook"`     // absolute path
	Typed     string           `json:"typed"`        // the same as the user wrote it
	Selection *event.Selection `json:"selection,omitempty"`

	// Salt is that of the run, and the key of all hashes; hexadecimal.
	Salt string `json:"salt"`

	// Inputs is a hash of what the playbook was computed from: its files, the values of variables, the local files that it reads.
	Inputs string `json:"inputs"`

	Shown []event.PlanStep `json:"shown"` // what is shown of the steps, each only once for all hosts
	Hosts []Host           `json:"hosts"` // in the order of the inventory
}

// A Host is the plan of one host.
type Host struct {
	Name    string `json:"name"`
	Address string `json:"address"` // host:port as dialled
	User    string `json:"user"`
	Facts   string `json:"facts,omitempty"` // hash of the facts that a playbook sees; "" if no play takes the host
	Steps   []Step `json:"steps,omitempty"`

	Messages []event.Message `json:"messages,omitempty"` // that the plan told
}

// A Step is what was planned for one step, check blocks apart: they change nothing, and the state that they look at is
// for them to judge. The hashes are "" where there is nothing to hash: nothing is looked at, or the step was not known yet.
type Step struct {
	Shown  int    `json:"shown"`            // index into Plan.Shown
	Probe  string `json:"probe,omitempty"`  // of what is asked on the host, and as whom
	State  string `json:"state,omitempty"`  // of the answer
	Change string `json:"change,omitempty"` // of what would run, in the observed state and in the predicted ones, with all contents
}

// Steps returns what is shown of a host's steps, in their order.
func (p *Plan) Steps(h *Host) []event.PlanStep {
	list := make([]event.PlanStep, len(h.Steps))
	for i, s := range h.Steps {
		list[i] = p.Shown[s.Shown]
	}
	return list
}

// Changes tells whether the plan has anything to do.
func (p *Plan) Changes() bool {
	for i := range p.Shown {
		if p.Shown[i].Action != steps.NoOp || len(p.Shown[i].Events) > 0 {
			return true
		}
	}
	return false
}

// Replay gives a Sink the events of the plan as they were, as far as the file has them: what shows a plan shows a saved one.
func (p *Plan) Replay(sink event.Sink) {
	tell := func(host string, what event.Payload) {
		sink.Event(event.Event{Time: p.Made, Run: p.Run, Host: host}.With(what))
	}
	tell("", &event.RunStart{
		Schema: event.Schema, Command: event.CommandPlan, Playbook: p.Typed, Hosts: len(p.Hosts), Version: p.Version, Owner: p.By, Selection: p.Selection,
	})
	totals := map[event.HostStatus]int{}
	for i := range p.Hosts {
		h := &p.Hosts[i]
		end := &event.HostEnd{Status: event.HostOK}
		if h.Facts == "" {
			end.Status, end.Message = event.HostSkipped, "no play takes it"
		} else {
			counts := event.Counts{}
			for _, s := range p.Steps(h) {
				if !s.Data {
					counts[string(s.Action)]++
				}
				tell(h.Name, &s)
			}
			for j := range h.Messages {
				tell(h.Name, &h.Messages[j])
			}
			tell(h.Name, &event.HostPlanned{Counts: counts})
		}
		totals[end.Status]++
		tell(h.Name, end)
	}
	tell("", &event.RunEnd{Status: "ok", Totals: totals})
}
