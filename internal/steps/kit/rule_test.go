package kit

import (
	"fmt"
	"testing"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/steps"
)

// TestRules breaks each rule, and keeps each.
func TestRules(t *testing.T) {
	kind := &steps.Kind{Rules: []steps.Rule{
		steps.AbsentTakes("path"),
		steps.OneOf("Give one.", "text", "list", "map"),
		steps.AtMostOne("flag", "word"),
	}}
	type given map[string]cty.Value
	str, yes := cty.StringVal, cty.True
	for _, c := range []struct {
		given given
		want  string // the arguments that the problems name; "step" for none
	}{
		{given{"text": str("x")}, "[]"},
		{given{"text": str("")}, "[]"}, // an empty text is one
		{given{"text": str("x").Mark(steps.Sensitive)}, "[]"},
		{given{"list": cty.ListVal([]cty.Value{str("x")})}, "[]"},
		{given{}, "[step]"},
		{given{"list": cty.EmptyTupleVal}, "[step]"},
		{given{"map": cty.EmptyObjectVal}, "[step]"},
		{given{"text": cty.NullVal(cty.String)}, "[step]"},
		{given{"text": str("x"), "list": cty.ListVal([]cty.Value{str("x")})}, "[list]"},
		{given{"text": str("x"), "list": cty.EmptyTupleVal}, "[]"},
		{given{"text": str("x"), "flag": yes, "word": str("b")}, "[word]"},
		{given{"text": str("x"), "flag": cty.False, "word": str("b")}, "[]"}, // its default
		{given{"text": str("x"), "flag": yes, "word": str("a")}, "[]"},       // its default
		{given{"state": str("absent"), "path": str("/x")}, "[]"},
		{given{"state": str("absent"), "path": str("/x"), "flag": cty.False}, "[]"},
		{given{"state": str("absent"), "path": str("/x"), "text": str("")}, "[text]"},
		{given{"state": str("absent"), "path": str("/x"), "flag": yes}, "[flag]"},
		{given{"state": str("present"), "path": str("/x"), "text": str("x")}, "[]"},
	} {
		var (
			p, word, state = "", "a", "present"
			text           *steps.Text
			list           []string
			m              map[string]string
			flag           bool
		)
		args := steps.Args{
			PathArg("path", &p, ""), TextArg("text", &text, ""), StringsArg("list", &list, ""), StringMapArg("map", &m, ""),
			BoolArg("flag", &flag, ""), EnumArg("word", &word, "", "a", "b"), EnumArg("state", &state, "", "present", "absent"),
		}
		for name, v := range c.given {
			if err := args.Get(name).Set(v); err != nil {
				t.Fatal(err)
			}
		}
		named := []string{}
		for _, problem := range kind.Check(args) {
			if problem.Arg == "" {
				problem.Arg = "step"
			}
			named = append(named, problem.Arg)
		}
		if got := fmt.Sprint(named); got != c.want {
			t.Errorf("%#v: %s, want %s", c.given, got, c.want)
		}
	}
}
