package inventory

import "testing"

// sound checks that what was imported makes an inventory.
func sound(t *testing.T, im *Imported) {
	t.Helper()
	for _, h := range im.Hosts {
		if err := ValidName(h.Name); err != nil {
			t.Error(err)
		}
		vars := Vars{}.Over(im.Vars[h.Name])
		_, _ = h.TakeAnsible(vars)
		h.SetVars(vars)
	}
	if _, err := New(im.Hosts); err != nil {
		t.Error(err)
	}
	if err := im.Keep("all"); err != nil {
		t.Error(err)
	}
}

func FuzzParseAnsible(f *testing.F) {
	f.Add("[web]\nweb[1:2]:22 a=1 b='x y' # c\n[web:vars]\nk={'v': [1]}\n[all:children]\nweb\n")
	f.Add("[2001:db8::1]:22 ansible_ssh_common_args=\"-J a,b -o ProxyCommand='ssh -W %h:%p b'\"\n[ungrouped:vars]\na=b\n")
	f.Fuzz(func(t *testing.T, text string) {
		if im, err := ParseAnsible("h", text); err == nil {
			sound(t, im)
		}
	})
}

func FuzzParseAnsibleYAML(f *testing.F) {
	f.Add([]byte("all:\n  vars: {a: &x [1, 0x1f, 1e9, ~, yes]}\n  children:\n    web:\n      hosts:\n        web[1:2]: {<<: *x, b: !vault z}\n"))
	f.Add([]byte("a: {vars: &a {b: *a}}"))
	f.Add([]byte("--- !!map\n? [x]\n: y\n...\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if im, err := ParseAnsibleYAML("h.yml", data); err == nil {
			sound(t, im)
		}
	})
}

func FuzzParseJSON(f *testing.F) {
	f.Add([]byte(`["a", {"name": "b", "vars": {"x": null}}]`))
	f.Add([]byte(`{"web": {"hosts": ["a"], "vars": {"x": [1]}, "children": ["b"]}, "_meta": {"hostvars": {"a": {"ansible_port": 1}}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if im, err := ParseJSON(data); err == nil {
			sound(t, im)
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
