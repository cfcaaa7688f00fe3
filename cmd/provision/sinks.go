package main

import (
	"sync"

	"provision/internal/engine"
)

// sinks passes events on to renderers, of which some take part for a while only.
type sinks struct {
	mu    sync.Mutex
	start *engine.Event // what a renderer that comes later must know
	list  []engine.Sink
}

func (s *sinks) Event(e engine.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Type == engine.EventRunStart {
		s.start = &e
	}
	for _, sink := range s.list {
		sink.Event(e)
	}
}

func (s *sinks) add(sink engine.Sink) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.start != nil {
		sink.Event(*s.start)
	}
	s.list = append(s.list, sink)
}

func (s *sinks) remove(sink engine.Sink) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.list {
		if s.list[i] == sink {
			s.list = append(s.list[:i:i], s.list[i+1:]...)
			return
		}
	}
}
