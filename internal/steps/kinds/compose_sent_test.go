package kinds

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"provision/internal/shell"
	"provision/internal/steps"
)

// A release is the files of a compose step without the containers, sent to a directory of this machine.
type release struct {
	t     *testing.T
	h     *host
	local string
}

func newRelease(t *testing.T, sh []string) *release {
	t.Helper()
	dir := t.TempDir()
	r := &release{t: t, h: &host{shell: sh, work: filepath.Join(dir, "work")}, local: filepath.Join(dir, "local")}
	for _, d := range []string{r.h.work, r.local} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// files replaces the local files: names, and their contents.
func (r *release) files(pairs ...string) {
	r.t.Helper()
	if err := os.RemoveAll(r.local); err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i < len(pairs); i += 2 {
		name := filepath.Join(r.local, pairs[i])
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			r.t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(pairs[i+1]), 0o644); err != nil {
			r.t.Fatal(err)
		}
	}
}

// look returns the step, what it finds different, and the state.
func (r *release) look() (*compose, differences, string) {
	r.t.Helper()
	step, args := composeKind.New()
	if problems := decodeInto(r.t, composeKind, step, args, "source = \""+r.local+"\"\ndir = \""+r.h.work+"/app\"\n", "args"); problems != "" {
		r.t.Fatal(problems)
	}
	c, ok := step.(*compose)
	if !ok {
		r.t.Fatalf("%T", step)
	}
	c.tree.noted = "sent=" + r.h.work + "/kept/sent\n"
	got := r.h.fragment(r.t, c.tree.setup()+c.tree.noted+"sync_state && sync_sent", nil, nil, true)
	if got.exit != 0 {
		r.t.Fatalf("the probe: %s", got.stderr)
	}
	obs := steps.Observe(strings.Split(strings.TrimSpace(got.stdout), "\n")...)
	d, err := c.tree.differences(&steps.Facts{Salt: "salt"}, obs)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := c.drop(&d, obs); err != nil {
		r.t.Fatal(err)
	}
	return c, d, got.stdout
}

// send brings the files to the host, between other sh if there is some.
func (r *release) send(before, after string) {
	r.t.Helper()
	c, d, _ := r.look()
	run, ok := c.tree.ops(d)[0].(steps.Run)
	if !ok {
		r.t.Fatal("no Run")
	}
	run.Script = c.tree.noted + before + run.Script + after
	if err := r.h.apply(r.t, []steps.Op{run}); err != nil {
		r.t.Fatal(err)
	}
}

// settled fails the test if anything differs.
func (r *release) settled() {
	r.t.Helper()
	_, d, state := r.look()
	d.prune = nil
	if diff := cmp.Diff(differences{}, d, cmp.AllowUnexported(differences{})); diff != "" {
		r.t.Errorf("it did not settle: %s\n%s", diff, state)
	}
}

// sh runs sh in the directory of the project and returns what it prints.
func (r *release) sh(script string) string {
	r.t.Helper()
	got := r.h.script(r.t, "mkdir -p app && cd app || exit 1\n"+script, nil)
	if got.exit != 0 {
		r.t.Fatalf("%s: %s", script, got.stderr)
	}
	return got.stdout
}

const listing = "find . ! -name . | sort | while read -r p; do if [ -d $p ]; then echo $p/; else echo $p $(stat -c %a $p) $(cat $p); fi; done"

// TestComposeSendsAndDrops follows the files of a project over two releases: secrets are for their owner alone, what the step
// sent and nobody changed goes when source drops it, and all that it did not send stays.
func TestComposeSendsAndDrops(t *testing.T) {
	for _, sh := range availableShells(t, "") {
		t.Run(strings.Join(sh, " "), func(t *testing.T) {
			r := newRelease(t, sh)
			project := "services: { web: { image: nginx } }\n"
			r.files("compose.yaml", project, ".env", "KEY=hunter2\n", "edited", "1", "gone", "1", "dir/gone", "1", "dir/sub/gone", "1", "conf/a b", "1", "old/deep/gone", "1")
			r.send("", "")
			r.settled()
			if got := r.sh("stat -c %a .env; cat .env; ls -a; grep -c . ../kept/sent; grep env ../kept/sent"); got != "600\nKEY=hunter2\n.\n..\n.env\ncompose.yaml\nconf\ndir\nedited\ngone\nold\n13\ns - .env\n" {
				t.Errorf("the first release left\n%s", got)
			}

			r.sh("echo 2 >edited; echo mine >dir/mine; mkdir late; chmod 644 .env")
			r.files("compose.yaml", project, ".env", "KEY=hunter3\n", "conf", "a file now\n", "late", "a file too\n")
			r.send("", "")
			r.settled()
			want := `./.env 600 KEY=hunter3
./compose.yaml 644 services: { web: { image: nginx } }
./conf 644 a file now
./dir/
./dir/mine 644 mine
./edited 644 2
./late 644 a file too
`
			if diff := cmp.Diff(want, r.sh(listing)); diff != "" {
				t.Errorf("after the second release (-want +got):\n%s", diff)
			}
		})
	}
}

// TestComposeRestores puts a release back: what it removed, replaced and added is as it was.
func TestComposeRestores(t *testing.T) {
	for _, sh := range availableShells(t, "") {
		t.Run(strings.Join(sh, " "), func(t *testing.T) {
			r := newRelease(t, sh)
			project := "services: { web: { image: nginx } }\n"
			r.files("compose.yaml", project, "kept", "1", "turns", "a file", "gone/deep", "1", ".env", "A=1\n")
			r.send("", "")
			r.sh("mkdir late")
			before := r.sh(listing + "; cat ../kept/sent")
			r.files("compose.yaml", project, "kept", "2", "turns/into/one", "a directory", "new/file", "1", "late", "a file", ".env", "A=2\n")
			c, d, _ := r.look()
			save := strings.Join(append(d.send, append(d.remove, d.prune...)...), " ")
			r.send("dir="+c.Dir+"\n"+shell.Strip(composeScriptSource)+"compose_containers() { :; }\ncompose_save "+save+"\n", "printf 'id image\\n' >\"$compose_saved/images\"\ncompose_restore && cp -- \"$compose_saved/sent\" \"$sent\"\n")
			if diff := cmp.Diff(before, r.sh(listing+"; cat ../kept/sent")); diff != "" {
				t.Errorf("it is not as it was (-before +after):\n%s", diff)
			}
		})
	}
}

// TestComposeDropsNothingOutside gives the step a list of what it would have sent outside of its directory, and behind a link.
func TestComposeDropsNothingOutside(t *testing.T) {
	for _, sh := range availableShells(t, "") {
		t.Run(strings.Join(sh, " "), func(t *testing.T) {
			r := newRelease(t, sh)
			r.files("compose.yaml", "services: { web: { image: nginx } }\n", "inside", "1")
			r.send("", "")
			r.files("compose.yaml", "services: { web: { image: nginx } }\n")
			r.sh(`mkdir -p ../outside && echo >../outside/file && ln -s ../outside link
printf '%s\n' 's - ../outside/file' 's - link/file' 's - a/../../outside/file' "s - $PWD/../outside/file" 'd - link' 'd - .' 'd - ..' 's - ./inside' nonsense >>../kept/sent`)
			_, d, state := r.look()
			if diff := cmp.Diff(differences{remove: []string{"inside"}}, d, cmp.AllowUnexported(differences{})); diff != "" {
				t.Errorf("(-want +got):\n%s\nstate:\n%s", diff, state)
			}
		})
	}
}

// TestComposeHolds tells a directory in the way of a file that somebody uses from one that Docker made for a mount.
func TestComposeHolds(t *testing.T) {
	r := newRelease(t, []string{"sh"})
	r.files("compose.yaml", "services: { web: { image: nginx } }\n", "used", "1", "empty", "1")
	r.sh("mkdir -p used/deep empty/deep && echo >used/deep/file")
	_, _, state := r.look()
	if !strings.Contains(state, "\nholds used\n") || strings.Contains(state, "holds empty") {
		t.Errorf("the state is\n%s", state)
	}
}
