package kinds

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

func (u *user) Plan(f *steps.Facts, obs steps.Observation) (steps.Change, error) {
	exists := obs.Yes("exists")
	switch {
	case u.State == "absent" && !exists:
		return steps.Change{Action: steps.NoOp}, nil
	case u.State == "absent":
		if found, other := obs.Get("home_of"); other {
			at := strings.LastIndexByte(found, ' ')
			uid, owner, _ := strings.Cut(found[at+1:], ":")
			if owner == "UNKNOWN" {
				owner = "number " + uid
			}
			return steps.Change{}, fmt.Errorf("the home %s belongs to %s, and userdel leaves it: give it to %s, or leave remove_home out and remove it with a step \"directory\"", found[:at], owner, u.Name)
		}
		return u.planAbsent(obs), nil
	case !exists:
		return u.planNew(obs), nil
	}
	change := steps.Change{Action: steps.NoOp}
	var script []string
	script = append(script, u.modify(&change, obs)...)
	script = append(script, u.join(&change, obs)...)
	var ops []steps.Op
	if len(script) > 0 {
		ops = append(ops, steps.Run{Script: strings.Join(script, "\n")})
	}
	ops = append(ops, u.password(&change, f, obs)...)
	if len(ops) == 0 {
		return change, nil
	}
	change.Action, change.Ops = steps.Update, ops
	change.AddNeeds(obs)
	return change, nil
}

// Brings implements steps.Bringer: a new user comes with its group and home. useradd makes the home where /etc/default/useradd says if
// the step does not.
func (u *user) Brings(change steps.Change) steps.Supply {
	var s steps.Supply
	switch {
	case u.State == "absent" && change.Action == steps.Delete:
		s.Lost = []steps.Thing{{Kind: steps.UserThing, Name: u.Name}}
		s.Things = append(u.frees(), u.freesGroup()...)
		s.Other = []steps.Thing{{Kind: steps.GroupThing, Name: u.Name}} // userdel removes it where nobody else is in it
	case u.State == "present" && change.Action == steps.Update:
		changes := func(name string) bool {
			return slices.ContainsFunc(change.Diff, func(a steps.Attr) bool { return a.Name == name })
		}
		if u.UID != nil {
			s.Things = u.frees()
		}
		if u.Group != "" {
			s.Things = append(s.Things, u.freesGroup()...)
		}
		// Files that stay behind belong to a number then.
		if changes("uid") {
			s.Other = append(s.Other, steps.Thing{Kind: steps.UserThing, Name: u.Name})
		}
		if changes("home") {
			s.Other = append(s.Other, steps.Thing{Kind: steps.HomeThing, Name: u.Name})
		}
		if changes("group") { // usermod gives it to what is in the home
			s.Trees = []string{"*/" + u.Name}
		}
	case u.State == "present" && (change.Action == steps.Create || change.Action == steps.Unknown):
		s.Things = []steps.Thing{{Kind: steps.UserThing, Name: u.Name}}
		if u.Group == "" {
			s.Things = append(s.Things, steps.Thing{Kind: steps.GroupThing, Name: u.Name})
			if u.UID != nil {
				s.Things = append(s.Things, steps.Thing{Kind: steps.GroupThing, Name: strconv.Itoa(*u.UID)})
			}
		}
		if !u.CreateHome {
			break
		}
		home := u.Home
		if home == "" && u.Name != "" {
			home = "*/" + u.Name
		}
		s.Trees = []string{home}
		if u.Home != "" {
			s.AddDirectory(u.Home)
		}
		s = s.Join(change.Left)
	}
	return s
}

// Touches implements steps.Toucher: an account is lines of several files, and has a home and mail.
func (u *user) Touches(obs steps.Observation) steps.Supply {
	s := steps.Supply{
		Things:   []steps.Thing{{Kind: steps.UserThing, Name: u.Name}, {Kind: steps.GroupThing, Name: u.Name}},
		Replaced: accountFiles(),
		Trees:    []string{"/home/" + u.Name, "/var/mail/" + u.Name, "/var/spool/mail/" + u.Name},
	}
	if u.Home != "" {
		s.Trees = append(s.Trees, u.Home)
	}
	home, _ := obs.Get("home")
	found, _ := obs.Get("home_of")
	found, _, _ = strings.Cut(found, " ")
	for _, p := range []string{home, found} {
		if path.IsAbs(p) {
			s.Trees = append(s.Trees, p)
		}
	}
	return s
}

// accountFiles are the files of users and groups. Not as things: that would stand for every account.
func accountFiles() []steps.Replaced {
	var list []steps.Replaced
	for _, name := range []string{"passwd", "group", "shadow", "gshadow", "subuid", "subgid"} {
		list = append(list, steps.Replaced{Path: "/etc/" + name}, steps.Replaced{Path: "/etc/" + name + "-"})
	}
	return list
}

// frees is the number that the user has now.
func (u *user) frees() []steps.Thing {
	return []steps.Thing{{Kind: steps.FreeThing, Name: "(" + u.Name + " has it)"}}
}

// freesGroup is the primary group that the user has now.
func (u *user) freesGroup() []steps.Thing {
	return []steps.Thing{{Kind: steps.FreeThing, Name: "(of user " + u.Name + ")"}}
}

// Requires implements steps.Requirer.
func (u *user) Requires() []steps.Thing {
	var list []steps.Thing
	if u.State == "present" {
		for _, g := range u.wantedGroups() {
			list = append(list, steps.Thing{Kind: steps.GroupThing, Name: g})
		}
	}
	return list
}

func (u *user) planAbsent(obs steps.Observation) steps.Change {
	name := shell.Quote(u.Name)
	shadow, busybox, danger := "userdel "+name, "deluser "+name, "deletes user "+u.Name
	if u.RemoveHome {
		shadow, busybox, danger = "userdel -r "+name, "deluser --remove-home "+name, danger+" and its mail"
		if home, there := obs.Get("home"); there {
			danger = "deletes user " + u.Name + ", its mail and its home " + home
		}
	}
	change := steps.Change{
		Action:  steps.Delete,
		Diff:    []steps.Attr{{Name: "name", Before: u.Name, AfterMissing: true}},
		Ops:     []steps.Op{steps.Run{Script: fmt.Sprintf("if have userdel; then %s; else %s; fi", shadow, busybox)}},
		Dangers: []string{danger},
	}
	change.AddNeeds(obs)
	return change
}

func (u *user) planNew(obs steps.Observation) steps.Change {
	change := steps.Change{Action: steps.Create, Diff: []steps.Attr{{Name: "name", BeforeMissing: true, After: u.Name}}}
	if u.UID != nil {
		change.Compare("uid", "", strconv.Itoa(*u.UID))
	}
	change.Compare("group", "", u.Group)
	change.Compare("groups", "", strings.Join(u.Groups, ", "))
	change.Compare("shell", "", u.Shell)
	change.Compare("home", "", u.Home)
	if u.Comment != nil {
		change.Compare("comment", "", *u.Comment)
	}
	u.skeleton(&change, obs)
	change.Ops = []steps.Op{steps.Run{Script: u.add()}}
	if u.PasswordHash != nil {
		change.Diff = append(change.Diff, steps.Attr{Name: "password_hash", Sensitive: true, BeforeMissing: true})
		change.Ops = append(change.Ops, u.setPassword())
	}
	if u.locked() {
		change.Compare("lock", "", "true")
		if u.PasswordHash != nil {
			change.Ops = append(change.Ops, steps.Run{Script: u.setLock(true)})
		}
	}
	if found, yes := obs.Get("home_of"); yes {
		home, owner, _ := strings.Cut(found, " ")
		name, uid, _ := strings.Cut(owner, ":")
		if name == "UNKNOWN" {
			name = uid
		}
		if u.UID == nil || uid != strconv.Itoa(*u.UID) {
			change.Dangers = append(change.Dangers, fmt.Sprintf("%s is there already and stays with its owner %s; give it to %s with a step \"directory\"", home, name, u.Name))
		}
	}
	change.AddNeeds(obs)
	return change
}

// skeleton adds to a change what comes with the new home.
func (u *user) skeleton(change *steps.Change, obs steps.Observation) {
	var names []string
	for _, found := range obs.All("skel") {
		kind, place, _ := strings.Cut(found, " ")
		names = append(names, path.Base(place))
		switch kind {
		case "file":
			change.Left.Things = append(change.Left.Things, steps.Thing{Kind: steps.FileThing, Name: place})
		case "directory":
			change.Left.Things = append(change.Left.Things, steps.Thing{Kind: steps.DirectoryThing, Name: place})
			change.Left.Trees = append(change.Left.Trees, place)
			change.Left.Filled = append(change.Left.Filled, place)
		default:
			change.Left.Things = append(change.Left.Things, steps.Thing{Kind: steps.PathThing, Name: place})
		}
	}
	change.Compare("files in its home", "", strings.Join(names, ", "))
}

func (u *user) locked() bool { return u.Lock != nil && *u.Lock }

// plainAccount is a name that every useradd takes; others are a matter of the option --badname, where it has one.
var plainAccount = regexp.MustCompile(`^[a-z_][a-z0-9_-]*$`)

// add is sh that makes the account, without its password.
func (u *user) add() string {
	shadow, busybox := []string{"useradd"}, []string{"adduser", "-D"}
	both := func(flag, busyboxFlag, value string) {
		shadow, busybox = append(shadow, flag), append(busybox, busyboxFlag)
		if value != "" {
			shadow, busybox = append(shadow, value), append(busybox, value)
		}
	}
	if u.System {
		both("-r", "-S", "")
	}
	if u.UID != nil {
		both("-u", "-u", strconv.Itoa(*u.UID))
	}
	if u.Shell != "" {
		both("-s", "-s", u.Shell)
	}
	if u.Home != "" {
		both("-d", "-h", u.Home)
	}
	if u.Comment != nil {
		shadow, busybox = append(shadow, "-c", *u.Comment), append(busybox, "-g", *u.Comment)
	}
	if u.CreateHome {
		shadow = append(shadow, "-m")
	} else {
		both("-M", "-H", "")
	}
	if u.PasswordHash == nil && !u.locked() {
		// useradd leaves "!", with which an sshd without PAM refuses keys too (LOCKED_PASSWD_PREFIX of OpenSSH). The value is
		// no secret.
		shadow = append(shadow, "-p", "*")
	}
	name := shell.Quote(u.Name)
	group := shell.Quote(u.Group)
	var b strings.Builder
	if u.Group == "" {
		// useradd refuses to make the user's own group if there is one of the name already.
		fmt.Fprintf(&b, "g=\nif find_account group %s; then g=%s; fi\n", name, name)
	} else if kit.IsNumber(u.Group) {
		fmt.Fprintf(&b, "g=$(id_name group %s) || exit 1\n", group)
	} else {
		fmt.Fprintf(&b, "g=%s\n", group)
	}
	if u.CreateHome && u.Home != "" {
		// useradd before 4.6 makes the account and then fails for its home; adduser of busybox does not even fail.
		fmt.Fprintf(&b, "mkdir -p -- %s || exit 1\n", shell.Quote(path.Dir(u.Home)))
	}
	odd := ""
	if !plainAccount.MatchString(u.Name) {
		odd = "${odd:+\"$odd\"} "
		b.WriteString("odd=\ncase $(useradd --help 2>&1) in *--badname*) odd=--badname ;; esac\n")
	}
	fmt.Fprintf(&b, "if have useradd; then\n\t%s %s${g:+-g \"$g\"} %s || exit 1\nelse\n", shell.Words(shadow...), odd, name)
	if u.System && u.Group == "" {
		// adduser -S alone would take the group nogroup.
		fmt.Fprintf(&b, "\t[ -n \"$g\" ] || addgroup -S %s || exit 1\n\tg=%s\n", name, name)
	}
	fmt.Fprintf(&b, "\t%s ${g:+-G \"$g\"} %s || exit 1\n", shell.Words(busybox...), name)
	if u.PasswordHash == nil && !u.locked() {
		// adduser -D leaves "!" too.
		fmt.Fprintf(&b, "\tprintf '%%s:*\\n' %s | chpasswd -e || exit 1\n", name)
	}
	b.WriteString("fi\n")
	b.WriteString(strings.Join(u.joinAll(u.Groups), "\n"))
	return strings.TrimRight(b.String(), "\n")
}

// modify returns the sh for the attributes in passwd(5).
func (u *user) modify(change *steps.Change, obs steps.Observation) []string {
	words := []string{"usermod"}
	set := func(name, key, flag, wanted string) {
		observed, _ := obs.Get(key)
		if wanted == "" || observed == wanted {
			return
		}
		change.Diff = append(change.Diff, steps.Attr{Name: name, Before: observed, After: wanted})
		words = append(words, flag, wanted)
	}
	if u.UID != nil {
		set("uid", "uid", "-u", strconv.Itoa(*u.UID))
		if len(words) > 1 {
			change.Dangers = append(change.Dangers, "changes the number of user "+u.Name+"; files outside of its home keep the old one")
		}
	}
	before := len(words)
	if set("group", "group", "-g", u.Group); len(words) > before {
		change.Dangers = append(change.Dangers, "changes the group of user "+u.Name+"; usermod gives the new one to the files of the old one in its home, and to no others")
	}
	set("shell", "shell", "-s", u.Shell)
	before = len(words)
	if set("home", "home", "-d", u.Home); len(words) > before {
		was, _ := obs.Get("home")
		change.Dangers = append(change.Dangers, "what is in "+was+" stays there: no file moves to the new home of user "+u.Name)
	}
	if u.Comment != nil {
		if observed, _ := obs.Get("comment"); observed != *u.Comment {
			change.Diff = append(change.Diff, steps.Attr{Name: "comment", Before: observed, After: *u.Comment})
			words = append(words, "-c", *u.Comment)
		}
	}
	if len(words) == 1 {
		return nil
	}
	return []string{
		"have usermod || fail 'usermod is missing: install the package shadow'",
		shell.Words(append(words, u.Name)...) + " || exit 1",
	}
}

// join returns the sh for the further groups.
func (u *user) join(change *steps.Change, obs steps.Observation) []string {
	outside, extra := obs.All("not_in"), obs.All("extra")
	if len(outside)+len(extra) == 0 {
		return nil
	}
	inside := obs.All("in")
	before := append(slices.Clone(inside), extra...)
	after := append(slices.Clone(inside), outside...)
	slices.Sort(before)
	slices.Sort(after)
	change.Diff = append(change.Diff, steps.Attr{
		Name: "groups", Before: strings.Join(before, ", "), BeforeMissing: len(before) == 0,
		After: strings.Join(after, ", "), AfterMissing: len(after) == 0,
	})
	if len(extra) == 0 {
		return u.joinAll(outside)
	}
	change.Dangers = append(change.Dangers, fmt.Sprintf("removes user %s from %s", u.Name, strings.Join(extra, ", ")))
	name := shell.Quote(u.Name)
	lines := []string{"if have usermod; then", "\tusermod -G " + shell.Quote(strings.Join(u.Groups, ",")) + " " + name + " || exit 1", "else"}
	for _, g := range extra {
		lines = append(lines, "\tdelgroup "+name+" "+shell.Quote(g)+" || exit 1")
	}
	for _, g := range outside {
		lines = append(lines, "\taddgroup "+name+" "+shell.Quote(g)+" || exit 1")
	}
	return append(lines, "fi")
}

// joinAll returns the sh that adds the user to groups.
func (u *user) joinAll(groups []string) []string {
	if len(groups) == 0 {
		return nil
	}
	name := shell.Quote(u.Name)
	lines := []string{"if have usermod; then", "\tusermod -a -G " + shell.Quote(strings.Join(groups, ",")) + " " + name + " || exit 1", "else"}
	for _, g := range groups {
		lines = append(lines, "\taddgroup "+name+" "+shell.Quote(g)+" || exit 1")
	}
	return append(lines, "fi")
}

// password returns the operations for the hash and the lock.
func (u *user) password(change *steps.Change, f *steps.Facts, obs steps.Observation) []steps.Op {
	var ops []steps.Op
	lock, _ := obs.Get("lock")
	if u.PasswordHash != nil {
		// The sum is salted by the probe whether the hash is marked as sensitive or not.
		if sum, _ := obs.Get("password"); sum != steps.Secret(u.PasswordHash.Reveal()).Sum(f) {
			change.Diff = append(change.Diff, steps.Attr{Name: "password_hash", Sensitive: true})
			ops = append(ops, u.setPassword())
			// The whole field is replaced, with its lock.
			if lock = "no"; u.PasswordHash.Reveal() == "*" {
				lock = "none"
			}
		}
	}
	if u.Lock == nil || *u.Lock && lock != "no" || !*u.Lock && lock != "yes" && lock != "bare" {
		return ops
	}
	if observed, _ := obs.Get("lock"); (observed == "yes" || observed == "bare") != *u.Lock {
		change.Diff = append(change.Diff, steps.Attr{Name: "lock", Before: fmt.Sprint(!*u.Lock), After: fmt.Sprint(*u.Lock)})
	}
	if lock == "bare" {
		// Without the lock nothing would be left, and usermod -U refuses what busybox does: an account that anybody can enter.
		return append(ops, steps.Run{Script: u.setNoPassword()})
	}
	return append(ops, steps.Run{Script: u.setLock(*u.Lock)})
}

// setNoPassword is sh that leaves an account which no password opens, and which is not locked.
func (u *user) setNoPassword() string {
	name := shell.Quote(u.Name)
	return fmt.Sprintf("if have usermod; then usermod -p '*' %s; else printf '%%s:*\\n' %s | chpasswd -e; fi", name, name)
}

func (u *user) setPassword() steps.Op {
	if u.PasswordHash.Reveal() == "*" {
		return steps.Run{Script: u.setNoPassword()}
	}
	return steps.Run{Script: "chpasswd -e", Stdin: &steps.Content{Text: steps.Secret(u.Name + ":" + u.PasswordHash.Reveal() + "\n")}}
}

func (u *user) setLock(lock bool) string {
	name := shell.Quote(u.Name)
	shadow, busybox := "usermod -U "+name, "passwd -u "+name
	if lock {
		shadow, busybox = "usermod -L "+name, "passwd -l "+name
	}
	return fmt.Sprintf("if have usermod; then %s; else %s; fi", shadow, busybox)
}

// Outputs implements steps.Outputter.
func (u *user) Outputs(_ *steps.Facts, obs steps.Observation, _ steps.Result) map[string]cty.Value {
	home, ok := obs.Get("home")
	out := map[string]cty.Value{"uid": kit.NumberOutput(obs, "uid"), "gid": kit.NumberOutput(obs, "gid"), "home": cty.NullVal(cty.String)}
	if ok {
		out["home"] = cty.StringVal(home)
	}
	return out
}
