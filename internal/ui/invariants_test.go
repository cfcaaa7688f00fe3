package ui

import (
	"fmt"
	"slices"
	"strings"

	"provision/internal/event"
	"provision/internal/steps"
)

// outcome is what the events of a run say, told apart from every renderer.
type outcome struct {
	unplanned map[string]map[string]*event.PlanStep // by host and address: the last word is that it cannot be planned
	early     map[string]map[string]*event.PlanStep // of these, those of the plan that was shown
	ended     map[string]map[string]*event.StepEnd  // the last verdict on each step, without stale ones
	checks    map[string]map[string]*event.CheckEnd
	ends      map[string]*event.HostEnd
	reached   map[string]*event.HostUnreachable
	planned   map[string]event.Counts // as the events of the plan add up
	told      map[string]event.Counts // as host_planned says
	verdicts  map[string]event.Counts // as the verdicts add up
	run       *event.RunEnd
}

func outcomeOf(events []event.Event) *outcome {
	o := &outcome{
		map[string]map[string]*event.PlanStep{},
		map[string]map[string]*event.PlanStep{},
		map[string]map[string]*event.StepEnd{},
		map[string]map[string]*event.CheckEnd{},
		map[string]*event.HostEnd{},
		map[string]*event.HostUnreachable{},
		map[string]event.Counts{},
		map[string]event.Counts{},
		map[string]event.Counts{},
		nil,
	}
	for _, e := range events {
		if e.Host != "" && o.unplanned[e.Host] == nil {
			o.unplanned[e.Host], o.early[e.Host] = map[string]*event.PlanStep{}, map[string]*event.PlanStep{}
			o.ended[e.Host], o.checks[e.Host] = map[string]*event.StepEnd{}, map[string]*event.CheckEnd{}
			o.planned[e.Host], o.verdicts[e.Host] = event.Counts{}, event.Counts{}
		}
		switch {
		case e.PlanStep != nil:
			delete(o.unplanned[e.Host], e.PlanStep.Addr)
			if e.PlanStep.Error != nil {
				o.unplanned[e.Host][e.PlanStep.Addr] = e.PlanStep
			}
			if o.told[e.Host] == nil {
				word := string(e.PlanStep.Action)
				if e.PlanStep.Error != nil {
					word = event.CountError
					o.early[e.Host][e.PlanStep.Addr] = e.PlanStep
				}
				if !e.PlanStep.Data || e.PlanStep.Error != nil {
					o.planned[e.Host][word]++
				}
			}
		case e.HostPlanned != nil:
			o.told[e.Host] = e.HostPlanned.Counts
		case e.HostUnreachable != nil:
			o.reached[e.Host] = e.HostUnreachable
		case e.StepEnd != nil && e.StepEnd.Status != event.StepStale:
			o.ended[e.Host][e.StepEnd.Addr] = e.StepEnd
			o.verdicts[e.Host][string(e.StepEnd.Status)]++
		case e.CheckEnd != nil:
			o.checks[e.Host][e.CheckEnd.Name] = e.CheckEnd
		case e.HostEnd != nil:
			o.ends[e.Host] = e.HostEnd
		case e.RunEnd != nil:
			o.run = e.RunEnd
		}
	}
	return o
}

// violations lists what is wrong with what is shown of a run.
func (g *generated) violations(s *shown) []string {
	var found []string
	wrong := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	o := outcomeOf(s.events)
	forms := map[string]string{"plan": s.text, "markdown": s.markdown, "html": s.page, "junit": s.junit, "summary": s.summary, "record": s.replayed}
	lacks := func(form string, host string, wants ...string) {
		for _, want := range wants {
			if !strings.Contains(forms[form], want) {
				wrong("%s lacks %q of %s", form, want, host)
			}
		}
	}
	applied := g.command == event.CommandApply

	// The status says whether everything went well.
	tolerated := map[string]bool{}
	for host, list := range g.steps {
		for _, step := range list {
			tolerated[host+step.Addr] = step.Proceed
		}
	}
	well := true
	for _, name := range g.names {
		end := o.ends[name]
		if end == nil {
			wrong("%s has no end", name)
			continue
		}
		bad := false
		for addr := range o.unplanned[name] {
			bad = bad || !tolerated[name+addr]
		}
		for addr, e := range o.ended[name] {
			bad = bad || (e.Status == event.StepFailed || e.Status == event.StepNotConverged || e.Status == event.StepInterrupted) && !tolerated[name+addr]
		}
		for _, c := range o.checks[name] {
			bad = bad || !c.OK
		}
		ok := end.Status == event.HostOK || end.Status == event.HostSkipped
		if bad && ok {
			wrong("%s ended well, and something failed on it", name)
		}
		if end.BySteps && !bad {
			wrong("%s ended because of steps, and none failed", name)
		}
		if !ok && end.Message == "" {
			wrong("%s ended as %s without a reason", name, end.Status)
		}
		well = well && ok
	}
	interrupted := g.stopAt > 0 || g.killAt > 0
	if (s.status == 0) != well && !(interrupted && s.status == 130) {
		wrong("status %d, and all went well is %v", s.status, well)
	}
	if o.run == nil || o.run.Exit != s.status {
		wrong("run_end says another status than %d: %+v", s.status, o.run)
	}

	// Nothing is called unchanged where something is not known.
	troubled := false // while planning
	for _, name := range g.names {
		troubled = troubled || len(o.early[name]) > 0 || o.ends[name] != nil && o.ends[name].Planning
	}
	for form, text := range forms {
		nothing := strings.Contains(text, "No changes") || strings.Contains(text, "nothing had to change")
		if nothing && (troubled || s.status != 0 && (!applied || form != "plan" && form != "markdown" && form != "record")) {
			wrong("%s says that nothing changes, with status %d", form, s.status)
		}
		for _, name := range g.names {
			if len(o.early[name]) > 0 && (nothing || strings.Contains(text, name+" is as the playbook says")) {
				wrong("%s calls a host unchanged that has a step without a plan", form)
			}
		}
	}

	// Every error is everywhere, with step, place and reason.
	everywhere := []string{"html", "junit", "record"}
	if applied {
		everywhere = append(everywhere, "summary")
	}
	for _, name := range g.names {
		end := o.ends[name]
		for addr, p := range o.early[name] {
			for _, form := range []string{"plan", "markdown"} {
				lacks(form, name, addr, place(p.Source), inline(p.Error.Message))
			}
		}
		for addr, p := range o.unplanned[name] {
			for _, form := range everywhere {
				lacks(form, name, addr, place(p.Source), inline(p.Error.Message))
			}
		}
		for addr, e := range o.ended[name] {
			if e.Status != event.StepFailed && e.Status != event.StepNotConverged {
				continue
			}
			if e.Error == nil || e.Error.Message == "" {
				wrong("%s of %s ended as %s without a reason", addr, name, e.Status)
				continue
			}
			for _, form := range everywhere {
				lacks(form, name, addr, place(e.Source), inline(e.Error.Message))
			}
		}
		for addr, c := range o.checks[name] {
			if !c.OK {
				for _, form := range everywhere {
					lacks(form, name, "check."+addr, place(c.Source), inline(c.Message))
				}
			}
		}
		if u := o.reached[name]; u != nil {
			for _, form := range everywhere {
				if form == "summary" && o.told[name] == nil {
					if strings.Contains(s.summary, inline(u.Message)) {
						wrong("the summary repeats why %s cannot be reached", name)
					}
					continue // the plan beside it has the reason
				}
				lacks(form, name, name, inline(u.Message))
			}
			if o.told[name] == nil {
				lacks("plan", name, name, inline(u.Message))
				lacks("markdown", name, name)
			}
		}
		switch {
		case end == nil:
		case end.Status == event.HostIsLocked, end.Status == event.HostFailed && !end.BySteps,
			end.Status == event.HostInterrupted, end.Status == event.HostNotReached:
			for _, form := range everywhere {
				if end.Status == event.HostInterrupted && (form == "html" || form == "junit") && interruptedStep(o, name) {
					continue
				}
				lacks(form, name, inline(end.Message))
			}
			if end.Planning {
				lacks("plan", name, name, inline(end.Message))
			}
		}
	}

	// What a plan lists is in every form of it, and so is what messages tell.
	for _, e := range s.events {
		switch p := e.PlanStep; {
		case e.Message != nil:
			forms := []string{"plan", "markdown", "html", "record"}
			if e.Message.At == event.AtApply {
				if forms = []string{"html"}; applied && o.run != nil {
					forms = append(forms, "summary", "record")
				}
			}
			text := strings.Split(e.Message.Text, "\n")
			for _, form := range forms {
				lacks(form, e.Host, text...)
			}
			for _, line := range text {
				if !strings.Contains(s.hostLogs[e.Host], line) {
					wrong("the log of %s lacks %q", e.Host, line)
				}
			}
		case p == nil || o.told[e.Host] == nil || p.Error != nil || p.Action != steps.Unknown || len(p.After) == 0:
		case g.command == event.CommandPlan:
			for _, form := range []string{"plan", "markdown", "html", "record"} {
				lacks(form, e.Host, p.Addr, "known after "+p.After[0])
			}
		}
	}

	// Numbers are those of the events.
	for _, name := range g.names {
		if told := o.told[name]; told != nil && fmt.Sprint(told) != fmt.Sprint(o.planned[name]) {
			wrong("%s: host_planned counts %v, its steps are %v", name, told, o.planned[name])
		}
		if end := o.ends[name]; applied && end != nil && fmt.Sprint(end.Counts) != fmt.Sprint(o.verdicts[name]) && len(end.Counts)+len(o.verdicts[name]) > 0 {
			wrong("%s: host_end counts %v, its verdicts are %v", name, end.Counts, o.verdicts[name])
		}
	}

	// A reason is said once in a form, on the only host of a run.
	if len(g.names) == 1 {
		for addr, p := range o.early[g.names[0]] {
			for _, form := range []string{"plan", "markdown", "summary"} {
				if n := strings.Count(forms[form], inline(p.Error.Message)); n > 1 {
					wrong("%s has the reason of %s %d times", form, addr, n)
				}
			}
		}
		for addr, e := range o.ended[g.names[0]] {
			if e.Error != nil && strings.Contains(e.Error.Message, "reason-") {
				if n := strings.Count(s.summary, inline(e.Error.Message)); n != 1 {
					wrong("the summary has the reason of %s %d times", addr, n)
				}
			}
		}
	}

	// No secret is anywhere.
	if slices.Contains(g.secrets, "s3cr3t-value") {
		for form, text := range map[string]string{"plan": s.text, "markdown": s.markdown, "html": s.page, "junit": s.junit, "summary": s.summary, "record": s.replayed, "log": s.log, "progress": s.progress, "events": eventsText(s.events)} {
			if strings.Contains(text, "s3cr3t-value") {
				wrong("%s holds a secret", form)
			}
		}
	}

	// The record has the verdict that was seen.
	if applied {
		last := s.summary[strings.LastIndex(strings.TrimRight(s.summary, "\n"), "\n")+1:]
		lacks("record", "the run", strings.TrimSpace(last))
	}
	// A saved plan says what the plan said.
	if s.saved != nil && s.saveErr == nil {
		again := NewPlan()
		s.saved.Replay(again)
		var b strings.Builder
		if err := again.Text(&b, Style{Unicode: true}, false); err != nil {
			wrong("%v", err)
		}
		if want := timeless(s.text); timeless(b.String()) != want {
			wrong("the saved plan shows\n%s\nand the plan showed\n%s", b.String(), s.text)
		}
	}
	if s.saveErr != nil && s.status == 0 {
		wrong("a plan with status 0 cannot be saved: %v", s.saveErr)
	}
	return found
}

func interruptedStep(o *outcome, name string) bool {
	for _, e := range o.ended[name] {
		if e.Status == event.StepInterrupted {
			return true
		}
	}
	return false
}

// timeless takes out how long the plan took.
func timeless(text string) string {
	before, after, ok := strings.Cut(text, " checked")
	if !ok {
		return text
	}
	_, after, _ = strings.Cut(after, ")")
	return before + after
}
