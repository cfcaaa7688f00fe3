package playbook

import (
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"provision/internal/inventory"
)

// A run is one evaluation of the playbook for one host. It is used by one goroutine.
type run struct {
	pb      *Playbook
	host    *inventory.Host // nil while hosts themselves are read
	object  cty.Value       // "host"
	facts   cty.Value
	results map[string]cty.Value
	found   collector
	every   collector                // what was found in steps
	chosen  func(tags []string) bool // of steps; nil: all
	leftOut map[string]string        // by address: steps that were not chosen; of data that comes of such a one, the address of that
}

// apart evaluates something, and returns what was found wrong with it in place of telling it.
func (r *run) apart(evaluate func()) hcl.Diagnostics {
	outer := r.found
	r.found = collector{}
	evaluate()
	found := r.found.diags
	r.found = outer
	return found
}

// A result is a value with the addresses (and "fact") that its unknown parts wait for.
type result struct {
	value  cty.Value
	waits  []string
	failed bool // a diagnostic says why; the value is unknown
	absent []absence
	found  hcl.Diagnostics // of a result that is kept
}

// kept works out what is first asked for now, once. What is wrong with it is told to everyone who asks.
func kept[K comparable](r *run, results map[K]result, key K, work func() result) result {
	res, ok := results[key]
	if !ok {
		results[key] = failure // for a cycle, which linking has reported
		found := r.apart(func() { res = work() })
		res.found = found
		results[key] = res
	}
	r.found.add(res.found...)
	return res
}

var failure = result{value: cty.DynamicVal, failed: true}

// A scope is one instance of a module in a run: what its names mean. Values are worked out when
// they are first asked for, and once.
type scope struct {
	run    *run
	mod    *module
	prefix string // of addresses: "module.python."
	parent *scope // of a module: where its block stands,
	call   *item  // the block,
	each   *each  // and which instance of it

	vars     map[string]result
	locals   map[string]result
	steps    map[*item]result
	calls    map[*item]result
	given    map[string]result // outputs
	children map[*item][]*scope
	sets     map[*item]instances
	state    *condition      // whether the module runs at all
	stated   hcl.Diagnostics // what was found in state
}

// each is the instance of a block with for_each; nil where there is none.
type each struct {
	key   string
	value cty.Value
	waits []string
	open  bool // for_each is not known: the instance stands for all
}

func newScope(r *run, m *module) *scope {
	return &scope{
		run: r, mod: m,
		vars: map[string]result{}, locals: map[string]result{}, steps: map[*item]result{},
		calls: map[*item]result{}, given: map[string]result{},
		children: map[*item][]*scope{}, sets: map[*item]instances{},
	}
}

// eval evaluates an expression for an instance. Mistakes are reported to the run.
func (s *scope) eval(e *expression, inst *each) result {
	if e.bad {
		return failure
	}
	if len(e.refs) == 0 {
		v, diags := e.constant(s.mod, s.run.pb)
		s.run.found.add(diags...)
		return result{value: v, failed: diags.HasErrors()}
	}
	ctx, values, ok := s.context(e.refs, inst)
	if !ok {
		return failure
	}
	v, diags := e.Value(ctx)
	absent := absentParts(e.refs, values)
	if len(diags) > 0 {
		if secrets := markedStrings(values); len(secrets) > 0 || e.secret {
			diags = withoutSecrets(diags, secrets, e.secret)
		}
		s.run.found.add(withAbsent(diags, absent)...)
		if diags.HasErrors() {
			return failure
		}
	}
	res := result{value: v, absent: absent}
	if !v.IsWhollyKnown() {
		for i, ref := range e.refs {
			if !partKnown(values[i].value, ref.rest) {
				res.waits = append(res.waits, values[i].waits...)
			}
		}
		res.waits = unique(res.waits)
	}
	return res
}

func markedStrings(values []result) []string {
	var found []string
	for _, v := range values {
		if v.value.ContainsMarked() {
			found = append(found, sensitiveStrings(v.value, true)...)
		}
	}
	return found
}

// partKnown tells whether the part of a value that a reference uses is known.
func partKnown(v cty.Value, rest hcl.Traversal) bool {
	if v.IsWhollyKnown() {
		return true
	}
	if len(rest) > 0 {
		if part, diags := rest.TraverseRel(v); !diags.HasErrors() {
			return part.IsWhollyKnown()
		}
	}
	return false
}

func unique(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

// context builds the names that the references need, and returns the value of each reference.
func (s *scope) context(refs []reference, inst *each) (*hcl.EvalContext, []result, bool) {
	values := make([]result, len(refs))
	vars := make(map[string]cty.Value, 4)
	var groups map[string]map[string]cty.Value // root, or step.KIND and data.KIND → name → value
	group := func(name string) map[string]cty.Value {
		if groups == nil {
			groups = map[string]map[string]cty.Value{}
		}
		if groups[name] == nil {
			groups[name] = map[string]cty.Value{}
		}
		return groups[name]
	}
	ok := true
	for i := range refs {
		ref := &refs[i]
		res := s.lookup(ref, inst)
		if res.failed {
			ok = false
			continue
		}
		values[i] = res
		switch ref.root {
		case "var", "local", "module":
			group(ref.root)[ref.name] = res.value
		case "step", "data":
			kind, name := splitName(ref.name)
			group(ref.root + "." + kind)[name] = res.value
		default:
			vars[ref.root] = res.value
		}
	}
	kinds := map[string]map[string]cty.Value{}
	for name, g := range groups {
		root, kind, ofKind := strings.Cut(name, ".")
		if !ofKind {
			vars[name] = cty.ObjectVal(g)
			continue
		}
		if kinds[root] == nil {
			kinds[root] = map[string]cty.Value{}
		}
		kinds[root][kind] = cty.ObjectVal(g)
	}
	for root, byKind := range kinds {
		vars[root] = cty.ObjectVal(byKind)
	}
	return &hcl.EvalContext{Variables: vars, Functions: s.mod.funcs}, values, ok
}

// lookup returns the value of the object that a reference names, before its rest is applied.
func (s *scope) lookup(ref *reference, inst *each) result {
	switch ref.root {
	case "var":
		return s.variable(ref.name)
	case "local":
		return s.local(ref.name)
	case "step", "data":
		return s.stepValue(s.mod.target(ref), ref)
	case "module":
		return s.moduleValue(s.mod.calls[ref.name], ref)
	case "host":
		return result{value: s.run.object}
	case "fact":
		return result{value: s.run.facts, waits: []string{"fact"}}
	case "each":
		return inst.object()
	default:
		return result{value: s.mod.pathValue()}
	}
}

func (e *each) object() result {
	key := cty.StringVal(e.key)
	if e.open {
		key = cty.UnknownVal(cty.String)
	}
	return result{value: cty.ObjectVal(map[string]cty.Value{"key": key, "value": e.value}), waits: e.waits}
}

func (m *module) pathValue() cty.Value {
	root := m
	for root.parent != nil {
		root = root.parent
	}
	return cty.ObjectVal(map[string]cty.Value{"module": cty.StringVal(m.place.dir), "root": cty.StringVal(root.place.dir)})
}

func (s *scope) local(name string) result {
	return kept(s.run, s.locals, name, func() result { return s.eval(s.mod.locals[name].expr, nil) })
}

// variable returns the value of a variable: from outside for the playbook itself, from the
// module block for a module.
func (s *scope) variable(name string) result {
	if s.parent == nil {
		v := s.run.pb.vars[name]
		if v == cty.NilVal {
			return failure
		}
		return result{value: v}
	}
	return kept(s.run, s.vars, name, func() result { return s.input(s.mod.variables[name]) })
}

func (s *scope) input(v *variable) result {
	var res result
	var at hcl.Range
	if e := s.call.inputs[v.name]; e != nil {
		res, at = s.parent.eval(e, s.each), e.Range()
	} else if v.def != nil {
		res, at = s.eval(v.def, nil), v.def.Range()
	} else {
		return failure
	}
	if res.failed {
		return failure
	}
	val, err := v.fit(res.value)
	if err != nil {
		s.run.found.error(at, "Wrong type of value", "The value of the module's variable "+v.name+" does not fit its type: "+err.Error()+".")
		return failure
	}
	s.run.pb.secrets.note(val)
	if len(v.rules) > 0 {
		if diags := s.run.pb.validate(s.mod, v, val, at); diags.HasErrors() {
			s.run.found.add(diags...)
			return failure
		}
	}
	return result{value: val, waits: res.waits, absent: res.absent}
}
