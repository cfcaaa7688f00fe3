package inventory

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/zclconf/go-cty/cty"

	"provision/internal/steps"
)

func fleet(t *testing.T) *Inventory {
	t.Helper()
	var hosts []*Host
	for i := range 4 {
		hosts = append(hosts, &Host{Name: fmt.Sprintf("web%d", i+1), Groups: []string{"web"}, Vars: cty.ObjectVal(map[string]cty.Value{"n": cty.NumberIntVal(int64(i))})})
	}
	hosts = append(hosts, &Host{Name: "db1", Groups: []string{"db", "prod"}}, &Host{Name: "web10", Groups: []string{"prod"}})
	inv, err := New(hosts, "empty")
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

func TestSelect(t *testing.T) {
	inv := fleet(t)
	for _, c := range []struct {
		patterns []string
		want     string // names, or "error: …"
	}{
		{nil, "web1 web2 web3 web4 db1 web10"},
		{[]string{"all"}, "web1 web2 web3 web4 db1 web10"},
		{[]string{"web1"}, "web1"},
		{[]string{"db,web2"}, "web2 db1"},
		{[]string{"db", "web2"}, "web2 db1"},
		{[]string{"web[1-3]"}, "web1 web2 web3"},
		{[]string{"web[2:3],db1"}, "web2 web3 db1"},
		{[]string{"web[13]"}, "web1 web3"},
		{[]string{"web*,!web10"}, "web1 web2 web3 web4"},
		{[]string{"!web"}, "db1 web10"},
		{[]string{"web", "!web[1-2]"}, "web3 web4"},
		{[]string{"!prod,web*"}, "web1 web2 web3 web4"},
		{[]string{" web1 , , db1 "}, "web1 db1"},
		{[]string{"empty"}, ""},
		{[]string{"p*d"}, "db1 web10"},
		{[]string{"wbe1"}, `error: no host and no group is named "wbe1"; did you mean "web1"?`},
		{[]string{"web1,zebra*"}, `error: no host and no group matches "zebra*"`},
		{[]string{"!nothere"}, `error: no host and no group is named "nothere"`},
		{[]string{"web[1"}, `error: "web[1": a bracket is not closed`},
		{[]string{"web[4-1]"}, `error: "web[4-1]": the range [4-1] runs backwards; write the smaller number first`},
		{[]string{"web[1-999999]"}, `error: "web[1-999999]" stands for more than 10000 names; split it`},
	} {
		hosts, err := inv.Select(c.patterns...)
		var names []string
		for _, h := range hosts {
			names = append(names, h.Name)
		}
		got := strings.Join(names, " ")
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != c.want {
			t.Errorf("Select(%q) = %s, want %s", c.patterns, got, c.want)
		}
	}
	_, err := inv.Select("wbe1")
	var unmatched *UnmatchedError
	if !errors.As(err, &unmatched) || unmatched.Pattern != "wbe1" || unmatched.Near != "web1" {
		t.Errorf("the error is %#v", err)
	}
}

func TestExpand(t *testing.T) {
	for in, want := range map[string]string{
		"a": "[a]", "web[01:03]": "[web01 web02 web03]", "r[1:2]n[08:10]": "[r1n08 r1n09 r1n10 r2n08 r2n09 r2n10]",
		"x[ab]": "[x[ab]]", "x[5:5]y": "[x5y]",
	} {
		got, err := Expand(in)
		if err != nil || fmt.Sprint(got) != want {
			t.Errorf("Expand(%q) = %v, %v; want %s", in, got, err, want)
		}
	}
	if _, err := Expand("a[1:2000]b[1:2000]"); err == nil {
		t.Error("four million names are expanded")
	}
}

func TestSandbox(t *testing.T) {
	box := fleet(t).Sandbox("box")
	if !box.Everywhere || fmt.Sprint(box.Groups) != "[db empty prod web]" || !box.Vars.GetAttr("n").RawEquals(cty.NumberIntVal(0)) {
		t.Errorf("%+v", box)
	}
}

func TestNewRefusesDuplicates(t *testing.T) {
	if _, err := New([]*Host{{Name: "a"}, {Name: "a"}}); err == nil {
		t.Error("two hosts have one name")
	}
}

func TestSettingsOver(t *testing.T) {
	yes, no := true, false
	secret := steps.Secret("x")
	base := Settings{User: "root", Port: 22, Jump: []string{"bastion"}, Become: &yes, Password: &secret, BecomeMethod: "sudo"}
	own := Settings{Port: 2222, Jump: []string{}, Become: &no}
	got := own.Over(base)
	if got.User != "root" || got.Port != 2222 || got.Jump == nil || len(got.Jump) != 0 || *got.Become || got.Password != &secret || got.BecomeMethod != "sudo" {
		t.Errorf("%+v", got)
	}
	if diff := cmp.Diff([]string{"bastion"}, (Settings{}).Over(base).Jump); diff != "" {
		t.Error(diff)
	}
}

func TestParseJSON(t *testing.T) {
	im, err := ParseJSON([]byte(`{"b": "192.0.2.1", "a": {"address": "192.0.2.2", "port": 2222, "user": "x", "groups": ["g"], "vars": {"k": [1, true]}}}`))
	if err != nil || len(im.Hosts) != 2 || im.Hosts[0].Name != "a" || im.Hosts[0].Settings.Port != 2222 || im.Hosts[1].Address != "192.0.2.1" {
		t.Errorf("%v, %+v", err, im)
	}
	for _, bad := range []string{``, `3`, `"x"`, `[3]`, `[""]`, `["a", "a"]`, `["-x"]`, `{"a": 3}`, `[{"name": "a", "port": 99999}]`, `[{"name": "a", "vars": [1]}]`, `[{"name": "a", "address": "-oX"}]`, `[{"name": "a", "groups": ["all"]}]`, `[{"address": "x"}]`} {
		if im, err := ParseJSON([]byte(bad)); err == nil {
			t.Errorf("%s gives %+v", bad, im)
		}
	}
}

func TestParseAnsible(t *testing.T) {
	im, err := ParseAnsible("a ansible_host=192.0.2.1 ansible_password='p w' x=1\n[g]\na y=\"two words\"\n[g:vars]\nansible_user = admin\n")
	if err != nil || len(im.Hosts) != 1 {
		t.Fatalf("%v, %+v", err, im)
	}
	h := im.Hosts[0]
	if err := h.TakeAnsible(); err != nil {
		t.Fatal(err)
	}
	if h.Address != "192.0.2.1" || h.Settings.Password.Reveal() != "p w" || h.Vars.Type().HasAttribute("ansible_password") ||
		h.Vars.GetAttr("y").AsString() != "two words" || im.Groups[0].Vars.GetAttr("ansible_user").AsString() != "admin" {
		t.Errorf("%+v %#v", h, h.Vars)
	}
	for bad, want := range map[string]string{
		"[web":          "line 1: ",
		"\n[web:no]":    "line 2: ",
		"a b":           "NAME=VALUE",
		"[x:vars]\nfoo": "NAME=VALUE",
		"a[3:1]":        "backwards",
		"-x":            "begins with",
		"a 'b=c":        "quote",
	} {
		if _, err := ParseAnsible(bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gives %v", bad, err)
		}
	}
}

func TestReadSSHConfig(t *testing.T) {
	dir := t.TempDir()
	text := "Host a b *.example !c\n Hostname x\nhost=d\nInclude extra none*\nMatch host x\nHost \"e\"\n"
	for name, text := range map[string]string{"config": text, "extra": "Host f a\nInclude config\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ReadSSHConfig(filepath.Join(dir, "config")); err == nil {
		t.Error("files that include each other are read for ever")
	}
	if err := os.WriteFile(filepath.Join(dir, "extra"), []byte("Host f a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	im, err := ReadSSHConfig(filepath.Join(dir, "config"))
	var names []string
	for _, h := range im.Hosts {
		names = append(names, h.Name)
	}
	if err != nil || fmt.Sprint(names) != "[a b d f e]" {
		t.Errorf("%v, %v", names, err)
	}
}

func FuzzParseAnsible(f *testing.F) {
	f.Add("[web]\nweb[1:2] a=1 b='x y' # c\n[web:vars]\nk=v\n[all:children]\nweb\n")
	f.Fuzz(func(t *testing.T, text string) {
		im, err := ParseAnsible(text)
		if err != nil {
			return
		}
		for _, h := range im.Hosts {
			_ = h.TakeAnsible()
		}
		if _, err := New(im.Hosts); err != nil {
			t.Error(err)
		}
	})
}

func FuzzParseJSON(f *testing.F) {
	f.Add([]byte(`["a", {"name": "b", "vars": {"x": null}}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if im, err := ParseJSON(data); err == nil {
			if _, err := New(im.Hosts); err != nil {
				t.Error(err)
			}
		}
	})
}

func FuzzSelect(f *testing.F) {
	f.Add("web[1-3],!db*")
	f.Fuzz(func(t *testing.T, pattern string) {
		hosts, err := fleet(t).Select(pattern)
		if err != nil && len(hosts) > 0 {
			t.Error("hosts and an error")
		}
	})
}
