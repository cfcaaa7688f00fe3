package ssh_test

import (
	"fmt"
	"os"
	"os/exec"
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

// HashKnownHosts of ssh_config is heeded, but not in a file that the playbook names; ssh-keygen finds the host by its name.
func TestRememberHashesNames(t *testing.T) {
	server := sshtest.NewServer(t)
	file := filepath.Join(t.TempDir(), "known_hosts")
	config := loadConfig(t, "Host *\n HashKnownHosts yes\n UserKnownHostsFile "+file+"\n")
	given := server.Target()
	named, err := config.Resolve(t.Context(), "127.0.0.1", given)
	if err != nil || named.HashKnownHosts {
		t.Errorf("a file of the playbook: %t, %v", named.HashKnownHosts, err)
	}
	given.KnownHostsFiles = nil
	target, err := config.Resolve(t.Context(), "127.0.0.1", given)
	if err != nil {
		t.Fatal(err)
	}
	var d ssh.Dialer
	for want := range 2 {
		key, err := d.Scan(t.Context(), target)
		if err != nil {
			t.Fatal(err)
		}
		fresh, err := d.Unrecorded(t.Context(), target, key)
		if err != nil || (fresh == nil) != (want == 1) {
			t.Fatalf("%v, %v", fresh, err)
		}
		if fresh != nil {
			if err := ssh.Remember(file, []ssh.HostKey{*fresh, *fresh}); err != nil {
				t.Fatal(err)
			}
		}
	}
	text, err := os.ReadFile(file)
	if err != nil || strings.Count(string(text), "\n") != 1 || !strings.HasPrefix(string(text), "|1|") || strings.Contains(string(text), "127.0.0.1") {
		t.Errorf("%s, %v", text, err)
	}
	sshtest.Dial(t, target)
	keygen, err := exec.LookPath("ssh-keygen")
	if err != nil {
		lack(t, "there is no ssh-keygen to look a hashed name up")
	}
	if out, err := exec.Command(keygen, "-F", fmt.Sprintf("[127.0.0.1]:%d", server.Port), "-f", file).CombinedOutput(); err != nil {
		t.Errorf("ssh-keygen does not find it: %v\n%s", err, out)
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
