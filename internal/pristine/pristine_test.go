//go:build acceptance

package pristine

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"provision/internal/testhost"
)

//go:embed enter.sh
var enterScript string

// A machine is a minimal Debian in a directory, on which commands run in namespaces of their own.
type machine struct {
	t      *testing.T
	env    []string // of enter.sh
	source string   // the checkout, there as here
}

// newMachine makes one with the sources of this checkout and the Go that runs this test, and with none of this machine's programs.
func newMachine(t *testing.T) *machine {
	t.Helper()
	root := testhost.PristineRoot(t)
	source, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	// There Go finds all that it wants to download.
	output(t, source, "go", "mod", "download")
	m := &machine{t: t, source: source, env: []string{
		"ROOT=" + root, "SOURCE=" + source, "LAYERS=" + filepath.Join(filepath.Dir(root), "layers"),
		"GO=" + output(t, source, "go", "env", "GOROOT"),
		"MODULES=" + output(t, source, "go", "env", "GOMODCACHE"),
		"CACHE=" + output(t, source, "go", "env", "GOCACHE"),
	}}
	m.copySources(root)
	return m
}

func output(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	return strings.TrimSpace(string(out))
}

// copySources puts there what git knows of the checkout and what is new in it, or all where there is no git.
func (m *machine) copySources(root string) {
	m.t.Helper()
	script := `cd "$1"
if git rev-parse --git-dir >/dev/null 2>&1; then
	git ls-files -co --exclude-standard -z | while IFS= read -r -d "" f; do [ ! -e "$f" ] || printf '%s\0' "$f"; done
else
	find . -path ./.git -prune -o -type f -print0
fi | tar --null -T - -cf - | { mkdir -p "$2" && tar --no-same-owner -C "$2" -xf -; }`
	output(m.t, m.source, "bash", "-euo", "pipefail", "-c", script, "bash", m.source, root+m.source)
}

// run runs a line of sh as a user of the machine, in that user's checkout.
func (m *machine) run(account, line string, variables ...string) (out string, err error) {
	m.t.Helper()
	home, dir := "/root", m.source
	if account != "root" {
		home = "/home/" + account
		dir = home + "/provision"
	}
	cmd := exec.CommandContext(m.t.Context(), "unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child",
		"--uts", "--ipc", "/bin/sh", "-c", enterScript)
	cmd.Env = append([]string{
		"ACCOUNT=" + account, "HOMEDIR=" + home, "DIR=" + dir, "COMMAND=" + line, "VARIABLES=" + strings.Join(variables, " "), "PATH=" + os.Getenv("PATH"),
	}, m.env...)
	started := time.Now()
	text, err := cmd.CombinedOutput()
	m.t.Logf("%s: %s: %.0f s, %v", account, line, time.Since(started).Seconds(), cmd.ProcessState)
	return string(text), err
}

// readmeCommands are the two commands at the head of the README, as they are typed there.
func readmeCommands(t *testing.T) (try, test string) {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(string(readme), "\n## ")
	blocks := regexp.MustCompile("(?s)```(?:sh)?\n(.*?)\n```").FindAllStringSubmatch(head, -1)
	if len(blocks) != 2 {
		t.Fatalf("the README begins with %d blocks of commands, want 2", len(blocks))
	}
	return blocks[0][1], blocks[1][1]
}

// TestReadmeOnAMachineWithNothing types the README's commands: first as a user who can install nothing, then as root.
func TestReadmeOnAMachineWithNothing(t *testing.T) {
	m := newMachine(t)
	try, test := readmeCommands(t)
	if out, err := m.run("root", "command -v sudo sshd gcc systemctl curl python3"); err == nil {
		t.Fatalf("the machine has more than nothing: %s", out)
	}
	for _, account := range []string{"someone", "root"} {
		t.Run(account, func(t *testing.T) {
			m := &machine{t: t, env: m.env, source: m.source}
			out, err := m.run(account, try)
			if err != nil || !strings.Contains(out, "2 checks passed") {
				t.Errorf("%s: %v\n%s", try, err, last(out))
			}
			again := strings.Replace(strings.Replace(try, " apply ", " test ", 1), " --sandbox ", " ", 1)
			out, err = m.run(account, again)
			if err != nil || !strings.Contains(out, "No changes. sandbox is as the playbook says") {
				t.Errorf("%s: %v\n%s", again, err, last(out))
			}

			// As root it installs what it needs, so there nothing may be left out.
			variables := []string{"PROVISION_INSIDE=pristine"}
			if account == "root" {
				variables = append(variables, "CI=true")
			}
			out, err = m.run(account, test, variables...)
			if err != nil || !strings.Contains(out, "\nPASSED in ") {
				t.Errorf("%s: %v; all that it printed is in %s\n%s", test, err, keep(t, out), last(out))
			}
			for line := range strings.Lines(out) {
				if strings.HasPrefix(line, "=== ") && strings.Contains(line, ": passed") || strings.HasPrefix(line, "LEFT OUT") {
					t.Log(strings.TrimSpace(line))
				}
			}
			if leftOut := strings.Contains(out, "\nLEFT OUT: "); leftOut == (account == "root") {
				t.Errorf("something was left out: %v", leftOut)
			}
		})
	}
}

// keep writes an output to a file that stays, and returns its name.
func keep(t *testing.T, out string) string {
	t.Helper()
	f, err := os.CreateTemp("", "provision-test-pristine-*.log")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(out); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// last is what of an output explains its end. ./test names there all the tests that failed.
func last(out string) string {
	const most = 12000
	if len(out) <= most {
		return out
	}
	return fmt.Sprintf("[%d bytes]\n%s", len(out)-most, out[len(out)-most:])
}
