package truth

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"provision/internal/event"
	"provision/internal/steps"
)

const otherHash = "$6$saltsalt$V2q8Yz2fD1mN4l9sD0pQ3rT5uW7yA9cE1gI3kM5oQ7sU9wY1zB3dF5hJ7lN9pR1tV3xZ5"

func (g *generator) group() {
	b, s := g.block("group"), &Step{}
	name := g.pick("group", "wheel", "deploy", "empty", "newgroup", "builders", "docker", "staff")
	if g.tried["group "+name] {
		g.file()
		return
	}
	g.tried["group "+name] = true
	b.str("name", name)
	volatile := name == "empty"
	gid := ""
	switch {
	case volatile && g.chance("absent", 50), name == "docker":
		b.str("state", "absent")
		s.Wish = func(j *Judge) {
			if _, there := j.After.Accounts.Groups[name]; there {
				j.say("the group %s is there", name)
			}
		}
	default:
		if volatile || strings.HasPrefix(name, "new") || name == "builders" {
			if g.chance("gid", 50) {
				gid = g.pick("gid", "301", "2301", "2302")
				if g.tried["gid "+gid] && !(volatile && gid == "301") {
					gid = ""
				} else {
					g.tried["gid "+gid] = true
					if gid == "301" && !volatile {
						gid = ""
					} else {
						b.expr("gid", gid)
					}
				}
			} else if g.chance("system", 30) {
				b.expr("system", "true")
			}
		}
		s.Wish = func(j *Judge) {
			is, there := j.After.Accounts.Groups[name]
			if !there || gid != "" && is.GID != gid {
				j.say("the group %s is %+v, and gid %s is wanted", name, is, gid)
			}
		}
	}
	s.Explain = func(j *Judge, p *event.PlanStep) {
		if p.Action == steps.NoOp {
			return
		}
		j.accountsChanged()
		subject := "group " + name
		was, is := j.Before.Accounts.Groups[name], j.After.Accounts.Groups[name]
		for _, a := range p.Diff {
			switch {
			case a.Name == "name":
				j.changed(subject, attrExists)
			case a.Name == "gid" && p.Action == steps.Update:
				j.changed(subject, "gid")
				if a.Before != was.GID || a.After != is.GID {
					j.say("the plan says gid %s → %s, and it was %s → %s", a.Before, a.After, was.GID, is.GID)
				}
			case a.Name == "gid" && a.After == is.GID:
			default:
				j.say("the plan says %+v", a)
			}
		}
	}
	g.add(b, s)
	if s.Skip {
		return
	}
	if !volatile && name != "docker" {
		g.groups = append(g.groups, name)
	}
}

func (g *generator) user() {
	b, s := g.block("user"), &Step{}
	name := g.pick("user", "ann", "bob", "carol", "eve", "mallory", "dave", "frank", "grace")
	if g.tried["user "+name] {
		g.symlink()
		return
	}
	g.tried["user "+name] = true
	exists := !slices.Contains([]string{"dave", "frank", "grace"}, name)
	volatile := name == "eve" || name == "mallory"
	b.str("name", name)
	want := map[string]string{}
	if volatile && g.chance("absent", 40) || name == "grace" {
		b.str("state", "absent")
		removeHome := g.chance("remove_home", 30)
		if removeHome {
			b.expr("remove_home", "true")
		}
		if name == "mallory" && g.chance("home", 50) {
			g.tree("/home/mallory")
			g.place(Placed{Path: "/home/mallory", Type: "directory", Mode: 0o700, UID: 1006, GID: 1006})
		}
		s.Explain = func(j *Judge, p *event.PlanStep) {
			if p.Action == steps.NoOp {
				return
			}
			j.accountsChanged()
			j.changed("user "+name, attrExists)
			j.explain("group "+name, attrExists) // the group of its own goes with it
			for other := range j.Before.Accounts.Groups {
				j.explain("group "+other, "member "+name)
			}
			if removeHome {
				j.trees = append(j.trees, j.Before.Accounts.Users[name].Home)
			}
		}
		s.Wish = func(j *Judge) {
			if _, there := j.After.Accounts.Users[name]; there {
				j.say("the user %s is there", name)
			}
		}
		g.add(b, s)
		return
	}
	set := func(key, value string) {
		want[key] = value
		b.str(key, value)
	}
	if g.chance("shell", 40) {
		set("shell", g.pick("shell of", "/bin/sh", "/bin/bash", "/usr/sbin/nologin"))
	}
	if g.chance("comment", 30) {
		set("comment", g.pick("comment of", "", "Ann Smith,,,", "Ünï Cödé", "it's \"q\" $x"))
	}
	if g.chance("home of", 15) && !g.tried["home "+name] {
		set("home", "/srv/"+name)
	}
	if !exists && g.chance("no home", 40) {
		b.expr("create_home", "false")
		want["no home"] = "yes"
	}
	if volatile && g.chance("uid", 30) {
		want["uid"] = g.pick("uid of", "1005", "1006", "2005", "2006")
		if want["uid"] == "1005" && name != "eve" || want["uid"] == "1006" && name != "mallory" || g.tried["uid "+want["uid"]] {
			delete(want, "uid")
		} else {
			g.tried["uid "+want["uid"]] = true
			b.expr("uid", want["uid"])
		}
	}
	if g.chance("primary group", 20) {
		set("group", g.pick("group of", "users", "staff"))
	}
	var groups []string
	exclusive := false
	if g.chance("groups", 45) {
		for _, name := range []string{"wheel", "staff", "deploy"} {
			if g.chance("member", 50) {
				groups = append(groups, name)
			}
		}
		b.expr("groups", hclList(groups))
		exclusive = g.chance("exclusive", 40)
		if exclusive {
			b.expr("exclusive", "true")
		}
	} else {
		groups = nil
	}
	hash := ""
	if g.chance("password", 20) {
		hash = g.pick("hash", "$5$salt$8cXcXmkXtW4hBtUUwcRXMmq3PV0a9rj4sMJfUKZpPj/", otherHash)
		b.str("password_hash", hash)
	}
	lock := ""
	if g.chance("lock", 25) {
		lock = g.pick("locked", "true", "false")
		b.expr("lock", lock)
	}
	if want["group"] != "" && slices.Contains(groups, want["group"]) {
		want["primary among"] = "yes"
	}
	s.Explain = func(j *Judge, p *event.PlanStep) { j.user(p, name, want, groups) }
	s.Wish = func(j *Judge) {
		is, there := j.After.Accounts.Users[name]
		if !there {
			j.say("the user %s is not there", name)
			return
		}
		gid := ""
		if want["group"] != "" {
			gid = j.After.Accounts.Groups[want["group"]].GID
		}
		for _, c := range []struct{ what, is, wanted string }{
			{"shell", is.Shell, want["shell"]},
			{"home", is.Home, want["home"]},
			{"uid", is.UID, want["uid"]},
			{"primary group", is.GID, gid},
			{"password", strings.TrimLeft(is.Hash, "!"), hash},
		} {
			if c.wanted != "" && c.is != c.wanted {
				j.say("%s of %s is %q, and %q is wanted", c.what, name, c.is, c.wanted)
			}
		}
		if c, given := want["comment"]; given && is.Comment != c {
			j.say("the comment of %s is %q, and %q is wanted", name, is.Comment, c)
		}
		member := j.After.Accounts.groupsOf(name)
		for _, g := range groups {
			if !slices.Contains(member, g) && g != want["group"] {
				j.say("%s is not in %s", name, g)
			}
		}
		if exclusive {
			for _, g := range member {
				if !slices.Contains(groups, g) {
					j.say("%s is still in %s", name, g)
				}
			}
		}
		if locked := strings.HasPrefix(is.Hash, "!"); lock == "true" && !locked && is.Hash != "*" || lock == "false" && locked && strings.Trim(is.Hash, "!*") != "" {
			j.say("the password of %s is %q, and lock = %s is wanted", name, is.Hash, lock)
		}
	}
	g.add(b, s)
	if !exists && !s.Skip {
		g.owners = append(g.owners, name)
	}
	if home := want["home"]; home != "" || exists || s.Skip {
		return
	} else if want["no home"] == "" {
		g.dirs = append(g.dirs, "/home/"+name)
		g.made["/home/"+name] = true
	}
}

func hclList(words []string) string {
	var list []string
	for _, w := range words {
		list = append(list, quote(w))
	}
	return "[" + strings.Join(list, ", ") + "]"
}

func (j *Judge) user(p *event.PlanStep, name string, want map[string]string, groups []string) {
	if p.Action == steps.NoOp {
		return
	}
	j.accountsChanged()
	subject := "user " + name
	was, existed := j.Before.Accounts.Users[name]
	is := j.After.Accounts.Users[name]
	if p.Action == steps.Create {
		if existed {
			j.say("the plan says that the user is created, and it was there")
		}
		j.explain(subject)
		j.explain("group " + name)
		for _, g := range groups {
			j.explain("group "+g, "member "+name)
		}
		if want["no home"] == "" {
			j.explain(is.Home)
		}
	}
	for _, a := range p.Diff {
		before, after := "", ""
		switch a.Name {
		case "name":
			j.changed(subject, attrExists)
			continue
		case "uid":
			before, after = was.UID, is.UID
			// usermod(8) gives the files in the home to the new number.
			for _, d := range j.diffs {
				if strings.HasPrefix(d.Path+"/", was.Home+"/") && d.Attr == attrUID {
					j.explain(d.Path, d.Attr)
				}
			}
		case "group":
			before, after = j.Before.Accounts.groupOf(was.GID), j.After.Accounts.groupOf(is.GID)
			j.explain(subject, "gid")
			// usermod(8) gives the files in the home that belong to the old group to the new one.
			for _, d := range j.diffs {
				if strings.HasPrefix(d.Path+"/", was.Home+"/") && d.Attr == attrGID {
					j.explain(d.Path, d.Attr)
				}
			}
		case "shell":
			before, after = was.Shell, is.Shell
		case "home":
			before, after = was.Home, is.Home
		case "files in its home":
			for _, name := range strings.Split(a.After, ", ") {
				j.changed(is.Home+"/"+name, attrExists)
			}
			continue
		case "comment":
			before, after = was.Comment, is.Comment
		case "groups":
			if existed {
				j.groups(a, name, groups)
			}
			continue
		case "password_hash":
			j.explain(subject, "hash")
			if existed && strings.TrimLeft(was.Hash, "!") == strings.TrimLeft(is.Hash, "!") {
				j.say("the plan says that the password changes, and it does not")
			}
			if !a.Sensitive || a.Before+a.After != "" {
				j.say("the plan shows a hash")
			}
			continue
		case "lock":
			j.explain(subject, "hash")
			// "!" alone is no password, locked or not.
			none := strings.Trim(was.Hash, "!*") == ""
			if existed && !none && strconv.FormatBool(strings.HasPrefix(was.Hash, "!")) != a.Before || a.After != strconv.FormatBool(strings.HasPrefix(is.Hash, "!")) {
				j.say("the plan says lock %s → %s, and the password was %q and is %q", a.Before, a.After, was.Hash, is.Hash)
			}
			continue
		default:
			j.say("the plan names an attribute %q that is not known", a.Name)
			continue
		}
		if a.After != after || existed && a.Before != before {
			j.say("the plan says %s %q → %q, and it was %q → %q", a.Name, a.Before, a.After, before, after)
		}
		if existed && before == after {
			j.say("the plan says that %s of %s changes, and it does not", a.Name, name)
		}
		j.explain(subject, a.Name)
	}
}

// groups checks that the members of groups change as a plan says. The plan lists those that matter to the step.
func (j *Judge) groups(a steps.Attr, name string, wanted []string) {
	was, is := splitList(a.Before), splitList(a.After)
	for group := range j.Before.Accounts.Groups {
		d, differs := j.differs[[2]string{"group " + group, "member " + name}]
		says := slices.Contains(was, group) != slices.Contains(is, group)
		if says != differs {
			j.say("the plan says groups %q → %q, and the membership in %s changes: %v %s", a.Before, a.After, group, differs, d)
		}
		if differs {
			j.explain("group "+group, "member "+name)
		}
	}
}

func splitList(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ", ")
}

func (a Accounts) groupOf(gid string) string {
	for _, name := range sorted(a.Groups) {
		if a.Groups[name].GID == gid {
			return name
		}
	}
	return gid
}

var publicKeys = []string{
	"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ/CaQ0/qxG/1uv/8eTPGOUH46HD+c8A59rhnvcCT+Wb",
	"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG81MVPyKDkfIRvTz+/HU56khMF0lfugpGc38qMCb4UO",
}

func (g *generator) authorizedKey() {
	b, s := g.block("authorized_key"), &Step{}
	name := g.pick("key of", "ann", "carol", "root")
	if g.tried["key "+name] || g.tried["user "+name] {
		g.directory()
		return
	}
	g.tried["key "+name] = true
	home, uid, gid := map[string]string{"ann": "/home/ann", "carol": "/home/carol", "root": "/root"}[name], uids[name], map[string]int{"ann": 1001, "carol": 100}[name]
	g.tried["home "+name] = true
	b.str("user", name)
	key := publicKeys[0] + g.pick("comment of the key", "", " ann@laptop", " it's me")
	options := ""
	if g.chance("options", 30) {
		options = g.pick("options of the key", "no-pty ", `from="10.0.0.1,!x",command="a \"b\" c" `)
	}
	b.expr("keys", hclList([]string{options + key}))
	exclusive, absent := g.chance("exclusive", 30), false
	if exclusive {
		b.expr("exclusive", "true")
	} else if absent = g.chance("absent", 25); absent {
		b.str("state", "absent")
	}
	d := Placed{Path: home + "/.ssh", Type: "directory", Mode: 0o700, UID: uid, GID: gid}
	f := Placed{Path: home + "/.ssh/authorized_keys", Type: "file", Mode: 0o600, UID: uid, GID: gid, Content: options + key + "\n"}
	switch g.number("there", 0, 8) {
	case 0:
		d.Type = ""
	case 1:
		f.Type = ""
	case 2, 3, 4:
	case 5:
		f.Content = "# keys\n" + publicKeys[1] + " other\n" + publicKeys[0] + " old comment"
	case 6:
		f.Content, f.Mode = publicKeys[1]+"\r\n\nnonsense here\n", 0o644
	case 7:
		d.Mode = 0o755
	case 8:
		f = Placed{Path: f.Path, Type: g.pick("type", "symlink", "directory"), Mode: 0o700, Target: "/etc/hosts"}
		g.expect(s, PlanError, "it is no file")
	}
	if d.Type != "" {
		g.place(d)
		if f.Type != "" {
			g.place(f)
		}
	}
	s.Explain = func(j *Judge, p *event.PlanStep) {
		if p.Action == steps.NoOp {
			return
		}
		if (p.Action == steps.Create) != (j.Before.Files[f.Path] == nil) {
			j.say("the plan says %s, which does not fit what was there", p.Action)
		}
		if p.Action == steps.Create {
			j.explain(f.Path)
			if j.Before.Files[d.Path] == nil {
				j.explain(d.Path)
			} else if j.Before.Files[d.Path].Mode != 0o700 {
				j.explain(d.Path, attrMode)
			}
		}
		content := false
		for _, a := range p.Diff {
			switch a.Name {
			case "key":
				content = true
			case "mode of .ssh":
				j.changed(d.Path, attrMode)
			case "mode of authorized_keys":
				j.changed(f.Path, attrMode)
			default:
				j.say("the plan names an attribute %q that is not known", a.Name)
			}
		}
		if p.Action == steps.Update {
			// It is written as a whole.
			j.explain(f.Path, attrInode, attrMtime)
			if content {
				j.changed(f.Path, attrContent)
			}
		}
	}
	s.Wish = func(j *Judge) {
		e := j.After.Files[f.Path]
		if e == nil {
			if !absent {
				j.say("%s is not there", f.Path)
			}
			return
		}
		if has := strings.Contains(e.Content, publicKeys[0]); has == absent {
			j.say("%s has the key: %v, %q", f.Path, has, e.Content)
		}
		if exclusive && strings.Contains(e.Content, publicKeys[1]) {
			j.say("%s has another key: %q", f.Path, e.Content)
		}
		if !absent && (e.Mode != 0o600 || fmt.Sprint(e.UID) != j.After.Accounts.Users[name].UID) {
			j.say("%s has mode %04o and belongs to %d", f.Path, e.Mode, e.UID)
		}
	}
	g.add(b, s)
}
