package playbook

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"

	"provision/internal/suggest"
)

// readCall reads a module block and the module that it names.
func (pb *Playbook) readCall(m *module, it *item, b *hcl.Block) {
	content, remain, diags := b.Body.PartialContent(&callSchema)
	pb.loading.add(diags...)
	it.meta = pb.readMeta(content.Attributes)
	attrs, diags := remain.JustAttributes()
	pb.loading.add(diags...)
	it.inputs = map[string]*expression{}
	for _, a := range inOrder(attrs) {
		it.inputs[a.Name] = newExpression(a.Expr)
	}
	a := content.Attributes["source"]
	if a == nil {
		return
	}
	text, ok := pb.literalString(a)
	if !ok {
		return
	}
	if m.depth >= maxDepth {
		pb.loading.error(a.Expr.Range(), "Modules nest too deeply", fmt.Sprintf("At most %d modules may stand inside each other.", maxDepth))
		return
	}
	src, ok := pb.openModule(m.place, text, a.Expr.Range())
	if !ok {
		return
	}
	for outer := m; outer != nil; outer = outer.parent {
		if outer.place.dir == src.place.dir {
			pb.loading.error(a.Expr.Range(), "A module inside itself", fmt.Sprintf("%q leads back to a module that stands around this block.", text))
			return
		}
	}
	it.module = pb.readModule(src, m)
	pb.checkInputs(it, attrs)
}

// checkInputs compares the attributes of a module block with the variables of the module.
func (pb *Playbook) checkInputs(it *item, attrs hcl.Attributes) {
	for _, a := range inOrder(attrs) {
		if it.module.variables[a.Name] != nil {
			continue
		}
		delete(it.inputs, a.Name)
		detail := suggest.DidYouMean(a.Name, append(keys(it.module.variables), "when", "for_each", "become", "run_as", "tags", "source"))
		switch a.Name {
		case "on_change", "timeout", "retries", "continue_on_error":
			detail = " It is an argument of steps, and a module block cannot have it."
		}
		pb.loading.error(a.NameRange, "Unknown argument", fmt.Sprintf("The module %q has no variable %q.%s", it.name, a.Name, detail))
	}
	var missing []string
	for _, v := range it.module.varOrder {
		if v.def == nil && attrs[v.name] == nil {
			missing = append(missing, v.name)
		}
	}
	if len(missing) > 0 {
		pb.loading.error(it.rng, "Missing argument", fmt.Sprintf("The module %q requires %s.", it.name, listing(missing, "and")))
	}
}
