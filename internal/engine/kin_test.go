package engine

import (
	"slices"
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/steps"
)

// What steps of one kind share and no path names is planned as the earlier ones leave it.
func TestPlanFollowsItsKind(t *testing.T) {
	with := func(kind string, args ...string) steps.Instance {
		values := map[string]cty.Value{}
		for i := 0; i < len(args); i += 2 {
			switch values[args[i]] = str(args[i+1]); args[i] {
			case "names":
				values["names"] = cty.ListVal([]cty.Value{str("a"), str("b")})
			case "priority":
				values["priority"] = cty.NumberIntVal(5)
			}
		}
		return step(t, kind, strings.Join(args, "_"), values)
	}
	job := []string{"name", "a", "place", "crontab"}
	daily := with("cron", append(job, "schedule", "@daily", "command", "c")...)
	hourly := with("cron", append(job, "schedule", "@hourly", "command", "c")...)
	noJob := with("cron", append(job, "state", "absent")...)
	other := with("cron", "name", "b", "place", "crontab", "schedule", "@daily", "command", "c")
	pager := with("alternatives", "name", "p", "link", "/usr/bin/p", "path", "/a", "priority", "5")
	noPager := with("alternatives", "name", "p", "path", "/a", "state", "absent")
	noPagers := with("alternatives", "name", "p", "state", "absent")
	one, two := with("package", "name", "a"), with("package", "names", "")
	none := with("package", "name", "a", "state", "absent")
	latest := with("package", "name", "a", "state", "latest")
	version, same, open := with("package", "name", "a", "version", "1.2"), with("package", "name", "a", "version", "1.2"), with("package", "name", "a", "version", "1*")
	same.Addr += "again"
	for name, c := range map[string]struct {
		first, then steps.Instance
		was, is     string // the states
		want        steps.Action
		diff        int
		danger      string
		after       bool
	}{
		"installed twice":            {one, two, "package a absent", "package a absent\npackage b absent", steps.Create, 1, "", true},
		"installed already":          {two, one, "package a absent\npackage b absent", "package a absent", steps.NoOp, 0, "", true},
		"of others":                  {two, one, "package a installed\npackage b absent", "package a absent", steps.NoOp, 0, "", true},
		"removed first":              {none, one, "package a installed", "package a installed", steps.Create, 1, "", true},
		"removed then":               {one, none, "package a absent", "package a absent", steps.Delete, 1, "removes package a and what depends on it", true},
		"removed twice":              {none, with("package", "names", "", "state", "absent"), "package a installed", "package a installed\npackage b absent", steps.NoOp, 0, "", true},
		"latest, then installed":     {latest, one, "package a absent", "package a absent", steps.NoOp, 0, "", true},
		"installed, then latest":     {one, latest, "package a absent", "package a absent", steps.NoOp, 0, "", true},
		"installed, then who knows":  {one, latest, "package a absent", "package a absent\nupdates unknown", steps.Unknown, 0, "", true},
		"latest of what is there":    {latest, with("package", "names", "", "state", "latest"), "package a installed\nupdate a 1 2", "package a installed\npackage b absent\nupdate a 1 2", steps.Create, 1, "", true},
		"version, then latest":       {version, latest, "package a -", "package a absent", steps.Unknown, 0, "", true},
		"installed, then a version":  {one, version, "package a absent", "package a -", steps.Unknown, 0, "", true},
		"a version twice":            {version, same, "package a 1.1", "package a 1.1", steps.NoOp, 0, "", true},
		"a version, then another":    {version, open, "package a 2", "package a 2", steps.Unknown, 0, "", true},
		"removed, then a version":    {none, version, "package a installed", "package a 1.1", steps.Create, 1, "", true},
		"job twice":                  {daily, hourly, "", "", steps.Update, 1, "", true},
		"job, then none":             {daily, noJob, "", "", steps.Delete, 1, `removes the job "@daily c" of root`, true},
		"job goes, then comes":       {noJob, daily, "job @hourly c", "job @hourly c", steps.Create, 1, "", true},
		"the same line, two names":   {daily, other, "unmarked yes", "unmarked yes", steps.Create, 1, "", true},
		"job of another name":        {daily, other, "", "", steps.Create, 1, "", false},
		"alternative, then none":     {pager, noPager, "", "", steps.Delete, 1, "removes the group p with its link /usr/bin/p", true},
		"alternative, then no group": {pager, noPagers, "", "", steps.Delete, 1, "removes the group p with its link /usr/bin/p", true},
		"alternative of several":     {pager, noPager, "status auto\nlink /usr/bin/p\nother /b\ntop 1\nbest /b\nvalue /b", "status auto\nlink /usr/bin/p\nother /b\ntop 1\nbest /b\nvalue /b", steps.Delete, 1, "/usr/bin/p no longer leads to /a", true},
		"no group, then none":        {noPagers, noPager, "link /usr/bin/p\nother /a\nother /b\nvalue /a", "link /usr/bin/p\nother /b\npriority 5\nvalue /a", steps.NoOp, 0, "", true},
	} {
		planned := planHost(debian, []steps.Instance{c.first, c.then}, map[string]steps.Observation{
			c.first.Addr: steps.Observe(strings.Split(c.was, "\n")...), c.then.Addr: steps.Observe(strings.Split(c.is, "\n")...),
		}, HostState{}, nil, nil)
		if planned[0].Err != nil || planned[1].Err != nil {
			t.Errorf("%s: %v, %v", name, planned[0].Err, planned[1].Err)
			continue
		}
		p := planned[1]
		if p.Change.Action != c.want || len(p.Change.Diff) != c.diff || slices.Contains(p.After, c.first.Addr) != c.after || strings.Join(p.Change.Dangers, "; ") != c.danger {
			t.Errorf("%s: %s %v after %v, dangers %q; want %s, %d, %q", name, p.Change.Action, p.Change.Diff, p.After, p.Change.Dangers, c.want, c.diff, c.danger)
		}
	}
}
