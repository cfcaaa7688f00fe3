package truth

import (
	"fmt"
	"path"

	"provision/internal/event"
	"provision/internal/steps"
)

// pair is two or three steps about one file: what the plan says of the later ones must hold for what the earlier ones leave.
func (g *generator) pair() {
	name := g.fresh()
	if g.made[path.Dir(name)] {
		g.line()
		return
	}
	g.place(Placed{Path: name, Type: "file", Mode: 0o644, Content: g.pick("text", "level=1\nother\n", "color=red\n", "level=1\nlevel=2\nx\n", "last")})
	var told []*event.PlanStep
	last := g.number("steps of one file", 2, 3)
	for i := range last {
		b, s := g.block("line"), &Step{}
		b.name = fmt.Sprintf("s%d_%d", g.n, i)
		switch g.number("edit", 0, 2) {
		case 0:
			b.kind = "replace"
			match := g.pick("match", "red", "e", "level=.", "o")
			b.str("match", match)
			b.str("with", map[string]string{"red": "blue", "e": "E", "level=.": "level=7", "o": ""}[match])
		case 1:
			b.kind = "file"
			b.str("content", g.pick("content", "level=1\nother\n", "new\n", "color=red\nlevel=9\n"))
		default:
			b.str("match", g.pick("match", "^level=", "^color=", "^other", "^new"))
			b.str("line", g.pick("line", "level=2", "color=blue", "other", "red"))
		}
		b.str("path", name)
		s.Explain = func(j *Judge, p *event.PlanStep) {
			if p.Action != steps.NoOp {
				j.explain(name)
			}
			if told = append(told, p); len(told) == last {
				j.together(name, told)
			}
		}
		s.Wish = func(*Judge) {}
		s.Always = true // the steps may undo each other
		g.scene.Blocks = append(g.scene.Blocks, b.text())
		s.Kind, s.Addr = b.kind, "step."+b.kind+"."+b.name
		g.scene.Steps = append(g.scene.Steps, s)
	}
}

// together compares the lines that the plans of all steps about one file name with those that came and went. Where a plan is known later
// it names none, and nothing can be compared.
func (j *Judge) together(name string, told []*event.PlanStep) {
	all := event.PlanStep{}
	for _, p := range told {
		if p.Action == steps.Unknown {
			return
		}
		for _, a := range p.Diff {
			if p.Kind != "file" {
				all.Diff = append(all.Diff, a)
				continue
			}
			for _, l := range splitLines(a.Before) {
				all.Diff = append(all.Diff, steps.Attr{Before: l, AfterMissing: true})
			}
			for _, l := range splitLines(a.After) {
				all.Diff = append(all.Diff, steps.Attr{After: l, BeforeMissing: true})
			}
		}
	}
	j.lines(&all, name)
}
