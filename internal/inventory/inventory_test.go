package inventory

import (
	"errors"
	"fmt"
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
		{[]string{"web[1:4:2]"}, "web1 web3"},
		{[]string{"[d:e]b1"}, "db1"},
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
		"x[ab]": "[x[ab]]", "x[5:5]y": "[x5y]", "x[a-c]": "[x[a-c]]",
		"n[1:10:4]": "[n1 n5 n9]", "db[a:c]": "[dba dbb dbc]", "[a:e:2]": "[a c e]", "r[0:1][Y:Z]": "[r0Y r0Z r1Y r1Z]",
	} {
		got, err := Expand(in)
		if err != nil || fmt.Sprint(got) != want {
			t.Errorf("Expand(%q) = %v, %v; want %s", in, got, err, want)
		}
	}
	for _, bad := range []string{"a[1:2000]b[1:2000]", "a[c:a]", "a[A:z]", "a[1:9:0]", "a[1:9:x]", "a[1:99999999999]", "a[1"} {
		if names, err := Expand(bad); err == nil {
			t.Errorf("%s stands for %d names", bad, len(names))
		}
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
