package sshconfig

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestAgainstOpenSSH compares what generated files say with what `ssh -G` says of them. PROVISION_TEST_SSH names other ssh
// binaries, with colons between; -rapid.checks=N sets how many files are made. A failing case shrinks, and the flag that it
// prints replays it.
func TestAgainstOpenSSH(t *testing.T) {
	binaries := []string{"ssh"}
	if list := os.Getenv("PROVISION_TEST_SSH"); list != "" {
		binaries = strings.Split(list, ":")
	}
	for _, name := range binaries {
		binary, err := exec.LookPath(name)
		if err != nil {
			if os.Getenv("PROVISION_CI") == "1" {
				t.Fatal("there is no ssh to compare with")
			}
			t.Skip("NOT TESTED: there is no ssh to compare with: install openssh-client")
		}
		dir := t.TempDir()
		version, err := exec.Command(binary, "-V").CombinedOutput()
		if err != nil {
			t.Fatal(err)
		}
		modern := regexp.MustCompile(`OpenSSH_10\.([6-9]|\d\d)`).Match(version)
		t.Setenv("CONFIGS", dir)
		rapid.Check(t, func(t *rapid.T) { compare(t, dir, binary, modern) })
	}
}

func compare(t *rapid.T, dir, binary string, modern bool) {
	g := &generator{t: t, dir: dir, modern: modern}
	for _, name := range []string{"tok-web1", "tok-real"} {
		_ = os.Remove(filepath.Join(dir, name))
	}
	main := filepath.Join(dir, "config")
	text := g.file(0)
	write(t, main, text)
	name := g.pick("name", names())
	q := Query{Host: name, Command: "exec /bin/sh"}
	args := []string{"-G", "-F", main}
	if rapid.IntRange(0, 4).Draw(t, "user given") == 0 {
		q.User = "given"
		args = append(args, "-l", q.User)
	}
	if rapid.IntRange(0, 4).Draw(t, "port given") == 0 {
		q.Port = "4711"
		args = append(args, "-p", q.Port)
	}
	cmd := exec.CommandContext(t.Context(), binary, append(args, "--", name, q.Command)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, sshErr := cmd.Output()

	config, err := Load(main)
	var got *Settings
	if err == nil {
		got, err = config.Lookup(t.Context(), q)
	}
	if err == nil && got.Refused != "" {
		err = errors.New(got.Refused)
	}
	// On purpose: a keyword that is not known is passed over here, with a warning, a jump host that would go through itself is
	// reached directly, and a file that would be included for other hosts is not read.
	if s := stderr.String(); strings.Contains(s, "Bad configuration option") || strings.Contains(s, "jumphost loop") || sshErr != nil && err == nil && g.late {
		return
	}
	if (sshErr != nil) != (err != nil) {
		t.Fatalf("%s\nname %s\nssh: %v %s\nhere: %v", g.shown(text), name, sshErr, stderr.String(), err)
	}
	if err != nil {
		return
	}
	want := printed(out)
	for keyword, value := range want {
		if keyword == "controlpath" && jump(got) != "" && strings.Contains(got.Text(keyword), "%C") {
			continue // the sum has the jump host in it since OpenSSH 9.6
		}
		if have := ours(got, q, keyword); !slices.EqualFunc(have, value, sameWord) {
			t.Fatalf("%s\nname %s: %s\nssh:  %q\nhere: %q", g.shown(text), name, keyword, value, have)
		}
	}
}

// sameWord knows that ssh prints one meaning in several words.
func sameWord(a, b string) bool {
	plain := func(s string) string {
		switch s {
		case "true":
			return "yes"
		case "false", "off":
			return "no"
		}
		return s
	}
	return plain(a) == plain(b)
}

// compared are the keywords whose values are compared, with what ssh prints where a file says nothing; "-" is that it prints no
// line.
func compared() map[string]string {
	return map[string]string{
		"hostname": "", "user": "", "port": "22", "proxyjump": "-", "proxycommand": "-", "hostkeyalias": "-", "identityfile": "-",
		"certificatefile": "-", "identitiesonly": "no", "identityagent": "-", "connecttimeout": "none", "serveraliveinterval": "0",
		"serveralivecountmax": "3", "addressfamily": "any", "bindaddress": "-", "revokedhostkeys": "-", "knownhostscommand": "-",
		"pubkeyauthentication": "true", "preferredauthentications": "-", "stricthostkeychecking": "ask", "userknownhostsfile": "",
		"globalknownhostsfile": "", "passwordauthentication": "yes", "canonicalizehostname": "false", "controlpath": "-",
	}
}

// printed reads the output of ssh -G.
func printed(out []byte) map[string][]string {
	all := map[string][]string{}
	for keyword := range compared() {
		all[keyword] = nil
	}
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		keyword, value, _ := strings.Cut(lines.Text(), " ")
		if value == "none" && compared()[keyword] == "-" && keyword != "identityfile" && keyword != "identityagent" {
			continue // newer releases print this for what is not set
		}
		if _, yes := compared()[keyword]; yes && !(keyword == "identityfile" && strings.HasPrefix(value, "~/.ssh/id_")) {
			all[keyword] = append(all[keyword], value)
		}
	}
	return all
}

// ours brings what was read here to the form of ssh -G.
func ours(s *Settings, q Query, keyword string) []string {
	if keyword == "hostname" {
		return []string{s.Host}
	}
	values := s.All(keyword)
	if len(values) == 0 {
		switch keyword {
		case "user":
			return []string{localUser()}
		case "userknownhostsfile":
			home, _ := os.UserHomeDir()
			return []string{home + "/.ssh/known_hosts " + home + "/.ssh/known_hosts2"}
		case "globalknownhostsfile":
			return []string{"/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"}
		}
		if v := compared()[keyword]; v != "-" {
			return []string{v}
		}
		return nil
	}
	var all []string
	for _, v := range values {
		text := strings.Join(v.Words, " ")
		switch keyword {
		case "proxyjump", "proxycommand", "controlpath", "knownhostscommand", "identityagent":
			if keyword == "proxyjump" {
				text = strings.Join(append(slices.Clone(v.Words[:len(v.Words)-1]), printedHop(v.Words[len(v.Words)-1])), ",")
			}
			if strings.EqualFold(text, "none") && keyword != "identityagent" {
				continue
			}
		case "connecttimeout", "serveraliveinterval":
			if d, err := ParseTime(text); err == nil {
				text = fmt.Sprint(int(d.Seconds()))
			}
		}
		if keyword == "controlpath" || keyword == "user" && v.File != "" && strings.ContainsAny(text, "%$") || keyword == "identityagent" && strings.HasPrefix(text, "${") {
			expanded, err := Tokens{
				Name: q.Host, Host: s.Host, User: s.Text("user"), Key: s.Text("hostkeyalias"), Port: s.Text("port"), Jump: jump(s),
			}.Path(text)
			if err != nil {
				return []string{err.Error()}
			}
			text = expanded
		}
		all = append(all, text)
	}
	return all
}

// printedHop is how ssh prints the hop that it goes through last.
func printedHop(word string) string {
	hop, err := ParseHop(word)
	if err != nil {
		return err.Error()
	}
	text := hop.Host
	if strings.Contains(text, ":") {
		text = "[" + text + "]"
	}
	if n, err := net.LookupPort("tcp", hop.Port); err == nil && hop.Port != "" {
		text += ":" + strconv.Itoa(n)
	}
	if hop.User != "" {
		text = hop.User + "@" + text
	}
	return text
}

func jump(s *Settings) string {
	v, _ := s.First("proxyjump")
	return strings.Join(v.Words, ",")
}

func names() []string {
	return []string{"web1", "web2", "WEB1", "db", "db.example.test", "10.0.0.1", "127.1", "::1", "fe80::0:1", "a.b.c.d", "x"}
}

// A generator writes files that stress what ssh_config can say.
type generator struct {
	t     *rapid.T
	dir   string
	files map[string]string
	n     int

	late   bool // an Include has tokens
	modern bool // what OpenSSH 10.6 knows and older releases do not is drawn, too
}

func write(t *rapid.T, path, text string) {
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (g *generator) shown(main string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n--- config\n%s", main)
	for name, text := range g.files {
		fmt.Fprintf(&b, "--- %s\n%s", name, text)
	}
	return b.String()
}

func (g *generator) pick(label string, from []string) string {
	return rapid.SampledFrom(from).Draw(g.t, label)
}

func (g *generator) chance(label string, of int) bool {
	return rapid.IntRange(0, of-1).Draw(g.t, label) == 0
}

func (g *generator) file(depth int) string {
	var b strings.Builder
	for range rapid.IntRange(0, 9).Draw(g.t, "lines") {
		b.WriteString(g.line(depth))
		b.WriteString(g.pick("end", []string{"\n", "\n", "\n", " \n", "\t\n", "\r\n"}))
	}
	return b.String()
}

func (g *generator) line(depth int) string {
	switch rapid.IntRange(0, 9).Draw(g.t, "kind") {
	case 0, 1:
		return g.spell("Host") + " " + strings.Join(g.some("patterns", hostPatterns()), " ") + g.comment()
	case 2:
		return g.spell("Match") + " " + g.criteria() + g.pick("comment", []string{"", " # note"})
	case 3:
		if depth < 2 {
			g.n++
			name, pattern := filepath.Join(g.dir, fmt.Sprintf("inc%d", g.n)), ""
			if g.modern && g.chance("tokens", 3) {
				name = filepath.Join(g.dir, g.pick("file", []string{"tok-web1", "tok-real"}))
				pattern = g.pick("pattern", []string{g.dir + "/tok-%h", "${CONFIGS}/tok-%n", "${CONFIGS}/tok-*", "${NOT_SET}/x", g.dir + "/tok-%%h"})
			}
			text := g.file(depth + 1)
			write(g.t, name, text)
			if g.files == nil {
				g.files = map[string]string{}
			}
			g.files[name] = text
			g.late = g.late || pattern != ""
			return g.spell("Include") + " " + cmp.Or(pattern, name)
		}
	case 4:
		return g.pick("odd", []string{"", "# comment", "  ", "\t# x", "IgnoreUnknown foo*", "foobar yes", "User", "Port 22 23", "Ciphers +aes128-cbc"})
	}
	all := settable()
	if g.modern {
		for keyword, values := range modernSettings() {
			all[keyword] = append(all[keyword], values...)
		}
	}
	keyword := g.pick("keyword", slices.Sorted(maps(all)))
	value := g.pick("value", all[keyword])
	if keyword == "ProxyJump" && strings.EqualFold(value, "none") {
		return "ProxyJump " + value // with a comment behind it, ssh takes none for the name of a host
	}
	spelled := g.spell(keyword)
	if spelled[0] == '"' {
		return spelled + " " + value + g.comment() // older releases take no = behind a quote
	}
	return g.pick("indent", []string{"", "  ", "\t"}) + spelled + g.pick("separator", []string{" ", "  ", "=", " = ", "\t", "= "}) + value + g.comment()
}

func maps(m map[string][]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func (g *generator) comment() string {
	return g.pick("comment", []string{"", "", "", "", " # note", "#stuck"})
}

func (g *generator) spell(keyword string) string {
	switch rapid.IntRange(0, 5).Draw(g.t, "spelling") {
	case 0:
		return strings.ToUpper(keyword)
	case 1:
		return strings.ToLower(keyword)
	case 2:
		if keyword != "Host" && keyword != "Match" && keyword != "Include" {
			return `"` + keyword + `"`
		}
	}
	return keyword
}

func (g *generator) some(label string, from []string) []string {
	return rapid.SliceOfN(rapid.SampledFrom(from), 1, 3).Draw(g.t, label)
}

func hostPatterns() []string {
	return []string{"*", "web1", "web?", "WEB1", "!web2", "*.example.test", `"db"`, "web1,db", "10.0.*", "!*1", "127.*", "'x'", "::1", "**", "d*"}
}

func (g *generator) criteria() string {
	var all []string
	for range rapid.IntRange(1, 3).Draw(g.t, "criteria") {
		criteria := []string{"all", "canonical", "final", "host", "host", "originalhost", "user", "localuser", "exec"}
		if g.modern {
			criteria = append(criteria, slices.Sorted(maps(modernCriteria()))...)
		}
		c := g.pick("criterion", criteria)
		not := ""
		if c != "final" && g.chance("not", 4) { // older releases take a second pass for !final, too
			not = "!"
		}
		arg := ""
		if arguments := modernCriteria()[c]; arguments != nil {
			arg = " "
			if c != "sessiontype" { // which ssh 10.6 alone takes no = for
				arg = g.pick("between", []string{" ", "="})
			}
			arg += g.pick("argument", arguments)
		}
		switch c {
		case "host", "originalhost":
			arg = " " + g.pick("host", []string{"web1", "web*,!web2", "*", "!web1,*", "WEB?", "*.example.test", `"db"`, "10.*", "127.0.0.1", "real", "h-web1"})
		case "user", "localuser":
			arg = " " + g.pick("user", []string{"root", "given", "deploy,root", "!root,*", "*", "DEPLOY"})
		case "exec":
			arg = " " + g.pick("exec", []string{`"true"`, `"false"`, "true", `"test %h = real"`, `"test %n = web1 -a %p = 22"`, `"test %r = root"`, `"test %k = web1"`})
		}
		all = append(all, not+g.pick("case", []string{c, c, strings.ToUpper(c)})+arg)
	}
	return strings.Join(all, " ")
}

// settable are keywords with values, some of which ssh refuses.
func settable() map[string][]string {
	return map[string][]string{
		"HostName": {"real", "h-%h", "REAL.example.test", `"real"`, "10.9.8.7", "0x7f.1", "::0001", "%%x", "a b", "%h.%h"},
		"User":     {"deploy", `"two words"`, "Deploy", "'q'", "a\\b"},
		"Port":     {"2222", "22", "ssh", "0", "70000", "x", `"23"`},
		"ProxyJump": {
			"gw", "me@gw:23", "a,b", "none", "NONE", "[::1]:22", "ssh://u@gw:24", "gw-%n", "%r@gw", "gw#x", "gw # y", "gw,", "@gw",
			"gw:1:2", "a,me@gw:1:2", "::1", "me@fe80::1", "gw:", "ssh://gw:", "ssh://gw:1:2", "gw:+23", "gw:0x17", "gw/23", "ssh://gw/x", "[gw]:23", "[gw", "[gw]x:23", "ssh://[::1]:24", ":23",
		},
		"ProxyCommand":             {"nc %h %p", "none", "NONE", `"/a b" %h # x`, "=nc", "nc  'x'"},
		"HostKeyAlias":             {"alias", "ALIAS", `"two words"`},
		"IdentityFile":             {"/k/one", "/k/two", "/k/%h_%r", `"/k/a b"`, "none", "/k/${HOME}", "/k/#x", `/k/a\ b`, `/k/"x"y`},
		"CertificateFile":          {"/c/one", "/c/two", `"/c/a b"`},
		"IdentitiesOnly":           {"yes", "no", "YES", "true", "maybe"},
		"IdentityAgent":            {"none", "SSH_AUTH_SOCK", "/run/agent", "$AGENT", "${HOME}/agent"},
		"ConnectTimeout":           {"5", "0", "none", "1m", "1h30", "x", "1m5s"},
		"ServerAliveInterval":      {"5", "1m", "0"},
		"ServerAliveCountMax":      {"5", "0", "x"},
		"AddressFamily":            {"inet", "inet6", "any", "INET", "ipv4"},
		"BindAddress":              {"127.0.0.1", "::1"},
		"RevokedHostKeys":          {"/r/keys", `"/r/a b"`},
		"KnownHostsCommand":        {"/bin/known %H", "none"},
		"PubkeyAuthentication":     {"no", "yes", "unbound", "host-bound", "x"},
		"PreferredAuthentications": {"publickey", "publickey,password"},
		"StrictHostKeyChecking":    {"yes", "no", "accept-new", "ask", "off", "x"},
		"UserKnownHostsFile":       {"/h/one", `/h/one "/h/a b"`, "none", "/h/one none", "none /h/one", `""`},
		"GlobalKnownHostsFile":     {"/g/one /g/two", "none"},
		"PasswordAuthentication":   {"no", "yes"},
		"CanonicalizeHostname":     {"yes", "no", "always"},
		"ControlPath":              {"/s/%C", "/s/%h-%n-%p-%r-%k", "/s/%l-%L", "none", "/s/%i%u"},
	}
}

// modernSettings and modernCriteria are what OpenSSH 10.6 takes and some release before it does not.
func modernSettings() map[string][]string {
	return map[string][]string{
		"User":             {"${HOME}", "u-%h", "%n%%", "%u-%p-%k"},
		"Tag":              {"blue", "red", `""`},
		"SessionType":      {"none", "default", "subsystem"},
		"RefuseConnection": {"gone", `"gone away"`},
		"RequiredRSASize":  {"2048", "x"},
	}
}

func modernCriteria() map[string][]string {
	return map[string][]string{
		"tagged":       {"blue", "red,blue", "*", `""`, "!red,*"},
		"version":      {"OpenSSH_10*", "OpenSSH_9*", `""`},
		"sessiontype":  {"exec", "shell,none", "*", "subsystem"},
		"command":      {`"exec *"`, `"exec /bin/sh"`, "x*", `""`, "*"},
		"localnetwork": {"127.0.0.0/8", "192.0.2.0/24,::1", "192.0.2.0/24", "127.0.0.1/32", "127.0.0.1/8", "::1/129", "127.0.0.1,"},
	}
}
