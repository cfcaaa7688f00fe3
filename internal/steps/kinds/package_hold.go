package kinds

import (
	"fmt"
	"slices"
	"strings"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

var packageHoldKind = &steps.Kind{
	Name: "package_hold",
	Doc: `Packages that stay as they are: apt neither upgrades nor removes what is held.

All names are looked up in one query of dpkg. A package that is not installed cannot be held, since apt would
then refuse to install it: that is an error, unless an earlier step installs it. Of a package
that is there for several architectures each one is held; name:arch means one of them.

A step "package" with latest or a version fails for what is held, so a hold is lifted before and set
again after it. With state = "absent" packages are free again; so are those whose hold outlived them, which apt
would refuse to install.

Only apt is known. Others are an error that says what they have for it: versionlock of dnf and yum, locks of
zypper, IgnorePkg of pacman.`,
	Example: `step "package" "held" {
  name = "hello"
}

step "package_hold" "held" {
  name = "hello"
}
`,
	New: func() (steps.Step, steps.Args) {
		s := &packageHold{State: "present"}
		return s, steps.Args{
			packageArg("name", &s.Name, "One package. One of name and names is required; both may be given."),
			packagesArg("names", &s.Names, "Several packages."),
			kit.EnumArg("state", &s.State, "Whether the packages are held.", "present", "absent"),
		}
	},
}

type packageHold struct {
	Name, State string
	Names       []string
}

var (
	_ steps.Settler = (*packageHold)(nil)
	_ steps.Asker   = (*packageHold)(nil)
)

func (s *packageHold) all() []string {
	names := slices.Clone(s.Names)
	if s.Name != "" {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (s *packageHold) Validate() []steps.Problem {
	if len(s.all()) == 0 {
		return []steps.Problem{{Summary: "no package is named", Detail: "Set name or names."}}
	}
	return nil
}

// Asks implements steps.Asker.
func (s *packageHold) Asks(*steps.Facts) []steps.Thing {
	return []steps.Thing{{Kind: steps.FileThing, Name: "/var/lib/dpkg/status"}}
}

// Probe says for each name whether every architecture of it is held. dpkg-query fails if it does not know one of the names, and says
// those that it knows.
func (s *packageHold) Probe() string {
	wanted := "no"
	if s.State == "present" {
		wanted = "yes"
	}
	return fmt.Sprintf(`case $F_PACKAGE_MANAGER in
apt) ;;
dnf | yum) fail "$F_PACKAGE_MANAGER holds packages by its plugin versionlock, which this kind does not know; use a step \"command\" with $F_PACKAGE_MANAGER versionlock add" ;;
zypper) fail "zypper holds packages by locks, which this kind does not know; use a step \"command\" with zypper addlock" ;;
pacman) fail "pacman holds packages by IgnorePkg in /etc/pacman.conf; set it with a step \"line\"" ;;
*) fail "this kind knows the holds of apt only, which this host does not have" ;;
esac
all=$(dpkg-query -W -f '${db:Status-Want} ${db:Status-Status} ${Package}:${Architecture}\n' -- %[1]s 2>/dev/null)
[ $? -le 1 ] || fail "dpkg-query failed"
for n in %[1]s; do
	found=
	while read -r want status package; do
		case $package in "$n:"* | "$n") ;; *) continue ;; esac
		case $status:$want:%[2]s in
		# A hold that outlived its package keeps it from being installed again.
		*:hold:no) ;;
		not-installed:* | config-files:* | :*) continue ;;
		esac
		case $want:$found in
		hold: | hold:yes) found=yes ;;
		*:yes | hold:no | *:some) found=some ;;
		*) found=no ;;
		esac
	done <<END
$all
END
	if [ -z "$found" ]; then
		[ %[2]s = no ] || fail "$n is not installed, so it cannot be held; install it with a step \"package\" before this one"
		found=no
	fi
	say hold "$n $found"
done
`, shell.Words(s.all()...), wanted)
}

// Settled implements steps.Settler.
func (s *packageHold) Settled(*steps.Facts) []steps.Observation {
	var lines []string
	for _, name := range s.all() {
		lines = append(lines, "hold "+name+" "+yesNo(s.State == "present"))
	}
	return []steps.Observation{steps.Observe(lines...)}
}

func (s *packageHold) Plan(_ *steps.Facts, obs steps.Observation) (steps.Change, error) {
	change := steps.Change{Action: steps.NoOp}
	var names []string
	wanted := yesNo(s.State == "present")
	shown := map[string]string{"yes": "held", "no": "free", "some": "held in part"}
	for _, line := range obs.All("hold") {
		name, held, _ := strings.Cut(line, " ")
		if held != wanted {
			names = append(names, name)
			change.Diff = append(change.Diff, steps.Attr{Name: name, Before: shown[held], After: shown[wanted]})
		}
	}
	if len(names) == 0 {
		return change, nil
	}
	change.Action = steps.Update
	verb := "hold"
	if s.State == "absent" {
		verb = "unhold"
	}
	change.Ops = []steps.Op{steps.Run{Script: shell.Strip(packageQuerySource) + shell.Strip(packageChangeSource) + "wait_for_lock\nas_login apt-mark " + verb + " " + shell.Words(names...) + " >&2 || fail \"apt-mark " + verb + " failed\"\n"}}
	return change, nil
}
