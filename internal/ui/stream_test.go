package ui

import (
	"time"

	"provision/internal/engine"
	"provision/internal/steps"
)

// sampleStream has every type of event with every field set; every text that may come from
// outside holds text.
func sampleStream(text string) []engine.Event {
	src := engine.Source{File: "dir/" + text + ".hcl", Line: 7, Text: `step "x" "` + text + `" {`}
	diff := []steps.Attr{
		{Name: "n" + text, Before: "b" + text, After: "a" + text},
		{Name: "gone", Before: text, AfterMissing: true},
		{Name: "password", Sensitive: true, BeforeMissing: true},
	}
	host, addr := "web-"+text, `step.x["`+text+`"]`
	ms := func(n int) engine.Millis { return engine.Millis(time.Duration(n) * time.Millisecond) }
	return []engine.Event{
		event("", engine.RunStart{
			Schema: engine.EventSchema, Command: engine.CommandApply, Playbook: text + ".hcl", Hosts: 1, Sandbox: true, Version: "1.0.0",
			Owner: text + "@laptop", Resumes: "20240516-093000-cd34", Merges: []string{"20240516-093000-ef56"},
			Selection: &engine.Selection{
				Limit: []string{text}, Shard: "1/2", Tags: []string{text}, SkipTags: []string{text}, VarFiles: []string{text},
				Vars: map[string]string{"name": text}, Secret: []string{"token"}, Environ: []string{"name"}, Names: []string{text}, Directory: "/" + text, Digest: "d1",
			},
		}),
		event(host, engine.HostConnecting{}),
		event(host, engine.HostConnected{Address: text + ":22", User: "u" + text, OS: "OS " + text}),
		event("db-"+text, engine.HostUnreachable{Phase: "connect", Message: "no " + text, Hint: "ask " + text}),
		event(host, engine.HostRetry{Attempt: 2, Delay: ms(1500), Why: "lost " + text}),
		event("app-"+text, engine.HostLocked{Owner: text + "@laptop"}),
		event(host, engine.PlanStep{
			Addr: addr, Kind: "x" + text, Source: src, Action: steps.Update, Reason: "is " + text, Skipped: true, Diff: diff,
			After: []string{"step." + text}, Dangers: []string{"deletes " + text}, Events: []string{"restart " + text},
		}),
		event(host, engine.HostPlanned{Counts: engine.Counts{"update": 1}, Exchanges: 1, Duration: ms(321)}),
		event("", engine.BatchStart{Plays: []string{text}, Number: 1, Of: 2, Hosts: []string{host}}),
		event("", engine.BatchEnd{Number: 1, Of: 2, Status: engine.BatchStopped, Failed: 2, Unreachable: 1, Message: "too many " + text, Pause: ms(3000)}),
		event(host, engine.StepStart{Addr: addr, Kind: "x" + text, Action: steps.Update, Source: src, Number: 1, Of: 1}),
		event(host, engine.StepOutput{Addr: addr, Stream: engine.StreamStdout, Text: "out " + text + "\n"}),
		event(host, engine.StepEnd{
			Addr: addr, Kind: "x" + text, Action: steps.Update, Source: src, Status: engine.StepFailed, Reason: "why " + text,
			Duration: ms(1200), Diff: diff,
			Error: &engine.Failure{Message: "m " + text, Command: "c " + text, Exit: 3, Output: "o " + text, Hint: "h " + text},
		}),
		event(host, engine.CheckEnd{Name: "c" + text, OK: true, Message: "200 " + text, Source: src, Duration: ms(15)}),
		event(host, engine.HostEnd{Status: engine.HostFailed, Counts: engine.Counts{"failed": 1}, Duration: ms(2000), Message: "m " + text, BySteps: true, Planning: true}),
		event("", engine.Warning{Message: "w " + text, Addr: addr, Hint: "h " + text}),
		event("", engine.RunEnd{
			Status: "failed", Exit: 1, Totals: map[engine.HostStatus]int{engine.HostFailed: 1}, Duration: ms(2100), Next: "provision resume " + text,
		}),
	}
}

func printed(host, addr, stream, text string) engine.Event {
	return event(host, engine.StepOutput{Addr: addr, Stream: stream, Text: text})
}
