package truth

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"provision/internal/event"
	"provision/internal/steps"
)

var texts = []string{
	"", "level=1\nother\n", "#level=3\n# comment\nlast", "level=1\nlevel=2\nlevel=2\n", "a\r\nlevel=9\r\n", "x\n\ny\n", "level=2\n", "\n", "  level=2\n", "name = old\n[s]\nkey=1\n",
}

// inText puts a text onto the host, with attributes that must stay.
func (g *generator) inText(name string, list []string, s *Step, mayMiss bool) {
	if g.made[path.Dir(name)] {
		switch {
		case mayMiss:
		case strings.HasPrefix(name, "/home/"):
			g.expect(s, Unsure, "a new home may have any file")
		default:
			g.expect(s, Lacking, "the file is missing")
		}
		return
	}
	p := Placed{Path: name, Type: "file", Mode: octal(g.pick("mode", "0644", "0600", "4755", "0640", "0444")), UID: 1002, GID: 4712, Content: g.pick("text", list...)}
	switch g.number("there", 0, 11) {
	case 0, 1:
		if !mayMiss {
			g.expect(s, Lacking, "the file is missing")
		}
		return
	case 2:
		p.Attr = "kept"
	case 3:
		p = Placed{Path: name, Type: g.pick("type", "directory", "symlink", "fifo"), Mode: 0o755, Target: "/etc/hosts"}
		g.expect(s, PlanError, "it is no file")
	case 4:
		p.Content += "nul \x00\n"
		g.expect(s, Unsure, "a file with NUL bytes is not edited")
	case 5:
		p.Content = strings.Repeat(p.Content+"0123456789abcdef0123456789abcdef\n", 9000)
		g.expect(s, Unsure, "a large file is not edited")
	}
	g.place(p)
}

func (g *generator) line() {
	b, s := g.block("line"), &Step{}
	name := g.fresh()
	b.str("path", name)
	text := g.pick("line", "level=2", "10.0.0.5 db.internal", "it's", "a\\b", " two  blanks ", "-x", "$HOME", "last", "other", "tab\tbed", "ü", "*")
	pattern, absent, create := "", g.chance("absent", 25), false
	if g.chance("match", 45) {
		pattern = g.pick("match", "^#?level=", "level", "^$", "t$", "x|y")
		b.str("match", pattern)
	}
	given := pattern == "" || !absent
	if given {
		b.str("line", text)
	}
	if absent {
		b.str("state", "absent")
	} else {
		if create = g.chance("create", 50); create {
			b.expr("create", "true")
		}
		switch g.number("place", 0, 4) {
		case 0:
			b.str("after", "^level")
		case 1:
			b.str("before", "^other")
		}
	}
	if g.made[path.Dir(name)] && absent {
		create = true
	}
	g.inText(name, texts, s, create || absent)
	s.Explain = func(j *Judge, p *event.PlanStep) {
		j.edited(p, name)
		if p.Action == steps.Update {
			j.lines(p, name)
		}
	}
	s.Wish = func(j *Judge) {
		e := j.After.Files[name]
		if e == nil && absent {
			return
		}
		if e == nil || e.Size > contentLimit {
			if e == nil {
				j.say("%s is not there", name)
			}
			return
		}
		there := slices.ContainsFunc(splitLines(e.Content), func(l string) bool { return l == text })
		if there == absent && given {
			j.say("%s has the line %q: %v", name, text, there)
		}
	}
	g.add(b, s)
}

// splitLines cuts a text into lines, without what ends them.
func splitLines(text string) []string {
	var list []string
	for l := range strings.Lines(text) {
		list = append(list, strings.TrimSuffix(strings.TrimSuffix(l, "\n"), "\r"))
	}
	return list
}

// edited checks what all kinds that edit a text have in common: only the content changes.
func (j *Judge) edited(p *event.PlanStep, name string) {
	b, e := j.Before.Files[name], j.After.Files[name]
	switch p.Action {
	case steps.NoOp:
	case steps.Create:
		j.explain(name)
		if b != nil {
			j.say("the plan says that %s is created, and it was there", name)
		}
		if e == nil {
			j.say("the plan says that %s is created, and it is not there", name)
		}
	case steps.Update:
		if b == nil || e == nil {
			j.say("the plan says that %s is updated, and it was or is not there", name)
			return
		}
		j.changed(name, attrContent)
		j.explain(name, attrInode, attrMtime)
		if len(p.Diff) == 0 {
			j.say("the plan says update and names nothing")
		}
	default:
		j.say("the plan says %s", p.Action)
	}
}

// lines compares the lines that the plan names with those that came and went. Where they are not UTF-8, the events hold U+FFFD.
func (j *Judge) lines(p *event.PlanStep, name string) {
	b, e := j.Before.Files[name], j.After.Files[name]
	if b == nil || e == nil || b.Size > contentLimit || e.Size > contentLimit {
		return
	}
	hidden := b.Mode&0o77 == 0
	for _, a := range p.Diff {
		if a.Sensitive != hidden {
			j.say("the plan shows the text of %s, whose mode is %o: %+v", name, b.Mode, a)
		}
	}
	if hidden {
		return
	}
	count := map[string]int{}
	for _, l := range splitLines(b.Content) {
		count[string([]rune(l))]++
	}
	for _, a := range p.Diff {
		if !a.BeforeMissing {
			count[strings.TrimSuffix(a.Before, "\r")]--
		}
		if !a.AfterMissing {
			count[strings.TrimSuffix(a.After, "\r")]++
		}
	}
	for _, l := range splitLines(e.Content) {
		count[string([]rune(l))]--
	}
	for _, l := range sorted(count) {
		if count[l] != 0 {
			j.say("the line %q of %s is there %d times less than the plan says: %q → %q, %+v", l, name, count[l], b.Content, e.Content, p.Diff)
		}
	}
}

var iniTexts = []string{
	"", "[main]\nkey = 1\nother=2\n", "; comment\n[main]\nkey=2\n[x]\nkey=3", "top=1\n[main]\n\n[y]\n", "[main]\r\nkey=1\r\n", "[main]\nkey=1\nkey=5\n", "[main]\nkey=1\n  more\nz=1\n",
	"[main]\nkey=new\n", "[ main ]\nKey=1\n",
}

func (g *generator) ini() {
	b, s := g.block("ini"), &Step{}
	name := g.fresh()
	b.str("path", name)
	section := g.pick("section", "main", "main", "x", "program:web", "a b", "")
	b.str("section", section)
	values := map[string]string{"key": g.pick("value", "1", "new", "a b", "it's", "$HOME", "a\\b", "%(x)s", "", "a=b", "50%")}
	absent, create, secret := g.chance("absent", 25), true, false
	switch {
	case absent:
		b.str("state", "absent")
		if section == "" || g.chance("key", 60) {
			b.str("key", "key")
		} else {
			values = nil
		}
	case g.chance("values", 40):
		values["z"] = "1"
		b.expr("values", fmt.Sprintf("{ key = %s, z = \"1\" }", quote(values["key"])))
	default:
		b.str("key", "key")
		if secret = g.chance("secret", 15); secret {
			values["key"] = "hush-7391"
			b.expr("value", "var.secret")
		} else {
			b.str("value", values["key"])
		}
	}
	if !absent && g.chance("no create", 20) {
		create = false
		b.expr("create", "false")
	}
	g.inText(name, iniTexts, s, create || absent)
	if b, ok := lastPlaced(g, name); ok && g.chance("just so", 40) && !absent && b.Type == "file" {
		var text strings.Builder
		if section != "" {
			fmt.Fprintf(&text, "[%s]\n", section)
		}
		for _, k := range sorted(values) {
			fmt.Fprintf(&text, "%s = %s\n", k, values[k])
		}
		b.Content = text.String()
	}
	s.Explain = func(j *Judge, p *event.PlanStep) {
		j.edited(p, name)
		if p.Action == steps.Update {
			j.keys(p, name)
		}
	}
	s.Wish = func(j *Judge) {
		e := j.After.Files[name]
		if e == nil && absent || e != nil && e.Size > contentLimit {
			return
		}
		if e == nil {
			j.say("%s is not there", name)
			return
		}
		found := readKeys(e.Content)
		if absent && values == nil {
			if _, there := found[[2]string{section, ""}]; there {
				j.say("the section [%s] of %s is there: %q", section, name, e.Content)
			}
			return
		}
		for k, v := range values {
			is := found[[2]string{section, k}]
			if absent && len(is) > 0 || !absent && !slices.Equal(is, []string{v}) {
				j.say("[%s] %s of %s is %q, and %q is wanted (absent: %v): %q", section, k, name, is, v, absent, e.Content)
			}
		}
	}
	g.add(b, s)
}

// lastPlaced finds what lies at a path.
func lastPlaced(g *generator, name string) (*Placed, bool) {
	for i := range g.scene.Files {
		if g.scene.Files[i].Path == name {
			return &g.scene.Files[i], true
		}
	}
	return nil, false
}

// readKeys reads a file of sections and keys: by section and key the values; the key "" stands for the section itself.
func readKeys(text string) map[[2]string][]string {
	found := map[[2]string][]string{}
	section, last := "", ""
	for _, l := range splitLines(text) {
		trimmed := strings.TrimSpace(l)
		switch {
		case trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';':
			continue
		case (l[0] == ' ' || l[0] == '\t') && last != "":
			k := [2]string{section, last}
			found[k][len(found[k])-1] += "\n" + trimmed
		case trimmed[0] == '[' && strings.HasSuffix(trimmed, "]"):
			section, last = strings.TrimSpace(trimmed[1:len(trimmed)-1]), ""
			found[[2]string{section, ""}] = append(found[[2]string{section, ""}], "")
		default:
			k, v, _ := strings.Cut(trimmed, "=")
			last = strings.TrimSpace(k)
			found[[2]string{section, last}] = append(found[[2]string{section, last}], strings.TrimSpace(v))
		}
	}
	return found
}

// keys compares the keys that the plan names with those that differ.
func (j *Judge) keys(p *event.PlanStep, name string) {
	b, e := j.Before.Files[name], j.After.Files[name]
	if b == nil || e == nil || b.Size > contentLimit || e.Size > contentLimit {
		return
	}
	was, is := readKeys(b.Content), readKeys(e.Content)
	named := map[string]bool{}
	for _, a := range p.Diff {
		named[a.Name] = true
	}
	names := map[string][2]string{}
	for _, m := range []map[[2]string][]string{was, is} {
		for k := range m {
			label := k[1]
			if k[0] != "" {
				label = "[" + k[0] + "] " + k[1]
			}
			if k[1] != "" {
				names[label] = k
			}
		}
	}
	for _, label := range sorted(names) {
		k := names[label]
		if slices.Equal(was[k], is[k]) == named[label] && !named["section"] {
			j.say("the plan names %s of %s: %v; it was %q and is %q", label, name, named[label], was[k], is[k])
		}
	}
	for _, a := range p.Diff {
		k, known := names[a.Name]
		if !known || a.Sensitive {
			continue
		}
		if !a.BeforeMissing && !slices.Contains(was[k], a.Before) || a.BeforeMissing && len(was[k]) > 0 {
			j.say("the plan says that %s of %s was %q, and it was %q", a.Name, name, a.Before, was[k])
		}
		if !a.AfterMissing && !slices.Contains(is[k], a.After) {
			j.say("the plan says that %s of %s becomes %q, and it is %q", a.Name, name, a.After, is[k])
		}
	}
}
