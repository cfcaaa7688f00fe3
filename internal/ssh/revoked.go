package ssh

import (
	"bytes"
	"context"
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
	for line := range strings.Lines(string(list)) {
		// Lines that are no keys that can be read here are of types that no host proves itself with here.
		listed, _, _, _, err := ssh.ParseAuthorizedKey([]byte(strings.TrimSpace(line)))
		if err != nil {
			continue
		}
		for _, k := range keys {
			if sameKey(k, listed) {
				return revoked
			}
		}
	}
	return nil
}

// inRevocationList asks ssh-keygen, which alone knows the format of key revocation lists.
func inRevocationList(ctx context.Context, file string, key ssh.PublicKey) (bool, error) {
	binary, err := exec.LookPath("ssh-keygen")
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
	out, err := exec.CommandContext(ctx, binary, "-Q", "-f", file, public).CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return false, nil
	case errors.As(err, &exit) && strings.Contains(string(out), "REVOKED"):
		return true, nil
	}
	return false, fmt.Errorf("RevokedHostKeys %s: ssh-keygen: %w: %s", file, err, strings.TrimSpace(string(out)))
}
