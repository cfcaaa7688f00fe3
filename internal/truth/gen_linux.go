package truth

import (
	"fmt"
	"math/bits"
	"path"
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// generator draws a scene. Every step has a subject of its own (a path, an account), except where two steps about one subject make
// sense, such as a directory and a file in it.
type generator struct {
	t     *rapid.T
	scene *Scene
	n     int // number of the step

	dirs    []string        // directories that steps may put something into
	made    map[string]bool // of these, those that an earlier step makes
	owners  []string        // users that files may belong to
	groups  []string        // groups likewise
	earlier []*Step         // what on_change may name
	tried   map[string]bool // subjects that have a step
}

// Draw draws a scene.
func Draw(t *rapid.T) *Scene {
	g := &generator{t: t, scene: &Scene{}, made: map[string]bool{}, tried: map[string]bool{}}
	s := g.scene
	s.Shell = g.pick("shell", "/usr/bin/dash", "/usr/bin/bash", "/usr/bin/busybox")
	s.Saved = g.chance("saved", 35)
	s.JSON = !g.chance("text", 30)
	s.Users = []string{
		"root:*:0:0:root:/root:/bin/sh", "daemon:*:1:1:daemon:/usr/sbin:/usr/sbin/nologin", "nobody:*:65534:65534:nobody:/nonexistent:/usr/sbin/nologin",
		"ann:$5$salt$8cXcXmkXtW4hBtUUwcRXMmq3PV0a9rj4sMJfUKZpPj/:1001:1001:Ann Smith,,,:/home/ann:/bin/bash",
		"bob:!:1002:1002::/home/bob:/bin/sh",
		"carol:!$5$salt$8cXcXmkXtW4hBtUUwcRXMmq3PV0a9rj4sMJfUKZpPj/:1003:100:Carol Ünal:/home/carol:/bin/sh",
		"eve:*:1005:1005:an eve:/srv/eve:/bin/sh",
		"mallory:!!:1006:1006::/home/mallory:/usr/sbin/nologin",
	}
	s.Groups = []string{
		"root:x:0:", "daemon:x:1:", "wheel:x:10:ann", "users:x:100:", "nogroup:x:65534:", "ann:x:1001:", "bob:x:1002:", "eve:x:1005:", "mallory:x:1006:",
		"staff:x:50:ann,carol,eve", "deploy:x:300:eve,mallory", "empty:x:301:",
	}
	g.owners = []string{"root", "ann", "bob", "carol", "nobody", "1001", "4711", "0"}
	g.groups = []string{"root", "users", "wheel", "ann", "staff", "nogroup", "100", "4712"}
	for _, d := range []string{"/srv/app", "/opt/a b", "/etc/app.d", "/var/lib/app", "/srv/it's \"q\"", "/home/ann"} {
		uid := 0
		if d == "/home/ann" {
			uid = 1001
		}
		g.place(Placed{Path: d, Type: "directory", Mode: 0o755, UID: uid, GID: uid})
		g.dirs = append(g.dirs, d)
	}
	g.place(Placed{Path: "/home/carol", Type: "directory", Mode: 0o700, UID: 1003, GID: 100})
	g.bystanders()
	for range g.number("steps", 1, 4) {
		g.n++
		g.step()
	}
	return s
}

// below draws one of the numbers from 0 up to n, n left out, each as often as the others; shrunk, it is 0. The generators of rapid
// prefer small numbers: with them 4 of 10 steps are of the first kind of a list, and what is last hardly ever comes.
func below(n int) *rapid.Generator[int] {
	return rapid.Custom(func(t *rapid.T) int {
		for {
			drawn := 0
			for range max(1, bits.Len(uint(n-1))) { // rapid asks for one bit at least
				drawn *= 2
				if rapid.Bool().Draw(t, "bit") {
					drawn++
				}
			}
			if drawn < n {
				return drawn
			}
		}
	})
}

func (g *generator) pick(label string, list ...string) string {
	return list[below(len(list)).Draw(g.t, label)]
}

// chance is true with a probability in per cent; shrunk, it is false.
func (g *generator) chance(label string, percent int) bool {
	return below(100).Draw(g.t, label) >= 100-percent
}

func (g *generator) number(label string, from, to int) int {
	return from + below(to-from+1).Draw(g.t, label)
}

func (g *generator) place(p Placed) { g.scene.Files = append(g.scene.Files, p) }

// bystanders are things that no step is about.
func (g *generator) bystanders() {
	odd := []Placed{
		{Path: "/srv/other/plain", Type: "file", Mode: 0o644, Content: "plain\n"},
		{Path: "/srv/other/setuid", Type: "file", Mode: 0o4755, Content: "#!/bin/sh\n"},
		{Path: "/srv/other/link", Type: "symlink", Target: "plain"},
		{Path: "/srv/other/dangling", Type: "symlink", Target: "/nowhere at all"},
		{Path: "/srv/other/fifo", Type: "fifo", Mode: 0o600},
		{Path: "/srv/other/socket", Type: "socket", Mode: 0o755},
		{Path: "/srv/other/char", Type: "char", Mode: 0o666},
		{Path: "/srv/other/block", Type: "block", Mode: 0o660, GID: 6},
		{Path: "/srv/other/new\nline", Type: "file", Mode: 0o644, Content: "a\nb"},
		{Path: "/srv/other/latin\xe9", Type: "file", Mode: 0o644, UID: 4711, GID: 4712, Content: "\xff\xfe\x00"},
		{Path: "/srv/other/sticky", Type: "directory", Mode: 0o1777},
		{Path: "/srv/other/none", Type: "file", Mode: 0, Content: "none"},
		{Path: "/srv/other/immutable", Type: "file", Mode: 0o644, Content: "stays\n", Immutable: true},
	}
	for _, p := range odd {
		if g.chance("bystander", 25) {
			g.place(p)
		}
	}
}

// names of files, those that a shell, sed, printf or a table of paths may trip over among them.
var names = []string{
	"conf", "app.conf", "a b", "it's", `q"q`, "ünï", "-dash", "$HOME", "per%cent%s", `back\slash`, "glob*", "[br]", "~", "a:b", "#hash", "semi;colon", "&", "(p)",
	"`tick`", "new.old", ".hidden", "%", "a=b", "two  blanks", "trailing ", "!", "a|b", "'", "{}",
}

// dir is a directory to put something into. One that an earlier step makes is as good as one that is there.
func (g *generator) dir() string { return g.pick("dir", g.dirs...) }

// fresh is a path that nothing else is about.
func (g *generator) fresh() string {
	return path.Join(g.dir(), fmt.Sprintf("%d%s", g.n, g.pick("name", names...)))
}

// pathFor is such a path, or seldom one whose directory is missing and never comes.
func (g *generator) pathFor(s *Step) string {
	if g.chance("no directory", 3) {
		dir := fmt.Sprintf("/srv/none%d", g.n)
		g.made[dir] = true // nothing can be there
		g.expect(s, Lacking, "there is no directory "+dir)
		return dir + "/x"
	}
	return g.fresh()
}

// A block is a step as it is being written.
type block struct {
	kind, name string
	lines      []string
}

func (b *block) expr(name, expression string) {
	b.lines = append(b.lines, fmt.Sprintf("  %s = %s\n", name, expression))
}

func (b *block) str(name, value string) { b.expr(name, quote(value)) }

func (b *block) text() string {
	return fmt.Sprintf("step %q %q {\n%s}\n", b.kind, b.name, strings.Join(b.lines, ""))
}

func (g *generator) block(kind string) *block {
	return &block{kind: kind, name: fmt.Sprintf("s%d", g.n)}
}

// add puts a step into the playbook, with arguments that every step may have.
func (g *generator) add(b *block, s *Step) {
	s.Kind, s.Addr = b.kind, "step."+b.kind+"."+b.name
	g.common(b, s)
	g.scene.Blocks = append(g.scene.Blocks, b.text())
	g.scene.Steps = append(g.scene.Steps, s)
	g.earlier = append(g.earlier, s)
}

// common draws when, tags, retries and continue_on_error.
func (g *generator) common(b *block, s *Step) {
	switch g.number("meta", 0, 19) {
	case 19:
		b.expr("when", "fact.os.id == \"alpine\"")
		s.Skip, s.Outlook = true, Fine
	case 18:
		b.expr("when", "host.name == \"h1\"")
	case 17:
		b.expr("when", "fact.is_root")
	case 16:
		b.expr("tags", `["a", "b"]`)
	case 15:
		if b.kind != "wait_for" { // it has a timeout of its own
			b.str("timeout", "5m")
		}
	case 12, 13:
		if s.Outlook == Fine && len(g.earlier) > 0 && len(s.Sources) == 0 && slices.Contains([]string{"file", "line", "ini", "symlink", "hosts_entry", "block", "replace"}, b.kind) {
			s.Sources = g.sources()
			b.expr("on_change", addrs(s.Sources))
		}
	case 14:
		if s.Outlook != Fine {
			b.expr("continue_on_error", "true")
			s.Proceed = true
		}
	}
}

// sources returns some earlier steps as a list for on_change.
func (g *generator) sources() []*Step {
	var list []*Step
	for range g.number("sources", 1, 2) {
		s := g.earlier[g.number("source", 0, len(g.earlier)-1)]
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

func addrs(list []*Step) string {
	var words []string
	for _, s := range list {
		words = append(words, s.Addr)
	}
	return "[" + strings.Join(words, ", ") + "]"
}

func (g *generator) step() {
	kinds := []struct {
		weight int
		draw   func()
	}{
		{6, g.file},
		{4, g.directory},
		{3, g.symlink},
		{4, g.line},
		{4, g.ini},
		{3, g.hostsEntry},
		{3, g.blockStep},
		{3, g.replace},
		{2, g.envFile},
		{4, g.commandStep},
		{5, g.user},
		{2, g.group},
		{2, g.authorizedKey},
		{2, g.download},
		{2, g.archive},
		{2, g.reference},
		{3, g.sync},
		{1, g.many},
		{2, g.git},
		{1, g.sourceBuild},
		{2, g.waitFor},
		{3, g.cron},
		{3, g.alternatives},
		{3, g.sysctl},
		{4, g.pair},
	}
	total := 0
	for _, k := range kinds {
		total += k.weight
	}
	at := g.number("kind", 0, total-1)
	for _, k := range kinds {
		if at -= k.weight; at < 0 {
			k.draw()
			return
		}
	}
}
