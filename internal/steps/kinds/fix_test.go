package kinds

import (
	"regexp"
	"testing"

	"provision/internal/steps"
)

// TestFixesNameKinds keeps the advice on what a plan lacks true: the kinds that it names exist.
func TestFixesNameKinds(t *testing.T) {
	quoted := regexp.MustCompile(`[^=] "([a-z_]+)"`) // not the value of an argument
	for _, kind := range steps.Anything().May {
		found := quoted.FindAllStringSubmatch(steps.Thing{Kind: kind, Name: "x"}.Fix(), -1)
		if len(found) == 0 && kind != steps.FreeThing {
			t.Errorf("the advice on a missing %s names no kind of step", kind)
		}
		for _, m := range found {
			if Find(m[1]) == nil {
				t.Errorf("the advice on a missing %s names the kind %q, which is not there", kind, m[1])
			}
		}
	}
}
