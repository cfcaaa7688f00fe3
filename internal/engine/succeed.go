package engine

import (
	"slices"
	"strings"

	"provision/internal/steps"
)

// succeed plans a step for what earlier steps surely leave of the very thing that it is about: they make what it is to remove, make what
// it would make, or change what it changes too. Where that state is known the plan is of it; otherwise the step is known later.
func (h *hostPlanner) succeed(p *Planned) {
	if len(h.order) == 0 || p.Err != nil || p.Check || !p.observed || p.obs.Exit != 0 {
		return
	}
	if h.kin(p) {
		return
	}
	switch p.Change.Action {
	case steps.NoOp:
		if gone := p.removes(); len(gone) > 0 {
			h.comes(p, gone)
			return
		}
		if h.blocked(p, p.supply().Things) {
			return
		}
	case steps.Create:
		if h.made(p) {
			return
		}
	case steps.Update:
		if h.blocked(p, h.own(p)) {
			return
		}
	case steps.Delete:
		h.goes(p)
		return
	case steps.Execute:
		h.spared(p)
		return
	default:
		return
	}
	before, ok := h.predecessor(p)
	if !ok || len(p.foreseen) > 0 {
		return
	}
	if obs, exact := h.inherited(p, before); exact && h.follow(p, obs, before.Addr) {
		return
	}
	if h.contradicts(p, before) {
		h.later(p, before.Addr)
	}
}

// kin plans a step for what earlier steps of its kind leave, where the kind can tell.
func (h *hostPlanner) kin(p *Planned) bool {
	f, ok := p.Step.(steps.Follower)
	if !ok {
		return false
	}
	obs, by := p.obs, ""
	if len(obs.Needs()) > 0 {
		obs = obs.Fulfilled() // an earlier step brings it
	}
	for _, before := range h.order {
		if before.Kind != p.Kind || before.Step == nil || !before.Pending() {
			continue
		}
		then, known := f.Follow(before.Step, before.Change, obs)
		if !known {
			h.later(p, before.Addr)
			return true
		}
		if then.State() != obs.State() {
			obs, by = then, before.Addr
		}
	}
	if by == "" {
		return false
	}
	change, err := p.Step.Plan(h.facts, obs)
	if err != nil || len(change.Needs) > 0 {
		h.later(p, by)
		return true
	}
	p.Change, p.After, p.foreseen = change, []string{by}, append(p.foreseen, obs)
	return true
}

// comes plans the removal of what is not there now, and is there when its turn comes.
func (h *hostPlanner) comes(p *Planned, gone []steps.Thing) {
	for before := range h.changing() {
		for _, t := range gone {
			if before.supply.Removes(t, h.path) {
				return
			}
			kind, sure := before.supply.Leaves(t, h.path)
			filled := !sure && before.supply.Fills(t, h.path)
			switch {
			case !sure && !filled:
				continue
			case sure && (steps.IsPath(kind) || before.Kind == p.Kind) && before.Change.Action != steps.Unknown && h.follow(p, h.there(p, before, kind), before.Addr) && p.Change.Action == steps.Delete:
				return
			}
			h.later(p, before.Addr)
			for _, kind := range []string{kind, steps.DirectoryThing, steps.FileThing} {
				change, err := p.Step.Plan(h.facts, h.there(p, before, kind))
				if err == nil && len(change.Dangers) > 0 {
					for _, d := range change.Dangers {
						p.Change.Dangers = append(p.Change.Dangers, "if it is there by then, "+d)
					}
					return
				}
			}
			return
		}
	}
}

// blocked makes a step known later in whose way an earlier one makes something of another type.
func (h *hostPlanner) blocked(p *Planned, own []steps.Thing) bool {
	for before := range h.changing() {
		for _, t := range own {
			if as, sure := before.supply.Leaves(t, h.path); sure && (as == steps.FileThing && t.Kind == steps.DirectoryThing || as == steps.DirectoryThing && t.Kind == steps.FileThing) {
				h.later(p, before.Addr)
				return true
			}
		}
	}
	return false
}

// spared makes a command known later that runs only if something is there, or is not there, which an earlier step makes or removes.
func (h *hostPlanner) spared(p *Planned) {
	a, ok := p.Step.(steps.Asker)
	if !ok {
		return
	}
	for before := range h.changing() {
		for _, t := range a.Asks(h.facts) {
			if t.Kind != steps.PathThing || slices.Contains(p.Change.Needs, steps.Thing{Kind: steps.DirectoryThing, Name: t.Name}) {
				continue
			}
			_, sure := before.supply.Leaves(t, h.path)
			sure = sure || slices.Contains(before.supply.Trees, t.Name)
			if gone := before.supply.Removes(t, h.path); sure && before.Change.Action != steps.Update || gone || before.supply.Fills(t, h.path) {
				h.later(p, before.Addr)
				return
			}
		}
	}
}

// goes plans the removal of what is gone when its turn comes, or another then.
func (h *hostPlanner) goes(p *Planned) {
	for before := range h.changing() {
		for _, t := range p.removes() {
			switch removed := before.supply.Removes(t, h.path); {
			case !removed && !before.supply.Alters(t, h.path):
				continue
			case removed && before.Kind == p.Kind:
				if obs, _ := h.inherited(p, before); h.follow(p, obs, before.Addr) {
					return
				}
			}
			dangers := p.Change.Dangers
			h.later(p, before.Addr)
			p.Change.Dangers = dangers
			return
		}
	}
}

// there is the state in which what a step is to remove is there.
func (h *hostPlanner) there(p *Planned, before earlier, kind string) steps.Observation {
	if t := (steps.Thing{Kind: kind}); steps.IsPath(kind) || before.Kind != p.Kind || before.Step == nil {
		return t.Present()
	}
	obs, _ := h.inherited(p, before)
	return obs
}

// made handles what an earlier step makes and this one would make too.
func (h *hostPlanner) made(p *Planned) bool {
	own := h.own(p)
	for _, t := range p.supply().Things {
		switch t.Kind {
		case steps.UserThing, steps.GroupThing:
			own = append(own, t)
		}
	}
	for before := range h.changing() {
		for _, t := range own {
			if before.supply.Removes(t, h.path) {
				return false
			}
			as, sure := before.supply.Leaves(t, h.path)
			if !sure && !before.supply.Fills(t, h.path) || as != steps.FileThing && h.onTheWay(p, t) {
				continue
			}
			if sure && p.Kind == before.Kind && before.Step != nil && before.about() == p.about() && before.Change.Action != steps.Unknown {
				if obs, exact := h.inherited(p, before); exact && h.follow(p, obs, before.Addr) {
					return true
				}
			}
			if t.Kind == steps.DirectoryThing && as == steps.DirectoryThing && h.intoEmpty(p, before) {
				return true
			}
			h.later(p, before.Addr)
			return true
		}
	}
	return false
}

// onTheWay tells of a directory that a step makes it only to put something into it.
func (h *hostPlanner) onTheWay(p *Planned, t steps.Thing) bool {
	supply := p.supply()
	if t.Kind != steps.DirectoryThing || t.Name == supply.Place() {
		return false
	}
	return slices.ContainsFunc(supply.Things, func(other steps.Thing) bool {
		return other.Kind == steps.DirectoryThing && strings.HasPrefix(other.Name, strings.TrimSuffix(t.Name, "/")+"/")
	})
}

// intoEmpty plans a step that fills a directory for the state in which an earlier one has just made it.
func (h *hostPlanner) intoEmpty(p *Planned, before earlier) bool {
	full := len(before.supply.Trees) > 0 || slices.ContainsFunc(before.supply.Things, func(t steps.Thing) bool { return t.Kind != steps.DirectoryThing })
	if before.Change.Action != steps.Create || before.Kind == p.Kind || full {
		return false
	}
	place := p.supply().Place()
	if place == "" || before.supply.Place() != place {
		return false
	}
	for _, obs := range p.Change.Predict {
		change, err := p.Step.Plan(h.facts, obs)
		if err == nil && len(change.Needs) == 0 && len(change.Diff) > 0 {
			p.Change.Action = change.Action
			p.Change.Diff = h.given(change.Diff, before)
			return true
		}
	}
	return false
}

// given are the attributes of a diff without an owner that the step before has given to the directory.
func (h *hostPlanner) given(diff []steps.Attr, before earlier) []steps.Attr {
	left, _ := h.wanted(before.Planned)
	owner := left[steps.OwnerKey]
	if group := left[steps.GroupKey]; group != "" {
		owner += ":" + group
	}
	return slices.DeleteFunc(diff, func(a steps.Attr) bool { return a.Name == steps.OwnerAttr && a.After == owner })
}

// predecessor is the latest earlier step of the same kind about the very same thing.
func (h *hostPlanner) predecessor(p *Planned) (earlier, bool) {
	about := p.about()
	if about.Kind == "" {
		return earlier{}, false
	}
	for before := range h.changing() {
		if before.Kind == p.Kind && before.Step != nil && before.about() == about {
			return before, true
		}
	}
	return earlier{}, false
}

// about is the one thing that a step is about; none if it cannot be told.
func (p *Planned) about() steps.Thing {
	b, ok := p.Step.(steps.Bringer)
	if !ok {
		return steps.Thing{}
	}
	if gone := p.removes(); len(gone) > 0 {
		return gone[0]
	}
	supply := b.Brings(steps.Change{Action: steps.Unknown})
	if place := supply.Place(); place != "" {
		return steps.Thing{Kind: steps.PathThing, Name: place}
	}
	for _, t := range supply.Things {
		if slices.Contains([]string{steps.UserThing, steps.GroupThing, steps.OwnThing}, t.Kind) {
			return t
		}
	}
	return steps.Thing{}
}

// removes lists what a step is to remove; nothing if it is to be there.
func (p *Planned) removes() []steps.Thing {
	b, ok := p.Step.(steps.Bringer)
	if !ok {
		return nil
	}
	removal := b.Brings(steps.Change{Action: steps.Delete})
	list := slices.Clone(removal.Lost)
	for _, gone := range removal.Gone {
		list = append(list, steps.Thing{Kind: steps.PathThing, Name: gone})
	}
	return list
}

// wanted is the state that a step wants, as lines by key in order; nil if it does not say, or if a key has several lines.
func (h *hostPlanner) wanted(p *Planned) (map[string]string, []string) {
	s, ok := p.Step.(steps.Settler)
	if !ok {
		return nil, nil
	}
	list := s.Settled(h.facts)
	if len(list) == 0 {
		return nil, nil
	}
	return lines(list[0])
}

func lines(obs steps.Observation) (map[string]string, []string) {
	values, keys := map[string]string{}, []string(nil)
	for _, line := range strings.Split(obs.State(), "\n") {
		key, value, _ := strings.Cut(line, " ")
		if _, twice := values[key]; twice {
			return nil, nil
		}
		values[key] = value
		keys = append(keys, key)
	}
	return values, keys
}

// inherited is the state in which a step finds what one of the same kind has left; exact tells whether its probe prints just that.
func (h *hostPlanner) inherited(p *Planned, before earlier) (obs steps.Observation, exact bool) {
	left, order := h.wanted(before.Planned)
	is, keys := h.wanted(p)
	if left == nil || is == nil || order[0] != keys[0] || steps.Salted(p.Step.Probe()) {
		return obs, false
	}
	exact = p.about().Kind == steps.PathThing
	if before.Change.Action == steps.Delete {
		keys = order // nothing but that it is not there
	} else if before.Change.Action != steps.Create && len(p.removes()) == 0 {
		if is, keys = lines(p.obs); is == nil || keys[0] != order[0] {
			return obs, false
		}
	}
	var list []string
	for _, key := range keys {
		value, known := left[key]
		if !known {
			if value = is[key]; before.Change.Action == steps.Create || steps.Contained(key) {
				exact = false
				continue
			}
		}
		list = append(list, strings.TrimSpace(key+" "+value))
	}
	return steps.Observe(list...).Numbered(), exact
}

// follow takes the plan of a state that an earlier step leaves; false if that says nothing that can be shown.
func (h *hostPlanner) follow(p *Planned, obs steps.Observation, by string) bool {
	if obs.State() == "" {
		return false
	}
	change, err := p.Step.Plan(h.facts, obs)
	if err != nil || change.Action == steps.Unknown || len(change.Needs) > 0 || slices.ContainsFunc(change.Diff, func(a steps.Attr) bool {
		return a.Name == steps.ContentAttr && !a.BeforeMissing && !a.Sensitive // the text before is not known
	}) {
		return false
	}
	p.Change, p.After = change, []string{by}
	if p.about().Kind == steps.PathThing {
		p.foreseen = append(p.foreseen, obs)
	}
	return true
}

func (h *hostPlanner) later(p *Planned, by string) {
	p.Change, p.After = steps.Change{Action: steps.Unknown, Predict: p.Change.Predict}, []string{by}
}

// contradicts tells whether an earlier step of the same kind about the same thing leaves it otherwise than this one saw or wants it.
func (h *hostPlanner) contradicts(p *Planned, before earlier) bool {
	for _, a := range p.Change.Diff {
		if slices.ContainsFunc(before.Change.Diff, func(b steps.Attr) bool { return a.Name == b.Name }) {
			return true
		}
	}
	left, _ := h.wanted(before.Planned)
	is, _ := h.wanted(p)
	for key, value := range is {
		if other, both := left[key]; both && other != value {
			return true
		}
	}
	return false
}
