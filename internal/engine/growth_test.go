package engine

import (
	"fmt"
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"
	"mvdan.cc/sh/v3/syntax"
)

// TestProgramKeepsNothingOfItsSteps pins what makes the time of a step independent of how many came before it: a shell copies all that it
// holds at each fork, so each step takes the place of the one before.
func TestProgramKeepsNothingOfItsSteps(t *testing.T) {
	host := newLocalHost(t)
	held := func(n int) (names map[string]bool, perStep int) {
		var list stepList
		for i := range n {
			name := fmt.Sprintf("n%04d", i)
			switch i % 3 {
			case 0:
				list = append(list, step(t, "file", name, map[string]cty.Value{"path": str(host.path(name)), "content": str(name), "mode": str("0644")}))
			case 1:
				list = append(list, step(t, "command", name, map[string]cty.Value{"script": str("echo >" + name), "creates": str(host.path(name))}))
			default:
				list = append(list, step(t, "directory", name, map[string]cty.Value{"path": str(host.path(name))}))
			}
		}
		run := newRun(host, &recorder{}, list)
		run.Plan(t.Context())
		defer run.Close()
		text, _, _ := (&program{id: "x", entries: run.hosts[0].segment(0, func(*Planned) bool { return true }).entries}).text()
		file, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(strings.NewReader(text), "")
		if err != nil {
			t.Fatal(err)
		}
		names = map[string]bool{}
		syntax.Walk(file, func(node syntax.Node) bool {
			switch node := node.(type) {
			case *syntax.FuncDecl:
				names["function "+node.Name.Value] = true
			case *syntax.Assign:
				if node.Name != nil {
					names[node.Name.Value] = true
				}
			}
			return true
		})
		start := strings.Index(text, "\nstart\n")
		return names, (len(text) - start) / n
	}
	few, _ := held(3)
	many, size := held(60)
	for name := range many {
		if !few[name] {
			t.Errorf("a program of 60 steps defines %s, which one of 3 does not", name)
		}
	}
	if size > 1600 {
		t.Errorf("a step takes %d bytes of the program", size)
	}
}
