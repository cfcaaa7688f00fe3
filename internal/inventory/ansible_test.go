package inventory

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseAnsible(t *testing.T) {
	im, err := ParseAnsible("hosts", `
a ansible_host=192.0.2.1 ansible_password='p w' x=1 list="['u', \"v\", 3]"
[g]
a y="two words"
web[01:02]:2200 off=False
[2001:db8::1]:22
[g:vars]
ansible_user = admin
map = {'k': [1, 2]}
motd = {{ greeting }}
[ungrouped:vars]
alone = true
[all]
z
`)
	want := `a ansible_host="192.0.2.1"@hosts:2 ansible_password="p w"@hosts:2 list=["u","v",3]@hosts:2 x=1@hosts:2 y="two words"@hosts:4
web01 ansible_port=2200@hosts:5 off=false@hosts:5
web02 ansible_port=2200@hosts:5 off=false@hosts:5
2001:db8::1 ansible_port=22@hosts:6
z
[g] hosts=[a web01 web02 2001:db8::1] children=[] ansible_user="admin"@group g, hosts:8 map={"k":[1,2]}@group g, hosts:9 motd="{{ greeting }}"@group g, hosts:10
[ungrouped] hosts=[z] children=[] alone=true@group ungrouped, hosts:12
warning: templates of Ansible stay text as they are written, nothing is filled in: motd (group g, hosts:10); if a step uses one, set it as a variable of a host or group block
`
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, dump(im)); diff != "" {
		t.Error(diff)
	}
	for bad, want := range map[string]string{
		"[web":          "hosts, line 1: ",
		"\n[web:no]":    "hosts, line 2: ",
		"a b":           "NAME=VALUE",
		"[x:vars]\nfoo": "NAME=VALUE",
		"a[3:1]":        "backwards",
		"a:99999":       "no port",
		"-x":            "begins with",
		"a 'b=c":        "quote",
	} {
		if _, err := ParseAnsible("hosts", bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gives %v", bad, err)
		}
	}
}

func TestParseAnsibleYAML(t *testing.T) {
	im, err := ParseAnsibleYAML("h.yml", []byte(`---
all:
  vars: {ntp: pool, debug: no, mode: 0644, ratio: 1.5, day: 2024-01-02, none: ~}
  children:
    site:
      children:
        web:
          hosts:
            web[01:02]:
              ansible_port: 2222
              <<: &common {workers: 4, tls: yes}
            web09: {<<: *common, workers: 8, quoted: "yes"}
          vars:
            motd: "{{ greeting }} all"
            nested:
              - {k: "{{ x }}"}
        db: {hosts: db1}
    empty:
  hosts:
    lonely:
ungrouped:
  hosts:
    rest:
`))
	want := `web01 ansible_port=2222@h.yml:10 tls=true@h.yml:11 workers=4@h.yml:11
web02 ansible_port=2222@h.yml:10 tls=true@h.yml:11 workers=4@h.yml:11
web09 quoted="yes"@h.yml:12 tls=true@h.yml:11 workers=8@h.yml:12
db1
lonely
rest
[all] hosts=[] children=[] day="2024-01-02"@group all, h.yml:3 debug=false@group all, h.yml:3 mode=420@group all, h.yml:3 none=null@group all, h.yml:3 ntp="pool"@group all, h.yml:3 ratio=1.5@group all, h.yml:3
[site] hosts=[] children=[web db]
[web] hosts=[web01 web02 web09] children=[] motd="{{ greeting }} all"@group web, h.yml:14 nested=[{"k":"{{ x }}"}]@group web, h.yml:15
[db] hosts=[db1] children=[]
[empty] hosts=[] children=[]
warning: templates of Ansible stay text as they are written, nothing is filled in: motd (group web, h.yml:14), nested (group web, h.yml:15); if a step uses one, set it as a variable of a host or group block
`
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, dump(im)); diff != "" {
		t.Error(diff)
	}
	bomb := "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c < 'z'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.Repeat(fmt.Sprintf("*%c,", c-1), 10))
	}
	bomb = "all:\n  vars:\n    " + strings.ReplaceAll(bomb, "\n", "\n    ") + "\n"
	for bad, want := range map[string]string{
		"all: [":                                 "h.yml is no YAML",
		"- web1":                                 "h.yml, line 1: the inventory must be a mapping",
		"all:\n  host:\n    a:":                  `line 2: the group all has the entry "host"`,
		"all:\n  hosts:\n  - a":                  "line 3: the hosts of all must be a mapping: write each as NAME:",
		"all:\n  hosts:\n    a: x":               "line 3: the variables of a must be a mapping",
		"web:\n  hosts:\n    a:\n    a:":         `line 4: "a" is there twice`,
		"web:\n  hosts:\n    a b:":               "line 3: the name",
		"web:\n  hosts:\n    a[3:1]:":            "line 3: ",
		"w b:":                                   "line 1: the name",
		"plugin: aws_ec2\nregions: []":           `run = ["ansible-inventory", "-i", "h.yml", "--list"]`,
		"all:\n  vars:\n    p: !vault |\n     x": "line 3: the value is encrypted with ansible-vault",
		"all:\n  vars:\n    p: !what x":          `line 3: the tag "!what" is not known`,
		"a: {}\n---\nb: {}":                      "more than one YAML document",
		"all: {vars: {a: &a [*a]}}":              "",
		"all: &x\n  children:\n    b: *x":        "levels",
		bomb:                                     "aliases unfold",
	} {
		if _, err := ParseAnsibleYAML("h.yml", []byte(bad)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.100q gives %v", bad, err)
		}
	}
}

func TestReadAnsibleDirectory(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"inv/01-web.yml":             "web:\n  hosts:\n    web1:\n",
		"inv/02-db":                  "[db]\ndb1 disk=ssd\n",
		"inv/more/03.yml":            "web: {hosts: {web2: }}\n",
		"inv/notes.txt":              "not an inventory",
		"inv/.hidden":                "[",
		"inv/group_vars/all.yml":     "ntp: pool\n",
		"inv/group_vars/web/a.yml":   "workers: 1\ntls: true\n",
		"inv/group_vars/web/b":       "workers: 2\n",
		"inv/group_vars/other.yml":   "x: !vault y\n",
		"inv/group_vars/db.json":     `{"port": 5432}`,
		"inv/host_vars/db1.yaml":     "disk: nvme\n",
		"inv/host_vars/nowhere.yaml": "disk: none\n",
	})
	im, err := ReadAnsible(filepath.Join(dir, "inv"), "inv")
	if err != nil {
		t.Fatal(err)
	}
	want := `web1
db1 disk="nvme"@inv/host_vars/db1.yaml:1
web2
[web] hosts=[web1 web2] children=[] tls=true@group web, inv/group_vars/web/a.yml:2 workers=2@group web, inv/group_vars/web/b:1
[db] hosts=[db1] children=[] port=5432@group db, inv/group_vars/db.json:1
[all] hosts=[] children=[] ntp="pool"@group all, inv/group_vars/all.yml:1
`
	if diff := cmp.Diff(want, dump(im)); diff != "" {
		t.Error(diff)
	}
	if im, err = ReadAnsible(filepath.Join(dir, "inv/01-web.yml"), "inv/01-web.yml"); err != nil || !strings.Contains(dump(im), "workers=2@group web, inv/group_vars/web/b:1") {
		t.Errorf("group_vars beside a file: %v, %s", err, dump(im))
	}
	for name, c := range map[string]struct{ file, text, want string }{
		"vaulted file":   {"group_vars/all.yml", "$ANSIBLE_VAULT;1.1;AES256\n6162\n", "group_vars/all.yml is encrypted with ansible-vault"},
		"a program":      {"hosts.py", "#!/usr/bin/python3\n", `run = ["./inv/hosts.py", "--list"]`},
		"vars no object": {"group_vars/all.yml", "- x\n", "group_vars/all.yml, line 1: "},
	} {
		dir := writeFiles(t, map[string]string{"inv/hosts": "a\n", "inv/" + c.file: c.text})
		if _, err := ReadAnsible(filepath.Join(dir, "inv"), "inv"); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ReadAnsible(writeFiles(t, map[string]string{"hosts.ini": "a\n"}), "inv"); err == nil || !strings.Contains(err.Error(), "inv holds no inventory") {
		t.Errorf("a directory without inventory: %v", err)
	}
}

func TestTakeAnsible(t *testing.T) {
	take := func(line string) (*Host, []string, error) {
		im, err := ParseAnsible("h", "a "+line+"\n")
		if err != nil {
			t.Fatal(err)
		}
		h := im.Hosts[0]
		notes, err := h.TakeAnsible(im.Vars["a"])
		h.SetVars(im.Vars["a"])
		return h, notes, err
	}
	h, notes, err := take(`ansible_host=192.0.2.1 ansible_port=2222 ansible_ssh_user=admin ansible_password='p w' ansible_become=yes ansible_become_method=doas ` +
		`ansible_ssh_private_key_file=~/.ssh/k ansible_python_interpreter=/x own=1 ansible_ssh_common_args='-J u@b1:22,b2 -o ControlMaster=auto -C'`)
	s := h.Settings
	if err != nil || len(notes) > 0 || h.Address != "192.0.2.1" || s.Port != 2222 || s.User != "admin" || s.Password.Reveal() != "p w" || !*s.Become || s.BecomeMethod != "doas" ||
		s.IdentityFile != "~/.ssh/k" || fmt.Sprint(s.Jump) != "[u@b1:22 b2]" || len(h.Vars.AsValueMap()) != 1 {
		t.Errorf("%v %q %+v %#v", err, notes, s, h.Vars)
	}
	for line, want := range map[string]string{
		`ansible_ssh_common_args="-o ProxyCommand='ssh -W %h:%p -q -p 2200 u@bastion'"`: "[u@bastion:2200]",
		`ansible_ssh_common_args="-oProxyJump=b"`:                                       "[b]",
		`ansible_ssh_common_args="-o ProxyJump=none"`:                                   "[]",
	} {
		if h, notes, err := take(line); err != nil || len(notes) > 0 || fmt.Sprint(h.Settings.Jump) != want {
			t.Errorf("%s: %v %q %v", line, err, notes, h.Settings.Jump)
		}
	}
	for line, want := range map[string]string{
		`ansible_ssh_common_args="-o ProxyCommand='nc %h %p'"`:  "which is not heeded",
		`ansible_ssh_common_args="-o StrictHostKeyChecking=no"`: "always checked",
		`ansible_ssh_extra_args="-R 8080:x:80"`:                 "-R 8080:x:80",
		`ansible_become_password="{{ vault_pw }}"`:              "ansible_become_password (h:1) is a template",
		`ansible_become_user=postgres`:                          "run_as",
	} {
		if h, notes, err := take(line); err != nil || len(notes) != 1 || !strings.Contains(notes[0], want) || h.Settings.BecomePassword != nil || h.Settings.Jump != nil {
			t.Errorf("%s: %v %q", line, err, notes)
		}
	}
	for line, want := range map[string]string{
		`ansible_connection=local`:      `over SSH only; leave the host out with hosts = ["!a"]`,
		`ansible_host="{{ ip }}"`:       "a template",
		`ansible_host=-oProxyCommand=x`: "dash",
		`ansible_port=99999`:            "no port",
		`ansible_become_method=runas`:   "sudo, su and doas",
	} {
		if _, _, err := take(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", line, err)
		}
	}
}
