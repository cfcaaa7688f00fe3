package testhost

import (
	"os"
	"strings"
)

// composeSuite names the Debian suite whose Docker and Compose [Compose] hosts have. It tests other versions than those of Debian 13.
const composeSuite = "PROVISION_TEST_COMPOSE_SUITE"

// Compose makes hosts of Debian 13 with Docker 26, Compose 2.26, buildx and HAProxy as Debian packs them, for [Debian], [Fresh] and [Fleet]. Their
// engine has an image [ComposeBusybox], since no registry is reached. With PROVISION_TEST_COMPOSE_SUITE=sid Docker, Compose and buildx are
// those of sid: 28 and 2.40 in the autumn of 2026.
func Compose() Option { return func(s *setup) { s.recipe = composeHost } }

// ComposeBusybox is the image on [Compose] hosts: busybox with sh, and nothing else.
const ComposeBusybox = "test/busybox"

func composeHost() recipe {
	r := debian()
	r.name, r.suite = "compose", "trixie"
	engine := []string{"docker.io", "docker-cli", "docker-compose", "docker-buildx"}
	r.packages = append(r.packages, "iptables", "haproxy")
	suite := os.Getenv(composeSuite)
	if suite == "" {
		r.packages = append(r.packages, engine...)
	}
	// An engine that would start while the image is made finds no system to run on.
	r.setup = strings.ReplaceAll(r.setup, "dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service", "dpkg-db-backup.timer") + `
systemctl --quiet disable haproxy
mkdir -p /etc/systemd/system/docker.service.d
printf '[Service]\nEnvironment=DOCKER_ALLOW_IPV6_ON_IPV4_INTERFACE=1\n' >/etc/systemd/system/docker.service.d/test.conf`
	if suite != "" {
		r.name += "-" + suite
		r.setup += `
sed -n 's/^\(deb [^ ]*\) trixie main$/\1 ` + suite + ` main/p' /etc/apt/sources.list >/etc/apt/sources.list.d/engine.list
apt-get -qq update
DEBIAN_FRONTEND=noninteractive apt-get -qq --no-install-recommends install -t ` + suite + " " + strings.Join(engine, " ") + ` >/dev/null
rm /etc/apt/sources.list.d/engine.list`
	}
	r.prepare += `
systemctl start docker
root=$(mktemp -d)
mkdir -p "$root/bin" "$root/tmp"
cp /bin/busybox "$root/bin/busybox"
chroot "$root" /bin/busybox --install -s /bin
tar -C "$root" -c . | docker import --change 'CMD ["sleep", "1000000"]' - ` + ComposeBusybox + ` >/dev/null
rm -r "$root"
`
	return r
}
