package inventory

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// dump prints what was imported: a line a host with its own variables and their lines, then the groups.
func dump(im *Imported) string {
	var out strings.Builder
	for _, h := range im.Hosts {
		fmt.Fprintf(&out, "%s%s\n", h.Name, dumpVars(im.Vars[h.Name]))
	}
	for _, g := range im.Groups {
		fmt.Fprintf(&out, "[%s] hosts=%v children=%v%s%s\n", g.Name, g.Hosts, g.Children, dumpVars(g.Vars), dumpVars(g.Files))
	}
	for _, w := range im.Warnings {
		fmt.Fprintf(&out, "warning: %s\n", w)
	}
	return out.String()
}

func dumpVars(vars Vars) string {
	all := &Host{}
	all.SetVars(vars)
	var out strings.Builder
	for it := all.Vars.ElementIterator(); it.Next(); {
		name, v := it.Element()
		data, err := ctyjson.Marshal(v, v.Type())
		if err != nil {
			data = []byte(err.Error())
		}
		from := all.From[name.AsString()]
		fmt.Fprintf(&out, " %s=%s@%s", name.AsString(), data, from)
	}
	return out.String()
}

func TestParseJSON(t *testing.T) {
	im, err := ParseJSON([]byte(`{"b": "192.0.2.1", "a": {"address": "192.0.2.2", "port": 2222, "user": "x", "groups": ["g"], "vars": {"k": [1, true]}}}`))
	if err != nil || len(im.Hosts) != 2 || im.Hosts[0].Name != "a" || im.Hosts[0].Settings.Port != 2222 || im.Hosts[1].Address != "192.0.2.1" || im.Ansible {
		t.Errorf("%v, %+v", err, im)
	}
	for _, bad := range []string{``, `3`, `"x"`, `[3]`, `[""]`, `["a", "a"]`, `["-x"]`, `{"a": 3}`, `[{"name": "a", "port": 99999}]`, `[{"name": "a", "vars": [1]}]`, `[{"name": "a", "address": "-oX"}]`, `[{"name": "a", "user": "-oX"}]`, `[{"name": "a", "groups": ["all"]}]`, `[{"address": "x"}]`, `["a"`} {
		if im, err := ParseJSON([]byte(bad)); err == nil {
			t.Errorf("%s gives %+v", bad, im)
		}
	}
}

func TestParseDynamic(t *testing.T) {
	im, err := ParseJSON([]byte(`{
  "web": {"hosts": ["w2", "w1"], "vars": {"workers": 4}},
  "db": ["d1"],
  "prod": {"children": ["web", "db"]},
  "all": {"vars": {"ntp": "pool"}},
  "_meta": {"hostvars": {"w1": {"ansible_host": "192.0.2.1"}, "gone": {"x": 1}}}
}`))
	want := `w2
w1 ansible_host="192.0.2.1"@
d1
[web] hosts=[w2 w1] children=[] workers=4@group web
[db] hosts=[d1] children=[]
[prod] hosts=[] children=[web db]
[all] hosts=[] children=[] ntp="pool"@group all
`
	if err != nil || !im.Ansible || !im.HasMeta {
		t.Fatalf("%v, %+v", err, im)
	}
	if diff := cmp.Diff(want, dump(im)); diff != "" {
		t.Error(diff)
	}
	for bad, want := range map[string]string{
		`{"web": {"hosts": "w1"}, "all": {}}`:                        `the group "web": it must be a list of hosts`,
		`{"web": {"hosts": ["-w"]}, "all": {}}`:                      `begins with`,
		`{"all": {}, "_meta": []}`:                                   `_meta must be an object`,
		`{"all": {"vars": ["x"]}}`:                                   `vars must be an object`,
		`{"web": {"hosts": []}, "a b": ["x"]}`:                       `the group "a b"`,
		`{"all": {"hosts": ["a"]}, "_meta": {"hostvars": {"a": 3}}}`: `the host "a": vars must be an object`,
	} {
		if _, err := ParseJSON([]byte(bad)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v", bad, err)
		}
	}
	im, err = ParseJSON([]byte(`{"web1": {"vars": {"x": 1}}, "web2": {"address": "192.0.2.2"}}`))
	if err != nil || im.Ansible || len(im.Hosts) != 2 {
		t.Errorf("an object of hosts is taken for groups: %v, %s", err, dump(im))
	}
}

// writeFiles makes a directory with files, their contents by their paths.
func writeFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestKeep(t *testing.T) {
	im, err := ParseAnsible("h", "localhost\n[web]\nw1\nw2\n[site:children]\nweb\n")
	if err != nil || im.Keep("site", "!w2") != nil || dump(im) != "w1\n[web] hosts=[w1] children=[]\n[site] hosts=[] children=[web]\n" {
		t.Errorf("%v\n%s", err, dump(im))
	}
	if err := im.Keep("nothere"); err == nil {
		t.Error("a pattern that matches nothing is accepted")
	}
}

func TestReadSSHConfig(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"config": "Host a b *.example !c\n Hostname x\nhost=d\nInclude extra none*\nMatch host x\nHost \"e\"\n",
		"extra":  "Host f a\nInclude config\n",
	})
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
