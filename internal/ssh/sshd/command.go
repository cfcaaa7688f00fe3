//go:build unix

package sshd

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"

	"github.com/creack/pty"
)

// RunCommand returns a handler that runs each command as "shell -c command", or a login shell where there is no
// command, with the rights of this process, in the home directory of the user: see [RunProcess].
func RunCommand(shell string) Handler {
	return RunProcess(func(s *Session) *exec.Cmd {
		cmd := exec.Command(shell, "-c", s.Command)
		if s.Command == "" {
			cmd = exec.Command(shell)
			cmd.Args[0] = "-" + filepath.Base(shell)
		}
		home := homeOf(s.User)
		cmd.Env = environment(s, shell, home)
		if info, err := os.Stat(home); err == nil && info.IsDir() {
			cmd.Dir = home
		}
		return cmd
	})
}

// RunProcess returns a handler that runs the process which prepare makes of a session: a real one in a session of its
// own, on pipes or on a terminal as the client asks. When the client goes away the pipes close and nothing is killed, as
// with OpenSSH; a terminal hangs up. When ctx ends, which is the end of the whole server, the process group is killed.
func RunProcess(prepare func(*Session) *exec.Cmd) Handler {
	return func(ctx context.Context, s *Session) int {
		cmd := prepare(s)
		var err error
		if s.Pty {
			err = runOnTerminal(ctx, s, cmd)
		} else {
			err = runOnPipes(ctx, s, cmd)
		}
		if err != nil {
			fmt.Fprintf(s.Stderr, "%s: %v\r\n", cmd.Args[0], err)
			return 127
		}
		if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			s.ExitSignal = signalName(ws.Signal())
		}
		return cmd.ProcessState.ExitCode()
	}
}

// runOnPipes runs cmd with pipes for its three streams and returns once it has exited and its output has ended. The
// pipes are the process's own, so nothing of ours stands between a detached child and the end of its output.
func runOnPipes(ctx context.Context, s *Session, cmd *exec.Cmd) error {
	var ours, theirs [3]*os.File
	closeAll := func(files [3]*os.File) {
		for _, f := range files {
			if f != nil {
				f.Close()
			}
		}
	}
	for i := range ours {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll(ours)
			closeAll(theirs)
			return err
		}
		ours[i], theirs[i] = r, w
		if i == 0 {
			ours[i], theirs[i] = w, r
		}
	}
	defer closeAll(ours)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs[0], theirs[1], theirs[2]
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err := cmd.Start()
	closeAll(theirs)
	if err != nil {
		return err
	}

	// The copy of stdin may wait for the client until the channel closes, so nobody waits for it.
	go func() {
		_, _ = io.Copy(ours[0], s.Stdin)
		ours[0].Close()
	}()
	var output sync.WaitGroup
	output.Go(func() { copyOut(s.Stdout, ours[1]) })
	output.Go(func() { copyOut(s.Stderr, ours[2]) })
	wait(ctx, s, cmd, func() { closeAll(ours) }, nil)

	drained := make(chan struct{})
	go func() {
		output.Wait()
		close(drained)
	}()
	select {
	case <-drained:
	case <-s.Closed():
	case <-ctx.Done():
	}
	closeAll(ours)
	<-drained
	return nil
}

// copyOut carries output to the client; when the client is gone the reading end closes, and the next write of the
// process fails with EPIPE.
func copyOut(to io.Writer, from *os.File) {
	_, _ = io.Copy(to, from)
	from.Close()
}

// runOnTerminal runs cmd on a pseudo terminal of the size that the client asked for.
func runOnTerminal(ctx context.Context, s *Session, cmd *exec.Cmd) error {
	master, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: uint16(s.Window.Columns), Rows: uint16(s.Window.Rows)})
	if err != nil {
		return err
	}
	hangUp := sync.OnceFunc(func() { master.Close() })
	defer hangUp()
	go func() { _, _ = io.Copy(master, s.Stdin) }()
	drained := make(chan struct{})
	go func() {
		// The kernel hangs the terminal up when its session leader exits: reading ends with EIO.
		_, _ = io.Copy(s.Stdout, master)
		close(drained)
	}()
	resize := func(w Window) {
		_ = pty.Setsize(master, &pty.Winsize{Cols: uint16(w.Columns), Rows: uint16(w.Rows)})
	}
	wait(ctx, s, cmd, func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGHUP)
	}, resize)
	select {
	case <-drained:
	case <-s.Closed():
	}
	return nil
}

// wait returns when cmd has exited. Until then it passes on signals and window sizes, calls gone once when the client
// goes away, and kills the process group when ctx ends.
func wait(ctx context.Context, s *Session, cmd *exec.Cmd, gone func(), resize func(Window)) {
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	closed, done := s.Closed(), ctx.Done()
	for {
		select {
		case <-exited:
			return
		case name := <-s.Signals():
			if sig, ok := signalNumbers()[name]; ok {
				_ = syscall.Kill(-cmd.Process.Pid, sig)
			}
		case w := <-s.Windows():
			if resize != nil {
				resize(w)
			}
		case <-closed:
			gone()
			closed = nil
		case <-done:
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			done = nil
		}
	}
}

// environment is what sshd(8) sets for a login without PAM, and what the client asked for.
func environment(s *Session, shell, home string) []string {
	path := "/usr/local/bin:/usr/bin:/bin:/usr/games"
	if os.Geteuid() == 0 {
		path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	}
	env := []string{"USER=" + s.User, "LOGNAME=" + s.User, "HOME=" + home, "PATH=" + path, "SHELL=" + shell}
	if s.Pty {
		env = append(env, "TERM="+s.Term)
	}
	return append(env, s.Env...)
}

// homeOf is the home directory of a login: the account's where it is the one that this process runs as, since the
// command runs with the rights of this process whatever the client calls itself.
func homeOf(name string) string {
	u, err := user.Lookup(name)
	if err == nil && u.Uid == strconv.Itoa(os.Geteuid()) {
		return u.HomeDir
	}
	if home, err := os.UserHomeDir(); err == nil {
		return home
	}
	return "/"
}

// signalNumbers are the signals that RFC 4254 section 6.10 names.
func signalNumbers() map[string]syscall.Signal {
	return map[string]syscall.Signal{
		"ABRT": syscall.SIGABRT, "ALRM": syscall.SIGALRM, "FPE": syscall.SIGFPE, "HUP": syscall.SIGHUP,
		"ILL": syscall.SIGILL, "INT": syscall.SIGINT, "KILL": syscall.SIGKILL, "PIPE": syscall.SIGPIPE,
		"QUIT": syscall.SIGQUIT, "SEGV": syscall.SIGSEGV, "TERM": syscall.SIGTERM,
		"USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2,
	}
}

func signalName(sig syscall.Signal) string {
	for name, n := range signalNumbers() {
		if n == sig {
			return name
		}
	}
	return "SIG" + strconv.Itoa(int(sig)) + "@openssh.com"
}
