package ssh

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

func TestPromptKinds(t *testing.T) {
	for text, want := range map[string]PromptKind{
		"Password: ": PromptPassword, "root@web1's password: ": PromptPassword, "(root@web1) Password: ": PromptPassword,
		"Passwort: ": PromptPassword, "密码：": PromptPassword,
		"Verification code: ": PromptCode, "One-time password (OATH) for `root': ": PromptCode, "Password & verification code: ": PromptCode,
		"Enter PASSCODE: ": PromptCode, "Passcode or option (1-3): ": PromptCode,
		"New password: ": PromptNewPassword, "Current password: ": PromptNewPassword, "(current) UNIX password: ": PromptNewPassword,
		"Enter new UNIX password: ": PromptNewPassword, "Neues Passwort: ": PromptNewPassword,
		"Retype new password: ": PromptConfirm, "Password again: ": PromptConfirm,
		"Favourite colour? ": PromptOther, "": PromptOther,
	} {
		if got := promptKind(text); got != want {
			t.Errorf("%q: kind %d, want %d", text, got, want)
		}
	}
}

// loginTo logs in to a server of the library with a target whose host key is pinned.
func loginTo(t *testing.T, config *ssh.ServerConfig, target Target) error {
	t.Helper()
	config.AddHostKey(testKeys()["host ed25519"])
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		nc, err := l.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		if conn, channels, requests, err := ssh.NewServerConn(nc, config); err == nil {
			go ssh.DiscardRequests(requests)
			go func() {
				for range channels {
				}
			}()
			_ = conn.Wait()
		}
	}()
	target.Name, target.Address, target.User = "h", "127.0.0.1", "u"
	target.Port = l.Addr().(*net.TCPAddr).Port
	target.KnownHostsFiles = []string{writeKnown(t, "127.0.0.1 KEY")}
	if target.AgentSocket == "" {
		target.AgentSocket = "none"
	}
	c, err := Dial(t.Context(), target)
	if err == nil {
		c.Close()
	}
	l.Close()
	<-done
	return err
}

func TestQuestionsAreAnsweredByWhatTheyAskFor(t *testing.T) {
	given := func(context.Context) (string, error) { return "secret", nil }
	person := func(_ context.Context, p Prompt) (string, error) { return "person: " + p.Text, nil }
	for name, c := range map[string]struct {
		rounds  [][]string
		target  Target
		answers []string
		want    string // in the error
	}{
		"password":             {[][]string{{"Password: "}}, Target{Password: given}, []string{"secret"}, ""},
		"password and code":    {[][]string{{"Password: ", "Verification code: "}}, Target{Password: given, Answer: person}, []string{"secret", "person: Verification code:"}, ""},
		"nobody":               {[][]string{{"Verification code: "}}, Target{Password: given}, nil, `"Verification code:", and nobody is there`},
		"expired":              {[][]string{{"Password: "}, {"New password: "}}, Target{Password: given, Answer: person}, []string{"secret"}, `"New password:": the password of the account has expired`},
		"twice":                {[][]string{{"Password: "}, {"Password: "}}, Target{Password: given, Answer: person}, []string{"secret"}, "the password is wrong"},
		"only a message":       {[][]string{{}, {"Password: "}, {}}, Target{Password: given}, []string{"secret"}, ""},
		"no password is given": {[][]string{{"Password: "}}, Target{}, nil, "give a password"},
		"by a person":          {[][]string{{"Password: "}}, Target{Answer: person}, []string{"person: Password:"}, ""},
		"too often": {
			[][]string{{"Password: "}, {"Password: "}, {"Password: "}},
			Target{Answer: person, PasswordPrompts: 2},
			[]string{"person: Password:", "person: Password:"},
			"no password was right",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var answers []string
			err := loginTo(t, &ssh.ServerConfig{KeyboardInteractiveCallback: func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
				for _, round := range c.rounds {
					got, err := ask("", "", round, make([]bool, len(round)))
					if err != nil {
						return nil, err
					}
					answers = append(answers, got...)
				}
				return nil, nil
			}}, c.target)
			if !slices.Equal(answers, c.answers) || (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("answers %q, error %v", answers, err)
			}
		})
	}
}

// A host that answers a password with SSH_MSG_USERAUTH_PASSWD_CHANGEREQ, as OpenSSH does not, is told like one that asks for a new
// one. The library says it in numbers.
func TestPasswordChangeRequest(t *testing.T) {
	l := &login{given: 1, methods: []string{methodPassword}}
	err, hint := l.failure(errors.New("ssh: unexpected message type 60 (expected 52)"))
	if !errors.Is(err, errPasswordExpired) || !strings.Contains(err.Error(), "has expired, or must be changed; log in with ssh once") || strings.Contains(err.Error(), "60") || hint != "" {
		t.Errorf("%v; %s", err, hint)
	}
}

// A testAgent holds keys, and declines to sign with one of them.
type testAgent struct {
	agent.ExtendedAgent
	list    []*agent.Key
	refuses ssh.PublicKey
}

func (a testAgent) List() ([]*agent.Key, error) {
	held, err := a.ExtendedAgent.List()
	return append(slices.Clone(a.list), held...), err
}

func (a testAgent) SignWithFlags(key ssh.PublicKey, data []byte, flags agent.SignatureFlags) (*ssh.Signature, error) {
	if a.refuses != nil && sameKey(key, a.refuses) {
		return nil, errors.New("declined")
	}
	return a.ExtendedAgent.SignWithFlags(key, data, flags)
}

func serveAgent(t *testing.T, a testAgent) string {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer nc.Close()
				_ = agent.ServeAgent(a, nc)
			}()
		}
	}()
	return l.Addr().String()
}

func TestKeysOfAnAgentThatAreNotWhatTheySeem(t *testing.T) {
	var privates []ed25519.PrivateKey
	var publics []ssh.PublicKey
	ring := agent.NewKeyring().(agent.ExtendedAgent)
	for range 2 {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		public, err := ssh.NewPublicKey(private.Public())
		if err != nil {
			t.Fatal(err)
		}
		privates, publics = append(privates, private), append(publics, public)
		if err := ring.Add(agent.AddedKey{PrivateKey: private}); err != nil {
			t.Fatal(err)
		}
	}
	cert := &ssh.Certificate{Key: publics[0], CertType: ssh.UserCert, ValidPrincipals: []string{"u"}, ValidBefore: ssh.CertTimeInfinity}
	if err := cert.SignCert(rand.Reader, testKeys()["host authority"]); err != nil {
		t.Fatal(err)
	}
	takes := func(wanted ssh.PublicKey) *ssh.ServerConfig {
		return &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if !sameKey(key, wanted) && !sameKey(key, publics[0]) {
				return nil, errors.New("another")
			}
			return nil, nil
		}}
	}
	unknown := &agent.Key{Format: "ssh-future", Blob: ssh.Marshal(struct{ Type, Key string }{"ssh-future", "x"})}
	t.Setenv("HOME", t.TempDir())

	socket := serveAgent(t, testAgent{ExtendedAgent: ring, list: []*agent.Key{unknown}, refuses: publics[0]})
	if err := loginTo(t, takes(publics[1]), Target{AgentSocket: socket}); err != nil {
		t.Errorf("a key of an unknown type, and one that does not sign, before the right one: %v", err)
	}
	err := loginTo(t, takes(publics[0]), Target{AgentSocket: socket})
	if err == nil || !strings.Contains(err.Error(), "did not sign with it") {
		t.Errorf("error %v", err)
	}

	only := func(c *ssh.Certificate) *ssh.ServerConfig {
		return &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if !sameKey(key, c) {
				return nil, errors.New("another")
			}
			return nil, nil
		}}
	}
	both := agent.NewKeyring().(agent.ExtendedAgent)
	if err := errors.Join(both.Add(agent.AddedKey{PrivateKey: privates[0]}), both.Add(agent.AddedKey{PrivateKey: privates[0], Certificate: cert})); err != nil {
		t.Fatal(err)
	}
	if err := loginTo(t, only(cert), Target{AgentSocket: serveAgent(t, testAgent{ExtendedAgent: both, refuses: publics[0]})}); err != nil {
		t.Errorf("an agent that signs with the certificate and not with its key: %v", err)
	}
	alone := agent.NewKeyring().(agent.ExtendedAgent)
	if err := alone.Add(agent.AddedKey{PrivateKey: privates[0], Certificate: cert}); err != nil {
		t.Fatal(err)
	}
	socket = serveAgent(t, testAgent{ExtendedAgent: alone})
	dir := t.TempDir()
	plainFile, certFile := filepath.Join(dir, "id.pub"), filepath.Join(dir, "other-cert.pub")
	if err := os.WriteFile(plainFile, ssh.MarshalAuthorizedKey(publics[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(certFile, ssh.MarshalAuthorizedKey(cert), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]Target{
		"agent alone":     {},
		"public key":      {IdentityFiles: []string{plainFile}},
		"certificate":     {IdentityFiles: []string{certFile}, IdentitiesOnly: true},
		"CertificateFile": {CertificateFiles: []string{certFile}, IdentityFiles: []string{plainFile}},
	} {
		target.AgentSocket = socket
		if err := loginTo(t, only(cert), target); err != nil {
			t.Errorf("a certificate in the agent, named by %s: %v", name, err)
		}
	}
}

func TestIPv6AddressInBrackets(t *testing.T) {
	for given, want := range map[string]string{"[::1]": "[::1]:22", "::1": "[::1]:22", "[fe80::1%eth0]": "[fe80::1%eth0]:22", "fe80::1%eth0": "[fe80::1%eth0]:22"} {
		target, err := (*Config)(nil).Resolve(t.Context(), given, Target{Name: "h", Address: given, User: "u"})
		if err == nil {
			target, err = target.withDefaults()
		}
		if err != nil || target.addr() != want {
			t.Errorf("%s: %s, error %v", given, target.addr(), err)
		}
	}
	// To ssh it is a name there, which nobody resolves.
	if _, err := (Target{Address: "[::1]", User: "u"}).withDefaults(); err == nil {
		t.Error("HostName with brackets was taken")
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
