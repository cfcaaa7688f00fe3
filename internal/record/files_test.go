package record

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"provision/internal/event"
)

// counted counts the files that are open at a time.
type counted struct {
	io.WriteCloser
	open *int
}

func (c counted) Close() error {
	*c.open--
	return c.WriteCloser.Close()
}

// Five hundred hosts that take turns keep few files open, lose no line, and leave none open.
func TestLogOfAFleetBoundsItsFiles(t *testing.T) {
	l := NewLog(t.TempDir(), Options{Lines: lines})
	open, most := 0, 0
	create := l.files.create
	l.files.create = func(path string) (io.WriteCloser, error) {
		f, err := create(path)
		open++
		most = max(most, open)
		return counted{f, &open}, err
	}
	host := func(i int) string { return fmt.Sprintf("web%03d", i) }
	l.Event(sampleEvent("", &event.RunStart{Hosts: 500}))
	if entries, _ := os.ReadDir(l.Dir()); len(entries) != 1 {
		t.Errorf("files before a host has anything to say: %v", entries)
	}
	for round := range 3 {
		for i := range 500 {
			l.Event(sampleEvent(host(i), &event.Warning{Message: fmt.Sprintf("round %d", round)}))
		}
	}
	for i := range 500 {
		l.Event(sampleEvent(host(i), &event.HostEnd{Status: event.HostFailed}))
	}
	if open > 1 {
		t.Errorf("%d files are open when all hosts have ended, want the one of the events", open)
	}
	l.Event(sampleEvent("", &event.RunEnd{}))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if most > maxOpenLogs+1 || open != 0 {
		t.Errorf("%d files were open at a time and %d in the end, want at most %d and none", most, open, maxOpenLogs+1)
	}
	for i := range 500 {
		if text := readFile(t, filepath.Join(l.Dir(), host(i)+".log")); strings.Count(text, "round ") != 3 {
			t.Fatalf("%s: %q", host(i), text)
		}
	}
}

// A disk that fills up ends the log and nothing else, and is told once.
func TestLogOnAFullDisk(t *testing.T) {
	full := errors.New("no space left on device")
	l := NewLog(t.TempDir(), Options{Lines: lines})
	create := l.files.create
	left := 900
	l.files.create = func(path string) (io.WriteCloser, error) {
		f, err := create(path)
		return writerFunc{f, func(p []byte) (int, error) {
			n := min(len(p), left)
			left -= n
			if n, err := f.Write(p[:n]); err != nil || n < len(p) {
				return n, errors.Join(err, full)
			}
			return n, nil
		}}, err
	}
	feed(l, applyOf(2)...)
	if err := l.Close(); !errors.Is(err, full) {
		t.Errorf("error %v, want %v", err, full)
	}
	run, err := Read(l.Dir())
	if err != nil || run.Command != event.CommandApply || run.Status != Died {
		t.Errorf("what is left of the record: %+v, %v", run, err)
	}
}

type writerFunc struct {
	io.Closer
	write func([]byte) (int, error)
}

func (w writerFunc) Write(p []byte) (int, error) { return w.write(p) }

// All hosts together keep no more output than one disk can bear.
func TestLogBoundsTheOutputOfAll(t *testing.T) {
	l := NewLog(t.TempDir(), Options{Lines: lines, MaxTotal: 1000})
	for i := range 30 {
		l.Event(printed(fmt.Sprintf("web%d", i%3), strings.Repeat("x", 99)+"\n"))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	events := readFile(t, filepath.Join(l.Dir(), eventsFile))
	if n := strings.Count(events, `"step_output",`); n != 10 {
		t.Errorf("%d outputs are kept, want 10", n)
	}
	if n := strings.Count(events, "more than 1000 bytes of output on all hosts"); n != 3 {
		t.Errorf("it is told %d times, want once for each host", n)
	}
}
