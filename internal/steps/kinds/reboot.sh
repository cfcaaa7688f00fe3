# reboot_needed: "reboot needed REASON" or "reboot no", by whatever the system knows about it.
reboot_needed() {
	if [ -e /run/reboot-required ] || [ -e /var/run/reboot-required ]; then
		# Debian and Ubuntu: unattended-upgrades, needrestart or a package's own script leaves this.
		reboot_for=
		[ ! -r /var/run/reboot-required.pkgs ] || reboot_for=$(sort -u /var/run/reboot-required.pkgs | head -n 5 | tr '\n' ' ')
		say reboot "needed ${reboot_for:-a package asks for it}"
		return
	fi
	if have needs-restarting; then
		# yum-utils: with -r the status is 1 if a core package is newer than the boot. That of older versions knows no -r (2).
		needs-restarting -r >/dev/null 2>&1
		case $? in
		0) say reboot no && return ;;
		1) say reboot 'needed core packages are newer than the boot' && return ;;
		esac
	fi
	reboot_kernel=$(uname -r)
	if [ -e "/boot/vmlinuz-$reboot_kernel" ]; then
		# In a container there is none, or none of the kernel that runs. The rescue image of Red Hat is no version.
		reboot_newest=$(printf '%s\n' /boot/vmlinuz-* | grep -v -e rescue -e '\.old$' | sed 's|.*/vmlinuz-||' | sort -V | tail -n 1)
		[ "$reboot_newest" = "$reboot_kernel" ] || {
			say reboot "needed kernel $reboot_newest is installed"
			return
		}
	elif [ "$F_PACKAGE_MANAGER" = pacman ] && [ -e /boot/vmlinuz-linux ] && [ ! -d "/usr/lib/modules/$reboot_kernel" ]; then
		say reboot 'needed the modules of the running kernel are gone'
		return
	fi
	say reboot no
}
