package ui

import (
	"encoding/json"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/maruel/natural"

	"provision/internal/event"
	"provision/internal/steps"
)

// A Plan is a Sink that collects what the hosts' plans say, to be shown by Text or Markdown
// once the planning is over.
type Plan struct {
	mu       sync.Mutex
	playbook string
	hosts    map[string]*hostPlan
	messages messages
	duration time.Duration
}

type hostPlan struct {
	name    string
	steps   []*event.PlanStep // in playbook order, no-ops too
	places  map[string]int    // where the step of an address is in steps
	done    bool              // all steps are there
	trouble string            // what is wrong with the host itself: "unreachable: connection refused"
	hint    string            // what to do about it
	leftOut bool              // it is planned, and apply changes nothing on it
	skipped bool              // no play takes it
}

// NewPlan returns a Plan without hosts.
func NewPlan() *Plan { return &Plan{hosts: map[string]*hostPlan{}} }

// Event implements engine.Sink.
func (p *Plan) Event(e event.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.RunStart != nil {
		p.playbook = e.RunStart.Playbook
	}
	if e.RunEnd != nil && e.RunEnd.Duration > 0 {
		p.duration = time.Duration(e.RunEnd.Duration)
	}
	if e.Host == "" {
		return
	}
	h := p.hosts[e.Host]
	if h == nil {
		h = &hostPlan{name: e.Host, places: map[string]int{}}
		p.hosts[e.Host] = h
	}
	switch {
	case e.PlanStep != nil:
		h.add(e.PlanStep)
	case e.Message != nil && e.Message.At == event.AtPlan:
		p.messages.add(e.Host, e.Message)
	case e.HostPlanned != nil:
		h.done, h.trouble, h.hint = true, "", ""
		if d := time.Duration(e.HostPlanned.Duration); d > p.duration {
			p.duration = d
		}
	case e.HostUnreachable != nil && !h.done:
		h.trouble, h.hint = "unreachable: "+Line(e.HostUnreachable.Message), Line(e.HostUnreachable.Hint)
	case e.HostLocked != nil && !e.HostLocked.Waits && !h.done:
		h.trouble = "locked by " + Line(e.HostLocked.Owner)
	case e.HostEnd != nil:
		h.end(e.HostEnd)
	}
}

// end takes the end of a host. Once a host is planned, only an end that the planning brought belongs to the plan.
func (h *hostPlan) end(e *event.HostEnd) {
	switch {
	case e.Status == event.HostSkipped:
		h.skipped = true
		return
	case h.done && (!e.Planning || e.Status == event.HostOK):
		return
	case h.done:
		if h.leftOut = true; e.BySteps {
			return // the steps say why
		}
	case h.trouble != "":
		return
	}
	h.trouble = strings.ReplaceAll(string(e.Status), "_", " ")
	if e.Message != "" {
		h.trouble += ": " + Line(e.Message)
	}
}

// unplanned returns the steps that cannot be planned.
func (h *hostPlan) unplanned() []*event.PlanStep {
	var list []*event.PlanStep
	for _, s := range h.steps {
		if s.Error != nil {
			list = append(list, s)
		}
	}
	return list
}

// add takes a step in; one that is planned anew replaces what it was.
func (h *hostPlan) add(s *event.PlanStep) {
	if i, ok := h.places[s.Addr]; ok {
		h.steps[i] = s
		return
	}
	h.places[s.Addr] = len(h.steps)
	h.steps = append(h.steps, s)
}

// Changes returns how many steps of all hosts would change something or cannot be known yet. Steps that cannot be planned
// are not among them.
func (p *Plan) Changes() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, h := range p.hosts {
		n += h.toDo()
	}
	return n
}

// toDo counts the steps that would change something or cannot be known yet.
func (h *hostPlan) toDo() int {
	n := 0
	for _, s := range h.listed(false) {
		if s.Error == nil && !s.Data {
			n++
		}
	}
	return n
}

// listed returns the steps that a plan lists: those that are not no-ops, or all of them. A step that cannot be planned is
// no no-op.
func (h *hostPlan) listed(all bool) []*event.PlanStep {
	if all {
		return h.steps
	}
	var some []*event.PlanStep
	for _, s := range h.steps {
		if s.Action != steps.NoOp || len(s.Events) > 0 || s.Error != nil {
			some = append(some, s)
		}
	}
	return some
}

// A group is a set of hosts that a plan changes in the same way.
type group struct {
	hosts []string
	steps []*event.PlanStep
	keys  map[string]bool // of the steps: what they come to, in full
	own   map[string]int  // by address: how many forms a step has that differs from host to host; steps has that of the first host
	alike *group          // an earlier group that this one is told by, or nil
}

// groups puts together the hosts with the same plan: the largest group first, and each further
// one told by the differences to the most similar one before it if they share most steps.
func (p *Plan) groups(all bool) []*group {
	bySignature := map[string]*group{}
	var groups []*group
	names := make([]string, 0, len(p.hosts))
	for name, h := range p.hosts {
		if h.done || len(h.steps) > 0 {
			names = append(names, name)
		}
	}
	slices.SortStableFunc(names, natural.Compare)
	forms := map[string]map[string]int{}
	if !all {
		forms = p.forms(names)
	}
	for _, name := range names {
		listed := p.hosts[name].listed(all)
		own := forms[shape(listed)]
		var signature strings.Builder
		for _, s := range listed {
			signature.WriteString(groupKey(s, own) + "\n")
		}
		g := bySignature[signature.String()]
		if g == nil {
			g = &group{steps: listed, keys: map[string]bool{}, own: own}
			for _, s := range listed {
				g.keys[groupKey(s, own)] = true
			}
			bySignature[signature.String()] = g
			groups = append(groups, g)
		}
		g.hosts = append(g.hosts, name)
	}
	sort.SliceStable(groups, func(i, j int) bool {
		if a, b := len(groups[i].steps) == 0, len(groups[j].steps) == 0; a != b {
			return b // what needs nothing comes last
		}
		return len(groups[i].hosts) > len(groups[j].hosts)
	})
	for i, g := range groups {
		best := 0
		for _, other := range groups[:i] {
			if n := g.shared(other); n > best && other.alike == nil {
				best, g.alike = n, other
			}
		}
		if g.alike != nil && (best*2 < len(g.steps) || best*2 < len(g.alike.steps)) {
			g.alike = nil
		}
	}
	return groups
}

func (g *group) shared(other *group) int {
	n := 0
	for key := range g.keys {
		if other.keys[key] {
			n++
		}
	}
	return n
}

// forms finds, for each shape that plans have, the steps that differ from host to host, such as a file with the host's name in it,
// and in how many forms they come. Hosts are not told apart by them: an odd one among many that are equal still stands out.
func (p *Plan) forms(names []string) map[string]map[string]int {
	hosts := map[string]int{}
	seen := map[string]map[string]map[string]bool{} // shape, address, form
	for _, name := range names {
		listed := p.hosts[name].listed(false)
		key := shape(listed)
		hosts[key]++
		if seen[key] == nil {
			seen[key] = map[string]map[string]bool{}
		}
		for _, s := range listed {
			if seen[key][s.Addr] == nil {
				seen[key][s.Addr] = map[string]bool{}
			}
			seen[key][s.Addr][stepKey(s)] = true
		}
	}
	forms := map[string]map[string]int{}
	for key, steps := range seen {
		forms[key] = map[string]int{}
		for addr, own := range steps {
			if n := len(own); n >= 3 && 2*n > hosts[key] {
				forms[key][addr] = n
			}
		}
	}
	return forms
}

// shape is what the plans of hosts have in common whose steps differ in values only.
func shape(list []*event.PlanStep) string {
	var b strings.Builder
	for _, s := range list {
		b.WriteString(stepShape(s) + "\n")
	}
	return b.String()
}

func stepShape(s *event.PlanStep) string {
	bare := *s
	bare.Path, bare.Reason, bare.Dangers, bare.Diff = "", "", nil, nil
	for _, a := range s.Diff {
		bare.Diff = append(bare.Diff, steps.Attr{Name: a.Name, Sensitive: a.Sensitive, BeforeMissing: a.BeforeMissing, AfterMissing: a.AfterMissing})
	}
	return stepKey(&bare)
}

func groupKey(s *event.PlanStep, own map[string]int) string {
	if own[s.Addr] > 0 {
		return stepShape(s)
	}
	return stepKey(s)
}

// stepKey holds everything that is shown of a step, so that two steps with the same key look
// the same.
func stepKey(s *event.PlanStep) string {
	data, err := json.Marshal(s)
	if err != nil {
		panic(err) // a struct of strings
	}
	return string(data)
}

// planCounts are the numbers of a plan.
type planCounts struct {
	byAction  map[steps.Action]int // of the steps that could be planned
	total     int                  // steps of all hosts
	unplanned int                  // of them, that cannot be planned
	again     int                  // of them, that are as wanted now and that an earlier step may change
	planned   []string             // hosts that have a plan, as people count; the next three are a part of them
	dirty     int                  // that have, or may have, something to do
	clean     []string             // that need nothing
	cleanSum  int                  // steps of these
	unchosen  int                  // steps that were left out, since other tags were chosen
	faulty    []string             // with a step that cannot be planned
	without   []string             // that have no plan
	leftOut   []string             // that have a plan, and that apply leaves as they are
	skipped   []string             // that no play takes
}

func (p *Plan) counts() planCounts {
	c := planCounts{byAction: map[steps.Action]int{}}
	for name, h := range p.hosts {
		if !h.done && len(h.steps) == 0 {
			switch {
			case h.skipped:
				c.skipped = append(c.skipped, name)
			case h.trouble != "":
				c.without = append(c.without, name)
			}
			continue
		}
		for _, s := range h.steps {
			if s.Action == steps.NoOp && len(s.After) > 0 {
				c.again++
			}
			switch {
			case s.Error != nil:
			case s.Data:
				continue
			case s.Reason == event.ReasonLeftOut:
				c.unchosen++
			case s.Action == steps.NoOp && len(s.Events) > 0:
				c.byAction[steps.Execute]++ // it is as wanted, and restarts all the same
			default:
				c.byAction[s.Action]++
			}
			c.total++
		}
		c.planned = append(c.planned, name)
		unplanned := len(h.unplanned())
		c.unplanned += unplanned
		if h.toDo() > 0 {
			c.dirty++
		}
		switch {
		case unplanned > 0:
			c.faulty = append(c.faulty, name)
		case h.trouble == "" && h.toDo() == 0:
			c.clean = append(c.clean, name)
			for _, s := range h.steps {
				if s.Reason != event.ReasonLeftOut && !s.Data {
					c.cleanSum++
				}
			}
		}
		switch {
		case h.leftOut:
			c.leftOut = append(c.leftOut, name)
		case h.trouble != "":
			c.without = append(c.without, name)
		}
	}
	for _, names := range [][]string{c.planned, c.clean, c.faulty, c.without, c.leftOut, c.skipped} {
		slices.SortStableFunc(names, natural.Compare)
	}
	return c
}

// troubled returns the hosts with which something is wrong that is no matter of a step.
func (p *Plan) troubled() []string {
	var names []string
	for name, h := range p.hosts {
		if h.trouble != "" {
			names = append(names, name)
		}
	}
	slices.SortStableFunc(names, natural.Compare)
	return names
}

// dangers returns what must not be missed, each with the hosts that it is about, in the order
// of the steps.
func (p *Plan) dangers() (texts []string, hosts map[string][]string) {
	hosts = map[string][]string{}
	names := p.counts().planned
	for _, name := range names {
		for _, s := range p.hosts[name].steps {
			for _, text := range stepDangers(s) {
				if hosts[text] == nil {
					texts = append(texts, text)
				}
				hosts[text] = append(hosts[text], name)
			}
		}
	}
	return texts, hosts
}

// stepDangers names what a step breaks: what its kind warns of, and every deletion, restart
// and reboot, whether or not the kind said so.
func stepDangers(s *event.PlanStep) []string {
	var texts []string
	for _, d := range s.Dangers {
		texts = append(texts, Line(s.Addr)+": "+Line(d))
	}
	if len(texts) == 0 && s.Action == steps.Delete {
		what := ""
		for _, a := range s.Diff {
			if a.AfterMissing && what == "" {
				what = " " + Line(a.Name)
				if !a.Sensitive && a.Before != "" && !strings.Contains(a.Before, "\n") {
					what += " " + Line(a.Before)
				}
			}
		}
		texts = append(texts, Line(s.Addr)+": deletes"+what)
	}
	for _, event := range s.Events {
		if (event == "restart" || event == "reboot") && len(s.Dangers) == 0 {
			texts = append(texts, Line(s.Addr)+": "+event+"s")
		}
	}
	return texts
}
