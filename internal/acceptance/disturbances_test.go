//go:build acceptance

package acceptance

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// A disturbance is a change by hand of what the example of a kind has made: testdata/KIND/disturbance.txt beside the kind. Its sections:
//
//	script   sh, as root on the host
//	shows    the one line of the plan then: ADDRESS ACTION
//	before   sh that makes what the example takes for granted
//	runs     lines that every plan of the example shows, because a bare command has no state
//	options  words: "always", some of the example runs each time, so that no plan is empty; "clean", a fresh host may be as the example
//	         wants it already; "alone", on a host of its own; "admin", once more on a host where the login uses sudo
type disturbance struct {
	script, shows, before             string
	runs                              []string
	always, clean, alone, asSudoAdmin bool
}

func disturbanceOf(t *testing.T, kind string) disturbance {
	t.Helper()
	archive, err := txtar.ParseFile(filepath.Join("../steps/kinds/testdata", kind, "disturbance.txt"))
	if err != nil {
		t.Fatalf("a change by hand that a plan of the example of %s must show: %v", kind, err)
	}
	sections := map[string]string{}
	for _, f := range archive.Files {
		sections[f.Name] = strings.TrimSuffix(string(f.Data), "\n")
	}
	options := strings.Fields(sections["options"])
	d := disturbance{
		script: sections["script"], shows: sections["shows"], before: sections["before"],
		always: slices.Contains(options, "always"), clean: slices.Contains(options, "clean"),
		alone: slices.Contains(options, "alone"), asSudoAdmin: slices.Contains(options, "admin"),
	}
	if runs := sections["runs"]; runs != "" {
		d.runs = strings.Split(runs, "\n")
	}
	return d
}
