package playbook

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"

	"provision/internal/steps"
	"provision/internal/suggest"
)

// fileFunctions are the functions that look at the control machine: local files, relative to
// the place, and the environment.
func (pb *Playbook) fileFunctions(p *place) map[string]function.Function {
	reading := func(f func([]byte) (string, error)) function.Function {
		return pathFunc(cty.String, func(name string) (cty.Value, error) {
			data, err := pb.local.read(p, name)
			if err != nil {
				return cty.NilVal, err
			}
			s, err := f(data)
			return cty.StringVal(s), err
		})
	}
	return map[string]function.Function{
		"file": reading(func(data []byte) (string, error) {
			if !utf8.Valid(data) {
				return "", errors.New("the file is no UTF-8 text; upload it with the source argument of a step, or read it with filebase64")
			}
			return string(data), nil
		}),
		"filebase64": reading(func(data []byte) (string, error) { return base64.StdEncoding.EncodeToString(data), nil }),
		"fileexists": pathFunc(cty.Bool, func(name string) (cty.Value, error) {
			_, err := pb.local.read(p, name)
			return cty.BoolVal(err == nil), nil
		}),
		"abspath": pathFunc(cty.String, func(name string) (cty.Value, error) {
			abs, inside := p.resolve(name)
			if inside != "" {
				abs = p.dir + "/" + inside
			}
			return cty.StringVal(abs), nil
		}),
		"pathexpand": pathFunc(cty.String, func(name string) (cty.Value, error) {
			if name == "~" || strings.HasPrefix(name, "~/") {
				home, err := os.UserHomeDir()
				if err != nil {
					return cty.NilVal, err
				}
				name = filepath.Join(home, name[1:])
			}
			return cty.StringVal(name), nil
		}),
		"decrypt": pathFunc(cty.String, func(name string) (cty.Value, error) {
			text, err := pb.decrypt(p, name)
			return cty.StringVal(text).Mark(steps.Sensitive), err
		}),
		"env": pb.envFunc(),
	}
}

// pathFunc is a function of the path of a local file.
func pathFunc(result cty.Type, f func(name string) (cty.Value, error)) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "path", Type: cty.String}},
		Type:   function.StaticReturnType(result),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			v, err := f(args[0].AsString())
			if err != nil {
				return cty.UnknownVal(result), function.NewArgError(0, err)
			}
			return v, nil
		},
	})
}

// envFunc is a variable of the environment, or the second argument where it is not set.
func (pb *Playbook) envFunc() function.Function {
	return function.New(&function.Spec{
		Params:   []function.Parameter{{Name: "name", Type: cty.String}},
		VarParam: &function.Parameter{Name: "otherwise", Type: cty.String, AllowNull: true},
		Type: func(args []cty.Value) (cty.Type, error) {
			if len(args) > 2 {
				return cty.NilType, errors.New("a name and, after it, at most one value for when it is not set")
			}
			return cty.String, nil
		},
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			name := args[0].AsString()
			if value, ok := pb.environ[name]; ok {
				return cty.StringVal(value), nil
			}
			if len(args) == 2 {
				return args[1], nil
			}
			return cty.UnknownVal(cty.String), function.NewArgErrorf(0, "the environment has no variable %q; set it, or give a second argument for when it is not set", name)
		},
	})
}

// templateFileFunc renders a local template with the values of a map or object.
func (pb *Playbook) templateFileFunc(p *place, inner map[string]function.Function) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "path", Type: cty.String}, {Name: "values", Type: cty.DynamicPseudoType, AllowMarked: true, AllowUnknown: true}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			data, err := pb.local.read(p, args[0].AsString())
			if err == nil {
				err = checkDepth(data)
			}
			if err != nil {
				return cty.UnknownVal(cty.String), function.NewArgError(0, err)
			}
			values, marks := args[1].Unmark()
			if !values.IsKnown() {
				return cty.UnknownVal(cty.String).WithMarks(marks), nil
			}
			if values.IsNull() || !(values.Type().IsObjectType() || values.Type().IsMapType()) {
				return cty.UnknownVal(cty.String), function.NewArgErrorf(1, "an object or a map of values is required")
			}
			expr, diags := hclsyntax.ParseTemplate(data, p.showing(args[0].AsString()), hcl.InitialPos)
			if diags.HasErrors() {
				return cty.UnknownVal(cty.String), errors.New(oneLine(diags))
			}
			variables := values.AsValueMap()
			for _, t := range expr.Variables() {
				if _, ok := variables[t.RootName()]; !ok {
					return cty.UnknownVal(cty.String), function.NewArgErrorf(1, "the template uses %q, at %s, and the values do not hold it%s",
						t.RootName(), t.SourceRange(), nearby(t.RootName(), keys(variables)))
				}
			}
			v, diags := expr.Value(&hcl.EvalContext{Variables: variables, Functions: inner})
			if diags.HasErrors() {
				if sensitive(args[1]) {
					return cty.UnknownVal(cty.String), fmt.Errorf("the template fails at %s; the message is not shown, since it could hold a sensitive value", diags[0].Subject)
				}
				return cty.UnknownVal(cty.String), errors.New(oneLine(diags))
			}
			if v, err = convert.Convert(v, cty.String); err != nil {
				return cty.UnknownVal(cty.String), fmt.Errorf("the template does not give a text: %w", err)
			}
			return v.WithMarks(marks), nil
		},
	})
}

// nearby is a suggestion in parentheses, for a message that goes on.
func nearby(name string, candidates []string) string {
	if near := suggest.Nearest(name, candidates); near != "" {
		return fmt.Sprintf(" (did you mean %q?)", near)
	}
	return ""
}

// oneLine puts the first error of a list into one line, with its place.
func oneLine(diags hcl.Diagnostics) string {
	for _, d := range diags {
		if d.Severity == hcl.DiagError {
			return fmt.Sprintf("%s: %s; %s", d.Subject, d.Summary, d.Detail)
		}
	}
	return diags.Error()
}
