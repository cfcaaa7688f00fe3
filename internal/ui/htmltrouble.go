package ui

import (
	"fmt"
	"slices"
	"strings"

	"provision/internal/event"
	"provision/internal/steps"
)

// What the page shows at most beside the hosts themselves.
const (
	pageTroubles = 60
	pageDangers  = 60
	pageEach     = 30 // reasons of hosts that have one each
)

// A pageTrouble is one thing that went wrong, with all hosts on which it went wrong in the same way.
type pageTrouble struct {
	Title, Words, Symbol, Tone, Hosts string
	Message, Place, Source            string
	Command, Output, Hint             string
	Exit                              int
	Cut                               bool // the output is only the end of what there was
	Diff                              []pageLine
	Each                              []named // in place of Message, where every host has its own
	First                             int     // index of the first of the hosts
	FirstName                         string
}

// A pageLine is a line of a diff.
type pageLine struct {
	Depth             int
	Class, Sign, Text string
}

// troubles lists what went wrong, the same on several hosts once, and how many more there are than fit.
func (r *reported) troubles(names []string) (list []pageTrouble, more int) {
	all := troubleGroups{byKey: map[string]*troubleGroup{}}
	for i, name := range names {
		h := r.hosts[name]
		told := false
		for _, s := range h.ordered() {
			if s.verdict(r.start.Command).trouble() {
				told = true
				all.add(i, name, r.stepTrouble(s), "")
			}
		}
		if t := r.hostTrouble(h); t != nil && !(told && (h.end.BySteps || h.end.Status == event.HostInterrupted && h.interrupted())) {
			// Why a host cannot be reached has its address in it: hosts are alike in all but that.
			why := t.Message
			t.Message = ""
			all.add(i, name, *t, why)
		}
	}
	for i, g := range all.list {
		if i == pageTroubles {
			return list, len(all.list) - i
		}
		list = append(list, g.trouble())
	}
	return list, 0
}

type troubleGroups struct {
	list  []*troubleGroup
	byKey map[string]*troubleGroup
}

// A troubleGroup is what went wrong in the same way on some hosts, but for the words that each has for it.
type troubleGroup struct {
	pageTrouble
	hosts, whys []string
}

func (g *troubleGroups) add(index int, host string, t pageTrouble, why string) {
	key := fmt.Sprint(t)
	group := g.byKey[key]
	if group == nil {
		t.First, t.FirstName = index, Line(host)
		group = &troubleGroup{pageTrouble: t}
		g.byKey[key] = group
		g.list = append(g.list, group)
	}
	group.hosts, group.whys = append(group.hosts, host), append(group.whys, why)
}

func (g *troubleGroup) trouble() pageTrouble {
	t := g.pageTrouble
	t.Hosts = Style{Unicode: true}.hostList(g.hosts, 12)
	if n := len(g.hosts); n > 1 {
		t.Hosts = count(n, "host") + ": " + t.Hosts
	}
	distinct := slices.Compact(slices.Sorted(slices.Values(g.whys)))
	if len(distinct) == 1 {
		if distinct[0] != "" {
			t.Message = distinct[0]
		}
		return t
	}
	for i, why := range g.whys {
		if i == pageEach {
			t.Each = append(t.Each, named{"", fmt.Sprintf("… and of %d more hosts", len(g.whys)-i)})
			break
		}
		t.Each = append(t.Each, named{Line(g.hosts[i]), why})
	}
	return t
}

func (r *reported) stepTrouble(s *reportedStep) pageTrouble {
	v, f := s.verdict(r.start.Command), s.failure()
	t := pageTrouble{
		Title: Line(s.addr), Words: v.words(), Message: headOf(inline(f.Message), pageWords), Place: place(s.source), Source: strings.TrimSpace(Line(s.source.Text)),
		Command: headOf(strings.TrimRight(Clean(f.Command), "\n"), pageCommand), Exit: f.Exit, Output: shownOutput(f.Output), Hint: headOf(inline(f.Hint), pageWords),
		Cut: len(f.Output) > reportedOutput-200,
	}
	t.Symbol, t.Tone = v.look()
	switch {
	case s.left != nil:
		t.Diff = pageDiff(s.left)
	case s.end != nil && len(s.end.Diff) > 0:
		t.Diff = pageDiff(&event.PlanStep{Diff: s.end.Diff})
	}
	return t
}

// hostTrouble is what happened to a host outside of its steps, nil if nothing did.
func (r *reported) hostTrouble(h *reportedHost) *pageTrouble {
	if h.end == nil {
		return nil // the headline says it
	}
	v := verdict(h.end.Status)
	if !v.trouble() {
		return nil
	}
	t := &pageTrouble{Title: "host", Words: v.words(), Message: headOf(inline(h.end.Message), pageWords)}
	t.Symbol, t.Tone = v.look()
	if u := h.unreachable; u != nil {
		t.Title, t.Message, t.Hint = "connection", Line(u.Phase)+": "+Line(u.Message), Line(u.Hint)
	}
	return t
}

// shownOutput cleans what a step printed, each line in its last state.
func shownOutput(output string) string {
	lines := strings.Split(strings.TrimRight(output, "\r\n"), "\n")
	for i, l := range lines {
		lines[i] = Clean(lastState(l))
	}
	return strings.Join(lines, "\n")
}

// dangers lists what a plan breaks, with its hosts. Once it is done it is history.
func (r *reported) dangers(names []string) []named {
	if r.start.Command != event.CommandPlan {
		return nil
	}
	hosts := map[string][]string{}
	var texts []string
	for _, name := range names {
		for _, s := range r.hosts[name].steps {
			if s.plan == nil || s.plan.Action == steps.NoOp && len(s.plan.Events) == 0 {
				continue
			}
			for _, text := range stepDangers(s.plan) {
				if hosts[text] == nil {
					texts = append(texts, text)
				}
				hosts[text] = append(hosts[text], name)
			}
		}
	}
	var list []named
	for i, text := range texts {
		if i == pageDangers {
			return append(list, named{fmt.Sprintf("%d more, told with their steps", len(texts)-i), ""})
		}
		list = append(list, named{text, Style{Unicode: true}.hostList(hosts[text], 6)})
	}
	return list
}

// Of one diff the page shows at most so many lines, and so much of a line.
const (
	pageDiffLines = 200
	pageDiffWidth = 1000
)

// pageDiff lays out what a step changes.
func pageDiff(p *event.PlanStep) []pageLine {
	s := Style{Unicode: true}
	var list []pageLine
	lines := s.stepLines(p, true, map[string]bool{})[1:]
	for i, l := range lines {
		if i == pageDiffLines {
			return append(list, pageLine{2, "calm", "", fmt.Sprintf("… %d more lines; provision plan --detail shows all", len(lines)-i)})
		}
		list = append(list, pageLine{l.depth, toneClass(l.tone), l.sign, cut(l.text, pageDiffWidth, "…")})
	}
	return list
}

func toneClass(t tone) string {
	switch t {
	case good:
		return "good"
	case bad:
		return "bad"
	case changed:
		return "warn"
	case running, unsure:
		return "info"
	case faint:
		return "calm"
	}
	return "plain"
}
