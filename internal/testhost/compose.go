package testhost

import "strings"

// Compose makes hosts of Debian 13 with Docker 26, Compose 2.26 and buildx as Debian packs them, for [Debian], [Fresh] and [Fleet]. Their
// engine has an image [ComposeBusybox], since no registry is reached.
func Compose() Option { return func(s *setup) { s.recipe = composeHost } }

// ComposeBusybox is the image on [Compose] hosts: busybox with sh, and nothing else.
const ComposeBusybox = "test/busybox"

func composeHost() recipe {
	r := debian()
	r.name, r.suite = "compose", "trixie"
	r.packages = append(r.packages, "docker.io", "docker-cli", "docker-compose", "docker-buildx", "iptables")
	// An engine that would start while the image is made finds no system to run on.
	r.setup = strings.ReplaceAll(r.setup, "dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service", "dpkg-db-backup.timer") + `
mkdir -p /etc/systemd/system/docker.service.d
printf '[Service]\nEnvironment=DOCKER_ALLOW_IPV6_ON_IPV4_INTERFACE=1\n' >/etc/systemd/system/docker.service.d/test.conf`
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
