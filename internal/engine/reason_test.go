package engine

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/zclconf/go-cty/cty"

	"provision/internal/steps"
)

// The line that tells why is often not the last one.
func TestReasonIsTheLineThatTellsWhy(t *testing.T) {
	for name, c := range map[string]struct{ said, want string }{
		"nothing":      {"\n\n", ""},
		"last":         {"one\ntwo\n", "two"},
		"continuation": {"mount: /mnt: special device /dev/x does not exist.\n       dmesg(1) may have more information after failed mount system call.\n", "mount: /mnt: special device /dev/x does not exist."},
		"advice":       {"fatal: '/srv/x' does not appear to be a git repository\nfatal: Could not read from remote repository.\n\nPlease make sure you have the correct access rights\nand the repository exists.\n", "fatal: Could not read from remote repository."},
		"apt":          {"Reading package lists...\nE: Unable to locate package nosuch\n", "E: Unable to locate package nosuch"},
		"program":      {"error: no such thing\nsee the manual", "error: no such thing"},
		"named":        {"curl: error: no such thing\nsee the manual", "curl: error: no such thing"},
		"long ago":     {"error: one\n" + strings.Repeat("line\n", 9) + "last", "last"},
		"of a word":    {"errors are fine\nlast", "last"},
		"indented":     {"   only\n", "only"},
	} {
		if got := reason(c.said); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// A step that runs as a user who is still missing when its turn comes names that user.
func TestUserToRunAsIsNamed(t *testing.T) {
	for name, shell := range shells(t) {
		t.Run(name, func(t *testing.T) {
			host := newLocalHost(t, shell...)
			second := script(t, "second", "true")
			second.RunAs = "nosuchuser"
			_, rec := applied(t, host, stepList{script(t, "first", "true"), second})
			for _, e := range rec.events {
				if e.StepEnd == nil || !strings.Contains(e.StepEnd.Addr, "second") {
					continue
				}
				if e.StepEnd.Error == nil || e.StepEnd.Error.Message != "there is no user nosuchuser to run as" {
					t.Errorf("%+v", e.StepEnd.Error)
				}
				return
			}
			t.Errorf("the step did not end:\n%s", rec.dump())
		})
	}
}

// A probe that fails is not told as a failure of the command of its step: whether that ran, and what the probe said, is.
func TestAProbeThatFailsIsNoFailureOfTheCommand(t *testing.T) {
	for name, shell := range shells(t) {
		t.Run(name, func(t *testing.T) {
			host := newLocalHost(t, shell...)
			host.directory("d")
			host.directory("e")
			t.Cleanup(func() { _, _ = os.Chmod(host.path("d"), 0o755), os.Chmod(host.path("e"), 0o755) })
			ran := step(t, "command", "ran", map[string]cty.Value{"script": str("echo 'error: that is nothing' >&2; chmod 0 d e; exit 0"), "creates": str(host.path("d/x"))})
			ran.Proceed = true
			blind := step(t, "file", "blind", map[string]cty.Value{"path": str(host.path("e/f")), "content": str("new")})
			exit, rec := applied(t, host, stepList{ran, blind})
			told := map[string]string{}
			for _, e := range rec.events {
				if e.StepEnd != nil && e.StepEnd.Error != nil {
					told[e.StepEnd.Addr] = e.StepEnd.Error.Message
					if f := e.StepEnd.Error; f.Command != "" || f.Exit != 0 {
						t.Errorf("%s is told as a failure of %q with status %d", e.StepEnd.Addr, f.Command, f.Exit)
					}
				}
			}
			want := map[string]string{
				"step.command.ran": "it ran; its state could not be read afterwards: " + host.path("d") + ": permission denied",
				"step.file.blind":  "nothing was done: its state could not be told: " + host.path("e") + ": permission denied",
			}
			if diff := cmp.Diff(want, told); exit != 1 || diff != "" {
				t.Errorf("exit %d %s\n%s", exit, diff, rec.dump())
			}
		})
	}
}

// The plan shows the line of git that tells why a repository cannot be asked, which is not among the last ones.
func TestBlindProbeTellsWhy(t *testing.T) {
	p := Planned{Instance: script(t, "x", "true"), observed: true, obs: steps.Observation{
		Exit:   1,
		Stderr: "git@h: Permission denied (publickey).\nfatal: Could not read from remote repository.\n\nPlease make sure you have the correct access rights\nand the repository exists.\n",
	}}
	(&hostPlanner{}).blind(&p)
	if p.Err == nil || !strings.Contains(p.Err.Error(), "could not tell its state: git@h: Permission denied (publickey).\n") {
		t.Errorf("%v", p.Err)
	}
}

// After a failure nobody is told that a command is skipped which runs every time, and who is root hears why even root is refused.
func TestHintOfAFailureIsTrue(t *testing.T) {
	host := newLocalHost(t, "sh")
	hint := func(list ...steps.Instance) string {
		_, rec := applied(t, host, stepList(list))
		for _, e := range rec.events {
			if e.StepEnd != nil && e.StepEnd.Error != nil {
				return e.StepEnd.Error.Hint
			}
		}
		t.Fatalf("no step failed:\n%s", rec.dump())
		return ""
	}
	const skipped = "finished steps are skipped"
	once := step(t, "command", "once", map[string]cty.Value{"script": str("touch " + host.path("made")), "creates": str(host.path("made"))})
	if got := hint(once, script(t, "bad", "false")); !strings.Contains(got, skipped) && !strings.Contains(got, "run again") {
		t.Errorf("%q", got)
	}
	if got := hint(script(t, "bad", "false")); !strings.Contains(got, skipped) {
		t.Errorf("nothing ran before: %q", got)
	}
	if got := hint(script(t, "first", "true"), script(t, "bad", "false")); strings.Contains(got, skipped) || !strings.Contains(got, "run again") {
		t.Errorf("a command ran before: %q", got)
	}
	const refused = "mv: cannot move 'a' to 'b': Operation not permitted\n"
	for _, root := range []bool{true, false} {
		h := &hostRun{known: known{facts: &steps.Facts{IsRoot: root}}}
		if got := h.hint(&Planned{}, refused); strings.Contains(got, "lsattr") != root {
			t.Errorf("root %v: %q", root, got)
		}
	}
}

// Of several operations nobody knows which failed, so the failure shows all.
func TestFailureShowsEveryOperation(t *testing.T) {
	for _, c := range []struct {
		ops  []steps.Op
		want string
	}{
		{[]steps.Op{steps.Run{Script: "one\n"}, steps.Run{Script: "two"}}, "one\ntwo"},
		{[]steps.Op{steps.Run{Script: "one", Shown: "all"}, steps.Put{Path: "/x"}, steps.Run{Script: "two", Shown: "all"}}, "all\nwrite /x"},
		{[]steps.Op{steps.Put{Path: "/x"}}, ""},
	} {
		if got := command(&Planned{Change: steps.Change{Ops: c.ops}}); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// A step that is known after an earlier one does not advise to add that step.
func TestUnknownStepGivesNoAdvice(t *testing.T) {
	earlierStep := &Planned{Instance: script(t, "install", "true"), Change: steps.Change{Action: steps.Execute}}
	h := &hostPlanner{}
	h.append(earlierStep)
	p := Planned{Instance: script(t, "x", "true"), observed: true, obs: steps.Observation{Exit: 1, Stderr: "hello is not installed, so it cannot be held; install it with a step \"package\" before this one\n"}}
	if h.blind(&p); p.Err != nil || p.Change.Reason != "hello is not installed, so it cannot be held" {
		t.Errorf("%q, %v", p.Change.Reason, p.Err)
	}
	h = &hostPlanner{}
	if h.blind(&p); p.Err == nil || !strings.Contains(p.Err.Error(), "before this one") {
		t.Errorf("nothing is before it: %v", p.Err)
	}
}
