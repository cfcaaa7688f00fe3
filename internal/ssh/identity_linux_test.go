package ssh

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// Private keys in PEM are read as ssh-keygen reads them, and where they are not, the advice makes them so.
func TestPrivateKeysInPEM(t *testing.T) {
	keygen, err := exec.LookPath("ssh-keygen")
	if err != nil {
		labLacks(t, "there is no ssh-keygen to compare with: install openssh-client")
	}
	version, _ := exec.Command("ssh", "-V").CombinedOutput()
	// OpenSSH 9.6 began to read Ed25519 keys in PKCS#8.
	old := regexp.MustCompile(`OpenSSH_([78]\.|9\.[0-5]\D)`).Match(version)
	curve, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	number, err2 := rsa.GenerateKey(rand.Reader, 2048)
	_, edwards, err3 := ed25519.GenerateKey(rand.Reader)
	sec1, err4 := x509.MarshalECPrivateKey(curve)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	block := func(kind string, bytes []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}))
	}
	pkcs8 := func(key crypto.Signer) string {
		return block("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(key)))
	}
	oid := "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07" // of P-256
	for name, text := range map[string]string{
		"rsa": pkcs8(number), "ecdsa": pkcs8(curve), "ed25519": pkcs8(edwards), "rsa, a certificate before": block("CERTIFICATE", []byte("x")) + pkcs8(number),
		"ecdsa, its curve before": block("EC PARAMETERS", []byte(oid)) + block("EC PRIVATE KEY", sec1),
		"rsa, CRLF":               strings.ReplaceAll(pkcs8(number), "\n", "\r\n"),
		"rsa, encrypted":          pkcs8(number), "ecdsa, encrypted": pkcs8(curve),
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "key")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(name, "encrypted") {
				if out, err := exec.Command(keygen, "-p", "-m", "PKCS8", "-P", "", "-N", labPassphrase, "-f", file).CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
			}
			want, err := exec.Command(keygen, "-y", "-P", labPassphrase, "-f", file).Output()
			if err != nil && !(old && name == "ed25519") {
				t.Fatalf("ssh-keygen does not read it: %v", err)
			}
			got, err := readKey(file)
			if strings.HasSuffix(name, "encrypted") {
				if err == nil || !strings.Contains(err.Error(), "in PKCS#8 with a passphrase, which provision does not read; `ssh-keygen -p -f "+file+"`") {
					t.Fatalf("error %v", err)
				}
				if out, err := exec.Command(keygen, "-p", "-P", labPassphrase, "-N", labPassphrase, "-f", file).CombinedOutput(); err != nil {
					t.Fatalf("the advice: %v: %s", err, out)
				}
				got, err = readKey(file)
			}
			if err != nil {
				t.Fatal(err)
			}
			public := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(got.PublicKey())))
			if len(want) > 0 && !strings.HasPrefix(string(want), public) {
				t.Errorf("read %s, and ssh-keygen %s", public, want)
			}
		})
	}
}

// readKey reads a key file with the passphrase of the tests.
func readKey(file string) (ssh.AlgorithmSigner, error) {
	given := func(context.Context, string, int) (string, error) { return labPassphrase, nil }
	word := passphrase{context.Background(), Target{PasswordPrompts: 1, Passphrase: given}, newWatchdog(PhaseAuthenticate, time.Minute, func() {})}
	f, err := readIdentity(file, word)
	if err != nil {
		return nil, err
	}
	f.shared = &sync.Mutex{}
	return f.sign(word)()
}
