# hostname_source: sets SOURCE to the file that the host takes its name from at boot.
hostname_source() {
	SOURCE=/etc/hostname
	# What OpenRC's script reads differs between releases and distributions; Alpine's reads /etc/hostname.
	if [ "$F_INIT" = openrc ] && [ -f /etc/init.d/hostname ] && ! grep -q /etc/hostname /etc/init.d/hostname; then
		SOURCE=/etc/conf.d/hostname
	elif [ "$F_INIT" != systemd ] && [ ! -e /etc/hostname ]; then
		[ ! -f /etc/HOSTNAME ] || fail "this host takes its name from /etc/HOSTNAME; set it there with a step \"file\""
		[ ! -f /etc/sysconfig/network ] || ! grep -q '^HOSTNAME=' /etc/sysconfig/network ||
			fail "this host takes its name from /etc/sysconfig/network; set HOSTNAME there with a step \"env_file\" or \"line\""
	fi
}

# hostname_of FILE: sets NAME to the name that a file of hostname(5) gives: its first line that is no comment.
hostname_of() {
	NAME=
	while IFS= read -r name_line || [ -n "$name_line" ]; do
		name_line=${name_line#"${name_line%%[! 	]*}"}
		name_line=${name_line%"${name_line##*[! 	]}"}
		case $name_line in '' | '#'*) continue ;; esac
		NAME=$name_line
		return 0
	done <"$1"
}

# hostname_set FILE: sets NAME to the last value that a file of settings gives hostname.
hostname_set() {
	NAME=$(sed -n 's/^[[:blank:]]*hostname=//p' "$1" | tail -n 1) || return 1
	NAME=${NAME%"${NAME##*[! 	]}"}
	case $NAME in
	\"*\") NAME=${NAME#?} NAME=${NAME%?} ;;
	\'*\') NAME=${NAME#?} NAME=${NAME%?} ;;
	esac
}

# hostname_live NAME: gives the kernel its name.
hostname_live() {
	if have hostname; then hostname "$1"; else printf '%s\n' "$1" >/proc/sys/kernel/hostname; fi ||
		fail "the kernel does not take the name; in a container its engine sets it (docker run --hostname); with live = false only the file is written"
	live_now=$(cat /proc/sys/kernel/hostname) || exit 1
	[ "$live_now" = "$1" ] || fail "the kernel has the name $live_now after it was set to $1"
}
