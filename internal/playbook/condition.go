package playbook

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// A condition is what the when of a block, and of those around it, comes to.
type condition struct {
	skip   bool
	waits  []string // it is not known yet
	failed bool
}

func (c condition) and(other condition) condition {
	return condition{skip: c.skip || other.skip, waits: unique(append(append([]string(nil), c.waits...), other.waits...)), failed: c.failed || other.failed}
}

// when evaluates one condition; without one it is true.
func (s *scope) when(e *expression, inst *each) condition {
	if e == nil {
		return condition{}
	}
	res := s.eval(e, inst)
	if res.failed {
		return condition{failed: true}
	}
	v, _ := res.value.UnmarkDeep()
	b, err := convert.Convert(v, cty.Bool)
	switch {
	case err != nil:
		s.run.found.error(e.Range(), "Invalid condition", "when must be true or false; this is "+withArticle(v.Type().FriendlyName())+".")
		return condition{failed: true}
	case !b.IsKnown():
		return condition{waits: res.waits}
	case b.IsNull():
		null := problem(e.Range(), "Invalid condition", "when must be true or false; this is null.")
		s.run.found.add(withAbsent(hcl.Diagnostics{null}, res.absent)...)
		return condition{failed: true}
	}
	return condition{skip: b.False()}
}

// condition returns whether a block is skipped: for its own when, that of its play and those of
// the modules around it.
func (s *scope) condition(it *item, inst *each) condition {
	around := s.moduleState()
	if it.play != nil {
		around = s.when(it.play.meta.when, nil)
	}
	if around.skip || around.failed || it.meta.when == nil {
		return around
	}
	return around.and(s.when(it.meta.when, inst))
}

// moduleState is the condition of the module block that the scope stands for.
func (s *scope) moduleState() condition {
	if s.parent == nil {
		return condition{}
	}
	if s.state == nil {
		var c condition
		s.stated = s.run.apart(func() { c = s.parent.condition(s.call, s.each) })
		s.state = &c
	}
	s.run.found.add(s.stated...)
	return *s.state
}
