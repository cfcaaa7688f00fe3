package kinds

import (
	"fmt"
	"slices"
	"strings"

	"provision/internal/steps"
	"provision/internal/steps/kit"
)

// An iniLine is one entry of a file of sections and keys, with the lines that continue it.
type iniLine struct {
	text    string // the lines as they stand, with line breaks
	section string
	number  int // of the section in the file: 0 is what comes before the first header
	header  bool
	key     string // "" for headers, comments and empty lines
	value   string // trimmed; continuing lines joined by line breaks
	form    string // what stands between key and value: "=" or ":" and the spaces around it; "" without
	indent  string // what the line begins with
}

// iniSeparator is the index of the "=" or ":" that ends a key; -1 without. A ":" is one only before a blank or the end, or where
// there is no "=": others are part of names, such as fruit:metadata of Samba.
func iniSeparator(line string) int {
	equals, colon := strings.IndexByte(line, '='), strings.IndexByte(line, ':')
	if colon < 0 || equals >= 0 && equals < colon {
		return equals
	}
	if equals < 0 || strings.ContainsAny(line[colon+1:colon+2], " \t") {
		return colon
	}
	return equals
}

// readINI cuts a text into entries. It is the twin of iniAwk.
func readINI(text string) []iniLine {
	var entries []iniLine
	section, number := "", 0
	open, slash, deep := false, false, 0
	for _, line := range kit.SplitLines(text) {
		trimmed := strings.Trim(line, " \t\r\n")
		comment := trimmed != "" && (trimmed[0] == '#' || trimmed[0] == ';')
		header := strings.HasPrefix(trimmed, "[") && strings.Contains(trimmed, "]")
		indent := len(line) - len(strings.TrimLeft(line, " \t"))
		switch {
		case open && (slash || trimmed != "" && indent > deep && !comment && !header):
			last := &entries[len(entries)-1]
			// A comment between them stays with the key that goes on after it.
			for last.key == "" {
				text := last.text
				entries = entries[:len(entries)-1]
				last = &entries[len(entries)-1]
				last.text += text
			}
			last.text += line
			last.value += "\n" + trimmed
			slash = strings.HasSuffix(trimmed, `\`)
			continue
		case trimmed == "":
			open = false
			entries = append(entries, iniLine{text: line, section: section, number: number})
			continue
		case comment:
			entries = append(entries, iniLine{text: line, section: section, number: number})
			continue
		}
		open = false
		if header {
			section = strings.Trim(trimmed[1:strings.IndexByte(trimmed, ']')], " \t\r")
			number++
			entries = append(entries, iniLine{text: line, section: section, number: number, header: true})
			continue
		}
		open, deep, slash = true, indent, strings.HasSuffix(trimmed, `\`)
		lead := strings.Index(line, trimmed)
		entry := iniLine{text: line, section: section, number: number, key: trimmed, indent: line[:lead]}
		if at := iniSeparator(trimmed); at >= 0 {
			entry.key = strings.Trim(trimmed[:at], " \t\r")
			if entry.key == "" {
				entry.key = "=" // no key that can be wanted
			}
			entry.value = strings.Trim(trimmed[at+1:], " \t\r")
			rest := strings.TrimRight(line[lead+at+1:], "\r\n")
			entry.form = trimmed[len(strings.TrimRight(trimmed[:at], " \t\r")):at+1] + rest[:len(rest)-len(strings.TrimLeft(rest, " \t"))]
		}
		entries = append(entries, entry)
	}
	return entries
}

// sections lists the numbers of the sections that are meant: those of the name, and with where those that hold its keys.
func (s *ini) sections(entries []iniLine) []int {
	var all, matching []int
	found := map[int]map[string][]string{}
	for _, e := range entries {
		if e.header && e.section == s.Section {
			all = append(all, e.number)
		}
		if e.key != "" {
			if found[e.number] == nil {
				found[e.number] = map[string][]string{}
			}
			found[e.number][e.key] = append(found[e.number][e.key], e.value)
		}
	}
	if s.Section == "" {
		all = []int{0}
	}
	for _, n := range all {
		if !slices.ContainsFunc(s.Where, func(v steps.Variable) bool { return !slices.Contains(found[n][v.Name], v.Value.Reveal()) }) {
			matching = append(matching, n)
		}
	}
	return matching
}

// edit returns the new content and notes the keys that change.
func (s *ini) edit(change *steps.Change, before string) (string, error) {
	before, marked := strings.CutPrefix(before, kit.ByteOrderMark)
	after, err := s.editText(change, before)
	if marked {
		after = kit.ByteOrderMark + after
	}
	return after, err
}

func (s *ini) editText(change *steps.Change, before string) (string, error) {
	entries := readINI(before)
	end := kit.LineBreak(before)
	meant := s.sections(entries)
	whole := s.State == "absent" && len(s.wanted()) == 0
	if len(meant) > 1 && (!whole || len(s.Where) > 0) {
		hint := "say which with where = { KEY = \"VALUE\" }, such as the key that tells them apart"
		if len(s.Where) > 0 {
			hint = "give where a key that tells them apart"
		}
		return "", fmt.Errorf("%s has %d sections [%s]%s: %s", s.Path, len(meant), s.Section, s.whereShown(), hint)
	}
	number := -1
	if len(meant) == 1 {
		number = meant[0]
	}
	if s.State == "absent" {
		return s.remove(change, entries, meant), nil
	}
	var missing []steps.Variable
	if number < 0 {
		missing = append(missing, s.Where...)
		for _, v := range s.Where {
			value := v.Value.Reveal()
			s.note(change, v, nil, &value)
		}
	}
	for _, v := range s.wanted() {
		done := false
		kept := entries[:0:0]
		for _, e := range entries {
			switch {
			case e.number != number || e.key != v.Name:
				kept = append(kept, e)
			case done:
				s.note(change, v, &e.value, nil)
			default:
				done = true
				kept = append(kept, s.assign(change, e, v))
			}
		}
		entries = kept
		if !done {
			missing = append(missing, v)
			value := v.Value.Reveal()
			s.note(change, v, nil, &value)
		}
	}
	return s.add(entries, missing, number, end), nil
}

func (s *ini) whereShown() string {
	var parts []string
	for _, v := range s.Where {
		parts = append(parts, v.Name+" "+v.Value.String())
	}
	if len(parts) == 0 {
		return ""
	}
	return " with " + strings.Join(parts, ", ")
}

// assign gives an entry its value.
func (s *ini) assign(change *steps.Change, e iniLine, v steps.Variable) iniLine {
	value := v.Value.Reveal()
	if e.value == value {
		return e
	}
	s.note(change, v, &e.value, &value)
	separator, indent := e.separator()
	value = iniWritten(indent, e.key, separator, value)
	switch {
	case strings.HasSuffix(e.text, "\r\n"):
		value += "\r\n"
	case strings.HasSuffix(e.text, "\n"):
		value += "\n"
	}
	e.text = value
	return e
}

// note adds a key to the diff; nil stands for no key.
func (s *ini) note(change *steps.Change, v steps.Variable, before, after *string) {
	a := steps.Attr{Name: v.Name, BeforeMissing: before == nil, AfterMissing: after == nil}
	if s.Section != "" {
		a.Name = "[" + s.Section + "] " + v.Name
	}
	if v.Value.Sensitive() {
		a.Sensitive = true
	} else {
		if before != nil {
			a.Before = *before
		}
		if after != nil {
			a.After = *after
		}
	}
	change.Diff = append(change.Diff, a)
}

// remove takes the keys out, or the whole section.
func (s *ini) remove(change *steps.Change, entries []iniLine, meant []int) string {
	wanted := s.wanted()
	var out strings.Builder
	for _, e := range entries {
		i := slices.IndexFunc(wanted, func(v steps.Variable) bool { return v.Name == e.key })
		switch {
		case !slices.Contains(meant, e.number) || len(wanted) > 0 && i < 0:
			out.WriteString(e.text)
		case len(wanted) > 0:
			s.note(change, wanted[i], &e.value, nil)
		case e.header:
			change.Diff = append(change.Diff, steps.Attr{Name: "section", Before: "[" + s.Section + "]", AfterMissing: true})
			change.Dangers = []string{fmt.Sprintf("removes the section [%s] of %s with everything in it", s.Section, s.Path)}
		}
	}
	return out.String()
}

// add puts new keys behind the last key of the section, or makes the section.
func (s *ini) add(entries []iniLine, missing []steps.Variable, number int, end string) string {
	at, found, separator, indent := 0, number >= 0, "", ""
	neighbour := -1
	for i, e := range entries {
		if e.key != "" && e.key != "=" && e.form != "" && (separator == "" || e.section == s.Section && (number < 0 || e.number <= number)) {
			separator, indent = e.separator()
		}
		if e.number == number && (e.header || e.key != "") {
			at = i + 1
			if e.key != "" {
				neighbour = i
			}
		}
	}
	if separator == "" {
		separator = "="
	}
	if neighbour >= 0 {
		// Deeper than the line before it, a key would continue that one.
		text := entries[neighbour].text
		indent = text[:len(text)-len(strings.TrimLeft(text, " \t"))]
	}
	var lines []string
	for _, v := range missing {
		lines = append(lines, iniWritten(indent, v.Name, separator, v.Value.Reveal())+end)
	}
	var before, after strings.Builder
	for i, e := range entries {
		if i < at || !found {
			before.WriteString(e.text)
		} else {
			after.WriteString(e.text)
		}
	}
	head := before.String()
	if len(lines) > 0 && head != "" && !strings.HasSuffix(head, "\n") {
		head += end
	}
	if len(lines) > 0 && !found {
		if head != "" && !strings.HasSuffix(head, end+end) {
			head += end
		}
		head += "[" + s.Section + "]" + end
	}
	return head + strings.Join(lines, "") + after.String()
}

// separator is what stands around the "=" or ":" of an entry, and what its line begins with.
func (e iniLine) separator() (string, string) {
	if e.form == "" {
		return "=", e.indent
	}
	return e.form, e.indent
}

// iniWritten is the line of a key, with a separator that is read as one: "k:a=b" has the key "k:a".
func iniWritten(indent, key, separator, value string) string {
	line := ""
	for _, try := range []string{separator, ": ", "="} {
		line = indent + key + strings.TrimRight(try+value, " \t")
		if e := readINI(line); len(e) == 1 && e[0].key == key && e[0].value == value {
			break
		}
	}
	return line
}
