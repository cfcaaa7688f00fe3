package sandbox_test

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A snapshot is what a sandbox could have changed of the machine: every file of some trees by path, and the mounts.
type snapshot struct {
	files  map[string]string
	mounts []string
}

func takeSnapshot(t *testing.T) snapshot {
	t.Helper()
	s := snapshot{files: map[string]string{}}
	for _, dir := range []string{"/etc", "/usr/local/bin", "/home", "/var/mail", "/var/lib/dpkg/updates"} {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return nil // absent, or another's
			}
			s.files[path] = describe(t, path, e)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(table)) {
		// Containers of others come and go, and so do the small file systems of the engine's tests.
		if !slices.ContainsFunc([]string{"docker", "containerd", "/provision-home-"}, func(s string) bool { return strings.Contains(line, s) }) {
			s.mounts = append(s.mounts, line)
		}
	}
	return s
}

// describe sums up one file: mode, owner, and the digest of what is in it.
func describe(t *testing.T, path string, e fs.DirEntry) string {
	info, err := e.Info()
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprint(info.Mode(), " ", owners(info))
	switch {
	case info.Mode().IsRegular():
		data, err := os.ReadFile(path)
		if err != nil {
			return text + " unreadable"
		}
		return fmt.Sprintf("%s %x", text, sha256.Sum256(data))
	case info.Mode()&fs.ModeSymlink != 0:
		target, _ := os.Readlink(path)
		return text + " " + target
	}
	return text
}

func compareSnapshots(t *testing.T, before, after snapshot) {
	t.Helper()
	if diff := cmp.Diff(before.files, after.files); diff != "" {
		t.Errorf("files of the machine changed (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(before.mounts, after.mounts); diff != "" {
		t.Errorf("mounts of the machine changed (-before +after):\n%s", diff)
	}
}

// processesIn lists the processes of a pid namespace such as "pid:[4026532256]".
func processesIn(t *testing.T, namespace string) []string {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/ns/pid")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && to == namespace {
			found = append(found, filepath.Dir(filepath.Dir(link)))
		}
	}
	return found
}

// filesNamed counts the files of that name below dir.
func filesNamed(t *testing.T, dir, name string) int {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && e.Name() == name {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
