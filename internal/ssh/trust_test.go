package ssh_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	xssh "golang.org/x/crypto/ssh"

	"provision/internal/ssh"
	"provision/internal/ssh/sshd"
	"provision/internal/ssh/sshtest"
)

func TestRememberAddsOnceAndPrivately(t *testing.T) {
	file := filepath.Join(t.TempDir(), "home", ".ssh", "known_hosts")
	var keys []ssh.HostKey
	for _, host := range []string{"web1", "[web1]:2222", "2001:db8::1", "[2001:db8::1]:2222"} {
		public, _, _ := sshtest.NewKey(t)
		keys = append(keys, ssh.HostKey{Host: host, Key: public})
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := ssh.Remember(file, keys); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	text, err := os.ReadFile(file)
	if err != nil || strings.Count(string(text), "\n") != len(keys) {
		t.Errorf("%s, error %v", text, err)
	}
	for name, want := range map[string]os.FileMode{file: 0o600, filepath.Dir(file): 0o700} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, want %v, error %v", name, info.Mode(), want, err)
		}
	}
}

func TestRememberNeverReplacesAKey(t *testing.T) {
	file := filepath.Join(t.TempDir(), "known_hosts")
	first, _, _ := sshtest.NewKey(t)
	second, _, _ := sshtest.NewKey(t)
	if err := os.WriteFile(file, []byte("web1 "+strings.TrimSpace(string(xssh.MarshalAuthorizedKey(first)))), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := ssh.Remember(file, []ssh.HostKey{{Host: "web1", Key: second}}); err == nil {
		t.Error("another key of the same host was accepted")
	}
	if err := ssh.Remember(file, []ssh.HostKey{{Host: "web2", Key: second}}); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(file); strings.Count(string(text), "\nweb2 ") != 1 {
		t.Errorf("a line without an end was not ended first:\n%s", text)
	}
}

func TestHostCertificateOfAKnownAuthority(t *testing.T) {
	authorityKey, _, authority := sshtest.NewKey(t)
	s := sshtest.NewServer(t, func(c *sshd.Config) {
		cert := &xssh.Certificate{
			Key: c.HostKeys[0].PublicKey(), CertType: xssh.HostCert, ValidPrincipals: []string{"127.0.0.1"}, ValidBefore: xssh.CertTimeInfinity,
		}
		signCert(t, cert, authority)
		signer, err := xssh.NewCertSigner(cert, c.HostKeys[0])
		if err != nil {
			t.Fatal(err)
		}
		c.HostKeys = append(c.HostKeys, signer)
	})
	target := s.Target()
	line := "@cert-authority * " + string(xssh.MarshalAuthorizedKey(authorityKey))
	target.KnownHostsFiles = []string{filepath.Join(t.TempDir(), "known_hosts")}
	if err := os.WriteFile(target.KnownHostsFiles[0], []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	sshtest.Dial(t, target)
}
