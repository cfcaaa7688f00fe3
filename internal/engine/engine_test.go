package engine

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/zclconf/go-cty/cty"

	"provision/internal/event"
	"provision/internal/steps"
)

const reconnectForTests = 30 * time.Second

func timeNow() time.Time { return time.Now() }

// lack skips a test that this machine cannot run, or fails where PROVISION_CI=1 says that it must.
func lack(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("PROVISION_CI") == "1" {
		t.Fatal("PROVISION_CI=1 and " + what)
	}
	t.Skip("NOT TESTED: " + what)
}

// shells are the ones that a host may have as /bin/sh.
func shells(t *testing.T) map[string][]string {
	all := map[string][]string{"dash": {"dash"}, "bash": {"bash", "--posix"}, "busybox": {"busybox", "sh"}}
	for name, argv := range all {
		path, err := exec.LookPath(argv[0])
		if err != nil {
			if os.Getenv("PROVISION_CI") == "1" {
				t.Fatalf("PROVISION_CI=1 and there is no %s", name)
			}
			t.Logf("NOT TESTED: no %s on this machine", name)
			delete(all, name)
			continue
		}
		argv[0] = path
	}
	return all
}

func TestApplyThenNothingToDo(t *testing.T) {
	for name, shell := range shells(t) {
		t.Run(name, func(t *testing.T) {
			host := newLocalHost(t, shell...)
			list := stepList{
				step(t, "directory", "d", map[string]cty.Value{"path": str(host.path("a/b")), "mode": str("0750")}),
				step(t, "command", "c", map[string]cty.Value{"script": str("echo one; echo two >&2; echo hi > f"), "creates": str(host.path("a/b/f")), "cwd": str(host.path("a/b"))}),
			}
			exit, rec := applied(t, host, list)
			if exit != 0 {
				t.Fatalf("exit %d\n%s", exit, rec.dump())
			}
		})
	}
}

func TestSecondApplyIsEmpty(t *testing.T) {
	for name, shell := range shells(t) {
		t.Run(name, func(t *testing.T) {
			host := newLocalHost(t, shell...)
			list := stepList{
				step(t, "directory", "d", map[string]cty.Value{"path": str(host.path("a/b")), "mode": str("0750")}),
				step(t, "file", "f", map[string]cty.Value{"path": str(host.path("a/b/f")), "content": str("it's\n100%\n\ttab\\n\n"), "mode": str("0640")}),
				step(t, "file", "s", map[string]cty.Value{"path": str(host.path("a/secret")), "content": str("pa$$ w0rd").Mark(steps.Sensitive)}),
			}
			exit, rec := applied(t, host, list)
			if exit != 0 {
				t.Fatalf("exit %d\n%s", exit, rec.dump())
			}
			want := []string{"step.directory.d changed", "step.file.f changed", "step.file.s changed"}
			if diff := cmp.Diff(want, rec.verdicts()); diff != "" {
				t.Error(diff)
			}
			if got := host.read("a/b/f"); got != "it's\n100%\n\ttab\\n\n" {
				t.Errorf("content %q", got)
			}
			if got := host.read("a/secret"); got != "pa$$ w0rd" {
				t.Errorf("secret content differs")
			}
			if info, _ := os.Stat(host.path("a/secret")); info.Mode().Perm() != 0o600 {
				t.Errorf("a new secret file has mode %v", info.Mode())
			}
			exit, rec = applied(t, host, list)
			want = []string{"step.directory.d unchanged", "step.file.f unchanged", "step.file.s unchanged"}
			if diff := cmp.Diff(want, rec.verdicts()); exit != 0 || diff != "" {
				t.Errorf("second apply: exit %d %s\n%s", exit, diff, rec.dump())
			}
			host.tidy()
		})
	}
}

// tidy fails the test if a program left anything behind but its journals.
func (l *localHost) tidy() {
	l.t.Helper()
	// The host is told that it need not keep more, and nobody waits for it.
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		out, err := exec.Command("find", l.home, "-name", ".provision.*", "-o", "-path", "*/run/*", "-o", "-name", ".provision-*").CombinedOutput()
		if err == nil && len(out) == 0 {
			return
		}
		if time.Now().After(end) {
			l.t.Errorf("left behind: %s %v", out, err)
			return
		}
	}
}

func TestFailureStopsAndIsExplained(t *testing.T) {
	host := newLocalHost(t)
	list := stepList{
		script(t, "one", "echo fine"),
		script(t, "two", "echo out; echo 'no space left' >&2; exit 7"),
		script(t, "three", "touch never"),
	}
	exit, rec := applied(t, host, list)
	if exit != 1 {
		t.Fatalf("exit %d\n%s", exit, rec.dump())
	}
	e := rec.ends()["step.command.two"]
	if e == nil || e.Status != event.StepFailed || e.Error.Exit != 7 || !strings.Contains(e.Error.Message, "no space left") || !strings.Contains(e.Error.Output, "out\n") {
		t.Errorf("failure: %+v\n%s", e, rec.dump())
	}
	if host.exists("never") {
		t.Error("a step after the failed one ran")
	}
	host.tidy()
}

func TestProceedGoesOn(t *testing.T) {
	host := newLocalHost(t)
	list := stepList{script(t, "two", "exit 7"), script(t, "three", "touch after")}
	list[0].Proceed = true
	_, rec := applied(t, host, list)
	if !host.exists("after") {
		t.Errorf("continue_on_error did not\n%s", rec.dump())
	}
}

func TestNotificationsAreDurable(t *testing.T) {
	host := newLocalHost(t)
	source := func(fails bool) stepList {
		text := "touch middle"
		if fails {
			text = "exit 1"
		}
		list := stepList{
			step(t, "file", "conf", map[string]cty.Value{"path": str(host.path("conf")), "content": str("x\n")}),
			step(t, "command", "middle", map[string]cty.Value{"script": str(text), "creates": str(host.path("middle"))}),
			script(t, "reload", "echo x >> reloaded"),
		}
		list[2].OnChange = map[string][]string{"": {"step.file.conf"}}
		return list
	}
	if exit, rec := applied(t, host, source(true)); exit != 1 || host.exists("reloaded") {
		t.Fatalf("exit %d\n%s", exit, rec.dump())
	}
	// The file is as wanted now, but the command that it should have caused is still owed.
	if exit, rec := applied(t, host, source(false)); exit != 0 || !host.exists("reloaded") {
		t.Fatalf("exit %d\n%s", exit, rec.dump())
	}
	exit, rec := applied(t, host, source(false))
	if exit != 0 || host.read("reloaded") != "x\n" {
		t.Fatalf("exit %d, it ran again\n%s", exit, rec.dump())
	}
}

func TestDroppedLinkIsAPause(t *testing.T) {
	for name, shell := range shells(t) {
		t.Run(name, func(t *testing.T) {
			host := newLocalHost(t, shell...)
			list := stepList{
				script(t, "slow", "echo before; touch started; n=0; while [ ! -e go ] && [ $n -lt 300 ]; do sleep 0.1; n=$((n+1)); done; echo after; echo x >> count"),
				script(t, "next", "echo x >> count"),
			}
			rec := &recorder{}
			run := newRun(host, rec, list)
			rec.notify = func(e event.Event) {
				switch e.Type {
				case event.TypeStepOutput:
					if strings.Contains(e.StepOutput.Text, "before") {
						go host.cut()
					}
				case event.TypeHostRetry:
					_ = os.WriteFile(host.path("go"), nil, 0o644)
				}
			}
			run.Plan(t.Context())
			run.Apply(t.Context())
			if exit := run.Close(); exit != 0 {
				t.Fatalf("exit %d\n%s", exit, rec.dump())
			}
			if got := host.read("count"); got != "x\nx\n" {
				t.Errorf("count %q", got)
			}
			text := rec.text("step.command.slow")
			if text != "before\nafter\n" {
				t.Errorf("output over two connections: %q", text)
			}
			host.tidy()
		})
	}
}

// text joins what a step printed.
func (r *recorder) text(addr string) string {
	var b strings.Builder
	for _, e := range r.events {
		if e.StepOutput != nil && e.StepOutput.Addr == addr {
			b.WriteString(e.StepOutput.Text)
		}
	}
	return b.String()
}

func TestFirstInterruptEndsAfterTheStep(t *testing.T) {
	host := newLocalHost(t)
	list := stepList{
		script(t, "slow", "echo started; sleep 1; touch finished"),
		script(t, "next", "touch next"),
	}
	rec := &recorder{}
	run := newRun(host, rec, list)
	stop := make(chan struct{})
	run.Stop = stop
	interrupt := sync.OnceFunc(func() { close(stop) })
	rec.notify = func(e event.Event) {
		if e.Type == event.TypeStepOutput {
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

// A host that shuts down ends its programs: nobody here has interrupted anything, and the run has failed.
func TestAProgramThatIsEndedFromOutsideHasFailed(t *testing.T) {
	host := newLocalHost(t)
	exit, rec := applied(t, host, stepList{
		script(t, "slow", `read -r pid rest <"$(echo "$HOME"/.provision/run/run-*/pid)"; kill -TERM "$pid"; `+lasting(4569)),
		script(t, "next", "touch next"),
	})
	said := rec.dump()
	if exit != 1 || !strings.Contains(said, "not by this run") || host.exists("next") {
		t.Errorf("exit %d, next %v\n%s", exit, host.exists("next"), said)
	}
	ended(t, lasting(4569))
	host.tidy()
}

func TestSecondInterruptKills(t *testing.T) {
	for name, shell := range shells(t) {
		t.Run(name, func(t *testing.T) {
			host := newLocalHost(t, shell...)
			list := stepList{script(t, "slow", "echo started; sh -c '"+lasting(4567)+" & wait'; touch finished")}
			rec := &recorder{}
			run := newRun(host, rec, list)
			ctx, cancel := context.WithCancel(t.Context())
			rec.notify = func(e event.Event) {
				if e.Type == event.TypeStepOutput {
					cancel()
				}
			}
			run.Plan(ctx)
			run.Apply(ctx)
			if exit := run.Close(); exit != 130 {
				t.Errorf("exit %d\n%s", exit, rec.dump())
			}
			ended(t, lasting(4567))
			if host.exists("finished") {
				t.Error("the step went on")
			}
			host.tidy()
		})
	}
}

func TestTimeout(t *testing.T) {
	host := newLocalHost(t)
	list := stepList{script(t, "slow", lasting(4568))}
	list[0].Timeout = 1
	exit, rec := applied(t, host, list)
	e := rec.ends()["step.command.slow"]
	if exit != 1 || e == nil || !strings.Contains(e.Error.Message, "timeout of 1 s") {
		t.Errorf("exit %d %+v\n%s", exit, e, rec.dump())
	}
	ended(t, lasting(4568))
}

// lasting is a command that only this process of the tests starts: it is looked for among all that runs on the machine.
func lasting(seconds int) string { return fmt.Sprintf("sleep %d.%d", seconds, os.Getpid()) }

// ended fails the test if a process of this command line runs. pgrep is not on every machine.
func ended(t *testing.T, words string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		line, err := os.ReadFile(f)
		if err == nil && strings.Contains(strings.ReplaceAll(string(line), "\x00", " "), words) {
			t.Errorf("still running: %s: %q", f, line)
		}
	}
}

func TestRetries(t *testing.T) {
	host := newLocalHost(t)
	list := stepList{script(t, "flaky", "echo x >> tries; [ $(wc -l < tries) -ge 2 ]")}
	list[0].Retries = 2
	if exit, rec := applied(t, host, list); exit != 0 || host.read("tries") != "x\nx\n" {
		t.Errorf("exit %d\n%s", exit, rec.dump())
	}
}

// That it was tried again is no reason of a failure.
func TestRetriesThatSayNothing(t *testing.T) {
	list := stepList{script(t, "flaky", "exit 3")}
	list[0].Retries = 1
	_, rec := applied(t, newLocalHost(t), list)
	for _, e := range rec.events {
		if e.StepEnd != nil && e.StepEnd.Error != nil && e.StepEnd.Error.Message != "failed with status 3" {
			t.Errorf("%q", e.StepEnd.Error.Message)
		}
	}
}

func TestStaleStateIsPlannedAnew(t *testing.T) {
	host := newLocalHost(t)
	list := stepList{step(t, "file", "f", map[string]cty.Value{"path": str(host.path("f")), "content": str("new\n")})}
	rec := &recorder{}
	run := newRun(host, rec, list)
	run.Plan(t.Context())
	if err := os.WriteFile(host.path("f"), []byte("somebody else was here\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	run.Apply(t.Context())
	exit := run.Close()
	want := []string{"step.file.f stale", "step.file.f changed"}
	if diff := cmp.Diff(want, rec.verdicts()); exit != 0 || diff != "" || host.read("f") != "new\n" {
		t.Errorf("exit %d %s\n%s", exit, diff, rec.dump())
	}
}

func TestSecondRunFindsTheLock(t *testing.T) {
	host := newLocalHost(t)
	first, second := &recorder{}, &recorder{}
	run := newRun(host, first, stepList{script(t, "slow", "echo started; n=0; while [ ! -e go ] && [ $n -lt 300 ]; do sleep 0.1; n=$((n+1)); done")})
	run.Owner = "ann@laptop since 10:31"
	var exit int
	once := true
	first.notify = func(e event.Event) {
		if e.Type == event.TypeStepOutput && once {
			once = false
			other := newRun(host, second, stepList{script(t, "other", "touch other")})
			other.Plan(t.Context())
			other.Apply(t.Context())
			exit = other.Close()
			_ = os.WriteFile(host.path("go"), nil, 0o644)
		}
	}
	run.Plan(t.Context())
	run.Apply(t.Context())
	if run.Close() != 0 || exit != 4 || host.exists("other") || !strings.Contains(second.dump(), "ann@laptop since 10:31") {
		t.Errorf("exit %d\n%s\n%s", exit, first.dump(), second.dump())
	}
}

func TestCommandCutOffIsNotRepeatedBlindly(t *testing.T) {
	host := newLocalHost(t)
	list := stepList{script(t, "pay", "echo x >> paid; echo started; kill -9 $(cut -d' ' -f1 ~/.provision/run/*/pid); sleep 1")}
	rec := &recorder{}
	run := newRun(host, rec, list)
	run.Plan(t.Context())
	run.Apply(t.Context())
	if exit := run.Close(); exit == 0 {
		t.Fatalf("exit %d\n%s", exit, rec.dump())
	}
	for _, command := range []string{event.CommandPlan, event.CommandApply} {
		rec = &recorder{}
		run = newRun(host, rec, list)
		run.Command = command
		failed := run.Plan(t.Context()).Failed
		told := ""
		for _, e := range rec.events {
			if e.PlanStep != nil && e.PlanStep.Error != nil {
				told += e.PlanStep.Addr + ": " + e.PlanStep.Error.Message + ": " + e.PlanStep.Error.Hint
			}
		}
		if exit := run.Close(); exit != 1 || !failed || !strings.Contains(told, "step.command.pay: an earlier run began it") ||
			!strings.Contains(told, "--rerun step.command.pay") || host.read("paid") != "x\n" {
			t.Errorf("%s: exit %d, paid %q\n%s", command, exit, host.read("paid"), rec.dump())
		}
	}
	rec = &recorder{}
	run = newRun(host, rec, list)
	run.Command, run.Rerun = event.CommandPlan, map[string]bool{"step.command.pay": true}
	if s := run.Plan(t.Context()); s.Failed || !s.Changes || run.Close() != 0 {
		t.Errorf("with --rerun: %+v\n%s", s, rec.dump())
	}
}

func TestOneExchangeWhateverTheNumberOfSteps(t *testing.T) {
	host := newLocalHost(t)
	for _, n := range []int{1, 30, 300} {
		var list stepList
		for i := range n {
			in := step(t, "directory", "d", map[string]cty.Value{"path": str(host.path("."))})
			in.Addr += string(rune('a'+i%26)) + strings.Repeat("x", i/26)
			list = append(list, in)
		}
		rec := &recorder{}
		run := newRun(host, rec, list)
		run.Command = event.CommandPlan
		run.Plan(t.Context())
		if exit := run.Close(); exit != 0 {
			t.Fatalf("exit %d\n%s", exit, rec.dump())
		}
		for _, e := range rec.events {
			if e.HostPlanned != nil && (e.HostPlanned.Exchanges != 1 || e.HostPlanned.Counts["no-op"] != n) {
				t.Errorf("%d steps: %+v", n, e.HostPlanned)
			}
		}
	}
}

// A command that says what it creates has to create it.
func TestCommandThatDoesNotCreateDidNotConverge(t *testing.T) {
	host := newLocalHost(t)
	list := stepList{
		step(t, "command", "forgets", map[string]cty.Value{"script": str("true"), "creates": str(host.path("nothing"))}),
	}
	exit, rec := applied(t, host, list)
	if e := rec.ends()["step.command.forgets"]; exit != 1 || e == nil || e.Status != event.StepNotConverged {
		t.Errorf("exit %d\n%s", exit, rec.dump())
	}
}

// Two playbooks may have steps of the same addresses. What a run of one owes is paid by that one, and by no other unless the user says that
// it is the same.
func TestWhatIsOwedBelongsToThePlaybook(t *testing.T) {
	host := newLocalHost(t)
	at := func(in steps.Instance, watch map[string][]string) steps.Instance {
		in.OnChange = watch
		return in
	}
	of := func(name string) stepList {
		return stepList{
			step(t, "file", "conf", map[string]cty.Value{"path": str(host.path(name + ".conf")), "content": str(name)}),
			script(t, "pay", "echo "+name+" >> paid; [ -e spared ] || kill -9 $(cut -d' ' -f1 ~/.provision/run/*/pid); sleep 1"),
			at(script(t, "reload", "echo "+name+" >> reloaded"), map[string][]string{"": {"step.file.conf"}}),
		}
	}
	apply := func(title string, list stepList, rerun ...string) (int, string) {
		rec := &recorder{}
		run := newRun(host, rec, list)
		run.Title, run.Rerun = title, map[string]bool{}
		for _, addr := range rerun {
			run.Rerun[addr] = true
		}
		if !run.Plan(t.Context()).Failed {
			run.Apply(t.Context())
		}
		return run.Close(), rec.dump()
	}
	if exit, told := apply("shop/server.hcl", of("shop")); exit == 0 {
		t.Fatal(told)
	}
	if err := os.WriteFile(host.path("spared"), nil, 0o644); err != nil {
		t.Fatal(err)
	}

	exit, told := apply("blog/server.hcl", of("blog"))
	if exit != 1 || !strings.Contains(told, "an earlier run of shop/server.hcl began a step of this address and was cut off") || host.exists("reloaded") {
		t.Errorf("exit %d\n%s", exit, told)
	}
	exit, told = apply("blog/server.hcl", of("blog")[2:])
	if exit != 0 || !strings.Contains(told, "an earlier run of shop/server.hcl changed what its own step of this address watches") || host.exists("reloaded") {
		t.Errorf("exit %d\n%s", exit, told)
	}

	// The same playbook, from another place.
	moved := of("shop")
	exit, told = apply("elsewhere/server.hcl", moved, "step.command.pay", "step.command.reload")
	if exit != 0 || host.read("reloaded") != "shop\n" || host.read("paid") != "shop\nshop\n" {
		t.Errorf("exit %d, reloaded %q, paid %q\n%s", exit, host.read("reloaded"), host.read("paid"), told)
	}
	for _, title := range []string{"shop/server.hcl", "elsewhere/server.hcl"} {
		if exit, told = apply(title, of("shop")); exit != 0 || strings.Contains(told, "earlier run") || host.read("reloaded") != "shop\n" {
			t.Errorf("%s: exit %d, reloaded %q\n%s", title, exit, host.read("reloaded"), told)
		}
	}
	for _, dir := range []string{"pending", "begun"} {
		if left, err := filepath.Glob(host.path(".provision/" + dir + "/*")); err != nil || len(left) > 0 {
			t.Errorf("left: %v %v", left, err)
		}
	}
}

func TestWhatIsOwedIsPaidFromAnotherMachine(t *testing.T) {
	host := newLocalHost(t)
	list := stepList{
		step(t, "file", "conf", map[string]cty.Value{"path": str(host.path("conf")), "content": str("x")}),
		script(t, "fails", "[ -e spared ]"),
		script(t, "reload", "echo x >> reloaded"),
	}
	list[2].OnChange = map[string][]string{"": {"step.file.conf"}}
	for _, want := range []string{"", "x\n", "x\n"} {
		run := newRun(host, &recorder{}, list)
		run.Title = "shop/server.hcl"
		run.Plan(t.Context())
		run.Apply(t.Context())
		run.Close()
		if got, _ := os.ReadFile(host.path("reloaded")); string(got) != want {
			t.Errorf("reloaded %q, want %q", got, want)
		}
		_ = os.WriteFile(host.path("spared"), nil, 0o644)
	}
}
