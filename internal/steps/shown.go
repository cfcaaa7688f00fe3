package steps

import "github.com/zclconf/go-cty/cty"

// Shown returns a value that may be printed: every sensitive part of v is replaced by "(sensitive)", and what is not known
// by "(known later)".
func Shown(v cty.Value) cty.Value {
	shown, err := cty.Transform(v, func(_ cty.Path, v cty.Value) (cty.Value, error) {
		plain, marks := v.Unmark()
		if _, yes := marks[Sensitive]; yes {
			return cty.StringVal(hidden), nil
		}
		if !plain.IsKnown() {
			return cty.StringVal("(known later)"), nil
		}
		return plain, nil
	})
	if err != nil {
		return cty.StringVal(hidden)
	}
	return shown
}
