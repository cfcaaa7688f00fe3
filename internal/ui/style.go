package ui

import (
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"provision/internal/steps"
)

// A Style says what the text on a screen may look like.
type Style struct {
	Color      bool
	Unicode    bool // the locale is UTF-8: symbols such as ✓ and → may be used
	Accessible bool // words beside symbols, nothing redrawn
	Width      int  // columns; 0 is as wide as it takes
}

// A Terminal is where text goes, and what is known of it. Its zero value with Out set is a pipe.
type Terminal struct {
	Out   io.Writer
	Style Style
	Live  bool                       // the bottom of the screen can be redrawn
	Size  func() (width, height int) // asked for each frame, so that a resize is seen; nil if not Live
}

// NewTerminal looks at a file and at the environment (os.Getenv): colours where it is a
// terminal and NO_COLOR, TERM=dumb and noColor do not forbid them; symbols beyond ASCII where
// LC_ALL, LC_CTYPE or LANG, the first that is set, says UTF-8; no redrawing with ACCESSIBLE.
func NewTerminal(f *os.File, noColor bool, env func(string) string) Terminal {
	t := Terminal{Out: f}
	t.Style.Unicode = utf8Locale(env)
	t.Style.Accessible = env("ACCESSIBLE") != "" && env("ACCESSIBLE") != "0"
	fd := int(f.Fd())
	if !term.IsTerminal(fd) {
		return t
	}
	dumb := env("TERM") == "dumb"
	t.Style.Color = !noColor && env("NO_COLOR") == "" && !dumb
	t.Live = !dumb && !t.Style.Accessible
	t.Size = func() (int, int) {
		w, h, err := term.GetSize(fd)
		if err != nil || w <= 0 || h <= 0 {
			return 80, 24 // serial consoles say 0 by 0
		}
		return w, h
	}
	t.Style.Width, _ = t.Size()
	return t
}

func utf8Locale(env func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToLower(env(name)); v != "" {
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return false
}

// A tone is what a colour stands for.
type tone int

const (
	plain tone = iota
	good
	changed
	bad
	running
	unsure
	faint
	strong
)

var sgr = [...]string{good: "32", changed: "33", bad: "31", running: "34", unsure: "36", faint: "2", strong: "1"}

// paint colours cleaned text.
func (s Style) paint(t tone, text string) string {
	if !s.Color || t == plain || text == "" {
		return text
	}
	return "\x1b[" + sgr[t] + "m" + text + "\x1b[0m"
}

// pick returns the symbol, or what stands for it in ASCII.
func (s Style) pick(symbol, ascii string) string {
	if s.Unicode {
		return symbol
	}
	return ascii
}

func (s Style) dots() string { return s.pick("…", "...") }
func (s Style) rail() string { return s.pick("│", "|") }

// arrow stands between what was and what will be.
func (s Style) arrow() string {
	if s.Accessible {
		return "becomes"
	}
	return s.pick("→", "->")
}

// sign returns the symbol of an action, and its tone.
func (s Style) sign(a steps.Action) (string, tone) {
	switch a {
	case steps.Create:
		return "+", good
	case steps.Update:
		return "~", changed
	case steps.Delete:
		return "-", bad
	case steps.Execute:
		return s.pick("▶", "!"), running
	case steps.Unknown:
		return "?", unsure
	}
	return s.pick("·", "."), faint
}

func (s Style) tick() string  { return s.pick("✓", "ok") }
func (s Style) cross() string { return s.pick("✗", "x") }
