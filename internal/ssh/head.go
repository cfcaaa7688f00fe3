package ssh

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
)

// maxHead is how much of what a host sends first is kept: its greeting and its lists of algorithms.
const maxHead = 16 << 10

// A head is what a host sent first. The library skips the lines before the version (RFC 4253, 4.2), in which sshd says why it
// hangs up, and tells of the lists of algorithms only the one that had nothing in common.
type head struct {
	mu   sync.Mutex
	text []byte
	over bool
}

func (h *head) keep(p []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return
	}
	h.text = append(h.text, p[:min(len(p), maxHead-len(h.text))]...)
	h.over = len(h.text) >= maxHead
}

// forget gives the memory back once the host has shown who it is.
func (h *head) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.text, h.over = nil, true
}

// split returns the lines before the version line, that line, and what follows it.
func (h *head) split() (said, version string, rest []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var lines []string
	rest = h.text
	for len(rest) > 0 {
		line, after, ended := bytes.Cut(rest, []byte("\n"))
		if bytes.HasPrefix(line, []byte("SSH-")) {
			return strings.Join(lines, " "), strings.TrimSpace(string(line)), after
		}
		const longest = 200
		if text := strings.TrimSpace(strings.ToValidUTF8(string(line[:min(len(line), longest)]), "?")); text != "" && len(lines) < 3 {
			lines = append(lines, text)
		}
		if rest = after; !ended {
			break
		}
	}
	return strings.Join(lines, " "), "", nil
}

// An offer is what a host negotiates with.
type offer struct{ keyExchanges, hostKeys, ciphers, macs []string }

// offer reads the host's SSH_MSG_KEXINIT (RFC 4253, 7.1), which travels in the clear.
func (h *head) offer() (offer, bool) {
	_, _, packet := h.split()
	const fixed = 4 + 1 + 1 + 16 // length, padding, type, cookie
	if len(packet) < fixed || packet[5] != 20 {
		return offer{}, false
	}
	var lists [6][]string
	rest := packet[fixed:]
	for i := range lists {
		if len(rest) < 4 {
			return offer{}, false
		}
		n := binary.BigEndian.Uint32(rest)
		if rest = rest[4:]; uint64(n) > uint64(len(rest)) {
			return offer{}, false
		}
		lists[i], rest = strings.Split(string(rest[:n]), ","), rest[n:]
	}
	return offer{lists[0], lists[1], lists[2], lists[4]}, true
}

// strict reports whether the host takes part in strict key exchange (OpenSSH's PROTOCOL, 1.10).
func (o offer) strict() bool { return slices.Contains(o.keyExchanges, "kex-strict-s-v00@openssh.com") }

// errWider says that the host knows none of what is offered first, and some of what is offered only then.
var errWider = errors.New("the host wants other algorithms")

// widen judges a negotiation that failed: whether the host may be asked again with more algorithms.
func (d *Dialer) widen(t Target, l *link, err error) error {
	var mismatch *ssh.AlgorithmNegotiationError
	if !errors.As(err, &mismatch) {
		return err
	}
	o, ok := l.head.offer()
	if !ok {
		return err
	}
	common := func(a, b []string) bool {
		return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
	}
	w := width{more: true, strict: o.strict(), checked: true}
	ciphers, macs := t.ciphersAndMACs(w)
	fits := common(t.keyExchanges(w), o.keyExchanges) && common(ciphers, o.ciphers) && (authenticates(ciphers, o.ciphers) || common(macs, o.macs))
	if !fits || d.width(t) == w || strings.Contains(mismatch.What, "host key") {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.widths == nil {
		d.widths = map[string]width{}
	}
	d.widths[t.addr()] = w
	return fmt.Errorf("%w: %w", errWider, err)
}

// authenticates reports whether the cipher that two sides agree on needs no MAC beside it.
func authenticates(ours, theirs []string) bool {
	i := slices.IndexFunc(ours, func(a string) bool { return slices.Contains(theirs, a) })
	return i >= 0 && needsNoMAC(ours[i])
}

func (d *Dialer) width(t Target) width {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.widths[t.addr()]
}
