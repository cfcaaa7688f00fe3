package testhost

import (
	"embed"
	"testing"
)

// newest is the Debian suite of what hosts are made of that no release of Debian has yet.
const newest = "forky"

//go:embed managers/rpms.sh managers/pacman.sh
var managerFiles embed.FS

//go:embed managers/become.sh
var managerScript string

// bare is a system without an init, for recipes that add one or need none.
func bare() recipe {
	return recipe{
		name: "bare", suite: newest, init: "none",
		packages: []string{"openssh-server", "sudo", "procps", "iproute2", "ca-certificates", "busybox-static"},
		setup:    "cat >/sbin/init <<'INIT'\n" + aloneInit + "INIT\nchmod 0755 /sbin/init",
	}
}

// Manager makes hosts with another package manager than apt: "dnf5" as Fedora has it, "dnf" as Rocky Linux 9, "zypper" or "pacman". All come
// from Debian's packages. The host's repository "test" is /srv/now, a link that [Publish] turns. There is no init.
func Manager(name string) Option {
	return func(s *setup) {
		s.recipe = managers
		s.edits = append([]string{"MANAGER=" + name + "\n" + managerScript}, s.edits...)
	}
}

func managers() recipe {
	debian := bare()
	tools := recipe{
		name: "manager-tools", suite: newest, from: &debian,
		packages: []string{"rpm", "dnf", "dnf5", "zypper", "pacman-package-manager", "makepkg", "createrepo-c", "libarchive-tools", "file"},
	}
	return recipe{
		name: "managers", init: "none", from: &tools, files: managerFiles,
		setup: "sh -eu /managers/rpms.sh\nsh -eu /managers/pacman.sh\nrm -r /managers",
	}
}

// Publish makes the repository of a [Manager] host another one: "base", or "updates" with what came later.
func (h *Host) Publish(t testing.TB, what string) {
	t.Helper()
	h.Run(t, "now=$(readlink /srv/now); ln -sfn \"${now%/*}/"+what+"\" /srv/now")
}
