package sim

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"provision/internal/event"
)

// judge holds what a client told against what happened. clean: nothing else was on the host when it began.
func (p *play) judge(c *client, t *Trouble, clean bool, others []*client) {
	for _, o := range others {
		p.told(o)
		if !o.killed {
			p.exits(o)
		}
	}
	p.told(c)
	if c.killed {
		return
	}
	p.exits(c)
	end := c.ending()
	if end == nil {
		p.fault("no end", "the host has no end")
		return
	}
	linksAlone := clean && t.Kill == 0 && t.Stop == 0 && t.Second == 0 && t.Program == 0 && t.Room == 0
	if linksAlone && len(p.rerun) == 0 && len(c.unknown()) == 0 {
		switch {
		case end.Status != event.HostOK:
			p.fault("a broken link is no pause", "%s: %s", end.Status, end.Message)
		case c.ended > limit(t):
			p.fault("slow", "it took %s, and it should take at most %s", c.ended, limit(t))
		}
	}
	if end.Status == event.HostOK && c.halted == 0 && len(others) == 0 && !t.Edit {
		for _, pt := range p.scene.steps() {
			if why := pt.differs(p.w); why != "" {
				p.fault("success is not true", "%s: %s", pt.addr, why)
			}
		}
	}
	if t.RoomIn == "/var/lib/provision" && t.RoomForGood && t.Program == 0 && !p.hurt && t.Stop == 0 && end.Status == event.HostFailed && !strings.Contains(end.Message, "No space left") && len(c.unknown()) == 0 {
		p.fault("a full disk is not told", "%s", end.Message)
	}
	if t.Program == 0 && !p.hurt && t.Room == 0 && t.Stop == 0 && strings.Contains(end.Message, "ended without finishing") {
		p.fault("a program that lived is called dead", "%s", end.Message)
	}
	if t.Room == 0 && !p.hurt && end.Status == event.HostFailed && clean && len(c.unknown()) == 0 {
		p.fault("failed for no reason", "%s", end.Message)
	}
	if strings.Contains(end.Message, "nothing is running there") {
		p.w.mu.Lock()
		if p.w.busy() && len(others) == 0 {
			p.fault("nothing is running is not true", "%s; on the host: %s", end.Message, strings.Join(p.w.processes(), "; "))
		}
		p.w.mu.Unlock()
	}
	if c.halted > 0 {
		p.interrupted(c)
	}
}

// limit is how long a run may take with links that break: what it takes without, and for each break the outage, what it takes to
// notice, and one pause of the back-off.
func limit(t *Trouble) time.Duration {
	d := 40 * time.Second
	for _, b := range t.Breaks {
		switch b.Kind {
		case "":
			continue
		case BlackHole:
			d += keepAlive
		case Pause:
			d += b.Linger
		}
		d += 2*b.Outage + 5*time.Second
		if b.Outage > 0 {
			d += 15 * time.Second
		}
		if b.Silent {
			d += 2 * connectTimeout
		}
	}
	return d
}

// told looks at the events of a client alone, and at what the scripts told.
func (p *play) told(c *client) {
	p.order(c)
	p.outputs(c)
	for i := range c.events {
		e := &c.events[i]
		data, err := json.Marshal(e.Event)
		if err != nil || strings.Contains(string(data), secret) {
			p.fault("secret told", "%.300s %v", data, err)
		}
		end := e.StepEnd
		if end == nil {
			continue
		}
		pt := p.part(end.Addr)
		if pt == nil || pt.log == "" {
			continue
		}
		switch end.Status {
		case event.StepChanged:
			if e.ends["end "+pt.log] < 1 {
				p.fault("done is not true", "%s is told as changed, and it has not run to its end", end.Addr)
			}
		case event.StepFailed:
			if e.ends["end "+pt.log] > 0 && !c.roomless() {
				p.fault("failed is not true", "%s is told as failed, and it ran to its end: %s", end.Addr, end.Error.Message)
			}
		case event.StepSkipped:
			if e.ends["begin "+pt.log] > 0 {
				p.fault("skipped is not true", "%s is told as skipped, and it has run", end.Addr)
			}
		}
	}
}

func (c *client) roomless() bool { return c.trouble.RoomIn != "" }

// order looks whether each event is told once and in its order.
func (p *play) order(c *client) {
	open, ended := "", map[string]event.StepStatus{}
	var place, last int
	places := map[string]int{}
	for i, pt := range p.scene.steps() {
		places[pt.addr] = i + 1
	}
	hostEnds, runEnds := 0, 0
	for i := range c.events {
		e := &c.events[i]
		if hostEnds > 0 && e.Host != "" {
			p.fault("order", "event %d comes after the end of the host", i+1)
		}
		switch {
		case e.StepStart != nil:
			addr := e.StepStart.Addr
			if open != "" {
				p.fault("order", "%s begins, and %s has not ended", addr, open)
			}
			if s, yes := ended[addr]; yes && s != event.StepStale {
				p.fault("told twice", "%s begins, and it has ended as %s", addr, s)
			}
			if place = places[addr]; place < last {
				p.fault("order", "%s begins after a later step", addr)
			}
			open, last = addr, place
		case e.StepEnd != nil:
			addr := e.StepEnd.Addr
			if s, yes := ended[addr]; yes && s != event.StepStale {
				p.fault("told twice", "%s ends as %s, and it has ended as %s", addr, e.StepEnd.Status, s)
			}
			if open != addr && (e.StepEnd.Status == event.StepChanged || e.StepEnd.Status == event.StepFailed) {
				p.fault("order", "%s ends as %s, and has not begun", addr, e.StepEnd.Status)
			}
			ended[addr] = e.StepEnd.Status
			if open == addr {
				open = ""
			}
		case e.StepOutput != nil:
			if e.StepOutput.Addr != open {
				p.fault("order", "output of %s comes while %q runs", e.StepOutput.Addr, open)
			}
		case e.HostEnd != nil:
			hostEnds++
		case e.RunEnd != nil:
			runEnds++
		}
	}
	if !c.killed && (hostEnds != 1 || runEnds != 1 || c.events[len(c.events)-1].RunEnd == nil) {
		p.fault("order", "%d ends of the host and %d of the run", hostEnds, runEnds)
	}
}

// outputs looks whether the output of each step is whole when its end is told.
func (p *play) outputs(c *client) {
	got := map[string]*[2]strings.Builder{}
	warned := map[string]bool{}
	for i := range c.events {
		e := &c.events[i]
		switch {
		case e.StepStart != nil:
			got[e.StepStart.Addr] = &[2]strings.Builder{}
		case e.StepOutput != nil:
			if b := got[e.StepOutput.Addr]; b != nil {
				stream := 0
				if e.StepOutput.Stream == event.StreamStderr {
					stream = 1
				}
				b[stream].WriteString(e.StepOutput.Text)
			}
		case e.Warning != nil && e.Warning.Addr != "":
			warned[e.Warning.Addr] = true
		case e.StepEnd != nil && e.StepEnd.Status == event.StepChanged:
			pt, b := p.part(e.StepEnd.Addr), got[e.StepEnd.Addr]
			if pt == nil || b == nil || pt.log == "" || pt.log == "flaky" || warned[pt.addr] && (p.hurt || c.roomless()) {
				continue
			}
			if out := b[0].String(); out != pt.stdout {
				p.fault("output is not whole", "%s printed %d bytes, and %d were told before its end: %s", pt.addr, len(pt.stdout), len(out), differs(out, pt.stdout))
			}
			if out := b[1].String(); out != pt.stderr {
				p.fault("output is not whole", "%s printed %q on stderr, and %q was told before its end", pt.addr, pt.stderr, out)
			}
		}
	}
}

func differs(a, b string) string {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return fmt.Sprintf("at %d, %.60q and not %.60q", n, a[n:], b[n:])
}

// exits holds the exit status against the end of the host.
func (p *play) exits(c *client) {
	end := c.ending()
	if end == nil {
		return
	}
	want := map[event.HostStatus]int{
		event.HostOK: 0, event.HostFailed: 1, event.HostUnreached: 3, event.HostIsLocked: 4, event.HostStale: 4, event.HostInterrupted: 130, event.HostNotReached: 1,
	}[end.Status]
	if c.halted > 0 && (c.halted < len(c.events)-1 || c.exit == 130) { // an interrupt at the very end may come too late
		want = 130
	}
	if c.exit != want {
		p.fault("exit status", "%s, and the status is %d", end.Status, c.exit)
	}
	if end.Status != event.HostOK && end.Message == "" {
		p.fault("no reason", "the host ended as %s", end.Status)
	}
}

// interrupted looks whether an interrupt was heeded.
func (p *play) interrupted(c *client) {
	begun := 0
	for i := c.halted; i < len(c.events); i++ {
		// What takes no time may be done before the program hears of it.
		if c.events[i].StepStart != nil && c.events[i].after > c.events[c.halted-1].after+2*time.Second {
			begun++
		}
	}
	if begun > 0 && c.trouble.Breaks == nil {
		p.fault("an interrupt is forgotten", "%d steps began long after it", begun)
	}
}

// leftovers looks at the whole host after the end.
func (p *play) leftovers() {
	w := p.w
	time.Sleep(3 * time.Minute) // nobody lingers for longer
	// What a client seemed to read while the last apply began goes with the next one.
	if read, _ := filepath.Glob(w.root.Path("run/provision/run-*/reader.*")); len(read) > 0 {
		w.mark("run")
		c := p.start(event.CommandApply, &Trouble{}, nil)
		<-c.over
		p.judge(c, &Trouble{}, true, nil)
		time.Sleep(3 * time.Minute)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if left := w.processes(); len(left) > 0 {
		p.fault("a process is left", "%s", strings.Join(left, "; "))
	}
	places := map[string]bool{"etc/shadow": true}
	for _, pt := range p.scene.steps() {
		places[pt.secret] = true
	}
	w.walk(func(name string, e entry) bool {
		if strings.Contains(e.content, secret) && !places[name] {
			p.fault("secret left", "in /%s", name)
		}
		base := name[strings.LastIndexByte(name, '/')+1:]
		ours := strings.HasPrefix(name, "run/") || strings.HasPrefix(base, ".provision") || strings.HasPrefix(name, "var/lib/provision/pending/") || name == "var/lib/provision/current"
		if ours && !(e.mode.IsDir() && name == "run/provision") {
			p.fault(leftover(name), "/%s", name)
			return false
		}
		return true
	}, []string{"usr", "proc", "sim"})
	journals, _ := os.ReadDir(w.root.Path("var/lib/provision"))
	if n := len(journals); n > 5+3 {
		p.fault("a file is left", "%d files in the state directory", n)
	}
	p.counts()
	p.disk = w.readDisk()
}

// leftover says what a file is that is left.
func leftover(name string) string {
	switch {
	case strings.HasPrefix(name, "run/provision/run-"):
		return "a program's directory is left"
	case strings.HasPrefix(name, "run/provision/"):
		return "a lock is left"
	case strings.HasPrefix(name, "var/lib/provision/pending/"):
		return "a notification is left"
	case strings.HasPrefix(name, "srv/"):
		return "a temporary file is left"
	case strings.HasPrefix(name, "var/lib/provision/"):
		return "the mark of a program is left"
	}
	return "staging is left"
}

// counts looks how often each script has run.
func (p *play) counts() {
	data, _ := os.ReadFile(p.w.root.Path("sim/log"))
	open := map[string]bool{} // it began in an earlier run, and did not come to its end
	unknown := map[string]bool{}
	inRun, clients := map[string]int{}, 0
	total := map[string]int{}
	for line := range strings.Lines(string(data)) {
		word, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "run":
			inRun, clients = map[string]int{}, 1
		case "killed": // the program, without a word
			for _, pt := range p.scene.steps() {
				if !pt.once() {
					delete(inRun, pt.log) // what it had made may be gone with the power
				}
			}
			for _, pt := range p.scene.steps() {
				if pt.once() && open[pt.log] {
					unknown[pt.log] = true
				}
			}
		case "may": // it has been said that it may run again
			unknown[name] = false
		case "also":
			clients++
		case "overlap":
			p.fault("two at once", "%s begins while another script runs", name)
		case "begin":
			inRun[name]++
			total[name]++
			if unknown[name] {
				p.fault("done again untold", "%s was cut off by a kill, and it runs again although nobody has said that it may", name)
			}
			if inRun[name] > clients && name != "flaky" {
				p.fault("done twice", "%s ran %d times in one run", name, inRun[name])
			}
			open[name] = true
		case "end":
			open[name] = false
		}
	}
	for _, pt := range p.scene.steps() {
		if pt.owed && total[pt.log] < 1 {
			p.fault("a notification is not paid", "%s has not run", pt.addr)
		}
		if pt.owed && !p.hurt && !p.interruptedAtAll() && total[pt.log] > 1+p.edited {
			p.fault("a notification is paid twice", "%s ran %d times", pt.addr, total[pt.log])
		}
	}
}

func (p *play) interruptedAtAll() bool {
	for _, c := range p.all {
		if c.halted > 0 || c.roomless() {
			return true
		}
	}
	return false
}
