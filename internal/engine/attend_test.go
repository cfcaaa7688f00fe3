package engine

import (
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/event"
)

// An interrupt that arrives while the link is down is told to the program as soon as there is one.
func TestInterruptWhileTheLinkIsDown(t *testing.T) {
	host := newLocalHost(t)
	list := stepList{
		script(t, "slow", "echo started; n=0; while [ ! -e go ] && [ $n -lt 300 ]; do sleep 0.1; n=$((n+1)); done; sleep 3; touch finished"),
		script(t, "next", "touch next"),
	}
	rec := &recorder{}
	run := newRun(host, rec, list)
	stop := make(chan struct{})
	run.Stop = stop
	interrupt := sync.OnceFunc(func() {
		close(stop)
		time.AfterFunc(time.Second, func() {
			host.let(true)
			_ = os.WriteFile(host.path("go"), nil, 0o644)
		})
	})
	rec.notify = func(e event.Event) {
		switch {
		case e.StepOutput != nil && strings.Contains(e.StepOutput.Text, "started"):
			host.let(false)
			go host.cut()
		case e.Type == event.TypeHostRetry:
			interrupt()
		}
	}
	run.Plan(t.Context())
	run.Apply(t.Context())
	if exit := run.Close(); exit != 130 || !host.exists("finished") || host.exists("next") {
		t.Errorf("exit %d, finished %v, next %v\n%s", exit, host.exists("finished"), host.exists("next"), rec.dump())
	}
	host.tidy()
}

// An interrupt may arrive at any moment, also when a program has just ended and the link is closed.
func TestInterruptAtTheEndOfAProgram(t *testing.T) {
	for n := range 30 {
		host := newLocalHost(t)
		rec := &recorder{}
		run := newRun(host, rec, stepList{script(t, "quick", "true")})
		stop := make(chan struct{})
		run.Stop = stop
		rec.notify = func(e event.Event) {
			if e.Type == event.TypeStepEnd {
				time.AfterFunc(time.Duration(n)*2*time.Millisecond, func() { close(stop) })
			}
		}
		run.Plan(t.Context())
		run.Apply(t.Context())
		if exit := run.Close(); (exit != 0 && exit != 130) || strings.Contains(rec.dump(), "could not be told") {
			t.Errorf("%d: exit %d\n%s", n, exit, rec.dump())
		}
		host.tidy()
	}
}

// What a shell says itself names the file and line of a program that is gone when its reader looks.
func TestReasonOfACommandThatIsNotThere(t *testing.T) {
	for name, shell := range shells(t) {
		t.Run(name, func(t *testing.T) {
			host := newLocalHost(t, shell...)
			for _, list := range []stepList{
				{step(t, "command", "gone", map[string]cty.Value{"run": cty.ListVal([]cty.Value{str("no-such-program")})})},
				{script(t, "gone", "no-such-program")},
				{step(t, "command", "gone", map[string]cty.Value{"run": cty.ListVal([]cty.Value{str("true")}), "cwd": str("/no-such-directory")})},
			} {
				_, rec := applied(t, host, list)
				for _, e := range rec.events {
					if e.StepEnd != nil && (e.StepEnd.Error == nil || strings.Contains(e.StepEnd.Error.Message, "/program:") || !strings.Contains(e.StepEnd.Error.Message, "no-such-")) {
						t.Errorf("%+v", e.StepEnd.Error)
					}
					if e.StepEnd != nil && e.StepEnd.Error != nil {
						t.Log(e.StepEnd.Error.Message)
					}
				}
			}
			host.tidy()
		})
	}
}
