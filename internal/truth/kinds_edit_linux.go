package truth

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"provision/internal/event"
	"provision/internal/steps"
)

// placed is the text at a path, where a step about it can go well so far.
func (g *generator) placed(name string, s *Step) (string, bool) {
	p, ok := lastPlaced(g, name)
	if !ok || s.Outlook != Fine || p.Type != "file" {
		return "", false
	}
	return p.Content, true
}

// mounted makes a mount point of a file that lies at a path.
func (g *generator) mounted(name string) {
	if p, ok := lastPlaced(g, name); ok && p.Type == "file" && g.chance("mount", 12) {
		p.Type, p.Attr = "mount", ""
	}
}

// afterEdit returns the text that an edit has left at a path; not where there is none to look at.
func (j *Judge) afterEdit(name string, absent bool) (string, bool) {
	e := j.After.Files[name]
	if e == nil && !absent {
		j.say("%s is not there", name)
	}
	if e == nil || e.Size > contentLimit {
		return "", false
	}
	return e.Content, true
}

var hostsTexts = []string{
	"", "127.0.0.1\tlocalhost\n::1 localhost ip6-localhost\n", "10.0.0.5 db.internal db # primary\n", "10.0.0.5\tDB  x\r\n10.0.0.7 db.internal\r\n", "# 10.0.0.5 db\n\n2001:db8:0::5 db",
	"10.0.0.5 x\n10.0.0.6  db x\n10.0.0.5 db db.internal\n", "10.0.0.9 db\n10.0.0.8 db.internal\n", "bad db\n10.0.0.5\n", "10.0.0.5 db.internal db\n10.0.0.6 db",
}

func (g *generator) hostsEntry() {
	b, s := g.block("hosts_entry"), &Step{}
	name := g.fresh()
	b.str("path", name)
	address := g.pick("address", "10.0.0.5", "10.0.0.9", "2001:db8::5")
	names := [][]string{{"db"}, {"db.internal", "db"}, {"db", "new"}}[g.number("names", 0, 2)]
	absent, create, exclusive, elsewhere := g.chance("absent", 25), false, false, "move"
	var quoted []string
	for _, n := range names {
		quoted = append(quoted, quote(n))
	}
	b.expr("names", "["+strings.Join(quoted, ", ")+"]")
	everywhere := absent && g.chance("everywhere", 40)
	if !everywhere {
		b.str("address", address)
	}
	if absent {
		b.str("state", "absent")
	} else {
		if create = g.chance("create", 40); create {
			b.expr("create", "true")
		}
		if exclusive = g.chance("exclusive", 20); exclusive {
			b.expr("exclusive", "true")
		}
		if elsewhere = g.pick("elsewhere", "move", "move", "keep", "error"); elsewhere != "move" {
			b.str("elsewhere", elsewhere)
		}
	}
	g.inText(name, hostsTexts, s, create || absent)
	if text, ok := g.placed(name, s); ok && elsewhere == "error" && slices.ContainsFunc(names, func(n string) bool { return len(otherAddresses(text, address, n)) > 0 }) {
		g.expect(s, PlanError, "a name has another address")
	}
	g.mounted(name)
	s.Explain = func(j *Judge, p *event.PlanStep) {
		j.edited(p, name)
		if p.Action == steps.Update {
			j.lines(p, name)
		}
	}
	s.Wish = func(j *Judge) {
		text, ok := j.afterEdit(name, absent)
		if !ok {
			return
		}
		for _, n := range names {
			found := addressesOf(text, n)
			there := slices.ContainsFunc(found, func(a netip.Addr) bool { return everywhere || a == netip.MustParseAddr(address) })
			if there == absent {
				j.say("%s has the address %v in %q, and %s is wanted (absent: %v)", n, found, text, address, absent)
			}
			if others := otherAddresses(text, address, n); !absent && elsewhere == "move" && len(others) > 0 {
				j.say("%s has the address %v too: %q", n, others, text)
			}
		}
		if exclusive {
			for l := range strings.Lines(text) {
				if f := hostsFields(l); len(f) > 1 && f[0] == address && slices.ContainsFunc(f[1:], func(n string) bool { return !slices.Contains(names, n) }) {
					j.say("%s has other names: %q", address, l)
				}
			}
		}
	}
	g.add(b, s)
}

// hostsFields are the words of a line of hosts(5).
func hostsFields(line string) []string {
	line, _, _ = strings.Cut(line, "#")
	return strings.Fields(line)
}

// addressesOf are those that a text gives a name.
func addressesOf(text, name string) []netip.Addr {
	var list []netip.Addr
	for l := range strings.Lines(text) {
		f := hostsFields(l)
		if len(f) < 2 {
			continue
		}
		addr, err := netip.ParseAddr(f[0])
		if err == nil && slices.ContainsFunc(f[1:], func(n string) bool { return strings.EqualFold(n, name) }) {
			list = append(list, addr)
		}
	}
	return list
}

// otherAddresses are those of a name that are of the family of an address.
func otherAddresses(text, address, name string) []netip.Addr {
	wanted := netip.MustParseAddr(address)
	return slices.DeleteFunc(addressesOf(text, name), func(a netip.Addr) bool { return a == wanted || a.Is4() != wanted.Is4() })
}

var blockTexts = []string{
	"", "a\nb", "x\r\n# BEGIN provision app\r\nold\r\n# END provision app\r\n", "# BEGIN provision app\nx=1\n# END provision app", "# BEGIN provision app2\n# END provision app2\nlast",
	"x\n# BEGIN provision app\nmine\n", "# END provision app\nx\n", "# END provision app\n# BEGIN provision app\n", "# BEGIN provision app\n# END provision app\n# BEGIN provision app\n# END provision app\n",
	"# BEGIN provision app\n# BEGIN provision app2\n# END provision app\n# END provision app2\n", "  # BEGIN provision app \nx=1\nit's $HOME\n\t# END provision app\ny\n",
}

func (g *generator) blockStep() {
	b, s := g.block("block"), &Step{}
	name := g.fresh()
	b.str("path", name)
	b.str("name", "app")
	content := g.pick("content", "x=1\n", "x=1\nit's $HOME\n", "", "a\\b", "# BEGIN\n\n*\n", "ü\r\n")
	absent, create, secret := g.chance("absent", 25), false, false
	switch {
	case absent:
		b.str("state", "absent")
	default:
		if secret = g.chance("secret", 15); secret {
			content = "hush-7391"
			b.expr("content", "var.secret")
		} else {
			b.str("content", content)
		}
		if create = g.chance("create", 40); create {
			b.expr("create", "true")
		}
		switch g.number("place", 0, 5) {
		case 0:
			b.str("after", "^[ax]")
		case 1:
			b.str("before", "^[bl]")
		case 2:
			b.str("at", "begin")
		}
	}
	g.inText(name, blockTexts, s, create || absent)
	if text, ok := g.placed(name, s); ok && damagedBlock(text) {
		g.expect(s, PlanError, "the markers are damaged")
	}
	g.mounted(name)
	s.Explain = func(j *Judge, p *event.PlanStep) {
		j.edited(p, name)
		if p.Action == steps.Update {
			j.text(p, name, secret)
		}
	}
	wanted := "\n" + strings.Join(append([]string{"# BEGIN provision app"}, append(splitLines(content), "# END provision app")...), "\n") + "\n"
	s.Wish = func(j *Judge) {
		text, ok := j.afterEdit(name, absent)
		if !ok {
			return
		}
		var lines []string
		for _, l := range splitLines(text) {
			if strings.HasSuffix(strings.TrimSpace(l), " provision app") {
				l = strings.TrimSpace(l)
			}
			lines = append(lines, l)
		}
		if absent && strings.Contains(text, "provision app\n") || !absent && !strings.Contains("\n"+strings.Join(lines, "\n")+"\n", wanted) {
			j.say("the block of %s is not as it should be (absent: %v): %q", name, absent, text)
		}
	}
	g.add(b, s)
}

// damagedBlock tells whether the markers of app in a text mark no block of its own.
func damagedBlock(text string) bool {
	var marks []string
	for _, l := range splitLines(text) {
		if l = strings.TrimSpace(l); strings.Contains(l, " provision app") {
			marks = append(marks, strings.Fields(l)[1]+strings.TrimPrefix(l[strings.LastIndex(l, " "):], " app"))
		}
	}
	marks = slices.DeleteFunc(marks, func(m string) bool { return len(marks) == 2 && strings.HasSuffix(m, "2") })
	return len(marks) > 0 && !slices.Equal(marks, []string{"BEGIN", "END"})
}

// text compares what the plan says of a text, in one line or in several, with the lines that came and went. Nothing is said of a secret, nor of a
// file for its owner only.
func (j *Judge) text(p *event.PlanStep, name string, secret bool) {
	b := j.Before.Files[name]
	hidden := secret || b != nil && b.Mode&0o77 == 0
	for _, a := range p.Diff {
		if a.Sensitive != hidden || hidden && a.Before+a.After != "" {
			j.say("the plan shows the text of %s: %+v; a secret: %v", name, a, hidden)
		}
	}
	if hidden {
		return
	}
	split := *p
	split.Diff = nil
	shown := func(text string, missing bool) []string {
		if missing {
			return nil
		}
		if !strings.Contains(text, "\n") {
			return []string{text}
		}
		return splitLines(text)
	}
	for _, a := range p.Diff {
		for _, l := range shown(a.Before, a.BeforeMissing) {
			split.Diff = append(split.Diff, steps.Attr{Before: l, AfterMissing: true})
		}
		for _, l := range shown(a.After, a.AfterMissing) {
			split.Diff = append(split.Diff, steps.Attr{BeforeMissing: true, After: l})
		}
	}
	j.lines(&split, name)
}

var replaceTexts = []string{"", "level=1\nother level=2\n", "old old\r\nlast", "level=8\n", "[a]\nlevel=1\n[b]\nlevel=2", "\n\nx", "caf\xe9 level=\xff\n", "aXb aXXb\n", "it's old"}

func (g *generator) replace() {
	b, s := g.block("replace"), &Step{}
	name := g.fresh()
	b.str("path", name)
	pattern := g.pick("match", "^level=.*", "old", "X", "level=(\\d)", "a(X+)b", "t$", "(?i)LEVEL")
	b.str("match", pattern)
	re := regexp.MustCompile(pattern)
	with, absent, secret, count := "", g.chance("absent", 20), false, 0
	switch {
	case absent:
		b.str("state", "absent")
	case g.chance("secret", 15):
		secret, with = true, "hush-7391"
		b.expr("with", "var.secret")
	default:
		with = g.pick("with", "level=8", "new", "", "XX", "T", "it's")
		if re.NumSubexp() > 0 && g.chance("group", 50) {
			with = "<$1>"
		}
		b.str("with", with)
	}
	if g.chance("count", 20) {
		count = 1
		b.expr("count", "1")
	}
	after := g.chance("after", 15)
	if after {
		b.str("after", "^\\[b\\]$")
	}
	g.inText(name, replaceTexts, s, absent)
	become := func(text string) (string, int) {
		var lines []string
		n, within := 0, !after
		for l := range strings.SplitSeq(text, "\n") { // an emptied last line stays one
			if within {
				n += len(re.FindAllStringIndex(l, -1))
				l = re.ReplaceAllString(l, with)
			}
			within = within || l == "[b]"
			lines = append(lines, l)
		}
		return strings.Join(lines, "\n"), n
	}
	if text, ok := g.placed(name, s); ok {
		same, _ := become(strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\r", ""))
		differs := same != strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\r", "")
		again, _ := become(same)
		_, n := become(text)
		switch {
		case differs && count > 0 && n != count:
			g.expect(s, PlanError, "there are more matches than expected")
		case again != same:
			g.expect(s, PlanError, "it would be replaced again")
		}
	}
	g.mounted(name)
	s.Explain = func(j *Judge, p *event.PlanStep) {
		j.edited(p, name)
		if p.Action == steps.Update {
			j.text(p, name, secret)
		}
	}
	s.Wish = func(j *Judge) {
		text, ok := j.afterEdit(name, absent)
		if !ok {
			return
		}
		text = strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\r", "")
		if left, _ := become(text); left != text {
			j.say("%s is %q, of which there is left to replace: %q", name, text, left)
		}
	}
	g.add(b, s)
}
