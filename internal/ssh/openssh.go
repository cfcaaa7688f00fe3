package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
)

// maxSocketPath is what a path of a socket may have, less what ssh appends while it makes one.
const maxSocketPath = 104 - 18

// dialOpenSSH has ssh(1) connect and log in as the master of a control socket, and speaks over that. All that ssh_config says holds,
// but that a host key which is not on record is refused.
func (d *Dialer) dialOpenSSH(ctx context.Context, t Target) (*Client, error) {
	if t.OpenSSHWords == nil {
		var err error
		if t.OpenSSHWords, err = opensshWords(t.Name, t, ""); err != nil {
			return nil, t.fail(PhaseConnect, err, "")
		}
	}
	gate := d.gate(t.Address)
	if err := gate.enter(ctx); err != nil {
		return nil, t.fail(PhaseConnect, err, "")
	}
	defer gate.leave(false)
	m := &master{exited: make(chan struct{})}
	nc, err := m.start(ctx, t)
	if err != nil {
		return nil, err
	}
	conn, channels, requests, err := ssh.NewControlClientConn(nc)
	if err != nil {
		nc.Close()
		return nil, t.fail(PhaseSession, fmt.Errorf("the control socket of ssh: %w%s", err, m.said()), "OpenSSH 7.4 or later is needed")
	}
	m.endSession()
	t.KeepAlive = -1 // ssh does it: over a control socket it cannot be asked for
	c := newClient(t, ssh.NewClient(conn, channels, requests), newLink(nc), nil)
	go func() {
		<-m.exited
		c.drop(fmt.Errorf("ssh has ended%s", m.said()))
	}()
	return c, nil
}

// A master is a process of ssh(1) that shares its connection.
type master struct {
	cmd    *exec.Cmd
	dir    string
	stdin  io.WriteCloser // of a session that only tells Match which type it has; nil without one
	stderr tail
	exited chan struct{} // closed once it is gone
	once   sync.Once
	mu     sync.Mutex // of starting and killing
}

// said is what the process has said, as a part of an error.
func (m *master) said() string {
	text := strings.Join(strings.Fields(m.stderr.String()), " ")
	if text == "" {
		return ""
	}
	return ": " + strings.TrimPrefix(text, "ssh: ")
}

// endSession ends the session of the process's own. The process goes on for as long as its connection is shared.
func (m *master) endSession() {
	if m.stdin != nil {
		_ = m.stdin.Close()
	}
}

// start runs ssh until it is logged in, and connects to its socket. Closing that ends ssh.
func (m *master) start(ctx context.Context, t Target) (nc net.Conn, err error) {
	if m.dir, err = socketDir(); err != nil {
		return nil, t.fail(PhaseConnect, err, "")
	}
	defer func() {
		if nc == nil {
			m.end()
		}
	}()
	socket := filepath.Join(m.dir, "m")
	// Connecting, exchanging keys and logging in.
	watch := newWatchdog(PhaseConnect, 2*t.ConnectTimeout+t.LoginTimeout, func() { m.kill() })
	asked, err := newAskpass(ctx, t, watch, m.kill, filepath.Join(m.dir, "a"))
	if err != nil {
		watch.end()
		close(m.exited)
		return nil, t.fail(PhaseConnect, err, "")
	}
	defer func() { _ = asked.close() }()
	if err := m.run(t, socket); err != nil {
		watch.end()
		close(m.exited)
		return nil, t.fail(PhaseConnect, err, "transport = \"openssh\" needs the client of OpenSSH on this machine")
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-m.exited:
			_, ranOut := watch.end()
			return nil, m.failure(ctx, t, ranOut, asked)
		case <-ctx.Done():
			watch.end()
			return nil, t.fail(PhaseConnect, ctx.Err(), "")
		case <-tick.C:
		}
		// ssh makes the socket once it is logged in, under another name, and renames it when it listens.
		if _, err := os.Lstat(socket); err != nil {
			continue
		}
		watch.end()
		unix, err := net.Dial("unix", socket)
		if err != nil {
			return nil, t.fail(PhaseSession, fmt.Errorf("the control socket of ssh: %w%s", err, m.said()), "")
		}
		return &masterConn{Conn: unix, master: m}, nil
	}
}

// run starts the process, without a terminal: it asks by way of this program.
func (m *master) run(t Target, socket string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	words := []string{
		"-M", "-T", "-S", socket, "-o", "ControlPersist=no", "-o", "StrictHostKeyChecking=yes", "-o", "ClearAllForwardings=yes",
		"-o", "PermitLocalCommand=no", "-o", "NumberOfPasswordPrompts=1", "-o", "LogLevel=INFO",
	}
	if t.KeepAlive > 0 {
		words = append(words, "-o", "ServerAliveInterval="+strconv.Itoa(max(1, int(t.KeepAlive/time.Second))), "-o", "ServerAliveCountMax="+strconv.Itoa(t.KeepAliveMisses-1))
	}
	if !t.OpenSSHSession {
		words = append(words, "-N")
	}
	cmd := exec.Command("ssh", append(words, t.OpenSSHWords...)...)
	if t.OpenSSHSession {
		if m.stdin, err = cmd.StdinPipe(); err != nil {
			return err
		}
	}
	cmd.Env = append(os.Environ(), "SSH_ASKPASS="+self, "SSH_ASKPASS_REQUIRE=force", askpassVariable+"="+filepath.Join(m.dir, "a"))
	if os.Getenv("DISPLAY") == "" {
		cmd.Env = append(cmd.Env, "DISPLAY=none:0") // before OpenSSH 8.4 it asks only where there is one
	}
	cmd.Stdout, cmd.Stderr = &m.stderr, &m.stderr
	cmd.WaitDelay = time.Second // a ProxyCommand may hold its stderr open
	ownSession(cmd)
	m.mu.Lock()
	m.cmd, err = cmd, cmd.Start()
	m.mu.Unlock()
	if err != nil {
		return err
	}
	go func() {
		_ = cmd.Wait() // what it says is what counts
		close(m.exited)
	}()
	return nil
}

// failure tells from the words of ssh what went wrong.
func (m *master) failure(ctx context.Context, t Target, ranOut bool, asked *askpass) error {
	said, refusal := m.said(), asked.close()
	has := func(words string) bool { return strings.Contains(said, words) }
	switch {
	case ctx.Err() != nil:
		return t.fail(PhaseConnect, ctx.Err(), "")
	case ranOut:
		return t.fail(PhaseConnect, fmt.Errorf("%w: ssh is not logged in after %s%s", ErrTimeout, 2*t.ConnectTimeout+t.LoginTimeout, said), "")
	case refusal != nil:
		return t.fail(PhaseAuthenticate, fmt.Errorf("%w; ssh ended%s", refusal, said), "")
	case has("Host key verification failed"), has("HOST IDENTIFICATION HAS CHANGED"):
		return t.fail(PhaseHostKey, fmt.Errorf("ssh%s", said), "`provision trust` shows its key and records it; a key that has changed is refused until its old line is removed")
	case has("Permission denied") && has("Load key") && has("invalid format"):
		return t.fail(PhaseAuthenticate, fmt.Errorf("ssh%s", said), "ssh does not read that key file: an ssh before OpenSSH 9.6 reads no Ed25519 key in PKCS#8, and `ssh-keygen -p -f FILE` of a later one writes it in ssh's own form")
	case has("Too many authentication failures") && !asked.given:
		return t.fail(PhaseAuthenticate, fmt.Errorf("ssh%s", said), "too many keys were offered before the right one, or before a password (MaxAuthTries): name the key with identity_file, and let IdentitiesOnly be yes in ssh_config")
	case has("Permission denied"), has("Too many authentication failures"), has("Received disconnect"):
		return t.fail(PhaseAuthenticate, fmt.Errorf("ssh%s", said), "")
	case has("Could not resolve hostname"):
		return t.fail(PhaseResolve, fmt.Errorf("ssh%s", said), "check the address, or give the host an IP address")
	case has("no matching"), has("Unable to negotiate"):
		return t.fail(PhaseHandshake, fmt.Errorf("ssh%s", said), "allow what the host has in ssh_config")
	case said == "":
		return t.fail(PhaseConnect, errors.New("ssh ended without a word"), "try: ssh "+t.Name)
	}
	return t.fail(PhaseConnect, fmt.Errorf("ssh%s", said), "")
}

func (m *master) kill() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cmd != nil && m.cmd.Process != nil {
		killGroup(m.cmd)
	}
}

// end ends the process, and removes its directory.
func (m *master) end() {
	m.once.Do(func() {
		if m.cmd != nil && m.cmd.Process != nil {
			_ = m.cmd.Process.Signal(syscall.SIGTERM)
			select {
			case <-m.exited:
			case <-time.After(2 * time.Second):
			}
			m.kill() // what it has started too
			<-m.exited
		}
		_ = os.RemoveAll(m.dir)
	})
}

// A masterConn is a connection to the control socket. It owns the master.
type masterConn struct {
	net.Conn
	master *master
}

// Close implements net.Conn.
func (c *masterConn) Close() error {
	err := c.Conn.Close()
	c.master.end()
	return err
}

// socketDir makes a directory that only the user can enter, of a name that is short enough for sockets.
func socketDir() (string, error) {
	for _, parent := range []string{os.Getenv("XDG_RUNTIME_DIR"), os.TempDir(), "/tmp"} {
		if parent == "" || len(parent)+len("/provision-ssh-1234567890/m") > maxSocketPath {
			continue
		}
		if dir, err := os.MkdirTemp(parent, "provision-ssh-"); err == nil {
			return dir, nil
		}
	}
	return "", errors.New("no directory for a socket of ssh can be made: set TMPDIR to one with a short name")
}
