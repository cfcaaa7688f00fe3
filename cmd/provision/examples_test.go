package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestExamplesOfHelp gives every command two examples or more, and every example to the command that it is of.
func TestExamplesOfHelp(t *testing.T) {
	seen := 0
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
		if cmd.Name() == "help" || !cmd.IsAvailableCommand() || cmd.Parent() == nil {
			return
		}
		seen++
		lines := strings.Split(cmd.Example, "\n")
		if len(lines) < 2 {
			t.Errorf("%s has %d examples", cmd.CommandPath(), len(lines))
		}
		for _, line := range lines {
			if !strings.Contains(line, cmd.CommandPath()+" ") && strings.TrimSpace(line) != cmd.CommandPath() && cmd.Name() != "version" {
				t.Errorf("%q is no example of %s", line, cmd.CommandPath())
			}
		}
		commandLines(t, cmd.Example)
	}
	walk(newCLI().rootCommand())
	if seen != len(exampleLines) {
		t.Errorf("%d commands, and examples of %d", seen, len(exampleLines))
	}
}

// TestTopicsOfHelp holds the pages beside what the README and the code say.
func TestTopicsOfHelp(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^\| (\d+) \|`).FindAllSubmatch(readme, -1) {
		if !regexp.MustCompile(`(?m)^  ` + string(m[1]) + ` +\w`).MatchString(helpText("exit-codes")) {
			t.Errorf("help exit-codes has no status %s", m[1])
		}
	}
	language, err := os.ReadFile("../../docs/language.md")
	if err != nil {
		t.Fatal(err)
	}
	for page, words := range map[string][]string{
		"variables": {"PROVISION_VAR_", "provision.vars.hcl", "*.auto.vars.hcl", "--var-file FILE", "--var "},
		"secrets":   {"PROVISION_AGE_IDENTITY", "~/.config/provision/age.key", "~/.ssh/id_ed25519", "~/.ssh/id_rsa", "(sensitive)"},
	} {
		at := 0
		for _, word := range words {
			next := strings.Index(helpText(page)[at:], word)
			if !strings.Contains(string(language), word) || next < 0 && page == "variables" || !strings.Contains(helpText(page), word) {
				t.Errorf("help %s and docs/language.md differ about %s, or its order", page, word)
			}
			if page == "variables" {
				at += max(next, 0)
			}
		}
		for line := range strings.Lines(helpText(page)) {
			if line = strings.TrimSpace(line); strings.Contains(line, "provision ") && !strings.Contains(line, ",") && strings.HasSuffix(line, "site.hcl") {
				commandLines(t, line)
			}
		}
	}
}
