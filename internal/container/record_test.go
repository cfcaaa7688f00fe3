package container

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fakeDocker puts a docker command first in PATH that does what the script says, and returns the file in which it notes its
// arguments.
func fakeDocker(t *testing.T, script string) (log string) {
	t.Helper()
	dir := t.TempDir()
	log = filepath.Join(dir, "log")
	text := "#!/bin/sh\necho \"$*\" >>" + log + "\n" + script + "\n"
	if err := os.WriteFile(filepath.Join(dir, "docker"), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	return log
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(text)
}

// A container whose process has ended is removed; one whose process runs, and one of another engine, stay.
func TestSweep(t *testing.T) {
	log := fakeDocker(t, "")
	dir := t.TempDir()
	mine, other := engine{id: "mine"}, engine{id: "other"}
	runs, err := newRecord(dir, "provision-runs", mine.id)
	if err != nil {
		t.Fatal(err)
	}
	for name, e := range map[string]engine{"provision-dead": mine, "provision-elsewhere": other} {
		r, err := newRecord(dir, name, e.id)
		if err == nil {
			err = r.release() // as the kernel does when a process ends
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := sweep(t.Context(), mine, dir); err != nil {
		t.Fatal(err)
	}
	if got, want := read(t, log), "rm --force --volumes provision-dead\n"; got != want {
		t.Errorf("docker was told %q, want %q", got, want)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if got, want := strings.Join(left, " "), "provision-elsewhere provision-runs"; got != want {
		t.Errorf("records left: %s, want %s", got, want)
	}
	if err := runs.drop(); err != nil {
		t.Error(err)
	}
}

// What could not be removed keeps its record, so that the run after that tries again.
func TestSweepThatFails(t *testing.T) {
	fakeDocker(t, "echo device or resource busy >&2; exit 1")
	dir := t.TempDir()
	r, err := newRecord(dir, "provision-dead", "mine")
	if err == nil {
		err = r.release()
	}
	if err != nil {
		t.Fatal(err)
	}
	err = sweep(t.Context(), engine{id: "mine"}, dir)
	if err == nil || !strings.Contains(err.Error(), "device or resource busy") {
		t.Errorf("the error is %v, want docker's", err)
	}
	log := fakeDocker(t, "echo 'Error: No such container: provision-dead' >&2; exit 1")
	if err := sweep(t.Context(), engine{id: "mine"}, dir); err != nil || read(t, log) == "" {
		t.Errorf("the second attempt: %v; one that is gone already is fine", err)
	}
	if _, err := os.Stat(r.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its record is still there: %v", err)
	}
}

// Every cause for which no container can be started says what to do.
func TestNoEngine(t *testing.T) {
	for _, c := range []struct{ name, docker, want string }{
		{"nobody listens", "echo 'Cannot connect to the Docker daemon at unix:///var/run/docker.sock.' >&2; exit 1", "systemctl start docker"},
		{"an old client hides that", "echo; exit 0", "does not say who it is"},
		{"it is for Windows", "echo ID windows", "name another engine"},
	} {
		t.Run(c.name, func(t *testing.T) {
			fakeDocker(t, c.docker)
			_, err := Start(t.Context(), Options{Image: "x", Dir: t.TempDir()})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v, want %q in it", err, c.want)
			}
		})
	}
	t.Run("no docker command", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		_, err := Start(t.Context(), Options{Image: "x", Dir: t.TempDir()})
		if err == nil || !strings.Contains(err.Error(), "install it") {
			t.Errorf("the error is %v, want what to install", err)
		}
	})
}

// A start that fails leaves neither a container nor a record, whatever failed.
func TestFailedStartLeavesNothing(t *testing.T) {
	for name, script := range map[string]string{
		"run fails":    `case $1 in info) echo ID linux 2 ;; run) echo "docker: Error response from daemon: no space left" >&2; exit 125 ;; esac`,
		"it ends":      `case $1 in info) echo ID linux 2 ;; exec) exit 1 ;; inspect) echo false 64 ;; esac`,
		"cancellation": `case $1 in info) echo ID linux 2 ;; exec) echo starting ;; esac`,
	} {
		t.Run(name, func(t *testing.T) {
			log := fakeDocker(t, script)
			dir := t.TempDir()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			tell := func(what string) {
				if name == "cancellation" && strings.HasPrefix(what, "Booting") {
					cancel()
				}
			}
			_, err := Start(ctx, Options{Image: "x", Dir: dir, Tell: tell})
			if err == nil || name == "cancellation" && !errors.Is(err, context.Canceled) {
				t.Errorf("the error is %v", err)
			}
			if !strings.Contains(read(t, log), "rm --force --volumes provision-") {
				t.Errorf("nothing was removed:\n%s", read(t, log))
			}
			if entries, _ := os.ReadDir(dir); len(entries) > 0 {
				t.Errorf("records left: %v", entries)
			}
		})
	}
}

// The shell of an image may be any.
func TestScriptsParse(t *testing.T) {
	for _, shell := range [][]string{{"dash"}, {"bash", "--posix"}, {"busybox", "sh"}} {
		if _, err := exec.LookPath(shell[0]); err != nil {
			if os.Getenv("PROVISION_CI") == "1" {
				t.Fatalf("PROVISION_CI=1 and there is no %s", shell[0])
			}
			t.Logf("NOT TESTED: no %s on this machine", shell[0])
			continue
		}
		for _, script := range []string{bootScript, bootState, loginScript, noteScript} {
			if out, err := exec.Command(shell[0], append(shell[1:], "-n", "-c", script)...).CombinedOutput(); err != nil {
				t.Errorf("%v: %v\n%s", shell, err, out)
			}
		}
	}
}
