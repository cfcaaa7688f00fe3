package kinds

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"provision/internal/steps"
	"provision/internal/steps/kit"
)

// hostsBlank is what separates words in hosts(5); a CR before a LF is part of the line break.
const hostsBlank = " \t\v\f\r"

// A hostsWord is a word of a line and the blanks before it.
type hostsWord struct{ blank, text string }

// A hostsLine is a line of /etc/hosts. What is no entry has no names, and is never changed.
type hostsLine struct {
	old     string
	address hostsWord
	addr    netip.Addr
	names   []hostsWord
	rest    string // blanks and a comment
	gone    bool
}

func readHostsLine(text string) *hostsLine {
	l := &hostsLine{old: text}
	body, _, _ := strings.Cut(text, "#")
	var words []hostsWord
	for {
		word := strings.TrimLeft(body, hostsBlank)
		if word == "" {
			break
		}
		blank := body[:len(body)-len(word)]
		if end := strings.IndexAny(word, hostsBlank); end >= 0 {
			word = word[:end]
		}
		words = append(words, hostsWord{blank, word})
		body = body[len(blank)+len(word):]
	}
	if len(words) < 2 {
		return l
	}
	addr, err := netip.ParseAddr(words[0].text)
	if err != nil {
		return l
	}
	l.address, l.addr, l.names = words[0], addr, words[1:]
	used := 0
	for _, w := range words {
		used += len(w.blank) + len(w.text)
	}
	l.rest = text[used:]
	return l
}

func (l *hostsLine) String() string {
	if len(l.names) == 0 {
		return l.old
	}
	var b strings.Builder
	for _, w := range append([]hostsWord{l.address}, l.names...) {
		b.WriteString(w.blank + w.text)
	}
	return b.String() + l.rest
}

// remove takes the names that are meant from the line, and the line with its last one.
func (l *hostsLine) remove(meant func(name string) bool) {
	first := hostsWord{}
	if len(l.names) > 0 {
		first = l.names[0]
	}
	kept := slices.DeleteFunc(slices.Clone(l.names), func(w hostsWord) bool { return meant(w.text) })
	if len(kept) == 0 {
		l.gone = len(l.names) > 0
		return
	}
	kept[0].blank = first.blank
	l.names = kept
}

// has tells whether one of the names on the line is meant.
func (l *hostsLine) has(meant func(name string) bool) bool {
	return !l.gone && slices.ContainsFunc(l.names, func(w hostsWord) bool { return meant(w.text) })
}

// rank is the place of a name among those of the step, or -1.
func (h *hostsEntry) rank(name string) int {
	return slices.IndexFunc(h.Names, func(n string) bool { return strings.EqualFold(n, name) })
}

func (h *hostsEntry) given(name string) bool { return h.rank(name) >= 0 }
func (h *hostsEntry) other(name string) bool { return h.rank(name) < 0 }

// edit returns the new content and notes the lines that change, by their old numbers.
func (h *hostsEntry) edit(change *steps.Change, before string) (string, error) {
	text := kit.ReadLines(before)
	lines := make([]*hostsLine, len(text.All))
	for i, l := range text.All {
		lines[i] = readHostsLine(l.Text)
	}
	local := localhostOf(lines)
	added, at := "", 0
	if h.State == "absent" {
		h.removeFrom(lines)
	} else {
		if err := h.conflict(lines); err != nil {
			return "", err
		}
		change.Reason = h.moves(lines)
		added, at = h.bring(lines)
	}
	for _, address := range local {
		if !slices.Contains(localhostOf(lines), address) && !(added != "" && h.Address.addr.String() == address) {
			change.Dangers = append(change.Dangers, "takes localhost from "+address+", which many programs rely on")
		}
	}
	old := text.All
	text.All = nil
	gone := 0
	for i, l := range lines {
		attr := steps.Attr{Name: fmt.Sprintf("line %d", i+1), Before: l.old, After: l.String()}
		switch {
		case l.gone:
			if i < at {
				gone++
			}
			attr.After, attr.AfterMissing = "", true
			change.Diff = append(change.Diff, attr)
		default:
			if attr.Before != attr.After {
				change.Diff = append(change.Diff, attr)
			}
			text.All = append(text.All, kit.Line{Text: attr.After, End: old[i].End})
		}
	}
	if at -= gone; added != "" {
		change.Diff = append(change.Diff, steps.Attr{Name: fmt.Sprintf("line %d", at+1), BeforeMissing: true, After: added})
		text.Insert(at, added)
	}
	return text.String(), nil
}

// localhostOf lists the loopback addresses that have the name localhost.
func localhostOf(lines []*hostsLine) []string {
	var list []string
	for _, l := range lines {
		if l.addr.IsLoopback() && l.has(func(n string) bool { return strings.EqualFold(n, "localhost") }) {
			list = append(list, l.addr.String())
		}
	}
	return slices.Compact(list)
}

func (h *hostsEntry) removeFrom(lines []*hostsLine) {
	for _, l := range lines {
		if h.Address == nil || l.addr == h.Address.addr {
			l.remove(func(n string) bool { return len(h.Names) == 0 || h.given(n) })
		}
	}
}

// inTheWay tells whether a line gives one of the names another address of the same family.
func (h *hostsEntry) inTheWay(l *hostsLine) bool {
	return l.addr != h.Address.addr && l.addr.Is4() == h.Address.addr.Is4() && l.has(h.given)
}

func (h *hostsEntry) conflict(lines []*hostsLine) error {
	for i, l := range lines {
		if h.Elsewhere == "error" && h.inTheWay(l) {
			return fmt.Errorf("line %d of %s gives %s the address %s; remove it there, or set elsewhere to \"move\" or \"keep\"", i+1, h.Path, h.named(l), l.address.text)
		}
	}
	return nil
}

// named lists the names of the step on a line.
func (h *hostsEntry) named(l *hostsLine) string {
	var list []string
	for _, w := range l.names {
		if h.given(w.text) {
			list = append(list, w.text)
		}
	}
	return strings.Join(list, ", ")
}

// moves says which names come from where.
func (h *hostsEntry) moves(lines []*hostsLine) string {
	var list []string
	for _, l := range lines {
		if h.Elsewhere == "move" && h.inTheWay(l) {
			list = append(list, h.named(l)+" from "+l.address.text)
		}
	}
	if list == nil {
		return ""
	}
	return "moves " + strings.Join(list, ", ")
}

// bring gives the address its names. Where that takes a line of its own, it returns the line and the index before
// which it goes.
func (h *hostsEntry) bring(lines []*hostsLine) (added string, at int) {
	ours := func(l *hostsLine) bool { return !l.gone && l.addr == h.Address.addr }
	home := slices.IndexFunc(lines, func(l *hostsLine) bool { return ours(l) && l.has(h.given) })
	if home < 0 && h.Exclusive {
		home = slices.IndexFunc(lines, ours)
	}
	if home < 0 && h.Elsewhere == "move" {
		home = slices.IndexFunc(lines, func(l *hostsLine) bool { return h.inTheWay(l) && !l.has(h.other) })
		if home >= 0 {
			lines[home].addr, lines[home].address.text = h.Address.addr, h.Address.text
		}
	}
	for i, l := range lines {
		switch {
		case h.Elsewhere == "move" && h.inTheWay(l):
			l.remove(h.given)
		case ours(l) && h.Exclusive && i != home:
			l.remove(h.other)
		}
	}
	var missing []string
	for _, n := range h.Names {
		if !slices.ContainsFunc(lines, func(l *hostsLine) bool {
			return ours(l) && l.has(func(o string) bool { return strings.EqualFold(n, o) })
		}) {
			missing = append(missing, n)
		}
	}
	if home < 0 {
		added, at = h.newLine(lines, ours)
	} else {
		l := lines[home]
		for _, n := range missing {
			l.names = append(l.names, hostsWord{" ", n})
		}
		if h.Exclusive {
			l.remove(h.other)
		}
	}
	for _, l := range lines {
		if ours(l) {
			h.sort(l)
		}
	}
	return added, at
}

// sort puts the names of the step into its order and its spelling, in the places that they have on the line.
func (h *hostsEntry) sort(l *hostsLine) {
	var ranks []int
	for _, w := range l.names {
		if h.given(w.text) {
			ranks = append(ranks, h.rank(w.text))
		}
	}
	slices.Sort(ranks)
	for i, w := range l.names {
		if h.given(w.text) {
			l.names[i].text = h.Names[ranks[0]]
			ranks = ranks[1:]
		}
	}
}

// newLine is a line for all the names, with the blanks of the entry before it if these are tabs.
func (h *hostsEntry) newLine(lines []*hostsLine, ours func(*hostsLine) bool) (added string, at int) {
	at = len(lines)
	for i, l := range lines {
		if ours(l) {
			at = i + 1
		}
	}
	blank := "\t"
	for _, l := range lines[:at] {
		if len(l.names) > 0 && !l.gone {
			blank = l.names[0].blank
		}
	}
	if strings.Trim(blank, "\t") != "" {
		blank = " "
	}
	return h.Address.text + blank + strings.Join(h.Names, " "), at
}
