package engine

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/zclconf/go-cty/cty"

	"provision/internal/event"
	"provision/internal/redact"
	"provision/internal/savedplan"
	"provision/internal/steps"
)

// texts calls a function with the path of every text in a value that was made by fill, such as PlanStep.Diff.Before.
func texts(v reflect.Value, path string, visit func(path string, text reflect.Value)) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		texts(v.Elem(), path, visit)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				texts(v.Field(i), strings.TrimPrefix(path+"."+v.Type().Field(i).Name, "."), visit)
			}
		}
	case reflect.Slice:
		if v.Len() == 0 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		}
		texts(v.Index(0), path, visit)
	case reflect.Map:
		if v.Len() == 0 {
			v.Set(reflect.MakeMap(v.Type()))
			if v.Type().Elem().Kind() == reflect.String {
				v.SetMapIndex(reflect.ValueOf("name"), reflect.ValueOf(""))
			}
		}
		for _, key := range v.MapKeys() {
			if v.Type().Elem().Kind() == reflect.String {
				text := reflect.New(v.Type().Elem()).Elem()
				text.Set(v.MapIndex(key))
				visit(path, text)
				v.SetMapIndex(key, text)
			}
		}
	case reflect.String:
		visit(path, v)
	}
}

// Every text of an event is an identifier, which stays, or is hidden. A new field has to be put on one side.
func TestEveryTextOfAnEventIsHiddenOrAnIdentifier(t *testing.T) {
	const secret = "hunter2-SECRET"
	identifiers := []string{
		"Type", "Run", "Host",
		"RunStart.Command", "RunStart.Playbook", "RunStart.Version", "RunStart.Owner", "RunStart.Resumes", "RunStart.Plan", "RunStart.Merges",
		"RunStart.Selection.Limit", "RunStart.Selection.Shard", "RunStart.Selection.Tags", "RunStart.Selection.SkipTags", "RunStart.Selection.VarFiles",
		"RunStart.Selection.Secret", "RunStart.Selection.Environ", "RunStart.Selection.Names", "RunStart.Selection.Directory", "RunStart.Selection.Digest",
		"HostConnected.Address", "HostConnected.User", "HostConnected.OS", "HostUnreachable.Phase", "HostLocked.Owner",
		"PlanStep.Addr", "PlanStep.Kind", "PlanStep.Source.File", "PlanStep.Action", "PlanStep.Diff.Name", "PlanStep.After", "PlanStep.Events",
		"Message.Addr", "Message.At", "Message.Source.File",
		"BatchStart.Plays", "BatchStart.Hosts", "BatchEnd.Status",
		"StepStart.Addr", "StepStart.Kind", "StepStart.Action", "StepStart.Source.File", "StepOutput.Addr", "StepOutput.Stream",
		"StepEnd.Addr", "StepEnd.Kind", "StepEnd.Action", "StepEnd.Source.File", "StepEnd.Status", "StepEnd.Diff.Name",
		"CheckEnd.Name", "CheckEnd.Source.File", "HostEnd.Status", "Warning.Addr", "RunEnd.Status", "RunEnd.Next",
	}
	var e event.Event
	texts(reflect.ValueOf(&e), "", func(_ string, text reflect.Value) { text.SetString("of " + secret) })
	before, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	rec := &recorder{}
	run := &Run{ID: "of " + secret, Sink: rec, Secrets: redact.Of(secret)}
	output := e.StepOutput
	e.StepOutput = nil
	run.pass(e)
	got := rec.events[len(rec.events)-1]
	got.Run = "of " + secret
	run.emit(output)
	run.emit(&event.RunEnd{})
	got.StepOutput = &event.StepOutput{Addr: output.Addr, Stream: output.Stream}
	for _, e := range rec.events {
		if e.StepOutput != nil {
			got.StepOutput.Text += e.StepOutput.Text
		}
	}
	var left []string
	texts(reflect.ValueOf(&got), "", func(path string, text reflect.Value) {
		switch text.String() {
		case "of " + secret:
			left = append(left, path)
		case "of " + redact.Mask:
		default:
			t.Errorf("%s is %q", path, text.String())
		}
	})
	slices.Sort(left)
	slices.Sort(identifiers)
	if diff := cmp.Diff(identifiers, left); diff != "" {
		t.Errorf("a text that is no identifier shows a secret, or an identifier is hidden (-want +got):\n%s", diff)
	}
	e.StepOutput = output
	if after, err := json.Marshal(e); err != nil || string(after) != string(before) {
		t.Errorf("the event of the caller was changed: %v\n%s", err, after)
	}
}

// The line of a step keeps its labels, which are its address, and shows no value.
func TestSourceLineIsHidden(t *testing.T) {
	s := redact.Of("postgres", "hunter2-x")
	for line, want := range map[string]string{
		`step "service" "postgres" {`:                            `step "service" "postgres" {`,
		`  step "file" "a" { content = sensitive("postgres") }`:  `  step "file" "a" { content = sensitive("(sensitive)") }`,
		`step file postgres { content = "hunter2-x" }`:           `step file postgres { content = "(sensitive)" }`,
		`check "postgres" { run = ["psql", "password=postgres"]`: `check "postgres" { run = ["psql", "password=(sensitive)"]`,
	} {
		if got := hiddenSource(event.Source{File: "site.hcl", Text: line}, s).Text; got != want {
			t.Errorf("%s\n got %s\nwant %s", line, got, want)
		}
	}
	if got := hiddenSource(event.Source{Text: "psql {postgres}"}, s).Text; got != "psql {(sensitive)}" {
		t.Errorf("the command of a run: %s", got)
	}
}

// What a host says in a failure is hidden, be it a word; what the engine says around it is not.
func TestWordsOfAFailure(t *testing.T) {
	host := newLocalHost(t)
	rec := &recorder{}
	run := newRun(host, rec, stepList{script(t, "failed", "echo the status postgres failed >&2; exit 3")})
	run.Secrets = redact.Of("postgres", "status", "failed", "command", "true", "web1")
	run.Plan(t.Context())
	run.Apply(t.Context())
	if exit := run.Close(); exit != 1 {
		t.Errorf("exit %d", exit)
	}
	end := rec.ends()["step.command.failed"]
	if end == nil || end.Status != event.StepFailed || end.Kind != "command" {
		t.Fatalf("no identifier may be hidden:\n%s", rec.dump())
	}
	if want := "failed with status 3: the (sensitive) (sensitive) (sensitive)"; end.Error.Message != want {
		t.Errorf("%q, want %q", end.Error.Message, want)
	}
	if want := "the (sensitive) (sensitive) (sensitive)"; end.Error.Output != want {
		t.Errorf("%q, want %q", end.Error.Output, want)
	}
}

// A saved plan of steps whose addresses and values hold a secret is applied.
func TestSavedPlanWithWordsOfSecrets(t *testing.T) {
	for _, secret := range []string{"postgres", "web1", "file", "create", "1", "true", "test.hcl", "step.file.postgres"} {
		t.Run(secret, func(t *testing.T) {
			host := newLocalHost(t)
			list := stepList{
				step(t, "file", "postgres", map[string]cty.Value{"path": str(host.path("postgres")), "content": str("true\n")}),
				step(t, "command", "create", map[string]cty.Value{"run": cty.TupleVal([]cty.Value{str("touch"), str(host.path("1"))}), "creates": str(host.path("1"))}),
			}
			rec := &recorder{}
			run := newRun(host, rec, list)
			run.Command, run.Secrets = event.CommandPlan, redact.Of(secret)
			run.Plan(t.Context())
			plan, err := run.Saved(quickSealer(run.Salt))
			if err != nil {
				t.Fatal(err)
			}
			run.Close()
			for _, h := range plan.Hosts {
				for _, p := range plan.Steps(&h) {
					if !strings.HasPrefix(p.Addr, "step.") || p.Source.File != "test.hcl" || p.Action == steps.NoOp {
						t.Errorf("an identifier was hidden: %+v", p)
					}
				}
			}
			rec = &recorder{}
			run = newRun(host, rec, list)
			run.Secrets = redact.Of(secret)
			sealer := quickSealer(plan.Salt)
			run.Salt, run.Approved = plan.Salt, savedplan.NewApproval(plan, sealer)
			run.Plan(t.Context())
			now, err := run.Saved(sealer)
			if err != nil {
				t.Fatal(err)
			}
			if stale := savedplan.Stale(plan, now); len(stale) > 0 {
				t.Errorf("stale: %v", stale)
			}
			run.Apply(t.Context())
			if exit := run.Close(); exit != 0 || !host.exists("1") || !host.exists("postgres") {
				t.Errorf("exit %d\n%s", exit, rec.dump())
			}
		})
	}
}
