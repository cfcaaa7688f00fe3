package playbook

import (
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	ctyyaml "github.com/zclconf/go-cty-yaml"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"

	"provision/internal/suggest"
)

// pureFunctions are the functions that depend on their arguments alone, under the names that
// Terraform gave them. There is none that tells the time or draws a random number: every plan
// would differ from the one before.
func pureFunctions() map[string]function.Function {
	return map[string]function.Function{
		"abs": stdlib.AbsoluteFunc, "ceil": stdlib.CeilFunc, "floor": stdlib.FloorFunc, "log": stdlib.LogFunc,
		"max": stdlib.MaxFunc, "min": stdlib.MinFunc, "parseint": stdlib.ParseIntFunc, "pow": stdlib.PowFunc,
		"signum": stdlib.SignumFunc, "sum": sumFunc,

		"chomp": stdlib.ChompFunc, "endswith": endsWithFunc, "format": stdlib.FormatFunc, "formatlist": stdlib.FormatListFunc,
		"indent": stdlib.IndentFunc, "join": stdlib.JoinFunc, "lower": stdlib.LowerFunc, "regex": stdlib.RegexFunc,
		"regexall": stdlib.RegexAllFunc, "replace": replaceFunc, "split": stdlib.SplitFunc, "startswith": startsWithFunc,
		"strcontains": containsTextFunc, "strlen": stdlib.StrlenFunc, "strrev": stdlib.ReverseFunc, "substr": stdlib.SubstrFunc,
		"title": stdlib.TitleFunc, "trim": stdlib.TrimFunc, "trimprefix": stdlib.TrimPrefixFunc, "trimspace": stdlib.TrimSpaceFunc,
		"trimsuffix": stdlib.TrimSuffixFunc, "upper": stdlib.UpperFunc, "shellquote": shellQuoteFunc,

		"alltrue": allTrueFunc, "anytrue": anyTrueFunc, "chunklist": stdlib.ChunklistFunc, "coalesce": stdlib.CoalesceFunc,
		"coalescelist": stdlib.CoalesceListFunc, "compact": stdlib.CompactFunc, "concat": stdlib.ConcatFunc,
		"contains": stdlib.ContainsFunc, "distinct": stdlib.DistinctFunc, "element": stdlib.ElementFunc, "flatten": stdlib.FlattenFunc,
		"index": stdlib.IndexFunc, "keys": stdlib.KeysFunc, "length": lengthFunc, "lookup": stdlib.LookupFunc, "merge": stdlib.MergeFunc,
		"one": oneFunc, "range": stdlib.RangeFunc, "reverse": stdlib.ReverseListFunc, "setintersection": stdlib.SetIntersectionFunc,
		"setproduct": stdlib.SetProductFunc, "setsubtract": stdlib.SetSubtractFunc, "setunion": stdlib.SetUnionFunc,
		"slice": stdlib.SliceFunc, "sort": stdlib.SortFunc, "values": stdlib.ValuesFunc, "zipmap": stdlib.ZipmapFunc,

		"base64decode": base64DecodeFunc, "base64encode": base64EncodeFunc, "csvdecode": stdlib.CSVDecodeFunc,
		"jsondecode": shallow(stdlib.JSONDecodeFunc), "jsonencode": stdlib.JSONEncodeFunc, "urlencode": urlEncodeFunc,
		"yamldecode": shallow(ctyyaml.YAMLDecodeFunc), "yamlencode": ctyyaml.YAMLEncodeFunc,

		"md5": md5Func, "sha1": sha1Func, "sha256": sha256Func, "sha512": sha512Func,

		"basename": baseNameFunc, "dirname": dirNameFunc, "pathjoin": pathJoinFunc,

		"tobool": stdlib.MakeToFunc(cty.Bool), "tolist": stdlib.MakeToFunc(cty.List(cty.DynamicPseudoType)),
		"tomap": stdlib.MakeToFunc(cty.Map(cty.DynamicPseudoType)), "tonumber": stdlib.MakeToFunc(cty.Number),
		"toset": stdlib.MakeToFunc(cty.Set(cty.DynamicPseudoType)), "tostring": stdlib.MakeToFunc(cty.String),

		"can": tryfunc.CanFunc, "try": tryfunc.TryFunc,

		"issensitive": isSensitiveFunc, "nonsensitive": nonsensitiveFunc, "sensitive": sensitiveFunc,
	}
}

// functions returns the functions of a module: the pure ones, and those that read files
// relative to its directory or the environment.
func (pb *Playbook) functions(p *place) map[string]function.Function {
	funcs := pureFunctions()
	maps.Copy(funcs, pb.fileFunctions(p))
	// A template may use every function but templatefile itself, so that none includes itself.
	inner := maps.Clone(funcs)
	funcs["templatefile"] = pb.templateFileFunc(p, inner)
	return funcs
}

// checkFunctions reports calls of functions that do not exist, wherever they stand: try() would hide them.
func checkFunctions(e hcl.Expression, funcs map[string]function.Function) hcl.Diagnostics {
	node, ok := e.(hclsyntax.Node)
	if !ok {
		return nil
	}
	var found hcl.Diagnostics
	_ = hclsyntax.VisitAll(node, func(n hclsyntax.Node) hcl.Diagnostics {
		call, ok := n.(*hclsyntax.FunctionCallExpr)
		if !ok {
			return nil
		}
		if _, ok := funcs[call.Name]; !ok {
			found = append(found, problem(call.NameRange, "Unknown function", fmt.Sprintf("There is no function %q.%s", call.Name, functionHint(call.Name, funcs))))
		}
		return nil
	})
	return found
}

func functionHint(name string, funcs map[string]function.Function) string {
	switch name {
	case "timestamp", "plantimestamp", "uuid", "uuidv5", "bcrypt", "timeadd", "formatdate":
		return " Whatever changes from call to call would make every plan differ; pass such a value in as a variable."
	case "list":
		return " Write [a, b]."
	case "map":
		return " Write {a = b}."
	case "filebase64sha256", "filesha256":
		return " Write sha256(file(path))."
	case "password_hash":
		return " Pass the hash in as a sensitive variable; \"openssl passwd -6\" makes one."
	}
	names := keys(funcs)
	slices.Sort(names)
	return suggest.DidYouMean(name, names)
}
