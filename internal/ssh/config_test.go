package ssh_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"provision/internal/ssh"
)

func writeConfig(t testing.TB, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func loadConfig(t testing.TB, text string) *ssh.Config {
	t.Helper()
	c, err := ssh.LoadConfig(writeConfig(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestResolve(t *testing.T) {
	t.Setenv("HOME", "/home/someone")
	t.Setenv("KEYS", "/keys")
	config := `
Host web*
  HostName %h.example.org
  User deploy
  Port 2222
  IdentityFile ~/.ssh/%r_%n
  IdentityFile ${KEYS}/%h
  IdentitiesOnly yes
  UserKnownHostsFile "/known hosts" ~/.ssh/hosts_%k
  GlobalKnownHostsFile none
  HostKeyAlias alias
  ConnectTimeout 7
  ServerAliveInterval 1m30s
  IdentityAgent none
  ProxyJump inner:2200
Host inner
  HostName 10.0.0.1
  ProxyJump admin@outer
Host outer
  IdentityFile none
Host *
  User nobody
  Port 99
`
	got, err := loadConfig(t, config).Resolve(t.Context(), "web1", ssh.Target{})
	if err != nil {
		t.Fatal(err)
	}
	want := ssh.Target{
		Name: "web1", Address: "web1.example.org", Port: 2222, User: "deploy",
		AgentFirst: true, IdentityFiles: []string{"/home/someone/.ssh/deploy_web1", "/keys/web1.example.org"}, IdentitiesOnly: true,
		AgentSocket:     "none",
		KnownHostsFiles: []string{"/known hosts", "/home/someone/.ssh/hosts_alias"}, NewKnownHosts: "/known hosts", HostKeyAlias: "alias",
		ConnectTimeout: 7 * time.Second, KeepAlive: 90 * time.Second,
		Jumps: []ssh.Target{{
			Name: "inner", Address: "10.0.0.1", Port: 2200, User: "nobody", AgentSocket: "none", Outside: true,
			Jumps: []ssh.Target{{Name: "outer", Address: "outer", Port: 99, User: "admin", AgentFirst: true, IdentityFiles: []string{}, AgentSocket: "none", Outside: true}},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestOverridesWin(t *testing.T) {
	config := loadConfig(t, "Host *\n User a\n Port 1\n HostName h\n IdentityFile k\n ProxyJump j\n")
	got, err := config.Resolve(t.Context(), "web", ssh.Target{
		Address: "addr", User: "b", Port: 2, IdentityFiles: []string{"mine"}, Jumps: []ssh.Target{},
	})
	want := ssh.Target{Name: "web", Address: "addr", User: "b", Port: 2, IdentityFiles: []string{"mine"}}
	got.Jumps = slices.Clip(got.Jumps)
	if err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("error %v, %s", err, cmp.Diff(want, got))
	}
}

func TestWithoutConfigTheNameIsTheAddress(t *testing.T) {
	var none *ssh.Config
	got, err := none.Resolve(t.Context(), "web", ssh.Target{})
	if want := (ssh.Target{Name: "web", Address: "web", Port: 22}); err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("error %v, %s", err, cmp.Diff(want, got))
	}
}

func TestJumpOfEveryoneDoesNotApplyToItself(t *testing.T) {
	got, err := loadConfig(t, "Host *\n ProxyJump bastion\n").Resolve(t.Context(), "web", ssh.Target{})
	if err != nil || len(got.Jumps) != 1 || len(got.Jumps[0].Jumps) != 0 {
		t.Errorf("jumps %+v, error %v", got.Jumps, err)
	}
}

func TestConfigMistakesAreErrors(t *testing.T) {
	for _, text := range []string{
		"Host web\n Port htttp\n", "Host web\n ConnectTimeout soon\n", "Host web\n IdentityFile %z\n",
		"Host web\n IdentityFile ${NOT_SET_ANYWHERE}/key\n", "Host web\n ProxyJump host:port\n", "Host web\n ProxyCommand nc %z\n",
		"Match nothing web\n", "Host web\n HostName \"open\n",
	} {
		file := writeConfig(t, text)
		config, err := ssh.LoadConfig(file)
		if err == nil {
			_, err = config.Resolve(t.Context(), "web", ssh.Target{})
		}
		if err == nil || !strings.Contains(err.Error(), file+":") {
			t.Errorf("%q: the error must name file and line, and is %v", text, err)
		}
	}
}

func TestMatch(t *testing.T) {
	config := loadConfig(t, "Match originalhost web exec \"true\"\n  HostName 10.1.2.3\n  Port 2200\nMatch host 10.1.2.3 command \"exec /bin/sh\"\n  User deploy\n")
	got, err := config.Resolve(t.Context(), "web", ssh.Target{})
	if err != nil || got.Address != "10.1.2.3" || got.Port != 2200 || got.User != "deploy" || len(got.IdentityFiles) > 0 {
		t.Errorf("got %+v, error %v", got, err)
	}
}

// A key is never recorded in the file for everyone.
func TestWhereKeysAreRecorded(t *testing.T) {
	for text, want := range map[string]string{
		"UserKnownHostsFile none": "none", "UserKnownHostsFile none\nGlobalKnownHostsFile none": "none",
		"UserKnownHostsFile /a /b": "/a", "UserKnownHostsFile /a\nGlobalKnownHostsFile /g": "/a", "Port 22": "",
	} {
		config := loadConfig(t, text+"\n")
		if got, err := config.Resolve(t.Context(), "web", ssh.Target{}); err != nil || got.NewKnownHosts != want {
			t.Errorf("%s: %q, %v", text, got.NewKnownHosts, err)
		}
		given := ssh.Target{KnownHostsFiles: []string{"/playbook"}}
		if got, err := config.Resolve(t.Context(), "web", given); err != nil || got.NewKnownHosts != "" {
			t.Errorf("%s, with a file of the playbook: %q, %v", text, got.NewKnownHosts, err)
		}
	}
}

func TestUserHasTokens(t *testing.T) {
	t.Setenv("WHO", "somebody")
	for user, want := range map[string]string{"${WHO}": "somebody", "%h-%n-%p": "10.1.2.3-web-2222", "a%%b": "a%b", "%r": "", "%C": "", "${NOT_SET_ANYWHERE}": ""} {
		config := loadConfig(t, "Host web\n HostName 10.1.2.3\n Port 2222\n User "+user+"\n ProxyCommand connect %r\n")
		got, err := config.Resolve(t.Context(), "web", ssh.Target{})
		if (err != nil) != (want == "") || got.User != want || err == nil && got.ProxyCommand != "connect "+want {
			t.Errorf("%s: %q, %q, %v", user, got.User, got.ProxyCommand, err)
		}
		if got, err := config.Resolve(t.Context(), "web", ssh.Target{User: "%r"}); err != nil || got.User != "%r" {
			t.Errorf("the playbook's user: %q, %v", got.User, err)
		}
	}
}

func TestWhatIsNotDoneIsSaid(t *testing.T) {
	config := loadConfig(t, "Host web\n VerifyHostKeyDNS yes\n StrictHostKeyChecking no\n Ciphers rijndael\n ForwardAgent yes\n Frobnicate yes\n"+
		" KexAlgorithms +sntrup761x25519-sha512,ecdh-sha2-nistp256\n MACs umac-64@openssh.com,hmac-sha2-256\n CheckHostIP yes\n NoHostAuthenticationForLocalhost yes\n HostbasedAuthentication yes\n")
	got, err := config.Resolve(t.Context(), "web", ssh.Target{})
	said := strings.Join(append(got.Unheeded, config.Warnings()...), "\n")
	for _, line := range []string{":2: verifyhostkeydns", ":3: stricthostkeychecking no", ":4: ciphers", ":6: the keyword frobnicate", "does not know sntrup761x25519-sha512\n", ":9: checkhostip", ":10: nohost", ":11: hostbased"} {
		if !strings.Contains(said, line) {
			t.Errorf("%s is not said, but %s", line, said)
		}
	}
	if err != nil || strings.Contains(said, "forwardagent") || strings.Contains(said, "umac") {
		t.Errorf("error %v, said %s", err, said)
	}
	if got, _ := config.Resolve(t.Context(), "other", ssh.Target{}); len(got.Unheeded) > 0 {
		t.Errorf("of a host that sets nothing it is said %q", got.Unheeded)
	}
}

func FuzzConfig(f *testing.F) {
	f.Add("Host a b*\n HostName %h%%\n Port 22\n IdentityFile ~/${X}\n", "a")
	f.Add("ProxyJump a,b@c:1,ssh://[::1]:22/\n", "b")
	f.Add("ConnectTimeout 1h2m\nUserKnownHostsFile \"a b\" c", "x")
	f.Fuzz(func(t *testing.T, text, name string) {
		if strings.Contains(strings.ToLower(text), "include") || strings.Contains(strings.ToLower(text), "match") {
			t.Skip("reads other files, or runs ssh")
		}
		file := filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", "")
		c, err := ssh.LoadConfig(file)
		if err != nil {
			return
		}
		got, err := c.Resolve(t.Context(), name, ssh.Target{})
		if err == nil && (got.Port < 1 || got.Port > 65535) {
			t.Errorf("port %d", got.Port)
		}
	})
}
