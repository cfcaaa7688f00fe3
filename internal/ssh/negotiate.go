package ssh

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/crypto/ssh"
)

// A missing is a kind of algorithm of which the two sides have none in common.
type missing struct {
	keyword, setting string   // of ssh_config
	legacy           []string // what is offered with legacy = true
	all              []string // what a setting may name
	theirs           []string
}

// missing lists the kinds of which t and a host that offers o have nothing in common. hostKeys are the algorithms that t offers for
// the host's key.
func (t Target) missing(o offer, hostKeys []string) []missing {
	w := width{more: true, strict: o.strict(), checked: true}
	old := t
	old.Legacy = true
	ciphers, macs := t.ciphersAndMACs(w)
	oldCiphers, oldMACs := old.ciphersAndMACs(w)
	oldHostKeys := hostKeys
	if t.HostKeyAlgorithms == "" {
		oldHostKeys = slices.Concat(hostKeys, ecdsaHostKeys(), ssh.InsecureAlgorithms().HostKeys)
	}
	var list []missing
	add := func(ours []string, m missing) {
		if firstOf(m.theirs, ours) == "" {
			list = append(list, m)
		}
	}
	add(t.keyExchanges(w), missing{"KexAlgorithms", t.KexAlgorithms, old.keyExchanges(w), allKeyExchanges(), o.keyExchanges})
	add(hostKeys, missing{"HostKeyAlgorithms", t.HostKeyAlgorithms, oldHostKeys, allHostKeys(), o.hostKeys})
	all := allCiphers()
	if !o.strict() { // ssh takes ChaCha20-Poly1305 all the same
		all = slices.DeleteFunc(all, func(a string) bool { return a == ssh.CipherChaCha20Poly1305 })
	}
	add(ciphers, missing{"Ciphers", t.Ciphers, oldCiphers, all, o.ciphers})
	if !authenticates(ciphers, o.ciphers) {
		add(macs, missing{"MACs", t.MACs, oldMACs, allMACs(), o.macs})
	}
	return list
}

// firstOf is the first of a list that is among others; "": none.
func firstOf(list, others []string) string {
	if i := slices.IndexFunc(list, func(s string) bool { return slices.Contains(others, s) }); i >= 0 {
		return list[i]
	}
	return ""
}

// known is an algorithm of the host that ssh can use; "": there is none.
func (m missing) known() string {
	alone := append(openSSHAlone(strings.ToLower(m.keyword)), ssh.CipherChaCha20Poly1305)
	return firstOf(m.theirs, slices.Concat(m.all, alone))
}

// forSSH is the line of ssh_config with which ssh takes what the host offers; "": it does by itself.
func (m missing) forSSH() string {
	var standard []string // beside what is offered here
	switch m.keyword {
	case "KexAlgorithms":
		standard = append(keyExchanges(false, width{more: true}), "sntrup761x25519-sha512", "sntrup761x25519-sha512@openssh.com", "diffie-hellman-group18-sha512")
	case "HostKeyAlgorithms":
		standard = slices.Concat([]string{ssh.KeyAlgoED25519}, ecdsaHostKeys(), rsaHostKeys())
	case "Ciphers":
		standard = ciphers(false, width{more: true, strict: true})
	case "MACs":
		standard = append(macs(false, width{more: true}), ssh.HMACSHA1, "hmac-sha1-etm@openssh.com",
			"umac-64-etm@openssh.com", "umac-128-etm@openssh.com", "umac-64@openssh.com", "umac-128@openssh.com")
	}
	switch {
	case m.setting != "":
		return m.known() + " in its " + m.keyword
	case firstOf(m.theirs, standard) != "":
		return ""
	}
	return m.keyword + " +" + m.known()
}

// negotiationHint says what to set where a host that has said what is in h and t have no algorithm in common. hostKeys are those
// that were offered for its key.
func (t Target) negotiationHint(h *head, hostKeys []string, err error) string {
	var mismatch *ssh.AlgorithmNegotiationError
	o, ok := h.offer()
	if !ok || !errors.As(err, &mismatch) {
		return handshakeHint(err)
	}
	if strings.Contains(mismatch.What, "cipher") && len(t.macs(width{})) == 0 {
		return fmt.Sprintf("ssh_config says MACs %s, of which provision knows none, so that only ciphers which need none are offered: name others there", t.MACs)
	}
	var lines []string
	old, byOpenSSH := true, false // legacy = true does; ssh does, and this package does not
	list := t.missing(o, hostKeys)
	for _, m := range list {
		if m.known() == "" {
			return fmt.Sprintf("neither provision nor OpenSSH up to 10.6 knows what the host offers as %s: renew its SSH server", m.keyword)
		}
		if line := m.forSSH(); line != "" {
			lines = append(lines, line)
		}
		old = old && firstOf(m.theirs, m.legacy) != ""
		byOpenSSH = byOpenSSH || firstOf(m.theirs, m.all) == ""
	}
	named := slices.IndexFunc(list, func(m missing) bool { return m.setting != "" })
	switch {
	case len(list) == 0:
		return handshakeHint(err)
	case byOpenSSH:
		hint := "let ssh connect (transport = \"openssh\""
		if t.Legacy {
			hint += " instead of legacy"
		}
		if hint += ")"; len(lines) > 0 {
			hint += ", with " + strings.Join(lines, " and ") + " for it in ssh_config"
		}
		return hint
	case named >= 0 && (!old || named == 0):
		m := list[named]
		return fmt.Sprintf("ssh_config says %s %s: name there what the host offers, such as %s", m.keyword, m.setting, m.known())
	case list[0].keyword == "HostKeyAlgorithms" && firstOf(o.hostKeys, ecdsaHostKeys()) != "":
		return "`provision trust` records the host's ECDSA key"
	}
	if t.Outside { // the playbook says nothing of it
		lines = nil
		for _, m := range list {
			lines = append(lines, m.keyword+" +"+firstOf(m.theirs, m.legacy))
		}
		return fmt.Sprintf("for an old host that knows no better, set %s for %s in ssh_config", strings.Join(lines, " and "), t.Name)
	}
	return "for an old host that knows no better, set legacy = true"
}

// handshakeHint says what to do about a key exchange that failed.
func handshakeHint(err error) string {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return "the host hung up before the key exchange: too many connections at once (MaxStartups), or this address is banned"
	case strings.Contains(err.Error(), "version string"):
		return "is that an SSH server?"
	}
	return ""
}
