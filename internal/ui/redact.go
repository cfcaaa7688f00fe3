package ui

import (
	"strings"
	"sync"
	"unicode/utf8"

	"provision/internal/engine"
)

// Redacted stands where a secret was.
const Redacted = "(sensitive)"

// minSecret is the length from which a secret is looked for: a shorter one would blot out half
// of every text, and give itself away by the holes.
const minSecret = 4

// A Redactor is a Sink that hides registered secrets in every text of an event before another
// Sink sees it. It is the net under the rule that secrets do not get into events, and no more:
// it knows a secret as it is, trimmed, in base64, hexadecimal, URL, JSON and shell notation,
// and the longer lines of one with several, but not what else a program can make of it. Secrets
// of fewer than 4 bytes are not looked for.
type Redactor struct {
	next engine.Sink

	mu    sync.Mutex
	forms formSet
	held  map[chunkKey]*chunk
	order []chunkKey // of held, as they came
}

type chunkKey struct{ host, addr, stream string }

// A chunk is output that is held back because a secret may begin in it.
type chunk struct {
	text   string
	hidden int // bytes at the beginning of text that belong to a secret already replaced
}

// NewRedactor returns a Redactor in front of next.
func NewRedactor(next engine.Sink, secrets ...string) *Redactor {
	r := &Redactor{next: next, forms: newFormSet(), held: map[chunkKey]*chunk{}}
	r.Add(secrets...)
	return r
}

// Add registers secrets. It may be called at any time; what was passed on is out.
func (r *Redactor) Add(secrets ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, secret := range secrets {
		for _, form := range secretForms(secret) {
			r.forms.add(form)
		}
	}
}

// Event implements engine.Sink.
func (r *Redactor) Event(e engine.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if o := e.StepOutput; o != nil {
		key := chunkKey{e.Host, o.Addr, o.Stream}
		if text := r.feed(key, o.Text); text != "" {
			r.emit(e, key, text)
		}
		return
	}
	switch e.Type {
	case engine.EventStepEnd:
		r.flush(e, func(k chunkKey) bool { return k.host == e.Host && k.addr == e.StepEnd.Addr })
	case engine.EventHostEnd:
		r.flush(e, func(k chunkKey) bool { return k.host == e.Host })
	case engine.EventRunEnd:
		r.flush(e, func(chunkKey) bool { return true })
	}
	r.next.Event(redactEvent(e, r.hide))
}

// emit passes on output that is clean already.
func (r *Redactor) emit(e engine.Event, key chunkKey, text string) {
	out := engine.Event{Type: engine.EventStepOutput, Time: e.Time, Run: e.Run, Host: r.hide(key.host)}
	out.StepOutput = &engine.StepOutput{Addr: r.hide(key.addr), Stream: key.stream, Text: text}
	r.next.Event(out)
}

// flush passes on what is held of the streams that end with an event.
func (r *Redactor) flush(e engine.Event, ends func(chunkKey) bool) {
	kept := r.order[:0]
	for _, key := range r.order {
		if !ends(key) {
			kept = append(kept, key)
			continue
		}
		c := r.held[key]
		delete(r.held, key)
		if text := hideSpans(c.text, r.forms.spans(c.text), c.hidden, len(c.text)); text != "" {
			r.emit(e, key, text)
		}
	}
	r.order = kept
}

// feed takes a chunk of a stream in and returns what can go on. It holds back no more than the
// end that may be the beginning of a secret, or a half of a UTF-8 character.
func (r *Redactor) feed(key chunkKey, text string) string {
	c := r.held[key]
	if c == nil {
		c = &chunk{}
		r.held[key] = c
		r.order = append(r.order, key)
	}
	c.text += text
	at := min(r.forms.openAt(c.text), runeStart(c.text))
	spans := r.forms.spans(c.text)
	out := hideSpans(c.text, spans, c.hidden, at)
	hidden := max(0, c.hidden-at)
	for _, s := range spans {
		if s.from < at {
			hidden = max(hidden, s.to-at)
		}
	}
	c.text, c.hidden = strings.Clone(c.text[at:]), hidden
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
			b.WriteString(Redacted)
		}
		at = max(at, min(s.to, end))
	}
	b.WriteString(text[at:end])
	return b.String()
}

func (r *Redactor) hide(text string) string {
	return hideSpans(text, r.forms.spans(text), 0, len(text))
}
