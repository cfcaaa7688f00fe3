//go:build unix

package ssh_test

import (
	"context"
	"crypto"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	xssh "golang.org/x/crypto/ssh"

	"provision/internal/ssh"
	"provision/internal/ssh/sshd"
	"provision/internal/ssh/sshtest"
)

// countLogins makes a server count the connections that reach their login.
func countLogins(n *atomic.Int32) func(*sshd.Config) {
	return func(c *sshd.Config) {
		accept := c.PublicKey
		c.PublicKey = func(user string, key xssh.PublicKey) error {
			n.Add(1)
			return accept(user, key)
		}
	}
}

// dialAll dials a target n times at once, and returns the clients once all are there.
func dialAll(t *testing.T, d *ssh.Dialer, target ssh.Target, n int) []*ssh.Client {
	t.Helper()
	clients := make([]*ssh.Client, n)
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			c, err := d.Dial(t.Context(), target)
			if err != nil {
				t.Error(err)
				return
			}
			clients[i] = c
		})
	}
	all.Wait()
	t.Cleanup(func() { closeAll(clients) })
	if t.Failed() {
		t.FailNow()
	}
	return clients
}

func closeAll(clients []*ssh.Client) {
	for _, c := range clients {
		if c != nil {
			c.Close()
		}
	}
}

// Names that nobody resolves, in numbers; goleak sees what is left behind.
func TestManyUnknownNames(t *testing.T) {
	target := sshtest.NewServer(t).Target()
	var d ssh.Dialer
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			target := target
			target.Name, target.Address = fmt.Sprintf("web%d", i), fmt.Sprintf("web%d..example", i) // no name: nothing is asked
			_, err := d.Dial(t.Context(), target)
			if phaseOf(t, err) != ssh.PhaseResolve || !ssh.Unreachable(err) || strings.Contains(err.Error(), "\n") || !strings.HasPrefix(err.Error(), target.Name+" ") {
				t.Errorf("error %v", err)
			}
		})
	}
	all.Wait()
}

func TestHostThatHangsUpFirstIsTriedAgain(t *testing.T) {
	s := sshtest.NewServer(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	s.Pin(t, port)
	var carried sync.WaitGroup
	carried.Go(func() {
		for n := 1; ; n++ {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			switch n {
			case 1:
				nc.Close()
			case 2: // as OpenSSH words it
				_, _ = io.WriteString(nc, "Exceeded MaxStartups\r\n")
				nc.Close()
			default:
				carried.Go(func() { carry(nc, s.Address) })
			}
		}
	})
	target := s.Target()
	target.Port = port
	c, err := ssh.Dial(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	if out, _, _, err := run(t, c, "echo in", ""); out != "in\n" || err != nil {
		t.Errorf("output %q, error %v", out, err)
	}
	c.Close()
	l.Close()
	carried.Wait()
}

func carry(nc net.Conn, address string) {
	defer nc.Close()
	backend, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer backend.Close()
	go func() {
		_, _ = io.Copy(backend, nc)
		backend.Close()
	}()
	_, _ = io.Copy(nc, backend)
}

func TestHostThatAlwaysHangsUpIsUnreachable(t *testing.T) {
	t.Parallel()
	s := sshtest.NewServer(t)
	proxy := sshtest.NewProxy(t, s.Address, 0)
	s.Pin(t, proxy.Port)
	proxy.Refuse(true)
	target := s.Target()
	target.Port = proxy.Port
	_, err := ssh.Dial(t.Context(), target)
	if phaseOf(t, err) != ssh.PhaseHandshake || !ssh.Unreachable(err) || !strings.Contains(err.Error(), "MaxStartups") {
		t.Errorf("error %v", err)
	}
}

func TestPassphraseIsAskedOnceForAFleet(t *testing.T) {
	s := sshtest.NewServer(t)
	target := s.Target()
	text, err := os.ReadFile(s.Identity)
	if err != nil {
		t.Fatal(err)
	}
	private, err := xssh.ParseRawPrivateKey(text)
	if err != nil {
		t.Fatal(err)
	}
	target.IdentityFiles = []string{filepath.Join(t.TempDir(), "encrypted")}
	block, err := xssh.MarshalPrivateKeyWithPassphrase(private.(crypto.PrivateKey), "", []byte("open sesame"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(target.IdentityFiles[0], pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	target.Passphrase = func(context.Context, string, int) (string, error) {
		asked.Add(1)
		return "open sesame", nil
	}
	var d ssh.Dialer
	dialAll(t, &d, target, 10)
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}

	// A wrong one is asked for again, NumberOfPasswordPrompts times, and that is once for all hosts.
	asked.Store(0)
	target.Passphrase = func(_ context.Context, _ string, attempt int) (string, error) {
		asked.Add(1)
		return map[int]string{2: "open sesame"}[attempt] + map[int]string{1: "wrong"}[attempt], nil
	}
	d = ssh.Dialer{}
	dialAll(t, &d, target, 10)
	if n := asked.Load(); n != 2 {
		t.Errorf("asked %d times", n)
	}
	asked.Store(0)
	target.PasswordPrompts = 1
	d = ssh.Dialer{}
	for range 3 {
		if _, err := d.Dial(t.Context(), target); err == nil || !strings.Contains(err.Error(), "cannot decrypt it") {
			t.Errorf("error %v", err)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// sshd lets in no more than three at a time that are not logged in, and turns all others away.
func TestFortyDialsOfAnSSHDThatTakesThree(t *testing.T) {
	bastion, last := openSSH(t, "MaxStartups 3:100:3", "MaxSessions 1"), openSSH(t, "MaxStartups 3:100:3")
	behind := last
	behind.Jumps = []ssh.Target{bastion}
	for name, target := range map[string]ssh.Target{"direct": last, "through a jump": behind} {
		t.Run(name, func(t *testing.T) {
			var d ssh.Dialer
			for _, c := range dialAll(t, &d, target, 40) {
				if out, _, _, err := run(t, c, "echo in", ""); out != "in\n" || err != nil {
					t.Errorf("output %q, error %v", out, err)
				}
			}
		})
	}
}

// A command that prints for ever is given up by closing its channel: no more of it is taken, and the connection stays.
func TestCommandThatPrintsForeverIsGivenUp(t *testing.T) {
	for name, target := range map[string]ssh.Target{"in process": sshtest.NewServer(t).Target(), "OpenSSH": openSSH(t)} {
		t.Run(name, func(t *testing.T) {
			c := sshtest.Dial(t, target)
			p, err := c.Start(t.Context(), "exec yes")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(p.Stdout, make([]byte, 4<<20)); err != nil {
				t.Fatal(err)
			}
			p.Close()
			_, _ = p.Wait()
			if left, _ := io.Copy(io.Discard, p.Stdout); left > 4<<20 {
				t.Errorf("%d bytes had been taken that nobody read", left)
			}
			if out, _, _, err := run(t, c, "echo still there", ""); out != "still there\n" || err != nil {
				t.Errorf("output %q, error %v", out, err)
			}
		})
	}
}

// A host that does not even answer that a session ends holds nobody up.
func TestWaitAfterCloseEnds(t *testing.T) {
	s := sshtest.NewServer(t)
	proxy := sshtest.NewProxy(t, s.Address, 0)
	s.Pin(t, proxy.Port)
	target := s.Target()
	target.Port, target.ConnectTimeout = proxy.Port, 2*time.Second
	c := sshtest.Dial(t, target)
	p, err := c.Start(t.Context(), "exec sleep 600")
	if err != nil {
		t.Fatal(err)
	}
	proxy.Hang(true)
	p.Close()
	if _, err := p.Wait(); !errors.Is(err, ssh.ErrTimeout) {
		t.Errorf("error %v", err)
	}
}
