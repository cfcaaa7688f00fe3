package playbook

import (
	"fmt"
	"math"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// A check is a check block. It becomes a step of the kind http_check or wait_for.
type check struct {
	hosts *expression
	item  *item
}

// checkOrder is the place of checks among the items: after everything else.
const checkOrder = math.MaxInt

// checkForms are the arguments that say what a check does, with the kind that does it and the
// name of its argument there.
var checkForms = []struct{ attr, kind, arg string }{
	{"http", "http_check", "url"},
	{"command", "wait_for", "command"},
	{"script", "wait_for", "command"},
	{"port", "wait_for", "port"},
	{"path", "wait_for", "path"},
}

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
	rename := map[string]string{}
	for _, form := range checkForms {
		a := attrs[form.attr]
		if a == nil {
			continue
		}
		if it.kind != nil {
			pb.loading.error(a.NameRange, "A check of two things", fmt.Sprintf("A check looks at one thing, and this one has %q too. Make two checks of it.", form.attr))
			return
		}
		if it.kind = pb.kinds[form.kind]; it.kind == nil {
			panic("playbook: checks need the kind " + form.kind)
		}
		rename[form.attr] = form.arg
	}
	if it.kind == nil {
		pb.loading.error(b.DefRange, "A check of nothing", "Say what is checked: http = URL, command = [\"words\"], script = \"text\", port = NUMBER or path = \"/path\".")
		return
	}
	for _, a := range inOrder(attrs) {
		name := a.Name
		if to, ok := rename[name]; ok {
			name = to
		} else if hidden(it.kind.Name, name) {
			name = ""
		}
		spec := it.kind.args.Get(name)
		if spec == nil {
			pb.loading.error(a.NameRange, "Unknown argument", fmt.Sprintf("This check has no argument %q.%s", a.Name, known(a.Name, "argument", it.checkArguments(rename))))
			continue
		}
		it.args = append(it.args, argument{name: a.Name, spec: spec, expr: newExpression(a.Expr), words: a.Name == "command"})
	}
	if spec := it.kind.args.Get("timeout"); spec != nil && attrs["timeout"] == nil {
		it.args = append(it.args, argument{name: "timeout", spec: spec, expr: newExpression(hcl.StaticExpr(checkTimeout, b.DefRange))})
	}
}

// checkTimeout is how long a check may wait for what it looks at: everything has been made by then, so that a check
// which fails should say so soon.
var checkTimeout = cty.StringVal("30s")

// hidden tells whether an argument of a kind has another name in a check.
func hidden(kind, name string) bool {
	for _, form := range checkForms {
		if form.kind == kind && form.arg == name {
			return true
		}
	}
	return false
}

func (it *item) checkArguments(rename map[string]string) []string {
	names := []string{"hosts", "when", "become", "run_as", "tags"}
	for from := range rename {
		names = append(names, from)
	}
	for _, name := range it.kind.names {
		if !hidden(it.kind.Name, name) {
			names = append(names, name)
		}
	}
	return names
}
