//go:build acceptance

package acceptance

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// A trial is a run of provision on a throw-away container, with a cache of its own and so its own records of containers.
type trial struct {
	*book
	cmd  *exec.Cmd
	file string // of stdout and stderr
	done chan struct{}
}

// try starts a command in the directory of a playbook.
func try(t *testing.T, b *book, args ...string) *trial {
	t.Helper()
	output, err := os.CreateTemp(t.TempDir(), "output")
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	r := &trial{book: b, cmd: b.command(args...), file: output.Name(), done: make(chan struct{})}
	r.cmd.Stdout, r.cmd.Stderr = output, output
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(r.done)
		_ = r.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = r.cmd.Process.Kill()
		<-r.done
		for _, name := range r.containers() {
			_ = exec.Command("docker", "rm", "-f", "-v", name).Run()
		}
	})
	return r
}

// newTrialBook is a playbook without an inventory.
func newTrialBook(t *testing.T, text string) *book {
	t.Helper()
	b := &book{t: t, dir: t.TempDir()}
	b.write("site.hcl", text)
	return b
}

// output is what the command has printed so far.
func (r *trial) output() string {
	text, err := os.ReadFile(r.file)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

func (r *trial) wait(patience time.Duration) (exit int, output string) {
	r.t.Helper()
	select {
	case <-r.done:
	case <-time.After(patience):
		_ = r.cmd.Process.Kill()
		<-r.done
		r.t.Fatalf("it does not end\n%s", r.output())
	}
	return r.cmd.ProcessState.ExitCode(), r.output()
}

// containers are the names that the records have.
func (b *book) containers() []string {
	dirs, _ := filepath.Glob(b.path(".cache/provision/containers/provision-*"))
	var names []string
	for _, d := range dirs {
		names = append(names, filepath.Base(d))
	}
	return names
}

// await returns the name of the container as soon as a condition, sh text, holds in it.
func (r *trial) await(condition string) string {
	r.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		for _, name := range r.containers() {
			if exec.Command("docker", "exec", name, "sh", "-c", condition).Run() == nil {
				return name
			}
		}
		select {
		case <-r.done:
			r.t.Fatalf("it ended before %s\n%s", condition, r.output())
		default:
		}
	}
	r.t.Fatalf("it never came to %s", condition)
	return ""
}

func exists(name string) bool { return exec.Command("docker", "inspect", name).Run() == nil }

// gone fails the test if the container is there, or a record.
func (r *trial) gone(name string) {
	r.t.Helper()
	if exists(name) {
		r.t.Errorf("the container %s is still there", name)
	}
	if left := r.containers(); len(left) > 0 {
		r.t.Errorf("the records of %v are still there", left)
	}
}
