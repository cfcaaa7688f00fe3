package ssh

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"
)

// An expansion holds what the tokens of ssh_config(5) stand for.
type expansion struct {
	name string // as the user wrote it: %n
	host string // the address: %h
	user string // the remote user: %r
	key  string // the name in known_hosts: %k
	port int    // %p
}

// path expands ~, tokens, and ${VARIABLES}.
func (e expansion) path(s string) (string, error) {
	if s == "~" || strings.HasPrefix(s, "~/") {
		s = inHome(strings.TrimPrefix(strings.TrimPrefix(s, "~"), "/"))
	}
	s, err := e.expand(s)
	if err != nil {
		return "", err
	}
	var unset string
	s = expandBraces(s, func(name string) string {
		v, ok := os.LookupEnv(name)
		if !ok {
			unset = name
		}
		return v
	})
	if unset != "" {
		return "", fmt.Errorf("environment variable %s is not set", unset)
	}
	return s, nil
}

// expandBraces replaces ${NAME}; a $ without braces is itself.
func expandBraces(s string, value func(string) string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "${")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			b.WriteString("${" + rest)
			return b.String()
		}
		b.WriteString(value(name))
		s = after
	}
}

// expand replaces the % tokens.
func (e expansion) expand(s string) (string, error) {
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
		v, err := e.token(s[i])
		if err != nil {
			return "", fmt.Errorf("%q: %w", s, err)
		}
		b.WriteString(v)
	}
	return b.String(), nil
}

func (e expansion) token(c byte) (string, error) {
	switch c {
	case '%':
		return "%", nil
	case 'h':
		return e.host, nil
	case 'n':
		return e.name, nil
	case 'k':
		return e.key, nil
	case 'p':
		return strconv.Itoa(e.port), nil
	case 'd':
		return os.UserHomeDir()
	case 'l', 'L':
		host, err := os.Hostname()
		if c == 'L' {
			host, _, _ = strings.Cut(host, ".")
		}
		return host, err
	case 'u', 'i', 'r':
		if c == 'r' && e.user != "" {
			return e.user, nil
		}
		u, err := user.Current()
		if err != nil {
			return "", err
		}
		if c == 'i' {
			return u.Uid, nil
		}
		return u.Username, nil
	}
	return "", fmt.Errorf("the token %%%c is not supported", c)
}

// parseJump reads "[user@]host[:port]" or "ssh://[user@]host[:port]" from a hop's Name into its fields, which win.
func parseJump(hop Target) (Target, error) {
	rest := strings.TrimSuffix(strings.TrimPrefix(hop.Name, "ssh://"), "/")
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		hop.User = cmp.Or(hop.User, rest[:at])
		rest = rest[at+1:]
	}
	host, port, err := net.SplitHostPort(rest)
	if err != nil {
		host, port = strings.Trim(rest, "[]"), ""
	}
	if host == "" || strings.HasPrefix(host, "-") {
		return hop, fmt.Errorf("%q is not [user@]host[:port]", hop.Name)
	}
	if port != "" && hop.Port == 0 {
		n, err := strconv.Atoi(port)
		if err != nil || n < 1 || n > 65535 {
			return hop, fmt.Errorf("%q: port %q is not a number from 1 to 65535", hop.Name, port)
		}
		hop.Port = n
	}
	hop.Name = host
	return hop, nil
}

// parseTime reads the times of ssh_config(5): seconds, or numbers with units as in "1h30m".
func parseTime(s string) (time.Duration, error) {
	if n, err := strconv.Atoi(s); err == nil && n >= 0 && n <= 1<<31 {
		return time.Duration(n) * time.Second, nil
	}
	var total time.Duration
	rest := strings.ToLower(s)
	for rest != "" {
		i := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
		if i <= 0 {
			return 0, fmt.Errorf("%q is not a time such as 10 or 1m30s", s)
		}
		n, err := strconv.Atoi(rest[:i])
		unit, ok := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 168 * time.Hour}[rest[i]]
		if err != nil || !ok || n > 1<<20 {
			return 0, fmt.Errorf("%q is not a time such as 10 or 1m30s", s)
		}
		total += time.Duration(n) * unit
		rest = rest[i+1:]
	}
	return total, nil
}

// words splits a list of paths at blanks; a path with blanks stands in double quotes.
func words(s string) []string {
	var all []string
	var word strings.Builder
	quoted, started := false, false
	for _, r := range s {
		switch {
		case r == '"':
			quoted, started = !quoted, true
		case (r == ' ' || r == '\t') && !quoted:
			if started {
				all = append(all, word.String())
			}
			word.Reset()
			started = false
		default:
			word.WriteRune(r)
			started = true
		}
	}
	if started {
		all = append(all, word.String())
	}
	return all
}

// unquote takes the quotes off a single value.
func unquote(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}

func yes(s string) bool { return strings.EqualFold(s, "yes") || strings.EqualFold(s, "true") }
