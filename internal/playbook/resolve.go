package playbook

import (
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"provision/internal/inventory"
	"provision/internal/steps"
)

// Steps returns the steps of a host in the order in which they run: those of every play that
// selects it, and then the checks. facts is nil as long as they are not known. results holds,
// by address, an object with the outputs of each step that ran and with "changed". What depends on
// other things than these is in Instance.Waits: "fact", or the address of a step.
//
// Steps is pure: it may be called again whenever more is known, and for several hosts at once. What is wrong with a step
// for this host is its Unresolved. If the playbook has errors for every host, there are no steps.
func (pb *Playbook) Steps(host *inventory.Host, facts *steps.Facts, results map[string]cty.Value) ([]steps.Instance, hcl.Diagnostics) {
	if pb.loading.diags.HasErrors() {
		return nil, pb.loading.diags
	}
	return pb.resolve(&run{host: host, facts: facts.Value(), results: results}, false)
}

// Chosen is Steps, but for those whose tags are not chosen: they are skipped, and their arguments are not evaluated. Checks
// are always chosen.
func (pb *Playbook) Chosen(host *inventory.Host, facts *steps.Facts, results map[string]cty.Value, chosen func(tags []string) bool) ([]steps.Instance, hcl.Diagnostics) {
	if pb.loading.diags.HasErrors() {
		return nil, pb.loading.diags
	}
	return pb.resolve(&run{host: host, facts: facts.Value(), results: results, chosen: chosen}, false)
}

// resolve is Steps; thorough evaluates also what no step uses, and returns what is wrong with steps too.
func (pb *Playbook) resolve(r *run, thorough bool) ([]steps.Instance, hcl.Diagnostics) {
	host := r.host
	r.pb, r.object, r.leftOut = pb, host.Value(), map[string]string{}
	if pb.vague {
		r.object = cty.DynamicVal
	}
	s := newScope(r, pb.root)
	var list []steps.Instance
	top := settings{become: host.Settings.Become != nil && *host.Settings.Become}
	for _, p := range pb.plays {
		if !p.selects(host) {
			continue
		}
		var around settings
		found := r.apart(func() { around = s.inherit(top, &p.meta, s.when(p.meta.when, nil), nil) })
		around.play, around.found = p.name, found
		for _, it := range pb.root.items {
			if it.play == p {
				list = s.expand(list, it, around)
			}
		}
	}
	for _, c := range pb.checks {
		if c.item.play.selects(host) {
			list = s.expand(list, c.item, top)
		}
	}
	if thorough {
		s.evalUnused()
		r.found.add(r.every.diags...)
	}
	return list, r.found.sorted()
}

// settings are what a step takes over from the blocks around it.
type settings struct {
	play   string
	become bool
	runAs  string
	tags   []string
	state  condition // of when
	waits  []string  // a setting, or the instance itself, is not known yet
	found  hcl.Diagnostics
}

// inherit puts the meta-arguments of a block over those around it.
func (s *scope) inherit(around settings, mt *meta, state condition, inst *each) settings {
	in := around
	in.state = around.state.and(state)
	in.waits = slices.Clone(around.waits)
	if inst != nil && inst.open {
		in.waits = append(in.waits, inst.waits...)
	}
	if v, ok := s.setting(mt.become, inst, cty.Bool, "become", &in.waits); ok {
		in.become = v.True()
	}
	if v, ok := s.setting(mt.runAs, inst, cty.String, "run_as", &in.waits); ok {
		in.runAs = v.AsString()
		if in.runAs == "" {
			s.run.found.error(mt.runAs.Range(), "Invalid value for run_as", "The name of the user is empty. Leave run_as out for root, or for the login user without become.")
		}
	}
	if v, ok := s.setting(mt.tags, inst, cty.List(cty.String), "tags", &in.waits); ok {
		in.tags = slices.Clone(around.tags)
		for it := v.ElementIterator(); it.Next(); {
			if _, tag := it.Element(); tag.IsNull() || tag.AsString() == "" {
				s.run.found.error(mt.tags.Range(), "Invalid value for tags", "The list holds an empty tag.")
			} else if !slices.Contains(in.tags, tag.AsString()) {
				in.tags = append(in.tags, tag.AsString())
			}
		}
	}
	return in
}

// setting evaluates one meta-argument. It is false where none is written, where it is null or
// not known yet, and where it is wrong.
func (s *scope) setting(e *expression, inst *each, ty cty.Type, name string, waits *[]string) (cty.Value, bool) {
	if e == nil {
		return cty.NilVal, false
	}
	res := s.eval(e, inst)
	if res.failed {
		return cty.NilVal, false
	}
	if sensitive(res.value) {
		s.run.found.error(e.Range(), "Invalid value for "+name, "It is shown to people and cannot be sensitive.")
		return cty.NilVal, false
	}
	v, err := convert.Convert(res.value, ty)
	if err != nil {
		s.run.found.error(e.Range(), "Invalid value for "+name, sentence(withArticle(ty.FriendlyName())+" is required"))
		return cty.NilVal, false
	}
	if !v.IsWhollyKnown() {
		*waits = append(*waits, res.waits...)
		return cty.NilVal, false
	}
	return v, !v.IsNull()
}

// expand appends the instances of an item: those of a step, or all steps of a module.
func (s *scope) expand(list []steps.Instance, it *item, around settings) []steps.Instance {
	if !it.usable() {
		return list
	}
	if !it.isStep() {
		var children []*scope
		found := s.run.apart(func() { children = s.modules(it) })
		s.run.every.add(found...)
		for _, child := range children {
			var in settings
			own := s.run.apart(func() {
				s.run.found.add(around.found...)
				s.run.found.add(found...)
				in = s.inherit(around, &it.meta, s.when(it.meta.when, child.each), child.each)
				if len(child.mod.varOrder) > 0 && !in.state.skip {
					child.checkVariables()
				}
			})
			in.found = own
			s.run.every.add(own...)
			for _, inner := range it.module.items {
				list = child.expand(list, inner, in)
			}
		}
		return list
	}
	if it.meta.forEach == nil {
		return append(list, s.instance(it, nil, around))
	}
	var set instances
	around.found = append(slices.Clone(around.found), s.run.apart(func() { set = s.forEach(it) })...)
	for i := range set.list {
		list = append(list, s.instance(it, &set.list[i], around))
	}
	if len(set.list) == 0 {
		s.run.every.add(set.found...)
	}
	return list
}

// instance resolves one step. What is wrong with it is its own error: the rest of the host may have its turn all the same.
func (s *scope) instance(it *item, inst *each, around settings) steps.Instance {
	var out steps.Instance
	found := s.run.apart(func() {
		s.run.found.add(around.found...)
		out = s.resolved(it, inst, around)
	})
	if cause := leftOutBy(found); s.run.chosen != nil && out.Data() && cause != "" {
		// It is looked at whatever was chosen, unless what it comes of was left out.
		out.Skip, out.LeftOut, s.run.leftOut[out.Addr] = true, true, cause
		out.Step, out.Waits = nil, nil
		return out
	}
	s.run.every.add(found...)
	if found.HasErrors() && !out.Skip {
		out.Step, out.Waits, out.Unresolved = nil, nil, &StepError{Diagnostics: found}
	}
	return out
}

func (s *scope) resolved(it *item, inst *each, around settings) steps.Instance {
	in := s.inherit(around, &it.meta, s.when(it.meta.when, inst), inst)
	out := steps.Instance{
		Addr: s.address(it, inst), Play: in.play, Kind: it.kind.Kind, Source: it.source,
		Become: in.become, RunAs: in.runAs, Tags: in.tags, Skip: in.state.skip, Check: it.order == checkOrder,
	}
	out.OnChange = s.onChange(it)
	if s.run.chosen != nil && !out.Check && !out.Data() && !s.run.chosen(out.Tags) {
		out.Skip, out.LeftOut, s.run.leftOut[out.Addr] = true, true, out.Addr
	}
	if out.Skip {
		return out
	}
	waits := in.waits
	s.limits(it, inst, &out, &waits)
	step, ok := s.build(it, inst, &waits)
	if ok && len(waits) == 0 {
		out.Step = step
	}
	out.Waits = unique(append(waits, in.state.waits...))
	return out
}

// limits evaluates timeout, retries, once and continue_on_error.
func (s *scope) limits(it *item, inst *each, out *steps.Instance, waits *[]string) {
	if v, ok := s.setting(it.meta.timeout, inst, cty.String, "timeout", waits); ok {
		seconds, err := steps.ParseSeconds(v.AsString())
		if err != nil {
			s.run.found.error(it.meta.timeout.Range(), "Invalid value for timeout", sentence(err.Error()))
		}
		out.Timeout = seconds
	}
	if v, ok := s.setting(it.meta.retries, inst, cty.Number, "retries", waits); ok {
		n, accuracy := v.AsBigFloat().Int64()
		if accuracy != 0 || n < 0 || n > 1000 {
			s.run.found.error(it.meta.retries.Range(), "Invalid value for retries", "A whole number from 0 to 1000 is required.")
		}
		out.Retries = int(n)
	}
	if v, ok := s.setting(it.meta.once, inst, cty.Bool, "once", waits); ok {
		out.Once = v.True()
	}
	if v, ok := s.setting(it.meta.proceed, inst, cty.Bool, "continue_on_error", waits); ok {
		out.Proceed = v.True()
	}
}

// onChange returns the addresses that raise each event.
func (s *scope) onChange(it *item) map[string][]string {
	if len(it.meta.events) == 0 {
		return nil
	}
	events := make(map[string][]string, len(it.meta.events))
	for _, e := range it.meta.events {
		addresses := []string{}
		for _, r := range e.refs {
			addresses = s.raisers(addresses, r.item, r)
		}
		if events[e.event] == nil {
			events[e.event] = []string{}
		}
		for _, a := range addresses {
			if !slices.Contains(events[e.event], a) {
				events[e.event] = append(events[e.event], a)
			}
		}
	}
	return events
}

// raisers appends the addresses of a step, of each of its instances, or of all steps of a module.
func (s *scope) raisers(list []string, it *item, r raiser) []string {
	if !it.usable() || it.play != nil && !it.play.selects(s.run.host) {
		return list // it does not run on this host and cannot change anything here
	}
	if it.isStep() {
		if it.meta.forEach == nil {
			return append(list, s.address(it, nil))
		}
		set := s.forEach(it)
		s.hasInstance(it, r)
		for i := range set.list {
			if inst := &set.list[i]; !r.keys || inst.open || inst.key == r.key {
				list = append(list, s.address(it, inst))
			}
		}
	} else {
		s.hasInstance(it, r)
		for _, child := range s.modules(it) {
			if r.keys && child.each != nil && !child.each.open && child.each.key != r.key {
				continue
			}
			for _, inner := range it.module.items {
				list = child.raisers(list, inner, raiser{})
			}
		}
	}
	return list
}

// hasInstance reports that the instance which on_change names is none of the step or module.
func (s *scope) hasInstance(it *item, r raiser) {
	if !r.keys || it.meta.forEach == nil {
		return
	}
	set := s.forEach(it)
	if keys := set.keys(); !set.failed && !set.open() && !slices.Contains(keys, r.key) {
		s.run.found.error(r.rng, "No such instance", fmt.Sprintf("%s has no instance %q, so this step would never run for it.%s", it.addr, r.key, known(r.key, "instance", keys)))
	}
}
