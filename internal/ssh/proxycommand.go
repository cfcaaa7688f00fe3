package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// proxyStderrLimit is how much of what a ProxyCommand says is kept for an error message.
const proxyStderrLimit = 4 << 10

// dialCommand starts a ProxyCommand as ssh does: "exec COMMAND" by the user's shell. Its standard input and output are the
// connection.
func dialCommand(ctx context.Context, command string) (*commandConn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	shell := os.Getenv("SHELL")
	if shell == "" {
		shell = "/bin/sh"
	}
	cmd := exec.Command(shell, "-c", "exec "+command)
	c := &commandConn{cmd: cmd, command: command}
	cmd.Stderr = &c.stderr
	inRead, inWrite, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	outRead, outWrite, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, inRead.Close(), inWrite.Close())
	}
	cmd.Stdin, cmd.Stdout = inRead, outWrite
	cmd.WaitDelay = time.Second // a child of it may hold its stderr open
	ownGroup(cmd)
	err = cmd.Start()
	_, _ = inRead.Close(), outWrite.Close()
	if err != nil {
		return nil, errors.Join(err, inWrite.Close(), outRead.Close())
	}
	c.in, c.out = inWrite, outRead
	return c, nil
}

// A commandConn is a connection through a process. Deadlines work as those of a pipe.
type commandConn struct {
	cmd     *exec.Cmd
	command string
	in, out *os.File
	stderr  tail
	once    sync.Once
	err     error // of Close
}

func (c *commandConn) Read(b []byte) (int, error)  { return c.out.Read(b) }
func (c *commandConn) Write(b []byte) (int, error) { return c.in.Write(b) }

// Close ends the command, and all of its process group.
func (c *commandConn) Close() error {
	c.once.Do(func() {
		c.err = errors.Join(c.in.Close(), c.out.Close())
		killGroup(c.cmd)
		_ = c.cmd.Wait() // killed: its status says nothing
	})
	return c.err
}

func (c *commandConn) LocalAddr() net.Addr  { return proxyAddr(c.command) }
func (c *commandConn) RemoteAddr() net.Addr { return proxyAddr(c.command) }

func (c *commandConn) SetDeadline(t time.Time) error {
	return errors.Join(c.in.SetDeadline(t), c.out.SetDeadline(t))
}
func (c *commandConn) SetReadDeadline(t time.Time) error  { return c.out.SetReadDeadline(t) }
func (c *commandConn) SetWriteDeadline(t time.Time) error { return c.in.SetWriteDeadline(t) }

// explain adds what the command said to an error of the connection.
func (c *commandConn) explain(err error) error {
	_ = c.Close() // it says no more then
	if said := strings.TrimSpace(c.stderr.String()); said != "" {
		return fmt.Errorf("%w; ProxyCommand %q said: %s", err, c.command, said)
	}
	return fmt.Errorf("%w; ProxyCommand %q ended without a word", err, c.command)
}

// proxyAddr is the address of a connection that only its command knows.
type proxyAddr string

func (proxyAddr) Network() string  { return "proxycommand" }
func (a proxyAddr) String() string { return string(a) }

// A tail keeps the last of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

var _ io.Writer = (*tail)(nil)

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf.Write(b)
	if extra := t.buf.Len() - proxyStderrLimit; extra > 0 {
		t.buf.Next(extra)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}
