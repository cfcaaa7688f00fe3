//go:build acceptance

package acceptance

import (
	"strings"
	"testing"

	"provision/internal/testhost"
)

// A supervised is a playbook with one program, and supervisord as Debian runs it.
type supervised struct{ *book }

func newSupervised(t *testing.T) *supervised {
	t.Helper()
	h := testhost.Debian(t, testhost.Images())
	h.Run(t, "rm -rf /etc/supervisor/conf.d/* /etc/supervisor/conf.d/.web*; systemctl restart supervisor")
	return &supervised{newBook(t, h, "")}
}

func (s *supervised) program(args string) {
	s.t.Helper()
	s.steps("step \"supervisor_program\" \"web\" {\n  name = \"web\"\n" + args + "\n}\n")
}

// refused plans, if the plan is to fail with a text, and applies otherwise.
func (s *supervised) refused(args, plan, words string) {
	s.t.Helper()
	s.program(args)
	o, text := outcome{}, plan
	if plan != "" {
		o = s.plan()
	} else {
		o, text = s.apply(), words
	}
	if o.exit != 1 || !strings.Contains(o.stdout+o.stderr, text) {
		s.t.Errorf("exit %d, want 1 and %q\n%s", o.exit, text, o.dump())
	}
}

const goodProgram = "command = \"/bin/sleep 1000000\"\n"

// TestSupervisorStartsAgain gives supervisord files that it cannot read and programs that it cannot start: the step fails with its words,
// the file that was there before is back, the program that ran runs, and supervisord starts again.
func TestSupervisorStartsAgain(t *testing.T) {
	s := newSupervised(t)
	h := s.host
	const ini = "/etc/supervisor/conf.d/web.conf"
	runs := func() {
		t.Helper()
		h.Run(t, "for i in $(seq 50); do supervisorctl status web | grep -q RUNNING && exit; sleep 0.2; done; supervisorctl status web >&2; exit 1")
	}
	restart := func() {
		t.Helper()
		h.Run(t, "systemctl restart supervisor; for i in $(seq 50); do supervisorctl pid >/dev/null 2>&1 && exit; sleep 0.2; done; journalctl -u supervisor -n 20 >&2; exit 1")
	}
	bad := []struct{ args, plan, words string }{
		{"command = \"/bin/sleep 1000\"\nstdout_logfile = \"/var/log/100%\"", "cannot expand", ""},
		{"command = \"/bin/sleep 1000\"\noptions = { stopsignal = \"%(signal)s\" }", "cannot expand", ""},
		{"command = \"/bin/sleep 1000\"\noptions = { stopsignall = \"TERM\" }", "knows no option", ""},
		{"command = \"/bin/sleep 1000\"\nstdout_logfile = \"/nowhere/web.log\"", "/nowhere", ""},
		{"command = \"/bin/sleep 1000\"\nuser = \"ghost\"", "ghost", ""},
		{"command = \"/bin/sleep 1000\"\nstdout_logfile = \"/nowhere/%(program_name)s.log\"", "", "CANT_REREAD: The directory named as part of the path /nowhere/web.log does not exist"},
		{"command = \"/bin/sleep 1000\"\nstdout_logfile = \"/var/log/%(ENV_NOBODY_SET_IT)s\"", "", "contains names ('ENV_NOBODY_SET_IT') which cannot be expanded"},
		{"command = \"/bin/sleep 1000\"\noptions = { stopsignal = \"FOO\" }", "", "CANT_REREAD: value 'FOO' is not a valid signal name"},
		{"command = \"/bin/sleep 1000\"\noptions = { numprocs = \"2\" }", "", "must be present within process_name"},
		{"command = \"/nowhere/program --x\"", "", "can't find command '/nowhere/program'"},
		{"command = \"/etc/passwd\"", "", "command at '/etc/passwd' is not executable"},
		{"command = \"/bin/sh -c 'true\"", "", "can't parse command"},
		{"command = \"/bin/sleep 1000\"\ndirectory = \"/nowhere\"", "", "couldn't chdir to /nowhere"},
	}
	for _, c := range bad[5:6] { // nothing was there before
		s.refused(c.args, c.plan, c.words)
		h.Run(t, "[ -z \"$(ls -A /etc/supervisor/conf.d)\" ] || { ls -A /etc/supervisor/conf.d >&2; exit 1; }")
		restart()
	}

	s.program(goodProgram)
	s.applied()
	s.converged()
	before := h.Run(t, "cat "+ini)
	for _, c := range bad {
		pid := h.Run(t, "supervisorctl pid web")
		s.refused(c.args, c.plan, c.words)
		if after := h.Run(t, "cat "+ini+"; ls -A /etc/supervisor/conf.d"); after != before+"web.conf\n" {
			t.Errorf("%s: the directory has\n%s", c.args, after)
		}
		runs()
		if now := h.Run(t, "supervisorctl pid web"); now != pid && (c.plan != "" || strings.Contains(c.words, "CANT_REREAD")) {
			t.Errorf("%s: the program was restarted", c.args)
		}
	}

	restart()
	runs()
	s.program(goodProgram)
	s.converged()
}

// TestSupervisorAmongOtherFiles meets a second section for the program, a file of somebody else that cannot be read, and what a run
// left that was cut.
func TestSupervisorAmongOtherFiles(t *testing.T) {
	s := newSupervised(t)
	h := s.host
	s.program(goodProgram)
	s.applied()

	// The section stands in another file too.
	h.Run(t, "printf '[program:web]\\ncommand = /bin/sleep 5\\n' >/etc/supervisor/conf.d/a.conf")
	s.refused(goodProgram, "/etc/supervisor/conf.d/a.conf", "")
	h.Run(t, "rm /etc/supervisor/conf.d/a.conf")

	// Another file cannot be read: that is told, and the program's own file is none the worse.
	h.Run(t, "printf '[program:x]\\ncommand = /bin/sleep 5\\npriority = high\\n' >/etc/supervisor/conf.d/a.conf")
	s.refused("command = \"/bin/sleep 1000001\"", "", "without the new file either")
	h.Run(t, "rm /etc/supervisor/conf.d/a.conf")
	s.program("command = \"/bin/sleep 1000001\"")
	s.applied()
	s.converged()

	// A run was cut after the file had been put in place: the one to come back to is the one before.
	h.Run(t, "cd /etc/supervisor/conf.d; cp web.conf .web.conf.provision.old; printf '[program:web]\\npriority = high\\n' >web.conf; cp web.conf .web.conf.provision")
	s.refused("command = \"/bin/sleep 7\"\noptions = { priority = \"high\" }", "", "CANT_REREAD")
	s.program("command = \"/bin/sleep 1000001\"")
	s.converged()
}
