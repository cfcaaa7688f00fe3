package engine

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/zclconf/go-cty/cty"

	"provision/internal/event"
	"provision/internal/shell"
	"provision/internal/steps"
)

// A dial is a step whose operation leaves a value that nobody predicted. Values that begin with "good" are as wanted.
type dial struct{ path, leaves string }

func (d *dial) Validate() []steps.Problem { return nil }

func (d *dial) Probe() string {
	return "say value \"$(cat " + shell.Quote(d.path) + " 2>/dev/null)\"\n"
}

func (d *dial) Plan(_ *steps.Facts, obs steps.Observation) (steps.Change, error) {
	if value, _ := obs.Get("value"); strings.HasPrefix(value, "good") {
		return steps.Change{Action: steps.NoOp}, nil
	}
	script := fmt.Sprintf("printf %s >%s", shell.Quote(d.leaves), shell.Quote(d.path))
	return steps.Change{Action: steps.Update, Ops: []steps.Op{steps.Run{Script: script}}}, nil
}

func dialStep(host *localHost, leaves string) steps.Instance {
	return steps.Instance{
		Addr: "step.dial.d", Kind: &steps.Kind{Name: "dial"}, Step: &dial{host.path("dial"), leaves},
		Source: steps.Source{File: "test.hcl", Line: 1},
	}
}

// TestHostStopsAtAStateThatNobodyThoughtOf pins that the next step does not run before the state of the one before is known to be the
// wanted one.
func TestHostStopsAtAStateThatNobodyThoughtOf(t *testing.T) {
	for name, shell := range shells(t) {
		for leaves, want := range map[string][]string{
			"odd":    {"step.dial.d not_converged"},
			"good 7": {"step.dial.d changed", "step.command.next changed"},
		} {
			for _, cut := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/cut=%v", name, leaves, cut), func(t *testing.T) {
					host := newLocalHost(t, shell...)
					rec := &recorder{}
					if cut {
						rec.notify = func(e event.Event) {
							if e.StepStart != nil && e.StepStart.Addr == "step.dial.d" {
								host.cut()
							}
						}
					}
					run := newRun(host, rec, stepList{dialStep(host, leaves), script(t, "next", "touch next")})
					run.Plan(t.Context())
					run.Apply(t.Context())
					exit := run.Close()
					if diff := cmp.Diff(want, rec.verdicts()); diff != "" || (exit == 0) != (leaves != "odd") {
						t.Errorf("exit %d %s\n%s", exit, diff, rec.dump())
					}
					if host.exists("next") != (leaves != "odd") {
						t.Errorf("the next step ran: %v", host.exists("next"))
					}
					host.tidy()
				})
			}
		}
	}
}

// TestStatesThatAreKnownTakeNoExchange pins for which kinds the program need not ask.
func TestStatesThatAreKnownTakeNoExchange(t *testing.T) {
	for name, shell := range shells(t) {
		t.Run(name, func(t *testing.T) {
			host := newLocalHost(t, shell...)
			owner := os.Getuid()
			if owner == 0 {
				owner = testUID
			}
			at := func(name string) cty.Value { return str(host.path(name)) }
			list := stepList{
				step(t, "directory", "d", map[string]cty.Value{"path": at("d"), "mode": str("0750")}),
				step(t, "file", "f", map[string]cty.Value{"path": at("d/f"), "content": str("text\n"), "mode": str("0640"), "owner": str(fmt.Sprint(owner))}),
				step(t, "file", "secret", map[string]cty.Value{"path": at("secret"), "content": str("pa$$").Mark(steps.Sensitive)}),
				step(t, "file", "empty", map[string]cty.Value{"path": at("empty")}),
				step(t, "symlink", "l", map[string]cty.Value{"path": at("l"), "target": str("d/f")}),
				step(t, "line", "n", map[string]cty.Value{"path": at("lines"), "line": str("one"), "create": cty.True}),
				step(t, "ini", "i", map[string]cty.Value{"path": at("ini"), "section": str("s"), "values": cty.MapVal(map[string]cty.Value{"k": str("v")}), "create": cty.True}),
				step(t, "env_file", "e", map[string]cty.Value{"path": at("env"), "values": cty.MapVal(map[string]cty.Value{"K": str("v")})}),
				step(t, "command", "c", map[string]cty.Value{"script": str("touch made"), "creates": at("made")}),
				step(t, "command", "u", map[string]cty.Value{"script": str("touch done"), "unless": str("test -e " + host.path("done"))}),
			}
			exit, rec := applied(t, host, list)
			if exit != 0 {
				t.Fatalf("exit %d\n%s", exit, rec.dump())
			}
			journal, err := exec.Command("sh", "-c", "cat "+host.path(".provision")+"/journal.*").Output()
			if err != nil || strings.Count(string(journal), "\nend ") != len(list) || strings.Contains(string(journal), "\nask ") {
				t.Errorf("%v %s", err, journal)
			}
		})
	}
}

// TestProgramWithoutAnAnswerEnds pins that nothing is built on a state that nobody has judged.
func TestProgramWithoutAnAnswerEnds(t *testing.T) {
	for name, shell := range shells(t) {
		t.Run(name, func(t *testing.T) {
			host := newLocalHost(t, shell...)
			rec := &recorder{}
			run := newRun(host, rec, stepList{dialStep(host, "good 7"), script(t, "next", "touch next")})
			run.Plan(t.Context())
			defer run.Close()
			h := run.hosts[0]
			prog := &program{id: "x", entries: h.segment(0, func(*Planned) bool { return true }).entries, patience: 1}
			text, _, _ := prog.text()
			var heard silentListener
			if err := h.session.launch(context.Background(), prog, text, &position{}, &heard); err != nil {
				t.Fatal(err)
			}
			if want := []string{"run ", "begin ", "ask ", "end changed", "done unjudged"}; !cmp.Equal(want, heard.records) {
				t.Errorf("%v", heard.records)
			}
			if host.exists("next") {
				t.Error("the next step ran")
			}
		})
	}
}

// A silentListener answers nothing.
type silentListener struct{ records []string }

func (l *silentListener) record(r record) error {
	l.records = append(l.records, r.kind+" "+r.verdict)
	return nil
}

func (l *silentListener) output(int, int, []byte) {}
