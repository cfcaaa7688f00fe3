package truth

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"provision/internal/engine"
	"provision/internal/event"
	"provision/internal/steps"
)

// A Command runs one command line, with the hosts reached by a dialer, and returns its exit status and what it printed.
type Command func(dialer engine.Dialer, args ...string) (status int, stdout, stderr string)

// immutableFlag is FS_IMMUTABLE_FL of ioctl_iflags(2).
const immutableFlag = 0x10

// A trial is one scene being played.
type trial struct {
	t     *rapid.T
	scene *Scene
	root  *Root
	run   Command
	work  string
	notes []string // what was printed, for whoever reads the failure

	before  *Snapshot
	planned map[string]*event.PlanStep
	order   []string
	refused []string // steps that cannot be planned
}

// Check draws a scene and plays it: plan, apply, plan. It fails the test if anything that was said is not true.
func Check(t *rapid.T, lab *Lab, run Command) {
	scene := Draw(t)
	work, err := lab.Work()
	if err != nil {
		t.Fatal(err)
	}
	root, err := lab.NewRoot(scene.Shell)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := root.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := scene.Build(root, work); err != nil {
		t.Fatalf("building the host: %v", err)
	}
	c := &trial{t: t, scene: scene, root: root, run: run, work: work}
	c.play()
}

// fail ends the trial with the whole scene.
func (c *trial) fail(format string, args ...any) {
	c.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, format, args...)
	fmt.Fprintf(&b, "\n--- shell %s, saved %v, json %v\n--- on the host\n", c.scene.Shell, c.scene.Saved, c.scene.JSON)
	for _, p := range c.scene.Files {
		if strings.HasPrefix(p.Path, "/srv/other/") {
			continue
		}
		fmt.Fprintf(&b, "%q %s %04o %d:%d %.120q %q\n", p.Path, p.Type, p.Mode, p.UID, p.GID, p.Content, p.Target)
	}
	fmt.Fprintf(&b, "--- playbook\n%s", strings.Join(c.scene.Blocks, "\n"))
	for _, s := range c.scene.Steps {
		if s.Outlook != Fine {
			fmt.Fprintf(&b, "# %s: outlook %d, %s\n", s.Addr, s.Outlook, s.Why)
		}
	}
	for _, n := range c.notes {
		fmt.Fprintf(&b, "--- %s\n", n)
	}
	c.t.Fatal(b.String())
}

func (c *trial) command(args ...string) (int, string, string) {
	status, stdout, stderr := c.run(c.root, args...)
	shown := stdout
	if len(shown) > 6000 {
		shown = shown[:6000] + "…"
	}
	c.notes = append(c.notes, fmt.Sprintf("provision %s: status %d\n%s%s", strings.Join(args, " "), status, shown, stderr))
	return status, stdout, stderr
}

func (c *trial) take() *Snapshot {
	s, err := c.root.Take()
	if err != nil {
		c.fail("snapshot: %v", err)
	}
	return s
}

func (c *trial) playbook() string  { return filepath.Join(c.work, "playbook.hcl") }
func (c *trial) savedPlan() string { return filepath.Join(c.work, "saved.plan") }

func (c *trial) play() {
	c.before = c.take()
	c.plan()
	c.same("plan", c.before)
	status, events := c.apply()
	c.quiet()
	after := c.take()
	c.judge(status, events, after)
	if status != 0 {
		return
	}
	c.again(after)
	c.same("the second plan", after)
}

// plan makes the plan in all its forms and compares them.
func (c *trial) plan() {
	args := []string{"plan"}
	if c.scene.Saved {
		args = append(args, "--out", c.savedPlan())
	}
	status, text, stderr := c.command(append(args, c.playbook())...)
	jstatus, out, _ := c.command("plan", "--json", c.playbook())
	events := c.events(out)
	c.planned, c.order, c.refused = map[string]*event.PlanStep{}, nil, nil
	for i := range events {
		if p := events[i].PlanStep; p != nil {
			c.planned[p.Addr] = p
			c.order = append(c.order, p.Addr)
			if p.Error != nil {
				c.refused = append(c.refused, p.Addr)
				if p.Error.Message == "" || p.Source.Line == 0 {
					c.fail("%s cannot be planned, and there is no reason or no place", p.Addr)
				}
			}
		}
	}
	if status != jstatus {
		c.fail("the plan as text ends with %d, as JSON with %d", status, jstatus)
	}
	if end := events[len(events)-1].RunEnd; end == nil || end.Exit != jstatus {
		c.fail("the last event says exit %+v, and the status is %d", end, jstatus)
	}
	c.expected(jstatus, stderr)
	c.text(text)
	if c.scene.Saved && status == 0 {
		c.shown(events, text)
	}
}

// expected holds the status of a plan against what the playbook lets expect.
func (c *trial) expected(status int, stderr string) {
	var addrs []string
	fatal := false // continue_on_error lets a step be passed over
	for _, s := range c.scene.Steps {
		addrs = append(addrs, s.Addr)
		p := c.planned[s.Addr]
		if p == nil {
			c.fail("%s is not in the plan: %q", s.Addr, stderr)
		}
		switch {
		case s.Skip:
			if p.Action != steps.NoOp || !p.Skipped {
				c.fail("%s has a condition that is false, and the plan says %s", s.Addr, p.Action)
			}
		case s.Outlook == PlanError && p.Error == nil:
			c.fail("%s cannot be planned (%s), and the plan says %s", s.Addr, s.Why, p.Action)
		case s.Outlook == Lacking:
			c.lacking(s, p)
		case s.Outlook != PlanError && s.Outlook != Unsure && p.Error != nil:
			c.fail("%s can be planned, and the plan says: %s", s.Addr, p.Error.Message)
		}
		fatal = fatal || p.Error != nil && !s.Proceed
	}
	if !slices.Equal(addrs, c.order) {
		c.fail("the steps of the playbook are %v, those of the plan %v", addrs, c.order)
	}
	if (status != 0) != fatal {
		c.fail("the plan ends with %d, and could not plan %v", status, c.refused)
	}
}

// lacking holds the plan of a step that needs what is not there against the earlier steps: one that runs programs may bring it.
func (c *trial) lacking(s *Step, p *event.PlanStep) {
	by, pending, perhaps := "", false, false
	for _, earlier := range c.scene.Steps[:slices.Index(c.scene.Steps, s)] {
		q := c.planned[earlier.Addr]
		runs := earlier.Kind == "command" || earlier.Kind == "source_build"
		switch {
		case runs && q.Action != steps.NoOp:
			by = earlier.Addr
		case runs && pending && !earlier.Skip:
			perhaps = true // its condition may come to hold, or what it watches may change, by what is done before it
		}
		pending = pending || q.Action != steps.NoOp
	}
	switch {
	case by == "" && !perhaps && p.Error == nil:
		c.fail("%s cannot be planned (%s, and no earlier step brings it), and the plan says %s", s.Addr, s.Why, p.Action)
	case by != "" && p.Error != nil:
		c.fail("%s needs what %s may bring, and the plan says: %s", s.Addr, by, p.Error.Message)
	case p.Error == nil && p.Action == steps.NoOp:
		c.fail("%s lacks what it needs (%s), and the plan has nothing to do", s.Addr, s.Why)
	}
}

// fails tells whether an apply must fail at a step with this plan.
func (s *Step) fails(p *event.PlanStep) bool {
	switch {
	case s.Skip || p.Action == steps.NoOp || p.Error != nil:
		return false
	case s.Outlook == Lacking:
		return true
	}
	return s.Outlook == ApplyError && (s.FailsIf == nil || s.FailsIf(p))
}

// changes tells whether the plan has, or may have, something to do.
func (c *trial) changes() bool {
	for _, p := range c.planned {
		if p.Action != steps.NoOp {
			return true
		}
	}
	return false
}

var summaryLine = regexp.MustCompile(`(?m)^Plan: (.*)$`)

// text compares a plan in words with the events.
func (c *trial) text(text string) {
	counts := map[steps.Action]int{}
	if len(c.refused) > 0 {
		for _, addr := range c.refused {
			if !strings.Contains(flat(text), flat(c.planned[addr].Error.Message)) {
				c.fail("the plan in words does not say why %s cannot be planned", addr)
			}
		}
	}
	for _, addr := range c.order {
		p := c.planned[addr]
		if p.Error == nil {
			counts[p.Action]++
		}
		if (p.Action != steps.NoOp || p.Error != nil) && !strings.Contains(text, " "+addr+" ") {
			c.fail("the plan in words does not name %s, which is %s", addr, p.Action)
		}
	}
	if noChanges := strings.Contains(text, "No changes."); noChanges != (!c.changes() && len(c.refused) == 0) {
		c.fail("the plan in words says \"No changes\": %v", noChanges)
	}
	m := summaryLine.FindStringSubmatch(text)
	if m == nil {
		return
	}
	for action, word := range map[steps.Action]string{
		steps.Create: "to create", steps.Update: "to change", steps.Delete: "to delete", steps.Execute: "to run", steps.Unknown: "known later", steps.NoOp: "unchanged",
	} {
		if n := counts[action]; n > 0 != strings.Contains(m[1], word) || n > 0 && !strings.Contains(m[1], fmt.Sprintf("%d %s", n, word)) {
			c.fail("the plan in words says %q, and %d steps are %s", m[1], n, action)
		}
	}
}

// shown compares what a saved plan shows with the plan itself.
func (c *trial) shown(events []event.Event, text string) {
	status, out, _ := c.command("show", "--json", c.savedPlan())
	if status != 0 {
		c.fail("the saved plan cannot be shown: status %d", status)
	}
	var shown []*event.PlanStep
	for _, e := range c.events(out) {
		if e.PlanStep != nil {
			shown = append(shown, e.PlanStep)
		}
	}
	if len(shown) != len(c.order) {
		c.fail("the saved plan shows %d steps, the plan %d", len(shown), len(c.order))
	}
	for _, p := range shown {
		if q := c.planned[p.Addr]; !reflect.DeepEqual(p, q) {
			c.fail("the saved plan shows %+v, the plan %+v", p, q)
		}
	}
}

// events reads events as JSON lines.
func (c *trial) events(out string) []event.Event {
	var list []event.Event
	d := json.NewDecoder(strings.NewReader(out))
	for d.More() {
		var e event.Event
		if err := d.Decode(&e); err != nil {
			c.fail("the events cannot be read: %v\n%s", err, out)
		}
		list = append(list, e)
	}
	if len(list) == 0 {
		c.fail("there are no events")
	}
	return list
}

// same requires that nothing on the host has changed, except for what the tool keeps for itself.
func (c *trial) same(what string, was *Snapshot) {
	is := c.take()
	for _, d := range Diff(was, is) {
		if !ours(d) {
			c.fail("%s changed the host: %s", what, d)
		}
	}
}

// quiet waits until nothing runs on the host any more.
func (c *trial) quiet() {
	deadline := time.Now().Add(20 * time.Second)
	for {
		left := c.root.strays()
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			c.fail("still running: %q", left)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// apply applies the plan, and returns the status and the events.
func (c *trial) apply() (int, []event.Event) {
	args := []string{"apply"}
	if c.scene.JSON {
		args = append(args, "--json")
	}
	saved := c.scene.Saved
	if _, err := os.Stat(c.savedPlan()); err != nil {
		saved = false
	}
	if saved {
		args = append(args, c.savedPlan())
	} else {
		args = append(args, "--yes", c.playbook())
	}
	status, out, stderr := c.command(args...)
	kept := c.kept()
	if c.scene.JSON {
		told := c.events(out)
		if len(told) != len(kept) {
			c.fail("the record of the run has %d events, --json %d", len(kept), len(told))
		}
	} else {
		c.words(status, out, stderr, kept)
	}
	return status, kept
}

// kept reads the record of the run.
func (c *trial) kept() []event.Event {
	files, err := filepath.Glob(filepath.Join(c.work, ".provision/runs/*/events.jsonl"))
	if err != nil || len(files) != 1 {
		c.fail("records of the run: %v %v", files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		c.fail("the record of the run: %v", err)
	}
	return c.events(string(bytes.TrimSpace(data)))
}

// words looks whether an apply told in words what happened.
func (c *trial) words(status int, stdout, stderr string, events []event.Event) {
	all, bad := stdout+stderr, len(c.refused) > 0
	for i := range events {
		if e := events[i].StepEnd; e != nil && (e.Status == event.StepFailed || e.Status == event.StepNotConverged) {
			bad = true
			if !strings.Contains(all, e.Addr) {
				c.fail("%s ended as %s, and the text does not name it", e.Addr, e.Status)
			}
			if e.Error != nil && !strings.Contains(flat(all), flat(e.Error.Message)) {
				c.fail("%s ended as %s, and the text does not give the reason: %s", e.Addr, e.Status, e.Error.Message)
			}
		}
	}
	if crosses := strings.Contains(stdout+stderr, "✗"); status == 0 && crosses && !bad {
		c.fail("the status is 0, and there is a cross")
	}
	if status != 0 && strings.TrimSpace(all) == "" {
		c.fail("the status is %d without a word", status)
	}
}

// flat drops blanks and line breaks, which a renderer may put anywhere.
func flat(s string) string { return strings.Join(strings.Fields(s), "") }

// judge holds the apply against the two snapshots.
func (c *trial) judge(status int, events []event.Event, after *Snapshot) {
	j := newJudge(c.before, after)
	j.Ended = map[string]event.StepStatus{}
	told := map[string]*event.PlanStep{}
	failed := map[string]*event.StepEnd{}
	for i := range events {
		if p := events[i].PlanStep; p != nil {
			told[p.Addr] = p
		}
		if e := events[i].StepEnd; e != nil {
			j.Ended[e.Addr] = e.Status
			if e.Status != event.StepChanged && e.Status != event.StepUnchanged && e.Status != event.StepSkipped {
				failed[e.Addr] = e
			} else {
				delete(failed, e.Addr)
			}
		}
	}
	end := events[len(events)-1].RunEnd
	if end == nil || end.Exit != status {
		c.fail("the last event says %+v, and the status is %d", end, status)
	}
	mayFail, over := false, false
	for _, s := range c.scene.Steps {
		p := c.planned[s.Addr]
		j.step = s
		ended := j.Ended[s.Addr]
		broken := s.fails(p) || (s.Outlook == PlanError || s.Outlook == Unsure) && !s.Skip || p.Error != nil
		switch {
		case over && ended != "":
			j.say("a step before it failed, and it ended as %q", ended)
		case failed[s.Addr] != nil && !broken:
			j.say("nothing is wrong with it, and it ended as %q: %+v", ended, failed[s.Addr].Error)
		case s.fails(p) && !over && (ended == event.StepChanged || ended == event.StepUnchanged):
			j.say("it must fail (%s), and it ended as %q", s.Why, ended)
		}
		if s.Proceed {
			delete(failed, s.Addr)
		} else if broken {
			mayFail = true
			over = over || failed[s.Addr] != nil
		}
		if status == 0 {
			c.done(j, s, p, ended)
		}
		if p.Error != nil {
			continue
		}
		// What was planned is what is told when its turn comes, unless the plan said that it could not know.
		latest := told[s.Addr]
		if latest == nil {
			j.say("the apply does not tell of it")
			continue
		}
		if p.Action == steps.Unknown {
			p = latest
		}
		switch ended {
		case event.StepChanged:
			// A source that failed may have changed something before.
			if len(s.Sources) > 0 && !j.anyOf(s.Sources, event.StepChanged, event.StepFailed, event.StepNotConverged) {
				j.say("it ended as changed, and nothing that it watches has")
			}
			s.Explain(j, p)
		case event.StepUnchanged:
			if p.Action == steps.NoOp || s.Kind == "command" {
				s.Explain(j, p)
			} else if p.Action != steps.NoOp && !j.raised(s) {
				j.say("the plan says %s, and it ended as unchanged", p.Action)
			}
		case event.StepSkipped:
			if !s.Skip && !j.raised(s) {
				j.say("it was skipped, and it has no condition")
			}
		case event.StepFailed, event.StepNotConverged:
			// What it has done until then is its own.
			n := len(j.problems)
			s.Explain(j, p)
			j.problems = j.problems[:n]
			for _, d := range j.diffs {
				if d.Attr == attrMtime && after.Files[d.Path].Type == "directory" {
					j.explain(d.Path, d.Attr) // a temporary file was there
				}
			}
		}
	}
	if status == 0 && len(failed) > 0 {
		c.fail("the status is 0, and these steps failed: %v", sorted(failed))
	}
	if status != 0 && !mayFail {
		c.fail("the apply ends with %d, and nothing is wrong with the playbook", status)
	}
	if status == 0 {
		for _, s := range c.scene.Steps {
			if woken := len(s.Sources) == 0 || j.anyOf(s.Sources, event.StepChanged); woken && !s.Skip && !(s.Proceed && s.Outlook != Fine) {
				j.step = s
				s.Wish(j)
			}
		}
	}
	j.unexplained()
	if len(j.problems) > 0 {
		c.fail("%s", strings.Join(j.problems, "\n"))
	}
}

// done looks whether a step of a successful apply has its end.
func (c *trial) done(j *Judge, s *Step, p *event.PlanStep, ended event.StepStatus) {
	switch {
	case s.Proceed && s.Outlook != Fine:
	case p.Error != nil:
		j.say("the status is 0, and it could not be planned")
	case s.Skip && ended != event.StepSkipped:
		j.say("its condition is false, and it ended as %q", ended)
	case s.Skip:
	case p.Action == steps.NoOp && ended == event.StepSkipped && len(s.Sources) > 0 && !j.anyOf(s.Sources, event.StepChanged): // the program looked at it again
	case p.Action == steps.NoOp && ended != event.StepUnchanged:
		j.say("the plan says no-op, and it ended as %q", ended)
	case p.Action != steps.NoOp && p.Action != steps.Unknown && ended != event.StepChanged && len(s.Sources) == 0 && !s.Silent:
		j.say("the plan says %s, and it ended as %q", p.Action, ended)
	case s.Silent && ended == event.StepChanged:
		j.say("changed_if says that nothing changed, and it ended as changed")
	}
}

// again makes the second plan, which has nothing to do but what always has.
func (c *trial) again(after *Snapshot) {
	status, out, _ := c.command("plan", "--json", "--detailed-exitcode", c.playbook())
	always := map[string]bool{}
	changes := false
	for _, s := range c.scene.Steps {
		// What watches a command that runs in every apply has something to do in every plan.
		always[s.Addr] = s.Always && !s.Skip || s.Proceed && s.Outlook != Fine || slices.ContainsFunc(s.Sources, func(source *Step) bool { return always[source.Addr] })
	}
	for _, e := range c.events(out) {
		if p := e.PlanStep; p != nil && p.Action != steps.NoOp && p.Error == nil {
			changes = true
		}
		if p := e.PlanStep; p != nil && (p.Action != steps.NoOp && !always[p.Addr] || p.Error != nil && !always[p.Addr]) {
			c.fail("the second plan says %s of %s: %+v %+v", p.Action, p.Addr, p.Diff, p.Error)
		}
	}
	if want := map[bool]int{true: 2}[changes]; status != want {
		c.fail("the second plan ends with %d, and not with %d", status, want)
	}
}
