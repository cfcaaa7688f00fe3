package ui

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain text\n\tstays":              "plain text\n\tstays",
		"Grüße 日本語 👩‍👩‍👧 → ✓":              "Grüße 日本語 👩‍👩‍👧 → ✓",
		"\x1b[31mred\x1b[0m":               `\x1b[31mred\x1b[0m`,
		"\x1b]0;title\x07":                 `\x1b]0;title\x07`,
		"over\rwritten\b":                  `over\x0dwritten\x08`,
		"\u009b31m":                        `\u009b31m`,
		"\x9b31m":                          `\x9b31m`, // C1 as a single byte
		"user\u202etxt.exe\u2069":          `user\u202etxt.exe\u2069`,
		"\u2028line\ufeff\u200b\U000e0041": `\u2028line\ufeff\u200b\U000e0041`,
		"del\x7f nul\x00":                  `del\x7f nul\x00`,
		"cut \xe2\x82":                     `cut \xe2\x82`,
	} {
		if got := Clean(in); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
	if got, want := Line("a\tb\nc\n"), `a b\nc`; got != want {
		t.Errorf("Line = %q, want %q", got, want)
	}
}

// FuzzClean: what comes out is valid, holds no control, and is left alone the second time.
func FuzzClean(f *testing.F) {
	for _, seed := range []string{"", "a\x1b[2J", "\xff\xfe", "\u202e", "日本\u0085", strings.Repeat("\x9b", 9)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		out := Clean(in)
		if !utf8.ValidString(out) {
			t.Fatalf("invalid UTF-8: %q", out)
		}
		for _, r := range out {
			if r < 0x20 && r != '\n' && r != '\t' || r >= 0x7f && r <= 0x9f {
				t.Fatalf("control %U in %q", r, out)
			}
			switch {
			case r == 0x061c, r == 0x200e, r == 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
				t.Fatalf("bidi control %U in %q", r, out)
			}
		}
		if again := Clean(out); again != out {
			t.Fatalf("not stable: %q, then %q", out, again)
		}
		if line := Line(in); strings.ContainsAny(line, "\n\t") {
			t.Fatalf("more than a line: %q", line)
		}
	})
}

func TestCutFitsTheWidth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := Line(rapid.String().Draw(t, "text"))
		columns := rapid.IntRange(0, 30).Draw(t, "columns")
		got := cut(text, columns, "…")
		if width(got) > columns {
			t.Fatalf("cut(%q, %d) = %q, %d columns", text, columns, got, width(got))
		}
		if width(text) <= columns && got != text {
			t.Fatalf("cut(%q, %d) = %q, though it fits", text, columns, got)
		}
	})
	if got, want := cut("日本語", 5, "…"), "日本…"; got != want {
		t.Errorf("wide characters: %q, want %q", got, want)
	}
}

func TestHostList(t *testing.T) {
	for _, c := range []struct {
		hosts []string
		max   int
		want  string
	}{
		{[]string{"web1"}, 0, "web1"},
		{[]string{"web10", "web9", "web8", "db"}, 0, "db, web8 … web10"},
		{[]string{"web01", "web02", "web03", "web05"}, 0, "web01 … web03, web05"},
		{[]string{"web1", "web02", "web3"}, 0, "web1, web02, web3"}, // written differently: no range
		{[]string{"a.example", "b.example", "c.example", "d.example"}, 3, "a.example, b.example, 2 more"},
		{[]string{"n1.x", "n2.x", "n3.x", "n7.x"}, 0, "n1.x … n3.x, n7.x"},
	} {
		if got := unicodeStyle.hostList(c.hosts, c.max); got != c.want {
			t.Errorf("hostList(%v, %d) = %q, want %q", c.hosts, c.max, got, c.want)
		}
	}
}
