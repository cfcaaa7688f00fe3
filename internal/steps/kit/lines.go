package kit

import (
	"slices"
	"strings"
)

// Lines are the lines of a text file. What ends a line, and a byte order mark that begins the file, are no part of any line's text.
// A kind may change All as it likes; Insert gives a new line its end.
type Lines struct {
	All  []Line
	mark string
}

// A Line is a line of a text file. End is "\n", "\r\n", or for the last line of a file perhaps "".
type Line struct{ Text, End string }

// ReadLines cuts a text into lines.
func ReadLines(text string) *Lines {
	l := &Lines{}
	if strings.HasPrefix(text, ByteOrderMark) {
		l.mark, text = ByteOrderMark, text[len(ByteOrderMark):]
	}
	for _, line := range SplitLines(text) {
		bare := strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		l.All = append(l.All, Line{Text: bare, End: line[len(bare):]})
	}
	return l
}

// Insert puts a new line before the one with an index, or at the end. It ends as its neighbours do, the one before it first.
func (l *Lines) Insert(at int, text string) {
	end := "\n"
	for _, i := range []int{at - 1, at, at - 2} {
		if i >= 0 && i < len(l.All) && strings.HasSuffix(l.All[i].End, "\n") {
			end = l.All[i].End
			break
		}
	}
	if at == len(l.All) && at > 0 && !strings.HasSuffix(l.All[at-1].End, "\n") {
		l.All[at-1].End = end
	}
	l.All = slices.Insert(l.All, at, Line{Text: text, End: end})
}

// String is the text of the file.
func (l *Lines) String() string {
	var b strings.Builder
	b.WriteString(l.mark)
	for _, line := range l.All {
		b.WriteString(line.Text + line.End)
	}
	return b.String()
}

// ProbeLines is sh that defines the function lines: it prints the file $p as ReadLines cuts it, each line with a line feed.
const ProbeLines = `cr=$(printf '\r') bom=$(printf '\357\273\277')
lines() { sed -e "1s/^$bom//" -e "s/$cr\$//" <"$p"; }
`

// SplitLines cuts a text into lines, each with its line break; the last may lack one.
func SplitLines(text string) []string {
	lines := strings.SplitAfter(text, "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// ByteOrderMark may begin a file in UTF-8; it is no part of the first line.
const ByteOrderMark = "\uFEFF"

// LineBreak returns what ends the lines of a text: "\r\n" if the first one has it.
func LineBreak(text string) string {
	if first, _, found := strings.Cut(text, "\n"); found && strings.HasSuffix(first, "\r") {
		return "\r\n"
	}
	return "\n"
}

// EndLast gives the last line a line break, so that another may follow.
func EndLast(lines []string, end string) {
	if n := len(lines); n > 0 && !strings.HasSuffix(lines[n-1], "\n") {
		lines[n-1] += end
	}
}
