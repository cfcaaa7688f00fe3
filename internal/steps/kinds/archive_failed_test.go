package kinds

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// An archive that cannot be unpacked leaves nothing beside its destination, whatever it fails at.
func TestArchiveThatFailsLeavesNothing(t *testing.T) {
	for name, c := range map[string]struct{ content, setup string }{
		"no archive":                {"not a tar", ""},
		"no destination":            {"not a tar", "echo x >in/d"},
		"stamp that is a directory": {"not a tar", "mkdir in/d; mkdir in/d/.provision-archive"},
	} {
		t.Run(name, func(t *testing.T) {
			k := Find("archive")
			d := &dataFile{path: name, sections: map[string]string{
				"args":        "source = \"$LOCAL/a.tar\"\ndest = \"$WORK/in/d\"\n",
				"local/a.tar": c.content, "setup": "",
			}}
			p := newPlaces(t, d)
			step, problems := decode(t, k, d, p)
			if problems != "" {
				t.Fatal(problems)
			}
			for _, sh := range availableShells(t, "") {
				h := &host{shell: sh, work: p.work, before: d.factVariables()}
				if r := h.script(t, "cd "+p.work+"; rm -rf in; mkdir in\n"+c.setup, nil); r.exit != 0 {
					t.Fatal(r.stderr)
				}
				if err := h.apply(t, step.(*archive).ops(step.(*archive).sum())); err == nil {
					t.Fatal("it did not fail")
				}
				entries, err := os.ReadDir(filepath.Join(p.work, "in"))
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range entries {
					if strings.HasPrefix(e.Name(), ".") {
						t.Errorf("%v leaves %s", sh, e.Name())
					}
				}
			}
		})
	}
}
