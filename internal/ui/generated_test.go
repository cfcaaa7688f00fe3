package ui

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/zclconf/go-cty/cty"
	"pgregory.net/rapid"

	"provision/internal/engine"
	"provision/internal/event"
	"provision/internal/record"
	"provision/internal/redact"
	"provision/internal/savedplan"
	"provision/internal/steps"
)

// A generated run: hosts, what is wrong with them, their steps, and how the run goes.
type generated struct {
	t       *rapid.T
	dir     string
	command string
	hosts   shellHosts
	names   []string
	steps   map[string]generatedSteps
	phases  []engine.Phase
	secrets []string
	stopAt  int // the event after which the run is asked to stop; 0: never
	killAt  int // likewise, ended at once
}

// draw makes a run up.
func draw(t *rapid.T, dir string) *generated {
	g := &generated{t: t, dir: dir, hosts: shellHosts{}, steps: map[string]generatedSteps{}}
	g.command = rapid.SampledFrom([]string{event.CommandApply, event.CommandApply, event.CommandApply, event.CommandPlan}).Draw(t, "command")
	g.secrets = rapid.SliceOfN(rapid.SampledFrom([]string{"s3cr3t-value", "file", "create", "true", "host1", "failed", "1", "generated.hcl"}), 0, 3).Draw(t, "secrets")
	once := rapid.IntRange(0, 4).Draw(t, "once") == 0
	for i := range rapid.IntRange(1, 3).Draw(t, "hosts") {
		name := fmt.Sprintf("host%d", i+1)
		h, err := newShellHost(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		switch rapid.IntRange(0, 11).Draw(t, name+" is") {
		case 0:
			h.refuse = "refused-by-" + name
		case 1:
			if err := h.lock("ann@laptop since yesterday"); err != nil {
				t.Fatal(err)
			}
		case 2:
			h.broken = true
		}
		g.hosts[name], g.names = h, append(g.names, name)
		var list generatedSteps
		for n := range rapid.IntRange(0, 4).Draw(t, name+" steps") {
			list = append(list, g.step(h, n, once)...)
		}
		for n := range rapid.IntRange(0, 1).Draw(t, name+" checks") {
			list = append(list, g.check(h, n))
		}
		g.steps[name] = list
	}
	if rapid.IntRange(0, 3).Draw(t, "rollout") == 0 {
		g.phases = []engine.Phase{{Hosts: g.names, Rollout: &engine.Rollout{
			Batches: []int{1}, MaxFailures: rapid.IntRange(0, 1).Draw(t, "max failures"), UnreachableFails: rapid.Bool().Draw(t, "unreachable fails"),
		}}}
	}
	switch rapid.IntRange(0, 9).Draw(t, "interrupt") {
	case 0:
		g.stopAt = rapid.IntRange(1, 30).Draw(t, "stop at")
	case 1:
		g.killAt = rapid.IntRange(1, 30).Draw(t, "kill at")
	}
	return g
}

// step makes one step up, with what it meets on the host and what goes before it.
func (g *generated) step(h *shellHost, n int, once bool) generatedSteps {
	t, name, line := g.t, fmt.Sprintf("s%d", n), 10*n+1
	path := h.path(name)
	content := map[string]cty.Value{"path": cty.StringVal(path), "content": cty.StringVal("one\n")}
	script := func(name string, line int, text string, more map[string]cty.Value) steps.Instance {
		args := map[string]cty.Value{"script": cty.StringVal(text)}
		for key, value := range more {
			args[key] = value
		}
		return instance("command", name, line, args)
	}
	creates := map[string]cty.Value{"creates": cty.StringVal(path)}
	var list generatedSteps
	switch rapid.SampledFrom([]string{
		"file", "unchanged", "failing", "quiet failing", "not converged", "symlink", "no directory", "skipped", "known later", "moved", "unplannable later", "prints", "gated",
		"data", "message",
	}).Draw(t, name) {
	case "file":
		list = generatedSteps{{Instance: instance("file", name, line, content)}}
	case "unchanged":
		g.must(os.WriteFile(path, []byte("one\n"), 0o644))
		g.must(h.own(path))
		list = generatedSteps{{Instance: instance("file", name, line, content)}}
	case "failing":
		list = generatedSteps{{Instance: script(name, line, "echo s3cr3t-value; echo reason-"+name+" >&2; exit 3", nil)}}
	case "quiet failing":
		list = generatedSteps{{Instance: script(name, line, "exit 4", nil)}}
	case "not converged":
		list = generatedSteps{{Instance: script(name, line, "true", creates)}}
	case "symlink":
		g.must(os.Symlink("nowhere", path))
		list = generatedSteps{{Instance: instance("file", name, line, content)}}
	case "no directory":
		content["path"] = cty.StringVal(h.path("lacking-" + name + "/f"))
		list = generatedSteps{{Instance: instance("file", name, line, content)}}
	case "skipped":
		list = generatedSteps{{Instance: instance("file", name, line, content)}}
		list[0].Skip = true
	case "known later":
		first := script(name+"a", line, "echo two", nil)
		last := instance("file", name, line+1, content)
		list = generatedSteps{{Instance: first}, {Instance: last, after: first.Addr, known: func(result cty.Value) steps.Step {
			later := map[string]cty.Value{"path": cty.StringVal(path), "content": result.GetAttr("stdout")}
			return newStep("file", later)
		}}}
	case "moved": // the first changes what the second was planned for
		list = generatedSteps{{Instance: script(name+"a", line, "echo two >"+path, nil)}, {Instance: instance("file", name, line+1, content)}}
	case "unplannable later":
		list = generatedSteps{{Instance: script(name+"a", line, "ln -sfn nowhere "+path, nil)}, {Instance: instance("file", name, line+1, content)}}
	case "prints":
		list = generatedSteps{{Instance: script(name, line, "echo s3cr3t-value; echo true; touch "+path, creates)}}
	case "gated":
		list = generatedSteps{{Instance: instance("file", name, line, content)}, {Instance: script(name+"b", line+1, "true", nil)}}
		list[1].OnChange = map[string][]string{"": {list[0].Addr}}
	case "data": // of what the step before it may change
		list = generatedSteps{{Instance: instance("file", name+"a", line, content)}, {Instance: instance("data.path", name, line+1, map[string]cty.Value{"path": cty.StringVal(path)})}}
	case "message":
		at := rapid.SampledFrom([]string{event.AtPlan, event.AtApply}).Draw(t, name+" is told")
		list = generatedSteps{{Instance: instance("message", name, line, map[string]cty.Value{"text": cty.StringVal("word-of-" + name + "\nand more of it"), "at": cty.StringVal(at)})}}
		return list
	}
	for i := range list {
		list[i].Proceed = rapid.IntRange(0, 3).Draw(t, "goes on") == 0
		list[i].Once = once && !list[i].Data() && rapid.Bool().Draw(t, "once")
	}
	return list
}

func (g *generated) check(h *shellHost, n int) generatedStep {
	name, path := fmt.Sprintf("c%d", n), h.path("lacking")
	if rapid.Bool().Draw(g.t, name+" passes") {
		path = h.home
	}
	in := instance("wait_for", name, 500+n, map[string]cty.Value{"path": cty.StringVal(path), "timeout": cty.StringVal("1s"), "interval": cty.StringVal("1s")})
	in.Addr, in.Check = "check."+name, true
	return generatedStep{Instance: in}
}

func (g *generated) must(err error) {
	if err != nil {
		g.t.Fatal(err)
	}
}

// A shown run is what there is to see of one.
type shown struct {
	events                                         []event.Event
	status                                         int
	text, markdown, summary, progress, page, junit string
	replayed                                       string // by runs
	log                                            string
	hostLogs                                       map[string]string // by runs show --host
	saved                                          *savedplan.Plan
	saveErr                                        error
}

// counter stops a run after so many events.
type counter struct {
	mu     sync.Mutex
	n      int
	events []event.Event
	at     map[int]func()
}

func (c *counter) Event(e event.Event) {
	c.mu.Lock()
	c.n++
	c.events = append(c.events, e)
	do := c.at[c.n]
	c.mu.Unlock()
	if do != nil {
		do()
	}
}

// run does what the commands do, with everything that shows it.
func (g *generated) run() *shown {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stop := make(chan struct{})
	count := &counter{at: map[int]func(){}}
	if g.stopAt > 0 {
		count.at[g.stopAt] = func() { close(stop) }
	}
	if g.killAt > 0 { // the second interrupt, and so after the first
		count.at[g.killAt] = func() { close(stop); cancel() }
	}
	s := &shown{}
	var progress, summary bytes.Buffer
	style := Style{Unicode: true}
	plan, pages := NewPlan(), newReported()
	live := NewProgress(Terminal{Out: &progress, Style: style}, ProgressOptions{})
	log := record.NewLog(filepath.Join(g.dir, "runs"), record.Options{Lines: HostLines})
	late := &lateSummary{Summary: NewSummary(&summary, style)}
	run := &engine.Run{
		ID: engine.NewID(epoch), Owner: "test@here", Command: g.command, Playbook: "generated.hcl", Salt: engine.NewSalt(), Parallel: 2, Dialer: g.hosts,
		Phases: g.phases, Sink: event.Tee(count, plan, live, sinkFunc(pages.event), log, late), Secrets: redact.Of(g.secrets...), Stop: stop,
		Selection: &event.Selection{Names: g.names},
	}
	for _, name := range g.names {
		run.Hosts = append(run.Hosts, engine.Host{Name: name, Address: "127.0.0.1:22", User: "root", Source: g.steps[name]})
	}
	run.Plan(ctx)
	var text, markdown bytes.Buffer
	g.must(plan.Text(&text, style, false))
	g.must(plan.Markdown(&markdown, 0))
	if g.command == event.CommandApply {
		late.begin()
		run.Apply(ctx)
	} else if ctx.Err() == nil {
		s.saved, s.saveErr = run.Saved(savedplan.NewSealer(run.Salt))
	}
	s.status = run.Close()
	live.Close()
	g.must(log.Close())
	s.events, s.text, s.markdown, s.summary, s.progress = count.events, text.String(), markdown.String(), summary.String(), progress.String()
	var page, junit, again bytes.Buffer
	g.must(pages.html(&page))
	g.must(pages.junit(&junit))
	s.page, s.junit = html.UnescapeString(page.String()), html.UnescapeString(junit.String())
	kept, err := record.Read(log.Dir())
	g.must(err)
	g.must(ShowRun(&again, kept, style, ShowOptions{}))
	s.replayed, s.hostLogs = again.String(), map[string]string{}
	for _, name := range g.names {
		var b bytes.Buffer
		g.must(ShowRun(&b, kept, style, ShowOptions{Host: name}))
		s.hostLogs[name] = b.String()
	}
	files, _ := filepath.Glob(filepath.Join(log.Dir(), "*"))
	for _, file := range files {
		data, err := os.ReadFile(file)
		g.must(err)
		s.log += string(data)
	}
	return s
}

// lateSummary takes part from the apply on, and catches up before, as in the command.
type lateSummary struct {
	*Summary
	before []event.Event
	begun  bool
}

func (l *lateSummary) Event(e event.Event) {
	if l.begun {
		l.Summary.Event(e)
		return
	}
	l.before = append(l.before, e)
}

func (l *lateSummary) begin() {
	for _, e := range l.before {
		l.CatchUp(e)
	}
	l.begun = true
}

type sinkFunc func(event.Event)

func (f sinkFunc) Event(e event.Event) { f(e) }

func eventsText(events []event.Event) string {
	var b strings.Builder
	for _, e := range events {
		data, _ := json.Marshal(e)
		b.Write(data)
		b.WriteByte('\n')
	}
	return b.String()
}

// What is shown of a run is what happened in it, whatever happened, in every form alike.
// Every run is a real one, so that there are 30 of them unless -rapid.checks asks for another number.
func TestGeneratedRunsAreShownAsTheyAre(t *testing.T) {
	few := flag.Lookup("rapid.checks").Value.String() == flag.Lookup("rapid.checks").DefValue
	runs, shrinking := 0, false
	rapid.Check(t, func(t *rapid.T) {
		if runs++; few && runs > 30 && !shrinking {
			return
		}
		dir, err := os.MkdirTemp("", "generated-")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		g := draw(t, dir)
		s := g.run()
		if wrong := g.violations(s); len(wrong) > 0 {
			shrinking = true
			t.Fatalf("%s\nstatus %d\n--- events\n%s--- text\n%s--- summary\n%s--- progress\n%s--- replayed\n%s",
				strings.Join(wrong, "\n"), s.status, eventsText(s.events), s.text, s.summary, s.progress, s.replayed)
		}
	})
}
