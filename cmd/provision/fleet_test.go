package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	ctyyaml "github.com/zclconf/go-cty-yaml"
	"mvdan.cc/sh/v3/syntax"

	"provision/internal/inventory"
)

var fenced = regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$")

// TestFleetRecipes checks what docs/fleet.md tells people to copy: the YAML and HCL as far as that goes without a cluster, and
// every command line against the flags that there are.
func TestFleetRecipes(t *testing.T) {
	data, err := os.ReadFile("../../docs/fleet.md")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, block := range fenced.FindAllStringSubmatch(string(data), -1) {
		language, text := block[1], block[2]
		name, _, _ := strings.Cut(text, "\n")
		kinds[language]++
		t.Run(language+" "+name, func(t *testing.T) {
			switch {
			case language == "sh":
				commandLines(t, text)
			case language == "yaml":
				ty, err := ctyyaml.ImpliedType([]byte(text))
				if err != nil {
					t.Fatal(err)
				}
				if v, err := ctyyaml.Unmarshal([]byte(text), ty); err != nil || v.GetAttr("kind").AsString() != "Job" {
					t.Errorf("%v, %#v", err, v)
				}
				_, script, _ := strings.Cut(text, "- |\n")
				script, _, _ = strings.Cut(script, "env:\n")
				commandLines(t, script)
			case strings.HasPrefix(text, "job "):
				if _, diags := hclsyntax.ParseConfig([]byte(text), "job.hcl", hcl.InitialPos); diags.HasErrors() {
					t.Error(diags)
				}
				script := regexp.MustCompile(`"-euc", "(.*)"\]`).FindStringSubmatch(text)
				commandLines(t, strings.ReplaceAll(script[1], `\"`, `"`))
			case language == "hcl":
				fragment(t, text)
			}
		})
	}
	if kinds["sh"] == 0 || kinds["yaml"] == 0 || kinds["hcl"] < 3 {
		t.Errorf("docs/fleet.md has %v", kinds)
	}
}

// fragment loads a piece of a playbook beside the files that the manual speaks of.
func fragment(t *testing.T, text string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"site.hcl": text, "inventory/hosts": "localhost ansible_connection=local\nweb1\n", "inventory/group_vars/all.yml": "zone: eu\n"} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	valid(t, dir)
}

// commandLines parses shell text and gives the words behind "provision" to the command that they name. The last machine
// of four must find its part of the fleet, whether its number counts from 0 in the way of Kubernetes or of Nomad.
func commandLines(t *testing.T, text string) {
	t.Helper()
	script, err := syntax.NewParser().Parse(strings.NewReader(text), "")
	if err != nil {
		t.Fatal(err)
	}
	syntax.Walk(script, func(node syntax.Node) bool {
		call, ok := node.(*syntax.CallExpr)
		if !ok {
			return true
		}
		var words []string
		for _, w := range call.Args {
			cmd := exec.CommandContext(t.Context(), "sh", "-c", "set -f; printf %s "+text[w.Pos().Offset():w.End().Offset()])
			cmd.Env = append(os.Environ(), "JOB_COMPLETION_INDEX=3", "NOMAD_ALLOC_INDEX=3", "NOMAD_META_release=v1")
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			words = append(words, string(out))
		}
		if len(words) > 0 && words[0] == "exec" {
			words = words[1:]
		}
		if len(words) == 0 || words[0] != "provision" {
			return true
		}
		cmd, rest, err := newCLI().rootCommand().Find(words[1:])
		if err == nil {
			err = cmd.ParseFlags(rest)
		}
		if err != nil {
			t.Errorf("%q: %v", words, err)
			return true
		}
		if f := cmd.Flags().Lookup("shard"); f != nil && f.Changed && strings.Contains(text, "_INDEX") {
			if s, err := inventory.ParseShard(f.Value.String()); err != nil || s.Index != s.Of {
				t.Errorf("the last of the machines takes --shard %s: %v", f.Value, err)
			}
		}
		return true
	})
}

// TestFleetExample looks at the example as its README says.
func TestFleetExample(t *testing.T) {
	for _, command := range []string{"validate examples/fleet", "hosts examples/fleet", "fmt --check examples/fleet"} {
		cmd := exec.CommandContext(t.Context(), "provision", strings.Fields(command)...)
		cmd.Dir, cmd.Env = "../..", append(os.Environ(), "GORACE="+raceOptions)
		if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "Warning") {
			t.Errorf("provision %s: %v\n%s", command, err, out)
		}
	}
	data, err := os.ReadFile("../../examples/fleet/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range fenced.FindAllStringSubmatch(string(data), -1) {
		commandLines(t, block[2])
	}
}
