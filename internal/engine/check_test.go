package engine

import (
	"os"
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/event"
	"provision/internal/steps"
)

// checkOf is a check block that waits a second.
func checkOf(t *testing.T, name string, args map[string]cty.Value) steps.Instance {
	args["timeout"], args["interval"] = str("1s"), str("1s")
	in := step(t, "wait_for", name, args)
	in.Addr, in.Check = "check."+name, true
	return in
}

func (r *recorder) checks() map[string]*event.CheckEnd {
	m := map[string]*event.CheckEnd{}
	for _, e := range r.events {
		if e.CheckEnd != nil {
			m[e.CheckEnd.Name] = e.CheckEnd
		}
	}
	return m
}

// A check that is not met says what its command said, with the status: never that something is not there which only may not be read.
func TestUnmetCheckGivesItsReason(t *testing.T) {
	for name, shell := range shells(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			host := newLocalHost(t, shell...)
			for _, dir := range []string{"closed"} {
				if err := os.MkdirAll(host.path(dir), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(host.path("closed/conf"), []byte("x\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			if os.Getuid() != 0 {
				_ = os.Chmod(host.path("closed"), 0)
			}
			list := stepList{
				checkOf(t, "denied", map[string]cty.Value{"command": str("grep x " + host.path("closed/conf"))}),
				checkOf(t, "words", map[string]cty.Value{"command": str("echo first >&2; echo; echo second; exit 3")}),
				checkOf(t, "none", map[string]cty.Value{"command": str("nosuchtool --version")}),
				checkOf(t, "silent", map[string]cty.Value{"command": str("exit 126")}),
				checkOf(t, "gone", map[string]cty.Value{"command": str("true"), "absent": cty.True}),
				checkOf(t, "lacking", map[string]cty.Value{"path": str(host.path("nothing"))}),
				checkOf(t, "fine", map[string]cty.Value{"command": str("true")}),
			}
			exit, rec := applied(t, host, list)
			checks := rec.checks()
			for check, words := range map[string][]string{
				"denied":  {"the command still fails after 1s with status 2", "ermission denied", "become = true"},
				"words":   {"status 3: first; second"},
				"none":    {"status 127: nosuchtool: ", "not found"},
				"silent":  {"status 126"},
				"gone":    {"the command still succeeds after 1s"},
				"lacking": {host.path("nothing") + " is not there after 1s"},
			} {
				got := checks[check]
				if got == nil || got.OK {
					t.Errorf("%s: %s is not unmet\n%s", name, check, rec.dump())
					continue
				}
				for _, want := range words {
					if !strings.Contains(got.Message, want) {
						t.Errorf("%s: %s: %q does not say %q", name, check, got.Message, want)
					}
				}
				if check != "lacking" && strings.Contains(got.Message, "not there") {
					t.Errorf("%s: %s: %q", name, check, got.Message)
				}
			}
			if fine := checks["fine"]; exit != 1 || fine == nil || !fine.OK {
				t.Errorf("%s: exit %d\n%s", name, exit, rec.dump())
			}
		})
	}
}

// What may not be seen is an error of the plan that says so, and a check of it ends with the same reason, once.
func TestCheckThatCannotBeTold(t *testing.T) {
	host := newLocalHost(t)
	if err := os.Mkdir(host.path("closed"), 0o700); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() != 0 {
		_ = os.Chmod(host.path("closed"), 0)
	}
	waits := step(t, "wait_for", "hidden", map[string]cty.Value{"path": str(host.path("closed/x"))})
	exit, rec := applied(t, host, stepList{waits})
	why := ""
	for _, e := range rec.events {
		if e.PlanStep != nil && e.PlanStep.Error != nil {
			why = e.PlanStep.Error.Message
		}
	}
	if exit != 1 || !strings.Contains(why, "closed: permission denied") {
		t.Errorf("exit %d %q\n%s", exit, why, rec.dump())
	}
	exit, rec = applied(t, host, stepList{checkOf(t, "hidden", map[string]cty.Value{"path": str(host.path("closed/x"))})})
	if c := rec.checks()["hidden"]; exit != 1 || c == nil || c.OK || !strings.Contains(c.Message, "permission denied") {
		t.Errorf("exit %d\n%s", exit, rec.dump())
	}
}

// A check that lacks the tool to look with fails with that reason; it is no state that keeps moving.
func TestCheckThatLacksItsTool(t *testing.T) {
	for _, before := range []stepList{nil, {script(t, "one", "true")}} {
		host := newLocalHost(t)
		check := step(t, "line", "conf", map[string]cty.Value{"path": str(host.path("conf")), "line": str("x")})
		check.Addr, check.Check = "check.conf", true
		exit, rec := applied(t, host, append(before, check))
		c := rec.checks()["conf"]
		if exit != 1 || c == nil || c.OK || !strings.Contains(c.Message, "conf") || strings.Contains(rec.dump(), "its state changes") {
			t.Errorf("exit %d %+v\n%s", exit, c, rec.dump())
		}
	}
}
