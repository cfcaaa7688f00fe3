package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"provision/internal/shell/shelltest"
	"provision/internal/ssh/sshd"
	"provision/internal/ssh/sshtest"
)

// growthCommands are what BenchmarkGrowth times, in this order, on a host that is fresh at first.
var growthCommands = []string{"plan-fresh", "apply-fresh", "plan", "apply"}

// BenchmarkGrowth plans and applies playbooks of 100 and 1,000 steps and reports the ratio of each pair: ten times the steps may take
// eleven times as long. GROWTH_STEPS sets the larger number, GROWTH_SHELLS the shells, separated by commas, GROWTH_MIXES what the steps
// are, and ROUNDS how often each is measured; the shortest time counts, since other work of the machine only adds to it.
func BenchmarkGrowth(b *testing.B) {
	binary, large, rounds := build(b), number("GROWTH_STEPS", 1000), number("ROUNDS", 1)
	for _, shell := range list("GROWTH_SHELLS", "dash,bash,busybox sh,mksh,ksh93") {
		words := strings.Fields(shell)
		if _, err := exec.LookPath(words[0]); err != nil {
			b.Logf("NOT MEASURED: no %s on this machine", words[0])
			continue
		}
		if words[0] != "sh" && !shelltest.Everywhere() {
			b.Logf("programs run with /bin/sh, and only sessions with %s: to make it the shell of the host takes root and mount namespaces", shell)
		}
		for _, mix := range list("GROWTH_MIXES", "files,commands,mixed") {
			b.Run(strings.ReplaceAll(shell, " ", "_")+"/"+mix, func(b *testing.B) {
				for range b.N {
					var small, big [4]time.Duration
					for range rounds {
						small = shortest(small, growth(b, binary, words, mix, 100))
						big = shortest(big, growth(b, binary, words, mix, large))
					}
					for i, what := range growthCommands {
						b.ReportMetric(float64(small[i].Milliseconds()), what+"-100-ms")
						b.ReportMetric(float64(big[i].Milliseconds()), fmt.Sprintf("%s-%d-ms", what, large))
						b.ReportMetric(float64(big[i])/float64(small[i]), what+"-ratio")
					}
				}
			})
		}
	}
}

// list is what a variable of the environment lists, separated by commas.
func list(name, otherwise string) []string {
	if value := os.Getenv(name); value != "" {
		otherwise = value
	}
	return strings.Split(otherwise, ",")
}

// shortest takes the shorter of each two times; 0 is none.
func shortest(a, b [4]time.Duration) [4]time.Duration {
	for i := range a {
		if a[i] == 0 || b[i] < a[i] {
			a[i] = b[i]
		}
	}
	return a
}

// growth is how long a plan and an apply of so many steps take on a fresh host, and then on the same, converged.
func growth(b *testing.B, binary string, shell []string, mix string, steps int) [4]time.Duration {
	b.Helper()
	home, err := os.MkdirTemp("", "provision-growth-")
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(home)
	if os.Getuid() == 0 {
		if err := os.Chown(home, shelltest.Nobody, shelltest.Nobody); err != nil {
			b.Fatal(err)
		}
	}
	server := sshtest.NewServer(b, func(c *sshd.Config) {
		c.Exec = sshd.RunProcess(func(*sshd.Session) *exec.Cmd {
			cmd := shelltest.Command(shell...)
			cmd.Dir, cmd.Env = home, []string{"HOME=" + home, "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
			return cmd
		})
	})
	dir := b.TempDir()
	var text strings.Builder
	fmt.Fprintf(&text, "host \"web1\" {\n  address = \"127.0.0.1\"\n  port = %d\n  user = \"tester\"\n  identity_file = %q\n  known_hosts_file = %q\n}\n", server.Port, server.Identity, server.KnownHosts)
	for i := range steps {
		text.WriteString(growthStep(mix, i, fmt.Sprintf("%s/s%d", home, i)))
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
			b.Fatalf("%s of %d %s: %v\n%s", growthCommands[i], steps, mix, err, out[max(0, len(out)-2000):])
		}
		took[i] = time.Since(began)
	}
	return took
}

// growthStep is step i of a playbook that makes path; the steps of a mix are of five kinds.
func growthStep(mix string, i int, path string) string {
	kind := i % 5
	switch mix {
	case "files":
		kind = 0
	case "commands":
		kind = 1
	}
	switch kind {
	case 0:
		return fmt.Sprintf("step \"file\" \"s%d\" {\n  path = %q\n  content = \"content %d\\n\"\n  mode = \"0644\"\n}\n", i, path, i)
	case 1:
		return fmt.Sprintf("step \"command\" \"s%d\" {\n  script = \"echo %d >%s\"\n  creates = %q\n}\n", i, i, path, path)
	case 2:
		return fmt.Sprintf("step \"directory\" \"s%d\" {\n  path = %q\n  mode = \"0750\"\n}\n", i, path)
	case 3:
		return fmt.Sprintf("step \"symlink\" \"s%d\" {\n  path = %q\n  target = \"/etc/passwd\"\n}\n", i, path)
	}
	return fmt.Sprintf("step \"line\" \"s%d\" {\n  path = %q\n  line = \"line %d\"\n  create = true\n}\n", i, path, i)
}
