package sshd

import (
	"fmt"
	"slices"

	"golang.org/x/crypto/ssh"
)

// OpenSSH74 is what OpenSSH 7.4, the server of CentOS 7, negotiates by default, cut down to what the library
// implements (sshd_config(5) of that release).
func OpenSSH74() ssh.Algorithms {
	return ssh.Algorithms{
		KeyExchanges: []string{
			"curve25519-sha256", "ecdh-sha2-nistp256", "ecdh-sha2-nistp384", "ecdh-sha2-nistp521",
			"diffie-hellman-group-exchange-sha256", "diffie-hellman-group16-sha512",
			"diffie-hellman-group14-sha256", "diffie-hellman-group14-sha1",
		},
		Ciphers: []string{
			"chacha20-poly1305@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr",
			"aes128-gcm@openssh.com", "aes256-gcm@openssh.com",
		},
		MACs: []string{
			"hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512", "hmac-sha1",
		},
		HostKeys: []string{
			"rsa-sha2-512", "rsa-sha2-256", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-ed25519",
		},
		PublicKeyAuths: []string{
			"rsa-sha2-256", "rsa-sha2-512", "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
		},
	}
}

// restrictHostKeys keeps the keys that can sign with one of algorithms, each restricted to those. An empty list
// restricts nothing.
func restrictHostKeys(keys []ssh.Signer, algorithms []string) ([]ssh.Signer, error) {
	if len(algorithms) == 0 {
		return keys, nil
	}
	var kept []ssh.Signer
	for _, k := range keys {
		as, ok := k.(ssh.AlgorithmSigner)
		if !ok {
			if slices.Contains(algorithms, k.PublicKey().Type()) {
				kept = append(kept, k)
			}
			continue
		}
		var usable []string
		for _, a := range algorithms {
			if signsWith(k.PublicKey().Type(), a) {
				usable = append(usable, a)
			}
		}
		if len(usable) == 0 {
			continue
		}
		restricted, err := ssh.NewSignerWithAlgorithms(as, usable)
		if err != nil {
			return nil, fmt.Errorf("ssh server: host key %s: %w", k.PublicKey().Type(), err)
		}
		kept = append(kept, restricted)
	}
	if len(kept) == 0 {
		return nil, fmt.Errorf("ssh server: no host key can sign with any of %v; add one of these types", algorithms)
	}
	return kept, nil
}

// signsWith reports whether a key of a type can make signatures of an algorithm: RSA keys have three (RFC 8332).
func signsWith(keyType, algorithm string) bool {
	if keyType == ssh.KeyAlgoRSA {
		return algorithm == ssh.KeyAlgoRSA || algorithm == ssh.KeyAlgoRSASHA256 || algorithm == ssh.KeyAlgoRSASHA512
	}
	return keyType == algorithm
}
