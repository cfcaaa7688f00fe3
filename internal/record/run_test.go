package record

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever lies in the directory, the list of runs is made, and names of files come from nothing that a record says.
func TestRunsOfDamagedRecords(t *testing.T) {
	root := t.TempDir()
	good := keptRun(t, root, "good", 5, applyOf(2)...)
	for name, summary := range map[string]string{
		"cut": `{"id":"cut","start":"2024-05-17T09:3`, "garbage": "\x00\xff\x1b[2J", "types": `{"hosts":[1,2],"exit":"x"}`, "null": "null", "empty": "", "liar": `{"id":"../../etc","status":"ok","start":"2020-01-01T00:00:00Z"}`,
	} {
		dir := keptRun(t, root, name, 1, applyOf(2)...)
		if err := os.WriteFile(filepath.Join(dir, "summary.json"), []byte(summary), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cut := keptRun(t, root, "cut-events", 1, applyOf(2)[:4]...)
	f, err := os.OpenFile(filepath.Join(cut, eventsFile), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("not json\n{\"type\":\"run_e"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"dir-for-events", "link-for-events"} {
		if err := os.Mkdir(filepath.Join(root, bad), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(root, "dir-for-events", eventsFile), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(good, eventsFile), filepath.Join(root, "link-for-events", eventsFile)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(good, filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	runs, err := List(root)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, r := range runs {
		got[r.ID] = r.Status
		if filepath.Dir(r.Dir) != root {
			t.Errorf("%s lies in %s", r.ID, r.Dir)
		}
	}
	want := map[string]string{
		"good": "failed", "cut": "failed", "garbage": "failed", "types": "failed", "null": "failed", "empty": "failed", "liar": "ok", "cut-events": Died,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("runs %v, want %v", got, want)
	}
}

func TestFindRun(t *testing.T) {
	runs := []Run{{ID: "20240518-1"}, {ID: "20240517-12"}, {ID: "20240517-1"}}
	for id, want := range map[string]string{
		"last": "20240518-1", "20240518": "20240518-1", "20240517-1": "20240517-1", "20240517-12": "20240517-12",
	} {
		if run, err := Find(runs, "root", id); err != nil || run.ID != want {
			t.Errorf("%s: %s, %v", id, run.ID, err)
		}
	}
	for id, want := range map[string]string{
		"20240517": `2 runs have an ID that begins with "20240517", such as 20240517-12 and 20240517-1`, "2025": `there is no run "2025" in root`, "": "there is no run",
	} {
		if _, err := Find(runs, "root", id); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", id, err, want)
		}
	}
}

// A line without an end costs a bounded amount of memory.
func TestReplayOfAnEndlessLine(t *testing.T) {
	err := ReplayFrom(&endless{n: maxEvent + 1<<20}, &heard{})
	if err == nil || !strings.Contains(err.Error(), "line 1 is not an event: it is longer than") {
		t.Errorf("error %v", err)
	}
}

type endless struct{ n int }

func (e *endless) Read(p []byte) (int, error) {
	if e.n -= len(p); e.n < 0 {
		return 0, fmt.Errorf("it was read to its end")
	}
	return len(p), nil
}
