package engine

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"provision/internal/steps"
)

// A waitingSource holds its last steps back until the first has a result, or finds them unresolved then.
type waitingSource struct {
	list       stepList
	from       int // index of the first that waits
	unresolved error
}

func (s waitingSource) Steps(_ *steps.Facts, results map[string]cty.Value) ([]steps.Instance, hcl.Diagnostics) {
	list := slices.Clone(s.list)
	_, known := results[list[0].Addr]
	for i := s.from; i < len(list); i++ {
		switch {
		case !known:
			list[i].Step, list[i].Waits = nil, []string{list[0].Addr}
		case s.unresolved != nil:
			list[i].Step, list[i].Unresolved = nil, s.unresolved
		}
	}
	return list, nil
}

// What the steps of an earlier phase have put out is known to those of a later one.
func TestResultsOfAnEarlierPhase(t *testing.T) {
	f := newFleet(t, 2)
	first, second, third := script(t, "one", "echo 1"), script(t, "two", "touch two"), script(t, "three", "touch three")
	first.Play, second.Play, third.Play = "one", "two", "three"
	rec := &recorder{}
	run := f.run(rec, nil, func(string) StepSource { return waitingSource{list: stepList{first, second, third}, from: 1} })
	run.Phases = []Phase{
		{Plays: []string{"one"}, Hosts: f.names},
		{Plays: []string{"two"}, Hosts: f.names, Rollout: &Rollout{Batches: []int{1}}},
		{Plays: []string{"three"}, Hosts: f.names[1:]},
	}
	run.Plan(t.Context())
	run.Apply(t.Context())
	if exit := run.Close(); exit != 0 || !f.hosts["web1"].exists("two") || !f.hosts["web2"].exists("two") || !f.hosts["web2"].exists("three") {
		t.Errorf("status %d\n%s", exit, rec.dump())
	}
}

// Every check has its verdict, whatever became of those before it, and whatever it has to wait for.
func TestChecksAfterAFailedOne(t *testing.T) {
	never := map[string]cty.Value{"command": str("exit 1")}
	list := stepList{script(t, "one", "true"), checkOf(t, "a", never), checkOf(t, "b", never), checkOf(t, "c", map[string]cty.Value{"command": str("true")})}
	for from := 2; from <= len(list); from++ {
		exit, rec := applied(t, newLocalHost(t), waitingSource{list: list, from: from})
		verdicts := map[string]bool{}
		for name, c := range rec.checks() {
			verdicts[name] = c.OK
		}
		if diff := cmp.Diff(map[string]bool{"a": false, "b": false, "c": true}, verdicts); diff != "" || exit != 1 {
			t.Errorf("from %d: status %d %s\n%s", from, exit, diff, rec.dump())
		}
	}
}

// A step that turns out to be wrong on this host is told where it stands, like any that cannot be planned.
func TestUnresolvedStep(t *testing.T) {
	for _, proceed := range []bool{false, true} {
		for _, checks := range []bool{false, true} {
			host := newLocalHost(t)
			late := script(t, "late", "touch late")
			if checks {
				late.Addr, late.Check = "check.late", true
			}
			late.Proceed = proceed
			list := stepList{script(t, "one", "true"), script(t, "two", "touch two"), late}
			exit, rec := applied(t, host, waitingSource{list: list, from: 2, unresolved: errors.New("the result is null")})
			if want := map[bool]int{true: 0, false: 1}[proceed && !checks]; exit != want || host.exists("late") || !host.exists("two") {
				t.Errorf("proceed %v, check %v: status %d\n%s", proceed, checks, exit, rec.dump())
			}
			why := rec.dump()
			for _, c := range rec.checks() {
				why += c.Message
			}
			if !strings.Contains(why, "the result is null") || strings.Contains(why, "will not come") {
				t.Errorf("proceed %v, check %v: %s", proceed, checks, why)
			}
		}
	}
}
