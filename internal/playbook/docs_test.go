package playbook

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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
