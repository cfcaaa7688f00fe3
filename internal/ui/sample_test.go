package ui

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"provision/internal/event"
	"provision/internal/steps"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// golden compares a text with a file under testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got); if it is as it should be, run with -update:\n%s", name, diff)
	}
}

var unicodeStyle = Style{Unicode: true}

var epoch = time.Date(2024, 5, 17, 9, 30, 0, 0, time.UTC)

// event makes an event of a payload, or of the value of one.
func sampleEvent(host string, payload any) event.Event {
	p, ok := payload.(event.Payload)
	if !ok {
		v := reflect.New(reflect.TypeOf(payload))
		v.Elem().Set(reflect.ValueOf(payload))
		p = v.Interface().(event.Payload)
	}
	return event.Event{Time: epoch, Run: "20240517-093000-ab12", Host: host}.With(p)
}

func at(n int, text string) event.Source {
	return event.Source{File: "server.hcl", Line: n, Text: text}
}

// serverSteps is the plan of a small server, with one of everything.
func serverSteps() []event.PlanStep {
	return []event.PlanStep{
		{
			Addr: "step.group.wheel", Kind: "group", Source: at(3, `step "group" "wheel" {`), Action: steps.NoOp,
		},
		{
			Addr: "step.user.app", Kind: "user", Source: at(9, `step "user" "app" {`), Action: steps.Create,
			Diff: []steps.Attr{
				{Name: "groups", After: "wheel", BeforeMissing: true},
				{Name: "password_hash", Sensitive: true, BeforeMissing: true},
				{Name: "shell", After: "/bin/bash", BeforeMissing: true},
			},
		},
		{
			Addr: "step.file.motd", Kind: "file", Source: at(20, `step "file" "motd" {`), Action: steps.Update,
			Diff: []steps.Attr{
				{Name: "mode", Before: "0644", After: "0755"},
				{
					Name:   "content",
					Before: "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\n",
					After:  "one\ntwo\nthree\nfour\n5\nsix\nseven\neight\nnine\nten\n",
				},
			},
		},
		{
			Addr: "step.service.nginx", Kind: "service", Source: at(31, `step "service" "nginx" {`),
			Action: steps.Update, Events: []string{"restart"},
			Diff: []steps.Attr{{Name: "enabled", Before: "false", After: "true"}},
		},
		{
			Addr: "module.python.step.source_build.python", Kind: "source_build", Source: at(40, `module "python" {`),
			Action: steps.Execute, Reason: "3.6.8 → 3.7.4",
		},
		{
			Addr: "step.user.bob", Kind: "user", Source: at(52, `step "user" "bob" {`), Action: steps.Delete,
			Dangers: []string{"deletes user bob and /home/bob"},
		},
		{
			Addr: "step.compose.site", Kind: "compose", Source: at(60, `step "compose" "site" {`),
			Action: steps.Unknown, After: []string{"step.package.docker", "step.user.app"},
		},
	}
}

func plannedHost(host string, list []event.PlanStep) []event.Event {
	counts := event.Counts{}
	var events []event.Event
	for _, s := range list {
		counts[string(s.Action)]++
		events = append(events, sampleEvent(host, s))
	}
	return append(events, sampleEvent(host, event.HostPlanned{
		Counts: counts, Exchanges: 1, Duration: event.Millis(400 * time.Millisecond),
	}))
}

func feed(to event.Sink, events ...event.Event) {
	for _, e := range events {
		to.Event(e)
	}
}

// planText renders a plan of hosts in a style.
func planText(t *testing.T, s Style, detail bool, events ...event.Event) string {
	t.Helper()
	p := NewPlan()
	feed(p, events...)
	var buf bytes.Buffer
	if err := p.Text(&buf, s, detail); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}
