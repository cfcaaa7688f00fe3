package shell

import (
	"strings"
	"sync"

	"mvdan.cc/sh/v3/syntax"
)

// Strip returns sh text without its comment lines, empty lines and indentation, so that it travels in fewer
// packets. What stands between quotes or in a here-document stays as it is: it may be Python, or the value of
// a variable. The text must be a whole script of our own: Strip panics if it does not parse. It is parsed at its first use, and remembered.
func Strip(src string) string {
	stripped, known := strippedTexts.Load(src)
	if !known {
		stripped, _ = strippedTexts.LoadOrStore(src, strip(src))
	}
	return stripped.(string)
}

var strippedTexts sync.Map // of the texts that were given to Strip: what it returned

func strip(src string) string {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(strings.NewReader(src), "")
	if err != nil {
		panic("shell: Strip: " + err.Error())
	}
	literal := map[uint]bool{} // numbers of the lines that begin inside of a literal
	keep := func(from, to uint) {
		for line := from; line <= to; line++ {
			literal[line] = true
		}
	}
	syntax.Walk(file, func(node syntax.Node) bool {
		switch node := node.(type) {
		case *syntax.SglQuoted, *syntax.DblQuoted:
			keep(node.Pos().Line()+1, node.End().Line())
		case *syntax.Redirect:
			if node.Hdoc != nil {
				keep(node.Hdoc.Pos().Line(), node.Hdoc.End().Line())
			}
		}
		return true
	})
	var b strings.Builder
	b.Grow(len(src))
	number, continued := uint(0), false
	for line := range strings.Lines(src) {
		number++
		if !literal[number] && !continued {
			line = strings.TrimLeft(line, " \t")
			if line == "\n" || line == "" || line[0] == '#' {
				continue
			}
		}
		continued = strings.HasSuffix(line, "\\\n")
		b.WriteString(line)
	}
	return b.String()
}
