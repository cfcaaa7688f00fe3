package engine

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// /bin/sh may be any of these: each reads all that is sent to hosts, and becomes another user within a command substitution, as a
// program does it.
func TestOtherShells(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "all")
	prog := program{id: "x", entries: []entry{{number: 1, addr: "step.command.x", probe: "echo y", gate: "n", cases: []stateCase{{state: "y"}}}}}
	text, _, err := prog.text()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(library()+followText()+text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"dash", "bash", "ksh93", "mksh", "zsh", "yash"} {
		t.Run(name, func(t *testing.T) {
			path, err := exec.LookPath(name)
			if err != nil {
				t.Skip("this machine has no " + name)
			}
			sh := func(args ...string) string {
				// All of them look at the name that they are called by.
				cmd := exec.Command(path, args...)
				cmd.Args[0] = "sh"
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Errorf("%v: %s", err, out)
				}
				return string(out)
			}
			sh("-n", file) // ksh93 has advice beside
			if os.Getuid() != 0 {
				t.Skip("only root becomes another user")
			}
			out := sh("-c", library()+"\nSALT= DETAIL=0\nlook() { SAID=$(fragment nobody '' '' 'echo \"$(id -un) $RUN_AS\"' </dev/null); }\nlook\nprintf '%s' \"$SAID\"")
			if strings.TrimSpace(out) != "nobody nobody" {
				t.Errorf("another user says %q", out)
			}
		})
	}
}
