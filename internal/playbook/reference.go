package playbook

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"provision/internal/steps"
	"provision/internal/suggest"
)

// A reference is a name that an expression uses.
type reference struct {
	root string        // var, local, step, data, module, host, fact, each or path
	name string        // NAME of var, local and module; KIND.NAME of step and data; else ""
	key  *string       // of step.K.N["key"] and module.N["key"]
	rest hcl.Traversal // what follows
	rng  hcl.Range
}

// stepName returns the name in an attribute access or in an index with a constant string.
func stepName(t hcl.Traverser) (string, bool) {
	switch t := t.(type) {
	case hcl.TraverseAttr:
		return t.Name, true
	case hcl.TraverseIndex:
		if t.Key.Type() == cty.String && t.Key.IsKnown() && !t.Key.IsNull() {
			return t.Key.AsString(), true
		}
	}
	return "", false
}

func parseReference(t hcl.Traversal) (*reference, *hcl.Diagnostic) {
	ref := &reference{root: t.RootName(), rng: t.SourceRange()}
	rest := t[1:]
	need, shape := 0, ""
	switch ref.root {
	case "var", "local":
		need, shape = 1, ref.root+".NAME"
	case "module":
		need, shape = 1, "module.NAME.OUTPUT"
	case "step":
		need, shape = 2, "step.KIND.NAME.OUTPUT"
	case "data":
		need, shape = 2, "data.KIND.NAME.OUTPUT"
	case "host", "fact", "each", "path":
	default:
		return nil, unknownRoot(t)
	}
	var parts []string
	for len(parts) < need {
		name, ok := "", false
		if len(rest) > 0 {
			name, ok = stepName(rest[0])
		}
		if !ok {
			return nil, problem(ref.rng, "Incomplete reference", fmt.Sprintf("%q alone names nothing; write %s.", traversalText(t), shape))
		}
		parts, rest = append(parts, name), rest[1:]
	}
	ref.name = strings.Join(parts, ".")
	if ref.root == "step" || ref.root == "data" || ref.root == "module" {
		if index, ok := first(rest).(hcl.TraverseIndex); ok {
			if key, ok := indexKey(index.Key); ok {
				ref.key, rest = &key, rest[1:]
			}
		}
	}
	ref.rest = rest
	return ref, nil
}

func first(t hcl.Traversal) hcl.Traverser {
	if len(t) == 0 {
		return nil
	}
	return t[0]
}

func indexKey(v cty.Value) (string, bool) {
	if !v.IsKnown() || v.IsNull() {
		return "", false
	}
	switch v.Type() {
	case cty.String:
		return v.AsString(), true
	case cty.Number:
		return v.AsBigFloat().Text('f', -1), true
	}
	return "", false
}

func unknownRoot(t hcl.Traversal) *hcl.Diagnostic {
	name := t.RootName()
	detail := suggest.DidYouMean(name, allRoots)
	switch {
	case name == "env":
		detail = ` Write env("NAME") for a variable of the environment.`
	case name == "facts" || name == "ansible_facts":
		detail = ` Did you mean "fact"?`
	case name == "item" || name == "count" || name == "self":
		detail = " Inside a block with for_each, write each.key and each.value."
	case detail == "":
		detail = fmt.Sprintf(" Names begin with one of %s; a text stands in quotes.", listing(allRoots, "and"))
	}
	return problem(t.SourceRange(), "Unknown name", fmt.Sprintf("There is nothing named %q.%s", name, detail))
}

// allowed reports a reference that has no meaning in its surroundings.
func allowed(ref *reference, in surroundings) *hcl.Diagnostic {
	if !slices.Contains(in.roots, ref.root) {
		where := in.where
		if where == "" {
			where = "here"
		}
		if ref.root == "each" {
			return problem(ref.rng, "No for_each around", fmt.Sprintf("each.key and each.value are known in a step or module block with for_each, and not %s.", where))
		}
		if len(in.roots) == 0 {
			return problem(ref.rng, "Name not known here", fmt.Sprintf("No names are known %s.", where))
		}
		return problem(ref.rng, "Name not known here", fmt.Sprintf("%q is not known %s; use %s.", ref.root, where, listing(in.roots, "or")))
	}
	if ref.root == "each" && !in.each {
		return problem(ref.rng, "No for_each around", "each.key and each.value are known in a block with for_each. Add one, or name the value.")
	}
	return nil
}

// exists reports a reference to something that is not there.
func (m *module) exists(ref *reference) *hcl.Diagnostic {
	switch ref.root {
	case "var":
		if m.variables[ref.name] == nil {
			return problem(ref.rng, "Unknown variable", fmt.Sprintf("No variable %q is declared.%s Declare it with: variable %q {}.", ref.name, suggest.DidYouMean(ref.name, keys(m.variables)), ref.name))
		}
	case "local":
		if m.locals[ref.name] == nil {
			return problem(ref.rng, "Unknown local value", fmt.Sprintf("No local value %q is declared.%s", ref.name, known(ref.name, "local value", keys(m.locals))))
		}
	case "step":
		it := m.steps[ref.name]
		if it == nil {
			return problem(ref.rng, "Unknown step", fmt.Sprintf("There is no step.%s.%s", ref.name, known("step."+ref.name, "step", prefixed("step.", keys(m.steps)))))
		}
		if it.kind != nil {
			return m.instancePart(ref, it, "output", keys(it.kind.outputs))
		}
	case "data":
		it := m.data[ref.name]
		if it == nil {
			return problem(ref.rng, "Unknown data", fmt.Sprintf("There is no data.%s.%s", ref.name, known("data."+ref.name, "data block", prefixed("data.", keys(m.data)))))
		}
		if it.kind != nil {
			return m.instancePart(ref, it, "output", keys(it.kind.outputs))
		}
	case "module":
		it := m.calls[ref.name]
		if it == nil {
			return problem(ref.rng, "Unknown module", fmt.Sprintf("There is no module.%s.%s", ref.name, known("module."+ref.name, "module", prefixed("module.", keys(m.calls)))))
		}
		if it.module != nil {
			return m.instancePart(ref, it, "output", keys(it.module.outputs))
		}
	case "host":
		return attribute(ref, "host", []string{"name", "address", "groups", "vars"})
	case "each":
		return attribute(ref, "each", []string{"key", "value"})
	case "path":
		return attribute(ref, "path", []string{"module", "root"})
	case "fact":
		return factPart(ref)
	}
	return nil
}

// instancePart checks the key and the output of a reference to a step or a module.
func (m *module) instancePart(ref *reference, it *item, what string, names []string) *hcl.Diagnostic {
	if ref.key != nil && it.meta.forEach == nil {
		return problem(ref.rng, "No such instance", fmt.Sprintf("%s has no for_each; refer to it without a key.", it.addr))
	}
	attr, ok := first(ref.rest).(hcl.TraverseAttr)
	if !ok {
		return nil
	}
	if it.meta.forEach != nil && ref.key == nil {
		return problem(ref.rng, "A key is missing", fmt.Sprintf("%s has a for_each: name one of its instances, as in %s[\"key\"].%s.", it.addr, it.addr, attr.Name))
	}
	if !slices.Contains(names, attr.Name) {
		return problem(attr.SrcRange, "Unknown "+what, fmt.Sprintf("%s has no output %q.%s", it.addr, attr.Name, known(attr.Name, what, names)))
	}
	return nil
}

func attribute(ref *reference, object string, names []string) *hcl.Diagnostic {
	if len(ref.rest) == 0 {
		return nil
	}
	name, ok := stepName(ref.rest[0])
	if ok && !slices.Contains(names, name) {
		return problem(ref.rng, "Unknown name", fmt.Sprintf("There is no %s.%s.%s", object, name, known(object+"."+name, "name", prefixed(object+".", names))))
	}
	return nil
}

// factPart checks the whole path of a fact against the type of all facts.
func factPart(ref *reference) *hcl.Diagnostic {
	ty, shown := steps.FactType, "fact"
	for _, step := range ref.rest {
		name, ok := stepName(step)
		if !ok || !ty.IsObjectType() {
			return nil
		}
		if !ty.HasAttribute(name) {
			return problem(ref.rng, "Unknown fact", fmt.Sprintf("There is no %s.%s.%s", shown, name, known(shown+"."+name, "fact", prefixed(shown+".", keys(ty.AttributeTypes())))))
		}
		ty, shown = ty.AttributeType(name), shown+"."+name
	}
	return nil
}

func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func (m *module) target(ref *reference) *item {
	switch ref.root {
	case "step":
		return m.steps[ref.name]
	case "data":
		return m.data[ref.name]
	}
	return m.calls[ref.name]
}

// traversalText shows a traversal as it was written.
func traversalText(t hcl.Traversal) string {
	var b strings.Builder
	for _, step := range t {
		switch s := step.(type) {
		case hcl.TraverseRoot:
			b.WriteString(s.Name)
		case hcl.TraverseAttr:
			b.WriteString("." + s.Name)
		case hcl.TraverseIndex:
			key, _ := indexKey(s.Key)
			if s.Key.Type() == cty.String {
				key = strconv.Quote(key)
			}
			b.WriteString("[" + key + "]")
		}
	}
	return b.String()
}
