package record

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/maruel/natural"

	"provision/internal/event"
)

// A Merge makes the records of several runs one: of shards that ran on several machines, or of a run and those that
// resumed it. Where a host is in more than one of them, the run that began last has the word.
type Merge struct {
	Runs  []Run  // as Read gives them
	ID    string // of the result
	Owner string // who merges
	Force bool   // also what does not belong together, or cannot be read to its end
}

// Check returns why the runs should not be merged.
func (m *Merge) Check() error {
	if len(m.Runs) == 0 {
		return errors.New("there is nothing to merge: name the directories of runs")
	}
	first := &m.Runs[0]
	for i := range m.Runs {
		r := &m.Runs[i]
		for _, other := range m.Runs[:i] {
			if sameDir(r.Dir, other.Dir) {
				return fmt.Errorf("%s is named twice", r.Dir)
			}
		}
		if m.Force {
			continue
		}
		const anyway = "; --force merges them all the same"
		switch {
		case r.Status == Running:
			return fmt.Errorf("the run in %s is still going on: wait for its end%s", r.Dir, anyway)
		case r.Command != first.Command:
			return fmt.Errorf("%s is a run of %s and %s one of %s%s", first.Dir, first.Command, r.Dir, r.Command, anyway)
		case !samePlaybook(r, first):
			return fmt.Errorf("%s and %s are runs of different playbooks, or of different versions of one (%s and %s)%s", first.Dir, r.Dir, first.Playbook, r.Playbook, anyway)
		case !sameChoice(r.Selection, first.Selection):
			return fmt.Errorf("%s and %s were given different --tags, --skip-tags, --var or --var-file%s", first.Dir, r.Dir, anyway)
		}
	}
	return nil
}

func sameDir(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

func samePlaybook(a, b *Run) bool {
	if a.Selection != nil && b.Selection != nil && a.Selection.Digest != "" && b.Selection.Digest != "" {
		return a.Selection.Digest == b.Selection.Digest
	}
	return filepath.Base(a.Playbook) == filepath.Base(b.Playbook)
}

// sameChoice tells whether two runs did the same to their hosts, whichever these were.
func sameChoice(a, b *event.Selection) bool {
	if a == nil || b == nil {
		return a == b
	}
	return slices.Equal(a.Tags, b.Tags) && slices.Equal(a.SkipTags, b.SkipTags) && slices.Equal(a.VarFiles, b.VarFiles) && maps.Equal(a.Vars, b.Vars)
}

// Twice returns the hosts that are in more than one of the runs.
func (m *Merge) Twice() []string {
	var twice []string
	for host, at := range m.owners() {
		for i := range m.Runs {
			if i != at && slices.Contains(m.Runs[i].HostNames(), host) {
				twice = append(twice, host)
				break
			}
		}
	}
	return twice
}

// MissingShards returns which shards of a fleet are in none of the runs, by their numbers, and how many shards there are.
func (m *Merge) MissingShards() (missing []string, of int) {
	there := map[int]bool{}
	for i := range m.Runs {
		if m.Runs[i].Selection == nil {
			continue
		}
		number, total, ok := strings.Cut(m.Runs[i].Selection.Shard, "/")
		n, err := strconv.Atoi(number)
		t, terr := strconv.Atoi(total)
		if !ok || err != nil || terr != nil || t > 10000 {
			continue
		}
		there[n], of = true, max(of, t)
	}
	for n := 1; n <= of; n++ {
		if !there[n] {
			missing = append(missing, strconv.Itoa(n))
		}
	}
	return missing, of
}

// owners tells of each host which of the runs has the word on it.
func (m *Merge) owners() map[string]int {
	owners := map[string]int{}
	for i := range m.Runs {
		for _, host := range m.Runs[i].HostNames() {
			if at, ok := owners[host]; !ok || !m.Runs[i].Start.Before(m.Runs[at].Start) {
				owners[host] = i
			}
		}
	}
	return owners
}

// start is the first event of the result.
func (m *Merge) start(owners map[string]int, streams []*mergeStream) event.Event {
	first := &m.Runs[0]
	start := &event.RunStart{Schema: event.Schema, Command: first.Command, Playbook: first.Playbook, Hosts: len(owners), Owner: m.Owner}
	when := first.Start
	for i := range m.Runs {
		start.Merges = append(start.Merges, cmp.Or(streams[i].id, m.Runs[i].ID))
		if m.Runs[i].Start.Before(when) {
			when = m.Runs[i].Start
		}
	}
	if first.Selection != nil {
		all := *first.Selection
		all.Limit, all.Shard = nil, ""
		all.Names = slices.Collect(maps.Keys(owners))
		slices.SortStableFunc(all.Names, natural.Compare)
		start.Selection = &all
	}
	return event.Event{Time: when, Run: m.ID}.With(start)
}

// Write gives the events of all runs to a Sink, ordered by their time, each with the id of its own run, between one
// run_start and one run_end. Events of one run keep their order whatever the clocks of the machines say. It returns the
// exit status of the whole.
func (m *Merge) Write(to event.Sink) (int, error) {
	owners := m.owners()
	var streams []*mergeStream
	defer func() {
		for _, s := range streams {
			s.file.Close()
		}
	}()
	for i := range m.Runs {
		f, err := os.Open(filepath.Join(m.Runs[i].Dir, eventsFile))
		if err != nil {
			return 0, err
		}
		mine := func(host string) bool {
			at, known := owners[host]
			return !known || at == i
		}
		s := &mergeStream{run: &m.Runs[i], file: f, in: newEventReader(f), mine: mine, force: m.Force}
		streams = append(streams, s)
		if err := s.advance(); err != nil {
			return 0, err
		}
	}
	start := m.start(owners, streams)
	to.Event(start)
	end := &mergeEnd{to: to, totals: map[event.HostStatus]int{}, last: start.Time}
	for {
		var next *mergeStream
		for _, s := range streams {
			if !s.done && (next == nil || s.head.Time.Before(next.head.Time)) {
				next = s
			}
		}
		if next == nil {
			break
		}
		end.event(next.head)
		if err := next.advance(); err != nil {
			return 0, err
		}
	}
	for _, s := range streams {
		for _, host := range s.run.Unended() {
			if s.mine(host) {
				end.event(event.Event{Time: end.last, Run: s.run.ID, Host: host}.With(&event.HostEnd{
					Status: event.HostInterrupted, Message: "provision ended before this host did; what the host was sent, it ends by itself",
				}))
			}
		}
		if s.run.Status == Died {
			end.died = true
		}
	}
	return end.conclude(m.ID, start), nil
}

// A mergeStream is the events of one run, but for its own start and end and the hosts that another has the word on.
type mergeStream struct {
	run   *Run
	file  *os.File
	in    *eventReader
	mine  func(host string) bool
	force bool
	id    string // as its events say, whatever its directory is called
	head  event.Event
	done  bool
}

func (s *mergeStream) advance() error {
	for {
		e, err := s.in.next()
		s.id = cmp.Or(s.id, e.Run)
		switch {
		case errors.Is(err, io.EOF), err != nil && s.force:
			s.done = true
			return nil
		case err != nil:
			return fmt.Errorf("%s: %w; --force takes what comes before it", s.file.Name(), err)
		case e.RunStart != nil, e.RunEnd != nil, e.Host != "" && !s.mine(e.Host):
			continue
		}
		s.head = e
		return nil
	}
}

// A mergeEnd passes events on and knows what they come to.
type mergeEnd struct {
	to     event.Sink
	totals map[event.HostStatus]int
	last   time.Time
	died   bool
}

func (m *mergeEnd) event(e event.Event) {
	if e.HostEnd != nil {
		m.totals[e.HostEnd.Status]++
	}
	if e.Time.After(m.last) {
		m.last = e.Time
	}
	m.to.Event(e)
}

// conclude writes the end, with the worst that happened to any host.
func (m *mergeEnd) conclude(id string, start event.Event) int {
	end := &event.RunEnd{Status: "ok", Totals: m.totals, Duration: event.Millis(m.last.Sub(start.Time))}
	switch {
	case m.totals[event.HostInterrupted] > 0 || m.died:
		end.Status, end.Exit = "interrupted", 130
	case m.totals[event.HostFailed] > 0:
		end.Status, end.Exit = "failed", 1
	case m.totals[event.HostIsLocked] > 0:
		end.Status, end.Exit = "locked", 4
	case m.totals[event.HostStale] > 0:
		end.Status, end.Exit = "stale", 4
	case m.totals[event.HostUnreached] > 0:
		end.Status, end.Exit = "unreachable", 3
	case m.totals[event.HostNotReached] > 0:
		end.Status, end.Exit = "stopped", 1
	}
	m.to.Event(event.Event{Time: m.last, Run: id}.With(end))
	return end.Exit
}
