package engine

import (
	"fmt"
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/steps"
)

var debian = &steps.Facts{OSID: "debian", OSLike: []string{"debian"}, PackageManager: "apt", Init: "systemd", Salt: "s"}

// A step that needs what an earlier one makes is planned; one that needs what nothing makes is a mistake.
func TestNeeds(t *testing.T) {
	user := step(t, "user", "app", map[string]cty.Value{"name": str("app")})
	dir := step(t, "directory", "d", map[string]cty.Value{"path": str("/srv/app"), "owner": str("app")})
	observe := func(list ...steps.Instance) []Planned {
		return planHost(debian, list, map[string]steps.Observation{
			user.Addr: steps.Observe("exists no"),
			dir.Addr:  steps.Observe("type absent", "missing user app"),
		}, HostState{}, nil, nil)
	}
	both := observe(user, dir)
	if p := both[1]; p.Err != nil || p.Change.Action != steps.Create || len(p.After) != 1 || p.After[0] != "step.user.app" {
		t.Errorf("with the user before it: %+v", p)
	}
	if alone := observe(dir); alone[0].Err == nil || !strings.Contains(alone[0].Err.Error(), "there is no user app, and no earlier step makes it") {
		t.Errorf("alone: %+v", alone[0])
	}
}

// Could not tell is never absent: it is a mistake, unless an earlier step may yet change the answer.
func TestBlindProbe(t *testing.T) {
	file := step(t, "directory", "d", map[string]cty.Value{"path": str("/x")})
	blind := map[string]steps.Observation{file.Addr: {Exit: 1, Stderr: "/x: permission denied\n"}}
	planned := planHost(debian, []steps.Instance{file}, blind, HostState{}, nil, nil)
	if planned[0].Err == nil || !strings.Contains(planned[0].Err.Error(), "permission denied") {
		t.Errorf("%+v", planned[0])
	}
	planned = planHost(debian, []steps.Instance{script(t, "first", "true"), file}, blind, HostState{}, nil, nil)
	if p := planned[1]; p.Err != nil || p.Change.Action != steps.Unknown || p.After[0] != "step.command.first" {
		t.Errorf("after a pending step: %+v", p)
	}
	// Nobody knows what the sh of a playbook looks at.
	own := step(t, "assert", "a", map[string]cty.Value{"script": str("frobnicate"), "message": str("No.")})
	for _, state := range []string{"type absent", "type directory"} {
		seen := map[string]steps.Observation{file.Addr: steps.Observe(state), own.Addr: {Exit: 1, Stderr: "frobnicate: not found\n"}}
		planned := planHost(debian, []steps.Instance{file, own}, seen, HostState{}, nil, nil)
		if p := planned[1]; (p.Err == nil) != (state == "type absent") || p.Err == nil && (p.Change.Action != steps.Unknown || p.After[0] != file.Addr) {
			t.Errorf("after a directory, %s: %+v", state, p)
		}
	}
	planned = planHost(debian, []steps.Instance{file}, nil, HostState{}, nil, nil)
	if planned[0].Err == nil {
		t.Error("a probe that was not reached counts as no change")
	}
}

func TestOnChangeGate(t *testing.T) {
	source := step(t, "directory", "d", map[string]cty.Value{"path": str("/srv")})
	gated := script(t, "reload", "true")
	gated.OnChange = map[string][]string{"": {source.Addr}}
	list := []steps.Instance{source, gated}
	quiet := map[string]steps.Observation{source.Addr: steps.Observe("type directory", "owner root", "group root", "mode 755")}
	moving := map[string]steps.Observation{source.Addr: steps.Observe("type absent")}
	if p := planHost(debian, list, quiet, HostState{}, nil, nil)[1]; p.Change.Action != steps.NoOp {
		t.Errorf("nothing changes: %+v", p.Change)
	}
	if p := planHost(debian, list, moving, HostState{}, nil, nil)[1]; p.Change.Action != steps.Execute || !strings.Contains(p.Change.Reason, source.Addr) {
		t.Errorf("the source changes: %+v", p.Change)
	}
	owed := HostState{Pending: map[string]bool{notification(&gated, ""): true}}
	if p := planHost(debian, list, quiet, owed, nil, nil)[1]; p.Change.Action != steps.Execute || !strings.Contains(p.Change.Reason, "owed") {
		t.Errorf("owed by an earlier run: %+v", p.Change)
	}
	owed.Lock = "ann@desk, since 10:00"
	if p := planHost(debian, list, quiet, owed, nil, nil)[1]; p.Change.Action != steps.Execute || !strings.Contains(p.Change.Reason, "still going on (ann@desk") {
		t.Errorf("owed by a run that goes on: %+v", p.Change)
	}
}

// The same addresses in two plays are owed different things.
func TestNotificationsNameThePlay(t *testing.T) {
	a := script(t, "reload", "true")
	b := a
	b.Play = "other"
	if notification(&a, "") == notification(&b, "") || notification(&a, "") == notification(&a, "restart") {
		t.Error("two notifications have one name")
	}
}

func TestQuotePatternMatchesItselfAlone(t *testing.T) {
	for name, shell := range shells(t) {
		host := newLocalHost(t, shell...)
		for _, s := range []string{"a*b", "it's", "[x]?", "two\nlines", `back\slash`, "$HOME `id`", ""} {
			conn, _ := host.Dial(t.Context(), "")
			session, err := OpenSession(t.Context(), conn, Become{})
			if err != nil {
				t.Fatal(err)
			}
			text := "v=" + quotePattern(s) + "; case $v in " + quotePattern(s) + ") printf same ;; esac; case ${v}x in " + quotePattern(s) + ") printf also ;; esac"
			got, err := session.Ask(t.Context(), "", []Fragment{{Text: text}})
			if err != nil || got[0].Stdout != "same" {
				t.Errorf("%s: %q: %+v %v", name, s, got, err)
			}
			session.Close()
		}
	}
}

// A fragment cannot leave its place: not by exit, cd, set -e, a syntax error, or by eating the script.
func TestFragmentsStayInside(t *testing.T) {
	for name, shell := range shells(t) {
		host := newLocalHost(t, shell...)
		conn, _ := host.Dial(t.Context(), "")
		session, err := OpenSession(t.Context(), conn, Become{})
		if err != nil {
			t.Fatal(err)
		}
		fragments := []Fragment{
			{Text: "exit 3"},
			{Text: "cd /; set -e; false; echo not"},
			{Text: "if then ("},
			{Text: "cat"},
			{Text: "x=1; echo oops >&2; printf 'no newline'"},
			{Text: "echo \"[${x-unset}]\"; printf '%s' \"$PWD\""},
		}
		got, err := session.Ask(t.Context(), "", fragments)
		session.Close()
		if err != nil || len(got) != len(fragments) {
			t.Fatalf("%s: %d answers, %v", name, len(got), err)
		}
		if got[0].Exit != 3 || got[1].Exit == 0 || got[1].Stdout != "" || got[2].Exit == 0 || got[3].Stdout != "" ||
			got[4].Stdout != "no newline" || got[4].Stderr != "oops\n" || got[5].Stdout != "[unset]\n"+host.home {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// Where two steps are about one file, the plan of the second is that of what the first leaves, or known later; and it comes true.
func TestPlanOfASecondStepOnOneFile(t *testing.T) {
	line := func(name, match, text string) func(*testing.T, string) steps.Instance {
		return func(t *testing.T, path string) steps.Instance {
			return step(t, "line", name, map[string]cty.Value{"path": str(path), "match": str(match), "line": str(text)})
		}
	}
	replace := func(name, match, with string) func(*testing.T, string) steps.Instance {
		return func(t *testing.T, path string) steps.Instance {
			return step(t, "replace", name, map[string]cty.Value{"path": str(path), "match": str(match), "with": str(with)})
		}
	}
	content := func(name, text string) func(*testing.T, string) steps.Instance {
		return func(t *testing.T, path string) steps.Instance {
			return step(t, "file", name, map[string]cty.Value{"path": str(path), "content": str(text)})
		}
	}
	for name, c := range map[string]struct {
		before, after string
		first, second func(*testing.T, string) steps.Instance
		plan          string // of the second: its action, and the new values of its diff
	}{
		"lines":             {"foo=1\n", "baz=2\n", line("a", "^bar=", "foo=2"), line("b", "^foo=", "baz=2"), "update [baz=2 ]"},
		"another line":      {"foo=1\n", "foo=2\nbar=1\n", line("a", "^foo=", "foo=2"), line("b", "^bar=", "bar=1"), "update [bar=1]"},
		"already":           {"foo=1\n", "foo=2\n", line("a", "^foo=", "foo=2"), line("b", "^foo=2", "foo=2"), "no-op []"},
		"replaced":          {"color=red\n", "color=bluE\n", replace("a", "red", "blue"), replace("b", "e", "E"), "unknown []"},
		"replaced, line":    {"a\n", "b\nc\n", replace("a", "a", "b"), line("b", "^c", "c"), "update [c]"},
		"written, line":     {"k=1\n", "k=9\n", content("a", "k=2\n"), line("b", "^k=", "k=9"), "update [k=9]"},
		"written twice":     {"0\n", "2\n", content("a", "1\n"), content("b", "2\n"), "unknown []"},
		"line, written":     {"0\n", "2\n", line("a", "^1", "1"), content("b", "2\n"), "unknown []"},
		"line, written now": {"2\n", "2\n", line("a", "^1", "1"), content("b", "2\n"), "unknown []"},
	} {
		t.Run(name, func(t *testing.T) {
			host := newLocalHost(t)
			host.write("f", c.before)
			second := c.second(t, host.path("f"))
			exit, rec := applied(t, host, stepList{c.first(t, host.path("f")), second})
			if exit != 0 || host.read("f") != c.after {
				t.Errorf("exit %d, %q, want %q\n%s", exit, host.read("f"), c.after, rec.dump())
			}
			for _, e := range rec.events {
				if e.PlanStep == nil || e.PlanStep.Addr != second.Addr {
					continue
				}
				values := []string{}
				for _, a := range e.PlanStep.Diff {
					values = append(values, a.After)
				}
				if got := fmt.Sprint(e.PlanStep.Action, " ", values); got != c.plan {
					t.Errorf("the plan says %s, want %s", got, c.plan)
				}
				break
			}
		})
	}
}

// What an earlier step makes, a later one removes: the plan says so, with the danger. What an earlier step makes is no longer made by a later one.
func TestPlanOfWhatEarlierStepsMake(t *testing.T) {
	with := func(kind, name string, args ...string) steps.Instance {
		values := map[string]cty.Value{}
		for i := 0; i < len(args); i += 2 {
			values[args[i]] = str(args[i+1])
		}
		return step(t, kind, name, values)
	}
	directory, gone := with("directory", "a", "path", "/srv/a", "mode", "0755"), with("directory", "gone", "path", "/srv/a", "state", "absent")
	below := with("directory", "b", "path", "/srv/a/b")
	private := with("directory", "private", "path", "/srv/a", "mode", "0700")
	again := with("directory", "again", "path", "/srv/a")
	line := step(t, "line", "l", map[string]cty.Value{"path": str("/srv/f"), "line": str("x"), "create": cty.True})
	noFile := with("file", "gone", "path", "/srv/f", "state", "absent")
	group, noGroup := with("group", "g", "name", "web"), with("group", "gone", "name", "web", "state", "absent")
	user, noUser := with("user", "u", "name", "web"), with("user", "gone", "name", "web", "state", "absent")
	checkout := with("git", "g", "repo", "/srv/repo", "dest", "/srv/a")
	inside, noInside := with("file", "f", "path", "/srv/a/f"), with("file", "nof", "path", "/srv/a/f", "state", "absent")
	const no, missing = "exists no", "type absent\nmissing directory /srv/a"
	for name, c := range map[string]struct {
		first, then steps.Instance
		was, is     string
		want        steps.Action
		danger      string
	}{
		"directory":         {directory, gone, "type absent", "type absent", steps.Delete, "removes /srv/a and everything in it"},
		"directory is":      {directory, gone, "type directory\nmode 755", "type directory", steps.Delete, "removes /srv/a and everything in it"},
		"below":             {below, gone, "type absent", "type absent", steps.Delete, "removes /srv/a and everything in it"},
		"file":              {line, noFile, "type absent", "type absent", steps.Delete, "removes /srv/f"},
		"group":             {group, noGroup, no, no, steps.Delete, "deletes group web"},
		"user":              {user, noUser, no, no, steps.Delete, "deletes user web"},
		"own group":         {user, noGroup, no, no, steps.Unknown, "if it is there by then, deletes group web"},
		"in a checkout":     {checkout, noInside, "dest absent", "type absent", steps.Unknown, "if it is there by then, removes /srv/a/f"},
		"twice":             {directory, again, "type absent", "type absent", steps.NoOp, ""},
		"twice, other mode": {directory, private, "type absent", "type absent", steps.Update, ""},
		"other mode is":     {private, directory, "type directory\nmode 755", "type directory\nmode 755", steps.Update, ""},
		"made on the way":   {below, again, "type absent", "type absent", steps.Unknown, ""},
		"file in checkout":  {checkout, inside, "dest absent", missing, steps.Unknown, ""},
		"link in its place": {checkout, with("symlink", "s", "path", "/srv/a/f", "target", "x"), "dest empty", "type absent", steps.Unknown, ""},
		"account of a name": {user, group, no, no, steps.Unknown, ""},
	} {
		planned := planHost(debian, []steps.Instance{c.first, c.then}, map[string]steps.Observation{
			c.first.Addr: {Stdout: c.was + "\n"}, c.then.Addr: {Stdout: c.is + "\n"},
		}, HostState{}, nil, nil)
		p := planned[1]
		if p.Err != nil || p.Change.Action != c.want || strings.Join(p.Change.Dangers, "; ") != c.danger {
			t.Errorf("%s: %s %q, %v; want %s %q", name, p.Change.Action, p.Change.Dangers, p.Err, c.want, c.danger)
		}
	}
}
