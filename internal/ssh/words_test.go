package ssh_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	xssh "golang.org/x/crypto/ssh"

	"provision/internal/ssh"
	"provision/internal/ssh/sshd"
	"provision/internal/ssh/sshtest"
)

// says checks the words of an error.
func says(t *testing.T, err error, wants, wantsNot []string) {
	t.Helper()
	if err == nil {
		t.Error("no error")
		return
	}
	for _, want := range wants {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
	for _, not := range wantsNot {
		if strings.Contains(err.Error(), not) {
			t.Errorf("error %v, and %q is not true", err, not)
		}
	}
}

// What keeps a key from being offered, or from signing, is what is said, and the hint is about that.
func TestRefusalNamesItsCause(t *testing.T) {
	mine, private, signer := sshtest.NewKey(t)
	other, _, _ := sshtest.NewKey(t)
	server := sshtest.NewServer(t, func(c *sshd.Config) { c.PublicKey = sshtest.AcceptKey(mine) }).Target()
	file := filepath.Join(t.TempDir(), "id")
	sshtest.WriteKey(t, file, private)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string, mode os.FileMode) string {
		name = filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(name, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return name
	}
	stale := write("stale", string(text), 0o600)
	writePublic(t, stale+".pub", other)
	alone := write("alone.pub", string(xssh.MarshalAuthorizedKey(signer.PublicKey())), 0o644)
	for name, c := range map[string]struct {
		change          func(*ssh.Target)
		wants, wantsNot []string
	}{
		"no agent": {
			func(t *ssh.Target) { t.AgentSocket, t.IdentityFiles = "none", []string{"/nowhere"} },
			[]string{"IdentityAgent is none"},
			[]string{"SSH_AUTH_SOCK"},
		},
		"IdentitiesOnly": {
			func(target *ssh.Target) {
				target.AgentSocket, target.IdentitiesOnly, target.IdentityFiles = startAgent(t, private), true, []string{"/nowhere"}
			},
			[]string{"the agent has 1, and IdentitiesOnly keeps", "change what ssh_config says"},
			[]string{"make a key", "none in the agent"},
		},
		"PubkeyAcceptedAlgorithms": {
			func(t *ssh.Target) { t.IdentityFiles, t.PubkeyAcceptedAlgorithms = []string{file}, "ecdsa-*" },
			[]string{"PubkeyAcceptedAlgorithms leaves no algorithm", "change what ssh_config says"},
			[]string{"make a key"},
		},
		"PubkeyAuthentication": {
			func(t *ssh.Target) { t.IdentityFiles, t.WithoutMethods = []string{file}, []string{"publickey"} },
			[]string{"PubkeyAuthentication of ssh_config"},
			[]string{"make a key"},
		},
		"PreferredAuthentications": {
			func(t *ssh.Target) { t.IdentityFiles, t.PreferredAuthentications = []string{file}, "password" },
			[]string{"PreferredAuthentications of ssh_config"},
			[]string{"make a key"},
		},
		"for all to read": {
			func(target *ssh.Target) { target.IdentityFiles = []string{write("id", string(text), 0o644)} },
			[]string{"others may read it", "chmod 600", "see to its private half"},
			[]string{"make a key"},
		},
		"CRLF": {
			func(target *ssh.Target) {
				target.IdentityFiles = []string{write("id", strings.ReplaceAll(string(text), "\n", "\r\n"), 0o600)}
			},
			[]string{"carriage returns", "mend that key file"},
			[]string{"make a key"},
		},
		"stale .pub": {
			func(t *ssh.Target) { t.IdentityFiles = []string{stale} },
			[]string{xssh.FingerprintSHA256(other)},
			nil,
		},
		"no private half": {
			func(t *ssh.Target) { t.IdentityFiles = []string{alone} },
			[]string{"the host accepts it", "see to its private half"},
			[]string{"authorized_keys"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			target := server
			target.AgentSocket = "none"
			c.change(&target)
			_, err := ssh.Dial(t.Context(), target)
			says(t, err, c.wants, c.wantsNot)
		})
	}
}

// What answers and is no SSH server, or none of today, is no ban.
func TestOtherServersAreNoBan(t *testing.T) {
	for words, c := range map[string]struct{ wants, wantsNot []string }{
		"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\r\n": {[]string{"HTTP/1.1 400", "web server"}, []string{"banned", "MaxStartups"}},
		"220 mail.example.test ESMTP\r\n":                              {[]string{"220 mail", "not the words of an SSH server"}, []string{"banned", "MaxStartups"}},
		"SSH-1.5-OpenSSH_2.1\n":                                        {[]string{"SSH-1.5-OpenSSH_2.1", "too old"}, []string{"banned", "MaxStartups"}},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
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
				_, _ = nc.Write([]byte(words))
				_, _ = nc.Read(make([]byte, 100))
				nc.Close()
			}
		}()
		_, err = ssh.Dial(t.Context(), ssh.Target{Name: "h", Address: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, User: "u", KnownHostsFiles: []string{"/nowhere"}})
		says(t, err, c.wants, c.wantsNot)
	}
}

// A list of ssh_config that leaves nothing in common is named, and no old host.
func TestListOfSSHConfigIsNamed(t *testing.T) {
	target := openSSH(t)
	for keyword, set := range map[string]func(*ssh.Target){
		"Ciphers aes128-cbc":                       func(t *ssh.Target) { t.Ciphers = "aes128-cbc" },
		"KexAlgorithms diffie-hellman-group1-sha1": func(t *ssh.Target) { t.KexAlgorithms = "diffie-hellman-group1-sha1" },
		"MACs hmac-sha1-96":                        func(t *ssh.Target) { t.MACs, t.Ciphers = "hmac-sha1-96", "aes128-ctr" },
		"HostKeyAlgorithms ssh-dss":                func(t *ssh.Target) { t.HostKeyAlgorithms = "ssh-dss" },
	} {
		target := target
		set(&target)
		_, err := ssh.Dial(t.Context(), target)
		says(t, err, []string{"ssh_config says " + keyword}, []string{"legacy"})
	}
}

func TestUserInFrontOfAnAddress(t *testing.T) {
	config := loadConfig(t, "Host web\n User nobody\n Port 7\n")
	for _, c := range []struct {
		name, user, want string
	}{{"deploy@web", "", "deploy@web:7"}, {"deploy@web", "root", "root@web:7"}, {"web", "", "nobody@web:7"}, {"a@b@web", "", "a@b@web:7"}} {
		got, err := config.Resolve(t.Context(), c.name, ssh.Target{Name: "h", Address: c.name, User: c.user})
		if err != nil || got.User+"@"+got.Address+":7" != c.want || got.Port != 7 {
			t.Errorf("%+v: %+v, error %v", c, got, err)
		}
	}
	if _, err := config.Resolve(t.Context(), "@web", ssh.Target{}); err == nil {
		t.Error("an empty user was taken")
	}
}

// What a session of ssh would have and steps do not is told with its place, whichever transport connects.
func TestWhatNoTransportDoesIsTold(t *testing.T) {
	text := "ForwardAgent yes\nRemoteForward 8080 localhost:80\nLocalCommand echo\nSessionType none\nTunnel yes\n"
	for text, want := range map[string]int{
		text: 4, text + "PermitLocalCommand yes\n": 5, "ForwardAgent no\nSessionType default\nTunnel no\nLocalForward 1 h:1\nUpdateHostKeys yes\n": 0,
	} {
		for _, transport := range []ssh.Transport{ssh.TransportBuiltin, ssh.TransportAuto} {
			got, err := loadConfig(t, text).Resolve(t.Context(), "h", ssh.Target{Transport: transport})
			if err != nil || len(got.NotDone) != want || len(got.Unheeded) != 0 {
				t.Errorf("%s: told %q and %q, error %v", text, got.NotDone, got.Unheeded, err)
			}
			if want > 0 && !strings.Contains(got.NotDone[0], "config:") {
				t.Errorf("%q has no place", got.NotDone[0])
			}
		}
	}
}
