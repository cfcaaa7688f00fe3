package ui

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"sort"
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
	forms []string // longest first
	known map[string]bool
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
	r := &Redactor{next: next, known: map[string]bool{}, held: map[chunkKey]*chunk{}}
	r.Add(secrets...)
	return r
}

// Add registers secrets. It may be called at any time; what was passed on is out.
func (r *Redactor) Add(secrets ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, secret := range secrets {
		for _, form := range secretForms(secret) {
			if !r.known[form] {
				r.known[form] = true
				r.forms = append(r.forms, form)
			}
		}
	}
	sort.SliceStable(r.forms, func(i, j int) bool { return len(r.forms[i]) > len(r.forms[j]) })
}

// secretForms lists the shapes in which a secret may turn up.
func secretForms(secret string) []string {
	values := []string{secret, strings.TrimSpace(secret)}
	if strings.ContainsAny(strings.TrimSpace(secret), "\r\n") {
		for _, l := range strings.FieldsFunc(secret, func(c rune) bool { return c == '\n' || c == '\r' }) {
			if l = strings.TrimSpace(l); len(l) >= 8 {
				values = append(values, l)
			}
		}
	}
	var forms []string
	for _, v := range values {
		if len(v) < minSecret {
			continue
		}
		quoted, err := json.Marshal(v)
		if err != nil {
			panic(err) // a string
		}
		plainJSON := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`, "\r", `\r`).Replace(v)
		forms = append(
			forms, v, strings.ReplaceAll(v, "\n", "\r\n"),
			string(quoted[1:len(quoted)-1]), plainJSON,
			url.QueryEscape(v), url.PathEscape(v),
			// Inside single quotes, as shells, set -x and shellescape write them.
			strings.ReplaceAll(v, "'", `'\''`), strings.ReplaceAll(v, "'", `'"'"'`),
			hex.EncodeToString([]byte(v)), Clean(v), Line(v),
		)
		forms = append(forms, base64Forms(v)...)
	}
	kept := forms[:0]
	for _, f := range forms {
		if len(f) >= minSecret {
			kept = append(kept, f)
		}
	}
	return kept
}

// base64Forms returns a value in both alphabets, with and without padding, and what it looks
// like in the middle of something longer, such as "user:password", where it may begin at any of
// three offsets.
func base64Forms(v string) []string {
	var forms []string
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		raw := e.WithPadding(base64.NoPadding)
		forms = append(forms, e.EncodeToString([]byte(v)), raw.EncodeToString([]byte(v)))
		for offset := range 3 {
			text := raw.EncodeToString([]byte(strings.Repeat("\x00", offset) + v))
			// The first and the last character also hold bits of the neighbours.
			from := (offset*8 + 5) / 6
			to := (offset + len(v)) * 8 / 6
			if to-from >= 8 {
				forms = append(forms, text[from:to])
			}
		}
	}
	return forms
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
		if text := hideSpans(c.text, r.spans(c.text), c.hidden, len(c.text)); text != "" {
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
	at := min(r.openAt(c.text), runeStart(c.text))
	spans := r.spans(c.text)
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

// openAt returns where the first secret may begin that the text does not hold in full.
func (r *Redactor) openAt(text string) int {
	at := len(text)
	for _, form := range r.forms {
		for i := max(0, len(text)-len(form)+1); i < at; i++ {
			if text[i] == form[0] && strings.HasPrefix(form, text[i:]) {
				at = i
			}
		}
	}
	return at
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

type span struct{ from, to int }

// spans returns where secrets are, in order, those that overlap as one.
func (r *Redactor) spans(text string) []span {
	var found []span
	for _, form := range r.forms {
		for from := 0; ; {
			i := strings.Index(text[from:], form)
			if i < 0 {
				break
			}
			found = append(found, span{from + i, from + i + len(form)})
			from += i + 1
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i].from < found[j].from })
	merged := found[:0]
	for _, s := range found {
		if n := len(merged); n > 0 && s.from < merged[n-1].to {
			merged[n-1].to = max(merged[n-1].to, s.to)
			continue
		}
		merged = append(merged, s)
	}
	return merged
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
	return hideSpans(text, r.spans(text), 0, len(text))
}
