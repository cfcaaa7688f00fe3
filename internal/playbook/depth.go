package playbook

import (
	"bytes"
	"errors"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// errTooDeep refuses source whose nesting would exhaust the stack of the parser, which recurses:
// that cannot be caught and would end the program (400,000 open parentheses do).
var errTooDeep = errors.New("it nests too deeply, or is too large to be written by a person; split it, or compute less in it")

// Bounds of source, far above what anybody writes and far below what the parser of HCL survives.
const (
	maxSource  = 2 << 20 // bytes of a playbook file or template
	maxNesting = 2000    // brackets that are open, or operators in a row that take one operand
	maxBranch  = 20000   // conditionals, and controls of templates
)

// checkDepth looks at source of any kind (native, JSON, template) without parsing it. Brackets
// inside texts count too, which only matters far beyond the bounds.
func checkDepth(data []byte) error {
	if len(data) > maxSource {
		return errTooDeep
	}
	branches := bytes.Count(data, []byte("?")) + bytes.Count(data, []byte("%{"))
	if branches > maxBranch {
		return errTooDeep
	}
	return checkNesting(data)
}

// checkNesting looks at brackets and at operators in a row alone.
func checkNesting(data []byte) error {
	open, unary := 0, 0
	for _, c := range data {
		switch c {
		case '(', '[', '{':
			open++
		case ')', ']', '}':
			open = max(0, open-1)
		case '!', '-':
			unary++
		}
		switch c {
		case '!', '-', ' ', '\t', '\r', '\n':
		default:
			unary = 0
		}
		if open > maxNesting || unary > maxNesting {
			return errTooDeep
		}
	}
	return nil
}

// shallow keeps a function that decodes a text from one that nests too deeply: the decoders recurse too.
func shallow(decode function.Function) function.Function {
	return function.New(&function.Spec{
		Params: decode.Params(),
		Type: func(args []cty.Value) (cty.Type, error) {
			if text := args[0]; text.IsKnown() && !text.IsNull() && checkNesting([]byte(text.AsString())) != nil {
				return cty.NilType, function.NewArgError(0, errTooDeep)
			}
			return decode.ReturnTypeForValues(args)
		},
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return decode.Call(args) },
	})
}
