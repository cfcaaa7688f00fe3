package kit

import (
	"fmt"
	"regexp"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/steps"
)

// A Pattern is a regular expression, in Go's syntax and as grep -E takes it.
type Pattern struct {
	re  *regexp.Regexp
	ERE string
}

func (p *Pattern) Finds(line string) bool { return p != nil && p.re.MatchString(line) }

func PatternArg(name string, to **Pattern, doc string) steps.Arg {
	return steps.Arg{Name: name, Doc: doc, Type: cty.String, Decode: func(v cty.Value) error {
		re, err := regexp.Compile(v.AsString())
		if err != nil {
			return fmt.Errorf("this is no regular expression: %w", err)
		}
		ere, err := ERE(v.AsString())
		if err != nil {
			return err
		}
		*to = &Pattern{re: re, ERE: ere}
		return nil
	}}
}
