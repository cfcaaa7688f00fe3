package kinds

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/steps"
	"provision/internal/steps/kit"
)

// A publicKey is one line of authorized_keys.
type publicKey struct {
	Line          string // as the user wrote it, trimmed
	Options       string // as written; "" for none
	Type, Blob    string // "ssh-ed25519" and the key in base64
	Print, Remark string // fingerprint and comment
}

// parseKeys reads the lines of authorized_keys. The error never shows the text, which may be a
// private key.
func parseKeys(text string) ([]publicKey, error) {
	if strings.Contains(text, "PRIVATE KEY") {
		return nil, errors.New("this is a private key, which must never leave its machine; give the public one, which is in the file of the same name with .pub")
	}
	var keys []publicKey
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if err := kit.NoControl(strings.ReplaceAll(line, "\t", " ")); err != nil {
			return nil, err
		}
		key, err := parseKey(line)
		if err != nil {
			return nil, fmt.Errorf("line %d is no public key (\"ssh-ed25519 AAAA… comment\"): %w", i+1, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// parseKey reads "[OPTIONS] TYPE BLOB [COMMENT]" as sshd(8) has it. A key is known by its shape alone, a blob that begins
// with the name of its own type: OpenSSH gains types that no library of ours knows, and the host's sshd judges.
func parseKey(line string) (publicKey, error) {
	key, plain := keyFields(line)
	if plain != nil {
		at := optionsEnd(line)
		rest := strings.TrimLeft(line[at:], " \t")
		if rest == "" {
			return publicKey{}, plain
		}
		var err error
		if key, err = keyFields(rest); err != nil {
			// The better of two complaints: without a type behind them, the first words were no options.
			if word, _, _ := cutBlank(rest); !keyType.MatchString(word) {
				err = plain
			}
			return publicKey{}, err
		}
		key.Options = line[:at]
	}
	key.Line = line
	return key, nil
}

// optionsEnd returns where the options end: at the first blank outside of quotes, in which \" is a quote.
func optionsEnd(line string) int {
	quoted := false
	for i := 0; i < len(line); i++ {
		switch {
		case line[i] == '\\' && i+1 < len(line) && line[i+1] == '"':
			i++
		case line[i] == '"':
			quoted = !quoted
		case !quoted && (line[i] == ' ' || line[i] == '\t'):
			return i
		}
	}
	return len(line)
}

var keyType = regexp.MustCompile(`^[a-z][a-z0-9-]*(-[a-z0-9]+)+(@[a-z0-9.-]+)?$`)

// keyFields reads "TYPE BLOB [COMMENT]".
func keyFields(text string) (publicKey, error) {
	name, rest, _ := cutBlank(text)
	blob, comment, _ := cutBlank(rest)
	if !keyType.MatchString(name) {
		return publicKey{}, errors.New("the type of a key is missing")
	}
	raw, err := base64.StdEncoding.DecodeString(blob)
	if err != nil {
		if raw, err = base64.RawStdEncoding.DecodeString(blob); err != nil {
			return publicKey{}, errors.New("what follows the type is not in base64")
		}
	}
	inner, body, ok := wireString(raw)
	switch {
	case !ok || inner == "" || body == "":
		return publicKey{}, errors.New("the key is cut off")
	case inner != name:
		return publicKey{}, fmt.Errorf("the key is of type %.40q, not %q", inner, name)
	}
	// A certificate has numbers among its fields; all plain keys are nothing but strings.
	for parts := body; !strings.Contains(name, "-cert-v") && parts != ""; {
		part, left, ok := wireString([]byte(parts))
		if !ok || name == "ssh-ed25519" && (len(part) != 32 || left != "") {
			return publicKey{}, errors.New("the key is cut off")
		}
		parts = left
	}
	sum := sha256.Sum256(raw)
	return publicKey{
		Type: name, Blob: base64.StdEncoding.EncodeToString(raw),
		Print: "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:]), Remark: comment,
	}, nil
}

// cutBlank cuts around the first run of blanks.
func cutBlank(s string) (before, after string, found bool) {
	at := strings.IndexAny(s, " \t")
	if at < 0 {
		return s, "", false
	}
	return s[:at], strings.TrimLeft(s[at:], " \t"), true
}

// wireString reads a string as in RFC 4251, section 5: four bytes of length, then the bytes.
func wireString(b []byte) (text, rest string, ok bool) {
	if len(b) < 4 {
		return "", "", false
	}
	n := binary.BigEndian.Uint32(b)
	if uint64(n) > uint64(len(b)-4) {
		return "", "", false
	}
	return string(b[4 : 4+n]), string(b[4+n:]), true
}

// String shows a key as people recognise it.
func (k publicKey) String() string {
	parts := []string{k.Type, k.Print}
	if k.Remark != "" {
		parts = append(parts, k.Remark)
	}
	if k.Options != "" {
		parts = append([]string{k.Options}, parts...)
	}
	return strings.Join(parts, " ")
}

func (k publicKey) same(other publicKey) bool { return k.Type == other.Type && k.Blob == other.Blob }

func keyArg(name string, to *[]publicKey, doc string) steps.Arg {
	return kit.ParsedArg(name, to, doc, func(s string) ([]publicKey, error) {
		keys, err := parseKeys(s)
		if err == nil && len(keys) == 0 {
			return nil, errors.New("the text holds no key")
		}
		return keys, err
	})
}

func keysArg(name string, to *[]publicKey, doc string) steps.Arg {
	var texts []string
	a := kit.ListArg(name, &texts, doc, func(s string) (string, error) { return s, nil })
	decode := a.Decode
	a.Decode = func(v cty.Value) error {
		err := decode(v)
		if err == nil {
			*to, err = parseKeys(strings.Join(texts, "\n"))
		}
		return err
	}
	return a
}

func indexOfKey(keys []publicKey, key publicKey) int {
	for i, k := range keys {
		if k.same(key) {
			return i
		}
	}
	return -1
}
