package ui

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"provision/internal/event"
)

const (
	frameEvery = 100 * time.Millisecond
	frameAfter = 300 * time.Millisecond // what is over sooner needs no bar
	maxPending = 10000                  // lines that wait while the terminal takes none (Ctrl-S)
	heartbeat  = time.Minute
)

// ProgressOptions are what Progress can be told.
type ProgressOptions struct {
	Verbose bool  // everything that steps print, and steps that need nothing
	Quiet   bool  // only what goes wrong; nothing moves
	Clock   Clock // nil is SystemClock
}

// Progress is a Sink that shows a run while it goes on. On a live Terminal the lines that stay
// scroll by above a few that are redrawn: a bar, and what each running host does. One goroutine
// owns the screen. Anywhere else there are plain lines, and a sign of life every minute.
type Progress struct {
	term  Terminal
	clock Clock

	mu       sync.Mutex
	verdicts *verdicts
	fleet    *fleet
	pending  []string // lines that the next frame is to scroll by
	dropped  int      // lines that there was no room for in pending
	shown    []int    // widths of the lines of the last frame
	start    time.Time
	lastLine time.Time // when a line was written last, for the heartbeat
	painted  time.Time // when a frame was drawn last
	closed   bool

	frames sync.Mutex // held by who draws a frame, and by who asks a person something

	stop, done chan struct{}
}

// NewProgress returns a Progress that is running. Close ends it.
func NewProgress(t Terminal, o ProgressOptions) *Progress {
	if o.Clock == nil {
		o.Clock = SystemClock()
	}
	t.Live = t.Live && !o.Quiet
	p := &Progress{
		term: t, clock: o.Clock,
		verdicts: &verdicts{style: t.Style, verbose: o.Verbose, quiet: o.Quiet, output: newLineSplitter()},
		fleet:    newFleet(t.Style),
		start:    o.Clock.Now(), lastLine: o.Clock.Now(),
		stop: make(chan struct{}), done: make(chan struct{}),
	}
	every := heartbeat
	if t.Live {
		every = frameEvery
	}
	ticks, stop := o.Clock.Ticker(every)
	go p.run(ticks, stop)
	return p
}

func (p *Progress) run(ticks <-chan time.Time, stop func()) {
	defer close(p.done)
	defer stop()
	for {
		select {
		case <-p.stop:
			return
		case <-ticks:
			if p.term.Live {
				p.paint()
			} else if !p.verdicts.quiet {
				p.beat()
			}
		}
	}
}

// Event implements engine.Sink. The end of the run also ends the Progress: when Event returns
// from run_end, the screen is free for others.
func (p *Progress) Event(e event.Event) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	now := p.clock.Now()
	p.fleet.event(e, now)
	lines := p.verdicts.lines(e)
	if p.term.Live {
		if e.StepOutput != nil && len(p.pending)+len(lines) > maxPending {
			p.dropped += len(lines)
			lines = nil
		}
		p.pending = append(p.pending, lines...)
	} else if len(lines) > 0 {
		p.lastLine = now
		p.print(strings.Join(lines, "\n") + "\n")
	}
	p.mu.Unlock()
	if e.Type == event.TypeRunEnd {
		p.Close()
	}
}

// CatchUp takes an event that was told before the Progress began: it counts and is not told again.
func (p *Progress) CatchUp(e event.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fleet.event(e, p.clock.Now())
	if e.RunStart != nil || e.HostPlanned != nil {
		p.verdicts.lines(e)
	}
}

// Close writes what is pending, takes the frame off the screen, and waits until the screen is
// let go. More calls, and events that come later, do nothing.
func (p *Progress) Close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		<-p.done
		return
	}
	p.closed = true
	p.mu.Unlock()
	close(p.stop)
	<-p.done
	if p.term.Live {
		p.mu.Lock()
		columns, _ := p.term.Size()
		text := p.draw(nil, columns)
		p.mu.Unlock()
		p.print(text)
	}
}

// print writes without looking at errors: nobody is left to be told that the screen is gone.
func (p *Progress) print(text string) { _, _ = io.WriteString(p.term.Out, text) }

// beat shows that a run without news goes on.
func (p *Progress) beat() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock.Now()
	if now.Sub(p.lastLine) < heartbeat/2 {
		return
	}
	lines := p.fleet.stillRunning(now)
	if len(lines) > 0 {
		p.lastLine = now
		p.print(strings.Join(lines, "\n") + "\n")
	}
}

// paint draws a frame. It writes without the lock: a terminal that somebody stopped must not
// stop the hosts.
func (p *Progress) paint() {
	if !p.frames.TryLock() {
		return
	}
	defer p.frames.Unlock()
	p.mu.Lock()
	now := p.clock.Now()
	if now.Equal(p.painted) && len(p.pending) == 0 {
		p.mu.Unlock()
		return
	}
	p.painted = now
	columns, rows := p.term.Size()
	var frame []painted
	if now.Sub(p.start) >= frameAfter {
		frame = p.fleet.frame(now, now.Sub(p.start), columns-1, rows-1)
	}
	text := p.draw(frame, columns)
	p.mu.Unlock()
	p.print(text)
}

// While takes the frame off the screen and leaves the screen to others until ask returns. A Progress that is nil leaves it to all.
func (p *Progress) While(ask func()) {
	if p == nil || !p.term.Live {
		ask()
		return
	}
	p.frames.Lock()
	defer p.frames.Unlock()
	p.mu.Lock()
	text := ""
	if !p.closed {
		columns, _ := p.term.Size()
		text = p.draw(nil, columns)
	}
	p.mu.Unlock()
	p.print(text)
	ask()
}

// draw returns what replaces the last frame by lines that stay and a new frame. Terminals
// break lines anew when they are made narrower, so that the last frame takes as many rows as
// its lines need at the width of now.
func (p *Progress) draw(frame []painted, columns int) string {
	var b strings.Builder
	if rows := p.rows(columns); rows > 0 {
		b.WriteString("\r")
		if rows > 1 {
			fmt.Fprintf(&b, "\x1b[%dA", rows-1)
		}
		if len(p.pending) > 0 || len(frame) == 0 {
			b.WriteString("\x1b[J")
		}
	}
	for _, l := range p.pending {
		b.WriteString(l + "\n")
	}
	if p.dropped > 0 {
		fmt.Fprintf(&b, "%s %s of output not shown\n", p.term.Style.dots(), count(p.dropped, "line"))
	}
	p.pending, p.shown, p.dropped = nil, nil, 0
	for i, l := range frame {
		if i > 0 {
			b.WriteString("\n")
		}
		b.WriteString(l.text + "\x1b[K")
		p.shown = append(p.shown, l.width)
	}
	if len(frame) > 0 {
		b.WriteString("\x1b[J")
	}
	return b.String()
}

func (p *Progress) rows(columns int) int {
	n := 0
	for _, w := range p.shown {
		n += max(1, (w+columns-1)/max(1, columns))
	}
	return n
}
