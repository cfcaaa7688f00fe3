package kinds

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"provision/internal/steps"
)

// TestSourceBuildGoesOn checks that a build which failed is finished by the next run, from the stage that failed on, and
// that a build with other arguments does not meet what it left.
func TestSourceBuildGoesOn(t *testing.T) {
	if _, err := exec.LookPath("make"); err != nil {
		lack(t, "no make on this machine")
		return
	}
	for _, sh := range availableShells(t, "") {
		t.Run(strings.Join(sh, " "), func(t *testing.T) {
			h := &host{shell: sh, work: filepath.Join(t.TempDir(), "work")}
			if err := os.MkdirAll(h.work, 0o755); err != nil {
				t.Fatal(err)
			}
			r := h.script(t, `set -e
mkdir src
printf '#!/bin/sh\necho configured "$@" >>%s/log\n' "$WORK" >src/configure
chmod 755 src/configure
printf 'all:\n\ttest -e %s/ready\n\techo made >>%s/log\ninstall:\n\tmkdir -p %s/bin\n\tprintf "echo 2.0\\n" >%s/bin/app\n\tchmod 755 %s/bin/app\n' "$WORK" "$WORK" "$WORK" "$WORK" "$WORK" >src/Makefile
tar -cf app-2.tar src
`, nil)
			if r.exit != 0 {
				t.Fatal(r.stderr)
			}
			build := func(configure string) error {
				step, args := sourceBuildKind.New()
				if problems := decodeInto(t, sourceBuildKind, step, args, `
url       = "file://`+h.work+`/app-2.tar"
work_dir  = "`+h.work+`/build"
tools     = []
configure = ["`+configure+`"]
installed = { command = "`+h.work+`/bin/app", version = "2.0" }
`, "args"); problems != "" {
					t.Fatal(problems)
				}
				change, err := step.Plan(&steps.Facts{CPUs: 1}, steps.Observe("found none"))
				if err != nil {
					t.Fatal(err)
				}
				return h.apply(t, change.Ops)
			}
			if err := build("--old"); err == nil || !strings.Contains(err.Error(), "make of app-2 failed") {
				t.Fatalf("the first build: %v", err)
			}
			if err := build("--new"); err == nil {
				t.Fatal("the second build did not fail")
			}
			if err := os.WriteFile(filepath.Join(h.work, "ready"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
			if err := build("--new"); err != nil {
				t.Fatal(err)
			}
			log, err := os.ReadFile(filepath.Join(h.work, "log"))
			if err != nil {
				t.Fatal(err)
			}
			want := "configured --prefix=/usr/local --old\nconfigured --prefix=/usr/local --new\nmade\n"
			if string(log) != want {
				t.Errorf("stages that ran:\n%s\nwant:\n%s", log, want)
			}
			if left, _ := filepath.Glob(filepath.Join(h.work, "build", "*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}
