package ssh

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"pgregory.net/rapid"
)

// TestLoginsAreThoseOfOpenSSH logs in to a real sshd, by a real ssh and by ours, with drawn keys, certificates, agents, methods
// and limits, and compares who gets in, by what, after which attempts. PROVISION_TEST_SSH names other ssh binaries, with colons
// between; there are 20 logins unless -rapid.checks asks for another number. A failing case shrinks, and the flag that it prints
// replays it.
func TestLoginsAreThoseOfOpenSSH(t *testing.T) {
	binaries := []string{"ssh"}
	if list := os.Getenv("PROVISION_TEST_SSH"); list != "" {
		binaries = strings.Split(list, ":")
	}
	lab := newLoginLab(t)
	t.Setenv("HOME", lab.path("home"))
	t.Setenv("SSH_AUTH_SOCK", lab.path("case/agent"))
	few := fewChecks()
	for _, name := range binaries {
		binary, err := exec.LookPath(name)
		if err != nil {
			labLacks(t, "there is no ssh to compare with: install openssh-client")
		}
		version, err := exec.Command(binary, "-V").CombinedOutput()
		if err != nil {
			t.Fatal(err)
		}
		old := !regexp.MustCompile(`OpenSSH_[1-9]\d`).Match(version)
		logins, shrinking := 0, false
		rapid.Check(t, func(t *rapid.T) {
			if logins++; few && logins > 20 && !shrinking {
				return
			}
			c := drawLogin(t, lab, old)
			if wrong := c.compare(t, binary); wrong != "" {
				shrinking = true
				t.Fatal(wrong)
			}
		})
	}
}

// fewChecks reports whether nobody has said how many cases to draw.
func fewChecks() bool {
	f := flag.Lookup("rapid.checks")
	return f.Value.String() == f.DefValue
}

// A loginCase is what one login meets.
type loginCase struct {
	lab      *loginLab
	t        *rapid.T
	client   strings.Builder // lines of ssh_config
	server   strings.Builder // lines of sshd_config
	agent    testAgent
	password string          // "": none is given
	person   bool            // gives it, and not the playbook
	locked   bool            // the passphrase is not known
	old      bool            // the ssh is one before OpenSSH 10
	used     map[string]bool // keys in files
	shown    strings.Builder
}

func (c *loginCase) pick(label string, from ...string) string {
	return rapid.SampledFrom(from).Draw(c.t, label)
}

func (c *loginCase) chance(label string, of int) bool {
	return rapid.IntRange(0, of-1).Draw(c.t, label) == of-1
}

// put writes a file of the case.
func (c *loginCase) put(name, text string) {
	if err := errors.Join(os.MkdirAll(filepath.Dir(c.lab.path(name)), 0o755), os.WriteFile(c.lab.path(name), []byte(text), 0o600)); err != nil {
		c.t.Fatal(err)
	}
	if name == "case/authorized_keys" {
		_ = os.Chmod(c.lab.path(name), 0o644)
	}
	fmt.Fprintf(&c.shown, "%s ", name)
}

func drawLogin(t *rapid.T, lab *loginLab, old bool) *loginCase {
	c := &loginCase{lab: lab, t: t, old: old}
	home := lab.path("home/.ssh")
	if err := errors.Join(os.RemoveAll(lab.path("case")), os.RemoveAll(home), os.MkdirAll(home, 0o700)); err != nil {
		t.Fatal(err)
	}
	c.drawServer()
	c.drawKeys()
	c.drawAgent()
	c.drawMethods()
	c.put("case/sshd_config", c.server.String())
	c.put("case/config", lab.config("Host h\n"+c.client.String()))
	return c
}

func (c *loginCase) set(b *strings.Builder, keyword string, values ...string) {
	if v := c.pick(keyword, values...); v != "" {
		fmt.Fprintf(b, " %s %s\n", keyword, v)
	}
}

func (c *loginCase) drawServer() {
	fmt.Fprintf(&c.server, "HostKey %s\nAuthorizedKeysFile %s\nStrictModes no\nPidFile none\nLogLevel VERBOSE\nPrintMotd no\nPrintLastLog no\n",
		c.lab.path("host_key"), c.lab.path("case/authorized_keys"))
	c.set(&c.server, "UsePAM", "yes", "yes", "no")
	c.set(&c.server, "MaxAuthTries", "", "", "6", "4", "3", "2", "1", "20")
	c.set(&c.server, "TrustedUserCAKeys", "", c.lab.path("authorities"))
	c.set(&c.server, "PubkeyAcceptedAlgorithms", "", "", "", "", "-ssh-ed25519", "rsa-sha2-256", "-*cert*")
	methods := c.pick("AuthenticationMethods", "", "", "", "publickey", "password", "keyboard-interactive", "publickey,password", "publickey,keyboard-interactive",
		"publickey,publickey", "password,publickey", "keyboard-interactive,publickey", "password,keyboard-interactive", "keyboard-interactive,password",
		"publickey,password publickey,keyboard-interactive", "keyboard-interactive,keyboard-interactive", "password,password", "publickey,publickey,password",
		"publickey,password password,publickey")
	if methods != "" {
		fmt.Fprintf(&c.server, " AuthenticationMethods %s\n", methods)
	}
	// sshd does not start where a method that it is to ask for is off.
	for _, off := range [][2]string{{"PasswordAuthentication", methodPassword}, {"KbdInteractiveAuthentication", methodAsk}, {"PubkeyAuthentication", methodKey}} {
		if c.chance(off[0]+" off", 4) && !strings.Contains(methods, off[1]) {
			fmt.Fprintf(&c.server, " %s no\n", off[0])
		}
	}
	var lines string
	for _, k := range c.lab.keys {
		if c.chance("authorized "+k.name, 3) {
			lines += c.pick("options", "", "", "", "cert-authority ", `from="10.0.0.1" `) + string(ssh.MarshalAuthorizedKey(k.signer.PublicKey()))
		}
	}
	c.put("case/authorized_keys", lines)
}

// certificate draws one for a key.
func (c *loginCase) certificate(k labKey) *ssh.Certificate {
	cert := &ssh.Certificate{
		Key: k.signer.PublicKey(), KeyId: "id", CertType: ssh.UserCert, ValidPrincipals: []string{c.pick("principal", labUser, labUser, labUser, "other", "*")},
		ValidBefore: ssh.CertTimeInfinity,
	}
	switch c.pick("certificate", "good", "good", "good", "expired", "host", "later", "for nobody", "of here", "of elsewhere", "odd", "forced") {
	case "for nobody":
		cert.ValidPrincipals = nil
	case "of here":
		cert.CriticalOptions = map[string]string{sourceAddress: "127.0.0.0/8"}
	case "of elsewhere":
		cert.CriticalOptions = map[string]string{sourceAddress: "192.0.2.1"}
	case "odd":
		cert.CriticalOptions = map[string]string{"odd@example.com": ""}
	case "forced":
		cert.CriticalOptions = map[string]string{forceCommand: "echo entered"}
	case "expired":
		cert.ValidBefore = uint64(time.Now().Unix()) - 100
	case "later":
		cert.ValidAfter = uint64(time.Now().Unix()) + 10000
	case "host":
		cert.CertType = ssh.HostCert
	}
	if err := cert.SignCert(rand.Reader, c.lab.authority); err != nil {
		c.t.Fatal(err)
	}
	return cert
}

// key draws one of the keys.
func (c *loginCase) key(label string) labKey {
	return rapid.SampledFrom(c.lab.keys).Draw(c.t, label)
}

// writeKey draws the files of a key, and returns the name for IdentityFile.
func (c *loginCase) writeKey(name string, k labKey) string {
	public := string(ssh.MarshalAuthorizedKey(k.signer.PublicKey()))
	form := c.pick("form", "plain", "plain", "plain", "with .pub", "encrypted", "only .pub", "named .pub", "missing", "a certificate",
		"another .pub", "encrypted, another .pub", "for all to read", "for all to read, .pub", "for all to read, encrypted", "CRLF", "CRLF, .pub", "no last line break", "text before", "options in .pub", "PKCS#8", "PKCS#8 behind a certificate")
	// Not an RSA key: ssh takes a public key that is too short for RequiredRSASize for one that is not there.
	other := c.lab.keys[slices.IndexFunc(c.lab.keys, func(o labKey) bool { return o.name != k.name && !strings.HasPrefix(o.name, "rsa") })]
	switch form {
	case "plain":
		c.put(name, string(k.plain))
	case "with .pub":
		c.put(name, string(k.plain))
		c.put(name+".pub", public)
	case "encrypted":
		c.put(name, string(k.encrypted))
	case "another .pub", "encrypted, another .pub":
		c.put(name, string(k.plain))
		if c.used[other.name] {
			break
		}
		c.used[other.name] = true
		if form != "another .pub" {
			c.put(name, string(k.encrypted))
		}
		c.put(name+".pub", string(ssh.MarshalAuthorizedKey(other.signer.PublicKey())))
	case "for all to read", "for all to read, .pub", "for all to read, encrypted":
		c.put(name, string(k.plain))
		switch form {
		case "for all to read, .pub":
			c.put(name+".pub", public)
		case "for all to read, encrypted":
			c.put(name, string(k.encrypted))
		}
		if err := os.Chmod(c.lab.path(name), 0o644); err != nil {
			c.t.Fatal(err)
		}
	case "CRLF", "CRLF, .pub":
		c.put(name, strings.ReplaceAll(string(k.plain), "\n", "\r\n"))
		if form != "CRLF" {
			c.put(name+".pub", strings.ReplaceAll(public, "\n", "\r\n"))
		}
	case "no last line break":
		c.put(name, strings.TrimSpace(string(k.plain)))
	case "text before":
		c.put(name, "key of k\n"+string(k.plain))
	case "PKCS#8", "PKCS#8 behind a certificate":
		text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(k.private))})
		if form != "PKCS#8" {
			text = append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), text...)
		}
		if c.old && strings.HasPrefix(k.name, "ed25519") { // OpenSSH 9.6 began to read it
			text = k.plain
		}
		c.put(name, string(text))
		c.put(name+".pub", public) // without it ssh does not know beforehand which key it is
	case "options in .pub":
		c.put(name, string(k.encrypted))
		c.put(name+".pub", `from="10.0.0.1" `+public)
	case "only .pub":
		c.put(name+".pub", public)
	case "named .pub":
		name += ".pub"
		c.put(name, public)
	case "a certificate":
		name += "-cert.pub"
		c.put(name, string(ssh.MarshalAuthorizedKey(c.certificate(k))))
	}
	if c.chance("-cert.pub of another", 12) {
		c.put(name+"-cert.pub", string(ssh.MarshalAuthorizedKey(c.certificate(other))))
	} else if c.chance("-cert.pub", 4) && !(c.old && strings.HasPrefix(name, "home/")) {
		c.put(name+"-cert.pub", string(ssh.MarshalAuthorizedKey(c.certificate(k))))
	}
	return c.lab.path(name)
}

func (c *loginCase) drawKeys() {
	c.used = map[string]bool{} // a key in two files is offered twice by ssh, and once by us
	fresh := func(label string) (labKey, bool) {
		k := c.key(label)
		if c.used[k.name] {
			return k, false
		}
		c.used[k.name] = true
		return k, true
	}
	for _, name := range []string{"id_rsa", "id_ecdsa", "id_ed25519"} {
		if c.chance(name, 4) {
			if k, ok := fresh("default"); ok {
				c.writeKey("home/.ssh/"+name, k)
			}
		}
	}
	for i := range rapid.IntRange(0, 3).Draw(c.t, "identity files") {
		if c.chance("none", 8) {
			c.client.WriteString(" IdentityFile none\n")
		} else if k, ok := fresh("named"); ok {
			fmt.Fprintf(&c.client, " IdentityFile %s\n", c.writeKey(fmt.Sprintf("case/key%d-%s", i, k.name), k))
		}
	}
	for i := range rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(c.t, "certificate files") {
		name := fmt.Sprintf("case/file%d-cert.pub", i)
		if c.chance("exists", 6) {
			name = "case/missing"
		} else {
			c.put(name, string(ssh.MarshalAuthorizedKey(c.certificate(c.key("certified")))))
		}
		fmt.Fprintf(&c.client, " CertificateFile %s\n", c.lab.path(name))
	}
	c.set(&c.client, "IdentitiesOnly", "", "", "yes")
	c.locked = c.chance("passphrase not known", 3)
	passphrase := labPassphrase + "\n"
	if c.locked {
		passphrase = ""
	}
	c.put("case/passphrase", passphrase)
}

func (c *loginCase) drawAgent() {
	ring := agent.NewKeyring().(agent.ExtendedAgent)
	c.agent = testAgent{ExtendedAgent: ring}
	var held []string
	var added []agent.AddedKey
	for range rapid.SampledFrom([]int{0, 0, 1, 2, 3, 5}).Draw(c.t, "keys in the agent") {
		k := c.key("in the agent")
		if slices.Contains(held, k.name) {
			continue
		}
		held = append(held, k.name)
		plain, certified := agent.AddedKey{PrivateKey: k.private}, agent.AddedKey{PrivateKey: k.private}
		forms := []string{"", "", "", "alone", "before", "after"}
		if c.old {
			forms = []string{""} // it does not bring the certificates to the front
		}
		switch form := c.pick("certificate in the agent", forms...); form {
		case "":
			added = append(added, plain)
		default:
			certified.Certificate = c.certificate(k)
			if form == "before" {
				added = append(added, plain)
			}
			added = append(added, certified)
			if form == "after" {
				added = append(added, plain)
			}
		}
		if c.chance("will not sign", 5) {
			c.agent.refuses = k.signer.PublicKey()
		}
	}
	for _, a := range added {
		if err := ring.Add(a); err != nil {
			c.t.Fatal(err)
		}
	}
	c.set(&c.client, "IdentityAgent", "", "", "", "", "none", "SSH_AUTH_SOCK", c.lab.path("case/agent"), c.lab.path("case/nowhere"))
}

func (c *loginCase) drawMethods() {
	c.set(&c.client, "PubkeyAcceptedAlgorithms", "", "", "", "", "", "-ssh-ed25519", "-*cert*", "rsa-sha2-256,ssh-ed25519", "^rsa-sha2-256", "ssh-ed25519*", "rsa-sha2-512-cert-v01@openssh.com,ecdsa-*")
	c.set(&c.client, "RequiredRSASize", "", "", "", "", "", "2048", "3072")
	c.set(&c.client, "PubkeyAuthentication", "", "", "", "", "", "no", "unbound")
	c.set(&c.client, "PasswordAuthentication", "", "", "", "no")
	c.set(&c.client, "KbdInteractiveAuthentication", "", "", "", "no")
	c.set(&c.client, "PreferredAuthentications", "", "", "", "publickey", "password", "keyboard-interactive", "password,publickey", "keyboard-interactive,publickey",
		"password,keyboard-interactive,publickey", "publickey,password", "gssapi-with-mic,publickey", "none", "publickey,,password", "hostbased")
	c.password = c.pick("password", "", labPassword, labPassword, labPassword, "wrong")
	c.person = c.password != "" && c.chance("by a person", 2)
	// A password of the playbook is given without a question, whatever these say.
	if c.password == "" || c.person {
		c.set(&c.client, "NumberOfPasswordPrompts", "", "", "0", "1", "2")
		c.set(&c.client, "BatchMode", "", "", "yes")
	}
	c.put("case/password", c.password+"\n")
}

func (c *loginCase) describe() string {
	var held []string
	list, _ := c.agent.List()
	for _, k := range list {
		held = append(held, k.Format+" "+ssh.FingerprintSHA256(plainKey(must(ssh.ParsePublicKey(k.Blob)))))
	}
	refuses := ""
	if c.agent.refuses != nil {
		refuses = ", does not sign with " + ssh.FingerprintSHA256(c.agent.refuses)
	}
	var pairs []string
	for _, k := range c.lab.keys {
		pairs = append(pairs, ssh.FingerprintSHA256(k.signer.PublicKey()), k.name)
	}
	authorized, _ := os.ReadFile(c.lab.path("case/authorized_keys"))
	for _, k := range c.lab.keys {
		pairs = append(pairs, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k.signer.PublicKey()))), k.name)
	}
	text := fmt.Sprintf("--- ssh_config\n%s--- sshd_config\n%s--- authorized_keys\n%s--- files %s\n--- agent %q%s\n--- password %q, by a person: %t, passphrase known: %t\n",
		c.client.String(), c.server.String(), authorized, c.shown.String(), held, refuses, c.password, c.person, !c.locked)
	return strings.NewReplacer(pairs...).Replace(text)
}

// compare logs in twice, and says what differs.
func (c *loginCase) compare(t *rapid.T, binary string) string {
	closeAgent, err := c.lab.serveAgent(c.agent)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAgent()
	wantIn, said, want, wantLog := c.lab.byOpenSSH(t, binary)
	given := Target{}
	if c.person {
		given.Answer = func(_ context.Context, p Prompt) (string, error) {
			if p.Kind != PromptPassword {
				return "", fmt.Errorf("the question %q is no one's", p.Text)
			}
			return c.password, nil
		}
	} else if c.password != "" {
		given.Password = func(context.Context) (string, error) { return c.password, nil }
	}
	if !c.locked {
		given.Passphrase = func(context.Context, string, int) (string, error) { return labPassphrase, nil }
	}
	got, gotLog, err := c.lab.byProvision(t, given)
	in := err == nil
	wrong := ""
	switch {
	case !c.person && c.refusals(got) > 1+partial(got):
		wrong = "the password was given again after it had been refused"
	case in == wantIn && slices.Equal(c.comparable(want), c.comparable(got)):
	// Where ssh has used up its attempts for what is not tried again here, ours goes on.
	case !wantIn && strings.Contains(wantLog, "maximum authentication attempts exceeded") && c.begins(c.comparable(got), c.comparable(want)):
	case c.password != "" && !c.person && keysRefused(want) >= maxKeysBeforePassword && (in || !wantIn || c.password == "wrong"):
		// On purpose: a password of the playbook is tried before the attempts are used up.
	default:
		wrong = "another login"
	}
	if wrong == "" {
		return ""
	}
	return fmt.Sprintf("%s\n%s--- ssh: in: %t\n%s\n%s--- provision: in: %t, %v\n%s\n--- ssh's sshd\n%s--- provision's sshd\n%s",
		wrong, c.describe(), wantIn, lines(want), said, in, err, lines(got), wantLog, gotLog)
}

// comparable leaves out where the two differ on purpose: a password is given once, and not at all where there is none; a key
// that was refused or accepted is not offered again after a partial success.
func (c *loginCase) comparable(attempts []attempt) []attempt {
	var all []attempt
	for _, a := range attempts {
		switch {
		case a.method == "none":
		case a.verdict == "Postponed": // a key in PEM is signed with at once by ssh
		case a.method != "publickey" && a.verdict == "Failed":
		case a.method == "publickey" && partial(all) > 0 && slices.ContainsFunc(all, func(b attempt) bool { return a.key == b.key }):
		default:
			all = append(all, a)
		}
	}
	return all
}

func (c *loginCase) begins(all, first []attempt) bool {
	return len(all) >= len(first) && slices.Equal(all[:len(first)], first)
}

// keysRefused counts the keys that the host has seen and not taken.
func keysRefused(attempts []attempt) int {
	n := 0
	for _, a := range attempts {
		if a.verdict == "Failed" && a.method == methodKey {
			n++
		}
	}
	return n
}

// refusals counts how often a password was refused.
func (c *loginCase) refusals(attempts []attempt) int {
	n := 0
	for _, a := range attempts {
		if a.verdict == "Failed" && a.method != "publickey" && a.method != "none" {
			n++
		}
	}
	return n
}

func partial(attempts []attempt) int {
	n := 0
	for _, a := range attempts {
		if a.verdict == "Partial" {
			n++
		}
	}
	return n
}

func lines(attempts []attempt) string {
	var b strings.Builder
	for _, a := range attempts {
		fmt.Fprintln(&b, a)
	}
	return b.String()
}
