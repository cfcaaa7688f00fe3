package playbook

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"provision/internal/suggest"
)

func environMap(list []string) map[string]string {
	env := make(map[string]string, len(list))
	for _, item := range list {
		if name, value, ok := strings.Cut(item, "="); ok {
			env[name] = value
		}
	}
	return env
}

// A given is the value of a variable before its type is applied.
type given struct {
	value cty.Value
	from  string    // "the file prod.vars.hcl", "--var", for messages
	at    hcl.Range // where it is written; empty for --var and the environment
}

// loadVars gathers the values of the root module's variables: see Options for who wins.
func (pb *Playbook) loadVars(src *source, o Options) {
	values := map[string]given{}
	pb.given = values
	for _, v := range pb.root.varOrder {
		if text, ok := pb.environ["PROVISION_VAR_"+v.name]; ok {
			pb.giveText(values, v, text, "the environment variable PROVISION_VAR_"+v.name)
		}
	}
	for _, name := range autoVarFiles(src.place.dir) {
		pb.readVarFile(values, src.place.shown+name, filepath.Join(src.place.dir, name))
	}
	pb.giveTestVars(values, o.Test)
	for _, name := range o.VarFiles {
		pb.readVarFile(values, name, name)
	}
	for _, name := range keys(o.Vars) {
		v := pb.root.variables[name]
		if v == nil {
			pb.loading.error(hcl.Range{}, "Unknown variable", fmt.Sprintf("--var sets %q, and the playbook declares no such variable.%s", name, known(name, "variable", keys(pb.root.variables))))
			continue
		}
		pb.giveText(values, v, o.Vars[name], "--var")
	}
	pb.vars = map[string]cty.Value{}
	for _, v := range pb.root.varOrder {
		pb.vars[v.name] = pb.rootValue(v, values)
	}
}

// rootValue is the value of a variable of the root module: the one that was given, that of its secret's program, or the default.
func (pb *Playbook) rootValue(v *variable, values map[string]given) cty.Value {
	g, ok := values[v.name]
	switch {
	case ok && g.value == cty.NilVal:
		return cty.NilVal // reported already
	case ok:
		// The line of a sensitive value is never pointed at: printing it would show the value.
		if g.at == (hcl.Range{}) || v.sensitive {
			g.at = v.rng
		}
	case v.command != nil:
		val, ok := pb.askSecret(v)
		if !ok {
			return cty.NilVal
		}
		g = given{value: val, from: "the secret's command", at: v.command.Range()}
	case v.def != nil:
		if v.def.bad {
			return cty.NilVal
		}
		val, diags := v.def.constant(pb.root, pb)
		if diags.HasErrors() {
			pb.loading.add(diags...)
			return cty.NilVal
		}
		g = given{value: val, from: "the default", at: v.def.Range()}
	default:
		pb.loading.error(v.rng, "Missing variable", fmt.Sprintf("var.%s has no value. Set it with --var %s=VALUE, in provision.vars.hcl or another file given with --var-file, or as PROVISION_VAR_%s in the environment.", v.name, v.name, v.name))
		return cty.NilVal
	}
	val, err := v.fit(g.value)
	if err != nil {
		detail := fmt.Sprintf("The value of var.%s from %s does not fit its type: %s.", v.name, g.from, err)
		pb.loading.error(g.at, "Wrong type of value", detail)
		return cty.NilVal
	}
	pb.secrets.note(val)
	if diags := pb.validate(pb.root, v, val, g.at); diags.HasErrors() {
		pb.loading.add(diags...)
		return cty.NilVal
	}
	return val
}

// giveText takes a value from a command line or the environment: text as it is for a string,
// an expression for every other type.
func (pb *Playbook) giveText(values map[string]given, v *variable, text, from string) {
	if v.typ == cty.String || v.typ == cty.DynamicPseudoType {
		values[v.name] = given{value: cty.StringVal(text), from: from}
		return
	}
	var val cty.Value
	var expr hclsyntax.Expression
	diags := hcl.Diagnostics{problem(hcl.Range{}, "", "")}
	if checkDepth([]byte(text)) == nil {
		expr, diags = hclsyntax.ParseExpression([]byte(text), "value", hcl.InitialPos)
	}
	if !diags.HasErrors() {
		val, diags = expr.Value(&hcl.EvalContext{})
	}
	if diags.HasErrors() {
		detail := fmt.Sprintf("The value of var.%s from %s is no %s", v.name, from, v.typ.FriendlyName())
		if !v.sensitive {
			detail += fmt.Sprintf(": %q. Write it as in a playbook, such as [\"a\", \"b\"] or {a = 1}, and mind the quotes that the shell takes away.", text)
		} else {
			detail += "."
		}
		pb.loading.error(v.rng, "Wrong type of value", detail)
		val = cty.NilVal
	}
	values[v.name] = given{value: val, from: from}
}

// autoVarFiles returns provision.vars.hcl and then *.auto.vars.hcl, with their JSON forms.
func autoVarFiles(dir string) []string {
	entries, _ := fs.ReadDir(os.DirFS(dir), ".")
	var first, auto []string
	for _, e := range entries {
		base := strings.TrimSuffix(e.Name(), ".json")
		switch {
		case e.IsDir():
		case base == "provision.vars.hcl":
			first = append(first, e.Name())
		case strings.HasSuffix(base, ".auto.vars.hcl"):
			auto = append(auto, e.Name())
		}
	}
	slices.Sort(first)
	slices.Sort(auto)
	return append(first, auto...)
}

// readVarFile takes the values of a file of plain attributes. Functions may be used in it.
func (pb *Playbook) readVarFile(values map[string]given, shown, name string) {
	data, err := readRegular(name)
	if err != nil {
		pb.loading.error(hcl.Range{}, "A file of variables cannot be read", sentence(explain(shown, err).Error()))
		return
	}
	f, diags := parseSource(data, shown)
	if diags.HasErrors() {
		// The file is not shown: the line in error may be that of a secret.
		pb.loading.add(diags...)
		return
	}
	attrs, diags := f.Body.JustAttributes()
	pb.loading.add(diags...)
	pb.addFile(shown, f)
	for _, a := range inOrder(attrs) {
		v := pb.root.variables[a.Name]
		if v == nil {
			pb.blot(a.Expr.Range())
			pb.loading.error(a.NameRange, "Unknown variable", fmt.Sprintf("The playbook declares no variable %q.%s", a.Name, suggest.DidYouMean(a.Name, keys(pb.root.variables))))
			continue
		}
		pb.giveExpression(values, v, a.Expr, "the file "+shown, "A file of variables holds")
	}
}

// giveExpression takes a value that is written in HCL, where nothing can be referred to. From and holder are for messages.
func (pb *Playbook) giveExpression(values map[string]given, v *variable, expr hcl.Expression, from, holder string) {
	if v.sensitive {
		pb.blot(expr.Range())
	}
	e := newExpression(expr)
	g := given{from: from, at: expr.Range()}
	if len(expr.Variables()) > 0 {
		pb.loading.error(expr.Range(), "A plain value is required", holder+" values only, and no references. Functions such as decrypt and file may be used.")
	} else if val, diags := e.Value(&hcl.EvalContext{Functions: pb.root.funcs}); diags.HasErrors() {
		if v.sensitive || e.secret {
			diags = withoutSecrets(diags, nil, true)
		}
		pb.loading.add(diags...)
	} else {
		g.value = val
	}
	values[v.name] = g
}
