package truth

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"slices"
	"strings"

	"provision/internal/event"
	"provision/internal/steps"
)

func sumOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

var contents = []string{
	"", "one\n", "one\ntwo\n", "no line break", "a\r\nb\r\n", "\n\n", "tab\there\n", "|pipe\n|.\n", "ümlaut ☃\n", "%s %d \\n\n", "$HOME `id` \"'\n", " lead\n", "trail \n", "-n\n",
	"\ufeffbom\n", "sum 123\ntype file\n",
}

func (g *generator) content(label string) string {
	if g.chance(label+" large", 4) {
		return strings.Repeat("all work and no play\n", 15000)
	}
	return g.pick(label, contents...)
}

// ownershipOf draws owner, group and mode, each of them seldom.
func (g *generator) ownershipOf(b *block, w *fileWish, s *Step, modes ...string) {
	if g.chance("owner?", 35) {
		w.owner = g.pick("owner", g.owners...)
	}
	if g.chance("group?", 30) {
		w.group = g.pick("group", g.groups...)
	}
	if g.chance("mode?", 45) {
		w.mode = g.pick("mode", modes...)
	}
	if g.chance("nobody", 2) {
		w.owner = "nosuchuser"
		g.expect(s, Lacking, "there is no user nosuchuser")
	}
	if w.owner != "" {
		b.str("owner", w.owner)
	}
	if w.group != "" {
		b.str("group", w.group)
	}
	if w.mode != "" {
		b.str("mode", w.mode)
	}
}

// expect says what will come of a step, unless something was said that comes before it.
func (g *generator) expect(s *Step, o Outlook, why string) {
	order := []Outlook{Fine, ApplyError, Lacking, Unsure, PlanError}
	if slices.Index(order, o) > slices.Index(order, s.Outlook) {
		s.Outlook, s.Why = o, why
	}
}

// ids are the numbers of the accounts that are there from the start.
var (
	uids = map[string]int{"root": 0, "ann": 1001, "bob": 1002, "carol": 1003, "nobody": 65534, "1001": 1001, "4711": 4711, "0": 0, "": 0}
	gids = map[string]int{"root": 0, "users": 100, "wheel": 10, "ann": 1001, "staff": 50, "nogroup": 65534, "100": 100, "4712": 4712, "": 0}
)

// inPlace puts onto the host what a wish for a file may meet, half of the time just what is wanted.
func (g *generator) inPlace(w fileWish, s *Step, kind string) {
	if g.made[path.Dir(w.path)] {
		return // nothing can be there yet
	}
	p := Placed{Path: w.path, Type: "file", Mode: 0o644, UID: uids[w.owner], GID: gids[w.group], Content: "old content\n"}
	if w.content != nil {
		p.Content = *w.content
	}
	if w.mode != "" {
		p.Mode = octal(w.mode)
	} else if w.defaultMode != "" {
		p.Mode = octal(w.defaultMode)
	}
	if w.runAs != "" {
		p.UID, p.GID = uids[w.runAs], uids[w.runAs]
		if g.chance("there", 50) {
			if g.chance("as it is", 50) {
				p.Content = g.content("other content")
			}
			g.place(p)
		}
		return
	}
	switch g.number("there", 0, 13) {
	case 0, 1: // nothing
		return
	case 2, 3, 4: // as it is wanted
	case 5, 6:
		p.Content = g.content("other content")
	case 7:
		p.Mode = octal(g.pick("other mode", "0600", "0644", "0755", "4755", "2755", "0000", "0440"))
	case 8:
		p.UID, p.GID = 1002, 1002
	case 9:
		p = Placed{Path: w.path, Type: "file", Mode: octal(g.pick("other mode", "0640", "6755", "4711", "0444")), UID: 4711, GID: 4712, Content: g.content("other content"), Attr: "kept"}
	case 10:
		p = Placed{Path: w.path, Type: "symlink", Target: g.pick("target", "/etc/hosts", "nowhere", "/srv/app")}
		if kind == "download" {
			p.Target = g.pick("target", "nowhere", "/srv/app") // a link to a file is looked through
		}
		g.expect(s, PlanError, "it is a symbolic link")
	case 11:
		p = Placed{Path: w.path, Type: g.pick("type", "directory", "fifo", "socket", "char"), Mode: 0o755}
		g.expect(s, PlanError, "it is no file")
	case 12:
		if kind == "file" {
			p.Type = "mount"
		}
		p.Content = g.content("other content")
	case 13:
		p.Content, p.Immutable = g.content("other content"), true
		g.expect(s, ApplyError, "it is immutable")
		s.FailsIf = nil
	}
	g.place(p)
}

func (g *generator) file() {
	b, s := g.block("file"), &Step{}
	w := fileWish{defaultMode: "0644"}
	if g.chance("absent", 15) {
		w.path = g.fresh()
		b.str("path", w.path)
		b.str("state", "absent")
		if !g.made[path.Dir(w.path)] {
			switch g.number("there", 0, 4) {
			case 1, 2:
				g.place(Placed{Path: w.path, Type: "file", Mode: 0o600, Content: g.content("content")})
			case 3:
				g.place(Placed{Path: w.path, Type: "symlink", Target: g.pick("target", "/etc/hosts", "nowhere")})
			case 4:
				g.place(Placed{Path: w.path, Type: g.pick("type", "directory", "fifo"), Mode: 0o755})
				g.expect(s, PlanError, "it is no file")
			}
		}
		s.Explain = func(j *Judge, p *event.PlanStep) { j.file(p, w) }
		s.Wish = func(j *Judge) { j.wishGone(w.path) }
		g.add(b, s)
		return
	}
	w.path = g.pathFor(s)
	b.str("path", w.path)
	switch g.number("content from", 0, 5) {
	case 0: // it stays
	case 1, 2, 3:
		c := g.content("content")
		w.content = &c
		b.str("content", c)
	case 4:
		c := g.content("content")
		if g.chance("binary", 20) {
			c = "\x00\x01\xff\xfe binary \x00"
		}
		w.content = &c
		name := b.name + ".local"
		g.scene.Local = append(g.scene.Local, Placed{Path: name, Type: "file", Mode: 0o600, Content: c})
		b.str("source", name)
	case 5:
		c := "key=hush-7391\n"
		w.content, w.hidden, w.defaultMode = &c, true, "0600"
		b.expr("content", "\"key=${var.secret}\\n\"")
	}
	if path.Dir(w.path) == "/home/ann" && g.chance("run_as", 40) {
		w.runAs = "ann"
		b.str("run_as", "ann")
	} else {
		g.ownershipOf(b, &w, s, "0644", "0600", "0755", "0440", "4755", "2750", "0000", "644")
	}
	if strings.HasSuffix(w.mode, "00") {
		w.hidden = w.content != nil
	}
	g.inPlace(w, s, "file")
	backup := false
	if g.chance("backup", 8) {
		backup = true
		b.expr("backup", "true")
	}
	if w.content != nil && s.Outlook == Fine && g.chance("validate", 10) {
		switch g.number("verdict", 0, 2) {
		case 0:
			b.str("validate", "test -f %s")
		case 1:
			b.str("validate", "! test -f %s")
			g.expect(s, ApplyError, "the content does not pass")
			s.FailsIf = func(p *event.PlanStep) bool {
				return slices.ContainsFunc(p.Diff, func(a steps.Attr) bool { return a.Name == "content" })
			}
		case 2:
			b.str("validate", "cat %s >/dev/null")
		}
	}
	s.Explain = func(j *Judge, p *event.PlanStep) {
		j.file(p, w)
		if backup && p.Action == steps.Update {
			j.backups(w.path, p)
		}
	}
	s.Wish = func(j *Judge) { j.wishFile(w) }
	g.add(b, s)
}

// backups accounts for the old content that is kept beside a file.
func (j *Judge) backups(name string, p *event.PlanStep) {
	replaced := false
	for _, a := range p.Diff {
		replaced = replaced || a.Name == "content"
	}
	found := 0
	for other, e := range j.After.Files {
		if strings.HasPrefix(other, name+".~") && j.Before.Files[other] == nil {
			found++
			j.explain(other)
			if e.Sum != j.Before.Files[name].Sum {
				j.say("the backup %s is not what was there", other)
			}
		}
	}
	if replaced && found != 1 {
		j.say("%d backups of %s are there", found, name)
	}
}

func (g *generator) envFile() {
	b, s := g.block("env_file"), &Step{}
	w := fileWish{path: g.pathFor(s), mode: "0600", hidden: true}
	b.str("path", w.path)
	c := "A=1\nB_2=two\n"
	if g.chance("source", 50) {
		c = g.pick("variables", "A=1\n", "# comment\nA='x y'\n", "A=1\r\nB=2\r\n", "\nA=\n")
		name := b.name + ".env"
		g.scene.Local = append(g.scene.Local, Placed{Path: name, Type: "file", Mode: 0o600, Content: c})
		b.str("source", name)
	} else {
		b.expr("values", `{ A = "1", B_2 = "two" }`)
	}
	w.content = &c
	if g.chance("mode?", 30) {
		w.mode = "0640"
		b.str("mode", w.mode)
	}
	if g.chance("owner?", 30) {
		w.owner = g.pick("owner", g.owners...)
		b.str("owner", w.owner)
	}
	g.inPlace(w, s, "file")
	s.Explain = func(j *Judge, p *event.PlanStep) { j.file(p, w) }
	s.Wish = func(j *Judge) { j.wishFile(w) }
	g.add(b, s)
}

func (g *generator) download() {
	b, s := g.block("download"), &Step{}
	w := fileWish{path: g.pathFor(s), defaultMode: "0644"}
	b.str("path", w.path)
	from := "/srv/pool/" + b.name
	c := g.content("content")
	g.place(Placed{Path: from, Type: "file", Mode: 0o644, Content: c})
	b.str("url", "file://"+from)
	sum := g.chance("sha256", 60)
	if sum {
		w.content = &c
		if g.chance("wrong sum", 5) {
			b.str("sha256", sumOf("something else"))
			g.expect(s, ApplyError, "the sum is another one")
		} else {
			b.str("sha256", sumOf(c))
		}
	}
	g.ownershipOf(b, &w, s, "0644", "0600", "0755")
	if !g.made[path.Dir(w.path)] && g.chance("link to a file", 12) {
		w.behind = "/srv/pool/" + b.name + " behind"
		g.place(Placed{Path: w.path, Type: "symlink", Target: w.behind})
		p := Placed{Path: w.behind, Type: "file", Mode: octal(g.pick("other mode", "0644", "0600", "4755")), UID: uids[w.owner], GID: gids[w.group], Content: c}
		if g.chance("another owner", 30) {
			p.UID, p.GID = 1002, 4712
		}
		if g.chance("as it is", 50) {
			p.Content = g.content("other content")
		}
		g.place(p)
		s.Explain = func(j *Judge, p *event.PlanStep) { j.linked(p, w) }
		s.Wish = func(j *Judge) {
			is := w
			if e := j.After.Files[w.path]; e != nil && e.Type == "symlink" {
				is.path = w.behind
			}
			j.wishFile(is)
		}
	} else {
		g.inPlace(w, s, "download")
		s.Explain = func(j *Judge, p *event.PlanStep) { j.file(p, w) }
		s.Wish = func(j *Judge) {
			is := w
			if j.Before.Files[w.path] == nil {
				is.content = &c // whether its sum is given or not
			}
			j.wishFile(is)
		}
	}
	g.add(b, s)
}

func (g *generator) directory() {
	b, s := g.block("directory"), &Step{}
	w := fileWish{path: g.fresh()}
	if g.chance("deep", 15) {
		w.path += "/deep/er"
	}
	b.str("path", w.path)
	s.Explain = func(j *Judge, p *event.PlanStep) { j.directory(p, w, false) }
	if g.chance("absent", 20) {
		b.str("state", "absent")
		if !g.made[path.Dir(w.path)] {
			switch g.number("there", 0, 3) {
			case 1, 2:
				g.tree(w.path)
			case 3:
				g.place(Placed{Path: w.path, Type: g.pick("type", "file", "symlink", "fifo"), Mode: 0o644, Target: "/srv/app"})
				g.expect(s, PlanError, "it is no directory")
			}
		}
		s.Wish = func(j *Judge) { j.wishGone(w.path) }
		g.add(b, s)
		return
	}
	g.ownershipOf(b, &w, s, "0755", "0700", "2775", "1777", "0750", "755")
	recurse := (w.owner != "" || w.group != "") && g.chance("recurse", 25)
	if recurse {
		b.expr("recurse", "true")
	}
	is := Placed{Path: w.path, Type: "directory", Mode: 0o755, UID: uids[w.owner], GID: gids[w.group]}
	if w.mode != "" {
		is.Mode = octal(w.mode)
	}
	there := !g.made[path.Dir(w.path)]
	if there {
		switch g.number("there", 0, 7) {
		case 0, 1:
			there = false
		case 2, 3, 4:
			g.place(is)
		case 5:
			is.Mode = octal(g.pick("other mode", "0700", "2755", "1755", "0000", "0755"))
			g.place(is)
		case 6:
			is.UID, is.GID = 1002, 4712
			g.place(is)
		case 7:
			g.place(Placed{Path: w.path, Type: g.pick("type", "file", "symlink", "fifo"), Mode: 0o644, Target: "/srv/app"})
			g.expect(s, PlanError, "it is no directory")
			there = false
		}
	}
	if there && recurse {
		g.tree(w.path)
		// What holds things that nothing can be done to is no subject.
	}
	s.Explain = func(j *Judge, p *event.PlanStep) { j.directory(p, w, recurse) }
	s.Wish = func(j *Judge) { j.wishDirectory(w, recurse) }
	g.add(b, s)
	if s.Outlook == Fine && !s.Skip && !recurse {
		g.dirs = append(g.dirs, w.path)
		if !there {
			g.made[w.path] = true
		}
	}
}

// tree fills a directory with things of many types.
func (g *generator) tree(dir string) {
	for i, p := range []Placed{
		{Path: "f", Type: "file", Mode: 0o644, Content: "f\n"},
		{Path: "sub/setuid", Type: "file", Mode: 0o4755, UID: 1001, GID: 100, Content: "s"},
		{Path: "sub/setgid", Type: "directory", Mode: 0o2775},
		{Path: "dangling", Type: "symlink", Target: "no where"},
		{Path: "up", Type: "symlink", Target: "/etc"},
		{Path: "fi fo", Type: "fifo", Mode: 0o600},
		{Path: "new\nline", Type: "file", Mode: 0o600, UID: 4711, Content: "\x00"},
		{Path: "latin\xe9", Type: "file", Mode: 0, GID: 4712},
	} {
		if i == 0 || g.chance("in the tree", 40) {
			p.Path = dir + "/" + p.Path
			g.place(p)
		}
	}
}

// directory checks the planned change of a directory.
func (j *Judge) directory(p *event.PlanStep, w fileWish, recurse bool) {
	b, e := j.Before.Files[w.path], j.After.Files[w.path]
	switch p.Action {
	case steps.NoOp:
		return
	case steps.Delete:
		j.removed(p, w.path)
		return
	case steps.Create:
		if b != nil {
			j.say("the plan says that %s is created, and it was there", w.path)
		}
		j.explain(w.path)
		for up := path.Dir(w.path); j.Before.Files[up] == nil; up = path.Dir(up) {
			j.explain(up)
		}
	}
	if e == nil {
		j.say("the plan says that %s comes or changes, and it is not there", w.path)
		return
	}
	for _, a := range p.Diff {
		switch {
		case j.ownership(a, w.path, w.owner, w.group, w.mode):
		case a.Name == "path" && p.Action == steps.Create && a.After == w.path && a.BeforeMissing:
		case a.Name == "owner below" && recurse:
		default:
			j.say("the plan names an attribute %q that is not known", a.Name)
		}
	}
	if recurse && p.Action == steps.Update {
		for _, d := range j.diffs {
			if strings.HasPrefix(d.Path, w.path+"/") && (d.Attr == attrUID && w.owner != "" || d.Attr == attrGID && w.group != "") {
				j.explain(d.Path, d.Attr)
			}
			// chown(2) clears the bits of setuid and setgid of files, and of no others than those that change hands.
			given := j.Before.Files[d.Path] != nil && j.After.Files[d.Path] != nil && (j.Before.Files[d.Path].UID != j.After.Files[d.Path].UID || j.Before.Files[d.Path].GID != j.After.Files[d.Path].GID)
			if given && strings.HasPrefix(d.Path, w.path+"/") && d.Attr == attrMode && j.After.Files[d.Path].Type == "file" && octal(d.Before)&^0o6000 == octal(d.After) {
				j.explain(d.Path, d.Attr)
			}
		}
	}
}

func (j *Judge) wishDirectory(w fileWish, recurse bool) {
	e := j.After.Files[w.path]
	if e == nil || e.Type != "directory" {
		j.say("%s is no directory afterwards", w.path)
		return
	}
	for name, below := range j.After.Files {
		if name != w.path && !(recurse && strings.HasPrefix(name, w.path+"/")) {
			continue
		}
		if w.owner != "" && !owns(w.owner, below.UID, j.After.uidOf) || w.group != "" && !owns(w.group, below.GID, j.After.gidOf) {
			j.say("%s belongs to %d:%d afterwards, and %s:%s is wanted", name, below.UID, below.GID, w.owner, w.group)
		}
	}
	if w.mode != "" && octal(w.mode) != e.Mode {
		j.say("the mode of %s is %04o afterwards, and %s is wanted", w.path, e.Mode, w.mode)
	}
}

func (g *generator) symlink() {
	b, s := g.block("symlink"), &Step{}
	name := ""
	target := g.pick("target", "/srv/app", "nowhere", "../x y", "/etc/hosts", "it's", "a\\b", "-n", "ü", "trailing ")
	absent, force := g.chance("absent", 20), false
	if absent {
		name = g.fresh()
		b.str("state", "absent")
	} else {
		name = g.pathFor(s)
		b.str("target", target)
		if force = g.chance("force", 30); force {
			b.expr("force", "true")
		}
	}
	b.str("path", name)
	if !g.made[path.Dir(name)] {
		p := Placed{Path: name, Type: "symlink", Target: target}
		switch g.number("there", 0, 7) {
		case 0, 1:
			p.Type = ""
		case 2, 3, 4:
		case 5:
			p.Target = g.pick("other target", "/srv", "old", "/srv/other")
		case 6:
			p = Placed{Path: name, Type: "file", Mode: 0o644, Content: "in the way\n"}
			if absent || !force {
				g.expect(s, PlanError, "it is a file")
			}
		case 7:
			p = Placed{Path: name, Type: g.pick("type", "directory", "fifo"), Mode: 0o755}
			g.expect(s, PlanError, "it is no link")
		}
		if p.Type != "" {
			g.place(p)
		}
	}
	s.Explain = func(j *Judge, p *event.PlanStep) {
		b, e := j.Before.Files[name], j.After.Files[name]
		switch p.Action {
		case steps.NoOp:
			return
		case steps.Delete:
			j.removed(p, name)
			return
		}
		j.explain(name)
		if (p.Action == steps.Create) != (b == nil) {
			j.say("the plan says %s of %s, which is not what was there", p.Action, name)
		}
		if len(p.Diff) != 1 || p.Diff[0].Name != "target" || e == nil || p.Diff[0].After != e.Target || b != nil && p.Diff[0].Before != b.Target {
			j.say("the plan says %+v of %s", p.Diff, name)
		}
	}
	s.Wish = func(j *Judge) {
		if e := j.After.Files[name]; absent && e != nil || !absent && (e == nil || e.Target != target) {
			j.say("%s is not the link that is wanted", name)
		}
	}
	g.add(b, s)
}
