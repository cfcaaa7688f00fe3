package playbook

import (
	"os"
	"path/filepath"
	"testing"
)

// What a playbook is computed from stays the same when the project moves, and changes with each of its files and variables.
func TestInputs(t *testing.T) {
	inputs := func(files map[string]string, vars map[string]string) string {
		t.Helper()
		dir := t.TempDir()
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		pb, diags := Load(t.Context(), filepath.Join(dir, "site.hcl"), Options{Vars: vars})
		if diags = append(diags, pb.Validate()...); diags.HasErrors() {
			t.Fatal(diags)
		}
		if !pb.Sensitive("token") || pb.Sensitive("plain") || pb.Sensitive("nothing") {
			t.Error("the sensitive variables are not told apart")
		}
		if _, diags := pb.Steps(pb.Inventory().Hosts()[0], nil, nil); diags.HasErrors() {
			t.Fatal(diags)
		}
		return pb.Inputs()
	}
	site := `
variable "plain" { default = 1 }
variable "token" {
  default   = "t0ken"
  sensitive = true
}
host "web1" {}
step "file" "a" {
  path    = "/a"
  content = "${file("a.txt")}${var.plain}"
}
`
	files := map[string]string{"site.hcl": site, "a.txt": "a\n"}
	was := inputs(files, nil)
	if inputs(files, nil) != was {
		t.Error("the same project in another place has other inputs")
	}
	for name, other := range map[string]string{
		"a variable":           inputs(files, map[string]string{"plain": "2"}),
		"a sensitive variable": inputs(files, map[string]string{"token": "other"}),
		"a file":               inputs(map[string]string{"site.hcl": site, "a.txt": "b\n"}, nil),
		"the playbook":         inputs(map[string]string{"site.hcl": site + "# more\n", "a.txt": "a\n"}, nil),
	} {
		if other == was {
			t.Errorf("%s has changed, and the inputs are the same", name)
		}
	}
}
