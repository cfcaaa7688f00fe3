package main

import (
	"sync"

	"provision/internal/engine"
)

// sinks passes events on to renderers, of which some take part for a while only.
type sinks struct {
	mu     sync.Mutex
	before []engine.Event // what a renderer that comes later must know
	list   []engine.Sink
}

// A latecomer is a renderer that wants to know how the hosts stand when it comes.
type latecomer interface{ CatchUp(engine.Event) }

func (s *sinks) Event(e engine.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch e.Type {
	case engine.EventRunStart, engine.EventHostPlanned, engine.EventHostEnd:
		s.before = append(s.before, e)
	case engine.EventPlanStep:
		if e.PlanStep.Error != nil {
			s.before = append(s.before, e)
		}
	}
	for _, sink := range s.list {
		sink.Event(e)
	}
}

func (s *sinks) add(sink engine.Sink) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if late, ok := sink.(latecomer); ok {
		for _, e := range s.before {
			late.CatchUp(e)
		}
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
