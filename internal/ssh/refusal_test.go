//go:build unix

package ssh_test

import (
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

// counted puts a listener before a target that counts connections, and greets each with what greet says: "" lets it through.
func counted(t *testing.T, target ssh.Target, greet func(n int32) string) (ssh.Target, *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	backend := fmt.Sprintf("127.0.0.1:%d", target.Port)
	var n atomic.Int32
	var carried sync.WaitGroup
	carried.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			if words := greet(n.Add(1)); words != "" {
				_, _ = io.WriteString(nc, words)
				nc.Close()
				continue
			}
			carried.Go(func() { carry(nc, backend) })
		}
	})
	t.Cleanup(func() { l.Close() })
	known, err := os.ReadFile(target.KnownHostsFiles[0])
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	text := strings.ReplaceAll(string(known), fmt.Sprintf(":%d ", target.Port), fmt.Sprintf(":%d ", port))
	target.KnownHostsFiles = []string{filepath.Join(t.TempDir(), "known_hosts")}
	if err := os.WriteFile(target.KnownHostsFiles[0], []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	target.Port = port
	return target, &n
}

func letThrough(int32) string { return "" }

// sshd bans an address for a while that fails too often (PerSourcePenalties), so one refusal answers for the whole fleet.
func TestOneRefusalOfAJumpHostAnswersForAllBehindIt(t *testing.T) {
	_, stranger, _ := sshtest.NewKey(t)
	other, _, _ := sshtest.NewKey(t)
	for name, spoil := range map[string]func(*ssh.Target){
		"key": func(b *ssh.Target) {
			b.IdentityFiles = []string{filepath.Join(t.TempDir(), "id")}
			sshtest.WriteKey(t, b.IdentityFiles[0], stranger)
		},
		"unknown": func(b *ssh.Target) { b.KnownHostsFiles = []string{filepath.Join(t.TempDir(), "none")} },
		"changed": func(b *ssh.Target) {
			file := filepath.Join(t.TempDir(), "known")
			text := fmt.Sprintf("[127.0.0.1]:%d %s", b.Port, xssh.MarshalAuthorizedKey(other))
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			b.KnownHostsFiles = []string{file}
		},
	} {
		t.Run(name, func(t *testing.T) {
			bastion, n := counted(t, openSSH(t), letThrough)
			spoil(&bastion)
			bastion.Name = "bastion"
			var d ssh.Dialer
			for range 3 { // waves
				var all sync.WaitGroup
				for i := range 100 {
					all.Go(func() {
						target := ssh.Target{Name: fmt.Sprint("web", i), Address: "192.0.2.1", User: "root", Jumps: []ssh.Target{bastion}}
						_, err := d.Dial(t.Context(), target)
						var e *ssh.Error
						if !errors.As(err, &e) || e.Host != "bastion" {
							t.Errorf("error %v", err)
						}
					})
				}
				all.Wait()
			}
			if n.Load() != 1 {
				t.Errorf("%d connections to the jump host", n.Load())
			}
		})
	}
}

// Many names of one server that refuses us are one failed login, and each host is told by its own name.
func TestManyNamesOfOneServerAreOneRefusal(t *testing.T) {
	target, n := counted(t, sshtest.NewServer(t, func(c *sshd.Config) { c.Faults.RefuseAuth = true }).Target(), letThrough)
	var d ssh.Dialer
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			target := target
			target.Name = fmt.Sprint("web", i)
			if _, err := d.Dial(t.Context(), target); err == nil || !strings.HasPrefix(err.Error(), target.Name+" ") {
				t.Errorf("error %v", err)
			}
		})
	}
	all.Wait()
	if n.Load() != 1 {
		t.Errorf("%d connections", n.Load())
	}
}

func TestTrustAsksAnAddressOnce(t *testing.T) {
	target, n := counted(t, openSSH(t), letThrough)
	target.KnownHostsFiles = []string{filepath.Join(t.TempDir(), "known_hosts")}
	var d ssh.Dialer
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			target := target
			target.Name = fmt.Sprint("web", i)
			if _, err := d.Scan(t.Context(), target); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n.Load() != 1 {
		t.Errorf("%d connections", n.Load())
	}
}

// sshd tells why it hangs up before its version, where the library does not look.
func TestWordsOfAServerThatHangsUp(t *testing.T) {
	const words = "Not allowed at this time"
	target, n := counted(t, sshtest.NewServer(t).Target(), func(n int32) string {
		if n <= 2 {
			return words + "\r\n"
		}
		return ""
	})
	var d ssh.Dialer
	ssh.SetPenaltyPauses(&d, 10*time.Millisecond)
	_, err := d.Dial(t.Context(), target)
	if phaseOf(t, err) != ssh.PhaseHandshake || !strings.Contains(err.Error(), words) || !strings.Contains(err.Error(), "PerSourcePenalties") || n.Load() != 2 {
		t.Errorf("after %d connections: %v", n.Load(), err)
	}
	c, err := d.Dial(t.Context(), target)
	if err != nil {
		t.Fatalf("the ban is over: %v", err)
	}
	c.Close()
}

func TestServerThatBansIsLeftAloneByAll(t *testing.T) {
	const hosts = 20
	target, n := counted(t, sshtest.NewServer(t).Target(), func(n int32) string {
		if n == 1 {
			return "Not allowed at this time\r\n"
		}
		return ""
	})
	var d ssh.Dialer
	ssh.SetPenaltyPauses(&d, 300*time.Millisecond)
	began := time.Now()
	dialAll(t, &d, target, hosts)
	if n.Load() != hosts+1 || time.Since(began) < 300*time.Millisecond {
		t.Errorf("%d connections in %s", n.Load(), time.Since(began))
	}
}

func TestWordsOfTooManyStartups(t *testing.T) {
	t.Parallel()
	target, _ := counted(t, sshtest.NewServer(t).Target(), func(int32) string { return "Exceeded MaxStartups\r\n" })
	if _, err := ssh.Dial(t.Context(), target); err == nil || !strings.Contains(err.Error(), "Exceeded MaxStartups") {
		t.Errorf("error %v", err)
	}
}

func TestBannerIsTheReasonOfARefusal(t *testing.T) {
	target := sshtest.NewServer(t, func(c *sshd.Config) {
		c.Faults.RefuseAuth = true
		c.Banner = "System is going down.\r\nUnprivileged users are not permitted to log in anymore.\r\n"
	}).Target()
	_, err := ssh.Dial(t.Context(), target)
	if err == nil || !strings.Contains(err.Error(), "it says: System is going down. Unprivileged users") {
		t.Errorf("error %v", err)
	}
}

func TestOpenSSHThatWantsAPasswordBesidesTheKey(t *testing.T) {
	target := openSSH(t, "PasswordAuthentication yes", "AuthenticationMethods publickey,password")
	_, err := ssh.Dial(t.Context(), target)
	if err == nil || !strings.Contains(err.Error(), "it accepted publickey, and wants password besides") || !strings.Contains(err.Error(), "give one with password") {
		t.Errorf("error %v", err)
	}
}

// Hosts that know none of the algorithms that are offered first, and safe ones.
func TestOpenSSHWithOtherSafeAlgorithms(t *testing.T) {
	for _, line := range []string{
		"KexAlgorithms ecdh-sha2-nistp256", "KexAlgorithms ecdh-sha2-nistp384", "KexAlgorithms ecdh-sha2-nistp521",
		"KexAlgorithms diffie-hellman-group-exchange-sha256", "KexAlgorithms diffie-hellman-group14-sha256",
		"MACs hmac-sha2-512\nCiphers aes256-ctr", "Ciphers chacha20-poly1305@openssh.com",
	} {
		t.Run(line, func(t *testing.T) {
			target := openSSH(t, line)
			sshtest.Dial(t, target)
			if _, err := ssh.Scan(t.Context(), target); err != nil {
				t.Error(err)
			}
		})
	}
	for _, line := range []string{"KexAlgorithms diffie-hellman-group14-sha1", "Ciphers aes128-cbc", "MACs hmac-sha1\nCiphers aes128-ctr"} {
		if _, err := ssh.Dial(t.Context(), openSSH(t, line)); err == nil || !strings.Contains(err.Error(), "legacy = true") {
			t.Errorf("%s: %v", line, err)
		}
	}
}
