package kinds

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"provision/internal/steps"
)

// An applied step and what another value of each of its arguments comes to.
type applied struct {
	setup string            // sh in $WORK; may use tar, git, useradd
	args  map[string]string // as HCL, of the step that was applied
	then  map[string]another
}

// another is another value of an argument: the plan must not be empty, and the operations must settle it. why says why the plan is
// empty, and fails is a part of the error that the plan is.
type another struct {
	value      string            // as HCL; "" leaves the argument out
	with       map[string]string // further arguments that change
	why, fails string
}

const (
	onlyHow    = "it says how the step works, and not what is there afterwards"
	onlyMaking = "it counts when the thing is made"
	checks     = "what is there was checked when it was written"
)

// everyArgument holds the kinds whose steps can be applied here, in a private /etc and /home.
func everyArgument() map[string]applied {
	const made = "owner, group and mode are for a file that is made"
	edited := func(more map[string]another) map[string]another {
		all := map[string]another{
			"owner": {value: `"daemon"`, fails: made}, "group": {value: `"mail"`, fails: made}, "mode": {value: `"0600"`, fails: made},
			"validate": {value: `"test -e %s"`, why: checks}, "backup": {value: `true`, why: onlyHow},
		}
		maps.Copy(all, more)
		return all
	}
	owners := func(more map[string]another) map[string]another {
		all := map[string]another{
			"owner": {value: `"daemon"`}, "group": {value: `"mail"`}, "mode": {value: `"0600"`},
			"validate": {value: `"test -e %s"`, why: checks}, "backup": {value: `true`, why: onlyHow},
		}
		maps.Copy(all, more)
		return all
	}
	const key1 = `"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICAhIiMkJSYnKCkqKywtLi8wMTIzNDU2Nzg5Ojs8PT4/ a"`
	const key2 = `"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ/CaQ0/qxG/1uv/8eTPGOUH46HD+c8A59rhnvcCT+Wb b"`
	const gone = `"absent"`
	return map[string]applied{
		"acl": {
			setup: "mkdir d e",
			args:  map[string]string{"path": `"$WORK/d"`, "entries": `["user:daemon:rwx"]`},
			then: map[string]another{
				"path": {value: `"$WORK/e"`}, "entries": {value: `["user:daemon:r-x"]`}, "default": {value: `["group:mail:r-x"]`}, "state": {value: gone},
			},
		},
		"archive": {
			setup: "mkdir -p in/sub; echo one >in/sub/f; tar -cf a.tar -C in sub; echo two >in/sub/f; tar -cf b.tar -C in sub",
			args:  map[string]string{"file": `"$WORK/a.tar"`, "dest": `"$WORK/d"`, "owner": `"bin"`},
			then: map[string]another{
				"file": {value: `"$WORK/b.tar"`}, "source": {why: "it is another way to file"}, "url": {why: "it is another way to file"},
				"dest": {value: `"$WORK/e"`}, "strip": {value: "1"}, "creates": {value: `"$WORK/d/sub/other"`, fails: "did not converge"},
				"sha256": {value: `"` + strings.Repeat("0", 64) + `"`, fails: "the SHA-256 of the"}, "owner": {value: `"daemon"`}, "group": {value: `"mail"`},
				"headers": {why: onlyHow}, "timeout": {value: `"5s"`, why: onlyHow},
			},
		},
		"authorized_key": {
			setup: "useradd -m bicycle; useradd -m tricycle",
			args:  map[string]string{"user": `"bicycle"`, "key": key1},
			then: map[string]another{
				"user": {value: `"tricycle"`}, "key": {value: key2}, "keys": {value: "[" + key2 + "]"},
				"exclusive": {value: "true", with: map[string]string{"key": key2}}, "state": {value: gone},
			},
		},
		"block": {
			setup: "printf 'a\\nb\\n' >f; cp f g",
			args:  map[string]string{"path": `"$WORK/f"`, "name": `"one"`, "content": `"x\n"`},
			then: edited(map[string]another{
				"path": {value: `"$WORK/g"`}, "name": {value: `"two"`}, "marker": {value: `"; %s x"`, with: map[string]string{"name": ""}}, "content": {value: `"y\n"`},
				"after": {value: `"^a"`, why: onlyMaking}, "before": {value: `"^b"`, why: onlyMaking}, "at": {value: `"begin"`, why: onlyMaking},
				"create": {value: "true", why: onlyMaking}, "state": {value: gone},
			}),
		},
		"certificate": {
			args: map[string]string{"path": `"$WORK/c.pem"`, "key": `"$WORK/c.key"`, "common_name": `"a"`},
			then: map[string]another{
				"path": {value: `"$WORK/d.pem"`}, "key": {value: `"$WORK/d.key"`}, "common_name": {value: `"b"`}, "organization": {value: `"x"`},
				"names": {value: `["a"]`}, "request": {value: "true", fails: "is no request"}, "key_type": {value: `"rsa2048"`, why: onlyMaking},
				"days": {value: "99", why: onlyMaking}, "renew_days": {value: "364", why: "it is not so old yet"}, "owner": {value: `"daemon"`},
				"group": {value: `"mail"`}, "mode": {value: `"0640"`}, "state": {value: gone, with: map[string]string{"common_name": ""}},
			},
		},
		"cron": {
			setup: "mkdir -p /etc/cron.d",
			args:  map[string]string{"name": `"one"`, "schedule": `"@daily"`, "command": `"a"`},
			then: map[string]another{
				"name": {value: `"two"`}, "schedule": {value: `"@hourly"`}, "command": {value: `"b"`}, "user": {value: `"daemon"`},
				"place": {why: "it needs a crontab(1); see TestCronKeepsTheTable"}, "environment": {value: `{ A = "b" }`}, "state": {value: gone, with: map[string]string{"schedule": "", "command": ""}},
			},
		},
		"directory": {
			setup: "mkdir d; touch d/x",
			args:  map[string]string{"path": `"$WORK/d"`, "owner": `"bin"`},
			then: map[string]another{
				"path": {value: `"$WORK/e"`}, "owner": {value: `"daemon"`}, "group": {value: `"mail"`}, "mode": {value: `"0700"`},
				"recurse": {value: "true"}, "state": {value: gone},
			},
		},
		"download": {
			setup: "echo one >a; echo two >b",
			args:  map[string]string{"url": `"file://$WORK/a"`, "path": `"$WORK/f"`, "sha256": `"2c8b08da5ce60398e1f19af0e5dccc744df274b826abe585eaba68c525434806"`},
			then: map[string]another{
				"url": {value: `"file://$WORK/b"`, why: "with sha256 the content counts, and not where it comes from"}, "path": {value: `"$WORK/g"`},
				"sha256":  {value: `"27dd8ed44a83ff94d557f9fd0412ed5a8cbca69ea04922d88c01184a07300a5a"`, with: map[string]string{"url": `"file://$WORK/b"`}},
				"headers": {why: onlyHow}, "timeout": {value: `"5s"`, why: onlyHow}, "insecure": {value: "true", why: onlyHow},
				"owner": {value: `"daemon"`}, "group": {value: `"mail"`}, "mode": {value: `"0600"`},
			},
		},
		"env_file": {
			args: map[string]string{"path": `"$WORK/f"`, "values": `{ A = "b c" }`},
			then: owners(map[string]another{
				"mode": {value: `"0640"`},
				"path": {value: `"$WORK/g"`}, "values": {value: `{ A = "c" }`}, "source": {why: "it is another way to values"}, "format": {value: `"raw"`},
			}),
		},
		"file": {
			args: map[string]string{"path": `"$WORK/f"`, "content": `"x\n"`},
			then: owners(map[string]another{
				"path": {value: `"$WORK/g"`}, "content": {value: `"y\n"`}, "source": {why: "it is another way to content"}, "template": {why: "it is another way to content"},
				"state": {value: gone, with: map[string]string{"content": ""}},
			}),
		},
		"git": {
			setup: `export HOME=$PWD; git config --global user.name a; git config --global user.email a@b; git init -q -b main up; cd up
echo one >f; git add f; git commit -qm one; git branch other; echo two >f; git commit -qam two; cd ..; git clone -q up up2; git -C up2 commit -q --allow-empty -m three; git -C up2 checkout -q --detach`,
			args: map[string]string{"repo": `"file://$WORK/up"`, "dest": `"$WORK/co"`, "ref": `"main"`},
			then: map[string]another{
				"repo": {value: `"file://$WORK/up2"`}, "dest": {value: `"$WORK/co2"`}, "ref": {value: `"other"`},
				"depth": {value: "1", why: onlyMaking}, "force": {value: "true", why: onlyHow}, "submodules": {value: "true", why: "the checkout has none"},
				"key": {why: onlyHow}, "key_file": {why: onlyHow}, "host_key": {why: onlyHow},
			},
		},
		"group": {
			args: map[string]string{"name": `"bicycle"`},
			then: map[string]another{"name": {value: `"tricycle"`}, "gid": {value: "4711"}, "system": {value: "true", why: onlyMaking}, "state": {value: gone}},
		},
		"hosts_entry": {
			setup: "echo '10.0.0.1 x' >f; cp f g",
			args:  map[string]string{"path": `"$WORK/f"`, "address": `"10.0.0.2"`, "names": `["y"]`},
			then: edited(map[string]another{
				"path": {value: `"$WORK/g"`}, "address": {value: `"10.0.0.3"`, with: map[string]string{"elsewhere": `"move"`}}, "names": {value: `["z"]`},
				"elsewhere": {value: `"keep"`, why: "no other line has the name"}, "exclusive": {value: "true", with: map[string]string{"names": `["z"]`}},
				"create": {value: "true", why: onlyMaking}, "state": {value: gone},
			}),
		},
		"ini": {
			setup: "printf '[a]\\nk = 1\\n[b]\\nk = 1\\n' >f; cp f g",
			args:  map[string]string{"path": `"$WORK/f"`, "section": `"a"`, "key": `"k"`, "value": `"v"`},
			then: owners(map[string]another{
				"owner": {value: `"daemon"`, why: onlyMaking}, "group": {value: `"mail"`, why: onlyMaking}, "mode": {value: `"0600"`, why: onlyMaking},
				"path": {value: `"$WORK/g"`}, "section": {value: `"b"`}, "key": {value: `"l"`}, "value": {value: `"w"`},
				"values": {value: `{ k = "x", m = "y" }`, with: map[string]string{"key": "", "value": ""}}, "where": {why: "it is for sections of one name"},
				"create": {value: "true", why: onlyMaking}, "state": {value: gone, with: map[string]string{"value": ""}},
			}),
		},
		"limits": {
			setup: "mkdir -p /etc/security/limits.d",
			args:  map[string]string{"domain": `"bin"`, "type": `"soft"`, "item": `"nofile"`, "value": `"100"`, "path": `"/etc/security/limits.d/x.conf"`},
			then: map[string]another{
				"domain": {value: `"daemon"`}, "type": {value: `"hard"`}, "item": {value: `"core"`}, "value": {value: `"200"`},
				"path": {value: `"/etc/security/limits.d/y.conf"`}, "state": {value: gone, with: map[string]string{"value": ""}},
			},
		},
		"line": {
			setup: "printf 'a\\nb\\n' >f; cp f g",
			args:  map[string]string{"path": `"$WORK/f"`, "line": `"x"`},
			then: edited(map[string]another{
				"path": {value: `"$WORK/g"`}, "line": {value: `"y"`}, "match": {value: `"^[ax]"`, with: map[string]string{"line": `"z"`}},
				"after": {value: `"^a"`, why: onlyMaking}, "before": {value: `"^b"`, why: onlyMaking},
				"create": {value: "true", why: onlyMaking}, "state": {value: gone},
			}),
		},
		"replace": {
			setup: "printf 'a\\nb\\na\\n' >f; cp f g",
			args:  map[string]string{"path": `"$WORK/f"`, "match": `"a"`, "with": `"c"`},
			then: map[string]another{
				"path": {value: `"$WORK/g"`}, "match": {value: `"b"`}, "with": {value: `"d"`, why: "nothing is left that match finds"},
				"after": {value: `"^b"`, why: "nothing is left that match finds"}, "before": {value: `"^b"`, why: "nothing is left that match finds"},
				"count": {value: "1", why: "nothing is left that match finds"}, "required": {value: "true", why: "what it is replaced by is there"},
				"validate": {value: `"test -e %s"`, why: checks}, "backup": {value: `true`, why: onlyHow}, "state": {why: "it is for blocks"},
			},
		},
		"symlink": {
			setup: "echo mine >g",
			args:  map[string]string{"path": `"$WORK/l"`, "target": `"a"`},
			then: map[string]another{
				"path": {value: `"$WORK/m"`}, "target": {value: `"b"`}, "force": {value: "true", with: map[string]string{"path": `"$WORK/g"`}},
				"state": {value: gone, with: map[string]string{"target": ""}},
			},
		},
		"user": {
			// With numbers that nobody has who works on this machine: usermod refuses where a process has the number.
			setup: "sed -i '/^UID_M/d' /etc/login.defs; printf 'UID_MIN 52000\\nUID_MAX 53000\\n' >>/etc/login.defs; groupadd wheelie; groupadd other",
			args:  map[string]string{"name": `"bicycle"`, "groups": `["wheelie"]`},
			then: map[string]another{
				"name": {value: `"tricycle"`}, "uid": {value: "4711"}, "group": {value: `"other"`}, "groups": {value: `["other"]`},
				"exclusive": {value: "true", with: map[string]string{"groups": `[]`}}, "shell": {value: `"/bin/bash"`}, "home": {value: `"/home/elsewhere"`},
				"create_home": {value: "false", why: onlyMaking}, "system": {value: "true", why: onlyMaking}, "comment": {value: `"x"`},
				"password_hash": {value: `"$6$salt$` + strings.Repeat("x", 86) + `"`}, "lock": {value: "true", why: "no password works as it is"},
				"state": {value: gone, with: map[string]string{"groups": ""}}, "remove_home": {value: "true", with: map[string]string{"state": gone, "groups": ""}},
			},
		},
	}
}

// TestEveryArgumentCounts applies a step, gives each of its arguments another value, and looks whether the plan says that something
// changes and the operations settle it.
func TestEveryArgumentCounts(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		lack(t, "root, for accounts and owners")
		return
	}
	all := everyArgument()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		c := all[name]
		_, args := Find(name).New()
		for _, a := range args {
			if _, listed := c.then[a.Name]; !listed {
				t.Errorf("%s: nothing is said of another %s", name, a.Name)
			}
		}
		if len(c.then) > len(args) {
			t.Errorf("%s: %d of %d arguments", name, len(c.then), len(args))
		}
		for arg, other := range c.then {
			if other.value == "" && other.with == nil {
				continue
			}
			t.Run(name+"/"+arg, func(t *testing.T) {
				t.Parallel()
				c.check(t, name, arg, other)
			})
		}
	}
}

func (c applied) check(t *testing.T, kind, arg string, other another) {
	d := &dataFile{path: kind, sections: map[string]string{"args": "", "setup": "", "system": ""}}
	p := newPlaces(t, d)
	h := &host{shell: []string{"dash"}, work: p.work, enter: privateSystem(t)}
	h.before = d.factVariables() + "cron() { :; }\nHOME=" + p.work + "; export HOME\n"
	if h.enter == nil {
		return
	}
	stepWith := func(args map[string]string) (steps.Step, string) {
		var b strings.Builder
		for _, name := range slices.Sorted(maps.Keys(args)) {
			if args[name] != "" {
				b.WriteString(name + " = " + args[name] + "\n")
			}
		}
		step, bound := Find(kind).New()
		return step, decodeInto(t, Find(kind), step, bound, p.expand(b.String()), "args")
	}
	if r := h.script(t, "set -e\ncd "+p.work+"\n"+c.setup, nil); r.exit != 0 {
		t.Fatalf("setup: %s", r.stderr)
	}
	step, problems := stepWith(c.args)
	if problems != "" {
		t.Fatal(problems)
	}
	if got := h.settled(t, step); got != "" {
		t.Fatalf("the step itself: %s", got)
	}
	args := maps.Clone(c.args)
	args[arg] = other.value
	maps.Copy(args, other.with)
	if other.value != "" {
		args[arg] = other.value
	}
	then, problems := stepWith(args)
	if problems != "" {
		if other.fails == "" || !strings.Contains(problems, other.fails) {
			t.Error(problems)
		}
		return
	}
	obs := h.probe(t, then, true)
	f := steps.ParseFacts(defaultFacts)
	f.Salt = "salt"
	if obs.Exit == 0 {
		change, err := then.Plan(f, obs)
		switch {
		case err != nil:
		case other.why == "" && other.fails == "" && (change.Action == steps.NoOp || len(change.Diff) == 0):
			t.Errorf("another %s is no change (%s), and nobody says why; the state is\n%s", arg, change.Action, obs.State())
		case other.why != "" && change.Action != steps.NoOp:
			t.Errorf("another %s is a change (%v), though it is said that %s", arg, change.Diff, other.why)
		}
	}
	if got := h.settled(t, then); other.fails == "" && got != "" || other.fails != "" && !strings.Contains(got, other.fails) {
		t.Errorf("with another %s: %q, want %q", arg, got, other.fails)
	}
}
