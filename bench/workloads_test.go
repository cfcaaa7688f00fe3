package bench

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"provision/internal/ssh/sshtest"
	"provision/internal/testhost"
)

// BenchmarkWorkloads takes each playbook of testdata/workloads beside a script that does the same by hand, and prints a table: times at
// both distances, and what passes over the link and is done on the host. ROUNDS says how often each pair is timed. What is counted
// (bytes, processes) does not depend on how busy the machine is; of a pair that is timed alternately, only the ratio is worth much.
func BenchmarkWorkloads(b *testing.B) {
	for _, name := range list("WORKLOADS", "files,accounts,release") {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				newWorkload(b, name).table()
			}
		})
	}
}

// A workload is a playbook with the script by hand, on a host behind a proxy.
type workload struct {
	*link
	proxy  *sshtest.Proxy
	script string // path
	reset  string
	rows   []string
}

func newWorkload(b *testing.B, name string) *workload {
	b.Helper()
	from := filepath.Join("testdata", "workloads", name)
	host := testhost.Fresh(b, testhost.AsAdmin())
	proxy := sshtest.NewProxy(b, net.JoinHostPort(host.Addr, strconv.Itoa(host.Port)), 0)
	w := &workload{proxy: proxy, link: &link{b: b, host: host, dir: b.TempDir(), port: proxy.Port, rounds: number("ROUNDS", 5), binary: build(b)}}
	w.known = filepath.Join(b.TempDir(), "known_hosts")
	w.pin()
	content(b, filepath.Join(w.dir, "content"))
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			b.Fatal(err)
		}
		return string(text)
	}
	write(b, filepath.Join(w.dir, "main.hcl"), read("main.hcl"))
	write(b, filepath.Join(w.dir, "hosts.hcl"), fmt.Sprintf("host \"web1\" {\n  address = \"127.0.0.1\"\n  port = %d\n  user = %q\n  identity_file = %q\n  known_hosts_file = %q\n  become = true\n}\n",
		w.port, host.User, host.KeyFile, w.known))
	w.reset = read("reset.sh")
	w.script = filepath.Join(b.TempDir(), "script.sh")
	write(b, w.script, expanded(b, read("script.sh"), w.dir))
	return w
}

// content makes the files of the control machine: configuration of random values, a tree of code, and an archive.
func content(b *testing.B, dir string) {
	b.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	text := func(n int) string {
		var out strings.Builder
		for out.Len() < n {
			fmt.Fprintf(&out, "option_%d = value %x\n", random.IntN(100), random.Uint32())
		}
		return out.String()[:n-1] + "\n"
	}
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		write(b, filepath.Join(dir, name+".conf"), text(400))
	}
	write(b, filepath.Join(dir, "large.conf"), text(64<<10))
	write(b, filepath.Join(dir, "settings.conf"), text(2000))
	for i := range 40 {
		write(b, filepath.Join(dir, "code", fmt.Sprintf("part%d", i%4), fmt.Sprintf("module%d.txt", i)), text(3000))
		write(b, filepath.Join(dir, "vendor", "lib", fmt.Sprintf("%d.txt", i)), text(10000))
	}
	write(b, filepath.Join(dir, "vendor.tar.gz"), packed(b, filepath.Join(dir, "vendor")))
}

// packed is a directory as a compressed archive.
func packed(b *testing.B, dir string) string {
	b.Helper()
	var out bytes.Buffer
	compress := gzip.NewWriter(&out)
	archive := tar.NewWriter(compress)
	if err := archive.AddFS(os.DirFS(dir)); err != nil {
		b.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		b.Fatal(err)
	}
	if err := compress.Close(); err != nil {
		b.Fatal(err)
	}
	return out.String()
}

// expanded puts contents into a script by hand, as its author would.
func expanded(b *testing.B, script, dir string) string {
	b.Helper()
	var out strings.Builder
	for _, line := range strings.Split(strings.TrimRight(script, "\n"), "\n") {
		what, ok := strings.CutPrefix(line, "@@")
		if !ok {
			out.WriteString(line + "\n")
			continue
		}
		how, name, _ := strings.Cut(strings.TrimSuffix(what, "@@"), " ")
		files, err := filepath.Glob(filepath.Join(dir, name))
		if err != nil || len(files) == 0 {
			b.Fatalf("%s: %v, %d files", line, err, len(files))
		}
		for _, file := range files {
			text := ""
			if how != "tree" {
				content, err := os.ReadFile(file)
				if err != nil {
					b.Fatal(err)
				}
				text = string(content)
			}
			switch how {
			case "tree":
				text = base64.StdEncoding.EncodeToString([]byte(packed(b, file))) + "\n"
			case "base64":
				text = base64.StdEncoding.EncodeToString([]byte(text)) + "\n"
			case "each":
				text = "put /srv/site/conf/" + filepath.Base(file) + " 0640 <<'END'\n" + text + "END\n"
			}
			out.WriteString(text)
		}
	}
	return out.String()
}

// spent is what a command has cost beside its time.
type spent struct {
	bytes     int64
	processes int
	cpu       time.Duration
}

// counted runs a command and counts what it costs. It waits until the host is done with what it was told last.
func (w *workload) counted(cmd *exec.Cmd) spent {
	w.b.Helper()
	// What a process has used is added to what its parent's children have used, once it has ended: nothing is lost from the sum.
	const look = `cat /proc/sys/kernel/ns_last_pid; cat /proc/[0-9]*/stat 2>/dev/null | sed 's/.*) //' | awk '{ n += $12 + $13 + $14 + $15 } END { print n }'`
	numbers := func() (processes int, cpu time.Duration) {
		time.Sleep(1500 * time.Millisecond)
		var ticks int64
		if _, err := fmt.Sscan(w.host.Run(w.b, look), &processes, &ticks); err != nil {
			w.b.Fatal(err)
		}
		return processes, time.Duration(ticks) * 10 * time.Millisecond
	}
	processes, cpu := numbers()
	up, _ := w.proxy.Bytes()
	w.must(cmd)
	after, _ := w.proxy.Bytes()
	more, then := numbers()
	return spent{after - up, more - processes, then - cpu}
}

// middle times two commands alternately and returns the medians.
func (w *workload) middle(prepare func(), ours, theirs func() *exec.Cmd) (a, b time.Duration) {
	var times [2][]time.Duration
	for range w.rounds {
		for i, side := range []func() *exec.Cmd{ours, theirs} {
			prepare()
			cmd := side()
			start := time.Now()
			w.must(cmd)
			times[i] = append(times[i], time.Since(start))
		}
	}
	slices.Sort(times[0])
	slices.Sort(times[1])
	return times[0][w.rounds/2], times[1][w.rounds/2]
}

func (w *workload) row(what, unit string, ours, theirs, aim float64) {
	w.rows = append(w.rows, fmt.Sprintf("| %-32s | %9.5g %-3s | %9.5g %-3s | %5.2f | %4.4g |", what, ours, unit, theirs, unit, ours/theirs, aim))
}

// table measures and prints.
func (w *workload) table() {
	w.b.Helper()
	apply := func() *exec.Cmd { return w.provision("apply", "--yes") }
	plan := func() *exec.Cmd { return w.provision("plan", "--detailed-exitcode") }
	login := func() *exec.Cmd { return w.ssh("", "true") }
	byHand := func() *exec.Cmd { return w.ssh(w.script, "sudo", "sh") }
	fresh := func() { w.host.Run(w.b, w.reset) }
	seconds := func(what string, aim float64, prepare func(), ours, theirs func() *exec.Cmd) (a, b time.Duration) {
		a, b = w.middle(prepare, ours, theirs)
		w.row(what, "s", a.Seconds(), b.Seconds(), aim)
		return a, b
	}
	fresh()
	byScript := w.counted(byHand())
	fresh()
	first := w.counted(apply())
	converged := w.counted(plan())
	alone := w.counted(login())
	near, nearByHand := seconds("first apply, no distance", 1.1, fresh, apply, byHand)
	w.proxy.SetRoundTrip(RoundTrip)
	seconds("first apply, 50 ms", 1.1, fresh, apply, byHand)
	w.must(apply())
	seconds("plan, 50 ms", 1, func() {}, plan, login)
	seconds("apply with nothing to do, 50 ms", 1, func() {}, apply, login)
	w.proxy.SetRoundTrip(0)
	seconds("plan, no distance", 0.75, func() {}, plan, login)
	const far = 300 * time.Millisecond
	w.proxy.SetRoundTrip(far)
	distant, distantByHand := w.middle(fresh, apply, byHand)
	w.row("round trips, first apply", "", float64(distant-near)/float64(far), float64(distantByHand-nearByHand)/float64(far), 1.25)
	w.row("bytes to the host, first apply", "B", float64(first.bytes), float64(byScript.bytes), 1.5)
	w.row("processes of the host, first apply", "", float64(first.processes), float64(byScript.processes), 1.3)
	w.row("CPU of the host, first apply", "s", first.cpu.Seconds(), byScript.cpu.Seconds(), 1.3)
	w.row("processes of the host, plan", "", float64(converged.processes), float64(alone.processes), 1)
	w.row("bytes to the host, plan", "B", float64(converged.bytes), float64(alone.bytes), 1)
	fmt.Printf("\n%s, medians of %d\n| %-32s | %-13s | %-13s | ratio | aim  |\n| --- | --- | --- | --- | --- |\n%s\n\n", w.b.Name(), w.rounds, "what", "provision", "beside it", strings.Join(w.rows, "\n"))
	w.b.ReportMetric(0, "ns/op")
}
