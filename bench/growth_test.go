package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"provision/internal/ssh/sshd"
	"provision/internal/ssh/sshtest"
)

// nobody is who the host of BenchmarkGrowth lets in, so that it keeps its state in a home directory of its own.
const nobody = 65534

// BenchmarkGrowth plans and applies playbooks of 100 and 1,000 files (GROWTH_STEPS sets the larger number) and reports the ratio of
// each pair: a plan of ten times the steps may take eleven times as long. GROWTH_SHELLS names the shells.
func BenchmarkGrowth(b *testing.B) {
	binary, large := build(b), number("GROWTH_STEPS", 1000)
	shells := strings.Fields(os.Getenv("GROWTH_SHELLS"))
	if len(shells) == 0 {
		shells = []string{"dash", "bash", "busybox sh"}
	}
	for _, shell := range shells {
		b.Run(strings.ReplaceAll(shell, " ", "_"), func(b *testing.B) {
			for range b.N {
				small, big := growth(b, binary, shell, 100), growth(b, binary, shell, large)
				for i, what := range []string{"plan-fresh", "apply-fresh", "plan", "apply"} {
					b.ReportMetric(float64(small[i].Milliseconds()), what+"-100-ms")
					b.ReportMetric(float64(big[i].Milliseconds()), fmt.Sprintf("%s-%d-ms", what, large))
					b.ReportMetric(float64(big[i])/float64(small[i]), what+"-ratio")
				}
			}
		})
	}
}

// growth is how long a plan and an apply of so many files take on a fresh host, and then on the same, converged.
func growth(b *testing.B, binary, shell string, files int) [4]time.Duration {
	b.Helper()
	home, err := os.MkdirTemp("", "provision-growth-")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(home) })
	root := os.Getuid() == 0
	if root {
		if err := os.Chown(home, nobody, nobody); err != nil {
			b.Fatal(err)
		}
	}
	server := sshtest.NewServer(b, func(c *sshd.Config) {
		c.Exec = sshd.RunProcess(func(*sshd.Session) *exec.Cmd {
			words := strings.Fields(shell)
			cmd := exec.Command(words[0], words[1:]...)
			cmd.Dir, cmd.Env = home, []string{"HOME=" + home, "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
			if root {
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
			}
			return cmd
		})
	})
	dir := b.TempDir()
	var text strings.Builder
	fmt.Fprintf(&text, "host \"web1\" {\n  address = \"127.0.0.1\"\n  port = %d\n  user = \"tester\"\n  identity_file = %q\n  known_hosts_file = %q\n}\n", server.Port, server.Identity, server.KnownHosts)
	for i := range files {
		fmt.Fprintf(&text, "step \"file\" \"f%d\" {\n  path = \"%s/f%d\"\n  content = \"content %d\\n\"\n  mode = \"0644\"\n}\n", i, home, i, i)
	}
	if err := os.WriteFile(filepath.Join(dir, "main.hcl"), []byte(text.String()), 0o644); err != nil {
		b.Fatal(err)
	}
	var took [4]time.Duration
	for i, command := range []string{"plan", "apply", "plan", "apply"} {
		argv := []string{command, dir}
		if command == "apply" {
			argv = append(argv, "--yes")
		}
		cmd := exec.Command(binary, argv...)
		cmd.Dir = dir
		began := time.Now()
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%s of %d files: %v\n%s", command, files, err, out[max(0, len(out)-2000):])
		}
		took[i] = time.Since(began)
	}
	return took
}
