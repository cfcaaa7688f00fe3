package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestArrowsRunOneWay pins the picture of docs/architecture.md: which package may import which.
func TestArrowsRunOneWay(t *testing.T) {
	allowed := map[string][]string{
		"cmd/provision":            {"examples", "internal/container", "internal/engine", "internal/event", "internal/inventory", "internal/playbook", "internal/record", "internal/redact", "internal/sandbox", "internal/savedplan", "internal/shell", "internal/ssh", "internal/steps", "internal/steps/kinds", "internal/suggest", "internal/ui", "playbooks"},
		"examples":                 {},
		"playbooks":                {},
		"internal/shell":           {},
		"internal/shell/shelltest": {},
		"internal/suggest":         {},
		"internal/redact":          {},
		"internal/steps":           {},
		"internal/steps/kit":       {"internal/shell", "internal/steps"},
		"internal/steps/kinds":     {"internal/shell", "internal/steps", "internal/steps/kit"},
		"internal/steps/scripted":  {"internal/shell", "internal/steps"},
		"internal/inventory":       {"internal/steps", "internal/suggest"},
		"internal/playbook":        {"internal/inventory", "internal/redact", "internal/shell", "internal/steps", "internal/steps/kinds", "internal/steps/scripted", "internal/suggest"},
		"internal/event":           {"internal/steps"},
		"internal/savedplan":       {"internal/event", "internal/steps"},
		"internal/engine":          {"internal/event", "internal/redact", "internal/savedplan", "internal/shell", "internal/steps"},
		"internal/record":          {"internal/event"},
		"internal/ui":              {"internal/event", "internal/record", "internal/redact", "internal/steps"},
		"internal/ssh":             {"internal/ssh/sshconfig"},
		"internal/ssh/sshconfig":   {},
		"internal/ssh/sshd":        {},
		"internal/ssh/sshtest":     {"internal/ssh", "internal/ssh/sshd"},
		"internal/seccomp":         {},
		"internal/sandbox":         {"internal/seccomp", "internal/ssh/sshd"},
		"internal/container":       {"internal/ssh/sshd"},
		"internal/testhost":        {},
		"internal/sim":             {"internal/engine", "internal/event", "internal/inventory", "internal/playbook", "internal/redact", "internal/seccomp", "internal/steps", "internal/truth"},
		"internal/truth":           {"internal/engine", "internal/event", "internal/steps"},
	}
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "provision/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		name := strings.TrimPrefix(fields[0], "provision/")
		may, known := allowed[name]
		for _, imported := range fields[1:] {
			own, ours := strings.CutPrefix(imported, "provision/")
			switch {
			case !ours:
			case !known:
				t.Errorf("%s is new: say here what it may import, and draw it in docs/architecture.md", name)
			case !slices.Contains(may, own):
				t.Errorf("%s must not import %s", name, own)
			}
		}
	}
}
