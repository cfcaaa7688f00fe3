package kinds

import (
	"fmt"
	"slices"
	"strings"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

var authorizedKeyKind = &steps.Kind{
	Name: "authorized_key",
	Doc: `SSH keys that may log in as a user, or their absence.

Keys are compared by their type and their bytes, not by their comment. A key that is there keeps
its comment and, unless the wanted key has options of its own (such as no-pty or from="…"), its
options; a second line with the same key goes then. All other lines of the file stay as they are; with
exclusive, other keys are removed. The type of a key is not judged: sshd of the host knows which it takes.

The file is .ssh/authorized_keys in the user's home, with mode 0600 and the directory with 0700.
It is written as that user, not as root, so that nothing the user has put there can lead the
write elsewhere. For the same reason a .ssh or a file that is a symbolic link, and a .ssh that
belongs to somebody else, are errors.`,
	Example: `step "user" "deploy" {
  name = "deploy"
}

step "authorized_key" "deploy" {
  user = "deploy"
  keys = [
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ/CaQ0/qxG/1uv/8eTPGOUH46HD+c8A59rhnvcCT+Wb alice@example",
    "no-pty,no-port-forwarding ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG81MVPyKDkfIRvTz+/HU56khMF0lfugpGc38qMCb4UO ci",
  ]
}
`,
	New: func() (steps.Step, steps.Args) {
		a := &authorizedKey{State: "present"}
		return a, steps.Args{
			kit.NameArg("user", &a.User, "The user who may log in with the keys.").Must(),
			keyArg("key", &a.Keys, "A public key as in authorized_keys, such as file(\"~/.ssh/id_ed25519.pub\"); several lines are several keys. One of key and keys is required."),
			keysArg("keys", &a.More, "A list of such keys."),
			kit.BoolArg("exclusive", &a.Exclusive, "Remove every other key of the user."),
			kit.EnumArg("state", &a.State, "Whether the keys are there.", "present", "absent"),
		}
	},
}

type authorizedKey struct {
	User, State string
	Keys, More  []publicKey
	Exclusive   bool
}

var (
	_ steps.Settler  = (*authorizedKey)(nil)
	_ steps.Bringer  = (*authorizedKey)(nil)
	_ steps.Asker    = (*authorizedKey)(nil)
	_ steps.Requirer = (*authorizedKey)(nil)
)

// given lists the keys as they were written.
func (a *authorizedKey) given() []publicKey {
	return append(append([]publicKey{}, a.Keys...), a.More...)
}

func optionsShown(k publicKey) string {
	if k.Options == "" {
		return "none"
	}
	return k.Options
}

// wanted lists the keys, each once.
func (a *authorizedKey) wanted() []publicKey {
	var keys []publicKey
	for _, k := range a.given() {
		if indexOfKey(keys, k) < 0 {
			keys = append(keys, k)
		}
	}
	return keys
}

func (a *authorizedKey) Validate() []steps.Problem {
	var problems []steps.Problem
	if len(a.wanted()) == 0 && !a.Exclusive {
		problems = append(problems, steps.Problem{Summary: "one of key and keys is required", Detail: "Give the public keys. To remove all keys of a user, set keys = [] and exclusive = true."})
	}
	first := a.wanted()
	for _, k := range a.given() {
		other := first[indexOfKey(first, k)]
		if k.Options != other.Options && a.State == "present" {
			problems = append(problems, steps.Problem{
				Summary: fmt.Sprintf("the key %s is named twice with different options (%s and %s)", k.Print, optionsShown(other), optionsShown(k)),
				Detail:  "sshd goes on to the next line with the key when the options of one refuse, so the wider one would win. Keep one of the two.",
			})
		}
	}
	if a.State == "absent" && a.Exclusive {
		problems = append(problems, steps.Problem{Arg: "exclusive", Summary: "exclusive goes with state = \"present\"", Detail: "Leave it out, or set keys = [] and exclusive = true to remove all keys."})
	}
	return problems
}

// keysAwk prints "same" if the lines of authorized_keys hold the keys of $KEYS ("TYPE BLOB OPTIONS" each)
// as $MODE wants them: present, exclusive or absent.
const keysAwk = `BEGIN { n = split(ENVIRON["KEYS"], want, "\n") }
{
	line = $0
	sub(/^[ \t]+/, "", line)
	sub(/[ \t\r]+$/, "", line)
	if (line == "" || substr(line, 1, 1) == "#") next
	known = 0
	for (i = 1; i <= n; i++) {
		split(want[i], w, " ")
		at = index(line, w[2])
		if (!at) continue
		after = substr(line, at + length(w[2]), 1)
		if (after != "" && after != " " && after != "\t") continue
		options = substr(line, 1, at - 1)
		sub(/[ \t]+$/, "", options)
		cut = length(options) - length(w[1])
		if (cut < 0 || substr(options, cut + 1) != w[1]) continue
		options = substr(options, 1, cut)
		sub(/[ \t]+$/, "", options)
		known = 1
		there[i] = 1
		wanted = substr(want[i], length(w[1]) + length(w[2]) + 3)
		if (wanted != "" && wanted != options) differs = 1
	}
	if (!known) others = 1
}
END {
	for (i = 1; i <= n; i++) if (there[i]) some = 1; else lacking = 1
	if (ENVIRON["MODE"] == "absent") bad = some
	else bad = lacking || differs || ENVIRON["MODE"] == "exclusive" && others
	print bad ? "differ" : "same"
}`

func (a *authorizedKey) mode() string {
	if a.Exclusive {
		return "exclusive"
	}
	return a.State
}

// Brings implements steps.Bringer.
func (a *authorizedKey) Brings(change steps.Change) steps.Supply {
	s := steps.Supply{
		Things: []steps.Thing{{Kind: steps.DirectoryThing, Name: "*/.ssh"}, {Kind: steps.FileThing, Name: "*/.ssh/authorized_keys"}},
		Other:  []steps.Thing{a.thing("any key")},
	}
	if a.Exclusive {
		s.Other = append(s.Other, a.thing("every key"))
	}
	var keys []steps.Thing
	for _, k := range a.given() {
		keys = append(keys, a.thing("key "+k.Type+" "+k.Print))
	}
	if a.State == "absent" {
		if change.Action == steps.Delete || change.Action == steps.Update {
			s.Lost = keys
		}
		return s
	}
	s.Things = append(s.Things, keys...)
	return s
}

// thing is what steps about the keys of one user share.
func (a *authorizedKey) thing(what string) steps.Thing {
	return steps.Thing{Kind: steps.OwnThing, Name: what + " of " + a.User}
}

// Asks implements steps.Asker: one step may remove what another adds.
func (a *authorizedKey) Asks(*steps.Facts) []steps.Thing {
	if a.Exclusive {
		return []steps.Thing{a.thing("any key")}
	}
	return []steps.Thing{a.thing("every key")}
}

// Requires implements steps.Requirer.
func (a *authorizedKey) Requires() []steps.Thing {
	if a.State == "absent" {
		return []steps.Thing{{Kind: steps.HomeThing, Name: a.User}}
	}
	return []steps.Thing{{Kind: steps.UserThing, Name: a.User}, {Kind: steps.HomeThing, Name: a.User}}
}

func (a *authorizedKey) Probe() string {
	var b strings.Builder
	var want []string
	for _, k := range a.wanted() {
		want = append(want, k.Type+" "+k.Blob+" "+k.Options)
	}
	empty := "differ"
	if len(want) == 0 || a.State == "absent" {
		empty = "same"
	}
	fmt.Fprintf(&b, `n=%s
nothing() { say directory absent; say file absent; say keys %s; }
# Several names may have the number of the user.
owned() {
	attributes "$1" || return
	[ "$A_owner" = "$n" ] || ! id_of passwd "$n" || [ "$A_uid" != "$ID" ] || A_owner=$n
}
`, shell.Quote(a.User), empty)
	b.WriteString(`h=$(home_of "$n")
case $? in 0) ;; 2)
	nothing
	need user "$n"
	exit 0
	;;
*) fail "cannot look up the user $n" ;;
esac
d=$h/.ssh p=$h/.ssh/authorized_keys
# Root may look everywhere but on a network file system (root_squash of exports(5)).
refused="$d cannot be looked into; if the home is on a network file system, set run_as = \"$n\" on the step"
path_type "$d" || fail "$refused"; t=$TYPE
case $t in
absent)
	nothing
	[ -d "$h" ] || need directory "$h"
	exit 0
	;;
directory)
	owned "$d" || exit 1
	t="$A_owner $A_mode"
	;;
esac
say directory "$t"
path_type "$p" || fail "$refused"; k=$TYPE
case $k in
absent)
	say file absent
`)
	fmt.Fprintf(&b, "\tsay keys %s\n\texit 0\n\t;;\n", empty)
	b.WriteString("file)\n\towned \"$p\" || exit 1\n\tk=\"$A_owner $A_mode\" g=$A_group gid=$A_gid\n\t;;\n*)\n\tsay file \"$k\"\n\texit 0\n\t;;\nesac\nsay file \"$k\"\n")
	fmt.Fprintf(&b, "r=$(KEYS=%s MODE=%s awk %s <\"$p\") || fail \"$refused\"\nsay keys \"$r\"\n",
		shell.Quote(strings.Join(want, "\n")), a.mode(), shell.Quote(keysAwk))
	b.WriteString("[ \"$t/$k/$r\" = \"$n 700/$n 600/same\" ] && exit 0\n")
	// The user writes the file anew, and with that its group.
	b.WriteString(`l=$(account passwd "$n") || exit 1
l=${l#*:*:*:} l=${l%%:*}
[ "$gid" = "$l" ] || { l=$(id_name group "$l") && say group "$g $l"; } || exit 1
` + kit.ProbeEdit())
	return b.String()
}

// Settled implements steps.Settler.
func (a *authorizedKey) Settled(*steps.Facts) []steps.Observation {
	return []steps.Observation{steps.Observe("directory "+a.User+" 700", "file "+a.User+" 600", "keys same")}
}

func (a *authorizedKey) Plan(f *steps.Facts, obs steps.Observation) (steps.Change, error) {
	directory, _ := obs.Get("directory")
	fileState, _ := obs.Get("file")
	keys, _ := obs.Get("keys")
	for _, part := range []struct{ path, found, wanted string }{
		{".ssh", directory, "directory"}, {".ssh/authorized_keys", fileState, "file"},
	} {
		switch part.found {
		case "absent":
		case "symlink", "file", "directory", "other":
			return steps.Change{}, kit.NotA("~"+a.User+"/"+part.path, part.found, part.wanted)
		}
	}
	if owner, _, owned := strings.Cut(directory, " "); owned && owner != a.User {
		return steps.Change{}, fmt.Errorf("~%s/.ssh belongs to %s; give it to %s with a step \"directory\" before this one", a.User, owner, a.User)
	}
	if keys == "same" && (fileState == "absent" || directory == a.User+" 700" && fileState == a.User+" 600") {
		return steps.Change{Action: steps.NoOp}, nil
	}
	before := ""
	change := steps.Change{Action: steps.Create}
	if fileState != "absent" {
		change.Action = steps.Update
		text, err := kit.Editable(obs)
		if err != nil {
			return steps.Change{}, err
		}
		before = text
	}
	after := a.edit(&change, before)
	for _, part := range []struct{ name, found, wanted string }{{".ssh", directory, "700"}, {"authorized_keys", fileState, "600"}} {
		owner, mode, found := strings.Cut(part.found, " ")
		if !found {
			continue
		}
		change.Compare("owner of "+part.name, owner, a.User)
		change.Compare("mode of "+part.name, kit.ShownMode(mode), kit.ShownMode(part.wanted))
	}
	if groups, other := obs.Get("group"); other {
		was, is, _ := strings.Cut(groups, " ")
		if is == "" {
			is = "the one of " + a.User
		}
		change.Compare("group of authorized_keys", was, is)
	}
	// The keys are what the step is about: the file may be made by another step.
	if adds := func(d steps.Attr) bool { return d.BeforeMissing }; change.Action == steps.Update && len(change.Diff) > 0 && !slices.ContainsFunc(change.Diff, func(d steps.Attr) bool { return !adds(d) }) {
		change.Action = steps.Create
	}
	change.Ops = []steps.Op{steps.Run{Script: a.write(), Stdin: &steps.Content{Text: steps.Plain(after)}}}
	change.AddNeeds(obs)
	return change, nil
}

// edit returns the new content and notes what it changes.
func (a *authorizedKey) edit(change *steps.Change, before string) string {
	wanted := a.wanted()
	there := make([]bool, len(wanted))
	var out []string
	removed := map[string]bool{}
	for _, line := range kit.SplitLines(before) {
		text := strings.TrimSpace(line)
		key, err := parseKey(text)
		i := indexOfKey(wanted, key)
		switch {
		case text == "" || text[0] == '#' || err != nil && !a.Exclusive:
			out = append(out, line)
		case err != nil || i < 0 && a.Exclusive || i >= 0 && a.State == "absent":
			shown := text
			if err == nil {
				shown = key.String()
			}
			change.Diff = append(change.Diff, steps.Attr{Name: "key", Before: shown, AfterMissing: true})
			id := text
			if err == nil {
				id = key.Type + " " + key.Blob
			}
			removed[id] = true
		case i >= 0 && there[i] && wanted[i].Options != "":
			// sshd goes on to the next line with the key when the options of one refuse.
			change.Diff = append(change.Diff, steps.Attr{Name: "key again", Before: key.String(), AfterMissing: true})
		case i < 0 || wanted[i].Options == "" || wanted[i].Options == key.Options:
			out = append(out, line)
			if i >= 0 {
				there[i] = true
			}
		default:
			change.Diff = append(change.Diff, steps.Attr{Name: "key", Before: key.String(), After: wanted[i].String()})
			out = append(out, wanted[i].Line+kit.LineBreak(before))
			there[i] = true
		}
	}
	for i, key := range wanted {
		if there[i] || a.State == "absent" {
			continue
		}
		change.Diff = append(change.Diff, steps.Attr{Name: "key", BeforeMissing: true, After: key.String()})
		kit.EndLast(out, kit.LineBreak(before))
		out = append(out, key.Line+kit.LineBreak(before))
	}
	if n := len(removed); n > 0 {
		change.Dangers = append(change.Dangers, fmt.Sprintf("removes %d of the keys that may log in as %s", n, a.User))
	}
	return strings.Join(out, "")
}

// writeKeys is the part of the operation that runs as the user, in the user's own files.
const writeKeys = `umask 077
cd "$KEYS_HOME" || exit 1
[ -d .ssh ] || mkdir .ssh || exit 1
# What it inherits of a home with the bit of setgid, or with a default access list, goes.
cd .ssh && { [ ! -g . ] || chmod ug-s .; } && chmod 700 . || exit 1
n=authorized_keys.new.$$
cat >"$n" && chmod 600 "$n" && mv -f "$n" authorized_keys && exit 0
rm -f "$n"
exit 1`

func (a *authorizedKey) write() string {
	return fmt.Sprintf(`n=%s w=%s
KEYS_HOME=$(home_of "$n") || fail "there is no user $n"
export KEYS_HOME
if [ "$F_UID" != 0 ] || [ "$n" = root ]; then
	/bin/sh -c "$w" || exit 1
elif have runuser; then
	runuser -u "$n" -- /bin/sh -c "$w" || exit 1
else
	su -s /bin/sh "$n" -c "$w" || exit 1
fi
[ ! -e /sys/fs/selinux/enforce ] || ! have restorecon || restorecon -R "$KEYS_HOME/.ssh"
`, shell.Quote(a.User), shell.Quote(writeKeys))
}
