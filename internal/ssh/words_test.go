package ssh_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
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
	server := sshtest.NewServer(t, func(c *sshd.Config) {
		plain := sshtest.AcceptKey(mine)
		c.PublicKey = func(user string, key xssh.PublicKey) error {
			if c, ok := key.(*xssh.Certificate); ok && c.KeyId == "good" {
				key = c.Key
			}
			return plain(user, key)
		}
	}).Target()
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
	_, strange, _ := sshtest.NewKey(t)
	refused := filepath.Join(t.TempDir(), "refused")
	sshtest.WriteKey(t, refused, strange)
	writePublic(t, refused+".pub", func() xssh.PublicKey { k, _, _ := sshtest.NewKey(t); return k }())
	_, _, authority := sshtest.NewKey(t)
	certified := func(change func(*xssh.Certificate)) func(*ssh.Target) {
		cert := &xssh.Certificate{Key: mine, CertType: xssh.UserCert, ValidPrincipals: []string{server.User}, ValidBefore: xssh.CertTimeInfinity}
		change(cert)
		signCert(t, cert, authority)
		file := filepath.Join(t.TempDir(), "certified")
		sshtest.WriteKey(t, file, private)
		writePublic(t, file+"-cert.pub", cert)
		return func(target *ssh.Target) {
			// The plain key is accepted by the server; it is not offered here.
			target.CertificateFiles, target.IdentityFiles = []string{file + "-cert.pub"}, []string{"/nowhere"}
		}
	}
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
		"another .pub, which is refused": {
			func(t *ssh.Target) { t.IdentityFiles = []string{refused} },
			[]string{"the private key there is another"},
			nil,
		},
		"an expired certificate": {
			certified(func(c *xssh.Certificate) { c.ValidBefore = 1600000000 }),
			[]string{"has expired at 2020-09-13 12:26:40 UTC", "have the certificate made anew, for user tester"},
			[]string{"valid only from", "is for", "is one of these keys"},
		},
		"a certificate of later": {
			certified(func(c *xssh.Certificate) { c.ValidAfter = 4000000000 }),
			[]string{"is valid only from 2096-10-02", "have the certificate made anew"},
			[]string{"has expired", "is one of these keys"},
		},
		"a certificate for others": {
			certified(func(c *xssh.Certificate) { c.ValidPrincipals = []string{"deploy", "nobody"} }),
			[]string{"-cert.pub is for deploy, nobody", "have the certificate made anew"},
			[]string{"has expired", "is one of these keys"},
		},
		"a certificate for nobody": {
			certified(func(c *xssh.Certificate) { c.ValidPrincipals = nil }),
			[]string{"-cert.pub names no user", "have the certificate made anew"},
			[]string{"is for", "is one of these keys"},
		},
		"a certificate of elsewhere": {
			certified(func(c *xssh.Certificate) {
				c.CriticalOptions = map[string]string{"source-address": "192.0.2.0/24", "force-command": "true"}
			}),
			[]string{"is good from 192.0.2.0/24 alone (source-address)", "have the certificate made anew"},
			[]string{"is one of these keys", "does not know"},
		},
		"a certificate with an unknown option": {
			certified(func(c *xssh.Certificate) { c.CriticalOptions = map[string]string{"colour@example.com": "red"} }),
			[]string{"has the critical option colour@example.com, which OpenSSH does not know"},
			[]string{"is one of these keys"},
		},
		"the agent has the private half, and is not asked": {
			func(target *ssh.Target) {
				target.AgentSocket, target.IdentitiesOnly, target.IdentityFiles = startAgent(t, private), true, []string{pathOfCertificate(t, mine, server.User, authority)}
			},
			[]string{"the agent has its private half, and IdentitiesOnly keeps", "change what ssh_config says there", "name that key itself with IdentityFile"},
			[]string{"neither in a file nor in the agent", "on this machine"},
		},
		"the key of a certificate is left out": {
			func(target *ssh.Target) {
				target.CertificateFiles, target.IdentityFiles = []string{pathOfCertificate(t, mine, server.User, authority)}, []string{file}
				target.PubkeyAcceptedAlgorithms = "-ssh-ed25519"
			},
			[]string{"the host accepts it, and the key that signs for it (" + file + ") is left out", "change what ssh_config says there"},
			[]string{"neither in a file nor in the agent"},
		},
		"nobody has the private half": {
			func(target *ssh.Target) {
				_, other, _ := sshtest.NewKey(t)
				target.AgentSocket, target.IdentitiesOnly, target.IdentityFiles = startAgent(t, other), true, []string{pathOfCertificate(t, mine, server.User, authority)}
			},
			[]string{"neither in a file nor in the agent"},
			[]string{"IdentitiesOnly"},
		},
		"a good certificate": {certified(func(*xssh.Certificate) {}), nil, []string{"the certificate of"}},
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

// pathOfCertificate writes a certificate that the server of the test accepts, without the key that it is for.
func pathOfCertificate(t *testing.T, key xssh.PublicKey, user string, authority xssh.Signer) string {
	t.Helper()
	cert := &xssh.Certificate{Key: key, KeyId: "good", CertType: xssh.UserCert, ValidPrincipals: []string{user}, ValidBefore: xssh.CertTimeInfinity}
	signCert(t, cert, authority)
	file := filepath.Join(t.TempDir(), "id-cert.pub")
	writePublic(t, file, cert)
	return file
}

// The settings of the playbook are not those of a jump host that stands in ssh_config alone.
func TestAdviceForAJumpHostOfSSHConfig(t *testing.T) {
	_, stranger, _ := sshtest.NewKey(t)
	file := filepath.Join(t.TempDir(), "id")
	sshtest.WriteKey(t, file, stranger)
	bastion := openSSH(t)
	old := openSSH(t, "Ciphers aes128-cbc")
	config := fmt.Sprintf("Host bastion\n HostName 127.0.0.1\n Port %d\n UserKnownHostsFile %s\nHost old\n HostName 127.0.0.1\n Port %d\n UserKnownHostsFile %s\nHost *\n IdentityFile %s\n",
		bastion.Port, bastion.KnownHostsFiles[0], old.Port, old.KnownHostsFiles[0], "%s")
	for name, c := range map[string]struct{ identity, jump, want, not string }{
		"no key":        {"/nowhere", "bastion", "name one with IdentityFile for bastion in ssh_config", "identity_file"},
		"an old server": {file, "old", "set Ciphers +aes128-cbc for old in ssh_config", "legacy"},
	} {
		for _, by := range []string{"playbook", "ssh_config"} {
			t.Run(name+", named by "+by, func(t *testing.T) {
				text, given := fmt.Sprintf(config, c.identity), ssh.Target{Name: "web", Address: "192.0.2.1", AgentSocket: "none"}
				if by == "ssh_config" {
					text = "Host 192.0.2.1\n ProxyJump " + c.jump + "\n" + text
				} else {
					given.Jumps = []ssh.Target{{Name: c.jump}}
				}
				target, err := loadConfig(t, text).Resolve(t.Context(), "192.0.2.1", given)
				if err != nil {
					t.Fatal(err)
				}
				_, err = ssh.Dial(t.Context(), target)
				says(t, err, []string{c.want}, []string{c.not})
			})
		}
	}
	own := bastion
	own.IdentityFiles, own.Name = []string{"/nowhere"}, "bastion"
	target, err := loadConfig(t, "").Resolve(t.Context(), "192.0.2.1", ssh.Target{Name: "web", Address: "192.0.2.1", Jumps: []ssh.Target{own}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = ssh.Dial(t.Context(), target)
	says(t, err, []string{"name one with identity_file"}, []string{"in ssh_config"})
}

// What a certificate limits is known once it has let us in: where a jump host refuses, it is named.
func TestCertificateThatLimits(t *testing.T) {
	public, private, _ := sshtest.NewKey(t)
	authorityKey, _, authority := sshtest.NewKey(t)
	authorities := filepath.Join(t.TempDir(), "ca")
	writePublic(t, authorities, authorityKey)
	bastion := openSSH(t, "TrustedUserCAKeys "+authorities)
	bastion.IdentityFiles = []string{filepath.Join(t.TempDir(), "id")}
	sshtest.WriteKey(t, bastion.IdentityFiles[0], private)
	for name, want := range map[string]string{"": "-cert.pub", "permit-port-forwarding": ""} {
		cert := &xssh.Certificate{Key: public, CertType: xssh.UserCert, ValidPrincipals: []string{bastion.User}, ValidBefore: xssh.CertTimeInfinity}
		cert.Extensions = map[string]string{name: ""}
		if name == "" {
			cert.Extensions, cert.CriticalOptions = map[string]string{"permit-pty": ""}, map[string]string{"force-command": "true"}
		}
		signCert(t, cert, authority)
		writePublic(t, bastion.IdentityFiles[0]+"-cert.pub", cert)
		target := openSSH(t)
		target.Jumps = []ssh.Target{bastion}
		if want == "" {
			sshtest.Dial(t, target)
			continue
		}
		if got := sshtest.Dial(t, bastion).Forced(); !strings.Contains(got, `run "true" whatever`) {
			t.Errorf("forced: %q", got)
		}
		_, err := ssh.Dial(t.Context(), target)
		says(t, err, []string{"does not allow it (permit-port-forwarding)", "have the certificate made anew with"}, []string{"AllowTcpForwarding"})
	}
}

// Keys that use up the attempts of the host before the right one, or the password, has its turn are told as what they are.
func TestTooManyKeys(t *testing.T) {
	var strangers []any
	for range 3 {
		_, private, _ := sshtest.NewKey(t)
		strangers = append(strangers, private)
	}
	given := func(context.Context) (string, error) { return "secret", nil }
	for name, c := range map[string]struct {
		line      string
		change    func(*ssh.Target)
		want, not string
	}{
		"before a password":          {"PasswordAuthentication yes", func(t *ssh.Target) { t.Password = given }, "too many keys were offered before the password (MaxAuthTries)", "is the password right"},
		"a password that nobody has": {"PasswordAuthentication yes", func(*ssh.Target) {}, "too many keys were offered before the right one (MaxAuthTries): name that with identity_file", "before the password"},
		"before the right key":       {"KbdInteractiveAuthentication no", func(t *ssh.Target) { t.IdentityFiles, t.Password = []string{"/nowhere"}, given }, "too many keys were offered before the right one (MaxAuthTries)", "before the password"},
	} {
		t.Run(name, func(t *testing.T) {
			target := openSSH(t, "MaxAuthTries 2", c.line)
			target.AgentSocket, target.IdentitiesOnly, target.IdentityFiles = startAgent(t, strangers...), false, []string{"/nowhere"}
			c.change(&target)
			_, err := ssh.Dial(t.Context(), target)
			says(t, err, []string{c.want}, []string{c.not})
			_, err = ssh.Dial(t.Context(), byOpenSSH(t, target))
			says(t, err, []string{"too many keys were offered", "IdentitiesOnly be yes in ssh_config"}, nil)
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

// A cipher that authenticates by itself needs none of the MACs that are not known here.
func TestMACsThatNobodyNeeds(t *testing.T) {
	target := openSSH(t)
	target.MACs = "umac-64@openssh.com,hmac-md5"
	for ciphers, want := range map[string]string{
		"": "", "aes256-gcm@openssh.com": "", "aes128-ctr,aes256-gcm@openssh.com": "", "^chacha20-poly1305@openssh.com": "",
		"aes128-ctr": `MACs umac-64@openssh.com,hmac-md5 leaves no algorithm that provision can use with the host; name others there, or let ssh connect`,
	} {
		target := target
		target.Ciphers = ciphers
		if want == "" {
			sshtest.Dial(t, target)
			continue
		}
		_, err := ssh.Dial(t.Context(), target)
		says(t, err, []string{want}, nil)
	}
	other := openSSH(t, "Ciphers aes128-ctr")
	other.MACs = "umac-64@openssh.com"
	_, err := ssh.Dial(t.Context(), other)
	says(t, err, []string{"ssh_config says MACs umac-64@openssh.com, of which provision knows none"}, []string{"legacy"})
}

// Nobody is sent to ssh with a name that ssh does not know either.
func TestAdviceForAlgorithmsThatNobodyKnows(t *testing.T) {
	for keyword, set := range map[string]func(*ssh.Target, string){
		"Ciphers": func(t *ssh.Target, s string) { t.Ciphers = s }, "MACs": func(t *ssh.Target, s string) { t.MACs, t.Ciphers = s, "aes128-ctr" },
		"KexAlgorithms": func(t *ssh.Target, s string) { t.KexAlgorithms = s }, "HostKeyAlgorithms": func(t *ssh.Target, s string) { t.HostKeyAlgorithms = s },
	} {
		target := openSSH(t)
		set(&target, "foo")
		_, err := ssh.Dial(t.Context(), target)
		says(t, err, []string{keyword + " foo leaves no algorithm", "`ssh -Q " + keyword + "`"}, []string{"transport ="})
		theirs := map[string]string{"Ciphers": "aes256-cbc", "MACs": "hmac-md5", "KexAlgorithms": "sntrup761x25519-sha512", "HostKeyAlgorithms": "ssh-mldsa44-ed25519"}[keyword]
		set(&target, theirs)
		_, err = ssh.Dial(t.Context(), target)
		says(t, err, []string{`transport = "openssh"`}, []string{"ssh -Q"})
	}
	for text, wants := range map[string][]string{
		"Ciphers foo,aes128-ctr":                     {"no OpenSSH up to 10.6 knows foo"},
		"MACs +foo,umac-64@openssh.com":              {"no OpenSSH up to 10.6 knows foo", "provision does not know umac-64@openssh.com"},
		"KexAlgorithms sntrup761x25519-sha512":       {"provision does not know sntrup761x25519-sha512"},
		"Ciphers aes128-ctr,,aes256-cbc":             nil,
		"HostKeyAlgorithms -foo":                     nil,
		"PubkeyAcceptedAlgorithms foo*,ssh-ed25519":  {"no OpenSSH up to 10.6 knows foo*"},
		"CASignatureAlgorithms ^ssh-mldsa44-ed25519": {"provision does not know ssh-mldsa44-ed25519"},
	} {
		target, err := loadConfig(t, "Host *\n "+text+"\n").Resolve(t.Context(), "web", ssh.Target{})
		if err != nil || len(target.Unheeded) != len(wants) {
			t.Errorf("%s: %q, error %v", text, target.Unheeded, err)
		}
		for _, want := range wants {
			if !strings.Contains(strings.Join(target.Unheeded, "\n"), want) {
				t.Errorf("%s: %q, want %q", text, target.Unheeded, want)
			}
		}
	}
}

// The list of what OpenSSH alone knows is what it says itself.
func TestAlgorithmsOfOpenSSHAlone(t *testing.T) {
	binary, err := exec.LookPath("ssh")
	if err != nil {
		lack(t, "there is no ssh to ask for its algorithms")
	}
	for keyword, list := range map[string]string{
		"Ciphers": "cipher", "MACs": "mac", "KexAlgorithms": "kex", "HostKeyAlgorithms": "key-sig", "PubkeyAcceptedAlgorithms": "key-sig", "CASignatureAlgorithms": "sig",
	} {
		out, err := exec.Command(binary, "-Q", list).Output()
		if err != nil {
			t.Fatal(err)
		}
		target, err := loadConfig(t, "Host *\n "+keyword+" "+strings.Join(strings.Fields(string(out)), ",")+"\n").Resolve(t.Context(), "web", ssh.Target{})
		if err != nil || len(target.Unheeded) > 0 {
			t.Errorf("%s: %q, error %v", keyword, target.Unheeded, err)
		}
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

// A host that resets each connection is not called on more often than one that lets us in and hangs up.
func TestHostThatHangsUpIsLeftAlone(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var calls atomic.Int32
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			calls.Add(1)
			_, _ = nc.Read(make([]byte, 1)) // a reset before it has connected is another error
			_ = nc.(*net.TCPConn).SetLinger(0)
			nc.Close()
		}
	}()
	_, err = ssh.Dial(t.Context(), ssh.Target{Name: "h", Address: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, User: "u", KnownHostsFiles: []string{"/nowhere"}})
	says(t, err, []string{"hung up before the key exchange"}, nil)
	if n := calls.Load(); n != 3 {
		t.Errorf("called on %d times", n)
	}
}

// Neither legacy, where it is set, nor a password that ssh_config keeps back would help.
func TestAdviceThatIsFollowedAlreadyIsNotGiven(t *testing.T) {
	old := openSSH(t, "Ciphers aes256-cbc")
	old.Legacy = true
	_, err := ssh.Dial(t.Context(), old)
	says(t, err, []string{`transport = "openssh"`}, []string{"legacy = true"})
	server := sshtest.NewServer(t, func(c *sshd.Config) {
		c.PublicKey, c.Password = nil, func(string, string) error { return errors.New("no") }
	}).Target()
	server.IdentityFiles, server.WithoutMethods = []string{"/nowhere"}, []string{"password", "keyboard-interactive"}
	_, err = ssh.Dial(t.Context(), server)
	says(t, err, []string{"PasswordAuthentication"}, []string{"give a password"})
}
