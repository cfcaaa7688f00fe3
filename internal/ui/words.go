package ui

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/maruel/natural"
)

// short writes a duration for people: 0.4 s, 12 s, 3m05s, 2h07m.
func short(d time.Duration) string {
	d = d.Truncate(time.Millisecond) // as records have it, so that both say the same
	switch {
	case d < 0:
		return "0.0 s"
	case d < 9950*time.Millisecond:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}

// count writes a number with its noun: 1 host, 12 hosts.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// hostList names hosts in the order in which people count. Three or more in a row stand as
// "web01 … web12"; of more than max entries (0 is all of them) the rest is counted.
func (s Style) hostList(hosts []string, max int) string {
	hosts = append([]string(nil), hosts...)
	slices.SortStableFunc(hosts, natural.Compare)
	var entries []string
	var sizes []int
	for i := 0; i < len(hosts); {
		j := i + 1
		for j < len(hosts) && follows(hosts[j-1], hosts[j]) {
			j++
		}
		if j-i >= 3 {
			entries = append(entries, Line(hosts[i])+" "+s.dots()+" "+Line(hosts[j-1]))
			sizes = append(sizes, j-i)
			i = j
			continue
		}
		entries = append(entries, Line(hosts[i]))
		sizes = append(sizes, 1)
		i++
	}
	if max > 0 && len(entries) > max {
		rest := 0
		for _, n := range sizes[max-1:] {
			rest += n
		}
		entries = append(entries[:max-1], fmt.Sprintf("%d more", rest))
	}
	return strings.Join(entries, ", ")
}

// follows reports whether b is a with its last number one higher, written in the same way.
func follows(a, b string) bool {
	end := len(a)
	for end > 0 && (a[end-1] < '0' || a[end-1] > '9') {
		end--
	}
	start := end
	for start > 0 && a[start-1] >= '0' && a[start-1] <= '9' {
		start--
	}
	n, err := strconv.ParseUint(a[start:end], 10, 63)
	if err != nil {
		return false
	}
	return b == fmt.Sprintf("%s%0*d%s", a[:start], end-start, n+1, a[end:])
}

// list joins words: a, b and c.
func list(words []string) string {
	if n := len(words); n > 1 {
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
	return strings.Join(words, "")
}

// inline writes a message of one or more lines on one.
func inline(text string) string {
	var parts []string
	for part := range strings.SplitSeq(text, "\n") {
		if part = strings.TrimSpace(Line(part)); part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "; ")
}

// wrap breaks a cleaned line between words where the screen ends, and indents what follows by
// hang columns. A word that is wider than the screen is left to the terminal.
func (s Style) wrap(text string, hang int) string {
	if s.Width <= hang || width(text) <= s.Width {
		return text
	}
	var b strings.Builder
	used := 0
	for i, word := range strings.Split(text, " ") {
		w := width(word)
		switch {
		case i == 0:
		case used+1+w > s.Width:
			b.WriteString("\n" + strings.Repeat(" ", hang))
			used = hang
		default:
			b.WriteString(" ")
			used++
		}
		b.WriteString(word)
		used += w
	}
	return b.String()
}
