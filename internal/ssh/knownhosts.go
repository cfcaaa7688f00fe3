package ssh

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
)

// The markers of known_hosts lines (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT).
const (
	markerNone      = ""
	markerAuthority = "@cert-authority"
	markerRevoked   = "@revoked"
)

// A knownHosts is what the known_hosts files of a host say. Lines are found and judged as OpenSSH does it (hostfile.c);
// the library's own package ends with an error at the first line that it does not understand, and knows patterns
// otherwise.
type knownHosts struct {
	lines []knownLine
	exact map[string][]int // lines that name a host without any pattern, by that name
	loose []int            // lines with patterns, and those with hashed names that have a marker
	plain []int            // lines with hashed names and no marker, of which there may be many
	// foreign lines hold keys of types that are not known here, such as those that a newer ssh records by itself (UpdateHostKeys).
	foreign []knownLine
	// passed says which lines were passed over and why, one warning a file.
	passed []string

	mu    sync.Mutex
	found map[lookup]*[]*knownLine // what was looked up: each host asks several times
}

// A knownLine is one line of a file. Its strings are parts of the file's text.
type knownLine struct {
	marker string
	hosts  string // in lower case unless they are hashed
	hash   hashedName
	key    string // in base64
	kind   string // of a foreign line
	file   string
	number int
}

// A knownKey is a key of a line.
type knownKey struct {
	ssh.PublicKey
	line *knownLine
}

func (k knownKey) describe() string {
	return fmt.Sprintf("%s:%d (%s %s)", k.line.file, k.line.number, k.Type(), ssh.FingerprintSHA256(k.PublicKey))
}

// byteOrderMark is what some editors put before the first line, where ssh takes it for a part of the name.
const byteOrderMark = "\xef\xbb\xbf"

var errMark = errors.New("it begins with a byte order mark, which ssh takes for a part of the name; remove the mark")

// add reads a file. Lines that are not understood are passed over: other programs write the file too.
func (k *knownHosts) add(file, text string) {
	var passed passedLines
	number := 0
	for line := range strings.Lines(text) {
		number++
		line, _, _ = strings.Cut(strings.TrimSuffix(line, "\n"), "\x00") // ssh reads C strings
		line = strings.TrimLeft(line, " \t")
		if content := strings.TrimRight(strings.TrimPrefix(line, byteOrderMark), "\r \t"); content == "" || content[0] == '#' {
			continue
		}
		entry, err := parseKnownLine(line)
		if strings.HasPrefix(line, byteOrderMark) {
			passed.add(number, errMark)
		} else if err != nil && entry.kind == "" {
			passed.add(number, err)
		}
		entry.file, entry.number = file, number
		switch {
		case err == nil:
			k.index(entry)
		case entry.kind != "":
			k.foreign = append(k.foreign, entry)
		}
	}
	if len(passed.numbers) > 0 {
		k.passed = append(k.passed, passed.warning(file))
	}
}

func (k *knownHosts) index(entry knownLine) {
	n := len(k.lines)
	k.lines = append(k.lines, entry)
	if entry.hash.hashed() && entry.marker == markerNone {
		k.plain = append(k.plain, n)
		return
	}
	if entry.hash.hashed() || strings.ContainsAny(entry.hosts, "*?!") {
		k.loose = append(k.loose, n)
		return
	}
	if k.exact == nil {
		k.exact = map[string][]int{}
	}
	for name := range strings.SplitSeq(entry.hosts, ",") {
		if at := k.exact[name]; len(at) == 0 || at[len(at)-1] != n {
			k.exact[name] = append(at, n)
		}
	}
}

// parseKnownLine takes a line apart, and makes sure that its key can be read.
func parseKnownLine(line string) (knownLine, error) {
	var l knownLine
	var err error
	if l.marker, line, err = cutMarker(line); err != nil {
		return l, err
	}
	hosts, rest := cutField(line)
	if strings.HasPrefix(hosts, "|") {
		if l.hash, err = parseHashedName(hosts); err != nil {
			return l, err
		}
		l.hosts = hosts
	} else {
		l.hosts = lower(hosts)
	}
	kind, rest := cutField(rest)
	if kind == "" || kind[0] == '#' {
		return l, errors.New("it ends before the type of a key")
	}
	if l.key, _ = cutField(rest); l.key == "" {
		return l, errors.New("it ends before the key")
	}
	key, err := l.parseKey()
	switch {
	case len(kind) < 8 && strings.Trim(kind, "0123456789") == "":
		return l, errors.New("it holds a key of SSH 1")
	case err != nil && l.foreign(kind):
		l.kind = kind
		return l, fmt.Errorf("its key is of the type %s, which provision does not know", printable(kind))
	case err != nil:
		return l, fmt.Errorf("its key of type %s is not understood", printable(kind))
	case key.Type() != kind && (key.Type() != ssh.KeyAlgoRSA || kind != ssh.KeyAlgoRSASHA256 && kind != ssh.KeyAlgoRSASHA512):
		return l, fmt.Errorf("it says %s and holds a key of type %s", printable(kind), printable(key.Type()))
	}
	return l, nil
}

// parseKey reads the key of a line. Lines are kept as text: most of a long file is never asked for.
func (l *knownLine) parseKey() (ssh.PublicKey, error) {
	blob, err := base64.StdEncoding.Strict().DecodeString(l.key)
	if err != nil {
		return nil, err
	}
	return ssh.ParsePublicKey(blob)
}

// foreign reports whether a line's key, which is not understood, is well formed and of a type that is not known here.
func (l *knownLine) foreign(kind string) bool {
	blob, err := base64.StdEncoding.Strict().DecodeString(l.key)
	if err != nil || slices.Contains(allKeys(), kind) {
		return false
	}
	parts := 0
	for ; len(blob) >= 4; parts++ {
		n := binary.BigEndian.Uint32(blob)
		if blob = blob[4:]; uint64(n) > uint64(len(blob)) || parts == 0 && string(blob[:n]) != kind {
			return false
		}
		blob = blob[n:]
	}
	return parts > 1 && len(blob) == 0
}

// foreignTo describes the lines about a host whose keys are of types that are not known here.
func (k *knownHosts) foreignTo(names []string) []string {
	var all []string
	for i := range k.foreign {
		l := &k.foreign[i]
		if l.marker != markerRevoked && slices.ContainsFunc(names, l.matches) {
			all = append(all, fmt.Sprintf("%s:%d (%s)", l.file, l.number, strings.TrimSpace(l.marker+" "+l.kind)))
		}
	}
	return all
}

// foreignKey reports whether a key of such a type is on record under a name.
func (k *knownHosts) foreignKey(name string) bool {
	return slices.ContainsFunc(k.foreign, func(l knownLine) bool { return l.marker == markerNone && l.matches(name) })
}

// cutMarker takes the marker off a line. As in ssh, it ends at the first blank, or at the first tab where the line has no
// blanks. A revocation is heeded however it is set off.
func cutMarker(line string) (marker, rest string, err error) {
	if !strings.HasPrefix(line, "@") {
		return markerNone, line, nil
	}
	if word, rest := cutField(line); word == markerRevoked && !strings.HasPrefix(rest, "@") {
		return markerRevoked, rest, nil
	}
	end := strings.IndexByte(line, ' ')
	if end < 0 {
		end = max(0, strings.IndexByte(line, '\t'))
	}
	marker, rest = line[:end], strings.TrimLeft(line[end:], " \t")
	if marker != markerAuthority || strings.HasPrefix(rest, "@") {
		word, _ := cutField(line)
		return "", "", fmt.Errorf("the marker %s is not known", printable(word))
	}
	return marker, rest, nil
}

// cutField splits at the first run of blanks and tabs.
func cutField(s string) (field, rest string) {
	if i := strings.IndexAny(s, " \t"); i >= 0 {
		return s[:i], strings.TrimLeft(s[i:], " \t")
	}
	return s, ""
}

// lower is ssh's lowercase: ASCII only.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}

// printable bounds a word of a file for a message.
func printable(word string) string {
	const longest = 40
	if len(word) > longest {
		return fmt.Sprintf("%q…", word[:longest])
	}
	return fmt.Sprintf("%q", word)
}

// passedLines collects the lines of one file that were passed over.
type passedLines struct {
	numbers []int
	reason  error // of the first
}

func (p *passedLines) add(number int, reason error) {
	if p.reason == nil {
		p.reason = reason
	}
	p.numbers = append(p.numbers, number)
}

func (p *passedLines) warning(file string) string {
	const listed = 5
	text := fmt.Sprintf("%s:%d: the line is passed over: %v", file, p.numbers[0], p.reason)
	more := p.numbers[1:]
	if len(more) == 0 {
		return text
	}
	var list []string
	for _, n := range more[:min(len(more), listed)] {
		list = append(list, fmt.Sprint(n))
	}
	text += "; so are lines " + strings.Join(list, ", ")
	if len(more) == 1 {
		text = strings.Replace(text, "; so are lines ", "; so is line ", 1)
	}
	if len(more) > listed {
		text += fmt.Sprintf(" and %d more", len(more)-listed)
	}
	return text
}
