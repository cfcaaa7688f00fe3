package ui

import (
	"fmt"
	"io"
	"sort"
	"strings"
	"time"

	"github.com/maruel/natural"
	"github.com/schollz/progressbar/v3"

	"provision/internal/event"
	"provision/internal/steps"
)

// A fleet is what Progress knows of the hosts of a run: enough to draw a frame.
type fleet struct {
	style   Style
	command string
	total   int
	hosts   map[string]*hostState
	bar     *progressbar.ProgressBar
	barSize int
	batch   *event.BatchStart // the last that began
}

type hostState struct {
	name    string
	doing   string // the running step, or what else keeps the host busy
	step    bool   // doing is a step
	since   time.Time
	last    string // line of output
	pending int    // steps that the plan found to do
	ended   int    // of them, that have their verdict
	over    bool
	planned bool
	status  event.HostStatus // once it is over
}

func newFleet(s Style) *fleet { return &fleet{style: s, hosts: map[string]*hostState{}} }

func (f *fleet) event(e event.Event, now time.Time) {
	if e.RunStart != nil {
		f.command, f.total = e.RunStart.Command, e.RunStart.Hosts
	}
	if e.BatchStart != nil {
		f.batch = e.BatchStart
	}
	if e.Host == "" {
		return
	}
	h := f.hosts[e.Host]
	if h == nil {
		h = &hostState{name: Line(e.Host), since: now}
		f.hosts[e.Host] = h
		f.total = max(f.total, len(f.hosts))
	}
	switch e.Type {
	case event.TypeHostConnecting:
		h.busy("connecting", false, now)
	case event.TypeHostConnected:
		h.busy("looking", false, now)
	case event.TypeHostRetry:
		h.busy("connecting again", false, now)
	case event.TypeHostLocked:
		h.busy("waiting for another run", false, now)
	case event.TypeHostPlanned:
		h.busy("", false, now)
		h.planned, h.pending, h.ended = true, 0, 0
		for action, n := range e.HostPlanned.Counts {
			if action != string(steps.NoOp) {
				h.pending += n
			}
		}
	case event.TypeStepStart:
		h.busy(Line(e.StepStart.Addr), true, now)
		h.pending = max(h.pending, e.StepStart.Of)
	case event.TypeStepOutput:
		if i := strings.TrimRight(e.StepOutput.Text, "\r\n"); i != "" {
			i = i[strings.LastIndexAny(i, "\r\n")+1:]
			h.last = Line(i[:min(len(i), 400)])
		}
	case event.TypeStepEnd:
		h.busy("", false, now)
		if e.StepEnd.Status != event.StepUnchanged && e.StepEnd.Status != event.StepSkipped {
			h.ended++
		}
	case event.TypeHostEnd:
		h.busy("", false, now)
		h.over, h.status = true, e.HostEnd.Status
	}
}

func (h *hostState) busy(doing string, step bool, now time.Time) {
	h.doing, h.step, h.since, h.last = doing, step, now, ""
}

// running returns the hosts that do something, those that have been at it longest first: who
// hangs is on top.
func (f *fleet) running() []*hostState {
	var list []*hostState
	for _, h := range f.hosts {
		if h.doing != "" && !h.over {
			list = append(list, h)
		}
	}
	sort.Slice(list, func(i, j int) bool {
		if a, b := list[i], list[j]; !a.since.Equal(b.since) {
			return a.since.Before(b.since)
		}
		return natural.Less(list[i].name, list[j].name)
	})
	return list
}

// stillRunning are the plain lines of a heartbeat.
func (f *fleet) stillRunning(now time.Time) []string {
	const most = 5
	list := f.running()
	var lines []string
	for i, h := range list {
		if i == most {
			lines = append(lines, fmt.Sprintf("still running: %d more hosts", len(list)-most))
			break
		}
		lines = append(lines, "still running: "+h.name+" "+h.doing+" "+short(now.Sub(h.since)))
	}
	return lines
}

// A painted line fits the screen; width is without the colours.
type painted struct {
	text  string
	width int
}

type piece struct {
	tone tone
	text string
}

// fit joins pieces of cleaned text to a line of at most columns.
func (s Style) fit(columns int, pieces ...piece) painted {
	var l painted
	for _, p := range pieces {
		text := cut(p.text, columns-l.width, s.dots())
		l.text += s.paint(p.tone, text)
		l.width += width(text)
		if text != p.text {
			break
		}
	}
	return l
}

// mostHosts bounds the lines above the bar. A frame that a smaller window no longer holds
// leaves its top in the scrollback, where nothing can take it back: a small one rarely does.
const mostHosts = 10

// frame draws what is going on in at most the given columns and rows.
func (f *fleet) frame(now time.Time, elapsed time.Duration, columns, rows int) []painted {
	var frame []painted
	list := f.running()
	room := max(0, min(rows-2, mostHosts)) // beside the bar, and what stands above the frame
	for i, h := range list {
		if len(frame)+1 >= room && i < len(list)-1 {
			frame = append(frame, f.style.fit(columns, piece{faint, fmt.Sprintf("  +%d more", len(list)-i)}))
			break
		}
		if len(frame) >= room {
			break
		}
		frame = append(frame, f.style.fit(
			columns, piece{running, f.spinner(now)}, piece{strong, " " + h.name},
			piece{plain, "  " + h.doing}, piece{faint, "  " + short(now.Sub(h.since))},
		))
		// A hundred hosts that all print would tear at the screen.
		if h.last != "" && len(list) <= 3 && len(frame) < room {
			frame = append(frame, f.style.fit(columns, piece{faint, "    " + h.last}))
		}
	}
	if len(frame) > max(1, rows-1) {
		frame = frame[:max(1, rows-1)]
	}
	return append(frame, f.barLine(elapsed, columns))
}

func (f *fleet) spinner(now time.Time) string {
	frames := []rune(f.style.pick("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", `|/-\`))
	return string(frames[int(now.UnixMilli()/frameEvery.Milliseconds())%len(frames)])
}

// barLine is the bar of the whole run with its count. One host counts by its steps, several by
// hosts, each of which brings the bar on with every step.
func (f *fleet) barLine(elapsed time.Duration, columns int) painted {
	part, over, planned, failed, unreachable, pending, ended := 0.0, 0, 0, 0, 0, 0, 0
	for _, h := range f.hosts {
		switch {
		case h.over:
			over++
			part++
			switch h.status {
			case event.HostUnreached:
				unreachable++
			case event.HostFailed, event.HostIsLocked, event.HostStale:
				failed++
			}
		case h.pending > 0:
			part += float64(min(h.ended, h.pending)) / float64(h.pending)
		}
		if h.planned || h.over {
			planned++
		}
		pending += h.pending
		ended += min(h.ended, h.pending)
	}
	label := fmt.Sprintf("%d/%d hosts", over, f.total)
	switch {
	case f.command == event.CommandPlan:
		label, part = fmt.Sprintf("%d/%d hosts looked at", planned, f.total), float64(planned)
		if f.total == 1 {
			label = "planning"
		}
	case f.total == 1 && pending > 0:
		label = fmt.Sprintf("%d/%d steps", ended, pending)
	}
	if f.batch != nil && f.batch.Of > 1 {
		label = fmt.Sprintf("batch %d/%d, ", f.batch.Number, f.batch.Of) + label
	}
	note := "  " + short(elapsed)
	if unreachable > 0 {
		note = fmt.Sprintf("  %d unreachable", unreachable) + note
	}
	if failed > 0 {
		note = fmt.Sprintf("  %d failed", failed) + note
	}
	size := min(30, columns-width(label)-width(note)-4)
	if size < 5 {
		return f.style.fit(columns, piece{strong, label}, piece{faint, note})
	}
	return f.style.fit(
		columns, piece{running, f.drawBar(part/float64(max(1, f.total)), size)},
		piece{strong, "  " + label}, piece{faint, note},
	)
}

// drawBar lets progressbar draw a bar of size columns that nobody else writes to the screen.
func (f *fleet) drawBar(part float64, size int) string {
	const whole = 1000
	if f.bar == nil || f.barSize != size {
		theme := progressbar.Theme{Saucer: "━", SaucerHead: "━", SaucerPadding: "─"}
		if !f.style.Unicode {
			theme = progressbar.Theme{Saucer: "#", SaucerHead: "#", SaucerPadding: "."}
		}
		f.barSize = size
		f.bar = progressbar.NewOptions(
			whole+1, // never full, since a full bar cannot be drawn again
			progressbar.OptionSetWriter(io.Discard),
			progressbar.OptionSetWidth(size),
			progressbar.OptionSetTheme(theme),
			progressbar.OptionSetPredictTime(false),
			progressbar.OptionSetElapsedTime(false),
		)
	}
	if err := f.bar.Set(int(part * whole)); err != nil {
		return ""
	}
	_ = f.bar.RenderBlank() // Set to the same value draws nothing
	_, drawn, _ := strings.Cut(f.bar.String(), "% ")
	return cut(strings.TrimSpace(drawn), size, "")
}
