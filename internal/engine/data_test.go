package engine

import (
	"testing"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/steps"
	"provision/internal/steps/kinds"
)

// dataBlock makes a data block with all its outputs wanted.
func dataBlock(t *testing.T, title string, args map[string]string) steps.Instance {
	t.Helper()
	k := kinds.Named(title)
	if k == nil {
		t.Fatalf("no kind %q", title)
	}
	s, bound := k.New()
	for arg, value := range args {
		if err := bound.Get(arg).Set(str(value)); err != nil {
			t.Fatal(err)
		}
	}
	return steps.Instance{Addr: title + ".x", Kind: k, Step: s}
}

// What data found counts only if nothing that is to be done before may change it.
func TestDataAreKnownAfterWhatMayChangeThem(t *testing.T) {
	with := func(kind string, args map[string]string) steps.Instance {
		values := map[string]cty.Value{}
		for key, value := range args {
			switch {
			case key == "run":
				values[key] = cty.ListVal([]cty.Value{str(value)})
			case key == "remove_home":
				values[key] = cty.True
			case key == "uid", key == "gid":
				values[key] = cty.NumberIntVal(4242)
			default:
				values[key] = str(value)
			}
		}
		return step(t, kind, "first", values)
	}
	removal := func(kind, path string) steps.Instance {
		return with(kind, map[string]string{"path": path, "state": "absent"})
	}
	at := func(path string) steps.Instance { return dataBlock(t, "data.path", map[string]string{"path": path}) }
	in := func(path string) steps.Instance { return dataBlock(t, "data.find", map[string]string{"path": path}) }
	user := func(name string) steps.Instance { return dataBlock(t, "data.account", map[string]string{"user": name}) }
	group := func(name string) steps.Instance {
		data := dataBlock(t, "data.account", map[string]string{"group": name})
		data.Step.(steps.Chooser).Choose(func(output string) bool { return output == "gid" || output == "exists" })
		return data
	}
	alone := func(in steps.Instance) steps.Instance {
		in.Step.(steps.Chooser).Choose(func(output string) bool { return output != "groups" })
		return in
	}
	const (
		there   = "exists yes\nuid 1000\ngid 1000\nhome /srv/homes/app"
		nobody  = "exists no"
		account = "exists yes\nuid 1000\ngid 1000\ncomment\nhome /srv/homes/app\nshell /bin/sh"
	)
	app := with("user", map[string]string{"name": "app"})
	gone := with("user", map[string]string{"name": "app", "state": "absent", "remove_home": "true"})
	number := with("user", map[string]string{"name": "app", "uid": "4242"})
	web := with("group", map[string]string{"name": "web", "gid": "4242"})
	quiet := with("command", map[string]string{"run": "true", "changed_if": "false"})
	unless := with("command", map[string]string{"run": "true", "unless": "true"})
	for name, c := range map[string]struct {
		first     steps.Instance
		was       string
		data      steps.Instance
		found     string
		mayChange bool
	}{
		"a file goes":                      {removal("file", "/srv/f"), "type file", at("/srv/f"), "type other\nmode 644", true},
		"another file goes":                {removal("file", "/srv/g"), "type file", at("/srv/f"), "type other\nmode 644", false},
		"a file is gone already":           {removal("file", "/srv/f"), "type absent", at("/srv/f"), "type absent", false},
		"a link goes":                      {removal("symlink", "/srv/f"), "type symlink", at("/srv/f"), "type other\nmode 644", true},
		"a directory goes":                 {removal("directory", "/srv/f"), "type directory", at("/srv/f"), "type directory\nmode 755", true},
		"the directory above goes":         {removal("directory", "/srv/d"), "type directory", at("/srv/d/f"), "type other\nmode 644", true},
		"a file in it goes":                {removal("file", "/srv/d/f"), "type file", at("/srv/d"), "type directory\nmode 755", true},
		"find, a file in it goes":          {removal("file", "/srv/d/f"), "type file", in("/srv/d"), "path /srv/d/f", true},
		"find, it goes":                    {removal("directory", "/srv/d"), "type directory", in("/srv/d/e"), "path /srv/d/e/f", true},
		"find, what is beside it goes":     {removal("directory", "/srv/e"), "type directory", in("/srv/d"), "path /srv/d/f", false},
		"another name of it goes":          {removal("file", "/var/run/f"), "type file", at("/run/f"), "type other\nmode 644", true},
		"it goes, seen by another name":    {removal("file", "/run/f"), "type file", at("/var/run/f"), "type other\nmode 644", true},
		"mode by another name":             {with("file", map[string]string{"path": "/var/run/f", "mode": "0600"}), "type file\nmode 644", at("/run/f"), "type other\nmode 644", true},
		"a command that is no change":      {quiet, "run yes", at("/srv/f"), "type absent", true},
		"a command that will not run":      {unless, "skip unless", at("/srv/f"), "type absent", false},
		"a command whose condition holds":  {unless, "run yes", at("/srv/f"), "type absent", true},
		"packages go":                      {with("package", map[string]string{"name": "hello", "state": "absent"}), "package hello installed", at("/usr/bin/hello"), "type other\nmode 755", true},
		"a new user, the accounts":         {app, nobody, at("/etc/passwd"), "type other\nmode 644", true},
		"a new user, the secrets":          {app, nobody, at("/etc/shadow"), "type other\nmode 600", true},
		"a new user, its home":             {app, nobody, at("/home/app/.profile"), "type absent", true},
		"a new user, all homes":            {app, nobody, in("/home"), "", true},
		"a new user, its group":            {app, nobody, group("app"), "exists no", true},
		"a new user, another file":         {app, nobody, at("/etc/motd"), "type other\nowner root\ngroup root\nmode 644", false},
		"a new user, files of nobody":      {app, nobody, at("/etc/motd"), "type other\nowner 1000\ngroup 1000\nmode 644", true},
		"a user goes":                      {gone, there, alone(user("app")), account, true},
		"a user goes, its home":            {gone, there, at("/srv/homes/app/f"), "type other\nmode 644", true},
		"a user goes, its group":           {gone, there, group("app"), "exists yes\ngid 1000", true},
		"a user goes, the accounts":        {gone, there, at("/etc/group"), "type other\nmode 644", true},
		"another number":                   {number, there, alone(user("app")), account, true},
		"another number, its files":        {number, there, at("/opt/f"), "type other\nowner app\ngroup app\nmode 644", true},
		"another number, the user of root": {number, there, alone(user("root")), "exists yes\nuid 0\ngid 0\ncomment\nhome /root\nshell /bin/sh", false},
		"a group":                          {web, nobody, group("web"), "exists no", true},
		"another number of a group":        {web, "exists yes\ngid 1", alone(user("app")), account, true},
		"mounts":                           {with("mount", map[string]string{"path": "/srv/a", "source": "tmpfs", "type": "tmpfs"}), "live no\ntype file\ntext differ\nsum 1\n|content\n|:\n|.", at("/proc/mounts"), "type other\nmode 444", true},
		"what is mounted over":             {with("mount", map[string]string{"path": "/srv/a", "state": "absent"}), "live yes\ntype file\ntext differ\nsum 1\n|content\n|:\n|.", at("/srv/a/f"), "type other\nmode 444", true},
		"hostname":                         {with("hostname", map[string]string{"name": "a"}), "kernel b\nsource /etc/hostname\ntype file\ntext differ\nsum 1\n|content\n|:b\n|.", at("/proc/sys/kernel/hostname"), "type other\nmode 444", true},
	} {
		c.data.Addr = c.data.Kind.Title() + ".second"
		observations := map[string]steps.Observation{c.data.Addr: {Stdout: c.found + "\n"}}
		if c.was != "" {
			observations[c.first.Addr] = steps.Observation{Stdout: c.was + "\n"}
		}
		real := map[string]string{"/var/run/f": "/run/f", "/run/f": "/run/f"}
		planned := planHost(debian, []steps.Instance{c.first, c.data}, observations, HostState{}, nil, real)
		if err := planned[0].Err; err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		p := planned[1]
		if later := p.Change.Action == steps.Unknown; later != c.mayChange || p.Err != nil || later && p.After[0] != c.first.Addr {
			t.Errorf("%s: %s after %v, %v (the step: %s)", name, p.Change.Action, p.After, p.Err, planned[0].Change.Action)
		}

		// Where another host runs the step for this one, it may be on the same machine.
		lent := &loan{addr: c.first.Addr, host: &hostRun{Host: Host{Name: "other"}}, pending: c.mayChange, done: make(chan struct{})}
		borrowed := map[string]*loan{c.first.Addr: lent}
		if p := planHost(debian, []steps.Instance{c.first, c.data}, observations, HostState{}, borrowed, real)[1]; c.mayChange && p.Change.Action != steps.Unknown && len(p.After) == 0 {
			t.Errorf("%s, once: %s", name, p.Change.Action)
		}
		close(lent.done)
		if p := planHost(debian, []steps.Instance{c.first, c.data}, observations, HostState{}, borrowed, real)[1]; p.Change.Action != steps.NoOp {
			t.Errorf("%s, once and done: %s after %v", name, p.Change.Action, p.After)
		}
	}
}
