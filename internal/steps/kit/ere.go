package kit

import (
	"fmt"
	"regexp/syntax"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ERE translates a regular expression of Go's syntax into a POSIX extended one that grep -E
// of GNU and of busybox finds in the same lines, under LC_ALL=C. What has no counterpart there
// (word boundaries, ranges beyond ASCII) is an error. There a dot is a byte, so that counted
// dots over text beyond ASCII differ.
func ERE(expr string) (string, error) {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	if err := writeERE(&b, re.Simplify()); err != nil {
		return "", err
	}
	return b.String(), nil
}

func writeERE(b *strings.Builder, re *syntax.Regexp) error {
	switch re.Op {
	case syntax.OpEmptyMatch:
		b.WriteString("()")
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			folded := []rune{r}
			if re.Flags&syntax.FoldCase != 0 {
				for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
					folded = append(folded, other)
				}
			}
			if err := writeRunes(b, folded); err != nil {
				return err
			}
		}
	case syntax.OpCharClass:
		return writeClass(b, re)
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteString(".")
	case syntax.OpBeginLine, syntax.OpBeginText:
		b.WriteString("^")
	case syntax.OpEndLine, syntax.OpEndText:
		b.WriteString("$")
	case syntax.OpCapture:
		return writeGroup(b, re.Sub[0])
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			if err := writeGroup(b, sub); err != nil {
				return err
			}
		}
	case syntax.OpAlternate:
		for i, sub := range re.Sub {
			if i > 0 {
				b.WriteString("|")
			}
			if err := writeGroup(b, sub); err != nil {
				return err
			}
		}
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest:
		if err := writeGroup(b, re.Sub[0]); err != nil {
			return err
		}
		b.WriteString(map[syntax.Op]string{syntax.OpStar: "*", syntax.OpPlus: "+", syntax.OpQuest: "?"}[re.Op])
	default:
		return fmt.Errorf("%s has no counterpart in grep on the host; write it without", re)
	}
	return nil
}

// writeGroup puts parentheses around what an operator would tear apart.
func writeGroup(b *strings.Builder, re *syntax.Regexp) error {
	switch re.Op {
	case syntax.OpBeginLine, syntax.OpBeginText, syntax.OpEndLine, syntax.OpEndText, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return writeERE(b, re)
	}
	b.WriteString("(")
	err := writeERE(b, re)
	b.WriteString(")")
	return err
}

// writeRunes writes one of several characters.
func writeRunes(b *strings.Builder, runes []rune) error {
	if len(runes) > 1 {
		b.WriteString("(")
		defer b.WriteString(")")
	}
	for i, r := range runes {
		if i > 0 {
			b.WriteString("|")
		}
		if r == 0 || r == '\n' {
			return fmt.Errorf("%q is never in a line", r)
		}
		if strings.ContainsRune(`\.[](){}*+?|^$`, r) {
			b.WriteString(`\`)
		}
		b.WriteRune(r)
	}
	return nil
}

// writeClass writes a class of characters. Its ranges come in order.
func writeClass(b *strings.Builder, re *syntax.Regexp) error {
	var ascii [utf8.RuneSelf]bool
	var beyond []rune
	all := false
	for i := 0; i+1 < len(re.Rune); i += 2 {
		low, high := re.Rune[i], re.Rune[i+1]
		for r := low; r <= high && r < utf8.RuneSelf; r++ {
			ascii[r] = true
		}
		switch {
		case high < utf8.RuneSelf:
		case low <= utf8.RuneSelf && high == unicode.MaxRune:
			all = true
		case high-max(low, utf8.RuneSelf) > 16:
			return fmt.Errorf("the class %s has a range beyond ASCII, which grep on the host does not know; write it without", re)
		default:
			for r := max(low, utf8.RuneSelf); r <= high; r++ {
				beyond = append(beyond, r)
			}
		}
	}
	if all {
		// Everything but some of ASCII.
		for r := range ascii {
			ascii[r] = !ascii[r]
		}
	}
	bracket := bracketOf(ascii, all)
	if len(beyond) == 0 {
		b.WriteString(bracket)
		return nil
	}
	if bracket != "" {
		b.WriteString("(" + bracket + "|")
		defer b.WriteString(")")
	}
	return writeRunes(b, beyond)
}

// bracketOf is a bracket expression; "" for an empty one. What has a meaning there stands where it has none:
// "]" first, "[" and "-" last, "^" not first.
func bracketOf(in [utf8.RuneSelf]bool, not bool) string {
	in[0], in['\n'] = false, false
	var plain, last string
	for r := range rune(utf8.RuneSelf) {
		switch {
		case !in[r]:
		case r == ']' || r == '[' || r == '^' || r == '-':
		default:
			plain += string(r)
		}
	}
	if in[']'] {
		plain = "]" + plain
	}
	for _, r := range "[^-" {
		if in[r] {
			last += string(r)
		}
	}
	switch {
	case plain+last == "" && not:
		return "."
	case plain+last == "":
		return ""
	case not:
		return "[^" + plain + last + "]"
	case plain == "" && strings.HasPrefix(last, "^"):
		if last == "^" {
			return `\^`
		}
		return "[-^]"
	}
	return "[" + plain + last + "]"
}
