package ssh

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"
)

// checkRevoked returns an error for a host key that RevokedHostKeys lists. As with ssh, a list that cannot be read refuses every
// key: a setting of safety is never passed over.
func (t Target) checkRevoked(ctx context.Context, key ssh.PublicKey) error {
	file := t.RevokedHostKeys
	if file == "" {
		return nil
	}
	list, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("RevokedHostKeys cannot be read, so no key is accepted: %w", err)
	}
	revoked := &ChangedHostKeyError{Host: t.Name, Type: plainKey(key).Type(), Fingerprint: ssh.FingerprintSHA256(plainKey(key)), Known: []string{file}, Revoked: true}
	if bytes.HasPrefix(list, []byte("SSHKRL\n")) {
		yes, err := inRevocationList(ctx, file, key)
		if err == nil && yes {
			err = revoked
		}
		return err
	}
	keys := []ssh.PublicKey{key, plainKey(key)}
	if c, ok := key.(*ssh.Certificate); ok {
		keys = append(keys, c.SignatureKey)
	}
	number := 0
	for line := range strings.Lines(string(list)) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		listed, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
		switch {
		case err != nil && isFutureKey(line):
			continue // no host proves itself with it here
		case err != nil:
			return fmt.Errorf("line %d of RevokedHostKeys %s is no public key, so no key is accepted: mend the line, or remove it", number, file)
		}
		for _, k := range keys {
			if sameKey(k, listed) {
				return revoked
			}
		}
	}
	return nil
}

// isFutureKey tells whether a line is a public key, TYPE BASE64, of a type that cannot be read here: the type is repeated in the key.
func isFutureKey(line string) bool {
	fields := strings.Fields(line)
	if len(fields) < 2 {
		return false
	}
	blob, err := base64.StdEncoding.DecodeString(fields[1])
	if err != nil || len(blob) <= 4+len(fields[0]) || binary.BigEndian.Uint32(blob) != uint32(len(fields[0])) || string(blob[4:4+len(fields[0])]) != fields[0] {
		return false
	}
	switch fields[0] {
	case ssh.KeyAlgoRSA, "ssh-dss", ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoED25519, ssh.KeyAlgoSKECDSA256, ssh.KeyAlgoSKED25519:
		return false // cut short
	}
	return true
}

// inRevocationList asks ssh-keygen, which alone knows the format of key revocation lists.
func inRevocationList(ctx context.Context, file string, key ssh.PublicKey) (bool, error) {
	keygen, err := exec.LookPath("ssh-keygen")
	if err != nil {
		return false, fmt.Errorf("RevokedHostKeys %s is a key revocation list, which ssh-keygen reads, so no key is accepted: %w", file, err)
	}
	dir, err := os.MkdirTemp("", "provision-key-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	public := filepath.Join(dir, "host.pub")
	if err := os.WriteFile(public, ssh.MarshalAuthorizedKey(key), 0o600); err != nil {
		return false, err
	}
	out, err := exec.CommandContext(ctx, keygen, "-Q", "-f", file, public).CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return false, nil
	case errors.As(err, &exit) && strings.Contains(string(out), "REVOKED"):
		return true, nil
	}
	return false, fmt.Errorf("RevokedHostKeys %s: ssh-keygen: %w: %s", file, err, strings.TrimSpace(string(out)))
}
