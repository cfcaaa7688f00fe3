//go:build acceptance

package acceptance

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"provision/internal/event"
	"provision/internal/ssh/sshtest"
	"provision/internal/testhost"
)

// held is a step that prints begin, waits for the file /root/go, prints end and leaves the file /root/done.
const held = `step "command" "held" {
  script  = "echo begin; until [ -f /root/go ]; do sleep 0.1; done; echo end; touch /root/done"
  creates = "/root/done"
}
`

func TestExchangesDoNotGrow(t *testing.T) {
	t.Parallel()
	h := testhost.Debian(t)
	for _, n := range []int{1, 30, 300} {
		var text strings.Builder
		for i := range n {
			// The fact makes it the harder case: the probes cannot travel with the facts.
			fmt.Fprintf(&text, "step \"file\" \"f%d\" {\n  path = \"/etc/exchanges-%d\"\n  content = \"${fact.os.id} %d\\n\"\n}\n", i, i, i)
		}
		b := newBook(t, h, text.String())
		if o := b.plan(); o.exit != 2 || len(o.changes()) != n || o.exchanges() != 2 {
			t.Errorf("%d steps with facts: exit %d, %d changes in %d exchanges, want 2 exchanges\n%s", n, o.exit, len(o.changes()), o.exchanges(), o.stderr)
		}
		b.steps(strings.ReplaceAll(text.String(), "${fact.os.id}", ""))
		if o := b.plan(); o.exit != 2 || len(o.changes()) != n || o.exchanges() != 1 {
			t.Errorf("%d steps: exit %d, %d changes in %d exchanges, want 1 exchange\n%s", n, o.exit, len(o.changes()), o.exchanges(), o.stderr)
		}
	}
}

func TestRunSurvivesItsSession(t *testing.T) {
	t.Parallel()
	h := testhost.Fresh(t)
	b := newBook(t, h, held)
	p := b.startApply()
	p.awaitOutput("begin")
	h.Run(t, "systemctl list-units --no-legend 'provision-*' | grep -q running")
	h.Run(t, "systemctl restart ssh.service systemd-logind.service")
	// A restarted sshd leaves the sessions alone, so end them too.
	h.Run(t, "pkill -KILL -f '^sshd: root'")
	p.await("it tells that the link is lost", func(e event.Event) bool { return e.HostRetry != nil })
	h.Run(t, "touch /root/go")
	o := p.wait()
	if o.exit != 0 || o.output("step.command.held") != "begin\nend\n" {
		t.Errorf("exit %d, output %q\n%s", o.exit, o.output("step.command.held"), o.dump())
	}
	b.converged()
	tidy(t, h)
}

func TestCutLinkLosesNothing(t *testing.T) {
	t.Parallel()
	h := testhost.Fresh(t)
	proxy := sshtest.NewProxy(t, fmt.Sprintf("%s:%d", h.Addr, h.Port), 0)
	// Many short lines, some long ones and both streams, so that cuts fall anywhere.
	b := newBook(t, h, `step "command" "talk" {
  script = <<-EOT
    i=1
    while [ $i -le 60 ]; do
      printf 'line %s ' $i
      printf '%0*d\n' $((i * 97)) 0
      echo "err $i" >&2
      sleep 0.1
      i=$((i + 1))
    done
    touch /root/talked
  EOT
  creates = "/root/talked"
}
`).through(proxy.Port)
	var want, wantErr strings.Builder
	for i := 1; i <= 60; i++ {
		fmt.Fprintf(&want, "line %d %0*d\n", i, i*97, 0)
		fmt.Fprintf(&wantErr, "err %d\n", i)
	}
	p := b.startApply()
	for _, at := range []string{"line 5 ", "line 20 ", "line 40 "} {
		p.awaitOutput(at)
		proxy.Cut()
	}
	o := p.wait()
	var out, errs strings.Builder
	for _, e := range o.events {
		if s := e.StepOutput; s != nil && s.Stream == "stdout" {
			out.WriteString(s.Text)
		} else if s != nil {
			errs.WriteString(s.Text)
		}
	}
	if o.exit != 0 || out.String() != want.String() || errs.String() != wantErr.String() {
		t.Errorf("exit %d, output whole and once: %v (%d bytes, want %d), stderr: %v\n%s",
			o.exit, out.String() == want.String(), out.Len(), want.Len(), errs.String() == wantErr.String(), o.dump())
	}
	tidy(t, h)
}

func TestSilentLinkIsLeft(t *testing.T) {
	t.Parallel()
	h := testhost.Fresh(t)
	proxy := sshtest.NewProxy(t, fmt.Sprintf("%s:%d", h.Addr, h.Port), 0)
	b := newBook(t, h, held).through(proxy.Port)
	p := b.startApply()
	p.awaitOutput("begin")
	proxy.Hang(true)
	p.await("it gives the silent link up", func(e event.Event) bool { return e.HostRetry != nil })
	proxy.Hang(false)
	h.Run(t, "touch /root/go")
	if o := p.wait(); o.exit != 0 || o.output("step.command.held") != "begin\nend\n" {
		t.Errorf("exit %d, output %q\n%s", o.exit, o.output("step.command.held"), o.dump())
	}
	tidy(t, h)
}

func TestKilledClient(t *testing.T) {
	t.Parallel()
	h := testhost.Fresh(t)
	b := newBook(t, h, held+`
step "env_file" "after" {
  path   = "/etc/after.env"
  values = { KEY = "kept-nowhere-else" }
}
`)
	p := b.startApply()
	p.awaitOutput("begin")
	p.signal(syscall.SIGKILL)
	if o := p.wait(); o.exit != -1 {
		t.Fatalf("exit %d, want death by a signal", o.exit)
	}
	if o := b.plan(); o.exit != 2 {
		t.Errorf("plan while the program of a dead client runs: exit %d, want 2\n%s", o.exit, o.dump())
	}
	h.Run(t, "touch /root/go")
	eventually(t, h, "the program does what it was sent", "test -s /etc/after.env && ! test -e /run/provision/lock")
	b.converged()
	h.Run(t, "test -f /run/provision/run-*/done") // for the client, should it come back
	b.applied()                                   // but another run removes it
	tidy(t, h)
}

// cutPower ends everything on the host at once, without a word to anyone, and returns when it is up again.
func cutPower(t *testing.T, h *testhost.Host) {
	t.Helper()
	before := strings.TrimSpace(h.Run(t, "cat /proc/sys/kernel/random/boot_id"))
	h.Status(t, "systemctl reboot --force --force")
	eventually(t, h, "the host boots", "[ $(cat /proc/sys/kernel/random/boot_id) != "+before+" ] && systemctl is-active ssh.service")
}

func TestRebootInTheMiddle(t *testing.T) {
	t.Parallel()
	h := testhost.Fresh(t)
	b := newBook(t, h, held+`
step "command" "bare" {
  script = "echo bare begins; until [ -f /root/go-bare ]; do sleep 0.1; done; echo ran >>/root/bare"
}
`)
	p := b.startApply()
	p.awaitOutput("begin")
	h.Reboot(t)
	if o := p.wait(); o.exit != 1 || !strings.Contains(o.message(), "restarted") {
		t.Errorf("apply over a reboot that it did not ask for: exit %d, %q; want 1 and a guess at the cause\n%s", o.exit, o.message(), o.dump())
	}
	// What can run twice simply does.
	h.Run(t, "touch /root/go")
	p = b.startApply()
	p.awaitOutput("bare begins")
	h.Run(t, "test -f /root/done")
	// And what cannot is not guessed at.
	cutPower(t, h)
	p.wait()
	h.Run(t, "touch /root/go-bare")
	if o := b.apply(); o.exit != 1 || !strings.Contains(o.dump(), "--rerun step.command.bare") {
		t.Errorf("a bare command that was cut off: exit %d, want 1 and a word about --rerun\n%s", o.exit, o.dump())
	}
	h.Run(t, "! test -e /root/bare")
	b.applied("--rerun", "step.command.bare")
	if got := h.Run(t, "cat /root/bare"); got != "ran\n" {
		t.Errorf("with --rerun it ran %q", got)
	}
	// It is known again how it ended.
	b.applied()
	tidy(t, h)
}

func TestOneRunAtATime(t *testing.T) {
	t.Parallel()
	h := testhost.Fresh(t)
	b := newBook(t, h, held)
	p := b.startApply()
	p.awaitOutput("begin")
	id := p.await("it starts", func(e event.Event) bool { return e.RunStart != nil }).Run
	second := newBook(t, h, held)
	before := time.Now()
	o := second.apply()
	if o.exit != 4 || !strings.Contains(o.message(), id) {
		t.Errorf("a second apply: exit %d after %v, %q; want 4 and the run %s as the owner\n%s", o.exit, time.Since(before), o.message(), id, o.dump())
	}
	h.Run(t, "touch /root/go")
	if o := p.wait(); o.exit != 0 || o.output("step.command.held") != "begin\nend\n" {
		t.Errorf("the first: exit %d\n%s", o.exit, o.dump())
	}
	tidy(t, h)
}

// A client on a long link does not wait until the host has tidied up: the host does so behind it, below sudo too.
func TestLongLinkIsTidiedBehindTheClient(t *testing.T) {
	t.Parallel()
	h := testhost.Fresh(t, testhost.AsAdmin())
	proxy := sshtest.NewProxy(t, fmt.Sprintf("%s:%d", h.Addr, h.Port), 100*time.Millisecond)
	b := newBook(t, h, "").through(proxy.Port)
	for _, key := range []string{"first", "second", "third"} {
		b.steps(fmt.Sprintf("step \"env_file\" \"secret\" {\n  path   = \"/etc/secret.env\"\n  values = { KEY = %q }\n}\n", key))
		if o := b.apply(); o.exit != 0 {
			t.Fatal(o.dump())
		}
		left := ""
		for range 50 {
			if left = h.Run(t, "ls /run/provision | grep ^run- || true"); left == "" {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		if left != "" {
			t.Fatalf("after 5 s the host still has %s", left)
		}
	}
	tidy(t, h)
}
