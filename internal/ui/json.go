package ui

import (
	"io"
	"sync"

	"provision/internal/event"
)

// JSON is a Sink that writes each event as one line, as described in docs/events.md.
type JSON struct {
	mu  sync.Mutex
	w   io.Writer
	err error
}

// NewJSON returns a JSON that writes to w, each line with one call of Write.
func NewJSON(w io.Writer) *JSON { return &JSON{w: w} }

// Event implements engine.Sink. After an error of the writer it does nothing.
func (j *JSON) Event(e event.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err == nil {
		_, j.err = j.w.Write(e.Line())
	}
}

// Err returns the first error of the writer.
func (j *JSON) Err() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err
}
