package kinds

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"testing"
)

// powers are the methods of the optional interfaces of package steps.
var powers = map[string]string{
	"Events": "Handler", "Handle": "Handler", "Batch": "Batcher", "Brings": "Bringer", "Requires": "Requirer", "Asks": "Asker", "Settled": "Settler",
	"Outputs": "Outputter", "Repeatable": "Repeater", "Load": "Loader",
}

// TestPowersAreAsserted finds methods of optional interfaces whose type nothing asserts to have the interface: with a wrong
// signature such a power would be off, and nobody would know.
func TestPowersAreAsserted(t *testing.T) {
	asserted := map[string]bool{} // "TYPE POWER"
	type method struct{ owner, name string }
	var methods []method
	var files []string
	for _, pattern := range []string{"*.go", "../kit/*.go"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, names...)
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if powers[n.Name.Name] != "" && n.Recv != nil {
					methods = append(methods, method{receiver(n.Recv.List[0].Type), n.Name.Name})
				}
			case *ast.ValueSpec: // var _ steps.Bringer = (*file)(nil)
				power, ok := n.Type.(*ast.SelectorExpr)
				if !ok || n.Names[0].Name != "_" || len(n.Values) != 1 {
					break
				}
				if call, ok := n.Values[0].(*ast.CallExpr); ok {
					if pointer, ok := call.Fun.(*ast.ParenExpr); ok {
						asserted[receiver(pointer.X)+" "+power.Sel.Name] = true
					}
				}
			}
			return true
		})
	}
	if len(methods) < 40 {
		t.Errorf("only %d methods of optional interfaces found", len(methods))
	}
	for _, m := range methods {
		if power := powers[m.name]; !asserted[m.owner+" "+power] {
			t.Errorf("the method %s of %s is asserted nowhere: var _ steps.%s = (*%s)(nil)", m.name, m.owner, power, m.owner)
		}
	}
}

// receiver is the name of the type of a receiver.
func receiver(e ast.Expr) string {
	if star, ok := e.(*ast.StarExpr); ok {
		e = star.X
	}
	if name, ok := e.(*ast.Ident); ok {
		return name.Name
	}
	return ""
}
