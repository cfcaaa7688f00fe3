# What starts at boot, under OpenRC and SysV. For the probe and the operations of services.

# openrc_levels: prints the runlevels that a boot goes through, with those stacked on them.
openrc_levels() {
	set -- sysinit boot
	level=$(sed -n 's/^\(.* \)*softlevel=\([^ ]*\).*/\2/p' /proc/cmdline 2>/dev/null)
	set -- "$@" "${level:-default}"
	for level in "$@"; do
		for level_dir in /etc/runlevels/"$level"/*/; do
			[ ! -d "$level_dir" ] || { level_dir=${level_dir%/} && set -- "$@" "${level_dir##*/}"; }
		done
	done
	echo "$@"
}

# openrc_boots NAME: is it in one of them? Sets boots_in to those.
openrc_boots() {
	boots_in=
	for level in $(openrc_levels); do
		[ ! -e "/etc/runlevels/$level/$1" ] || boots_in="$boots_in $level"
	done
	[ -n "$boots_in" ]
}

# sysv_boots NAME: does a boot start it? It goes through S and the runlevel of /etc/inittab, which sets boot_level. Where there is no
# such file, as with upstart, any runlevel counts.
sysv_boots() {
	boot_level=$(sed -n 's/^[^#:]*:\([0-9]\):initdefault:.*/\1/p' /etc/inittab 2>/dev/null | head -n 1)
	boot_level=${boot_level:-[2345]}
	# shellcheck disable=SC2231
	for boot_file in /etc/rcS.d/S[0-9][0-9]"$1" /etc/rc$boot_level.d/S[0-9][0-9]"$1"; do
		[ ! -e "$boot_file" ] || return 0
	done
	return 1
}

# runit_has NAME: is runit the init, and the service one of its own? Debian's init scripts answer for such a service with status 0
# whatever it does, and do nothing.
runit_has() {
	[ "$F_INIT" = sysv ] && read -r runit_init </proc/1/comm && [ "$runit_init" = runit ] || return 1
	[ -e "/etc/service/$1" ] || [ -d "/etc/sv/$1" ] || [ -d "/usr/share/runit/sv.current/$1" ]
}
