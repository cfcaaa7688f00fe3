package sshconfig

import (
	"errors"
	"strings"
)

const blanks = " \t\r\n"

// cutKeyword takes the keyword off a line. It ends at a blank, at one "=" with blanks around, or may stand in double quotes.
func cutKeyword(s string) (keyword, rest string, ok bool) {
	s = strings.TrimLeft(s, blanks)
	if s == "" || s[0] == '#' {
		return "", "", false
	}
	if s[0] == '"' {
		keyword, rest, ok = strings.Cut(s[1:], `"`)
		return keyword, afterEquals(rest), ok && keyword != ""
	}
	i := strings.IndexAny(s, blanks+`"=`)
	if i < 0 {
		return s, "", true
	}
	return s[:i], afterEquals(s[i:]), i > 0
}

// afterEquals takes blanks off the beginning of a text, and one "=" among them.
func afterEquals(s string) string {
	s = strings.TrimLeft(s, blanks)
	if rest, yes := strings.CutPrefix(s, "="); yes {
		return strings.TrimLeft(rest, blanks)
	}
	return s
}

// splitWords is SplitCommand, but that a # at the beginning of a word begins a comment.
func splitWords(s string) ([]string, error) { return split(s, true) }

// SplitCommand splits at blanks. Words may be quoted with ' or ", in part too; a backslash protects a quote, a backslash, and
// outside of quotes a blank.
func SplitCommand(s string) ([]string, error) { return split(s, false) }

func split(s string, comments bool) ([]string, error) {
	var words []string
	for i := 0; i < len(s); {
		if s[i] == ' ' || s[i] == '\t' {
			i++
			continue
		}
		if s[i] == '#' && comments {
			break
		}
		var word strings.Builder
		quote := byte(0)
		for ; i < len(s); i++ {
			c := s[i]
			if c == '\\' && i+1 < len(s) && (strings.IndexByte(`'"\`, s[i+1]) >= 0 || quote == 0 && s[i+1] == ' ') {
				i++
				word.WriteByte(s[i])
				continue
			}
			if quote == 0 && (c == ' ' || c == '\t') {
				break
			}
			switch {
			case quote == 0 && (c == '"' || c == '\''):
				quote = c
			case quote != 0 && c == quote:
				quote = 0
			default:
				word.WriteByte(c)
			}
		}
		if quote != 0 {
			return nil, errors.New("a quote is not closed")
		}
		words = append(words, word.String())
	}
	return words, nil
}

// MatchPattern reports whether s matches a pattern, byte by byte: "*" is any number of them and "?" is one. It comes back to the
// last "*" only, so that its time is bounded by the product of the lengths.
func MatchPattern(s, pattern string) bool {
	star, mark := -1, 0
	i, j := 0, 0
	for i < len(s) {
		switch {
		case j < len(pattern) && pattern[j] == '*':
			star, mark = j, i
			j++
		case j < len(pattern) && (pattern[j] == '?' || pattern[j] == s[i]):
			i++
			j++
		case star >= 0:
			mark++
			i, j = mark, star+1
		default:
			return false
		}
	}
	for j < len(pattern) && pattern[j] == '*' {
		j++
	}
	return j == len(pattern)
}

// longestPattern is from where on ssh takes a list with such a pattern for one that matches nothing (match.c).
const longestPattern = 1023

// MatchList is match_pattern_list of OpenSSH: it compares s with patterns that have commas between, in lower case if lower is set.
// One must match, and none that begins with "!".
func MatchList(s, list string, lower bool) bool {
	matched := false
	for len(list) > 0 {
		var pattern string
		pattern, list, _ = strings.Cut(list, ",")
		pattern, negated := strings.CutPrefix(pattern, "!")
		if len(pattern) >= longestPattern {
			return false
		}
		if lower {
			pattern = strings.ToLower(pattern)
		}
		if !MatchPattern(s, pattern) {
			continue
		}
		if negated {
			return false
		}
		matched = true
	}
	return matched
}
