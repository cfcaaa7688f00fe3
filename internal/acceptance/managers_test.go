//go:build acceptance

package acceptance

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"provision/internal/testhost"
)

// A manager is what a test asks a host's package manager by itself, never through the code that it tests.
type manager struct {
	name     string
	versions string // sh that prints "NAME VERSION" of every installed package of the test's
	refresh  string // sh that fetches the lists
	install  string // the command that installs, without the name
	security bool   // it knows which updates are about security
	pins     bool   // it installs a version that is not the newest
}

var managers = []manager{
	{
		name: "dnf5", versions: rpmVersions, refresh: "dnf -q clean expire-cache; dnf -q -y makecache", security: true, pins: true,
		install: "dnf -y install",
	},
	{
		name: "dnf", versions: rpmVersions, refresh: "dnf -q clean expire-cache; dnf -q -y makecache", security: true, pins: true,
		install: "dnf -y install",
	},
	{
		name: "zypper", versions: rpmVersions, refresh: "zypper --quiet --non-interactive refresh", security: true, pins: true,
		install: "zypper --non-interactive install",
	},
	{
		name: "pacman", versions: "pacman -Q | grep -v ^lime", refresh: "pacman -Sy >/dev/null",
		install: "pacman -S --noconfirm",
	},
}

const rpmVersions = `rpm -qa --qf '%{NAME} %|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\n' | grep -v -e ^glibc -e ^lime`

// TestManagers is one life of a few packages under each package manager but apt: installed, brought up to date, replaced, pinned,
// removed, with repositories that come and one that is down, and with somebody else's transaction open.
func TestManagers(t *testing.T) {
	t.Parallel()
	for _, m := range managers {
		t.Run(m.name, func(t *testing.T) {
			takesTurn(t, m.name, "dnf5", "dnf", "zypper", "pacman")
			t.Parallel()
			h := testhost.Fresh(t, testhost.Manager(m.name))
			l := &managerLife{T: t, manager: m, host: h, book: newBook(t, h, "")}
			l.install()
			l.upgradeIsPlanned()
			if m.security {
				l.securityUpgrade()
			}
			l.waits()
			l.latest()
			l.upgrade()
			if m.pins {
				l.pin()
				l.repositories()
			}
			l.remove()
		})
	}
}

type managerLife struct {
	*testing.T
	manager
	host *testhost.Host
	book *book
}

// has fails the test if other packages of the test's are installed than these.
func (l *managerLife) has(want ...string) {
	l.Helper()
	got := strings.Split(strings.TrimSpace(l.host.Run(l.T, l.versions)), "\n")
	slices.Sort(got)
	if !slices.Equal(got, want) {
		l.Errorf("installed: %q, want %q", got, want)
	}
}

// plans fails the test if the plan of a step is not these differences, "NAME OLD NEW" with "-" for none.
func (l *managerLife) plans(step string, want ...string) {
	l.Helper()
	l.book.steps(step)
	o := l.book.plan()
	var got []string
	for _, e := range o.events {
		if e.PlanStep == nil {
			continue
		}
		for _, a := range e.PlanStep.Diff {
			got = append(got, fmt.Sprintf("%s %s %s", a.Name, orNone(a.Before), orNone(a.After)))
		}
	}
	if !slices.Equal(got, want) || o.exit != map[bool]int{true: 0, false: 2}[len(want) == 0] {
		l.Errorf("the plan of\n%sis %q with exit %d, want %q\n%s", step, got, o.exit, want, o.dump())
	}
}

func orNone(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// applies applies a step and plans it again, which must find nothing.
func (l *managerLife) applies(step string) outcome {
	l.Helper()
	l.book.steps(step)
	o := l.book.applied()
	l.book.converged()
	return o
}

// without leaves the packages out that this manager's repository does not have.
func (l *managerLife) with(rpm string, rest ...string) []string {
	if l.name == "pacman" {
		return rest
	}
	all := append([]string{rpm}, rest...)
	slices.Sort(all)
	return all
}

func (l *managerLife) install() {
	l.applies(`step "package" "fruit" {
  names = ["` + strings.Join(l.with("fig", "apple", "banana", "cherry", "date", "grape"), `", "`) + `"]
}
`)
	l.has(l.with("fig 1.0-1", "apple 1.0-1", "banana 1:1.0-1", "cherry 1.0-1", "date 1.0-1", "grape 1.0-1")...)
	l.book.steps(`step "package" "none" {
  name = "nosuch"
}
`)
	if o := l.book.apply(); o.exit != 1 || !strings.Contains(o.output("step.package.none"), "not installed: nosuch;") {
		l.Errorf("a name that no repository has: exit %d\n%s", o.exit, o.dump())
	}
}

const upgradeAll = `step "package_upgrade" "all" {}
`

func (l *managerLife) upgradeIsPlanned() {
	l.plans(upgradeAll)
	l.host.Publish(l.T, "updates")
	l.host.Run(l.T, l.refresh)
	l.plans(upgradeAll, l.with("fig 1.0-1 1.1-1", "apple 1.0-1 2.0-1", "banana 1:1.0-1 1:1.5-1", "cherry 1.0-1 -", "cherry-ng - 2.0-1", "grape 1.0-1 1.1-1")...)
}

func (l *managerLife) securityUpgrade() {
	step := func(only string) string {
		return "step \"package_upgrade\" \"security\" {\n  security = true\n" + only + "}\n"
	}
	l.plans(step(""), "fig 1.0-1 1.1-1")
	l.plans(step("  only = [\"grape\"]\n"))
	l.plans(step("  only = [\"grape\", \"fig\"]\n"), "fig 1.0-1 1.1-1")
	l.applies(step("  only = [\"grape\", \"fig\"]\n"))
	l.has("apple 1.0-1", "banana 1:1.0-1", "cherry 1.0-1", "date 1.0-1", "fig 1.1-1", "grape 1.0-1")
	l.host.Run(l.T, "rpm --nodeps --oldpackage -U --nosignature /srv/rpm/base/fig-1.0-1.noarch.rpm")
	l.applies(step(""))
	l.has("apple 1.0-1", "banana 1:1.0-1", "cherry 1.0-1", "date 1.0-1", "fig 1.1-1", "grape 1.0-1")
}

// waits: a plan answers while somebody has a transaction open, and an apply waits for its end and says for whom.
func (l *managerLife) waits() {
	step := `step "package" "grape" {
  name  = "grape"
  state = "latest"
}
`
	l.host.Run(l.T, "touch /run/hold; nohup "+l.manager.install+" lime >/dev/null 2>&1 &")
	eventually(l.T, l.host, "a transaction is open", "pgrep -f 'hold.*sleep|/var/tmp/rpm-tmp|post_install'")
	began := time.Now()
	l.plans(step, "grape 1.0-1 1.1-1")
	if took := time.Since(began); took > 30*time.Second {
		l.Errorf("a plan beside an open transaction took %v", took)
	}
	p := l.book.startApply()
	p.awaitOutput("waiting for the package manager: it is locked by")
	l.host.Run(l.T, "rm /run/hold")
	if o := p.wait(); o.exit != 0 {
		l.Errorf("an apply that has waited: exit %d\n%s", o.exit, o.dump())
	}
	l.book.converged()
}

func (l *managerLife) latest() {
	step := `step "package" "apple" {
  name  = "apple"
  state = "latest"
}
`
	l.plans(step, "apple 1.0-1 2.0-1")
	l.applies(step)
}

func (l *managerLife) upgrade() {
	l.plans(upgradeAll, "banana 1:1.0-1 1:1.5-1", "cherry 1.0-1 -", "cherry-ng - 2.0-1")
	l.applies(upgradeAll)
	l.has(l.with("fig 1.1-1", "apple 2.0-1", "banana 1:1.5-1", "cherry-ng 2.0-1", "date 1.0-1", "grape 1.1-1")...)
}

func (l *managerLife) pin() {
	step := func(name, version string) string {
		return fmt.Sprintf("step \"package\" \"pinned\" {\n  name = %q\n  version = %q\n}\n", name, version)
	}
	l.applies(step("apple", "1*"))
	l.plans(step("apple", "1.0"))
	l.applies(step("apple", "2.0"))
	// The epoch may be left out, and the release.
	l.applies(step("banana", "1.0"))
	l.applies(step("banana", "1:1.5-1"))
	l.applies(step("banana", "1.0*"))
	l.has("apple 2.0-1", "banana 1:1.0-1", "cherry-ng 2.0-1", "date 1.0-1", "fig 1.1-1", "grape 1.1-1")
	l.book.steps(step("apple", "3"))
	if o := l.book.apply(); o.exit != 1 || !strings.Contains(o.end("step.package.pinned").Error.Message, "no repository offers apple in version 3; on offer:") {
		l.Errorf("a version that nobody offers: exit %d\n%s", o.exit, o.dump())
	}
}

// repositories: what others have fetched stays when one comes, and one that is down is no failure of what it does not have.
func (l *managerLife) repositories() {
	lists := "ls -d /var/cache/zypp/raw/*/ /var/cache/zypp/solv/*/ /var/cache/dnf/*/ /var/cache/libdnf5/*/ 2>/dev/null | grep test"
	before := l.host.Run(l.T, lists)
	l.applies(`step "repository" "more" {
  name     = "more"
  baseurl  = "file:///srv/rpm/base"
  gpgcheck = false
}
`)
	if after := l.host.Run(l.T, lists); after != before {
		l.Errorf("the lists of the other repository were %q and are %q", before, after)
	}
	l.host.Run(l.T, `rpm -e date apple
for d in /etc/yum.repos.d /etc/zypp/repos.d; do
	printf '[down]\nname=down\nbaseurl=file:///srv/nowhere\nenabled=1\nautorefresh=1\ngpgcheck=0\n' >$d/down.repo
done`)
	l.applies(`step "package" "date" {
  name = "date"
}
`)
	if l.name != "zypper" {
		step := "step \"package\" \"grape\" {\n  name = \"grape\"\n  state = \"latest\"\n}\n"
		l.host.Run(l.T, "rm -rf /var/cache/provision; touch /etc/yum.repos.d/down.repo")
		l.book.steps(step)
		if o := l.book.plan(); o.exit != 2 || !strings.Contains(o.planned("step.package.grape").Reason, "lists of packages are lacking") {
			l.Errorf("latest while a repository has no lists: exit %d\n%s", o.exit, o.dump())
		}
		l.applies(step)
	}
	l.host.Run(l.T, "rm /etc/*/*.d/down.repo")
}

func (l *managerLife) remove() {
	step := `step "package" "apple" {
  name  = "apple"
  state = "absent"
}
`
	l.book.steps(step)
	if o := l.book.plan(); !slices.Contains(o.planned("step.package.apple").Dangers, "removes package apple and what depends on it") {
		l.Errorf("the plan of a removal\n%s", o.dump())
	}
	l.applies(step)
	if got := l.host.Run(l.T, l.versions); strings.Contains(got, "apple") || strings.Contains(got, "date") {
		l.Errorf("apple and date, which needs it, are to be gone: %q", got)
	}
}
