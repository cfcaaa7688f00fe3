package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"provision/internal/event"
)

// A flood is a host that prints one text for ever; it counts what was taken.
type flood struct {
	text  string
	taken atomic.Int64
}

func (f *flood) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		n += copy(p[n:], f.text[(int(f.taken.Load())+n)%len(f.text):])
	}
	f.taken.Add(int64(n))
	return n, nil
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) Close() error                { return nil }

// floodSession is a session with a host that prints stdout.
func floodSession(stdout io.Reader) *Session {
	p := &Process{Stdin: discard{}, Stdout: stdout, Wait: func() (int, error) { return 0, nil }, Close: func() error { return nil }}
	s := &Session{process: p, nonce: newNonce()}
	s.read(stdout)
	s.stderr = readStderr(strings.NewReader(""), s.nonce)
	return s
}

func TestProbeThatPrintsWithoutEnd(t *testing.T) {
	for name, text := range map[string]string{"lines": strings.Repeat("x", 79) + "\n", "no lines": "x"} {
		host := &flood{text: text}
		_, err := floodSession(host).Ask(t.Context(), "", make([]Fragment, 3))
		if err == nil || errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "longer than 4 MiB") {
			t.Errorf("%s: error %v", name, err)
		}
		if host.taken.Load() > fragmentLimit+1<<20 {
			t.Errorf("%s: %d bytes were taken", name, host.taken.Load())
		}
	}
}

// memoryOf returns by how many bytes the heap grew at most while f ran. Garbage is collected soon, so that it hardly counts.
func memoryOf(f func()) int64 {
	defer debug.SetGCPercent(debug.SetGCPercent(10))
	heap := func() int64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	runtime.GC()
	before, most, done := heap(), int64(0), make(chan struct{})
	var sampled sync.WaitGroup
	sampled.Go(func() {
		for {
			most = max(most, heap()-before)
			select {
			case <-done:
				return
			case <-time.After(time.Millisecond):
			}
		}
	})
	f()
	close(done)
	sampled.Wait()
	return most
}

// A host that prints without end costs the client at most 64 MiB, whatever it prints in whose place.
func TestMemoryThatAHostMayTake(t *testing.T) {
	const nonce = "provision-0123456789abcdef"
	ask := func(stdout io.Reader) {
		s := floodSession(stdout)
		s.nonce = nonce
		_, _ = s.Ask(t.Context(), "", make([]Fragment, 200))
	}
	for name, f := range map[string]func(){
		"an endless line": func() { ask(&flood{text: "x"}) },
		"lines":           func() { ask(&flood{text: "line\n"}) },
		"answers": func() {
			var answers []io.Reader
			for i := range 200 {
				answers = append(answers, io.LimitReader(&flood{text: "much\n"}, fragmentLimit-1<<10), strings.NewReader(fmt.Sprintf("\n%s %d 0\n", nonce, i)))
			}
			ask(io.MultiReader(answers...))
		},
		"frames": func() {
			body := strings.Repeat("y", frameLimit)
			s := floodSession(&flood{text: fmt.Sprintf("%s out 1 1 0 %d\n%s", nonce, frameLimit, body)})
			s.nonce = nonce
			for range 200 {
				if _, err := s.readFrame(); err != nil {
					t.Fatal(err)
				}
			}
		},
		"an endless record": func() {
			var j journalReader
			for range 200 {
				if _, err := j.feed(bytes.Repeat([]byte("z"), 1<<20)); err != nil {
					return
				}
			}
			t.Error("a record without end was taken")
		},
	} {
		if n := memoryOf(f); n > 64<<20 {
			t.Errorf("%s: %d MiB", name, n>>20)
		} else {
			t.Logf("%s: %d MiB", name, n>>20)
		}
	}
}

// Every probe stays within its limit, and there are many of them.
func TestProbesThatPrintMuchTogether(t *testing.T) {
	const probes = 100
	var answers []io.Reader
	nonce := newNonce()
	for i := range probes {
		answers = append(answers, io.LimitReader(&flood{text: "much\n"}, fragmentLimit-1<<10), strings.NewReader(fmt.Sprintf("\n%s %d 0\n", nonce, i)))
	}
	s := floodSession(io.MultiReader(answers...))
	s.nonce = nonce
	got, err := s.Ask(t.Context(), "", make([]Fragment, probes))
	if err == nil || !strings.Contains(err.Error(), "32 MiB") {
		t.Errorf("error %v", err)
	}
	kept := 0
	for _, a := range got {
		kept += len(a.Stdout)
	}
	if kept > answerLimit {
		t.Errorf("%d bytes are kept", kept)
	}
}

func TestStandardErrorWithoutEnd(t *testing.T) {
	const nonce = "provision-0123"
	marks := 0
	forged := func() string { marks++; return fmt.Sprintf("%s %d\n", nonce, marks) }
	for name, next := range map[string]func() string{
		"text":          func() string { return strings.Repeat("x", 4096) },
		"lines":         func() string { return strings.Repeat("warning\n", 512) },
		"marks":         forged,
		"marks of text": func() string { return strings.Repeat("y", 3000) + forged() },
		"a mark's name": func() string { return nonce + " " + strings.Repeat("z", 4000) },
	} {
		s := &stderrReader{nonce: nonce, cut: map[string]string{}, grew: make(chan struct{}, 1), ended: make(chan struct{})}
		for fed := 0; fed < 12<<20; {
			text := next()
			if len(text) < 100 { // fewer calls for short ones
				for range 100 {
					text += next()
				}
			}
			s.add([]byte(text))
			fed += len(text)
		}
		kept := s.open.Cap()
		for name, text := range s.cut {
			kept += entrySize + len(name) + len(text)
		}
		if kept > 3*stderrTotal {
			t.Errorf("%s: %d bytes are kept", name, kept)
		}
	}
}

func TestStandardErrorOfEachFragmentIsItsOwn(t *testing.T) {
	const nonce = "provision-0123"
	s := readStderr(strings.NewReader("one\n"+nonce+" 0\n"+nonce+" 1\nthree\n"+nonce+" 2\nrest"), nonce)
	<-s.ended
	for name, want := range map[string]string{"0": "one\n", "1": "", "2": "three\n", "": "rest"} {
		if got := s.take(name); got != want {
			t.Errorf("fragment %q: %q", name, got)
		}
	}
	if s.kept != 0 {
		t.Errorf("%d bytes are counted as kept, and nothing is", s.kept)
	}
}

func TestJournalLineWithoutEnd(t *testing.T) {
	var j journalReader
	chunk := bytes.Repeat([]byte("x"), 64<<10)
	for fed := 0; fed < 10<<20; fed += len(chunk) {
		if _, err := j.feed(chunk); err != nil {
			if len(err.Error()) > 300 {
				t.Errorf("the error repeats the journal: %d bytes", len(err.Error()))
			}
			return
		}
	}
	t.Errorf("%d bytes are kept of a line without an end", j.buf.Len())
}

// A step that prints without end is passed on as it comes, and a sink that is slow holds the host back: what was taken from
// the host is never far ahead of what the sink has seen.
func TestStepThatPrintsWithoutEnd(t *testing.T) {
	const nonce, whole = "provision-0123", 16 << 20
	host := &flood{text: nonce + " out 1 1 0 65536\n" + strings.Repeat("y", 65536)}
	s := floodSession(io.LimitReader(host, whole))
	s.nonce = nonce
	seen := 0
	sink := sinkFunc(func(e event.Event) {
		if e.StepOutput == nil {
			return
		}
		seen += len(e.StepOutput.Text)
		if ahead := int(host.taken.Load()) - seen; ahead > 1<<20 {
			t.Errorf("%d bytes were taken that nobody has seen", ahead)
		}
	})
	w := &watcher{host: &hostRun{run: &Run{Sink: sink}, known: known{planned: make([]Planned, 2)}}, current: 1}
	if err := s.followed(t.Context(), "", &position{number: 1}, w); err == nil {
		t.Fatal("the end of the stream is no error")
	}
	if seen < whole-whole/100 {
		t.Errorf("%d bytes were seen", seen)
	}
	if kept := cap(w.out[1][0]) + cap(w.out[1][1]); kept > 8*outputLimit {
		t.Errorf("%d bytes are kept", kept)
	}
	// A step whose beginning the journal does not tell.
	for range 100 {
		w.output(2, 2, make([]byte, 65536))
	}
	kept := 0
	for _, e := range w.early {
		kept += len(e.text)
	}
	if kept > 2*earlyLimit {
		t.Errorf("%d bytes wait for a step to begin", kept)
	}
}
