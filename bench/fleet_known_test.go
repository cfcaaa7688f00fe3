package bench

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// BenchmarkFleetKnown is the plan of BenchmarkFleetCommand with 5,000 hosts in ssh_config and 20,000 lines in known_hosts, half of them
// hashed and half of the fleet's among these, against the plan that knows the fleet alone.
func BenchmarkFleetKnown(b *testing.B) {
	f := newFleet(b, number("HOSTS", 1000), recorded, RoundTrip)
	site, binary := f.playbook(b), build(b)
	small, err := os.ReadFile(f.Known)
	if err != nil {
		b.Fatal(err)
	}
	write(b, f.Known+".large", largeKnownHosts(b, string(small)))
	homes := map[bool]string{false: filepath.Join(f.dir, "small"), true: filepath.Join(f.dir, "large")}
	for large, home := range homes {
		if err := os.MkdirAll(filepath.Join(home, ".ssh"), 0o700); err != nil {
			b.Fatal(err)
		}
		config := ""
		if large {
			config = largeConfig()
		}
		write(b, filepath.Join(home, ".ssh/config"), config)
	}
	peak, processor := map[bool]int64{}, map[bool]time.Duration{}
	plan := func(large bool) {
		text := string(small)
		if large {
			text = read(b, f.Known+".large")
		}
		write(b, f.Known, text)
		cmd := fleetCommand(binary, "plan", site)
		cmd.Env = append(cmd.Env, "HOME="+homes[large])
		run(b, cmd)
		peak[large] = max(peak[large], cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)
		processor[large] += cmd.ProcessState.UserTime()
	}
	for b.Loop() {
		f.compare(b, func() { plan(true) }, func() { plan(false) })
		b.ReportMetric(float64((peak[true]-peak[false])>>10), "more-MiB")
		b.ReportMetric(float64(processor[true])/float64(processor[false]), "processor-ratio")
	}
}

func run(b *testing.B, cmd *exec.Cmd) {
	b.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
}

func read(b *testing.B, file string) string {
	b.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		b.Fatal(err)
	}
	return string(text)
}

// largeKnownHosts adds lines up to 20,000, and hashes the names of every second one.
func largeKnownHosts(b *testing.B, fleet string) string {
	b.Helper()
	lines := strings.Split(strings.TrimSpace(fleet), "\n")
	_, key, _ := strings.Cut(lines[0], " ")
	for i := len(lines); i < 20000; i++ {
		lines = append(lines, fmt.Sprintf("host%d.example.test %s", i, key))
	}
	for i := 0; i < len(lines); i += 2 {
		name, key, _ := strings.Cut(lines[i], " ")
		salt := make([]byte, sha1.Size)
		if _, err := rand.Read(salt); err != nil {
			b.Fatal(err)
		}
		mac := hmac.New(sha1.New, salt)
		mac.Write([]byte(name))
		text := base64.StdEncoding.EncodeToString
		lines[i] = fmt.Sprintf("|1|%s|%s %s", text(salt), text(mac.Sum(nil)), key)
	}
	return strings.Join(lines, "\n") + "\n"
}

// largeConfig has 5,000 hosts, the last of which is everyone.
func largeConfig() string {
	var text strings.Builder
	for i := range 4999 {
		fmt.Fprintf(&text, "Host host%d\n  HostName host%d.example.test\n  User deploy\n  IdentityFile ~/.ssh/id_%d\n", i, i, i%10)
	}
	text.WriteString("Host *\n  ServerAliveInterval 30\n")
	return text.String()
}
