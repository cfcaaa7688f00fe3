package sshconfig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Lookup says what the files set for a host.
func (c *Config) Lookup(ctx context.Context, q Query) (*Settings, error) {
	e := &evaluation{ctx: ctx, config: c, query: q, host: q.Host, settings: &Settings{values: map[string][]Value{}}}
	if q.User != "" {
		e.settings.values["user"] = []Value{{Keyword: "user", Words: []string{q.User}}}
	}
	if q.Port != "" {
		e.settings.values["port"] = []Value{{Keyword: "port", Words: []string{q.Port}}}
	}
	if err := e.pass(); err != nil {
		return nil, err
	}
	// What says how names are made canonical is decided with the first pass.
	e.set(Value{Keyword: "canonicalizehostname", Words: []string{"no"}})
	host, err := e.hostNow()
	if err != nil {
		return nil, err
	}
	// An address of the family that AddressFamily leaves out is a name to ssh.
	address, numeric := numericAddress(host)
	family := e.settings.Text("addressfamily")
	sixth := strings.Contains(address, ":")
	if numeric && !(sixth && family == "inet") && !(!sixth && family == "inet6") {
		host = address
	} else if host, err = e.canonicalize(strings.ToLower(host)); err != nil {
		return nil, err
	} else if !e.found && e.followsBare() {
		// As ssh, which exits where that does not work out; here the connection tells then.
		if canonical, err := e.resolve(host); err == nil {
			host = e.follow(host, strings.ToLower(strings.TrimSuffix(canonical, ".")))
		}
	}
	if c != nil && (c.final || e.late || e.canonicalizes() != "no") {
		e.final, e.host = true, host
		e.settings.values["hostname"] = []Value{{Keyword: "hostname", Words: []string{strings.ReplaceAll(host, "%", "%%")}}}
		if err := e.pass(); err != nil {
			return nil, err
		}
	}
	e.settings.Host = host
	if v, set := e.settings.First("hostkeyalias"); set {
		v.Words = []string{strings.ToLower(v.Text())}
		e.settings.values["hostkeyalias"] = []Value{v}
	}
	return e.settings, nil
}

// An evaluation finds the settings of one host.
type evaluation struct {
	ctx      context.Context
	config   *Config
	query    Query
	host     string // what Host lines are compared with
	final    bool   // the second pass
	depth    int    // of Include
	late     bool   // a file that is included for this host has a Match final
	found    bool   // the name was, in a domain of CanonicalDomains
	settings *Settings
}

func (e *evaluation) pass() error {
	if e.config == nil {
		return nil
	}
	for _, f := range e.config.files {
		if err := e.file(f); err != nil {
			return err
		}
	}
	return nil
}

func (e *evaluation) file(f *file) error {
	for _, i := range f.candidates(e.host) {
		b := &f.blocks[i]
		if b.guard != nil {
			yes, err := b.guard.matches(e)
			if err != nil {
				return err
			}
			if !yes {
				continue
			}
		}
		for _, l := range b.lines {
			if err := e.line(l); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *evaluation) line(l line) error {
	switch l.Keyword {
	case "include":
		for _, i := range l.include {
			files := []included{i}
			if i.file == nil {
				var err error
				if files, err = e.expandInclude(l.Source, i); err != nil {
					return err
				}
			}
			if e.depth++; e.depth > maxDepth {
				return fmt.Errorf("%s: Include goes deeper than %d files", l.Source, maxDepth)
			}
			for _, f := range files {
				if err := e.file(f.file); err != nil {
					return err
				}
			}
			e.depth--
		}
	case "refuseconnection":
		if e.settings.Refused == "" {
			e.settings.Refused = fmt.Sprintf("%s: RefuseConnection: %s", l.Source, l.Text())
		}
	default:
		e.set(l.Value)
	}
	return nil
}

// expandInclude reads the files of a pattern with tokens or variables. As with ssh, a variable that is not set is told, and nothing is
// included.
func (e *evaluation) expandInclude(at Source, i included) ([]included, error) {
	tokens, err := e.tokensNow()
	if err != nil {
		return nil, err
	}
	pattern, err := tokens.Variables(i.pattern)
	var unset *UnsetError
	switch {
	case errors.As(err, &unset):
		e.settings.Notes = append(e.settings.Notes, fmt.Sprintf("%s: Include %s: nothing is included: %v", at, i.pattern, err))
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("%s: Include: %w", at, err)
	}
	c := e.config
	c.mu.Lock()
	defer c.mu.Unlock()
	key := fmt.Sprintf("%v %s", i.from.system, pattern)
	read, known := c.included[key]
	if !known {
		read = &lateInclude{config: Config{criteria: map[string]bool{}}}
		p := &parser{config: &read.config, cache: map[string]*file{}}
		read.files = p.glob(i.from, at, pattern)
		if len(p.mistakes) > 0 {
			read.err = errors.New(strings.Join(p.mistakes, "\n"))
		}
		if c.included == nil {
			c.included = map[string]*lateInclude{}
		}
		c.included[key] = read
	}
	e.late = e.late || read.config.final
	e.settings.Notes = append(e.settings.Notes, read.config.Warnings...)
	return read.files, read.err
}

// set keeps the first value of a keyword, and all of one that adds up.
func (e *evaluation) set(v Value) {
	values := e.settings.values
	switch keywords[v.Keyword] {
	case isMore:
		for _, other := range values[v.Keyword] {
			if other.Text() == v.Text() {
				return
			}
		}
		values[v.Keyword] = append(values[v.Keyword], v)
		return
	case isTime:
		if v.Text() == "none" {
			return // as good as not said: a later line may say more
		}
	case isJump:
		// ProxyJump and ProxyCommand are one setting, but that ProxyJump none leaves a later ProxyCommand alone.
		if len(values["proxycommand"]) > 0 {
			return
		}
	}
	if v.Keyword == "proxycommand" && len(values["proxyjump"]) > 0 && e.settings.Text("proxyjump") != "none" {
		return
	}
	if len(values[v.Keyword]) == 0 {
		values[v.Keyword] = []Value{v}
	}
}

// hostNow is the name to connect to, as far as it is known.
func (e *evaluation) hostNow() (string, error) {
	v, set := e.settings.First("hostname")
	if !set {
		return e.query.Host, nil
	}
	host, err := expand(v.Text(), func(c byte) (string, error) {
		if c == 'h' {
			return e.query.Host, nil
		}
		return "", fmt.Errorf("HostName knows no token %%%c", c)
	})
	if err != nil {
		return "", fmt.Errorf("%s: %w", v.Source, err)
	}
	return host, nil
}

func (e *evaluation) userNow() string {
	if v, set := e.settings.First("user"); set {
		return v.Text()
	}
	return localUser()
}

func (e *evaluation) canonicalizes() string {
	switch e.settings.Text("canonicalizehostname") {
	case "always":
		return "always"
	case "yes", "true":
		return "yes"
	}
	return "no"
}

// canonicalize looks a short name up in the CanonicalDomains.
func (e *evaluation) canonicalize(host string) (string, error) {
	want := e.canonicalizes()
	if host == "" || want == "no" || !e.direct() && want != "always" {
		return host, nil
	}
	var candidates []string
	if strings.HasSuffix(host, ".") {
		candidates = []string{host}
	} else {
		dots := 1
		if n, err := strconv.Atoi(e.settings.Text("canonicalizemaxdots")); err == nil {
			dots = n
		}
		if strings.Count(host, ".") > dots {
			return host, nil
		}
		v, _ := e.settings.First("canonicaldomains")
		for _, domain := range v.Words {
			if strings.EqualFold(domain, "none") {
				break
			}
			candidates = append(candidates, host+"."+strings.ToLower(strings.TrimPrefix(domain, "."))+".")
		}
	}
	for _, full := range candidates {
		canonical, err := e.resolve(full)
		if err != nil {
			continue
		}
		e.found = true
		return e.follow(strings.TrimSuffix(full, "."), strings.ToLower(strings.TrimSuffix(canonical, "."))), nil
	}
	if s := e.settings.Text("canonicalizefallbacklocal"); s == "no" || s == "false" {
		return "", fmt.Errorf("%s is in none of the CanonicalDomains, and CanonicalizeFallbackLocal is no", host)
	}
	return host, nil
}

// direct reports whether no proxy resolves the name.
func (e *evaluation) direct() bool {
	command, jump := e.settings.Text("proxycommand"), e.settings.Text("proxyjump")
	return (command == "" || strings.EqualFold(command, "none")) && (jump == "" || jump == "none")
}

// followsBare reports whether ssh resolves a name as it stands, to follow its CNAME (ssh.c, main).
func (e *evaluation) followsBare() bool {
	v, set := e.settings.First("canonicalizepermittedcnames")
	return set && !strings.EqualFold(v.Text(), "none") && (e.direct() || e.canonicalizes() == "always")
}

// follow takes the canonical name of a host where CanonicalizePermittedCNAMEs lets it.
func (e *evaluation) follow(name, canonical string) string {
	v, set := e.settings.First("canonicalizepermittedcnames")
	if !set || canonical == "" || canonical == name {
		return name
	}
	for _, rule := range v.Words {
		from, to, ok := strings.Cut(rule, ":")
		if ok && MatchList(name, from, true) && MatchList(canonical, to, true) {
			return canonical
		}
	}
	return name
}

func (e *evaluation) resolve(name string) (string, error) {
	if e.query.Resolve != nil {
		return e.query.Resolve(e.ctx, name)
	}
	if _, err := net.DefaultResolver.LookupHost(e.ctx, name); err != nil {
		return "", err
	}
	// The system's own resolver may not tell what /etc/hosts says of a name that stands there.
	goes := net.Resolver{PreferGo: true}
	canonical, err := goes.LookupCNAME(e.ctx, name)
	if err != nil {
		return name, nil //nolint:nilerr // it has an address, and no other name
	}
	return canonical, nil
}

// numericAddress returns the usual form of an IP address. IPv4 may be written with fewer numbers, in octal or in
// hexadecimal, as inet_aton(3) reads it.
func numericAddress(s string) (string, bool) {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.String(), true
	}
	parts := strings.Split(s, ".")
	if s == "" || len(parts) > 4 {
		return "", false
	}
	var value uint64
	for i, part := range parts {
		n, err := aton(part)
		limit := uint64(255)
		if i == len(parts)-1 {
			limit = 1<<(8*(5-len(parts))) - 1
		}
		if err != nil || n > limit {
			return "", false
		}
		if i == len(parts)-1 {
			value = value<<(8*(5-len(parts))) | n
		} else {
			value = value<<8 | n
		}
	}
	return netip.AddrFrom4([4]byte{byte(value >> 24), byte(value >> 16), byte(value >> 8), byte(value)}).String(), true
}

func aton(s string) (uint64, error) {
	if s == "" || slices.Contains([]byte("+-_"), s[0]) || strings.Contains(s, "_") {
		return 0, errors.New("no number")
	}
	lower := strings.ToLower(s)
	if digits, hex := strings.CutPrefix(lower, "0x"); hex {
		return strconv.ParseUint(digits, 16, 32)
	}
	if len(s) > 1 && s[0] == '0' {
		return strconv.ParseUint(s, 8, 32)
	}
	return strconv.ParseUint(s, 10, 32)
}
