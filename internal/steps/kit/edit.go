package kit

import (
	"errors"
	"strings"

	"provision/internal/steps"
)

// Kinds that edit a file and keep the rest of it (authorized_key, line, ini) share one scheme.
// The probe decides on the host whether the file is as it should be. If it is not, the state
// holds the sum of the file, so that the edit is made on the content that it was computed from,
// and while planning the content travels as detail; Plan computes the new content and puts it
// in place as a whole.

// ProbeEdit is sh that prints the sum of the file $p and sends it. A file that is not worth
// editing is "could not tell", whether planning or not.
const ProbeEdit = `size=$(wc -c <"$p") || exit 1
[ "$size" -le 262144 ] || fail "$p is larger than 256 KiB: it is not edited; use a step \"command\""
[ "$(tr -d '\000' <"$p" | wc -c)" -eq "$size" ] || fail "$p holds NUL bytes: it is not a text to edit"
sum_of "$p" || exit 1; s=$SUM
say sum "$s"
` + ProbeMounted + `detail content "$p"
`

// errNoContent is the error for a state that asks for an edit, without the content to edit: the
// state after the operations of such a step, if they did not do what they should.
var errNoContent = errors.New("the file is not as it should be, and its content was not sent; plan again to see what is left")

// Editable returns the content that ProbeEdit sent.
func Editable(obs steps.Observation) (string, error) {
	text, ok := obs.Detail("content")
	if !ok {
		return "", errNoContent
	}
	return text, nil
}

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
