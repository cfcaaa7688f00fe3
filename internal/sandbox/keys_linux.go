package sandbox

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// A keyPair is an ed25519 key: the private half in OpenSSH's PEM form, the public half as ssh knows it.
type keyPair struct {
	private []byte
	public  ssh.PublicKey
}

func newKeyPair(comment string) (keyPair, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return keyPair{}, err
	}
	block, err := ssh.MarshalPrivateKey(private, comment)
	if err != nil {
		return keyPair{}, err
	}
	sshPublic, err := ssh.NewPublicKey(public)
	if err != nil {
		return keyPair{}, err
	}
	return keyPair{private: pem.EncodeToMemory(block), public: sshPublic}, nil
}

// writeAccess writes into dir what a client needs: its key, and a known_hosts file with the server's.
func (s *Sandbox) writeAccess(dir string, client, host keyPair, addr net.Addr) error {
	s.IdentityFile = filepath.Join(dir, "id_ed25519")
	s.KnownHostsFile = filepath.Join(dir, "known_hosts")
	if err := os.WriteFile(s.IdentityFile, client.private, 0o600); err != nil {
		return fmt.Errorf("sandbox: write the key to log in with: %w", err)
	}
	line := knownhosts.Line([]string{knownhosts.Normalize(addr.String())}, host.public)
	if err := os.WriteFile(s.KnownHostsFile, []byte(line+"\n"), 0o600); err != nil {
		return fmt.Errorf("sandbox: write known_hosts: %w", err)
	}
	return nil
}
