package sim

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// kindCases are playbooks of one kind each, with what they need. What they bring about without a disturbance is what they shall bring about
// in the end wherever their program is killed.
var kindCases = []struct {
	kind   string
	text   string
	local  map[string]string
	before map[string]string
}{
	{kind: "directory", text: `path = "/srv/a/b"
  mode = "0750"
  owner = "app"
  recurse = true`, before: map[string]string{"srv/a/b/c/file": "x\n"}},
	{kind: "symlink", text: `path = "/srv/link"
  target = "/srv/new"`, before: map[string]string{"srv/new": ""}},
	{kind: "file", text: `path = "/srv/conf"
  content = "one\ntwo\n"
  owner = "app"
  mode = "0640"`, before: map[string]string{"srv/conf": "old\n"}},
	{kind: "line", text: `path = "/srv/hosts"
  match = "^10"
  line = "10.0.0.1 db"`, before: map[string]string{"srv/hosts": "127.0.0.1 localhost\n10.0.0.9 db\n"}},
	{kind: "ini", text: `path = "/srv/my.ini"
  section = "mysqld"
  key = "port"
  value = "3307"`, before: map[string]string{"srv/my.ini": "# a comment\n[mysqld]\nport = 3306\n[other]\nport = 1\n"}},
	{kind: "env_file", text: `path = "/srv/.env"
  values = { TOKEN = var.secret, NAME = "app" }`, before: map[string]string{"srv/.env": "NAME=old\n"}},
	{kind: "group", text: `name = "web"
  gid = 4242`},
	{kind: "user", text: `name = "web"
  uid = 4242
  groups = ["nogroup"]
  home = "/home/web"
  shell = "/bin/bash"`},
	{kind: "authorized_key", text: `user = "app"
  key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILHIuqo23VrrmzbZqeUVRHf+z401a9NWQxpfAYgE4JNL app@example"`},
	{
		kind: "sync", text: `source = "tree"
  dest = "/srv/tree"
  delete = true`, local: map[string]string{"tree/a": "a\n", "tree/d/b": strings.Repeat("b\n", 3000), "tree/d/e/c": ""},
		before: map[string]string{"srv/tree/a": "old\n", "srv/tree/gone": "x\n", "srv/tree/d/b": "other\n"},
	},
	{kind: "command", text: `creates = "/srv/made"
  script = "echo one >/srv/one; sleep 2; echo two >/srv/two; echo made >/srv/make; mv /srv/make /srv/made"`},
	{kind: "block", text: `path = "/srv/hosts"
  name = "db"
  content = "10.0.0.1 db\n10.0.0.2 web"`, before: map[string]string{"srv/hosts": "127.0.0.1 localhost\n"}},
	{kind: "replace", text: `path = "/srv/conf"
  match = "^workers=.*"
  with = "workers=8"`, before: map[string]string{"srv/conf": "a=1\nworkers=2\n"}},
	{kind: "hosts_entry", text: `address = "10.0.0.1"
  names = ["db"]`, before: map[string]string{"etc/hosts": "127.0.0.1 localhost\n"}},
}

// TestEveryPointOfEveryKind kills the program at each of its calls that change a file, which is also after each: its journal, its own
// directory, what the step changes. The next applies must bring what the step brings undisturbed, or say what a person must do. By itself it
// takes some points of each kind; PROVISION_SIM_POINTS=all takes each, in three shells, and PROVISION_SIM_KIND=KIND one kind.
func TestEveryPointOfEveryKind(t *testing.T) {
	dir := os.Getenv(worker)
	if dir == "" {
		need(t)
		out, err := process(t.TempDir(), "TestEveryPointOfEveryKind").CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		} else if testing.Verbose() {
			t.Logf("%s", out)
		}
		return
	}
	lab, work := newTestLab(t, dir)
	shells, points := []string{"/usr/bin/dash"}, 2
	if testing.Short() {
		points = 1
	}
	if os.Getenv("PROVISION_SIM_POINTS") == "all" {
		shells, points = []string{"/usr/bin/dash", "/usr/bin/bash", "/usr/bin/busybox"}, 0
	}
	for _, c := range kindCases {
		if only := os.Getenv("PROVISION_SIM_KIND"); only != "" && only != c.kind {
			continue
		}
		t.Run(c.kind, func(t *testing.T) {
			played, of, seen := 0, 0, map[string]int{}
			for _, shell := range shells {
				s := &Scene{Shell: shell, Runs: []Trouble{{}}, Local: c.local, Before: c.before, Custom: []part{{
					addr: "step." + c.kind + ".it", text: fmt.Sprintf("step %q \"it\" {\n  %s\n}", c.kind, c.text), secret: map[string]string{"env_file": "srv/.env"}[c.kind],
				}}}
				wanted := verdict(t, lab, s, work)
				if len(wanted.Faults) > 0 || wanted.Ops == 0 {
					t.Fatalf("undisturbed: %d calls, %q\n%s", wanted.Ops, wanted.Faults, wanted.Story)
				}
				of += wanted.Ops
				step := 1
				if points > 0 {
					step = max(1, wanted.Ops/points)
				}
				for k := 1; k <= wanted.Ops; k += step {
					s.Runs[0] = Trouble{Program: k, ProgramHow: "tree"}
					v := verdict(t, lab, s, work)
					played++
					if d := unlike(wanted.Disk, v.Disk); d != "" {
						v.Faults = append(v.Faults, "another state of "+c.kind+": "+d)
					}
					for _, f := range v.Faults {
						name, _, _ := strings.Cut(f, ":")
						if seen[name]++; !known[name] && seen[name] == 1 {
							t.Errorf("killed at change %d of %d: %s\n%s", k, wanted.Ops, f, v.Story)
						}
					}
				}
			}
			t.Logf("%d of %d points; %v", played, of, seen)
		})
	}
}

var shadowFile = regexp.MustCompile(`^etc/(passwd|group|shadow|gshadow|subuid|subgid)(-|\.lock|\.[0-9]+)$`)

// unlike tells how two disks differ in what is not the program's own memory.
func unlike(wanted, is map[string]entry) string {
	all := maps.Clone(wanted)
	maps.Copy(all, is)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		// Beside the accounts, the tools of shadow keep what was there before, and leave their locks when they are killed.
		// Temporary files are told of apart.
		if strings.HasPrefix(name, "var/lib/provision") || strings.Contains(name, "/.provision.") || shadowFile.MatchString(name) {
			continue
		}
		if wanted[name] != is[name] {
			return fmt.Sprintf("/%s is %+v, and undisturbed it is %+v", name, is[name], wanted[name])
		}
	}
	return ""
}

// newTestLab is a lab, and a directory for what belongs to the client.
func newTestLab(t *testing.T, dir string) (*Lab, string) {
	t.Helper()
	lab, err := NewLab(dir)
	if err != nil {
		t.Fatal(err)
	}
	work := filepath.Join(dir, "sim", "client")
	if err := os.Mkdir(work, 0o755); err != nil {
		t.Fatal(err)
	}
	return lab, work
}
