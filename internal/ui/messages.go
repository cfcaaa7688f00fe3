package ui

import (
	"cmp"
	"slices"
	"strings"

	"provision/internal/event"
)

// messages are what message blocks told, the same on several hosts once.
type messages struct {
	list []*said
	more int // that were told, and are not kept
}

// A said is a message that was told. It has the hosts that it is about.
type said struct {
	event.Message
	hosts []string
}

// messagesKept bounds how many different messages are shown; of the others, how many there were.
const messagesKept = 200

// add takes a message in, in the order of the playbook.
func (m *messages) add(host string, e *event.Message) {
	at, known := slices.BinarySearchFunc(m.list, e, func(t *said, e *event.Message) int {
		return cmp.Or(strings.Compare(t.Source.File, e.Source.File), t.Source.Line-e.Source.Line, strings.Compare(t.Addr, e.Addr), strings.Compare(t.Text, e.Text))
	})
	switch {
	case known && slices.Contains(m.list[at].hosts, host):
	case known:
		m.list[at].hosts = append(m.list[at].hosts, host)
	case len(m.list) < messagesKept:
		m.list = slices.Insert(m.list, at, &said{*e, []string{host}})
	default:
		m.more++
	}
}

// rest says how many messages are not kept, "" if all are.
func (m *messages) rest() string {
	if m.more == 0 {
		return ""
	}
	return count(m.more, "more message") + ", which --json has"
}

// shown are the lines of the text, cleaned.
func (t *said) shown() []string {
	lines := strings.Split(tabs(Clean(t.Text)), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRight(l, " ")
	}
	return lines
}

// lines lays the messages out for a screen. With several hosts each says whom it is about.
func (m *messages) lines(s Style, several bool) []string {
	if len(m.list) == 0 {
		return nil
	}
	lines := []string{s.paint(strong, "Messages:")}
	for _, t := range m.list {
		for i, text := range t.shown() {
			lead := "    "
			if i == 0 {
				lead = "  " + s.pick("•", "*") + " "
			}
			lines = append(lines, strings.TrimRight(s.wrap(lead+text, 4), " "))
		}
		if several {
			lines[len(lines)-1] += s.paint(faint, "  ("+s.hostList(t.hosts, 4)+")")
		}
	}
	if rest := m.rest(); rest != "" {
		lines = append(lines, "  "+s.pick("…", "...")+" "+rest)
	}
	return lines
}

// markdown lists the messages, "" if there are none.
func (m *messages) markdown(s Style) string {
	if len(m.list) == 0 {
		return ""
	}
	const most, longest = 20, 1000
	var b strings.Builder
	b.WriteString("**Messages:**\n\n")
	for i, t := range m.list {
		if i == most {
			b.WriteString("- … " + count(len(m.list)-i+m.more, "more message") + "\n")
			break
		}
		text := cut(strings.Join(t.shown(), "\n"), longest, "…")
		b.WriteString("- " + strings.ReplaceAll(escapeMarkdown(text), "\n", "<br>") + " (" + escapeMarkdown(s.hostList(t.hosts, 3)) + ")\n")
	}
	return b.String() + "\n"
}

// named are the messages for a page: the text, and whom it is about.
func (m *messages) named(several bool) []named {
	var list []named
	for _, t := range m.list {
		about := Line(t.Addr)
		if several {
			about = Style{Unicode: true}.hostList(t.hosts, 6) + " · " + about
		}
		list = append(list, named{strings.Join(t.shown(), "\n"), about})
	}
	if rest := m.rest(); rest != "" {
		list = append(list, named{rest, ""})
	}
	return list
}
