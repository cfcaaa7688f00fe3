package engine

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"provision/internal/event"
	"provision/internal/shell/shelltest"
	"provision/internal/steps"
	"provision/internal/steps/kinds"
)

// A localHost runs the engine's scripts with a shell of this machine: real sh, no SSH. It is not
// root even where the tests are, so that state goes to a home directory of its own.
type localHost struct {
	t     *testing.T
	shell []string
	home  string

	mu     sync.Mutex
	conns  []*localConn
	refuse bool
}

const testUID = shelltest.Nobody

func newLocalHost(t *testing.T, shell ...string) *localHost {
	if len(shell) == 0 {
		shell = []string{"/bin/sh"}
	}
	home, err := os.MkdirTemp("", "provision-home-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	if os.Getuid() == 0 {
		if err := os.Chown(home, testUID, testUID); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(home, 0o755); err != nil {
		t.Fatal(err)
	}
	return &localHost{t: t, shell: shell, home: home}
}

func (l *localHost) path(name string) string { return filepath.Join(l.home, name) }

func (l *localHost) read(name string) string {
	l.t.Helper()
	b, err := os.ReadFile(l.path(name))
	if err != nil {
		l.t.Fatal(err)
	}
	return string(b)
}

func (l *localHost) exists(name string) bool {
	_, err := os.Lstat(l.path(name))
	return err == nil
}

func (l *localHost) Dial(context.Context, string) (Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refuse {
		return nil, fmt.Errorf("%w: nothing is there", ErrUnreachable)
	}
	c := &localConn{host: l}
	l.conns = append(l.conns, c)
	return c, nil
}

// cut breaks every connection as a dropped link does: the shells of the sessions end, what they have
// detached lives.
func (l *localHost) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		c.cut()
	}
	l.conns = nil
}

type localConn struct {
	host *localHost
	mu   sync.Mutex
	cmds []*exec.Cmd
	lost bool
}

func (c *localConn) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost = true
	for _, cmd := range c.cmds {
		_ = cmd.Process.Kill()
	}
}

func (c *localConn) Start(_ context.Context, command string) (*Process, error) {
	if command != plainCommand {
		return nil, fmt.Errorf("unexpected command %q", command)
	}
	cmd := shelltest.Command(c.host.shell...)
	cmd.Env = []string{"HOME=" + c.host.home, "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.Dir = c.host.home
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	errR, errW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = outW, errW
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	outW.Close()
	errW.Close()
	c.mu.Lock()
	c.cmds = append(c.cmds, cmd)
	c.mu.Unlock()
	wait := sync.OnceValues(func() (int, error) {
		err := cmd.Wait()
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.lost {
			return 0, fmt.Errorf("link cut: %w", io.ErrUnexpectedEOF)
		}
		if cmd.ProcessState != nil {
			return cmd.ProcessState.ExitCode(), nil
		}
		return 0, err
	})
	return &Process{
		Stdin: stdin, Stdout: outR, Stderr: errR, Wait: wait,
		Close: func() error {
			stdin.Close()
			go func() {
				_, _ = wait()
				outR.Close()
				errR.Close()
			}()
			return nil
		},
	}, nil
}

func (c *localConn) Upload(_ context.Context, path string, mode os.FileMode, _ int64, r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, b, mode); err != nil {
		return err
	}
	return os.Chown(path, testUID, testUID)
}

func (c *localConn) Close() error { return nil }

// stepList is a StepSource of fixed steps.
type stepList []steps.Instance

func (s stepList) Steps(*steps.Facts, map[string]cty.Value) ([]steps.Instance, hcl.Diagnostics) {
	return s, nil
}

// step makes an instance of a kind from arguments given as cty values.
func step(t *testing.T, kind, name string, args map[string]cty.Value) steps.Instance {
	t.Helper()
	k := kinds.Find(kind)
	if k == nil {
		t.Fatalf("no kind %q", kind)
	}
	s, bound := k.New()
	for arg, value := range args {
		a := bound.Get(arg)
		if a == nil {
			t.Fatalf("%s has no argument %q", kind, arg)
		}
		if a.Origin == steps.File {
			a.SetFile(local(t, value.AsString()))
		} else if err := a.Set(value); err != nil {
			t.Fatalf("%s.%s: %v", kind, arg, err)
		}
	}
	if problems := s.Validate(); len(problems) > 0 {
		t.Fatalf("%s.%s: %v", kind, name, problems)
	}
	return steps.Instance{Addr: "step." + kind + "." + name, Kind: k, Step: s, Source: steps.Source{File: "test.hcl", Line: 1}}
}

// local is a file of the control machine as the playbook finds it.
func local(t *testing.T, path string) *steps.Local {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	l, err := steps.ReadLocal(path, file)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func str(s string) cty.Value { return cty.StringVal(s) }

// script is a command step with a script.
func script(t *testing.T, name, text string) steps.Instance {
	return step(t, "command", name, map[string]cty.Value{"script": str(text)})
}

// A recorder is a Sink that remembers.
type recorder struct {
	mu     sync.Mutex
	events []event.Event
	notify func(event.Event)
}

func (r *recorder) Event(e event.Event) {
	r.mu.Lock()
	r.events = append(r.events, e)
	notify := r.notify
	r.mu.Unlock()
	if notify != nil {
		notify(e)
	}
}

// verdicts lists how each step ended, as "step.kind.name status".
func (r *recorder) verdicts() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []string
	for _, e := range r.events {
		if e.StepEnd != nil {
			list = append(list, e.StepEnd.Addr+" "+string(e.StepEnd.Status))
		}
	}
	return list
}

func (r *recorder) ends() map[string]*event.StepEnd {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := map[string]*event.StepEnd{}
	for _, e := range r.events {
		if e.StepEnd != nil {
			m[e.StepEnd.Addr] = e.StepEnd
		}
	}
	return m
}

func (r *recorder) dump() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	for _, e := range r.events {
		fmt.Fprintf(&b, "%s", e.Type)
		switch {
		case e.HostEnd != nil:
			fmt.Fprintf(&b, " %+v", *e.HostEnd)
		case e.StepEnd != nil:
			fmt.Fprintf(&b, " %+v %+v", *e.StepEnd, e.StepEnd.Error)
		case e.StepOutput != nil:
			fmt.Fprintf(&b, " %+v", *e.StepOutput)
		case e.HostUnreachable != nil:
			fmt.Fprintf(&b, " %+v", *e.HostUnreachable)
		case e.HostRetry != nil:
			fmt.Fprintf(&b, " %+v", *e.HostRetry)
		case e.Warning != nil:
			fmt.Fprintf(&b, " %+v", *e.Warning)
		case e.PlanStep != nil:
			fmt.Fprintf(&b, " %s %s %s", e.PlanStep.Addr, e.PlanStep.Action, e.PlanStep.Reason)
			if e.PlanStep.Error != nil {
				fmt.Fprintf(&b, " %+v", *e.PlanStep.Error)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// newRun is a run over one local host.
func newRun(host *localHost, rec *recorder, source StepSource) *Run {
	return &Run{
		ID: NewID(timeNow()), Owner: "test@here", Command: event.CommandApply, Salt: NewSalt(), Parallel: 1, Dialer: host, Sink: rec,
		Hosts: []Host{{Name: "web1", User: "root", Source: source}}, Reconnect: reconnectForTests,
	}
}

// applied plans and applies, and returns the exit status and what happened.
func applied(t *testing.T, host *localHost, source StepSource) (int, *recorder) {
	t.Helper()
	rec := &recorder{}
	run := newRun(host, rec, source)
	if s := run.Plan(t.Context()); !s.Failed {
		run.Apply(t.Context())
	}
	return run.Close(), rec
}

// let says whether the host can be reached from now on.
func (l *localHost) let(reach bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refuse = !reach
}
