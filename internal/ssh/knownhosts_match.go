package ssh

import (
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"provision/internal/ssh/sshconfig"
)

// matching returns the lines that name a host, in the order of the files. name is in lower case, with brackets and a port
// where the port is not 22.
func (k *knownHosts) matching(name string) []*knownLine {
	k.mu.Lock()
	defer k.mu.Unlock()
	if lines, ok := k.found[name]; ok {
		return lines
	}
	at := slices.Clone(k.exact[name])
	for _, n := range k.loose {
		if k.lines[n].matches(name) {
			at = append(at, n)
		}
	}
	slices.Sort(at)
	lines := make([]*knownLine, len(at))
	for i, n := range at {
		lines[i] = &k.lines[n]
	}
	if k.found == nil {
		k.found = map[string][]*knownLine{}
	}
	k.found[name] = lines
	return lines
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
