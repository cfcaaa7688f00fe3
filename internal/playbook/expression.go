package playbook

import (
	"sync"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"provision/internal/steps"
)

// An expression is an HCL expression linked to its module: what it refers to is parsed and
// checked once, and one that refers to nothing is evaluated once.
type expression struct {
	hcl.Expression
	refs   []reference
	bad    bool // a reference is wrong, and reported
	secret bool // it calls a function that makes sensitive values

	once  sync.Once
	value cty.Value
	diags hcl.Diagnostics
}

func newExpression(e hcl.Expression) *expression {
	return &expression{Expression: e, secret: callsSecret(e)}
}

// callsSecret tells whether an expression may call sensitive() or decrypt(). Of JSON nobody
// knows before it is evaluated.
func callsSecret(e hcl.Expression) bool {
	node, ok := e.(hclsyntax.Node)
	if !ok {
		return true
	}
	found := false
	_ = hclsyntax.VisitAll(node, func(n hclsyntax.Node) hcl.Diagnostics {
		if call, ok := n.(*hclsyntax.FunctionCallExpr); ok && isSecretFunction(call.Name) {
			found = true
		}
		return nil
	})
	return found
}

// constant evaluates an expression without references, once for all hosts.
func (e *expression) constant(m *module, pb *Playbook) (cty.Value, hcl.Diagnostics) {
	e.once.Do(func() {
		e.value, e.diags = e.Value(&hcl.EvalContext{Functions: m.funcs})
		if e.diags.HasErrors() && e.secret {
			e.diags = withoutSecrets(e.diags, nil, true)
		}
		pb.secrets.note(e.value)
	})
	return e.value, e.diags
}

// names of the roots that an expression may use, by its surroundings.
var (
	stepRoots   = []string{"var", "local", "host", "fact", "step", "data", "module", "each", "path"}
	localRoots  = []string{"var", "local", "host", "fact", "step", "data", "module", "path"}
	playRoots   = []string{"var", "local", "host", "fact", "path"}
	staticRoots = []string{"var", "local", "path"}
	allRoots    = stepRoots
)

// surroundings say what an expression may refer to.
type surroundings struct {
	roots []string
	item  *item  // the step or module block around; references must be to earlier ones
	each  bool   // the block has a for_each
	where string // "in a host block", for messages
	late  bool   // the expression is linked while steps are evaluated, which must not change the module
}

// linkExpression parses and checks the references of an expression.
func (pb *Playbook) linkExpression(m *module, e *expression, in surroundings) {
	if e == nil {
		return
	}
	diags := checkFunctions(e.Expression, m.funcs)
	for _, traversal := range e.Variables() {
		ref, diag := parseReference(traversal)
		if diag == nil {
			diag = allowed(ref, in)
		}
		if diag == nil {
			diag = m.exists(ref)
		}
		if diag == nil {
			diag = m.inOrder(ref, in)
		}
		if diag != nil {
			diags = append(diags, diag)
			continue
		}
		e.refs = append(e.refs, *ref)
		if ref.root == "data" && !in.late {
			m.target(ref).use(ref.rest)
		}
	}
	e.bad = diags.HasErrors()
	pb.loading.add(diags...)
}

// link links every expression of a module and of those inside it.
func (pb *Playbook) link(m *module) {
	for _, v := range m.varOrder {
		pb.linkVariable(m, v)
	}
	for _, l := range m.locals {
		pb.linkExpression(m, l.expr, surroundings{roots: localRoots})
	}
	pb.findCycles(m)
	for _, it := range m.items {
		pb.linkItem(m, it)
	}
	for _, o := range m.outputs {
		pb.linkExpression(m, o.expr, surroundings{roots: localRoots})
	}
	if m.root != nil {
		pb.linkRoot(m)
	}
}

func (pb *Playbook) linkItem(m *module, it *item) {
	before := surroundings{roots: localRoots, item: it, where: "in for_each"}
	pb.linkExpression(m, it.meta.forEach, before)
	in := surroundings{roots: stepRoots, item: it, each: it.meta.forEach != nil}
	for _, e := range it.meta.expressions() {
		pb.linkExpression(m, e, in)
	}
	for _, a := range it.args {
		pb.linkExpression(m, a.expr, in)
		m.templates = m.templates || a.spec.Origin == steps.Template
	}
	for _, e := range it.inputs {
		pb.linkExpression(m, e, in)
	}
	pb.linkOnChange(m, it)
	if it.module != nil {
		pb.link(it.module)
	}
}
