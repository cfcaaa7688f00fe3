package steps

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/zclconf/go-cty/cty"
	"golang.org/x/crypto/ssh"
)

// A publicKey is one line of authorized_keys.
type publicKey struct {
	Line          string // as the user wrote it, trimmed
	Options       string // "" for none
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
		if err := noControl(strings.ReplaceAll(line, "\t", " ")); err != nil {
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

func parseKey(line string) (publicKey, error) {
	out, comment, options, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		return publicKey{}, err
	}
	return publicKey{
		Line: line, Options: strings.Join(options, ","),
		Type: out.Type(), Blob: base64.StdEncoding.EncodeToString(out.Marshal()),
		Print: ssh.FingerprintSHA256(out), Remark: comment,
	}, nil
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

func keyArg(name string, to *[]publicKey, doc string) Arg {
	return Arg{Name: name, Doc: doc, Type: cty.String, set: func(v cty.Value) (err error) {
		*to, err = parseKeys(v.AsString())
		if err == nil && len(*to) == 0 {
			return errors.New("the text holds no key")
		}
		return err
	}}
}

func keysArg(name string, to *[]publicKey, doc string) Arg {
	return Arg{Name: name, Doc: doc, Type: cty.List(cty.String), set: func(v cty.Value) error {
		var texts []string
		for _, item := range v.AsValueSlice() {
			if item.IsNull() {
				return errors.New("the list holds a null")
			}
			texts = append(texts, item.AsString())
		}
		keys, err := parseKeys(strings.Join(texts, "\n"))
		*to = keys
		return err
	}}
}

func indexOfKey(keys []publicKey, key publicKey) int {
	for i, k := range keys {
		if k.same(key) {
			return i
		}
	}
	return -1
}
