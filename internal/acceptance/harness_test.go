//go:build acceptance

package acceptance

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"provision/internal/event"
	"provision/internal/testhost"
)

// A book is a playbook for one host, in a directory of its own, as a user has it.
type book struct {
	t    *testing.T
	host *testhost.Host
	dir  string
	port int // of sshd, or of a proxy before it
	head string
}

// newBook writes a playbook of steps for a host. A login user that is not root becomes root in every step.
func newBook(t *testing.T, h *testhost.Host, steps string) *book {
	t.Helper()
	b := &book{t: t, host: h, dir: t.TempDir(), port: h.Port}
	if h.User != "root" {
		b.head = "  become = true\n"
	}
	b.steps(steps)
	return b
}

// with adds settings to the block of the host and writes it anew.
func (b *book) with(settings string) *book {
	b.head += settings + "\n"
	b.hosts()
	return b
}

// through reaches the host by another port of this machine.
func (b *book) through(port int) *book {
	b.t.Helper()
	known, err := os.ReadFile(b.host.KnownHostsFile)
	if err != nil {
		b.t.Fatal(err)
	}
	moved := strings.ReplaceAll(string(known), fmt.Sprintf("]:%d ", b.host.Port), fmt.Sprintf("]:%d ", port))
	b.write("known_hosts", moved)
	b.port = port
	b.hosts()
	return b
}

// steps replaces the steps.
func (b *book) steps(text string) {
	b.t.Helper()
	b.hosts()
	b.write("steps.hcl", text)
}

func (b *book) hosts() {
	b.t.Helper()
	known := b.host.KnownHostsFile
	if b.port != b.host.Port {
		known = b.path("known_hosts")
	}
	b.write("hosts.hcl", fmt.Sprintf("host \"h\" {\n  address = %q\n  port = %d\n  user = %q\n  identity_file = %q\n  known_hosts_file = %q\n%s}\n",
		b.host.Addr, b.port, b.host.User, b.host.KeyFile, known, b.head))
}

func (b *book) path(name string) string { return filepath.Join(b.dir, name) }

func (b *book) write(name, text string) {
	b.t.Helper()
	if err := os.MkdirAll(filepath.Dir(b.path(name)), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(b.path(name), []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// A process is a command that runs.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	done chan struct{}

	mu     sync.Mutex
	grew   *sync.Cond
	ended  bool
	out    outcome
	stderr bytes.Buffer
}

// command prepares the binary with an environment without this machine's keys and settings.
func (b *book) command(args ...string) *exec.Cmd {
	b.t.Helper()
	path, err := binary()
	if err != nil {
		b.t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = b.dir
	cmd.Env = []string{"HOME=" + b.dir, "PATH=" + os.Getenv("PATH"), "USER=tester", "TERM=dumb"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// start starts the binary with --json.
func (b *book) start(args ...string) *process {
	b.t.Helper()
	p := &process{t: b.t, cmd: b.command(append(args, "--json")...), done: make(chan struct{})}
	p.grew = sync.NewCond(&p.mu)
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	p.cmd.Stderr = &p.stderr
	if err := p.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	go p.read(stdout)
	b.t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
	})
	return p
}

func (p *process) read(stdout io.Reader) {
	lines := bufio.NewReader(stdout)
	var text strings.Builder
	for {
		line, err := lines.ReadString('\n')
		text.WriteString(line)
		var e event.Event
		if json.Unmarshal([]byte(line), &e) == nil {
			p.mu.Lock()
			p.out.events = append(p.out.events, e)
			p.grew.Broadcast()
			p.mu.Unlock()
		}
		if err != nil {
			break
		}
	}
	err := p.cmd.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.stderr.WriteString(err.Error())
	}
	p.out.exit, p.out.stdout, p.out.stderr = p.cmd.ProcessState.ExitCode(), text.String(), p.stderr.String()
	p.ended = true
	p.grew.Broadcast()
	close(p.done)
}

// await blocks until an event fulfils the condition; the end of the process without one fails the test.
func (p *process) await(what string, is func(event.Event) bool) event.Event {
	p.t.Helper()
	impatient := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
	defer impatient.Stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	for seen := 0; ; {
		for ; seen < len(p.out.events); seen++ {
			if is(p.out.events[seen]) {
				return p.out.events[seen]
			}
		}
		if p.ended {
			p.t.Fatalf("the command ended before %s\n%s", what, p.out.dump())
		}
		p.grew.Wait()
	}
}

// awaitOutput blocks until a step has printed a text.
func (p *process) awaitOutput(text string) {
	p.t.Helper()
	p.await("a step printed "+text, func(e event.Event) bool {
		return e.StepOutput != nil && strings.Contains(e.StepOutput.Text, text)
	})
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// patience bounds what must end by itself. It is for a machine that is busy with much else.
const patience = 4 * time.Minute

func (p *process) wait() outcome {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatalf("the command does not end\n%s", p.dump())
	}
	return p.out
}

func (p *process) dump() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.dump()
}

func (b *book) run(args ...string) outcome {
	b.t.Helper()
	return b.start(args...).wait()
}

func (b *book) plan(args ...string) outcome {
	b.t.Helper()
	return b.run(append([]string{"plan", ".", "--detailed-exitcode"}, args...)...)
}

func (b *book) startApply(args ...string) *process {
	b.t.Helper()
	return b.start(append([]string{"apply", ".", "--yes"}, args...)...)
}

func (b *book) apply(args ...string) outcome {
	b.t.Helper()
	return b.startApply(args...).wait()
}

// applied applies and fails the test if that fails.
func (b *book) applied(args ...string) outcome {
	b.t.Helper()
	o := b.apply(args...)
	if o.exit != 0 {
		b.t.Fatalf("apply: exit %d\n%s", o.exit, o.dump())
	}
	return o
}

// converged fails the test if a plan finds anything to do.
func (b *book) converged() {
	b.t.Helper()
	if o := b.plan(); o.exit != 0 {
		b.t.Fatalf("plan after apply: exit %d, want 0 for an empty one; changes: %v\n%s", o.exit, o.changes(), o.dump())
	}
}

// takesTurn skips the test unless name is the first of these, the core of every run, or the one whose turn it is today, UTC. With
// PROVISION_TEST_HOSTS=all all of them take theirs.
func takesTurn(t *testing.T, name string, all ...string) {
	t.Helper()
	today := int(time.Now().Unix() / (24 * 60 * 60))
	if name == all[0] || name == all[1+today%(len(all)-1)] || os.Getenv("PROVISION_TEST_HOSTS") == "all" {
		return
	}
	t.Skipf("%s has its turn on another day; PROVISION_TEST_HOSTS=all gives it one now", name)
}
