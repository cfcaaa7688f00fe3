package engine

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/zclconf/go-cty/cty"
)

// A step that watches another one must run in the same apply, although a stale step between the two has the rest planned anew, and
// the one that it watches is in its state by then.
func TestNotificationsSurviveReplanning(t *testing.T) {
	host := newLocalHost(t)
	list := stepList{
		step(t, "file", "conf", map[string]cty.Value{"path": str(host.path("conf")), "content": str("x\n")}),
		step(t, "file", "f", map[string]cty.Value{"path": str(host.path("f")), "content": str("new\n")}),
		script(t, "reload", "echo x >> reloaded"),
	}
	list[2].OnChange = map[string][]string{"": {"step.file.conf"}}
	rec := &recorder{}
	run := newRun(host, rec, list)
	run.Plan(t.Context())
	if err := os.WriteFile(host.path("f"), []byte("somebody else was here\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	run.Apply(t.Context())
	exit := run.Close()
	want := []string{"step.file.conf changed", "step.file.f stale", "step.file.f changed", "step.command.reload changed"}
	if diff := cmp.Diff(want, rec.verdicts()); exit != 0 || diff != "" {
		t.Errorf("exit %d %s\n%s", exit, diff, rec.dump())
	}
}

// An error that arises only when a host is planned anew is told with its step and its place, and ends the host with its reason.
func TestAnErrorOfTheNewPlanIsTold(t *testing.T) {
	host := newLocalHost(t)
	list := stepList{
		script(t, "link", "ln -s nowhere f"),
		step(t, "file", "f", map[string]cty.Value{"path": str(host.path("f")), "content": str("new\n")}),
	}
	exit, rec := applied(t, host, list)
	told := false
	for _, e := range rec.events {
		told = told || e.PlanStep != nil && e.PlanStep.Error != nil && e.PlanStep.Addr == "step.file.f" && e.PlanStep.Source.Line == 1
	}
	if why := hostFailure(rec); exit != 1 || !told || !strings.Contains(why, "step.file.f") {
		t.Errorf("exit %d, told %v, %q\n%s", exit, told, why, rec.dump())
	}
}
