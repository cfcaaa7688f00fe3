//go:build acceptance

package acceptance

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/creack/pty"

	"provision/internal/testhost"
)

// readmeLines returns the commands of a section of the README, as they are typed there.
func readmeLines(t *testing.T, title string) []string {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(readme), "\n## "+title+"\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var lines []string
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(section, -1) {
		for line := range strings.Lines(block[1]) {
			line, _, _ = strings.Cut(line, "  #")
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// A newcomer is somebody with a key, a terminal and the README.
type newcomer struct {
	t    *testing.T
	host *testhost.Host
	home string
}

func newNewcomer(t *testing.T, h *testhost.Host) *newcomer {
	t.Helper()
	u := &newcomer{t: t, host: h, home: t.TempDir()}
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(h.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		os.MkdirAll(filepath.Join(u.home, "bin"), 0o755),
		os.Symlink(path, filepath.Join(u.home, "bin", "provision")),
		os.MkdirAll(filepath.Join(u.home, ".ssh"), 0o700),
		os.WriteFile(filepath.Join(u.home, ".ssh", "id_ed25519"), key, 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return u
}

// types types a command at a terminal and answers what it asks.
func (u *newcomer) types(line string) string {
	u.t.Helper()
	cmd := exec.CommandContext(u.t.Context(), "sh", "-c", line)
	cmd.Dir = u.home
	cmd.Env = []string{
		"HOME=" + u.home, "PATH=" + filepath.Join(u.home, "bin") + ":" + os.Getenv("PATH"), "USER=tester", "TERM=dumb",
		"PROVISION_VAR_secret_key=a-value-of-my-own",
	}
	terminal, err := pty.Start(cmd)
	if err != nil {
		u.t.Fatal(err)
	}
	defer terminal.Close()
	answers := map[string]string{"assword": u.host.Password + "\n", "Trust 1 host?": "y\n", "Apply these changes?": "y\n"}
	var screen bytes.Buffer
	chunk := make([]byte, 4096)
	for {
		n, err := terminal.Read(chunk)
		screen.Write(chunk[:n])
		for question, answer := range answers {
			if strings.Contains(screen.String(), question) {
				delete(answers, question)
				if _, err := io.WriteString(terminal, answer); err != nil {
					u.t.Fatal(err)
				}
			}
		}
		if err != nil {
			break
		}
	}
	if err := cmd.Wait(); err != nil {
		u.t.Fatalf("%s: %v\n%s", line, err, screen.String())
	}
	return screen.String()
}

// fillIn does to the project what the README says between its two blocks of commands.
func (u *newcomer) fillIn() {
	u.t.Helper()
	file := filepath.Join(u.home, "site", "server.hcl")
	text, err := os.ReadFile(file)
	if err != nil {
		u.t.Fatal(err)
	}
	before := `  address = "203.0.113.10"` + "\n"
	if !strings.Contains(string(text), before) {
		u.t.Fatalf("the example has no line %s", before)
	}
	after := fmt.Sprintf("  address = %q\n  port    = %d\n", u.host.Addr, u.host.Port)
	if u.host.User != "root" {
		after += fmt.Sprintf("  user    = %q\n", u.host.User)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), before, after, 1)), 0o644); err != nil {
		u.t.Fatal(err)
	}
}

// TestReadmeServer walks the README's way to a real server: as root, as a user who may use sudo, and as one whom sudo asks for a password.
func TestReadmeServer(t *testing.T) {
	t.Parallel()
	lines := readmeLines(t, "A real server in five minutes")
	if len(lines) != 7 {
		t.Fatalf("the README has %d commands there, want 7: %q", len(lines), lines)
	}
	for name, opts := range map[string][]testhost.Option{
		"root":               nil,
		"sudo":               {testhost.AsAdmin()},
		"sudo with password": {testhost.AsAdminPassword()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := testhost.Fresh(t, opts...)
			u := newNewcomer(t, h)
			run := false // on the server
			for _, line := range lines {
				if strings.HasPrefix(line, "provision trust ") {
					u.fillIn()
					run = true
				}
				if run && h.Password != "" && !strings.HasPrefix(line, "provision trust ") {
					line += " --ask-become-pass"
				}
				out := u.types(line)
				if strings.HasPrefix(line, "provision apply ") && !strings.Contains(out, "2 checks passed") {
					t.Errorf("%s: no word of the checks\n%s", line, out)
				}
			}
			plan := "provision plan site"
			if h.Password != "" {
				plan += " --ask-become-pass"
			}
			if out := u.types(plan); !strings.Contains(out, "No changes.") {
				t.Errorf("a second plan:\n%s", out)
			}
		})
	}
}
