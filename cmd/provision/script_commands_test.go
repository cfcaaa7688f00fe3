package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/creack/pty"
	"github.com/rogpeppe/go-internal/testscript"

	"provision/internal/event"
	"provision/internal/sandbox"
	"provision/internal/ssh"
)

// sandbox starts one that lasts as long as the script. Playbooks reach it by the variables port, identity and
// known_hosts, as root.
func startSandbox(ts *testscript.TestScript, _ bool, _ []string) {
	box, err := sandbox.Start(context.Background(), sandbox.Options{})
	ts.Check(err)
	ts.Defer(func() {
		if err := box.Close(); err != nil {
			ts.Logf("the sandbox: %v", err)
		}
	})
	set(ts, "", box.Port, box.IdentityFile, box.KnownHostsFile)
}

// insandbox SCRIPT runs sh in the sandbox that the command sandbox started; it has to succeed, or with ! to fail.
func inSandbox(ts *testscript.TestScript, neg bool, args []string) {
	port, err := strconv.Atoi(ts.Getenv("PROVISION_VAR_port"))
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client, err := ssh.Dial(ctx, ssh.Target{
		Name: "sandbox", Address: "127.0.0.1", Port: port, User: "root", AgentSocket: "none", IdentitiesOnly: true,
		IdentityFiles: []string{ts.Getenv("PROVISION_VAR_identity")}, KnownHostsFiles: []string{ts.Getenv("PROVISION_VAR_known_hosts")},
	})
	ts.Check(err)
	defer client.Close()
	p, err := client.Start(ctx, strings.Join(args, " "))
	ts.Check(err)
	p.Stdin.Close()
	var stdout, stderr bytes.Buffer
	var reading sync.WaitGroup
	reading.Go(func() { _, _ = stderr.ReadFrom(p.Stderr) })
	_, err = stdout.ReadFrom(p.Stdout)
	ts.Check(err)
	reading.Wait()
	status, err := p.Wait()
	ts.Check(err)
	fmt.Fprint(ts.Stdout(), stdout.String())
	fmt.Fprint(ts.Stderr(), stderr.String())
	if (status == 0) == neg {
		ts.Fatalf("%s: status %d\n%s%s", args, status, &stdout, &stderr)
	}
}

// interrupt STATUS PATTERN... -- COMMAND... runs a command, interrupts it each time that its output has come to match
// the next pattern, and waits until it ends with the status.
func interrupt(ts *testscript.TestScript, neg bool, args []string) {
	var patterns []*regexp.Regexp
	at := 1
	for ; at < len(args) && args[at] != "--"; at++ {
		patterns = append(patterns, regexp.MustCompile(args[at]))
	}
	if neg || at+1 >= len(args) || len(patterns) == 0 {
		ts.Fatalf("usage: interrupt STATUS PATTERN... -- COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	output := &watched{grown: make(chan struct{}, 1)}
	cmd := exec.Command(args[at+1], args[at+2:]...)
	cmd.Dir, cmd.Env = ts.MkAbs("."), environ(ts)
	cmd.Stdout, cmd.Stderr = output, output
	ts.Check(cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	patience := time.After(2 * time.Minute)
	for len(patterns) > 0 {
		if patterns[0].MatchString(output.String()) {
			ts.Check(cmd.Process.Signal(os.Interrupt))
			patterns = patterns[1:]
			continue
		}
		select {
		case <-output.grown:
		case <-ended:
			ts.Fatalf("it ended by itself before it printed %s:\n%s", patterns[0], output)
		case <-patience:
			_ = cmd.Process.Kill()
			ts.Fatalf("it never printed %s:\n%s", patterns[0], output)
		}
	}
	select {
	case <-ended:
	case <-patience:
		_ = cmd.Process.Kill()
		ts.Fatalf("it never ended:\n%s", output)
	}
	fmt.Fprint(ts.Stdout(), output.String())
	if got := cmd.ProcessState.ExitCode(); got != want {
		ts.Fatalf("exit status %d, want %d:\n%s", got, want, output)
	}
}

// environ is what the commands of a script have in their environment.
func environ(ts *testscript.TestScript) []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "WORK", "TMPDIR", "GORACE", "TERM", "LANG", "NO_COLOR", "PROVISION_VAR_port", "PROVISION_VAR_identity", "PROVISION_VAR_known_hosts"} {
		if v := ts.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// watched is output that tells when there is more of it.
type watched struct {
	mu    sync.Mutex
	text  bytes.Buffer
	grown chan struct{}
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case w.grown <- struct{}{}:
	default:
	}
	return w.text.Write(p)
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// eventlines FILE checks that a file, or stdout, is one whole stream of events and nothing else.
func eventLines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: eventlines FILE")
	}
	text := ts.ReadFile(args[0])
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i, line := range lines {
		var e event.Event
		decoder := json.NewDecoder(strings.NewReader(line))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&e); err != nil {
			ts.Fatalf("line %d is no event: %v\n%s", i+1, err, line)
		}
		if (e.RunStart != nil) != (i == 0) || (e.RunEnd != nil) != (i == len(lines)-1) {
			ts.Fatalf("line %d of %d is %s", i+1, len(lines), e.Type)
		}
		if e.RunStart != nil && e.RunStart.Schema != event.Schema {
			ts.Fatalf("the schema is %d", e.RunStart.Schema)
		}
	}
}

// closedport sets CLOSED_PORT to a port of 127.0.0.1 on which nobody listens.
func closedPort(ts *testscript.TestScript, _ bool, _ []string) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	ts.Check(err)
	_, port, err := net.SplitHostPort(l.Addr().String())
	ts.Check(err)
	ts.Check(l.Close())
	ts.Setenv("CLOSED_PORT", port)
	ts.Setenv("PROVISION_VAR_closed_port", port)
}

// noescapes FILE... checks that nothing in them steers a terminal.
func noEscapes(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		if text := ts.ReadFile(name); strings.ContainsAny(text, "\x1b\r") == !neg {
			ts.Fatalf("%s: %q", filepath.Base(name), text)
		}
	}
}

// terminal COLUMNS COMMAND... runs a command on a terminal of that width and 24 lines. It has to succeed; what the
// terminal got becomes its stdout.
func onTerminal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: terminal COLUMNS COMMAND...")
	}
	columns, err := strconv.ParseUint(args[0], 10, 16)
	ts.Check(err)
	cmd := exec.Command(args[1], args[2:]...)
	cmd.Dir, cmd.Env = ts.MkAbs("."), environ(ts)
	terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: uint16(columns)})
	ts.Check(err)
	defer terminal.Close()
	var text bytes.Buffer
	_, err = text.ReadFrom(terminal)
	if err != nil && !errors.Is(err, syscall.EIO) { // which is how Linux ends a terminal that nobody holds any more
		ts.Fatalf("%v", err)
	}
	fmt.Fprint(ts.Stdout(), text.String())
	if err := cmd.Wait(); err != nil {
		ts.Fatalf("%v\n%s", err, &text)
	}
}
