package sshd

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newSigner(t *testing.T) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// serve starts a server with c and returns its address; the server and everything in it has ended when the test has.
func serve(t *testing.T, c Config) (address string, hostKey ssh.PublicKey) {
	t.Helper()
	key := newSigner(t)
	c.HostKeys = []ssh.Signer{key}
	if c.Password == nil {
		c.Password = func(_, password string) error {
			if password != "right" {
				return errors.New("wrong password")
			}
			return nil
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l, c) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String(), key.PublicKey()
}

func dial(t *testing.T, c Config) *ssh.Client {
	t.Helper()
	address, key := serve(t, c)
	client, err := ssh.Dial("tcp", address, &ssh.ClientConfig{
		User: "tester", Auth: []ssh.AuthMethod{ssh.Password("right")}, HostKeyCallback: ssh.FixedHostKey(key),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

func session(t *testing.T, c *ssh.Client) *ssh.Session {
	t.Helper()
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestCommandHasItsOwnStreamsAndStatus(t *testing.T) {
	s := session(t, dial(t, Config{Exec: RunCommand("/bin/sh")}))
	var stdout, stderr bytes.Buffer
	s.Stdin, s.Stdout, s.Stderr = strings.NewReader("from stdin"), &stdout, &stderr
	err := s.Run(`cat; echo to stderr >&2; exit 7`)
	var exit *ssh.ExitError
	if !errors.As(err, &exit) || exit.ExitStatus() != 7 {
		t.Errorf("run: %v, want status 7", err)
	}
	if stdout.String() != "from stdin" || stderr.String() != "to stderr\n" {
		t.Errorf("stdout %q, stderr %q", stdout.String(), stderr.String())
	}
}

func TestCommandReceivesSignalAndReportsIt(t *testing.T) {
	s := session(t, dial(t, Config{Exec: RunCommand("/bin/sh")}))
	out, err := s.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start("echo ready; exec sleep 600"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	if err := s.Signal(ssh.SIGTERM); err != nil {
		t.Fatal(err)
	}
	var exit *ssh.ExitError
	if err := s.Wait(); !errors.As(err, &exit) || exit.Signal() != "TERM" {
		t.Errorf("wait: %v, want signal TERM", err)
	}
}

func TestTerminalIsOneAndHasASize(t *testing.T) {
	s := session(t, dial(t, Config{Exec: RunCommand("/bin/sh")}))
	if err := s.RequestPty("xterm", 33, 99, nil); err != nil {
		t.Fatal(err)
	}
	out, err := s.Output("test -t 0 && stty size")
	if err != nil || !strings.Contains(string(out), "33 99") {
		t.Errorf("output %q, error %v", out, err)
	}
}

func TestProcessOutlivesItsConnection(t *testing.T) {
	dir := t.TempDir()
	client := dial(t, Config{Exec: RunCommand("/bin/sh")})
	s := session(t, client)
	fifo, marker := filepath.Join(dir, "fifo"), filepath.Join(dir, "marker")
	out, err := s.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start("mkfifo " + fifo + " && echo ready && cat " + fifo + " > /dev/null && echo alive > " + marker); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	client.Close()
	if err := os.WriteFile(fifo, []byte("go on\n"), 0); err != nil {
		t.Fatal(err)
	}
	for range 500 {
		if got, _ := os.ReadFile(marker); string(got) == "alive\n" {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("the command died with its connection")
}

func TestServerEndKillsWhatStillRuns(t *testing.T) {
	// serve's cleanup waits for every handler, and goleak for every goroutine: without the kill this test hangs.
	s := session(t, dial(t, Config{Exec: RunCommand("/bin/sh")}))
	if err := s.Start("exec sleep 6000"); err != nil {
		t.Fatal(err)
	}
}

func TestSFTPServesTheFileSystem(t *testing.T) {
	client := dial(t, Config{SFTP: true})
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	fs, err := sftp.NewClient(client)
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Close()
	f, err := fs.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, err := io.ReadAll(f); err != nil || string(got) != "content" {
		t.Errorf("read %q, error %v", got, err)
	}
}

func TestSessionsBeyondMaxSessionsAreRefused(t *testing.T) {
	client := dial(t, Config{Exec: RunCommand("/bin/sh"), MaxSessions: 1})
	session(t, client)
	var refused *ssh.OpenChannelError
	if _, err := client.NewSession(); !errors.As(err, &refused) {
		t.Errorf("second session: %v, want a refusal", err)
	}
}

func TestForwardReachesAnotherServer(t *testing.T) {
	inner, key := serve(t, Config{Exec: RunCommand("/bin/sh")})
	nc, err := dial(t, Config{Forward: true}).Dial("tcp", inner)
	if err != nil {
		t.Fatal(err)
	}
	conn, channels, requests, err := ssh.NewClientConn(nc, inner, &ssh.ClientConfig{
		User: "tester", Auth: []ssh.AuthMethod{ssh.Password("right")}, HostKeyCallback: ssh.FixedHostKey(key),
	})
	if err != nil {
		t.Fatal(err)
	}
	client := ssh.NewClient(conn, channels, requests)
	defer client.Close()
	if out, err := session(t, client).Output("echo through"); err != nil || string(out) != "through\n" {
		t.Errorf("output %q, error %v", out, err)
	}
}

func TestRefusedExecClosesTheChannel(t *testing.T) {
	s := session(t, dial(t, Config{Exec: RunCommand("/bin/sh"), Faults: Faults{RefuseExec: true}}))
	if err := s.Run("true"); err == nil {
		t.Error("a refused command ran")
	}
}

func TestKeyboardInteractiveAsksForThePassword(t *testing.T) {
	address, key := serve(t, Config{KeyboardInteractive: true, Exec: RunCommand("/bin/sh")})
	for answer, want := range map[string]bool{"right": true, "wrong": false} {
		client, err := ssh.Dial("tcp", address, &ssh.ClientConfig{
			User: "tester", HostKeyCallback: ssh.FixedHostKey(key),
			Auth: []ssh.AuthMethod{ssh.KeyboardInteractive(func(_, _ string, q []string, _ []bool) ([]string, error) {
				return slices.Repeat([]string{answer}, len(q)), nil
			})},
		})
		if (err == nil) != want {
			t.Errorf("answer %q: %v", answer, err)
		}
		if err == nil {
			client.Close()
		}
	}
}
