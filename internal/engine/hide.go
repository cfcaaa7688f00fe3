package engine

import (
	"regexp"
	"time"

	"provision/internal/event"
	"provision/internal/redact"
	"provision/internal/steps"
)

// Secrets are hidden here, in everything that leaves the engine. Which fields of an event are identifiers, which are values
// and which are messages is said below, once; identifiers are left as they are, since sinks and saved plans find things by them.

// emit tells what happened to the whole run.
func (r *Run) emit(p event.Payload) { r.pass(event.Event{}.With(p)) }

// pass gives an event to the sink, without secrets.
func (r *Run) pass(e event.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.Time, e.Run = time.Now(), r.ID
	if e.StepOutput != nil {
		r.emitOutput(e, r.outputs.of(r.Secrets, outputKey{e.Host, e.StepOutput.Addr, e.StepOutput.Stream}).Write(e.StepOutput.Text))
		return
	}
	switch {
	case e.StepEnd != nil:
		r.flush(e, func(k outputKey) bool { return k.host == e.Host && k.addr == e.StepEnd.Addr })
	case e.HostEnd != nil:
		r.flush(e, func(k outputKey) bool { return k.host == e.Host })
	case e.RunEnd != nil:
		r.flush(e, func(outputKey) bool { return true })
	}
	r.Sink.Event(hidden(e, r.Secrets))
}

// keepHosts makes known which names messages keep.
func (r *Run) keepHosts() {
	names := []string{r.ID, r.Playbook}
	for i := range r.Hosts {
		names = append(names, r.Hosts[i].Name, r.Hosts[i].Address)
	}
	r.Secrets.Keep(names...)
}

func (r *Run) keepNames(instances []steps.Instance) {
	if r.Secrets == nil {
		return
	}
	var names []string
	for i := range instances {
		names = append(names, instances[i].Addr, instances[i].Source.File)
	}
	r.Secrets.Keep(names...)
}

// Warn tells everybody of something that stops nothing.
func (r *Run) Warn(w event.Warning) { r.emit(&w) }

// emitOutput passes on output that is clean already.
func (r *Run) emitOutput(e event.Event, text string) {
	if text == "" {
		return
	}
	o := *e.StepOutput
	o.Text = text
	e.StepOutput = &o
	r.Sink.Event(e)
}

// flush passes on what is held of the streams that end with an event.
func (r *Run) flush(e event.Event, ends func(outputKey) bool) {
	for _, key := range r.outputs.take(ends) {
		out := event.Event{Time: e.Time, Run: e.Run, Host: key.host}.With(&event.StepOutput{Addr: key.addr, Stream: key.stream})
		r.emitOutput(out, r.outputs.streams[key].Rest())
		delete(r.outputs.streams, key)
	}
}

type outputKey struct{ host, addr, stream string }

// outputs are the streams of the steps that print: a secret may come in pieces.
type outputs struct {
	streams map[outputKey]*redact.Stream
	order   []outputKey // as they came
}

func (o *outputs) of(secrets *redact.Secrets, key outputKey) *redact.Stream {
	s := o.streams[key]
	if s == nil {
		if o.streams == nil {
			o.streams = map[outputKey]*redact.Stream{}
		}
		s = secrets.Stream()
		o.streams[key] = s
		o.order = append(o.order, key)
	}
	return s
}

// take removes the keys of the streams that end, and returns them in order.
func (o *outputs) take(ends func(outputKey) bool) []outputKey {
	var taken []outputKey
	kept := o.order[:0]
	for _, key := range o.order {
		if ends(key) {
			taken = append(taken, key)
		} else {
			kept = append(kept, key)
		}
	}
	o.order = kept
	return taken
}

// hidden returns an event without secrets. What it points to may be in use elsewhere, and is copied.
func hidden(e event.Event, s *redact.Secrets) event.Event {
	if s == nil {
		return e
	}
	e.RunStart = changed(e.RunStart, func(p *event.RunStart) {
		p.Argv = each(p.Argv, s.Value)
		p.Selection = changed(p.Selection, func(c *event.Selection) {
			vars := map[string]string{}
			for name, value := range c.Vars {
				vars[name] = s.Value(value)
			}
			c.Vars = vars
		})
	})
	e.HostUnreachable = changed(e.HostUnreachable, func(p *event.HostUnreachable) { p.Message, p.Hint = s.Message(p.Message), s.Message(p.Hint) })
	e.HostRetry = changed(e.HostRetry, func(p *event.HostRetry) { p.Why = s.Message(p.Why) })
	e.PlanStep = changed(e.PlanStep, func(p *event.PlanStep) { *p = hiddenPlan(*p, s) })
	e.Message = changed(e.Message, func(p *event.Message) { p.Source, p.Text = hiddenSource(p.Source, s), s.Text(p.Text) })
	e.BatchEnd = changed(e.BatchEnd, func(p *event.BatchEnd) { p.Message = s.Message(p.Message) })
	e.StepStart = changed(e.StepStart, func(p *event.StepStart) { p.Source = hiddenSource(p.Source, s) })
	e.StepEnd = changed(e.StepEnd, func(p *event.StepEnd) {
		p.Source, p.Reason, p.Diff = hiddenSource(p.Source, s), s.Message(p.Reason), hiddenDiff(p.Diff, s)
		p.Error = hiddenFailure(p.Error, s)
	})
	e.CheckEnd = changed(e.CheckEnd, func(p *event.CheckEnd) { p.Message, p.Source = s.Message(p.Message), hiddenSource(p.Source, s) })
	e.HostEnd = changed(e.HostEnd, func(p *event.HostEnd) { p.Message = s.Message(p.Message) })
	e.Warning = changed(e.Warning, func(p *event.Warning) { p.Message, p.Hint = s.Message(p.Message), s.Message(p.Hint) })
	return e
}

// hiddenPlan returns what is told of a step without secrets. Doing it twice is as doing it once.
func hiddenPlan(p event.PlanStep, s *redact.Secrets) event.PlanStep {
	if s == nil {
		return p
	}
	p.Source, p.Reason, p.Diff = hiddenSource(p.Source, s), s.Message(p.Reason), hiddenDiff(p.Diff, s)
	p.Path, p.Dangers, p.Error = s.Message(p.Path), each(p.Dangers, s.Message), hiddenFailure(p.Error, s)
	return p
}

// hiddenFailure leaves the words of the message: what of them a host said passes through Text where the message is made.
func hiddenFailure(f *event.Failure, s *redact.Secrets) *event.Failure {
	return changed(f, func(f *event.Failure) {
		f.Message, f.Hint = s.Message(f.Message), s.Message(f.Hint)
		f.Command, f.Output = s.Text(f.Command), s.Text(f.Output)
	})
}

func hiddenDiff(diff []steps.Attr, s *redact.Secrets) []steps.Attr {
	var out []steps.Attr
	for _, a := range diff {
		a.Before, a.After = s.Value(a.Before), s.Value(a.After)
		out = append(out, a)
	}
	return out
}

// blockHeader is the line that a block begins with: its labels are a part of the address.
var blockHeader = regexp.MustCompile(`^\s*[a-z_]+(\s+("[^"]*"|[\w-]+))*\s*\{`)

// hiddenSource leaves the labels of a block, and hides what else stands on its line. The command of a run has no file.
func hiddenSource(at event.Source, s *redact.Secrets) event.Source {
	if at.File == "" {
		at.Text = s.Text(at.Text)
		return at
	}
	header := blockHeader.FindString(at.Text)
	at.Text = header + s.Text(at.Text[len(header):])
	return at
}

// changed applies a change to a copy of what p points to: others see the original.
func changed[T any](p *T, change func(*T)) *T {
	if p == nil {
		return nil
	}
	c := *p
	change(&c)
	return &c
}

func each(texts []string, hide func(string) string) []string {
	var out []string
	for _, t := range texts {
		out = append(out, hide(t))
	}
	return out
}
