# The first process of a container: makes it look like a machine that boots, then becomes its init. The image is anyone's, so
# nothing but sh is taken for granted: what fails here is missing later, and the container runs.

for init in /sbin/init /usr/lib/systemd/systemd /lib/systemd/systemd none; do
	[ ! -x "$init" ] || break
done
[ "$init" != none ] || exit 64

# Every boot has its own boot id. The kernel's would stay the same, as it is that of the machine that runs the container.
read -r id </proc/sys/kernel/random/uuid
echo "$id" >/run/boot-id
mount --bind /run/boot-id /proc/sys/kernel/random/boot_id

# The network's settings belong to the container's own namespace and may be written, unlike the rest of /proc/sys.
mount --bind /proc/sys/net /proc/sys/net && mount -o remount,bind,rw /proc/sys/net

# Docker mounts these three files, and what is a mount point can be neither renamed over nor kept over a reboot.
for f in hosts hostname resolv.conf; do
	cat "/etc/$f" >"/run/$f" && umount "/etc/$f" || continue
	[ -e /.provision-booted ] || cat "/run/$f" >"/etc/$f"
	rm "/run/$f"
done

# No two hosts share an identity. systemd would take the one of the machine where the image has none.
if [ ! -e /.provision-booted ]; then
	read -r id </proc/sys/kernel/random/uuid
	(
		IFS=-
		set -f
		set -- $id
		echo "$1$2$3$4$5" >/etc/machine-id
	)
	: >/.provision-booted
fi

# systemd before 232 (CentOS 7 has 219) boots on control groups of version 1 only, and most machines have version 2 by now. The kernel
# still has a hierarchy of systemd's own for who asks, and the two controllers that version 2 has no use for; a Docker engine inside
# wants the first of these. In the hierarchy the container keeps to a group of its own, as it would be shared with other containers.
systemd_version() {
	for s in /usr/lib/systemd/systemd /lib/systemd/systemd; do
		[ ! -x "$s" ] || set -- $("$s" --version)
	done
	echo "${2:-0}"
}
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
	version=$(systemd_version)
	case $version in 0 | *[!0-9]*) version=999 ;; esac
	if [ "$version" -lt 232 ] && mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup; then
		mkdir /sys/fs/cgroup/systemd && mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
		for c in devices freezer; do
			mkdir "/sys/fs/cgroup/$c" && mount -t cgroup -o "$c" cgroup "/sys/fs/cgroup/$c" || rmdir "/sys/fs/cgroup/$c"
		done
		for c in systemd devices freezer; do
			[ ! -d "/sys/fs/cgroup/$c" ] || { mkdir -p "/sys/fs/cgroup/$c/$1" && echo $$ >"/sys/fs/cgroup/$c/$1/cgroup.procs"; }
		done
	fi
fi

exec "$init"
