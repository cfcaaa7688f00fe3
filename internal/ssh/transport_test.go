//go:build unix

package ssh_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"provision/internal/ssh"
	"provision/internal/ssh/sshd"
	"provision/internal/ssh/sshtest"
)

// byOpenSSH is a target that ssh(1) connects to.
func byOpenSSH(t *testing.T, target ssh.Target) ssh.Target {
	t.Helper()
	if _, err := exec.LookPath("ssh"); err != nil {
		lack(t, "there is no OpenSSH client: install openssh-client")
	}
	t.Setenv("XDG_RUNTIME_DIR", "")
	t.Setenv("TMPDIR", t.TempDir())
	if len(os.TempDir()) > 60 { // too long for a socket
		dir, err := os.MkdirTemp("/tmp", "t")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		t.Setenv("TMPDIR", dir)
	}
	t.Cleanup(func() {
		if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "provision-ssh-*")); len(left) > 0 {
			t.Errorf("left behind: %q", left)
		}
	})
	target.Transport = ssh.TransportOpenSSH
	return target
}

// What goes over this package's own connections goes over one of ssh(1) as well.
func TestOpenSSHTransport(t *testing.T) {
	c := sshtest.Dial(t, byOpenSSH(t, openSSH(t, internalSFTP)))
	out, errText, status, err := run(t, c, "cat; echo problem >&2; exit 5", "some input")
	if out != "some input" || errText != "problem\n" || status != 5 || err != nil {
		t.Errorf("stdout %q, stderr %q, status %d, error %v", out, errText, status, err)
	}
	content := strings.Repeat("\x00\xff'binary\n", 500_000)
	file := filepath.Join(t.TempDir(), "file")
	if err := c.Upload(t.Context(), file, 0o640, int64(len(content)), strings.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != content {
		t.Errorf("%d bytes arrived, %v", len(got), err)
	}
	large, _, status, err := run(t, c, "head -c 20000000 /dev/zero | tr '\\0' x", "")
	if len(large) != 20_000_000 || status != 0 || err != nil {
		t.Errorf("%d bytes, status %d, error %v", len(large), status, err)
	}
}

func TestOpenSSHTransportAsksByWayOfTheCaller(t *testing.T) {
	s := sshtest.NewServer(t, func(c *sshd.Config) {
		c.PublicKey = nil
		c.Password = func(user, password string) error {
			if user != "tester" || password != "it's $a \"secret\"" {
				return errors.New("wrong")
			}
			return nil
		}
	})
	target := byOpenSSH(t, s.Target())
	asked := 0
	target.Password = func(context.Context) (string, error) { asked++; return "it's $a \"secret\"", nil }
	if out, _, _, err := run(t, sshtest.Dial(t, target), "echo in", ""); out != "in\n" || err != nil || asked != 1 {
		t.Errorf("%q, %v, asked %d times", out, err, asked)
	}
	asked = 0
	target.Password = func(context.Context) (string, error) { asked++; return "wrong", nil }
	_, err := ssh.Dial(t.Context(), target)
	if phaseOf(t, err) != ssh.PhaseAuthenticate || asked != 1 || !strings.Contains(err.Error(), "Permission denied") {
		t.Errorf("a wrong password: %v, asked %d times", err, asked)
	}
	target.Password = nil
	target.Answer = func(_ context.Context, p ssh.Prompt) (string, error) {
		if p.Kind != ssh.PromptPassword {
			t.Errorf("asked %+v", p)
		}
		return "it's $a \"secret\"", nil
	}
	sshtest.Dial(t, target)
	target.Answer = nil
	if _, err := ssh.Dial(t.Context(), target); phaseOf(t, err) != ssh.PhaseAuthenticate || !strings.Contains(err.Error(), "nobody is there to answer") {
		t.Errorf("without an answer: %v", err)
	}
}

func TestOpenSSHTransportAsksForPassphrases(t *testing.T) {
	s := sshtest.NewServer(t)
	target := byOpenSSH(t, s.Target())
	if out, err := exec.Command("ssh-keygen", "-q", "-p", "-P", "", "-N", "sesame", "-f", s.Identity).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	target.Passphrase = func(_ context.Context, file string, _ int) (string, error) {
		if file != s.Identity {
			t.Errorf("asked for %s", file)
		}
		return "sesame", nil
	}
	sshtest.Dial(t, target)
}

// Nothing is trusted at first sight, whatever ssh_config says.
func TestOpenSSHTransportRefusesHostKeys(t *testing.T) {
	s := sshtest.NewServer(t)
	target := byOpenSSH(t, s.Target())
	target.KnownHostsFiles = []string{filepath.Join(t.TempDir(), "empty")}
	_, err := ssh.Dial(t.Context(), target)
	if phaseOf(t, err) != ssh.PhaseHostKey || !strings.Contains(err.Error(), "provision trust") {
		t.Errorf("unknown: %v", err)
	}
	if _, err := os.Stat(target.KnownHostsFiles[0]); err == nil {
		t.Error("the key was recorded")
	}
	target.KnownHostsFiles = []string{sshtest.NewServer(t).KnownHosts}
	data, err := os.ReadFile(target.KnownHostsFiles[0])
	if err != nil {
		t.Fatal(err)
	}
	_, key, _ := strings.Cut(string(data), " ")
	port := strings.TrimPrefix(s.Address, "127.0.0.1:")
	if err := os.WriteFile(target.KnownHostsFiles[0], []byte("[127.0.0.1]:"+port+" "+key), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ssh.Dial(t.Context(), target); phaseOf(t, err) != ssh.PhaseHostKey || !strings.Contains(err.Error(), "HAS CHANGED") {
		t.Errorf("changed: %v", err)
	}
}

func TestOpenSSHTransportTellsWhatWentWrong(t *testing.T) {
	s := sshtest.NewServer(t)
	target := byOpenSSH(t, s.Target())
	refused := target
	refused.IdentityFiles = []string{filepath.Join(t.TempDir(), "none")}
	if _, err := ssh.Dial(t.Context(), refused); phaseOf(t, err) != ssh.PhaseAuthenticate {
		t.Errorf("no key: %v", err)
	}
	nowhere := target
	nowhere.Port = freePort(t)
	if _, err := ssh.Dial(t.Context(), nowhere); phaseOf(t, err) != ssh.PhaseConnect || !strings.Contains(err.Error(), "Connection refused") {
		t.Errorf("nothing listens: %v", err)
	}
	nameless := target
	nameless.Name, nameless.Address = "nowhere.invalid", ""
	if _, err := ssh.Dial(t.Context(), nameless); phaseOf(t, err) != ssh.PhaseResolve {
		t.Errorf("no such name: %v", err)
	}
	odd := target
	odd.Name, odd.Address = "-oProxyCommand=false", ""
	if _, err := ssh.Dial(t.Context(), odd); err == nil || !strings.Contains(err.Error(), "is no name of a host") {
		t.Errorf("an option for a name: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	silent := sshtest.NewServer(t, func(c *sshd.Config) { c.Faults.Hang = sshd.HangAuth }).Target()
	silent.Transport = ssh.TransportOpenSSH
	if _, err := ssh.Dial(ctx, silent); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("interrupted: %v", err)
	}
}

// Each hop is entered with its own key and its own record of host keys.
func TestOpenSSHTransportThroughJumps(t *testing.T) {
	first, second, last := sshtest.NewServer(t), sshtest.NewServer(t), sshtest.NewServer(t, func(c *sshd.Config) {
		c.PublicKey = nil
		c.Password = func(_, password string) error {
			if password != "for the last" {
				return errors.New("wrong")
			}
			return nil
		}
	})
	target := byOpenSSH(t, last.Target())
	target.Jumps = []ssh.Target{first.Target(), second.Target()}
	target.Password = func(context.Context) (string, error) { return "for the last", nil }
	c := sshtest.Dial(t, target)
	if out, _, _, err := run(t, c, "echo through", ""); out != "through\n" || err != nil {
		t.Errorf("output %q, error %v", out, err)
	}
}

// The password of the target is not what a jump host is given.
func TestOpenSSHTransportGivesNoJumpThePassword(t *testing.T) {
	var heard []string
	jump := sshtest.NewServer(t, func(c *sshd.Config) {
		c.PublicKey = nil
		c.Password = func(_, password string) error {
			heard = append(heard, password)
			return errors.New("wrong")
		}
	})
	target := byOpenSSH(t, sshtest.NewServer(t).Target())
	target.Jumps = []ssh.Target{jump.Target()}
	target.Jumps[0].User = "gatekeeper"
	target.Password = func(context.Context) (string, error) { return "for the last", nil }
	if _, err := ssh.Dial(t.Context(), target); err == nil || !strings.Contains(err.Error(), "nobody is there to answer") {
		t.Errorf("error %v", err)
	}
	if len(heard) > 0 {
		t.Errorf("the jump host was given %q", heard)
	}
}

// A link that ends is lost, with the words of ssh, and leaves no process and no directory.
func TestOpenSSHTransportNoticesALostLink(t *testing.T) {
	s := sshtest.NewServer(t)
	c := sshtest.Dial(t, byOpenSSH(t, s.Target()))
	p, err := c.Start(t.Context(), "echo begun; sleep 60")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Stdout.Read(make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	if _, err := p.Wait(); !errors.Is(err, ssh.ErrLinkLost) {
		t.Errorf("error %v", err)
	}
}

// Where this package cannot log in and ssh(1) can, "auto" goes on by itself, and tells this package's error where neither can.
func TestAutoTransport(t *testing.T) {
	s := sshtest.NewServer(t)
	target := byOpenSSH(t, s.Target())
	target.Transport = ssh.TransportAuto
	target.Unheeded = []string{"ssh_config line 1: SecurityKeyProvider x: not heeded"}
	if c := sshtest.Dial(t, target); c.Target().KeepAlive != -1 {
		t.Error("ssh(1) was not used for what ssh_config asks for")
	}
	target.Unheeded = nil
	if c := sshtest.Dial(t, target); c.Target().KeepAlive == -1 {
		t.Error("ssh(1) was used without need")
	}
	target.IdentityFiles = []string{filepath.Join(t.TempDir(), "none")}
	if _, err := ssh.Dial(t.Context(), target); phaseOf(t, err) != ssh.PhaseAuthenticate || !strings.Contains(err.Error(), "no key was offered") {
		t.Errorf("neither is let in: %v", err)
	}
}

// Where ssh_config has a Match sessiontype, ssh(1) has a session of its own, of type exec, until its connection is shared.
func TestOpenSSHTransportTellsTheTypeOfSession(t *testing.T) {
	config := loadConfig(t, "Match sessiontype exec\n User nobody-asks\n")
	server := byOpenSSH(t, openSSH(t))
	hop := ssh.Target{Name: "hop"}
	target, err := config.Resolve(t.Context(), "127.0.0.1", server)
	if err != nil || !target.OpenSSHSession || target.OpenSSHWords[len(target.OpenSSHWords)-1] != "exec /bin/sh" {
		t.Fatalf("%+v, %v", target, err)
	}
	c := sshtest.Dial(t, target)
	for range 3 {
		if out, _, _, err := run(t, c, "echo beside it", ""); out != "beside it\n" || err != nil {
			t.Errorf("output %q, error %v", out, err)
		}
	}
	c.Close()
	server.Jumps = []ssh.Target{hop}
	if target, err = config.Resolve(t.Context(), "127.0.0.1", server); err != nil || target.Jumps[0].User == "nobody-asks" || target.Jumps[0].OpenSSHSession {
		t.Errorf("the jump host is %+v, %v", target.Jumps, err)
	}
}

// An ssh that goes to the background would be lost sight of.
func TestOpenSSHTransportStaysInTheForeground(t *testing.T) {
	config := loadConfig(t, "ForkAfterAuthentication yes\n")
	target, err := config.Resolve(t.Context(), "127.0.0.1", byOpenSSH(t, openSSH(t)))
	if err != nil || !slices.Contains(target.OpenSSHWords, "ForkAfterAuthentication=no") {
		t.Fatalf("%q, %v", target.OpenSSHWords, err)
	}
	c := sshtest.Dial(t, target)
	defer c.Close()
	if out, _, _, err := run(t, c, "echo there", ""); out != "there\n" || err != nil {
		t.Errorf("output %q, error %v", out, err)
	}
}

// A key that is read here and by no older ssh is told as one.
func TestOpenSSHTransportWithAKeyThatSSHDoesNotRead(t *testing.T) {
	version, _ := exec.Command("ssh", "-V").CombinedOutput()
	public, private, _ := sshtest.NewKey(t)
	target := byOpenSSH(t, sshtest.NewServer(t, func(c *sshd.Config) { c.PublicKey = sshtest.AcceptKey(public) }).Target())
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	target.IdentityFiles = []string{filepath.Join(t.TempDir(), "key")}
	if err := os.WriteFile(target.IdentityFiles[0], pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	if regexp.MustCompile(`OpenSSH_([78]\.|9\.[0-5]\D)`).Match(version) {
		_, err := ssh.Dial(t.Context(), target)
		says(t, err, []string{"invalid format", "`ssh-keygen -p -f FILE` of a later one"}, nil)
	} else {
		sshtest.Dial(t, target)
	}
	target.Transport = ssh.TransportBuiltin
	sshtest.Dial(t, target)
}
