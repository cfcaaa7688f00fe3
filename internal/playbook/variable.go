package playbook

import (
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"provision/internal/steps"
)

// A variable is a variable block.
type variable struct {
	name      string
	typ       cty.Type
	defaults  *typeexpr.Defaults
	def       *expression // nil if a value is required
	command   *expression // of a secret block: the program that prints the value; nil without one
	sensitive bool
	nullable  bool
	rules     []rule
	rng       hcl.Range
}

// A rule is a validation block.
type rule struct {
	condition, message *expression
}

func (pb *Playbook) readVariable(m *module, b *hcl.Block) {
	content, diags := b.Body.Content(&variableSchema)
	pb.loading.add(diags...)
	v := &variable{name: b.Labels[0], typ: cty.DynamicPseudoType, nullable: true, rng: b.DefRange}
	if !pb.validName(b, 0) {
		return
	}
	if slices.Contains(callReserved, v.name) {
		pb.loading.error(b.LabelRanges[0], "Reserved name", fmt.Sprintf("%q cannot be the name of a variable, since it is an argument of module blocks. Choose another.", v.name))
		return
	}
	if first := m.variables[v.name]; first != nil {
		pb.duplicate(b, "variable", first.rng)
		return
	}
	m.variables[v.name] = v
	m.varOrder = append(m.varOrder, v)
	if a := content.Attributes["type"]; a != nil {
		typ, defaults, diags := typeexpr.TypeConstraintWithDefaults(a.Expr)
		pb.loading.add(diags...)
		if !diags.HasErrors() {
			v.typ, v.defaults = typ, defaults
		}
	}
	v.sensitive = pb.literalBool(content.Attributes["sensitive"], false)
	v.nullable = pb.literalBool(content.Attributes["nullable"], true)
	if a := content.Attributes["description"]; a != nil {
		pb.literalString(a)
	}
	if a := content.Attributes["default"]; a != nil {
		v.def = newExpression(a.Expr)
		if v.sensitive {
			pb.blot(a.Expr.Range())
		}
	}
	for _, vb := range content.Blocks {
		if vb.Type == "secret" {
			pb.readSecret(m, v, vb)
			continue
		}
		c, diags := vb.Body.Content(&validationSchema)
		pb.loading.add(diags...)
		if !diags.HasErrors() {
			v.rules = append(v.rules, rule{newExpression(c.Attributes["condition"].Expr), newExpression(c.Attributes["error_message"].Expr)})
		}
	}
}

// literalBool reads an attribute that must be written as true or false.
func (pb *Playbook) literalBool(a *hcl.Attribute, otherwise bool) bool {
	if a == nil {
		return otherwise
	}
	v, diags := a.Expr.Value(nil)
	if diags.HasErrors() || !v.IsKnown() || v.IsNull() || v.Type() != cty.Bool {
		pb.loading.error(a.Expr.Range(), "A plain value is required", fmt.Sprintf("%s must be written as true or false.", a.Name))
		return otherwise
	}
	return v.True()
}

// literalString reads an attribute that must be a text without references.
func (pb *Playbook) literalString(a *hcl.Attribute) (string, bool) {
	v, diags := a.Expr.Value(nil)
	if diags.HasErrors() || !v.IsKnown() || v.IsNull() || v.Type() != cty.String {
		pb.loading.error(a.Expr.Range(), "A plain value is required", fmt.Sprintf("%s must be a text in quotes, without references.", a.Name))
		return "", false
	}
	return v.AsString(), true
}

func (pb *Playbook) linkVariable(m *module, v *variable) {
	pb.linkExpression(m, v.def, surroundings{where: "in the default of a variable"})
	pb.linkExpression(m, v.command, surroundings{where: "in the command of a secret"})
	for _, r := range v.rules {
		for _, e := range []*expression{r.condition, r.message} {
			pb.linkExpression(m, e, surroundings{roots: []string{"var", "path"}, where: "in a validation"})
			for _, ref := range e.refs {
				if ref.root == "var" && ref.name != v.name {
					pb.loading.error(ref.rng, "Name not known here", fmt.Sprintf("A validation of var.%s can use that variable only.", v.name))
					e.bad = true
				}
			}
		}
	}
}

// fit converts a value to the type of the variable and marks it. The error never holds the value.
func (v *variable) fit(val cty.Value) (cty.Value, error) {
	if v.defaults != nil && !val.IsNull() {
		val = v.defaults.Apply(val)
	}
	val, err := convert.Convert(val, v.typ)
	if err != nil {
		return cty.NilVal, err
	}
	if val.IsNull() && !v.nullable {
		return cty.NilVal, fmt.Errorf("null is not allowed here")
	}
	if v.sensitive {
		val = val.Mark(steps.Sensitive)
	}
	return val, nil
}

// validate checks the validation blocks against a value, and reports at the place where the value
// comes from.
func (pb *Playbook) validate(m *module, v *variable, val cty.Value, at hcl.Range) hcl.Diagnostics {
	texts, diags := m.broken("var", v, val)
	var found collector
	found.add(diags...)
	for _, text := range texts {
		found.error(at, "Invalid value for variable "+v.name, text)
	}
	return found.diags
}

// broken returns the messages of the validation blocks that refuse a value, which they know as ROOT.NAME.
func (m *module) broken(root string, v *variable, val cty.Value) (texts []string, diags hcl.Diagnostics) {
	var found collector
	ctx := &hcl.EvalContext{Functions: m.funcs, Variables: map[string]cty.Value{
		root: cty.ObjectVal(map[string]cty.Value{v.name: val}), "path": m.pathValue(),
	}}
	for _, r := range v.rules {
		if r.condition.bad || r.message.bad {
			continue
		}
		ok, diags := r.condition.Value(ctx)
		if diags.HasErrors() {
			found.add(withoutSecrets(diags, sensitiveStrings(val, true), v.sensitive)...)
			continue
		}
		ok, _ = ok.UnmarkDeep()
		ok, err := convert.Convert(ok, cty.Bool)
		if err != nil || ok.IsNull() {
			found.error(r.condition.Range(), "Invalid condition", "A validation's condition must be true or false.")
			continue
		}
		if !ok.IsKnown() || ok.True() {
			continue
		}
		text := "The value is not allowed."
		if message, diags := r.message.Value(ctx); !diags.HasErrors() && !sensitive(message) {
			if message, err := convert.Convert(message, cty.String); err == nil && message.IsKnown() && !message.IsNull() {
				text = message.AsString()
			}
		}
		texts = append(texts, text)
	}
	return texts, found.diags
}
