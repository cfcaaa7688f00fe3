package kinds

import (
	_ "embed"
	"fmt"
	"strings"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

//go:embed package_upgrade.sh
var packageUpgradeScriptSource string

var packageUpgradeKind = &steps.Kind{
	Name: "package_upgrade",
	Doc: `Installed packages brought up to date.

A plan lists every package with its old and new version, from the lists that the host has: planning
fetches nothing. Applying refreshes the lists first, so it may find more. Lists that are older than
max_age, or lacking, make the step run even if nothing newer is known; if nothing came of it, it
counts as unchanged.

With apt this is "apt-get upgrade --with-new-pkgs": packages may be added, none is removed, and held
and phased packages stay as they are. With dnf and yum it is "update", with apk and zypper their
upgrade and update, with pacman -Syu: a package that another replaces is removed, which the plan says
(zypper tells root alone). Changed configuration files are kept, and the lock of another
package manager is waited for, at most five minutes.

security limits the upgrade to security updates. Repositories must mark them: those of CentOS 7 do
not, so yum finds none there. apk and pacman know no such mark and refuse. The host is not rebooted:
a step of the kind reboot does that when it is needed.`,
	Example: `step "package_upgrade" "all" {}
`,
	New: func() (steps.Step, steps.Args) {
		u := &packageUpgrade{MaxAge: 24 * 3600}
		return u, steps.Args{
			packagesArg("only", &u.Only, "Upgrade these packages only. One that is not installed is passed over."),
			kit.BoolArg("security", &u.Security, "Only security updates."),
			kit.SecondsArg("max_age", &u.MaxAge, "How old the lists of packages may be before the step refreshes them to look again."),
		}
	},
}

type packageUpgrade struct {
	Only     []string
	Security bool
	MaxAge   int
}

var (
	_ steps.Bringer = (*packageUpgrade)(nil)
	_ steps.Asker   = (*packageUpgrade)(nil)
)

func (u *packageUpgrade) Validate() []steps.Problem { return nil }

// arguments is the words of sh for upgrades and upgrade_packages.
func (u *packageUpgrade) arguments() string {
	security := ""
	if u.Security {
		security = "security"
	}
	return shell.Words(append([]string{security}, u.Only...)...)
}

// minutes is the wanted age for find -mmin, which knows no seconds.
func (u *packageUpgrade) minutes() int { return max(1, u.MaxAge/60) }

func (u *packageUpgrade) Probe() string {
	return shell.Strip(packageListsSource) + shell.Strip(packageUpdatesSource) + shell.Strip(packageUpgradeScriptSource) + fmt.Sprintf(`lines=$(upgrades %s)
case $? in
0) ;;
3) say lists none; exit 0 ;;
*) exit 1 ;;
esac
if lists_fresh %d; then say lists fresh; else say lists old; fi
[ -z "$lines" ] || printf '%%s\n' "$lines"
if [ "${DETAIL:-0}" = 1 ]; then
	printf '|hours\n|:%%s\n|.\n' "$(lists_hours)"
fi
`, u.arguments(), u.minutes())
}

func (u *packageUpgrade) Plan(f *steps.Facts, obs steps.Observation) (steps.Change, error) {
	switch {
	case f.PackageManager == "":
		return steps.Change{}, fmt.Errorf("no package manager was found on this host: apt, dnf, yum, apk, zypper and pacman are known")
	case u.Security && (f.PackageManager == "apk" || f.PackageManager == "pacman"):
		return steps.Change{}, fmt.Errorf("%s does not know which updates are about security; leave security out", f.PackageManager)
	case len(u.Only) > 0 && f.PackageManager == "pacman":
		return steps.Change{}, fmt.Errorf("pacman upgrades the whole system or nothing; leave only out")
	}
	lists, _ := obs.Get("lists")
	updates := obs.All("update")
	if len(updates) == 0 && lists == "fresh" {
		return steps.Change{Action: steps.NoOp}, nil
	}
	change := steps.Change{Action: steps.Update, Ops: []steps.Op{steps.Run{Script: u.script()}}}
	for _, line := range updates {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			return steps.Change{}, fmt.Errorf("the probe printed an update that cannot be read: %q", line)
		}
		attr := steps.Attr{Name: fields[0], Before: fields[1], After: fields[2]}
		if fields[1] == "-" {
			attr.Before, attr.BeforeMissing = "", true
		}
		if fields[2] == "-" {
			attr.After, attr.AfterMissing = "", true
			change.Dangers = append(change.Dangers, "removes package "+fields[0]+", which another replaces")
		}
		change.Diff = append(change.Diff, attr)
	}
	change.Reason = u.reason(len(updates), lists, obs)
	if len(updates) == 0 {
		// The operation says whether it upgraded anything.
		change.Action = steps.Execute
		change.ChangedIf = `case $stdout in *"nothing to upgrade"*) exit 1 ;; esac`
	}
	return change, nil
}

func (u *packageUpgrade) reason(count int, lists string, obs steps.Observation) string {
	age := "older than wanted"
	if hours, ok := obs.Detail("hours"); ok {
		age = strings.TrimSpace(hours) + " hours old"
	}
	switch {
	case lists == "none":
		return "lists of packages are lacking on this host: they are fetched first, so the updates are not known yet"
	case lists == "old":
		return fmt.Sprintf("%s known, but the lists of packages are %s: they are refreshed first", counted(count, "update"), age)
	}
	return counted(count, "update")
}

// counted is "1 update" or "3 updates".
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (u *packageUpgrade) script() string {
	return shell.Strip(packageQuerySource) + shell.Strip(packageListsSource) + shell.Strip(packageUpdatesSource) + shell.Strip(packageChangeSource) + shell.Strip(packageUpgradeScriptSource) +
		"upgrade_packages " + u.arguments() + "\n"
}

// Brings implements steps.Bringer.
func (p *packageUpgrade) Brings(steps.Change) steps.Supply { return steps.Anything() }

// Asks implements steps.Asker.
func (p *packageUpgrade) Asks(*steps.Facts) []steps.Thing { return packageSources }
