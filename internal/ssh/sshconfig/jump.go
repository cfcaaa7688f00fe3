package sshconfig

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// checkJump splits the list of ProxyJump into words, one a hop, the nearest first.
func checkJump(v *Value) error {
	text, _, _ := strings.Cut(v.Words[0], "#")
	text = strings.TrimRight(text, blanks)
	v.Words = []string{text}
	if text == "" {
		return errors.New("the argument is missing")
	}
	if strings.EqualFold(text, "none") {
		v.Words = []string{"none"}
		return nil
	}
	hops := strings.Split(text, ",")
	for _, hop := range hops {
		if _, err := ParseHop(hop); err != nil {
			return err
		}
	}
	v.Words = hops
	return nil
}

// A Hop is one jump host. Its parts may hold tokens.
type Hop struct{ User, Host, Port string }

// ParseHop reads "[user@]host[:port]" or "ssh://[user@]host[:port]".
func ParseHop(s string) (Hop, error) {
	wrong := fmt.Errorf("%q is not [user@]host[:port]", s)
	var h Hop
	rest, uri := strings.CutPrefix(s, "ssh://")
	if uri {
		rest = strings.TrimSuffix(rest, "/")
	}
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		if h.User, rest = rest[:at], rest[at+1:]; h.User == "" {
			return h, wrong
		}
		if uri {
			user, err := url.PathUnescape(h.User)
			if err != nil {
				return h, wrong
			}
			h.User = user
		}
	}
	host, port, err := net.SplitHostPort(rest)
	switch {
	case err == nil && port == "":
		return h, wrong
	case err != nil && strings.HasPrefix(rest, "[") && strings.HasSuffix(rest, "]"):
		host, port = rest[1:len(rest)-1], ""
	case err != nil && (strings.ContainsAny(rest, "[]") || uri && strings.Contains(rest, ":")):
		return h, wrong
	case err != nil:
		host, port = rest, "" // an IPv6 address needs no brackets where no port follows
	}
	if host == "" || strings.HasPrefix(host, "-") || strings.ContainsAny(host, " \t") {
		return h, wrong
	}
	if port != "" {
		if n, err := net.LookupPort("tcp", port); err != nil || n < 1 {
			return h, fmt.Errorf("%q: port %q is not a number from 1 to 65535", s, port)
		}
	}
	h.Host, h.Port = host, port
	return h, nil
}
