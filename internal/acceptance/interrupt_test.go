//go:build acceptance

package acceptance

import (
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"provision/internal/testhost"
)

func TestInterrupts(t *testing.T) {
	t.Parallel()
	h := testhost.Fresh(t)
	t.Run("once", func(t *testing.T) {
		b := newBook(t, h, held+`
step "file" "next" {
  path    = "/etc/next"
  content = "next\n"
}
`)
		p := b.startApply()
		p.awaitOutput("begin")
		p.signal(syscall.SIGINT)
		eventually(t, h, "the program hears of it", "ls /run/provision/run-*/stop")
		h.Run(t, "touch /root/go")
		o := p.wait()
		if o.exit != 130 || o.end("step.command.held").Status != "changed" || h.Status(t, "test -e /etc/next") == 0 {
			t.Errorf("exit %d, %v, want 130, the step that ran ended, and no other\n%s", o.exit, o.verdicts(), o.dump())
		}
		tidy(t, h)
		if diff := cmp.Diff([]string{"step.file.next create"}, b.plan().changes()); diff != "" {
			t.Errorf("what is left to do: %s", diff)
		}
		b.applied()
		b.converged()
	})
	t.Run("twice", func(t *testing.T) {
		b := newBook(t, h, `step "command" "endless" {
  script  = "trap '' TERM; sleep 54321 & setsid sh -c 'sleep 54322; :' & echo begin; while :; do sleep 54323; done"
  creates = "/root/never"
}
`)
		p := b.startApply()
		p.awaitOutput("begin")
		p.signal(syscall.SIGINT)
		eventually(t, h, "the program hears of it", "ls /run/provision/run-*/stop")
		p.signal(syscall.SIGINT)
		o := p.wait()
		if o.exit != 130 {
			t.Errorf("exit %d, want 130\n%s", o.exit, o.dump())
		}
		if got := h.Run(t, "ps -eo pid,ppid,args | grep '[s]leep 5432' || true"); got != "" {
			t.Errorf("still running:\n%s", got)
		}
		tidy(t, h)
		b.steps(`step "file" "x" {
  path    = "/etc/after-kill"
  content = "x"
}
`)
		b.applied()
	})
}

func TestNotificationOutlivesAFailure(t *testing.T) {
	t.Parallel()
	h := testhost.Fresh(t)
	b := newBook(t, h, `step "file" "conf" {
  path    = "/etc/durable.conf"
  content = "a\n"
}

step "command" "between" {
  script = "test -f /root/mended"
  unless = "test -f /root/mended"
}

step "command" "restart" {
  script    = "echo restarted >>/root/restarts"
  on_change = [step.file.conf]
}
`)
	if o := b.apply(); o.exit != 1 || o.end("step.file.conf").Status != "changed" || o.end("step.command.between").Status != "failed" {
		t.Fatalf("exit %d, %v\n%s", o.exit, o.verdicts(), o.dump())
	}
	h.Run(t, "touch /root/mended; ! test -e /root/restarts")
	if diff := cmp.Diff([]string{"step.command.restart run"}, b.plan().changes()); diff != "" {
		t.Errorf("the notification is lost: %s", diff)
	}
	o := b.applied()
	if got := h.Run(t, "cat /root/restarts"); got != "restarted\n" {
		t.Errorf("restarts %q, %v", got, o.verdicts())
	}
	b.converged()
	tidy(t, h)
}

func TestDidNotConverge(t *testing.T) {
	t.Parallel()
	h := testhost.Fresh(t)
	h.Run(t, "echo mine >/etc/contested; systemd-run --quiet --unit=undo sh -c 'for i in 1 2 3 4; do while :; do echo mine >/etc/contested; done & done; wait'")
	b := newBook(t, h, `step "file" "contested" {
  path    = "/etc/contested"
  content = "ours\n"
}

step "file" "next" {
  path    = "/etc/next"
  content = "next\n"
}
`)
	o := b.apply()
	end := o.end("step.file.contested")
	if o.exit != 1 || end.Status != "not_converged" || len(end.Diff) == 0 {
		t.Errorf("a file that something writes back: exit %d, %v\n%s", o.exit, o.verdicts(), o.dump())
	}
	h.Run(t, "systemctl stop undo")
	tidy(t, h)

	b.steps(`step "command" "forgets" {
  script  = "true"
  creates = "/root/forgotten"
}
`)
	o = b.apply()
	if end := o.end("step.command.forgets"); o.exit != 1 || end.Status != "not_converged" {
		t.Errorf("a command that does not create what it creates: exit %d, %v\n%s", o.exit, o.verdicts(), o.dump())
	}
	tidy(t, h)
}

func TestTimeoutEndsTheTree(t *testing.T) {
	t.Parallel()
	h := testhost.Fresh(t)
	b := newBook(t, h, `step "command" "endless" {
  script  = "trap '' TERM; sleep 64321 & setsid sh -c 'sleep 64322; :' & while :; do sleep 64323; done"
  creates = "/root/never"
  timeout = "2s"
}
`)
	if o := b.apply(); o.exit != 1 || !strings.Contains(o.end("step.command.endless").Error.Message, "timeout of 2 s") {
		t.Errorf("exit %d, %+v", o.exit, o.end("step.command.endless"))
	}
	if got := h.Run(t, "ps -eo pid,ppid,args | grep '[s]leep 6432' || true"); got != "" {
		t.Errorf("still running:\n%s", got)
	}
	tidy(t, h)
}

func TestFailureTellsAll(t *testing.T) {
	t.Parallel()
	h := testhost.Fresh(t)
	b := newBook(t, h, `step "command" "fails" {
  run = ["sh", "-c", "echo on stdout; echo the reason >&2; exit 7"]
}

step "command" "never" {
  run = ["touch", "/root/never-after-a-failure"]
}
`)
	o := b.apply()
	end := o.end("step.command.fails")
	if o.exit != 1 || end.Status != "failed" || end.Error.Exit != 7 || !strings.Contains(end.Error.Output, "on stdout") || !strings.Contains(end.Error.Message, "the reason") || end.Source.Line != 1 {
		t.Errorf("exit %d, %+v %+v", o.exit, end, end.Error)
	}
	h.Run(t, "! test -e /root/never-after-a-failure")
	tidy(t, h)
}
