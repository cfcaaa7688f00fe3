package ui

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"provision/internal/engine"
)

// startOf is the start of an apply on hosts.
func startOf(hosts ...string) engine.Event {
	return event("", engine.RunStart{
		Schema: 1, Command: engine.CommandApply, Playbook: "site/server.hcl", Hosts: len(hosts), Owner: "ann@laptop since 09:30 on 17 May, run x",
		Selection: &engine.Selection{Limit: []string{"web*"}, Names: hosts, Vars: map[string]string{"tier": "blue"}, Secret: []string{"token"}},
	})
}

func endOf(status string, exit int, totals map[engine.HostStatus]int) engine.Event {
	return event("", engine.RunEnd{Status: status, Exit: exit, Totals: totals, Duration: ms(62000)})
}

// failedRun is an apply of which one host of two failed.
func failedRun() []engine.Event {
	steps := serverSteps()[:3]
	events := []engine.Event{startOf("web1", "web2")}
	for _, host := range []string{"web1", "web2"} {
		events = append(events, plannedHost(host, steps)...)
	}
	return append(
		events,
		event("web1", engine.StepEnd{Addr: "step.user.app", Action: "create", Status: engine.StepChanged, Duration: ms(90)}),
		event("web1", engine.HostEnd{Status: engine.HostOK, Counts: engine.Counts{"changed": 1}, Duration: ms(900)}),
		printed("web2", "step.user.app", "stderr", "useradd: no\x1b[2J space\n"),
		event("web2", engine.StepEnd{
			Addr: "step.user.app", Source: at(9, `step "user" "app" {`), Status: engine.StepFailed, Duration: ms(80),
			Error: &engine.Failure{Message: "the command failed", Command: "useradd app", Exit: 1, Output: "useradd: no space\n", Hint: "mend it"},
		}),
		event("web2", engine.HostEnd{Status: engine.HostFailed, Counts: engine.Counts{"failed": 1}, Duration: ms(800)}),
		endOf("failed", 1, map[engine.HostStatus]int{engine.HostOK: 1, engine.HostFailed: 1}),
	)
}

func showRun(t *testing.T, dir string, o ShowOptions) string {
	t.Helper()
	run, err := ReadRun(dir)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	run.Dir, run.Start = dir, run.Start.UTC()
	if err := ShowRun(&buf, run, unicodeStyle, o); err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer(dir, "RUN_DIR", localTime(run.Start), "WHEN").Replace(buf.String())
}

func localTime(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05 MST") }

func TestShowRun(t *testing.T) {
	dir := keptRun(t, t.TempDir(), "20240517-093000-ab12", 0, failedRun()...)
	golden(t, "run_shown.txt", showRun(t, dir, ShowOptions{Next: "provision resume 20240517-093000-ab12"}))
	golden(t, "run_shown_host.txt", showRun(t, dir, ShowOptions{Host: "web2"}))
	verbose := showRun(t, dir, ShowOptions{Verbose: true})
	for _, want := range []string{"step.user.app  created", `useradd: no\x1b[2J space`} {
		if !strings.Contains(verbose, want) {
			t.Errorf("-v shows no %q:\n%s", want, verbose)
		}
	}
}

// A run whose client died says so, and which hosts have no end.
func TestShowRunThatDied(t *testing.T) {
	events := failedRun()
	dir := keptRun(t, t.TempDir(), "20240517-093000-ab12", 0, events[:len(events)-3]...)
	if err := os.Remove(filepath.Join(dir, summaryFile)); err != nil {
		t.Fatal(err)
	}
	text := showRun(t, dir, ShowOptions{Next: "provision resume X"})
	for _, want := range []string{"result   did not end", "web2  interrupted", "provision ended before this host did", "Go on with: provision resume X"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
}

// While a run goes on, others see that it does, from its lock and not from its age.
func TestShowRunThatGoesOn(t *testing.T) {
	root := t.TempDir()
	l := NewLog(root, LogOptions{})
	events := failedRun()
	feed(l, events[:len(events)-2]...)
	run, err := ReadRun(l.Dir())
	if err != nil || run.Status != RunGoesOn {
		t.Fatalf("status %q, %v", run.Status, err)
	}
	if text := showRun(t, l.Dir(), ShowOptions{}); !strings.Contains(text, "still going on: 1 of 2 hosts have ended") || strings.Contains(text, "interrupted") {
		t.Errorf("it is shown as:\n%s", text)
	}
	feed(l, events[len(events)-2:]...)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if run, err = ReadRun(l.Dir()); err != nil || run.Status != "failed" {
		t.Errorf("status %q, %v", run.Status, err)
	}
}

func TestRunsTable(t *testing.T) {
	root := t.TempDir()
	keptRun(t, root, "20240517-093000-ab12", 0, failedRun()...)
	events := failedRun()
	again := *events[0].RunStart
	again.Resumes = "20240517-093000-ab12"
	keptRun(t, root, "20240517-103000-cd34", 1, event("", again), endOf("ok", 0, map[engine.HostStatus]int{engine.HostOK: 1}))
	died := keptRun(t, root, "20240517-113000-ef56", 2, events[:3]...)
	if err := os.WriteFile(filepath.Join(died, summaryFile), []byte("{\"id\":\"../../x\",\"sta"), 0o600); err != nil {
		t.Fatal(err)
	}
	runs, err := Runs(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []Style{unicodeStyle, {Unicode: true, Width: 100}} {
		var buf bytes.Buffer
		if err := RunsTable(&buf, runs, s); err != nil {
			t.Fatal(err)
		}
		text := buf.String()
		for i := range runs {
			text = strings.Replace(text, runs[i].Start.Local().Format("2006-01-02 15:04"), fmt.Sprintf("WHEN %11d", i), 1)
		}
		golden(t, fmt.Sprintf("runs_table_%d.txt", s.Width), text)
	}
}

// Whatever lies in the directory, the list of runs is made, and names of files come from nothing that a record says.
func TestRunsOfDamagedRecords(t *testing.T) {
	root := t.TempDir()
	good := keptRun(t, root, "good", 5, failedRun()...)
	for name, summary := range map[string]string{
		"cut": `{"id":"cut","start":"2024-05-17T09:3`, "garbage": "\x00\xff\x1b[2J", "types": `{"hosts":[1,2],"exit":"x"}`, "null": "null", "empty": "", "liar": `{"id":"../../etc","status":"ok","start":"2020-01-01T00:00:00Z"}`,
	} {
		dir := keptRun(t, root, name, 1, failedRun()...)
		if err := os.WriteFile(filepath.Join(dir, summaryFile), []byte(summary), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cut := keptRun(t, root, "cut-events", 1, failedRun()[:4]...)
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
	runs, err := Runs(root)
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
		"good": "failed", "cut": "failed", "garbage": "failed", "types": "failed", "null": "failed", "empty": "failed", "liar": "ok", "cut-events": RunDied,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("runs %v, want %v", got, want)
	}
}

func TestFindRun(t *testing.T) {
	runs := []RunSummary{{ID: "20240518-1"}, {ID: "20240517-12"}, {ID: "20240517-1"}}
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
	err := Replay(&endless{n: maxEvent + 1<<20}, &record{})
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
