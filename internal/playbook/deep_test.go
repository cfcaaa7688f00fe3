package playbook

import (
	"strings"
	"testing"
)

// Source that nests without end must not exhaust the stack, which would end the program without a word.
func TestDeepNesting(t *testing.T) {
	const n = 400_000
	for name, text := range map[string]string{
		"parentheses": "locals {\n  a = " + strings.Repeat("(", n) + "\n}\n",
		"closed":      "locals {\n  a = " + strings.Repeat("(", n) + "1" + strings.Repeat(")", n) + "\n}\n",
		"lists":       "locals {\n  a = " + strings.Repeat("[", n) + "\n}\n",
		"not":         "locals {\n  a = " + strings.Repeat("!", n) + "true\n}\n",
		"minus":       "locals {\n  a = " + strings.Repeat("- ", n) + "1\n}\n",
		"conditions":  "locals {\n  a = " + strings.Repeat("true ? 1 : ", n/5) + "1\n}\n",
		"templates":   "locals {\n  a = " + strings.Repeat("\"${", n) + "\n}\n",
		"blocks":      strings.Repeat("step \"a\" \"b\" {\n", n/10),
		"if":          "locals {\n  a = \"" + strings.Repeat("%{if true}", n/10) + "\"\n}\n",
	} {
		t.Run(name, func(t *testing.T) {
			write(t, map[string]string{"site.hcl": text})
			pb, diags := Load(t.Context(), ".", Options{})
			if diags = append(diags, pb.Validate()...); !diags.HasErrors() {
				t.Error("no mistake was found")
			}
		})
	}
	for name, text := range map[string]string{
		"json":      `{"locals": {"a": ` + strings.Repeat("[", n),
		"json text": `{"locals": {"a": "${` + strings.Repeat("(", n) + `"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			write(t, map[string]string{"site.hcl.json": text})
			if _, diags := Load(t.Context(), ".", Options{}); !diags.HasErrors() {
				t.Error("no mistake was found")
			}
		})
	}
}

// What is decoded comes from files, and may nest just as deep.
func TestDeepData(t *testing.T) {
	for _, call := range []string{"jsondecode", "yamldecode"} {
		write(t, map[string]string{"site.hcl": "locals {\n  a = " + call + "(file(\"data\"))\n}\nstep \"directory\" \"x\" {\n  path = \"/x\"\n}\n", "data": strings.Repeat("[", 5_000_000)})
		pb, diags := Load(t.Context(), ".", Options{})
		if diags = append(diags, pb.Validate()...); !diags.HasErrors() {
			t.Errorf("%s finds no mistake", call)
		}
	}
}
