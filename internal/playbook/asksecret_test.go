package playbook

import (
	"os"
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"
)

// store is a program that answers from a store of secrets, and counts how often it is asked.
const store = "#!/bin/sh\necho asked >>asked\ncase $1 in\nfails) echo 'no session; run store login' >&2; exit 6 ;;\nempty) ;;\nobject) echo '{\"user\": \"app\", \"password\": \"of-the-object\"}' ;;\nbinary) printf '\\377' ;;\n*) echo \"secret-of-$1\" ;;\nesac\n"

func secretBook(t *testing.T, text string) {
	t.Helper()
	write(t, map[string]string{"a.hcl": text, "store": store, "m/m.hcl": "variable \"x\" {\n secret {\n command = [\"./store\", \"m\"]\n }\n}\n"})
	if err := os.Chmod("store", 0o755); err != nil {
		t.Fatal(err)
	}
}

const secretVariable = "variable \"pw\" {\n secret {\n command = [\"./store\", \"a b\"]\n }\n}\n"

func TestSecretOfAProgram(t *testing.T) {
	step := "host \"h\" { password = var.pw }\nstep \"file\" \"f\" {\n path = \"/x\"\n content = var.pw\n}\nstep \"file\" \"g\" {\n path = \"/y\"\n content = \"${var.pw}!\"\n}\n"
	secretBook(t, secretVariable+step)
	pb, diags := Load(t.Context(), ".", Options{Ask: true, Environ: os.Environ()})
	diags = append(diags, pb.Validate()...)
	if diags.HasErrors() {
		t.Fatal(printed(pb, diags))
	}
	if got := pb.vars["pw"]; !sensitive(got) {
		t.Errorf("%#v is not sensitive", got)
	} else if plain, _ := got.Unmark(); plain.AsString() != "secret-of-a b" {
		t.Errorf("%q", plain.AsString())
	}
	if list := strings.Join(pb.Secrets(), " "); !strings.Contains(list, "secret-of-a b") {
		t.Errorf("not among the secrets: %q", list)
	}
	if asked, _ := os.ReadFile("asked"); string(asked) != "asked\n" {
		t.Errorf("asked %q", asked)
	}
	// Whoever may not ask knows no value, and a value that is given needs no program.
	pb, diags = Load(t.Context(), ".", Options{Environ: os.Environ()})
	if diags = append(diags, pb.Validate()...); diags.HasErrors() {
		t.Error(printed(pb, diags))
	}
	pb, diags = Load(t.Context(), ".", Options{Ask: true, Environ: append(os.Environ(), "PROVISION_VAR_pw=given")})
	if plain, _ := pb.vars["pw"].Unmark(); diags.HasErrors() || plain != cty.StringVal("given") {
		t.Error(printed(pb, diags), plain)
	}
	if asked, _ := os.ReadFile("asked"); string(asked) != "asked\n" {
		t.Errorf("asked %q", asked)
	}
}

func TestSecretThatCannotBeHad(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"fails":       {"variable \"pw\" {\n secret {\n command = [\"./store\", \"fails\"]\n }\n}\n", "The value of var.pw comes from store: exit status 6: no session; run store login."},
		"empty":       {"variable \"pw\" {\n secret {\n command = [\"./store\", \"empty\"]\n }\n}\n", "store, which prints nothing."},
		"binary":      {"variable \"pw\" {\n secret {\n command = [\"./store\", \"binary\"]\n }\n}\n", "prints no UTF-8 text"},
		"no program":  {"variable \"pw\" {\n secret {\n command = [\"nosuchstore\"]\n }\n}\n", "nosuchstore, which is not installed on this machine."},
		"no list":     {"variable \"pw\" {\n secret {\n command = \"./store a\"\n }\n}\n", "command is a list of texts"},
		"no command":  {"variable \"pw\" {\n secret {}\n}\n", "\"command\" is required"},
		"reference":   {"variable \"v\" {\n default = \"x\"\n}\nvariable \"pw\" {\n secret {\n command = [\"./store\", var.v]\n }\n}\n", "in the command of a secret"},
		"and default": {"variable \"pw\" {\n default = \"x\"\n secret {\n command = [\"./store\", \"a\"]\n }\n}\n", "either a default or a secret"},
		"twice":       {"variable \"pw\" {\n secret {\n command = [\"./store\", \"a\"]\n }\n secret {\n command = [\"./store\", \"a\"]\n }\n}\n", "from one program"},
		"type":        {"variable \"pw\" {\n type = number\n secret {\n command = [\"./store\", \"a\"]\n }\n}\n", "no number"},
		"module":      {"module \"m\" {\n source = \"./m\"\n}\n", "Only a variable of the playbook itself"},
	} {
		t.Run(name, func(t *testing.T) {
			secretBook(t, c.text)
			pb, diags := Load(t.Context(), ".", Options{Ask: true, Environ: os.Environ()})
			if said := strings.Join(strings.Fields(printed(pb, diags)), " "); !diags.HasErrors() || !strings.Contains(said, c.want) || strings.Contains(said, "secret-of") {
				t.Errorf("%s", said)
			}
		})
	}
}

func TestSecretOfATypeOfItsOwn(t *testing.T) {
	secretBook(t, "variable \"db\" {\n type = object({ user = string, password = string })\n secret {\n command = [\"./store\", \"object\"]\n }\n}\nstep \"file\" \"f\" {\n path = \"/x\"\n content = var.db.password\n}\n")
	pb, diags := Load(t.Context(), ".", Options{Ask: true, Environ: os.Environ()})
	if diags = append(diags, pb.Validate()...); diags.HasErrors() || !strings.Contains(strings.Join(pb.Secrets(), " "), "of-the-object") {
		t.Error(printed(pb, diags), pb.Secrets())
	}
}
