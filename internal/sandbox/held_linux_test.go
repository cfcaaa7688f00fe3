package sandbox_test

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A held sandbox is one whose parent is another process, so that the parent can be killed.
type held struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	output string // what the script printed, and what Start noted
	notes  string
}

// holdSandbox runs a command that ends up in hold, and returns once the script has run.
func holdSandbox(t *testing.T, cmd *exec.Cmd) *held {
	t.Helper()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		_ = cmd.Wait()
	})
	h := &held{cmd: cmd, stdin: stdin}
	var text strings.Builder
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if notes, ok := strings.CutPrefix(lines.Text(), ready); ok {
			h.output, h.notes = text.String(), notes
			return h
		}
		text.WriteString(lines.Text() + "\n")
	}
	_ = cmd.Wait()
	t.Fatalf("no sandbox: %s%s", text.String(), stderr.String())
	return nil
}

// expectGone waits until no process is in the pid namespace and nothing is in the directory for temporary files. The
// end of a killed process's children takes a moment, and there is nobody to wait for them.
func expectGone(t *testing.T, namespace, tmp string) {
	t.Helper()
	if !strings.HasPrefix(namespace, "pid:[") {
		t.Fatalf("%q is no namespace", namespace)
	}
	for range 600 {
		entries, err := os.ReadDir(tmp)
		if err != nil {
			t.Fatal(err)
		}
		if len(processesIn(t, namespace)) == 0 && len(entries) == 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("still there: processes %v", processesIn(t, namespace))
	expectEmpty(t, tmp)
}

// ownTempDir makes the sandbox's temporary files go where nobody else's are.
func ownTempDir(t *testing.T) string {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	return dir
}

func tempDirIn(t *testing.T, parent string) string {
	t.Helper()
	dir, err := os.MkdirTemp(parent, "provision-sandbox-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	// A container's own files are on an overlay, which cannot hold the layers of another.
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	if st.Type == unix.OVERLAYFS_SUPER_MAGIC && os.Geteuid() == 0 {
		if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NODEV|unix.MS_NOSUID, "mode=0700"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	}
	return dir
}

func expectEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Errorf("left behind: %s", filepath.Join(dir, e.Name()))
	}
}
