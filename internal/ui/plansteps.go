package ui

import "provision/internal/engine"

// Steps returns what was told of the steps of a host, in the order of its plan.
func (p *Plan) Steps(host string) []engine.PlanStep {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.hosts[host]
	if h == nil {
		return nil
	}
	list := make([]engine.PlanStep, len(h.steps))
	for i, s := range h.steps {
		list[i] = *s
	}
	return list
}
