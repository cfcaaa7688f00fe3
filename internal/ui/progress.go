package ui

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"provision/internal/engine"
)

const (
	frameEvery = 100 * time.Millisecond
	frameAfter = 300 * time.Millisecond // what is over sooner needs no bar
	heartbeat  = time.Minute
)

// ProgressOptions are what Progress can be told.
type ProgressOptions struct {
	Verbose bool  // everything that steps print, and steps that need nothing
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
	shown    []int    // widths of the lines of the last frame
	start    time.Time
	lastLine time.Time // when a line was written last, for the heartbeat
	closed   bool

	stop, done chan struct{}
}

// NewProgress returns a Progress that is running. Close ends it.
func NewProgress(t Terminal, o ProgressOptions) *Progress {
	if o.Clock == nil {
		o.Clock = SystemClock()
	}
	p := &Progress{
		term: t, clock: o.Clock,
		verdicts: &verdicts{style: t.Style, verbose: o.Verbose, output: newLineSplitter()},
		fleet:    newFleet(t.Style, o.Verbose),
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
			} else {
				p.beat()
			}
		}
	}
}

// Event implements engine.Sink. The end of the run also ends the Progress: when Event returns
// from run_end, the screen is free for others.
func (p *Progress) Event(e engine.Event) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	now := p.clock.Now()
	p.fleet.event(e, now)
	lines := p.verdicts.lines(e)
	if p.term.Live {
		p.pending = append(p.pending, lines...)
	} else if len(lines) > 0 {
		p.lastLine = now
		p.print(strings.Join(lines, "\n") + "\n")
	}
	p.mu.Unlock()
	if e.Type == engine.EventRunEnd {
		p.Close()
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
		defer p.mu.Unlock()
		columns, _ := p.term.Size()
		p.draw(nil, columns)
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

// paint draws a frame.
func (p *Progress) paint() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock.Now()
	columns, rows := p.term.Size()
	var frame []painted
	if now.Sub(p.start) >= frameAfter {
		frame = p.fleet.frame(now, now.Sub(p.start), columns-1, rows-1)
	}
	p.draw(frame, columns)
}

// draw replaces the last frame by lines that stay and a new frame, with one write. Terminals
// break lines anew when they are made narrower, so that the last frame takes as many rows as
// its lines need at the width of now.
func (p *Progress) draw(frame []painted, columns int) {
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
	p.pending, p.shown = nil, nil
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
	if b.Len() > 0 {
		p.print(b.String())
	}
}

func (p *Progress) rows(columns int) int {
	n := 0
	for _, w := range p.shown {
		n += max(1, (w+columns-1)/max(1, columns))
	}
	return n
}
