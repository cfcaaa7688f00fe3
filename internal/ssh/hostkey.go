package ssh

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// hostKeys checks the key of one host against its known_hosts files.
type hostKeys struct {
	known *knownHosts
	names []string // under which the host is looked up, one after the other
	host  string   // as a certificate names it: without port

	rsaSize     int      // what RSA keys must have, in bits
	authorities []string // the algorithms with which authorities may sign

	command KnownHostsCommand
	timeout time.Duration // of command
	printed []*knownLine  // what command has printed about the host
}

// knownHostsFiles are files that were read, as they were then.
type knownHostsFiles struct {
	mu     sync.Mutex // held while they are read
	stamps []fileStamp
	known  *knownHosts
}

// A fileStamp tells whether a file is still the one that was read.
type fileStamp struct {
	file     string
	size     int64
	modified time.Time
}

// loadHostKeys reads the known_hosts files of t that exist, or takes them as read before where they have not changed: with
// a thousand hosts they have a thousand lines, and would be read a thousand times.
func (d *Dialer) loadHostKeys(t Target) hostKeys {
	names, host := t.knownNames()
	return hostKeys{
		known: d.loadKnownHosts(t.KnownHostsFiles), names: names, host: host, command: t.KnownHostsCommand, timeout: t.ConnectTimeout,
		rsaSize: t.RequiredRSASize, authorities: assemble(t.CASignatureAlgorithms, authoritySignatures(), allAuthoritySignatures()),
	}
}

func (d *Dialer) loadKnownHosts(files []string) *knownHosts {
	var stamps []fileStamp
	for _, f := range files {
		if info, err := os.Stat(f); err == nil {
			stamps = append(stamps, fileStamp{f, info.Size(), info.ModTime()})
		}
	}
	shared := d.knownHostsOf(strings.Join(files, "\x00"))
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.known == nil || !slices.Equal(shared.stamps, stamps) {
		shared.known, shared.stamps = readKnownHosts(files), stamps
	}
	return shared.known
}

// readKnownHosts reads files in their order. One that is missing is empty, and one that cannot be read is taken as empty with a
// warning: as with ssh, the hosts that only it knows are unknown then.
func readKnownHosts(files []string) *knownHosts {
	k := &knownHosts{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		switch {
		case err == nil:
			k.add(f, string(text))
		case !errors.Is(err, os.ErrNotExist):
			k.passed = append(k.passed, fmt.Sprintf("the known hosts in it are passed over: %v", err))
		}
	}
	return k
}

// KnownHostsWarnings says which lines of the targets' known_hosts files are passed over, one warning for each file.
func (d *Dialer) KnownHostsWarnings(targets ...Target) []string {
	var all []string
	for _, t := range targets {
		for _, hop := range t.hops() {
			hop, err := hop.withDefaults()
			if err != nil {
				continue // dialling it says so
			}
			for _, w := range d.loadKnownHosts(hop.KnownHostsFiles).passed {
				if !slices.Contains(all, w) {
					all = append(all, w)
				}
			}
		}
	}
	slices.Sort(all)
	return all
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

// knownNames are the names under which ssh looks the host up, and the name that its certificate must be for. A port other than
// 22 is part of the first name; what is on record without a port counts where that has nothing.
func (t Target) knownNames() (names []string, host string) {
	if t.HostKeyAlias != "" {
		alias := lower(t.HostKeyAlias)
		return []string{alias}, alias
	}
	host = lower(t.Address)
	if t.Port == defaultPort || t.Port == 0 {
		return []string{host}, host
	}
	return []string{"[" + host + "]:" + strconv.Itoa(t.Port), host}, host
}

// A record is what is on record under one name.
type record struct{ keys, authorities, revoked []knownKey }

func (h hostKeys) record(name string) record { return h.sort(name, h.known.matching(name)) }

// sort makes the record of a name out of lines.
func (h hostKeys) sort(name string, lines []*knownLine) record {
	var r record
	if len(h.printed) > 0 && name == h.names[0] { // as with ssh, the command is not asked about names without their port
		lines = slices.Concat(lines, h.printed)
	}
	for _, line := range lines {
		key, err := line.parseKey()
		if err != nil {
			continue // cannot be: lines are kept only if their key can be read
		}
		k := knownKey{key, line}
		switch line.marker {
		case markerRevoked:
			r.revoked = append(r.revoked, k)
		case markerAuthority:
			r.authorities = append(r.authorities, k)
		default:
			r.keys = append(r.keys, k)
		}
	}
	return r
}

// algorithms lists those to negotiate, for keys on record first. As with ssh, what is on record without the port does not
// change the order; but a host that has ECDSA keys only must be asked for them.
//
// Hashed names are looked up only where they matter. After certificates and Ed25519 keys they do, even if a line that is not hashed
// has an Ed25519 key; whole asks for them then, too.
//
// more are offered last.
func (h hostKeys) algorithms(more []string, whole bool) []string {
	var types, portless []string
	authority, onRecord := false, false
	for i, name := range h.names {
		r := h.sort(name, h.known.marked(name))
		ed25519 := slices.ContainsFunc(r.keys, func(k knownKey) bool { return k.Type() == ssh.KeyAlgoED25519 && find(r.revoked, k) == nil })
		// What is on record without the port counts only where nothing is with it.
		if i == 0 && (whole || !ed25519) || i > 0 && !onRecord {
			r = h.record(name)
		}
		onRecord = onRecord || len(r.keys) > 0
		authority = authority || len(r.authorities) > 0
		for n, k := range r.keys {
			first := !slices.ContainsFunc(r.keys[:n], func(other knownKey) bool { return other.Type() == k.Type() })
			switch {
			case !first, find(r.revoked, k) != nil: // a key that is revoked is not asked for
			case i == 0:
				types = append(types, k.Type())
			case slices.Contains(ecdsaHostKeys(), k.Type()):
				portless = append(portless, k.Type())
			}
		}
	}
	list := hostKeyAlgorithms(types, authority, more)
	for _, a := range portless {
		if !slices.Contains(list, a) {
			list = append(list, a)
		}
	}
	return list
}

// check returns nil for a key on record, else an UnknownHostKeyError or a ChangedHostKeyError. A certificate that does
// not convince is judged by the plain key inside of it, as ssh does.
func (h hostKeys) check(ctx context.Context, key ssh.PublicKey) error {
	h, err := h.ask(ctx, askedForKey, key)
	if err != nil {
		return err
	}
	cert, ok := key.(*ssh.Certificate)
	if !ok {
		return h.checkPlain(key)
	}
	refusal, revoked := h.checkCertificate(cert)
	if refusal == nil || revoked {
		return refusal
	}
	err = h.checkPlain(cert.Key)
	var unknown *UnknownHostKeyError
	if errors.As(err, &unknown) {
		unknown.Certificate = refusal
	}
	return err
}

// checkPlain looks a key up under each name in turn. As with ssh, what is on record without the port counts only where
// nothing is with the port.
func (h hostKeys) checkPlain(key ssh.PublicKey) error {
	if err := h.weakKey(key); err != nil {
		return err
	}
	fingerprint := ssh.FingerprintSHA256(key)
	for i, name := range h.names {
		r := h.sort(name, h.known.marked(name))
		if k := find(r.revoked, key); k != nil {
			return h.revoked(key, *k)
		}
		if find(r.keys, key) != nil {
			return nil
		}
		r = h.record(name)
		if find(r.keys, key) != nil {
			return nil
		}
		if len(r.keys) == 0 && i == 0 && h.known.foreignKey(name) {
			break // to ssh 10.6 the host has changed
		}
		if len(r.keys) == 0 || i > 0 {
			continue
		}
		changed := &ChangedHostKeyError{Host: name, Type: key.Type(), Fingerprint: fingerprint}
		for _, k := range r.keys {
			changed.Known = append(changed.Known, k.describe())
			if !slices.Contains(changed.Files, k.line.file) {
				changed.Files = append(changed.Files, k.line.file)
			}
		}
		return changed
	}
	return &UnknownHostKeyError{Host: h.names[0], Type: key.Type(), Fingerprint: fingerprint, Foreign: h.known.foreignTo(h.names)}
}

func (h hostKeys) revoked(key ssh.PublicKey, by knownKey) error {
	return &ChangedHostKeyError{
		Host: h.names[0], Type: key.Type(), Fingerprint: ssh.FingerprintSHA256(plainKey(key)), Known: []string{by.describe()}, Revoked: true,
	}
}

func find(keys []knownKey, key ssh.PublicKey) *knownKey {
	if i := slices.IndexFunc(keys, func(k knownKey) bool { return sameKey(k, key) }); i >= 0 {
		return &keys[i]
	}
	return nil
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
		return "if the host was reinstalled, " + changed.removal() + ", and run `provision trust`; otherwise someone may be in between"
	}
	return ""
}

// removal says how to take what is on record about the host out of the files that hold it.
func (e *ChangedHostKeyError) removal() string {
	standard := ""
	if u, err := user.Current(); err == nil {
		standard = filepath.Join(u.HomeDir, ".ssh", "known_hosts") // of the account, whatever HOME says
	}
	var ways []string
	for _, file := range e.Files {
		switch file {
		case knownHostsCommand:
			ways = append(ways, "have the KnownHostsCommand of ssh_config print the new key")
		case standard:
			ways = append(ways, "remove that with ssh-keygen -R "+shellWord(e.Host))
		default:
			ways = append(ways, "remove that with ssh-keygen -R "+shellWord(e.Host)+" -f "+shellWord(file))
		}
	}
	return strings.Join(ways, " and ")
}
