package ssh

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// writeKnown writes a known_hosts file in which KEY, behind a blank, is the public key of the host.
func writeKnown(t *testing.T, lines ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "known_hosts")
	text := strings.ReplaceAll(strings.Join(lines, "\n")+"\n", " KEY", " "+authorized("host ed25519"))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func authorized(key string) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(testKeys()[key].PublicKey())))
}

func TestLinesThatAreNotUnderstoodArePassedOver(t *testing.T) {
	for line, reason := range map[string]string{
		"web1 ssh-mldsa44-ed25519 AAAAE3NzaC1tbGRzYTQ0LWVkMjU1MTk=":                   "ssh-mldsa44-ed25519", // cut short
		"web1 ssh-mldsa44-ed25519 AAAAE3NzaC1tbGRzYTQ0LWVkMjU1MTkAAAAgAAAA":           "ssh-mldsa44-ed25519",
		"web1 ssh-mldsa44-ed25519 " + strings.Fields(authorized("host ed25519"))[1]:   "ssh-mldsa44-ed25519",
		"web1 ssh-ed25519 " + base64.StdEncoding.EncodeToString(keyOf("ssh-ed25519")): "not understood",
		"web1 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI":                                  "not understood",
		"web1 ssh-ed25519":                  "before the key",
		"web1":                              "before the type",
		"web1 1024 65537 1234567890":        "SSH 1",
		"@future web1 KEY":                  `"@future" is not known`,
		"@cert-authority @revoked web1 KEY": "is not known",
		"\xef\xbb\xbfweb1 KEY":              "byte order mark",
		"|1|AAAA|BBBB KEY":                  "malformed",
		"web1 ssh-rsa " + strings.Fields(authorized("host ed25519"))[1]: "holds a key of type",
		"<<<<<<< HEAD":               "before the key",
		"web1 ssh-ed25519 \x00":      "before the key",
		strings.Repeat("x", 200_000): "before the type",
	} {
		file := writeKnown(t, "# a comment", line, "", "web1 KEY")
		known := readKnownHosts([]string{file})
		h := hostKeys{known: known, names: []string{"web1"}, host: "web1"}
		if err := h.check(t.Context(), testKeys()["host ed25519"].PublicKey()); err != nil {
			t.Errorf("%.60q: %v", line, err)
		}
		if len(known.passed) != 1 || !strings.Contains(known.passed[0], file+":2: ") || !strings.Contains(known.passed[0], reason) {
			t.Errorf("%.60q: warnings %q, want one about line 2 that says %q", line, known.passed, reason)
		}
	}
}

// keyOf is a key of a type, well formed and of no use.
func keyOf(kind string) []byte {
	return ssh.Marshal(struct{ Type, Key string }{kind, strings.Repeat("k", 1344)})
}

// OpenSSH 10.6 records keys of its own accord that are of a type which is not known here (UpdateHostKeys). They are no mistake of
// the file, and are told where nothing else vouches for the host.
func TestKeysOfNewerTypesAreNoMistake(t *testing.T) {
	line := " ssh-mldsa44-ed25519 " + base64.StdEncoding.EncodeToString(keyOf("ssh-mldsa44-ed25519"))
	file := writeKnown(t, "web1 KEY", "web1"+line, "web2"+line+" comment", hashName("web3")+line, "@cert-authority *.test"+line, "@revoked web4"+line)
	known := readKnownHosts([]string{file})
	if len(known.passed) != 0 {
		t.Errorf("warnings %q", known.passed)
	}
	for name, want := range map[string]string{"web1": "", "web2": ":3 (ssh-mldsa44-ed25519)", "web3": ":4 (ssh-mldsa44-ed25519)", "a.test": ":5 (@cert-authority ssh-mldsa44-ed25519)", "web4": ""} {
		target := Target{Address: name, KnownHostsFiles: []string{file}}
		key := testKeys()["host ed25519"].PublicKey()
		err := new(Dialer).loadHostKeys(target).check(t.Context(), key)
		if (err == nil) != (name == "web1") || err != nil && strings.Contains(err.Error(), "types that provision does not know: "+file+want) != (want != "") {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
		fresh, err := new(Dialer).Unrecorded(t.Context(), target, HostKey{Host: name, Key: key})
		if err != nil || (fresh == nil) != (name == "web1") || fresh != nil && (len(fresh.Foreign) > 0) != (want != "") {
			t.Errorf("%s: to be recorded %v, error %v", name, fresh, err)
		}
	}
}

// As to ssh 10.6, a key with the port keeps what is on record without it from counting, of whichever type it is.
func TestKeyOfANewerTypeWithThePort(t *testing.T) {
	line := " ssh-mldsa44-ed25519 " + base64.StdEncoding.EncodeToString(keyOf("ssh-mldsa44-ed25519"))
	for text, known := range map[string]bool{"[web1]:2222" + line: false, "web1" + line: true, "@cert-authority [web1]:2222" + line: true, "[web2]:2222" + line: true} {
		target := Target{Address: "web1", Port: 2222, KnownHostsFiles: []string{writeKnown(t, text, "web1 KEY")}}
		err := new(Dialer).loadHostKeys(target).check(t.Context(), testKeys()["host ed25519"].PublicKey())
		if (err == nil) != known {
			t.Errorf("%.30s: %v", text, err)
		}
	}
}

// The command that is advised for a changed key can be pasted, and takes away what it has to.
func TestAdviceForAChangedKeyCanBePasted(t *testing.T) {
	keygen := opensshTools(t, "ssh-keygen")[0]
	dir := filepath.Join(t.TempDir(), "it's a file")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	var files []string
	for i, text := range []string{"[WEB1]:2222 KEY\ndb1 KEY\n", hashName("[web1]:2222") + " KEY\n"} {
		files = append(files, filepath.Join(dir, fmt.Sprint("known_hosts ", i)))
		if err := os.WriteFile(files[i], []byte(strings.ReplaceAll(text, " KEY", " "+authorized("host ed25519"))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	target := Target{Address: "web1", Port: 2222, KnownHostsFiles: files}
	shown := testKeys()["other ed25519"].PublicKey()
	err := new(Dialer).loadHostKeys(target).check(t.Context(), shown)
	_, trustErr := new(Dialer).Unrecorded(t.Context(), target, HostKey{Host: "[web1]:2222", Key: shown})
	if err == nil || trustErr == nil {
		t.Fatalf("errors %v, %v", err, trustErr)
	}
	advice := regexp.MustCompile(`ssh-keygen -R '\S+' -f '.*?known_hosts .'`).FindAllString(hostKeyHint(err), -1)
	if len(advice) != 2 || !strings.Contains(trustErr.Error(), strings.Join(advice, " and remove that with ")) {
		t.Fatalf("hint %s\ntrust: %v", hostKeyHint(err), trustErr)
	}
	for _, command := range advice {
		cmd := exec.Command("sh", "-c", command)
		cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(keygen)+":"+os.Getenv("PATH"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
	}
	var unknown *UnknownHostKeyError
	if err := new(Dialer).loadHostKeys(target).check(t.Context(), shown); !errors.As(err, &unknown) {
		t.Errorf("afterwards: %v", err)
	}
}

// A file that is none takes every key and has none afterwards.
func TestKeysAreRecordedInFilesAlone(t *testing.T) {
	key := HostKey{Host: "web1", Key: testKeys()["host rsa"].PublicKey()}
	for _, file := range []string{os.DevNull, t.TempDir()} {
		if err := Remember(file, []HostKey{key}); err == nil || !strings.Contains(err.Error(), file+" is no regular file") {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestOneWarningForAFileOfManyBadLines(t *testing.T) {
	lines := []string{"web1 KEY"}
	for range 30 {
		lines = append(lines, "garbage")
	}
	known := readKnownHosts([]string{writeKnown(t, lines...)})
	if len(known.passed) != 1 || !strings.Contains(known.passed[0], "so are lines 3, 4, 5, 6, 7 and 24 more") {
		t.Errorf("warnings %q", known.passed)
	}
}

func TestFileOfKnownHostsThatCannotBeReadIsEmpty(t *testing.T) {
	known := readKnownHosts([]string{t.TempDir(), filepath.Join(t.TempDir(), "missing"), writeKnown(t, "web1 KEY")})
	if len(known.passed) != 1 || len(known.matching("web1")) != 1 {
		t.Errorf("warnings %q, lines %v", known.passed, known.matching("web1"))
	}
}

// What trust writes leaves everything else in the file as it is, and the next plan takes it.
func TestRememberKeepsWhatItDoesNotUnderstand(t *testing.T) {
	file := writeKnown(t, "garbage", "db1 KEY\r", "@future x y", "web9 ssh-mldsa44-ed25519 AAAA # cut")
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	key := HostKey{Host: "[web1]:2222", Key: testKeys()["host rsa"].PublicKey()}
	if err := Remember(file, []HostKey{key}); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(file)
	if err != nil || string(after) != string(before)+key.line()+"\n" {
		t.Errorf("error %v, file\n%s", err, after)
	}
	target := Target{Address: "WEB1", Port: 2222, KnownHostsFiles: []string{file}}
	if fresh, err := new(Dialer).Unrecorded(t.Context(), target, key); fresh != nil || err != nil {
		t.Errorf("unrecorded %v, error %v", fresh, err)
	}
}

func TestUnrecordedNeverTakesAnAuthorityForAChangedKey(t *testing.T) {
	file := writeKnown(t, "@cert-authority *.example.test "+authorized("host authority"))
	target := Target{Address: "web1.example.test", KnownHostsFiles: []string{file}}
	plain := testKeys()["host ed25519"].PublicKey()
	fresh, err := new(Dialer).Unrecorded(t.Context(), target, HostKey{Host: "web1.example.test", Key: plain})
	if err != nil || fresh == nil || !sameKey(fresh.Key, plain) {
		t.Errorf("plain key: %v, %v", fresh, err)
	}
	for principal, want := range map[string]bool{"*.example.test": true, "other": false} {
		cert := &ssh.Certificate{Key: plain, CertType: ssh.HostCert, ValidPrincipals: []string{principal}, ValidBefore: ssh.CertTimeInfinity}
		if err := cert.SignCert(rand.Reader, testKeys()["host authority"]); err != nil {
			t.Fatal(err)
		}
		fresh, err := new(Dialer).Unrecorded(t.Context(), target, HostKey{Host: "web1.example.test", Key: cert})
		if err != nil || (fresh == nil) != want || fresh != nil && !sameKey(fresh.Key, plain) {
			t.Errorf("certificate for %s: %v, %v", principal, fresh, err)
		}
	}
	_, err = new(Dialer).Unrecorded(t.Context(), Target{Address: "web1", KnownHostsFiles: []string{writeKnown(t, "web1 KEY")}}, HostKey{Host: "web1", Key: testKeys()["other ed25519"].PublicKey()})
	if err == nil || !strings.Contains(err.Error(), "ssh-keygen -R web1") {
		t.Errorf("changed key: %v", err)
	}
}

func BenchmarkKnownHostsOfAFleet(b *testing.B) {
	var text strings.Builder
	for i := range 20_000 {
		name := fmt.Sprintf("web%d", i)
		if i%2 == 0 {
			name = hashName(name)
		}
		fmt.Fprintf(&text, "%s %s\n", name, authorized("host ed25519"))
	}
	for b.Loop() {
		var k knownHosts
		k.add("known_hosts", text.String())
		for i := range 1000 {
			k.matching(fmt.Sprintf("web%d", i))
		}
	}
}

// Which lines a KnownHostsCommand prints, and what it is told, is compared with ssh elsewhere.
func TestKnownHostsCommand(t *testing.T) {
	lines := writeKnown(t, "[10.0.0.1]:2222 KEY")
	target := Target{
		Address: "10.0.0.1", Port: 2222, KnownHostsFiles: []string{}, ConnectTimeout: time.Minute,
		KnownHostsCommand: KnownHostsCommand{Words: []string{"/bin/cat", lines}},
	}
	check := func(words ...string) error {
		if words != nil {
			target.KnownHostsCommand.Words = words
		}
		return new(Dialer).loadHostKeys(target).check(t.Context(), testKeys()["host ed25519"].PublicKey())
	}
	if err := check(); err != nil {
		t.Errorf("a key that it prints: %v", err)
	}
	var unknown *UnknownHostKeyError
	if err := check("/bin/true"); !errors.As(err, &unknown) {
		t.Errorf("a command that prints nothing: %v", err)
	}
	for _, words := range [][]string{{"/bin/sh", "-c", "cat " + lines + "; echo broken >&2; exit 3"}, {"cat", lines}, {"/bin/cat", "%q"}} {
		if err := check(words...); err == nil || errors.As(err, &unknown) || !strings.Contains(err.Error(), "KnownHostsCommand") {
			t.Errorf("%q: %v", words, err)
		}
	}
	target.ConnectTimeout = 10 * time.Millisecond
	if err := check("/bin/sleep", "60"); !errors.Is(err, ErrTimeout) {
		t.Errorf("a command that does not end: %v", err)
	}
}
