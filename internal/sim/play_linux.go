package sim

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"provision/internal/event"
	"provision/internal/inventory"
	"provision/internal/playbook"
)

// A play is one scene being played.
type play struct {
	w       *World
	scene   *Scene
	pb      *playbook.Playbook
	host    *inventory.Host
	began   time.Time
	clients int
	all     []*client
	second  chan *client
	notes   []string
	faults  []string // what was found
	ops     int      // calls of the current run's programs
	first   int      // those of the first
	disk    map[string]entry
	room    bool // there is none
	edited  int  // how often conf was edited
	hurt    bool // a program was killed, or the host
	rerun   map[string]bool
}

// A Verdict is what came of a scene.
type Verdict struct {
	Faults []string // what must not be, each "name: what was seen"
	Story  string
	Ops    int              // calls of the first run's programs that change a file
	Disk   map[string]entry // what was on the host's disk at the end
}

// Text is the playbook of a scene.
func (s *Scene) Text() string {
	var b strings.Builder
	b.WriteString("ssh {\n  user = \"root\"\n}\n\nhost \"h1\" {\n  address = \"127.0.0.1\"\n}\n\n")
	fmt.Fprintf(&b, "variable \"secret\" {\n  sensitive = true\n  default   = %q\n}\n", secret)
	for _, pt := range s.steps() {
		b.WriteString("\n" + pt.text + "\n")
	}
	return b.String()
}

// load reads the playbook of a scene. It must not be called in a bubble.
func (s *Scene) load(work string) (*playbook.Playbook, *inventory.Host, error) {
	path := filepath.Join(work, "playbook.hcl")
	local := map[string]string{"playbook.hcl": s.Text(), "big.dat": bigContent}
	maps.Copy(local, s.Local)
	for name, content := range local {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(work, name)), 0o755); err != nil {
			return nil, nil, err
		}
		if err := os.WriteFile(filepath.Join(work, name), []byte(content), 0o644); err != nil {
			return nil, nil, err
		}
	}
	pb, diags := playbook.Load(context.Background(), path, playbook.Options{})
	if !diags.HasErrors() {
		diags = append(diags, pb.Validate()...)
	}
	if diags.HasErrors() {
		return nil, nil, diags
	}
	for _, h := range pb.Inventory().Hosts() {
		return pb, h, nil
	}
	return nil, nil, errNoHost
}

// play plays a scene. It must be called in a bubble.
func (l *Lab) play(s *Scene, pb *playbook.Playbook, host *inventory.Host) (*Verdict, error) {
	w, err := newWorld(l, s.Shell)
	if err != nil {
		return nil, err
	}
	p := &play{w: w, scene: s, pb: pb, host: host, began: time.Now(), second: make(chan *client, 10), rerun: map[string]bool{}}
	there := before
	if s.Custom != nil {
		there = s.Before
	}
	for name, content := range there {
		if err := os.MkdirAll(filepath.Dir(w.root.Path(name)), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(w.root.Path(name), []byte(content), 0o644); err != nil {
			return nil, err
		}
	}
	w.mu.Lock()
	w.synced(nil)
	w.Observe, w.Arguments = p.observe, p.arguments
	w.Broken = func(b *Break) { p.note("the link breaks: %s", b.Kind) }
	w.mu.Unlock()
	p.play()
	for _, c := range p.all {
		<-c.gone
	}
	w.close()
	for _, problem := range w.Problems {
		p.fault("simulator", "%s", problem)
	}
	return &Verdict{Faults: p.faults, Story: p.story(), Ops: p.first, Disk: p.disk}, nil
}

func (p *play) story() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", p.scene)
	for _, c := range p.all {
		b.WriteString(c.story() + "\n")
	}
	fmt.Fprintf(&b, "--- notes\n%s\n", strings.Join(p.notes, "\n"))
	return b.String()
}

func (p *play) fault(name, format string, args ...any) {
	p.faults = append(p.faults, name+": "+fmt.Sprintf(format, args...))
}

func (p *play) note(format string, args ...any) {
	p.notes = append(p.notes, fmt.Sprintf(format, args...))
}

// log counts the lines of what the scripts told outside of the host's own disk.
func (w *World) log() map[string]int {
	counts := map[string]int{}
	data, _ := os.ReadFile(w.root.Path("sim/log"))
	for line := range strings.Lines(string(data)) {
		counts[strings.TrimSuffix(line, "\n")]++
	}
	return counts
}

func (w *World) logCount(line string) int { return w.log()[line] }

// mark writes into that log.
func (w *World) mark(line string) {
	f, err := os.OpenFile(w.root.Path("sim/log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		w.problem(err)
		return
	}
	_, err = f.WriteString(line + "\n")
	w.problem(err)
	f.Close()
}

// busy tells whether a script runs.
func (w *World) busy() bool {
	fd, err := unix.Open(w.root.Path("sim/busy"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) != nil
}

// edit is what another person does between a plan and its apply.
func (p *play) edit() {
	p.note("an edit")
	p.w.problem(os.WriteFile(p.w.root.Path("srv/hosts"), []byte("127.0.0.1 localhost\n"), 0o644))
	p.w.problem(os.WriteFile(p.w.root.Path("srv/conf"), []byte("edited\n"), 0o644))
	p.edited++
}

// arguments looks at the arguments of each process of the host.
func (p *play) arguments(_ int, argv string) {
	if strings.Contains(argv, secret) {
		p.fault("secret in arguments", "%.300q", argv)
	}
}

// observe decides about a call that changes a file.
func (p *play) observe(op *Op) Answer {
	if len(p.all) == 0 {
		return Answer{}
	}
	c := p.all[len(p.all)-1]
	t := c.trouble
	if p.room && (op.What == opens || op.What == changes || op.What == writes) && under(op.Path, t.RoomIn) {
		return Answer{Errno: unix.ENOSPC}
	}
	if t.Room > 0 && under(op.Path, t.RoomIn) && op.What != removes {
		if t.Room--; t.Room == 0 {
			p.note("no space for %s (call %d)", op.Path, op.n.Nr)
			p.room = t.RoomForGood
			return Answer{Errno: unix.ENOSPC}
		}
	}
	if !op.Program {
		return Answer{}
	}
	p.ops++
	if t.Program == 0 || p.ops != t.Program {
		return Answer{}
	}
	p.hurt, t.Program = true, 0
	p.note("change %d (%d %s %s) by %d: the %s is killed, by then %.1f s", p.ops, op.What, op.Path, op.To, op.PID, t.ProgramHow, time.Since(c.began).Seconds())
	if t.ProgramHow != "shell" { // whose script goes on
		p.w.mark("killed")
	}
	switch t.ProgramHow {
	case "shell":
		_ = unix.Kill(op.SID, unix.SIGKILL)
		return Answer{Dead: op.SID == op.PID}
	case "tree":
		for _, pid := range pids() {
			if session(pid) == op.SID {
				_ = unix.Kill(pid, unix.SIGKILL)
			}
		}
	case "host":
		for _, c := range p.all {
			for _, l := range c.links {
				if l.dead == nil && !l.hostDead {
					l.snapped(&Break{Kind: BlackHole, Outage: 20 * time.Second, Silent: true, Linger: time.Hour})
					l.hostGone()
				}
			}
		}
		p.w.restart(t.LosePower, t.Torn)
	}
	return Answer{Dead: true}
}

func under(name, dir string) bool { return name == dir || strings.HasPrefix(name, dir+"/") }

// play is the scene from its beginning to its end.
func (p *play) play() {
	w := p.w
	hang := time.AfterFunc(12*time.Hour, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		p.fault("hangs", "a client has not ended after 12 hours; on the host: %s", strings.Join(w.processes(), "; "))
		for _, c := range p.all {
			if !c.killed && c.exit < 0 {
				c.kill()
			}
		}
	})
	for i := range p.scene.Runs {
		t := p.scene.Runs[i]
		p.ops, p.room = 0, false
		w.mark("run")
		clean := p.quiet()
		c := p.start(event.CommandApply, &t, p.rerun)
		<-c.over
		var others []*client
		for len(p.second) > 0 {
			others = append(others, <-p.second)
		}
		for _, o := range others {
			<-o.over
		}
		if i == 0 {
			p.first = p.ops
		}
		p.judge(c, &p.scene.Runs[i], clean, others)
		p.allow(c)
	}
	time.Sleep(p.scene.Gap)
	hang.Stop()
	p.mend()
	p.leftovers()
	if p.cutCall() {
		p.note("a signal has ended a call that the simulator held: the scene counts for nothing")
		p.faults = nil
	}
}

// cutCall tells whether busybox was told that it cannot write, though there was room: a signal of the shell's own may end a call that
// the simulator holds (EINTR), as none ends that of a real disk.
func (p *play) cutCall() bool {
	if !strings.HasSuffix(p.scene.Shell, "busybox") || p.scene.with("room") {
		return false
	}
	return slices.ContainsFunc(p.all, func(c *client) bool {
		e := c.ending()
		return e != nil && strings.Contains(e.Message, " could not be written")
	})
}

// quiet tells whether nothing of an earlier run is on the host any more.
func (p *play) quiet() bool {
	return p.idle() && !p.hurt && !p.killed()
}

// idle tells whether nothing runs on the host.
func (p *play) idle() bool {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	return !p.w.busy() && len(p.w.processes()) == 0
}

func (p *play) killed() bool {
	for _, c := range p.all {
		if c.killed || c.exit != 0 {
			return true
		}
	}
	return false
}

// allow lets steps run again of which a client has said that a person must look first.
func (p *play) allow(c *client) {
	for _, addr := range c.unknown() {
		p.rerun[addr] = true
	}
}

// mend applies the playbook until the host is as it should be.
func (p *play) mend() {
	w := p.w
	w.mu.Lock()
	w.noDial, p.room = time.Time{}, false
	w.mu.Unlock()
	for applies, waits := 0, 0; ; {
		rerun := p.rerun
		p.rerun = map[string]bool{}
		w.mark("run")
		idle := p.idle()
		c := p.start(event.CommandApply, &Trouble{}, rerun)
		<-c.over
		p.judge(c, &Trouble{}, idle, nil)
		end := c.ending()
		if end == nil {
			p.fault("no end", "the host has no end in an apply")
			return
		}
		if end.Status == event.HostOK {
			break
		}
		if end.Status == event.HostIsLocked {
			if waits++; waits > 30 {
				p.fault("locked for ever", "%s; on the host: %s", end.Message, strings.Join(w.processes(), "; "))
				return
			}
			time.Sleep(20 * time.Second)
			continue
		}
		p.allow(c)
		if applies++; applies >= 2 {
			p.fault("not mended", "two applies, and the last ends as %s: %s", end.Status, end.Message)
			return
		}
	}
	for _, pt := range p.scene.steps() {
		if why := pt.differs(w); why != "" {
			p.fault("not as wanted", "%s after a successful apply: %s", pt.addr, why)
		}
	}
	c := p.start(event.CommandPlan, &Trouble{}, nil)
	<-c.over
	for _, e := range c.events {
		if s := e.PlanStep; s != nil && s.Action != "no-op" {
			pt := p.part(s.Addr)
			if pt == nil || !pt.always && (pt.after == "" || !p.part(pt.after).always) {
				p.fault("plan not empty", "%s is %s after all is done", s.Addr, s.Action)
			}
		}
	}
	if c.exit != 0 {
		p.fault("plan not empty", "the last plan ends with %d", c.exit)
	}
}

func (p *play) part(addr string) *part {
	for _, pt := range p.scene.steps() {
		if pt.addr == addr {
			return &pt
		}
	}
	return nil
}
