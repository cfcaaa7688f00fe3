//go:build acceptance

package acceptance

import (
	"bytes"
	"errors"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"provision/internal/testhost"
)

// ran runs provision run and returns its exit status and all that it printed.
func (b *book) ran(input string, args ...string) (int, string) {
	b.t.Helper()
	cmd := b.command(append([]string{"run"}, args...)...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		b.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// TestRunBecomes covers what stands between the login and the command: the login shell and its noise, sudo with and without a
// password, su, another user, few sessions.
func TestRunBecomes(t *testing.T) {
	t.Parallel()
	hosts := map[string]struct {
		options  []testhost.Option
		settings func(*testhost.Host) string
	}{
		"sudo":                                 {options: []testhost.Option{testhost.AsAdmin()}},
		"sudo, fish, noise, one session":       {options: []testhost.Option{testhost.AsAdmin(), testhost.FishLogin(), testhost.NoisyShell(), testhost.MaxSessions1()}},
		"sudo, tcsh, busybox, no SFTP, no tmp": {options: []testhost.Option{testhost.AsAdmin(), testhost.TcshLogin(), testhost.BusyboxSh(), testhost.NoSFTP(), testhost.NoexecTmp()}},
		"sudo with a password": {
			options:  []testhost.Option{testhost.AsAdminPassword()},
			settings: func(h *testhost.Host) string { return `become_password = "` + h.Password + `"` },
		},
		"su": {
			options: []testhost.Option{testhost.AsAdminSu()},
			settings: func(h *testhost.Host) string {
				return "become_method = \"su\"\nbecome_password = \"" + h.Password + `"`
			},
		},
		"root": {},
	}
	for name, c := range hosts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := testhost.Fresh(t, c.options...)
			h.Run(t, "useradd -m bicycle")
			b := newBook(t, h, "")
			b.head = "" // the flags say who it runs as
			if c.settings != nil {
				b.with(c.settings(h))
			}
			b.hosts()
			whoami := []string{"sh", "-c", `echo "I am $(id -un) in $PWD"; echo "$1" >&2; cat`, "sh", "it's a \"$HOME\"\n*"}
			for user, flags := range map[string][]string{
				h.User: nil, "root": {"--become"}, "bicycle": {"--run-as", "bicycle"},
			} {
				for _, input := range []string{"", "first\nsecond\n"} {
					args := append([]string{}, flags...)
					if input != "" {
						args = append(args, "--stdin", "-")
					}
					exit, out := b.ran(input, append(append(args, "."), append([]string{"--"}, whoami...)...)...)
					want := []string{"    I am " + user + " in ", `stderr | it's a "$HOME"`, "stderr | *"}
					if input != "" {
						want = append(want, "    first\n    second\n")
					}
					if user == "bicycle" {
						want = append(want, " in /home/bicycle\n")
					}
					for _, text := range want {
						if !strings.Contains(out, text) {
							t.Errorf("as %s with input %q: no %q in\n%s", user, input, text, out)
						}
					}
					if exit != 0 {
						t.Errorf("as %s: exit %d\n%s", user, exit, out)
					}
				}
				b.killed(user, flags)
			}
			if h.User == "root" {
				return
			}
			b.with("become = true")
			if exit, out := b.ran("", ".", "--", "id", "-un"); exit != 0 || !strings.Contains(out, "    root\n") {
				t.Errorf("with become set in the playbook: exit %d\n%s", exit, out)
			}
			if exit, out := b.ran("", "--become=false", ".", "--", "id", "-un"); exit != 0 || !strings.Contains(out, "    "+h.User+"\n") {
				t.Errorf("with --become=false: exit %d\n%s", exit, out)
			}
		})
	}
}

// killed interrupts a command twice and looks for what is left of it.
func (b *book) killed(user string, flags []string) {
	t, h := b.t, b.host
	t.Helper()
	h.Run(t, "rm -rf /tmp/begun; mkdir -m 777 /tmp/begun")
	args := append(append([]string{"run", "-v"}, flags...), ".", "--", "sh", "-c", "sleep 54321 & (sleep 54322 &); sleep 54323 & touch /tmp/begun/it; wait")
	cmd := b.command(args...)
	out := &grown{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, h, "it begins as "+user, "test -e /tmp/begun/it")
	for _, after := range []string{"run  started", "Waiting for the hosts"} {
		out.await(t, after)
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
	}
	_ = cmd.Wait()
	if exit := cmd.ProcessState.ExitCode(); exit != 130 {
		t.Errorf("as %s: exit %d\n%s", user, exit, out)
	}
	if left := h.Run(t, "ps -eo pid,ppid,user,args | grep '[s]leep 5432' || true"); left != "" {
		t.Errorf("as %s: still running:\n%s\n%s", user, left, out)
	}
}

// grown is output that is looked at while it grows.
type grown struct {
	mu   sync.Mutex
	cond *sync.Cond
	text bytes.Buffer
}

func (g *grown) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cond != nil {
		g.cond.Broadcast()
	}
	return g.text.Write(p)
}

func (g *grown) String() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.text.String()
}

// await waits for a text; the deadline of the test bounds it.
func (g *grown) await(t *testing.T, text string) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cond == nil {
		g.cond = sync.NewCond(&g.mu)
	}
	for !strings.Contains(g.text.String(), text) {
		g.cond.Wait()
	}
}
