package engine

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/event"
	"provision/internal/steps"
)

// directory makes a directory that belongs to the user of the host.
func (l *localHost) directory(name string) string {
	l.t.Helper()
	if err := os.Mkdir(l.path(name), 0o755); err != nil && !os.IsExist(err) {
		l.t.Fatal(err)
	}
	if os.Getuid() == 0 {
		if err := os.Chown(l.path(name), testUID, testUID); err != nil {
			l.t.Fatal(err)
		}
	}
	return l.path(name)
}

// small mounts a file system of a few pages at a directory of the host, as a test process that may do so; the mount ends with the test.
func small(t *testing.T, host *localHost, name, options string) string {
	t.Helper()
	dir := host.directory(name)
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", options+fmt.Sprintf(",mode=0777,uid=%d,gid=%d", testUID, testUID), "tmpfs", dir).CombinedOutput(); err != nil {
		lack(t, fmt.Sprintf("no small file system can be mounted: %v %s", err, strings.TrimSpace(string(out))))
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", dir).Run() })
	return dir
}

func hostFailure(rec *recorder) string {
	for _, e := range rec.events {
		if e.HostEnd != nil {
			return e.HostEnd.Message
		}
	}
	return ""
}

func TestNoRoomForTheState(t *testing.T) {
	for name, shell := range shells(t) {
		for _, c := range []struct{ name, options, fill, want string }{
			{"full", "size=64k", "head -c 65536 /dev/zero > %s/filler || true", "No space left on device"},
			{"no inodes", "size=64k,nr_inodes=3", "true > %s/filler || true", "No space left on device"},
			{"read-only", "size=64k,ro", "true", "Read-only file system"},
		} {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				host := newLocalHost(t, shell...)
				dir := small(t, host, ".provision", c.options)
				// The directory of programs is on another file system: only the journal has no room.
				run := host.directory("run")
				if c.name == "read-only" {
					_ = exec.Command("mount", "-o", "remount,rw", dir).Run()
				}
				if err := os.Symlink(run, dir+"/run"); err != nil && c.name != "no inodes" {
					t.Fatal(err)
				}
				if strings.Contains(c.fill, "%s") {
					_ = exec.Command("sh", "-c", fmt.Sprintf(c.fill, dir)).Run()
				}
				if c.name == "read-only" {
					_ = exec.Command("mount", "-o", "remount,ro", dir).Run()
				}
				list := stepList{script(t, "one", "touch \"$HOME/done\"")}
				exit, rec := applied(t, host, list)
				if why := hostFailure(rec); exit != 1 || !strings.Contains(why, c.want) || !strings.Contains(why, ".provision") || host.exists("done") {
					t.Errorf("exit %d %q\n%s", exit, why, rec.dump())
				}
			})
		}
	}
}

// Room that ends at any byte of what the program remembers: no step runs whose beginning and notifications could not be kept, none is
// left out without a word, and what is owed is paid by the next run.
func TestRoomEndsAnywhere(t *testing.T) {
	host := newLocalHost(t)
	dir := small(t, host, ".provision", "size=400k")
	run := host.directory("run")
	if err := os.Symlink(run, dir+"/run"); err != nil {
		t.Fatal(err)
	}
	for k := range 8 {
		for _, f := range []string{"conf", "reloaded"} {
			_ = os.Remove(host.path(f))
		}
		left := 4096 * k
		list := stepList{
			// Another process takes the room while the program runs.
			script(t, "fill", fmt.Sprintf("head -c 500000 /dev/zero > %s/filler 2>/dev/null || true; truncate -s -%d %s/filler", dir, left, dir)),
			step(t, "file", "conf", map[string]cty.Value{"path": str(host.path("conf")), "content": str("x\n")}),
			script(t, "reload", "echo x >> "+host.path("reloaded")),
			script(t, "last", "echo "+strings.Repeat("y", 3000)),
		}
		list[2].OnChange = map[string][]string{"": {"step.file.conf"}}
		exit, rec := applied(t, host, list)
		why := hostFailure(rec)
		if exit != 0 && !strings.Contains(why, "No space left") {
			t.Errorf("room %d: exit %d %q\n%s", left, exit, why, rec.dump())
		}
		for i := range rec.events {
			if end := rec.events[i].StepEnd; end != nil && end.Error != nil && !strings.Contains(end.Error.Message+end.Error.Output, "No space left") {
				t.Errorf("room %d: %s fails and does not say why: %s", left, end.Addr, end.Error.Message)
			}
		}
		if exit == 0 && !host.exists("reloaded") {
			t.Errorf("room %d: status 0, and a step was left out\n%s", left, rec.dump())
		}
		_ = os.Remove(dir + "/filler")
		list[0].Skip = true
		if exit, rec = applied2(t, host, list); exit != 0 || !host.exists("conf") || !host.exists("reloaded") {
			t.Errorf("room %d: the next run: exit %d, reloaded %v\n%s", left, exit, host.exists("reloaded"), rec.dump())
		}
	}
}

// applied2 is applied, with steps that may run again.
func applied2(t *testing.T, host *localHost, source stepList) (int, *recorder) {
	rec := &recorder{}
	run := newRun(host, rec, source)
	run.Rerun = map[string]bool{}
	for _, in := range source {
		run.Rerun[in.Addr] = true
	}
	if s := run.Plan(t.Context()); !s.Failed {
		run.Apply(t.Context())
	}
	return run.Close(), rec
}

// The directory of the program has no room: the step that cannot print, and the program that cannot be written.
func TestNoRoomForThePrograms(t *testing.T) {
	host := newLocalHost(t)
	host.directory(".provision")
	dir := small(t, host, ".provision/run", "size=200k")
	list := stepList{
		script(t, "fill", fmt.Sprintf("head -c 500000 /dev/zero > %s/filler || true", dir)),
		script(t, "next", "echo this is said"),
	}
	exit, rec := applied(t, host, list)
	if why := hostFailure(rec); exit != 1 || !strings.Contains(why+rec.dump(), "No space left") || !strings.Contains(why, "step.command.") {
		t.Errorf("exit %d %q\n%s", exit, why, rec.dump())
	}
	exit, rec = applied(t, host, list)
	// What the first program left may have been just enough to begin: then a step says it.
	if why := hostFailure(rec); exit != 1 || !strings.Contains(why+rec.dump(), "No space left") {
		t.Errorf("exit %d %q\n%s", exit, why, rec.dump())
	}
}

// A step that does not bring about what it is meant to ends the host there: nothing after it runs.
func TestNothingRunsAfterAStepThatDidNotConverge(t *testing.T) {
	for name, shell := range shells(t) {
		t.Run(name, func(t *testing.T) {
			host := newLocalHost(t, shell...)
			list := stepList{
				step(t, "command", "build", map[string]cty.Value{"script": str("true"), "creates": str(host.path("release"))}),
				step(t, "symlink", "current", map[string]cty.Value{"path": str(host.path("current")), "target": str("release")}),
			}
			exit, rec := applied(t, host, list)
			e := rec.ends()["step.command.build"]
			if exit != 1 || e == nil || e.Status != event.StepNotConverged || host.exists("current") {
				t.Errorf("exit %d\n%s", exit, rec.dump())
			}
			if why := hostFailure(rec); !strings.Contains(why, "step.command.build (test.hcl:1)") {
				t.Errorf("the host ends with %q", why)
			}
			list[0].Proceed = true
			if _, rec = applied(t, host, list); !host.exists("current") {
				t.Errorf("continue_on_error did not\n%s", rec.dump())
			}
		})
	}
}

// A step that is woken by an earlier one does what its change for that state says, changed_if and all.
func TestWokenStepKeepsItsWholeChange(t *testing.T) {
	host := newLocalHost(t)
	list := stepList{
		script(t, "start", "touch flag; (sleep 1; touch \"$HOME/up\") & rm -f \"$HOME/made\""),
		step(t, "wait_for", "up", map[string]cty.Value{"path": str(host.path("up")), "timeout": str("10s")}),
		step(t, "command", "made", map[string]cty.Value{"script": str("touch \"$HOME/made\"; echo same"), "creates": str(host.path("made")), "changed_if": str("[ \"$stdout\" != same ]")}),
		script(t, "after", "touch notified"),
	}
	list[3].OnChange = map[string][]string{"": {"step.wait_for.up", "step.command.made"}}
	for _, f := range []string{"made"} {
		if err := os.WriteFile(host.path(f), nil, 0o666); err != nil {
			t.Fatal(err)
		}
		_ = os.Chown(host.path(f), testUID, testUID)
	}
	exit, rec := applied(t, host, list)
	want := "step.command.start changed, step.wait_for.up unchanged, step.command.made unchanged, step.command.after skipped"
	got := strings.Join(rec.verdicts(), ", ")
	if exit != 0 || got != want || host.exists("notified") {
		t.Errorf("exit %d\n%s\n%s", exit, got, rec.dump())
	}
}

// What watches a step that is woken has its turn in the same run, and the next run has nothing to do.
func TestWatcherOfAWokenStep(t *testing.T) {
	host := newLocalHost(t)
	list := stepList{
		step(t, "command", "start", map[string]cty.Value{"script": str("rm -f \"$HOME/made\"; touch \"$HOME/started\""), "creates": str(host.path("started"))}),
		step(t, "command", "made", map[string]cty.Value{"script": str("touch \"$HOME/made\""), "creates": str(host.path("made"))}),
		script(t, "after", "touch \"$HOME/notified\""),
		script(t, "last", "touch \"$HOME/chained\""),
	}
	list[2].OnChange = map[string][]string{"": {"step.command.made"}}
	list[3].OnChange = map[string][]string{"": {"step.command.after"}}
	if err := os.WriteFile(host.path("made"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	exit, rec := applied(t, host, list)
	want := "step.command.start changed, step.command.made changed, step.command.after changed, step.command.last changed"
	if got := strings.Join(rec.verdicts(), ", "); exit != 0 || got != want || !host.exists("notified") || !host.exists("chained") {
		t.Errorf("exit %d\n%s\n%s", exit, got, rec.dump())
	}
	if exit, rec := applied(t, host, list); exit != 0 || strings.Contains(strings.Join(rec.verdicts(), ", "), " changed") {
		t.Errorf("again: exit %d\n%s", exit, rec.dump())
	}
}

// What a step is owed because of one change is not taken back by another that changed nothing.
func TestANotificationOfAnotherStepStays(t *testing.T) {
	host := newLocalHost(t)
	list := stepList{
		step(t, "file", "conf", map[string]cty.Value{"path": str(host.path("conf")), "content": str("x\n")}),
		step(t, "command", "same", map[string]cty.Value{"script": str("true"), "changed_if": str("false")}),
		script(t, "reload", "touch reloaded"),
	}
	list[2].OnChange = map[string][]string{"": {"step.file.conf", "step.command.same"}}
	if exit, rec := applied(t, host, list); exit != 0 || !host.exists("reloaded") {
		t.Errorf("exit %d\n%s", exit, rec.dump())
	}
}

// What the program cannot write between two steps is no reason to say that nothing was changed.
func TestAFaultAfterTheLastStep(t *testing.T) {
	fault := &faultError{why: "/var/lib/provision: No space left on device"}
	w := &watcher{host: &hostRun{run: &Run{}, known: known{planned: make([]Planned, 1)}}}
	w.host.planned[0].Instance = steps.Instance{Addr: "step.command.x", Source: steps.Source{File: "a.hcl", Line: 3}}
	if err := w.fault(fault); !strings.HasPrefix(err.Error(), "nothing was changed: /var/lib") {
		t.Error(err)
	}
	w.begun, w.current = 1, 1
	if err := w.fault(fault); !strings.HasPrefix(err.Error(), "stopped after step.command.x (a.hcl:3): /var/lib") || !errors.As(err, new(*faultError)) {
		t.Error(err)
	}
}
