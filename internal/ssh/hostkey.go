package ssh

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// hostKeys checks the key of one host against its known_hosts files.
type hostKeys struct {
	db   *knownhosts.HostKeyDB
	addr string // host:port under which the host is on record
}

// loadHostKeys reads the known_hosts files of t that exist.
func loadHostKeys(t Target) (hostKeys, error) {
	var files []string
	for _, f := range t.KnownHostsFiles {
		if _, err := os.Stat(f); err == nil {
			files = append(files, f)
		} else if !errors.Is(err, os.ErrNotExist) {
			return hostKeys{}, t.fail(PhaseHostKey, err, "make the file readable")
		}
	}
	db, err := knownhosts.NewDB(files...)
	if err != nil {
		return hostKeys{}, t.fail(PhaseHostKey, err, "mend or remove that line")
	}
	return hostKeys{db: db, addr: t.knownHostsAddr()}, nil
}

// algorithms lists those to negotiate, for keys on record first.
func (h hostKeys) algorithms(legacy bool) []string {
	onRecord := h.db.HostKeyAlgorithms(h.addr)
	for _, k := range h.db.HostKeys(h.addr) {
		if k.Cert {
			onRecord = slices.Concat(certificateHostKeys(), onRecord)
			break
		}
	}
	return hostKeyAlgorithms(onRecord, legacy)
}

// check returns nil for a key on record, else an UnknownHostKeyError or a ChangedHostKeyError.
func (h hostKeys) check(remote net.Addr, key ssh.PublicKey) error {
	if _, _, err := net.SplitHostPort(remote.String()); err != nil {
		remote = &net.TCPAddr{IP: net.IPv4zero}
	}
	err := h.db.HostKeyCallback()(h.addr, remote, key)
	if err == nil {
		return nil
	}
	name := knownhosts.Normalize(h.addr)
	var revoked *xknownhosts.RevokedError
	if errors.As(err, &revoked) {
		return &ChangedHostKeyError{
			Host: name, Type: key.Type(), Fingerprint: ssh.FingerprintSHA256(key),
			Known: []string{describeKnown(revoked.Revoked)}, Revoked: true,
		}
	}
	var mismatch *xknownhosts.KeyError
	if !errors.As(err, &mismatch) {
		return fmt.Errorf("the key of %s is not acceptable: %w", name, err)
	}
	// A line of an authority says nothing about plain keys: a host that has only such lines is unknown, not changed.
	var known []string
	for _, k := range mismatch.Want {
		if !h.isAuthority(k) {
			known = append(known, describeKnown(k))
		}
	}
	if len(known) == 0 {
		return &UnknownHostKeyError{Host: name, Type: key.Type(), Fingerprint: ssh.FingerprintSHA256(key)}
	}
	return &ChangedHostKeyError{Host: name, Type: key.Type(), Fingerprint: ssh.FingerprintSHA256(key), Known: known}
}

func (h hostKeys) isAuthority(k xknownhosts.KnownKey) bool {
	return slices.ContainsFunc(h.db.HostKeys(h.addr), func(r knownhosts.PublicKey) bool {
		return r.Cert && string(r.Marshal()) == string(k.Key.Marshal())
	})
}

func describeKnown(k xknownhosts.KnownKey) string {
	return fmt.Sprintf("%s:%d (%s %s)", k.Filename, k.Line, k.Key.Type(), ssh.FingerprintSHA256(k.Key))
}

// hostKeyHint says what to do about a key that was refused.
func hostKeyHint(err error) string {
	var unknown *UnknownHostKeyError
	var changed *ChangedHostKeyError
	switch {
	case errors.As(err, &unknown):
		return "compare the fingerprint with the host's own, then run `provision trust` to record it"
	case errors.As(err, &changed) && changed.Revoked:
		return "do not connect: the key was revoked"
	case errors.As(err, &changed):
		return "if the host was reinstalled, remove that line and run `provision trust`; otherwise someone may be in between"
	}
	return ""
}
