package redact

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// secretForms lists the shapes in which a secret may turn up.
func secretForms(secret string, shapes []func(string) string) []string {
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
		if len(v) < Shortest {
			continue
		}
		quoted, err := json.Marshal(v)
		if err != nil {
			panic(err) // a string
		}
		plainJSON := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`, "\r", `\r`).Replace(v)
		forms = append(
			forms, v, strings.ReplaceAll(v, "\n", "\r\n"),
			inner(string(quoted)), plainJSON,
			url.QueryEscape(v), url.PathEscape(v),
			// Inside single quotes, as shells, set -x and shellescape write them.
			strings.ReplaceAll(v, "'", `'\''`), strings.ReplaceAll(v, "'", `'"'"'`),
			hex.EncodeToString([]byte(v)), inner(strconv.Quote(v)),
		)
		for _, shape := range shapes {
			forms = append(forms, shape(v))
		}
		forms = append(forms, base64Forms(v)...)
		forms = append(forms, wrapped(hex.EncodeToString([]byte(v)), 60)...) // xxd -p
	}
	kept := forms[:0]
	for _, f := range forms {
		if len(f) >= Shortest {
			kept = append(kept, f)
		}
	}
	return kept
}

// inner is a quoted text without its quotes.
func inner(quoted string) string { return quoted[1 : len(quoted)-1] }

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
			if offset == 0 { // alone, as base64(1) and openssl-base64(1) break it into lines
				forms = append(forms, wrapped(text[:to], 76, 64)...)
			}
		}
	}
	return forms
}

// wrapped returns a text in lines of so many characters, if it takes more than one.
func wrapped(text string, widths ...int) []string {
	var forms []string
	for _, width := range widths {
		if len(text) <= width {
			continue
		}
		var lines []string
		for rest := text; rest != ""; rest = rest[min(width, len(rest)):] {
			lines = append(lines, rest[:min(width, len(rest))])
		}
		forms = append(forms, strings.Join(lines, "\n"), strings.Join(lines, "\r\n"))
	}
	return forms
}

// A formSet finds the forms of secrets in a text, in a time that hardly depends on how many
// there are: a plan of a fleet has a hundred thousand texts.
type formSet struct {
	byStart map[uint16][]string // by the first two bytes, longest first
	starts  []uint64            // the keys of byStart as bits
	first   [256]bool           // first bytes
	longest int
}

func newFormSet() formSet {
	return formSet{byStart: map[uint16][]string{}, starts: make([]uint64, 1<<16/64)}
}

// add takes a form of at least Shortest bytes in, and tells whether it is new.
func (f *formSet) add(form string) bool {
	key := startKey(form)
	if slices.Contains(f.byStart[key], form) {
		return false
	}
	f.byStart[key] = append(f.byStart[key], form)
	slices.SortStableFunc(f.byStart[key], func(a, b string) int { return len(b) - len(a) })
	f.starts[key/64] |= 1 << (key % 64)
	f.first[form[0]] = true
	f.longest = max(f.longest, len(form))
	return true
}

func startKey(text string) uint16 { return uint16(text[0])<<8 | uint16(text[1]) }

// candidates returns the forms that begin like text, which has two bytes or more.
func (f *formSet) candidates(text string) []string {
	key := startKey(text)
	if f.starts[key/64]&(1<<(key%64)) == 0 {
		return nil
	}
	return f.byStart[key]
}

type span struct{ from, to int }

// spans returns where secrets are, in order, those that overlap as one.
func (f *formSet) spans(text string) []span {
	if f.longest == 0 {
		return nil
	}
	var found []span
	for i := 0; i+Shortest <= len(text); i++ {
		for _, form := range f.candidates(text[i:]) {
			if !strings.HasPrefix(text[i:], form) {
				continue
			}
			if n := len(found); n > 0 && i < found[n-1].to {
				found[n-1].to = max(found[n-1].to, i+len(form))
			} else {
				found = append(found, span{i, i + len(form)})
			}
			break // shorter ones end before
		}
	}
	return found
}

// openAt returns where the first secret may begin that the text does not hold in full.
func (f *formSet) openAt(text string) int {
	for i := max(0, len(text)-f.longest+1); i < len(text); i++ {
		rest := text[i:]
		if len(rest) == 1 {
			if f.first[rest[0]] {
				return i
			}
			break
		}
		for _, form := range f.candidates(rest) {
			if len(form) > len(rest) && strings.HasPrefix(form, rest) {
				return i
			}
		}
	}
	return len(text)
}
