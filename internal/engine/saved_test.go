package engine

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/zclconf/go-cty/cty"

	"provision/internal/event"
	"provision/internal/savedplan"
	"provision/internal/steps"
)

// savedPlan plans hosts and returns the plan after a way through a file.
func savedPlan(t *testing.T, host *localHost, hosts ...Host) *savedplan.Plan {
	t.Helper()
	rec := &recorder{}
	run := newRun(host, rec, nil)
	run.Command, run.Hosts, run.Playbook, run.Inputs = event.CommandPlan, hosts, "/site.hcl", func() string { return "inputs" }
	run.Plan(t.Context())
	plan, err := run.Saved(quickSealer(run.Salt))
	run.Close()
	if err != nil {
		t.Fatalf("%v\n%s", err, rec.dump())
	}
	data, err := plan.Encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := savedplan.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(plan, back); diff != "" {
		t.Errorf("the file holds something else:\n%s", diff)
	}
	return back
}

// applySaved applies a saved plan as the command does. moment runs after the plan was compared, before anything is changed.
func applySaved(t *testing.T, host *localHost, plan *savedplan.Plan, inputs string, moment func(), hosts ...Host) (int, map[string][]string, *recorder) {
	t.Helper()
	rec := &recorder{}
	run := newRun(host, rec, nil)
	sealer := quickSealer(plan.Salt)
	run.Hosts, run.Salt, run.Approved, run.Inputs = hosts, plan.Salt, savedplan.NewApproval(plan, sealer), func() string { return inputs }
	run.Plan(t.Context())
	now, err := run.Saved(sealer)
	if err != nil {
		t.Fatalf("%v\n%s", err, rec.dump())
	}
	stale := savedplan.Stale(plan, now)
	if len(stale) > 0 {
		run.Refuse(stale)
		return run.Close(), stale, rec
	}
	if moment != nil {
		moment()
	}
	run.Apply(t.Context())
	return run.Close(), nil, rec
}

func one(source StepSource) Host { return Host{Name: "web1", User: "root", Source: source} }

func file(t *testing.T, host *localHost, name, content string) steps.Instance {
	return step(t, "file", strings.NewReplacer(".", "_", "/", "_").Replace(name), map[string]cty.Value{"path": str(host.path(name)), "content": str(content)})
}

func (l *localHost) write(name, content string) {
	l.t.Helper()
	if err := os.WriteFile(l.path(name), []byte(content), 0o644); err != nil {
		l.t.Fatal(err)
	}
	if os.Getuid() == 0 {
		if err := os.Chown(l.path(name), testUID, testUID); err != nil {
			l.t.Fatal(err)
		}
	}
}

func TestSavedPlanIsApplied(t *testing.T) {
	for name, shell := range shells(t) {
		t.Run(name, func(t *testing.T) {
			host := newLocalHost(t, shell...)
			list := stepList{
				file(t, host, "f", "new\n"),
				step(t, "file", "s", map[string]cty.Value{"path": str(host.path("s")), "content": str("pa$$ w0rd").Mark(steps.Sensitive)}),
				script(t, "run", "echo x >> count"),
			}
			host.write("s", "an older secret")
			plan := savedPlan(t, host, one(list))
			exit, stale, rec := applySaved(t, host, plan, "inputs", nil, one(list))
			if exit != 0 || stale != nil || host.read("f") != "new\n" || host.read("s") != "pa$$ w0rd" || host.read("count") != "x\n" {
				t.Fatalf("exit %d %v\n%s", exit, stale, rec.dump())
			}
			// It is applied: what it was made from is no longer there, and nothing runs twice.
			exit, stale, _ = applySaved(t, host, plan, "inputs", nil, one(list))
			if exit != 4 || len(stale["web1"]) != 2 || host.read("count") != "x\n" {
				t.Errorf("exit %d %v", exit, stale)
			}
			if plan := savedPlan(t, host, one(list[:2])); plan.Changes() {
				t.Error("a plan of hosts that are as wanted has changes")
			} else if exit, stale, rec := applySaved(t, host, plan, "inputs", nil, one(list[:2])); exit != 0 {
				t.Errorf("a plan without changes: exit %d %v\n%s", exit, stale, rec.dump())
			}
		})
	}
}

func TestStaleSaysWhatHasChanged(t *testing.T) {
	host := newLocalHost(t)
	host.write("f", "old\n")
	list := stepList{file(t, host, "f", "new\n"), file(t, host, "g", "g\n"), script(t, "run", "touch ran")}
	secret := func(value string) steps.Instance {
		return step(t, "file", "s", map[string]cty.Value{"path": str(host.path("s")), "content": str(value).Mark(steps.Sensitive)})
	}
	list = append(list, secret("the first secret"))
	plan := savedPlan(t, host, one(list))
	moved := append(stepList{}, list...)
	moved[0].Source.Line = 99
	tests := map[string]struct {
		list   stepList
		inputs string
		before func()
		want   []string
	}{
		"nothing":       {list, "inputs", nil, nil},
		"a line moved":  {moved, "others", nil, nil},
		"by hand":       {list, "inputs", func() { host.write("f", "other\n") }, []string{"step.file.f (test.hcl:1): the host is not as it was when the plan was made"}},
		"done by hand":  {list, "inputs", func() { host.write("f", "new\n") }, []string{"step.file.f (test.hcl:1): the host is not as it was when the plan was made (planned: update; now: no-op)"}},
		"content":       {stepList{list[0], file(t, host, "g", "other\n"), list[2], list[3]}, "others", nil, []string{"step.file.g (test.hcl:1): the playbook, a variable or a file that it reads says something else now"}},
		"secret":        {stepList{list[0], list[1], list[2], secret("another secret")}, "others", nil, []string{"step.file.s (test.hcl:1): the playbook, a variable or a file that it reads says something else now"}},
		"removed step":  {stepList{list[0], list[1], list[3]}, "others", nil, []string{"step.command.run (test.hcl:1) is no longer in the playbook"}},
		"new step":      {append(stepList{file(t, host, "h", "")}, list...), "others", nil, []string{"step.file.h (test.hcl:1) is new in the playbook"}},
		"another order": {stepList{list[1], list[0], list[2], list[3]}, "others", nil, []string{"the steps come in another order now"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			host.write("f", "old\n")
			if test.before != nil {
				test.before()
			}
			rec := &recorder{}
			run := newRun(host, rec, test.list)
			run.Salt = plan.Salt
			run.Plan(t.Context())
			sealer := quickSealer(plan.Salt)
			now, err := run.Saved(sealer)
			run.Close()
			if err != nil {
				t.Fatal(err)
			}
			now.Inputs = sealer.Secret(test.inputs)
			if diff := cmp.Diff(test.want, savedplan.Stale(plan, now)["web1"]); diff != "" {
				t.Error(diff)
			}
		})
	}
	if host.exists("ran") {
		t.Error("comparing ran a step")
	}
}

func TestStaleOnOneHostLeavesAllAlone(t *testing.T) {
	host := newLocalHost(t)
	first := Host{Name: "web1", User: "root", Source: stepList{file(t, host, "f", "new\n")}}
	second := Host{Name: "web2", User: "root", Source: stepList{file(t, host, "g", "new\n")}}
	plan := savedPlan(t, host, first, second)
	host.write("g", "by hand\n")
	exit, stale, rec := applySaved(t, host, plan, "inputs", nil, first, second)
	if exit != 4 || len(stale) != 1 || len(stale["web2"]) != 1 || host.exists("f") || host.read("g") != "by hand\n" {
		t.Errorf("exit %d %v\n%s", exit, stale, rec.dump())
	}
	moved := second
	moved.Address = "192.0.2.9:22"
	third := Host{Name: "web3", User: "root"}
	want := []string{
		"host web1 is gone: the playbook does not choose it any more",
		"host web2 is root at 192.0.2.9:22 now, and was planned as root at ",
		"host web3 is new: the plan does not have it",
	}
	others := func(hosts ...Host) []string {
		run := newRun(host, &recorder{}, nil)
		run.Hosts, run.Approved = hosts, savedplan.NewApproval(plan, quickSealer(plan.Salt))
		return run.OtherHosts()
	}
	if diff := cmp.Diff(want, others(moved, third)); diff != "" {
		t.Error(diff)
	}
	if others := others(second, first); others != nil {
		t.Error(others)
	}
}

func TestStaleTellsCauses(t *testing.T) {
	plan := func(change func(*savedplan.Plan)) *savedplan.Plan {
		p := &savedplan.Plan{
			Version: "1", Inputs: "i",
			Shown: []event.PlanStep{{Addr: "step.file.f", Action: steps.Create, Source: event.Source{File: "a.hcl", Line: 1}}, {Addr: "step.file.g", Action: steps.Unknown, Source: event.Source{File: "a.hcl", Line: 2}}},
			Hosts: []savedplan.Host{{Name: "web1", Facts: "f", Steps: []savedplan.Step{{Shown: 0, Probe: "p", State: "s", Change: "c"}, {Shown: 1}}}},
		}
		if change != nil {
			change(p)
		}
		return p
	}
	for name, test := range map[string]struct {
		now  func(*savedplan.Plan)
		want []string
	}{
		"nothing": {nil, nil},
		"facts": {
			func(p *savedplan.Plan) { p.Hosts[0].Facts, p.Hosts[0].Steps[0].Probe = "other", "other" },
			[]string{"step.file.f (a.hcl:1): it comes of the facts of the host, and these have changed"},
		},
		"facts that nothing uses": {func(p *savedplan.Plan) { p.Hosts[0].Facts = "other" }, nil},
		"another provision": {
			func(p *savedplan.Plan) { p.Version, p.Hosts[0].Steps[0].Change = "2", "other" },
			[]string{"step.file.f (a.hcl:1): provision 2 does it differently than 1, which made the plan"},
		},
		"what cannot be known yet": {
			func(p *savedplan.Plan) { p.Inputs = "other" },
			[]string{"step.file.g (a.hcl:2): it is not known before its turn comes, and the files or variables of the playbook have changed since the plan was made"},
		},
		"owed by another run": {
			func(p *savedplan.Plan) {
				p.Shown[0].Events, p.Shown[0].Reason = []string{"restart"}, "restart: owed by an earlier run"
			},
			[]string{"step.file.f (a.hcl:1): the plan shows something else than what it would do now: create, restart: owed by an earlier run"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, savedplan.Stale(plan(nil), plan(test.now))["web1"]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The file of a plan cannot hold a name that is not UTF-8 as it is: that alone makes no plan stale.
func TestSavedWithANameThatIsNotUTF8(t *testing.T) {
	host := newLocalHost(t)
	if err := os.Symlink("latin\xe9", host.path("link")); err != nil {
		t.Fatal(err)
	}
	list := stepList{step(t, "symlink", "s", map[string]cty.Value{"path": str(host.path("link")), "target": str("new"), "force": cty.True})}
	exit, stale, rec := applySaved(t, host, savedPlan(t, host, one(list)), "inputs", nil, one(list))
	if target, _ := os.Readlink(host.path("link")); exit != 0 || target != "new" {
		t.Errorf("exit %d, %q, %v\n%s", exit, target, stale, rec.dump())
	}
}

// Between the comparison and the turn of a host much time may go by in a fleet.
func TestStaleWhenItsTurnComes(t *testing.T) {
	host := newLocalHost(t)
	list := stepList{script(t, "run", "touch ran"), file(t, host, "f", "new\n")}
	plan := savedPlan(t, host, one(list))
	exit, _, rec := applySaved(t, host, plan, "inputs", func() { host.write("f", "by hand\n") }, one(list))
	if exit != 4 || host.exists("ran") || host.read("f") != "by hand\n" || !strings.Contains(rec.dump(), "step.file.f (test.hcl:1): the host has changed since the plan was checked") {
		t.Errorf("exit %d\n%s", exit, rec.dump())
	}
	host.tidy()
}

// A host on which a step cannot be looked at any more is told as stale, with that step and the reason, and no other host is touched.
func TestStaleWhereAStepCannotBeLookedAt(t *testing.T) {
	host := newLocalHost(t)
	first := Host{Name: "web1", User: "root", Source: stepList{file(t, host, "f", "new\n")}}
	second := Host{Name: "web2", User: "root", Source: stepList{file(t, host, "d/g", "new\n"), script(t, "run", "touch ran")}}
	host.directory("d")
	plan := savedPlan(t, host, first, second)
	allow := func(mode os.FileMode) func() {
		return func() {
			if err := os.Chmod(host.path("d"), mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	allow(0)()
	t.Cleanup(allow(0o755))
	const want = "step.file.d_g (test.hcl:1): it cannot be planned now: could not tell its state: "
	exit, stale, rec := applySaved(t, host, plan, "inputs", nil, first, second)
	if why := stale["web2"]; exit != 4 || len(stale) != 1 || len(why) != 1 || !strings.HasPrefix(why[0], want) || !strings.HasSuffix(why[0], "/d: permission denied") {
		t.Errorf("exit %d %q\n%s", exit, stale, rec.dump())
	}
	for _, status := range []string{"Status:stale", "Status:not_reached"} {
		if !strings.Contains(rec.dump(), status) {
			t.Errorf("no %s in\n%s", status, rec.dump())
		}
	}
	allow(0o755)()
	// Likewise when its turn comes.
	exit, _, rec = applySaved(t, host, plan, "inputs", allow(0), first, second)
	if exit != 4 || host.exists("ran") || !strings.Contains(rec.dump(), want) {
		t.Errorf("exit %d\n%s", exit, rec.dump())
	}
}

// Nothing of this run has changed anything by the time that the file turns out to be another one.
func TestStaleInTheMiddleOfAProgram(t *testing.T) {
	host := newLocalHost(t)
	list := stepList{
		step(t, "command", "somebody", map[string]cty.Value{"script": str("echo by hand > f"), "changed_if": str("false")}),
		file(t, host, "f", "new\n"),
	}
	plan := savedPlan(t, host, one(list))
	exit, _, rec := applySaved(t, host, plan, "inputs", nil, one(list))
	if exit != 4 || host.read("f") != "by hand\n" {
		t.Errorf("exit %d\n%s", exit, rec.dump())
	}
}

// What an own step has changed is no reason to stop, unless something would break that the plan does not mention.
func TestOwnChangesAreNotStale(t *testing.T) {
	host := newLocalHost(t)
	list := stepList{script(t, "own", "echo default > f; touch x"), file(t, host, "f", "new\n")}
	plan := savedPlan(t, host, one(list))
	exit, _, rec := applySaved(t, host, plan, "inputs", nil, one(list))
	want := []string{"step.command.own changed", "step.file.f stale", "step.file.f changed"}
	if diff := cmp.Diff(want, rec.verdicts()); exit != 0 || diff != "" || host.read("f") != "new\n" {
		t.Errorf("exit %d %s\n%s", exit, diff, rec.dump())
	}

	for _, name := range []string{"f", "x"} {
		if err := os.Remove(host.path(name)); err != nil {
			t.Fatal(err)
		}
	}
	list = append(list, step(t, "file", "x", map[string]cty.Value{"path": str(host.path("x")), "state": str("absent")}))
	plan = savedPlan(t, host, one(list))
	exit, _, rec = applySaved(t, host, plan, "inputs", nil, one(list))
	if exit != 4 || !host.exists("x") || !strings.Contains(rec.dump(), "step.file.x (test.hcl:1): the host has changed since the plan was checked (planned: no-op; now: delete") {
		t.Errorf("exit %d\n%s", exit, rec.dump())
	}
}

// A command whose condition an own step turns is not run without having been shown.
func TestSavedPlanRunsNoCommandThatItDoesNotShow(t *testing.T) {
	host := newLocalHost(t)
	list := stepList{
		file(t, host, "flag", "1\n"),
		step(t, "command", "wipe", map[string]cty.Value{"script": str("touch ran"), "only_if": str("test -e " + host.path("flag"))}),
	}
	plan := savedPlan(t, host, one(list))
	exit, _, rec := applySaved(t, host, plan, "inputs", nil, one(list))
	if exit != 4 || host.exists("ran") || !host.exists("flag") || !strings.Contains(rec.dump(), "step.command.wipe (test.hcl:1)") {
		t.Errorf("exit %d, ran %v\n%s", exit, host.exists("ran"), rec.dump())
	}
	// Where nobody is held to a plan, it runs.
	if err := os.Remove(host.path("flag")); err != nil {
		t.Fatal(err)
	}
	if exit, rec := applied(t, host, list); exit != 0 || !host.exists("ran") {
		t.Errorf("exit %d\n%s", exit, rec.dump())
	}
	host.tidy()
}

// A gated command that the plan shows as idle does not run in silence if what it watches changes after all.
func TestSavedPlanRunsNoCommandThatWakesLater(t *testing.T) {
	host := newLocalHost(t)
	wiped := step(t, "command", "wiped", map[string]cty.Value{"script": str("rm " + host.path("unit"))})
	unit := file(t, host, "unit", "1\n")
	gated := script(t, "gated", "touch ran")
	gated.OnChange = map[string][]string{"": {"step.file.unit"}}
	list := stepList{wiped, unit, gated}
	host.write("unit", "1\n")
	plan := savedPlan(t, host, one(list))
	exit, _, rec := applySaved(t, host, plan, "inputs", nil, one(list))
	if exit != 4 || host.exists("ran") {
		t.Errorf("exit %d, ran %v\n%s", exit, host.exists("ran"), rec.dump())
	}
	host.tidy()
}

func TestSavedPlanHoldsNoSecret(t *testing.T) {
	host := newLocalHost(t)
	secret := "s3cr3t \xff\x00 bytes"
	mark := func(s string) cty.Value { return str(s).Mark(steps.Sensitive) }
	host.write("s", "0ld-s3cr3t\n")
	host.write("e", "TOKEN=0ld-s3cr3t\n")
	list := stepList{
		step(t, "file", "s", map[string]cty.Value{"path": str(host.path("s")), "content": mark("s3cr3t of a file\n"), "mode": str("0600")}),
		step(t, "env_file", "e", map[string]cty.Value{"path": str(host.path("e")), "values": cty.MapVal(map[string]cty.Value{"TOKEN": mark("s3cr3t-token")})}),
		step(t, "command", "c", map[string]cty.Value{"script": str("cat >/dev/null"), "stdin": mark(secret), "env": cty.MapVal(map[string]cty.Value{"TOKEN": mark("s3cr3t-env")})}),
	}
	data, err := savedPlan(t, host, one(list)).Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"s3cr3t", hex.EncodeToString([]byte("s3cr3t")), base64.StdEncoding.EncodeToString([]byte("s3cr3t"))} {
		if bytes.Contains(data, []byte(part)) {
			t.Errorf("%q is in the plan:\n%s", part, data)
		}
	}
}

// quickSealer is for tests of anything but how slow guessing is.
func quickSealer(salt string) *savedplan.Sealer {
	s := savedplan.NewSealer(salt)
	s.Cost = 2
	return s
}

// The hash of a secret has to be slow, of its state on the host too: it is another one where guessing costs something else.
func TestSecretsAreSealedSlowly(t *testing.T) {
	host := newLocalHost(t)
	host.write("s", "old")
	secret := step(t, "file", "s", map[string]cty.Value{"path": str(host.path("s")), "content": str("new").Mark(steps.Sensitive)})
	run := newRun(host, &recorder{}, stepList{secret, file(t, host, "f", "new")})
	run.Plan(t.Context())
	defer run.Close()
	sealed := func(cost int) []savedplan.Step {
		s := savedplan.NewSealer(run.Salt)
		s.Cost = cost
		plan, err := run.Saved(s)
		if err != nil {
			t.Fatal(err)
		}
		return plan.Hosts[0].Steps
	}
	quick, slow := sealed(2), sealed(4)
	if quick[0].State == slow[0].State || quick[0].Change == slow[0].Change {
		t.Errorf("guessing the secret costs nothing: %+v", slow[0])
	}
	if quick[1] != slow[1] {
		t.Errorf("what holds no secret is sealed slowly: %+v", slow[1])
	}
}

func TestDamagedSavedPlan(t *testing.T) {
	host := newLocalHost(t)
	plan := savedPlan(t, host, one(stepList{file(t, host, "f", "new\n")}))
	data, err := plan.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(data) - 2 {
		if _, err := savedplan.Decode(bytes.NewReader(data[:n])); err == nil {
			t.Fatalf("the first %d of %d bytes are a plan", n, len(data))
		}
	}
	for old, bad := range map[string]string{
		`"shown": 0`: `"shown": 1`, `"provision_plan": 2`: `"provision_plan": 3`, `"action": "create"`: `"action": "explode"`,
		`"playbook": "/site.hcl"`: `"playbook": "site.hcl"`, `"salt": "`: `"salt": "x`, `"made"`: `"maid"`, `"name": "web1"`: `"name": ""`, `"typed": "/site.hcl"`: `"typed": "a\u0000b"`,
	} {
		text := strings.Replace(string(data), old, bad, 1)
		if text == string(data) {
			t.Fatalf("%s is not in\n%s", old, data)
		}
		if _, err := savedplan.Decode(strings.NewReader(text)); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
	if _, err := savedplan.Decode(strings.NewReader(string(data) + "{}")); err == nil {
		t.Error("something after the end is accepted")
	}
	if savedplan.IsPlan([]byte(`{"step": {"file": {}}}`)) {
		t.Error("a playbook in JSON is taken for a plan")
	}
	// Whoever edits what is shown does not get it applied.
	edited := *plan
	edited.Shown = append([]event.PlanStep(nil), plan.Shown...)
	edited.Shown[0].Diff = nil
	if stale := savedplan.Stale(&edited, plan); len(stale["web1"]) != 1 {
		t.Errorf("an edited plan holds: %v", stale)
	}
}
