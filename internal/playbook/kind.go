package playbook

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kinds"
	"provision/internal/steps/scripted"
	"provision/internal/suggest"
)

// An ownKind is a kind block. It is known in the module in which it stands, and nowhere else.
type ownKind struct {
	info *kindInfo // nil if the block is in error, which is reported
	rng  hcl.Range
}

// kind finds a kind of step by its name. known is false if there is none; a kind in error is known, and nil.
func (m *module) kind(pb *Playbook, name string) (info *kindInfo, known bool) {
	if own := m.kinds[name]; own != nil {
		return own.info, true
	}
	info = pb.kinds[name]
	return info, info != nil
}

// elsewhere is a hint for who uses a kind outside of the module in which it stands.
func (m *module) elsewhere(name string) string {
	const only = " is known to the steps there only: write the block here too, or let that module have the step."
	for outer := m.parent; outer != nil; outer = outer.parent {
		if own := outer.kinds[name]; own != nil {
			return fmt.Sprintf(" The one at %s, line %d,%s", own.rng.Filename, own.rng.Start.Line, only)
		}
	}
	for _, it := range m.items {
		if it.module != nil && it.module.kinds[name] != nil {
			return " That of " + it.addr + only
		}
	}
	return ""
}

func (pb *Playbook) readKind(m *module, b *hcl.Block) {
	if !pb.validName(b, 0) {
		return
	}
	name := b.Labels[0]
	if pb.kinds[name] != nil || steps.Block(name) == steps.MessageBlock {
		pb.loading.error(b.LabelRanges[0], "A kind that is there already", fmt.Sprintf("The kind %q comes with provision. Give this one another name.", name))
		return
	}
	if first := m.kinds[name]; first != nil {
		pb.duplicate(b, "kind", first.rng)
		return
	}
	own := &ownKind{rng: b.DefRange}
	m.kinds[name] = own
	before := len(pb.loading.diags)
	d := pb.kindDefinition(m, b)
	if !slices.ContainsFunc(pb.loading.diags[before:], func(d *hcl.Diagnostic) bool { return d.Severity == hcl.DiagError }) {
		own.info = newKindInfo(d.Kind())
		for _, a := range d.Args {
			if a.Sensitive {
				own.info.secret = append(own.info.secret, a.Name)
			}
		}
	}
}

// kindDefinition reads the block. What is wrong is reported.
func (pb *Playbook) kindDefinition(m *module, b *hcl.Block) *scripted.Definition {
	content, diags := b.Body.Content(&kindSchema)
	pb.loading.add(diags...)
	d := &scripted.Definition{Name: b.Labels[0], Doc: fmt.Sprintf("A kind of the playbook's own, defined at %s, line %d.", b.DefRange.Filename, b.DefRange.Start.Line)}
	if a := content.Attributes["description"]; a != nil {
		if text, ok := pb.literalString(a); ok && strings.TrimSpace(text) != "" {
			d.Doc = strings.TrimSpace(text)
		}
	}
	d.Probe = pb.kindScript(m, content.Attributes["probe"])
	d.Apply = pb.kindScript(m, content.Attributes["apply"])
	d.Absent = pb.kindScript(m, content.Attributes["absent"])
	sortBlocks(content.Blocks)
	for _, ab := range content.Blocks {
		pb.readKindArgument(m, d, ab)
	}
	if a := content.Attributes["want"]; a != nil {
		pb.readWant(m, d, a)
	}
	if a := content.Attributes["outputs"]; a != nil {
		d.Outputs = pb.readKindOutputs(a)
	}
	for name, text := range map[string]string{"probe": d.Probe, "apply": d.Apply, "absent": d.Absent} {
		if text != "" {
			pb.checkUse(d, name, text, content.Attributes[name].Expr)
		}
	}
	return d
}

func (pb *Playbook) readKindArgument(m *module, d *scripted.Definition, b *hcl.Block) {
	content, diags := b.Body.Content(&argumentSchema)
	pb.loading.add(diags...)
	a := scripted.Argument{Name: b.Labels[0], Type: cty.String, Default: cty.NilVal}
	wrong := func(summary, detail string) { pb.loading.error(b.LabelRanges[0], summary, detail) }
	switch {
	case !scripted.ValidName(a.Name):
		wrong("Invalid name", fmt.Sprintf("%q is no name of an argument: scripts get it as $arg_NAME, so letters, digits and _ are, and no digit at the beginning.", a.Name))
	case slices.ContainsFunc(metaSchema, func(meta hcl.AttributeSchema) bool { return meta.Name == a.Name }):
		wrong("Reserved name", fmt.Sprintf("%q cannot be the name of an argument, since every step may have it. Choose another.", a.Name))
	case a.Name == "state" && d.Absent != "":
		wrong("Reserved name", "A kind with absent has the argument state by itself: \"present\" or \"absent\". Choose another name.")
	case slices.ContainsFunc(d.Args, func(other scripted.Argument) bool { return other.Name == a.Name }):
		wrong("Duplicate argument", fmt.Sprintf("This kind has an argument %q already. Remove one of them.", a.Name))
	}
	if t := content.Attributes["type"]; t != nil {
		ty, diags := typeexpr.TypeConstraint(t.Expr)
		pb.loading.add(diags...)
		if err := scripted.CheckType(ty); err != nil && !diags.HasErrors() {
			pb.loading.error(t.Expr.Range(), "A type that scripts cannot take", sentence(err.Error()))
		} else if err == nil {
			a.Type = ty
		}
	}
	if t := content.Attributes["description"]; t != nil {
		text, _ := pb.literalString(t)
		a.Doc = strings.Join(strings.Fields(text), " ")
	}
	a.Sensitive = pb.literalBool(content.Attributes["sensitive"], false)
	if t := content.Attributes["present_only"]; t != nil {
		if a.PresentOnly = pb.literalBool(t, false); a.PresentOnly && d.Absent == "" {
			pb.loading.error(t.Range, "present_only without absent", "Steps of this kind have no state, since it has no script absent. Add one, or leave present_only out.")
		}
	}
	v := &variable{name: a.Name, typ: a.Type, sensitive: a.Sensitive}
	for _, rb := range content.Blocks {
		pb.readKindValidation(m, v, rb)
	}
	a.Check = func(val cty.Value) error {
		pb.secrets.note(val)
		texts, diags := m.broken("arg", v, val)
		if diags.HasErrors() {
			return &StepError{Diagnostics: diags}
		}
		if len(texts) > 0 {
			return refusal(strings.Join(texts, " "))
		}
		return nil
	}
	if t := content.Attributes["default"]; t != nil {
		pb.readKindDefault(m, &a, t)
	}
	d.Args = append(d.Args, a)
}

// A refusal is the message of a validation, in the words of the author of the playbook.
type refusal string

func (r refusal) Error() string { return string(r) }

// errorText is an error as the detail of a diagnostic.
func errorText(err error) string {
	var own refusal
	if errors.As(err, &own) {
		return string(own)
	}
	return sentence(err.Error())
}

func (pb *Playbook) readKindValidation(m *module, v *variable, b *hcl.Block) {
	c, diags := b.Body.Content(&validationSchema)
	pb.loading.add(diags...)
	if diags.HasErrors() {
		return
	}
	r := rule{newExpression(c.Attributes["condition"].Expr), newExpression(c.Attributes["error_message"].Expr)}
	for _, e := range []*expression{r.condition, r.message} {
		pb.linkKindExpression(m, e.Expression, []string{v.name}, "A validation can use the argument around it only, as arg."+v.name+".")
	}
	v.rules = append(v.rules, r)
}

func (pb *Playbook) readKindDefault(m *module, a *scripted.Argument, attr *hcl.Attribute) {
	if a.Sensitive {
		pb.blot(attr.Expr.Range())
	}
	if vars := attr.Expr.Variables(); len(vars) > 0 {
		pb.loading.error(vars[0].SourceRange(), "Name not known here", "No names are known in the default of an argument; functions may be used.")
		return
	}
	e := newExpression(attr.Expr)
	val, diags := e.constant(m, pb)
	if diags.HasErrors() && a.Sensitive {
		diags = withoutSecrets(diags, nil, true)
	}
	pb.loading.add(diags...)
	if diags.HasErrors() {
		return
	}
	if sensitive(val) && !a.Sensitive {
		pb.loading.error(attr.Expr.Range(), "A sensitive default", "The value is a secret, and this argument is shown. Write sensitive = true in it.")
		return
	}
	val, err := convert.Convert(val, a.Type)
	if err == nil {
		val, _ = val.UnmarkDeep()
		err = a.Accepts(val)
	}
	if err != nil {
		pb.loading.error(attr.Expr.Range(), "Invalid default of argument "+a.Name, errorText(err))
		return
	}
	a.Default = val
}

// readKindOutputs reads the keys of a probe that later steps can use.
func (pb *Playbook) readKindOutputs(a *hcl.Attribute) []string {
	v, diags := a.Expr.Value(nil)
	list, err := convert.Convert(v, cty.List(cty.String))
	if diags.HasErrors() || err != nil || !list.IsWhollyKnown() || list.IsNull() || list.ContainsMarked() {
		pb.loading.error(a.Expr.Range(), "A plain value is required", "outputs is a list of keys that the probe prints, such as [\"version\"], without references.")
		return nil
	}
	var names []string
	for it := list.ElementIterator(); it.Next(); {
		_, item := it.Element()
		switch name := item; {
		case name.IsNull() || !hclsyntax.ValidIdentifier(name.AsString()):
			pb.loading.error(a.Expr.Range(), "Invalid output", "An output is used as step.KIND.NAME.OUTPUT: letters, digits, _ and - are, and no digit or dash at the beginning.")
		case name.AsString() == "changed":
			pb.loading.error(a.Expr.Range(), "Reserved name", "Every step has the output changed by itself. Let the probe print another key.")
		case slices.Contains(names, name.AsString()):
			pb.loading.error(a.Expr.Range(), "Duplicate output", fmt.Sprintf("%q is there twice. Remove one of them.", name.AsString()))
		default:
			names = append(names, name.AsString())
		}
	}
	return names
}

// kindScript reads a script, which is a constant: arguments are never a part of its text.
func (pb *Playbook) kindScript(m *module, a *hcl.Attribute) string {
	if a == nil {
		return ""
	}
	if vars := a.Expr.Variables(); len(vars) > 0 {
		pb.loading.error(vars[0].SourceRange(), "A script that is no constant",
			"${…} belongs to HCL, and no value becomes a part of a script. Arguments are variables of sh: write $arg_NAME, or $${arg_NAME} where sh needs the braces.")
		return ""
	}
	val, diags := newExpression(a.Expr).constant(m, pb)
	pb.loading.add(diags...)
	if diags.HasErrors() {
		return ""
	}
	if sensitive(val) {
		pb.loading.error(a.Expr.Range(), "A sensitive script", "The text of a script is shown when it fails. Hand the secret over as a sensitive argument.")
		return ""
	}
	if val.IsNull() || val.Type() != cty.String || strings.TrimSpace(val.AsString()) == "" {
		pb.loading.error(a.Expr.Range(), "A script is required", a.Name+" is text for sh.")
		return ""
	}
	text := val.AsString()
	if len(text) > scripted.MaxScript || strings.IndexByte(text, 0) >= 0 {
		pb.loading.error(a.Expr.Range(), "A script that cannot be run", fmt.Sprintf("It has at most %d KiB, and no NUL byte.", scripted.MaxScript>>10))
		return ""
	}
	if d := shellProblem(a.Expr, text, shell.Check(text, false)); d != nil {
		pb.loading.add(d)
	}
	return text
}

var argumentUse = regexp.MustCompile(`\$\{?#?arg_([A-Za-z0-9_]+)`)

// checkUse reports variables of a script that look like arguments and are none: sh takes them for empty.
func (pb *Playbook) checkUse(d *scripted.Definition, script, text string, e hcl.Expression) {
	var names []string
	for _, a := range d.Args {
		names = append(names, a.Name)
	}
	for _, at := range argumentUse.FindAllStringSubmatchIndex(text, -1) {
		name, line := text[at[2]:at[3]], 1+strings.Count(text[:at[0]], "\n")
		i := slices.Index(names, name)
		switch {
		case i < 0:
			pb.loading.error(shellRange(e, text, line), "Unknown argument", fmt.Sprintf("There is no argument %q, and variables arg_… of a script are the arguments.%s", name, known(name, "argument", slices.Clone(names))))
		case d.Args[i].Sensitive && script == "probe":
			pb.loading.error(shellRange(e, text, line), "A secret in the probe", fmt.Sprintf("The probe does not get %s, which is sensitive. Let it print the present value: if want has the secret, the host compares sums of both.", name))
		}
	}
}

// readWant reads what the probe of a kind has to print.
func (pb *Playbook) readWant(m *module, d *scripted.Definition, a *hcl.Attribute) {
	var names []string
	for _, arg := range d.Args {
		names = append(names, arg.Name)
	}
	pb.linkKindExpression(m, a.Expr, names, "Only the arguments of the kind are known in want, as arg.NAME.")
	pb.checkWantKeys(a.Expr)
	e := newExpression(a.Expr)
	d.Want = func(values map[string]cty.Value) (cty.Value, error) {
		args := cty.ObjectVal(values)
		v, diags := e.Value(&hcl.EvalContext{Functions: m.funcs, Variables: map[string]cty.Value{"arg": args}})
		if diags.HasErrors() {
			if secrets := sensitiveStrings(args, true); len(secrets) > 0 || e.secret {
				diags = withoutSecrets(diags, secrets, e.secret)
			}
			return cty.NilVal, &StepError{Diagnostics: diags}
		}
		pb.secrets.note(v)
		return v, nil
	}
}

// checkWantKeys reports keys that are written as constants and are none, or are there twice.
func (pb *Playbook) checkWantKeys(e hcl.Expression) {
	pairs, diags := hcl.ExprMap(e)
	if diags.HasErrors() {
		return // an expression that gives an object
	}
	seen := map[string]bool{}
	for _, pair := range pairs {
		v, diags := pair.Key.Value(nil)
		if diags.HasErrors() || !v.IsKnown() || v.IsNull() || v.ContainsMarked() || v.Type() != cty.String {
			continue
		}
		key := v.AsString()
		if err := scripted.CheckKey(key); err != nil {
			pb.loading.error(pair.Key.Range(), "Invalid key in want", sentence(err.Error()))
		} else if seen[key] {
			pb.loading.error(pair.Key.Range(), "Duplicate key in want", fmt.Sprintf("%q is there twice. Remove one of them.", key))
		}
		seen[key] = true
	}
}

// linkKindExpression reports names that an expression of a kind cannot use.
func (pb *Playbook) linkKindExpression(m *module, e hcl.Expression, names []string, only string) {
	pb.loading.add(checkFunctions(e, m.funcs)...)
	for _, t := range e.Variables() {
		if t.RootName() != "arg" {
			pb.loading.error(t.SourceRange(), "Name not known here", only+" Hand other values over as arguments.")
			continue
		}
		if len(t) == 1 {
			continue // arg as a whole
		}
		if name, ok := stepName(t[1]); ok && !slices.Contains(names, name) {
			pb.loading.error(t.SourceRange(), "Unknown argument", fmt.Sprintf("There is no argument %q here.%s %s", name, suggest.DidYouMean(name, names), only))
		}
	}
}

// An OwnKind is a kind that a playbook or a module defines.
type OwnKind struct {
	*steps.Kind
	Place string // the directory of the file, as the user named it; "" for the current one
}

// OwnKinds returns the kinds that the playbook at a path and its modules define, without anything else of it being looked at. What is
// in error is told and left out, as are modules that would have to be fetched.
func OwnKinds(ctx context.Context, path string, shipped fs.FS) ([]OwnKind, map[string]*hcl.File, hcl.Diagnostics) {
	pb := &Playbook{
		ctx: ctx, whole: ctx, kinds: kindIndex(kinds.All()), data: kindIndex(kinds.Data()), message: newKindInfo(kinds.Message), shipped: shipped, near: true,
		local: newLocalFiles(), disk: steps.NewDisk(ctx), secrets: newSecrets(), files: map[string]*hcl.File{},
	}
	src, ok := pb.openRoot(path)
	if !ok {
		return nil, nil, pb.loading.sorted()
	}
	var list []OwnKind
	var visit func(m *module)
	visit = func(m *module) {
		place := strings.TrimSuffix(m.place.shown, "/")
		for _, name := range keys(m.kinds) {
			same := func(k OwnKind) bool { return k.Name == name && k.Place == place }
			if info := m.kinds[name].info; info != nil && !slices.ContainsFunc(list, same) {
				list = append(list, OwnKind{info.Kind, place})
			}
		}
		for _, it := range m.items {
			if it.module != nil {
				visit(it.module)
			}
		}
	}
	visit(pb.readModule(src, nil))
	return list, pb.Files(), pb.loading.sorted()
}
