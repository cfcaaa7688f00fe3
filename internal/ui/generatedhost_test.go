package ui

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"provision/internal/engine"
	"provision/internal/steps"
	"provision/internal/steps/kinds"
)

// shellHosts are hosts that are shells of this machine with homes of their own: what the engine sends is really run, without SSH.
// They are not root even where the tests are, so that their state is in their homes.
type shellHosts map[string]*shellHost

type shellHost struct {
	home   string
	refuse string // why it cannot be reached, "" if it can
	broken bool   // its shell does not understand what it is sent
}

const shellUID = 65534

// newShellHost makes a host with an empty home below dir.
func newShellHost(dir, name string) (*shellHost, error) {
	h := &shellHost{home: filepath.Join(dir, name)}
	if err := os.Mkdir(h.home, 0o755); err != nil {
		return nil, err
	}
	return h, h.own(h.home)
}

func (h *shellHost) path(name string) string { return filepath.Join(h.home, name) }

func (h *shellHost) own(path string) error {
	if os.Getuid() != 0 {
		return nil
	}
	return os.Lchown(path, shellUID, shellUID)
}

// lock makes the host's lock look as if this process held it.
func (h *shellHost) lock(owner string) error {
	dir := h.path(".provision/run")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return err
	}
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return err
	}
	_, fields, _ := strings.Cut(string(stat), ") ")
	text := fmt.Sprintf("%d %s %s %s\n", os.Getpid(), strings.Fields(fields)[19], strings.TrimSpace(string(boot)), owner)
	if err := os.WriteFile(filepath.Join(dir, "lock"), []byte(text), 0o600); err != nil {
		return err
	}
	for _, path := range []string{h.path(".provision"), dir, filepath.Join(dir, "lock")} {
		if err := h.own(path); err != nil {
			return err
		}
	}
	return nil
}

func (hosts shellHosts) Dial(_ context.Context, name string) (engine.Conn, error) {
	h := hosts[name]
	if h.refuse != "" {
		return nil, fmt.Errorf("%w: %s", engine.ErrUnreachable, h.refuse)
	}
	return shellConn{h}, nil
}

type shellConn struct{ host *shellHost }

func (c shellConn) Start(ctx context.Context, command string) (*engine.Process, error) {
	cmd := exec.Command("/bin/sh", "-c", command)
	if c.host.broken {
		cmd = exec.Command("/bin/sh", "-c", "echo broken-shell >&2; exit 3")
	}
	cmd.Env = []string{"HOME=" + c.host.home, "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.Dir = c.host.home
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: shellUID, Gid: shellUID}}
	}
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
	err = cmd.Start()
	outW.Close()
	errW.Close()
	if err != nil {
		return nil, err
	}
	wait := sync.OnceValues(func() (int, error) {
		_ = cmd.Wait()
		return cmd.ProcessState.ExitCode(), nil
	})
	return &engine.Process{Stdin: stdin, Stdout: outR, Stderr: errR, Wait: wait, Close: func() error {
		stdin.Close()
		_, _ = wait()
		return errorsJoinClose(outR, errR)
	}}, nil
}

func errorsJoinClose(files ...io.Closer) error {
	for _, f := range files {
		_ = f.Close()
	}
	return nil
}

func (c shellConn) Upload(_ context.Context, path string, mode os.FileMode, _ int64, r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, data, mode); err != nil {
		return err
	}
	return c.host.own(path)
}

func (shellConn) Close() error { return nil }

// A generatedStep is a step of a host: its instance, and, if it waits for another, how it comes out once that has run.
type generatedStep struct {
	steps.Instance
	known func(result cty.Value) steps.Step
	after string
}

// generatedSteps are a StepSource.
type generatedSteps []generatedStep

func (g generatedSteps) Steps(_ *steps.Facts, results map[string]cty.Value) ([]steps.Instance, hcl.Diagnostics) {
	var list []steps.Instance
	for _, s := range g {
		in := s.Instance
		if s.known != nil {
			in.Step, in.Waits = nil, []string{s.after}
			if result, yes := results[s.after]; yes {
				in.Step, in.Waits = s.known(result), nil
			}
		}
		list = append(list, in)
	}
	return list, nil
}

// newStep makes a step of a kind.
func newStep(kind string, args map[string]cty.Value) steps.Step {
	s, bound := kinds.Named(kind).New()
	for name, value := range args {
		if err := bound.Get(name).Set(value); err != nil {
			panic(kind + "." + name + ": " + err.Error())
		}
	}
	if problems := s.Validate(); len(problems) > 0 {
		panic(fmt.Sprint(kind, problems))
	}
	return s
}

func instance(kind, name string, line int, args map[string]cty.Value) steps.Instance {
	k := kinds.Named(kind)
	addr := kind + "." + name
	if k.Block == steps.StepBlock {
		addr = "step." + addr
	}
	return steps.Instance{
		Addr: addr, Kind: k, Step: newStep(kind, args),
		Source: steps.Source{File: "generated.hcl", Line: line, Text: strings.TrimPrefix(k.Title(), "command") + strconv.Quote(name) + " {"},
	}
}
