package kinds

import (
	"fmt"
	"strings"
)

// A unitText is what a unit file says, systemd.syntax(7).
type unitText struct {
	sections map[string]bool
	values   map[string][]string // by "SECTION KEY"; an empty value takes back those before it
}

// readUnit reads the text of a unit file, or says what is wrong with its form.
func readUnit(text string) (u unitText, wrong string) {
	u = unitText{sections: map[string]bool{}, values: map[string][]string{}}
	if strings.ContainsRune(text, 0) {
		return u, "it holds a NUL byte"
	}
	section, joined, begun := "", "", 0
	lines := strings.Split(strings.TrimPrefix(text, "\ufeff"), "\n")
	for i, line := range lines {
		line = strings.Trim(line, " \t\r")
		if joined == "" && line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue
		}
		if joined == "" {
			begun = i + 1
		}
		if before, more := strings.CutSuffix(line, `\`); more {
			joined += before + " "
			continue
		}
		line, joined = joined+line, ""
		if strings.HasPrefix(line, "[") {
			if !strings.HasSuffix(line, "]") || len(line) == 2 {
				return u, fmt.Sprintf("line %d, %q, is no section; write [NAME]", begun, line)
			}
			section = line[1 : len(line)-1]
			u.sections[section] = true
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		switch {
		case !ok || key == "":
			return u, fmt.Sprintf("line %d, %q, is no KEY=VALUE", begun, line)
		case section == "":
			return u, fmt.Sprintf("line %d, %q, stands before any section such as [Unit]", begun, line)
		case value == "":
			delete(u.values, section+" "+key)
		default:
			u.values[section+" "+key] = append(u.values[section+" "+key], value)
		}
	}
	if len(u.sections) == 0 {
		return u, "it has no section such as [Unit]"
	}
	return u, ""
}

// last is the value of a key that takes one.
func (u unitText) last(section, key string) string {
	values := u.values[section+" "+key]
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

// words are the words of a key that takes a list.
func (u unitText) words(section, key string) []string {
	return strings.Fields(strings.Join(u.values[section+" "+key], " "))
}
