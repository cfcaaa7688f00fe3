package playbook

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2/hclwrite"

	"provision/internal/steps/kinds"
)

// docsFiles are the files that the examples of docs/language.md refer to.
func docsFiles(app string) map[string]string {
	return map[string]string{
		"files/motd.tmpl": "${fact.os.name} on ${host.name}\n", "files/app.tmpl": "workers = ${workers}\n", "files/logo.png": "\x89PNG",
		"files/hosts.ini": "localhost ansible_connection=local\n[old]\nold1 ansible_host=192.0.2.1\n", "files/ssh_config": "Host edge1 edge2\n",
		"modules/app/main.hcl": app,
	}
}

var fence = regexp.MustCompile("(?ms)^```(hcl|json)\n(.*?)^```$")

// TestLanguageManual loads every example of docs/language.md, and compares its list of functions with those that exist.
func TestLanguageManual(t *testing.T) {
	data, err := os.ReadFile("../../docs/language.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := fence.FindAllStringSubmatch(string(data), -1)
	if len(blocks) < 15 {
		t.Fatalf("the manual has %d examples", len(blocks))
	}
	app := ""
	for _, b := range blocks {
		if strings.Contains(b[2], "output \"binary\"") {
			app = b[2]
		}
	}
	for _, b := range blocks {
		name, _, _ := strings.Cut(b[2], "\n")
		if b[2] == app {
			continue // loaded as the module of another example
		}
		t.Run(name, func(t *testing.T) {
			files := docsFiles(app)
			files["site."+map[string]string{"hcl": "hcl", "json": "hcl.json"}[b[1]]] = b[2]
			write(t, files)
			pb := load(t, Options{})
			for _, h := range append(pb.Inventory().Hosts(), pb.Inventory().Sandbox("box")) {
				if list, diags := pb.Steps(h, debian(), nil); diags.HasErrors() {
					t.Errorf("%v %s", list, printed(pb, diags))
				}
			}
		})
	}
	_, section, _ := strings.Cut(string(data), "\n## Functions\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var listed []string
	for _, m := range regexp.MustCompile("`([a-z0-9]+)(?:`|\\(NAME\\))").FindAllStringSubmatch(section, -1) {
		listed = append(listed, m[1])
	}
	slices.Sort(listed)
	pb := &Playbook{}
	if diff := cmp.Diff(keys(pb.functions(&place{})), slices.Compact(listed)); diff != "" {
		t.Errorf("the manual's list of functions differs (-exists +listed):\n%s", diff)
	}
}

// TestFromAnsible loads every example of docs/from-ansible.md. Its tables name all kinds that exist and no others, and each that they name
// stands in an example.
func TestFromAnsible(t *testing.T) {
	data, err := os.ReadFile("../../docs/from-ansible.md")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, b := range fence.FindAllStringSubmatch(string(data), -1) {
		name, _, _ := strings.Cut(b[2], "\n")
		t.Run(name, func(t *testing.T) {
			if formatted := string(hclwrite.Format([]byte(b[2]))); formatted != b[2] {
				t.Errorf("it is not formatted (-is +formatted):\n%s", cmp.Diff(b[2], formatted))
			}
			write(t, map[string]string{"site.hcl": b[2]})
			pb := load(t, Options{})
			list, diags := pb.Steps(pb.Inventory().Sandbox("box"), debian(), nil)
			if diags.HasErrors() {
				t.Errorf("%s", printed(pb, diags))
			}
			for _, in := range list {
				if used[in.Kind.Title()] = true; in.Unresolved != nil {
					t.Errorf("%s: %v", in.Addr, in.Unresolved)
				}
			}
		})
	}
	named := map[string]bool{}
	for _, m := range regexp.MustCompile(`\]\(steps/([a-z_.]+)\.md\)`).FindAllStringSubmatch(string(data), -1) {
		named[m[1]] = true
	}
	exist := map[string]bool{}
	for _, k := range append(kinds.All(), kinds.Asides()...) {
		exist[k.Title()] = true
	}
	if diff := cmp.Diff(exist, named); diff != "" {
		t.Errorf("the tables have other kinds than exist (-exist +named):\n%s", diff)
	}
	if diff := cmp.Diff(named, used); diff != "" {
		t.Errorf("the examples have other kinds than the tables (-tables +examples):\n%s", diff)
	}
}
