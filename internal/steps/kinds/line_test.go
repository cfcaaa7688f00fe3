package kinds

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"provision/internal/steps"
)

// TestLineKeepsTheFormOfTheFile edits files that other programs wrote in their own way.
func TestLineKeepsTheFormOfTheFile(t *testing.T) {
	for _, c := range []struct{ name, before, args, after string }{
		{"crlf, there", "a\r\nb\r\n", `line = "b"`, "a\r\nb\r\n"},
		{"crlf, appended", "a\r\nb\r\n", `line = "c"`, "a\r\nb\r\nc\r\n"},
		{"crlf, no final break", "a\r\nb", `line = "c"`, "a\r\nb\r\nc\r\n"},
		{"crlf, replaced", "a=1\r\nb\r\n", "line = \"a=2\"\nmatch = \"^a=.$\"", "a=2\r\nb\r\n"},
		{"crlf, matched to the end", "a\r\nb\r\n", "line = \"a\"\nmatch = \"^a$\"", "a\r\nb\r\n"},
		{"crlf, after", "a\r\nb\r\n", "line = \"x\"\nafter = \"a$\"", "a\r\nx\r\nb\r\n"},
		{"crlf, before the first", "a\r\nb\r\n", "line = \"x\"\nbefore = \"^a$\"", "x\r\na\r\nb\r\n"},
		{"crlf, absent", "a\r\nb\r\na", "line = \"a\"\nstate = \"absent\"", "b\r\n"},
		{"mixed, after lf", "a\r\nb\nc\r\n", "line = \"x\"\nafter = \"^b$\"", "a\r\nb\nx\nc\r\n"},
		{"one line, crlf missing", "a", `line = "b"`, "a\nb\n"},
		{"empty", "", `line = "b"`, "b\n"},
		{"carriage returns inside", "a\rb\n", `line = "b"`, "a\rb\nb\n"},
		{"mark, there", "\uFEFFa\r\nb\r\n", `line = "a"`, "\uFEFFa\r\nb\r\n"},
		{"mark, replaced", "\uFEFFa=1\n", "line = \"a=2\"\nmatch = \"^a=\"", "\uFEFFa=2\n"},
		{"mark, before the first", "\uFEFFa\n", "line = \"x\"\nbefore = \"^a\"", "\uFEFFx\na\n"},
		{"mark, absent", "\uFEFFa\nb\n", "line = \"a\"\nstate = \"absent\"", "\uFEFFb\n"},
		{"latin-1", "caf\xe9\n", `line = "x"`, "caf\xe9\nx\n"},
		{"latin-1, replaced beside", "a=\xe9\nb\n", "line = \"b=1\"\nmatch = \"^b\"", "a=\xe9\nb=1\n"},
		{"blanks around", " a \n", `line = "a"`, " a \na\n"},
		{"blanks around, there", "\t a \n", `line = "\t a "`, "\t a \n"},
		{"backslashes", `a\nb\\` + "\n", `line = "a\\nb\\\\"`, `a\nb\\` + "\n"},
		{"backslash at the end", "x\n", `line = "a\\"`, "x\na\\\n"},
		{"dash", "x\n", `line = "-e x"`, "x\n-e x\n"},
		{"specials", "x\n", `line = "$HOME 'a' \"b\" ` + "`c`" + ` * & | % !"`, "x\n$HOME 'a' \"b\" `c` * & | % !\n"},
		{"bar first", "|x\n", `line = "|:y"`, "|x\n|:y\n"},
		{"marks of details", "|.\n|content\n", `line = "z"`, "|.\n|content\nz\n"},
		{"empty line", "x\n", `line = ""`, "x\n\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, sh := range availableShells(t, "") {
				h := &host{shell: sh, work: t.TempDir()}
				path := h.work + "/f"
				if err := os.WriteFile(path, []byte(c.before), 0o644); err != nil {
					t.Fatal(err)
				}
				got := h.settled(t, stepOf(t, "line", "path = \""+path+"\"\n"+c.args+"\n"))
				if b, _ := os.ReadFile(path); got != "" || string(b) != c.after {
					t.Errorf("%v: %s; %q, want %q", sh, got, b, c.after)
				}
			}
		})
	}
}

// What only its owner may read is in no plan, whichever kind edits it.
func TestPrivateFilesAreNotShown(t *testing.T) {
	h := &host{shell: availableShells(t, "")[0], work: t.TempDir()}
	path := h.work + "/f"
	for kind, args := range map[string]string{
		"line":    "match = \"^password=\"\nline = \"password=other\"\n",
		"ini":     "section = \"\"\nkey = \"password\"\nvalue = \"other\"\n",
		"block":   "name = \"b\"\ncontent = \"password=other\"\n",
		"replace": "match = \"^password=.*\"\nwith = \"password=other\"\n",
	} {
		for mode, hidden := range map[os.FileMode]bool{0o600: true, 0o644: false} {
			text := "password=hunter2\n# BEGIN provision b\nhunter2\n# END provision b\n"
			if err := errors.Join(os.WriteFile(path, []byte(text), mode), os.Chmod(path, mode)); err != nil {
				t.Fatal(err)
			}
			step := stepOf(t, kind, "path = \""+path+"\"\n"+args)
			change, err := step.Plan(steps.ParseFacts(defaultFacts), h.probe(t, step, true))
			if err != nil || len(change.Diff) == 0 {
				t.Fatalf("%s: %+v, %v", kind, change, err)
			}
			if shown := strings.Contains(fmt.Sprintf("%+v", change.Diff), "hunter2"); shown == hidden {
				t.Errorf("%s, mode %o: %+v", kind, mode, change.Diff)
			}
			if got := h.settled(t, step); got != "" {
				t.Errorf("%s, mode %o: %s", kind, mode, got)
			}
		}
	}
}
