package ssh

import (
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"provision/internal/ssh/sshconfig"
)

// A lookup is a name, and whether the hashed names of plain keys are left out: there may be thousands, and each costs two sums.
type lookup struct {
	name    string
	markers bool
}

// matching returns the lines that name a host, in the order of the files. name is in lower case, with brackets and a port
// where the port is not 22.
func (k *knownHosts) matching(name string) []*knownLine { return k.lookUp(lookup{name, false}) }

// marked is like matching, but of the lines with hashed names it returns only those of authorities and of revoked keys.
func (k *knownHosts) marked(name string) []*knownLine { return k.lookUp(lookup{name, true}) }

func (k *knownHosts) lookUp(what lookup) []*knownLine {
	k.mu.Lock()
	found := k.found[what]
	k.mu.Unlock()
	if found != nil {
		return *found
	}
	// Without the lock: the hosts of a fleet look themselves up side by side.
	at := slices.Clone(k.exact[what.name])
	for _, n := range k.loose {
		if k.lines[n].matches(what.name) {
			at = append(at, n)
		}
	}
	if !what.markers {
		at = append(at, k.hashedFor(what.name)...)
	}
	slices.Sort(at)
	lines := make([]*knownLine, len(at))
	for i, n := range at {
		lines[i] = &k.lines[n]
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.found == nil {
		k.found = map[lookup]*[]*knownLine{}
	}
	k.found[what] = &lines
	return lines
}

// hashedFor returns the lines with hashed names and no marker that name a host.
func (k *knownHosts) hashedFor(name string) []int {
	var at []int
	for _, n := range k.plain {
		if k.lines[n].hash.matches(name) {
			at = append(at, n)
		}
	}
	return at
}

func (l *knownLine) matches(name string) bool {
	if l.hash.hashed() {
		return l.hash.matches(name)
	}
	return sshconfig.MatchList(name, l.hosts, false)
}

// A hashedName is a name that HashKnownHosts has hidden: "|1|SALT|HASH", where HASH is the HMAC-SHA1 of the name. The keys
// of its two sums are computed once (RFC 2104): a fleet asks every line about every host.
type hashedName struct {
	inner, outer *[sha1.BlockSize]byte // nil: the name is not hashed
	sum          [sha1.Size]byte
}

func parseHashedName(text string) (hashedName, error) {
	bad := errors.New("its hashed name is malformed")
	salt64, sum64, ok := strings.Cut(strings.TrimPrefix(text, "|1|"), "|")
	if !ok || !strings.HasPrefix(text, "|1|") {
		return hashedName{}, bad
	}
	salt, err1 := base64.StdEncoding.Strict().DecodeString(salt64)
	sum, err2 := base64.StdEncoding.Strict().DecodeString(sum64)
	if err1 != nil || err2 != nil || len(salt) != sha1.Size || len(sum) != sha1.Size {
		return hashedName{}, bad
	}
	h := hashedName{inner: new([sha1.BlockSize]byte), outer: new([sha1.BlockSize]byte)}
	copy(h.sum[:], sum)
	copy(h.inner[:], salt)
	copy(h.outer[:], salt)
	for i := range sha1.BlockSize {
		h.inner[i] ^= 0x36
		h.outer[i] ^= 0x5c
	}
	return h, nil
}

func (h hashedName) hashed() bool { return h.inner != nil }

func (h hashedName) matches(name string) bool {
	var text [sha1.BlockSize + longestName]byte
	if len(name) > longestName {
		return false
	}
	copy(text[:], h.inner[:])
	sum := sha1.Sum(text[:sha1.BlockSize+copy(text[sha1.BlockSize:], name)])
	copy(text[:], h.outer[:])
	return sha1.Sum(text[:sha1.BlockSize+copy(text[sha1.BlockSize:], sum[:])]) == h.sum
}

// longestName bounds the names that are looked up: DNS has 253 characters, and brackets and a port come with them.
const longestName = 300
