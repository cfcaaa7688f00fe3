package playbook

import (
	"fmt"
	"math"
	"slices"

	"provision/internal/steps"
	"provision/internal/steps/kinds"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// A check is a check block. It becomes a step of the kind that carries out what it checks (steps.Check).
type check struct {
	hosts *expression
	item  *item
}

// checkOrder is the place of checks among the items: after everything else.
const checkOrder = math.MaxInt

func (pb *Playbook) readCheck(m *module, b *hcl.Block) {
	if !pb.validName(b, 0) {
		return
	}
	name := b.Labels[0]
	for _, other := range m.root.checks {
		if other.item.name == name {
			pb.duplicate(b, "check", other.item.rng)
			return
		}
	}
	content, remain, diags := b.Body.PartialContent(&checkSchema)
	pb.loading.add(diags...)
	attrs, diags := remain.JustAttributes()
	pb.loading.add(diags...)
	it := &item{
		addr: "check." + name, name: name, order: checkOrder, rng: b.DefRange, source: pb.sourceLine(b.DefRange),
		play: &play{name: "", rng: b.DefRange}, meta: pb.readMeta(content.Attributes),
	}
	c := &check{item: it}
	if a := content.Attributes["hosts"]; a != nil {
		c.hosts = newExpression(a.Expr)
	}
	m.root.checks = append(m.root.checks, c)
	pb.readCheckForm(it, b, attrs)
}

func (pb *Playbook) readCheckForm(it *item, b *hcl.Block, attrs hcl.Attributes) {
	var form steps.Check
	var forms []string
	for _, k := range kinds.All() {
		for _, c := range k.Checks {
			forms = append(forms, c.Name+" = "+c.Value)
			a := attrs[c.Name]
			if a == nil {
				continue
			}
			if it.kind != nil {
				pb.loading.error(a.NameRange, "A check of two things", fmt.Sprintf("A check looks at one thing, and this one has %q too. Make two checks of it.", c.Name))
				return
			}
			it.kind, form = pb.kinds[k.Name], c
		}
	}
	if it.kind == nil {
		pb.loading.error(b.DefRange, "A check of nothing", "Say what is checked: "+listing(forms, "or")+".")
		return
	}
	for _, a := range inOrder(attrs) {
		name := a.Name
		if name == form.Name {
			name = form.Arg
		} else if it.kind.hidden(name) {
			name = ""
		}
		spec := it.kind.args.Get(name)
		if spec == nil {
			pb.loading.error(a.NameRange, "Unknown argument", fmt.Sprintf("This check has no argument %q.%s", a.Name, known(a.Name, "argument", it.checkArguments(form))))
			continue
		}
		it.args = append(it.args, argument{name: a.Name, spec: spec, expr: newExpression(a.Expr), words: form.Words && a.Name == form.Name})
	}
	if spec := it.kind.args.Get("timeout"); spec != nil && attrs["timeout"] == nil {
		it.args = append(it.args, argument{name: "timeout", spec: spec, expr: newExpression(hcl.StaticExpr(checkTimeout, b.DefRange))})
	}
}

// checkTimeout is how long a check may wait for what it looks at: everything has been made by then, so that a check
// which fails should say so soon.
var checkTimeout = cty.StringVal("30s")

// hidden tells whether an argument of a kind has another name in a check.
func (k *kindInfo) hidden(name string) bool {
	return slices.ContainsFunc(k.Checks, func(c steps.Check) bool { return c.Arg == name })
}

func (it *item) checkArguments(form steps.Check) []string {
	names := []string{"hosts", "when", "become", "run_as", "tags", form.Name}
	for _, name := range it.kind.names {
		if !it.kind.hidden(name) {
			names = append(names, name)
		}
	}
	return names
}
