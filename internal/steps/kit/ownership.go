package kit

import (
	"fmt"
	"regexp"
	"strings"

	"provision/internal/shell"
	"provision/internal/steps"
)

// An Ownership is who a file or directory should belong to, and with which mode. What is ""
// is not looked at.
type Ownership struct {
	Owner, Group string // names, or ids in decimal
	Mode         string // canonical, as stat -c %a prints it
}

// Args are the arguments of an ownership; thing is what the manual calls its subject.
func (o *Ownership) Args(thing string) steps.Args {
	return o.args(thing, "Left out, it is not looked at.")
}

func (o *Ownership) args(thing, when string) steps.Args {
	return steps.Args{
		NameArg("owner", &o.Owner, "Name or number of the user that owns the "+thing+". "+when),
		NameArg("group", &o.Group, "Name or number of its group. "+when),
		ModeArg("mode", &o.Mode, "Its mode in octal. "+when),
	}
}

var onlyDigits = regexp.MustCompile(`^[0-9]+$`)

// IsNumber tells whether the name of a user or a group is a number in decimal.
func IsNumber(name string) bool { return onlyDigits.MatchString(name) }

// parts are the attributes that have a place in a state, with the variables of the shell function attributes.
func (o *Ownership) parts() []ownershipPart {
	return []ownershipPart{
		{"owner", "user", "passwd", o.Owner, "$A_owner", "$A_uid"},
		{"group", "group", "group", o.Group, "$A_group", "$A_gid"},
		{"mode", "", "", o.Mode, "$A_mode", "$A_mode"},
	}
}

type ownershipPart struct{ key, what, database, wanted, name, number string }

// ProbeAttributes is sh that prints owner, group and mode of $p, which must exist, as far as they
// matter; and "missing user NAME" or "missing group NAME" for a wanted name that nobody has.
// Names are looked up only if they are not what was found.
func (o *Ownership) ProbeAttributes() string {
	var b strings.Builder
	for _, part := range o.parts() {
		switch {
		case part.wanted == "":
		case IsNumber(part.wanted):
			fmt.Fprintf(&b, "say %s \"%s\"\n", part.key, part.number)
		default:
			fmt.Fprintf(&b, "say %s \"%s\"\n", part.key, part.name)
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return "attributes \"$p\" || exit 1\n" + b.String() + o.ProbeNames(true)
}

// ProbeNames is sh that reports wanted names that do not exist; found tells whether attributes has looked
// at the file, so that names which it has need no look.
func (o *Ownership) ProbeNames(found bool) string {
	var b strings.Builder
	for _, part := range o.parts() {
		if part.wanted == "" || part.what == "" || IsNumber(part.wanted) {
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

// ChownOperand is the operand of chown for what differs from the observation, or "".
func (o *Ownership) ChownOperand(obs steps.Observation) string {
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

// Operand is the operand of chown for the wanted owner and group, or "".
func (o *Ownership) Operand() string { return o.ChownOperand(steps.Observation{}) }

// Differences compares what probe printed with what is wanted: it adds to the diff and returns
// the commands for the quoted path.
func (o *Ownership) Differences(change *steps.Change, obs steps.Observation, quoted string) []string {
	owner, _ := obs.Get("owner")
	group, _ := obs.Get("group")
	mode, _ := obs.Get("mode")
	change.Compare("owner", owner, o.Owner)
	change.Compare("group", group, o.Group)
	change.Compare("mode", ShownMode(mode), ShownMode(o.Mode))
	var commands []string
	chown := o.ChownOperand(obs)
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

// Accounts lists the names that must exist.
func (o *Ownership) Accounts() []steps.Thing {
	var list []steps.Thing
	for _, part := range o.parts() {
		if part.wanted != "" && part.what != "" && !IsNumber(part.wanted) {
			list = append(list, steps.Thing{Kind: part.what, Name: part.wanted})
		}
	}
	return list
}

// ShownMode shows a mode as people write it, with a leading zero; "" stays "".
func ShownMode(mode string) string {
	if mode == "" || mode[0] == '0' {
		return mode
	}
	return "0" + mode
}
