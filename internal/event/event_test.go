package event

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Programs that read the events have docs/events.md and nothing else: every field and every
// word that event.go defines must be in it.
func TestEventsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), "event.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	fields, words := 0, 0
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			if n.Tag == nil {
				return true
			}
			tag, _ := strconv.Unquote(n.Tag.Value)
			_, name, _ := strings.Cut(tag, `json:"`)
			name, _, _ = strings.Cut(name, `"`)
			name, _, _ = strings.Cut(name, ",")
			fields++
			if !strings.Contains(string(page), "`"+name+"`") {
				t.Errorf("field %q is not in docs/events.md", name)
			}
		case *ast.ValueSpec:
			for _, v := range n.Values {
				lit, ok := v.(*ast.BasicLit)
				if !ok || lit.Kind != token.STRING {
					continue
				}
				words++
				if word, _ := strconv.Unquote(lit.Value); !strings.Contains(string(page), word) {
					t.Errorf("word %q (%s) is not in docs/events.md", word, n.Names[0].Name)
				}
			}
		}
		return true
	})
	if fields < 40 || words < 30 {
		t.Errorf("%d fields and %d words found: the test looks past them", fields, words)
	}
}

func TestMillis(t *testing.T) {
	data, err := json.Marshal(HostRetry{Attempt: 2, Delay: Millis(1500*time.Millisecond + 400*time.Microsecond)})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(data), `{"attempt":2,"delay_ms":1500,"why":""}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	var back HostRetry
	if err := json.Unmarshal(data, &back); err != nil || time.Duration(back.Delay) != 1500*time.Millisecond {
		t.Errorf("read back: %v, %v", back, err)
	}
}

type names struct{ got []Type }

func (n *names) Event(e Event) { n.got = append(n.got, e.Type) }

func TestTee(t *testing.T) {
	a, b := &names{}, &names{}
	s := Tee(a, nil, b)
	s.Event(Event{Type: TypeRunStart})
	s.Event(Event{Type: TypeRunEnd})
	for _, n := range []*names{a, b} {
		if len(n.got) != 2 || n.got[0] != TypeRunStart || n.got[1] != TypeRunEnd {
			t.Errorf("got %v", n.got)
		}
	}
}
