package ui

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"path"
	"strings"
	"time"

	"provision/internal/event"
)

//go:embed html/page.html
var pageMarkup string

//go:embed html/page.css
var pageStyle string

//go:embed html/page.js
var pageScript string

// A page is what the template of the HTML report shows. What every reader looks for first is markup; the details of
// hosts and steps are Data, from which the script makes markup when somebody asks, so that a fleet opens at once.
type page struct {
	Policy string
	Style  template.CSS
	Script template.JS
	Data   template.JS

	Symbol, Verdict, Tone string
	What                  string // the command
	Facts                 []named
	Totals                []pageTotal
	Next                  string
	Troubles              []pageTrouble
	MoreTroubles          int
	Dangers               []named
	Batches               []pageBatch
	Warnings              []named
	Messages              []named
	Hosts                 []pageHost
	Many                  bool
	Steps                 []pageStep
	Version, Run          string
	Left                  string // what did not fit
}

type named struct{ Name, Value string }

// A pageTotal is how many hosts, or how many of the hosts with a step, have a verdict; X and Width are its part of a bar
// of 1000.
type pageTotal struct {
	Key, Words, Symbol, Tone string
	Count, X, Width          int
}

type pageBatch struct{ Symbol, Tone, Text string }

type pageHost struct{ Name, Key, Words, Symbol, Tone string }

type pageStep struct {
	Addr, Place, Longest string
	Quiet                bool // it needed nothing on any host
	Counts               []pageTotal
}

// html writes the run as one page that loads nothing and evaluates nothing but its own script.
func (r *reported) html(w io.Writer) error {
	page, data := r.page()
	text, err := json.Marshal(data) // which escapes <, > and &, so that no text ends the element
	if err != nil {
		return err
	}
	page.Data = template.JS(text)
	markup, err := template.New("page").Parse(pageMarkup)
	if err != nil {
		return err
	}
	return markup.Execute(w, page)
}

func (r *reported) page() (*page, *pageData) {
	p := &page{
		Style: template.CSS(pageStyle), Script: template.JS(pageScript),
		What: strings.TrimSpace("provision " + r.start.Command + " " + Line(r.start.Playbook)),
		Run:  Line(r.run), Version: Line(r.start.Version),
	}
	p.Policy = "default-src 'none'; style-src " + pinned(pageStyle) + "; script-src " + pinned(pageScript) + "; base-uri 'none'; form-action 'none'"
	if r.start.Sandbox {
		p.What += " --sandbox"
	}
	if r.end != nil {
		p.Next = Line(r.end.Next)
	}
	names := r.names()
	counts := map[verdict]int{}
	for _, name := range names {
		v := r.hosts[name].verdict(r.start.Command)
		counts[v]++
		symbol, tone := v.look()
		p.Hosts = append(p.Hosts, pageHost{Line(name), string(v), v.words(), symbol, tone})
	}
	p.Many = len(names) > 60
	p.Totals = pageTotals(counts, len(names))
	r.headline(p, counts)
	p.Facts = r.facts()
	p.Troubles, p.MoreTroubles = r.troubles(names)
	p.Dangers = r.dangers(names)
	for _, b := range r.batches {
		p.Batches = append(p.Batches, batchLine(b))
	}
	for _, e := range r.warnings {
		on := []string{}
		for _, text := range []string{e.Host, e.Warning.Addr, e.Warning.Hint} {
			if text != "" {
				on = append(on, Line(text))
			}
		}
		p.Warnings = append(p.Warnings, named{Line(e.Warning.Message), strings.Join(on, " · ")})
	}
	p.Messages = r.messages.named(len(names) > 1)
	if r.more > 0 {
		p.Warnings = append(p.Warnings, named{count(r.more, "further warning"), "in the log of the run"})
	}
	d := r.data(names)
	p.Steps, p.Left = d.list, d.left()
	return p, d
}

// pinned is the source of a content security policy that allows exactly this text.
func pinned(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// headline says in one line how it went.
func (r *reported) headline(p *page, counts map[verdict]int) {
	part := func(n int) string { return fmt.Sprintf("%d of %s", n, count(len(r.hosts), "host")) }
	if len(r.hosts) == 1 {
		part = func(int) string { return Line(r.names()[0]) }
	}
	bad := 0
	for v, n := range counts {
		if v.trouble() {
			bad += n
		}
	}
	p.Symbol, p.Tone = "✓", "good"
	changing := part(counts[verdictPending]) + " to change"
	unplanned, where := r.unplanned()
	switch status := r.status(); {
	case status == string(verdictUnended):
		p.Symbol, p.Tone, p.Verdict = "?", "warn", "The run was cut off: its end is not known"
	case status == "interrupted":
		p.Symbol, p.Tone, p.Verdict = "!", "warn", "Interrupted"
	case unplanned > 0 && r.start.Command == event.CommandPlan:
		p.Symbol, p.Tone, p.Verdict = "✗", "bad", count(unplanned, "step")+" cannot be planned"
		if len(r.hosts) > 1 {
			p.Verdict = changing + ", " + p.Verdict
		}
		if n := bad - where; n > 0 {
			p.Verdict += fmt.Sprintf(", %d without a plan", n)
		}
	case status != "ok" && r.start.Command == event.CommandPlan && len(r.hosts) > 1:
		p.Symbol, p.Tone, p.Verdict = "✗", "bad", fmt.Sprintf("%s, %d without a plan", changing, bad)
	case status != "ok":
		p.Symbol, p.Tone, p.Verdict = "✗", "bad", part(bad)+" not done"
		if counts[verdictLeft] > 0 {
			p.Verdict = "Not idempotent: it would change something again"
		}
	case r.tolerated() > 0:
		p.Symbol, p.Tone, p.Verdict = "!", "warn", "Done, but "+count(r.tolerated(), "step")+" with continue_on_error failed"
	case r.start.Command == event.CommandPlan && counts[verdictPending] > 0:
		p.Symbol, p.Tone, p.Verdict = "~", "info", changing
	case r.start.Command == event.CommandPlan:
		p.Verdict = "No changes"
	case r.start.Command == event.CommandRun:
		p.Verdict = "Done on " + part(len(r.hosts))
	case counts[verdictChanged] > 0:
		p.Verdict = "Done: " + part(counts[verdictChanged]) + " changed"
	default:
		p.Verdict = "Done: nothing had to change"
	}
}

// unplanned counts the steps of all hosts that cannot be planned, and the hosts without a plan because of them.
func (r *reported) unplanned() (all, hosts int) {
	for _, h := range r.hosts {
		n := 0
		for _, s := range h.steps {
			if s.verdict(r.start.Command) == verdictUnplanned {
				n++
			}
		}
		all += n
		if n > 0 && h.verdict(r.start.Command).trouble() {
			hosts++
		}
	}
	return all, hosts
}

// tolerated counts the steps that went wrong on hosts that ended well.
func (r *reported) tolerated() int {
	n := 0
	for _, h := range r.hosts {
		for _, s := range h.steps {
			if h.end != nil && h.end.Status == event.HostOK && s.verdict(r.start.Command).trouble() {
				n++
			}
		}
	}
	return n
}

func (r *reported) facts() []named {
	var facts []named
	fact := func(name, value string) {
		if value != "" {
			facts = append(facts, named{name, value})
		}
	}
	if !r.began.IsZero() {
		fact("started", r.began.Format("2 January 2006, 15:04:05 MST"))
	}
	fact("took", short(r.took()))
	who, _, _ := strings.Cut(Line(r.start.Owner), " since ")
	fact("by", who)
	byVerdict := map[verdict]int{}
	checks, passed := 0, 0
	for _, h := range r.hosts {
		for _, s := range h.steps {
			if s.kind == "check" {
				checks++
				if s.verdict(r.start.Command) == verdictPassed {
					passed++
				}
				continue
			}
			if s.plan != nil && s.plan.Data && s.plan.Error == nil {
				continue // the sum of a plan does not count what only looks
			}
			byVerdict[s.verdict(r.start.Command)]++
		}
	}
	var parts []string
	for _, t := range pageTotals(byVerdict, 0) {
		parts = append(parts, fmt.Sprintf("%d %s", t.Count, t.Words))
	}
	fact("steps", strings.Join(parts, ", "))
	if checks > 0 {
		fact("checks", fmt.Sprintf("%d of %d passed", passed, checks))
	}
	return facts
}

// verdictOrder is the order in which verdicts are listed: what needs a person first.
func verdictOrder() []verdict {
	return []verdict{
		verdictFailed, verdictUnplanned, verdictLeft, verdict(event.StepNotConverged), verdict(event.StepStale), verdict(event.HostUnreached),
		verdict(event.HostIsLocked), verdict(event.StepInterrupted), verdictUnended, verdictNotRun, verdictPending, verdictLater, verdictChanged,
		verdictPassed, verdictUnchanged, verdictSkipped,
	}
}

// look is the symbol of a verdict, and the class of its colour. No two verdicts that stand beside each other have the
// same colour, symbol and word.
func (v verdict) look() (symbol, class string) {
	switch v {
	case verdictChanged, verdictPassed:
		return "✓", "good"
	case verdictUnchanged:
		return "=", "calm"
	case verdictPending:
		return "~", "info"
	case verdictLater:
		return "?", "info"
	case verdictSkipped, verdictNotRun:
		return "–", "calm"
	case verdict(event.HostIsLocked), verdict(event.StepInterrupted):
		return "!", "warn"
	case verdictUnended:
		return "?", "warn"
	case verdict(event.HostUnreached):
		return "⊘", "bad"
	}
	return "✗", "bad"
}

func pageTotals(counts map[verdict]int, of int) []pageTotal {
	var list []pageTotal
	seen := 0
	for _, v := range verdictOrder() {
		n := counts[v]
		if n == 0 {
			continue
		}
		symbol, tone := v.look()
		t := pageTotal{Key: string(v), Words: v.words(), Symbol: symbol, Tone: tone, Count: n}
		if of > 0 {
			t.X = 1000 * seen / of
			t.Width = 1000*(seen+n)/of - t.X
			if t.Width > 6 && t.X+t.Width < 1000 {
				t.Width -= 2 // a gap: the colour alone does not part them
			}
		}
		seen += n
		list = append(list, t)
	}
	return list
}

func batchLine(b *event.BatchEnd) pageBatch {
	text := fmt.Sprintf("batch %d of %d", b.Number, b.Of)
	if b.Failed > 0 || b.Unreachable > 0 {
		text += fmt.Sprintf(", %d failed and %d unreachable so far", b.Failed, b.Unreachable)
	}
	if b.Message != "" {
		text += ": " + Line(b.Message)
	}
	if b.Status == event.BatchStopped {
		return pageBatch{"✗", "bad", text}
	}
	return pageBatch{"✓", "good", text}
}

// shortPlace is where a step stands, seen from the playbook.
func (r *reported) shortPlace(s event.Source) string {
	playbook := r.start.Playbook
	for _, dir := range []string{playbook, path.Dir(playbook)} {
		if rest, ok := strings.CutPrefix(s.File, strings.TrimSuffix(dir, "/")+"/"); ok && dir != "." {
			s.File = rest
			break
		}
	}
	return place(s)
}

// milliseconds counts from the start of the run; -1 stands for never.
func (r *reported) milliseconds(t time.Time) int64 {
	if t.IsZero() {
		return -1
	}
	return max(0, t.Sub(r.began).Milliseconds())
}
