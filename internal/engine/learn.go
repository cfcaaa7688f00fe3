package engine

import (
	"github.com/zclconf/go-cty/cty"

	"provision/internal/steps"
)

// learn adds the results of steps that have nothing to do, and tells whether that is news to anyone.
func (h *hostRun) learn(from int) bool {
	news := false
	awaited := map[string]bool{}
	for i := range h.planned {
		for _, addr := range h.planned[i].Waits {
			awaited[addr] = true
		}
	}
	for i := from; i < len(h.planned); i++ {
		p := &h.planned[i]
		passed := p.Err != nil && p.Proceed
		if _, known := h.results[p.Addr]; known || !passed && (p.Change.Action != steps.NoOp || p.Err != nil) {
			continue
		}
		switch {
		case passed:
			// It has its turn without doing anything; whoever uses its outputs finds none.
			h.results[p.Addr] = results(h.facts, p, steps.Observation{}, steps.Result{}, false)
		case p.Loan == nil:
			h.results[p.Addr] = results(h.facts, p, p.obs, steps.Result{}, false)
		case h.taken[p.Addr]:
			h.results[p.Addr] = p.Loan.result
		case p.Loan.pending:
			continue
		default:
			h.results[p.Addr] = p.Loan.early
		}
		news = news || awaited[p.Addr]
	}
	return news
}

// awaited tells whether a step still waits for the result of another.
func (h *hostRun) awaited(addr string) bool {
	for i := range h.planned {
		for _, waits := range h.planned[i].Waits {
			if waits == addr {
				return true
			}
		}
	}
	return false
}

// results makes the object step.KIND.NAME of a step.
func results(f *steps.Facts, p *Planned, obs steps.Observation, r steps.Result, changed bool) cty.Value {
	attrs := map[string]cty.Value{"changed": cty.BoolVal(changed)}
	given := map[string]cty.Value{}
	if o, ok := p.Step.(steps.Outputter); ok && !p.Skip && !(p.Data() && p.Err != nil) {
		given = o.Outputs(f, obs, r)
	}
	for _, out := range p.Kind.Outputs {
		if v, ok := given[out.Name]; ok {
			attrs[out.Name] = v
		} else {
			attrs[out.Name] = cty.NullVal(out.Type)
		}
	}
	return cty.ObjectVal(attrs)
}
