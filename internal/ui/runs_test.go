package ui

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"provision/internal/event"
	"provision/internal/record"
)

// startOf is the start of an apply on hosts.
func startOf(hosts ...string) event.Event {
	return sampleEvent("", event.RunStart{
		Schema: 1, Command: event.CommandApply, Playbook: "site/server.hcl", Hosts: len(hosts), Owner: "ann@laptop since 09:30 on 17 May, run x",
		Selection: &event.Selection{Limit: []string{"web*"}, Names: hosts, Vars: map[string]string{"tier": "blue"}, Secret: []string{"token"}},
	})
}

func endOf(status string, exit int, totals map[event.HostStatus]int) event.Event {
	return sampleEvent("", event.RunEnd{Status: status, Exit: exit, Totals: totals, Duration: ms(62000)})
}

// failedRun is an apply of which one host of two failed.
func failedRun() []event.Event {
	steps := serverSteps()[:3]
	events := []event.Event{startOf("web1", "web2")}
	for _, host := range []string{"web1", "web2"} {
		events = append(events, plannedHost(host, steps)...)
	}
	return append(
		events,
		sampleEvent("web1", event.StepEnd{Addr: "step.user.app", Action: "create", Status: event.StepChanged, Duration: ms(90)}),
		sampleEvent("web1", event.HostEnd{Status: event.HostOK, Counts: event.Counts{"changed": 1}, Duration: ms(900)}),
		printed("web2", "step.user.app", "stderr", "useradd: no\x1b[2J space\n"),
		sampleEvent("web2", event.StepEnd{
			Addr: "step.user.app", Source: at(9, `step "user" "app" {`), Status: event.StepFailed, Duration: ms(80),
			Error: &event.Failure{Message: "the command failed", Command: "useradd app", Exit: 1, Output: "useradd: no space\n", Hint: "mend it"},
		}),
		sampleEvent("web2", event.HostEnd{Status: event.HostFailed, Counts: event.Counts{"failed": 1}, Duration: ms(800)}),
		endOf("failed", 1, map[event.HostStatus]int{event.HostOK: 1, event.HostFailed: 1}),
	)
}

// keptRun leaves the record of a run that ended a number of hours after epoch.
func keptRun(t *testing.T, root, id string, hours int, events ...event.Event) string {
	t.Helper()
	l := record.NewLog(root, record.Options{Lines: HostLines})
	when := epoch.Add(time.Duration(hours) * time.Hour)
	for _, e := range events {
		e.Run, e.Time = id, when
		l.Event(e)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(filepath.Join(l.Dir(), "events.jsonl"), when, when); err != nil {
		t.Fatal(err)
	}
	return l.Dir()
}

func showRun(t *testing.T, dir string, o ShowOptions) string {
	t.Helper()
	run, err := record.Read(dir)
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
	if err := os.Remove(filepath.Join(dir, "summary.json")); err != nil {
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
	l := record.NewLog(root, record.Options{Lines: HostLines})
	events := failedRun()
	feed(l, events[:len(events)-2]...)
	run, err := record.Read(l.Dir())
	if err != nil || run.Status != record.Running {
		t.Fatalf("status %q, %v", run.Status, err)
	}
	if text := showRun(t, l.Dir(), ShowOptions{}); !strings.Contains(text, "still going on: 1 of 2 hosts have ended") || strings.Contains(text, "interrupted") {
		t.Errorf("it is shown as:\n%s", text)
	}
	feed(l, events[len(events)-2:]...)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if run, err = record.Read(l.Dir()); err != nil || run.Status != "failed" {
		t.Errorf("status %q, %v", run.Status, err)
	}
}

func TestRunsTable(t *testing.T) {
	root := t.TempDir()
	keptRun(t, root, "20240517-093000-ab12", 0, failedRun()...)
	events := failedRun()
	again := *events[0].RunStart
	again.Resumes = "20240517-093000-ab12"
	keptRun(t, root, "20240517-103000-cd34", 1, sampleEvent("", again), endOf("ok", 0, map[event.HostStatus]int{event.HostOK: 1}))
	died := keptRun(t, root, "20240517-113000-ef56", 2, events[:3]...)
	if err := os.WriteFile(filepath.Join(died, "summary.json"), []byte("{\"id\":\"../../x\",\"sta"), 0o600); err != nil {
		t.Fatal(err)
	}
	runs, err := record.List(root)
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
