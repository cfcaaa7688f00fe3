package ssh

import (
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// The lists are explicit so that a new release of the library changes nothing unseen. What is offered first leaves out:
//   - ChaCha20-Poly1305 and the CBC modes: Terrapin (CVE-2023-48795) bites them unless both sides use strict key
//     exchange, which the library does not report.
//   - MACs other than encrypt-then-MAC, and everything on SHA-1.
//   - Key exchange over the NIST curves, and over groups that the host chooses. Group 16 with SHA-512 stands last, for hosts
//     in FIPS mode, where OpenSSH has no curve25519.
//   - ECDSA host keys, unless one is on record: that one still connects.
//
// OpenSSH 7.4, the server of CentOS 7, has all that is needed: curve25519-sha256, AES-GCM, ssh-ed25519. A host that knows none of
// this is asked once more with a wider list. Nothing on SHA-1 and no CBC is in there either, and ChaCha20-Poly1305 only where
// the host offers strict key exchange. That offer is under the host's signature, and the library uses it wherever it is made.

// A width says how much is offered.
type width struct {
	more    bool // the wider lists
	strict  bool // the host offers strict key exchange
	checked bool // the host's offer has been seen
}

// oldCurve25519 is the older name of curve25519-sha256. The library adds it to that by itself.
const oldCurve25519 = "curve25519-sha256@libssh.org"

func keyExchanges(legacy bool, w width) []string {
	list := []string{ssh.KeyExchangeMLKEM768X25519, ssh.KeyExchangeCurve25519, ssh.KeyExchangeDH16SHA512}
	if legacy || w.more {
		list = append(list, ssh.KeyExchangeECDHP256, ssh.KeyExchangeECDHP384, ssh.KeyExchangeECDHP521,
			ssh.KeyExchangeDHGEXSHA256, ssh.KeyExchangeDH14SHA256)
	}
	if legacy {
		list = append(list, ssh.InsecureAlgorithms().KeyExchanges...)
	}
	return list
}

func ciphers(legacy bool, w width) []string {
	list := []string{
		ssh.CipherAES128GCM, ssh.CipherAES256GCM,
		ssh.CipherAES128CTR, ssh.CipherAES192CTR, ssh.CipherAES256CTR,
	}
	if w.more && w.strict {
		list = append(list, ssh.CipherChaCha20Poly1305)
	}
	if legacy {
		list = append(list, ssh.InsecureAlgorithms().Ciphers...)
	}
	return list
}

func macs(legacy bool, w width) []string {
	list := []string{ssh.HMACSHA256ETM, ssh.HMACSHA512ETM}
	if legacy || w.more {
		list = append(list, ssh.HMACSHA256, ssh.HMACSHA512)
	}
	if legacy {
		list = append(list, ssh.HMACSHA1)
		list = append(list, ssh.InsecureAlgorithms().MACs...)
	}
	return list
}

// hostKeyAlgorithms puts those first for which something is on record, so that the host presents a key that we can check:
// certificates if an authority is, then the types of keys that are, in the order of ssh's own preference. A host without
// record is asked for Ed25519 first. more are offered last, unless they are on record.
func hostKeyAlgorithms(onRecord []string, authority bool, more []string) []string {
	all := slices.Concat([]string{ssh.KeyAlgoED25519}, ecdsaHostKeys(), rsaHostKeys(), more)
	offered := slices.Concat([]string{ssh.KeyAlgoED25519}, rsaHostKeys(), more)
	var list []string
	if authority {
		list = certificateHostKeys()
	}
	for _, a := range all {
		if slices.Contains(list, a) {
			continue
		}
		if slices.Contains(onRecord, a) || slices.Contains(rsaHostKeys(), a) && slices.Contains(onRecord, ssh.KeyAlgoRSA) {
			list = append(list, a)
		}
	}
	for _, a := range offered {
		if !slices.Contains(list, a) {
			list = append(list, a)
		}
	}
	return list
}

func rsaHostKeys() []string { return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256} }

func ecdsaHostKeys() []string {
	return []string{ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521}
}

// certificateHostKeys are asked for only where known_hosts names an authority. An authority of one type certifies
// keys of any, so all are listed then.
func certificateHostKeys() []string {
	return []string{
		ssh.CertAlgoED25519v01, ssh.CertAlgoECDSA256v01, ssh.CertAlgoECDSA384v01, ssh.CertAlgoECDSA521v01,
		ssh.CertAlgoRSASHA512v01, ssh.CertAlgoRSASHA256v01,
	}
}

// signatureAlgorithms are those with which a key may sign a login, by PubkeyAcceptedAlgorithms; none: it is not offered. A
// certificate goes by names of its own there.
func (t Target) signatureAlgorithms(key ssh.PublicKey) []string {
	standard := []string{plainKey(key).Type()}
	all := standard
	switch standard[0] {
	case ssh.KeyAlgoRSA:
		standard, all = rsaHostKeys(), append([]string{ssh.KeyAlgoRSA}, tableRSA()...)
		if t.Legacy {
			standard = append(standard, ssh.KeyAlgoRSA)
		}
	case "ssh-dss":
		if !t.Legacy {
			standard = nil
		}
	}
	if t.PubkeyAcceptedAlgorithms == "" {
		return standard
	}
	_, certified := key.(*ssh.Certificate)
	named := func(algorithms []string) []string {
		if !certified {
			return algorithms
		}
		list := make([]string, len(algorithms))
		for i, a := range algorithms {
			list[i] = certificateName(a)
		}
		return list
	}
	var list []string
	for _, name := range assemble(t.PubkeyAcceptedAlgorithms, named(standard), named(all)) {
		list = append(list, all[slices.Index(named(all), name)])
	}
	return list
}

// certificateName is the name of an algorithm where it signs for a certificate.
func certificateName(algorithm string) string {
	name, vendor, _ := strings.Cut(algorithm, "@")
	if vendor == "" {
		vendor = "openssh.com"
	}
	return name + "-cert-v01@" + vendor
}
