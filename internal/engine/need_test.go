package engine

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/steps"
)

// planErrors lists what the plan of the recorded run could not plan, by address.
func (r *recorder) planErrors() map[string]string {
	m := map[string]string{}
	for _, e := range r.events {
		if e.PlanStep != nil && e.PlanStep.Error != nil {
			m[e.PlanStep.Addr] = e.PlanStep.Error.Message + "; " + e.PlanStep.Error.Hint
		}
	}
	return m
}

// needing are steps of every kind that writes one path, at a path of the host.
func needing(t *testing.T, host *localHost, path string) map[string]steps.Instance {
	at := func(args map[string]cty.Value) map[string]cty.Value {
		args["path"] = str(path)
		return args
	}
	return map[string]steps.Instance{
		"file":     step(t, "file", "x", at(map[string]cty.Value{"content": str("x\n")})),
		"empty":    step(t, "file", "x", at(map[string]cty.Value{})),
		"env_file": step(t, "env_file", "x", at(map[string]cty.Value{"values": cty.ObjectVal(map[string]cty.Value{"A": str("b")})})),
		"symlink":  step(t, "symlink", "x", at(map[string]cty.Value{"target": str("nowhere")})),
		"line":     step(t, "line", "x", at(map[string]cty.Value{"line": str("x"), "create": cty.True})),
		"ini":      step(t, "ini", "x", at(map[string]cty.Value{"section": str("a"), "key": str("b"), "value": str("c"), "create": cty.True})),
		"download": step(t, "download", "x", at(map[string]cty.Value{"url": str("file:///etc/passwd")})),
	}
}

// What comes before a step decides whether what it lacks is an error of the plan, and applying agrees: what was planned without an
// error does not fail for a lack that a step was to bring, and what is an error would have failed.
func TestNeedsAgreeWithApply(t *testing.T) {
	dir := func(host *localHost, name, path string) steps.Instance {
		return step(t, "directory", name, map[string]cty.Value{"path": str(host.path(path))})
	}
	cases := map[string]struct {
		before func(*localHost) stepList
		works  bool // there is no error in the plan, and applying succeeds
	}{
		"nothing":   {func(*localHost) stepList { return nil }, false},
		"unrelated": {func(h *localHost) stepList { return stepList{dir(h, "other", "other")} }, false},
		"above":     {func(h *localHost) stepList { return stepList{dir(h, "above", "p")} }, false},
		"sibling":   {func(h *localHost) stepList { return stepList{dir(h, "sibling", "p/qq")} }, false},
		"itself":    {func(h *localHost) stepList { return stepList{dir(h, "q", "p/q")} }, true},
		"below":     {func(h *localHost) stepList { return stepList{dir(h, "below", "p/q/r/s")} }, true},
		"by a link": {func(h *localHost) stepList { return stepList{dir(h, "linked", "home/p/q")} }, true},
		"a command": {func(h *localHost) stepList { return stepList{script(t, "make", "mkdir -p "+h.path("p/q"))} }, true},
		"not raised": {func(h *localHost) stepList {
			quiet := dir(h, "quiet", ".")
			gated := script(t, "gated", "mkdir -p "+h.path("p/q"))
			gated.OnChange = map[string][]string{"": {quiet.Addr}}
			return stepList{quiet, gated}
		}, false},
		"skipped": {func(h *localHost) stepList {
			skipped := dir(h, "skipped", "p/q")
			skipped.Skip = true
			return stepList{skipped}
		}, false},
		"a wait": {func(h *localHost) stepList {
			return stepList{
				script(t, "later", "(sleep 1; mkdir -p "+h.path("p/q")+") >/dev/null 2>&1 &"),
				step(t, "wait_for", "q", map[string]cty.Value{"path": str(h.path("p/q")), "timeout": str("20s")}),
			}
		}, true},
	}
	for name, c := range cases {
		for kind := range needing(t, newLocalHost(t), "/x") {
			if kind != "file" && kind != "symlink" && name != "nothing" && name != "itself" {
				continue // they share the code
			}
			host := newLocalHost(t)
			for _, d := range []string{"there/q"} {
				if err := os.MkdirAll(host.path(d), 0o777); err != nil {
					t.Fatal(err)
				}
			}
			for _, d := range []string{"there", "there/q"} {
				if err := os.Chown(host.path(d), testUID, testUID); err != nil {
					lack(t, "only root can give the host its user")
				}
			}
			if err := os.Symlink(".", host.path("home")); err != nil {
				t.Fatal(err)
			}
			in := needing(t, host, host.path("p/q/x"))[kind]
			exit, rec := applied(t, host, append(c.before(host), in))
			failed := rec.planErrors()[in.Addr]
			if c.works != (failed == "") || c.works != (exit == 0) {
				t.Errorf("%s, %s: exit %d, %q\n%s", name, kind, exit, failed, rec.dump())
			}
			if c.works {
				continue
			}
			if !strings.Contains(failed, "the directory "+host.path("p/q")+" does not exist, and no earlier step makes it") {
				t.Errorf("%s, %s: %q", name, kind, failed)
			}
			// With a command between that might bring anything, and does not, the plan goes through and applying meets the lack.
			host = newLocalHost(t)
			exit, rec = applied(t, host, append(append(c.before(host), script(t, "idle", "true")), needing(t, host, host.path("p/q/x"))[kind]))
			if len(rec.planErrors()) == 0 && exit == 0 {
				t.Errorf("%s, %s: an error of the plan, and applying succeeds\n%s", name, kind, rec.dump())
			}
		}
	}
}

// Where a link leads may come with an earlier step; if it does not, the plan names the link and where it leads.
func TestLinkToADirectoryThatComes(t *testing.T) {
	host := newLocalHost(t)
	if err := os.Symlink("data", host.path("link")); err != nil {
		t.Fatal(err)
	}
	in := file(t, host, "link/x", "x\n")
	_, rec := applied(t, host, stepList{in})
	want := host.path("link") + " is a symbolic link to " + host.path("data") + ", which does not exist, and no earlier step makes it"
	if said := rec.planErrors()[in.Addr]; !strings.Contains(said, want) {
		t.Errorf("%q, want %q", said, want)
	}
	exit, rec := applied(t, host, stepList{step(t, "directory", "data", map[string]cty.Value{"path": str(host.path("data"))}), in})
	if exit != 0 || host.read("data/x") != "x\n" {
		t.Errorf("exit %d\n%s", exit, rec.dump())
	}
	exit, rec = applied(t, host, stepList{in})
	if exit != 0 || len(rec.planErrors()) != 0 {
		t.Errorf("again: exit %d\n%s", exit, rec.dump())
	}
	host.tidy()
}

// What is not there need not be made absent, whatever is missing for it.
func TestAbsentNeedsNothing(t *testing.T) {
	host := newLocalHost(t)
	path := str(host.path("p/q/x"))
	absent := func(kind string, args map[string]cty.Value) steps.Instance {
		args["path"], args["state"] = path, str("absent")
		return step(t, kind, "x", args)
	}
	exit, rec := applied(t, host, stepList{
		absent("file", map[string]cty.Value{}), absent("directory", map[string]cty.Value{}), absent("symlink", map[string]cty.Value{}),
		absent("line", map[string]cty.Value{"line": str("x")}), absent("ini", map[string]cty.Value{"section": str("a"), "key": str("b")}),
	})
	if exit != 0 || len(rec.planErrors()) > 0 {
		t.Errorf("exit %d\n%s", exit, rec.dump())
	}
}

// outcomeOf plans a step after others: "" if it is planned, else the error.
func outcomeOf(list []steps.Instance, obs map[string]steps.Observation) (string, *Planned) {
	planned := planHost(debian, list, obs, HostState{}, nil, nil)
	last := &planned[len(planned)-1]
	if last.Err != nil {
		return last.Err.Error(), last
	}
	return "", last
}

// Each thing that a step may lack is matched with what each step before it brings.
func TestWhatBringsWhat(t *testing.T) {
	args := func(pairs ...string) map[string]cty.Value {
		m := map[string]cty.Value{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = str(pairs[i+1])
		}
		return m
	}
	lacking := map[string]struct {
		in  steps.Instance
		obs steps.Observation
	}{
		"user":       {step(t, "directory", "x", args("path", "/srv/x", "owner", "app")), steps.Observe("type absent", "missing user app")},
		"run_as":     {func() steps.Instance { in := script(t, "x", "true"); in.RunAs = "app"; return in }(), steps.Observation{Exit: statusNoUser}},
		"group":      {step(t, "user", "x", args("name", "bob", "group", "app")), steps.Observe("exists no", "missing group app")},
		"home":       {step(t, "file", "x", args("path", "/home/app/.profile")), steps.Observe("type absent", "missing directory /home/app")},
		"ssh":        {step(t, "file", "x", args("path", "/home/app/.ssh/config")), steps.Observe("type absent", "missing directory /home/app/.ssh")},
		"unit":       {step(t, "service", "x", args("name", "app", "state", "started")), steps.Observe("load not-found", "active inactive", "reload_daemon no")},
		"template":   {step(t, "service", "x", args("name", "app@1", "state", "started")), steps.Observe("load not-found", "active inactive", "reload_daemon no")},
		"command":    {step(t, "git", "x", args("repo", "https://example.org/x.git", "dest", "/srv/x")), steps.Observe("missing command git")},
		"engine":     {step(t, "docker_image", "x", map[string]cty.Value{"name": str("a:b"), "pull": cty.True}), steps.Observe("missing running Docker engine")},
		"python":     {step(t, "pip", "x", args("name", "wheel", "python", "/opt/py/bin/python3")), steps.Observe("have wheel - absent", "missing command /opt/py/bin/python3")},
		"file":       {step(t, "line", "x", args("path", "/etc/app.conf", "line", "x")), steps.Observe("type absent", "missing file /etc/app.conf")},
		"supervisor": {step(t, "supervisor_program", "x", args("name", "x", "command", "/bin/true")), steps.Observe("config /c", "ini /d/x.ini", "type absent", "process none", "missing running supervisord")},
		"include":    {step(t, "supervisor_program", "x", args("name", "x", "command", "/bin/true")), steps.Observe("missing setting /etc/supervisord.conf [include] section with files = …")},
	}
	absent, none := steps.Observe("type absent"), steps.Observe("exists no")
	service := steps.Observe("load loaded", "active inactive", "reload_daemon no")
	before := map[string]struct {
		in     steps.Instance
		obs    steps.Observation
		brings string // names of lacking, separated by spaces; * for all
	}{
		"package":    {step(t, "package", "b", args("name", "app")), steps.Observe("package app -"), "*"},
		"command":    {script(t, "b", "true"), steps.Observation{}, "*"},
		"user":       {step(t, "user", "b", args("name", "app")), none, "user run_as group home ssh"},
		"bare user":  {step(t, "user", "b", map[string]cty.Value{"name": str("app"), "create_home": cty.False, "group": str("users")}), none, "user run_as"},
		"other user": {step(t, "user", "b", args("name", "apps")), none, ""},
		"group":      {step(t, "group", "b", args("name", "app")), none, "group"},
		"keys":       {step(t, "authorized_key", "b", args("user", "root", "key", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1v0v0cJx3yqBcT0WcUo8mT0rTqj1eQv1vKq0f5b8aZ")), steps.Observe("directory absent", "file absent", "keys differ"), "ssh"},
		"home":       {step(t, "directory", "b", args("path", "/home/app/.cache")), absent, "home"},
		"unit":       {step(t, "file", "b", args("path", "/etc/systemd/system/app.service")), absent, "unit"},
		"template":   {step(t, "file", "b", args("path", "/etc/systemd/system/app@.service")), absent, "template"},
		"initscript": {step(t, "symlink", "b", args("path", "/etc/init.d/app", "target", "/opt/app/init")), absent, "unit"},
		"other unit": {step(t, "file", "b", args("path", "/etc/systemd/system/apps.service")), absent, ""},
		"binary":     {step(t, "download", "b", args("path", "/usr/local/bin/git", "url", "file:///opt/git")), absent, "command"},
		"not found":  {step(t, "download", "b", args("path", "/opt/git", "url", "file:///opt/git")), absent, ""},
		"python":     {step(t, "git", "b", args("repo", "https://example.org/py.git", "dest", "/opt/py")), steps.Observe("dest absent"), "python"},
		"conf":       {step(t, "file", "b", args("path", "/etc/app.conf")), absent, "file"},
		"supervisor": {step(t, "file", "b", args("path", "/etc/supervisord.conf")), absent, "include"},
		"service":    {step(t, "service", "b", args("name", "docker", "state", "started")), service, "engine supervisor"},
		"stopped":    {step(t, "service", "b", args("name", "docker", "state", "stopped")), steps.Observe("load loaded", "active active", "reload_daemon no"), ""},
		"removed":    {step(t, "package", "b", args("name", "app", "state", "absent")), steps.Observe("package app 1.0"), ""},
		"accounts":   {step(t, "line", "b", map[string]cty.Value{"path": str("/etc/group"), "line": str("app:x:1:"), "create": cty.True}), absent, "group"},
	}
	for l, lack := range lacking {
		if why, _ := outcomeOf([]steps.Instance{lack.in}, map[string]steps.Observation{lack.in.Addr: lack.obs}); !strings.Contains(why, "no earlier step") {
			t.Errorf("%s alone: %q", l, why)
		}
		for b, bring := range before {
			obs := map[string]steps.Observation{lack.in.Addr: lack.obs, bring.in.Addr: bring.obs}
			brings := bring.brings == "*" || strings.Contains(" "+bring.brings+" ", " "+l+" ")
			why, p := outcomeOf([]steps.Instance{bring.in, lack.in}, obs)
			if brings != (why == "") {
				t.Errorf("%s after %s: %q", l, b, why)
			}
			if brings && (len(p.After) != 1 || p.After[0] != bring.in.Addr) {
				t.Errorf("%s after %s waits for %v", l, b, p.After)
			}
			// Where its condition is not known yet, it may bring what it brings.
			unsure := bring.in
			unsure.Waits = []string{"step.command.other"}
			if why, _ := outcomeOf([]steps.Instance{unsure, lack.in}, obs); brings && why != "" {
				t.Errorf("%s after %s that may be skipped: %q", l, b, why)
			}
			// And what cannot be planned itself does not make an error of all that builds on it.
			if brings && bring.in.Step.Probe() != "" {
				obs[bring.in.Addr] = steps.Observation{Exit: 1, Stderr: "broken\n"}
				if why, _ := outcomeOf([]steps.Instance{bring.in, lack.in}, obs); why != "" {
					t.Errorf("%s after %s that cannot be planned: %q", l, b, why)
				}
			}
		}
	}
}

// What an earlier step takes away is missing for a later one that has something to do, unless it is brought back in between.
func TestTakenAway(t *testing.T) {
	gone := step(t, "user", "gone", map[string]cty.Value{"name": str("app"), "state": str("absent")})
	dir := step(t, "directory", "d", map[string]cty.Value{"path": str("/srv/d"), "owner": str("app")})
	back := step(t, "package", "back", map[string]cty.Value{"name": str("app")})
	obs := map[string]steps.Observation{gone.Addr: steps.Observe("exists yes"), dir.Addr: steps.Observe("type absent"), back.Addr: steps.Observe("package app -")}
	why, p := outcomeOf([]steps.Instance{gone, dir}, obs)
	var need *needError
	if !errors.As(p.Err, &need) || need.by != gone.Addr {
		t.Errorf("after its removal: %q", why)
	}
	if why, _ := outcomeOf([]steps.Instance{gone, back, dir}, obs); why != "" {
		t.Errorf("brought back: %q", why)
	}
	obs[gone.Addr] = steps.Observe("exists no")
	if why, _ := outcomeOf([]steps.Instance{gone, dir}, obs); why != "" {
		t.Errorf("nothing to remove: %q", why)
	}
	obs[gone.Addr], obs[dir.Addr] = steps.Observe("exists yes"), steps.Observe("type directory", "owner app")
	// It would be a number's afterwards.
	if why, p := outcomeOf([]steps.Instance{gone, dir}, obs); !errors.As(p.Err, &need) || need.by != gone.Addr {
		t.Errorf("as wanted now: %q", why)
	}
}

// What is as wanted now goes with the directory that an earlier step removes, and its directory does not come back.
func TestTakenAwayWithItsDirectory(t *testing.T) {
	host := newLocalHost(t)
	if err := os.Mkdir(host.path("d"), 0o777); err != nil {
		t.Fatal(err)
	}
	host.write("d/f", "same\n")
	gone := step(t, "directory", "gone", map[string]cty.Value{"path": str(host.path("d")), "state": str("absent")})
	in := file(t, host, "d/f", "same\n")
	exit, rec := applied(t, host, stepList{gone, in})
	if said := rec.planErrors()[in.Addr]; exit != 1 || !strings.Contains(said, "step.directory.gone removes the directory "+host.path("d")) || !host.exists("d/f") {
		t.Errorf("exit %d, %q\n%s", exit, said, rec.dump())
	}
}
