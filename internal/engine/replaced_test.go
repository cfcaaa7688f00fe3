package engine

import (
	"testing"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/steps"
)

// The plan of a step is of what earlier steps leave: what is seen now behind a link that changes, below what is mounted, of a user whose
// number changes or in a home that moves says nothing.
func TestPlanIsOfWhatEarlierStepsLeave(t *testing.T) {
	with := func(kind, name string, args map[string]string) steps.Instance {
		values := map[string]cty.Value{}
		for key, value := range args {
			switch value {
			case "true":
				values[key] = cty.True
			default:
				values[key] = str(value)
			}
		}
		return step(t, kind, name, values)
	}
	link := with("symlink", "a", map[string]string{"path": "/srv/a", "target": "b"})
	tree := with("directory", "a", map[string]string{"path": "/srv/a", "owner": "alice", "recurse": "true"})
	content := with("file", "x", map[string]string{"path": "/srv/a/x", "content": "new\n"})
	owned := with("file", "x", map[string]string{"path": "/srv/a/x", "owner": "alice"})
	user := step(t, "user", "alice", map[string]cty.Value{"name": str("alice"), "uid": cty.NumberIntVal(5000)})
	gone := with("user", "alice", map[string]string{"name": "alice", "state": "absent"})
	moved := with("user", "alice", map[string]string{"name": "alice", "home": "/srv/alice"})
	web := step(t, "group", "web", map[string]cty.Value{"name": str("web"), "gid": cty.NumberIntVal(5000)})
	ofWeb := with("file", "x", map[string]string{"path": "/srv/a/x", "group": "web"})
	mounted := step(t, "mount", "a", map[string]cty.Value{"path": str("/srv/a"), "source": str("tmpfs"), "type": str("tmpfs")})
	key := with("authorized_key", "alice", map[string]string{"user": "alice", "key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ/CaQ0/qxG/1uv/8eTPGOUH46HD+c8A59rhnvcCT+Wb alice"})
	target := with("directory", "b", map[string]string{"path": "/srv/b"})

	alice := with("user", "alice", map[string]string{"name": "alice"})
	rc := with("file", "rc", map[string]string{"path": "/home/alice/.rc", "content": "new\n"})
	noRC := with("file", "rc", map[string]string{"path": "/home/alice/.rc", "state": "absent"})
	conf := with("directory", "conf", map[string]string{"path": "/home/alice/.conf/x"})

	runs := with("command", "c", map[string]string{"script": "true", "creates": "/srv/a"})
	within := with("command", "c", map[string]string{"script": "true", "cwd": "/srv/a"})
	noLine := with("line", "x", map[string]string{"path": "/srv/a", "line": "x", "state": "absent"})
	emptied := with("file", "y", map[string]string{"path": "/srv/a/y", "state": "absent"})

	text := with("block", "b", map[string]string{"name": "n", "path": "/srv/a", "content": "four\n", "create": "true"})
	again := with("block", "again", map[string]string{"name": "n", "path": "/srv/a", "content": "four\n", "create": "true"})

	given := with("directory", "x", map[string]string{"path": "/srv/a", "owner": "alice"})
	checkout := with("git", "x", map[string]string{"repo": "/srv/repo", "dest": "/srv/a"})

	const other = "type file\nsum 1"
	for name, c := range map[string]struct {
		first, then steps.Instance
		was, is     string // the states
		want        steps.Action
		fails       bool
	}{
		"link leads elsewhere":     {link, content, "type symlink\ntarget c", other, steps.Unknown, false},
		"link stays":               {link, content, "type symlink\ntarget b", other, steps.Update, false},
		"new link":                 {link, content, "type absent", "type absent\nmissing directory /srv/a", steps.Unknown, false},
		"tree changes hands":       {tree, owned, "type directory\nowner bob\nbelow differs", "type file\nowner bob", steps.Unknown, false},
		"tree is as wanted":        {tree, owned, "type directory\nowner alice\nbelow same", "type file\nowner bob", steps.Update, false},
		"root of a tree alone":     {tree, owned, "type directory\nowner bob\nbelow same", "type file\nowner bob", steps.Update, false},
		"number of the owner":      {user, owned, "exists yes\nuid 1\ngid 1\nhome /home/alice", "type file\nowner alice", steps.Unknown, false},
		"number stays":             {user, owned, "exists yes\nuid 5000\ngid 1\nhome /home/alice", "type file\nowner alice", steps.NoOp, false},
		"number, another file":     {user, content, "exists yes\nuid 1\ngid 1\nhome /home/alice", other, steps.Update, false},
		"number of the group":      {web, ofWeb, "exists yes\ngid 1", "type file\ngroup web", steps.Unknown, false},
		"owner goes":               {gone, owned, "exists yes", "type file\nowner alice", steps.NoOp, true},
		"home moves":               {moved, key, "exists yes\nuid 1\ngid 1\nhome /home/alice", "directory alice 700\nfile alice 600\nkeys same", steps.Unknown, false},
		"home stays":               {moved, key, "exists yes\nuid 1\ngid 1\nhome /srv/alice", "directory alice 700\nfile alice 600\nkeys same", steps.NoOp, false},
		"is mounted":               {mounted, content, "live no\ntype file\ntext differ\nsum 1\n|content\n|:\n|.", other, steps.Unknown, false},
		"file of a new home":       {alice, rc, "exists no\nskel file /home/alice/.rc", "type absent\nmissing directory /home/alice", steps.Unknown, false},
		"removed from it":          {alice, noRC, "exists no\nskel file /home/alice/.rc", "type absent", steps.Delete, false},
		"below what it brings":     {alice, conf, "exists no\nskel directory /home/alice/.conf", "type absent\nmissing directory /home/alice", steps.Unknown, false},
		"another in a new home":    {alice, rc, "exists no\nskel file /home/alice/.other", "type absent\nmissing directory /home/alice", steps.Create, false},
		"a command's mark is made": {given, runs, "type absent", "", steps.Unknown, false},
		"it is a link":             {link, runs, "type absent", "", steps.Unknown, false},
		"it is there":              {given, runs, "type directory\nowner bob", "skip creates", steps.NoOp, false},
		"another":                  {target, runs, "type absent", "", steps.Execute, false},
		"where a command runs":     {given, within, "type absent", "missing directory /srv/a", steps.Execute, false},
		"in the way of a file":     {given, noLine, "type absent", "type absent", steps.Unknown, false},
		"what is in the way goes":  {emptied, checkout, "type file", "dest directory\nrepository no", steps.Unknown, false},
		"one block twice":          {text, again, "type absent", "type absent", steps.NoOp, false},
		"root is given away":       {given, checkout, "type directory\nowner root", "dest empty\nowner root", steps.Unknown, false},
		"root is as it was":        {given, checkout, "type directory\nowner alice", "dest empty\nowner root", steps.NoOp, true},
		"below another":            {link, target, "type symlink\ntarget c", "type absent", steps.Create, false},
	} {
		planned := planHost(debian, []steps.Instance{c.first, c.then}, map[string]steps.Observation{
			c.first.Addr: {Stdout: c.was + "\n"}, c.then.Addr: {Stdout: c.is + "\n"},
		}, HostState{}, nil, nil)
		if planned[0].Err != nil {
			t.Errorf("%s: %v", name, planned[0].Err)
		}
		if p := planned[1]; p.Change.Action != c.want || (p.Err != nil) != c.fails || c.want == steps.Unknown && (len(p.After) != 1 || p.After[0] != c.first.Addr) {
			t.Errorf("%s: %s after %v, %v; want %s", name, p.Change.Action, p.After, p.Err, c.want)
		}
	}

	// Behind a new link to what is made before is nothing yet.
	planned := planHost(debian, []steps.Instance{target, link, content}, map[string]steps.Observation{
		target.Addr: {Stdout: "type absent\n"}, link.Addr: {Stdout: "type absent\n"}, content.Addr: {Stdout: "type absent\nmissing directory /srv/a\n"},
	}, HostState{}, nil, nil)
	if p := planned[2]; p.Change.Action != steps.Create || p.Err != nil {
		t.Errorf("behind a link to a new directory: %s, %v", p.Change.Action, p.Err)
	}
}

// A plan tells the path that a step is about where its address and its diff do not.
func TestPlanTellsThePath(t *testing.T) {
	line := map[string]cty.Value{"path": str("/etc/app.conf"), "line": str("a = b")}
	for name, c := range map[string]struct {
		in    steps.Instance
		state string
		want  string
	}{
		"edit":         {step(t, "line", "a", line), "type file\ntext differ\nsum 1\n|content\n|:\n|.", "/etc/app.conf"},
		"in address":   {step(t, "line", "/etc/app.conf", line), "type file\ntext differ\nsum 1\n|content\n|:\n|.", ""},
		"as wanted":    {step(t, "line", "a", line), "type file\ntext same", ""},
		"in the diff":  {step(t, "directory", "a", map[string]cty.Value{"path": str("/srv/a")}), "type absent", ""},
		"in a danger":  {step(t, "directory", "a", map[string]cty.Value{"path": str("/srv/a"), "state": str("absent")}), "type directory", ""},
		"no path":      {step(t, "group", "a", map[string]cty.Value{"name": str("a")}), "exists no", ""},
		"link":         {step(t, "symlink", "a", map[string]cty.Value{"path": str("/srv/a"), "target": str("b")}), "type absent", "/srv/a"},
		"unknown home": {step(t, "user", "a", map[string]cty.Value{"name": str("a")}), "exists no", ""},
		"error":        {step(t, "file", "a", map[string]cty.Value{"path": str("/srv/a")}), "type absent\nmissing directory /srv", ""},
	} {
		planned := planHost(debian, []steps.Instance{c.in}, map[string]steps.Observation{c.in.Addr: {Stdout: c.state + "\n"}}, HostState{}, nil, nil)
		if told := planned[0].told(); told.Path != c.want {
			t.Errorf("%s: %q, want %q (%v)", name, told.Path, c.want, planned[0].Err)
		}
	}
}
