package engine

import (
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"provision/internal/steps"
)

// A countedSource counts how often it is asked, and holds back a step until the facts are known.
type countedSource struct {
	list  stepList
	waits bool
	asked *int
}

func (s countedSource) Steps(facts *steps.Facts, _ map[string]cty.Value) ([]steps.Instance, hcl.Diagnostics) {
	*s.asked++
	list := append(stepList{}, s.list...)
	if s.waits && facts == nil {
		last := &list[len(list)-1]
		last.Step, last.Waits = nil, []string{"fact"}
	}
	return list, nil
}

// Evaluating is most of what a host of a large fleet costs the client.
func TestOnlyWhatWaitsIsEvaluatedAgain(t *testing.T) {
	for waits, want := range map[bool]int{false: 1, true: 2} {
		host, asked := newLocalHost(t), 0
		list := stepList{script(t, "one", "true"), script(t, "two", "true")}
		rec := &recorder{}
		run := newRun(host, rec, countedSource{list: list, waits: waits, asked: &asked})
		if s := run.Plan(t.Context()); s.Failed || !s.Changes {
			t.Fatalf("%+v\n%s", s, rec.dump())
		}
		if asked != want {
			t.Errorf("a step that waits %v: evaluated %d times, want %d", waits, asked, want)
		}
		run.Close()
		planned := 0
		for _, e := range rec.events {
			if e.PlanStep != nil && e.PlanStep.Action == steps.Execute {
				planned++
			}
		}
		if planned != len(list) {
			t.Errorf("a step that waits %v: %d steps are planned\n%s", waits, planned, rec.dump())
		}
	}
}
