package ssh_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	xssh "golang.org/x/crypto/ssh"

	"provision/internal/ssh"
	"provision/internal/ssh/sshd"
	"provision/internal/ssh/sshtest"
)

// As with ssh, ConnectTimeout ends with the key exchange: PAM may take its time.
func TestSlowLoginIsNoTimeOfConnecting(t *testing.T) {
	server := sshtest.NewServer(t, func(c *sshd.Config) {
		accept := c.PublicKey
		c.PublicKey = func(user string, key xssh.PublicKey) error {
			time.Sleep(time.Second)
			return accept(user, key)
		}
	})
	target := server.Target()
	target.ConnectTimeout = 500 * time.Millisecond
	c := sshtest.Dial(t, target)
	if out, _, _, err := run(t, c, "echo in", ""); out != "in\n" || err != nil {
		t.Errorf("output %q, error %v", out, err)
	}
}

// A host that is not there yet is tried as often as ConnectionAttempts says.
func TestConnectionAttempts(t *testing.T) {
	server := sshtest.NewServer(t)
	config := loadConfig(t, "Host late\n ConnectionAttempts 4\n")
	for name, in := range map[string]bool{"late": true, "other": false} {
		port := freePort(t)
		target := server.Target()
		server.Pin(t, port)
		target.Port, target.Address = port, "127.0.0.1"
		target, err := config.Resolve(t.Context(), name, target)
		if err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(1500*time.Millisecond, func() {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				t.Error(err)
				return
			}
			defer l.Close()
			if nc, err := l.Accept(); err == nil {
				carry(nc, server.Address)
			}
		})
		c, err := ssh.Dial(t.Context(), target)
		if (err == nil) != in {
			t.Errorf("%s: error %v", name, err)
		}
		if err == nil {
			c.Close()
		}
		if !in {
			timer.Stop()
		}
	}
}

func TestServerAliveCountMax(t *testing.T) {
	server := sshtest.NewServer(t)
	config := loadConfig(t, "Host short\n ServerAliveInterval 1\n ServerAliveCountMax 0\nHost long\n ServerAliveInterval 1\n ServerAliveCountMax 60\n")
	for name, dropped := range map[string]bool{"short": true, "long": false} {
		proxy := sshtest.NewProxy(t, server.Address, 0)
		server.Pin(t, proxy.Port)
		target := server.Target()
		target.Port, target.Address, target.KeepAlive = proxy.Port, "127.0.0.1", 0
		target, err := config.Resolve(t.Context(), name, target)
		if err != nil {
			t.Fatal(err)
		}
		c := sshtest.Dial(t, target)
		if out, _, _, err := run(t, c, "echo in", ""); out != "in\n" || err != nil {
			t.Fatalf("output %q, error %v", out, err)
		}
		proxy.Hang(true)
		select {
		case <-c.Closed():
			if !dropped {
				t.Errorf("%s: the link was dropped", name)
			}
		case <-time.After(6 * time.Second):
			if dropped {
				t.Errorf("%s: the link is still there", name)
			}
		}
	}
}

// A host that lets us in and refuses every session says the same on another connection: nobody asks there.
func TestRefusedFirstSessionIsNoMatterOfTheConnection(t *testing.T) {
	c := sshtest.Dial(t, openSSH(t, "MaxSessions 0"))
	_, err := c.Start(t.Context(), "true")
	if err == nil || ssh.TooManySessions(err) || !strings.Contains(err.Error(), "refuses a session") {
		t.Errorf("error %v", err)
	}
	one := sshtest.Dial(t, openSSH(t, "MaxSessions 1"))
	p, err := one.Start(t.Context(), "sleep 60")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := one.Start(t.Context(), "true"); !ssh.TooManySessions(err) {
		t.Errorf("a second session: %v", err)
	}
}
