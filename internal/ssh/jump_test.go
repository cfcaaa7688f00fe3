//go:build unix

package ssh_test

import (
	"context"
	"errors"
	"fmt"
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

func TestHostsBehindAJumpShareItsConnection(t *testing.T) {
	var logins atomic.Int32
	bastion, last := sshtest.NewServer(t, countLogins(&logins)), sshtest.NewServer(t)
	target := last.Target()
	target.Jumps = []ssh.Target{bastion.Target()}
	var d ssh.Dialer
	clients := dialAll(t, &d, target, 20)
	for i, c := range clients {
		want := fmt.Sprintf("host %d\n", i)
		if out, _, _, err := run(t, c, "echo host "+fmt.Sprint(i), ""); out != want || err != nil {
			t.Errorf("output %q, error %v", out, err)
		}
	}
	if n := logins.Load(); n != 1 {
		t.Errorf("20 hosts took %d connections to the jump host", n)
	}
	// The last one keeps the connection; what is left of it when that has gone is seen by goleak.
	closeAll(clients[1:])
	if out, _, _, err := run(t, clients[0], "echo still there", ""); out != "still there\n" || err != nil {
		t.Errorf("output %q, error %v", out, err)
	}
	clients[0].Close()
	sshtest.Dial(t, target)
	if n := logins.Load(); n != 2 {
		t.Errorf("%d connections to the jump host, want a second one after the first was closed", n)
	}
}

func TestJumpConnectionLingers(t *testing.T) {
	var logins atomic.Int32
	bastion, last := sshtest.NewServer(t, countLogins(&logins)), sshtest.NewServer(t)
	target := last.Target()
	target.Jumps = []ssh.Target{bastion.Target()}
	d := ssh.Dialer{Linger: time.Minute}
	for range 3 {
		c, err := d.Dial(t.Context(), target)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	if n := logins.Load(); n != 1 {
		t.Errorf("3 hosts, one after the other, took %d connections to the jump host", n)
	}
	bastion.Stop() // ends what lingers
}

func TestJumpThatCarriesFewGetsMoreConnections(t *testing.T) {
	var logins atomic.Int32
	bastion := sshtest.NewServer(t, countLogins(&logins), func(c *sshd.Config) { c.MaxForwards = 3 })
	target := sshtest.NewServer(t).Target()
	target.Jumps = []ssh.Target{bastion.Target()}
	var d ssh.Dialer
	dialAll(t, &d, target, 3)
	for range 4 {
		dialAll(t, &d, target, 1)
	}
	if n := logins.Load(); n != 3 {
		t.Errorf("7 hosts at 3 a connection took %d connections", n)
	}
}

func TestDeadJumpIsToldOfEachHost(t *testing.T) {
	bastion := sshtest.NewServer(t)
	bastion.Stop()
	target := sshtest.NewServer(t).Target()
	target.Jumps = []ssh.Target{bastion.Target()}
	target.Jumps[0].Name = "bastion"
	var d ssh.Dialer
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			_, err := d.Dial(t.Context(), target)
			var e *ssh.Error
			if !errors.As(err, &e) || e.Host != "bastion" || e.Phase != ssh.PhaseConnect || !ssh.Unreachable(err) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v", err)
			}
		})
	}
	all.Wait()
}

func TestLostJumpIsConnectedToAgain(t *testing.T) {
	bastion := sshtest.NewServer(t)
	proxy := sshtest.NewProxy(t, bastion.Address, 0)
	bastion.Pin(t, proxy.Port)
	target := sshtest.NewServer(t).Target()
	target.Jumps = []ssh.Target{bastion.Target()}
	target.Jumps[0].Port = proxy.Port
	d := ssh.Dialer{Linger: time.Minute}
	clients := dialAll(t, &d, target, 3)
	proxy.Cut()
	for _, c := range clients {
		<-c.Closed()
	}
	if out, _, _, err := run(t, dialAll(t, &d, target, 1)[0], "echo back", ""); out != "back\n" || err != nil {
		t.Errorf("output %q, error %v", out, err)
	}
	bastion.Stop()
}

// Whoever asked for the connection to the jump host first may give up; the others still want it.
func TestJumpIsDialledForWhoeverWaits(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	var once sync.Once
	bastion := sshtest.NewServer(t, func(c *sshd.Config) {
		accept := c.PublicKey
		c.PublicKey = func(user string, key xssh.PublicKey) error {
			once.Do(func() { close(asked) })
			<-answer
			return accept(user, key)
		}
	})
	target := sshtest.NewServer(t).Target()
	target.Jumps = []ssh.Target{bastion.Target()}
	var d ssh.Dialer
	ctx, cancel := context.WithCancel(t.Context())
	first, second := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := d.Dial(ctx, target)
		first <- err
	}()
	<-asked
	go func() {
		c, err := d.Dial(t.Context(), target)
		if err == nil {
			err = c.Close()
		}
		second <- err
	}()
	time.Sleep(50 * time.Millisecond) // the second most likely waits by now; if not, it dials anew
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) || ssh.Unreachable(err) {
		t.Errorf("who gave up: %v", err)
	}
	close(answer)
	if err := <-second; err != nil {
		t.Errorf("who waited: %v", err)
	}
}

// A host that ssh_config refuses is not connected to, not on the way to another either; it is a matter of that host alone.
func TestRefuseConnection(t *testing.T) {
	jump, last := sshtest.NewServer(t), sshtest.NewServer(t)
	config := loadConfig(t, "Host old\n RefuseConnection \"moved to new\"\n")
	refused, err := config.Resolve(t.Context(), "old", jump.Target())
	if err != nil {
		t.Fatal(err)
	}
	target := last.Target()
	target.Jumps = []ssh.Target{refused}
	for _, to := range []ssh.Target{refused, target} {
		if _, err := ssh.Dial(t.Context(), to); err == nil || !strings.Contains(err.Error(), ":2: RefuseConnection: moved to new") {
			t.Errorf("error %v", err)
		}
		if _, err := ssh.Scan(t.Context(), to); err == nil || !strings.Contains(err.Error(), ":2: RefuseConnection: moved to new") {
			t.Errorf("its key: error %v", err)
		}
	}
}
