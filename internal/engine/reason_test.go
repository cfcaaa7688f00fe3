package engine

import (
	"strings"
	"testing"

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
