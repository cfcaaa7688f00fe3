package sshconfig

import (
	"crypto/sha1" //nolint:gosec // %C is defined as a SHA-1 sum
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strings"
)

// Tokens are what the tokens of ssh_config(5) stand for.
type Tokens struct {
	Name string // as the user typed it: %n
	Host string // the name to connect to: %h
	User string // the remote user: %r; "": the local one
	Key  string // HostKeyAlias: %k; "": Name
	Port string // %p; "": 22
	Jump string // ProxyJump: %j

	// Check has what KnownHostsCommand alone knows, by the letters of the tokens: f, H, I, K and t.
	Check map[byte]string
}

// Expand replaces the tokens in s.
func (t Tokens) Expand(s string) (string, error) { return expand(s, t.token) }

// Path replaces a leading ~, the tokens, and ${VARIABLES} of the environment, all of which must be set.
func (t Tokens) Path(s string) (string, error) {
	if s == "~" || strings.HasPrefix(s, "~/") {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		s = strings.ReplaceAll(home, "%", "%%") + s[1:]
	} else if strings.HasPrefix(s, "~") {
		name, rest, _ := strings.Cut(s[1:], "/")
		u, err := user.Lookup(name)
		if err != nil {
			return "", err
		}
		s = strings.TrimSuffix(strings.ReplaceAll(u.HomeDir, "%", "%%")+"/"+rest, "/")
	}
	return t.Variables(s)
}

// Variables replaces the tokens, and ${VARIABLES} of the environment, all of which must be set.
func (t Tokens) Variables(s string) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "${")
		expanded, err := t.Expand(before)
		if err != nil {
			return "", err
		}
		b.WriteString(expanded)
		if !found {
			return b.String(), nil
		}
		name, after, closed := strings.Cut(rest, "}")
		value, set := os.LookupEnv(name)
		switch {
		case !closed:
			return "", fmt.Errorf("%q: a brace is not closed", s)
		case !set:
			return "", &UnsetError{name}
		}
		b.WriteString(value)
		s = after
	}
}

// An UnsetError names a variable of the environment that is not set.
type UnsetError struct{ Name string }

func (e *UnsetError) Error() string { return fmt.Sprintf("environment variable %s is not set", e.Name) }

func expand(s string, token func(byte) (string, error)) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		i++
		if i == len(s) {
			return "", fmt.Errorf("%q ends with a single %%; write %%%%", s)
		}
		if s[i] == '%' {
			b.WriteByte('%')
			continue
		}
		v, err := token(s[i])
		if err != nil {
			return "", fmt.Errorf("%q: %w", s, err)
		}
		b.WriteString(v)
	}
	return b.String(), nil
}

func (t Tokens) token(c byte) (string, error) {
	switch c {
	case 'h':
		return t.Host, nil
	case 'n':
		return t.Name, nil
	case 'j':
		return t.Jump, nil
	case 'k':
		if t.Key == "" {
			return t.Name, nil
		}
		return t.Key, nil
	case 'p':
		if t.Port == "" {
			return "22", nil
		}
		return t.Port, nil
	case 'd':
		return os.UserHomeDir()
	case 'l', 'L':
		host, err := os.Hostname()
		if c == 'L' {
			host, _, _ = strings.Cut(host, ".")
		}
		return host, err
	case 'C':
		return t.hash()
	case 'u', 'i', 'r':
		if c == 'r' && t.User != "" {
			return t.User, nil
		}
		u, err := user.Current()
		if err != nil {
			return "", err
		}
		if c == 'i' {
			return u.Uid, nil
		}
		return u.Username, nil
	case 'T':
		return "NONE", nil
	case 'f', 'H', 'I', 'K', 't':
		if value, known := t.Check[c]; known {
			return value, nil
		}
		return "", errors.New("the token %" + string(c) + " is for KnownHostsCommand alone")
	}
	return "", fmt.Errorf("the token %%%c is not known", c)
}

// hash is %C: the SHA-1 sum of %l%h%p%r%j, so that a path names one connection.
func (t Tokens) hash() (string, error) {
	var all strings.Builder
	for _, c := range []byte("lhprj") {
		s, err := t.token(c)
		if err != nil {
			return "", err
		}
		all.WriteString(s)
	}
	sum := sha1.Sum([]byte(all.String())) //nolint:gosec // see above
	return hex.EncodeToString(sum[:]), nil
}
