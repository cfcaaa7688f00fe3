package kinds

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

var userKind = &steps.Kind{
	Name: "user",
	Doc: `A user account with its groups, or its absence.

What is left out is not looked at and not changed. groups are added to those that the user has;
with exclusive they are all that remain, beside the primary group. Groups must exist: make them
with the kind group. A new member of a group has it in force in the next step already, since each
step with run_as is a login of its own.

password_hash is what crypt(3) makes of a password ("openssl passwd -6", "mkpasswd"); it travels
outside of every command line. A new account without one has "*" in its place: no password works, SSH
keys do. lock = true keeps the password from working. SSH keys still work then, except where sshd runs
with UsePAM no: it takes a locked account for closed. Give a shell of /usr/sbin/nologin to keep everybody
out. lock = false undoes a lock, and never leaves an account that opens without a password.

A new home gets what is in /etc/skel, which the plan names. A home that is there already, and the group of a new account, keep their owner; the plan says so.

state = "absent" deletes the account and leaves its home, unless remove_home is set. An account
that runs processes cannot be deleted.

Uses useradd, usermod and userdel, or adduser, addgroup and deluser of busybox, which cannot
change an existing account except for its groups and its password; the package shadow can.`,
	Example: `step "group" "wheel" {
  name = "wheel"
}

step "user" "app" {
  name    = "bicycle"
  comment = "Runs the application"
  groups  = ["wheel"]
  shell   = "/bin/bash"
}

step "user" "metrics" {
  name        = "metrics"
  system      = true
  home        = "/nonexistent"
  create_home = false
  shell       = "/usr/sbin/nologin"
  lock        = true
}
`,
	Outputs: []steps.Output{
		{Name: "uid", Type: cty.Number, Doc: "The number of the user; null if it is absent."},
		{Name: "gid", Type: cty.Number, Doc: "The number of its primary group; null if it is absent."},
		{Name: "home", Type: cty.String, Doc: "The home directory; null if the user is absent."},
	},
	Rules: []steps.Rule{steps.AbsentTakes("name", "remove_home")},
	New: func() (steps.Step, steps.Args) {
		u := &user{State: "present", CreateHome: true}
		return u, steps.Args{
			kit.NameArg("name", &u.Name, "Name of the user.").Must(),
			kit.OptIntArg("uid", &u.UID, 0, kit.MaxID, "Its number. Left out, a new user gets a free one and an existing one keeps its own."),
			kit.NameArg("group", &u.Group, "Name or number of the primary group, which must exist.").With("of a new user a group of its own name"),
			kit.NamesArg("groups", &u.Groups, "Names of further groups, which must exist. They are added to those that the user has."),
			kit.BoolArg("exclusive", &u.Exclusive, "The user leaves every further group that groups does not name."),
			kit.PathArg("shell", &u.Shell, "The login shell."),
			kit.PathArg("home", &u.Home, "The home directory. For an existing user only the entry is changed: nothing is moved."),
			kit.BoolArg("create_home", &u.CreateHome, "Make the home directory of a new user."),
			kit.BoolArg("system", &u.System, "Take the number of a new user from the range of the system."),
			kit.OptStringArg("comment", &u.Comment, "The field for the full name."),
			kit.TextArg("password_hash", &u.PasswordHash, "The hash of the password, as in shadow(5). It may be sensitive."),
			kit.OptBoolArg("lock", &u.Lock, "Whether the password is kept from working."),
			kit.EnumArg("state", &u.State, "Whether the user is there.", "present", "absent"),
			kit.BoolArg("remove_home", &u.RemoveHome, "With state absent, remove the home directory and the mail, too."),
		}
	},
}

type user struct {
	Name, Group, Shell, Home, State           string
	UID                                       *int
	Groups                                    []string
	Exclusive, CreateHome, System, RemoveHome bool
	Comment                                   *string
	PasswordHash                              *steps.Text
	Lock                                      *bool
}

var (
	_ steps.Settler   = (*user)(nil)
	_ steps.Bringer   = (*user)(nil)
	_ steps.Requirer  = (*user)(nil)
	_ steps.Outputter = (*user)(nil)
)

// hashPattern is what may stand in the second field of shadow(5) as a hash: no colon, no space.
var hashPattern = regexp.MustCompile(`^(\$[A-Za-z0-9./,=$_+-]{10,}|[A-Za-z0-9./]{13}|_[A-Za-z0-9./]{19}|\*)$`)

func (u *user) Validate() []steps.Problem {
	var problems []steps.Problem
	if u.State == "absent" {
		if u.Name == "root" {
			problems = append(problems, steps.Problem{Arg: "name", Summary: "root cannot be removed", Detail: "Name a user of your own."})
		}
		return problems
	}
	if u.RemoveHome {
		problems = append(problems, steps.Problem{Arg: "remove_home", Summary: "remove_home goes with state = \"absent\"", Detail: "Leave it out, or set the state."})
	}
	if u.Exclusive && u.Groups == nil {
		problems = append(problems, steps.Problem{Arg: "exclusive", Summary: "exclusive needs groups", Detail: "Set groups = [] if the user shall have none beside its primary group."})
	}
	if u.Comment != nil && strings.Contains(*u.Comment, ":") {
		problems = append(problems, steps.Problem{Arg: "comment", Summary: "the comment holds a colon", Detail: "It would end the field of passwd(5). Leave it out."})
	}
	if kit.IsNumber(u.Name) {
		problems = append(problems, steps.Problem{Arg: "name", Summary: fmt.Sprintf("%q would be taken for the number of a user", u.Name), Detail: "Give a name that holds a letter."})
	}
	for _, g := range u.Groups {
		if kit.IsNumber(g) {
			problems = append(problems, steps.Problem{Arg: "groups", Summary: fmt.Sprintf("%q is the number of a group", g), Detail: "Give the name of the group."})
		}
	}
	for _, path := range []struct{ arg, value string }{{"home", u.Home}, {"shell", u.Shell}} {
		if strings.Contains(path.value, ":") {
			problems = append(problems, steps.Problem{Arg: path.arg, Summary: "the path holds a colon", Detail: "It would end the field of passwd(5)."})
		}
	}
	if u.PasswordHash != nil && !hashPattern.MatchString(u.PasswordHash.Reveal()) {
		problems = append(problems, steps.Problem{
			Arg: "password_hash", Summary: "this is no hash of a password",
			Detail: "Give the output of \"openssl passwd -6\" or mkpasswd(1), never the password itself.",
		})
	}
	return problems
}

// Probe prints number and home always, for the outputs, and of the rest what is wanted.
func (u *user) Probe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "n=%s\nl=$(account passwd \"$n\")\ncase $? in 0) ;; 2)\n\tsay exists no\n", shell.Quote(u.Name))
	if u.State == "present" {
		for _, g := range u.wantedGroups() {
			b.WriteString(probeGroup(g))
		}
		b.WriteString(u.probeUID() + u.probeShell() + u.probeHome())
	}
	b.WriteString("\texit 0\n\t;;\n*) fail 'cannot look up the user' ;;\nesac\nsay exists yes\n")
	if u.State == "absent" {
		if u.RemoveHome {
			b.WriteString("l=${l#*:*:} uid=${l%%:*}\nl=${l#*:*:*:} h=${l%%:*}\n" +
				"if [ -e \"$h\" ]; then\n\to=$(stat -c %u:%U -- \"$h\") || exit 1\n\tif [ \"${o%%:*}\" = \"$uid\" ]; then say home \"$h\"; else say home_of \"$h $o\"; fi\n\tneed_unmounted \"$h\"\nfi\n")
		}
		return b.String()
	}
	// The fields of passwd(5) from the third on: uid, gid, comment, home, shell.
	b.WriteString("l=${l#*:*:} uid=${l%%:*}\nl=${l#*:} gid=${l%%:*}\nl=${l#*:} comment=${l%%:*}\nl=${l#*:}\n")
	b.WriteString("say uid \"$uid\"\nsay gid \"$gid\"\nsay home \"${l%%:*}\"\n")
	if u.Shell != "" {
		fmt.Fprintf(&b, "shell=${l##*:}\nsay shell \"$shell\"\n[ \"$shell\" = %s ] || {\n%s}\n", shell.Quote(u.Shell), u.probeShell())
	}
	if u.UID != nil {
		fmt.Fprintf(&b, "[ \"$uid\" = %d ] || {\n%s}\n", *u.UID, u.probeUID())
	}
	if u.Comment != nil {
		b.WriteString("say comment \"$comment\"\n")
	}
	if u.Group != "" {
		look := namedPrimary("g")
		if kit.IsNumber(u.Group) {
			look = "g=$gid"
		}
		fmt.Fprintf(&b, look+"\nsay group \"$g\"\n[ \"$g\" = %s ] || {\n%s}\n", shell.Quote(u.Group), probeGroup(u.Group))
	}
	if u.Groups != nil {
		b.WriteString(u.probeGroups())
	}
	if u.PasswordHash != nil || u.Lock != nil {
		b.WriteString(u.probePassword())
	}
	return b.String()
}

// Settled implements steps.Settler: the host chooses what is not asked for, and mostly a home below /home.
func (u *user) Settled(*steps.Facts) []steps.Observation {
	switch {
	case u.State == "absent":
		return []steps.Observation{steps.Observe("exists no")}
	case u.PasswordHash != nil || u.Lock != nil:
		return nil
	}
	uid := steps.AnyNumber
	if u.UID != nil {
		uid = strconv.Itoa(*u.UID)
	}
	home := u.Home
	if home == "" {
		home = "/home/" + u.Name
	}
	lines := []string{"exists yes", "uid " + uid, "gid " + steps.AnyNumber, "home " + home}
	if u.Shell != "" {
		lines = append(lines, "shell "+u.Shell)
	}
	if u.Comment != nil {
		lines = append(lines, "comment "+*u.Comment)
	}
	if u.Group != "" {
		lines = append(lines, "group "+u.Group)
	}
	for _, g := range u.Groups {
		lines = append(lines, "in "+g)
	}
	return []steps.Observation{steps.Observe(lines...)}
}

// wantedGroups lists the groups that must exist.
func (u *user) wantedGroups() []string {
	var names []string
	if u.Group != "" {
		names = append(names, u.Group)
	}
	for _, g := range u.Groups {
		if !slices.Contains(names, g) {
			names = append(names, g)
		}
	}
	return names
}

// probeUID is sh that reports who has the wanted number.
func (u *user) probeUID() string {
	if u.UID == nil {
		return ""
	}
	return fmt.Sprintf("taken=$(id_name passwd %d) || taken=\n[ -z \"$taken\" ] || need free \"uid %d ($taken has it)\"\n", *u.UID, *u.UID)
}

// probeShell is sh that reports a shell that is not there: nobody could log in.
func (u *user) probeShell() string {
	if u.Shell == "" {
		return ""
	}
	return fmt.Sprintf("[ -e %[1]s ] || need file %[1]s\n", shell.Quote(u.Shell))
}

// probeHome is sh that prints "home_of OWNER" for the home of a new account that is there already, and else "skel TYPE PATH" for what
// useradd and adduser of busybox copy into it.
func (u *user) probeHome() string {
	if !u.CreateHome {
		return ""
	}
	return fmt.Sprintf(`h=%s
if [ -z "$h" ]; then
	[ ! -r /etc/default/useradd ] || h=$(sed -n 's/^HOME=//p' /etc/default/useradd)
	h=${h:-/home}/$n
fi
if [ -e "$h" ]; then
	o=$(stat -c %%U:%%u -- "$h") || exit 1
	say home_of "$h $o"
else
	s=
	! have useradd || [ ! -r /etc/default/useradd ] || s=$(sed -n 's/^SKEL=//p' /etc/default/useradd)
	s=${s:-/etc/skel}
	for f in "$s"/* "$s"/.[!.]* "$s"/..?*; do
		case $f in *"$NL"*) continue ;; esac
		path_type "$f" && [ "$TYPE" != absent ] || continue
		say skel "$TYPE $h/${f##*/}"
	done
fi
`, shell.Quote(u.Home))
}

// probeGroup is sh that reports a group that does not exist.
func probeGroup(name string) string {
	if kit.IsNumber(name) {
		return fmt.Sprintf("g=$(id_name group %[1]s) && [ -n \"$g\" ] || need group %[1]s\n", name)
	}
	return fmt.Sprintf("find_account group %[1]s\ncase $? in 0) ;; 2) need group %[1]s ;; *) fail 'cannot look up a group' ;; esac\n", shell.Quote(name))
}

// namedPrimary is sh that reads the name of the primary group. A group that is not there, since somebody removed it or useradd was
// killed, has a number only.
func namedPrimary(variable string) string {
	return variable + "=$(id -gn -- \"$n\" 2>/dev/null) || " + variable + "=$(id -g -- \"$n\") || exit 1"
}

// probeGroups is sh that prints "in GROUP" and "not_in GROUP" for the wanted groups and, if the list is
// exclusive, "extra GROUP" for others. Primary membership counts, unless another group is to be the primary one.
func (u *user) probeGroups() string {
	var b strings.Builder
	b.WriteString(namedPrimary("primary") + "\nall=$(id -Gn -- \"$n\" 2>/dev/null) || [ -n \"$all\" ] || exit 1\n")
	if u.Group != "" {
		fmt.Fprintf(&b, `if [ "$primary" != %[1]s ] && [ "$(id -g -- "$n")" != %[1]s ]; then
	find_account group "$primary"
	case ",${ACCOUNT##*:}," in
	*",$n,"*) ;;
	*) rest=; for g in $all; do [ "$g" = "$primary" ] || rest="$rest $g"; done; all=$rest ;;
	esac
fi
`, shell.Quote(u.Group))
	}
	fmt.Fprintf(&b, "for g in %s; do\n", shell.Words(u.Groups...))
	b.WriteString(`	case " $all " in
	*" $g "*) say in "$g" ;;
	*)
		say not_in "$g"
		find_account group "$g"
		case $? in 0) ;; 2) need group "$g" ;; *) fail 'cannot look up a group' ;; esac
		;;
	esac
done
`)
	if u.Exclusive {
		fmt.Fprintf(&b, "for g in $all; do\n\tcase %s in\n\t*\" $g \"*) ;;\n\t*) [ \"$g\" = \"$primary\" ] || say extra \"$g\" ;;\n\tesac\ndone\n",
			shell.Quote(" "+strings.Join(u.Groups, " ")+" "))
	}
	return b.String()
}

// probePassword is sh that prints the salted sum of the hash without its lock, and the lock: "yes" or "no" for a hash, "none" for
// "*", which no password fits, and "bare" for a lock without a hash behind it.
func (u *user) probePassword() string {
	var b strings.Builder
	b.WriteString(`[ "$F_UID" = 0 ] || fail 'only root can look at passwords: set become = true'
h=$(account shadow "$n") || fail 'there is no entry in the shadow file'
h=${h#*:} h=${h%%:*}
case $h in
'!' | '!!' | '!*' | '!!*' | '*LK*') lock=bare ;;
'*') lock=none ;;
'!'*) lock=yes ;;
*) lock=no ;;
esac
`)
	if u.PasswordHash != nil {
		b.WriteString("while :; do case $h in '!'*) h=${h#!} ;; *) break ;; esac; done\n")
		b.WriteString("s=$(printf '%s%s' \"$SALT\" \"$h\" | sha256sum) || exit 1\nsay password \"${s%% *}\"\n")
	}
	if u.Lock != nil {
		b.WriteString("say lock \"$lock\"\n")
	}
	return b.String()
}
