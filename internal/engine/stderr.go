package engine

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
	"time"
)

// stderrReader collects standard error, cut at the marks, so that each fragment has its own.
type stderrReader struct {
	mu    sync.Mutex
	nonce string
	open  bytes.Buffer      // since the last mark
	cut   map[string]string // by the name of the mark that ended it
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
	for {
		before, rest, ok := bytes.Cut(s.open.Bytes(), []byte(s.nonce+" "))
		if !ok {
			break
		}
		name, after, ok := bytes.Cut(rest, []byte("\n"))
		if !ok {
			break
		}
		s.cut[string(name)] = string(before)
		after = bytes.Clone(after)
		s.open.Reset()
		s.open.Write(after)
	}
	if extra := s.open.Len() - stderrLimit; extra > 0 {
		s.open.Next(extra)
	}
	select {
	case s.grew <- struct{}{}:
	default:
	}
}

// take returns and forgets what was printed before the mark with a name, waiting a little for a mark that
// is still on its way; with the name "" it takes what has no mark yet.
func (s *stderrReader) take(name string) string {
	if name == "" {
		s.mu.Lock()
		defer s.mu.Unlock()
		text := s.open.String()
		s.open.Reset()
		return text
	}
	limit := time.NewTimer(2 * time.Second)
	defer limit.Stop()
	for {
		s.mu.Lock()
		text, ok := s.cut[name]
		delete(s.cut, name)
		s.mu.Unlock()
		if ok {
			return text
		}
		select {
		case <-s.grew:
		case <-s.ended:
			return ""
		case <-limit.C:
			return ""
		}
	}
}

func (s *stderrReader) waitFor(ctx context.Context, text string, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		s.mu.Lock()
		found := strings.Contains(s.open.String(), text)
		s.mu.Unlock()
		if found {
			return true
		}
		select {
		case <-s.grew:
		case <-s.ended:
			return false
		case <-timer.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// wait returns all that was printed after the last mark, once the stream has ended.
func (s *stderrReader) wait() string {
	select {
	case <-s.ended:
	case <-time.After(2 * time.Second):
	}
	return strings.TrimSpace(s.take(""))
}
