//go:build acceptance

package acceptance

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"provision/internal/event"
	"provision/internal/testhost"
)

const rebootSteps = `
step "file" "before" {
  path    = "/root/before"
  content = "1\n"
}

# As packages do whose update wants a restart.
step "command" "update" {
  script  = "touch /run/reboot-required && cat /proc/sys/kernel/random/boot_id >/root/updated"
  creates = "/root/updated"
}

step "reboot" "update" {}

step "command" "after" {
  script  = "cat /proc/sys/kernel/random/boot_id >/root/after"
  creates = "/root/after"
}

step "file" "limits" {
  path    = "/etc/limits-for-test"
  content = "%s\n"
}

step "reboot" "limits" {
  when      = "always"
  on_change = [step.file.limits]
  message   = "the limits changed"
}

step "file" "last" {
  path    = "/root/last"
  content = "%s\n"
}
`

// TestRebootAndGoOn restarts a host twice in one apply: because the system asks for it, and because a file changed. What comes
// after a restart runs in the boot after it; a second plan is empty, and no restart comes without a reason.
func TestRebootAndGoOn(t *testing.T) {
	t.Parallel()
	h := testhost.Fresh(t)
	boot := func() string { return strings.TrimSpace(h.Run(t, "cat /proc/sys/kernel/random/boot_id")) }
	first := boot()
	b := newBook(t, h, fmt.Sprintf(rebootSteps, "one", "one"))

	o := b.applied()
	want := []string{
		"step.file.before changed", "step.command.update changed", "step.reboot.update changed", "step.command.after changed",
		"step.file.limits changed", "step.reboot.limits changed", "step.file.last changed",
	}
	if diff := cmp.Diff(want, changed(o)); diff != "" {
		t.Errorf("the steps that changed something (-want +got):\n%s\n%s", diff, o.dump())
	}
	boots := strings.Fields(h.Run(t, "cat /root/updated /root/after") + boot())
	if boots[0] != first || len(boots) != 3 || len(slices.Compact(slices.Sorted(slices.Values(boots)))) != 3 {
		t.Errorf("the boots before, between and after the restarts are %q, want three, of which the first is %s", boots, first)
	}
	if got := h.Run(t, "cat /root/last"); got != "one\n" {
		t.Errorf("the step after the last restart wrote %q", got)
	}
	b.converged()

	b.steps(fmt.Sprintf(rebootSteps, "one", "two"))
	b.applied()
	if now := boot(); now != boots[2] {
		t.Error("the host was restarted without a reason")
	}

	b.steps(fmt.Sprintf(rebootSteps, "two", "two"))
	plan := b.plan()
	if diff := cmp.Diff([]string{"restarts the host host"}, plan.planned("step.reboot.limits").Dangers); plan.exit != 2 || diff != "" {
		t.Errorf("the plan exits with %d and does not warn of the restart (-want +got):\n%s\n%s", plan.exit, diff, plan.dump())
	}
	b.applied()
	if now := boot(); now == boots[2] {
		t.Error("the host was not restarted after a change")
	}
	b.converged()
	tidy(t, h)
}

// changed are the steps that ended and had changed something.
func changed(o outcome) []string {
	return slices.DeleteFunc(o.verdicts(), func(s string) bool { return !strings.HasSuffix(s, " changed") })
}

// TestRebootWithoutClient kills the client while the host restarts. The next apply knows that it did, and goes on after it.
func TestRebootWithoutClient(t *testing.T) {
	t.Parallel()
	h := testhost.Fresh(t)
	before := h.Run(t, "cat /proc/sys/kernel/random/boot_id")
	b := newBook(t, h, `
step "file" "limits" {
  path    = "/etc/limits-for-test"
  content = "one\n"
}

step "reboot" "limits" {
  when      = "always"
  on_change = [step.file.limits]
}

step "file" "last" {
  path    = "/root/last"
  content = "one\n"
}
`)
	p := b.startApply()
	p.await("the host restarts", func(e event.Event) bool { return e.HostRetry != nil })
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.wait()
	eventually(t, h, "the host is back", "[ \"$(cat /proc/sys/kernel/random/boot_id)\" != "+strings.TrimSpace(before)+" ] && systemctl is-active sshd")
	after := h.Run(t, "cat /proc/sys/kernel/random/boot_id")
	o := b.applied()
	if got := h.Run(t, "cat /root/last /proc/sys/kernel/random/boot_id"); got != "one\n"+after {
		t.Errorf("the next apply wrote and left the boot %q, want %q\n%s", got, "one\n"+after, o.dump())
	}
	b.converged()
	tidy(t, h)
}
