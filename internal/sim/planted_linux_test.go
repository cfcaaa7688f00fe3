package sim

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestFindsPlantedBugs shows that TestSimulation can fail: it plants the bugs of testdata/planted one at a time, and each must show in a
// scene in which it does not show without the bug. It builds the test once for each, and runs where PROVISION_SIM_PLANTED=1 asks for it.
func TestFindsPlantedBugs(t *testing.T) {
	if os.Getenv("PROVISION_SIM_PLANTED") != "1" {
		t.Skip("it takes an hour: PROVISION_SIM_PLANTED=1 asks for it")
	}
	need(t)
	files, err := filepath.Glob("testdata/planted/*.patch")
	if err != nil || len(files) == 0 {
		t.Fatalf("no bugs: %v", err)
	}
	seeds, workers := uint64(setting(t, "PROVISION_SIM_SEEDS", 2000)), setting(t, "PROVISION_SIM_WORKERS", 2)
	const chunk = 40
	only := os.Getenv("PROVISION_SIM_PLANTED_ONLY")
	for _, file := range files {
		if only != "" && !strings.Contains(file, only) {
			continue
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".patch"), func(t *testing.T) {
			exe, trouble, scenes := plant(t, file), troubleOf(t, file), 0
			for first := uint64(1); first <= seeds; first += chunk {
				found, played := survey(t, exe, first, chunk, workers, 0, trouble)
				scenes += played
				for name, f := range found {
					for _, seed := range f.seeds {
						if !again(t, exe, seed, name) || again(t, "/proc/self/exe", seed, name) {
							continue
						}
						t.Logf("found with seed %d, in the %d scenes up to it that have such a trouble: %s", seed, scenes, f.first)
						return
					}
				}
			}
			t.Errorf("not found in %d scenes", seeds)
		})
	}
}

// troubleOf is the kind of trouble in which alone a bug can show, which the first line of its patch may name: "Shows with: stop". Scenes
// without it need not be played.
func troubleOf(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	trouble, named := strings.CutPrefix(first, "Shows with: ")
	if named && !slices.Contains([]string{"break", "power", "program", "kill", "stop", "second", "edit", "room"}, trouble) {
		t.Fatalf("%s: there is no trouble %q", file, trouble)
	}
	if !named {
		return ""
	}
	return trouble
}

// again tells whether a scene shows something when it is played once more.
func again(t *testing.T, exe string, seed uint64, name string) bool {
	found, _ := survey(t, exe, seed, 1, 1, 0, "")
	return found[name] != nil
}

// planted writes copies of the files that a patch changes, with the patch applied, and returns where each is.
func planted(t *testing.T, file string) (dir string, replaced map[string]string) {
	t.Helper()
	patch, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir, replaced = t.TempDir(), map[string]string{}
	for line := range strings.Lines(string(patch)) {
		name, yes := strings.CutPrefix(strings.TrimSpace(line), "--- a/")
		if !yes {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		copied := filepath.Join(dir, name)
		replaced[filepath.Join(root, name)] = copied
		if err := os.MkdirAll(filepath.Dir(copied), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(copied, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	git := exec.Command("git", "apply", "--unidiff-zero", "--recount", "-")
	git.Dir, git.Stdin, git.Env = dir, strings.NewReader(string(patch)), append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir))
	if out, err := git.CombinedOutput(); err != nil {
		t.Fatalf("the code that %s changes has changed: %v\n%s", file, err, out)
	}
	return dir, replaced
}

// plant builds the tests of this package with a patch applied to copies of the files that it changes.
func plant(t *testing.T, file string) string {
	t.Helper()
	dir, replaced := planted(t, file)
	overlay, binary := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "planted.test")
	data, err := json.Marshal(map[string]map[string]string{"Replace": replaced})
	if err == nil {
		err = os.WriteFile(overlay, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "test", "-c", "-overlay", overlay, "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatal(fmt.Errorf("%s: %w\n%s", file, err, out))
	}
	return binary
}

// TestPlantedBugsFit keeps the patches up with the code: each applies, and names a trouble that there is.
func TestPlantedBugsFit(t *testing.T) {
	files, err := filepath.Glob("testdata/planted/*.patch")
	if err != nil || len(files) == 0 {
		t.Fatalf("no bugs: %v", err)
	}
	for _, file := range files {
		troubleOf(t, file)
		planted(t, file)
	}
}
