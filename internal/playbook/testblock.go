package playbook

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// A Test says on what the playbook is tested.
type Test struct {
	Image string // of the container that boots; "" for the sandbox
	Range hcl.Range
}

// Test returns what the test block says; the zero value where there is none.
func (pb *Playbook) Test() Test { return pb.test }

// A testBlock is a test block before it is evaluated.
type testBlock struct {
	rng   hcl.Range
	image *expression // nil: none
	vars  []hcl.KeyValuePair
}

func (pb *Playbook) readTestBlock(m *module, b *hcl.Block) {
	if m.root.test != nil {
		pb.duplicate(b, "test block", m.root.test.rng)
		return
	}
	content, diags := b.Body.Content(&testSchema)
	pb.loading.add(diags...)
	t := &testBlock{rng: b.DefRange}
	m.root.test = t
	if a := content.Attributes["image"]; a != nil {
		t.image = newExpression(a.Expr)
	}
	if a := content.Attributes["vars"]; a != nil {
		pairs, diags := hcl.ExprMap(a.Expr)
		if diags.HasErrors() {
			pb.loading.error(a.Expr.Range(), "Invalid value for vars", "Write the values of variables as an object: vars = { name = \"value\" }.")
		}
		t.vars = pairs
	}
}

// giveTestVars gives the values that variables have in a test, and finds what cannot be a variable at any time.
func (pb *Playbook) giveTestVars(values map[string]given, testing bool) {
	if pb.root.root.test == nil {
		return
	}
	for _, pair := range pb.root.root.test.vars {
		name, diags := variableKey(pair.Key)
		v := pb.root.variables[name]
		switch {
		case diags.HasErrors():
			pb.loading.add(diags...)
		case v == nil:
			pb.loading.error(pair.Key.Range(), "Unknown variable", fmt.Sprintf("The test block sets %q, and the playbook declares no such variable.%s", name, known(name, "variable", keys(pb.root.variables))))
		case testing:
			pb.giveExpression(values, v, pair.Value, "the test block", "The vars of a test block hold")
		case v.sensitive:
			pb.blot(pair.Value.Range())
		}
	}
}

// variableKey is the name that a key of an object stands for.
func variableKey(e hcl.Expression) (string, hcl.Diagnostics) {
	if name := hcl.ExprAsKeyword(e); name != "" {
		return name, nil
	}
	v, diags := e.Value(nil)
	if !diags.HasErrors() && (v.IsNull() || v.Type() != cty.String) {
		diags = hcl.Diagnostics{problem(e.Range(), "Invalid value for vars", "A key is the name of a variable.")}
	}
	if diags.HasErrors() {
		return "", diags
	}
	return v.AsString(), nil
}

// loadTest evaluates the test block.
func (pb *Playbook) loadTest(s *scope) {
	t := pb.root.root.test
	if t == nil {
		return
	}
	pb.test.Range = t.rng
	if t.image == nil || t.image.bad {
		return
	}
	v, ok := s.static(t.image, cty.String, "image")
	if !ok || v.IsNull() {
		return
	}
	pb.test.Image = v.AsString()
	if strings.TrimSpace(pb.test.Image) == "" || strings.HasPrefix(pb.test.Image, "-") {
		s.run.found.error(t.image.Range(), "Invalid value for image", "It is the name of a container image that boots, such as \"quay.io/centos/centos:centos7\". Leave it out for the sandbox.")
	}
}
