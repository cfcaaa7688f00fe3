package engine

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"provision/internal/event"
	"provision/internal/steps"
)

// statusNoUser is the status of a fragment whose user does not exist (function fragment in
// library.sh).
const statusNoUser = 119

// A Planned is a step of one host with what it would change.
type Planned struct {
	steps.Instance
	Change steps.Change
	After  []string // the earlier steps, or "fact", that an unknown change waits for; of a no-op, after which it is looked at again
	Events []string // events of on_change that this step will see
	Err    error    // the plan is wrong here, or the state could not be told
	Loan   *loan    // another host runs the step for this one

	observed bool
	obs      steps.Observation
	foreseen []steps.Observation // the states that earlier steps may leave it
	owedGate bool                // an earlier run owes the step a notification
	alert    bool                // it watches a step that has nothing to do now and may wake
}

// Pending tells whether the step has something to do, or may have.
func (p *Planned) Pending() bool {
	return !p.Passive() && p.Err == nil && p.Change.Action != steps.NoOp
}

// HostState is what a host says beside the states of its steps.
type HostState struct {
	Session string          // PID.START.BOOT of the shell that answered
	Pending map[string]bool // notifications still owed, by name
	Lock    string          // owner of a lock that is held; "" if none is
	Begun   map[string]bool // steps that earlier runs began and never ended, by the name of their mark

	// What runs of other playbooks owe or began, by the same names: the title of one of these playbooks.
	OthersPending map[string]string
	OthersBegun   map[string]string

	// The step that the last program was at when it was killed, the title of its playbook, and the owner of the program; "" if it was not.
	Cut, CutOf, CutOwner string

	LoginPending map[string]bool // as Pending, of runs of the login user without root: to root, who answered, they are not owed

	Unpacks bool   // it has gzip and base64
	Run     string // where programs run
}

// boot is the id of the boot of the host.
func (s *HostState) boot() string {
	if parts := strings.SplitN(s.Session, ".", 3); len(parts) == 3 {
		return parts[2]
	}
	return ""
}

// parseHostState reads an answer of print_state to a run of the playbook with a title.
func parseHostState(out, title string) HostState {
	st := HostState{Pending: map[string]bool{}, Begun: map[string]bool{}, OthersPending: map[string]string{}, OthersBegun: map[string]string{}, LoginPending: map[string]bool{}}
	own := titleName(title)
	kept := func(file string, ours map[string]bool, others map[string]string) {
		name, of, _ := strings.Cut(file, ".")
		if of == own {
			ours[name] = true
		} else if title, err := url.PathUnescape(of); err == nil {
			others[name] = cmp.Or(title, "another playbook")
		}
	}
	for _, line := range strings.Split(out, "\n") {
		key, value, _ := strings.Cut(line, " ")
		switch key {
		case "session":
			st.Session = value
		case "pending":
			kept(value, st.Pending, st.OthersPending)
		case "login_pending":
			kept(value, st.LoginPending, map[string]string{})
		case "lock":
			st.Lock = value
		case "begun":
			kept(value, st.Begun, st.OthersBegun)
		case "run":
			st.Run = value
		case "cut":
			title, addr, _ := strings.Cut(value, " ")
			if st.Cut = addr; title != own {
				st.CutOf, _ = url.PathUnescape(title)
				st.CutOf = cmp.Or(st.CutOf, "another playbook")
			}
		case "cut_owner":
			st.CutOwner = value
		case "unpacks":
			st.Unpacks = true
		}
	}
	return st
}

// begunEvent is in the name of the mark that a step began.
const begunEvent = "begun"

// notification names what is owed to a step when one that it watches changes. Names are the same
// whichever machine runs the playbook.
func notification(in *steps.Instance, event string) string {
	sum := sha256.Sum256([]byte(in.Play + "\x00" + in.Addr + "\x00" + event))
	return hex.EncodeToString(sum[:12])
}

// titleName is the title of a playbook as the end of the names of files with which a host remembers what its runs owe: the steps of another
// playbook may have the same addresses.
func titleName(title string) string {
	const most = 200 // of 255 bytes that a name may have
	name := url.PathEscape(title)
	if len(name) <= most {
		return name
	}
	sum := sha256.Sum256([]byte(title))
	return "..." + hex.EncodeToString(sum[:8])
}

// planHost is the pure heart of a plan: from what was observed to what each step would change.
// real are the paths of the host without symbolic links, as far as they were asked for.
func planHost(f *steps.Facts, instances []steps.Instance, observations map[string]steps.Observation, state HostState, borrowed map[string]*loan, real map[string]string) []Planned {
	h := &hostPlanner{facts: f, state: state, observations: observations, pending: map[string]bool{}, waking: map[string]bool{}, unknown: map[string]bool{}, written: map[string]string{}, real: real}
	planned := make([]Planned, len(instances))
	for i := range instances {
		if l := borrowed[instances[i].Addr]; l != nil && !instances[i].Skip {
			planned[i] = Planned{Instance: instances[i], Loan: l, Change: steps.Change{Action: steps.NoOp, Reason: "runs once, on " + l.host.Name}}
			h.pending[instances[i].Addr] = l.changes()
			planned[i].obs = observations[instances[i].Addr]
			h.stir(&planned[i])
			continue
		}
		p := &planned[i]
		*p = h.plan(instances[i])
		if p.Aside() {
			continue // no other step hears of it but by its outputs
		}
		h.stir(p)
		if p.Pending() {
			h.pending[p.Addr] = !p.Change.Quiet()
			h.append(p)
		} else if p.Err != nil && !p.Proceed || len(h.order) > 0 && p.mayWake() {
			h.append(p)
			h.waking[p.Addr] = p.mayWake()
		}
	}
	return planned
}

type hostPlanner struct {
	facts        *steps.Facts
	state        HostState
	observations map[string]steps.Observation
	pending      map[string]bool   // addresses of earlier steps that will or may change something
	waking       map[string]bool   // addresses of earlier steps that have nothing to do now and may wake
	order        []earlier         // the pending ones, in order, with those that may wake and those that would if they could be planned
	stirring     []stirring        // the steps, in order, that may change what data look at
	unknown      map[string]bool   // addresses of those whose change is not known yet
	written      map[string]string // by path: the content that earlier steps give a file
	real         map[string]string
}

func (h *hostPlanner) plan(in steps.Instance) Planned {
	p := Planned{Instance: in, Change: steps.Change{Action: steps.NoOp}}
	switch {
	case in.Skip:
		if p.Change.Reason = "its condition is false"; in.LeftOut {
			p.Change.Reason = event.ReasonLeftOut
		}
		return p
	case in.Unresolved != nil:
		p.Err = in.Unresolved
		return p
	case len(in.Waits) > 0 || in.Step == nil:
		p.Change.Action = steps.Unknown
		p.After = in.Waits
		h.overwritten(&p)
		return p
	}
	if in.Aside() {
		h.observe(&p)
		h.stirred(&p)
		return p
	}
	for _, sources := range in.OnChange {
		p.alert = p.alert || slices.ContainsFunc(sources, func(addr string) bool { return h.waking[addr] })
	}
	h.observe(&p)
	h.foresee(&p)
	h.succeed(&p)
	h.shake(&p)
	if p.Change.Action == steps.Unknown {
		h.overwritten(&p)
	}
	h.gate(&p)
	switch {
	case p.Err != nil:
		p.Change = steps.Change{Action: steps.NoOp}
	case p.Change.Action != steps.Unknown:
		h.events(&p)
	}
	return p
}

// observe plans the change from the observation.
func (h *hostPlanner) observe(p *Planned) {
	obs, seen := h.observations[p.Addr]
	p.obs, p.observed = obs, seen
	if !seen && p.Step.Probe() != "" {
		p.Err = fmt.Errorf("its state was not reached: the host did not answer that far")
		return
	}
	var lacking []steps.Thing
	switch {
	case obs.Exit == statusNoUser && p.Step.Probe() == "":
		// What it does is known; it is who does it that is missing.
		p.obs, p.observed = steps.Observation{}, false
		lacking = []steps.Thing{{Kind: steps.UserThing, Name: p.RunAs}}
	case obs.Exit != 0:
		h.blind(p)
		return
	}
	change, err := p.Step.Plan(h.facts, p.obs)
	if err != nil {
		if by := h.overturned(h.looks(p)); by != "" {
			p.Change = steps.Change{Action: steps.Unknown, Reason: withoutAdvice(oneLine(err.Error()))}
			p.After = []string{by}
			return
		}
		p.Err = err
		return
	}
	p.Change = change
	p.Change.Needs = append(lacking, change.Needs...)
	h.needs(p)
}

// foresee finds the states that earlier steps may leave to the step, and notes what it writes itself. Where an earlier step surely
// changes what this one is about, the plan is that of the state that it leaves, or known later: the state of now says nothing.
func (h *hostPlanner) foresee(p *Planned) {
	change := p.Change
	if f, ok := p.Step.(steps.Foreseer); ok && len(h.written) > 0 && !steps.Salted(p.Step.Probe()) {
		p.foreseen = f.Foresee(func(path string) (string, bool) { text, known := h.written[path]; return text, known })
		if len(p.foreseen) > 0 {
			then, err := p.Step.Plan(h.facts, p.foreseen[0])
			if err != nil {
				p.foreseen = nil
			}
			change = then
		}
	}
	for _, r := range p.supply().Replaced {
		maps.DeleteFunc(h.written, func(path, _ string) bool { return strings.HasPrefix(path, strings.TrimSuffix(r.Path, "/")+"/") })
	}
	if by := h.overtaken(p); by != "" {
		if p.After = []string{by}; len(p.foreseen) == 0 {
			p.Change = steps.Change{Action: steps.Unknown}
			return
		}
		if p.Change = change; len(change.Diff) == 0 {
			p.Change = steps.Change{Action: steps.NoOp}
		}
	}
	if p.Err != nil {
		return
	}
	for _, op := range change.Ops {
		put, ok := op.(steps.Put)
		switch {
		case !ok || put.Content.Tree != nil:
		case put.Content.Local == nil && !put.Content.Text.Sensitive():
			h.written[put.Path] = put.Content.Text.Reveal()
		case put.Content.Local != nil && put.Content.Local.Preview != nil:
			h.written[put.Path] = string(put.Content.Local.Preview)
		default:
			delete(h.written, put.Path)
		}
	}
}

// overwritten notes that nobody knows what the files hold that a step may write.
func (h *hostPlanner) overwritten(p *Planned) {
	supply := p.supply()
	for _, t := range supply.Things {
		if delete(h.written, t.Name); t.Name == "" {
			clear(h.written)
		}
	}
	maps.DeleteFunc(h.written, func(path, _ string) bool {
		return slices.ContainsFunc(slices.Concat(supply.Trees, supply.Gone), func(tree string) bool {
			return tree == "" || path == tree || strings.HasPrefix(path, strings.TrimSuffix(tree, "/")+"/")
		})
	})
}

// overtaken returns the latest earlier step that surely changes the files that a step is about to change; "" if none does.
func (h *hostPlanner) overtaken(p *Planned) string {
	switch {
	case len(h.order) == 0 || p.Err != nil || p.Check || !p.observed:
		return ""
	case p.Change.Action == steps.NoOp && len(p.foreseen) == 0:
		return "" // see shake
	case p.Change.Action == steps.Unknown || p.Change.Action == steps.Execute:
		return ""
	}
	own := h.own(p)
	if len(p.Change.Needs) > 0 {
		return h.uncovered(own)
	}
	if p.Change.Action == steps.Update {
		own = append(own, p.accounts()...)
		own = append(own, p.about())
	}
	return h.altered(own)
}

// own are the places that a step makes, changes or removes.
func (h *hostPlanner) own(p *Planned) []steps.Thing {
	supply := p.supply()
	var own []steps.Thing
	for _, t := range supply.Things {
		switch t.Kind {
		case steps.FileThing, steps.PathThing, steps.DirectoryThing, steps.OwnThing:
			own = append(own, t)
		}
	}
	if a, ok := p.Step.(steps.Asker); ok {
		own = append(own, slices.DeleteFunc(a.Asks(h.facts), func(t steps.Thing) bool { return t.Kind != steps.OwnThing })...)
	}
	for _, path := range slices.Concat(supply.Trees, supply.Gone) {
		own = append(own, steps.Thing{Kind: steps.FileThing, Name: path})
	}
	return own
}

// accounts are the users and groups that a step needs, and their homes.
func (p *Planned) accounts() []steps.Thing {
	return slices.DeleteFunc(p.requires(), func(t steps.Thing) bool {
		return t.Kind != steps.UserThing && t.Kind != steps.GroupThing && t.Kind != steps.HomeThing
	})
}

// uncovered returns the latest earlier step after which places that are missing now are behind a link, or on a file system, that may
// hold them; "" if there is none. Behind a link to what an earlier step makes is nothing yet.
func (h *hostPlanner) uncovered(own []steps.Thing) string {
	for before := range h.changing() {
		for _, r := range before.supply.Replaced {
			over := steps.Supply{Replaced: []steps.Replaced{r}}
			if !slices.ContainsFunc(own, func(t steps.Thing) bool { return over.Alters(t, h.path) }) {
				continue
			}
			if by, _ := h.source(steps.Thing{Kind: steps.DirectoryThing, Name: r.To}); r.To == "" || by == "" {
				return before.Addr
			}
		}
	}
	return ""
}

// shake finds the earlier steps that may change the state of a step which is as wanted now.
func (h *hostPlanner) shake(p *Planned) {
	if len(h.order) == 0 || p.Err != nil || p.Check || p.Change.Action != steps.NoOp || !p.observed || len(p.After) > 0 {
		return
	}
	looks := h.looks(p)
	if by := h.altered(append(p.accounts(), looks...)); by != "" {
		if !h.robbed(p, p.requires()) {
			p.Change.Action, p.After = steps.Unknown, []string{by}
		}
	} else if by := h.disturbed(looks); by != "" {
		p.After = []string{by}
	}
}

// stirred lets what data found count for nothing if an earlier step may change what it looks at: it is looked at again after that.
func (h *hostPlanner) stirred(p *Planned) {
	if len(p.Change.Needs) > 0 && p.Err == nil {
		return // the user whom it looks as is still to come
	}
	by := ""
	if p.Data() && p.observed {
		looks := h.looks(p)
		if f, led := p.Step.(steps.Finder); led {
			looks = append(looks, f.Found(p.obs)...)
		}
		by = h.stirs(looks)
	}
	switch {
	case by != "":
		p.Change, p.After, p.Err = steps.Change{Action: steps.Unknown}, []string{by}, nil
	case p.Err != nil:
		p.Change = steps.Change{Action: steps.NoOp}
	}
}

// gate applies on_change = [...]: the step runs only if one of those changes, or if an earlier run
// still owes it.
func (h *hostPlanner) gate(p *Planned) {
	sources, gated := p.OnChange[""]
	if !gated || p.Err == nil && p.Change.Action == steps.NoOp {
		return
	}
	p.owedGate = h.state.Pending[notification(&p.Instance, "")]
	by := h.raised(sources)
	switch {
	case (p.owedGate || by != "") && (p.Err != nil || p.Change.Action == steps.Unknown):
	case p.owedGate && h.state.Lock != "":
		p.Change.Reason = "owed: a run that is still going on (" + h.state.Lock + ") changed what it watches, and has not come to this step yet"
	case p.owedGate:
		p.Change.Reason = "owed: an earlier run changed what it watches, and did not come to this step"
	case by == "":
		// It will not even be looked at, so that nothing which it lacks matters.
		p.Change, p.Err, p.After = steps.Change{Action: steps.NoOp, Reason: "nothing that it watches changes"}, nil, nil
	case h.unknown[by]:
		p.Change.Action, p.After = steps.Unknown, []string{by}
	default:
		p.Change.Reason = "because " + by + " changes"
	}
}

// events applies on_change = { EVENT = [...] }.
func (h *hostPlanner) events(p *Planned) {
	handler, ok := p.Step.(steps.Handler)
	if !ok {
		return
	}
	for _, event := range handler.Events() {
		sources, watched := p.OnChange[event]
		if !watched {
			continue
		}
		owed := h.state.Pending[notification(&p.Instance, event)]
		by := h.raised(sources)
		if !owed && by == "" || len(handler.Handle(h.facts, event, p.Change)) == 0 {
			continue
		}
		p.Events = append(p.Events, event)
		why := event + ": owed by an earlier run"
		if h.state.Lock != "" {
			why = event + ": owed by a run that is still going on (" + h.state.Lock + ")"
		}
		unsure := !owed && h.unknown[by]
		switch {
		case unsure:
			why = event + ": if " + by + " changes something"
		case by != "":
			why = event + ": " + by + " changes"
		}
		if p.Change.Action == steps.NoOp {
			if p.Change.Action = steps.Execute; unsure {
				p.Change.Action, p.After = steps.Unknown, []string{by}
			}
			p.Change.Dangers = append(slices.Clone(p.Change.Dangers), event+"s "+p.Addr)
		}
		p.Change.Reason = strings.TrimPrefix(p.Change.Reason+"; "+why, "; ")
	}
}

// raised returns the first of the steps that is pending, or "".
func (h *hostPlanner) raised(sources []string) string {
	by := ""
	for _, addr := range sources {
		if h.pending[addr] && (by == "" || h.unknown[by] && !h.unknown[addr]) {
			by = addr
		}
	}
	return by
}

// An earlier step with what it brings, which is asked once and not for each later step.
type earlier struct {
	*Planned
	supply steps.Supply
}

func (h *hostPlanner) append(p *Planned) {
	h.order = append(h.order, earlier{p, p.supply()})
	// Of what asks itself whether it has changed anything nobody knows before.
	if p.Change.Action == steps.Unknown || p.Change.ChangedIf != "" && !p.Change.Quiet() {
		h.unknown[p.Addr] = true
	}
}

// cases returns what the program does in each state that the step may be in when its turn comes: the
// observed one, and those that the step predicts. What is met beyond these is planned anew.
func (p *Planned) cases(f *steps.Facts) []stateCase {
	if p.Step == nil {
		return nil
	}
	if p.Step.Probe() == "" {
		change, err := p.Step.Plan(f, steps.Observation{})
		if err != nil {
			return nil
		}
		return []stateCase{p.stateCase(f, steps.Observation{}, change)}
	}
	var list []stateCase
	add := func(obs steps.Observation) (steps.Change, bool) {
		change, err := p.Step.Plan(f, obs)
		if err != nil || len(change.Needs) > 0 || change.Action == steps.Unknown {
			return change, false
		}
		for _, c := range list {
			if c.state == obs.State() {
				return change, true
			}
		}
		list = append(list, p.stateCase(f, obs, change))
		return change, true
	}
	predicted := append(slices.Clone(p.foreseen), p.Change.Predict...)
	if p.observed && p.obs.Exit == 0 {
		change, _ := add(p.obs)
		predicted = append(predicted, change.Predict...)
	}
	for _, obs := range predicted {
		add(obs)
	}
	return list
}

// settled returns the states that the step says to be the wanted ones, and those of them in which some numbers are not known.
func (p *Planned) settled(f *steps.Facts) (states, alike []string) {
	settler, ok := p.Step.(steps.Settler)
	if !ok {
		return nil, nil
	}
	for _, obs := range settler.Settled(f) {
		state := obs.State()
		change, err := p.Step.Plan(f, obs.Numbered())
		switch {
		case err != nil || len(change.Needs) > 0 || unsettles(&change):
		case obs.AnyNumber():
			alike = append(alike, state)
		default:
			states = append(states, state)
		}
	}
	return states, alike
}

func (p *Planned) stateCase(f *steps.Facts, obs steps.Observation, change steps.Change) stateCase {
	c := stateCase{state: obs.State(), change: change}
	handler, ok := p.Step.(steps.Handler)
	if !ok {
		return c
	}
	c.handlers = map[string][]steps.Op{}
	for _, event := range handler.Events() {
		if _, watched := p.OnChange[event]; watched {
			c.handlers[event] = handler.Handle(f, event, change)
		}
	}
	return c
}
