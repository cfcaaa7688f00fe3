package record

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"provision/internal/event"
)

const summaryOfTwo = `{
  "id": "20240517-093000-ab12",
  "start": "2024-05-17T09:30:00Z",
  "command": "apply",
  "selected": 2,
  "status": "failed",
  "exit": 1,
  "duration_ms": 62000,
  "hosts": {
    "web01": {
      "status": "ok",
      "counts": {
        "changed": 1
      },
      "duration_ms": 62000
    },
    "web02": {
      "status": "failed",
      "duration_ms": 0
    }
  }
}
`

func TestLog(t *testing.T) {
	root := filepath.Join(t.TempDir(), ".provision", "runs")
	l := NewLog(root, Options{Lines: lines})
	if l.Dir() != "" {
		t.Error("a log without events has a directory")
	}
	events := applyOf(2)
	feed(l, events...)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(summaryOfTwo, readFile(t, filepath.Join(l.Dir(), "summary.json"))); diff != "" {
		t.Errorf("the summary differs (-want +got):\n%s", diff)
	}

	// What was kept can be shown again as it was.
	next := &heard{}
	if err := ReplayFrom(strings.NewReader(readFile(t, filepath.Join(l.Dir(), "events.jsonl"))), next); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(events, next.events); diff != "" {
		t.Errorf("replay differs (-was +is):\n%s", diff)
	}
	runs, err := List(root)
	if err != nil || len(runs) != 1 || runs[0].ID != events[0].Run || runs[0].Status != "failed" {
		t.Errorf("runs: %+v, %v", runs, err)
	}

	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode().Perm(), want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Names of hosts come from inventories that programs write. They must not lead out of the
// directory, nor into each other's file.
func TestLogNames(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "a", "runs")
	l := NewLog(root, Options{Lines: lines})
	hosts := []string{
		"../../evil", "..", ".", "/etc/passwd", "a/b", "a_b", "A_b", "events", "host\nx", "", "日本",
		strings.Repeat("x", 300), strings.Repeat("x", 301), "events.jsonl", "summary.json", "\x00",
	}
	for _, h := range hosts {
		l.Event(sampleEvent(h, &event.Warning{Message: "hello " + h}))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	var files []string
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, _ error) error {
		if !d.IsDir() {
			files = append(files, path)
			if filepath.Dir(path) != l.Dir() {
				t.Errorf("%s is outside of the run", path)
			}
		}
		return nil
	})
	if want := len(hosts) - 1 + 2; len(files) != want {
		t.Errorf("%d files, want %d: one for each host with a name, and two:\n%s", len(files), want, strings.Join(files, "\n"))
	}
}

func TestLogIsBounded(t *testing.T) {
	l := NewLog(t.TempDir(), Options{Lines: lines, MaxOutput: 1000})
	line := strings.Repeat("x", 99) + "\n"
	for range 100 {
		l.Event(printed("web1", line))
	}
	l.Event(printed("web2", line))
	l.Event(sampleEvent("web1", &event.StepEnd{Addr: "step.a.b", Status: event.StepChanged}))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	one := readFile(t, filepath.Join(l.Dir(), "web1.log"))
	if n := strings.Count(one, "xxx\n"); n != 10 {
		t.Errorf("%d lines of output kept, want 10", n)
	}
	if n := strings.Count(one, "more than 1000 bytes of output: the rest of this host is not kept"); n != 1 {
		t.Errorf("the note is there %d times", n)
	}
	if !strings.Contains(one, "step.a.b changed") {
		t.Errorf("the verdict after it is missing:\n%s", one)
	}
	if two := readFile(t, filepath.Join(l.Dir(), "web2.log")); !strings.Contains(two, "xxx") {
		t.Error("one host's output cost another's")
	}
	if n := strings.Count(readFile(t, filepath.Join(l.Dir(), "events.jsonl")), "step_output\","); n != 11 {
		t.Errorf("%d outputs in events.jsonl, want 11", n)
	}
}

func TestLogKeepsTheLastRuns(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "not-a-run"), 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		l := NewLog(root, Options{Lines: lines, Keep: 3})
		l.Event(event.Event{Run: fmt.Sprintf("run%d", i), Time: epoch}.With(&event.RunStart{}))
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		// File times are too coarse to tell runs apart that follow each other at once.
		when := epoch.Add(time.Duration(i) * time.Hour)
		if err := os.Chtimes(filepath.Join(l.Dir(), "events.jsonl"), when, when); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := namesIn(t, root), "not-a-run run3 run4 run5"; got != want {
		t.Errorf("kept %q, want %q", got, want)
	}
}

// The shards of a fleet that share a directory do not cost each other their records.
func TestLogKeepsTheRunsOfToday(t *testing.T) {
	root := t.TempDir()
	keptRun(t, root, "old", 0, sampleEvent("", &event.RunStart{}))
	for i := range 6 {
		l := NewLog(root, Options{Lines: lines, Keep: 3})
		l.Event(event.Event{Run: fmt.Sprintf("run%d", i), Time: epoch}.With(&event.RunStart{}))
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := namesIn(t, root), "run0 run1 run2 run3 run4 run5"; got != want {
		t.Errorf("kept %q, want %q", got, want)
	}
}

// A log directory that cannot be made is told, and stops nothing.
func TestLogThatCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l := NewLog(filepath.Join(file, "runs"), Options{Lines: lines})
	feed(l, applyOf(1)...)
	if err := l.Close(); err == nil || !strings.Contains(err.Error(), "no log of this run") {
		t.Errorf("error %v", err)
	}
}

func TestReplayRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"{}\nnot json\n": "line 2 is not an event",
		`{"type":"run_start","run_start":{"schema":99,"command":"plan"}}` + "\n": "later provision",
	} {
		if err := ReplayFrom(strings.NewReader(text), &heard{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
	next := &heard{}
	if err := ReplayFrom(strings.NewReader(`{"type":"warning"}`+"\n"+`{"type":"ru`), next); err != nil || len(next.events) != 1 {
		t.Errorf("a line cut short by a crash: %v, %d events", err, len(next.events))
	}
}
