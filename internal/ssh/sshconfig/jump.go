package sshconfig

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
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
		h, err := ParseHop(hop)
		if err != nil {
			return err
		}
		if strings.Contains(h.Host, ":") && !strings.Contains(hop, "["+h.Host+"]") {
			return fmt.Errorf("%q: an IPv6 address stands in brackets there: [%s]", hop, h.Host)
		}
		if strings.HasPrefix(hop, "ssh://") && !domain.MatchString(h.Host) {
			return fmt.Errorf("%q: the host of ssh:// is a name of letters, digits, dots and hyphens", hop)
		}
	}
	v.Words = hops
	return nil
}

// domain is what ssh takes in ssh:// (misc.c, valid_domain; 9.2 takes no underscore in front).
var domain = regexp.MustCompile(`^[A-Za-z0-9_]\.?([A-Za-z0-9_-]+\.?)*$`)

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
	if err != nil {
		_, address := netip.ParseAddr(rest)
		switch {
		case strings.HasPrefix(rest, "[") && strings.HasSuffix(rest, "]"):
			host, port = rest[1:len(rest)-1], ""
		case strings.HasPrefix(rest, "["), strings.Contains(rest, ":") && (uri || address != nil):
			return h, wrong
		default:
			host, port = rest, "" // an IPv6 address needs no brackets where no port follows
		}
	}
	if host == "" || strings.Contains(host, "/") || strings.HasPrefix(host, "-") || strings.ContainsAny(host, " \t") {
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
