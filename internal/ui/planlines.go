package ui

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	udiff "github.com/aymanbagabas/go-udiff"

	"provision/internal/event"
	"provision/internal/steps"
)

// A line of a plan before it is laid out for a screen or for Markdown.
type line struct {
	depth int // 0 a step, 1 an attribute, 2 the text of a diff
	sign  string
	tone  tone
	text  string // cleaned
	word  string // of a step: what happens
	tail  string // of a step: its place in the playbook
}

// What one plan shows at most without --detail: enough to judge a change, not to read a file.
const (
	maxDiffLines = 40
	maxValue     = 120     // columns of a value on one line
	maxDiffWidth = 200     // columns of a line of a diff
	maxDiffBytes = 1 << 18 // beyond it, texts are not compared line by line
)

// stepLines lays out one step of a plan. With detail nothing is cut short; without, the diff of
// a text that is in seen already is not shown again.
func (s Style) stepLines(p *event.PlanStep, detail bool, seen map[string]bool) []line {
	sign, tone := s.sign(p.Action)
	head := line{sign: sign, tone: tone, text: Line(p.Addr), word: s.word(p), tail: place(p.Source)}
	lines := []line{head}
	room := 40
	if path := Line(p.Path); path != "" {
		if width(path) <= room {
			lines[0].word += "  " + path
			room -= width(path)
		} else {
			lines = append(lines, line{depth: 1, text: path, tone: faint})
		}
	}
	if p.Error != nil {
		lines[0].sign, lines[0].tone = s.cross(), bad
		return append(lines, s.failureLines(p.Error)...)
	}
	if reason := Line(p.Reason); reason != "" {
		if width(reason) <= room {
			lines[0].word += "  " + reason
		} else {
			lines = append(lines, line{depth: 1, text: reason, tone: faint})
		}
	}
	names := 0
	for _, a := range p.Diff {
		names = max(names, width(Line(a.Name)))
	}
	for _, a := range p.Diff {
		own := s.attrLines(a, names, detail)
		key := "text\n" + p.Addr + "\n" + a.Name + "\n" + a.Before + "\x00" + a.After
		if len(own) > 1 && seen[key] && !detail {
			own = own[:1]
			own[0].text += "  (as above)"
		}
		seen[key] = true
		lines = append(lines, own...)
	}
	for _, d := range p.Dangers {
		lines = append(lines, line{depth: 1, sign: "!", tone: bad, text: Line(d)})
	}
	return lines
}

// failureLines say why a step cannot be planned, and what to do about it.
func (s Style) failureLines(f *event.Failure) []line {
	var lines []line
	for text := range strings.SplitSeq(strings.TrimRight(Clean(f.Message), "\n"), "\n") {
		lines = append(lines, line{depth: 1, text: tabs(text), tone: bad})
	}
	if hint := Line(f.Hint); hint != "" {
		lines = append(lines, line{depth: 1, text: hint, tone: faint})
	}
	return lines
}

// word says what happens to a step.
func (s Style) word(p *event.PlanStep) string {
	word := string(p.Action)
	switch {
	case p.Error != nil:
		return unplannedWords
	case p.Skipped:
		word = "skipped"
	case p.Action == steps.Unknown:
		word = "known after"
		var after []string
		for _, a := range p.After {
			after = append(after, Line(a))
		}
		if len(after) == 0 {
			after = []string{"an earlier step"}
		}
		word += " " + list(after)
	case p.Action == steps.NoOp:
		word = "unchanged"
		if p.Data {
			word = "looked at"
		}
		if len(p.After) > 0 {
			word = "unchanged so far; looked at again after " + Line(p.After[0])
		}
	}
	var events []string
	for _, e := range p.Events {
		events = append(events, Line(e))
	}
	switch {
	case len(events) > 0 && p.Action == steps.NoOp:
		word = list(events)
	case len(events) > 0:
		word += ", then " + list(events)
	}
	return word
}

// unplannedWords are what is said of a step that cannot be planned, wherever it is told of.
const unplannedWords = "cannot be planned"

func place(s event.Source) string {
	if s.File == "" {
		return ""
	}
	return Line(s.File) + ":" + strconv.Itoa(s.Line)
}

func (s Style) attrLines(a steps.Attr, names int, detail bool) []line {
	l := line{depth: 1, sign: "~", tone: changed}
	switch {
	case a.BeforeMissing:
		l.sign, l.tone = "+", good
	case a.AfterMissing:
		l.sign, l.tone = "-", bad
	}
	name := Line(a.Name)
	if a.Sensitive {
		l.text = pad(name, names) + "  (sensitive)"
		return []line{l}
	}
	if strings.Contains(a.Before+a.After, "\n") {
		l.text = name
		return append([]line{l}, s.textDiff(a.Before, a.After, detail)...)
	}
	before, after := s.value(a.Before, detail), s.value(a.After, detail)
	l.text = pad(name, names) + "  "
	switch {
	case a.BeforeMissing:
		l.text += after
	case a.AfterMissing:
		l.text += before
	default:
		l.text += before + " " + s.arrow() + " " + after
	}
	return []line{l}
}

// value quotes a value, and cuts a long one.
func (s Style) value(v string, detail bool) string {
	if q := Line(strconv.Quote(v)); detail || width(q) <= maxValue {
		return q
	}
	return cut(Line(strconv.Quote(v)), maxValue-16, s.dots()+`"`) + " (" + size(len(v)) + ")"
}

func size(n int) string {
	switch {
	case n < 1<<10:
		return count(n, "byte")
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

// textDiff is the unified diff of two texts, with three lines of context.
func (s Style) textDiff(before, after string, detail bool) []line {
	if len(before)+len(after) > maxDiffBytes {
		text := size(len(before)) + " " + s.arrow() + " " + size(len(after)) + ", too long to compare here"
		return []line{{depth: 2, text: text, tone: faint}}
	}
	diff, err := udiff.ToUnified("", "", before, udiff.Lines(before, after), udiff.DefaultContextLines)
	if err != nil {
		panic(err) // the edits are udiff's own
	}
	// The first two lines name the files, which are nothing here.
	_, diff, _ = strings.Cut(diff, "\n")
	_, diff, _ = strings.Cut(diff, "\n")
	var lines []line
	for _, text := range strings.Split(strings.TrimSuffix(diff, "\n"), "\n") {
		l := line{depth: 2, sign: " ", text: tabs(Clean(text))}
		switch {
		case strings.HasPrefix(text, "+"):
			l.sign, l.tone, l.text = "+", good, l.text[1:]
		case strings.HasPrefix(text, "-"):
			l.sign, l.tone, l.text = "-", bad, l.text[1:]
		case strings.HasPrefix(text, "@@"):
			l.sign, l.tone = "", faint
		case strings.HasPrefix(text, `\`):
			l.sign, l.tone, l.text = "", faint, `\ no newline at the end`
		default:
			l.text = strings.TrimPrefix(l.text, " ")
		}
		lines = append(lines, l)
	}
	if before == "" || after == "" {
		lines = lines[1:] // "@@ -0,0 +1,9 @@" tells nothing
	}
	if !detail {
		s.narrow(lines)
	}
	if !detail && len(lines) > maxDiffLines {
		rest := len(lines) - maxDiffLines + 1
		more := fmt.Sprintf("%s %d more lines (all with --detail)", s.dots(), rest)
		lines = append(lines[:maxDiffLines-1], line{depth: 2, text: more, tone: faint})
	}
	return lines
}

// narrow cuts the long lines of a diff. Where one takes the place of another, both begin shortly before they differ.
func (s Style) narrow(lines []line) {
	for at := 0; at < len(lines); {
		minus := at
		for at < len(lines) && lines[at].sign == "-" {
			at++
		}
		plus := at
		for at < len(lines) && lines[at].sign == "+" {
			at++
		}
		for i := range min(plus-minus, at-plus) {
			s.narrowPair(&lines[minus+i].text, &lines[plus+i].text)
		}
		at = max(at, minus+1)
		for i := minus; i < at; i++ {
			if text := lines[i].text; width(text) > maxDiffWidth {
				lines[i].text = cut(text, maxDiffWidth-16, s.dots()) + " (" + size(len(text)) + ")"
			}
		}
	}
}

// narrowPair leaves out the beginning that two lines have in common, if what differs would not be seen otherwise.
func (s Style) narrowPair(before, after *string) {
	const context = 40 // bytes
	same := 0
	for same < min(len(*before), len(*after)) && (*before)[same] == (*after)[same] {
		same++
	}
	if max(len(*before), len(*after)) <= maxDiffWidth || same < maxDiffWidth/2 {
		return
	}
	from := same - context
	for from < same && !utf8.RuneStart((*before)[from]) {
		from++
	}
	*before, *after = s.dots()+(*before)[from:], s.dots()+(*after)[from:]
}

// tabs makes the indentation of a diff the same wherever it stands on the screen.
func tabs(s string) string { return strings.ReplaceAll(s, "\t", "    ") }
