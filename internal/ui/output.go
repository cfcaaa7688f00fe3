package ui

import (
	"strings"
	"unicode/utf8"

	"provision/internal/event"
)

// maxLine bounds what is kept of a line that does not end; a program may print gigabytes
// without a line break.
const maxLine = 8 << 10

// A chunkKey names a stream of a step.
type chunkKey struct{ host, addr, stream string }

// lineSplitter turns chunks of output into whole lines, each stream of each step by itself.
type lineSplitter struct{ open map[chunkKey]string }

func newLineSplitter() *lineSplitter { return &lineSplitter{open: map[chunkKey]string{}} }

// feed returns the lines that a chunk completes, without their ends. Of a line that was written
// over by carriage returns, as progress bars do, the last state is kept.
func (l *lineSplitter) feed(key chunkKey, text string) []string {
	text = l.open[key] + text
	var lines []string
	for {
		one, rest, ok := strings.Cut(text, "\n")
		if !ok {
			break
		}
		lines = append(lines, lastState(one))
		text = rest
	}
	for len(text) > maxLine {
		at := runeStart(text[:maxLine])
		lines = append(lines, lastState(text[:at]))
		text = text[at:]
	}
	if text == "" {
		delete(l.open, key)
	} else {
		l.open[key] = strings.Clone(text)
	}
	return lines
}

// end returns what a step printed without a line break at the end, on both streams.
func (l *lineSplitter) end(host, addr string) []string {
	var lines []string
	for _, stream := range []string{event.StreamStdout, event.StreamStderr} {
		key := chunkKey{host, addr, stream}
		if text := l.open[key]; text != "" {
			lines = append(lines, lastState(text))
			delete(l.open, key)
		}
	}
	return lines
}

func lastState(text string) string {
	text = strings.TrimRight(text, "\r")
	return text[strings.LastIndexByte(text, '\r')+1:]
}

// runeStart returns where a character begins that the end of the text cuts off.
func runeStart(text string) int {
	for i := len(text) - 1; i >= max(0, len(text)-3); i-- {
		if utf8.RuneStart(text[i]) {
			if !utf8.FullRuneInString(text[i:]) {
				return i
			}
			break
		}
	}
	return len(text)
}
