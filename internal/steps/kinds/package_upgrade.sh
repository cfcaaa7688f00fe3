# upgrades SECURITY NAME...: a line "update NAME OLD NEW" for every available update, of those names if
# there are any, and only of security updates if SECURITY is "security". After package_updates.sh.
upgrades() {
	upgrades_security=$1
	shift
	upgrades_all=$(available_updates "$upgrades_security" "$@") || return
	printf '%s\n' "$upgrades_all" | awk -v only="$*" '
		BEGIN { n = split(only, name, " "); for (i = 1; i <= n; i++) ask[name[i]] = 1 }
		NF >= 3 && (n == 0 || $1 in ask || $4 in ask) { print "update", $1, $2, $3 }'
}

# upgrade_packages SECURITY NAME...: refreshes the lists and upgrades; says "nothing to upgrade" on
# stdout if that is so. After package_change.sh.
upgrade_packages() {
	[ "$F_PACKAGE_MANAGER" != apt ] || mend_dpkg || fail "dpkg --configure -a failed; mend the package that it names"
	refresh_lists >&2
	upgrade_lines=$(upgrades "$@") || fail "the updates could not be listed; is there a repository that is enabled?"
	if [ -z "$upgrade_lines" ]; then
		echo 'nothing to upgrade'
		return
	fi
	printf '%s\n' "$upgrade_lines"
	upgrade_security=$1
	shift
	if [ $# -gt 0 ] || [ "$F_PACKAGE_MANAGER$upgrade_security" = aptsecurity ]; then
		# apt has no word for security, so the packages are named. What is not installed comes by what it replaces, or as a dependency.
		# shellcheck disable=SC2046
		set -- $(printf '%s\n' "$upgrade_lines" | awk '$3 != "-" { print $2 }')
		if [ $# = 0 ]; then
			echo 'nothing to upgrade'
			return
		fi
	fi
	case $F_PACKAGE_MANAGER in
	apt) if [ $# -gt 0 ]; then apt_get --only-upgrade install -- "$@"; else apt_get --with-new-pkgs upgrade; fi ;;
	dnf | yum) wait_for_lock && as_login "$F_PACKAGE_MANAGER" -y update ${upgrade_security:+--security} -- "$@" ;;
	apk) if [ $# -gt 0 ]; then as_login apk --wait 300 add --upgrade -- "$@"; else as_login apk --wait 300 upgrade; fi ;;
	zypper) zypper_upgrade "$@" ;;
	pacman) wait_for_lock && as_login pacman -Su --noconfirm ;;
	esac || package_failed
}

# zypper exits with 102 to advise a reboot, and with 103 when it updated itself and wants another
# run (zypper(8)).
zypper_upgrade() {
	# A patch has a name of its own, so packages that are named are updated, each of which has one.
	if [ -n "$upgrade_security" ] && [ $# = 0 ]; then
		set -- patch --category security --auto-agree-with-licenses
	else
		set -- update --auto-agree-with-licenses "$@"
	fi
	wait_for_lock
	as_login zypper --non-interactive "$@"
	upgrade_status=$?
	[ "$upgrade_status" != 103 ] || { as_login zypper --non-interactive "$@"; upgrade_status=$?; }
	[ "$upgrade_status" = 0 ] || [ "$upgrade_status" = 102 ] || [ "$upgrade_status" = 106 ]
}
