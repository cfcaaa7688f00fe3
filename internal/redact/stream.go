package redact

import (
	"strings"
	"unicode/utf8"
)

// A Stream is a text that comes in pieces, cut anywhere. It is used by one goroutine at a time.
type Stream struct {
	secrets *Secrets
	text    string // what is held back, because a secret may begin in it
	hidden  int    // bytes at the beginning of text that belong to a secret already replaced
}

// Stream returns a Stream in which these secrets are hidden.
func (s *Secrets) Stream() *Stream { return &Stream{secrets: s} }

// Write takes a piece in and returns what can go on. It holds back no more than the end that may be the beginning of a secret, or
// a part of a UTF-8 character.
func (r *Stream) Write(piece string) string {
	if r.secrets == nil {
		return piece
	}
	r.secrets.mu.RLock()
	defer r.secrets.mu.RUnlock()
	forms := &r.secrets.all
	r.text += piece
	at := min(forms.openAt(r.text), runeStart(r.text))
	spans := forms.spans(r.text)
	out := hideSpans(r.text, spans, r.hidden, at)
	hidden := max(0, r.hidden-at)
	for _, s := range spans {
		if s.from < at {
			hidden = max(hidden, s.to-at)
		}
	}
	r.text, r.hidden = strings.Clone(r.text[at:]), hidden
	return out
}

// Rest ends the text and returns what was held back.
func (r *Stream) Rest() string {
	if r.secrets == nil {
		return ""
	}
	r.secrets.mu.RLock()
	defer r.secrets.mu.RUnlock()
	out := hideSpans(r.text, r.secrets.all.spans(r.text), r.hidden, len(r.text))
	r.text, r.hidden = "", 0
	return out
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
