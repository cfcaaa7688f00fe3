package record

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"provision/internal/event"
)

// maxEvent bounds a line of events.jsonl: a file without line breaks is not one.
const maxEvent = 64 << 20

// Replay gives the events of the run in a directory to a Sink: see ReplayFrom.
func Replay(dir string, to event.Sink) error {
	path := filepath.Join(dir, eventsFile)
	info, err := os.Lstat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file", path)
	}
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := ReplayFrom(f, to); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// ReplayFrom gives the events of a kept run to a Sink, as they were. A last line cut short by a
// crash is left out.
func ReplayFrom(r io.Reader, to event.Sink) error {
	in := newEventReader(r)
	for {
		e, err := in.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		to.Event(e)
	}
}

// An eventReader reads events one by one.
type eventReader struct {
	in *bufio.Reader
	n  int // lines so far
}

func newEventReader(r io.Reader) *eventReader { return &eventReader{in: bufio.NewReader(r)} }

// next returns io.EOF after the last whole line.
func (r *eventReader) next() (event.Event, error) {
	for {
		data, err := r.line()
		if err != nil {
			return event.Event{}, err
		}
		if len(bytes.TrimSpace(data)) == 0 {
			continue
		}
		var e event.Event
		if err := json.Unmarshal(data, &e); err != nil {
			return e, fmt.Errorf("line %d is not an event: %w", r.n, err)
		}
		if e.RunStart != nil && e.RunStart.Schema > event.Schema {
			return e, fmt.Errorf("the run was written by a later provision (schema %d); use that one", e.RunStart.Schema)
		}
		return e, nil
	}
}

func (r *eventReader) line() ([]byte, error) {
	r.n++
	var line []byte
	for {
		part, err := r.in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			return line, nil
		case errors.Is(err, io.EOF):
			return nil, io.EOF
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, fmt.Errorf("the events cannot be read: %w", err)
		case len(line) > maxEvent:
			return nil, fmt.Errorf("line %d is not an event: it is longer than %s", r.n, limitText(maxEvent))
		}
	}
}
