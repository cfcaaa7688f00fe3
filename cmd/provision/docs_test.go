package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"provision/internal/playbook"
	"provision/internal/steps/kinds"
	"provision/playbooks"
)

var update = flag.Bool("update", false, "write docs/steps and the table of kinds in README.md anew")

const manuals = "../../docs/steps"

// TestStepManualsAreCurrent keeps docs/steps what the code says. go test ./cmd/provision -run Manuals -update writes it.
func TestStepManualsAreCurrent(t *testing.T) {
	want := map[string]string{}
	var index strings.Builder
	index.WriteString("# Step kinds\n\nGenerated from the code: `provision steps` prints the same.\n\n| kind | |\n| --- | --- |\n")
	for _, k := range kinds.All() {
		summary, _, _ := strings.Cut(k.Doc, "\n")
		want[k.Name+".md"] = k.Manual()
		fmt.Fprintf(&index, "| [`%s`](%s.md) | %s |\n", k.Name, k.Name, summary)
	}
	want["../../README.md"] = withTable(t, index.String())
	index.WriteString("\n## Blocks that change nothing\n\nSee [data](../language.md#data) and [messages](../language.md#messages).\n\n| block | |\n| --- | --- |\n")
	for _, k := range kinds.Asides() {
		summary, _, _ := strings.Cut(k.Doc, "\n")
		want[k.Title()+".md"] = k.Manual()
		fmt.Fprintf(&index, "| [`%s`](%s.md) | %s |\n", k.Title(), k.Title(), summary)
	}
	want["README.md"] = index.String()

	entries, err := os.ReadDir(manuals)
	if err != nil && !*update {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, ok := want[e.Name()]; ok {
			continue
		}
		if !*update {
			t.Errorf("docs/steps/%s describes no kind", e.Name())
		} else if err := os.Remove(filepath.Join(manuals, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	if *update {
		if err := os.MkdirAll(manuals, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range want {
		file := filepath.Join(manuals, name)
		if *update {
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != text {
			t.Errorf("%s is not what the code says; run: go test ./cmd/provision -run Manuals -update", filepath.Clean(file))
		}
	}
}

// withTable returns the README with the table of kinds that the index of the manuals has.
func withTable(t *testing.T, index string) string {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	const head = "| kind | |\n| --- | --- |\n"
	_, table, _ := strings.Cut(index, head)
	before, rest, ok := strings.Cut(string(readme), head)
	_, after, ends := strings.Cut(rest, "\n\n")
	if !ok || !ends {
		t.Fatal("README.md has no table of kinds any more")
	}
	return before + head + strings.ReplaceAll(table, "](", "](docs/steps/") + "\n" + after
}

// TestExamplesOfKindsAreValid loads the example of every kind as a user would who copies it from the manual.
func TestExamplesOfKindsAreValid(t *testing.T) {
	for _, k := range append(kinds.All(), kinds.Asides()...) {
		t.Run(k.Title(), func(t *testing.T) {
			dir := t.TempDir()
			// Local files that examples name.
			for _, name := range localFiles(k.Example) {
				file := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if filepath.Ext(name) == "" {
					file = filepath.Join(file, "index.html") // a directory, which must not be empty
					if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
						t.Fatal(err)
					}
				}
				if err := os.WriteFile(file, []byte("A=1\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			src := k.Example
			if !strings.Contains(src, "host \"") {
				src = "host \"web1\" {}\n" + src
			}
			file := filepath.Join(dir, "example.hcl")
			if err := os.WriteFile(file, []byte(src), 0o644); err != nil {
				t.Fatal(err)
			}
			valid(t, file)
		})
	}
}

// valid fails the test if there is anything to say of a playbook.
func valid(t *testing.T, path string) {
	t.Helper()
	pb, diags := playbook.Load(t.Context(), path, playbook.Options{Shipped: playbooks.FS})
	if !diags.HasErrors() {
		diags = append(diags, pb.Validate()...)
	}
	if len(diags) > 0 {
		t.Error(diags)
	}
}

var localFile = regexp.MustCompile(`(?m)^\s*(?:source|template|requirements)\s*=\s*"([^/"$:][^"$:]*)"|file\("([^"$:]+)"\)`)

func localFiles(example string) []string {
	var names []string
	for _, m := range localFile.FindAllStringSubmatch(example, -1) {
		names = append(names, m[1]+m[2])
	}
	return names
}

var shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// TestReadmeCommands runs the shell commands of the README as they are typed there, in the root of the project, except
// for those that need a server or the network.
func TestReadmeCommands(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	dir := t.TempDir()
	for _, block := range shellBlock.FindAllStringSubmatch(string(readme), -1) {
		for line := range strings.Lines(block[1]) {
			command, _, _ := strings.Cut(strings.TrimSpace(line), "  #")
			command = strings.TrimSpace(command)
			if !offline(command) {
				continue
			}
			ran++
			t.Run(command, func(t *testing.T) {
				if strings.Contains(command, "sandbox") || strings.Contains(command, " test ") {
					needSandbox(t)
				}
				cmd := exec.CommandContext(t.Context(), "sh", "-euc", strings.Replace(command, "go run ./cmd/provision", "provision", 1))
				cmd.Dir, cmd.Env = "../..", append(os.Environ(), "GORACE="+raceOptions)
				if !strings.Contains(command, "examples/") {
					cmd.Dir = dir // what init makes belongs elsewhere
				}
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%v\n%s", err, out)
				}
			})
		}
	}
	if ran < 5 {
		t.Errorf("only %d commands of the README were run", ran)
	}
}

// offline tells whether a command of the README can run without a server.
func offline(command string) bool {
	words := strings.Fields(strings.Replace(command, "go run ./cmd/provision", "provision", 1))
	if len(words) < 2 || words[0] != "provision" {
		return false
	}
	switch words[1] {
	case "plan", "apply", "run":
		return strings.Contains(command, "--sandbox")
	case "trust", "sandbox", "runs", "resume", "show":
		return false // of a server, or of what a run on one left
	}
	return true
}

// TestReadmePlanIsCurrent finds every line of the plan that the README shows in the plan of this machine. How wide its columns are
// and what it counts depends on the machine.
func TestReadmePlanIsCurrent(t *testing.T) {
	needSandbox(t)
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	const command = "$ provision plan --sandbox examples/quickstart\n"
	_, rest, found := strings.Cut(string(readme), command)
	shown, _, ends := strings.Cut(rest, "```")
	if !found || !ends {
		t.Fatalf("README.md has no block that begins with %s", command)
	}
	cmd := exec.CommandContext(t.Context(), "provision", "plan", "--sandbox", "examples/quickstart")
	cmd.Dir, cmd.Env = "../..", append(os.Environ(), "GORACE="+raceOptions, "LC_ALL=C.UTF-8", "TERM=xterm")
	plan, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]bool{"[…]": true}
	for line := range strings.Lines(string(plan)) {
		lines[strings.Join(strings.Fields(line), " ")] = true
	}
	for line := range strings.Lines(shown) {
		if line := strings.Join(strings.Fields(line), " "); !lines[line] && !strings.HasPrefix(line, "Plan: ") {
			t.Errorf("README.md shows a line that is not in the plan: %s", line)
		}
	}
}

// What the README says to be missing must be.
func TestMissingKindsAreMissing(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(readme), "There is no kind yet for ")
	missing, _, ended := strings.Cut(rest, " and the like.")
	if !found || !ended {
		t.Fatal("README.md no longer lists what has no kind: mend this test")
	}
	for _, k := range kinds.All() {
		name := strings.ReplaceAll(k.Name, "_", " ")
		if regexp.MustCompile(`(?i)\b` + regexp.QuoteMeta(name) + `s?\b`).MatchString(missing) {
			t.Errorf("README.md says that there is no kind for %s, and there is", name)
		}
	}
}
