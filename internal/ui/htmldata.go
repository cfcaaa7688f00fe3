package ui

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"provision/internal/event"
	"provision/internal/steps"
)

// The whole page stays below a few MiB: so much of it may be diffs, and so much failures. A command and a line of words
// have bounds of their own.
const (
	pageDiffBytes = 2 << 20
	pageNoteBytes = 1 << 20
	pageCommand   = 4 << 10
	pageWords     = 2 << 10
)

// headOf returns the beginning of a text, with a mark if something is missing.
func headOf(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return text[:runeStart(text[:most])] + "…"
}

// A pageData is what the script of the page reads. Its lists are referred to by index, -1 is none, and times are
// milliseconds from the start of the run.
type pageData struct {
	Verdicts []pageVerdict `json:"verdicts"`
	Steps    [][2]string   `json:"steps"` // address, place
	Plans    []pagePlan    `json:"plans"`
	Notes    []pageNote    `json:"notes"`
	Hosts    []hostData    `json:"hosts"`

	command    string
	list       []pageStep
	counts     []map[verdict]int // of each of the steps
	longest    []time.Duration
	slowest    []string // host
	stepAt     map[string]int
	planAt     map[*event.PlanStep]int
	verdictAt  map[pageVerdict]int
	noteAt     map[pageNote]int
	diffBytes  int
	noteBytes  int
	leftDiffs  int
	leftOutput int
}

type pageVerdict struct {
	Words  string `json:"w"`
	Symbol string `json:"s"`
	Tone   string `json:"t"`
	Quiet  bool   `json:"q,omitempty"` // nothing happened
}

type pagePlan struct {
	Reason string     `json:"r,omitempty"`
	Diff   []pageLine `json:"d"`
}

// MarshalJSON implements json.Marshaler: a line is a list, since there are many.
func (l pageLine) MarshalJSON() ([]byte, error) {
	return json.Marshal([]any{l.Depth, l.Class, l.Sign, l.Text})
}

type pageNote struct {
	Message string `json:"m"`
	Command string `json:"c,omitempty"`
	Exit    int    `json:"x,omitempty"`
	Output  string `json:"o,omitempty"`
	Hint    string `json:"h,omitempty"`
}

type hostData struct {
	Name    string      `json:"n"`
	Verdict int         `json:"v"`
	Message string      `json:"m,omitempty"`
	Facts   [][2]string `json:"f"`
	Began   int64       `json:"b"`
	Planned int64       `json:"p"`
	Ended   int64       `json:"e"`
	Steps   [][6]int64  `json:"s"` // step, plan, verdict, start, took, note
}

func (r *reported) data(names []string) *pageData {
	d := &pageData{
		Verdicts: []pageVerdict{}, Steps: [][2]string{}, Plans: []pagePlan{}, Notes: []pageNote{}, Hosts: []hostData{}, command: r.start.Command,
		stepAt: map[string]int{}, planAt: map[*event.PlanStep]int{}, verdictAt: map[pageVerdict]int{}, noteAt: map[pageNote]int{},
	}
	for _, name := range names {
		d.Hosts = append(d.Hosts, d.host(r, r.hosts[name]))
	}
	for i := range d.Steps {
		s := pageStep{Addr: d.Steps[i][0], Place: d.Steps[i][1], Counts: pageTotals(d.counts[i], 0), Quiet: true}
		for v := range d.counts[i] {
			s.Quiet = s.Quiet && v.quiet()
		}
		if d.longest[i] > 0 {
			s.Longest = short(d.longest[i])
			if len(names) > 1 {
				s.Longest = "at most " + s.Longest + ", " + Line(d.slowest[i])
			}
		}
		d.list = append(d.list, s)
	}
	return d
}

func (d *pageData) host(r *reported, h *reportedHost) hostData {
	v := h.verdict(d.command)
	out := hostData{
		Name: Line(h.name), Verdict: d.verdict(v, v.words()), Facts: [][2]string{}, Steps: [][6]int64{},
		Began: r.milliseconds(h.began), Planned: r.milliseconds(h.planned), Ended: r.milliseconds(h.ended),
	}
	fact := func(name, value string) {
		if value != "" {
			out.Facts = append(out.Facts, [2]string{name, Line(value)})
		}
	}
	fact("address", h.connected.Address)
	fact("user", h.connected.User)
	fact("system", h.connected.OS)
	if h.end != nil {
		out.Message = inline(h.end.Message)
		fact("took", short(time.Duration(h.end.Duration)))
	}
	if h.retries > 0 {
		fact("connected again", count(h.retries, "time"))
	}
	cursor := int64(0)
	for _, s := range h.ordered() {
		out.Steps = append(out.Steps, d.step(r, h, s, &cursor))
	}
	return out
}

// step is one row of a host. Its start is when the client read of it, or the end of the step before if several were
// read of at once.
func (d *pageData) step(r *reported, h *reportedHost, s *reportedStep, cursor *int64) [6]int64 {
	v := s.verdict(d.command)
	at := d.place(r, s)
	d.counts[at][v]++
	if took := s.took(); took > d.longest[at] {
		d.longest[at], d.slowest[at] = took, h.name
	}
	row := [6]int64{int64(at), -1, int64(d.verdict(v, d.words(s, v))), -1, s.took().Milliseconds(), -1}
	if s.plan != nil {
		row[1] = int64(d.plan(s.plan))
	}
	if start := r.milliseconds(s.start); start >= 0 {
		row[3] = max(start, *cursor)
		if s.end == nil && s.check == nil {
			row[4] = max(0, r.milliseconds(h.ended)-row[3])
		}
		*cursor = row[3] + row[4]
	}
	if v.trouble() || s.output != "" {
		row[5] = int64(d.note(s.failure()))
	}
	return row
}

// words tells the result of a step a little closer than its verdict.
func (d *pageData) words(s *reportedStep, v verdict) string {
	switch {
	case v == verdictPending, v == verdictLater:
		return Style{Unicode: true}.word(s.plan)
	case s.end != nil && v == verdictChanged:
		return done(s.end.Action)
	}
	return v.words()
}

func (d *pageData) place(r *reported, s *reportedStep) int {
	at := [2]string{Line(s.addr), r.shortPlace(s.source)}
	key := at[0] + "\n" + at[1]
	i, known := d.stepAt[key]
	if !known {
		i = len(d.Steps)
		d.stepAt[key] = i
		d.Steps, d.counts = append(d.Steps, at), append(d.counts, map[verdict]int{})
		d.longest, d.slowest = append(d.longest, 0), append(d.slowest, "")
	}
	return i
}

func (d *pageData) verdict(v verdict, words string) int {
	p := pageVerdict{Words: words, Quiet: v.quiet()}
	p.Symbol, p.Tone = v.look()
	i, known := d.verdictAt[p]
	if !known {
		i = len(d.Verdicts)
		d.verdictAt[p] = i
		d.Verdicts = append(d.Verdicts, p)
	}
	return i
}

// plan returns the index of what a step changes, -1 if that is nothing.
func (d *pageData) plan(s *event.PlanStep) int {
	i, known := d.planAt[s]
	if known {
		return i
	}
	if s.Action == steps.NoOp && len(s.Events) == 0 || len(s.Diff) == 0 && s.Reason == "" && len(s.Dangers) == 0 {
		d.planAt[s] = -1
		return -1
	}
	p := pagePlan{Reason: headOf(strings.Trim(Line(s.Path)+"; "+Line(s.Reason), "; "), pageWords)}
	if d.diffBytes < pageDiffBytes {
		bare := *s
		bare.Path = ""
		p.Diff = pageDiff(&bare)
	} else {
		d.leftDiffs++
		p.Diff = []pageLine{{1, "calm", "", "left out: the page would be too long; provision plan --detail shows it"}}
	}
	for _, l := range p.Diff {
		d.diffBytes += len(l.Text) + 20
	}
	if p.Diff == nil {
		p.Diff = []pageLine{}
	}
	d.planAt[s] = len(d.Plans)
	d.Plans = append(d.Plans, p)
	return d.planAt[s]
}

func (d *pageData) note(f event.Failure) int {
	n := pageNote{
		Message: headOf(inline(f.Message), pageWords), Command: headOf(Clean(f.Command), pageCommand), Exit: f.Exit,
		Output: shownOutput(f.Output), Hint: headOf(inline(f.Hint), pageWords),
	}
	if i, known := d.noteAt[n]; known {
		return i
	}
	if d.noteBytes > pageNoteBytes {
		d.leftOutput++
		n.Command, n.Output = "", "left out: the page would be too long; it is in the log of the run"
		if i, known := d.noteAt[n]; known {
			return i
		}
	}
	d.noteBytes += len(n.Message) + len(n.Command) + len(n.Output)
	d.noteAt[n] = len(d.Notes)
	d.Notes = append(d.Notes, n)
	return d.noteAt[n]
}

// left says what did not fit.
func (d *pageData) left() string {
	if d.leftDiffs+d.leftOutput == 0 {
		return ""
	}
	return fmt.Sprintf("To keep it small, %d diffs and the output of %d failures were left out.", d.leftDiffs, d.leftOutput)
}
