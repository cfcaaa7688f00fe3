package ssh

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"provision/internal/ssh/sshconfig"
)

// assemble is what ssh makes of a setting of algorithms (kex.c, kex_assemble_names): a list instead of the standard one, or one that
// begins with - (without these), + (these too) or ^ (these first). A setting may name any of all, those that are not safe too.
func assemble(setting string, standard, all []string) []string {
	if setting == "" {
		return standard
	}
	names := strings.Split(strings.TrimLeft(setting[:1], "+-^")+setting[1:], ",")
	switch setting[0] {
	case '-':
		return slices.DeleteFunc(slices.Clone(standard), func(a string) bool {
			return slices.ContainsFunc(names, func(p string) bool { return sshconfig.MatchPattern(a, p) })
		})
	case '+':
		names = slices.Concat(standard, names)
	case '^':
		names = slices.Concat(names, standard)
	}
	var list []string
	for _, p := range names {
		for _, a := range slices.Concat(all, standard) {
			if sshconfig.MatchPattern(a, p) && !slices.Contains(list, a) {
				list = append(list, a)
			}
		}
	}
	return list
}

// unknownNames are the algorithms that a setting wants and that are not among all, where the setting comes to nothing without them.
func unknownNames(setting string, all []string) []string {
	if setting == "" || setting[0] == '-' {
		return nil
	}
	more := setting[0] == '+' || setting[0] == '^'
	var unknown []string
	for name := range strings.SplitSeq(strings.TrimLeft(setting, "+^"), ",") {
		switch {
		case len(assemble(name, nil, all)) == 0:
			unknown = append(unknown, name)
		case !more:
			return nil // the rest of the list does
		}
	}
	return unknown
}

// nobodysNames are the algorithms that a setting wants and that ssh does not know either: it refuses the file.
func nobodysNames(keyword, setting string, all []string) []string {
	if setting == "" || setting[0] == '-' {
		return nil
	}
	var names []string
	for name := range strings.SplitSeq(strings.TrimLeft(setting[:1], "+^")+setting[1:], ",") {
		if name != "" && len(assemble("+"+name, nil, slices.Concat(all, openSSHAlone(keyword)))) == 0 {
			names = append(names, name)
		}
	}
	return names
}

// openSSHAlone are the algorithms that OpenSSH 9.2 or 10.6 knows (ssh -Q) and the library does not.
func openSSHAlone(keyword string) []string {
	switch keyword {
	case "ciphers":
		return []string{"aes192-cbc", "aes256-cbc"}
	case "macs":
		return []string{
			"hmac-md5", "hmac-md5-96", "hmac-md5-96-etm@openssh.com", "hmac-md5-etm@openssh.com", "hmac-sha1-96-etm@openssh.com", "hmac-sha1-etm@openssh.com",
			"umac-128-etm@openssh.com", "umac-128@openssh.com", "umac-64-etm@openssh.com", "umac-64@openssh.com",
		}
	case "kexalgorithms":
		return []string{"diffie-hellman-group18-sha512", "mlkem768nistp256-sha256", "sntrup761x25519-sha512", "sntrup761x25519-sha512@openssh.com"}
	}
	return []string{
		"sk-ecdsa-sha2-nistp256-cert-v01@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com", "sk-ssh-ed25519-cert-v01@openssh.com", "sk-ssh-ed25519@openssh.com",
		"ssh-dss", "ssh-mldsa44-ed25519", "ssh-mldsa44-ed25519-cert",
		"webauthn-sk-ecdsa-sha2-nistp256-cert-v01@openssh.com", "webauthn-sk-ecdsa-sha2-nistp256@openssh.com",
	}
}

func allKeyExchanges() []string {
	return slices.Concat(keyExchanges(true, width{more: true}), []string{oldCurve25519})
}

func allCiphers() []string { return ciphers(true, width{more: true, strict: true}) }

func allMACs() []string { return macs(true, width{more: true}) }

// allHostKeys are in the order in which a pattern lists them (sshkey.c, keyimpls): not by preference.
func allHostKeys() []string {
	var list []string
	for _, plain := range slices.Concat([]string{ssh.KeyAlgoED25519}, ecdsaHostKeys(), []string{"ssh-dss", ssh.KeyAlgoRSA}, tableRSA()) {
		list = append(list, plain, certificateName(plain))
	}
	return list
}

// tableRSA is rsaHostKeys in that order.
func tableRSA() []string { return []string{ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512} }

// allKeys are the names that PubkeyAcceptedAlgorithms may have.
func allKeys() []string {
	plain := slices.Concat(ssh.SupportedAlgorithms().PublicKeyAuths, ssh.InsecureAlgorithms().PublicKeyAuths)
	var certificates []string
	for _, a := range plain {
		certificates = append(certificates, certificateName(a))
	}
	return slices.Concat(certificates, plain)
}

// keyExchanges is what t is asked for. What ssh_config names is all offered at once.
func (t Target) keyExchanges(w width) []string {
	if t.KexAlgorithms == "" {
		return keyExchanges(t.Legacy, w)
	}
	return assemble(t.KexAlgorithms, keyExchanges(t.Legacy, width{more: true}), allKeyExchanges())
}

func (t Target) ciphers(w width) []string {
	list := ciphers(t.Legacy, w)
	if t.Ciphers != "" {
		list = assemble(t.Ciphers, ciphers(t.Legacy, width{more: true, strict: true}), allCiphers())
	}
	if w.checked && !w.strict {
		list = slices.DeleteFunc(list, func(a string) bool { return a == ssh.CipherChaCha20Poly1305 })
	}
	return list
}

func (t Target) macs(w width) []string {
	if t.MACs == "" {
		return macs(t.Legacy, w)
	}
	return assemble(t.MACs, macs(t.Legacy, width{more: true}), allMACs())
}

// ciphersAndMACs are what is negotiated of them. Where ssh_config leaves no MAC that the library has, the ciphers that need none
// remain; what stands for the MACs then is not used, and keeps the library from lists of its own.
func (t Target) ciphersAndMACs(w width) (ciphers, macs []string) {
	ciphers, list := t.ciphers(w), t.macs(w)
	if len(list) > 0 {
		return ciphers, list
	}
	return slices.DeleteFunc(slices.Clone(ciphers), func(a string) bool { return !needsNoMAC(a) }), standardMACs()
}

func standardMACs() []string { return macs(false, width{}) }

// needsNoMAC reports whether a cipher authenticates by itself.
func needsNoMAC(cipher string) bool {
	return slices.Contains([]string{ssh.CipherAES128GCM, ssh.CipherAES256GCM, ssh.CipherChaCha20Poly1305}, cipher)
}

// hostKeyAlgorithms lists what the host may prove itself with. As with ssh, what is on record decides the order unless the setting
// says which come first; more are offered last.
func (t Target) hostKeyAlgorithms(keys hostKeys, whole bool, more ...string) []string {
	if t.Legacy {
		more = slices.Concat(more, ecdsaHostKeys(), ssh.InsecureAlgorithms().HostKeys)
	}
	if named, ok := strings.CutPrefix(t.HostKeyAlgorithms, "+"); ok {
		return keys.algorithms(slices.Concat(more, assemble(named, nil, allHostKeys())), whole)
	}
	standard := keys.algorithms(more, whole)
	if strings.HasPrefix(t.HostKeyAlgorithms, "^") {
		standard = preferred(standard)
	}
	list := assemble(t.HostKeyAlgorithms, standard, allHostKeys())
	plain := slices.DeleteFunc(slices.Clone(list), func(a string) bool {
		return slices.Contains(certificateHostKeys(), a) && !slices.Contains(standard, a)
	})
	if len(plain) > 0 {
		return plain // without an authority on record a certificate proves nothing
	}
	return list
}

// preferred puts algorithms for the host's key in the order of ssh's own preference: behind those of a ^ it does not heed what is on
// record (sshconnect2.c, ssh_kex2).
func preferred(list []string) []string {
	order := slices.Concat(certificateHostKeys(), []string{ssh.KeyAlgoED25519}, ecdsaHostKeys(), rsaHostKeys())
	place := func(a string) int {
		if i := slices.Index(order, a); i >= 0 {
			return i
		}
		return len(order)
	}
	return slices.SortedStableFunc(slices.Values(list), func(a, b string) int { return place(a) - place(b) })
}

// checkOffer is an error where a setting leaves nothing to offer: the library would take its own lists then.
func (t Target) checkOffer(c *ssh.ClientConfig) error {
	noMAC := len(c.Ciphers) == 0 && len(t.ciphers(width{})) > 0 // and no cipher that needs none
	for _, o := range []struct {
		keyword, setting string
		empty            bool
	}{
		{"HostKeyAlgorithms", t.HostKeyAlgorithms, len(c.HostKeyAlgorithms) == 0},
		{"KexAlgorithms", t.KexAlgorithms, len(c.KeyExchanges) == 0},
		{"MACs", t.MACs, noMAC},
		{"Ciphers", t.Ciphers, len(c.Ciphers) == 0},
	} {
		if o.empty {
			hint := "name others there; `ssh -Q " + o.keyword + "` lists what ssh knows"
			if len(assemble(o.setting, nil, openSSHAlone(strings.ToLower(o.keyword)))) > 0 {
				hint = "name others there, or let ssh connect (transport = \"openssh\")"
			}
			return t.fail(PhaseHandshake, fmt.Errorf("%s %s leaves no algorithm that provision can use with the host", o.keyword, o.setting), hint)
		}
	}
	return nil
}

// withoutTerrapin returns errWider where ChaCha20-Poly1305 was negotiated, as ssh_config asks, with a host that does not take part in
// strict key exchange (CVE-2023-48795). It is asked once more without that.
func (d *Dialer) withoutTerrapin(t Target, l *link, offered []string) error {
	if !slices.Contains(offered, ssh.CipherChaCha20Poly1305) {
		return nil
	}
	o, ok := l.head.offer()
	chosen := slices.IndexFunc(offered, func(a string) bool { return slices.Contains(o.ciphers, a) })
	if ok && (o.strict() || chosen >= 0 && offered[chosen] != ssh.CipherChaCha20Poly1305) {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.widths == nil {
		d.widths = map[string]width{}
	}
	d.widths[t.addr()] = width{more: d.widths[t.addr()].more, checked: true}
	return errWider
}
