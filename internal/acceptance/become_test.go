//go:build acceptance

package acceptance

import (
	"bytes"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"provision/internal/testhost"
)

const asRoot = `step "file" "mine" {
  path    = "/root/became"
  content = "root\n"
}
`

// refusals counts what sudo has logged of passwords that were wrong.
func refusals(t *testing.T, h *testhost.Host) string {
	t.Helper()
	return strings.TrimSpace(h.Run(t, "journalctl --no-pager -o cat _COMM=sudo | grep -c 'authentication failure; logname' || true"))
}

// countFailures has faillock(8) count failed attempts, and lock an account after three of them.
const countFailures = `cat >/etc/pam.d/common-auth <<'END'
auth required pam_faillock.so preauth
auth [success=2 default=ignore] pam_unix.so nullok
auth [default=die] pam_faillock.so authfail
auth requisite pam_deny.so
auth required pam_permit.so
END
echo 'account required pam_faillock.so' >>/etc/pam.d/common-account`

// failures is how many failed attempts of the login user faillock has counted since the last success.
func failures(t *testing.T, h *testhost.Host) string {
	t.Helper()
	return strings.TrimSpace(h.Run(t, "faillock --user admin | grep -c SVC || true"))
}

// What keeps sudo from asking is told in its own words, or those of the account, and the host has failed: it was reached.
func TestWhatRefusesToBecome(t *testing.T) {
	t.Parallel()
	h := testhost.Fresh(t, testhost.AsAdmin())
	for name, c := range map[string]struct{ breaks, mends, wants string }{
		"no sudoers":       {"mv /etc/sudoers /etc/sudoers.away", "mv /etc/sudoers.away /etc/sudoers", "unable to open /etc/sudoers"},
		"broken sudoers":   {"echo nonsense >/etc/sudoers.d/odd", "rm /etc/sudoers.d/odd", ""},
		"no shell":         {"usermod -s /usr/sbin/nologin admin", "usermod -s /bin/bash admin", "This account is currently not available."},
		"no sudo":          {"chmod 0 /usr/bin/sudo; mv /usr/bin/sudo /usr/bin/sudo.away", "mv /usr/bin/sudo.away /usr/bin/sudo; chmod 4755 /usr/bin/sudo", "there is no sudo on the host"},
		"only another one": {"echo 'admin ALL=(root) NOPASSWD: /usr/bin/id' >/etc/sudoers.d/login", "echo 'admin ALL=(ALL:ALL) NOPASSWD: ALL' >/etc/sudoers.d/login", "--ask-become-pass"},
	} {
		t.Run(name, func(t *testing.T) {
			h.Run(t, c.breaks)
			o := newBook(t, h, asRoot).apply()
			h.Run(t, c.mends)
			message := o.message()
			if name == "broken sudoers" && o.exit == 0 { // sudo of newer versions passes over the line
				return
			}
			if o.exit != 1 || !strings.Contains(message, c.wants) || strings.Contains(message, "unreachable") || strings.Contains(message, "\n") {
				t.Errorf("exit %d, %q\n%s", o.exit, message, o.dump())
			}
		})
	}
}

// Who may become another user, and not root, needs no more for steps that all run as that user: files, secrets, scripts.
func TestRunAsWithoutRoot(t *testing.T) {
	t.Parallel()
	h := testhost.Fresh(t, testhost.AsAdmin(), testhost.Edit("useradd -m -s /usr/sbin/nologin bicycle; echo 'admin ALL=(bicycle) NOPASSWD: ALL' >/etc/sudoers.d/login"))
	b := newBook(t, h, `step "file" "text" {
  run_as  = "bicycle"
  path    = "/home/bicycle/text"
  content = "x"
}

step "env_file" "secret" {
  run_as = "bicycle"
  path   = "/home/bicycle/.env"
  values = { A = "b" }
}

step "command" "who" {
  run_as  = "bicycle"
  script  = "id -un; pwd; echo $HOME; touch ran"
  creates = "/home/bicycle/ran"
}
`)
	o := b.applied()
	if got, want := o.output("step.command.who"), "bicycle\n/home/bicycle\n/home/bicycle\n"; got != want {
		t.Errorf("it printed %q, want %q", got, want)
	}
	b.converged()
	h.Run(t, "echo 'admin ALL=(root) NOPASSWD: ALL' >/etc/sudoers.d/login; rm /home/bicycle/text")
	b.applied()
}

func TestSudoPassword(t *testing.T) {
	t.Parallel()
	h := testhost.Fresh(t, testhost.AsAdminPassword(), testhost.Edit(countFailures))
	t.Run("not given", func(t *testing.T) {
		o := newBook(t, h, asRoot).apply()
		if o.exit != 1 || !strings.Contains(o.message(), "password is required") || !strings.Contains(o.message(), "--ask-become-pass") {
			t.Errorf("exit %d, %q\n%s", o.exit, o.message(), o.dump())
		}
	})
	t.Run("wrong", func(t *testing.T) {
		before := refusals(t, h)
		o := newBook(t, h, asRoot).with(`become_password = "not-the-password"`).apply()
		if o.exit != 1 || !strings.Contains(o.message(), "not accepted") || !strings.Contains(o.message(), "become_password") {
			t.Errorf("exit %d, %q\n%s", o.exit, o.message(), o.dump())
		}
		if after := refusals(t, h); before != "0" || after != "1" {
			t.Errorf("sudo has refused %s passwords before and %s after, want 0 and 1: a second try may lock an account", before, after)
		}
		if n := failures(t, h); n != "1" {
			t.Errorf("faillock has counted %s failed attempts, want 1", n)
		}
	})
	t.Run("in the playbook", func(t *testing.T) {
		b := newBook(t, h, asRoot).with(`become_password = "` + h.Password + `"`)
		b.applied()
		b.converged()
	})
	t.Run("asked for", func(t *testing.T) {
		h.Run(t, "rm -f /root/became")
		cmd := newBook(t, h, asRoot).command("apply", ".", "--ask-become-pass")
		cmd.SysProcAttr = nil // the terminal's
		terminal, err := pty.Start(cmd)
		if err != nil {
			t.Fatal(err)
		}
		defer terminal.Close()
		var screen bytes.Buffer
		answer := map[string]string{"assword": h.Password + "\n", "Apply these changes?": "yes\n"}
		chunk := make([]byte, 4096)
		for {
			n, err := terminal.Read(chunk)
			screen.Write(chunk[:n])
			for question, text := range answer {
				if strings.Contains(screen.String(), question) {
					delete(answer, question)
					if _, err := io.WriteString(terminal, text); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err != nil {
				break
			}
		}
		if err := cmd.Wait(); err != nil || strings.Contains(screen.String(), h.Password) {
			t.Errorf("%v, password on the screen: %v\n%s", err, strings.Contains(screen.String(), h.Password), screen.String())
		}
		h.Run(t, "grep -q root /root/became")
	})
	t.Run("no right to sudo", func(t *testing.T) {
		h.Run(t, "gpasswd -d admin sudo >/dev/null")
		o := newBook(t, h, asRoot).with(`become_password = "` + h.Password + `"`).apply()
		if o.exit != 1 || !strings.Contains(o.message(), "sudoers") || !strings.Contains(o.message(), "allow the user") {
			t.Errorf("exit %d, %q\n%s", o.exit, o.message(), o.dump())
		}
	})
	h.Run(t, "! grep -rqF '"+h.Password+"' /run/provision /var/lib/provision /home/admin /dev/shm /var/log 2>/dev/null")
}

func TestRequireTTY(t *testing.T) {
	t.Parallel()
	h := testhost.Fresh(t, testhost.AsAdmin(), testhost.RequireTTY())
	o := newBook(t, h, asRoot).apply()
	if o.exit == 0 {
		newBook(t, h, asRoot).converged()
		tidy(t, h)
		return
	}
	if o.exit != 1 || !strings.Contains(o.message(), "requiretty") || !strings.Contains(o.message(), "!requiretty") {
		t.Errorf("exit %d, %q\n%s", o.exit, o.message(), o.dump())
	}
}

func TestSu(t *testing.T) {
	t.Parallel()
	h := testhost.Fresh(t, testhost.AsAdminSu())
	b := newBook(t, h, asRoot).with(`become_method = "su"`).with(`become_password = "` + h.Password + `"`)
	b.applied()
	b.converged()
	tidy(t, h)
	o := newBook(t, h, asRoot).with(`become_method = "su"`).with(`become_password = "wrong"`).apply()
	if o.exit != 1 || !strings.Contains(o.message(), "not accepted") {
		t.Errorf("a wrong password for su: exit %d, %q\n%s", o.exit, o.message(), o.dump())
	}
	o = newBook(t, h, asRoot).apply()
	if o.exit != 1 || o.message() == "" {
		t.Errorf("a user without sudo: exit %d, %q", o.exit, o.message())
	}
}

func TestRunAs(t *testing.T) {
	t.Parallel()
	h := testhost.Fresh(t, testhost.AsAdmin())
	b := newBook(t, h, `step "group" "docker" {
  name = "docker"
}

step "user" "app" {
  name   = "bicycle"
  groups = ["docker"]
  shell  = "/usr/bin/fish"
}

step "command" "groups" {
  run_as  = "bicycle"
  script  = "id -Gn; id -un; pwd; echo $HOME; [ -t 0 ] || cat; touch ran"
  creates = "/home/bicycle/ran"
}

step "file" "theirs" {
  run_as  = "bicycle"
  path    = "/home/bicycle/file"
  content = "x"
}

step "command" "login" {
  become  = false
  script  = "id -un; pwd; touch ran"
  creates = "/home/admin/ran"
  only_if = "test $(id -un) = admin"
}

step "command" "root" {
  script  = "id -un; pwd; touch ran"
  creates = "/root/ran"
}
`)
	o := b.applied()
	for addr, want := range map[string]string{
		"step.command.groups": "bicycle docker\nbicycle\n/home/bicycle\n/home/bicycle\n",
		"step.command.login":  "admin\n/home/admin\n",
		"step.command.root":   "root\n/root\n",
	} {
		if got := o.output(addr); got != want {
			t.Errorf("%s printed %q, want %q", addr, got, want)
		}
	}
	if got := h.Run(t, "stat -c '%U:%G' /home/bicycle/file /home/bicycle/ran /home/admin/ran /root/ran"); got != "bicycle:bicycle\nbicycle:bicycle\nadmin:admin\nroot:root\n" {
		t.Errorf("owners: %q", got)
	}
	b.converged()
	tidy(t, h)

	// Without root nothing is under systemd and all that is kept lies in the home directory.
	plain := newBook(t, h, `step "file" "x" {
  path    = "/home/admin/plain"
  content = "x"
}

step "env_file" "secret" {
  path   = "/home/admin/.env"
  values = { A = "b" }
}
`).with("")
	plain.head = ""
	plain.hosts()
	h.Run(t, "rm /etc/sudoers.d/login")
	plain.applied()
	plain.converged()
	tidy(t, h)
}

// sudo stops itself when the shell that it runs is stopped to be ended, and would stay so for good.
func TestInterruptedPlanLeavesNoSudo(t *testing.T) {
	t.Parallel()
	h := testhost.Fresh(t, testhost.AsAdmin())
	b := newBook(t, h, `step "command" "asks" {
  run    = ["true"]
  unless = "touch /run/asks; sleep 4615"
}
`)
	for _, signals := range []int{1, 2} {
		p := b.start("plan", ".")
		for end := time.Now().Add(time.Minute); h.Run(t, "ls /run/asks 2>/dev/null || true") == "" && time.Now().Before(end); {
			time.Sleep(100 * time.Millisecond)
		}
		for range signals {
			_ = p.cmd.Process.Signal(syscall.SIGINT) // it may have ended by the second
			time.Sleep(100 * time.Millisecond)
		}
		if o := p.wait(); o.exit != 130 {
			t.Errorf("exit %d\n%s", o.exit, o.dump())
		}
		left := ""
		for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(300 * time.Millisecond) {
			if left = h.Run(t, "/usr/bin/ps -eo pid,stat,args | grep -e '[s]leep 4615' -e '[s]udo' || true"); left == "" {
				break
			}
		}
		if left != "" {
			t.Errorf("%d interrupts leave\n%s", signals, left)
		}
		h.Run(t, "rm /run/asks")
	}
}
