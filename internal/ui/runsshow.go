package ui

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"provision/internal/event"
	"provision/internal/record"
	"provision/internal/redact"
)

// ShowOptions say how a kept run is shown.
type ShowOptions struct {
	Verbose bool   // every verdict and all output too, and whole diffs
	Host    string // only what happened on it
	Next    string // the command that goes on with the run, "" if there is none
}

// maxFailures is how many failures are shown in full without Verbose.
const maxFailures = 20

// ShowRun writes a kept run for a person: what failed first, then its plan, then how it ended for each host. It goes
// through the events twice where all of it is wanted.
func ShowRun(w io.Writer, run record.Run, s Style, o ShowOptions) error {
	out := bufio.NewWriter(w)
	s.runHeading(out, run)
	if o.Host != "" {
		if err := s.hostLog(out, run, o.Host); err != nil {
			return err
		}
		return out.Flush()
	}
	var verdict bytes.Buffer
	var summary event.Sink = NewSummary(&verdict, s)
	if run.Command == event.CommandRun {
		summary = NewAnswers(&verdict, s)
		fmt.Fprintln(&verdict)
	}
	shown := &shownRun{plan: NewPlan(), failures: &failureList{verdicts: &verdicts{style: s, output: newLineSplitter()}}, summary: summary, next: o.Next}
	if err := record.Replay(run.Dir, shown); err != nil {
		return err
	}
	shown.conclude(run)
	shown.failures.write(out, s, o.Verbose)
	if len(shown.plan.counts().planned) > 0 || run.Command == event.CommandPlan {
		fmt.Fprintln(out)
		if err := shown.plan.Text(out, s, o.Verbose); err != nil {
			return err
		}
	}
	if o.Verbose {
		fmt.Fprintln(out)
		told := &lineSink{w: out, verdicts: &verdicts{style: s, verbose: true, output: newLineSplitter()}}
		if err := record.Replay(run.Dir, told); err != nil {
			return err
		}
	}
	if _, err := out.Write(verdict.Bytes()); err != nil {
		return err
	}
	if run.Status == record.Running {
		fmt.Fprintf(out, "\nThis run is still going on: %d of %s have ended.\n", len(run.Hosts), count(run.Selected, "host"))
	}
	return out.Flush()
}

func (s Style) runHeading(w io.Writer, r record.Run) {
	field := func(name, text string) {
		if text != "" {
			fmt.Fprintln(w, s.paint(faint, pad(name, 9))+text)
		}
	}
	field("run", s.paint(strong, Line(r.ID)))
	field("command", strings.TrimSpace(runCommand(&r)+" "+Line(r.Playbook)))
	field("chosen", chosen(r.Selection))
	field("who", runOwner(&r))
	field("when", r.Start.Local().Format("2006-01-02 15:04:05 MST")+", "+short(time.Duration(r.Duration)))
	field("resumes", Line(r.Resumes))
	if len(r.Merges) > 0 {
		field("merges", Line(strings.Join(r.Merges, ", ")))
	}
	field("result", s.paint(resultTone(&r), runResult(&r)))
	field("kept in", Line(r.Dir))
}

// chosen is what the command line said beside the playbook.
func chosen(c *event.Selection) string {
	if c == nil {
		return ""
	}
	var parts []string
	add := func(flag string, values ...string) {
		for _, v := range values {
			parts = append(parts, flag+" "+Line(v))
		}
	}
	add("--limit", c.Limit...)
	if c.Shard != "" {
		add("--shard", c.Shard)
	}
	add("--tags", c.Tags...)
	add("--skip-tags", c.SkipTags...)
	add("--var-file", c.VarFiles...)
	for _, name := range slices.Sorted(maps.Keys(c.Vars)) {
		add("--var", name+"="+c.Vars[name])
	}
	for _, name := range c.Secret {
		add("--var", name+"="+redact.Mask)
	}
	return strings.Join(parts, " ")
}

// A shownRun is a Sink that gathers what is shown of a run.
type shownRun struct {
	plan     *Plan
	failures *failureList
	summary  event.Sink // writes at the end
	next     string
	ended    bool
}

func (r *shownRun) Event(e event.Event) {
	if e.RunEnd != nil {
		end := *e.RunEnd
		end.Next = r.next // as typed here and now, not as it was there and then
		e.RunEnd, r.ended = &end, true
	}
	r.plan.Event(e)
	r.failures.Event(e)
	r.summary.Event(e)
}

// conclude gives a run that died the end that it does not have.
func (r *shownRun) conclude(run record.Run) {
	if r.ended || run.Status == record.Running {
		return
	}
	totals := map[event.HostStatus]int{}
	for status, n := range run.Totals {
		totals[status] = n
	}
	for _, host := range run.Unended() {
		totals[event.HostInterrupted]++
		r.summary.Event(event.Event{Host: host, HostEnd: &event.HostEnd{
			Status: event.HostInterrupted, Message: "provision ended before this host did; what the host was sent, it ends by itself",
		}})
	}
	r.summary.Event(event.Event{RunEnd: &event.RunEnd{Status: "interrupted", Totals: totals, Duration: run.Duration, Next: r.next}})
}

// A failureList is a Sink that keeps what went wrong, as it was told then.
type failureList struct {
	verdicts *verdicts
	blocks   [][]string
}

func (f *failureList) Event(e event.Event) {
	switch {
	case e.RunStart != nil, e.HostPlanned != nil:
		f.verdicts.lines(e)
		return
	case e.StepEnd != nil && failed(e.StepEnd) == "", e.CheckEnd != nil && e.CheckEnd.OK:
		return
	case e.PlanStep != nil && e.PlanStep.Error != nil:
	case e.StepEnd == nil && e.CheckEnd == nil && e.HostUnreachable == nil && e.HostLocked == nil && e.Warning == nil &&
		(e.BatchEnd == nil || e.BatchEnd.Status != event.BatchStopped):
		return
	}
	if lines := f.verdicts.lines(e); len(lines) > 0 {
		f.blocks = append(f.blocks, lines)
	}
}

func (f *failureList) write(w io.Writer, s Style, all bool) {
	for i, lines := range f.blocks {
		if i == 0 {
			fmt.Fprintln(w)
		}
		if i == maxFailures && !all {
			fmt.Fprintf(w, "%s %d more (all with -v, or --host NAME)\n", s.dots(), len(f.blocks)-i)
			return
		}
		for _, l := range lines {
			fmt.Fprintln(w, l)
		}
	}
}

// A lineSink writes the lines of verdicts.
type lineSink struct {
	w        io.Writer
	verdicts *verdicts
	host     string // only of this host, with the time; "" is all
}

func (l *lineSink) Event(e event.Event) {
	if l.host != "" && e.Host != l.host {
		return
	}
	for _, text := range l.verdicts.lines(e) {
		if l.host != "" {
			fmt.Fprint(l.w, record.HostLine(e, text))
			continue
		}
		fmt.Fprintln(l.w, text)
	}
}

// hostLog writes the log of one host from the events: what its file holds.
func (s Style) hostLog(w io.Writer, run record.Run, host string) error {
	fmt.Fprintln(w)
	return record.Replay(run.Dir, &lineSink{w: w, host: host, verdicts: &verdicts{style: s, verbose: true, early: true, output: newLineSplitter()}})
}
