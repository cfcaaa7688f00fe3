package truth

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"provision/internal/event"
	"provision/internal/steps"
)

// waitFor waits for a path that is there, comes with an earlier step, or never comes.
func (g *generator) waitFor() {
	b, s := g.block("wait_for"), &Step{}
	name := g.fresh()
	gone, made := g.chance("absent", 30), g.made[path.Dir(name)]
	there := !made && g.chance("there", 70)
	if there {
		g.place(Placed{Path: name, Type: g.pick("type", "file", "directory", "fifo"), Mode: 0o644})
	}
	b.str("path", name)
	if gone {
		b.expr("absent", "true")
	}
	b.str("timeout", "1s")
	b.str("interval", "1s")
	holds := there != gone
	if !holds {
		g.expect(s, ApplyError, "it waits for what does not come")
	}
	s.Explain = func(j *Judge, p *event.PlanStep) {
		if p.Action != steps.NoOp && holds {
			j.say("the plan says %s, and there is nothing to wait for", p.Action)
		}
	}
	s.Wish = func(j *Judge) {
		if (j.After.Files[name] == nil) != gone {
			j.say("it waited for %s, absent %v, and that is not so", name, gone)
		}
		if j.Ended[s.Addr] == event.StepChanged {
			j.say("waiting counts as a change")
		}
	}
	g.add(b, s)
}

// cron is a job in /etc/cron.d.
func (g *generator) cron() {
	b, s := g.block("cron"), &Step{}
	name := fmt.Sprintf("job%d", g.n)
	w := fileWish{path: "/etc/cron.d/" + name, owner: "root", mode: "0644"}
	gone := g.chance("absent", 20)
	user := g.pick("user", "root", "ann", "bob", "nobody")
	schedule := g.pick("schedule", "*/5 8-18 * * mon-fri", "@daily", "0 0 1 1 *")
	command := g.pick("command", "true", "echo 100% of it's \"x\"", "date +%F >>/var/log/x", "a; b && c")
	b.str("name", name)
	content := schedule + " " + user + " " + strings.ReplaceAll(command, "%", `\%`) + "\n"
	if gone {
		b.str("state", "absent")
	} else {
		b.str("schedule", schedule)
		b.str("command", command)
		if g.chance("environment", 30) {
			b.expr("environment", `{ PATH = "/bin:/usr/bin", MAILTO = "" }`)
			content = "MAILTO=\"\"\nPATH=\"/bin:/usr/bin\"\n" + content
		}
		if user != "root" || g.chance("user", 20) {
			if g.chance("nobody's", 5) {
				user = "ghost"
				g.expect(s, Lacking, "there is no such user")
			}
			b.str("user", user)
		}
		w.content = &content
		if user == "ghost" {
			w.content = nil
		}
	}
	switch at := (Placed{Path: "/etc/cron.d", Type: "directory", Mode: 0o755}); {
	case !g.tried["cron"]:
		g.tried["cron"] = true
		g.place(Placed{Path: "/bin/cron", Type: "file", Mode: 0o755, Content: "#!/bin/sh\n"})
		g.place(at)
	}
	switch g.number("there", 0, 5) {
	case 0, 1:
	case 2:
		g.place(Placed{Path: w.path, Type: "file", Mode: 0o644, Content: content})
	case 3:
		g.place(Placed{Path: w.path, Type: "file", Mode: 0o600, UID: 1001, GID: 100, Content: "0 0 * * * root old\n"})
	case 4:
		g.place(Placed{Path: w.path, Type: "file", Mode: 0o666, GID: 50, Content: content, Attr: "kept"})
	case 5:
		g.place(Placed{Path: w.path, Type: g.pick("type", "directory", "symlink", "fifo"), Mode: 0o755, Target: "/etc/hosts"})
		g.expect(s, Unsure, "it is no file")
	}
	s.Explain = func(j *Judge, p *event.PlanStep) { j.file(p, w) }
	s.Wish = func(j *Judge) {
		if gone {
			j.wishGone(w.path)
		} else {
			j.wishFile(w)
		}
	}
	g.add(b, s)
}

// A choice is a group of alternatives, as update-alternatives(1) keeps it in its administrative directory.
type choice struct {
	auto       bool
	link       string
	priorities map[string]int
	value      string // where the link in /etc/alternatives leads
}

const alternativesDir = "/var/lib/dpkg/alternatives"

// file is the group as it is kept.
func (c *choice) file() string {
	status := "manual"
	if c.auto {
		status = "auto"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n\n", status, c.link)
	for _, name := range sorted(c.priorities) {
		fmt.Fprintf(&b, "%s\n%d\n", name, c.priorities[name])
	}
	return b.String() + "\n"
}

// choiceOf reads a group of a host; nil if it is not there.
func (s *Snapshot) choiceOf(name string) *choice {
	e := s.Files[alternativesDir+"/"+name]
	if e == nil {
		return nil
	}
	c := &choice{priorities: map[string]int{}}
	lines := strings.Split(e.Content, "\n")
	for i := 3; i+1 < len(lines) && lines[i] != ""; i += 2 {
		c.priorities[lines[i]], _ = strconv.Atoi(lines[i+1])
	}
	c.auto, c.link = lines[0] == "auto", lines[1]
	if l := s.Files["/etc/alternatives/"+name]; l != nil {
		c.value = l.Target
	}
	return c
}

// best are the paths of the highest priority.
func (c *choice) best() []string {
	var list []string
	top := 0
	for _, name := range sorted(c.priorities) {
		switch priority := c.priorities[name]; {
		case list == nil || priority > top:
			top, list = priority, []string{name}
		case priority == top:
			list = append(list, name)
		}
	}
	return list
}

// alternatives is a program among several, in a group that is there or not.
func (g *generator) alternatives() {
	b, s := g.block("alternatives"), &Step{}
	name := fmt.Sprintf("tool%d", g.n)
	was := &choice{auto: g.chance("auto", 60), link: "/usr-local/" + name, priorities: map[string]int{}}
	if !g.tried["alternatives"] {
		g.tried["alternatives"] = true
		g.place(Placed{Path: alternativesDir, Type: "directory", Mode: 0o755})
		g.place(Placed{Path: "/usr-local", Type: "directory", Mode: 0o755})
	}
	paths := []string{"/opt/a b/" + name, "/srv/app/" + name, "/etc/app.d/" + name}
	for _, p := range paths {
		g.place(Placed{Path: p, Type: "file", Mode: 0o755, Content: "#!/bin/sh\n"})
		if g.chance("registered", 45) {
			was.priorities[p] = g.number("priority", 1, 3) * 10
		}
	}
	if len(was.priorities) > 0 {
		was.value = g.pick("value", sorted(was.priorities)...)
		if was.auto {
			was.value = g.pick("value", was.best()...)
		}
		g.place(Placed{Path: alternativesDir + "/" + name, Type: "file", Mode: 0o644, Content: was.file()})
		g.place(Placed{Path: "/etc/alternatives/" + name, Type: "symlink", Target: was.value})
		g.place(Placed{Path: was.link, Type: "symlink", Target: "/etc/alternatives/" + name})
	}
	own := g.pick("path", paths...)
	_, registered := was.priorities[own]
	gone := g.chance("absent", 25)
	priority, mode := 0, ""
	b.str("name", name)
	b.str("path", own)
	if gone {
		b.str("state", "absent")
	} else {
		mode = g.pick("mode", "", "auto", "manual")
		if mode == "" || g.chance("register", 70) {
			priority = g.number("own priority", 1, 3) * 10
			b.str("link", was.link)
			b.expr("priority", strconv.Itoa(priority))
		} else if !registered {
			g.expect(s, PlanError, "it is not registered")
		}
		if mode != "" {
			b.str("mode", mode)
		}
	}
	s.Explain = func(j *Judge, p *event.PlanStep) {
		if p.Action == steps.NoOp {
			return
		}
		for _, touched := range []string{alternativesDir + "/" + name, "/etc/alternatives/" + name, was.link} {
			j.explain(touched)
		}
		j.explain("/var/log/alternatives.log")
		j.alternatives(p, name, own, gone)
	}
	s.Wish = func(j *Judge) {
		is := j.After.choiceOf(name)
		switch {
		case is == nil && !gone:
			j.say("the group %s is not there", name)
		case is == nil:
		case gone:
			if _, there := is.priorities[own]; there {
				j.say("%s is registered in the group %s", own, name)
			}
		case priority != 0 && is.priorities[own] != priority:
			j.say("%s has the priority %d, and %d is wanted", own, is.priorities[own], priority)
		case mode == "manual" && (is.auto || is.value != own):
			j.say("the choice of %s is %+v, and %s is wanted by hand", name, is, own)
		case mode == "auto" && (!is.auto || !slices.Contains(is.best(), is.value)):
			j.say("the choice of %s is %+v, and auto is wanted", name, is)
		}
	}
	g.add(b, s)
}

// alternatives holds what the plan says of a group against what became of it.
func (j *Judge) alternatives(p *event.PlanStep, name, own string, gone bool) {
	was, is := j.Before.choiceOf(name), j.After.choiceOf(name)
	said := map[string]steps.Attr{}
	for _, a := range p.Diff {
		said[a.Name] = a
	}
	status := func(c *choice) string {
		switch {
		case c == nil:
			return ""
		case c.auto:
			return "auto"
		}
		return "manual"
	}
	of := func(c *choice, what string) string {
		switch {
		case c == nil:
			return ""
		case what == "mode":
			return status(c)
		case what == "choice":
			return c.value
		case what == "priority" && c.priorities[own] != 0:
			return strconv.Itoa(c.priorities[own])
		}
		return ""
	}
	if gone {
		if p.Action != steps.Delete {
			j.say("the plan of an absence says %s", p.Action)
		}
		return
	}
	for _, what := range []string{"mode", "choice", "priority"} {
		a, told := said[what]
		before, after := of(was, what), of(is, what)
		switch {
		case !told && before != after && !(was == nil && what == "mode"):
			j.say("the %s of %s goes from %q to %q, and the plan does not say so: %+v", what, name, before, after, p.Diff)
		case told && (a.Before != before || a.BeforeMissing != (before == "")):
			j.say("the plan says that the %s of %s was %q, and it was %q", what, name, a.Before, before)
		case told && a.After != after && !slices.Contains(strings.Split(a.After, " or "), after):
			j.say("the plan says that the %s of %s becomes %q, and it is %q", what, name, a.After, after)
		case told && before == after:
			j.say("the plan says that the %s of %s changes, and it stays %q", what, name, before)
		}
	}
}

// kernelKeys are keys that each network namespace has for itself, with values that the kernel takes.
var kernelKeys = map[string][]string{
	"net.ipv4.ip_default_ttl":      {"64", "65", "200"},
	"net.ipv4.tcp_retries2":        {"15", "8", "9"},
	"net.ipv4.ip_local_port_range": {"32768\t60999", "20000\t60000", "1024\t65535"},
	"net.ipv4.tcp_keepalive_time":  {"7200", "600", "60"},
}

func kernelFile(key string) string { return "/proc/sys/" + strings.ReplaceAll(key, ".", "/") }

// sysctl is a key of the kernel, in a file of its own and in the running kernel.
func (g *generator) sysctl() {
	b, s := g.block("sysctl"), &Step{}
	key := g.pick("key", sorted(kernelKeys)...)
	if g.tried[key] {
		g.group() // two steps about one key would go back and forth
		return
	}
	g.tried[key] = true
	if !g.tried["sysctl"] {
		g.tried["sysctl"] = true
		g.place(Placed{Path: "/etc/sysctl.d", Type: "directory", Mode: 0o755})
	}
	values := kernelKeys[key]
	g.place(Placed{Path: kernelFile(key), Type: "kernel", Content: g.pick("is", values...)})
	name := fmt.Sprintf("/etc/sysctl.d/%d-own.conf", 50+g.n)
	value := strings.ReplaceAll(g.pick("value", values...), "\t", " ")
	gone, live := g.chance("absent", 20), true
	b.str("name", g.pick("written", key, strings.ReplaceAll(key, ".", "/")))
	b.str("path", name)
	if gone {
		b.str("state", "absent")
		live = false
	} else {
		if g.chance("refused", 5) {
			value = "none of these"
			g.expect(s, Unsure, "the kernel refuses it")
		}
		b.str("value", value)
		if g.chance("file only", 25) {
			b.expr("live", "false")
			live = false
		}
		if g.chance("rival", 5) {
			g.place(Placed{Path: "/etc/sysctl.d/99-zz.conf", Type: "file", Mode: 0o644, Content: key + " = 77\n"})
			outlook := PlanError
			if slices.ContainsFunc(g.earlier, func(s *Step) bool { return slices.Contains([]string{"sysctl", "command", "source_build"}, s.Kind) }) {
				outlook = Unsure // it may change another file of the directory, so that this is known later
			}
			g.expect(s, outlook, "a later file sets it")
		}
	}
	g.inText(name, []string{
		"", key + " = " + value + "\n", "# c\n" + strings.ReplaceAll(key, ".", "/") + "=1\nother.key = 2", key + " = 3\n" + key + "=" + value + "\n", "-" + key + " = " + value + "\r\n",
	}, s, true)
	s.Explain = func(j *Judge, p *event.PlanStep) {
		file := *p
		file.Diff = slices.DeleteFunc(slices.Clone(p.Diff), func(a steps.Attr) bool { return a.Name == "kernel" })
		if len(file.Diff) < len(p.Diff) {
			j.changed(kernelFile(key), attrContent)
			if a := p.Diff[slices.IndexFunc(p.Diff, func(a steps.Attr) bool { return a.Name == "kernel" })]; a.Before != j.Before.kernel(key) || a.After != j.After.kernel(key) {
				j.say("the plan says that %s goes from %q to %q, and it went from %q to %q", key, a.Before, a.After, j.Before.kernel(key), j.After.kernel(key))
			}
		}
		if len(file.Diff) == 0 && p.Action == steps.Update {
			return
		}
		j.edited(&file, name)
		if p.Action == steps.Update {
			j.lines(&file, name)
		}
	}
	s.Wish = func(j *Judge) {
		if live && j.After.kernel(key) != value {
			j.say("the kernel has %s = %q, and %q is wanted", key, j.After.kernel(key), value)
		}
		e := j.After.Files[name]
		var settings []string
		if e != nil {
			for _, l := range splitLines(e.Content) {
				k, v, ok := strings.Cut(l, "=")
				if k = strings.ReplaceAll(strings.TrimSpace(strings.TrimPrefix(k, "-")), "/", "."); ok && k == key {
					settings = append(settings, strings.TrimSpace(v))
				}
			}
		}
		if gone && settings != nil || !gone && !slices.Equal(settings, []string{value}) {
			j.say("%s sets %s to %q, and %q is wanted, absent %v", name, key, settings, value, gone)
		}
	}
	g.add(b, s)
}

// kernel is the value of a key, with single blanks.
func (s *Snapshot) kernel(key string) string {
	if e := s.Files[kernelFile(key)]; e != nil {
		return strings.Join(strings.Fields(e.Content), " ")
	}
	return ""
}
