package shell

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"mvdan.cc/sh/v3/syntax"
)

func TestStrip(t *testing.T) {
	for _, c := range []struct{ name, src, want string }{
		{"comments, blanks, indentation", "# a\n\nf() {\n\t# b\n\techo x # c\n\n}\n", "f() {\necho x # c\n}\n"},
		{"single quotes", "\tpython3 -c 'try:\n    # no comment of sh\n\n    x = 1\nfinally:\n    y = 2' \"$1\"\n\techo z\n", "python3 -c 'try:\n    # no comment of sh\n\n    x = 1\nfinally:\n    y = 2' \"$1\"\necho z\n"},
		{"double quotes", "x=\"a\n  # b\n\n  c\"\n  echo\n", "x=\"a\n  # b\n\n  c\"\necho\n"},
		{"quotes in a substitution in quotes", "x=\"$(awk '\n  { print }\n' f)\"\n  y=1\n", "x=\"$(awk '\n  { print }\n' f)\"\ny=1\n"},
		{"here-document", "  cat <<EOF\n  # kept\n\n  $x\nEOF\n  echo\n", "cat <<EOF\n  # kept\n\n  $x\nEOF\necho\n"},
		{"here-document, tabs", "\tcat <<-'EOF'\n\t  # kept\n\tEOF\n\techo\n", "cat <<-'EOF'\n\t  # kept\n\tEOF\necho\n"},
		{"continued word", "echo a\\\n  b\n  echo\n", "echo a\\\n  b\necho\n"},
		{"quote in a comment", "# don't\n  echo 'a'\n# isn't\n", "echo 'a'\n"},
		{"hash in an expansion", "  x=${y#'\n  z'}\n  w=1\n", "x=${y#'\n  z'}\nw=1\n"},
	} {
		if got := Strip(c.src); got != c.want {
			t.Errorf("%s:\n%q, want\n%q", c.name, got, c.want)
		}
	}
}

// TestStripKeepsTheMeaning compares the syntax trees of the prelude before and after.
func TestStripKeepsTheMeaning(t *testing.T) {
	printed := func(src string) string {
		file, err := syntax.NewParser().Parse(strings.NewReader(src), "")
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if err := syntax.NewPrinter(syntax.Minify(true)).Print(&b, file); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	if got, want := printed(Strip(Prelude)), printed(Prelude); got != want {
		t.Errorf("another text:\n%s\nwant\n%s", got, want)
	}
}

// A script that a package variable strips is parsed at each start, whatever is asked for: together they took a third of it.
func TestNoScriptIsStrippedAtStart(t *testing.T) {
	variable := regexp.MustCompile(`(?m)^(?:var |\t)\w+ += .*\bshell\.Strip\(`)
	seen := 0
	err := filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		seen += strings.Count(string(text), "shell.Strip(")
		if found := variable.Find(text); found != nil {
			t.Errorf("%s: %s: call shell.Strip where the script is used", path, found)
		}
		return nil
	})
	if err != nil || seen < 20 {
		t.Errorf("%d calls found: %v", seen, err)
	}
}
