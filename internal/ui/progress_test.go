package ui

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"provision/internal/event"
	"provision/internal/steps"
)

// A handClock is moved by hand. A tick is taken when ring returns; after the next one, what it
// led to is over.
type handClock struct {
	mu  sync.Mutex
	now time.Time
	c   chan time.Time
}

func newHandClock() *handClock { return &handClock{now: epoch, c: make(chan time.Time)} }

func (h *handClock) Now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *handClock) Ticker(time.Duration) (<-chan time.Time, func()) { return h.c, func() {} }

func (h *handClock) pass(d time.Duration) {
	h.mu.Lock()
	h.now = h.now.Add(d)
	h.mu.Unlock()
}

// ring lets the ticker ring, and waits until what it led to is over: the second ring is taken
// only then, and finds the same time.
func (h *handClock) ring() {
	h.c <- h.now
	h.c <- h.now
}

func ms(n int) event.Millis { return event.Millis(time.Duration(n) * time.Millisecond) }

// A script is an apply on hosts: between the events, time passes.
func applyOf(hosts int) []event.Event {
	events := []event.Event{sampleEvent("", event.RunStart{Schema: 1, Command: event.CommandApply, Hosts: hosts})}
	name := func(i int) string { return fmt.Sprintf("web%02d", i+1) }
	for i := range hosts {
		events = append(
			events, sampleEvent(name(i), event.HostConnecting{}),
			sampleEvent(name(i), &event.HostConnected{Address: "203.0.113.10:22", User: "root", OS: "CentOS Linux 7"}),
			sampleEvent(name(i), &event.HostPlanned{Counts: event.Counts{"create": 1, "run": 1, "no-op": 3}}),
		)
	}
	for i := range hosts {
		events = append(
			events,
			sampleEvent(name(i), &event.StepStart{Addr: "step.file.motd", Action: steps.Create, Number: 1, Of: 2}),
			sampleEvent(name(i), &event.StepEnd{Addr: "step.file.motd", Action: steps.Create, Status: event.StepChanged, Duration: ms(100)}),
			sampleEvent(name(i), &event.StepEnd{Addr: "step.user.app", Action: steps.NoOp, Status: event.StepUnchanged}),
			sampleEvent(name(i), &event.StepStart{Addr: "step.source_build.python", Action: steps.Execute, Number: 2, Of: 2}),
			printed(name(i), "step.source_build.python", "stdout", "gcc -c a.c\ngcc -c "),
			printed(name(i), "step.source_build.python", "stdout", "b.c\n10%\r20%\r100%\n\x1b[31mwarning\x1b[0m with a rather long line of text that goes on\n"),
		)
	}
	for i := range hosts {
		end := event.StepEnd{Addr: "step.source_build.python", Action: steps.Execute, Status: event.StepChanged, Duration: ms(61000)}
		status := event.HostOK
		if i == 1 {
			end.Status, status = event.StepFailed, event.HostFailed
			end.Source = at(40, `step "source_build" "python" {`)
			end.Error = &event.Failure{
				Message: "make failed", Command: "make -j2", Exit: 2, Output: "gcc -c b.c\nb.c:1: error\n",
				Hint: "mend it, then: provision resume 20240517-093000-ab12",
			}
		}
		events = append(
			events, sampleEvent(name(i), end),
			sampleEvent(name(i), &event.HostEnd{Status: status, Counts: event.Counts{"changed": 2, "unchanged": 3}, Duration: ms(62000)}),
		)
	}
	return append(events, sampleEvent("", event.RunEnd{Status: "ok", Duration: ms(62000)}))
}

func TestProgressInAPipe(t *testing.T) {
	for name, o := range map[string]ProgressOptions{
		"progress_pipe.txt": {}, "progress_pipe_verbose.txt": {Verbose: true},
	} {
		var buf bytes.Buffer
		clock := newHandClock()
		o.Clock = clock
		p := NewProgress(Terminal{Out: &buf, Style: unicodeStyle}, o)
		for _, e := range applyOf(2) {
			p.Event(e)
		}
		p.Close()
		golden(t, name, buf.String())
		if text := buf.String(); strings.ContainsAny(text, "\r\x1b") {
			t.Errorf("%s: control characters in a pipe: %q", name, text)
		}
	}
}

func TestHeartbeat(t *testing.T) {
	var buf bytes.Buffer
	clock := newHandClock()
	p := NewProgress(Terminal{Out: &buf, Style: unicodeStyle}, ProgressOptions{Clock: clock})
	defer p.Close()
	p.Event(sampleEvent("web1", event.StepStart{Addr: "step.source_build.python"}))
	for range 3 {
		clock.pass(time.Minute)
		clock.ring()
	}
	want := "still running: web1 step.source_build.python 1m00s\n" +
		"still running: web1 step.source_build.python 2m00s\n" +
		"still running: web1 step.source_build.python 3m00s\n"
	if got := buf.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// On a terminal, what stays must be what a pipe gets, at any width, through resizes, with no
// rest of a frame in it.
func TestProgressOnATerminal(t *testing.T) {
	for _, hosts := range []int{1, 2, 30} {
		for _, size := range [][2]int{{80, 24}, {40, 10}, {20, 5}, {200, 50}} {
			for _, resized := range [][2]int{size, {40, 24}, {133, 30}, {61, 24}} {
				name := fmt.Sprintf("%d hosts, %v, then %v", hosts, size, resized)
				screen, frames := playOnTerminal(t, hosts, size, resized)
				var pipe bytes.Buffer
				p := NewProgress(Terminal{Out: &pipe, Style: unicodeStyle}, ProgressOptions{Clock: newHandClock()})
				feed(p, applyOf(hosts)...)
				p.Close()
				if diff := cmp.Diff(strings.Split(pipe.String(), "\n"), strings.Split(screen.text(), "\n")); diff != "" {
					t.Fatalf("%s: the terminal shows something else (-pipe +terminal):\n%s", name, diff)
				}
				if !strings.Contains(frames, "step.source_build") && size[0] >= 40 && resized[0] >= 40 {
					t.Errorf("%s: the running step was never on the screen", name)
				}
			}
		}
	}
}

// playOnTerminal shows an apply on a terminal that is resized half-way, and returns it with all
// that was on it in between.
func playOnTerminal(t *testing.T, hosts int, size, resized [2]int) (*vt, string) {
	screen := newVT(t, size[0], size[1])
	clock := newHandClock()
	style := Style{Unicode: true, Color: true}
	p := NewProgress(Terminal{
		Out: screen, Style: style, Live: true, Size: func() (int, int) { return screen.width, screen.height },
	}, ProgressOptions{Clock: clock})
	var frames strings.Builder
	events := applyOf(hosts)
	for i, e := range events {
		p.Event(e)
		if e.Type == event.TypeRunEnd {
			break
		}
		clock.pass(150 * time.Millisecond)
		clock.ring()
		p.mu.Lock()
		for _, w := range p.shown {
			if w >= screen.width {
				t.Errorf("%d hosts, %v: a frame of %d columns on %d", hosts, size, w, screen.width)
			}
		}
		if n := len(p.shown); n >= screen.height {
			t.Errorf("%d hosts, %v: a frame of %d rows on %d", hosts, size, n, screen.height)
		}
		frames.WriteString(screen.text() + "\n")
		if i == len(events)/2 {
			screen.resize(resized[0], resized[1])
		}
		p.mu.Unlock()
	}
	p.Close()
	return screen, frames.String()
}

func TestFrame(t *testing.T) {
	f := newFleet(unicodeStyle)
	now := epoch
	for i, e := range applyOf(40) {
		if e.StepEnd != nil && e.StepEnd.Action == steps.Execute {
			break
		}
		f.event(e, now.Add(time.Duration(i)*time.Millisecond))
	}
	text := func(columns, rows int) string {
		var b strings.Builder
		for _, l := range f.frame(now.Add(72*time.Second), 75*time.Second, columns, rows) {
			b.WriteString(strings.TrimRight(l.text, " ") + "\n")
		}
		return b.String()
	}
	golden(t, "frame_fleet_80x10.txt", text(80, 10))
	golden(t, "frame_fleet_30x6.txt", text(30, 6))
	one := newFleet(Style{})
	for _, e := range applyOf(1)[:10] {
		one.event(e, now)
	}
	f = one
	golden(t, "frame_one_ascii.txt", text(80, 24))
}

// A stuck is a terminal on which somebody pressed Ctrl-S.
type stuck struct {
	entered, free chan struct{}
	once          sync.Once
	text          strings.Builder
}

func (s *stuck) Write(p []byte) (int, error) {
	s.once.Do(func() {
		close(s.entered)
		<-s.free
	})
	return s.text.Write(p)
}

func TestStoppedTerminalStopsNoHost(t *testing.T) {
	screen := &stuck{entered: make(chan struct{}), free: make(chan struct{})}
	clock := newHandClock()
	p := NewProgress(Terminal{
		Out: screen, Style: unicodeStyle, Live: true, Size: func() (int, int) { return 80, 24 },
	}, ProgressOptions{Clock: clock, Verbose: true})
	p.Event(sampleEvent("web1", event.StepStart{Addr: "step.a.b"}))
	clock.c <- clock.now
	<-screen.entered
	for range maxPending + 500 { // would never come back if it waited for the screen
		p.Event(printed("web1", "step.a.b", "stdout", "line\n"))
	}
	p.Event(sampleEvent("web1", event.StepEnd{Addr: "step.a.b", Status: event.StepChanged}))
	close(screen.free)
	p.Close()
	text := screen.text.String()
	if !strings.Contains(text, "500 lines of output not shown") || !strings.Contains(text, "step.a.b  changed") {
		t.Errorf("what was left out is not told, or the verdict is missing: %.200q … %.200q", text, text[max(0, len(text)-200):])
	}
}
