package steps

import (
	"fmt"
	"regexp"

	"github.com/zclconf/go-cty/cty"
)

// A pattern is a regular expression, in Go's syntax and as grep -E takes it.
type pattern struct {
	re  *regexp.Regexp
	ere string
}

func (p *pattern) finds(line string) bool { return p != nil && p.re.MatchString(line) }

func patternArg(name string, to **pattern, doc string) Arg {
	return Arg{Name: name, Doc: doc, Type: cty.String, set: func(v cty.Value) error {
		re, err := regexp.Compile(v.AsString())
		if err != nil {
			return fmt.Errorf("this is no regular expression: %w", err)
		}
		ere, err := ereOf(v.AsString())
		if err != nil {
			return err
		}
		*to = &pattern{re: re, ere: ere}
		return nil
	}}
}
