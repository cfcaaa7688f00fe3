package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"provision/internal/engine"
	"provision/internal/truth"
)

// truthWorker is set in the processes that TestTruth starts, to the directory that they work in.
const truthWorker = "PROVISION_TRUTH_WORKER"

// truthSeeds is how many scenes TestTruth plays where PROVISION_TRUTH_SEEDS does not say. They are the same ones each time: a change
// does not fail by the luck of a draw that has nothing to do with it.
const truthSeeds = 100

// TestTruth plays random playbooks on random hosts, and holds what the commands say against what happens; see internal/truth and
// docs/testing.md. Each of its processes is the first of a process namespace, so that nothing that runs on a host is missed.
func TestTruth(t *testing.T) {
	if dir := os.Getenv(truthWorker); dir != "" {
		playTruth(t, dir)
		return
	}
	needNamespaces(t)
	few := truthSeeds
	if testing.Short() {
		few = 12
	}
	seeds, workers := setting(t, "PROVISION_TRUTH_SEEDS", few), setting(t, "PROVISION_TRUTH_WORKERS", 3)
	seed := flag.Lookup("rapid.seed").Value.String()
	replay := seed != "0" && seed != os.Getenv("RAPID_SEED") || flag.Lookup("rapid.failfile").Value.String() != ""
	if replay {
		workers = 1
	}
	drawn := replay || os.Getenv("PROVISION_TRUTH_SEEDS") != ""
	var wg sync.WaitGroup
	for n := range workers {
		dir := t.TempDir()
		wg.Go(func() {
			args := []string{"-test.run=^TestTruth$", "-test.timeout=0", fmt.Sprintf("-rapid.checks=%d", (seeds+workers-1)/workers)}
			flag.Visit(func(f *flag.Flag) {
				if strings.HasPrefix(f.Name, "rapid.") && f.Name != "rapid.checks" {
					args = append(args, "-"+f.Name+"="+f.Value.String())
				}
			})
			if !drawn {
				args = append(args, fmt.Sprintf("-rapid.seed=%d", n+1))
			}
			out, err := truthProcess(dir, args...).CombinedOutput()
			if err != nil {
				t.Errorf("worker %d: %v\n%s", n, err, out)
			}
		})
	}
	wg.Wait()
}

func setting(t *testing.T, name string, otherwise int) int {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%s is no number of at least 1", name, text)
	}
	return n
}

// truthProcess is this test once more, in namespaces of its own.
func truthProcess(dir string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), truthWorker+"="+dir, "GORACE="+raceOptions)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
	}
	return cmd
}

// needNamespaces skips where hosts cannot be made, unless PROVISION_CI=1 says that they must.
func needNamespaces(t *testing.T) {
	err := errors.New("it needs root")
	if os.Getuid() == 0 {
		cmd := truthProcess(t.TempDir(), "-test.run=^$")
		err = cmd.Run()
	}
	for _, shell := range []string{"/usr/bin/dash", "/usr/bin/bash", "/usr/bin/busybox", "/usr/sbin/useradd", "/usr/bin/git"} {
		if _, missing := os.Stat(shell); missing != nil && err == nil {
			err = missing
		}
	}
	switch {
	case err != nil && os.Getenv("PROVISION_CI") == "1":
		t.Fatalf("PROVISION_CI=1 and no hosts can be made: %v", err)
	case err != nil:
		t.Skipf("NOT TESTED, no hosts can be made here: %v", err)
	}
}

// truthLab is a lab in a directory that is the home of what runs in this process.
func truthLab(t *testing.T, dir string) *truth.Lab {
	lab, err := truth.NewLab(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"HOME": dir, "NO_COLOR": "1", "LC_ALL": "C.UTF-8"} {
		if err := os.Setenv(name, value); err != nil {
			t.Fatal(err)
		}
	}
	return lab
}

// playTruth plays scenes in a process of its own.
func playTruth(t *testing.T, dir string) {
	lab := truthLab(t, dir)
	rapid.Check(t, func(t *rapid.T) { truth.Check(t, lab, inProcess(t, dir)) })
}

// inProcess runs command lines in this process.
func inProcess(t interface{ Fatal(args ...any) }, dir string) truth.Command {
	return func(dialer engine.Dialer, args ...string) (int, string, string) {
		var files []*os.File
		for _, name := range []string{"stdout", "stderr"} {
			f, err := os.Create(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			files = append(files, f)
		}
		stdout, stderr := os.Stdout, os.Stderr
		os.Stdout, os.Stderr = files[0], files[1]
		c := newCLI()
		c.dialer = dialer
		status := c.execute(context.Background(), args)
		os.Stdout, os.Stderr = stdout, stderr
		var said []string
		for _, f := range files {
			_, _ = f.Seek(0, io.SeekStart)
			data, err := io.ReadAll(f)
			if err != nil {
				t.Fatal(err)
			}
			said = append(said, string(data))
		}
		return status, said[0], said[1]
	}
}
