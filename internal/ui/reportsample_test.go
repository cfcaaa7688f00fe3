package ui

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"provision/internal/event"
	"provision/internal/steps"
)

// serverFleet is an apply of so many hosts with 30 steps each, on which several things go wrong: web02 fails, web03 cannot
// be reached, and with more hosts every 40th fails as well.
func serverFleet(hosts int) []event.Event {
	now := epoch
	var events []event.Event
	tell := func(after int, host string, payload any) {
		now = now.Add(time.Duration(after) * time.Millisecond)
		e := sampleEvent(host, payload)
		e.Time = now
		events = append(events, e)
	}
	tell(0, "", event.RunStart{
		Schema: 1, Command: event.CommandApply, Playbook: "server.hcl", Hosts: hosts, Version: "1.4.0",
		Owner: "ann@laptop since 09:30 on 17 May, run 20240517-093000-ab12",
	})
	totals := map[event.HostStatus]int{}
	for i := range hosts {
		host := fmt.Sprintf("web%02d", i+1)
		tell(1, host, event.HostConnecting{})
		if i == 2 {
			tell(5, host, event.HostUnreachable{Phase: "connect", Message: "203.0.113.12:22: connection refused", Hint: "start sshd there, or mend its address"})
			tell(0, host, event.HostEnd{Status: event.HostUnreached, Message: "connection refused", Duration: ms(5)})
			totals[event.HostUnreached]++
			continue
		}
		tell(200/hosts, host, event.HostConnected{Address: fmt.Sprintf("203.0.113.%d:22", 10+i%200), User: "root", OS: "CentOS Linux 7"})
		for _, p := range fleetPlan(host) {
			tell(0, host, p)
		}
		tell(100/hosts, host, event.HostPlanned{Counts: event.Counts{"no-op": 22, "create": 4, "update": 2, "run": 2}, Exchanges: 1, Duration: ms(300)})
		end := fleetApply(tell, host, i == 1 || i%40 == 39)
		totals[end]++
	}
	tell(0, "", event.Warning{Message: "CentOS 7 has had no security updates since June 2024", Hint: "plan a move"})
	tell(0, "", event.RunEnd{
		Status: "failed", Exit: 1, Totals: totals, Duration: event.Millis(now.Sub(epoch)), Next: "provision resume 20240517-093000-ab12",
	})
	return events
}

func fleetPlan(host string) []event.PlanStep {
	list := serverSteps()[:5]
	for i := range 22 {
		list = append(list, event.PlanStep{
			Addr: fmt.Sprintf("step.package.tool%02d", i), Kind: "package", Source: at(100+i, `step "package" "tool" {`), Action: steps.NoOp,
		})
	}
	return append(
		list,
		event.PlanStep{
			Addr: "step.file.name", Kind: "file", Source: at(70, `step "file" "name" {`), Action: steps.Create,
			Diff: []steps.Attr{{Name: "content", After: "this is " + host + "\n", BeforeMissing: true}},
		},
		event.PlanStep{
			Addr: "step.command.migrate", Kind: "command", Source: at(80, `step "command" "migrate" {`), Action: steps.Execute,
		},
		event.PlanStep{
			Addr: "step.compose.site", Kind: "compose", Source: at(90, `step "compose" "site" {`), Action: steps.Unknown,
			After: []string{"step.command.migrate"},
		},
	)
}

func fleetApply(tell func(int, string, any), host string, fails bool) event.HostStatus {
	counts := event.Counts{}
	number := 0
	for _, p := range fleetPlan(host) {
		end := event.StepEnd{Addr: p.Addr, Kind: p.Kind, Action: p.Action, Source: p.Source, Status: event.StepUnchanged}
		if p.Action != steps.NoOp {
			number++
			took := 150 * number
			tell(0, host, event.StepStart{Addr: p.Addr, Kind: p.Kind, Action: p.Action, Source: p.Source, Number: number, Of: 7})
			tell(0, host, event.StepOutput{Addr: p.Addr, Stream: event.StreamStdout, Text: "working\n"})
			end.Status, end.Duration = event.StepChanged, ms(took)
			if fails && p.Kind == "command" {
				end.Status = event.StepFailed
				end.Error = &event.Failure{
					Message: "the command failed", Command: "cd /srv/app\npython manage.py migrate", Exit: 1, Hint: "mend it, then: provision resume 20240517-093000-ab12",
					Output: "Operations to perform:\n  Apply all migrations\ndjango.db.utils.OperationalError: no such table: auth_user\n",
				}
			}
			tell(took, host, end)
		} else {
			tell(0, host, end)
		}
		counts[string(end.Status)]++
		if end.Status == event.StepFailed {
			tell(0, host, event.HostEnd{Status: event.HostFailed, Counts: counts, Duration: ms(4000), Message: "a step failed", BySteps: true})
			return event.HostFailed
		}
	}
	tell(0, host, event.StepStart{Addr: "check.site", Kind: "http_check", Source: at(95, `check "site" {`)})
	tell(30, host, event.CheckEnd{Name: "site", OK: true, Source: at(95, `check "site" {`), Duration: ms(30)})
	tell(0, host, event.HostEnd{Status: event.HostOK, Counts: counts, Duration: ms(5000)})
	return event.HostOK
}

// fleetPlanned is the plan of the same hosts.
func fleetPlanned(hosts int) []event.Event {
	var events []event.Event
	for _, e := range serverFleet(hosts) {
		switch {
		case e.RunStart != nil:
			start := *e.RunStart
			start.Command = event.CommandPlan
			e.RunStart = &start
		case e.StepStart != nil, e.StepOutput != nil, e.StepEnd != nil, e.CheckEnd != nil:
			continue
		case e.HostEnd != nil && e.HostEnd.Status == event.HostFailed:
			e.HostEnd = &event.HostEnd{Status: event.HostOK}
		}
		events = append(events, e)
	}
	return events
}

// report renders a stream.
func report(t *testing.T, format ReportFormat, events ...event.Event) string {
	t.Helper()
	r := newReported()
	for _, e := range events {
		r.event(e)
	}
	var buf bytes.Buffer
	if err := r.render(&buf, format); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}
