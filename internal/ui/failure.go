package ui

import (
	"fmt"
	"strings"
	"time"

	"provision/internal/event"
	"provision/internal/steps"
)

const failureLines = 20 // of output, in a failure block

// failure is the block that says all about a step that went wrong: where it stands, what ran,
// what it printed, and what to do next.
func (s Style) failure(host string, e *event.StepEnd) []string {
	verdict := strings.ReplaceAll(string(e.Status), "_", " ")
	if e.Status == event.StepNotConverged {
		verdict = "did not converge"
	}
	head := func(verdict string) string {
		return s.paint(bad, s.cross()+" "+Line(host)+"  "+Line(e.Addr)+"  "+verdict)
	}
	lines := []string{head(verdict) + "  " + s.paint(faint, "after "+short(time.Duration(e.Duration)))}
	if neverRan(e) {
		lines = []string{head(unplannedWords)}
	}
	field := func(name, text string) {
		if text != "" {
			lines = append(lines, "    "+s.paint(faint, pad(name, 9))+text)
		}
	}
	if at := place(e.Source); at != "" {
		field("at", at+"  "+s.paint(faint, strings.TrimSpace(Line(e.Source.Text))))
	}
	if e.Error == nil {
		field("why", inline(e.Reason))
	} else {
		field("why", inline(e.Error.Message))
		for i, command := range strings.Split(strings.TrimRight(Clean(e.Error.Command), "\n"), "\n") {
			if i == 5 {
				field("", s.dots())
				break
			}
			name := "command"
			if i > 0 {
				name = ""
			}
			field(name, command)
		}
		if e.Error.Exit != 0 {
			field("exit", fmt.Sprintf("status %d", e.Error.Exit))
		}
	}
	for _, l := range s.diffOf(e) {
		var b strings.Builder
		s.writeDetail(&b, l)
		lines = append(lines, strings.TrimRight(b.String(), "\n"))
	}
	if e.Error != nil {
		lines = append(lines, s.tail(e.Error.Output)...)
		field("next", inline(e.Error.Hint))
	}
	return lines
}

// unplanned is the block for a step that cannot be planned.
func (s Style) unplanned(host string, p *event.PlanStep) []string {
	lines := []string{s.paint(bad, s.cross()+" "+Line(host)+"  "+Line(p.Addr)+"  "+unplannedWords)}
	field := func(name, text string) {
		if text != "" {
			lines = append(lines, "    "+s.paint(faint, pad(name, 9))+text)
		}
	}
	if at := place(p.Source); at != "" {
		field("at", at+"  "+s.paint(faint, strings.TrimSpace(Line(p.Source.Text))))
	}
	field("why", inline(p.Error.Message))
	field("next", inline(p.Error.Hint))
	return lines
}

// neverRan tells whether a step, which may fail, could not even be planned.
func neverRan(e *event.StepEnd) bool {
	return e.Status == event.StepFailed && e.Action == steps.Unknown && e.Duration == 0
}

// diffOf is what still differs after a step that did not converge.
func (s Style) diffOf(e *event.StepEnd) []line {
	names := 0
	for _, a := range e.Diff {
		names = max(names, width(Line(a.Name)))
	}
	var lines []line
	for _, a := range e.Diff {
		lines = append(lines, s.attrLines(a, names, false)...)
	}
	return lines
}

// tail is the end of what a step printed.
func (s Style) tail(output string) []string {
	output = strings.TrimRight(output, "\r\n")
	if output == "" {
		return nil
	}
	all := strings.Split(output, "\n")
	title := "output"
	if len(all) > failureLines {
		title = fmt.Sprintf("output, the last %d lines", failureLines)
		all = all[len(all)-failureLines:]
	}
	lines := []string{"    " + s.paint(faint, title)}
	for _, l := range all {
		lines = append(lines, "    "+s.paint(faint, s.rail())+" "+tabs(Clean(lastState(l))))
	}
	return lines
}
