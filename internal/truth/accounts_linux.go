package truth

import (
	"fmt"
	"slices"
	"strings"
)

// Accounts are the users and groups of a host, as its files tell.
type Accounts struct {
	Users  map[string]User
	Groups map[string]Group
}

// A User is a line of passwd(5) with its line of shadow(5).
type User struct {
	UID, GID, Comment, Home, Shell string
	Hash                           string // the second field of shadow(5)
	Aging                          string // the fields after it, the day of the last change apart
	NoShadow                       bool
}

// A Group is a line of group(5).
type Group struct {
	GID     string
	Members []string // sorted
}

// accountFiles are the files whose differences show as those of accounts. The tools keep a backup of each, and locks.
var accountFiles = []string{"/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow", "/etc/subuid", "/etc/subgid"}

func readAccounts(s *Snapshot) Accounts {
	a := Accounts{Users: map[string]User{}, Groups: map[string]Group{}}
	for _, f := range fields(s, "/etc/passwd", 7) {
		a.Users[f[0]] = User{UID: f[2], GID: f[3], Comment: f[4], Home: f[5], Shell: f[6], NoShadow: true}
	}
	for _, f := range fields(s, "/etc/shadow", 9) {
		if u, known := a.Users[f[0]]; known {
			u.Hash, u.Aging, u.NoShadow = f[1], strings.Join(f[3:], ":"), false
			a.Users[f[0]] = u
		}
	}
	for _, f := range fields(s, "/etc/group", 4) {
		g := Group{GID: f[2]}
		if f[3] != "" {
			g.Members = strings.Split(f[3], ",")
			slices.Sort(g.Members)
		}
		a.Groups[f[0]] = g
	}
	return a
}

func fields(s *Snapshot, name string, n int) [][]string {
	e := s.Files[name]
	if e == nil {
		return nil
	}
	var list [][]string
	for line := range strings.Lines(e.Content) {
		if f := strings.Split(strings.TrimSuffix(line, "\n"), ":"); len(f) == n {
			list = append(list, f)
		}
	}
	return list
}

// groupsOf lists the groups that have a user as a member, its primary group apart.
func (a Accounts) groupsOf(user string) []string {
	var list []string
	for _, name := range sorted(a.Groups) {
		if slices.Contains(a.Groups[name].Members, user) {
			list = append(list, name)
		}
	}
	return list
}

// userName is the name of a number, or the number.
func (a Accounts) userName(uid uint32) string {
	for _, name := range sorted(a.Users) {
		if a.Users[name].UID == fmt.Sprint(uid) {
			return name
		}
	}
	return fmt.Sprint(uid)
}

// groupName is the name of a number, or the number.
func (a Accounts) groupName(gid uint32) string {
	for _, name := range sorted(a.Groups) {
		if a.Groups[name].GID == fmt.Sprint(gid) {
			return name
		}
	}
	return fmt.Sprint(gid)
}

// diffAccounts lists how users and groups differ: paths are "user NAME" and "group NAME".
func diffAccounts(before, after Accounts) []Difference {
	var list []Difference
	names := map[string]bool{}
	for _, users := range []map[string]User{before.Users, after.Users} {
		for name := range users {
			names[name] = true
		}
	}
	for _, name := range sorted(names) {
		a, was := before.Users[name]
		b, is := after.Users[name]
		subject := "user " + name
		if was != is {
			list = append(list, Difference{subject, attrExists, yes(was), yes(is)})
			continue
		}
		add := func(attr, before, after string) {
			if before != after {
				list = append(list, Difference{subject, attr, before, after})
			}
		}
		add("uid", a.UID, b.UID)
		add("gid", a.GID, b.GID)
		add("comment", a.Comment, b.Comment)
		add("home", a.Home, b.Home)
		add("shell", a.Shell, b.Shell)
		add("hash", a.Hash, b.Hash)
		add("aging", a.Aging, b.Aging)
	}
	names = map[string]bool{}
	for _, groups := range []map[string]Group{before.Groups, after.Groups} {
		for name := range groups {
			names[name] = true
		}
	}
	for _, name := range sorted(names) {
		a, was := before.Groups[name]
		b, is := after.Groups[name]
		subject := "group " + name
		if was != is {
			list = append(list, Difference{subject, attrExists, yes(was), yes(is)})
			continue
		}
		if a.GID != b.GID {
			list = append(list, Difference{subject, "gid", a.GID, b.GID})
		}
		members := map[string]bool{}
		for _, m := range slices.Concat(a.Members, b.Members) {
			members[m] = true
		}
		for _, m := range sorted(members) {
			if was, is := slices.Contains(a.Members, m), slices.Contains(b.Members, m); was != is {
				list = append(list, Difference{subject, "member " + m, yes(was), yes(is)})
			}
		}
	}
	return list
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}
