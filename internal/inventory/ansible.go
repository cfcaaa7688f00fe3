package inventory

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

// ParseAnsible reads an inventory of Ansible in its INI form: hosts with ranges and variables,
// [group], [group:children] and [group:vars]. file is what messages call it. An error begins with the file and its line.
func ParseAnsible(file, text string) (*Imported, error) {
	im := &Imported{Ansible: true}
	if err := im.readINI(file, text); err != nil {
		return nil, err
	}
	im.finish()
	return im, nil
}

func (im *Imported) readINI(file, text string) error {
	group, kind := "ungrouped", "hosts"
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(strings.TrimSuffix(line, "\r"))
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		var err error
		if line[0] == '[' && !isAddress(line) {
			group, kind, err = ansibleSection(line)
			if err == nil && group != "all" && group != "ungrouped" {
				im.group(group)
			}
		} else {
			err = im.iniLine(group, kind, line, Origin{File: file, Line: i + 1})
		}
		if err != nil {
			return fmt.Errorf("%s, line %d: %w", file, i+1, err)
		}
	}
	return nil
}

// isAddress tells an IPv6 address in brackets from a section.
func isAddress(line string) bool {
	inner, _, _ := strings.Cut(line[1:], "]")
	_, err := netip.ParseAddr(inner)
	return err == nil
}

func ansibleSection(line string) (group, kind string, err error) {
	name, rest, closed := strings.Cut(line[1:], "]")
	if rest = strings.TrimSpace(rest); !closed || rest != "" && rest[0] != '#' && rest[0] != ';' {
		return "", "", fmt.Errorf("%q is no section: write [group], [group:children] or [group:vars]", line)
	}
	group, kind, ok := strings.Cut(strings.TrimSpace(name), ":")
	if !ok {
		kind = "hosts"
	}
	if kind != "hosts" && kind != "children" && kind != "vars" {
		return "", "", fmt.Errorf("%q is no kind of section: hosts, children and vars are", kind)
	}
	if group != "all" {
		err = ValidName(group)
	}
	return group, kind, err
}

func (im *Imported) iniLine(group, kind, line string, at Origin) error {
	switch kind {
	case "children":
		child, _, _ := strings.Cut(line, "#")
		child = strings.TrimSpace(child)
		if err := ValidName(child); err != nil {
			return err
		}
		im.child(group, child)
		return nil
	case "vars":
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			return fmt.Errorf("%q is no variable: write NAME=VALUE", line)
		}
		at.Group = group
		im.set(im.group(group).Vars, strings.TrimSpace(name), ansibleValue(unquote(strings.TrimSpace(value))), &at)
		return nil
	}
	words, err := ansibleWords(line)
	if err != nil {
		return err
	}
	names, port, err := ansibleNames(words[0])
	if err != nil {
		return err
	}
	for _, name := range names {
		vars := im.ansibleHost(group, name, port, &at)
		for _, word := range words[1:] {
			key, value, ok := strings.Cut(word, "=")
			if !ok {
				return fmt.Errorf("%q is no variable: write NAME=VALUE", word)
			}
			im.set(vars, key, ansibleValue(value), &at)
		}
	}
	return nil
}

// ansibleHost adds a host to a group and returns its variables.
func (im *Imported) ansibleHost(group, name string, port int64, at *Origin) Vars {
	im.host(name)
	im.member(group, name)
	vars := im.Vars[name]
	if port != 0 {
		im.set(vars, "ansible_port", cty.NumberIntVal(port), at)
	}
	return vars
}

// ansibleNames returns the hosts that a word stands for, "web[01:20]:2222", and their port, 0 if it has none.
func ansibleNames(word string) ([]string, int64, error) {
	port := int64(0)
	if colon := strings.LastIndexByte(word, ':'); colon > strings.LastIndexByte(word, ']') && isNumber(word[colon+1:]) && !strings.Contains(outsideBrackets(word[:colon]), ":") {
		n, err := strconv.ParseUint(word[colon+1:], 10, 16)
		if err != nil || n == 0 {
			return nil, 0, fmt.Errorf("%q is no port", word[colon+1:])
		}
		word, port = word[:colon], int64(n)
	}
	if strings.HasPrefix(word, "[") && strings.HasSuffix(word, "]") && isAddress(word) {
		word = word[1 : len(word)-1]
	}
	names, err := Expand(word)
	if err != nil {
		return nil, 0, err
	}
	for _, name := range names {
		if err := ValidName(name); err != nil {
			return nil, 0, err
		}
	}
	return names, port, nil
}

func outsideBrackets(s string) string {
	open, end := strings.IndexByte(s, '['), strings.LastIndexByte(s, ']')
	if open < 0 || end < open {
		return s
	}
	return s[:open] + s[end+1:]
}

// ansibleWords splits a line at blanks outside quotes, and drops a comment. Backslashes count as in Python's shlex.
func ansibleWords(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	quote, begun, escaped := rune(0), false, false
	for _, c := range line {
		switch {
		case escaped:
			if quote != 0 && c != quote && c != '\\' {
				word.WriteByte('\\')
			}
			word.WriteRune(c)
			escaped = false
		case c == '\\' && quote != '\'':
			escaped, begun = true, true
		case quote != 0:
			if c == quote {
				quote = 0
			} else {
				word.WriteRune(c)
			}
		case c == '"' || c == '\'':
			quote, begun = c, true
		case c == ' ' || c == '\t':
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		case c == '#' && !begun:
			return words, nil
		default:
			word.WriteRune(c)
			begun = true
		}
	}
	if quote != 0 || escaped {
		return nil, fmt.Errorf("a quote is not closed")
	}
	if begun {
		words = append(words, word.String())
	}
	return words, nil
}

func unquote(s string) string {
	if len(s) > 1 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	return s
}

// ansibleValue gives numbers, bools, lists and maps their type, as Ansible does with literals of Python.
func ansibleValue(s string) cty.Value {
	switch s {
	case "True", "true":
		return cty.True
	case "False", "false":
		return cty.False
	case "None":
		return cty.NullVal(cty.DynamicPseudoType)
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && strconv.FormatInt(n, 10) == s {
		return cty.NumberIntVal(n)
	}
	if len(s) > 1 && !isTemplate(s) && (s[0] == '[' && s[len(s)-1] == ']' || s[0] == '{' && s[len(s)-1] == '}') {
		if v, err := yamlLiteral(s); err == nil {
			return v
		}
	}
	return cty.StringVal(s)
}
