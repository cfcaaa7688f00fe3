package playbook

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// A closure is everything that a local value leads to, directly or through others.
type closure struct {
	roots []string // host, fact, step, data, module
	items []*item  // steps, data and modules
}

// inOrder reports a reference that leads, perhaps through local values, to a later step, or to
// what is not known in these surroundings.
func (m *module) inOrder(ref *reference, in surroundings) *hcl.Diagnostic {
	switch ref.root {
	case "step", "data", "module":
		if target := m.target(ref); in.item != nil && target.order >= in.item.order {
			return laterDiagnostic(ref.rng, in.item, target, "")
		}
	case "local":
		through := m.locals[ref.name].closure
		if through == nil {
			return nil // a local value that is being linked, or part of a cycle
		}
		for _, root := range through.roots {
			if !slices.Contains(in.roots, root) {
				where := in.where
				if where == "" {
					where = "here"
				}
				return problem(ref.rng, "Name not known here", fmt.Sprintf("local.%s depends on %q, which is not known %s; use %s.", ref.name, root, where, listing(in.roots, "or")))
			}
		}
		for _, target := range through.items {
			if in.item != nil && target.order >= in.item.order {
				return laterDiagnostic(ref.rng, in.item, target, fmt.Sprintf(" The reference goes through local.%s.", ref.name))
			}
		}
	}
	return nil
}

// findCycles works out the closure of each local value and reports those that lead to
// themselves.
func (pb *Playbook) findCycles(m *module) {
	var chain []*local
	var visit func(l *local) *closure
	visit = func(l *local) *closure {
		if l.closure != nil {
			return l.closure
		}
		if l.visited {
			at := slices.Index(chain, l)
			if at < 0 {
				return &closure{}
			}
			names := make([]string, 0, len(chain)-at+1)
			for _, c := range chain[at:] {
				c.expr.bad = true
				names = append(names, "local."+c.name)
			}
			pb.loading.error(l.expr.Range(), "A local value that depends on itself", fmt.Sprintf("%s → %s. Break the circle.", strings.Join(names, " → "), names[0]))
			return &closure{}
		}
		l.visited = true
		chain = append(chain, l)
		c := &closure{}
		for _, ref := range l.expr.refs {
			switch ref.root {
			case "local":
				through := visit(m.locals[ref.name])
				c.roots = append(c.roots, through.roots...)
				c.items = append(c.items, through.items...)
			case "step", "data", "module":
				c.items = append(c.items, m.target(&ref))
				c.roots = append(c.roots, ref.root)
			case "host", "fact":
				c.roots = append(c.roots, ref.root)
			}
		}
		slices.Sort(c.roots)
		c.roots = slices.Compact(c.roots)
		slices.SortFunc(c.items, func(a, b *item) int { return a.order - b.order })
		c.items = slices.Compact(c.items)
		chain = chain[:len(chain)-1]
		l.closure = c
		return c
	}
	for _, name := range keys(m.locals) {
		visit(m.locals[name])
	}
}
