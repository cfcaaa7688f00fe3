//go:build acceptance

package acceptance

import (
	"strings"
	"testing"

	"provision/internal/testhost"
)

// TestSupervisorStartsAgain gives supervisord files that it cannot read and programs that it cannot start: the step fails with its words,
// the file that was there before is back, the program that ran runs, and supervisord starts again.
func TestSupervisorStartsAgain(t *testing.T) {
	h := testhost.Debian(t, testhost.Images())
	h.Run(t, "systemctl start supervisor; useradd -m runner 2>/dev/null || :")
	t.Cleanup(func() {
		h.Run(t, "rm -f /etc/supervisor/conf.d/*; systemctl stop supervisor")
	})
	const ini = "/etc/supervisor/conf.d/web.conf"
	const good = "command = \"/bin/sleep 1000000\"\n"
	b := newBook(t, h, "")
	program := func(args string) {
		b.steps("step \"supervisor_program\" \"web\" {\n  name = \"web\"\n" + args + "\n}\n")
	}
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
	refused := func(args, plan, words string) {
		t.Helper()
		program(args)
		if plan != "" {
			if o := b.plan(); o.exit != 1 || !strings.Contains(o.stdout+o.stderr, plan) {
				t.Errorf("plan: exit %d, want 1 and %q\n%s", o.exit, plan, o.dump())
			}
			return
		}
		if o := b.apply(); o.exit != 1 || !strings.Contains(o.stdout+o.stderr, words) {
			t.Errorf("apply: exit %d, want 1 and %q\n%s", o.exit, words, o.dump())
		}
	}

	for _, c := range bad[5:6] { // nothing was there before
		refused(c.args, c.plan, c.words)
		h.Run(t, "[ -z \"$(ls -A /etc/supervisor/conf.d)\" ] || { ls -A /etc/supervisor/conf.d >&2; exit 1; }")
		restart()
	}

	program(good)
	b.applied()
	b.converged()
	before := h.Run(t, "cat "+ini)
	for _, c := range bad {
		pid := h.Run(t, "supervisorctl pid web")
		refused(c.args, c.plan, c.words)
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
	program(good)
	b.converged()

	// The section stands in another file too.
	h.Run(t, "printf '[program:web]\\ncommand = /bin/sleep 5\\n' >/etc/supervisor/conf.d/a.conf")
	refused(good, "/etc/supervisor/conf.d/a.conf", "")
	h.Run(t, "rm /etc/supervisor/conf.d/a.conf")

	// Another file cannot be read: that is told, and the program's own file is none the worse.
	h.Run(t, "printf '[program:x]\\ncommand = /bin/sleep 5\\npriority = high\\n' >/etc/supervisor/conf.d/a.conf")
	refused("command = \"/bin/sleep 1000001\"", "", "without the new file either")
	h.Run(t, "rm /etc/supervisor/conf.d/a.conf")
	program("command = \"/bin/sleep 1000001\"")
	b.applied()
	b.converged()

	// A run was cut after the file had been put in place: the one to come back to is the one before.
	h.Run(t, "cd /etc/supervisor/conf.d; cp web.conf .web.conf.provision.old; printf '[program:web]\\npriority = high\\n' >web.conf; cp web.conf .web.conf.provision")
	refused("command = \"/bin/sleep 7\"\noptions = { priority = \"high\" }", "", "CANT_REREAD")
	program("command = \"/bin/sleep 1000001\"")
	b.converged()
}
