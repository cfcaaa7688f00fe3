package engine

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/zclconf/go-cty/cty"
)

// A probe that takes longer than the timeout of its step is ended on the host with what it has started, and the others go on.
func TestAProbeHasTheTimeOfItsStep(t *testing.T) {
	for name, sh := range shells(t) {
		t.Run(name, func(t *testing.T) {
			host := newLocalHost(t, sh...)
			hangs := step(t, "command", "hangs", map[string]cty.Value{"script": str("true"), "unless": str("(" + lasting(4611) + ") & " + lasting(4611) + "; wait")})
			hangs.Timeout = 1
			slow := step(t, "command", "slow", map[string]cty.Value{"script": str("touch never"), "unless": str("sleep 2; test -e slow")})
			slow.Timeout = 30
			list := stepList{hangs, slow, file(t, host, "f", "new")}
			rec := &recorder{}
			run := newRun(host, rec, list)
			if s := run.Plan(t.Context()); !s.Failed {
				t.Error("the host has a plan")
			}
			run.Close()
			said := rec.dump()
			for _, want := range []string{
				"plan_step step.command.hangs unknown  {Message:cannot be looked at: its probe took longer than 1 s, and was ended", "plan_step step.command.slow run", "plan_step step.file.f create",
			} {
				if !strings.Contains(said, want) {
					t.Errorf("no %q in\n%s", want, said)
				}
			}
			ended(t, lasting(4611))
		})
	}
}

// Likewise when the program looks.
func TestAProbeOfAProgramHasTheTimeOfItsStep(t *testing.T) {
	for name, sh := range shells(t) {
		t.Run(name, func(t *testing.T) {
			host := newLocalHost(t, sh...)
			hangs := step(t, "command", "hangs", map[string]cty.Value{"script": str("touch ran"), "unless": str("test -e ran || exit 1; (" + lasting(4612) + ") & " + lasting(4612) + "; wait")})
			hangs.Timeout, hangs.Proceed = 2, true
			exit, rec := applied(t, host, stepList{hangs, file(t, host, "f", "new")})
			if exit != 0 || !host.exists("f") || !strings.Contains(rec.dump(), "it ran; its state could not be read afterwards: its probe took longer than 2 s, and was ended") {
				t.Errorf("exit %d\n%s", exit, rec.dump())
			}
			ended(t, lasting(4612))
			host.tidy()
		})
	}
}

// A probe that ignores TERM is killed before its program goes on, and what it says without end does not fill the host.
func TestAProbeThatIgnoresTermIsKilled(t *testing.T) {
	for name, sh := range shells(t) {
		t.Run(name, func(t *testing.T) {
			host := newLocalHost(t, sh...)
			hangs := step(t, "command", "hangs", map[string]cty.Value{"script": str("touch ran"), "unless": str("test -e ran || exit 1; trap '' TERM; echo loud >&2; " +
				lasting(4614) + " & while :; do sleep 0.2; done")})
			hangs.Timeout, hangs.Proceed = 2, true
			exit, rec := applied(t, host, stepList{hangs})
			if exit != 0 || !strings.Contains(rec.dump(), "its probe took longer than 2 s, and was ended") {
				t.Errorf("exit %d\n%s", exit, rec.dump())
			}
			ended(t, lasting(4614))
			host.tidy()
		})
	}
}

// changed_if has the time of its step, and a step whose changed_if takes longer has failed.
func TestChangedIfHasTheTimeOfItsStep(t *testing.T) {
	for name, sh := range shells(t) {
		t.Run(name, func(t *testing.T) {
			host := newLocalHost(t, sh...)
			hangs := step(t, "command", "hangs", map[string]cty.Value{"script": str("touch ran"), "changed_if": str("trap '' TERM; " + lasting(4616))})
			hangs.Timeout, hangs.Proceed = 1, true
			quiet := step(t, "command", "quiet", map[string]cty.Value{"script": str("echo same"), "changed_if": str("[ \"$stdout\" != same ]")})
			quiet.Timeout = 60
			exit, rec := applied(t, host, stepList{hangs, quiet})
			said := rec.dump()
			if exit != 0 || !strings.Contains(said, "changed_if did not end within its timeout of 1 s") || !strings.Contains(said, "unchanged:1") {
				t.Errorf("exit %d\n%s", exit, said)
			}
			ended(t, lasting(4616))
			host.tidy()
		})
	}
}

// What a probe says without end does not fill the host.
func TestAProbeThatFloods(t *testing.T) {
	host := newLocalHost(t)
	loud := step(t, "command", "loud", map[string]cty.Value{"script": str("touch ran"), "unless": str("test -e ran || exit 1; yes 0123456789 >&2")})
	loud.Timeout, loud.Proceed = 2, true
	began := time.Now()
	exit, rec := applied(t, host, stepList{loud})
	if exit != 0 || !strings.Contains(rec.dump(), "its probe took longer than 2 s, and was ended") || len(rec.dump()) > 1<<20 || time.Since(began) > time.Minute {
		t.Errorf("exit %d after %s, %d bytes", exit, time.Since(began), len(rec.dump()))
	}
	host.tidy()
}

// An interrupt ends what looks, also on the host.
func TestInterruptEndsAProbeOnTheHost(t *testing.T) {
	for name, sh := range shells(t) {
		t.Run(name, func(t *testing.T) {
			host := newLocalHost(t, sh...)
			data := step(t, "command", "asks", map[string]cty.Value{"script": str("true"), "unless": str("touch asks; " + lasting(4613))})
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				for end := time.Now().Add(20 * time.Second); !host.exists("asks") && time.Now().Before(end); {
					time.Sleep(20 * time.Millisecond)
				}
				cancel()
			}()
			run := newRun(host, &recorder{}, stepList{data})
			run.Plan(ctx)
			if exit := run.Close(); exit != 130 {
				t.Errorf("exit %d", exit)
			}
			ended(t, lasting(4613))
		})
	}
}

// What waits says itself how long: no look at it takes longer.
func TestALookTakesNoLongerThanItsStepWaits(t *testing.T) {
	waits := step(t, "wait_for", "w", map[string]cty.Value{"command": str("true"), "timeout": str("7s")})
	if limit := lookLimit(&waits); limit != 7*time.Second {
		t.Errorf("a step that waits for 7 s: %s", limit)
	}
	if waits.Timeout = 3; lookLimit(&waits) != 3*time.Second {
		t.Errorf("with a timeout of 3 s: %s", lookLimit(&waits))
	}
}
