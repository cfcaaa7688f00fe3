package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"provision/internal/engine"
	"provision/internal/event"
	"provision/internal/inventory"
	"provision/internal/playbook"
	"provision/internal/redact"
	"provision/internal/steps"
)

// A told is an event with what was so when it was told.
type told struct {
	event.Event
	after time.Duration  // since the client began
	ends  map[string]int // how often each script has come to its end since the client began, by its name
}

// A client is one run of the engine.
type client struct {
	p       *play
	name    string
	command string
	trouble *Trouble
	rerun   map[string]bool

	began  time.Time
	ended  time.Duration
	before map[string]int // lines of the log when it began
	dialed int
	links  []*Link
	events []told
	killed bool
	stop   chan struct{}
	halted int // events when it was interrupted; 0: it was not
	cancel context.CancelFunc
	over   chan struct{} // closed when it was killed, or has ended
	gone   chan struct{} // closed when its goroutine has ended
	exit   int
}

// source yields the steps of a playbook for one host.
type source struct {
	pb      *playbook.Playbook
	host    *inventory.Host
	secrets *redact.Secrets
}

func (s source) Steps(facts *steps.Facts, results map[string]cty.Value) ([]steps.Instance, hcl.Diagnostics) {
	list, diags := s.pb.Steps(s.host, facts, results)
	s.secrets.Add(s.pb.Secrets()...)
	return list, diags
}

// start begins a run. Its troubles are counted from now on.
func (p *play) start(command string, t *Trouble, rerun map[string]bool) *client {
	p.clients++
	ctx, cancel := context.WithCancel(context.Background())
	c := &client{
		p: p, name: fmt.Sprintf("20000101-000000-%04d", p.clients), command: command, trouble: t, rerun: rerun, began: time.Now(), before: p.w.log(),
		stop: make(chan struct{}), cancel: cancel, over: make(chan struct{}), gone: make(chan struct{}), exit: -1,
	}
	p.all = append(p.all, c)
	for addr := range rerun {
		if pt := p.part(addr); pt != nil {
			p.w.mark("may " + pt.log)
		}
	}
	secrets := redact.New()
	secrets.Add(p.pb.Secrets()...)
	run := &engine.Run{
		ID: c.name, Owner: "sim@client, run " + c.name, Command: command, Playbook: "playbook.hcl", Salt: "00112233445566778899aabbccddeeff", Parallel: 1,
		Dialer: c, Sink: c, Secrets: secrets, Stop: c.stop, Reconnect: reconnect, Rerun: rerun,
		Hosts: []engine.Host{{Name: "h1", Address: "h1:22", User: "root", Source: source{p.pb, p.host, secrets}}},
	}
	go func() {
		defer close(c.gone)
		if s := run.Plan(ctx); !s.Failed && command != event.CommandPlan {
			if t.Edit {
				p.edit()
			}
			run.Apply(ctx)
		}
		exit := run.Close()
		p.w.mu.Lock()
		defer p.w.mu.Unlock()
		for _, l := range c.links {
			l.leave(errLost) // the process ends
		}
		p.w.wake()
		cancel()
		if !c.killed {
			c.exit, c.ended = exit, time.Since(c.began)
			close(c.over)
		}
	}()
	return c
}

// reconnect is how long a client tries to come back.
const reconnect = 10 * time.Minute

// Dial implements engine.Dialer.
func (c *client) Dial(ctx context.Context, _ string) (engine.Conn, error) {
	w := c.p.w
	w.mu.Lock()
	if c.killed {
		w.mu.Unlock()
		return nil, errLost
	}
	w.mu.Unlock()
	l, err := w.dial(ctx, nil)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.killed {
		return nil, errLost
	}
	if c.dialed < len(c.trouble.Breaks) && c.trouble.Breaks[c.dialed].Kind != "" {
		l.breaks = &c.trouble.Breaks[c.dialed]
	}
	c.dialed++
	c.links = append(c.links, l)
	return l, nil
}

// Event implements engine.Sink.
func (c *client) Event(e event.Event) {
	w := c.p.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.killed {
		return
	}
	t := told{Event: e, after: time.Since(c.began)}
	if e.StepEnd != nil || e.HostEnd != nil {
		t.ends = map[string]int{}
		for line, n := range w.log() {
			t.ends[line] = n - c.before[line]
		}
	}
	c.events = append(c.events, t)
	n, x := len(c.events), c.trouble
	if x.Second > 0 && n == x.Second && c.command == event.CommandApply {
		w.mark("also")
		go func() { c.p.second <- c.p.start(event.CommandApply, &Trouble{}, nil) }()
	}
	if x.Stop > 0 && n == x.Stop {
		c.halted = n
		c.p.note("%s", "interrupt")
		close(c.stop)
	}
	if x.Stop > 0 && x.StopAgain > 0 && n == x.Stop+x.StopAgain {
		c.p.note("%s", "interrupt again")
		c.cancel()
	}
	if x.Kill > 0 && n == x.Kill {
		c.kill()
	}
}

// kill ends the client as SIGKILL does: it does nothing any more, and nobody hears of it.
func (c *client) kill() {
	c.killed = true
	c.ended = time.Since(c.began)
	c.p.note("%s", c.name+" is killed")
	for _, l := range c.links {
		if l.dead == nil {
			if c.trouble.KillLinger > 0 {
				l.dead, l.hole = errLost, true
				l.after(c.trouble.KillLinger, l.hostGone)
			} else {
				l.leave(errLost)
			}
		}
	}
	c.p.w.changed.Broadcast()
	c.p.w.wake()
	c.cancel()
	close(c.over)
}

// story is what the client told, for whoever reads a failure.
func (c *client) story() string {
	text := fmt.Sprintf("--- %s %s, from %s on: %s", c.command, c.name, c.began.Sub(c.p.began), c.trouble)
	for i := range c.events {
		text += fmt.Sprintf("\n%3d %8.2f %s", i+1, c.events[i].after.Seconds(), line(&c.events[i].Event))
	}
	if c.killed {
		return text + "\n             killed"
	}
	return text + fmt.Sprintf("\n    %8.2f exit %d", c.ended.Seconds(), c.exit)
}

// line tells of an event in one line.
func line(e *event.Event) string {
	text := string(e.Type) + " "
	fail := func(f *event.Failure) string {
		if f == nil {
			return ""
		}
		return fmt.Sprintf(" (%s)", f.Message)
	}
	switch {
	case e.PlanStep != nil:
		return text + fmt.Sprintf("%s %s%s", e.PlanStep.Addr, e.PlanStep.Action, fail(e.PlanStep.Error))
	case e.StepStart != nil:
		return text + e.StepStart.Addr
	case e.StepOutput != nil:
		return text + fmt.Sprintf("%s %s %d bytes %.60q", e.StepOutput.Addr, e.StepOutput.Stream, len(e.StepOutput.Text), e.StepOutput.Text)
	case e.StepEnd != nil:
		return text + fmt.Sprintf("%s %s%s", e.StepEnd.Addr, e.StepEnd.Status, fail(e.StepEnd.Error))
	case e.HostEnd != nil:
		return text + fmt.Sprintf("%s %s", e.HostEnd.Status, e.HostEnd.Message)
	case e.HostRetry != nil:
		return text + fmt.Sprintf("%d in %s: %s", e.HostRetry.Attempt, time.Duration(e.HostRetry.Delay), e.HostRetry.Why)
	case e.HostUnreachable != nil:
		return text + e.HostUnreachable.Message
	case e.Warning != nil:
		return text + fmt.Sprintf("%s %s", e.Warning.Addr, e.Warning.Message)
	case e.RunEnd != nil:
		return text + e.RunEnd.Status
	}
	return text
}

// ending is how the host ended for the client; nil if it did not.
func (c *client) ending() *event.HostEnd {
	for i := range c.events {
		if c.events[i].HostEnd != nil {
			return c.events[i].HostEnd
		}
	}
	return nil
}

// unknown are the steps that it was told to look at on the host before they run again.
func (c *client) unknown() []string {
	var list []string
	for i := range c.events {
		if s := c.events[i].PlanStep; s != nil && s.Error != nil && strings.Contains(s.Error.Hint, "--rerun "+s.Addr+",") && !slices.Contains(list, s.Addr) {
			list = append(list, s.Addr)
		}
	}
	return list
}

var errNoHost = errors.New("the playbook has no host")
