package sshd

import (
	"context"
	"io"
	"sync"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// A Session is one command or shell that a client asked for.
type Session struct {
	// User is who logged in.
	User string
	// Command is the text of the exec request; empty for a shell.
	Command string
	// Env holds what the client set, as "NAME=value".
	Env []string
	// Pty says that a terminal was asked for; Term and Window describe it.
	Pty    bool
	Term   string
	Window Window
	// Stdin ends when the client closes its side. Stdout and Stderr block while the client does not read, and fail
	// once it is gone.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// RemoteAddr and LocalAddr are the two ends of the connection.
	RemoteAddr, LocalAddr string
	// ExitSignal is set by a handler whose command was ended by a signal: the name without SIG, as in RFC 4254
	// section 6.10. The client is then told of the signal, and the status is not sent.
	ExitSignal string

	closed  chan struct{}
	signals chan string
	windows chan Window
}

// A Window is the size of a terminal in characters.
type Window struct{ Columns, Rows int }

// Closed is closed once the client has closed the channel or the connection is gone.
func (s *Session) Closed() <-chan struct{} { return s.closed }

// Signals delivers the signals that the client sends, by name without SIG. A signal that nobody awaits is forgotten.
func (s *Session) Signals() <-chan string { return s.signals }

// Windows delivers new sizes of the terminal. A size that nobody awaits is forgotten.
func (s *Session) Windows() <-chan Window { return s.windows }

// serveSession serves one session channel: requests until one starts a program, then that program.
func (c Config) serveSession(ctx context.Context, conn *ssh.ServerConn, nch ssh.NewChannel) {
	ch, requests, err := nch.Accept()
	if err != nil {
		return
	}
	s := &Session{
		User: conn.User(), Stdin: ch, Stdout: ch, Stderr: ch.Stderr(),
		RemoteAddr: conn.RemoteAddr().String(), LocalAddr: conn.LocalAddr().String(),
		closed: make(chan struct{}), signals: make(chan string, 8), windows: make(chan Window, 8),
	}
	var running sync.WaitGroup
	defer running.Wait()
	defer close(s.closed)

	started := false
	for r := range requests {
		if started {
			s.notify(r)
			continue
		}
		run := c.prepare(s, r)
		if run == nil {
			continue
		}
		started = true
		running.Go(func() {
			run(ctx, ch)
			_ = ch.Close()
		})
	}
}

// prepare handles one request before a program runs. It returns what runs the program where the request asks for one;
// a refused one closes the channel, as OpenSSH does.
func (c Config) prepare(s *Session, r *ssh.Request) func(context.Context, ssh.Channel) {
	switch r.Type {
	case "env":
		var env struct{ Name, Value string }
		ok := ssh.Unmarshal(r.Payload, &env) == nil
		if ok {
			s.Env = append(s.Env, env.Name+"="+env.Value)
		}
		_ = r.Reply(ok, nil)
		return nil
	case "pty-req":
		_ = r.Reply(s.readPty(r.Payload), nil)
		return nil
	case "exec":
		var cmd struct{ Command string }
		ok := ssh.Unmarshal(r.Payload, &cmd) == nil
		s.Command = cmd.Command
		return c.start(s, r, c.Exec, ok)
	case "shell":
		return c.start(s, r, c.Shell, true)
	case "subsystem":
		var sub struct{ Name string }
		if ssh.Unmarshal(r.Payload, &sub) != nil || sub.Name != "sftp" || !c.SFTP {
			return refuse(r)
		}
		_ = r.Reply(true, nil)
		return serveSFTP
	}
	s.notify(r)
	return nil
}

// start answers a request for a program and returns what runs it.
func (c Config) start(s *Session, r *ssh.Request, handler Handler, ok bool) func(context.Context, ssh.Channel) {
	if !ok || handler == nil || c.Faults.RefuseExec {
		return refuse(r)
	}
	_ = r.Reply(true, nil)
	return func(ctx context.Context, ch ssh.Channel) {
		status := handler(ctx, s)
		_ = ch.CloseWrite()
		if s.ExitSignal != "" {
			_, _ = ch.SendRequest("exit-signal", false, ssh.Marshal(struct {
				Signal     string
				CoreDumped bool
				Error      string
				Language   string
			}{Signal: s.ExitSignal}))
			return
		}
		_, _ = ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{uint32(status)}))
	}
}

func refuse(r *ssh.Request) func(context.Context, ssh.Channel) {
	_ = r.Reply(false, nil)
	return func(context.Context, ssh.Channel) {}
}

func (s *Session) readPty(payload []byte) bool {
	var pty struct {
		Term                         string
		Columns, Rows, Width, Height uint32
		Modes                        string
	}
	if ssh.Unmarshal(payload, &pty) != nil {
		return false
	}
	s.Pty, s.Term, s.Window = true, pty.Term, Window{Columns: int(pty.Columns), Rows: int(pty.Rows)}
	return true
}

// notify passes signals and window sizes on to the program, and declines what it does not know.
func (s *Session) notify(r *ssh.Request) {
	switch r.Type {
	case "signal":
		var sig struct{ Name string }
		if ssh.Unmarshal(r.Payload, &sig) == nil {
			select {
			case s.signals <- sig.Name:
			default:
			}
		}
		_ = r.Reply(true, nil)
	case "window-change":
		var w struct{ Columns, Rows, Width, Height uint32 }
		if ssh.Unmarshal(r.Payload, &w) == nil {
			select {
			case s.windows <- Window{Columns: int(w.Columns), Rows: int(w.Rows)}:
			default:
			}
		}
		_ = r.Reply(true, nil)
	default:
		_ = r.Reply(false, nil)
	}
}

// serveSFTP serves the file system of this process, relative names starting at its working directory.
func serveSFTP(_ context.Context, ch ssh.Channel) {
	server, err := sftp.NewServer(ch)
	if err != nil {
		return
	}
	_ = server.Serve()
	_ = server.Close()
}
