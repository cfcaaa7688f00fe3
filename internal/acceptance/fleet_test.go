//go:build acceptance

package acceptance

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"provision/internal/event"
	"provision/internal/testhost"
)

// fleetSize is how many hosts a rollout is tested with, all of them booted.
const fleetSize = 30

// A fleetBook is a playbook for many hosts, web01, web02, …
type fleetBook struct {
	*book
	hosts []*testhost.Host
	odd   map[string]string // by host: settings in place of how it is reached
}

func name(i int) string { return fmt.Sprintf("web%02d", i+1) }

func newFleetBook(t *testing.T, hosts []*testhost.Host) *fleetBook {
	b := &fleetBook{book: newBook(t, hosts[0], ""), hosts: hosts, odd: map[string]string{}}
	b.inventory()
	return b
}

// inventory writes how the hosts are reached.
func (b *fleetBook) inventory() {
	b.t.Helper()
	var text strings.Builder
	for i, h := range b.hosts {
		settings := fmt.Sprintf("port = %d\n  known_hosts_file = %q", h.Port, h.KnownHostsFile)
		if odd := b.odd[name(i)]; odd != "" {
			settings = odd
		}
		fmt.Fprintf(&text, "host %q {\n  address = %q\n  user = %q\n  identity_file = %q\n  %s\n}\n\n", name(i), h.Addr, h.User, h.KeyFile, settings)
	}
	b.write("hosts.hcl", text.String())
}

// play writes the steps, with a rollout.
func (b *fleetBook) play(rollout, steps string) {
	b.t.Helper()
	b.write("steps.hcl", "play \"web\" {\n  rollout {\n"+rollout+"\n  }\n"+steps+"\n}\n")
}

// everywhere runs sh on every host.
func (b *fleetBook) everywhere(script string) {
	b.t.Helper()
	statuses := make([]int, len(b.hosts))
	var running sync.WaitGroup
	for i, h := range b.hosts {
		running.Go(func() { statuses[i] = h.Status(b.t, script) })
	}
	running.Wait()
	for i, status := range statuses {
		if status != 0 {
			b.t.Fatalf("%s: status %d of %s", name(i), status, script)
		}
	}
}

// outcomes counts the hosts by status, and batches their sizes.
func (o *outcome) hostsBy() map[string]int {
	m := map[string]int{}
	for _, e := range o.events {
		if e.HostEnd != nil {
			m[string(e.HostEnd.Status)]++
		}
	}
	return m
}

func (o *outcome) batches() (sizes []int) {
	for _, e := range o.events {
		if e.BatchStart != nil {
			sizes = append(sizes, len(e.BatchStart.Hosts))
		}
	}
	return sizes
}

// hostStatus is how the run ended for a host, and why.
func (o *outcome) hostStatus(host string) (status, message string) {
	for _, e := range o.events {
		if e.HostEnd != nil && e.Host == host {
			return string(e.HostEnd.Status), e.HostEnd.Message
		}
	}
	return "", ""
}

const fleetSteps = `
  step "directory" "srv" {
    path = "/srv/site"
  }

  step "command" "token" {
    script  = "head -c 6 /dev/urandom | od -An -tx1 | tr -d ' \\n'; date +%N >>/root/once"
    once    = true
    creates = "/root/once"
  }

  step "file" "name" {
    path    = "/srv/site/name"
    content = "${host.name}\n"
  }

  step "file" "token" {
    path    = "/srv/site/token"
    content = "${step.command.token.stdout}\n"
    when    = step.command.token.changed
  }

  step "command" "work" {
    script    = "test ! -e /root/broken || { echo 'no luck here' >&2; exit 5; }; test ! -e /root/slow || { echo begin; sleep 600; }"
    timeout   = "5s"
    on_change = [step.file.name]
  }
`

// TestFleet takes one fleet of thirty booted hosts through the life of a rollout.
func TestFleet(t *testing.T) {
	hosts := testhost.Fleet(t, fleetSize)
	b := newFleetBook(t, hosts)
	t.Run("rollout", func(t *testing.T) { b.t, b.book.t = t, t; fleetRollout(t, b) })
	t.Run("faults", func(t *testing.T) { b.t, b.book.t = t, t; fleetFaults(t, b) })
	t.Run("canary", func(t *testing.T) { b.t, b.book.t = t, t; fleetCanary(t, b) })
	t.Run("interrupt", func(t *testing.T) { b.t, b.book.t = t, t; fleetInterrupt(t, b) })
}

// fleetRollout goes out to all hosts in batches, and then has nothing to do.
func fleetRollout(t *testing.T, b *fleetBook) {
	b.play(`    batch        = ["1", "30%", "100%"]
    max_failures = "10%"`, fleetSteps)
	o := b.apply()
	if o.exit != 0 || o.hostsBy()["ok"] != fleetSize || !slices.Equal(o.batches(), []int{1, 9, 20}) {
		t.Fatalf("exit %d, %v, batches %v\n%s", o.exit, o.hostsBy(), o.batches(), o.dump())
	}
	token := b.hosts[0].Run(t, "cat /srv/site/token")
	if len(token) != 13 {
		t.Errorf("the token is %q", token)
	}
	for i, h := range b.hosts {
		if got := h.Run(t, "cat /srv/site/name /srv/site/token; ls /root/once 2>/dev/null || true"); got != name(i)+"\n"+token+map[bool]string{true: "/root/once\n"}[i == 0] {
			t.Errorf("%s: %q", name(i), got)
		}
	}
	b.converged()
}

// fleetFaults has each way to fail on a host of its own. Nobody else notices, and all are counted as what they are. When they are
// mended, the run is resumed for these alone.
func fleetFaults(t *testing.T, b *fleetBook) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refusing := closed.Addr().(*net.TCPAddr).Port
	closed.Close()
	known, err := os.ReadFile(b.hosts[5].KnownHostsFile)
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(b.hosts[6].KnownHostsFile)
	if err != nil {
		t.Fatal(err)
	}
	// Another host's keys under this one's address: the key has changed.
	b.write("changed_hosts", strings.ReplaceAll(string(other), fmt.Sprintf("]:%d ", b.hosts[6].Port), fmt.Sprintf("]:%d ", b.hosts[5].Port)))
	if len(known) == 0 {
		t.Fatal("no known host")
	}
	b.odd = map[string]string{
		"web03": fmt.Sprintf("port = %d\n  known_hosts_file = %q", refusing, b.hosts[2].KnownHostsFile),
		"web04": fmt.Sprintf("port = %d\n  known_hosts_file = %q\n  connect_timeout = \"2s\"", silent.Addr().(*net.TCPAddr).Port, b.hosts[3].KnownHostsFile),
		"web06": fmt.Sprintf("port = %d\n  known_hosts_file = %q", b.hosts[5].Port, b.path("changed_hosts")),
	}
	b.inventory()
	b.hosts[7].Run(t, "touch /root/broken")
	b.hosts[8].Run(t, "touch /root/slow")
	b.hosts[9].Run(t, "mount -t tmpfs -o size=64k none /srv/site && head -c 200000 /dev/zero >/srv/site/ballast || true")
	b.everywhere("rm -f /srv/site/name")

	b.play(`    batch        = ["2", "100%"]
    max_failures = 4`, fleetSteps)
	o := b.apply()
	want := map[string]int{"ok": fleetSize - 6, "failed": 3, "unreachable": 3}
	if diff := cmp.Diff(want, o.hostsBy()); o.exit != 1 || diff != "" {
		t.Fatalf("exit %d %s\n%s", o.exit, diff, o.dump())
	}
	for host, wanted := range map[string]string{
		"web03": "unreachable: connect: ", "web04": "unreachable: ", "web06": "unreachable: host key: ",
		"web08": "failed: ", "web09": "failed: ", "web10": "failed: ",
	} {
		status, message := o.hostStatus(host)
		if !strings.HasPrefix(status+": "+message, wanted) {
			t.Errorf("%s: %s: %s, want %s", host, status, message, wanted)
		}
	}
	for host, wanted := range map[string]string{"web08": "no luck here", "web09": "timeout", "web10": "No space left"} {
		if !strings.Contains(o.failureOf(host), wanted) {
			t.Errorf("%s failed with %q, want %q", host, o.failureOf(host), wanted)
		}
	}

	b.odd = map[string]string{}
	b.inventory()
	b.hosts[7].Run(t, "rm /root/broken")
	b.hosts[8].Run(t, "rm /root/slow")
	b.hosts[9].Run(t, "umount /srv/site")
	id := o.events[0].Run
	o = b.run("resume", id, "--yes")
	if o.exit != 0 || o.hostsBy()["ok"] != 6 || len(o.hostsBy()) != 1 {
		t.Fatalf("resume: exit %d, %v, want the 6 hosts that were left\n%s", o.exit, o.hostsBy(), o.dump())
	}
	b.converged()
}

// failureOf is why a step failed on a host.
func (o *outcome) failureOf(host string) string {
	for _, e := range o.events {
		if e.StepEnd != nil && e.Host == host && e.StepEnd.Error != nil {
			return e.StepEnd.Error.Message + "\n" + e.StepEnd.Error.Output
		}
	}
	return ""
}

// fleetCanary stops at the first host.
func fleetCanary(t *testing.T, b *fleetBook) {
	b.everywhere("rm -f /srv/site/name")
	b.hosts[fleetSize-1].Run(t, "touch /root/broken")
	b.play(`    batch = [1, "100%"]
    order = "reversed"`, fleetSteps)
	o := b.apply()
	if o.exit != 1 || o.hostsBy()["failed"] != 1 || o.hostsBy()["not_reached"] != fleetSize-1 || len(o.batches()) != 1 {
		t.Fatalf("exit %d, %v, batches %v\n%s", o.exit, o.hostsBy(), o.batches(), o.dump())
	}
	for _, h := range b.hosts[:fleetSize-1] {
		if h.Status(t, "test -e /srv/site/name") == 0 {
			t.Errorf("a host was changed after the canary had failed")
		}
	}
	b.hosts[fleetSize-1].Run(t, "rm /root/broken")

	// A check of the canary counts as much as its steps.
	b.write("check.hcl", "check \"site\" {\n  command = [\"test\", \"!\", \"-e\", \"/root/unwell\"]\n}\n")
	b.hosts[fleetSize-1].Run(t, "touch /root/unwell")
	o = b.apply()
	if o.exit != 1 || o.hostsBy()["failed"] != 1 || o.hostsBy()["not_reached"] != fleetSize-1 {
		t.Errorf("a failing check: exit %d, %v\n%s", o.exit, o.hostsBy(), o.dump())
	}
	b.hosts[fleetSize-1].Run(t, "rm /root/unwell")
	if o = b.apply(); o.exit != 0 || o.hostsBy()["ok"] != fleetSize {
		t.Errorf("after the cause is gone: exit %d, %v\n%s", o.exit, o.hostsBy(), o.dump())
	}
	b.converged()
}

// fleetInterrupt ends a rollout by Ctrl-C: what runs comes to its end, what has not begun does not begin, and it is resumed.
func fleetInterrupt(t *testing.T, b *fleetBook) {
	b.everywhere("rm -f /srv/site/name")
	b.play(`    batch = [2, "100%"]`, strings.NewReplacer(
		`"test ! -e /root/broken`, `"echo begin; while [ ! -e /root/go ]; do sleep 0.1; done; test ! -e /root/broken`,
		`timeout   = "5s"`, `timeout   = "10m"`,
	).Replace(fleetSteps))
	p := b.startApply()
	atWork(p)
	p.signal(syscall.SIGINT)
	for _, h := range b.hosts[:2] {
		eventually(t, h, "the program hears of it", "ls /run/provision/run-*/stop")
		h.Run(t, "touch /root/go")
	}
	o := p.wait()
	by := o.hostsBy()
	if o.exit != 130 || by["not_reached"] != fleetSize-2 || by["failed"] > 0 {
		t.Errorf("exit %d, %v\n%s", o.exit, by, o.dump())
	}
	b.everywhere("touch /root/go")
	o = b.run("resume", o.events[0].Run, "--yes")
	if o.exit != 0 || o.hostsBy()["ok"] < fleetSize-2 {
		t.Errorf("resume: exit %d, %v\n%s", o.exit, o.hostsBy(), o.dump())
	}
	b.converged()

	// The second Ctrl-C kills what runs.
	b.everywhere("rm -f /srv/site/name /root/go")
	p = b.startApply()
	atWork(p)
	p.signal(syscall.SIGINT)
	for _, h := range b.hosts[:2] {
		eventually(t, h, "the program hears of it", "ls /run/provision/run-*/stop")
	}
	p.signal(syscall.SIGINT)
	o = p.wait()
	by = o.hostsBy()
	if o.exit != 130 || by["interrupted"] != 2 || by["not_reached"] != fleetSize-2 {
		t.Errorf("twice: exit %d, %v\n%s", o.exit, by, o.dump())
	}
	for _, h := range b.hosts[:2] {
		if left := h.Run(t, "ps -eo pid,args | grep '[/]root/go' || true"); left != "" {
			t.Errorf("still running: %s", left)
		}
	}
	b.everywhere("touch /root/go")
	// The killed step is a bare command: that it may run again is for a person to say.
	o = b.run("resume", o.events[0].Run, "--yes", "--rerun", "step.command.work")
	if o.exit != 0 {
		t.Errorf("resume: exit %d, %v\n%s", o.exit, o.hostsBy(), o.dump())
	}
	b.converged()
	for _, h := range b.hosts {
		tidy(t, h)
	}
}

// atWork waits until both hosts of the first batch are in their last step.
func atWork(p *process) {
	p.t.Helper()
	for _, host := range []string{name(0), name(1)} {
		p.await(host+" is at work", func(e event.Event) bool {
			return e.StepOutput != nil && e.Host == host && strings.Contains(e.StepOutput.Text, "begin")
		})
	}
}
