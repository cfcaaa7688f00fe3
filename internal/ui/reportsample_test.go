package ui

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"provision/internal/engine"
	"provision/internal/steps"
)

// serverFleet is an apply of so many hosts with 30 steps each, on which several things go wrong: web02 fails, web03 cannot
// be reached, and with more hosts every 40th fails as well.
func serverFleet(hosts int) []engine.Event {
	now := epoch
	var events []engine.Event
	tell := func(after int, host string, payload any) {
		now = now.Add(time.Duration(after) * time.Millisecond)
		e := event(host, payload)
		e.Time = now
		events = append(events, e)
	}
	tell(0, "", engine.RunStart{
		Schema: 1, Command: engine.CommandApply, Playbook: "server.hcl", Hosts: hosts, Version: "1.4.0",
		Owner: "ann@laptop since 09:30 on 17 May, run 20240517-093000-ab12",
	})
	totals := map[engine.HostStatus]int{}
	for i := range hosts {
		host := fmt.Sprintf("web%02d", i+1)
		tell(1, host, engine.HostConnecting{})
		if i == 2 {
			tell(5, host, engine.HostUnreachable{Phase: "connect", Message: "203.0.113.12:22: connection refused", Hint: "start sshd there, or mend its address"})
			tell(0, host, engine.HostEnd{Status: engine.HostUnreached, Message: "connection refused", Duration: ms(5)})
			totals[engine.HostUnreached]++
			continue
		}
		tell(200/hosts, host, engine.HostConnected{Address: fmt.Sprintf("203.0.113.%d:22", 10+i%200), User: "root", OS: "CentOS Linux 7"})
		for _, p := range fleetPlan(host) {
			tell(0, host, p)
		}
		tell(100/hosts, host, engine.HostPlanned{Counts: engine.Counts{"no-op": 22, "create": 4, "update": 2, "run": 2}, Exchanges: 1, Duration: ms(300)})
		end := fleetApply(tell, host, i == 1 || i%40 == 39)
		totals[end]++
	}
	tell(0, "", engine.Warning{Message: "CentOS 7 has had no security updates since June 2024", Hint: "plan a move"})
	tell(0, "", engine.RunEnd{
		Status: "failed", Exit: 1, Totals: totals, Duration: engine.Millis(now.Sub(epoch)), Next: "provision resume 20240517-093000-ab12",
	})
	return events
}

func fleetPlan(host string) []engine.PlanStep {
	list := serverSteps()[:5]
	for i := range 22 {
		list = append(list, engine.PlanStep{
			Addr: fmt.Sprintf("step.package.tool%02d", i), Kind: "package", Source: at(100+i, `step "package" "tool" {`), Action: steps.NoOp,
		})
	}
	return append(
		list,
		engine.PlanStep{
			Addr: "step.file.name", Kind: "file", Source: at(70, `step "file" "name" {`), Action: steps.Create,
			Diff: []steps.Attr{{Name: "content", After: "this is " + host + "\n", BeforeMissing: true}},
		},
		engine.PlanStep{
			Addr: "step.command.migrate", Kind: "command", Source: at(80, `step "command" "migrate" {`), Action: steps.Execute,
		},
		engine.PlanStep{
			Addr: "step.compose.site", Kind: "compose", Source: at(90, `step "compose" "site" {`), Action: steps.Unknown,
			After: []string{"step.command.migrate"},
		},
	)
}

func fleetApply(tell func(int, string, any), host string, fails bool) engine.HostStatus {
	counts := engine.Counts{}
	number := 0
	for _, p := range fleetPlan(host) {
		end := engine.StepEnd{Addr: p.Addr, Kind: p.Kind, Action: p.Action, Source: p.Source, Status: engine.StepUnchanged}
		if p.Action != steps.NoOp {
			number++
			took := 150 * number
			tell(0, host, engine.StepStart{Addr: p.Addr, Kind: p.Kind, Action: p.Action, Source: p.Source, Number: number, Of: 7})
			tell(0, host, engine.StepOutput{Addr: p.Addr, Stream: engine.StreamStdout, Text: "working\n"})
			end.Status, end.Duration = engine.StepChanged, ms(took)
			if fails && p.Kind == "command" {
				end.Status = engine.StepFailed
				end.Error = &engine.Failure{
					Message: "the command failed", Command: "cd /srv/app\npython manage.py migrate", Exit: 1, Hint: "mend it, then: provision resume 20240517-093000-ab12",
					Output: "Operations to perform:\n  Apply all migrations\ndjango.db.utils.OperationalError: no such table: auth_user\n",
				}
			}
			tell(took, host, end)
		} else {
			tell(0, host, end)
		}
		counts[string(end.Status)]++
		if end.Status == engine.StepFailed {
			tell(0, host, engine.HostEnd{Status: engine.HostFailed, Counts: counts, Duration: ms(4000), Message: "a step failed", BySteps: true})
			return engine.HostFailed
		}
	}
	tell(0, host, engine.StepStart{Addr: "check.site", Kind: "http_check", Source: at(95, `check "site" {`)})
	tell(30, host, engine.CheckEnd{Name: "site", OK: true, Source: at(95, `check "site" {`), Duration: ms(30)})
	tell(0, host, engine.HostEnd{Status: engine.HostOK, Counts: counts, Duration: ms(5000)})
	return engine.HostOK
}

// fleetPlanned is the plan of the same hosts.
func fleetPlanned(hosts int) []engine.Event {
	var events []engine.Event
	for _, e := range serverFleet(hosts) {
		switch {
		case e.RunStart != nil:
			start := *e.RunStart
			start.Command = engine.CommandPlan
			e.RunStart = &start
		case e.StepStart != nil, e.StepOutput != nil, e.StepEnd != nil, e.CheckEnd != nil:
			continue
		case e.HostEnd != nil && e.HostEnd.Status == engine.HostFailed:
			e.HostEnd = &engine.HostEnd{Status: engine.HostOK}
		}
		events = append(events, e)
	}
	return events
}

// report renders a stream.
func report(t *testing.T, format ReportFormat, events ...engine.Event) string {
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
