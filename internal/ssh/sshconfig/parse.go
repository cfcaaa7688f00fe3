package sshconfig

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// maxDepth is how deep Include may go (readconf.c, READCONF_MAX_DEPTH).
const maxDepth = 16

// A source is a file to read, and how ssh treats it.
type source struct {
	path     string
	system   bool // relative Includes are below /etc/ssh, not ~/.ssh
	optional bool // where it cannot be read, ssh goes on without a word
	guarded  bool // it must belong to the user or root, and nobody else may write to it
	depth    int
}

// A file is a file that was read: lines in blocks, each behind a Host or a Match line.
type file struct {
	blocks []block

	// Hosts are looked up by name where a block names them without a pattern: a file may have thousands.
	literal  map[string][]int // indexes of blocks
	patterns []int            // indexes of all other blocks
}

// A block is a Host or Match line, and the lines up to the next. The first block of a file has no such line.
type block struct {
	guard guard // nil: always
	lines []line
}

// A line sets a value, or includes files.
type line struct {
	Value
	include []included
}

// An included is a file that a line includes, or a pattern of such that has tokens or variables: which files these are depends on
// the host.
type included struct {
	file    *file
	pattern string
	from    source
}

type parser struct {
	config   *Config
	cache    map[string]*file // of files being included more than once
	mistakes []string
	ignored  string // IgnoreUnknown for every host: as with other keywords, the first counts
	here     string // IgnoreUnknown of the block that is being read
}

// maxMistakes is how many mistakes are told: files that include themselves have them without end.
const maxMistakes = 20

func (p *parser) mistake(at Source, format string, args ...any) {
	if len(p.mistakes) == maxMistakes {
		return
	}
	p.mistakes = append(p.mistakes, fmt.Sprintf("%s: %s", at, fmt.Sprintf(format, args...)))
}

// read parses a file and what it includes.
func (p *parser) read(s source) (*file, error) {
	key := fmt.Sprintf("%v %s", s.system, s.path)
	if f := p.cache[key]; f != nil {
		return f, nil
	}
	handle, err := os.Open(s.path)
	if err != nil {
		return nil, err
	}
	defer handle.Close()
	info, err := handle.Stat()
	if err != nil {
		return nil, err
	}
	if s.guarded {
		owner, known := OwnerOf(info)
		switch {
		case known && owner != 0 && owner != os.Getuid():
			return nil, fmt.Errorf("%s: bad owner: ssh refuses a file that belongs to another user (number %d) than you or root; run chown, or copy it", s.path, owner)
		case info.Mode().Perm()&0o022 != 0:
			return nil, fmt.Errorf("%s: bad permissions: ssh refuses a file that others may write to; run chmod go-w %s", s.path, s.path)
		}
	}
	var text bytes.Buffer
	if _, err := text.ReadFrom(handle); err != nil && !info.IsDir() { // a directory is an empty file to ssh
		return nil, err
	}
	f := &file{literal: map[string][]int{}, blocks: []block{{}}}
	number := 0
	for raw := range strings.Lines(text.String()) {
		number++
		p.line(f, s, Source{s.path, number}, strings.TrimSuffix(raw, "\n"))
	}
	f.index()
	p.cache[key] = f
	return f, nil
}

// OwnerOf is the number of the user that a file belongs to, where the system tells.
func OwnerOf(info os.FileInfo) (uid int, known bool) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid), true
	}
	return 0, false
}

func (p *parser) line(f *file, s source, at Source, raw string) {
	raw = strings.TrimRight(raw, " \t\r\n\f")
	keyword, rest, ok := cutKeyword(raw)
	if !ok {
		return
	}
	written := keyword
	keyword = strings.ToLower(keyword)
	ignored := MatchList(keyword, p.ignored, true) || p.ignored == "" && MatchList(keyword, p.here, true)
	if strings.IndexFunc(keyword, func(r rune) bool { return r < '!' || r > '~' }) >= 0 && !ignored {
		p.mistake(at, "%s", foreignKeyword(written))
		return
	}
	if rest == "" {
		p.mistake(at, "there is no argument after the keyword %s", keyword)
		return
	}
	kind, known := keywords[keyword]
	if !known {
		if !ignored {
			p.config.Warnings = append(p.config.Warnings, fmt.Sprintf("%s: the keyword %s is not one of OpenSSH's up to 10.6, and is passed over", at, keyword))
		}
		return
	}
	words, err := splitWords(rest)
	if err != nil {
		p.mistake(at, "%v", err)
		return
	}
	last := &f.blocks[len(f.blocks)-1]
	if kind == isHost || kind == isMatch {
		p.here = ""
	}
	switch kind {
	case isHost:
		if len(words) == 0 || slices.Contains(words, "") {
			p.mistake(at, "a pattern of Host is empty")
		}
		f.blocks = append(f.blocks, block{guard: hostGuard(words)})
	case isMatch:
		guard, err := parseMatch(words)
		if err != nil {
			p.mistake(at, "%v", err)
		}
		for _, c := range guard {
			p.config.criteria[c.name] = true
			p.config.final = p.config.final || c.name == "final" && !c.negated // negated, OpenSSH 10 does without a second pass
		}
		f.blocks = append(f.blocks, block{guard: guard})
	case isInclude:
		last.lines = append(last.lines, line{Value: Value{Source: at, Keyword: keyword, Words: words}, include: p.include(s, at, words)})
	case isIgnored:
	case isRest, isJump:
		v := Value{Source: at, Keyword: keyword, Words: []string{strings.TrimLeft(rest, " \t=")}}
		if kind == isJump {
			if err := checkJump(&v); err != nil {
				p.mistake(at, "%s: %v", keyword, err)
				return
			}
		}
		last.lines = append(last.lines, line{Value: v})
	default:
		v := Value{Source: at, Keyword: keyword, Words: words}
		if err := check(&v, kind); err != nil {
			p.mistake(at, "%s: %v", keyword, err)
			return
		}
		if keyword == "ignoreunknown" {
			p.ignore(last.guard, v.Text())
		}
		last.lines = append(last.lines, line{Value: v})
	}
}

// foreignKeyword says what is wrong with a keyword in which characters stand that no keyword has: it is no setting of a later
// OpenSSH, and what the line was to say would be lost without a mistake.
func foreignKeyword(keyword string) string {
	for _, mark := range []string{"\xef\xbb\xbf", "\xff\xfe", "\xfe\xff"} {
		if strings.HasPrefix(keyword, mark) {
			return "the file begins with a byte order mark, which ssh takes for a part of the first keyword; save it as UTF-8 without the mark"
		}
	}
	return fmt.Sprintf("the keyword %q has characters in it that no keyword has", keyword)
}

// ignore notes what IgnoreUnknown says below a guard.
func (p *parser) ignore(g guard, patterns string) {
	everyone := g == nil
	switch g := g.(type) {
	case hostGuard:
		everyone = len(g) == 1 && g[0] == "*"
	case matchGuard:
		everyone = len(g) == 1 && g[0].name == "all" && !g[0].negated
	}
	if everyone {
		p.ignored = cmp.Or(p.ignored, patterns)
	} else {
		p.here = cmp.Or(p.here, patterns)
	}
}

// include reads the files that patterns name. What does not exist is passed over, as ssh does.
func (p *parser) include(s source, at Source, patterns []string) []included {
	if len(p.mistakes) == maxMistakes {
		return nil
	}
	if s.depth >= maxDepth {
		p.mistake(at, "Include goes deeper than %d files", maxDepth)
		return nil
	}
	var files []included
	for _, pattern := range patterns {
		if strings.Contains(pattern, "%") || strings.Contains(pattern, "${") {
			files = append(files, included{pattern: pattern, from: s})
			continue
		}
		files = append(files, p.glob(s, at, pattern)...)
	}
	return files
}

// glob reads the files that one pattern names.
func (p *parser) glob(s source, at Source, pattern string) []included {
	path, err := includePath(s, pattern)
	if err != nil {
		p.mistake(at, "Include %s: %v", pattern, err)
		return nil
	}
	found, err := filepath.Glob(path)
	if err != nil {
		p.mistake(at, "Include %s: the pattern is malformed", pattern)
	}
	var files []included
	for _, name := range found {
		f, err := p.read(source{path: name, system: s.system, guarded: true, depth: s.depth + 1})
		switch {
		case errors.Is(err, os.ErrNotExist):
		case err != nil:
			p.mistake(at, "Include %s: %v", pattern, err)
		default:
			files = append(files, included{file: f})
		}
	}
	return files
}

func includePath(s source, pattern string) (string, error) {
	home, err := os.UserHomeDir()
	switch {
	case strings.HasPrefix(pattern, "~/") && err == nil:
		return filepath.Join(home, pattern[2:]), nil
	case strings.HasPrefix(pattern, "~/"):
		return "", err
	case filepath.IsAbs(pattern):
		return pattern, nil
	case s.system:
		return filepath.Join("/etc/ssh", pattern), nil
	case err != nil:
		return "", err
	}
	return filepath.Join(home, ".ssh", pattern), nil
}

// index notes which blocks can match a name without looking at their patterns.
func (f *file) index() {
	for i, b := range f.blocks {
		host, yes := b.guard.(hostGuard)
		if !yes || slices.ContainsFunc(host, func(p string) bool { return strings.ContainsAny(p, "*?!") }) {
			f.patterns = append(f.patterns, i)
			continue
		}
		for _, name := range host {
			if at := f.literal[name]; len(at) == 0 || at[len(at)-1] != i {
				f.literal[name] = append(at, i)
			}
		}
	}
}

// candidates returns the indexes of the blocks that may match a name, in order.
func (f *file) candidates(name string) []int {
	named := f.literal[name]
	if len(named) == 0 {
		return f.patterns
	}
	all := slices.Concat(named, f.patterns)
	slices.Sort(all)
	return all
}
