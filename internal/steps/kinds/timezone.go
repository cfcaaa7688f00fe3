package kinds

import (
	"fmt"
	"regexp"
	"strings"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

var timezoneKind = &steps.Kind{
	Name: "timezone",
	Doc: `The timezone of the host.

It is the link /etc/localtime, which is replaced at once. A copy of a zone in its place becomes a link, too. The
file /etc/timezone, which Debian up to 13 and Gentoo have, gets the name where it exists.
The zone's file below /usr/share/zoneinfo must be there or come from an earlier step: the package is tzdata,
and for old names such as US/Eastern tzdata-legacy in new releases of Debian and Ubuntu.

The clock itself is not touched, and its hardware is expected to keep UTC. Programs that run keep the old zone
until they are restarted: cron and loggers want that, with on_change = { restart = [...] }.`,
	Example: `step "package" "zones" {
  name = "tzdata"
}

step "timezone" "local" {
  name = "Europe/Berlin"
}
`,
	New: func() (steps.Step, steps.Args) {
		s := &timezone{}
		return s, steps.Args{
			kit.ParsedArg("name", &s.Name, "The zone, such as Europe/Berlin or UTC.", parseTimezone).Must(),
		}
	},
}

type timezone struct{ Name string }

var (
	_ steps.Bringer  = (*timezone)(nil)
	_ steps.Requirer = (*timezone)(nil)
	_ steps.Settler  = (*timezone)(nil)
)

var timezoneName = regexp.MustCompile(`^[A-Za-z0-9+_-]+(/[A-Za-z0-9+_-]+)*$`)

func parseTimezone(s string) (string, error) {
	if bare, found := strings.CutPrefix(s, zoneinfo+"/"); found {
		return "", fmt.Errorf("%q is a path; write the name of the zone, %s", s, bare)
	}
	if !timezoneName.MatchString(s) {
		return "", fmt.Errorf("%q is no name of a zone; write one such as Europe/Berlin, America/New_York or UTC", s)
	}
	return s, nil
}

// zoneinfo is where zones are, tzset(3).
const zoneinfo = "/usr/share/zoneinfo"

func (s *timezone) Validate() []steps.Problem { return nil }

func (s *timezone) file() string { return zoneinfo + "/" + s.Name }

// Brings implements steps.Bringer.
func (s *timezone) Brings(steps.Change) steps.Supply {
	return steps.Supply{Things: []steps.Thing{{Kind: steps.FileThing, Name: "/etc/localtime"}, {Kind: steps.FileThing, Name: "/etc/timezone"}}}
}

// Requires implements steps.Requirer.
func (s *timezone) Requires() []steps.Thing {
	return []steps.Thing{{Kind: steps.FileThing, Name: s.file()}}
}

// Probe says what a link leads to without the directory of zones, which may be relative or a copy (Alpine has /etc/zoneinfo).
func (s *timezone) Probe() string {
	return fmt.Sprintf(`[ -f %[1]s ] || need file %[1]s
path_type /etc/localtime || exit 1
say type "$TYPE"
case $TYPE in
symlink)
	link_target /etc/localtime || exit 1; l=$LINK
	if [ ! -f /etc/localtime ]; then
		say dangling "$l"
	else
		case $l in */zoneinfo/*) say zone "${l#*/zoneinfo/}" ;; *) say link "$l" ;; esac
	fi
	;;
file)
	! mounted /etc/localtime || say mounted yes
	;;
esac
path_type /etc/timezone || exit 1
[ "$TYPE" != file ] || { n=$(cat /etc/timezone) || exit 1; say name "$n"; }
`, shell.Quote(s.file()))
}

// Settled implements steps.Settler.
func (s *timezone) Settled(*steps.Facts) []steps.Observation {
	link := []string{"type symlink", "zone " + s.Name}
	return []steps.Observation{steps.Observe(link...), steps.Observe(append(link, "name "+s.Name)...)}
}

func (s *timezone) Plan(_ *steps.Facts, obs steps.Observation) (steps.Change, error) {
	change := steps.Change{Action: steps.NoOp}
	kind, _ := obs.Get("type")
	attr := steps.Attr{Name: "zone", After: s.Name}
	right := false
	switch kind {
	case "symlink":
		zone, ours := obs.Get("zone")
		other, _ := obs.Get("link")
		dangling, broken := obs.Get("dangling")
		switch right = ours && zone == s.Name; {
		case ours:
			attr.Before = zone
		case broken:
			attr.Before = dangling + ", which does not exist"
		default:
			attr.Before = other
		}
	case "absent":
		attr.Before, change.Action = "UTC, since /etc/localtime does not exist", steps.Create
	case "file":
		if obs.Yes("mounted") {
			return steps.Change{}, fmt.Errorf("/etc/localtime is a mount point, as in some containers: it cannot become a link from within; choose the zone where the container is started")
		}
		attr.Before = "a copy of some zone"
	default:
		return steps.Change{}, kit.NotA("/etc/localtime", kind, "symbolic link")
	}
	if !right {
		change.Also(attr, steps.Run{Script: s.script()})
	}
	if name, there := obs.Get("name"); there && name != s.Name {
		change.Also(steps.Attr{Name: "/etc/timezone", Before: name, After: s.Name}, steps.Put{Path: "/etc/timezone", Content: steps.Content{Text: steps.Plain(s.Name + "\n")}})
	}
	if change.Action != steps.NoOp {
		change.AddNeeds(obs)
	}
	return change, nil
}

// script makes the link beside its place and renames it.
func (s *timezone) script() string {
	return fmt.Sprintf(`[ -f %[1]s ] || fail "there is no zone "%[1]s
n=/etc/localtime.new.$$
rm -f -- /etc/localtime.new.*
[ ! -d /etc/localtime ] || rm -f -- /etc/localtime
ln -s -- %[2]s "$n" && mv -f -- "$n" /etc/localtime && exit 0
rm -f -- "$n"
exit 1
`, shell.Quote(s.file()), shell.Quote("../usr/share/zoneinfo/"+s.Name))
}
