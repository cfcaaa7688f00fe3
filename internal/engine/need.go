package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"provision/internal/shell"
	"provision/internal/steps"
)

// A needError says that a step needs what nothing brings.
type needError struct {
	thing steps.Thing
	by    string // the earlier step that takes it away; "" if it is not there now
}

func (e *needError) Error() string {
	message, hint := e.Hint()
	return message + ": " + hint
}

// Hint returns the message and what to do about it.
func (e *needError) Hint() (message, hint string) {
	if e.by != "" {
		return fmt.Sprintf("%s removes the %s, which this step needs", e.by, e.thing), "put this step before it, or bring it back in between"
	}
	verb := "makes it"
	switch e.thing.Kind {
	case steps.RunningThing:
		verb = "starts it"
	case steps.CommandThing, steps.UnitThing, steps.ServiceThing, steps.ModuleThing, steps.KeyThing:
		verb = "brings it"
	case steps.FreeThing:
		verb = "frees it"
	case steps.UnmountedThing:
		verb = "unmounts it"
	case steps.SettingThing:
		verb = "adds it"
	}
	return e.thing.Lacking() + ", and no earlier step " + verb, e.thing.Fix()
}

// needs finds, for what a step lacks now, the earlier steps that bring it; and for what it has, whether one of them takes it away.
func (h *hostPlanner) needs(p *Planned) {
	var from, what []string
	for _, t := range p.Change.Needs {
		by, gone := h.source(t)
		if by == "" {
			p.Err = &needError{thing: t, by: gone}
			return
		}
		if !slices.Contains(from, by) {
			from = append(from, by)
		}
		what = append(what, t.String())
	}
	if h.robbed(p, h.required(p)) {
		return
	}
	if len(what) > 0 {
		p.After = from
		p.Change.Reason = strings.TrimPrefix(p.Change.Reason+"; needs "+strings.Join(what, ", "), "; ")
	}
}

// robbed makes it an error of the step that an earlier one takes away for good one of the things that it needs.
func (h *hostPlanner) robbed(p *Planned, things []steps.Thing) bool {
	for _, t := range things {
		if by, gone := h.source(t); by == "" && gone != "" {
			p.Err = &needError{thing: t, by: gone}
			return true
		}
	}
	return false
}

// probeUser is the probe of a step that looks at nothing, for the user that it runs as.
func probeUser(name string) string {
	return fmt.Sprintf("find_account passwd %s\ncase $? in 0) ;; 2) exit %d ;; *) fail 'cannot look up the user' ;; esac\n", shell.Quote(name), statusNoUser)
}

// required is what must be there for a step to be in its state.
func (h *hostPlanner) required(p *Planned) []steps.Thing {
	if p.observed && p.obs.Exit == 0 && p.Change.Action == steps.NoOp {
		return nil // it has nothing to do, and needs nothing for that
	}
	return p.requires()
}

// requires is what the step says that it needs to do anything.
func (p *Planned) requires() []steps.Thing {
	var list []steps.Thing
	if p.RunAs != "" {
		list = append(list, steps.Thing{Kind: steps.UserThing, Name: p.RunAs})
	}
	if r, ok := p.Step.(steps.Requirer); ok {
		list = append(list, r.Requires()...)
	}
	return list
}

// source returns the latest earlier step that brings a thing, or the one that takes it away for good.
func (h *hostPlanner) source(t steps.Thing) (by, gone string) {
	for _, p := range slices.Backward(h.order) {
		supply := p.supply
		if supply.Brings(t, h.path) {
			return p.Addr, ""
		}
		if supply.Removes(t, h.path) {
			return "", p.Addr
		}
	}
	return "", ""
}

// path is a path without symbolic links, as far as the host was asked.
func (h *hostPlanner) path(p string) string {
	if real, known := h.real[p]; known {
		return real
	}
	return p
}

// supply is what the step brings. Of a step whose arguments are not known yet, its kind tells.
func (p *Planned) supply() steps.Supply {
	step, change := p.Step, p.Change
	if step == nil {
		step, _ = p.Kind.New()
	}
	if len(p.Waits) > 0 || p.Err != nil || change.Action == steps.NoOp {
		change = steps.Change{Action: steps.Unknown}
	}
	if b, ok := step.(steps.Bringer); ok {
		return b.Brings(change)
	}
	return steps.Supply{}
}

// blind handles a probe that could not tell. If an earlier step changes what it looks at, it may be able to tell when its turn
// comes; otherwise it is an error.
func (h *hostPlanner) blind(p *Planned) {
	if p.obs.Exit == statusNoUser {
		user := steps.Thing{Kind: steps.UserThing, Name: p.RunAs}
		p.Change = steps.Change{Action: steps.Unknown, Needs: []steps.Thing{user}}
		h.needs(p)
		return
	}
	why := lastLines(p.obs.Stderr, 5)
	if why == "" {
		why = fmt.Sprintf("the probe ended with status %d", p.obs.Exit)
	}
	if by := h.turns(p); by != "" {
		p.Change = steps.Change{Action: steps.Unknown, Reason: withoutAdvice(reason(why))}
		p.After = []string{by}
		return
	}
	if p.obs.Exit == statusSlow {
		p.Err = fmt.Errorf("cannot be looked at: %s", why)
		return
	}
	p.Err = fmt.Errorf("could not tell its state: %s", why)
}

// looks lists what the probe of a step looks at, and what the step is about.
func (h *hostPlanner) looks(p *Planned) []steps.Thing {
	own := p.supply()
	list := slices.Clone(own.Things)
	if b, ok := p.Step.(steps.Bringer); ok { // of what it is to remove, it says so only when it does
		removal := b.Brings(steps.Change{Action: steps.Delete})
		own.Gone = append(slices.Clone(own.Gone), removal.Gone...)
		list = append(list, removal.Lost...)
	}
	for _, path := range slices.Concat(own.Trees, own.Gone) {
		list = append(list, steps.Thing{Kind: steps.DirectoryThing, Name: path})
	}
	if a, ok := p.Step.(steps.Asker); ok {
		list = append(list, a.Asks(h.facts)...)
	}
	return list
}

// changing lists the earlier steps that will or may change the host, the latest first.
func (h *hostPlanner) changing() iter.Seq[earlier] {
	return func(yield func(earlier) bool) {
		for _, before := range slices.Backward(h.order) {
			if before.Pending() && before.Err == nil && !before.Change.Quiet() && !yield(before) {
				return
			}
		}
	}
}

// altered returns the latest earlier step that surely changes what a step is about (see looks), so that its state of now says nothing;
// "" if none does.
func (h *hostPlanner) altered(looks []steps.Thing) string {
	for before := range h.changing() {
		supply := before.supply
		if slices.ContainsFunc(looks, func(t steps.Thing) bool { return supply.Alters(t, h.path) }) {
			return before.Addr
		}
	}
	return ""
}

// overturned returns the latest earlier step after which an error of a plan may not stand: one that surely changes what the step is
// about, or any at all where the probe runs sh of the playbook.
func (h *hostPlanner) overturned(looks []steps.Thing) string {
	if by := h.unsettled(looks); by != "" {
		return by
	}
	if by := h.altered(looks); by != "" {
		return by
	}
	for before := range h.changing() {
		for _, t := range looks {
			if t.Kind == steps.DirectoryThing && (before.supply.Remakes(t.Name) || before.supply.RemovesBelow(t.Name)) {
				return before.Addr
			}
		}
	}
	return ""
}

// unsettled returns the latest earlier step that changes anything, where the probe of a step runs sh of the playbook: nobody knows what
// that looks at.
func (h *hostPlanner) unsettled(looks []steps.Thing) string {
	if slices.ContainsFunc(looks, func(t steps.Thing) bool { return t.Kind == steps.OpaqueThing }) {
		for before := range h.changing() {
			return before.Addr
		}
	}
	return ""
}

// touchLimit is how many earlier steps are compared with a later one. With more, few are left that none of them could touch.
const touchLimit = 64

// disturbed returns an earlier step that may change the state of a step which is as wanted now; "" if none can.
func (h *hostPlanner) disturbed(looks []steps.Thing) string {
	n := 0
	for before := range h.changing() {
		n++
		supply := before.supply
		if n > touchLimit || len(looks) == 0 || supply.Anything() || supply.Silent() || slices.ContainsFunc(looks, func(t steps.Thing) bool {
			return t.Kind == steps.OpaqueThing || supply.Touches(t, h.path)
		}) {
			return before.Addr
		}
	}
	return ""
}

// stirs returns the latest earlier step that may change what data looks at: that has, or may come to have, anything to do with it. A
// command that never counts as a change changes things all the same, and so does a step that another host runs: it may be one machine.
func (h *hostPlanner) stirs(looks []steps.Thing) string {
	for _, before := range slices.Backward(h.stirring) {
		if slices.ContainsFunc(looks, func(t steps.Thing) bool { return before.reach().Stirs(t, h.path) }) {
			return before.addr
		}
	}
	return ""
}

// A stirring step is an earlier one that has, or may come to have, something to do.
type stirring struct {
	addr  string
	reach func() steps.Supply
}

// stir notes a step that may change what later data look at.
func (h *hostPlanner) stir(p *Planned) {
	acts := p.Pending() || p.mayWake() && len(h.stirring) > 0
	if p.Loan != nil {
		acts = p.Loan.coming()
	}
	if acts {
		h.stirring = append(h.stirring, stirring{p.Addr, sync.OnceValue(p.reach)})
	}
}

// reach is all that the step may touch, whatever it finds when its turn comes.
func (p *Planned) reach() steps.Supply {
	if p.Step == nil {
		return steps.Anything()
	}
	var all steps.Supply
	if b, ok := p.Step.(steps.Bringer); ok {
		all = b.Brings(p.Change)
		for _, action := range []steps.Action{steps.Unknown, steps.Create, steps.Update, steps.Delete} {
			all = all.Join(b.Brings(steps.Change{Action: action}))
		}
	}
	if t, ok := p.Step.(steps.Toucher); ok {
		all = all.Join(t.Touches(p.obs))
	}
	return all
}

// turns returns the latest earlier step that may change what the probe of a step looks at: any at all where it runs sh of the playbook.
func (h *hostPlanner) turns(p *Planned) string {
	looks := append(h.required(p), h.looks(p)...)
	if by := h.unsettled(looks); by != "" {
		return by
	}
	for _, before := range slices.Backward(h.order) {
		supply := before.supply
		if supply.Anything() || slices.ContainsFunc(looks, func(t steps.Thing) bool { return supply.Touches(t, h.path) }) {
			return before.Addr
		}
	}
	return ""
}

// unresolved lists paths that have to be compared without symbolic links: those that a step needs and no earlier step seems to
// bring, and those that earlier steps bring. The host is asked for them only then.
func (h *hostRun) unresolved(planned []Planned) []string {
	var paths []string
	lacking, pending := false, false
	add := func(list ...string) {
		for _, p := range list {
			if _, known := h.real[p]; !known && strings.HasPrefix(p, "/") && !slices.Contains(paths, p) {
				paths = append(paths, p)
			}
		}
	}
	for i := range planned {
		p := &planned[i]
		var need *needError
		if errors.As(p.Err, &need) && need.by == "" {
			places := steps.Supply{Things: []steps.Thing{need.thing}}.Paths()
			lacking = lacking || len(places) > 0
			add(places...)
		}
		if p.Pending() {
			add(p.supply().Paths()...)
			pending = true
		} else if p.Data() && p.Err == nil && p.Change.Action == steps.NoOp && pending {
			if seen := p.seen(h.facts); len(seen) > 0 {
				lacking = true
				add(seen...)
				for j := range planned[:i] {
					if planned[j].Pending() {
						add(planned[j].reach().Paths()...)
					}
				}
			}
		}
	}
	if !lacking {
		return nil
	}
	return paths
}

// seen are the paths that data look at.
func (p *Planned) seen(f *steps.Facts) []string {
	a, ok := p.Step.(steps.Asker)
	if !ok || p.Skip {
		return nil
	}
	var paths []string
	for _, t := range a.Asks(f) {
		if t.Kind == steps.PathThing {
			paths = append(paths, t.Name)
		}
	}
	return paths
}

// realPaths asks with the first probes where links lead, if there are data that look at paths: steps may write there by other names.
func (h *hostRun) realPaths() (fragment Fragment, paths []string) {
	for i := range h.instances {
		p := &Planned{Instance: h.instances[i], Change: steps.Change{Action: steps.Unknown}}
		if p.Data() && p.Step != nil {
			paths = append(paths, p.seen(nil)...)
		}
	}
	if len(paths) == 0 {
		return Fragment{}, nil
	}
	for i := range h.instances {
		p := &Planned{Instance: h.instances[i], Change: steps.Change{Action: steps.Unknown}}
		if p.Step != nil && !p.Skip && !p.Passive() {
			for _, path := range p.reach().Paths() {
				if strings.HasPrefix(path, "/") {
					paths = append(paths, path)
				}
			}
		}
	}
	slices.Sort(paths)
	paths = slices.Compact(paths)
	return Fragment{Text: "real_paths " + shell.Words(paths...)}, paths
}

// resolve asks the host where paths lead.
func (h *hostRun) resolve(ctx context.Context, paths []string) error {
	answers, err := h.ask(ctx, []Fragment{{Text: "real_paths " + shell.Words(paths...)}})
	if err != nil {
		return err
	}
	h.keepReal(paths, answers[0])
	return nil
}

// keepReal stores the answer of real_paths.
func (h *hostRun) keepReal(paths []string, answer steps.Observation) {
	if h.real == nil {
		h.real = map[string]string{}
	}
	found := strings.Split(answer.Stdout, "\n")
	for i, p := range paths {
		h.real[p] = p
		if i < len(found) && found[i] != "" {
			h.real[p] = found[i]
		}
	}
}
