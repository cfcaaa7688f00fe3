package truth

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"provision/internal/event"
	"provision/internal/steps"
)

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// commandStep is a command that makes or removes one file, under one of its conditions.
func (g *generator) commandStep() {
	b, s := g.block("command"), &Step{}
	name := g.fresh()
	q := shellQuote(name)
	c := commandWish{path: name, content: fmt.Sprintf("made by %d\n", g.n)}
	made := g.made[path.Dir(name)]
	there := !made && g.chance("there", 40)
	script := fmt.Sprintf("printf '%%s\\n' 'made by %d' >%s", g.n, q)
	if there {
		g.place(Placed{Path: name, Type: "file", Mode: 0o644, Content: "old\n"})
	}
	c.runs = true
	switch g.number("condition", 0, 10) {
	case 0, 1:
		b.str("creates", name)
		c.runs = !there
	case 2:
		b.str("removes", name)
		script, c.gone, c.runs = "rm -f "+q, true, there
	case 3:
		b.str("unless", "test -e "+q)
		c.runs = !there
	case 4:
		b.str("only_if", "test ! -e "+q)
		c.runs = !there
	case 5:
		s.Always = true
		if g.chance("output", 50) {
			script += "; echo out; echo err >&2"
		}
	case 6, 9, 10: // on_change
		if len(g.earlier) > 0 {
			c.sources = g.sources()
			b.expr("on_change", addrs(c.sources))
		} else {
			s.Always = true
		}
	case 7:
		s.Always = true
		verdict := g.pick("changed_if", "true", "false", "test -n \"$stdout\"")
		b.str("changed_if", verdict)
		c.silent = verdict == "false"
		if verdict != "true" && verdict != "false" {
			if c.silent = g.chance("says nothing", 50); !c.silent {
				script += "; echo changed"
			}
		}
	case 8: // it does not make what it creates
		if g.chance("broken", 30) {
			b.str("creates", name)
			c.runs = !there
			script = "true"
			g.expect(s, ApplyError, "it does not make what it creates")
		} else {
			s.Always = true
		}
	}
	if g.chance("fails", 4) {
		script = "echo reason-of-the-failure >&2; exit 3"
		g.expect(s, ApplyError, "the command fails")
	}
	if !strings.Contains(script, "\n") && g.chance("as words", 25) {
		b.expr("run", fmt.Sprintf("[\"/bin/sh\", \"-c\", %s]", quote(script)))
	} else {
		b.str("script", script)
	}
	if g.chance("cwd", 10) {
		b.str("cwd", "/srv")
	}
	s.Explain = func(j *Judge, p *event.PlanStep) { j.command(p, c) }
	s.Wish = func(j *Judge) {}
	s.Silent = c.silent
	s.Sources = c.sources
	g.add(b, s)
}

type commandWish struct {
	path, content string
	runs          bool // as the host was before the run
	gone          bool // it removes the file
	silent        bool // changed_if says that nothing changed
	sources       []*Step
}

func (j *Judge) command(p *event.PlanStep, c commandWish) {
	if p.Action == steps.NoOp {
		if c.runs && c.sources == nil {
			j.say("the plan says that the command does not run, and its condition holds")
		}
		j.raised(j.step)
		return
	}
	if p.Action != steps.Execute {
		j.say("the plan of a command says %s", p.Action)
	}
	if !c.runs && c.sources == nil {
		j.say("the plan says that the command runs, and its condition does not hold")
	}
	if j.Ended[p.Addr] == event.StepUnchanged && !c.silent {
		j.raised(j.step)
		return // what it watches came out unchanged
	}
	j.explain(c.path)
	e := j.After.Files[c.path]
	if c.gone != (e == nil) {
		j.say("the command was planned, and %s is not as it leaves it", c.path)
	} else if e != nil && e.Content != c.content {
		j.say("the command was planned, and %s holds %q", c.path, e.Content)
	}
}

// raised tells whether a step has an excuse for not having run: it watches others, and none of these has changed.
func (j *Judge) raised(s *Step) bool {
	for _, source := range s.Sources {
		if j.Ended[source.Addr] == event.StepChanged {
			j.say("%s changed, and what watches it did not run", source.Addr)
		}
	}
	return len(s.Sources) > 0
}

// anyOf tells whether one of the steps ended as one of these.
func (j *Judge) anyOf(list []*Step, statuses ...event.StepStatus) bool {
	return slices.ContainsFunc(list, func(s *Step) bool { return slices.Contains(statuses, j.Ended[s.Addr]) })
}

// reference is a file whose content is what a command puts out, and that cannot be known before.
func (g *generator) reference() {
	b, s := g.block("command"), &Step{Always: true}
	value := g.pick("value", "value", "two words", "it's", "$HOME", "%s\\n")
	b.expr("run", fmt.Sprintf("[\"printf\", \"%%s\\n\", %s]", quote(value)))
	if g.chance("changed_if", 30) {
		b.str("changed_if", "false")
		s.Silent = true
	}
	s.Explain = func(*Judge, *event.PlanStep) {}
	s.Wish = func(*Judge) {}
	g.add(b, s)
	if s.Skip {
		return
	}
	f, r := g.block("file"), &Step{Always: true}
	content := value + "\n"
	w := fileWish{path: g.fresh(), content: &content, defaultMode: "0644"}
	f.str("path", w.path)
	f.expr("content", fmt.Sprintf("\"${%s.stdout}\\n\"", s.Addr))
	if !g.made[path.Dir(w.path)] && g.chance("there", 50) {
		g.place(Placed{Path: w.path, Type: "file", Mode: 0o644, Content: g.pick("is", content, "old\n")})
	}
	r.Explain = func(j *Judge, p *event.PlanStep) { j.file(p, w) }
	r.Wish = func(j *Judge) { j.wishFile(w) }
	g.add(f, r)
}

// many is a file for each of a few names.
func (g *generator) many() {
	b := g.block("file")
	dir := g.dir()
	b.expr("for_each", `{ one = "1\n", "t w o" = "2\n" }`)
	b.expr("path", fmt.Sprintf("\"%s/${each.key}\"", strings.Trim(quote(path.Join(dir, fmt.Sprintf("%deach", g.n))), `"`)))
	b.expr("content", "each.value")
	g.scene.Blocks = append(g.scene.Blocks, b.text())
	for _, each := range [][2]string{{"one", "1\n"}, {"t w o", "2\n"}} {
		s := &Step{Kind: "file", Addr: fmt.Sprintf("step.file.%s[%q]", b.name, each[0])}
		content := each[1]
		w := fileWish{path: path.Join(dir, fmt.Sprintf("%deach", g.n), each[0]), content: &content, defaultMode: "0644"}
		// Its directory is there, or a plan cannot be made.
		g.inPlace(w, s, "file")
		s.Explain = func(j *Judge, p *event.PlanStep) { j.file(p, w) }
		s.Wish = func(j *Judge) { j.wishFile(w) }
		g.scene.Steps = append(g.scene.Steps, s)
		g.earlier = append(g.earlier, s)
	}
	g.place(Placed{Path: path.Join(dir, fmt.Sprintf("%deach", g.n)), Type: "directory", Mode: 0o755})
}
