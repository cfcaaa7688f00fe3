package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// TestTruthFindsPlantedBugs shows that TestTruth can fail: it plants the bugs of testdata/planted one at a time, and each must be found.
// It builds the program once for each, and runs where PROVISION_TRUTH_PLANTED=1 asks for it.
func TestTruthFindsPlantedBugs(t *testing.T) {
	if os.Getenv("PROVISION_TRUTH_PLANTED") != "1" {
		t.Skip("it takes minutes: PROVISION_TRUTH_PLANTED=1 asks for it")
	}
	needNamespaces(t)
	for _, file := range plantedBugs(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			binary := plant(t, file)
			cmd := exec.Command(binary, "-test.run=^TestTruth$", "-test.timeout=0", "-rapid.nofailfile", "-rapid.shrinktime=0s")
			cmd.Env = append(os.Environ(), "PROVISION_TRUTH_SEEDS=400", "PROVISION_TRUTH_WORKERS=2")
			out, err := cmd.CombinedOutput()
			found := regexp.MustCompile(`\[rapid\] failed after (\d+) tests: (.*)`).FindSubmatch(out)
			if err == nil || found == nil {
				t.Fatalf("not found: %v\n%s", err, out)
			}
			t.Logf("found after %s scenes of one worker: %s", found[1], found[2])
		})
	}
}

// TestPlantedBugsFit looks whether each of them still fits the program.
func TestPlantedBugsFit(t *testing.T) {
	for _, file := range plantedBugs(t) {
		planted(t, file)
	}
}

func plantedBugs(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/planted/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no bugs: %v", err)
	}
	return files
}

// planted returns a file of the program and its text with a bug: the text before the line of equals signs becomes that after it.
func planted(t *testing.T, file string) (path string, changed []byte) {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(archive.Files) != 1 {
		t.Fatalf("%s changes %d files, and not one", file, len(archive.Files))
	}
	before, after, ok := bytes.Cut(archive.Files[0].Data, []byte("\n=======\n"))
	if !ok {
		t.Fatalf("%s has no line of seven equals signs", file)
	}
	path, err = filepath.Abs(filepath.Join("../..", archive.Files[0].Name))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(text, before); n != 1 {
		t.Fatalf("%s: what is to be changed is %d times in %s", file, n, path)
	}
	return path, bytes.Replace(text, before, bytes.TrimSuffix(after, []byte("\n")), 1)
}

// plant builds the tests of this package with a bug.
func plant(t *testing.T, file string) string {
	t.Helper()
	path, text := planted(t, file)
	dir := t.TempDir()
	changed, overlay, binary := filepath.Join(dir, filepath.Base(path)), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "planted.test")
	data, err := json.Marshal(map[string]map[string]string{"Replace": {path: changed}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{changed: text, overlay: data} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("go", "test", "-c", "-overlay", overlay, "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatal(fmt.Errorf("%s: %w\n%s", file, err, out))
	}
	return binary
}
