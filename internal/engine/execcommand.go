package engine

import (
	"strings"
	"time"

	"provision/internal/shell"
)

// A Command is what Exec runs on every host.
type Command struct {
	Argv    []string        // the program, or a builtin of sh, and its arguments, after any NAME=VALUE for its environment; no NUL
	RunAs   string          // the user that it runs as; "" is the login user, or root
	Become  map[string]bool // by name of the host: it runs as root
	Input   []byte          // its standard input; nil is none
	Timeout time.Duration   // after which it is killed; 0 is never
}

// shown is the command for people.
func (c *Command) shown() string { return shell.Words(c.Argv...) }

// user says which user the session has to become to run the command, and whether it needs the rights of root.
func (c *Command) user(h *Host) (runAs string, root bool) {
	switch c.RunAs {
	case "":
		return "", c.Become[h.Name]
	case h.User:
		return "", false
	case "root":
		return "", true
	}
	return c.RunAs, true
}

// script is the command as sh. The login shell of another user is none of its business, but the home directory is.
func (c *Command) script(runAs string) string {
	words := commandLine(c.Argv)
	if runAs == "" {
		return words
	}
	words = shell.Quote("cd 2>/dev/null || cd /; " + words)
	user := shell.Quote(runAs)
	// With -c, runuser begins a session of its own, and what loses its parent there could not be found to be killed. There is no
	// terminal to be protected. Where there is no runuser, su is that of busybox and begins none. The PATH that su leaves to root
	// may lack the directory of runuser.
	return "for provision_switch in /usr/sbin/runuser /sbin/runuser su; do [ ! -x $provision_switch ] || break; done\n" +
		"case $provision_switch in\nsu) su -s /bin/sh " + user + " -c " + words + " ;;\n" +
		"*) $provision_switch -s /bin/sh --session-command " + words + " " + user + " ;;\nesac"
}

// commandLine quotes words for sh. Those of the form NAME=VALUE before the program stay assignments, as with ssh, and
// the program is never a keyword.
func commandLine(argv []string) string {
	var quoted []string
	for i, word := range argv {
		if name, value, ok := strings.Cut(word, "="); ok && variableName(name) {
			quoted = append(quoted, name+"="+shell.Quote(value))
			continue
		}
		program := shell.Quote(word)
		if program == word {
			program = "'" + word + "'"
		}
		quoted = append(append(quoted, program), shell.Words(argv[i+1:]...))
		break
	}
	return strings.TrimRight(strings.Join(quoted, " "), " ")
}

// variableName reports whether sh takes a word for the name of a variable.
func variableName(s string) bool {
	for i, r := range s {
		if r != '_' && (r|0x20 < 'a' || r|0x20 > 'z') && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}
