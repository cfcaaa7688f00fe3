package ui

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/maruel/natural"

	"provision/internal/event"
)

const (
	answerBytes  = 1 << 20  // kept of each stream of a host
	answersBytes = 64 << 20 // kept of all answers together; of those that come later only a beginning is
	answerHead   = 4 << 10  // that beginning
)

// Answers is a Sink that shows what one command printed on many hosts (command run). Hosts that ended alike and printed
// the same stand together; those where something went wrong come last, next to the prompt. It writes at the end of the run.
// What it keeps is bounded: an answer that many hosts gave is kept once, and of a long one the beginning.
type Answers struct {
	w     io.Writer
	style Style

	mu      sync.Mutex
	open    map[string]*answer // of the hosts that have not ended
	groups  map[answerKey]*answerGroup
	kept    int
	partial bool
	err     error
}

// An answer is what one host printed so far.
type answer struct {
	stdout, stderr printedStream
	hint           string
}

// A printedStream keeps the beginning of a stream, and the hash of all of it.
type printedStream struct {
	text []byte
	all  int
	sum  hash.Hash
}

func (p *printedStream) add(text string) {
	if p.sum == nil {
		p.sum = sha256.New()
	}
	p.sum.Write([]byte(text)) // never fails, see hash.Hash
	p.all += len(text)
	p.text = append(p.text, text[:min(len(text), answerBytes-len(p.text))]...)
}

func (p *printedStream) hashed() string {
	if p.sum == nil {
		return ""
	}
	return string(p.sum.Sum(nil))
}

// An answerKey tells apart what stands apart.
type answerKey struct {
	status                        event.HostStatus
	message, hint, stdout, stderr string
}

type answerGroup struct {
	answerKey
	answer  *answer
	hosts   []string
	longest time.Duration
}

// NewAnswers returns an Answers that writes to w.
func NewAnswers(w io.Writer, s Style) *Answers {
	return &Answers{w: w, style: s, open: map[string]*answer{}, groups: map[answerKey]*answerGroup{}}
}

// Err returns the first error of the writer.
func (a *Answers) Err() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

// Partial tells whether some of the output was too long to be shown.
func (a *Answers) Partial() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.partial
}

// Event implements engine.Sink.
func (a *Answers) Event(e event.Event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case e.StepOutput != nil:
		to := &a.of(e.Host).stdout
		if e.StepOutput.Stream == event.StreamStderr {
			to = &a.of(e.Host).stderr
		}
		to.add(e.StepOutput.Text)
	case e.StepEnd != nil && e.StepEnd.Error != nil:
		a.of(e.Host).hint = e.StepEnd.Error.Hint
	case e.HostUnreachable != nil:
		a.of(e.Host).hint = e.HostUnreachable.Hint
	case e.HostEnd != nil:
		a.end(e.Host, e.HostEnd)
	case e.RunEnd != nil:
		if _, err := io.WriteString(a.w, a.text(e.RunEnd)); a.err == nil {
			a.err = err
		}
	}
}

func (a *Answers) of(host string) *answer {
	if a.open[host] == nil {
		a.open[host] = &answer{}
	}
	return a.open[host]
}

// end puts a host to those that ended alike.
func (a *Answers) end(host string, end *event.HostEnd) {
	got := a.of(host)
	delete(a.open, host)
	key := answerKey{end.Status, end.Message, got.hint, got.stdout.hashed(), got.stderr.hashed()}
	g := a.groups[key]
	if g == nil {
		for _, p := range []*printedStream{&got.stdout, &got.stderr} {
			if a.kept+len(p.text) > answersBytes {
				p.text = []byte(strings.Clone(string(p.text[:min(len(p.text), answerHead)])))
			}
			a.kept += len(p.text)
			a.partial = a.partial || len(p.text) < p.all
		}
		g = &answerGroup{answerKey: key, answer: got}
		a.groups[key] = g
	}
	g.hosts = append(g.hosts, host)
	g.longest = max(g.longest, time.Duration(end.Duration))
}

func (a *Answers) text(end *event.RunEnd) string {
	var b strings.Builder
	for _, g := range a.ordered() {
		for _, l := range a.groupLines(g) {
			b.WriteString(l + "\n")
		}
	}
	if len(a.groups) > 0 {
		b.WriteString("\n")
	}
	for _, l := range (&Summary{style: a.style}).verdict(end) {
		b.WriteString(l + "\n")
	}
	return b.String()
}

// ordered brings what went well first, and of that what most hosts have in common.
func (a *Answers) ordered() []*answerGroup {
	rank := map[event.HostStatus]int{
		event.HostOK: 0, event.HostNotReached: 1, event.HostInterrupted: 2, event.HostUnreached: 3, event.HostFailed: 4,
	}
	list := make([]*answerGroup, 0, len(a.groups))
	for _, g := range a.groups {
		slices.SortStableFunc(g.hosts, natural.Compare)
		list = append(list, g)
	}
	sort.Slice(list, func(i, j int) bool {
		x, y := list[i], list[j]
		switch {
		case rank[x.status] != rank[y.status]:
			return rank[x.status] < rank[y.status]
		case len(x.hosts) != len(y.hosts):
			return len(x.hosts) > len(y.hosts)
		}
		return natural.Less(x.hosts[0], y.hosts[0])
	})
	return list
}

// groupLines is one answer: who gave it, and what it was.
func (a *Answers) groupLines(g *answerGroup) []string {
	s := a.style
	symbol, tone := s.cross(), bad
	switch g.status {
	case event.HostOK:
		symbol, tone = s.tick(), good
	case event.HostNotReached, event.HostInterrupted:
		symbol, tone = "!", unsure
	}
	who := s.hostList(g.hosts, 0)
	if len(g.hosts) > 1 {
		who = count(len(g.hosts), "host") + ": " + who
	}
	head := s.paint(tone, symbol) + " " + s.paint(strong, who)
	if g.status != event.HostOK {
		head += "  " + s.paint(tone, strings.ReplaceAll(string(g.status), "_", " "))
	}
	if g.message != "" {
		head += "  " + Line(g.message)
	}
	if g.status != event.HostNotReached {
		head += "  " + s.paint(faint, short(g.longest))
	}
	lines := []string{s.wrap(head, 4)}
	lines = append(lines, a.streamLines(&g.answer.stdout, "    ")...)
	lines = append(lines, a.streamLines(&g.answer.stderr, "    "+s.paint(faint, "stderr "+s.rail())+" ")...)
	if g.hint != "" {
		lines = append(lines, s.wrap("    "+s.paint(faint, "next")+" "+Line(g.hint), 4))
	}
	return lines
}

// streamLines is what a stream brought, each line behind a prefix.
func (a *Answers) streamLines(p *printedStream, prefix string) []string {
	if p.all == 0 {
		return nil
	}
	kept := strings.TrimSuffix(string(p.text), "\n")
	var lines []string
	for _, l := range strings.Split(kept, "\n") {
		lines = append(lines, prefix+tabs(Clean(lastState(l))))
	}
	if rest := p.all - len(p.text); rest > 0 {
		lines = append(lines, prefix+a.style.paint(faint, fmt.Sprintf("[%s more]", size(rest))))
	}
	return lines
}
