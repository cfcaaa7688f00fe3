// Package bench compares provision with what nothing can beat, in one run, over a link with a round-trip time of 50 ms:
//
//	go test -run '^$' -bench . -benchtime 1x ./bench
//
// Every pair is measured alternately, Rounds times, and reported as medians in milliseconds and as the ratio of
// the medians: timings of a machine drift, ratios of neighbours much less.
package bench

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"provision/internal/ssh/sshtest"
	"provision/internal/testhost"
)

// RoundTrip is the delay that the proxy adds to a loopback link, both ways together.
const RoundTrip = 50 * time.Millisecond

func TestMain(m *testing.M) {
	if dir := os.Getenv(fleetVariable); dir != "" {
		if err := serveFleet(dir); err != nil {
			fmt.Fprintln(os.Stderr, "the hosts of the fleet:", err)
			os.Exit(1)
		}
		return
	}
	testhost.Main(m)
}

// A link is a host behind the proxy, and the ways to reach it.
type link struct {
	b      *testing.B
	host   *testhost.Host
	binary string
	dir    string // of the playbook
	port   int    // of the proxy
	known  string
	rounds int
}

func newLink(b *testing.B, user testhost.Option) *link {
	host := testhost.Fresh(b, user)
	proxy := sshtest.NewProxy(b, net.JoinHostPort(host.Addr, strconv.Itoa(host.Port)), RoundTrip)
	l := &link{b: b, host: host, dir: b.TempDir(), port: proxy.Port, rounds: number("ROUNDS", 11)}
	l.binary = build(b)
	l.known = filepath.Join(b.TempDir(), "known_hosts")
	l.pin()
	playbook, err := os.ReadFile("testdata/server.hcl")
	if err != nil {
		b.Fatal(err)
	}
	hosts := fmt.Sprintf("host \"web1\" {\n  address = \"127.0.0.1\"\n  port = %d\n  user = %q\n  identity_file = %q\n  known_hosts_file = %q\n  become = %v\n}\n",
		l.port, host.User, host.KeyFile, l.known, host.User != "root")
	for name, text := range map[string]string{"server.hcl": string(playbook), "hosts.hcl": hosts} {
		if err := os.WriteFile(filepath.Join(l.dir, name), []byte(text), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	return l
}

// number is what the environment sets, or a default.
func number(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil && n > 0 {
		return n
	}
	return otherwise
}

// build returns the binary as users have it.
func build(tb testing.TB) string {
	tb.Helper()
	binary := filepath.Join(tb.TempDir(), "provision")
	if out, err := exec.Command("go", "build", "-o", binary, "provision/cmd/provision").CombinedOutput(); err != nil {
		tb.Fatalf("go build: %v\n%s", err, out)
	}
	return binary
}

// pin writes the host's keys for the proxy's port.
func (l *link) pin() {
	keys, err := os.ReadFile(l.host.KnownHostsFile)
	if err != nil {
		l.b.Fatal(err)
	}
	text := ""
	for _, line := range splitLines(string(keys)) {
		if fields := fieldsAfterHost(line); fields != "" {
			text += fmt.Sprintf("[127.0.0.1]:%d %s\n", l.port, fields)
		}
	}
	if err := os.WriteFile(l.known, []byte(text), 0o600); err != nil {
		l.b.Fatal(err)
	}
}

func (l *link) must(cmd *exec.Cmd) {
	l.b.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		l.b.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
}

func (l *link) provision(args ...string) *exec.Cmd {
	cmd := exec.Command(l.binary, append(args, l.dir)...)
	cmd.Env = append(os.Environ(), "NO_COLOR=1", "SSH_AUTH_SOCK=")
	return cmd
}

func (l *link) ssh(stdin string, command ...string) *exec.Cmd {
	args := []string{
		"-F", "none", "-p", strconv.Itoa(l.port), "-i", l.host.KeyFile, "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none",
		"-o", "UserKnownHostsFile=" + l.known, "-o", "GlobalKnownHostsFile=/dev/null", "-o", "BatchMode=yes", l.host.User + "@127.0.0.1",
	}
	cmd := exec.Command("ssh", append(args, command...)...)
	if stdin != "" {
		f, err := os.Open(stdin)
		if err != nil {
			l.b.Fatal(err)
		}
		l.b.Cleanup(func() { f.Close() })
		cmd.Stdin = f
	}
	return cmd
}

func (l *link) reset() {
	text, err := os.ReadFile("testdata/reset.sh")
	if err != nil {
		l.b.Fatal(err)
	}
	l.host.Run(l.b, string(text))
}

// compare times ours and theirs alternately and reports both medians and their ratio.
func (l *link) compare(prepare func(), ours, theirs func() *exec.Cmd) {
	var a, b []time.Duration
	for range l.rounds {
		for _, side := range []struct {
			times *[]time.Duration
			make  func() *exec.Cmd
		}{{&a, ours}, {&b, theirs}} {
			prepare()
			cmd := side.make()
			start := time.Now()
			l.must(cmd)
			*side.times = append(*side.times, time.Since(start))
		}
	}
	slices.Sort(a)
	slices.Sort(b)
	mine, other := a[len(a)/2], b[len(b)/2]
	l.b.ReportMetric(0, "ns/op")
	l.b.ReportMetric(float64(mine.Milliseconds()), "provision-ms")
	l.b.ReportMetric(float64(other.Milliseconds()), "other-ms")
	l.b.ReportMetric(float64(mine)/float64(other), "ratio")
}

// BenchmarkPlanConverged is a plan of 30 steps that are as wanted, against ssh HOST true.
func BenchmarkPlanConverged(b *testing.B) {
	l := newLink(b, testhost.AsAdmin())
	l.must(l.provision("apply", "--yes"))
	for b.Loop() {
		l.compare(func() {}, func() *exec.Cmd { return l.provision("plan", "--detailed-exitcode") }, func() *exec.Cmd { return l.ssh("", "true") })
	}
}

// BenchmarkApplyConverged is an apply that finds nothing to do, against ssh HOST true.
func BenchmarkApplyConverged(b *testing.B) {
	l := newLink(b, testhost.AsAdmin())
	l.must(l.provision("apply", "--yes"))
	for b.Loop() {
		l.compare(func() {}, func() *exec.Cmd { return l.provision("apply", "--yes") }, func() *exec.Cmd { return l.ssh("", "true") })
	}
}

// BenchmarkFirstApply is a first apply of 30 steps, against a script by hand through ssh HOST sudo sh.
func BenchmarkFirstApply(b *testing.B) {
	l := newLink(b, testhost.AsAdmin())
	for b.Loop() {
		l.compare(l.reset, func() *exec.Cmd { return l.provision("apply", "--yes") }, func() *exec.Cmd { return l.ssh("testdata/script.sh", "sudo", "sh") })
	}
}

// BenchmarkBefore compares with another build of provision, which BEFORE names: what a change has cost.
func BenchmarkBefore(b *testing.B) {
	before := os.Getenv("BEFORE")
	if before == "" {
		b.Skip("BEFORE names no other build of provision")
	}
	l := newLink(b, testhost.AsAdmin())
	now := l.binary
	l.must(l.provision("apply", "--yes"))
	with := func(binary string, args ...string) func() *exec.Cmd {
		return func() *exec.Cmd {
			l.binary = binary
			return l.provision(args...)
		}
	}
	for _, c := range []struct {
		name    string
		prepare func()
		args    []string
	}{
		{"plan", func() {}, []string{"plan", "--detailed-exitcode"}},
		{"apply-converged", func() {}, []string{"apply", "--yes"}},
		{"first-apply", l.reset, []string{"apply", "--yes"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			l.b = b
			for b.Loop() {
				l.compare(c.prepare, with(now, c.args...), with(before, c.args...))
			}
		})
	}
}
