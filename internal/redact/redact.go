// Package redact hides secrets in texts. It works on values and on text that comes from outside; identifiers (hosts, addresses
// of steps, paths of source files, run ids, kinds, statuses) do not pass through it.
//
// It is a net under the rule that secrets do not get into texts, and no more: it knows a secret as it is, trimmed, in base64,
// hexadecimal, URL, JSON and shell notation, and the longer lines of one with several, but not what else a program can make
// of it.
//
// What is hidden depends on whose text it is. Value is for one value, Text for what hosts and programs print, and Message for the
// words of this program, in which a secret that is a common word would show itself by the hole that it leaves.
package redact

import (
	"slices"
	"strings"
	"sync"
)

// Mask stands where a secret was.
const Mask = "(sensitive)"

// Shortest is the length in bytes from which a secret is looked for within a text. A shorter one would blot out half of every
// text, and give itself away by the holes; it is hidden where it is the whole of a value.
const Shortest = 4

// longestWord is how many letters a word may have that Message leaves where it is.
const longestWord = 12

// Secrets are the secrets of a run. A nil *Secrets hides nothing. It may be used by several goroutines.
type Secrets struct {
	shapes []func(string) string

	mu    sync.RWMutex
	all   formSet
	firm  formSet         // without the forms that are words
	short map[string]bool // secrets that are only hidden as whole values
	ids   map[string]bool
	held  map[string][]string // by form: the identifiers that it is a part of
}

// New returns Secrets that know no secret yet. Each shape is a form in which the program itself shows texts, such as one
// without control characters: a secret is looked for in these forms too.
func New(shapes ...func(string) string) *Secrets {
	return &Secrets{shapes: shapes, all: newFormSet(), firm: newFormSet(), short: map[string]bool{}, ids: map[string]bool{}, held: map[string][]string{}}
}

// Of returns Secrets that know some.
func Of(secrets ...string) *Secrets {
	s := New()
	s.Add(secrets...)
	return s
}

// Add registers secrets. It may be called at any time; what was let out before is out.
func (s *Secrets) Add(secrets ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, secret := range secrets {
		if TooShort(secret) {
			if trimmed := strings.TrimSpace(secret); trimmed != "" {
				s.short[trimmed] = true
			}
			continue
		}
		for _, form := range secretForms(secret, s.shapes) {
			if s.all.add(form) && !isWord(form) {
				s.firm.add(form)
			}
		}
	}
}

// Keep registers identifiers: a secret that is a part of one is not hidden there in a Message.
func (s *Secrets) Keep(ids ...string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if len(id) >= Shortest && !s.ids[id] {
			s.ids[id] = true
			clear(s.held)
		}
	}
}

// TooShort tells of a secret that it cannot be hidden within a text.
func TooShort(secret string) bool { return len(strings.TrimSpace(secret)) < Shortest }

// isWord tells whether a form could be a word of this program's own messages.
func isWord(form string) bool {
	if len(form) > longestWord {
		return false
	}
	for i := range len(form) {
		c := form[i]
		if (c < 'a' || c > 'z') && (i > 0 || c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

// Value hides secrets in one value: an attribute, a variable, a word of a command line. One that is nothing but a secret is
// hidden however short that is.
func (s *Secrets) Value(text string) string {
	if s == nil {
		return text
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if len(s.short) > 0 && s.short[strings.TrimSpace(text)] {
		return Mask
	}
	return hideSpans(text, beside(s.all.spans(text), text), 0, len(text))
}

// Text hides secrets in what a host or a program printed.
func (s *Secrets) Text(text string) string {
	if s == nil {
		return text
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return hideSpans(text, beside(s.all.spans(text), text), 0, len(text))
}

// Message hides secrets in a message of this program. Identifiers stay whole, and so do plain words: what of such a message
// came from outside has to pass through Text before.
func (s *Secrets) Message(text string) string {
	if s == nil {
		return text
	}
	s.mu.RLock()
	spans := beside(s.firm.spans(text), text)
	s.mu.RUnlock()
	if len(spans) == 0 {
		return text
	}
	spans = slices.DeleteFunc(spans, func(at span) bool { return s.identifier(text, at) })
	return hideSpans(text, spans, 0, len(text))
}

// identifier tells whether a span of a text lies in an identifier.
func (s *Secrets) identifier(text string, at span) bool {
	for _, id := range s.holders(text[at.from:at.to]) {
		for from := 0; ; {
			i := strings.Index(text[from:], id)
			if i < 0 {
				break
			}
			i += from
			if i <= at.from && at.to <= i+len(id) && bounded(text, i, i+len(id)) {
				return true
			}
			from = i + 1
		}
	}
	return false
}

// holders returns the identifiers that a form is a part of.
func (s *Secrets) holders(form string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	list, known := s.held[form]
	if !known {
		for id := range s.ids {
			if strings.Contains(id, form) {
				list = append(list, id)
			}
		}
		s.held[form] = list
	}
	return list
}

// bounded tells whether a part of a text is no piece of a longer word.
func bounded(text string, from, to int) bool {
	return (from == 0 || !alphanumeric(text[from-1])) && (to == len(text) || !alphanumeric(text[to]))
}

func alphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// beside leaves out the spans that lie in a mask: what is hidden already stays as it is.
func beside(spans []span, text string) []span {
	if len(spans) == 0 || !strings.Contains(text, Mask) {
		return spans
	}
	return slices.DeleteFunc(spans, func(at span) bool {
		from := max(0, at.to-len(Mask))
		i := strings.Index(text[from:], Mask)
		return i >= 0 && from+i <= at.from && at.to <= from+i+len(Mask)
	})
}

// hideSpans returns text up to end with the spans replaced. The first hidden bytes were
// replaced before; a span that begins in them goes on with them.
func hideSpans(text string, spans []span, hidden, end int) string {
	if hidden == 0 && len(spans) == 0 {
		return text[:end]
	}
	var b strings.Builder
	at := min(hidden, end)
	for _, s := range spans {
		if s.from >= end {
			break
		}
		if s.from >= hidden {
			b.WriteString(text[at:s.from])
			b.WriteString(Mask)
		}
		at = max(at, min(s.to, end))
	}
	b.WriteString(text[at:end])
	return b.String()
}
