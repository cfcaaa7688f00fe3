package steps

import (
	"fmt"
	"slices"
	"strings"
)

// An iniLine is one entry of a file of sections and keys, with the lines that continue it.
type iniLine struct {
	text    string // the lines as they stand, with line breaks
	section string
	header  bool
	key     string // "" for headers, comments and empty lines
	value   string // trimmed; continuing lines joined by line breaks
	equals  int    // index in text after the "=" and the spaces that follow; -1 without "="
}

// readINI cuts a text into entries. It is the twin of iniAwk.
func readINI(text string) []iniLine {
	var entries []iniLine
	section := ""
	open, slash, deep := false, false, 0
	for _, line := range splitLines(text) {
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
			entries = append(entries, iniLine{text: line, section: section})
			continue
		case comment:
			entries = append(entries, iniLine{text: line, section: section})
			continue
		}
		open = false
		if header {
			section = strings.Trim(trimmed[1:strings.IndexByte(trimmed, ']')], " \t\r")
			entries = append(entries, iniLine{text: line, section: section, header: true})
			continue
		}
		open, deep, slash = true, indent, strings.HasSuffix(trimmed, `\`)
		entry := iniLine{text: line, section: section, key: trimmed, equals: -1}
		if before, after, found := strings.Cut(trimmed, "="); found {
			entry.key = strings.Trim(before, " \t\r")
			if entry.key == "" {
				entry.key = "=" // no key that can be wanted
			}
			entry.value = strings.Trim(after, " \t\r")
			from := strings.IndexByte(line, '=') + 1
			rest := strings.TrimRight(line[from:], "\r\n")
			entry.equals = from + len(rest) - len(strings.TrimLeft(rest, " \t"))
		}
		entries = append(entries, entry)
	}
	return entries
}

// edit returns the new content and notes the keys that change.
func (s *ini) edit(change *Change, before string) string {
	entries := readINI(before)
	end := lineBreak(before)
	if s.State == "absent" {
		return s.remove(change, entries)
	}
	var missing []Variable
	for _, v := range s.wanted() {
		done := false
		kept := entries[:0:0]
		for _, e := range entries {
			switch {
			case e.section != s.Section || e.key != v.Name:
				kept = append(kept, e)
			case done:
				s.note(change, v, &e.value, nil)
			default:
				done = true
				kept = append(kept, s.assign(change, e, v, end))
			}
		}
		entries = kept
		if !done {
			missing = append(missing, v)
			value := v.Value.Reveal()
			s.note(change, v, nil, &value)
		}
	}
	return s.add(entries, missing, end)
}

// assign gives an entry its value.
func (s *ini) assign(change *Change, e iniLine, v Variable, end string) iniLine {
	value := v.Value.Reveal()
	if e.value == value {
		return e
	}
	s.note(change, v, &e.value, &value)
	first, _, _ := strings.Cut(e.text, "\n")
	head := strings.TrimRight(first, " \t\r") + "="
	if e.equals >= 0 {
		head = e.text[:e.equals]
	}
	if strings.HasSuffix(e.text, "\n") {
		value += end
	}
	e.text = head + value
	return e
}

// note adds a key to the diff; nil stands for no key.
func (s *ini) note(change *Change, v Variable, before, after *string) {
	a := Attr{Name: v.Name, BeforeMissing: before == nil, AfterMissing: after == nil}
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
func (s *ini) remove(change *Change, entries []iniLine) string {
	wanted := s.wanted()
	var out strings.Builder
	for _, e := range entries {
		i := slices.IndexFunc(wanted, func(v Variable) bool { return v.Name == e.key })
		switch {
		case e.section != s.Section || len(wanted) > 0 && i < 0:
			out.WriteString(e.text)
		case len(wanted) > 0:
			s.note(change, wanted[i], &e.value, nil)
		case e.header:
			change.Diff = append(change.Diff, Attr{Name: "section", Before: "[" + s.Section + "]", AfterMissing: true})
			change.Dangers = []string{fmt.Sprintf("removes the section [%s] of %s with everything in it", s.Section, s.Path)}
		}
	}
	return out.String()
}

// add puts new keys behind the last key of the section, or makes the section.
func (s *ini) add(entries []iniLine, missing []Variable, end string) string {
	at, found, separator, indent := 0, s.Section == "", "", ""
	neighbour := -1
	for i, e := range entries {
		if e.key != "" && e.key != "=" && e.equals >= 0 && (separator == "" || e.section == s.Section) {
			separator, indent = e.separator()
		}
		if e.section == s.Section && (e.header || e.key != "") {
			found, at = true, i+1
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
		lines = append(lines, indent+v.Name+strings.TrimRight(separator+v.Value.Reveal(), " \t")+end)
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

// separator is what stands around the "=" of an entry, and what its line begins with.
func (e iniLine) separator() (string, string) {
	from := strings.Index(e.text, e.key) + len(e.key)
	return e.text[from:e.equals], e.text[:strings.Index(e.text, e.key)]
}
