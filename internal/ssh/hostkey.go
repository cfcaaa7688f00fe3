package ssh

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// hostKeys checks the key of one host against its known_hosts files.
type hostKeys struct {
	db   *knownhosts.HostKeyDB
	addr string // host:port under which the host is on record
}

// knownHostsFiles are files that were read, as they were then.
type knownHostsFiles struct {
	mu     sync.Mutex // held while they are read
	stamps []fileStamp
	db     *knownhosts.HostKeyDB
}

// A fileStamp tells whether a file is still the one that was read.
type fileStamp struct {
	file     string
	size     int64
	modified time.Time
}

// loadHostKeys reads the known_hosts files of t that exist, or takes them as read before where they have not changed: with
// a thousand hosts they have a thousand lines, and would be read a thousand times.
func (d *Dialer) loadHostKeys(t Target) (hostKeys, error) {
	var stamps []fileStamp
	var files []string
	for _, f := range t.KnownHostsFiles {
		if info, err := os.Stat(f); err == nil {
			stamps = append(stamps, fileStamp{f, info.Size(), info.ModTime()})
			files = append(files, f)
		} else if !errors.Is(err, os.ErrNotExist) {
			return hostKeys{}, t.fail(PhaseHostKey, err, "make the file readable")
		}
	}
	shared := d.knownHostsOf(strings.Join(t.KnownHostsFiles, "\x00"))
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.db == nil || !slices.Equal(shared.stamps, stamps) {
		db, err := knownhosts.NewDB(files...)
		if err != nil {
			return hostKeys{}, t.fail(PhaseHostKey, err, "mend or remove that line")
		}
		shared.db, shared.stamps = db, stamps
	}
	return hostKeys{db: shared.db, addr: t.knownHostsAddr()}, nil
}

func (d *Dialer) knownHostsOf(key string) *knownHostsFiles {
	d.mu.Lock()
	defer d.mu.Unlock()
	shared := d.knownHosts[key]
	if shared == nil {
		if d.knownHosts == nil {
			d.knownHosts = map[string]*knownHostsFiles{}
		}
		shared = &knownHostsFiles{}
		d.knownHosts[key] = shared
	}
	return shared
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
