package kinds

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"provision/internal/shell"
	"provision/internal/steps"
)

// TestGuideQuotesTheCode keeps docs/kinds.md true: it quotes the whole of symlink.go, part by part, and one of its data files; the functions
// and the facts of its tables are those that fragments have.
func TestGuideQuotesTheCode(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	guide := read("../../../docs/kinds.md")
	var quoted []string
	for _, m := range regexp.MustCompile("(?s)```go\n(.*?)```\n").FindAllStringSubmatch(guide, -1) {
		quoted = append(quoted, m[1])
	}
	lines := func(text string) []string {
		return regexp.MustCompile(`\n+`).Split(strings.TrimSpace(text), -1)
	}
	if diff := cmp.Diff(lines(read("symlink.go")), lines(strings.Join(quoted, ""))); diff != "" {
		t.Errorf("docs/kinds.md does not quote symlink.go (-file +guide):\n%s", diff)
	}
	if data := read("testdata/symlink/create.txtar"); !strings.Contains(guide, "```\n"+data+"```\n") {
		t.Errorf("docs/kinds.md does not quote testdata/symlink/create.txtar")
	}
	_, table, _ := strings.Cut(guide, "| function | what it does |")
	for _, m := range regexp.MustCompile("(?m)^\\| (`[^|]*`) \\|").FindAllStringSubmatch(table, -1) {
		for _, call := range strings.Split(m[1], "`, `") {
			name, _, _ := strings.Cut(strings.Trim(call, "`"), " ")
			if !strings.Contains(shell.Prelude, "\n"+name+"() ") {
				t.Errorf("docs/kinds.md describes the function %s, which the prelude does not have", name)
			}
		}
	}
	for _, fact := range regexp.MustCompile(`\$(F_[A-Z_]+)`).FindAllStringSubmatch(guide, -1) {
		if !strings.Contains(steps.FactsScript, fact[1]+"=") {
			t.Errorf("docs/kinds.md names the fact $%s, which facts.sh does not set", fact[1])
		}
	}
	for _, file := range regexp.MustCompile("`([a-z_]+\\.go)`").FindAllStringSubmatch(guide, -1) {
		read(file[1])
	}
	known := exported(t)
	for _, name := range regexp.MustCompile("`(?:steps|kit)\\.[A-Za-z]+").FindAllString(guide, -1) {
		if !known[strings.TrimPrefix(name, "`")] {
			t.Errorf("docs/kinds.md names %s, which is not there", name)
		}
	}
}

// TestKitDocNamesAll keeps the package documentation of the kit a whole reference.
func TestKitDocNamesAll(t *testing.T) {
	doc, err := os.ReadFile("../kit/doc.go")
	if err != nil {
		t.Fatal(err)
	}
	for name := range exported(t) {
		name, ours := strings.CutPrefix(name, "kit.")
		if ours && ast.IsExported(name) && !regexp.MustCompile(`\b`+name+`\b`).Match(doc) {
			t.Errorf("the package documentation of the kit does not name %s", name)
		}
	}
}

// exported lists what the contract and the kit declare, as "steps.Kind".
func exported(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for prefix, pattern := range map[string]string{"steps.": "../*.go", "kit.": "../kit/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, decl := range file.Decls {
				switch decl := decl.(type) {
				case *ast.FuncDecl:
					if decl.Recv == nil {
						names[prefix+decl.Name.Name] = true
					}
				case *ast.GenDecl:
					for _, spec := range decl.Specs {
						switch spec := spec.(type) {
						case *ast.TypeSpec:
							names[prefix+spec.Name.Name] = true
						case *ast.ValueSpec:
							for _, name := range spec.Names {
								names[prefix+name.Name] = true
							}
						}
					}
				}
			}
		}
	}
	return names
}
