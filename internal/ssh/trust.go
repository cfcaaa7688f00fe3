package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
)

// A HostKey is a key with which a host proves itself.
type HostKey struct {
	Host string // as known_hosts names it: "web1", or "[web1]:2222" for another port than 22
	Key  ssh.PublicKey
}

// Type is the type of the key, for example "ssh-ed25519".
func (k HostKey) Type() string { return k.Key.Type() }

// Fingerprint is what ssh-keygen -l prints: "SHA256:…".
func (k HostKey) Fingerprint() string { return ssh.FingerprintSHA256(k.Key) }

// line is the key as a line of known_hosts, without the end of line.
func (k HostKey) line() string {
	return k.Host + " " + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k.Key)))
}

// errScanned ends a handshake once the host has shown its key.
var errScanned = errors.New("the key was seen")

// Scan asks t for its host keys, through its jumps, without logging in: Ed25519 first, then RSA, then ECDSA. The jumps
// must be known and let us in. Nothing vouches for the keys yet: show their fingerprints to the user.
func Scan(ctx context.Context, t Target) ([]HostKey, error) { return new(Dialer).Scan(ctx, t) }

// Scan is like the function Scan, and shares with other hosts what Dial shares.
func (d *Dialer) Scan(ctx context.Context, t Target) ([]HostKey, error) {
	path := t.hops()
	path = path[:len(path)-1]
	t, err := t.withDefaults()
	if err != nil {
		return nil, err
	}
	// Held for the three handshakes together, so that the jump host is entered once.
	via, err := d.through(ctx, path)
	if err != nil {
		return nil, t.stopped(ctx, err)
	}
	defer via.release()
	var found []HostKey
	types := [][]string{{ssh.KeyAlgoED25519}, {ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}, ecdsaHostKeys()}
	if t.Legacy {
		types = append(types, ssh.InsecureAlgorithms().HostKeys)
	}
	for _, algorithms := range types {
		var key ssh.PublicKey
		err := d.reach(ctx, t, path, func(l *link, _ *passage) (err error) {
			key, err = scanOne(ctx, t, l, algorithms)
			return err
		})
		var none *ssh.AlgorithmNegotiationError
		if errors.As(err, &none) && strings.Contains(err.Error(), "host key") {
			continue
		}
		if err != nil {
			return nil, err
		}
		found = append(found, HostKey{Host: knownhosts.Normalize(t.knownHostsAddr()), Key: key})
	}
	if len(found) == 0 {
		return nil, t.fail(PhaseHandshake, errors.New("the host has no host key of a type that we accept"), "set legacy = true if it is an old host")
	}
	return found, nil
}

// scanOne sees the host's key of one type over l, which it closes.
func scanOne(ctx context.Context, t Target, l *link, algorithms []string) (ssh.PublicKey, error) {
	defer l.Close()
	watch := newWatchdog(PhaseHandshake, t.ConnectTimeout, func() { l.Close() })
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var seen ssh.PublicKey
	config := clientConfig(t, algorithms)
	config.HostKeyCallback = func(_ string, _ net.Addr, key ssh.PublicKey) error {
		seen = key
		return errScanned
	}
	_, _, _, err := ssh.NewClientConn(l, t.addr(), config)
	_, ranOut := watch.end()
	switch {
	case errors.Is(err, errScanned):
		return seen, nil
	case ctx.Err() != nil:
		return nil, t.fail(PhaseHandshake, ctx.Err(), "")
	case ranOut:
		return nil, t.fail(PhaseHandshake, fmt.Errorf("%w (%s)", ErrTimeout, t.ConnectTimeout), "is that an SSH server?")
	}
	if inner := errors.Unwrap(err); inner != nil {
		err = inner // the library's "ssh: handshake failed" is said by the phase
	}
	return nil, t.fail(PhaseHandshake, err, handshakeHint(err))
}

// Remember appends keys to a known_hosts file, leaving out those that it has. It makes the file (0600) and its directory
// (0700) where they do not exist, and holds a lock on the file meanwhile, so that several may write at once. A host that
// is on record with another key is an error: nothing is written then.
func Remember(file string, keys []HostKey) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("record host keys: %w", err)
	}
	lock := flock.New(file, flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o600))
	if err := lock.Lock(); err != nil {
		return fmt.Errorf("record host keys: lock %s: %w", file, err)
	}
	defer lock.Close()
	db, err := knownhosts.NewDB(file)
	if err != nil {
		return fmt.Errorf("record host keys: %w; mend or remove that line", err)
	}
	var lines strings.Builder
	for _, k := range keys {
		known, err := onRecord(db, k)
		if err != nil {
			return fmt.Errorf("record host keys in %s: %w", file, err)
		}
		if !known && !strings.Contains(lines.String(), k.line()+"\n") {
			lines.WriteString(k.line() + "\n")
		}
	}
	if lines.Len() == 0 {
		return nil
	}
	return appendLines(file, lines.String())
}

// onRecord reports whether db has the key, and fails if it has another one of the same type for that host.
func onRecord(db *knownhosts.HostKeyDB, k HostKey) (bool, error) {
	addr := k.Host
	if _, _, err := net.SplitHostPort(addr); err != nil {
		addr = net.JoinHostPort(strings.Trim(addr, "[]"), "22")
	}
	for _, have := range db.HostKeys(addr) {
		switch {
		case have.Cert || have.Type() != k.Type():
		case sameKey(have, k.Key):
			return true, nil
		default:
			return false, fmt.Errorf("%s is on record with another %s key, %s; remove that line first if the host was reinstalled", k.Host, k.Type(), ssh.FingerprintSHA256(have))
		}
	}
	return false, nil
}

// appendLines adds text in one write, on a line of its own.
func appendLines(file, text string) (err error) {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("record host keys: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if end, err := f.Seek(-1, io.SeekEnd); err == nil {
		var last [1]byte
		if _, err := f.ReadAt(last[:], end); err != nil {
			return fmt.Errorf("record host keys: %w", err)
		}
		if last[0] != '\n' {
			text = "\n" + text
		}
	}
	if _, err := f.WriteString(text); err != nil {
		return fmt.Errorf("record host keys: %w", err)
	}
	return f.Sync()
}

// Unrecorded returns the keys of a scan that have yet to be recorded for t: all of them if nothing is known of the host, and none if
// one of them is. A host that is on record with other keys only is an error: it is not the host that it was.
func (d *Dialer) Unrecorded(t Target, keys []HostKey) ([]HostKey, error) {
	t, err := t.withDefaults()
	if err != nil {
		return nil, err
	}
	known, err := d.loadHostKeys(t)
	if err != nil {
		return nil, err
	}
	var other []string
	for _, k := range keys {
		addr := k.Host
		if _, _, err := net.SplitHostPort(addr); err != nil {
			addr = net.JoinHostPort(strings.Trim(addr, "[]"), "22")
		}
		for _, have := range known.db.HostKeys(addr) {
			if sameKey(have, k.Key) {
				return nil, nil
			}
			other = append(other, have.Type()+" "+ssh.FingerprintSHA256(have))
		}
	}
	if len(other) > 0 {
		return nil, fmt.Errorf("its key changed: on record is %s; if the host was reinstalled, remove its lines from known_hosts (ssh-keygen -R) and trust it again", strings.Join(other, ", "))
	}
	return keys, nil
}
