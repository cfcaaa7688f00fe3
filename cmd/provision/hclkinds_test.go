package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

var hclBlock = regexp.MustCompile("(?ms)^```hcl\n(.*?)^```$")

// TestOwnKindsOfTheManual applies the examples of docs/hcl-kinds.md to a throw-away host, and plans them once more: nothing may be left.
func TestOwnKindsOfTheManual(t *testing.T) {
	needSandbox(t)
	page, err := os.ReadFile("../../docs/hcl-kinds.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := hclBlock.FindAllStringSubmatch(string(page), -1)
	if len(blocks) != 2 {
		t.Fatalf("%d examples", len(blocks))
	}
	for _, b := range blocks {
		file := filepath.Join(t.TempDir(), "site.hcl")
		if err := os.WriteFile(file, []byte(b[1]), 0o644); err != nil {
			t.Fatal(err)
		}
		valid(t, file)
		for _, command := range [][]string{{"fmt", "--check", file}, {"test", file}} {
			cmd := exec.CommandContext(t.Context(), "provision", command...)
			cmd.Env = append(os.Environ(), "GORACE="+raceOptions)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("provision %s: %v\n%s", command[0], err, out)
			}
		}
	}
}
