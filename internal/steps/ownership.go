package steps

import (
	"fmt"
	"regexp"
	"strings"

	"provision/internal/shell"
)

// An ownership is who a file or directory should belong to, and with which mode. What is ""
// is not looked at.
type ownership struct {
	Owner, Group string // names, or ids in decimal
	Mode         string // canonical, as stat -c %a prints it
}

// args are the arguments of an ownership; thing is what the manual calls its subject.
func (o *ownership) args(thing string) Args {
	return Args{
		nameArg("owner", &o.Owner, "Name or number of the user that owns the "+thing+". Left out, it is not looked at."),
		nameArg("group", &o.Group, "Name or number of its group. Left out, it is not looked at."),
		modeArg("mode", &o.Mode, "Its mode in octal. Left out, it is not looked at."),
	}
}

var onlyDigits = regexp.MustCompile(`^[0-9]+$`)

// isNumber tells whether the name of a user or a group is a number in decimal.
func isNumber(name string) bool { return onlyDigits.MatchString(name) }

// parts are the attributes that have a place in a state, with the variables of the shell function attributes.
func (o *ownership) parts() []ownershipPart {
	return []ownershipPart{
		{"owner", "user", "passwd", o.Owner, "$A_owner", "$A_uid"},
		{"group", "group", "group", o.Group, "$A_group", "$A_gid"},
		{"mode", "", "", o.Mode, "$A_mode", "$A_mode"},
	}
}

type ownershipPart struct{ key, what, database, wanted, name, number string }

// probe is sh that prints owner, group and mode of $p, which must exist, as far as they
// matter; and "missing user NAME" or "missing group NAME" for a wanted name that nobody has.
// Names are looked up only if they are not what was found.
func (o *ownership) probe() string {
	var b strings.Builder
	for _, part := range o.parts() {
		switch {
		case part.wanted == "":
		case isNumber(part.wanted):
			fmt.Fprintf(&b, "say %s \"%s\"\n", part.key, part.number)
		default:
			fmt.Fprintf(&b, "say %s \"%s\"\n", part.key, part.name)
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return "attributes \"$p\" || exit 1\n" + b.String() + o.probeNames(true)
}

// probeNames is sh that reports wanted names that do not exist; found tells whether attributes has looked
// at the file, so that names which it has need no look.
func (o *ownership) probeNames(found bool) string {
	var b strings.Builder
	for _, part := range o.parts() {
		if part.wanted == "" || part.what == "" || isNumber(part.wanted) {
			continue
		}
		name := shell.Quote(part.wanted)
		lookup := fmt.Sprintf("account %s %s >/dev/null\ncase $? in 0) ;; 2) need %s %s ;; *) fail %s ;; esac\n",
			part.database, name, part.what, name, shell.Quote("cannot look up the "+part.what+" "+part.wanted))
		if found {
			lookup = fmt.Sprintf("[ \"%s\" = %s ] || {\n%s}\n", part.name, name, lookup)
		}
		b.WriteString(lookup)
	}
	return b.String()
}

// differs is the operand of chown for what differs from the observation, or "".
func (o *ownership) differs(obs Observation) string {
	owner, _ := obs.Get("owner")
	group, _ := obs.Get("group")
	s := ""
	if o.Owner != "" && owner != o.Owner {
		s = o.Owner
	}
	if o.Group != "" && group != o.Group {
		s += ":" + o.Group
	}
	return s
}

// differences compares what probe printed with what is wanted: it adds to the diff and returns
// the commands for the quoted path.
func (o *ownership) differences(change *Change, obs Observation, quoted string) []string {
	owner, _ := obs.Get("owner")
	group, _ := obs.Get("group")
	mode, _ := obs.Get("mode")
	change.compare("owner", owner, o.Owner)
	change.compare("group", group, o.Group)
	change.compare("mode", octal(mode), octal(o.Mode))
	var commands []string
	chown := o.differs(obs)
	kind, _ := obs.Get("type")
	// chown clears the bits of setuid and setgid of a file: they are set again after it.
	switch {
	case chown != "" && o.Mode == "" && kind == "file":
		commands = append(commands, "m=$(stat -c %a -- "+quoted+")", "chown -h -- "+shell.Quote(chown)+" "+quoted, "chmod \"$m\" -- "+quoted)
	case chown != "":
		commands = append(commands, "chown -h -- "+shell.Quote(chown)+" "+quoted)
	}
	if o.Mode != "" && (mode != o.Mode || chown != "" && len(o.Mode) == 4) {
		if len(mode) == 4 && len(o.Mode) < 4 {
			// chmod(1): a numeric mode does not clear these bits of a directory.
			commands = append(commands, "chmod ug-s -- "+quoted)
		}
		commands = append(commands, "chmod "+o.Mode+" -- "+quoted)
	}
	return commands
}

// requires lists the names that must exist.
func (o *ownership) requires() []Thing {
	var list []Thing
	for _, part := range o.parts() {
		if part.wanted != "" && part.what != "" && !isNumber(part.wanted) {
			list = append(list, Thing{part.what, part.wanted})
		}
	}
	return list
}

// octal shows a mode as people write it, with a leading zero; "" stays "".
func octal(mode string) string {
	if mode == "" || mode[0] == '0' {
		return mode
	}
	return "0" + mode
}
