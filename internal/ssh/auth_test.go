package ssh_test

import (
	"context"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	xssh "golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"provision/internal/ssh"
	"provision/internal/ssh/sshd"
	"provision/internal/ssh/sshtest"
)

// startAgent serves an agent that holds keys, and returns its socket.
func startAgent(t *testing.T, keys ...any) string {
	t.Helper()
	ring := agent.NewKeyring()
	for _, k := range keys {
		if err := ring.Add(agent.AddedKey{PrivateKey: k}); err != nil {
			t.Fatal(err)
		}
	}
	dir, err := os.MkdirTemp("", "agent")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.Close()
		os.RemoveAll(dir)
	})
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer nc.Close()
				_ = agent.ServeAgent(ring, nc)
			}()
		}
	}()
	return l.Addr().String()
}

func writePublic(t testing.TB, file string, key xssh.PublicKey) {
	t.Helper()
	if err := os.WriteFile(file, xssh.MarshalAuthorizedKey(key), 0o644); err != nil {
		t.Fatal(err)
	}
}

func signCert(t *testing.T, cert *xssh.Certificate, authority xssh.Signer) {
	t.Helper()
	if err := cert.SignCert(rand.Reader, authority); err != nil {
		t.Fatal(err)
	}
}

func TestAgentKeyLetsIn(t *testing.T) {
	public, private, _ := sshtest.NewKey(t)
	_, other, _ := sshtest.NewKey(t)
	target := sshtest.NewServer(t, func(c *sshd.Config) { c.PublicKey = sshtest.AcceptKey(public) }).Target()
	target.AgentSocket = startAgent(t, other, private)
	if _, err := ssh.Dial(t.Context(), target); err == nil {
		t.Error("IdentitiesOnly let a key of the agent be offered")
	}
	target.IdentitiesOnly = false
	sshtest.Dial(t, target)
}

func TestPublicKeyFileChoosesAmongTheAgentsKeys(t *testing.T) {
	public, private, _ := sshtest.NewKey(t)
	_, other, _ := sshtest.NewKey(t)
	tried := 0
	target := sshtest.NewServer(t, func(c *sshd.Config) {
		c.PublicKey = func(user string, key xssh.PublicKey) error {
			tried++
			return sshtest.AcceptKey(public)(user, key)
		}
	}).Target()
	target.AgentSocket = startAgent(t, other, private)
	target.IdentityFiles = []string{filepath.Join(t.TempDir(), "key.pub")}
	writePublic(t, target.IdentityFiles[0], public)
	sshtest.Dial(t, target)
	if tried != 1 {
		t.Errorf("%d keys were offered, want the named one alone", tried)
	}
}

func TestNamedKeyIsOfferedBeforeTheAgents(t *testing.T) {
	s := sshtest.NewServer(t, func(c *sshd.Config) { c.MaxAuthTries = 1 })
	_, a, _ := sshtest.NewKey(t)
	_, b, _ := sshtest.NewKey(t)
	target := s.Target()
	target.IdentitiesOnly, target.AgentSocket = false, startAgent(t, a, b)
	sshtest.Dial(t, target)
}

func TestPassphraseIsAskedOnlyForAnAcceptedKey(t *testing.T) {
	dir := t.TempDir()
	locked := func(name string) (string, xssh.PublicKey) {
		public, private, _ := sshtest.NewKey(t)
		block, err := xssh.MarshalPrivateKeyWithPassphrase(private, "", []byte("open sesame"))
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		return file, public
	}
	wrong, _ := locked("wrong")
	right, public := locked("right")
	target := sshtest.NewServer(t, func(c *sshd.Config) { c.PublicKey = sshtest.AcceptKey(public) }).Target()
	target.IdentityFiles = []string{wrong, right}
	if _, err := ssh.Dial(t.Context(), target); err == nil || !strings.Contains(err.Error(), "ssh-add") {
		t.Errorf("nobody to ask: error %v", err)
	}
	var asked []string
	target.Passphrase = func(_ context.Context, file string, _ int) (string, error) {
		asked = append(asked, file)
		return "open sesame", nil
	}
	sshtest.Dial(t, target)
	if len(asked) != 1 || asked[0] != right {
		t.Errorf("asked for %v", asked)
	}
}

func TestCertificateBesideTheKeyIsOffered(t *testing.T) {
	s := sshtest.NewServer(t, func(c *sshd.Config) {
		c.PublicKey = func(_ string, key xssh.PublicKey) error {
			if _, ok := key.(*xssh.Certificate); !ok {
				return errors.New("only certificates")
			}
			return nil
		}
	})
	_, _, authority := sshtest.NewKey(t)
	cert := &xssh.Certificate{
		Key: s.ClientKey.PublicKey(), CertType: xssh.UserCert, ValidPrincipals: []string{"tester"}, ValidBefore: xssh.CertTimeInfinity,
	}
	signCert(t, cert, authority)
	writePublic(t, s.Identity+"-cert.pub", cert)
	sshtest.Dial(t, s.Target())
}

func TestPasswordIsAskedWhenKeysDoNotDo(t *testing.T) {
	for name, interactive := range map[string]bool{"password": false, "keyboard-interactive": true} {
		t.Run(name, func(t *testing.T) {
			s := sshtest.NewServer(t, func(c *sshd.Config) {
				c.PublicKey, c.KeyboardInteractive = nil, interactive
				c.Password = func(_, password string) error {
					if password != "right" {
						return errors.New("wrong")
					}
					return nil
				}
			})
			target, asked := s.Target(), 0
			if _, err := ssh.Dial(t.Context(), target); err == nil || !strings.Contains(err.Error(), "give a password") {
				t.Errorf("without a password: %v", err)
			}
			answer := "wrong"
			target.Password = func(context.Context) (string, error) {
				asked++
				return answer, nil
			}
			if _, err := ssh.Dial(t.Context(), target); phaseOf(t, err) != ssh.PhaseAuthenticate || asked != 1 {
				t.Errorf("wrong password: asked %d times, error %v", asked, err)
			}
			answer = "right"
			sshtest.Dial(t, target)
		})
	}
}

func TestAcceptedKeyNeedsNoPassword(t *testing.T) {
	s := sshtest.NewServer(t, func(c *sshd.Config) { c.Password = func(_, _ string) error { return nil } })
	target := s.Target()
	target.Password = func(context.Context) (string, error) {
		t.Error("the password was asked")
		return "", nil
	}
	sshtest.Dial(t, target)
}

func TestRefusedLoginSaysWhatWasTried(t *testing.T) {
	s := sshtest.NewServer(t, func(c *sshd.Config) { c.Faults.RefuseAuth = true })
	_, err := ssh.Dial(t.Context(), s.Target())
	var auth *ssh.AuthError
	if !errors.As(err, &auth) || len(auth.Offered) != 1 || len(auth.Methods) != 1 || !ssh.Unreachable(err) {
		t.Fatalf("error %v", err)
	}
	for _, want := range []string{"tester", xssh.FingerprintSHA256(s.ClientKey.PublicKey()), s.Identity, "publickey"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
}

func TestNoKeyAndNoAgentIsSaidPlainly(t *testing.T) {
	target := sshtest.NewServer(t).Target()
	target.IdentityFiles = []string{filepath.Join(t.TempDir(), "missing")}
	_, err := ssh.Dial(t.Context(), target)
	if err == nil || !strings.Contains(err.Error(), "there is no key in "+target.IdentityFiles[0]) || !strings.Contains(err.Error(), "ssh-keygen") {
		t.Errorf("error %v", err)
	}
}
