package truth

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"os/exec"
	"path"
	"strings"
	"sync"
	"time"

	"provision/internal/event"
	"provision/internal/steps"
)

// A leaf is a file, link or directory of a tree, by its path in the tree.
type leaf struct {
	name, content, target string
	mode                  uint32
}

var leaves = []leaf{
	{name: "README", content: "read me\n", mode: 0o644},
	{name: "bin/run", content: "#!/bin/sh\n", mode: 0o755},
	{name: "a b/it's", content: "odd\n", mode: 0o644},
	{name: "link", target: "README"},
	{name: "-dash", content: "", mode: 0o644},
	{name: "deep/er/file", content: "\x00\xff", mode: 0o644},
	{name: "a b/ü$x", content: "u\n", mode: 0o755},
}

func (g *generator) leaves() []leaf {
	list := []leaf{leaves[0]}
	for _, l := range leaves[1:] {
		if g.chance("leaf", 45) {
			list = append(list, l)
		}
	}
	return list
}

// packed is a tar archive of leaves below one directory.
func packed(list []leaf, top string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, l := range list {
		h := &tar.Header{Name: top + "/" + l.name, Mode: int64(l.mode), Size: int64(len(l.content)), ModTime: time.Unix(1_400_000_000, 0), Typeflag: tar.TypeReg, Format: tar.FormatPAX}
		if l.target != "" {
			h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, l.target, 0o777
		}
		_ = w.WriteHeader(h) // to memory: it cannot fail
		_, _ = w.Write([]byte(l.content))
	}
	_ = w.Close()
	_ = z.Close()
	return b.String()
}

// inTree looks whether the leaves of a tree lie below a directory, with the content, the owner and the mode that they must have.
func (j *Judge) inTree(dir string, list []leaf, owner string, mode func(name string, l leaf) uint32) {
	for _, l := range list {
		name := path.Join(dir, l.name)
		e := j.After.Files[name]
		switch {
		case e == nil:
			j.say("%s is not there", name)
		case l.target != "" && (e.Type != "symlink" || e.Target != l.target):
			j.say("%s is no link to %s", name, l.target)
		case l.target == "" && (e.Type != "file" || e.Content != l.content):
			j.say("%s holds %q, and %q is wanted", name, e.Content, l.content)
		case l.target == "" && e.Mode != mode(name, l):
			j.say("the mode of %s is %04o, and %04o is wanted", name, e.Mode, mode(name, l))
		case owner != "" && !owns(owner, e.UID, j.After.uidOf):
			j.say("%s belongs to %d, and %s is wanted", name, e.UID, owner)
		}
	}
}

// explainLeaves marks the leaves of a tree and the directories on the way to them.
func (j *Judge) explainLeaves(dir string, list []leaf) {
	for _, l := range list {
		name := path.Join(dir, l.name)
		j.explain(name)
		for up := path.Dir(name); up != dir && up != "/"; up = path.Dir(up) {
			if j.Before.Files[up] == nil {
				j.explain(up)
			}
		}
	}
	for up := dir; j.Before.Files[up] == nil && up != "/"; up = path.Dir(up) {
		j.explain(up)
	}
}

func (g *generator) archive() {
	b, s := g.block("archive"), &Step{}
	dest, list, strip := g.fresh(), g.leaves(), 0
	top := dest
	data := packed(list, "top")
	if strip = g.number("strip", 0, 1); strip == 0 {
		top = path.Join(dest, "top")
	} else {
		b.expr("strip", "1")
	}
	b.str("dest", dest)
	switch g.number("from", 0, 2) {
	case 0:
		g.scene.Local = append(g.scene.Local, Placed{Path: b.name + ".tgz", Type: "file", Mode: 0o644, Content: data})
		b.str("source", b.name+".tgz")
	case 1:
		g.place(Placed{Path: "/srv/pool/" + b.name, Type: "file", Mode: 0o644, Content: data})
		b.str("file", "/srv/pool/"+b.name)
	case 2:
		g.place(Placed{Path: "/srv/pool/" + b.name, Type: "file", Mode: 0o644, Content: data})
		b.str("url", "file:///srv/pool/"+b.name)
		b.str("sha256", sumOf(data))
	}
	owner := ""
	if g.chance("owner?", 30) {
		owner = g.pick("owner", g.owners...)
		b.str("owner", owner)
	}
	key := fmt.Sprintf("%s strip=%d", sumOf(data), strip)
	plain := key
	if owner != "" {
		key += " owner=" + owner
	}
	creates := ""
	if g.chance("creates", 30) {
		creates = path.Join(top, "README")
		b.str("creates", creates)
	}
	mark := path.Join(dest, ".provision-archive")
	done, given := false, false // given: it is there, and was given to nobody
	if !g.made[path.Dir(dest)] {
		switch g.number("there", 0, 6) {
		case 0, 1:
		case 5: // of another archive
			g.place(Placed{Path: mark, Type: "file", Mode: 0o644, Content: "0123 strip=0\n"})
		case 6:
			g.place(Placed{Path: dest, Type: g.pick("type", "file", "symlink", "fifo"), Mode: 0o644, Target: "nowhere"})
			g.expect(s, PlanError, "its destination is no directory")
		case 2: // what must stay
			g.place(Placed{Path: path.Join(dest, "own"), Type: "file", Mode: 0o600, Content: "own\n"})
		case 3: // files of an older archive
			g.place(Placed{Path: path.Join(top, "README"), Type: "file", Mode: 0o600, UID: 4711, Content: "old\n"})
			done = creates != ""
		case 4: // it is there already
			done = true
			for _, l := range list {
				p := Placed{Path: path.Join(top, l.name), Type: "file", Mode: l.mode, UID: uids[owner], Content: l.content, Target: l.target}
				if l.target != "" {
					p.Type = "symlink"
				}
				g.place(p)
			}
			if creates == "" {
				marked := key
				if owner != "" && g.chance("given to nobody", 30) {
					marked, done, given = plain, false, true
				}
				g.place(Placed{Path: mark, Type: "file", Mode: 0o644, Content: marked + "\n"})
			}
		}
	}
	s.Explain = func(j *Judge, p *event.PlanStep) {
		if (p.Action == steps.NoOp) != done {
			j.say("the plan says %s, and the archive is unpacked: %v", p.Action, done)
		}
		if p.Action == steps.NoOp {
			return
		}
		want, action := steps.Attr{Name: "dest", BeforeMissing: true, After: dest}, steps.Create
		switch {
		case creates != "":
			want = steps.Attr{Name: "creates", BeforeMissing: true, After: creates}
		case given:
			want, action = steps.Attr{Name: "owner", BeforeMissing: true, After: owner}, steps.Update
		case j.Before.Files[mark] != nil:
			want, action = steps.Attr{Name: "archive", Before: strings.TrimSuffix(j.Before.Files[mark].Content, "\n"), After: key}, steps.Update
		case j.Before.Files[dest] != nil:
			want, action = steps.Attr{Name: "archive", BeforeMissing: true, After: key}, steps.Update
		}
		if p.Action != action || len(p.Diff) != 1 || p.Diff[0] != want {
			j.say("the plan says %s %+v, and it is %s %+v", p.Action, p.Diff, action, want)
		}
		j.explain(path.Dir(dest), attrMtime) // it is sent beside its destination
		j.explainLeaves(top, list)
		j.explainLeaves(dest, []leaf{{name: ".provision-archive"}})
		if is := j.After.Files[mark]; (is == nil) != (creates != "") || is != nil && is.Content != key+"\n" {
			j.say("the mark in %s is %+v, and creates is %q", dest, is, creates)
		}
	}
	s.Wish = func(j *Judge) {
		if !done {
			j.inTree(top, list, owner, func(_ string, l leaf) uint32 { return l.mode })
			for _, l := range list {
				if e := j.After.Files[path.Join(top, l.name)]; owner == "" && e != nil && e.UID != 0 {
					j.say("%s belongs to %d, and not to who ran the step", l.name, e.UID)
				}
			}
		}
	}
	g.add(b, s)
}

func (g *generator) sync() {
	b, s := g.block("sync"), &Step{}
	dest, list := g.fresh(), g.leaves()
	for _, l := range list {
		p := Placed{Path: b.name + ".d/" + l.name, Type: "file", Mode: l.mode, Content: l.content, Target: l.target}
		if l.target != "" {
			p.Type = "symlink"
		}
		g.scene.Local = append(g.scene.Local, p)
	}
	b.str("source", b.name+".d")
	b.str("dest", dest)
	remove := g.chance("delete", 40)
	if remove {
		b.expr("delete", "true")
	}
	owner := ""
	if g.chance("owner?", 30) {
		owner = g.pick("owner", g.owners...)
		b.str("owner", owner)
	}
	extra := false
	if !g.made[path.Dir(dest)] && g.chance("there", 65) {
		g.place(Placed{Path: dest, Type: "directory", Mode: 0o755, UID: uids[owner]})
		for _, l := range list {
			p := Placed{Path: path.Join(dest, l.name), Type: "file", Mode: l.mode, UID: uids[owner], Content: l.content, Target: l.target}
			if l.target != "" {
				p.Type = "symlink"
			}
			switch g.number("leaf there", 0, 9) {
			case 0, 1:
				continue
			case 2:
				p.Content += "other"
				if p.Type == "symlink" {
					p.Target = "elsewhere"
				}
			case 3:
				p.Mode = octal(g.pick("mode of a leaf", "0600", "0755", "0644", "4755", "0750"))
			case 4:
				p.UID = 1002
			case 5:
				p.Content, p.Mode, p.UID = "all is different", octal(g.pick("mode of a leaf", "0600", "0755", "0640", "2755")), 1002
				if p.Type == "symlink" {
					p.Target = "far away"
				}
			}
			g.place(p)
		}
		// Directories on the way have the mode and the owner that they get.
		for _, l := range list {
			for up := path.Dir(l.name); up != "."; up = path.Dir(up) {
				g.place(Placed{Path: path.Join(dest, up), Type: "directory", Mode: 0o755, UID: uids[owner]})
			}
		}
		if extra = g.chance("extra", 40); extra {
			g.tree(path.Join(dest, "extra"))
		}
	}
	s.Explain = func(j *Judge, p *event.PlanStep) { j.sync(p, dest, list, owner, remove) }
	s.Wish = func(j *Judge) {
		j.inTree(dest, list, owner, func(name string, l leaf) uint32 {
			// A file that was there keeps its mode, unless the right to execute differs or it is setuid or setgid.
			if b := j.Before.Files[name]; b != nil && b.Type == "file" && b.Mode&0o6100 == l.mode&0o100 {
				return b.Mode
			}
			return l.mode
		})
		if there := j.After.Files[path.Join(dest, "extra")] != nil; there != (extra && !remove) {
			j.say("what the local tree does not have is there: %v", there)
		}
	}
	g.add(b, s)
}

func (j *Judge) sync(p *event.PlanStep, dest string, list []leaf, owner string, remove bool) {
	if p.Action == steps.NoOp {
		return
	}
	if (p.Action == steps.Create) != (j.Before.Files[dest] == nil) {
		j.say("the plan says %s of %s, which does not fit what was there", p.Action, dest)
	}
	named, modes := map[string]steps.Attr{}, map[string]bool{}
	for _, a := range p.Diff {
		if a.Before == "mode differs" {
			modes[a.Name] = true
		} else {
			named[a.Name] = a
		}
	}
	for _, l := range list {
		name := path.Join(dest, l.name)
		b, e := j.Before.Files[name], j.After.Files[name]
		if e == nil {
			continue // the wish says so
		}
		a, told := named[l.name]
		if differs := b == nil || b.Sum != e.Sum || b.Target != e.Target || b.Type != e.Type; differs != told {
			j.say("the plan names %s: %v, and it differs: %v", l.name, told, differs)
		}
		if told && a.BeforeMissing != (b == nil) {
			j.say("the plan says that %s is new: %v", l.name, a.BeforeMissing)
		}
		switch {
		case told && (b == nil || b.Type != e.Type):
			j.explainLeaves(dest, []leaf{l})
		case told: // its owner and mode stay
			j.explain(name, attrContent, attrTarget, attrInode, attrMtime)
		}
		if modes[l.name] {
			j.changed(name, attrMode)
		}
	}
	for up := dest; j.Before.Files[up] == nil && up != "/"; up = path.Dir(up) {
		j.explain(up)
	}
	// What travels is unpacked in the destination, or beside it.
	j.explain(dest, attrMtime)
	j.explain(path.Dir(dest), attrMtime)
	for _, d := range j.diffs {
		below := strings.HasPrefix(d.Path, dest+"/") || d.Path == dest
		if _, told := named["owner"]; told && below && d.Attr == attrUID {
			j.explain(d.Path, d.Attr)
		}
		if _, told := named["directories"]; told && below && d.Attr == attrExists && d.After == "directory" {
			j.explain(d.Path)
		}
		if rel, in := strings.CutPrefix(d.Path, dest+"/"); in && remove && d.Attr == attrExists && d.After == "" {
			for name := range named {
				if rel == name || strings.HasPrefix(rel, name+"/") || strings.HasPrefix(name, rel+"/") || strings.Contains(rel, "\xe9") {
					j.explain(d.Path)
				}
			}
		}
	}
}

// upstream is a repository of two commits, made once: its files by their path, and the ids of the commits.
var upstream = sync.OnceValues(func() (map[string]Placed, []string) {
	return makeUpstream()
})

func makeUpstream() (map[string]Placed, []string) {
	out, err := exec.Command("/bin/sh", "-ec", upstreamScript).Output()
	if err != nil {
		panic(fmt.Sprintf("making a repository: %v", err))
	}
	r := tar.NewReader(bytes.NewReader(out))
	files := map[string]Placed{}
	var ids []string
	for {
		h, err := r.Next()
		if err != nil {
			return files, ids
		}
		var content bytes.Buffer
		_, _ = content.ReadFrom(r)
		switch name := path.Clean(h.Name); {
		case name == "ids":
			ids = strings.Fields(content.String())
		case h.Typeflag == tar.TypeReg:
			files[name] = Placed{Type: "file", Mode: uint32(h.Mode) & 0o7777, Content: content.String()}
		case h.Typeflag == tar.TypeDir:
			files[name] = Placed{Type: "directory", Mode: uint32(h.Mode) & 0o7777}
		}
	}
}

const upstreamScript = `d=$(mktemp -d); cd "$d"; exec 3>&1 >/dev/null 2>&1
export GIT_CONFIG_NOSYSTEM=1 HOME="$d" GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z'
git init -q --bare up.git; git --git-dir=up.git symbolic-ref HEAD refs/heads/main
git init -q work; cd work; git checkout -q -b main
c() { git -c user.name=demo -c user.email=demo@example.org -c gc.auto=0 commit -q -m "$1"; git rev-parse HEAD >>../ids; }
echo one >README; mkdir 'a b'; echo x >'a b/x'; git add .; c one; git tag v1
echo two >README; ln -s README link; git add .; c two; git push -q ../up.git main v1
cd ..; rm -rf up.git/hooks; tar -cf - ids up.git >&3; cd /; rm -rf "$d"`

func (g *generator) git() {
	b, s := g.block("git"), &Step{}
	dest := g.fresh()
	files, ids := upstream()
	for _, name := range sorted(files) {
		p := files[name]
		p.Path = "/srv/pool/" + b.name + "/" + name
		g.place(p)
	}
	repo := "/srv/pool/" + b.name + "/up.git"
	b.str("repo", "file://"+repo)
	b.str("dest", dest)
	commit := ids[1]
	switch g.number("ref", 0, 3) {
	case 1:
		b.str("ref", "main")
	case 2:
		b.str("ref", "v1")
		commit = ids[0]
	case 3:
		commit = ids[g.number("commit", 0, 1)]
		b.str("ref", commit)
	}
	if !g.made[path.Dir(dest)] && g.chance("in the way", 10) {
		g.place(Placed{Path: path.Join(dest, "README"), Type: "file", Mode: 0o644, Content: "mine\n"})
		g.expect(s, Unsure, "there is a file in the way")
	}
	s.Explain = func(j *Judge, p *event.PlanStep) {
		if p.Action != steps.NoOp {
			j.trees = append(j.trees, dest)
			for up := dest; j.Before.Files[up] == nil && up != "/"; up = path.Dir(up) {
				j.explain(up)
			}
		}
	}
	s.Wish = func(j *Judge) {
		want := map[string]string{ids[0]: "one\n", ids[1]: "two\n"}[commit]
		if e := j.After.Files[path.Join(dest, "README")]; e == nil || e.Content != want {
			j.say("%s is not checked out at %s", dest, commit)
		}
	}
	g.add(b, s)
}

func (g *generator) sourceBuild() {
	if g.tried["source_build"] {
		g.commandStep()
		return
	}
	g.tried["source_build"] = true
	b, s := g.block("source_build"), &Step{}
	prefix := "/opt/built"
	data := packed([]leaf{
		{name: "greet", content: "#!/bin/sh\necho greet 1.2\n", mode: 0o755},
		{name: "Makefile", content: "all:\n\ninstall:\n\tmkdir -p " + prefix + " && install -m 755 greet " + prefix + "/greet\n", mode: 0o644},
	}, "greet-1.2")
	g.scene.Local = append(g.scene.Local, Placed{Path: "greet-1.2.tar.gz", Type: "file", Mode: 0o644, Content: data})
	b.str("source", "greet-1.2.tar.gz")
	b.expr("tools", `["make"]`)
	b.str("prefix", prefix)
	b.str("work_dir", "/var/tmp/build")
	b.expr("installed", fmt.Sprintf("{ command = \"%s/greet --version\", version = \"1.2\" }", prefix))
	is := g.pick("installed", "", "1.2", "1.1")
	if is != "" {
		g.place(Placed{Path: prefix + "/greet", Type: "file", Mode: 0o755, Content: "#!/bin/sh\necho greet " + is + "\n"})
	}
	s.Explain = func(j *Judge, p *event.PlanStep) {
		if p.Action == steps.NoOp {
			return
		}
		if is == "1.2" || len(p.Diff) != 1 || p.Diff[0].Before != is || p.Diff[0].After != "1.2" {
			j.say("the plan says %+v, and %q is installed", p.Diff, is)
		}
		for _, name := range []string{prefix, prefix + "/greet", "/etc/ld.so.cache", "/etc/ld.so.cache~", "/var/tmp/build"} {
			j.explain(name)
		}
		j.explain("/var/tmp", attrMtime)
		j.trees = append(j.trees, "/var/cache/ldconfig")
	}
	s.Wish = func(j *Judge) {
		if e := j.After.Files[prefix+"/greet"]; e == nil || !strings.Contains(e.Content, "1.2") {
			j.say("greet 1.2 is not installed")
		}
		for name := range j.After.Files {
			if strings.HasPrefix(name, "/var/tmp/build/") {
				j.say("%s is left of the build", name)
			}
		}
	}
	g.add(b, s)
}
