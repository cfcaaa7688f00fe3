package ui

import (
	"time"

	"provision/internal/event"
	"provision/internal/steps"
)

// sampleStream has every type of event with every field set; every text that may come from
// outside holds text.
func sampleStream(text string) []event.Event {
	src := event.Source{File: "dir/" + text + ".hcl", Line: 7, Text: `step "x" "` + text + `" {`}
	diff := []steps.Attr{
		{Name: "n" + text, Before: "b" + text, After: "a" + text},
		{Name: "gone", Before: text, AfterMissing: true},
		{Name: "password", Sensitive: true, BeforeMissing: true},
	}
	host, addr := "web-"+text, `step.x["`+text+`"]`
	ms := func(n int) event.Millis { return event.Millis(time.Duration(n) * time.Millisecond) }
	return []event.Event{
		sampleEvent("", event.RunStart{
			Schema: event.Schema, Command: event.CommandApply, Playbook: text + ".hcl", Hosts: 1, Sandbox: true, Version: "1.0.0",
			Owner: text + "@laptop", Resumes: "20240516-093000-cd34", Merges: []string{"20240516-093000-ef56"},
			Selection: &event.Selection{
				Limit: []string{text}, Shard: "1/2", Tags: []string{text}, SkipTags: []string{text}, VarFiles: []string{text},
				Vars: map[string]string{"name": text}, Secret: []string{"token"}, Environ: []string{"name"}, Names: []string{text}, Directory: "/" + text, Digest: "d1",
			},
		}),
		sampleEvent(host, event.HostConnecting{}),
		sampleEvent(host, event.HostConnected{Address: text + ":22", User: "u" + text, OS: "OS " + text}),
		sampleEvent("db-"+text, event.HostUnreachable{Phase: "connect", Message: "no " + text, Hint: "ask " + text}),
		sampleEvent(host, event.HostRetry{Attempt: 2, Delay: ms(1500), Why: "lost " + text}),
		sampleEvent("app-"+text, event.HostLocked{Owner: text + "@laptop"}),
		sampleEvent(host, event.PlanStep{
			Addr: addr, Kind: "x" + text, Source: src, Action: steps.Update, Reason: "is " + text, Skipped: true, Diff: diff,
			After: []string{"step." + text}, Dangers: []string{"deletes " + text}, Events: []string{"restart " + text},
		}),
		sampleEvent(host, event.HostPlanned{Counts: event.Counts{"update": 1}, Exchanges: 1, Duration: ms(321)}),
		sampleEvent("", event.BatchStart{Plays: []string{text}, Number: 1, Of: 2, Hosts: []string{host}}),
		sampleEvent("", event.BatchEnd{Number: 1, Of: 2, Status: event.BatchStopped, Failed: 2, Unreachable: 1, Message: "too many " + text, Pause: ms(3000)}),
		sampleEvent(host, event.StepStart{Addr: addr, Kind: "x" + text, Action: steps.Update, Source: src, Number: 1, Of: 1}),
		sampleEvent(host, event.StepOutput{Addr: addr, Stream: event.StreamStdout, Text: "out " + text + "\n"}),
		sampleEvent(host, event.StepEnd{
			Addr: addr, Kind: "x" + text, Action: steps.Update, Source: src, Status: event.StepFailed, Reason: "why " + text,
			Duration: ms(1200), Diff: diff,
			Error: &event.Failure{Message: "m " + text, Command: "c " + text, Exit: 3, Output: "o " + text, Hint: "h " + text},
		}),
		sampleEvent(host, event.CheckEnd{Name: "c" + text, OK: true, Message: "200 " + text, Source: src, Duration: ms(15)}),
		sampleEvent(host, event.HostEnd{Status: event.HostFailed, Counts: event.Counts{"failed": 1}, Duration: ms(2000), Message: "m " + text, BySteps: true, Planning: true}),
		sampleEvent("", event.Warning{Message: "w " + text, Addr: addr, Hint: "h " + text}),
		sampleEvent("", event.RunEnd{
			Status: "failed", Exit: 1, Totals: map[event.HostStatus]int{event.HostFailed: 1}, Duration: ms(2100), Next: "provision resume " + text,
		}),
	}
}

func printed(host, addr, stream, text string) event.Event {
	return sampleEvent(host, event.StepOutput{Addr: addr, Stream: stream, Text: text})
}
