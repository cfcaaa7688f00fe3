#!/bin/sh
# The first process of a test host: makes a container look like a machine that boots, then becomes systemd.

# Every boot has its own boot id. The kernel's would stay the same, as it is that of the machine that runs the container.
cat /proc/sys/kernel/random/uuid >/run/boot-id
mount --bind /run/boot-id /proc/sys/kernel/random/boot_id

# The network's settings belong to the container's own namespace and may be written, unlike the rest of /proc/sys.
mount --bind /proc/sys/net /proc/sys/net
mount -o remount,bind,rw /proc/sys/net

# Docker mounts these three files, and what is a mount point can be neither renamed over nor kept over a reboot.
for f in hosts hostname resolv.conf; do
	cp "/etc/$f" "/run/$f"
	umount "/etc/$f"
	[ -e /var/lib/booted ] || cat "/run/$f" >"/etc/$f"
	rm "/run/$f"
done
hostname -F /etc/hostname

# No two hosts share an identity.
if ! [ -e /var/lib/booted ]; then
	ssh-keygen -A
	# Not by systemd-machine-id-setup, which takes the one of the machine or of an earlier dbus where it finds one.
	tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id
	touch /var/lib/booted
fi

exec /sbin/init
