package kit

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/steps"
)

func TestArgSet(t *testing.T) {
	var (
		s, p, m, n, u = "", "", "", "", ""
		e             = "present"
		opt           *string
		text          *steps.Text
		b             bool
		i, seconds    int
		list, words   []string
		vars          []steps.Variable
	)
	args := steps.Args{
		StringArg("string", &s, ""), OptStringArg("opt", &opt, ""), TextArg("text", &text, ""), BoolArg("bool", &b, ""),
		IntArg("int", &i, 1, 65535, ""), SecondsArg("seconds", &seconds, ""), PathArg("path", &p, ""), ModeArg("mode", &m, ""),
		NameArg("name", &n, ""), EnumArg("enum", &e, "", "present", "absent"), StringsArg("strings", &list, ""),
		URLArg("url", &u, "", "https"), WordsArg("words", &words, ""), VariablesArg("variables", &vars, ""),
	}
	str := cty.StringVal
	for _, c := range []struct {
		arg   string
		value cty.Value
		want  string // what is set, or "error: " and a part of the error
	}{
		{"string", str("a b"), "a b"},
		{"string", cty.NumberIntVal(5), "5"},
		{"string", str("a\nb"), "error: control character"},
		{"string", str("a\x00"), "error: control character"},
		{"string", str("x").Mark(steps.Sensitive), "error: sensitive"},
		{"string", cty.ListVal([]cty.Value{str("x")}), "error: string is required"},
		{"bool", str("true"), "true"},
		{"bool", str("yes"), "error: bool is required"},
		{"int", str("22"), "22"},
		{"int", cty.NumberIntVal(0), "error: from 1 to 65535"},
		{"int", cty.NumberFloatVal(1.5), "error: whole number"},
		{"int", cty.NumberFloatVal(math.Inf(1)), "error: whole number"},
		{"int", cty.MustParseNumberVal("1e400"), "error: whole number"},
		{"seconds", str("1m30s"), "90"},
		{"seconds", str("30"), "error: duration"},
		{"seconds", str("10ms"), "error: duration"},
		{"path", str("/a//b/../c/"), "/a/c"},
		{"path", str("a"), "error: not absolute"},
		{"path", str(""), "error: empty"},
		{"path", str("~/a"), "error: not expanded"},
		{"path", str("/a\nb"), "error: control character"},
		{"mode", str("0644"), "644"},
		{"mode", str("1777"), "1777"},
		{"mode", str("0000"), "0"},
		{"mode", str("0"), "0"},
		{"mode", str("00"), "0"},
		{"mode", cty.NumberIntVal(644), "644"},
		{"mode", str("64"), "error: octal"},
		{"mode", str("0999"), "error: octal"},
		{"mode", str("rw"), "error: octal"},
		{"url", str("https://example.org/it's?q='a'"), "https://example.org/it's?q='a'"},
		{"url", str("https://example.org/a b"), "error: %20"},
		{"url", str("https://example.org/<a>"), "error: %3C"},
		{"name", str("www-data"), "www-data"},
		{"name", str("-x"), "error: no valid name"},
		{"name", str("a b"), "error: no valid name"},
		{"name", str(""), "error: no valid name"},
		{"enum", str("absent"), "absent"},
		{"enum", str("abset"), "error: present, absent"},
		{"strings", cty.TupleVal([]cty.Value{str("a"), cty.NumberIntVal(1)}), "[a 1]"},
		{"strings", cty.EmptyTupleVal, "[]"},
		{"strings", cty.TupleVal([]cty.Value{str("a"), cty.NullVal(cty.String)}), "error: null"},
		{"strings", cty.TupleVal([]cty.Value{str("a").Mark(steps.Sensitive)}), "error: sensitive"},
		{"words", cty.TupleVal([]cty.Value{str("a\nb")}), "[a\nb]"},
		{"words", cty.TupleVal([]cty.Value{str("a\x00")}), "error: NUL"},
		{"variables", cty.ObjectVal(map[string]cty.Value{"B": str("1"), "A": str("x").Mark(steps.Sensitive), "N": cty.NullVal(cty.String)}), "[{A (sensitive)} {B 1}]"},
		{"variables", cty.ObjectVal(map[string]cty.Value{"A": str("x")}).Mark(steps.Sensitive), "[{A (sensitive)}]"},
		{"variables", cty.ObjectVal(map[string]cty.Value{"a-b": str("x")}), "error: no name of a variable"},
		{"variables", cty.ObjectVal(map[string]cty.Value{"A": str("x\x00").Mark(steps.Sensitive)}), "error: NUL"},
		{"text", str("x").Mark(steps.Sensitive), "(sensitive)"},
		{"text", str("x\ny"), "x\ny"},
	} {
		err := args.Get(c.arg).Set(c.value)
		got := map[string]any{
			"string": s, "text": text, "bool": b, "int": i, "seconds": seconds, "path": p, "mode": m,
			"name": n, "url": u, "enum": e, "strings": list, "words": words, "variables": vars,
		}[c.arg]
		if part, wrong := strings.CutPrefix(c.want, "error: "); wrong {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%s = %#v: %v, want an error with %q", c.arg, c.value, err, part)
			}
		} else if err != nil || fmt.Sprint(got) != c.want {
			t.Errorf("%s = %#v: %v, %v; want %q", c.arg, c.value, got, err, c.want)
		}
	}
}

func TestArgNull(t *testing.T) {
	s := "default"
	a := StringArg("string", &s, "")
	if err := a.Set(cty.NullVal(cty.DynamicPseudoType)); err != nil || s != "default" {
		t.Errorf("null is not the default: %q, %v", s, err)
	}
	required := a.Must()
	if err := required.Set(cty.NullVal(cty.String)); err == nil {
		t.Error("null is taken for a required argument")
	}
	var wrong *steps.EnumError
	enum := EnumArg("enum", &s, "", "a", "b")
	if err := enum.Set(cty.StringVal("c")); !errors.As(err, &wrong) || wrong.Got != "c" || len(wrong.Values) != 2 {
		t.Errorf("the error of an enum does not say what is allowed: %v", err)
	}
}
