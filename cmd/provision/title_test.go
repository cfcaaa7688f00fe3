package main

import (
	"os"
	"path/filepath"
	"testing"
)

// What a run owes is found again whether the next one is given the directory or the one file in it.
func TestPlaybookTitleOfADirectoryWithOneFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "site")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	add := func(name string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		return file
	}
	file := add("playbook.hcl")
	add("prod.vars.hcl")
	if a, b := playbookTitle(dir), playbookTitle(file); a != b || a != "site/playbook.hcl" {
		t.Errorf("%q and %q", a, b)
	}
	add("more.hcl")
	if a, b := playbookTitle(dir), playbookTitle(file); a == b {
		t.Errorf("one file of two and the directory are both %q", a)
	}
}
