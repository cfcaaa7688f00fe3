//go:build acceptance

package acceptance

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"provision/internal/event"
	"provision/internal/testhost"
)

// An outcome is how a command ended and what it said.
type outcome struct {
	exit           int // -1: by a signal
	stdout, stderr string
	events         []event.Event
}

// changes are the steps that a plan would change: "step.file.motd update".
func (o outcome) changes() []string {
	var list []string
	for _, e := range o.events {
		if p := e.PlanStep; p != nil && p.Action != "no-op" {
			list = append(list, fmt.Sprint(p.Addr, " ", p.Action))
		}
	}
	return list
}

// verdicts are how the steps ended: "step.file.motd changed".
func (o outcome) verdicts() []string {
	var list []string
	for _, e := range o.events {
		if s := e.StepEnd; s != nil {
			list = append(list, fmt.Sprint(s.Addr, " ", s.Status))
		}
	}
	return list
}

// end is how one step ended; the last time, if it ended more than once.
func (o outcome) end(addr string) *event.StepEnd {
	for _, e := range slices.Backward(o.events) {
		if e.StepEnd != nil && e.StepEnd.Addr == addr {
			return e.StepEnd
		}
	}
	return &event.StepEnd{Status: "none", Error: &event.Failure{}}
}

// planned is what the plan said of one step.
func (o outcome) planned(addr string) *event.PlanStep {
	for _, e := range o.events {
		if e.PlanStep != nil && e.PlanStep.Addr == addr {
			return e.PlanStep
		}
	}
	return &event.PlanStep{Action: "none"}
}

// output is all that one step printed.
func (o outcome) output(addr string) string {
	var b strings.Builder
	for _, e := range o.events {
		if e.StepOutput != nil && e.StepOutput.Addr == addr {
			b.WriteString(e.StepOutput.Text)
		}
	}
	return b.String()
}

// exchanges is how many scripts the plan took.
func (o outcome) exchanges() int {
	for _, e := range o.events {
		if e.HostPlanned != nil {
			return e.HostPlanned.Exchanges
		}
	}
	return -1
}

// message is why the host did not end well.
func (o outcome) message() string {
	for _, e := range o.events {
		if e.HostEnd != nil {
			return e.HostEnd.Message
		}
	}
	return ""
}

func (o outcome) dump() string {
	const limit = 64 << 10
	out := o.stdout
	if out == "" {
		var b strings.Builder
		for _, e := range o.events {
			line, _ := json.Marshal(e)
			fmt.Fprintf(&b, "%s\n", line)
		}
		out = b.String()
	}
	if len(out) > limit {
		out = "…" + out[len(out)-limit:]
	}
	return "stdout:\n" + out + "\nstderr:\n" + o.stderr
}

// eventually polls the host until sh text succeeds.
func eventually(t *testing.T, h *testhost.Host, what, script string) {
	t.Helper()
	for end := time.Now().Add(patience); h.Status(t, script) != 0; time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never happens: %s", what)
		}
	}
}

// tidy fails the test if a run left anything on the host but its journals and what is owed. A unit whose step started a daemon
// stays loaded with it, inactive. The init scripts of SysV mark /dev/shm by .tmpfs.
func tidy(t *testing.T, h *testhost.Host) {
	t.Helper()
	// A program that has no client any more waits a while for one before it tidies up.
	look := `find /run/provision /dev/shm /root/.provision-* /home/*/.provision-* /home/*/.provision/run -mindepth 1 ! -name .tmpfs 2>/dev/null
find / -xdev -name '.provision.*' 2>/dev/null
/usr/bin/ps -eo args | grep -e '[/]program$' -e '[p]rovision-[0-9]'
systemctl list-units --no-legend 'provision-*'
true`
	var left string
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(300 * time.Millisecond) {
		if left = strings.TrimSpace(h.Run(t, look)); left == "" {
			return
		}
	}
	t.Errorf("left behind on the host:\n%s", left)
}
