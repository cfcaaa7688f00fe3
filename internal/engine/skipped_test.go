package engine

import (
	"slices"
	"testing"

	"provision/internal/steps"
	"provision/internal/steps/kinds"
)

// The arguments of a step whose condition is false are not evaluated. It is told of all the same, wherever it stands among those that run.
func TestSkippedStepIsToldBetweenOthers(t *testing.T) {
	skipped := steps.Instance{Addr: "step.file.no", Kind: kinds.Find("file"), Skip: true}
	code, rec := applied(t, newLocalHost(t), stepList{script(t, "one", "true"), skipped, script(t, "two", "true")})
	if code != 0 || !slices.Contains(rec.verdicts(), "step.file.no skipped") {
		t.Errorf("status %d\n%s", code, rec.dump())
	}
}
