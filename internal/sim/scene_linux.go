package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// A Scene is a playbook for one host, and what goes wrong while it is applied. It is drawn from a seed, and can be made simpler.
type Scene struct {
	Shell string
	Parts []int // indexes into parts
	Runs  []Trouble
	Gap   time.Duration // until somebody mends it

	Custom []part            // instead of Parts
	Local  map[string]string // files beside the playbook, with Custom
	Before map[string]string // files of the host, with Custom; a name that ends with a slash is a directory
}

// steps are the steps of the playbook.
func (s *Scene) steps() []part {
	if s.Custom != nil {
		return s.Custom
	}
	var list []part
	for _, i := range s.Parts {
		list = append(list, parts[i])
	}
	return list
}

// A Trouble is what goes wrong in one run. Zero values are what does not happen.
type Trouble struct {
	Breaks []Break // of the first link, of the second, …

	Kill       int           // the client is killed when it has told so many events
	KillLinger time.Duration // how long the host does not notice
	Stop       int           // it is interrupted, likewise
	StopAgain  int           // and once more, so many events or seconds later
	Second     int           // another client begins, likewise
	Edit       bool          // somebody edits a file between plan and apply

	Program     int    // at the so many-th call of the program that changes a file …
	ProgramHow  string // … "shell": its shell is killed, "tree": all of it, "host": the host restarts
	LosePower   bool   // and what was not synced is lost
	Torn        bool
	Room        int    // from the so many-th call on there is no space …
	RoomIn      string // … below this directory
	RoomForGood bool   // and not for once
}

func (s *Scene) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "shell %s, gap %s, steps", s.Shell, s.Gap)
	for _, pt := range s.steps() {
		b.WriteString(" " + strings.TrimPrefix(pt.addr, "step."))
	}
	for i := range s.Runs {
		fmt.Fprintf(&b, "\nrun %d: %s", i+1, &s.Runs[i])
	}
	return b.String()
}

func (t *Trouble) String() string {
	var list []string
	say := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	for i, b := range t.Breaks {
		if b.Kind == "" {
			continue
		}
		way := "down"
		if b.Up {
			way = "up"
		}
		say("link %d breaks (%s) after %d bytes %s, outage %s silent %v, linger %s", i+1, b.Kind, b.At, way, b.Outage, b.Silent, b.Linger)
	}
	if t.Edit {
		say("an edit between plan and apply")
	}
	if t.Kill > 0 {
		say("the client is killed at event %d, the host notices after %s", t.Kill, t.KillLinger)
	}
	if t.Stop > 0 {
		say("interrupt at event %d", t.Stop)
	}
	if t.StopAgain > 0 {
		say("and again after %d", t.StopAgain)
	}
	if t.Second > 0 {
		say("a second client at event %d", t.Second)
	}
	if t.Program > 0 {
		say("the program's %s is killed at its change %d (power lost %v, torn %v)", t.ProgramHow, t.Program, t.LosePower, t.Torn)
	}
	if t.Room > 0 {
		say("no space in %s from change %d there on, for good %v", t.RoomIn, t.Room, t.RoomForGood)
	}
	if len(list) == 0 {
		return "nothing"
	}
	return strings.Join(list, "; ")
}

// Draw draws the scene of a seed.
func Draw(seed uint64) *Scene {
	r := rand.New(rand.NewPCG(seed, 1))
	s := &Scene{
		Shell: pick(r, "/usr/bin/dash", "/usr/bin/dash", "/usr/bin/bash", "/usr/bin/busybox"),
		Gap:   pick(r, time.Minute, 0, 10*time.Second, time.Hour),
	}
	chosen := map[string]bool{}
	for i := range parts {
		p := &parts[i]
		if (p.after == "" || chosen[p.after]) && r.IntN(100) < 30 {
			chosen[p.addr] = true
			s.Parts = append(s.Parts, i)
		}
	}
	if len(s.Parts) == 0 {
		s.Parts = []int{2}
	}
	for range 1 + r.IntN(2) {
		s.Runs = append(s.Runs, drawTrouble(r))
	}
	return s
}

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

func drawTrouble(r *rand.Rand) Trouble {
	var x Trouble
	for range pick(r, 1, 1, 1, 1, 2, 2, 0) {
		switch pick(r, "break", "break", "break", "break", "program", "program", "kill", "kill", "stop", "second", "edit", "room") {
		case "break":
			for range pick(r, 0, 0, 0, 1) {
				x.Breaks = append(x.Breaks, Break{})
			}
			for range pick(r, 1, 1, 2) {
				x.Breaks = append(x.Breaks, drawBreak(r))
			}
		case "program":
			x.Program = 1 + r.IntN(pick(r, 60, 60, 200))
			x.ProgramHow = pick(r, "tree", "shell", "host")
			if x.ProgramHow == "host" {
				x.LosePower, x.Torn = pick(r, true, true, false), pick(r, true, false)
			}
		case "kill":
			x.Kill, x.KillLinger = 1+r.IntN(60), drawSpan(r)
		case "stop":
			x.Stop, x.StopAgain = 1+r.IntN(50), r.IntN(10)
		case "second":
			x.Second = 1 + r.IntN(50)
		case "edit":
			x.Edit = true
		case "room":
			x.Room = 1 + r.IntN(40)
			x.RoomIn = pick(r, "/var/lib/provision", "/run/provision", "/dev/shm", "/srv")
			x.RoomForGood = pick(r, true, false)
		}
	}
	return x
}

func drawSpan(r *rand.Rand) time.Duration {
	return pick(r, 0, time.Second, 5*time.Second, 45*time.Second, 2*time.Minute)
}

func drawBreak(r *rand.Rand) Break {
	b := Break{Kind: pick(r, Reset, BlackHole, HalfOpen, Late, Pause), Up: pick(r, true, false)}
	b.At = r.Int64N(pick[int64](r, 1000, 150_000, 400_000))
	if !b.Up {
		b.At = r.Int64N(pick[int64](r, 600, 6000, 200_000))
	}
	switch b.Kind {
	case Pause:
		b.Linger = pick(r, time.Second, 10*time.Second, 25*time.Second)
	case Reset:
	default:
		b.Linger = drawSpan(r)
	}
	if b.Kind != Pause {
		b.Outage, b.Silent = drawSpan(r), pick(r, true, false)
	}
	return b
}

// with tells whether a trouble of a kind is in the scene: break, power, program, kill, stop, second, edit or room.
func (s *Scene) with(kind string) bool {
	return slices.ContainsFunc(s.Runs, func(t Trouble) bool {
		switch kind {
		case "break":
			return len(t.Breaks) > 0
		case "power":
			return t.Program > 0 && t.LosePower
		case "program":
			return t.Program > 0
		case "kill":
			return t.Kill > 0
		case "stop":
			return t.Stop > 0
		case "second":
			return t.Second > 0
		case "edit":
			return t.Edit
		case "room":
			return t.Room > 0
		}
		return kind == ""
	})
}

// simpler returns scenes that are like a scene, with less in them.
func (s *Scene) simpler() []*Scene {
	var list []*Scene
	add := func(change func(*Scene)) {
		c := *s
		c.Parts = slices.Clone(s.Parts)
		c.Runs = slices.Clone(s.Runs)
		for i := range c.Runs {
			c.Runs[i].Breaks = slices.Clone(c.Runs[i].Breaks)
		}
		change(&c)
		if c.String() != s.String() && len(c.Parts) > 0 {
			list = append(list, &c)
		}
	}
	for i := range s.Runs {
		add(func(c *Scene) { c.Runs = slices.Delete(c.Runs, i, i+1) })
	}
	for i := range s.Runs {
		add(func(c *Scene) { c.Runs[i].Breaks = nil })
		add(func(c *Scene) { c.Runs[i].Kill = 0 })
		add(func(c *Scene) { c.Runs[i].Stop, c.Runs[i].StopAgain = 0, 0 })
		add(func(c *Scene) { c.Runs[i].StopAgain = 0 })
		add(func(c *Scene) { c.Runs[i].Second = 0 })
		add(func(c *Scene) { c.Runs[i].Edit = false })
		add(func(c *Scene) { c.Runs[i].Program, c.Runs[i].ProgramHow = 0, "" })
		add(func(c *Scene) { c.Runs[i].LosePower, c.Runs[i].Torn = false, false })
		add(func(c *Scene) { c.Runs[i].Room = 0 })
		for j := range s.Runs[i].Breaks {
			add(func(c *Scene) { c.Runs[i].Breaks[j] = Break{} })
			add(func(c *Scene) { c.Runs[i].Breaks[j].Outage = 0 })
			add(func(c *Scene) { c.Runs[i].Breaks[j].Silent = false })
		}
	}
	for i := range s.Parts {
		add(func(c *Scene) {
			gone := parts[c.Parts[i]].addr
			c.Parts = slices.DeleteFunc(c.Parts, func(n int) bool { return parts[n].addr == gone || parts[n].after == gone })
		})
	}
	add(func(c *Scene) { c.Shell = "/usr/bin/dash" })
	add(func(c *Scene) { c.Gap = 0 })
	return list
}
