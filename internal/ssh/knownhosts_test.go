package ssh

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// writeKnown writes a known_hosts file in which KEY is the public key of the host.
func writeKnown(t *testing.T, lines ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "known_hosts")
	text := strings.ReplaceAll(strings.Join(lines, "\n")+"\n", "KEY", authorized("host ed25519"))
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
		"web1 ssh-mldsa44-ed25519 AAAAE3NzaC1tbGRzYTQ0LWVkMjU1MTk=": "ssh-mldsa44-ed25519",
		"web1 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI":                "not understood",
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
