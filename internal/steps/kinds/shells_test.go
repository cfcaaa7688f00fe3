package kinds

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"provision/internal/shell"
	"provision/internal/steps"
)

// everyShell is what fragments of sh must work in: a bash that is called sh is in its POSIX mode. Debian's busybox sh takes its own
// applets before the programs of the system.
var everyShell = [][]string{{"dash"}, {"bash", "--posix"}, {"busybox", "sh"}}

// availableShells returns the shells of everyShell that this machine has, and skips loudly, or
// fails where PROVISION_CI=1 says that all must be there. With -short the first one has to do.
func availableShells(t *testing.T, only string) [][]string {
	t.Helper()
	var found [][]string
	for _, sh := range everyShell {
		if only != "" && !containsLine(only, strings.Join(sh, " ")) {
			continue
		}
		if _, err := exec.LookPath(sh[0]); err != nil {
			lack(t, "no "+sh[0]+" on this machine")
			continue
		}
		found = append(found, sh)
	}
	if testing.Short() && len(found) > 1 {
		found = found[:1]
	}
	return found
}

func containsLine(text, line string) bool {
	for _, l := range strings.Split(text, "\n") {
		if l == line {
			return true
		}
	}
	return false
}

// lack says that something cannot be tested here.
func lack(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("PROVISION_CI") == "1" {
		t.Fatal(what)
	}
	t.Log("NOT TESTED: " + what)
}

// A ran is what a script printed, and its status.
type ran struct {
	stdout, stderr string
	exit           int
}

// A host runs fragments of sh as the engine does, on this machine.
type host struct {
	shell  []string
	work   string
	before string   // sh after the prelude and the facts
	enter  []string // words before the shell, to enter a private view of the system
}

// fragment runs text as a probe or an operation.
func (h *host) fragment(t *testing.T, text string, stdin []byte, env []steps.Variable, detail bool) ran {
	t.Helper()
	var b strings.Builder
	b.WriteString(shell.Prelude + "\n" + steps.FactsScript + "\n" + h.before)
	b.WriteString("SALT=salt\n")
	if detail {
		b.WriteString("DETAIL=1\n")
	}
	for _, v := range env {
		fmt.Fprintf(&b, "%s=%s\nexport %s\n", v.Name, shell.Quote(v.Value.Reveal()), v.Name)
	}
	b.WriteString("( eval " + shell.Quote(text) + " )\n")
	return h.script(t, b.String(), stdin)
}

// script runs text as it stands, in a file of its own, without input unless there is some.
func (h *host) script(t *testing.T, text string, stdin []byte) ran {
	t.Helper()
	file := filepath.Join(filepath.Dir(h.work), "script")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	words := append(append(append([]string{}, h.enter...), h.shell...), file)
	cmd := exec.Command(words[0], words[1:]...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Dir = h.work
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "WORK=" + h.work}
	if stdin != nil {
		cmd.Stdin = bytes.NewReader(stdin)
	}
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v", words, err)
	}
	return ran{stdout: stdout.String(), stderr: stderr.String(), exit: cmd.ProcessState.ExitCode()}
}

// apply runs the operations of a change, as the engine does.
func (h *host) apply(t *testing.T, ops []steps.Op) error {
	t.Helper()
	for _, op := range ops {
		var r ran
		switch op := op.(type) {
		case steps.Run:
			var stdin []byte
			if op.Stdin != nil {
				stdin = contentBytes(t, *op.Stdin)
			}
			r = h.fragment(t, op.Script, stdin, op.Env, false)
		case steps.Put:
			r = h.put(t, op)
		default:
			return fmt.Errorf("%T cannot be run in a test", op)
		}
		if r.exit != 0 {
			return fmt.Errorf("%T: exit %d: %s", op, r.exit, r.stderr)
		}
	}
	return nil
}

func contentBytes(t *testing.T, c steps.Content) []byte {
	t.Helper()
	if c.Tree != nil {
		var b bytes.Buffer
		if err := c.Tree.WriteTar(&b); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	if c.Local == nil {
		return append([]byte{}, c.Text.Reveal()...)
	}
	b, err := os.ReadFile(c.Local.Path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (h *host) put(t *testing.T, p steps.Put) ran {
	t.Helper()
	mode := "644"
	if p.Content.Local == nil && p.Content.Text.Sensitive() {
		mode = "600"
	}
	backup := ""
	if p.Backup {
		backup = "1"
	}
	call := shell.Put + "put " + shell.Words(p.Path, p.Owner, p.Group, p.Mode, mode, p.Validate, backup) + "\n"
	stdin := contentBytes(t, p.Content)
	if stdin == nil {
		stdin = []byte{}
	}
	return h.fragment(t, call, stdin, nil, false)
}

// privateSystem starts a mount namespace whose /etc, /home and /var/mail may be changed
// without a trace, and returns the words that enter it, or nil where that is not possible.
func privateSystem(t *testing.T) []string {
	t.Helper()
	if os.Getuid() != 0 {
		lack(t, "a private system needs root")
		return nil
	}
	cmd := exec.Command("unshare", "-m", "--propagation", "private", "sh", "-c", `
mount -t tmpfs tmpfs /mnt && mkdir /mnt/upper /mnt/work &&
mount -t overlay overlay -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work /etc &&
mount -t tmpfs -o mode=755 tmpfs /home && mount -t tmpfs tmpfs /var/mail || exit 1
echo ready
exec cat`)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		lack(t, "no private system: "+err.Error())
		return nil
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_, _ = io.Copy(io.Discard, stdout)
		_ = cmd.Wait()
	})
	if line, _ := bufio.NewReader(stdout).ReadString('\n'); line != "ready\n" {
		lack(t, "no private system: "+stderr.String())
		return nil
	}
	return []string{"nsenter", "-t", fmt.Sprint(cmd.Process.Pid), "-m", "--"}
}
