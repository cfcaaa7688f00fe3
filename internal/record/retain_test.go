package record

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"provision/internal/event"
)

// keptRun leaves the record of a run that ended a number of hours after epoch.
func keptRun(t *testing.T, root, id string, hours int, events ...event.Event) string {
	t.Helper()
	l := NewLog(root, Options{Lines: lines})
	when := epoch.Add(time.Duration(hours) * time.Hour)
	for _, e := range events {
		e.Run, e.Time = id, when
		l.Event(e)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(filepath.Join(l.Dir(), eventsFile), when, when); err != nil {
		t.Fatal(err)
	}
	return l.Dir()
}

func namesIn(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

// The oldest runs go when all together are too large; the newest stays however large it is, and so does one that still
// goes on, a directory that is no run, and what a link leads to.
func TestLogKeepsRunsToASize(t *testing.T) {
	root := t.TempDir()
	large := printed("web1", strings.Repeat("x", 10000))
	outside := keptRun(t, t.TempDir(), "outside", 0, large)
	if err := os.Symlink(outside, filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(root, "other", "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(root, removedPrefix+"half"), 0o700); err != nil {
		t.Fatal(err)
	}
	alive := NewLog(root, Options{Lines: lines})
	alive.Event(event.Event{Run: "alive", Time: epoch.Add(-time.Hour)}.With(&event.RunStart{}))
	past := epoch.Add(-24 * time.Hour)
	if err := os.Chtimes(filepath.Join(alive.Dir(), eventsFile), past, past); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		keptRun(t, root, fmt.Sprintf("run%d", i), i, large)
	}
	last := NewLog(root, Options{Lines: lines, KeepBytes: 50000})
	huge := printed("web1", strings.Repeat("x", 10000))
	huge.Run = "run9"
	last.Event(huge)
	if err := last.Close(); err != nil {
		t.Fatal(err)
	}
	if got, want := namesIn(t, root), "alive link other run3 run9"; got != want {
		t.Errorf("kept %q, want %q", got, want)
	}
	if _, err := os.Stat(filepath.Join(outside, eventsFile)); err != nil {
		t.Errorf("the link was followed: %v", err)
	}
	one := NewLog(root, Options{Lines: lines, KeepBytes: 1})
	huge.Run = "run99"
	one.Event(huge)
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	if got, want := namesIn(t, root), "alive link other run99"; got != want {
		t.Errorf("kept %q, want %q", got, want)
	}
	if err := alive.Close(); err != nil {
		t.Fatal(err)
	}
}

// Two processes in one directory keep records of their own, also under the same ID, and none costs the other anything.
func TestLogsSideBySide(t *testing.T) {
	root := filepath.Join(t.TempDir(), ".provision", "runs")
	var logs []*Log
	for range 3 {
		logs = append(logs, NewLog(root, Options{Lines: lines, Keep: 1}))
	}
	var wg sync.WaitGroup
	for _, l := range logs {
		wg.Go(func() { feed(l, applyOf(5)...) })
	}
	wg.Wait()
	runs, err := List(root)
	if err != nil || len(runs) != 3 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	for i, l := range logs {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		for _, other := range logs[i+1:] {
			if l.Dir() == other.Dir() {
				t.Errorf("two runs share %s", l.Dir())
			}
			if _, err := os.Stat(other.Dir()); err != nil {
				t.Errorf("a run that goes on was removed: %v", err)
			}
		}
	}
	if got := namesIn(t, filepath.Dir(root)); got != ".gitignore runs" {
		t.Errorf("in .provision: %s", got)
	}
	if text := readFile(t, filepath.Join(filepath.Dir(root), ".gitignore")); text != "*\n" {
		t.Errorf(".gitignore is %q", text)
	}
}

func TestLogDiscard(t *testing.T) {
	root := t.TempDir()
	l := NewLog(root, Options{Lines: lines})
	feed(l, applyOf(2)...)
	if err := l.Discard(); err != nil {
		t.Fatal(err)
	}
	if got := namesIn(t, root); got != "" {
		t.Errorf("left: %s", got)
	}
}
