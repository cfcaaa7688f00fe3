package kinds

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"provision/internal/shell"
	"provision/internal/steps"
)

// TestPutKeepsWhatNobodyGave replaces a file whose attributes matter, with every combination of what is given.
func TestPutKeepsWhatNobodyGave(t *testing.T) {
	if os.Getuid() != 0 {
		lack(t, "owners and capabilities need root")
		return
	}
	for _, program := range []string{"setfacl", "setfattr", "setcap"} {
		if _, err := exec.LookPath(program); err != nil {
			lack(t, "no "+program+" on this machine")
			return
		}
	}
	look := `stat -c '%u:%g %a' f; getfacl -cp f | grep bob; getfattr --only-values -n user.note f; echo; getcap f | sed 's/.* //'; cat f`
	for _, c := range []struct{ name, setup, want string }{
		{"setuid", "chmod 6755 f", "1:1 6755"},
		{"sticky and unreadable", "chmod 1200 f", "1:1 1200"},
		{"access list", "setfacl -m u:2:rw f && chmod g+x f", "1:1 674 user:bin:rw-"},
		{"attribute", "setfattr -n user.note -v 'a b' f", "1:1 644 a b"},
		{"capabilities", "setcap cap_net_raw+ep f", "1:1 644 cap_net_raw=ep"},
	} {
		for _, put := range []struct {
			name string
			op   steps.Put
			want func(string) string
		}{
			{"content", steps.Put{}, func(s string) string { return s }},
			{"owner", steps.Put{Owner: "3", Group: "4"}, func(s string) string { return strings.Replace(s, "1:1 ", "3:4 ", 1) }},
			{"group", steps.Put{Group: "4"}, func(s string) string { return strings.Replace(s, "1:1 ", "1:4 ", 1) }},
			{"secret", steps.Put{Content: steps.Content{Text: steps.Secret("new\n")}}, func(s string) string { return s }},
		} {
			t.Run(c.name+"/"+put.name, func(t *testing.T) {
				t.Parallel()
				for _, sh := range availableShells(t, "") {
					h := &host{shell: sh, work: t.TempDir()}
					if r := h.script(t, "set -e\necho old >f; chown 1:1 f; chmod 644 f\n"+c.setup, nil); r.exit != 0 {
						t.Fatalf("setup: %+v", r)
					}
					op := put.op
					op.Path = h.work + "/f"
					if op.Content.Text.Reveal() == "" {
						op.Content.Text = steps.Plain("new\n")
					}
					if r := h.put(t, op); r.exit != 0 || r.stdout+r.stderr != "" {
						t.Fatalf("%v: %+v", sh, r)
					}
					got := strings.Join(strings.Fields(h.script(t, strings.ReplaceAll(look, "grep bob", "grep 'user:[a-z0-9]'"), nil).stdout), " ")
					if want := put.want(c.want) + " new"; got != want {
						t.Errorf("%v: %s, want %s", sh, got, want)
					}
				}
			})
		}
	}
}

// TestPutIsPrivateFromTheStart pins that the new content is never readable by more than it will be at the end.
func TestPutIsPrivateFromTheStart(t *testing.T) {
	h := &host{shell: []string{"dash"}, work: t.TempDir()}
	if r := h.script(t, "echo old >f; chmod 644 f", nil); r.exit != 0 {
		t.Fatal(r.stderr)
	}
	// While the content arrives, somebody looks at the temporary file.
	call := shell.Put + "cat() { stat -c %a \"${put_temp}\" >>modes; command cat \"$@\"; }\nput \"$PWD/f\" '' '' 600 600 '' ''\nwait\n"
	if r := h.fragment(t, call, []byte("secret\n"), nil, false); r.exit != 0 {
		t.Fatal(r.stderr)
	}
	if modes, _ := os.ReadFile(h.work + "/modes"); string(modes) != "600\n" {
		t.Errorf("modes of the temporary file: %q", modes)
	}
}

func TestPutValidatesInOddPlaces(t *testing.T) {
	for _, sh := range availableShells(t, "") {
		for _, name := range []string{"plain", "a b", "a|b", "a&b", `a\b`, "it's", "$(touch bad)", "`touch bad`", "-n", "*", "é", "a;b"} {
			h := &host{shell: sh, work: filepath.Join(t.TempDir(), name)}
			if err := os.Mkdir(h.work, 0o755); err != nil {
				t.Fatal(err)
			}
			for _, check := range []string{"grep -q new %s", "grep -q new '%s'", `grep -q new "%s" && grep -q new %s`} {
				r := h.put(t, steps.Put{Path: h.work + "/f", Content: steps.Content{Text: steps.Plain("new\n")}, Validate: check})
				if r.exit != 0 {
					t.Errorf("%v: %q in %q: %s", sh, check, name, r.stderr)
				}
			}
			r := h.put(t, steps.Put{Path: h.work + "/f", Content: steps.Content{Text: steps.Plain("old\n")}, Validate: "grep -q new %s"})
			if b, _ := os.ReadFile(h.work + "/f"); r.exit == 0 || string(b) != "new\n" {
				t.Errorf("%v: %q: a content that did not pass was written", sh, name)
			}
			if left, _ := filepath.Glob(filepath.Dir(h.work) + "/*/.provision*"); len(left) > 0 {
				t.Errorf("%v: %v is left", sh, left)
			}
		}
	}
}

// TestPutOntoAMount writes files that are mount points: they are written in place, and the plan says so.
func TestPutOntoAMount(t *testing.T) {
	for _, sh := range availableShells(t, "") {
		t.Run(strings.Join(sh, " "), func(t *testing.T) {
			enter := privateSystem(t)
			if enter == nil {
				return
			}
			h := &host{shell: sh, work: t.TempDir(), enter: enter}
			setup := `set -e
cd ` + shell.Quote(h.work) + `
mkdir sealed
for f in 'hosts' 'a b' 'sealed/resolv.conf'; do
	printf '127.0.0.1 localhost\n' >"on the outside"
	mv "on the outside" "outside-${f##*/}"
	: >"$f"
	chmod 640 "outside-${f##*/}"
	mount --bind "outside-${f##*/}" "$f"
done
mount -t tmpfs none sealed && : >sealed/resolv.conf && mount --bind outside-resolv.conf sealed/resolv.conf && mount -o remount,ro,bind sealed
`
			if r := h.script(t, setup, nil); r.exit != 0 {
				t.Fatalf("%+v", r)
			}
			for _, step := range []struct{ kind, args, want string }{
				{"file", "path = \"$WORK/hosts\"\ncontent = \"x\\n\"\n", "x\n"},
				{"file", "path = \"$WORK/hosts\"\ncontent = sensitive(\"y\\n\")\nmode = \"0600\"\nbackup = true\n", "y\n"},
				{"line", "path = \"$WORK/a b\"\nline = \"10.0.0.1 db\"\n", "127.0.0.1 localhost\n10.0.0.1 db\n"},
				{"ini", "path = \"$WORK/a b\"\nsection = \"s\"\nkey = \"k\"\nvalue = \"v\"\n", "127.0.0.1 localhost\n10.0.0.1 db\n\n[s]\nk=v\n"},
				{"hosts_entry", "path = \"$WORK/a b\"\naddress = \"10.0.0.2\"\nnames = [\"db\"]\n", "127.0.0.1 localhost\n10.0.0.2 db\n\n[s]\nk=v\n"},
				{"block", "path = \"$WORK/a b\"\nname = \"b\"\ncontent = \"c\"\nbefore = \"^.s\"\n", "127.0.0.1 localhost\n10.0.0.2 db\n\n# BEGIN provision b\nc\n# END provision b\n[s]\nk=v\n"},
				{"replace", "path = \"$WORK/a b\"\nmatch = \"^k=.*\"\nwith = sensitive(\"k=w\")\n", "127.0.0.1 localhost\n10.0.0.2 db\n\n# BEGIN provision b\nc\n# END provision b\n[s]\nk=w\n"},
				{"file", "path = \"$WORK/sealed/resolv.conf\"\ncontent = \"nameserver 10.0.0.1\\n\"\n", "nameserver 10.0.0.1\n"},
			} {
				p := places{work: h.work}
				s := stepOf(t, step.kind, p.expand(step.args))
				f := steps.ParseFacts(defaultFacts)
				f.Salt = "salt"
				change, err := s.Plan(f, h.probe(t, s, true))
				if err != nil || !strings.Contains(change.Reason, "written in place") {
					t.Errorf("%s: the plan does not say how it is written: %q, %v", step.args, change.Reason, err)
				}
				if got := h.settled(t, s); got != "" {
					t.Errorf("%s: %s", step.args, got)
				}
				path := regexpPath.FindStringSubmatch(p.expand(step.args))[1]
				if r := h.script(t, "cat "+shell.Quote(path)+" && mountpoint -q "+shell.Quote(path), nil); r.stdout != step.want || r.exit != 0 {
					t.Errorf("%s: %+v", step.args, r)
				}
			}
			if got := h.settled(t, stepOf(t, "file", "path = \""+h.work+"/hosts\"\nstate = \"absent\"\n")); !strings.Contains(got, "unmounted") {
				t.Errorf("absent: %s", got)
			}
		})
	}
}

var regexpPath = regexp.MustCompile(`path = "([^"]*)"`)

// What a check prints of a file that only its owner may read is shown to nobody.
func TestPutShowsNothingOfAPrivateFile(t *testing.T) {
	for mode, shown := range map[string]bool{"600": false, "0400": false, "644": true, "640": true} {
		for _, given := range []string{"", mode} {
			for _, sh := range availableShells(t, "") {
				h := &host{shell: sh, work: t.TempDir()}
				h.script(t, "echo old >f; chmod "+mode+" f", nil)
				r := h.put(t, steps.Put{Path: h.work + "/f", Mode: given, Validate: "cat %s; cat %s >&2; false", Content: steps.Content{Text: steps.Plain("pass=hunter2\n")}})
				if said := r.stdout + r.stderr; r.exit == 0 || strings.Contains(said, "hunter2") != shown || !strings.Contains(said, "did not pass") {
					t.Errorf("%v, mode %s, given %q: %+v", sh, mode, given, r)
				}
			}
		}
	}
}

// A plan tells nothing of the text of a file that only its owner may read, and no sum of it either, whether the step gives the mode or not.
func TestFilePlanOfAPrivateFile(t *testing.T) {
	for mode, shown := range map[string]bool{"600": false, "644": true} {
		for _, sh := range availableShells(t, "") {
			h := &host{shell: sh, work: t.TempDir()}
			h.script(t, "echo pass=hunter2 >f; chmod "+mode+" f", nil)
			s := &file{}
			s.Path = h.work + "/f"
			text := steps.Plain("new\n")
			s.Text = &text
			r := h.script(t, shell.Prelude+"DETAIL=1\n"+s.Probe(), nil)
			change, err := s.Plan(&steps.Facts{}, steps.Observation{Stdout: r.stdout, Stderr: r.stderr, Exit: r.exit})
			if err != nil || len(change.Diff) != 1 || change.Diff[0].Sensitive == shown || !shown && change.Diff[0].Before+change.Diff[0].After != "" {
				t.Errorf("%v, mode %s: %+v %v\n%s", sh, mode, change.Diff, err, r.stdout)
			}
		}
	}
}
