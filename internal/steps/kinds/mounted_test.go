package kinds

import (
	"os"
	"strings"
	"testing"

	"provision/internal/steps"
)

// What is mounted at a path or below keeps it from being removed: the plan says so, before anything is gone.
func TestNothingIsRemovedWithWhatIsMounted(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		lack(t, "root, for mounts")
		return
	}
	const tree = "path = \"$WORK/d\"\nstate = \"absent\"\n"
	for _, c := range []struct {
		name, kind, args string
		setup            string // in $WORK, in a mount namespace
		needs            string // "" where the step goes through
	}{
		{"at it", "directory", tree, "mkdir d; mount -t tmpfs none d", "$WORK/d unmounted"},
		{"below", "directory", tree, "mkdir -p 'd/a b/c'; echo x >d/x; mount -t tmpfs none 'd/a b/c'", "$WORK/d/a b/c unmounted"},
		{"backslash", "directory", tree, `mkdir -p 'd/a\040b'; mount -t tmpfs none 'd/a\040b'`, `$WORK/d/a\040b unmounted`},
		{"behind a link above", "directory", "path = \"$WORK/l/d\"\nstate = \"absent\"\n", "mkdir -p r/d/m; ln -s r l; mount -t tmpfs none r/d/m", "$WORK/l/d/m unmounted"},
		{"beside", "directory", tree, "mkdir d dd; mount -t tmpfs none dd", ""},
		{"link in it", "directory", tree, "mkdir d m; ln -s ../m d/l; mount -t tmpfs none m", ""},
		{"file", "file", "path = \"$WORK/f\"\nstate = \"absent\"\n", "touch f g; mount --bind g f", "$WORK/f unmounted"},
		{"tree that goes", "sync", "source = \"$LOCAL\"\ndest = \"$WORK/d\"\ndelete = true\n", "mkdir -p d/m/n; touch d/m/y; mount -t tmpfs none d/m/n", "$WORK/d/m/n unmounted"},
		{"tree that stays", "sync", "source = \"$LOCAL\"\ndest = \"$WORK/d\"\ndelete = true\nexclude = [\"m\"]\n", "mkdir -p d/m; touch d/y; mount -t tmpfs none d/m; touch d/m/y", ""},
		{
			"home", "user", "name = \"bicycle\"\nstate = \"absent\"\nremove_home = true\n",
			"mkdir -p etc h/m; printf '%s\\n' 'root:x:0:0::/root:/bin/sh' 'bicycle:x:4242:4242::'$PWD'/h:/bin/sh' >passwd; mount --bind passwd /etc/passwd; chown 4242 h; mount -t tmpfs none h/m",
			"$WORK/h/m unmounted",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, sh := range availableShells(t, "") {
				d := &dataFile{path: c.name, sections: map[string]string{"args": c.args, "setup": "", "local/x": "x\n"}}
				p := newPlaces(t, d)
				step, problems := decode(t, Find(c.kind), d, p)
				if problems != "" {
					t.Fatal(problems)
				}
				h := &host{shell: sh, work: p.work, enter: []string{"unshare", "-m", "--propagation", "private", "sh", "-c", "cd " + p.work + " && " + c.setup + ` || exit 99; exec "$@"`, "sh"}}
				obs := h.probe(t, step, true)
				if obs.Exit != 0 {
					t.Fatalf("%v: %d %s", sh, obs.Exit, obs.Stderr)
				}
				change, err := step.Plan(steps.ParseFacts(defaultFacts), obs)
				if err != nil {
					t.Fatalf("%v: %v", sh, err)
				}
				var needs []string
				for _, thing := range change.Needs {
					needs = append(needs, thing.String())
				}
				if got := strings.Join(needs, ", "); got != p.expand(c.needs) {
					t.Errorf("%v: needs %q, want %q; the state is\n%s", sh, got, p.expand(c.needs), obs.State())
				}
				if c.needs == "" {
					if change.Action != steps.Delete && change.Action != steps.Update {
						t.Errorf("%v: %s", sh, change.Action)
					}
				}
			}
		})
	}
}
