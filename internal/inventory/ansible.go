package inventory

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/steps"
)

// ParseAnsible reads an inventory of Ansible in its INI form: hosts with ranges and variables,
// [group], [group:children] and [group:vars]. The variables that say how to connect
// (ansible_host, ansible_port, ansible_user, ansible_password, ansible_ssh_private_key_file,
// ansible_become, ansible_become_method, ansible_become_password) become the address and settings,
// in host lines and in the variables of groups; those that concern Ansible alone (ansible_connection,
// ansible_python_interpreter and other ansible_…) are left out. An error begins with its line.
func ParseAnsible(text string) (*Imported, error) {
	im := &Imported{}
	group, kind := "ungrouped", "hosts"
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(strings.TrimSuffix(line, "\r"))
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		var err error
		if line[0] == '[' {
			group, kind, err = ansibleSection(line)
			if err == nil && group != "all" && group != "ungrouped" {
				im.group(group)
			}
		} else {
			err = im.ansibleLine(group, kind, line)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	return im, nil
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

func (im *Imported) ansibleLine(group, kind, line string) error {
	switch kind {
	case "children":
		child, _, _ := strings.Cut(line, "#")
		child = strings.TrimSpace(child)
		if err := ValidName(child); err != nil {
			return err
		}
		im.group(child)
		if group != "all" {
			g := im.group(group)
			g.Children = append(g.Children, child)
		}
		return nil
	case "vars":
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			return fmt.Errorf("%q is no variable: write NAME=VALUE", line)
		}
		g := im.group(group)
		g.Vars = with(g.Vars, strings.TrimSpace(name), ansibleValue(unquote(strings.TrimSpace(value))))
		return nil
	}
	words, err := ansibleWords(line)
	if err != nil {
		return err
	}
	names, err := Expand(words[0])
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := ValidName(name); err != nil {
			return err
		}
		h := im.host(name)
		if group != "all" && group != "ungrouped" {
			g := im.group(group)
			g.Hosts = append(g.Hosts, name)
		}
		for _, word := range words[1:] {
			key, value, ok := strings.Cut(word, "=")
			if !ok {
				return fmt.Errorf("%q is no variable: write NAME=VALUE", word)
			}
			h.Vars = with(h.Vars, key, ansibleValue(value))
		}
	}
	return nil
}

// ansibleWords splits a line at blanks outside quotes, and drops a comment.
func ansibleWords(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	quote, begun := rune(0), false
	for _, c := range line {
		switch {
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
	if quote != 0 {
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

// ansibleValue gives numbers and bools their type, as Ansible does with literals of Python.
func ansibleValue(s string) cty.Value {
	switch s {
	case "True", "true":
		return cty.True
	case "False", "false":
		return cty.False
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && strconv.FormatInt(n, 10) == s {
		return cty.NumberIntVal(n)
	}
	return cty.StringVal(s)
}

// with returns an object with one attribute more.
func with(object cty.Value, name string, v cty.Value) cty.Value {
	all := object.AsValueMap()
	if all == nil {
		all = map[string]cty.Value{}
	}
	all[name] = v
	return cty.ObjectVal(all)
}

// TakeAnsible moves the variables that say how to connect out of the variables of a host, once those of
// its groups are merged in, into its address and settings.
func (h *Host) TakeAnsible() error {
	vars := h.Vars.AsValueMap()
	rest := map[string]cty.Value{}
	var own Settings
	for name, v := range vars {
		if !strings.HasPrefix(name, "ansible_") || v.IsNull() {
			rest[name] = v
			continue
		}
		if err := h.takeAnsible(&own, name, ansibleText(v)); err != nil {
			return err
		}
	}
	h.Vars = cty.ObjectVal(rest)
	h.Settings = own.Over(h.Settings)
	return nil
}

// ansibleText is the text of a plain value; "" of others.
func ansibleText(v cty.Value) string {
	v, _ = v.UnmarkDeep()
	switch v.Type() {
	case cty.String:
		return v.AsString()
	case cty.Number:
		return v.AsBigFloat().Text('f', -1)
	case cty.Bool:
		return strconv.FormatBool(v.True())
	}
	return ""
}

func (h *Host) takeAnsible(own *Settings, name, value string) error {
	switch name {
	case "ansible_host", "ansible_ssh_host":
		if strings.HasPrefix(value, "-") {
			return fmt.Errorf("%s of %s begins with a dash", name, h.Name)
		}
		h.Address = value
	case "ansible_user", "ansible_ssh_user":
		own.User = value
	case "ansible_port", "ansible_ssh_port":
		port, err := strconv.Atoi(value)
		if err != nil || port < 1 || port > 65535 {
			return fmt.Errorf("%s of %s is no port: %q", name, h.Name, value)
		}
		own.Port = port
	case "ansible_password", "ansible_ssh_pass":
		secret := steps.Secret(value)
		own.Password = &secret
	case "ansible_become_password", "ansible_become_pass", "ansible_sudo_pass":
		secret := steps.Secret(value)
		own.BecomePassword = &secret
	case "ansible_ssh_private_key_file", "ansible_private_key_file":
		own.IdentityFile = value
	case "ansible_become":
		yes := value == "true" || value == "yes" || value == "1"
		own.Become = &yes
	case "ansible_become_method":
		own.BecomeMethod = value
	}
	return nil
}
