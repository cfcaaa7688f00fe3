package sshconfig

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func load1(t *testing.T, text string) *Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What older releases of ssh do not know, or where they would have to ask a name server, is pinned here.
func TestCriteriaOfNewReleases(t *testing.T) {
	for criteria, want := range map[string]bool{
		"sessiontype exec": true, "sessiontype shell": false, `command "exec *"`: true, `!command "exec *"`: false,
		"localnetwork 127.0.0.0/8": true, "localnetwork 192.0.2.0/24,::1": true, "!localnetwork 127.0.0.1": false,
		"tagged blue": true, "tagged red": false, "version OpenSSH_10.*": true, "host=x": true, "host = x": true,
	} {
		c := load1(t, "Tag blue\nMatch "+criteria+"\n User matched\n")
		s, err := c.Lookup(t.Context(), Query{Host: "x", Command: "exec /bin/sh"})
		if err != nil || (s.Text("user") == "matched") != want {
			t.Errorf("%s: user %q, error %v", criteria, s.Text("user"), err)
		}
	}
}

// As ssh 10.6 does for `ssh -W` (a jump host), and with the setting SessionType.
func TestTypesOfSessions(t *testing.T) {
	for _, c := range []struct {
		text  string
		query Query
		want  bool
	}{
		{"Match sessiontype none", Query{NoSession: true}, true},
		{"Match sessiontype exec,shell", Query{NoSession: true}, false},
		{"Match sessiontype shell", Query{}, true},
		{"Match command *", Query{}, false},
		{"Match command \"\"", Query{}, true},
		{"Match !command x*", Query{}, true},
		{"SessionType none\nMatch sessiontype none", Query{Command: "x"}, true},
		{"SessionType subsystem\nMatch sessiontype exec", Query{Command: "x"}, false},
		{"SessionType Default\nMatch sessiontype exec", Query{Command: "x"}, true},
	} {
		c.query.Host = "h"
		s, err := load1(t, c.text+"\n User matched\n").Lookup(t.Context(), c.query)
		if err != nil || (s.Text("user") == "matched") != c.want {
			t.Errorf("%s, %+v: user %q, error %v", c.text, c.query, s.Text("user"), err)
		}
	}
}

// What is not set is matched by the empty argument alone; elsewhere ssh refuses that.
func TestEmptyArgumentsOfMatch(t *testing.T) {
	for criteria, want := range map[string]string{
		`tagged ""`: "matched", "tagged *": "", `!tagged ""`: "", `tagged !x,*`: "", `user "",*`: "matched",
		`user ""`: "empty", `host ""`: "empty", `exec ""`: "empty", `sessiontype ""`: "empty", `version=""`: "empty",
	} {
		file := filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(file, []byte("Match "+criteria+"\n User matched\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Load(file)
		if err != nil {
			if !strings.Contains(err.Error(), want) || want == "" {
				t.Errorf("%s: %v", criteria, err)
			}
			continue
		}
		if s, err := c.Lookup(t.Context(), Query{Host: "h", Command: "x"}); err != nil || s.Text("user") != want {
			t.Errorf("%s: user %q, error %v", criteria, s.Text("user"), err)
		}
	}
}

// Since OpenSSH 10, Include takes tokens and variables: what is included depends on the host.
func TestIncludeWithTokens(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("CONFIGS", dir)
	for name, text := range map[string]string{
		"web1": "User of-web1\n", "real": "User of-real\nMatch final host real\n Port 77\n", "bad": "Port x\n", "odd": "Frobnicate yes\nUser of-odd\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ text, host, user, port, wrong, note string }{
		{"Include ${CONFIGS}/%n", "web1", "of-web1", "", "", ""},
		{"Include ${CONFIGS}/%n", "web2", "", "", "", ""},
		{"HostName real\nInclude " + dir + "/%h", "web1", "of-real", "77", "", ""},
		{"Include ${CONFIGS}/%n", "bad", "", "", "bad:1", ""},
		{"Include ${CONFIGS}/%n", "odd", "of-odd", "", "", "frobnicate"},
		{"Include ${CONFIGS}/%z", "web1", "", "", "config:1", ""},
		{"Include ${NOT_SET_ANYWHERE}/%n", "web1", "", "", "", "NOT_SET_ANYWHERE"},
		{"Host other\n Include ${CONFIGS}/%z\n", "web1", "", "", "", ""},
		{"Include ${CONFIGS}/[wx]*[0-9]\nInclude ${CONFIGS}/web%%", "web1", "of-web1", "", "", ""},
	} {
		config := load1(t, c.text+"\n")
		for range 2 {
			s, err := config.Lookup(t.Context(), Query{Host: c.host, Command: "x"})
			switch {
			case c.wrong != "" || err != nil:
				if err == nil || c.wrong == "" || !strings.Contains(err.Error(), c.wrong) {
					t.Errorf("%s: error %v", c.text, err)
				}
			case s.Text("user") != c.user || s.Text("port") != c.port || !strings.Contains(strings.Join(s.Notes, "\n"), c.note) || c.note == "" && len(s.Notes) > 0:
				t.Errorf("%s: user %q, port %q, notes %q", c.text, s.Text("user"), s.Text("port"), s.Notes)
			}
		}
	}
}

// What a file says of unknown keywords counts as ssh lets it: the first line for everyone, and lines of the block itself.
func TestIgnoreUnknown(t *testing.T) {
	for text, warned := range map[string]bool{
		"IgnoreUnknown FooBar\nfoobar yes\n":                          false,
		"IgnoreUnknown Foo*\nFooBar yes\nFOOBAR x\n":                  false,
		"IgnoreUnknown Foo*\nIgnoreUnknown Bar*\nBarBar yes\n":        true,
		"Host *\nIgnoreUnknown Foo*\nHost x\nFooBar yes\n":            false,
		"Match all\nIgnoreUnknown Foo*\nHost x\nFooBar yes\n":         false,
		"Host zzz\nIgnoreUnknown Foo*\nFooBar yes\n":                  false,
		"Host zzz\nIgnoreUnknown Foo*\nHost *\nFooBar yes\n":          true,
		"FooBar yes\nIgnoreUnknown Foo*\n":                            true,
		"UseKeychain yes\n":                                           runtime.GOOS != "darwin",
		"IgnoreUnknown UseKeychain,AddKeysToAgent\nUseKeychain yes\n": false,
	} {
		if c := load1(t, text); len(c.Warnings) > 0 != warned {
			t.Errorf("%q: warnings %q", text, c.Warnings)
		}
	}
}

// A keyword that is another name of one is that here, too.
func TestOtherNamesOfKeywords(t *testing.T) {
	if _, err := exec.LookPath("ssh"); err != nil {
		if os.Getenv("PROVISION_CI") == "1" {
			t.Fatal("there is no ssh to compare with")
		}
		t.Skip("NOT TESTED: there is no ssh to compare with: install openssh-client")
	}
	settings := func(options ...string) []string {
		out, err := exec.Command("ssh", slices.Concat([]string{"-F", "/dev/null"}, options, []string{"-G", "h"})...).Output()
		if err != nil {
			return nil // the keyword takes another value, or is unknown to this ssh
		}
		return strings.Split(string(out), "\n")
	}
	usual := settings()
	// What these change beside their own setting.
	besides := []string{"batchmode", "userknownhostsfile", "verifyhostkeydns", "setuptimeout"}
	for keyword, kind := range keywords {
		if kind == isHost || kind == isMatch || kind == isInclude || slices.Contains(besides, keyword) {
			continue
		}
		for _, value := range []string{"no", "77", "ssh-rsa"} {
			for _, line := range settings("-o", keyword+"="+value) {
				name, _, _ := strings.Cut(line, " ")
				if !slices.Contains(usual, line) && name != canonical(keyword) {
					t.Errorf("%s %s sets %q", keyword, value, line)
				}
			}
		}
	}
}

// docs/ssh.md says of each keyword of ssh_config whether it is heeded.
func TestEachKeywordIsInTheDocument(t *testing.T) {
	text, err := os.ReadFile("../../../docs/ssh.md")
	if err != nil {
		t.Fatal(err)
	}
	words := strings.FieldsFunc(strings.ToLower(string(text)), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
	for keyword, kind := range keywords {
		if kind != isIgnored && !slices.Contains(words, canonical(keyword)) {
			t.Errorf("docs/ssh.md does not say what becomes of %s", keyword)
		}
	}
}

// ssh reads a directory as an empty file, and goes on without its own files where they cannot be read.
func TestWhatCannotBeRead(t *testing.T) {
	home := t.TempDir()
	config := filepath.Join(home, ".ssh/config")
	if err := errors.Join(os.MkdirAll(filepath.Join(home, ".ssh/parts"), 0o700), os.WriteFile(config, []byte("Include parts\nInclude par*\nUser x\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", home)
	read := func() (*Config, string) {
		t.Helper()
		c, err := LoadUser()
		if err != nil {
			t.Fatal(err)
		}
		s, err := c.Lookup(t.Context(), Query{Host: "h"})
		if err != nil {
			t.Fatal(err)
		}
		return c, s.Text("user")
	}
	if c, user := read(); user != "x" || len(c.Warnings) > 0 {
		t.Errorf("user %q, warnings %q", user, c.Warnings)
	}
	if err := errors.Join(os.Remove(config), os.Symlink("config", config)); err != nil { // nobody, not even root, opens this one
		t.Fatal(err)
	}
	if c, user := read(); user != "" || len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], config) {
		t.Errorf("user %q, warnings %q", user, c.Warnings)
	}
	if err := errors.Join(os.Remove(config), os.Mkdir(config, 0o700)); err != nil {
		t.Fatal(err)
	}
	read()
}

func TestRefuseConnection(t *testing.T) {
	c := load1(t, "Host old*\n RefuseConnection \"%h is gone\"\n")
	if s, err := c.Lookup(t.Context(), Query{Host: "old1"}); err != nil || !strings.HasSuffix(s.Refused, "config:2: RefuseConnection: %h is gone") {
		t.Errorf("%q, error %v", s.Refused, err)
	}
	if s, err := c.Lookup(t.Context(), Query{Host: "new1"}); err != nil || s.Refused != "" {
		t.Errorf("%q, error %v", s.Refused, err)
	}
}

func TestCanonicalizeHostname(t *testing.T) {
	resolve := func(_ context.Context, name string) (string, error) {
		switch name {
		case "web1.example.test.":
			return "front.example.test.", nil
		case "db.second.test.", "full.example.test.":
			return name, nil
		case "short": // as /etc/hosts says it
			return "web1.example.test", nil
		}
		return "", errors.New("no such host")
	}
	base := "CanonicalizeHostname yes\nCanonicalDomains example.test second.test\n"
	for _, c := range []struct{ text, host, want, user string }{
		{base, "web1", "web1.example.test", "inside"},
		{base + "CanonicalizePermittedCNAMEs *.example.test:*.example.test\n", "web1", "front.example.test", "inside"},
		{base + "CanonicalizePermittedCNAMEs *.example.test:*.other.test\n", "web1", "web1.example.test", "inside"},
		{base, "DB", "db.second.test", ""},
		{base, "full.example.test.", "full.example.test", "inside"},
		{base, "a.b.c", "a.b.c", ""},
		{base + "CanonicalizeMaxDots 0\n", "db.second", "db.second", ""},
		{base, "unknown", "unknown", ""},
		{base + "ProxyJump gw\n", "web1", "web1", ""},
		{strings.Replace(base, "yes", "always", 1) + "ProxyJump gw\n", "web1", "web1.example.test", "inside"},
		{base, "10.0.0.1", "10.0.0.1", ""},
		// A name as it stands is resolved where its CNAME may be followed, also without CanonicalizeHostname.
		{base + "CanonicalizePermittedCNAMEs *:*\n", "short", "web1.example.test", "inside"},
		{"CanonicalizePermittedCNAMEs *:*.example.test\n", "short", "web1.example.test", ""},
		{"CanonicalizePermittedCNAMEs none\n", "short", "short", ""},
		{base + "CanonicalizePermittedCNAMEs *:*\nProxyJump gw\n", "short", "short", ""},
	} {
		s, err := load1(t, c.text+"Host *.example.test\n User inside\n").Lookup(t.Context(), Query{Host: c.host, Resolve: resolve})
		if err != nil || s.Host != c.want || s.Text("user") != c.user {
			t.Errorf("%s%s: host %q, user %q, error %v", c.text, c.host, s.Host, s.Text("user"), err)
		}
	}
	_, err := load1(t, base+"CanonicalizeFallbackLocal no\n").Lookup(t.Context(), Query{Host: "unknown", Resolve: resolve})
	if err == nil || !strings.Contains(err.Error(), "CanonicalDomains") {
		t.Errorf("error %v", err)
	}
}

func TestFilesThatOthersMayWriteToAreRefused(t *testing.T) {
	dir := t.TempDir()
	included := filepath.Join(dir, "included")
	if err := os.WriteFile(included, []byte("User x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	main := filepath.Join(dir, "config")
	if err := os.WriteFile(main, []byte("Include "+dir+"/inc*\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(main)
	if err != nil {
		t.Fatal(err)
	}
	if s, _ := c.Lookup(t.Context(), Query{Host: "a"}); s.Text("user") != "x" {
		t.Errorf("user %q", s.Text("user"))
	}
	if err := os.Chmod(included, 0o622); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(main); err == nil || !strings.Contains(err.Error(), "chmod") || !strings.Contains(err.Error(), main+":1") {
		t.Errorf("error %v", err)
	}
}

func TestIncludesThatNameEachOtherEnd(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte("Include "+file+"\nUser x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file); err == nil || !strings.Contains(err.Error(), "deeper") {
		t.Errorf("error %v", err)
	}
}

// A file may include itself by a pattern with tokens, which is known only while a host is looked up.
func TestIncludesOfAHostThatNameEachOtherEnd(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "web1")
	if err := os.WriteFile(file, []byte("Include "+dir+"/%n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Lookup(t.Context(), Query{Host: "web1"}); err == nil || !strings.Contains(err.Error(), "deeper") {
		t.Errorf("error %v", err)
	}
	if _, err := c.Lookup(t.Context(), Query{Host: "other"}); err != nil {
		t.Error(err)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("Host a b*\n HostName %h%%\n Port 22\n IdentityFile ~/${X}\n", "a")
	f.Add("ProxyJump a,b@c:1,ssh://[::1]:22/\nMatch host=x user y\n", "b")
	f.Add("ConnectTimeout 1h2m\nUserKnownHostsFile \"a b\" c\n\"User\" = x", "x")
	f.Fuzz(func(t *testing.T, text, name string) {
		if strings.Contains(strings.ToLower(text), "include") || strings.Contains(strings.ToLower(text), "exec") || strings.Contains(strings.ToLower(text), "canonical") {
			t.Skip("reads other files, runs commands, or asks a name server")
		}
		file := filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if c, err := Load(file); err == nil {
			_, _ = c.Lookup(t.Context(), Query{Host: name})
		}
	})
}

// A word that no release of OpenSSH will ever know is a mistake, as to ssh: the Host line that it hides would be lost.
func TestKeywordsWithForeignCharacters(t *testing.T) {
	for text, want := range map[string]string{
		"\xef\xbb\xbfHost a\n Port 1\n":        ":1: the file begins with a byte order mark",
		"\xef\xbb\xbf# a\nHost a\n":            ":1: the file begins with a byte order mark",
		"\xef\xbb\xbf\nHost a\n":               ":1: the file begins with a byte order mark",
		"\xff\xfeH\x00o\x00s\x00t\x00 \x00a":   ":1: the file begins with a byte order mark",
		"Host a\n\u00a0Port 1\n":               `:2: the keyword "\u00a0Port"`,
		"Host a\nP\x00ort 1\n":                 `:2: the keyword "P\x00ort"`,
		"IgnoreUnknown *ü*\nHost a\n Über 1\n": "",
	} {
		file := filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(file)
		if (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), file+want) {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
		if ssh, err := exec.LookPath("ssh"); err == nil && want != "" {
			if out, err := exec.Command(ssh, "-G", "-F", file, "a").CombinedOutput(); err == nil {
				t.Errorf("%q: ssh takes it: %s", text, out)
			}
		}
	}
}

// Ways to write a jump host that ssh does not take (misc.c, parse_user_host_port and parse_uri).
func TestHopsThatSSHRefuses(t *testing.T) {
	for hop, fine := range map[string]bool{
		"a:1:2": false, "u@a:1:2": false, "b,a:1:2": false, "::1": false, "u@fe80::1%eth0": false, "ssh://[::1]:3": false, "ssh://gw-%n": false, "a/22": false,
		"[::1]": true, "[::1]:22": true, "a:": true, "a:+1": true, "a:ssh": true, "ssh://u@a:": true, "a[b]": true,
	} {
		file := filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(file, []byte("Host h\n ProxyJump "+hop+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(file); (err == nil) != fine {
			t.Errorf("%s: error %v", hop, err)
		}
	}
	// A playbook may name an address without brackets; more colons make no name.
	for hop, fine := range map[string]bool{"::1": true, "u@fe80::1%eth0": true, "a:1:2": false} {
		if _, err := ParseHop(hop); (err == nil) != fine {
			t.Errorf("%s: error %v", hop, err)
		}
	}
}
