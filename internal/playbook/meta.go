package playbook

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"provision/internal/suggest"
)

// meta holds the meta-arguments of a block; nil where one is not written.
type meta struct {
	when, forEach, become, runAs, tags *expression
	timeout, retries, proceed, once    *expression

	onChange hcl.Expression
	events   []eventRefs // of onChange, linked, by event
}

// eventRefs are the steps that raise an event.
type eventRefs struct {
	event string
	refs  []raiser
}

// A raiser is a step or a module named in on_change.
type raiser struct {
	item *item
	key  string // of for_each
	keys bool   // a key is given
	rng  hcl.Range
}

func (pb *Playbook) readMeta(attrs hcl.Attributes) meta {
	pick := func(name string) *expression {
		if a := attrs[name]; a != nil {
			return newExpression(a.Expr)
		}
		return nil
	}
	mt := meta{
		when: pick("when"), forEach: pick("for_each"), become: pick("become"), runAs: pick("run_as"), tags: pick("tags"),
		timeout: pick("timeout"), retries: pick("retries"), proceed: pick("continue_on_error"), once: pick("once"),
	}
	if a := attrs["on_change"]; a != nil {
		mt.onChange = a.Expr
	}
	return mt
}

func (mt *meta) expressions() []*expression {
	var list []*expression
	for _, e := range []*expression{mt.when, mt.become, mt.runAs, mt.tags, mt.timeout, mt.retries, mt.proceed, mt.once} {
		if e != nil {
			list = append(list, e)
		}
	}
	return list
}

// linkOnChange resolves the steps named in on_change, which is read as it is written and not evaluated.
func (pb *Playbook) linkOnChange(m *module, it *item) {
	expr := it.meta.onChange
	if expr == nil {
		return
	}
	if pairs, diags := hcl.ExprMap(expr); !diags.HasErrors() {
		for _, pair := range pairs {
			event := hcl.ExprAsKeyword(pair.Key)
			if event == "" {
				if v, diags := pair.Key.Value(nil); !diags.HasErrors() && v.Type() == cty.String && v.IsKnown() && !v.IsNull() {
					event = v.AsString()
				}
			}
			if it.kind != nil && !slices.Contains(it.kind.events, event) {
				detail := fmt.Sprintf("Steps of the kind %s know no events. Write on_change = [step.KIND.NAME] to run the step when another one changed.", it.kind.Name)
				if len(it.kind.events) > 0 {
					detail = fmt.Sprintf("The kind %s knows no event %q; it knows %s.%s", it.kind.Name, event, listing(it.kind.events, "and"), suggest.DidYouMean(event, it.kind.events))
				}
				pb.loading.error(pair.Key.Range(), "Unknown event", detail)
				continue
			}
			it.meta.events = append(it.meta.events, eventRefs{event, pb.raisers(m, it, pair.Value)})
		}
		return
	}
	it.meta.events = []eventRefs{{"", pb.raisers(m, it, expr)}}
}

func (pb *Playbook) raisers(m *module, it *item, expr hcl.Expression) []raiser {
	list, diags := hcl.ExprList(expr)
	if diags.HasErrors() {
		pb.loading.error(expr.Range(), "Invalid on_change", "A list of steps is required, such as [step.file.motd].")
		return nil
	}
	var found []raiser
	for _, e := range list {
		traversal, diags := hcl.AbsTraversalForExpr(e)
		if diags.HasErrors() {
			pb.loading.error(e.Range(), "Invalid on_change", "Only names of steps and modules may stand here, such as step.file.motd or module.python: the list is read before anything is evaluated.")
			continue
		}
		ref, diag := parseReference(traversal)
		if diag == nil && ref.root != "step" && ref.root != "module" {
			diag = problem(e.Range(), "Invalid on_change", fmt.Sprintf("%s is no step. Name steps such as step.file.motd, or modules such as module.python.", traversalText(traversal)))
			if ref.root == "data" {
				diag.Detail = fmt.Sprintf("%s is no step, and never changes anything. Use what it finds in the step's when.", traversalText(traversal))
			}
		}
		if diag == nil {
			diag = m.exists(ref)
		}
		var target *item
		if diag == nil {
			target = m.target(ref)
			switch {
			case len(ref.rest) > 0:
				diag = problem(e.Range(), "Invalid on_change", fmt.Sprintf("Name the step alone: %s.", target.addr))
			case target.order >= it.order:
				diag = laterDiagnostic(e.Range(), it, target, "")
			case ref.key != nil && target.meta.forEach == nil:
				diag = problem(e.Range(), "No such instance", fmt.Sprintf("%s has no for_each; name it without a key.", target.addr))
			}
		}
		if diag != nil {
			pb.loading.add(diag)
			continue
		}
		r := raiser{item: target, rng: e.Range()}
		if ref.key != nil {
			r.key, r.keys = *ref.key, true
		}
		found = append(found, r)
	}
	return found
}

func laterDiagnostic(at hcl.Range, it, target *item, via string) *hcl.Diagnostic {
	if it == target {
		return problem(at, "A "+it.word()+" that refers to itself", fmt.Sprintf("%s cannot use its own outputs.%s", it.addr, via))
	}
	return problem(at, "Reference to a later "+target.word(), fmt.Sprintf("%s is at %s, line %d, and comes after %s.%s Steps run in the order in which they are written: move one of them.",
		target.addr, target.rng.Filename, target.rng.Start.Line, it.addr, via))
}

// constantStrings returns the strings of a list expression that needs nothing to be evaluated.
func constantStrings(e *expression) []string {
	if e == nil || len(e.refs) > 0 {
		return nil
	}
	v, diags := e.Value(nil)
	if diags.HasErrors() || !v.IsWhollyKnown() || v.IsNull() || !v.CanIterateElements() || v.ContainsMarked() {
		return nil
	}
	var list []string
	for it := v.ElementIterator(); it.Next(); {
		if _, s := it.Element(); !s.IsNull() && s.Type() == cty.String {
			list = append(list, strings.TrimSpace(s.AsString()))
		}
	}
	return list
}
