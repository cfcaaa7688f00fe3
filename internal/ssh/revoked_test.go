package ssh

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// The fingerprint of a revoked certificate is that of the key in it, which is what ssh-keygen -l prints.
func TestRevokedCertificateIsToldByItsKey(t *testing.T) {
	authority, key := testKeys()["host rsa"], testKeys()["host ed25519"].PublicKey()
	cert := &ssh.Certificate{Key: key, CertType: ssh.HostCert, ValidBefore: ssh.CertTimeInfinity}
	if err := cert.SignCert(rand.Reader, authority); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "revoked")
	if err := os.WriteFile(file, ssh.MarshalAuthorizedKey(authority.PublicKey()), 0o600); err != nil {
		t.Fatal(err)
	}
	err := Target{Name: "h", RevokedHostKeys: file}.checkRevoked(t.Context(), cert)
	if err == nil || !strings.Contains(err.Error(), key.Type()+" "+ssh.FingerprintSHA256(key)) {
		t.Errorf("error %v, want the fingerprint %s", err, ssh.FingerprintSHA256(key))
	}
}
