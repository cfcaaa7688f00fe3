package playbook

import (
	"errors"
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"provision/internal/inventory"
)

// A play is a play block, or what the steps outside of every play form.
type play struct {
	name         string
	rng          hcl.Range
	hosts        *expression // nil: all
	meta         meta
	block        *hcl.Block // rollout
	rollout      Rollout
	becomeStatic *bool
	selected     map[*inventory.Host]bool
}

func (p *play) selects(h *inventory.Host) bool { return h.Everywhere || p.selected[h] }

// openPlay returns the play of a step outside of every play block. There is one such play:
// addresses and rollouts would be ambiguous with several.
func (pb *Playbook) openPlay(m *module, b *hcl.Block) *play {
	plays := m.root.plays
	for i, p := range plays {
		if p.name != "" {
			continue
		}
		if i != len(plays)-1 {
			pb.loading.error(b.DefRange, "Steps apart from each other", fmt.Sprintf("The steps outside of plays form one play, which begins at %s, line %d, and the play %q stands between. Put this %s into a play block, or move it.",
				p.rng.Filename, p.rng.Start.Line, plays[i+1].name, b.Type))
		}
		return p
	}
	p := &play{rng: b.DefRange}
	m.root.plays = append(m.root.plays, p)
	return p
}

func (pb *Playbook) readPlay(m *module, b *hcl.Block) {
	content, diags := b.Body.Content(&playSchema)
	pb.loading.add(diags...)
	p := &play{name: b.Labels[0], rng: b.DefRange, meta: pb.readMeta(content.Attributes)}
	if !pb.validName(b, 0) {
		return
	}
	for _, other := range m.root.plays {
		if other.name == p.name {
			pb.duplicate(b, "play", other.rng)
		}
	}
	m.root.plays = append(m.root.plays, p)
	if a := content.Attributes["hosts"]; a != nil {
		p.hosts = newExpression(a.Expr)
	}
	blocks := content.Blocks
	sortBlocks(blocks)
	for _, inner := range blocks {
		if inner.Type != "rollout" {
			pb.readItem(m, p, inner)
			continue
		}
		if p.block != nil {
			pb.duplicate(inner, "rollout block", p.block.DefRange)
			continue
		}
		p.block = inner
	}
}

// linkRoot links what only the playbook itself has.
func (pb *Playbook) linkRoot(m *module) {
	for _, p := range m.root.plays {
		pb.linkExpression(m, p.hosts, surroundings{roots: staticRoots, where: "in the hosts of a play"})
		for _, e := range p.meta.expressions() {
			pb.linkExpression(m, e, surroundings{roots: playRoots, where: "in the arguments of a play"})
		}
	}
	if m.root.test != nil {
		pb.linkExpression(m, m.root.test.image, surroundings{roots: staticRoots, where: "in a test block"})
	}
	for _, c := range m.root.checks {
		pb.linkExpression(m, c.hosts, surroundings{roots: staticRoots, where: "in the hosts of a check"})
		pb.linkItem(m, c.item)
	}
}

// loadPlays works out which hosts each play and each check selects, and the rollouts.
func (pb *Playbook) loadPlays() {
	s := pb.staticScope()
	root := pb.root.root
	for _, p := range root.plays {
		p.selected = pb.selectHosts(s, p.hosts)
		switch {
		case p.block != nil:
			p.rollout = pb.readRollout(s, p.block)
		case p.name == "" && root.rollout != nil:
			p.rollout = pb.readRollout(s, root.rollout)
		}
		if e := p.meta.become; e != nil && len(e.refs) == 0 {
			if v, diags := e.constant(pb.root, pb); !diags.HasErrors() && v.Type() == cty.Bool && v.IsKnown() && !v.IsNull() && !v.IsMarked() {
				become := v.True()
				p.becomeStatic = &become
			}
		}
	}
	anonymous := len(root.plays) > 0
	for _, p := range root.plays {
		anonymous = anonymous && p.name != ""
	}
	if root.rollout != nil && (anonymous || len(root.plays) == 0) {
		pb.loading.error(root.rollout.DefRange, "A rollout without a play", "A rollout outside of the plays is for steps outside of them, and there are none. Put it into a play.")
	}
	for _, c := range root.checks {
		c.item.play.selected = pb.selectHosts(s, c.hosts)
	}
	pb.loadTest(s)
	pb.plays, pb.checks = root.plays, root.checks
	pb.loading.add(s.run.found.diags...)
}

// staticScope is the scope of what does not depend on a host.
func (pb *Playbook) staticScope() *scope {
	return newScope(&run{pb: pb, object: cty.DynamicVal, facts: cty.DynamicVal}, pb.root)
}

func (pb *Playbook) selectHosts(s *scope, e *expression) map[*inventory.Host]bool {
	chosen := map[*inventory.Host]bool{}
	patterns := []string{"all"}
	if e != nil {
		var ok bool
		if patterns, ok = s.staticStrings(e, "hosts"); !ok {
			return chosen
		}
		if len(patterns) == 0 {
			s.run.found.error(e.Range(), "No hosts", "The list is empty. Name hosts or groups, or leave hosts out for all of them.")
		}
	}
	if len(pb.inv.Hosts()) == 0 {
		return chosen // for a throw-away host, which takes part in every play
	}
	hosts, err := pb.inv.Select(patterns...)
	if err != nil {
		s.run.found.error(e.Range(), "No such hosts", sentence(err.Error()))
		var unmatched *inventory.UnmatchedError
		if !errors.As(err, &unmatched) {
			return chosen
		}
	}
	for _, h := range hosts {
		chosen[h] = true
	}
	return chosen
}

// staticStrings evaluates a list of strings, or one, that must be known before any host is.
func (s *scope) staticStrings(e *expression, name string) ([]string, bool) {
	v, ok := s.static(e, cty.DynamicPseudoType, name)
	if !ok || v.IsNull() {
		return nil, ok
	}
	if v.Type() == cty.String {
		return []string{v.AsString()}, true
	}
	v, err := convert.Convert(v, cty.List(cty.String))
	if err != nil || v.IsNull() {
		s.run.found.error(e.Range(), "Invalid value for "+name, "A list of strings is required.")
		return nil, false
	}
	list := []string{}
	for it := v.ElementIterator(); it.Next(); {
		_, item := it.Element()
		if item.IsNull() {
			s.run.found.error(e.Range(), "Invalid value for "+name, "The list holds a null.")
			return nil, false
		}
		list = append(list, item.AsString())
	}
	return list, true
}

// static evaluates an expression that must be known before any host is, and not sensitive.
func (s *scope) static(e *expression, ty cty.Type, name string) (cty.Value, bool) {
	res := s.eval(e, nil)
	if res.failed {
		return cty.NilVal, false
	}
	if sensitive(res.value) {
		s.run.found.error(e.Range(), "Invalid value for "+name, "It is shown to people and cannot be sensitive.")
		return cty.NilVal, false
	}
	v, err := convert.Convert(res.value, ty)
	if err != nil || !v.IsWhollyKnown() {
		s.run.found.error(e.Range(), "Invalid value for "+name, sentence(withArticle(ty.FriendlyName())+" is required"))
		return cty.NilVal, false
	}
	return v, true
}
