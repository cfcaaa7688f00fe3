package playbook

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"provision/internal/steps"
	"provision/internal/suggest"
)

// build decodes the arguments of a step. It is false if one is wrong; what is not known yet is
// added to waits.
func (s *scope) build(it *item, inst *each, waits *[]string) (steps.Step, bool) {
	step, args := it.kind.New()
	if c, yes := step.(steps.Chooser); yes {
		c.Choose(s.mod.wanted(it))
	}
	ok, complete := true, true
	programs := map[string]string{} // by argument, the first word of its value
	scripts := map[int]cty.Value{}
	for i, a := range it.args {
		spec := args.Get(a.spec.Name)
		res := s.argument(it, a, spec, inst)
		switch {
		case res.failed:
			ok = false
		case !res.value.IsWhollyKnown():
			complete = false
			*waits = append(*waits, res.waits...)
			ok = s.checkType(a, spec, res.value) && ok
		default:
			ok = s.set(a, spec, res.value) && ok
		}
		if spec.Type.IsListType() {
			programs[spec.Name] = firstWord(res.value)
		}
		if spec.Shell && !res.failed {
			scripts[i] = res.value
		}
	}
	for i, v := range scripts {
		s.checkShell(it.args[i], v, programs[it.args[i].spec.Interpreter])
	}
	if !ok || !complete || it.lacking {
		return nil, ok && !it.lacking
	}
	problems := it.kind.Check(args)
	if l, yes := step.(steps.Loader); yes {
		problems = append(problems, l.Load(s.run.pb.disk)...)
	}
	for _, p := range append(problems, step.Validate()...) {
		summary := p.Summary
		if word, _, _ := strings.Cut(summary, " "); it.kind.args.Get(word) == nil {
			summary = strings.TrimSuffix(sentence(summary), ".")
		}
		d := problem(s.place(it, p.Arg), summary, sentence(p.Detail))
		if p.Warning {
			d.Severity = hcl.DiagWarning
		} else {
			ok = false
		}
		s.run.found.add(d)
	}
	return step, ok
}

// place is where an argument is written, or the block if it is not.
func (s *scope) place(it *item, arg string) hcl.Range {
	for _, a := range it.args {
		if a.spec.Name == arg {
			return a.expr.Range()
		}
	}
	return it.rng
}

// argument evaluates one argument, and renders it if it is a template.
func (s *scope) argument(it *item, a argument, spec *steps.Arg, inst *each) result {
	res := s.eval(a.expr, inst)
	if res.failed {
		return res
	}
	if a.words {
		if res = s.commandText(a, res); res.failed {
			return res
		}
	}
	if spec.Origin == steps.Template && res.value.IsWhollyKnown() && !res.value.IsNull() {
		if name, ok := s.localPath(a, res.value); ok {
			res = s.template(it, a, name, inst)
		} else {
			return failure
		}
	}
	if len(a.expr.refs) > 0 || spec.Origin == steps.Template {
		s.run.pb.secrets.note(res.value)
	}
	return res
}

// commandText turns a list of words into text for sh.
func (s *scope) commandText(a argument, res result) result {
	list, err := convert.Convert(res.value, cty.List(cty.String))
	if err == nil {
		list, err = shellQuoteFunc.Call([]cty.Value{list})
	}
	if err != nil {
		s.run.found.error(a.expr.Range(), "Invalid value for "+a.name, "A list of words is required, such as [\"nginx\", \"-t\"]. For text, write script.")
		return failure
	}
	return result{value: list, waits: res.waits}
}

// localPath is the value of an argument that names something on the control machine.
func (s *scope) localPath(a argument, v cty.Value) (string, bool) {
	if sensitive(v) {
		s.invalid(a, v, "The path of a local file cannot be sensitive.")
		return "", false
	}
	v, err := convert.Convert(v, cty.String)
	if err != nil || v.AsString() == "" {
		s.invalid(a, v, "The path of a local file is required.")
		return "", false
	}
	return v.AsString(), true
}

func (s *scope) invalid(a argument, v cty.Value, text string) {
	for _, secret := range sensitiveStrings(v, true) {
		if strings.Contains(text, secret) {
			text = "The sensitive value is not of the form that is required."
			break
		}
	}
	s.run.found.error(a.expr.Range(), "Invalid value for "+a.name, text)
}

// checkType reports a value that can never fit, whatever its unknown parts become.
func (s *scope) checkType(a argument, spec *steps.Arg, v cty.Value) bool {
	v, _ = v.UnmarkDeep()
	if _, err := convert.Convert(v, spec.Type); err != nil {
		s.invalid(a, v, sentence(wrongType(spec.Type, v, err)))
		return false
	}
	return true
}

// wrongType says what was wanted and what is there.
func wrongType(want cty.Type, v cty.Value, err error) string {
	if want.IsPrimitiveType() || v.Type().IsPrimitiveType() {
		return fmt.Sprintf("%s is required, and this is %s", withArticle(want.FriendlyName()), withArticle(v.Type().FriendlyName()))
	}
	return fmt.Sprintf("%s is required: %s", withArticle(want.FriendlyName()), err)
}

// set hands a known value to the step.
func (s *scope) set(a argument, spec *steps.Arg, v cty.Value) bool {
	err := s.setValue(a, spec, v)
	if err == nil && spec.Constant != nil && len(a.expr.Variables()) == 0 {
		err = spec.Constant()
	}
	if err == nil {
		return true
	}
	var enum *steps.EnumError
	if errors.As(err, &enum) {
		err = fmt.Errorf("%w.%s", err, suggest.DidYouMean(enum.Got, enum.Values))
	}
	if !errors.Is(err, errReported) {
		s.invalid(a, v, errorText(err))
	}
	return false
}

var errReported = errors.New("reported")

func (s *scope) setValue(a argument, spec *steps.Arg, v cty.Value) error {
	if plain, _ := v.UnmarkDeep(); !plain.IsNull() {
		if _, err := convert.Convert(plain, spec.Type); err != nil {
			return errors.New(wrongType(spec.Type, plain, err))
		}
	}
	local, here := s.run.pb.local, s.mod.place
	if spec.Origin == steps.Value || spec.Origin == steps.Template || v.IsNull() {
		return spec.Set(v)
	}
	name, ok := s.localPath(a, v)
	if !ok {
		return errReported
	}
	if strings.ContainsAny(name, "\n\r") || spec.Origin == steps.FileText && strings.Contains(name, "=") {
		// The value is not repeated: it may be what must stay secret.
		return errors.New("the path of a local file is required, and this is text: give the path itself, without file()")
	}
	switch spec.Origin {
	case steps.File:
		file, err := local.hash(here, name)
		if err == nil {
			spec.SetFile(file)
		}
		return err
	case steps.FileText:
		data, err := local.read(here, name)
		if err != nil {
			return err
		}
		text := cty.StringVal(string(data)).Mark(steps.Sensitive)
		s.run.pb.secrets.note(text)
		return spec.Set(text)
	case steps.Dir:
		dir, err := local.directory(here, name)
		if err != nil {
			return err
		}
		return spec.Set(cty.StringVal(dir))
	default:
		return spec.Set(v)
	}
}

// template renders a local template in the scope of the step.
func (s *scope) template(it *item, a argument, name string, inst *each) result {
	t := s.parsedTemplate(it, a, name)
	if t == nil {
		return failure
	}
	res := s.eval(t, inst)
	if res.failed {
		return failure
	}
	v, err := convert.Convert(res.value, cty.String)
	if err != nil {
		s.run.found.error(t.Range(), "Invalid template", "The template gives "+withArticle(res.value.Type().FriendlyName())+", and a text is required.")
		return failure
	}
	return result{value: v, waits: res.waits}
}

// templateKey tells templates apart: the same file means other things to another block.
type templateKey struct {
	item *item
	name string
}

// parsedTemplate parses and links a template, once for each block that uses it.
func (s *scope) parsedTemplate(it *item, a argument, name string) *expression {
	pb := s.run.pb
	type parsed struct {
		expr  *expression
		diags hcl.Diagnostics
	}
	key := templateKey{it, name}
	if done, ok := pb.templates.Load(key); ok {
		s.run.found.add(done.(parsed).diags...)
		return done.(parsed).expr
	}
	var p parsed
	data, err := pb.local.read(s.mod.place, name)
	if err == nil {
		err = checkDepth(data)
	}
	if err != nil {
		p.diags = hcl.Diagnostics{problem(a.expr.Range(), "Invalid value for "+a.name, sentence(err.Error()))}
	} else {
		shown := s.mod.place.showing(name)
		pb.addFile(shown, &hcl.File{Bytes: data})
		expr, diags := hclsyntax.ParseTemplate(data, shown, hcl.InitialPos)
		p.diags = diags
		if !diags.HasErrors() {
			p.expr = newExpression(expr)
			sub := &Playbook{}
			sub.linkExpression(s.mod, p.expr, surroundings{roots: stepRoots, item: it, each: it.meta.forEach != nil, late: true})
			p.diags = append(p.diags, sub.loading.diags...)
		}
	}
	pb.templates.Store(key, p)
	s.run.found.add(p.diags...)
	return p.expr
}
