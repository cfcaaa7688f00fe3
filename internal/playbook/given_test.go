package playbook

import (
	"fmt"
	"os"
	"testing"
)

// Who resumes a run has to know where each value came from, and whether the files are as they were.
func TestGiven(t *testing.T) {
	source := `variable "a" { default = "1" }
variable "b" { default = "1" }
variable "c" { default = "1" }
variable "d" { default = "1" }
variable "e" {
  default   = "secret-default"
  sensitive = true
}
host "web1" {}
`
	write(t, map[string]string{"site.hcl": source, "provision.vars.hcl": "b = \"2\"\n", "more.vars": "c = \"3\"\n", "other.vars": "c = \"4\"\n"})
	o := Options{
		Environ: []string{"PROVISION_VAR_a=5", "PROVISION_VAR_b=5", "PROVISION_VAR_e=5", "PROVISION_VAR_unknown=5"},
		Vars:    map[string]string{"d": "6"}, VarFiles: []string{"more.vars"},
	}
	pb := load(t, o)
	for name, want := range map[string]string{"a": "environment", "b": "provision.vars.hcl", "c": "more.vars", "d": "--var", "e": "environment", "unknown": ""} {
		if got := pb.GivenBy(name); got != want {
			t.Errorf("%s is given by %q, want %q", name, got, want)
		}
	}
	if got, want := fmt.Sprint(pb.FromEnvironment()), "map[a:5 e:5]"; got != want {
		t.Errorf("from the environment: %s, want %s", got, want)
	}

	was := pb.Digest("more.vars")
	o.VarFiles = []string{"other.vars"}
	if load(t, o).Digest("other.vars") != was {
		t.Error("another file of variables counts as a change of the playbook")
	}
	if err := os.WriteFile("provision.vars.hcl", []byte("b = \"3\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if load(t, o).Digest("other.vars") == was {
		t.Error("what lies beside the playbook does not count as a change of it")
	}
}
