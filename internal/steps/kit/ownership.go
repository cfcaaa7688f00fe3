package kit

import (
	"fmt"
	"regexp"
	"strconv"
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
		OwnerArg("owner", &o.Owner, "Name or number of the user that owns the "+thing+"; digits alone are a number. "+when),
		OwnerArg("group", &o.Group, "Name or number of its group; digits alone are a number. "+when),
		ModeArg("mode", &o.Mode, "Its mode in octal. "+when),
	}
}

// OwnerArg is the name of a user or a group, or its number in decimal, stored without leading zeros.
func OwnerArg(name string, to *string, doc string) steps.Arg {
	return ParsedArg(name, to, doc, func(owner string) (string, error) {
		if !IsNumber(owner) {
			return accountName(owner)
		}
		const most = 1<<32 - 2 // chown(2): the next one is "no change"
		n, err := strconv.ParseUint(owner, 10, 64)
		if err != nil || n > most {
			return "", fmt.Errorf("%q is no number of a user or group: the largest is %d", owner, most)
		}
		return strconv.FormatUint(n, 10), nil
	})
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
		case part.what == "" || IsNumber(part.wanted):
			fmt.Fprintf(&b, "say %s \"%s\"\n", part.key, part.number)
		default:
			// Several names may have one number.
			wanted := shell.Quote(part.wanted)
			fmt.Fprintf(&b, "[ \"%[1]s\" = %[2]s ] || ! id_of %[3]s %[2]s || [ \"$ID\" != \"%[4]s\" ] || %[5]s=%[2]s\nsay %[6]s \"%[1]s\"\n",
				part.name, wanted, part.database, part.number, part.name[1:], part.key)
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return "attributes \"$p\" || exit 1\n" + b.String() + o.ProbeNames(true)
}

// WantedLines are the lines of ProbeAttributes for what is wanted.
func (o *Ownership) WantedLines() []string {
	var lines []string
	for _, part := range o.parts() {
		if part.wanted != "" {
			lines = append(lines, part.key+" "+part.wanted)
		}
	}
	return lines
}

// ProbeNames is sh that reports wanted names that do not exist; found tells whether attributes has looked
// at the file, so that names which it has need no look.
func (o *Ownership) ProbeNames(found bool) string {
	var b strings.Builder
	for _, part := range o.parts() {
		if part.wanted == "" || part.what == "" {
			continue
		}
		if IsNumber(part.wanted) {
			fmt.Fprintf(&b, "number_only %s %s\n", part.database, part.wanted)
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
		// chmod(1): a numeric mode does not clear these bits of a directory. A new one may have them of the directory above it.
		switch set := octal(mode) &^ octal(o.Mode); {
		case mode == "" && octal(o.Mode)&0o2000 == 0:
			commands = append(commands, "{ [ ! -g "+quoted+" ] || chmod ug-s -- "+quoted+"; }")
		case set&0o6000 != 0:
			commands = append(commands, "chmod ug-s -- "+quoted)
		}
		commands = append(commands, "chmod "+o.Mode+" -- "+quoted)
	}
	return commands
}

// octal is the number of a canonical mode; 0 for what is none.
func octal(mode string) uint64 {
	n, err := strconv.ParseUint("0"+mode, 8, 16)
	if err != nil {
		return 0 // no mode that stat(1) prints
	}
	return n
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
