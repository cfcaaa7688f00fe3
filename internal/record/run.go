package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/maruel/natural"

	"provision/internal/event"
)

// A Run is what summary.json keeps of a run.
type Run struct {
	ID        string                   `json:"id"` // name of its directory
	Start     time.Time                `json:"start"`
	Command   string                   `json:"command,omitempty"`
	Playbook  string                   `json:"playbook,omitempty"` // as the user wrote the path
	Sandbox   bool                     `json:"sandbox,omitempty"`
	Owner     string                   `json:"owner,omitempty"`
	Selected  int                      `json:"selected,omitempty"` // how many hosts were chosen
	Selection *event.Selection         `json:"selection,omitempty"`
	Resumes   string                   `json:"resumes,omitempty"` // the run that it goes on with
	Merges    []string                 `json:"merges,omitempty"`  // the runs whose records were made one
	Status    string                   `json:"status,omitempty"`  // as in run_end; "" if the run never ended
	Exit      int                      `json:"exit"`
	Duration  event.Millis             `json:"duration_ms"`
	Hosts     map[string]event.HostEnd `json:"hosts,omitempty"` // those that ended
	Totals    map[event.HostStatus]int `json:"totals,omitempty"`
	Next      string                   `json:"next,omitempty"`

	Dir string `json:"-"` // its directory
}

// What List says of a run that has no run_end.
const (
	Running = "running"
	Died    = "did not end" // the client died, or the log could not be written to the end
)

// A MissingError says that there is no run of that name.
type MissingError struct {
	ID   string
	Root string   // where runs were looked for
	Near []string // the IDs that begin so, if there are several; the latest first
}

func (e *MissingError) Error() string {
	if len(e.Near) > 0 {
		return fmt.Sprintf("%d runs have an ID that begins with %q, such as %s and %s: write more of it", len(e.Near), e.ID, e.Near[0], e.Near[1])
	}
	return fmt.Sprintf("there is no run %q in %s", e.ID, e.Root)
}

func (r *Run) add(e event.Event) {
	switch {
	case e.RunStart != nil:
		s := e.RunStart
		r.Command, r.Playbook, r.Sandbox, r.Owner = s.Command, s.Playbook, s.Sandbox, s.Owner
		r.Selected, r.Selection, r.Resumes, r.Merges = s.Hosts, s.Selection, s.Resumes, s.Merges
	case e.HostEnd != nil:
		if r.Hosts == nil {
			r.Hosts = map[string]event.HostEnd{}
		}
		r.Hosts[e.Host] = *e.HostEnd
	case e.RunEnd != nil:
		r.Status, r.Exit, r.Duration = e.RunEnd.Status, e.RunEnd.Exit, e.RunEnd.Duration
		r.Totals, r.Next = e.RunEnd.Totals, e.RunEnd.Next
	}
}

// Unended returns the hosts that the run was for and that have no end in it, as people count.
func (r *Run) Unended() []string {
	if r.Selection == nil {
		return nil
	}
	var names []string
	for _, name := range r.Selection.Names {
		if _, ended := r.Hosts[name]; !ended {
			names = append(names, name)
		}
	}
	slices.SortStableFunc(names, natural.Compare)
	return names
}

// HostNames returns the hosts that the run was for, as people count.
func (r *Run) HostNames() []string {
	names := append(slices.Collect(maps.Keys(r.Hosts)), r.Unended()...)
	slices.SortStableFunc(names, natural.Compare)
	return names
}

// List returns the summaries of the runs kept under root, the latest first. One that has no end has the
// status Running or Died. Without the directory there are none. Links are not followed: a run is a
// directory of its own.
func List(root string) ([]Run, error) {
	entries, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the past runs cannot be read: %w", err)
	}
	var runs []Run
	for _, entry := range entries {
		if !entry.IsDir() || strings.HasPrefix(entry.Name(), removedPrefix) {
			continue
		}
		run, err := Read(filepath.Join(root, entry.Name()))
		if err != nil {
			continue // not a run, or one that is just being removed
		}
		runs = append(runs, run)
	}
	sort.SliceStable(runs, func(i, j int) bool {
		if !runs[i].Start.Equal(runs[j].Start) {
			return runs[i].Start.After(runs[j].Start)
		}
		return runs[i].ID > runs[j].ID
	})
	return runs, nil
}

// Find returns the run of runs (the latest first, of root) that an ID names: the whole of it, the beginning
// of only one, or "last". The error is a MissingError.
func Find(runs []Run, root, id string) (Run, error) {
	if id == "last" && len(runs) > 0 {
		return runs[0], nil
	}
	var found []Run
	missing := &MissingError{ID: id, Root: root}
	for _, r := range runs {
		if r.ID == id {
			return r, nil
		}
		if id != "" && strings.HasPrefix(r.ID, id) {
			found = append(found, r)
			missing.Near = append(missing.Near, r.ID)
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	return Run{}, missing
}

// maxSummary is more than the summary of any fleet takes.
const maxSummary = 64 << 20

// Read returns the summary of the run in a directory. Where summary.json is missing, cut short or
// garbage, it comes from the events, as far as they go.
func Read(dir string) (Run, error) {
	path := filepath.Join(dir, eventsFile)
	info, err := os.Lstat(path)
	if err != nil {
		return Run{}, err
	}
	if !info.Mode().IsRegular() {
		return Run{}, fmt.Errorf("%s is not a file", path)
	}
	run, err := readSummary(filepath.Join(dir, summaryFile))
	if err != nil || run.Status == "" || run.Start.IsZero() {
		run = Run{Start: info.ModTime()}
		// What cannot be read any more ends the record as a crash does.
		_ = Replay(dir, &summing{run: &run})
	}
	run.ID, run.Dir = filepath.Base(dir), dir // whatever the files say
	if run.Status == "" {
		run.Status = Died
		if goesOn(dir) {
			run.Status = Running
		}
		run.Duration = event.Millis(max(0, info.ModTime().Sub(run.Start)))
		run.Totals = map[event.HostStatus]int{}
		for _, end := range run.Hosts {
			run.Totals[end.Status]++
		}
	}
	return run, nil
}

func readSummary(path string) (Run, error) {
	var run Run
	info, err := os.Lstat(path)
	if err != nil {
		return run, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxSummary {
		return run, fmt.Errorf("%s is no summary", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return run, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSummary))
	if err != nil {
		return run, err
	}
	return run, json.Unmarshal(data, &run)
}

// summing is a Sink that makes the summary of a run that has none.
type summing struct {
	run  *Run
	seen bool
}

func (s *summing) Event(e event.Event) {
	if !s.seen && !e.Time.IsZero() {
		s.seen, s.run.Start = true, e.Time
	}
	s.run.add(e)
}
