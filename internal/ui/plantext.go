package ui

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"provision/internal/event"
	"provision/internal/steps"
)

// Text writes the plan for a person. Hosts with the same changes stand together. With detail,
// steps that need nothing are listed too, and no text is cut short.
func (p *Plan) Text(w io.Writer, s Style, detail bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := bufio.NewWriter(w)
	groups := p.groups(detail)
	seen := map[string]bool{} // changes and texts that were shown
	for _, g := range groups {
		if len(g.steps) == 0 && len(groups) == 1 {
			continue // the summary says it all
		}
		fmt.Fprintln(out, s.heading(g, detail))
		if g.alike != nil {
			p.differences(out, s, g, detail, seen)
		} else {
			s.steps(out, g, g.steps, detail, seen)
		}
		if len(g.steps) > 0 {
			fmt.Fprintln(out)
		}
	}
	if n := len(groups); n > 0 && len(groups[n-1].steps) == 0 && n > 1 {
		fmt.Fprintln(out)
	}
	p.footer(out, s)
	return out.Flush()
}

func (s Style) heading(g *group, detail bool) string {
	limit := 6
	if detail {
		limit = 0
	}
	title := s.hostList(g.hosts, limit)
	if len(g.hosts) > 1 {
		title = count(len(g.hosts), "host") + ": " + title
	}
	title = s.paint(strong, title)
	if len(g.steps) == 0 {
		title += "  no changes"
	}
	return title
}

// steps writes lines for steps; those in seen come without their diff, and all are added to it.
func (s Style) steps(w io.Writer, g *group, list []*event.PlanStep, detail bool, seen map[string]bool) {
	var lines []line
	for _, step := range list {
		own := s.stepLines(step, detail, seen)
		key := stepKey(step)
		if seen[key] && len(own) > 1 && !detail {
			own = own[:1]
			own[0].word += "  (as above)"
		}
		seen[key] = true
		lines = append(lines, own...)
		if text := g.differs(step); text != "" {
			lines = append(lines, line{depth: 1, tone: faint, text: text})
		}
	}
	s.write(w, lines)
}

// differs says of a step that other hosts of the group have another form of it than the one that is shown, or "".
func (g *group) differs(step *event.PlanStep) string {
	if g.own[step.Addr] == 0 || len(g.hosts) < 2 {
		return ""
	}
	return "(on " + Line(g.hosts[0]) + "; it differs from host to host: --detail shows all)"
}

// differences tells a group by what sets it apart from the one that it is like.
func (p *Plan) differences(w io.Writer, s Style, g *group, detail bool, seen map[string]bool) {
	base := s.hostList(g.alike.hosts, 2)
	var own []*event.PlanStep
	byAddr := map[string]bool{}
	for _, step := range g.steps {
		byAddr[step.Addr] = true
		if step.Error != nil || !g.alike.keys[groupKey(step, g.own)] {
			own = append(own, step)
		}
	}
	var without []string
	for _, step := range g.alike.steps {
		if !byAddr[step.Addr] {
			without = append(without, Line(step.Addr))
		}
	}
	same := len(g.steps) - len(own)
	fmt.Fprintf(w, "  %s\n", s.paint(faint, count(same, "change")+" as on "+base+", but:"))
	s.steps(w, g, own, detail, seen)
	for _, addr := range without {
		sign, tone := s.sign(steps.NoOp)
		fmt.Fprintf(w, "  %s %s  no change\n", s.paint(tone, sign), addr)
	}
}

// write lays lines out in columns as wide as the steps need, or below each other where the
// screen is too narrow for them.
func (s Style) write(w io.Writer, lines []line) {
	addr, word, tail := 0, 0, 0
	for _, l := range lines {
		if l.depth == 0 {
			addr, word, tail = max(addr, width(l.text)), max(word, width(l.word)), max(tail, width(l.tail))
		}
	}
	addr, word = min(addr, 48), min(word, 48)
	narrow := s.Width > 0 && 4+addr+2+word+2+tail > s.Width
	for _, l := range lines {
		switch {
		case l.depth > 0:
			s.writeDetail(w, l)
		case narrow:
			text := "  " + s.paint(l.tone, l.sign) + " " + l.text + "  " + s.paint(l.tone, l.word)
			if used := 4 + width(l.text) + 2 + width(l.word) + 2 + width(l.tail); used <= s.Width {
				fmt.Fprintln(w, text+"  "+s.paint(faint, l.tail))
				continue
			}
			fmt.Fprintln(w, text)
			if l.tail != "" {
				fmt.Fprintln(w, "      "+s.paint(faint, l.tail))
			}
		default:
			text := "  " + s.paint(l.tone, l.sign) + " " + pad(l.text, addr) + "  " + s.paint(l.tone, l.word)
			if l.tail != "" {
				text += strings.Repeat(" ", max(0, word-width(l.word))+2) + s.paint(faint, l.tail)
			}
			fmt.Fprintln(w, strings.TrimRight(text, " "))
		}
	}
}

func (s Style) writeDetail(w io.Writer, l line) {
	indent := strings.Repeat(" ", 2+4*l.depth)
	switch {
	case l.depth == 2 && l.sign != "":
		fmt.Fprintln(w, strings.TrimRight(indent+s.paint(l.tone, l.sign+" "+l.text), " "))
	case l.sign != "":
		fmt.Fprintln(w, indent+s.paint(l.tone, l.sign)+" "+l.text)
	default:
		fmt.Fprintln(w, indent+s.paint(l.tone, l.text))
	}
}

// footer writes what nobody must miss: hosts without a plan, dangers, and the sum.
func (p *Plan) footer(w io.Writer, s Style) {
	troubled := p.troubled()
	for _, name := range troubled {
		fmt.Fprintln(w, s.paint(bad, s.cross())+" "+s.paint(strong, Line(name))+"  "+p.hosts[name].trouble)
		if hint := p.hosts[name].hint; hint != "" {
			fmt.Fprintln(w, s.wrap("    "+hint, 4))
		}
	}
	if len(troubled) > 0 {
		fmt.Fprintln(w)
	}
	if lines := p.messages.lines(s, len(p.hosts) > 1); len(lines) > 0 {
		fmt.Fprintln(w, strings.Join(lines, "\n")+"\n")
	}
	if texts, hosts := p.dangers(); len(texts) > 0 {
		fmt.Fprintln(w, s.paint(bad, "Take care:"))
		for _, text := range texts {
			if len(p.hosts) > 1 {
				text += " (" + s.hostList(hosts[text], 3) + ")"
			}
			fmt.Fprintln(w, "  "+s.paint(bad, "!")+s.wrap("    "+text, 4)[3:])
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, s.paint(strong, s.wrap(p.summary(s), 0)))
}

// summary is the last line of a plan: what there is to do, or that there is nothing, what could not be planned, and which
// hosts apply leaves as they are.
func (p *Plan) summary(s Style) string {
	c := p.counts()
	var said []string
	say := func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	switch {
	case c.dirty > 0:
		say("Plan: %s.", c.toDo())
		switch c.again {
		case 0:
		case 1:
			say("1 unchanged step is looked at again in its turn.")
		default:
			say("%d unchanged steps are looked at again in their turns.", c.again)
		}
	case len(c.clean) > 0:
		who := Line(c.clean[0]) + " is"
		if len(c.clean) > 1 {
			who = count(len(c.clean), "host") + " are"
		}
		checked := count(c.cleanSum, "step") + " checked"
		if p.duration > 0 {
			checked += " in " + short(p.duration)
		}
		if len(c.faulty)+len(c.without)+len(c.leftOut) == 0 {
			say("No changes.")
		}
		if c.unchosen > 0 {
			say("%s as the chosen steps say (%s, %d left out).", who, checked, c.unchosen)
			break
		}
		say("%s as the playbook says (%s).", who, checked)
	}
	if c.unplanned > 0 {
		where := ""
		if len(p.hosts) > 1 {
			where = " on " + s.hostList(c.faulty, 4)
		}
		some := count(c.unplanned, "step")
		if c.unplanned < c.total {
			some = fmt.Sprintf("%d of %s", c.unplanned, count(c.total, "step"))
		}
		say("%s %s%s.", some, unplannedWords, where)
	}
	if len(c.leftOut) > 0 {
		say("Apply changes nothing on %s until that is fixed.", s.hostList(c.leftOut, 4))
	}
	if len(c.without) > 0 {
		say("No plan for %s.", s.hostList(c.without, 4))
	}
	if len(c.skipped) > 0 {
		say("No play takes %s.", s.hostList(c.skipped, 4))
	}
	if len(said) == 0 {
		return "No hosts."
	}
	return strings.Join(said, " ")
}

// toDo counts what a plan with changes comes to.
func (c *planCounts) toDo() string {
	var parts []string
	for _, a := range []struct {
		action steps.Action
		text   string
	}{
		{steps.Create, "to create"},
		{steps.Update, "to change"},
		{steps.Delete, "to delete"},
		{steps.Execute, "to run"},
		{steps.Unknown, "known later"},
		{steps.NoOp, "unchanged"},
	} {
		if n := c.byAction[a.action]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, a.text))
		}
	}
	if c.unchosen > 0 {
		parts = append(parts, fmt.Sprintf("%d left out", c.unchosen))
	}
	text := strings.Join(parts, ", ")
	if n := len(c.planned); n > 1 {
		text += fmt.Sprintf(" on %d of %d hosts", c.dirty, n)
	}
	return text
}
