package playbooks_test

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"provision/internal/playbook"
	"provision/internal/steps"
	"provision/playbooks"
)

var update = flag.Bool("update", false, "rewrite the tables in the modules' README.md")

// required are arguments for the modules that have variables without a default.
var required = map[string]string{
	"base":        `user = "bicycle"`,
	"compose_app": `app = "${path.root}/app", dir = "/srv/app", owner = "bicycle", files = ["production.yml"]`,
}

func modules(t *testing.T) []string {
	t.Helper()
	entries, err := fs.ReadDir(playbooks.FS, ".")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		t.Fatal("there are no modules")
	}
	return names
}

// load loads a playbook of one module block, with a small compose project beside it.
func load(t *testing.T, module, arguments string) (*playbook.Playbook, string) {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{
		"server.hcl": fmt.Sprintf("host \"h\" {\n  address = \"192.0.2.1\"\n}\n\nmodule \"m\" {\n  source = \"provision/%s\"\n%s\n}\n",
			module, strings.ReplaceAll(arguments, ", ", "\n")),
		"app/production.yml": "services:\n  web:\n    image: web\n",
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	pb, diags := playbook.Load(t.Context(), ".", playbook.Options{Shipped: playbooks.FS})
	if !diags.HasErrors() {
		diags = append(diags, pb.Validate()...)
	}
	return pb, told(pb, diags)
}

func told(pb *playbook.Playbook, diags hcl.Diagnostics) string {
	var out bytes.Buffer
	if err := hcl.NewDiagnosticTextWriter(&out, pb.Files(), 120, false).WriteDiagnostics(diags); err != nil {
		panic(err)
	}
	return out.String()
}

// hosts are what modules meet.
var hosts = map[string]*steps.Facts{
	"CentOS 7":  {OSID: "centos", OSVersion: "7", OSLike: []string{"centos", "rhel", "fedora"}, PackageManager: "yum", Init: "systemd"},
	"Rocky 9":   {OSID: "rocky", OSVersion: "9.4", OSLike: []string{"rocky", "rhel", "centos", "fedora"}, PackageManager: "dnf", Init: "systemd"},
	"Fedora":    {OSID: "fedora", OSVersion: "40", OSLike: []string{"fedora"}, PackageManager: "dnf", Init: "systemd"},
	"Debian 12": {OSID: "debian", OSVersion: "12", OSLike: []string{"debian"}, PackageManager: "apt", Init: "systemd"},
	"Ubuntu":    {OSID: "ubuntu", OSVersion: "24.04", OSLike: []string{"ubuntu", "debian"}, PackageManager: "apt", Init: "systemd"},
	"Alpine":    {OSID: "alpine", OSVersion: "3.20", OSLike: []string{"alpine"}, PackageManager: "apk", Init: "openrc"},
}

// A module that only some families can evaluate would be found out half-way through somebody's fleet.
func TestModulesResolveEverywhere(t *testing.T) {
	for _, name := range modules(t) {
		t.Run(name, func(t *testing.T) {
			pb, problems := load(t, name, required[name])
			if problems != "" {
				t.Fatalf("the module is not valid:\n%s", problems)
			}
			for host, facts := range hosts {
				facts.Arch, facts.Kernel, facts.User, facts.Home, facts.CPUs = "x86_64", "5.14.0", "root", "/root", 2
				instances, diags := pb.Steps(pb.Inventory().Hosts()[0], facts, nil)
				if diags.HasErrors() {
					t.Errorf("%s: %s", host, told(pb, diags))
				}
				if len(instances) == 0 {
					t.Errorf("%s: no steps", host)
				}
				if name == "centos7" {
					applies := slices.ContainsFunc(instances, func(i steps.Instance) bool { return !i.Skip })
					if applies != (host == "CentOS 7") {
						t.Errorf("%s: the module for CentOS 7 applies: %v", host, applies)
					}
				}
			}
		})
	}
}

// What is given wrongly must be told where it is given, in words that say what to do.
func TestWrongArguments(t *testing.T) {
	for _, c := range []struct{ module, arguments, want string }{
		{"base", "", `The module "m" requires user.`},
		{"base", `user = "root"`, "and not root"},
		{"base", `user = "bicycle", password_hash = "secret"`, `"openssl passwd -6"`},
		{"base", `user = "bicycle", groups = []`, "may use sudo"},
		{"base", `user = "bicycle", authorized_key = "x"`, `Did you mean "authorized_keys"?`},
		{"centos7", `baseurl = "vault.centos.org"`, "begins with https://"},
		{"centos7", `baseurl = "https://vault.centos.org/7.9.2009/"`, "no slash at its end"},
		{"sqlite", `release = "3.46"`, "such as 3.46.1"},
		{"sqlite", `release = "3.40.0"`, "the SHA-256 of SQLite 3.40.0: set url and sha256"},
		{"sqlite", `accept = "newer"`, "no condition on versions"},
		{"python", `release = "2.7.18"`, "a version of Python 3"},
		{"python", `release = "3.9.1"`, "the SHA-256 of Python 3.9.1: set url and sha256"},
		{"python", `url = "https://example.org/Python-3.9.19.tgz"`, "set url and sha256"},
		{"docker", `daemon = "fast"`, "daemon is an object"},
		{"docker", `versions = ["26"]`, "map of string"},
		{"docker", `users = "bicycle"`, "list of string"},
		{"supervisor", `method = "yum"`, `method is "pip" or "package".`},
		{"compose_app", `dir = "/srv/app"`, "requires app"},
		{"compose_app", `app = "${path.root}/app", dir = "/srv/app", owner = "x", files = ["production.yml"], env_path = "a/b/c"`, "in a directory of dir"},
		{"compose_app", `app = "${path.root}/app", dir = "/srv/app", owner = "x", files = ["production.yml"], env_path = ".env"`, "One of values and source is required"},
		{"compose_app", `app = "${path.root}/app", dir = "/srv/app", owner = "x", files = ["production.yaml"]`, "production.yaml: there is no such file"},
	} {
		t.Run(c.module+" "+c.arguments, func(t *testing.T) {
			_, got := load(t, c.module, c.arguments)
			if !strings.Contains(strings.Join(strings.Fields(got), " "), c.want) {
				t.Errorf("%q is not in what is said:\n%s", c.want, got)
			}
		})
	}
}

// TestTablesAreCurrent compares the tables of variables and outputs in README.md with the module; -update rewrites them.
func TestTablesAreCurrent(t *testing.T) {
	for _, name := range modules(t) {
		text, err := os.ReadFile(name + "/README.md")
		if err != nil {
			t.Errorf("the module %s has no README.md: %v", name, err)
			continue
		}
		intro, _, _ := strings.Cut(string(text), "\n## Variables\n")
		want := strings.TrimRight(intro, "\n") + "\n\n## Variables\n" + tables(t, name)
		if *update {
			if err := os.WriteFile(name+"/README.md", []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		} else if string(text) != want {
			t.Errorf("%s/README.md is not current: go test ./playbooks -update", name)
		}
	}
}

func tables(t *testing.T, name string) string {
	t.Helper()
	file := name + "/main.hcl"
	src, err := fs.ReadFile(playbooks.FS, file)
	if err != nil {
		t.Fatal(err)
	}
	f, diags := hclsyntax.ParseConfig(src, file, hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	var variables, outputs strings.Builder
	for _, b := range f.Body.(*hclsyntax.Body).Blocks {
		attr := func(name string) string {
			a := b.Body.Attributes[name]
			if a == nil {
				return ""
			}
			return strings.Join(strings.Fields(string(a.Expr.Range().SliceBytes(src))), " ")
		}
		about := strings.NewReplacer(`\"`, `"`, "$${", "${").Replace(strings.Trim(attr("description"), `"`))
		if about == "" && (b.Type == "variable" || b.Type == "output") {
			t.Errorf("%s: %s %s has no description", file, b.Type, b.Labels[0])
		}
		switch b.Type {
		case "variable":
			def := "required"
			if d := attr("default"); d == "null" {
				def = ""
			} else if d != "" {
				def = "`" + d + "`"
			}
			fmt.Fprintf(&variables, "| `%s` | `%s` | %s | %s |\n", b.Labels[0], attr("type"), def, about)
		case "output":
			fmt.Fprintf(&outputs, "| `%s` | %s |\n", b.Labels[0], about)
		}
	}
	text := "\n| name | type | default | |\n| --- | --- | --- | --- |\n" + variables.String()
	if outputs.Len() > 0 {
		text += "\n## Outputs\n\n| name | |\n| --- | --- |\n" + outputs.String()
	}
	return text
}
