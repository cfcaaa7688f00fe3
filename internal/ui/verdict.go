package ui

import (
	"fmt"
	"strings"
	"time"

	"provision/internal/event"
	"provision/internal/steps"
)

// verdicts renders events as the lines that stay: one for each verdict, and more with -v. It
// knows nothing of screens; what comes out is safe to print.
type verdicts struct {
	style   Style
	verbose bool
	quiet   bool // only of what goes wrong
	command string
	several bool // more than one host: output is told apart by the host's name
	output  *lineSplitter
	early   bool            // steps that cannot be planned are told of as they are planned: nobody shows the plan beside it
	planned map[string]bool // hosts whose plan was told as a whole; what is planned anew after it is told of at once
}

func (v *verdicts) lines(e event.Event) []string {
	lines := v.all(e)
	if v.quiet && goesWell(e) {
		return nil
	}
	return lines
}

// goesWell tells whether an event is news that nobody has to act on.
func goesWell(e event.Event) bool {
	switch {
	case e.StepEnd != nil:
		return e.StepEnd.Status == event.StepChanged
	case e.CheckEnd != nil:
		return e.CheckEnd.OK
	case e.HostEnd != nil:
		return e.HostEnd.Status == event.HostOK
	case e.BatchEnd != nil:
		return e.BatchEnd.Status != event.BatchStopped
	}
	return e.BatchStart != nil
}

func (v *verdicts) all(e event.Event) []string {
	host := Line(e.Host)
	switch {
	case e.RunStart != nil:
		v.command, v.several = e.RunStart.Command, e.RunStart.Hosts > 1
	case e.HostConnected != nil && v.verbose:
		c := e.HostConnected
		return v.one(plain, v.style.pick("·", "."), host, "connected", Line(c.User+"@"+c.Address), Line(c.OS))
	case e.HostUnreachable != nil:
		u := e.HostUnreachable
		if !v.early { // what is shown of the run has the reason
			return v.one(bad, v.style.cross(), host, "unreachable", strings.ReplaceAll(Line(u.Phase), "_", " "))
		}
		lines := v.one(bad, v.style.cross(), host, "unreachable", Line(u.Message))
		if u.Hint != "" {
			lines = append(lines, "    "+Line(u.Hint))
		}
		return lines
	case e.HostRetry != nil:
		r := e.HostRetry
		text := fmt.Sprintf("%s; attempt %d in %s", Line(r.Why), r.Attempt, short(time.Duration(r.Delay)))
		return v.one(unsure, "!", host, text)
	case e.HostLocked != nil && e.HostLocked.Waits:
		l := e.HostLocked
		text := "waits for " + Line(l.Owner)
		if l.Orphan {
			text += ", whose client is gone"
		}
		text += ", at most " + short(time.Duration(l.Limit))
		return v.one(unsure, "!", host, text)
	case e.HostLocked != nil:
		return v.one(bad, v.style.cross(), host, "locked by "+Line(e.HostLocked.Owner))
	case e.HostPlanned != nil:
		if v.planned == nil {
			v.planned = map[string]bool{}
		}
		v.planned[e.Host] = true
	case e.PlanStep != nil && e.PlanStep.Error != nil && (v.early || v.planned[e.Host]):
		return v.style.unplanned(e.Host, e.PlanStep)
	case e.Message != nil && v.early:
		text := (&said{Message: *e.Message}).shown()
		lines := v.one(plain, v.style.pick("•", "*"), host, Line(e.Message.Addr), text[0])
		for _, more := range text[1:] {
			lines = append(lines, "    "+more)
		}
		return lines
	case e.StepStart != nil && v.verbose:
		return v.one(running, v.style.pick("▶", ">"), host, Line(e.StepStart.Addr), "started")
	case e.StepOutput != nil && v.verbose:
		o := e.StepOutput
		return v.printed(host, v.output.feed(chunkKey{e.Host, o.Addr, o.Stream}, o.Text))
	case e.StepEnd != nil:
		var rest []string
		if v.verbose {
			rest = v.printed(host, v.output.end(e.Host, e.StepEnd.Addr))
		}
		if v.command == event.CommandRun && e.StepEnd.Status != event.StepInterrupted { // Answers has it
			return rest
		}
		return append(rest, v.stepEnd(e.Host, e.StepEnd)...)
	case e.CheckEnd != nil:
		c := e.CheckEnd
		took := short(time.Duration(c.Duration))
		name := Line(c.Name)
		if !strings.HasPrefix(name, "check.") {
			name = "check." + name
		}
		if c.OK {
			return v.one(good, v.style.tick(), host, name, "passed", took)
		}
		return v.one(bad, v.style.cross(), host, name, "failed", Line(c.Message), place(c.Source))
	case e.HostEnd != nil:
		return v.hostEnd(host, e.HostEnd)
	case e.BatchStart != nil && e.BatchStart.Of > 1:
		b := e.BatchStart
		return []string{v.style.paint(strong, fmt.Sprintf("Batch %d of %d: ", b.Number, b.Of)) + v.style.hostList(b.Hosts, 6)}
	case e.BatchEnd != nil:
		return v.batchEnd(e.BatchEnd)
	case e.Warning != nil:
		w := e.Warning
		lines := v.one(unsure, "!", "warning", host, Line(w.Addr), Line(w.Message))
		if w.Hint != "" {
			lines = append(lines, "    "+Line(w.Hint))
		}
		return lines
	}
	return nil
}

// one joins what is not empty to a line behind a coloured symbol.
func (v *verdicts) one(t tone, symbol string, parts ...string) []string {
	kept := parts[:0]
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return []string{v.style.paint(t, symbol) + " " + strings.Join(kept, "  ")}
}

// printed prefixes lines of output, with the host where there are several.
func (v *verdicts) printed(host string, lines []string) []string {
	prefix := "  "
	if v.several {
		prefix += host + " "
	}
	prefix = v.style.paint(faint, prefix+v.style.rail()) + " "
	var out []string
	for _, l := range lines {
		out = append(out, prefix+tabs(Clean(l)))
	}
	return out
}

func (v *verdicts) stepEnd(rawHost string, e *event.StepEnd) []string {
	host, addr, took := Line(rawHost), Line(e.Addr), short(time.Duration(e.Duration))
	switch e.Status {
	case event.StepChanged:
		_, tone := v.style.sign(e.Action)
		return v.one(good, v.style.tick(), host, addr, v.style.paint(tone, done(e.Action)), v.style.paint(faint, took))
	case event.StepUnchanged, event.StepSkipped:
		if !v.verbose {
			return nil
		}
		return v.one(faint, v.style.pick("·", "."), host, addr, string(e.Status), Line(e.Reason))
	case event.StepStale: // what becomes of it is told when it has been planned anew
		if !v.verbose {
			return nil
		}
		return v.one(faint, v.style.pick("·", "."), host, addr, "planned anew: its state has changed")
	case event.StepInterrupted:
		return v.one(unsure, "!", host, addr, "interrupted", Line(e.Reason))
	}
	return v.style.failure(rawHost, e)
}

// done is the participle of an action.
func done(a steps.Action) string {
	switch a {
	case steps.Create:
		return "created"
	case steps.Update:
		return "updated"
	case steps.Delete:
		return "deleted"
	case steps.Execute:
		return "ran"
	}
	return "changed"
}

// batchEnd tells why no further batch begins, and of a pause.
func (v *verdicts) batchEnd(e *event.BatchEnd) []string {
	switch {
	case e.Status == event.BatchStopped && e.Number < e.Of:
		return v.one(bad, v.style.cross(), "stopped after batch "+fmt.Sprint(e.Number), Line(e.Message))
	case e.Pause > 0:
		return v.one(faint, v.style.pick("·", "."), "pause of "+short(time.Duration(e.Pause)))
	}
	return nil
}

// hostEnd tells the hosts of a fleet apart as they end. A single host has the summary, and so
// has a plan.
func (v *verdicts) hostEnd(host string, e *event.HostEnd) []string {
	if !v.several || v.command == event.CommandPlan || e.Planning && !v.early {
		return nil // the plan says it
	}
	switch e.Status {
	case event.HostUnreached: // told already
		return nil
	case event.HostNotReached, event.HostSkipped: // may be hundreds: the summary counts them
		return nil
	}
	took := v.style.paint(faint, short(time.Duration(e.Duration)))
	if e.Status == event.HostOK && v.command == event.CommandRun && !v.verbose {
		return nil
	}
	if e.Status == event.HostOK {
		return v.one(good, v.style.tick(), v.style.paint(strong, host), "done", tally(e.Counts), took)
	}
	status := strings.ReplaceAll(string(e.Status), "_", " ")
	return v.one(bad, v.style.cross(), v.style.paint(strong, host), status, Line(e.Message), tally(e.Counts), took)
}

// tally writes counts by step status or action in a fixed order: 3 changed, 25 unchanged.
func tally(c event.Counts) string {
	var parts []string
	for _, status := range []event.StepStatus{
		event.StepChanged, event.StepFailed, event.StepNotConverged, event.StepStale,
		event.StepInterrupted, event.StepSkipped, event.StepUnchanged,
	} {
		if n := c[string(status)]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, strings.ReplaceAll(string(status), "_", " ")))
		}
	}
	return strings.Join(parts, ", ")
}
