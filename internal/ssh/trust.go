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
	"sync"

	"github.com/gofrs/flock"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// A HostKey is a key with which a host proves itself.
type HostKey struct {
	Host string // as known_hosts names it: "web1", or "[web1]:2222" for another port than 22
	Key  ssh.PublicKey
	Hash bool // the line in known_hosts does not show the name (ssh_config(5), HashKnownHosts)
	// Foreign are the lines about the host whose keys are of types that are not known here: "FILE:LINE (TYPE)".
	Foreign []string
}

// Type is the type of the key, for example "ssh-ed25519".
func (k HostKey) Type() string { return k.Key.Type() }

// Fingerprint is what ssh-keygen -l prints: "SHA256:…".
func (k HostKey) Fingerprint() string { return ssh.FingerprintSHA256(k.Key) }

// line is the key as a line of known_hosts, without the end of line.
func (k HostKey) line() string {
	name := k.Host
	if k.Hash {
		name = knownhosts.HashHostname(lower(name))
	}
	return name + " " + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k.Key)))
}

// errScanned ends a handshake once the host has shown its key.
var errScanned = errors.New("the key was seen")

// Scan asks t for its host key, through its jumps, without logging in. The jumps must be known and let us in. Nothing
// vouches for the key yet: show its fingerprint to the user.
func Scan(ctx context.Context, t Target) (HostKey, error) { return new(Dialer).Scan(ctx, t) }

// scans are the keys that one address has shown, by the algorithms that it was asked for.
type scans struct {
	mu    sync.Mutex // held while it is asked
	seen  map[string]ssh.PublicKey
	fails map[string]error
}

// Scan is like the function Scan, and shares with other hosts what Dial shares. An address is asked once for all names
// that it has: sshd counts connections that end before a login, and bans who makes too many (sshd_config(5),
// PerSourcePenalties). It shows one key, of a type that is on record or else the best that both sides have, which
// is the one that it shows to [Dialer.Dial] later.
func (d *Dialer) Scan(ctx context.Context, t Target) (HostKey, error) {
	path := t.hops()
	path = path[:len(path)-1]
	t, err := t.withDefaults()
	if err != nil {
		return HostKey{}, err
	}
	if t.Refused != "" {
		return HostKey{}, t.fail(PhaseConnect, errors.New(t.Refused), "")
	}
	keys, err := d.loadHostKeys(t).ask(ctx, askedForOrder, nil)
	if err != nil {
		return HostKey{}, t.fail(PhaseHostKey, err, "")
	}
	algorithms := t.hostKeyAlgorithms(keys, true, ecdsaHostKeys()...)
	shared := d.scansOf(pathKey(path) + t.addr())
	shared.mu.Lock()
	defer shared.mu.Unlock()
	for _, key := range shared.seen {
		if keys.check(ctx, key) == nil {
			return HostKey{Host: keys.names[0], Key: key}, nil
		}
	}
	asked := strings.Join(algorithms, ",")
	if key := shared.seen[asked]; key != nil {
		return HostKey{Host: keys.names[0], Key: key}, nil
	}
	if err := shared.fails[asked]; err != nil {
		return HostKey{}, t.as(err)
	}
	var key ssh.PublicKey
	err = d.reach(ctx, t, path, func(l *link, _ *passage) (err error) {
		key, err = d.scanOne(ctx, t, l, algorithms)
		return err
	})
	if err != nil {
		if ctx.Err() == nil {
			shared.fails[asked] = err
		}
		return HostKey{}, err
	}
	shared.seen[asked] = key
	return HostKey{Host: keys.names[0], Key: key}, nil
}

func (d *Dialer) scansOf(key string) *scans {
	d.mu.Lock()
	defer d.mu.Unlock()
	shared := d.scanned[key]
	if shared == nil {
		if d.scanned == nil {
			d.scanned = map[string]*scans{}
		}
		shared = &scans{seen: map[string]ssh.PublicKey{}, fails: map[string]error{}}
		d.scanned[key] = shared
	}
	return shared
}

// as is an error of another name of the same address, as one of t.
func (t Target) as(err error) error {
	var e *Error
	if !errors.As(err, &e) || e.Addr != t.addr() {
		return err
	}
	own := *e
	own.Host = t.Name
	return &own
}

// scanOne sees the host's key of one type over l, which it closes.
func (d *Dialer) scanOne(ctx context.Context, t Target, l *link, algorithms []string) (ssh.PublicKey, error) {
	defer l.Close()
	watch := newWatchdog(PhaseHandshake, t.ConnectTimeout, func() { l.Close() })
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var seen ssh.PublicKey
	config := clientConfig(t, d.width(t), algorithms)
	if err := t.checkOffer(config); err != nil {
		return nil, err
	}
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
	if told := t.saidInstead(l, config.HostKeyAlgorithms, err); told != nil {
		return nil, told
	}
	err = d.widen(t, l, err)
	return nil, t.fail(PhaseHandshake, err, t.negotiationHint(l.head, config.HostKeyAlgorithms, err))
}

// Remember appends keys to a known_hosts file, leaving out those that it has. It makes the file (0600) and its directory
// (0700) where they do not exist, and holds a lock on the file meanwhile, so that several may write at once. A host that
// is on record with another key is an error: nothing is written then.
func Remember(file string, keys []HostKey) error {
	if err := Recordable(file); err != nil {
		return fmt.Errorf("record host keys: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("record host keys: %w", err)
	}
	lock := flock.New(file, flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o600))
	if err := lock.Lock(); err != nil {
		return fmt.Errorf("record host keys: lock %s: %w", file, err)
	}
	defer lock.Close()
	known := readKnownHosts([]string{file})
	var lines strings.Builder
	added := map[string]bool{}
	for _, k := range keys {
		has, err := onRecord(known, k)
		if err != nil {
			return fmt.Errorf("record host keys in %s: %w", file, err)
		}
		if id := k.Host + " " + string(k.Key.Marshal()); !has && !added[id] {
			added[id] = true
			lines.WriteString(k.line() + "\n")
		}
	}
	if lines.Len() == 0 {
		return nil
	}
	return appendLines(file, lines.String())
}

// Recordable is an error where a file cannot hold host keys for the next who asks, such as /dev/null.
func Recordable(file string) error {
	info, err := os.Stat(file)
	if err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file, and keeps nothing: name another with UserKnownHostsFile in ssh_config, or with known_hosts_file in the playbook", file)
	}
	return nil // what does not exist is made
}

// onRecord reports whether the key is there, and fails if there is another one of the same type for that host.
func onRecord(known *knownHosts, k HostKey) (bool, error) {
	keys := hostKeys{known: known}.record(lower(k.Host)).keys
	if find(keys, k.Key) != nil {
		return true, nil
	}
	for _, have := range keys {
		if have.Type() == k.Type() {
			change := &ChangedHostKeyError{Host: lower(k.Host), Files: []string{have.line.file}}
			return false, fmt.Errorf("%s is on record with another %s key, %s; if the host was reinstalled, %s first", k.Host, k.Type(), ssh.FingerprintSHA256(have), change.removal())
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

// Unrecorded returns the key of a scan if it has yet to be recorded for t; nil if t is known by it already, or by a
// certificate. A host that is on record with other keys, or whose key was revoked, is an error: it is not the host that it was.
func (d *Dialer) Unrecorded(ctx context.Context, t Target, key HostKey) (*HostKey, error) {
	t, err := t.withDefaults()
	if err != nil {
		return nil, err
	}
	err = d.loadHostKeys(t).check(ctx, key.Key)
	var unknown *UnknownHostKeyError
	var changed *ChangedHostKeyError
	switch {
	case err == nil:
		return nil, nil
	case errors.As(err, &unknown):
		return &HostKey{key.Host, plainKey(key.Key), t.HashKnownHosts, unknown.Foreign}, nil
	case errors.As(err, &changed) && !changed.Revoked:
		return nil, fmt.Errorf("its key changed: it shows %s %s, and on record is %s; if the host was reinstalled, %s and trust it again",
			changed.Type, changed.Fingerprint, strings.Join(changed.Known, ", "), changed.removal())
	}
	return nil, err
}

// shellWord quotes a word for a shell where it needs that.
func shellWord(word string) string {
	plain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("/.,:@%+=_-", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''''`) + "'"
}
