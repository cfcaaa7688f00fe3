//go:build unix

package ssh_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	xssh "golang.org/x/crypto/ssh"

	"provision/internal/ssh"
	"provision/internal/ssh/sshtest"
)

// connectBy is a ProxyCommand that connects to a port of this machine, with what a system has.
func connectBy(t *testing.T, port int) string {
	t.Helper()
	if _, err := exec.LookPath("bash"); err != nil {
		lack(t, "there is no bash to carry a connection")
	}
	return fmt.Sprintf(`bash -c 'exec 3<>/dev/tcp/127.0.0.1/%d; cat <&3 & cat >&3'`, port)
}

func TestProxyCommand(t *testing.T) {
	t.Setenv("SHELL", "/bin/sh")
	server := sshtest.NewServer(t)
	target := server.Target()
	config := loadConfig(t, "Host *\n ProxyCommand "+strings.ReplaceAll(connectBy(t, server.Port), "127.0.0.1", "%h")+"\n")
	target, err := config.Resolve(t.Context(), "127.0.0.1", target)
	if err != nil {
		t.Fatal(err)
	}
	c := sshtest.Dial(t, target)
	if out, _, _, err := run(t, c, "echo through", ""); out != "through\n" || err != nil {
		t.Errorf("output %q, error %v", out, err)
	}
}

func TestAJumpHostMayHaveAProxyCommand(t *testing.T) {
	t.Setenv("SHELL", "/bin/sh")
	bastion, last := sshtest.NewServer(t), sshtest.NewServer(t)
	hop := bastion.Target()
	hop.ProxyCommand = connectBy(t, bastion.Port)
	target := last.Target()
	target.Jumps = []ssh.Target{hop}
	c := sshtest.Dial(t, target)
	if out, _, _, err := run(t, c, "echo through both", ""); out != "through both\n" || err != nil {
		t.Errorf("output %q, error %v", out, err)
	}
}

func TestProxyCommandThatFailsIsTold(t *testing.T) {
	t.Setenv("SHELL", "/bin/sh")
	server := sshtest.NewServer(t)
	for command, want := range map[string]string{
		"no-such-command":            "no-such-command",
		"sh -c 'echo gone >&2'":      "gone",
		"sh -c 'exit 3'":             "without a word",
		"sh -c 'cat >/dev/null; :' ": "no answer in time",
	} {
		target := server.Target()
		target.ProxyCommand, target.ConnectTimeout = command, 500*time.Millisecond
		began := time.Now()
		_, err := ssh.Dial(t.Context(), target)
		if err == nil || !strings.Contains(err.Error(), want) || time.Since(began) > 30*time.Second {
			t.Errorf("%s: after %s: %v", command, time.Since(began), err)
		}
	}
}

func TestRevokedHostKeys(t *testing.T) {
	server := sshtest.NewServer(t)
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	other, _, _ := sshtest.NewKey(t)
	own := string(xssh.MarshalAuthorizedKey(server.HostKey.PublicKey()))
	target := server.Target()
	target.RevokedHostKeys = file("others", "# no host has these\n\n"+string(xssh.MarshalAuthorizedKey(other))+"ssh-future AAAACnNzaC1mdXR1cmUAAAAEAQIDBA== later\n")
	sshtest.Dial(t, target)
	for name, want := range map[string]string{
		file("own", own): "is revoked", filepath.Join(dir, "missing"): "cannot be read",
		file("garbage", "garbage line\n"): "line 1 of RevokedHostKeys", file("sum", "# sums\nSHA256:abc\n"): "line 2 of RevokedHostKeys",
		file("alone", "ssh-ed25519\n"): "is no public key", file("cut", own[:len(own)-12]+"\n"): "is no public key",
		file("labelled", strings.Replace(own, "ssh-ed25519", "ssh-rsa", 1)): "is no public key", file("future", "ssh-future AAAA\n"): "is no public key",
	} {
		target.RevokedHostKeys = name
		if _, err := ssh.Dial(t.Context(), target); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		lack(t, "there is no ssh-keygen to make a key revocation list")
	}
	for _, key := range []string{own, string(xssh.MarshalAuthorizedKey(other))} {
		krl := filepath.Join(dir, "krl")
		if out, err := exec.Command("ssh-keygen", "-k", "-f", krl, file("listed.pub", key)).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		target.RevokedHostKeys = krl
		c, err := ssh.Dial(t.Context(), target)
		if refused := err != nil && strings.Contains(err.Error(), "is revoked"); refused != (key == own) {
			t.Errorf("error %v", err)
		}
		if err == nil {
			c.Close()
		}
	}
}

func TestHostKeyAlgorithms(t *testing.T) {
	server := sshtest.NewServer(t) // proves itself with an Ed25519 key
	for setting, works := range map[string]bool{
		"": true, "ssh-ed25519": true, "rsa-*,ssh-ed*": true, "^ssh-ed25519": true, "+ssh-rsa": true, "-ssh-rsa": true,
		"rsa-sha2-512": false, "-ssh-ed25519*": false, "ssh-dss": false,
	} {
		target := server.Target()
		target.HostKeyAlgorithms = setting
		c, err := ssh.Dial(t.Context(), target)
		if (err == nil) != works {
			t.Errorf("%q: %v", setting, err)
		}
		if err == nil {
			c.Close()
		}
	}
}

func TestFamilyAndBindAddress(t *testing.T) {
	server := sshtest.NewServer(t)
	for change, works := range map[*ssh.Target]bool{
		{AddressFamily: "inet"}: true, {AddressFamily: "inet6"}: false, {BindAddress: "127.0.0.2"}: true, {BindAddress: "192.0.2.1"}: false,
	} {
		target := server.Target()
		target.AddressFamily, target.BindAddress = change.AddressFamily, change.BindAddress
		c, err := ssh.Dial(t.Context(), target)
		if (err == nil) != works {
			t.Errorf("%+v: %v", change, err)
		}
		if err == nil {
			c.Close()
		}
	}
}
