package ui

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"time"

	"provision/internal/engine"
)

// A RunSummary is what summary.json keeps of a run.
type RunSummary struct {
	ID       string                    `json:"id"`
	Start    time.Time                 `json:"start"`
	Command  string                    `json:"command,omitempty"`
	Playbook string                    `json:"playbook,omitempty"`
	Sandbox  bool                      `json:"sandbox,omitempty"`
	Status   string                    `json:"status,omitempty"` // as in run_end; "" if the run never ended
	Exit     int                       `json:"exit"`
	Duration engine.Millis             `json:"duration_ms"`
	Hosts    map[string]engine.HostEnd `json:"hosts,omitempty"`
	Totals   map[engine.HostStatus]int `json:"totals,omitempty"`
	Next     string                    `json:"next,omitempty"`
}

func (r *RunSummary) add(e engine.Event) {
	switch {
	case e.RunStart != nil:
		r.Command, r.Playbook, r.Sandbox = e.RunStart.Command, e.RunStart.Playbook, e.RunStart.Sandbox
	case e.HostEnd != nil:
		if r.Hosts == nil {
			r.Hosts = map[string]engine.HostEnd{}
		}
		r.Hosts[e.Host] = *e.HostEnd
	case e.RunEnd != nil:
		r.Status, r.Exit, r.Duration = e.RunEnd.Status, e.RunEnd.Exit, e.RunEnd.Duration
		r.Totals, r.Next = e.RunEnd.Totals, e.RunEnd.Next
	}
}

// Runs returns the summaries of the runs kept under root, the latest first. A run that is going
// on, or died, has only its ID and start. Without the directory there are none.
func Runs(root string) ([]RunSummary, error) {
	entries, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the past runs cannot be read: %w", err)
	}
	var runs []RunSummary
	for _, entry := range entries {
		info, err := os.Stat(filepath.Join(root, entry.Name(), "events.jsonl"))
		if err != nil {
			continue // not a run
		}
		run := RunSummary{Start: info.ModTime()}
		data, err := os.ReadFile(filepath.Join(root, entry.Name(), "summary.json"))
		if err == nil {
			// A summary cut short by a crash tells as much as none.
			_ = json.Unmarshal(data, &run)
		}
		run.ID = entry.Name() // whatever the file says
		runs = append(runs, run)
	}
	sort.SliceStable(runs, func(i, j int) bool { return runs[i].Start.After(runs[j].Start) })
	return runs, nil
}

// Replay gives the events of a kept run to a Sink, as they were. A last line cut short by a
// crash is left out.
func Replay(r io.Reader, to engine.Sink) error {
	in := bufio.NewReader(r)
	for n := 1; ; n++ {
		data, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the events cannot be read: %w", err)
		}
		if len(bytes.TrimSpace(data)) == 0 {
			continue
		}
		var e engine.Event
		if err := json.Unmarshal(data, &e); err != nil {
			return fmt.Errorf("line %d is not an event: %w", n, err)
		}
		if e.RunStart != nil && e.RunStart.Schema > engine.EventSchema {
			return fmt.Errorf("the run was written by a later provision (schema %d); use that one", e.RunStart.Schema)
		}
		to.Event(e)
	}
}

// prune removes the oldest runs so that keep stay. It only touches directories that hold the
// events of a run.
func prune(root string, keep int, current string) {
	type run struct {
		dir  string
		last time.Time
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return
	}
	var runs []run
	for _, entry := range entries {
		dir := filepath.Join(root, entry.Name())
		info, err := os.Lstat(filepath.Join(dir, "events.jsonl"))
		if err != nil || !entry.IsDir() || entry.Name() == current {
			continue
		}
		runs = append(runs, run{dir, info.ModTime()})
	}
	sort.Slice(runs, func(i, j int) bool { return runs[i].last.After(runs[j].last) })
	for i := max(0, keep-1); i < len(runs); i++ {
		// What cannot be removed now is tried again by the next run.
		_ = os.RemoveAll(runs[i].dir)
	}
}
