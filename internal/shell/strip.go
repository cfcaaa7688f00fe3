package shell

import "strings"

// Strip returns sh text without its comment lines, empty lines and indentation, so that it travels in fewer
// packets. It is for our own text, which has no here-documents and no quoted lines where that would matter.
func Strip(src string) string {
	var b strings.Builder
	b.Grow(len(src))
	for line := range strings.Lines(src) {
		line = strings.TrimLeft(line, " \t")
		if line == "\n" || line == "" || line[0] == '#' {
			continue
		}
		b.WriteString(line)
	}
	return b.String()
}
