package playbook

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"provision/internal/steps"
)

// instances is what for_each of a block gives for a host.
type instances struct {
	list   []each
	failed bool // list has one then, that stands for all
	found  hcl.Diagnostics
}

func (in instances) open() bool { return len(in.list) == 1 && in.list[0].open }

func (in instances) keys() []string {
	var names []string
	for _, e := range in.list {
		names = append(names, e.key)
	}
	return names
}

func splitName(name string) (kind, rest string) {
	kind, rest, _ = strings.Cut(name, ".")
	return kind, rest
}

// forEach evaluates the for_each of a block.
func (s *scope) forEach(it *item) instances {
	set, ok := s.sets[it]
	if !ok {
		found := s.run.apart(func() { set = s.evalForEach(it) })
		if set.found = found; set.failed {
			set.list = []each{{value: cty.DynamicVal, open: true}}
		}
		s.sets[it] = set
	}
	s.run.found.add(set.found...)
	return set
}

func (s *scope) evalForEach(it *item) instances {
	e := it.meta.forEach
	res := s.eval(e, nil)
	if res.failed {
		return instances{failed: true}
	}
	wrong := func(detail string) instances {
		s.run.found.error(e.Range(), "Invalid for_each", detail)
		return instances{failed: true}
	}
	v, marks := res.value.Unmark()
	if _, yes := marks[steps.Sensitive]; yes {
		return wrong("The keys of for_each are parts of addresses, which are shown: they cannot be sensitive. Take the keys from elsewhere, and only the values from the secret.")
	}
	if v.IsKnown() && v.IsNull() {
		return wrong("A map, an object or a set of strings is required; this is null.")
	}
	ty := v.Type()
	isMap := ty.IsMapType() || ty.IsObjectType()
	if !isMap && ty != cty.DynamicPseudoType {
		list, err := convert.Convert(v, cty.List(cty.String))
		if !(ty.IsSetType() || ty.IsListType() || ty.IsTupleType()) || err != nil {
			return wrong(fmt.Sprintf("A map, an object or a set of strings is required; this is %s.", withArticle(ty.FriendlyName())))
		}
		v = list
	}
	if !v.IsKnown() || !isMap && !v.IsWhollyKnown() {
		if step := slices.IndexFunc(res.waits, func(w string) bool { return w != "fact" }); step >= 0 {
			return wrong(fmt.Sprintf("The instances of a block must be known before any step runs, and this depends on %s. Let for_each list all that may be, and decide with when.", res.waits[step]))
		}
		return instances{list: []each{{value: cty.DynamicVal, waits: res.waits, open: true}}}
	}
	var set instances
	for iter := v.ElementIterator(); iter.Next(); {
		key, value := iter.Element()
		if !isMap {
			key = value
		}
		key, marks := key.Unmark()
		if _, yes := marks[steps.Sensitive]; yes {
			return wrong("The keys of for_each are parts of addresses, which are shown: they cannot be sensitive.")
		}
		if key.IsNull() {
			return wrong("The list holds a null.")
		}
		set.list = append(set.list, each{key: key.AsString(), value: value, waits: res.waits})
	}
	names := set.keys()
	slices.Sort(names)
	for i := 1; i < len(names); i++ {
		if names[i] == names[i-1] {
			return wrong(fmt.Sprintf("The key %q is there twice.", names[i]))
		}
	}
	return set
}

func withArticle(noun string) string {
	if noun != "" && strings.ContainsRune("aeiou", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}

// address returns the address of an instance of an item.
func (s *scope) address(it *item, inst *each) string {
	if inst == nil || inst.open {
		return s.prefix + it.addr
	}
	return s.prefix + it.addr + "[" + strconv.Quote(inst.key) + "]"
}

// stepValue returns the outputs of a step for expressions: an object, or with for_each an
// object of them by key.
func (s *scope) stepValue(it *item, ref *reference) result {
	whole := kept(s.run, s.steps, it, func() result { return s.outputsOf(it, ref) })
	if ref.key == nil || whole.failed || it.meta.forEach == nil {
		return whole
	}
	return s.oneInstance(it, ref, whole)
}

// oneInstance narrows what is waited for to the instance that a reference names.
func (s *scope) oneInstance(it *item, ref *reference, whole result) result {
	set := s.forEach(it)
	if set.open() {
		return whole
	}
	if !slices.Contains(set.keys(), *ref.key) {
		s.run.found.error(ref.rng, "No such instance", fmt.Sprintf("%s has no instance %q.%s", it.addr, *ref.key, known(*ref.key, "instance", set.keys())))
		return failure
	}
	if !whole.value.GetAttr(*ref.key).IsWhollyKnown() && it.isStep() {
		whole.waits = []string{s.prefix + it.addr + "[" + strconv.Quote(*ref.key) + "]"}
	}
	return whole
}

func (s *scope) outputsOf(it *item, ref *reference) result {
	if !it.usable() {
		return failure
	}
	if it.play != nil && !it.play.selects(s.run.host) {
		s.run.found.error(ref.rng, "A "+it.word()+" of another play", fmt.Sprintf("%s belongs to the play %q, which does not run on the host %q.", it.addr, it.play.name, s.run.host.Name))
		return failure
	}
	if it.meta.forEach == nil {
		return s.instanceOutputs(it, nil)
	}
	set := s.forEach(it)
	if set.failed {
		return failure
	}
	if set.open() {
		return result{value: cty.DynamicVal, waits: set.list[0].waits}
	}
	object := map[string]cty.Value{}
	var whole result
	for i := range set.list {
		one := s.instanceOutputs(it, &set.list[i])
		object[set.list[i].key] = one.value
		whole.waits = append(whole.waits, one.waits...)
		whole.absent = append(whole.absent, one.absent...)
	}
	whole.value, whole.waits = cty.ObjectVal(object), unique(whole.waits)
	return whole
}

// instanceOutputs returns what one step is known to have given: its results, nulls if it is
// skipped, and unknown values as long as it has not run.
func (s *scope) instanceOutputs(it *item, inst *each) result {
	addr := s.address(it, inst)
	got, ok := s.run.results[addr]
	var state condition
	_ = s.run.apart(func() { state = s.condition(it, inst) }) // the step itself tells
	cause, leftOut := s.run.leftOut[addr]
	if !ok && !leftOut && !state.skip {
		return result{value: cty.UnknownVal(it.kind.outputType), waits: []string{addr}}
	}
	object := map[string]cty.Value{}
	for name, ty := range it.kind.outputs {
		object[name] = cty.NullVal(ty)
		if ok && got.Type().IsObjectType() && got.Type().HasAttribute(name) {
			if v, err := convert.Convert(got.GetAttr(name), ty); err == nil {
				object[name] = v
			}
		}
	}
	if _, is := object["changed"]; is && !object["changed"].IsMarked() && object["changed"].IsNull() {
		object["changed"] = cty.False
	}
	res := result{value: cty.ObjectVal(object)}
	s.run.pb.secrets.note(res.value)
	switch {
	case leftOut:
		res.absent = []absence{{addr: cause, leftOut: true}}
	case state.skip:
		res.absent = []absence{{addr: addr}}
	case it.kind.Block == steps.DataBlock:
		res.absent = []absence{{addr: addr, found: true}} // for those of its outputs that are null
	}
	return res
}

// modules returns the scopes of a module block, one an instance.
func (s *scope) modules(it *item) []*scope {
	var set instances
	if it.meta.forEach != nil {
		set = s.forEach(it)
	}
	if done, ok := s.children[it]; ok {
		return done
	}
	list := []*each{nil}
	if it.meta.forEach != nil {
		list = list[:0]
		for i := range set.list {
			list = append(list, &set.list[i])
		}
	}
	var scopes []*scope
	for _, inst := range list {
		child := newScope(s.run, it.module)
		child.parent, child.call, child.each = s, it, inst
		child.prefix = s.address(it, inst) + "."
		scopes = append(scopes, child)
	}
	s.children[it] = scopes
	return scopes
}

// moduleValue returns the outputs of a module for expressions.
func (s *scope) moduleValue(it *item, ref *reference) result {
	if !it.usable() {
		return failure
	}
	if it.play != nil && !it.play.selects(s.run.host) {
		s.run.found.error(ref.rng, "A module of another play", fmt.Sprintf("%s belongs to the play %q, which does not run on the host %q.", it.addr, it.play.name, s.run.host.Name))
		return failure
	}
	whole := kept(s.run, s.calls, it, func() result { return s.callValue(it) })
	if whole.failed {
		return failure
	}
	rest := ref.rest
	for _, child := range s.modules(it) {
		switch {
		case child.each != nil && child.each.open:
			return whole
		case ref.key != nil && (child.each == nil || *ref.key != child.each.key), ref.key == nil && child.each != nil:
			continue
		}
		if name, ok := stepName(first(rest)); ok && it.module.outputs[name] != nil {
			one := child.output(name)
			return result{value: whole.value, waits: one.waits, absent: one.absent}
		}
		return whole
	}
	if ref.key != nil {
		s.run.found.error(ref.rng, "No such instance", fmt.Sprintf("%s has no instance %q.%s", it.addr, *ref.key, known(*ref.key, "instance", s.forEach(it).keys())))
		return failure
	}
	return whole
}

// callValue is the object of the outputs of a module block, or with for_each an object of them
// by key.
func (s *scope) callValue(it *item) result {
	if it.meta.forEach == nil {
		return s.modules(it)[0].outputs()
	}
	if s.forEach(it).failed {
		return failure
	}
	object := map[string]cty.Value{}
	var waits []string
	for _, child := range s.modules(it) {
		if child.each.open {
			return result{value: cty.DynamicVal, waits: child.each.waits}
		}
		one := child.outputs()
		if one.failed {
			return failure
		}
		object[child.each.key] = one.value
		waits = append(waits, one.waits...)
	}
	return result{value: cty.ObjectVal(object), waits: unique(waits)}
}

// outputs is the object of all outputs of a module instance.
func (s *scope) outputs() result {
	object := map[string]cty.Value{}
	var waits []string
	for name := range s.mod.outputs {
		res := s.output(name)
		if res.failed {
			return failure
		}
		object[name] = res.value
		waits = append(waits, res.waits...)
	}
	return result{value: cty.ObjectVal(object), waits: unique(waits)}
}

// output is one output of a module instance: null where the module is skipped, and unknown where that is not known yet.
func (s *scope) output(name string) result {
	return kept(s.run, s.given, name, func() result {
		state := s.moduleState()
		switch {
		case state.skip:
			return result{value: cty.NullVal(cty.DynamicPseudoType), absent: []absence{{addr: strings.TrimSuffix(s.prefix, ".")}}}
		case state.failed:
			return failure
		}
		res := s.eval(s.mod.outputs[name].expr, nil)
		if !res.failed && len(state.waits) > 0 {
			_, marks := res.value.UnmarkDeep()
			res.value = cty.UnknownVal(res.value.Type()).WithMarks(marks)
			res.waits = unique(append(slices.Clone(res.waits), state.waits...))
		}
		return res
	})
}
