package ssh

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"provision/internal/ssh/sshconfig"
)

// checkCertificate judges a host's certificate as the ssh of OpenSSH 10.6 does; the library is laxer. Its error says why the
// certificate does not count, and revoked that the key inside does not count either.
func (h hostKeys) checkCertificate(cert *ssh.Certificate) (refusal error, revoked bool) {
	refusal = errors.New("no @cert-authority line for this host has the key that signed it")
	for i, name := range h.names {
		r := h.record(name)
		for _, key := range []ssh.PublicKey{cert.Key, cert.SignatureKey} {
			if k := find(r.revoked, key); k != nil {
				return h.revoked(key, *k), i == 0
			}
		}
		if find(r.authorities, cert.SignatureKey) != nil {
			if refusal = h.judge(cert); refusal == nil || i == 0 {
				return refusal, false
			}
		}
		// Without the port ssh looks for the plain key, too, before it goes back to what is on record with the port.
		if i > 0 && find(r.keys, cert.Key) != nil && h.weakKey(cert.Key) == nil {
			return nil, false
		}
	}
	return refusal, false
}

// authoritySignatures are the algorithms with which an authority may sign (ssh_config(5), CASignatureAlgorithms).
func authoritySignatures() []string {
	return []string{
		ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256,
		ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256,
	}
}

func allAuthoritySignatures() []string { return append(authoritySignatures(), ssh.KeyAlgoRSA) }

// judge says what is wrong with a certificate of an authority that may certify this host.
func (h hostKeys) judge(cert *ssh.Certificate) error {
	names := slices.ContainsFunc(cert.ValidPrincipals, func(p string) bool { return sshconfig.MatchPattern(h.host, p) })
	switch {
	case cert.CertType != ssh.HostCert:
		return errors.New("it is not a certificate for hosts")
	case len(cert.ValidPrincipals) == 0:
		return errors.New("it names no host")
	case !names:
		return fmt.Errorf("it is for %s", strings.Join(cert.ValidPrincipals, ", "))
	case !slices.Contains(h.authorities, cert.Signature.Format):
		return fmt.Errorf("it is signed with %s", cert.Signature.Format)
	}
	if now := uint64(time.Now().Unix()); now < cert.ValidAfter {
		return fmt.Errorf("it is valid only from %s", certTime(cert.ValidAfter))
	} else if now >= cert.ValidBefore {
		return fmt.Errorf("it has expired at %s", certTime(cert.ValidBefore))
	}
	if err := h.weakKey(cert.Key); err != nil {
		return err
	}
	// The principals were judged above, since the library knows no patterns.
	return new(ssh.CertChecker).CheckCert(cert.ValidPrincipals[0], cert)
}

func certTime(t uint64) string { return time.Unix(int64(t), 0).UTC().Format(time.DateTime + " UTC") }

// shortestRSA is the smallest RequiredRSASize that counts, and ssh's standard.
const shortestRSA = 1024

// weakKey refuses RSA keys that ssh refuses for their length.
func (h hostKeys) weakKey(key ssh.PublicKey) error {
	if bits, least := rsaBits(key), max(shortestRSA, h.rsaSize); bits > 0 && bits < least {
		return fmt.Errorf("the host's RSA key has %d bits, and at least %d are required (RequiredRSASize)", bits, least)
	}
	return nil
}

// rsaBits is the length of an RSA key; 0 for another.
func rsaBits(key ssh.PublicKey) int {
	crypto, ok := plainKey(key).(ssh.CryptoPublicKey)
	if !ok {
		return 0
	}
	if public, ok := crypto.CryptoPublicKey().(*rsa.PublicKey); ok {
		return public.N.BitLen()
	}
	return 0
}
