// Package sshconfig reads ssh_config(5) files and says what they set for one host, as OpenSSH's ssh does: Host, Match, Include,
// quotes, comments, the first value wins, and a second pass where Match final or CanonicalizeHostname asks for one. A test
// compares it with `ssh -G`.
//
// A value is returned as it is written, without its quotes. Tokens (%h) and environment variables are left to whoever uses the
// value, but for HostName, which decides what later lines match.
package sshconfig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
)

// A Config is what ssh_config files say. It may be used by several goroutines at once. A nil Config says nothing.
type Config struct {
	files []*file // in the order in which they are read: the first that sets a value wins

	// Warnings name lines that are passed over although ssh refuses them: keywords that no OpenSSH up to 10.6 knows.
	Warnings []string

	criteria map[string]bool // of Match, wherever they stand
	final    bool            // Match final stands somewhere: there is a second pass

	mu       sync.Mutex
	included map[string]*lateInclude // by the pattern, expanded
	ran      map[string]bool         // commands of Match exec, and whether they succeeded
}

// A lateInclude is what an Include with tokens stands for.
type lateInclude struct {
	files  []included
	config Config // its warnings, and whether it has a Match final
	err    error
}

// Asks reports whether a Match line of the files has a criterion, such as "command".
func (c *Config) Asks(criterion string) bool { return c != nil && c.criteria[criterion] }

// A Source is the place of a line.
type Source struct {
	File string // as it was found
	Line int    // from 1
}

func (s Source) String() string { return fmt.Sprintf("%s:%d", s.File, s.Line) }

// A Value is what one line sets.
type Value struct {
	Source
	Keyword string   // in lower case
	Words   []string // without quotes and comment; for keywords that take a command, the rest of the line as one word
}

// Text is the first word, which most keywords have alone.
func (v Value) Text() string {
	if len(v.Words) == 0 {
		return ""
	}
	return v.Words[0]
}

// LoadUser reads ~/.ssh/config and /etc/ssh/ssh_config; one that does not exist says nothing.
func LoadUser() (*Config, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return load(nil, source{path: "/etc/ssh/ssh_config", system: true, optional: true})
	}
	return load(nil, source{path: filepath.Join(home, ".ssh/config"), guarded: true, optional: true}, source{path: "/etc/ssh/ssh_config", system: true, optional: true})
}

// Load reads the files named, as `ssh -F` does; one that does not exist says nothing. Relative paths of Include are below ~/.ssh.
// The error names every line that ssh would refuse.
func Load(files ...string) (*Config, error) {
	sources := make([]source, len(files))
	for i, f := range files {
		sources[i] = source{path: f}
	}
	return load(nil, sources...)
}

func load(c *Config, sources ...source) (*Config, error) {
	if c == nil {
		c = &Config{criteria: map[string]bool{}}
	}
	p := &parser{config: c, cache: map[string]*file{}}
	for _, s := range sources {
		f, err := p.read(s)
		var unreadable *os.PathError
		switch {
		case errors.Is(err, os.ErrNotExist):
		case s.optional && errors.As(err, &unreadable):
			c.Warnings = append(c.Warnings, fmt.Sprintf("%s is passed over, as ssh does: %v", s.path, err))
		case err != nil:
			return nil, err
		default:
			c.files = append(c.files, f)
		}
	}
	if len(p.mistakes) > 0 {
		return nil, errors.New(strings.Join(p.mistakes, "\n"))
	}
	return c, nil
}

// A Query asks for the settings of one host.
type Query struct {
	Host    string // as the user typed it
	User    string // given beside the files (ssh -l); "" leaves it to them
	Port    string // likewise (ssh -p)
	Command string // what the session runs, for Match command; "" is a shell

	// NoSession says that there is none (ssh -N, and -W for a jump host), for Match sessiontype.
	NoSession bool

	// Resolve finds the name under which a host is on record (CanonicalizeHostname): the name itself if it has an address. Nil
	// asks the system's resolver.
	Resolve func(ctx context.Context, name string) (canonical string, err error)
}

// Settings are what the files set for one host.
type Settings struct {
	Host   string // the name to connect to: HostName or what was typed, in lower case; addresses in their usual form
	values map[string][]Value

	// Refused is why the host must not be connected to (RefuseConnection), with file and line; "" where it may.
	Refused string

	// Notes name what is passed over for this host, with file and line.
	Notes []string
}

// First returns the first value of a keyword, and whether there is one.
func (s *Settings) First(keyword string) (Value, bool) {
	if s == nil || len(s.values[keyword]) == 0 {
		return Value{}, false
	}
	return s.values[keyword][0], true
}

// Text returns the first word of the first value of a keyword; "" if there is none.
func (s *Settings) Text(keyword string) string {
	v, _ := s.First(keyword)
	return v.Text()
}

// All returns the values of a keyword that may be given several times, such as identityfile.
func (s *Settings) All(keyword string) []Value {
	if s == nil {
		return nil
	}
	return s.values[keyword]
}

// Keywords lists what is set, in no order.
func (s *Settings) Keywords() []string {
	var all []string
	for k, v := range s.values {
		if len(v) > 0 {
			all = append(all, k)
		}
	}
	return all
}

// localUser is the user that runs this process, by the database of accounts.
func localUser() string {
	u, err := user.Current()
	if err != nil {
		return ""
	}
	return u.Username
}
