package main

import (
	"sync"

	"provision/internal/event"
)

// sinks passes events on to renderers, of which some take part for a while only.
type sinks struct {
	mu     sync.Mutex
	before []event.Event // what a renderer that comes later must know
	list   []event.Sink
}

// A latecomer is a renderer that wants to know how the hosts stand when it comes.
type latecomer interface{ CatchUp(event.Event) }

func (s *sinks) Event(e event.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch e.Type {
	case event.TypeRunStart, event.TypeHostPlanned, event.TypeHostEnd:
		s.before = append(s.before, e)
	case event.TypePlanStep:
		if e.PlanStep.Error != nil {
			s.before = append(s.before, e)
		}
	}
	for _, sink := range s.list {
		sink.Event(e)
	}
}

func (s *sinks) add(sink event.Sink) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if late, ok := sink.(latecomer); ok {
		for _, e := range s.before {
			late.CatchUp(e)
		}
	}
	s.list = append(s.list, sink)
}

func (s *sinks) remove(sink event.Sink) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.list {
		if s.list[i] == sink {
			s.list = append(s.list[:i:i], s.list[i+1:]...)
			return
		}
	}
}
