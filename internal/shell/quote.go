// Package shell builds the text that provision sends to /bin/sh on a host.
//
// Everything that is not a constant passes through Quote, Words or Printf, so that no value
// is ever evaluated by accident. The text must mean the same in dash, bash, bash --posix and
// busybox ash: POSIX sh, no local variables, no arrays.
package shell

import (
	"fmt"
	"strings"

	"al.essio.dev/pkg/shellescape"
	"mvdan.cc/sh/v3/syntax"
)

// Quote returns s as one word of sh. The result is safe in every position where sh takes a
// word. s must not hold a NUL byte: no argument of any process can (execve(2)).
func Quote(s string) string {
	if strings.IndexByte(s, 0) >= 0 {
		panic("shell: NUL byte in a word; validate input before quoting it")
	}
	return shellescape.Quote(s)
}

// Words quotes every argument and joins them with spaces.
func Words(args ...string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		quoted[i] = Quote(a)
	}
	return strings.Join(quoted, " ")
}

// Printf returns a sh command that writes exactly the bytes b to standard output, with the
// shell's own printf: no process is started and nothing shows in a process list. Bytes that
// are not printable ASCII travel as octal escapes, so binary content passes too.
func Printf(b []byte) string {
	const perCommand = 16 << 10 // bytes of content; keeps single lines digestible for every sh
	if len(b) == 0 {
		return ":"
	}
	var out strings.Builder
	for len(b) > 0 {
		n := min(len(b), perCommand)
		if out.Len() > 0 {
			out.WriteString("\n")
		}
		out.WriteString("printf '")
		for i, c := range b[:n] {
			if i == 0 && c == '-' {
				// dash takes a format that begins with "-" for an option.
				out.WriteString(`\055`)
				continue
			}
			writePrintfByte(&out, c)
		}
		out.WriteString("'")
		b = b[n:]
	}
	return out.String()
}

func writePrintfByte(out *strings.Builder, c byte) {
	switch {
	case c == '\n':
		out.WriteString(`\n`)
	case c == '\\':
		out.WriteString(`\\`)
	case c == '%':
		out.WriteString(`%%`)
	case c == '\'':
		out.WriteString(`'\''`)
	case c == '\t' || c >= 0x20 && c < 0x7f:
		out.WriteByte(c)
	default:
		fmt.Fprintf(out, `\%03o`, c)
	}
}

// A SyntaxError says where a piece of shell text does not parse. Line and Column count from 1.
type SyntaxError struct {
	Line, Column int
	Text         string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Text)
}

// Check parses src as POSIX sh and returns a *SyntaxError if a shell could not. With bash set
// it accepts bash's grammar.
func Check(src string, bash bool) error {
	variant := syntax.LangPOSIX
	if bash {
		variant = syntax.LangBash
	}
	_, err := syntax.NewParser(syntax.Variant(variant)).Parse(strings.NewReader(src), "")
	if err == nil {
		return nil
	}
	switch e := err.(type) {
	case syntax.ParseError:
		return &SyntaxError{Line: int(e.Pos.Line()), Column: int(e.Pos.Col()), Text: e.Text}
	case syntax.LangError:
		return &SyntaxError{Line: int(e.Pos.Line()), Column: int(e.Pos.Col()), Text: e.Feature + " is not part of POSIX sh"}
	}
	return &SyntaxError{Line: 1, Column: 1, Text: err.Error()}
}
