package ssh_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"provision/internal/ssh"
	"provision/internal/ssh/sshd"
	"provision/internal/ssh/sshtest"
)

func TestMain(m *testing.M) {
	ssh.MaybeAskpass()
	goleak.VerifyTestMain(m)
}

// run runs a command to its end.
func run(t *testing.T, c *ssh.Client, command, input string) (stdout, stderr string, status int, err error) {
	t.Helper()
	p, err := c.Start(t.Context(), command)
	if err != nil {
		return "", "", -1, err
	}
	defer p.Close()
	go func() {
		_, _ = io.WriteString(p.Stdin, input)
		_ = p.Stdin.Close()
	}()
	errText := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(p.Stderr)
		errText <- string(b)
	}()
	out, _ := io.ReadAll(p.Stdout)
	status, err = p.Wait()
	return string(out), <-errText, status, err
}

func phaseOf(t *testing.T, err error) ssh.Phase {
	t.Helper()
	var e *ssh.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v is no *ssh.Error", err)
	}
	return e.Phase
}

func TestCommandGetsInputAndGivesOutputAndStatus(t *testing.T) {
	c := sshtest.Dial(t, sshtest.NewServer(t).Target())
	out, errText, status, err := run(t, c, "cat; echo problem >&2; exit 5", "some input")
	if out != "some input" || errText != "problem\n" || status != 5 || err != nil {
		t.Errorf("stdout %q, stderr %q, status %d, error %v", out, errText, status, err)
	}
}

func TestSignalledCommandHasTheShellsStatus(t *testing.T) {
	c := sshtest.Dial(t, sshtest.NewServer(t).Target())
	if _, _, status, err := run(t, c, "kill -KILL $$", ""); status != 128+9 || err != nil {
		t.Errorf("status %d, error %v", status, err)
	}
}

func TestLargeOutputIsComplete(t *testing.T) {
	c := sshtest.Dial(t, sshtest.NewServer(t).Target())
	out, _, _, err := run(t, c, "head -c 20000000 /dev/zero", "")
	if len(out) != 20000000 || err != nil {
		t.Errorf("%d bytes, error %v", len(out), err)
	}
}

func TestRefusedCommandIsAnError(t *testing.T) {
	s := sshtest.NewServer(t, func(c *sshd.Config) { c.Faults.RefuseExec = true })
	_, _, _, err := run(t, sshtest.Dial(t, s.Target()), "true", "")
	if err == nil || phaseOf(t, err) != ssh.PhaseSession || ssh.Unreachable(err) {
		t.Errorf("error %v", err)
	}
}

func TestUnknownHostIsRefusedWithItsFingerprint(t *testing.T) {
	s := sshtest.NewServer(t)
	target := s.Target()
	target.KnownHostsFiles = []string{filepath.Join(t.TempDir(), "missing")}
	_, err := ssh.Dial(t.Context(), target)
	var unknown *ssh.UnknownHostKeyError
	if !errors.As(err, &unknown) || phaseOf(t, err) != ssh.PhaseHostKey {
		t.Fatalf("error %v", err)
	}
	key, err2 := ssh.Scan(t.Context(), target)
	if err2 != nil {
		t.Fatal(err2)
	}
	if unknown.Fingerprint != key.Fingerprint() || !strings.Contains(err.Error(), "provision trust") {
		t.Errorf("error %v, key %s", err, key.Fingerprint())
	}
	if err := ssh.Remember(target.KnownHostsFiles[0], []ssh.HostKey{key}); err != nil {
		t.Fatal(err)
	}
	sshtest.Dial(t, target)
}

func TestChangedHostKeyNamesTheOldOnesPlace(t *testing.T) {
	s, other := sshtest.NewServer(t), sshtest.NewServer(t)
	other.Pin(t, s.Port)
	target := s.Target()
	target.KnownHostsFiles = []string{other.KnownHosts}
	_, err := ssh.Dial(t.Context(), target)
	var changed *ssh.ChangedHostKeyError
	if !errors.As(err, &changed) || changed.Revoked || !strings.Contains(err.Error(), other.KnownHosts+":2") {
		t.Errorf("error %v", err)
	}
}

func TestRevokedHostKeyIsRefused(t *testing.T) {
	s := sshtest.NewServer(t)
	line, err := os.ReadFile(s.KnownHosts)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.KnownHosts, append([]byte("@revoked "), append(line, line...)...), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = ssh.Dial(t.Context(), s.Target())
	var changed *ssh.ChangedHostKeyError
	if !errors.As(err, &changed) || !changed.Revoked {
		t.Errorf("error %v", err)
	}
}

func TestHungServerEndsInItsPhase(t *testing.T) {
	for hang, want := range map[sshd.Phase]ssh.Phase{
		sshd.HangAccept: ssh.PhaseHandshake, sshd.HangAuth: ssh.PhaseAuthenticate, sshd.HangSession: ssh.PhaseSession,
	} {
		t.Run(string(want), func(t *testing.T) {
			t.Parallel()
			target := sshtest.NewServer(t, func(c *sshd.Config) { c.Faults.Hang = hang }).Target()
			target.ConnectTimeout, target.LoginTimeout = 2*time.Second, 2*time.Second
			c, err := ssh.Dial(t.Context(), target)
			if err == nil {
				defer c.Close()
				_, err = c.Start(t.Context(), "true")
			}
			if phaseOf(t, err) != want || !errors.Is(err, ssh.ErrTimeout) || !ssh.Unreachable(err) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestCancelledDialEnds(t *testing.T) {
	target := sshtest.NewServer(t, func(c *sshd.Config) { c.Faults.Hang = sshd.HangAuth }).Target()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	_, err := ssh.Dial(ctx, target)
	if !errors.Is(err, context.Canceled) || ssh.Unreachable(err) {
		t.Errorf("error %v", err)
	}
}

func TestNothingListeningIsAConnectFailure(t *testing.T) {
	s := sshtest.NewServer(t)
	s.Stop()
	_, err := ssh.Dial(t.Context(), s.Target())
	if phaseOf(t, err) != ssh.PhaseConnect || !ssh.Unreachable(err) || !strings.Contains(err.Error(), "is sshd running") {
		t.Errorf("error %v", err)
	}
}

func TestCutLinkEndsTheCommandAsLost(t *testing.T) {
	s := sshtest.NewServer(t)
	proxy := sshtest.NewProxy(t, s.Address, 0)
	s.Pin(t, proxy.Port)
	target := s.Target()
	target.Port = proxy.Port
	c := sshtest.Dial(t, target)
	p, err := c.Start(t.Context(), "echo ready; exec sleep 600")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(p.Stdout, make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	proxy.Cut()
	if _, err := p.Wait(); !errors.Is(err, ssh.ErrLinkLost) || !ssh.Unreachable(err) {
		t.Errorf("wait: %v", err)
	}
	<-c.Closed()
}

func TestSilentLinkIsDropped(t *testing.T) {
	s := sshtest.NewServer(t)
	proxy := sshtest.NewProxy(t, s.Address, 0)
	s.Pin(t, proxy.Port)
	target := s.Target()
	target.Port, target.KeepAlive = proxy.Port, 50*time.Millisecond
	c := sshtest.Dial(t, target)
	p, err := c.Start(t.Context(), "exec sleep 600")
	if err != nil {
		t.Fatal(err)
	}
	proxy.Hang(true)
	if _, err := p.Wait(); !errors.Is(err, ssh.ErrLinkLost) || !errors.Is(err, ssh.ErrTimeout) {
		t.Errorf("wait: %v", err)
	}
}

func TestIdleLinkToAHealthyServerLives(t *testing.T) {
	target := sshtest.NewServer(t).Target()
	target.KeepAlive = 300 * time.Millisecond
	c := sshtest.Dial(t, target)
	if out, _, _, err := run(t, c, "sleep 2; echo alive", ""); out != "alive\n" || err != nil {
		t.Errorf("output %q, error %v", out, err)
	}
}

func TestJumpsThroughTwoHosts(t *testing.T) {
	first, second, last := sshtest.NewServer(t), sshtest.NewServer(t), sshtest.NewServer(t)
	target := last.Target()
	target.Jumps = []ssh.Target{first.Target(), second.Target()}
	c := sshtest.Dial(t, target)
	if out, _, _, err := run(t, c, "echo through", ""); out != "through\n" || err != nil {
		t.Errorf("output %q, error %v", out, err)
	}
	if _, err := ssh.Scan(t.Context(), target); err != nil {
		t.Errorf("scan: %v", err)
	}
	target.Jumps[1].Name = "bastion"
	target.Jumps[1].IdentityFiles = []string{filepath.Join(t.TempDir(), "missing")}
	if _, err := ssh.Dial(t.Context(), target); phaseOf(t, err) != ssh.PhaseAuthenticate || !strings.HasPrefix(err.Error(), "bastion ") {
		t.Errorf("error %v, want one about the bastion", err)
	}
}

func TestHangBehindAJumpEnds(t *testing.T) {
	last := sshtest.NewServer(t, func(c *sshd.Config) { c.Faults.Hang = sshd.HangAccept })
	target := last.Target()
	target.ConnectTimeout, target.Jumps = 2*time.Second, []ssh.Target{sshtest.NewServer(t).Target()}
	if _, err := ssh.Dial(t.Context(), target); phaseOf(t, err) != ssh.PhaseHandshake || !errors.Is(err, ssh.ErrTimeout) {
		t.Errorf("error %v", err)
	}
}

func TestOldServerConnectsWithoutLegacy(t *testing.T) {
	s := sshtest.NewServer(t, func(c *sshd.Config) { c.Algorithms = sshd.OpenSSH74() })
	sshtest.Dial(t, s.Target())
}

func TestAncientServerNeedsLegacy(t *testing.T) {
	target := sshtest.NewServer(t, func(c *sshd.Config) {
		c.Algorithms.KeyExchanges = []string{"diffie-hellman-group14-sha1"}
		c.Algorithms.MACs, c.Algorithms.Ciphers = []string{"hmac-sha1"}, []string{"aes128-cbc"}
	}).Target()
	if _, err := ssh.Dial(t.Context(), target); phaseOf(t, err) != ssh.PhaseHandshake || !strings.Contains(err.Error(), "legacy") {
		t.Errorf("error %v", err)
	}
	target.Legacy = true
	sshtest.Dial(t, target)
}

func TestSecondSessionBeyondTheLimitSaysSo(t *testing.T) {
	s := sshtest.NewServer(t, func(c *sshd.Config) { c.MaxSessions = 1 })
	c := sshtest.Dial(t, s.Target())
	dir := t.TempDir()
	upload := func() error {
		return c.Upload(t.Context(), filepath.Join(dir, "file"), 0o644, 1<<20, bytes.NewReader(make([]byte, 1<<20)))
	}
	if err := upload(); err != nil {
		t.Fatal(err)
	}
	p, err := c.Start(t.Context(), "cat") // takes the session that the upload left idle
	if err != nil {
		t.Fatal(err)
	}
	if err := upload(); err == nil || ssh.Unreachable(err) || !strings.Contains(err.Error(), "MaxSessions") {
		t.Errorf("upload beside a command: %v", err)
	}
	_ = p.Stdin.Close()
	if status, err := p.Wait(); status != 0 || err != nil {
		t.Errorf("status %d, error %v", status, err)
	}
}

func TestUploads(t *testing.T) {
	content := bytes.Repeat([]byte("\x00\xff'binary\n"), 300_000)
	for name, sftp := range map[string]bool{"SFTP": true, "shell": false} {
		t.Run(name, func(t *testing.T) {
			c := sshtest.Dial(t, sshtest.NewServer(t, func(c *sshd.Config) { c.SFTP = sftp }).Target())
			dir := t.TempDir()
			file := filepath.Join(dir, "it's a file")
			if err := os.WriteFile(file, []byte("old"), 0o666); err != nil {
				t.Fatal(err)
			}
			if err := c.Upload(t.Context(), file, 0o400, int64(len(content)), bytes.NewReader(content)); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(file)
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("%d bytes arrived, error %v", len(got), err)
			}
			if info, err := os.Stat(file); err != nil || info.Mode() != 0o400 {
				t.Errorf("mode %v, error %v", info.Mode(), err)
			}
			if err := c.Upload(t.Context(), file, 0o600, 10, strings.NewReader("short")); err == nil {
				t.Error("a source that is too short is no error")
			}
			if err := c.Upload(t.Context(), file, 0o600, 3, strings.NewReader("too long")); err == nil {
				t.Error("a source that is too long is no error")
			}
			if err := c.Upload(t.Context(), filepath.Join(dir, "no", "file"), 0o600, 1, strings.NewReader("x")); err == nil {
				t.Error("a missing directory is no error")
			}
			if err := os.Mkdir(filepath.Join(dir, "sub"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := c.Upload(t.Context(), filepath.Join(dir, "sub"), 0o600, 1, strings.NewReader("x")); err == nil {
				t.Error("replacing a directory is no error")
			}
			if again, _ := os.ReadFile(file); !bytes.Equal(again, content) {
				t.Error("a failed upload changed the file")
			}
			left, err := filepath.Glob(filepath.Join(dir, ".provision-*"))
			if err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, error %v", left, err)
			}
		})
	}
}
