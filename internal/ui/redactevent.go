package ui

import (
	"provision/internal/engine"
	"provision/internal/steps"
)

// redactEvent returns a copy of an event with hide applied to every text that may come from
// outside. The words that are this program's own (types, statuses, actions, run ids) stay: they
// are never secret, and sinks depend on them.
func redactEvent(e engine.Event, hide func(string) string) engine.Event {
	e.Host = hide(e.Host)
	e.RunStart = redactCopy(e.RunStart, func(p *engine.RunStart) {
		p.Playbook, p.Owner, p.Argv = hide(p.Playbook), hide(p.Owner), redactAll(p.Argv, hide)
		p.Selection = redactCopy(p.Selection, func(s *engine.Selection) { redactSelection(s, hide) })
	})
	e.HostConnected = redactCopy(e.HostConnected, func(p *engine.HostConnected) {
		p.Address, p.User, p.OS = hide(p.Address), hide(p.User), hide(p.OS)
	})
	e.HostUnreachable = redactCopy(e.HostUnreachable, func(p *engine.HostUnreachable) {
		p.Message, p.Hint = hide(p.Message), hide(p.Hint)
	})
	e.HostRetry = redactCopy(e.HostRetry, func(p *engine.HostRetry) { p.Why = hide(p.Why) })
	e.HostLocked = redactCopy(e.HostLocked, func(p *engine.HostLocked) { p.Owner = hide(p.Owner) })
	e.PlanStep = redactCopy(e.PlanStep, func(p *engine.PlanStep) {
		p.Addr, p.Kind, p.Reason = hide(p.Addr), hide(p.Kind), hide(p.Reason)
		p.Source = redactSource(p.Source, hide)
		p.Diff = redactDiff(p.Diff, hide)
		p.After, p.Dangers = redactAll(p.After, hide), redactAll(p.Dangers, hide)
		p.Events = redactAll(p.Events, hide)
		p.Error = redactFailure(p.Error, hide)
	})
	e.BatchStart = redactCopy(e.BatchStart, func(p *engine.BatchStart) {
		p.Plays, p.Hosts = redactAll(p.Plays, hide), redactAll(p.Hosts, hide)
	})
	e.BatchEnd = redactCopy(e.BatchEnd, func(p *engine.BatchEnd) { p.Message = hide(p.Message) })
	e.StepStart = redactCopy(e.StepStart, func(p *engine.StepStart) {
		p.Addr, p.Kind, p.Source = hide(p.Addr), hide(p.Kind), redactSource(p.Source, hide)
	})
	e.StepOutput = redactCopy(e.StepOutput, func(p *engine.StepOutput) {
		p.Addr, p.Text = hide(p.Addr), hide(p.Text)
	})
	e.StepEnd = redactCopy(e.StepEnd, func(p *engine.StepEnd) {
		p.Addr, p.Kind, p.Reason = hide(p.Addr), hide(p.Kind), hide(p.Reason)
		p.Source, p.Diff = redactSource(p.Source, hide), redactDiff(p.Diff, hide)
		p.Error = redactFailure(p.Error, hide)
	})
	e.CheckEnd = redactCopy(e.CheckEnd, func(p *engine.CheckEnd) {
		p.Name, p.Message, p.Source = hide(p.Name), hide(p.Message), redactSource(p.Source, hide)
	})
	e.HostEnd = redactCopy(e.HostEnd, func(p *engine.HostEnd) { p.Message = hide(p.Message) })
	e.Warning = redactCopy(e.Warning, func(p *engine.Warning) {
		p.Message, p.Addr, p.Hint = hide(p.Message), hide(p.Addr), hide(p.Hint)
	})
	e.RunEnd = redactCopy(e.RunEnd, func(p *engine.RunEnd) { p.Next = hide(p.Next) })
	return e
}

func redactFailure(f *engine.Failure, hide func(string) string) *engine.Failure {
	return redactCopy(f, func(f *engine.Failure) {
		f.Message, f.Command = hide(f.Message), hide(f.Command)
		f.Output, f.Hint = hide(f.Output), hide(f.Hint)
	})
}

func redactSelection(s *engine.Selection, hide func(string) string) {
	s.Limit, s.Tags, s.SkipTags = redactAll(s.Limit, hide), redactAll(s.Tags, hide), redactAll(s.SkipTags, hide)
	s.VarFiles, s.Names = redactAll(s.VarFiles, hide), redactAll(s.Names, hide)
	s.Shard, s.Directory = hide(s.Shard), hide(s.Directory)
	vars := map[string]string{}
	for name, value := range s.Vars {
		vars[name] = hide(value)
	}
	s.Vars = vars
}

// redactCopy applies a change to a copy of what p points to: other sinks see the original.
func redactCopy[T any](p *T, change func(*T)) *T {
	if p == nil {
		return nil
	}
	c := *p
	change(&c)
	return &c
}

func redactSource(s engine.Source, hide func(string) string) engine.Source {
	return engine.Source{File: hide(s.File), Line: s.Line, Text: hide(s.Text)}
}

func redactAll(texts []string, hide func(string) string) []string {
	var out []string
	for _, t := range texts {
		out = append(out, hide(t))
	}
	return out
}

func redactDiff(diff []steps.Attr, hide func(string) string) []steps.Attr {
	var out []steps.Attr
	for _, a := range diff {
		a.Name, a.Before, a.After = hide(a.Name), hide(a.Before), hide(a.After)
		out = append(out, a)
	}
	return out
}
