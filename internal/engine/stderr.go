package engine

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"time"
)

// entrySize is about what an entry of a map takes beside its texts.
const entrySize = 64

// stderrReader collects standard error, cut at the marks, so that each fragment has its own.
type stderrReader struct {
	mu    sync.Mutex
	nonce string
	open  bytes.Buffer      // since the last mark
	cut   map[string]string // by the name of the mark that ended it
	kept  int               // bytes that cut takes
	last  string            // the mark after which all goes to to
	to    func([]byte)
	past  bool // that mark has come
	deaf  bool // so many marks have come that no more are kept
	grew  chan struct{}
	ended chan struct{}
}

func readStderr(r io.Reader, nonce string) *stderrReader {
	s := &stderrReader{nonce: nonce, cut: map[string]string{}, grew: make(chan struct{}, 1), ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		chunk := make([]byte, 4096)
		for {
			n, err := r.Read(chunk)
			if n > 0 {
				s.add(chunk[:n])
			}
			if err != nil {
				return
			}
		}
	}()
	return s
}

func (s *stderrReader) add(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open.Write(p)
	for !s.past {
		before, rest, ok := bytes.Cut(s.open.Bytes(), []byte(s.nonce+" "))
		if !ok {
			break
		}
		name, after, ok := bytes.Cut(rest, []byte("\n"))
		if !ok {
			break
		}
		mark := string(name)
		s.keep(mark, before)
		s.open.Next(s.open.Len() - len(after))
		s.past = s.to != nil && mark == s.last
	}
	if s.past {
		if s.open.Len() > 0 {
			s.to(s.open.Bytes())
			s.open.Reset()
		}
		return
	}
	if extra := s.open.Len() - stderrLimit; extra > 0 {
		s.open.Next(extra)
	}
	select {
	case s.grew <- struct{}{}:
	default:
	}
}

// keep stores what came before a mark, and only that there was a mark once too much has come that nobody reads. A host that
// makes marks of its own without end is not listened to in the end.
func (s *stderrReader) keep(name string, text []byte) {
	s.forget(name)
	if s.kept+entrySize+len(name)+len(text) > stderrTotal {
		text = nil
	}
	if s.kept+entrySize+len(name) > 2*stderrTotal {
		s.deaf = true
		return
	}
	s.cut[name] = string(text)
	s.kept += entrySize + len(name) + len(text)
}

// forget removes what is kept for a mark.
func (s *stderrReader) forget(name string) {
	if text, ok := s.cut[name]; ok {
		delete(s.cut, name)
		s.kept -= entrySize + len(name) + len(text)
	}
}

// follow gives all that comes after a mark to a function, in place of keeping it.
func (s *stderrReader) follow(mark string, to func([]byte)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last, s.to = mark, to
}

// take returns and forgets what was printed before the mark with a name; with the name "" it takes what has no mark yet. What
// may still be on its way has to be awaited first.
func (s *stderrReader) take(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name == "" {
		text := s.open.String()
		s.open.Reset()
		return text
	}
	text := s.cut[name]
	s.forget(name)
	return text
}

// markLimit is how long a mark on standard error may come after the same mark on standard output: the streams are not in step, and a
// busy host or a slow link may take its time with one of them.
const markLimit = 30 * time.Second

// await waits for a mark. Marks come in order: all text before an earlier one is there, too.
func (s *stderrReader) await(name string) {
	limit := time.NewTimer(markLimit)
	defer limit.Stop()
	for {
		s.mu.Lock()
		_, there := s.cut[name]
		there = there || s.deaf
		s.mu.Unlock()
		if there {
			return
		}
		select {
		case <-s.grew:
		case <-s.ended:
			return
		case <-limit.C:
			return
		}
	}
}

// peek returns what has no mark yet, and leaves it there.
func (s *stderrReader) peek() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open.String()
}

// wait returns all that was printed after the last mark, once the stream has ended.
func (s *stderrReader) wait() string {
	select {
	case <-s.ended:
	case <-time.After(2 * time.Second):
	}
	return strings.TrimSpace(s.take(""))
}
