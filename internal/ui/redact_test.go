package ui

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"provision/internal/engine"
	"provision/internal/steps"
)

// A record is a Sink that remembers.
type record struct{ events []engine.Event }

func (r *record) Event(e engine.Event) { r.events = append(r.events, e) }

// outputOf joins what was passed on of one stream.
func (r *record) outputOf(host, addr, stream string) string {
	var b strings.Builder
	for _, e := range r.events {
		if o := e.StepOutput; o != nil && e.Host == host && o.Addr == addr && o.Stream == stream {
			b.WriteString(o.Text)
		}
	}
	return b.String()
}

func printed(host, addr, stream, text string) engine.Event {
	return event(host, engine.StepOutput{Addr: addr, Stream: stream, Text: text})
}

// secretText draws secrets without the characters of the mark, which could otherwise make a
// secret of the mark itself.
var secretText = rapid.StringOfN(rapid.SampledFrom([]rune("ABCabcXY01 \n\"'\\%$é日")), 4, 24, -1).
	Filter(func(s string) bool { return len(strings.TrimSpace(s)) >= minSecret })

// Random secrets in random places of random output, cut anywhere, never come out; everything
// else does.
func TestRedactorAcrossChunks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secrets := rapid.SliceOfN(secretText, 1, 4).Draw(t, "secrets")
		next := &record{}
		r := NewRedactor(next, secrets...)
		var text strings.Builder
		for range rapid.IntRange(1, 6).Draw(t, "parts") {
			text.WriteString(rapid.StringOfN(rapid.SampledFrom([]rune("ABCabcXY01 \néz")), 0, 12, -1).Draw(t, "noise"))
			s := rapid.SampledFrom(secrets).Draw(t, "secret")
			switch rapid.IntRange(0, 4).Draw(t, "form") {
			case 0:
				text.WriteString(s)
			case 1:
				text.WriteString(base64.StdEncoding.EncodeToString([]byte(s)))
			case 2:
				text.WriteString(url.QueryEscape(s))
			case 3:
				data, _ := json.Marshal(s)
				text.Write(data)
			case 4:
				text.WriteString("'" + strings.ReplaceAll(s, "'", `'\''`) + "'")
			}
		}
		whole := text.String()
		for rest := whole; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "chunk")
			r.Event(printed("web1", "step.a.b", engine.StreamStdout, rest[:n]))
			rest = rest[n:]
		}
		r.Event(event("web1", engine.StepEnd{Addr: "step.a.b", Status: engine.StepChanged}))
		got := next.outputOf("web1", "step.a.b", engine.StreamStdout)
		for _, s := range secrets {
			for _, form := range append(secretForms(s), s) {
				if strings.Contains(got, form) {
					t.Fatalf("secret %q came out as %q\n in: %q\nout: %q", s, form, whole, got)
				}
			}
		}
		if want := r.hide(whole); got != want {
			t.Fatalf("in chunks: %q\nat once:   %q", got, want)
		}
		for _, e := range next.events {
			if o := e.StepOutput; o != nil && !utf8.ValidString(o.Text) {
				t.Fatalf("a character was cut in two: %q", o.Text)
			}
		}
		if last := next.events[len(next.events)-1]; last.StepEnd == nil {
			t.Fatalf("output came after the end of its step: %+v", last)
		}
	})
}

// Every text of every payload is covered: a field that redactEvent forgets shows here.
func TestRedactorCoversEveryField(t *testing.T) {
	const secret = "hunter2-SECRET"
	next := &record{}
	r := NewRedactor(next, secret)
	for _, e := range sampleStream(secret) {
		r.Event(e)
	}
	if len(next.events) == 0 {
		t.Fatal("no events")
	}
	for _, e := range next.events {
		if data := string(eventLine(e)); strings.Contains(data, secret) {
			t.Errorf("the secret is in %s", data)
		}
	}
}

func TestRedactorHoldsBackLittle(t *testing.T) {
	next := &record{}
	r := NewRedactor(next, "pass-phrase")
	r.Event(printed("web1", "s", "stdout", "compiling…\n"))
	if got := next.outputOf("web1", "s", "stdout"); got != "compiling…\n" {
		t.Errorf("output that cannot begin a secret is held back: %q came", got)
	}
	r.Event(printed("web1", "s", "stdout", "pass"))
	r.Event(printed("web2", "s", "stdout", "-phrase\n"))
	r.Event(printed("web1", "s", "stderr", "-phrase\n"))
	r.Event(printed("web1", "s", "stdout", "ed out\n"))
	if got := next.outputOf("web1", "s", "stdout"); got != "compiling…\npassed out\n" {
		t.Errorf("web1 stdout: %q", got)
	}
	if got := next.outputOf("web2", "s", "stdout") + next.outputOf("web1", "s", "stderr"); got != "-phrase\n-phrase\n" {
		t.Errorf("streams were mixed: %q", got)
	}
	// What is held when the run ends is not lost.
	r.Event(printed("web1", "s", "stdout", "pas"))
	r.Event(event("", engine.RunEnd{}))
	if got := next.outputOf("web1", "s", "stdout"); !strings.HasSuffix(got, "pas") {
		t.Errorf("held output was lost: %q", got)
	}
}

func TestRedactorForms(t *testing.T) {
	const secret = `p"a'ss\wö rd&1`
	key := "-----BEGIN KEY-----\nMIIabcdefghijkl\nshort\nmnopqrstuvwxyz0\n-----END KEY-----\n"
	basic := base64.StdEncoding.EncodeToString([]byte("admin:" + secret))
	r := NewRedactor(&record{}, secret, key, "abc", "  padded-secret \n")
	data, _ := json.Marshal(secret)
	for name, text := range map[string]string{
		"plain":         secret,
		"json":          string(data),
		"url":           url.QueryEscape(secret),
		"path":          url.PathEscape(secret),
		"shell":         `'p"a'\''ss\wö rd&1'`,
		"shell, quotes": `'p"a'"'"'ss\wö rd&1'`,
		"hex":           fmt.Sprintf("%x", secret),
		"base64":        base64.RawURLEncoding.EncodeToString([]byte(secret)),
		"line of a key": "key: MIIabcdefghijkl",
		"trimmed":       "padded-secret",
		"basic auth":    basic,
	} {
		if got := r.hide(text); !strings.Contains(got, Redacted) {
			t.Errorf("%s: %q is not hidden", name, got)
		}
	}
	// Too short to be looked for, as documented.
	if got := r.hide("abc"); got != "abc" {
		t.Errorf("a secret of three characters: %q", got)
	}
}

// The events that others hold are not changed.
func TestRedactorCopies(t *testing.T) {
	e := event("web1", engine.PlanStep{Addr: "a", Diff: []steps.Attr{{Name: "n", After: "topsecret"}}})
	NewRedactor(&record{}, "topsecret").Event(e)
	if e.PlanStep.Diff[0].After != "topsecret" {
		t.Error("the original event was changed")
	}
}
