// Package ui renders the event stream of the engine for people and for programs: plans,
// progress, failures, summaries, JSON, and the log of a run. Nothing else prints.
//
// The rules of what is printed: results go to stdout, progress and diagnostics to stderr. What
// came from a host, a playbook or a file is text, never control: it passes Clean or Line on its
// way to a screen. Colour only repeats what a word or a symbol says already. Without a terminal
// there is no escape and no carriage return.
package ui

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// Clean makes hostile text fit for a terminal: line breaks and tabs stay, and every other
// control becomes visible, as \x1b, \u202e or \U000e0041. That covers C0, DEL, C1, the bidi
// controls and other invisible format characters, line separators, and invalid UTF-8, whose
// bytes are shown as \xff. The joiners that scripts and emoji need stay.
func Clean(s string) string {
	if !hostile(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case harmless(r):
			b.WriteRune(r)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		i += size
	}
	return b.String()
}

// Line is Clean for text that has to stay on one line: a line break shows as \n, a tab as a
// space.
func Line(s string) string {
	s = Clean(s)
	if !strings.ContainsAny(s, "\n\t") {
		return s
	}
	return strings.NewReplacer("\n", `\n`, "\t", " ").Replace(strings.TrimRight(s, "\n"))
}

func hostile(s string) bool {
	for i := 0; i < len(s); {
		r, size := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				return true
			}
		}
		if !harmless(r) {
			return true
		}
		i += size
	}
	return false
}

func harmless(r rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return true
	case r < 0x20 || r == 0x7f:
		return false
	case r < 0x7f:
		return true
	case r <= 0x9f:
		return false
	case r == '\u200c' || r == '\u200d':
		return true
	case unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp):
		// Arabic number signs and their like are format characters that can be seen.
		return unicode.Is(unicode.Prepended_Concatenation_Mark, r)
	}
	return true
}

// width returns how many columns cleaned text takes on a terminal.
func width(s string) int { return uniseg.StringWidth(s) }

// cut shortens a cleaned line to at most max columns, with mark ("…") at the end if something
// is missing. A wide character that does not fit is left out as a whole.
func cut(s string, max int, mark string) string {
	if width(s) <= max {
		return s
	}
	room := max - width(mark)
	if room < 0 {
		return ""
	}
	used, end, state := 0, 0, -1
	for rest := s; rest != ""; {
		var cluster string
		var w int
		cluster, rest, w, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if used+w > room {
			break
		}
		used += w
		end += len(cluster)
	}
	return s[:end] + mark
}

// pad fills a cleaned line with spaces up to a width.
func pad(s string, to int) string {
	if n := to - width(s); n > 0 {
		return s + strings.Repeat(" ", n)
	}
	return s
}
