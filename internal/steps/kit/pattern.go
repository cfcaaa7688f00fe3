package kit

import (
	"fmt"
	"regexp"

	"provision/internal/steps"
)

// A Pattern is a regular expression, in Go's syntax and as grep -E takes it.
type Pattern struct {
	re  *regexp.Regexp
	ERE string // finds the same lines in grep -E on the host, under LC_ALL=C
}

// Finds tells whether the expression matches somewhere in a line. That of nil matches none.
func (p *Pattern) Finds(line string) bool { return p != nil && p.re.MatchString(line) }

// patternSyntax is what the manual says of every such argument.
const patternSyntax = ` A regular expression in Go's syntax, such as "(?i)^port\s+\d+$"; \b, \B and ranges beyond ASCII are refused.`

// PatternArg is a regular expression that has a counterpart in grep -E; see ERE. Left out, *to stays nil.
func PatternArg(name string, to **Pattern, doc string) steps.Arg {
	doc += patternSyntax
	return OptionalArg(name, to, doc, func(s string) (Pattern, error) {
		re, err := regexp.Compile(s)
		if err != nil {
			return Pattern{}, fmt.Errorf("this is no regular expression: %w", err)
		}
		ere, err := ERE(s)
		return Pattern{re: re, ERE: ere}, err
	})
}
