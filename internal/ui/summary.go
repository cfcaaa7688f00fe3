package ui

import (
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/maruel/natural"

	"provision/internal/event"
)

// A Summary is a Sink that says at the end of a run how it went for every host: those that did
// equally well on one line, failed apart from unreachable, and the command that goes on. It is
// silent about plans, which have a summary of their own.
type Summary struct {
	Quiet bool // say nothing of a run that went well

	w     io.Writer
	style Style

	mu       sync.Mutex
	start    event.RunStart
	ends     map[string]*event.HostEnd
	failures map[string][]summaryFailure // by host, in order
	hints    map[string]string           // by host that cannot be reached
	planned  map[string]bool             // hosts that the plan has told of, with the reason
	checks   int
	messages messages
	err      error
}

// NewSummary returns a Summary that writes to w.
func NewSummary(w io.Writer, s Style) *Summary {
	return &Summary{w: w, style: s, ends: map[string]*event.HostEnd{}, failures: map[string][]summaryFailure{}, hints: map[string]string{}, planned: map[string]bool{}}
}

// Err returns the first error of the writer.
func (s *Summary) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Event implements engine.Sink.
func (s *Summary) Event(e event.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case e.RunStart != nil:
		s.start = *e.RunStart
	case e.PlanStep != nil && e.PlanStep.Error != nil:
		s.add(e.Host, e.PlanStep.Addr, unplanned(e.PlanStep))
	case e.PlanStep != nil:
		s.remove(e.Host, e.PlanStep.Addr) // planned anew, and well
	case e.StepEnd != nil:
		if reason := failed(e.StepEnd); reason != "" {
			s.add(e.Host, e.StepEnd.Addr, reason)
		}
	case e.CheckEnd != nil && e.CheckEnd.OK:
		s.checks++
	case e.CheckEnd != nil:
		s.add(e.Host, "check."+e.CheckEnd.Name, checkFailed(e.CheckEnd))
	case e.Message != nil && e.Message.At == event.AtApply:
		s.messages.add(e.Host, e.Message)
	case e.HostUnreachable != nil:
		s.hints[e.Host] = Line(e.HostUnreachable.Hint)
	case e.HostEnd != nil:
		s.ends[e.Host] = e.HostEnd
	case e.RunEnd != nil && s.Quiet && e.RunEnd.Exit == 0:
	case e.RunEnd != nil && s.start.Command != event.CommandPlan:
		_, err := io.WriteString(s.w, strings.Join(s.lines(e.RunEnd), "\n")+"\n")
		if s.err == nil {
			s.err = err
		}
	}
}

// A summaryFailure is what went wrong with a step or a check.
type summaryFailure struct{ addr, reason string }

// add notes what went wrong with a step; the last word on it counts.
func (s *Summary) add(host, addr, reason string) {
	list := s.failures[host]
	for i := range list {
		if list[i].addr == addr {
			list[i].reason = reason
			return
		}
	}
	s.failures[host] = append(list, summaryFailure{addr, reason})
}

func (s *Summary) remove(host, addr string) {
	s.failures[host] = slices.DeleteFunc(s.failures[host], func(f summaryFailure) bool { return f.addr == addr })
}

// reasons are the lines for what went wrong on a host.
func (s *Summary) reasons(host string) []string {
	var lines []string
	for _, f := range s.failures[host] {
		lines = append(lines, f.reason)
	}
	return lines
}

// unplanned says in one line why a step cannot be planned.
func unplanned(p *event.PlanStep) string {
	return told(p.Addr, unplannedWords, p.Error.Message, p.Source)
}

// checkFailed says in one line why a check failed.
func checkFailed(c *event.CheckEnd) string {
	return told("check."+strings.TrimPrefix(c.Name, "check."), "failed", c.Message, c.Source)
}

// told says in one line what went wrong where, and why.
func told(addr, what, why string, source event.Source) string {
	text := Line(addr) + " " + what
	switch why = inline(why); {
	case strings.HasPrefix(why, what+" "): // "failed with status 3"
		text = Line(addr) + " " + why
	case why != "":
		text += ": " + why
	}
	if at := place(source); at != "" {
		text += " (" + at + ")"
	}
	return text
}

// failed says in one line what went wrong with a step, "" if nothing did.
func failed(e *event.StepEnd) string {
	text := ""
	switch e.Status {
	case event.StepFailed:
		text = "failed"
		if neverRan(e) {
			text = unplannedWords
		}
	case event.StepNotConverged:
		text = "did not converge"
	case event.StepInterrupted:
		text = "interrupted"
	default:
		return ""
	}
	why := e.Reason
	if e.Error != nil {
		why = e.Error.Message
	}
	return told(e.Addr, text, why, e.Source)
}

func (s *Summary) lines(end *event.RunEnd) []string {
	lines := []string{""}
	groups := s.groups()
	names := 0
	for _, g := range groups {
		names = max(names, width(g.title(s.style)))
	}
	names = min(names, 40)
	for _, g := range groups {
		lines = append(lines, s.groupLines(g, names)...)
	}
	if slow := s.slowest(); slow != "" {
		lines = append(lines, s.style.wrap(slow, 2))
	}
	if len(groups) > 0 {
		lines = append(lines, "")
	}
	if told := s.messages.lines(s.style, len(s.ends) > 1); len(told) > 0 {
		lines = append(append(lines, told...), "")
	}
	return append(lines, s.verdict(end)...)
}

// slowest names the hosts of a fleet that took longest, "" where there are few or none took long.
func (s *Summary) slowest() string {
	const named, fewest = 3, 5
	var names []string
	for name, end := range s.ends {
		if time.Duration(end.Duration) >= time.Second {
			names = append(names, name)
		}
	}
	if len(s.ends) < fewest || len(names) == 0 {
		return ""
	}
	slices.SortStableFunc(names, natural.Compare)
	sort.SliceStable(names, func(i, j int) bool { return s.ends[names[i]].Duration > s.ends[names[j]].Duration })
	for i, name := range names {
		names[i] = Line(name) + " " + short(time.Duration(s.ends[name].Duration))
	}
	return s.style.paint(faint, "Slowest: "+strings.Join(names[:min(named, len(names))], ", "))
}

// CatchUp takes an event that was told before the Summary took part: the plan beside it has why a host cannot be reached.
func (s *Summary) CatchUp(e event.Event) {
	s.Event(e)
	if e.HostEnd != nil && e.HostEnd.Status == event.HostUnreached && !s.Quiet {
		s.planned[e.Host] = true
	}
}

// A verdictGroup is a set of hosts for which a run ended in the same way.
type verdictGroup struct {
	hosts   []string
	end     *event.HostEnd
	reasons []string
	hint    string
	planned bool
	longest time.Duration
}

func (g *verdictGroup) title(s Style) string {
	if len(g.hosts) == 1 {
		return Line(g.hosts[0])
	}
	return count(len(g.hosts), "host") + ": " + s.hostList(g.hosts, 4)
}

// groups orders the hosts: what went well first, so that what did not is next to the prompt.
func (s *Summary) groups() []*verdictGroup {
	names := make([]string, 0, len(s.ends))
	for name := range s.ends {
		names = append(names, name)
	}
	slices.SortStableFunc(names, natural.Compare)
	var groups []*verdictGroup
	for _, status := range []event.HostStatus{
		event.HostOK, event.HostSkipped, event.HostNotReached, event.HostInterrupted, event.HostIsLocked,
		event.HostStale, event.HostUnreached, event.HostFailed,
	} {
		byKey := map[string]*verdictGroup{}
		for _, name := range names {
			end := s.ends[name]
			if end.Status != status {
				continue
			}
			reasons := s.reasons(name)
			hint, planned := s.hints[name], s.planned[name]
			key := fmt.Sprint(tally(end.Counts), "\n", end.Message, "\n", strings.Join(reasons, "\n"), "\n", hint, planned)
			g := byKey[key]
			if g == nil {
				g = &verdictGroup{end: end, reasons: reasons, hint: hint, planned: planned}
				byKey[key] = g
				groups = append(groups, g)
			}
			g.hosts = append(g.hosts, name)
			g.longest = max(g.longest, time.Duration(end.Duration))
		}
	}
	return groups
}

func (s *Summary) groupLines(g *verdictGroup, names int) []string {
	symbol, tone := s.style.cross(), bad
	switch g.end.Status {
	case event.HostOK:
		symbol, tone = s.style.tick(), good
	case event.HostNotReached, event.HostInterrupted, event.HostIsLocked:
		symbol, tone = "!", unsure
	case event.HostSkipped:
		symbol, tone = s.style.pick("·", "."), faint
	}
	status := strings.ReplaceAll(string(g.end.Status), "_", " ")
	text := s.style.paint(tone, symbol) + " " + s.style.paint(strong, pad(g.title(s.style), names)) +
		"  " + s.style.paint(tone, status)
	for _, part := range []string{tally(g.end.Counts), short(g.longest)} {
		if part != "" && g.end.Status != event.HostNotReached && g.end.Status != event.HostSkipped {
			text += "  " + part
		}
	}
	lines := []string{text}
	for _, reason := range g.reasons {
		lines = append(lines, s.style.wrap("    "+reason, 4))
	}
	if g.end.Message != "" && (len(g.reasons) == 0 || !g.end.BySteps) && !g.planned {
		lines = append(lines, s.style.wrap("    "+inline(g.end.Message), 4))
		if g.hint != "" && g.end.Status == event.HostUnreached {
			lines = append(lines, s.style.wrap("    "+g.hint, 4))
		}
	}
	return lines
}

// verdict is the last word: how many hosts ended in which way, and what to do now.
func (s *Summary) verdict(end *event.RunEnd) []string {
	word, tone := "Done", good
	switch end.Status {
	case "ok":
	case "interrupted":
		word, tone = "Interrupted", unsure
	default:
		word, tone = "Not done", bad
	}
	var parts []string
	for _, status := range []event.HostStatus{
		event.HostOK, event.HostFailed, event.HostUnreached, event.HostIsLocked,
		event.HostStale, event.HostInterrupted, event.HostNotReached, event.HostSkipped,
	} {
		if n := end.Totals[status]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, strings.ReplaceAll(string(status), "_", " ")))
		}
	}
	if s.checks > 0 {
		parts = append(parts, count(s.checks, "check")+" passed")
	}
	text := s.style.paint(tone, word) + " in " + short(time.Duration(end.Duration))
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	lines := []string{text + "."}
	if end.Next != "" {
		lines = append(lines, "Go on with: "+s.style.paint(strong, Line(end.Next)))
	}
	return lines
}
