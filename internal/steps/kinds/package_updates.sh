# What is newer in the lists of packages than on the host. After package_query.sh and
# package_lists.sh. Nothing is fetched and nothing is locked.

# available_updates [security]: a line "NAME OLD NEW" for every package with an update, sorted. OLD
# is "-" where the update brings a new package. Status 3: the host has no lists.
available_updates() {
	lists_files || return 3
	case $F_PACKAGE_MANAGER in
	apt) apt_updates "$@" ;;
	dnf | yum) yum_updates "$@" ;;
	apk) apk_updates ;;
	zypper) zypper_updates "$@" ;;
	pacman) pacman -Qu | awk '$3 == "->" && !/\[ignored\]/ { print $1, $2, $4 }' ;;
	*) fail "no package manager was found on this host: apt, dnf, yum, apk, zypper and pacman are known" ;;
	esac
}

# What apt-get upgrade --with-new-pkgs would do: it adds packages but never removes one, and keeps
# held and phased packages back.
apt_updates() {
	updates_lines=$(apt-get -s -q -o Debug::NoLocking=1 upgrade --with-new-pkgs 2>&1) ||
		fail "apt-get cannot compute an upgrade: $updates_lines"
	printf '%s\n' "$updates_lines" | awk -v only="${1:-}" '
		$1 == "Inst" {
			if (only == "security" && !/[Ss]ecurity/) next
			old = "-"; i = 3
			if (substr($3, 1, 1) == "[") { old = substr($3, 2, length($3) - 2); i = 4 }
			print $2, old, substr($i, 2)
		}' | sort
}

# check-update exits with 100 if there are updates. yum of CentOS 7 breaks lines at 80 columns:
# what begins with a space goes on with the line before it.
yum_updates() {
	updates_lines=$("$F_PACKAGE_MANAGER" -q -C check-update ${1:+--security} 2>&1)
	case $? in
	0) return 0 ;;
	100) ;;
	*)
		case $updates_lines in
		*[Cc]ache* | *"Cannot retrieve"*) return 3 ;;
		*"no enabled repos"*) return 0 ;;
		esac
		fail "$F_PACKAGE_MANAGER check-update failed: $updates_lines"
		;;
	esac
	updates_lines=$(printf '%s\n' "$updates_lines" | awk '
		function flush() {
			if (split(line, f, " ") == 3 && f[1] ~ /\.[a-z0-9_]+$/ && f[2] ~ /^[0-9]/) print f[1], f[2]
			line = ""
		}
		/^Obsoleting Packages/ { exit }
		/^[ \t]/ { line = line " " $0; next }
		{ flush(); line = $0 }
		END { flush() }')
	[ -n "$updates_lines" ] || return 0
	# shellcheck disable=SC2046
	updates_old=$(rpm -q --qf '%{NAME}.%{ARCH} %|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\n' -- $(printf '%s\n' "$updates_lines" | sed 's/ .*//') 2>/dev/null)
	printf '%s\n==\n%s\n' "$updates_old" "$updates_lines" | awk '
		!listed && $0 == "==" { listed = 1; next }
		!listed { old[$1] = $2; next }
		{
			name = $1
			sub(/\.[^.]*$/, "", name)
			print name, ($1 in old ? old[$1] : "-"), $2
		}' | sort -u
}

# "busybox-1.36.1-r2   < 1.36.1-r5": the version begins at the last but one dash.
apk_updates() {
	apk version -v -l '<' 2>/dev/null | awk '
		$2 == "<" && match($1, /-[^-]*-r[0-9]+$/) {
			print substr($1, 1, RSTART - 1), substr($1, RSTART + 1), $3
		}' | sort
}

zypper_updates() {
	if [ -n "${1:-}" ]; then
		set -- list-patches --category security
	else
		set -- list-updates
	fi
	updates_lines=$(zypper --non-interactive --no-refresh "$@" 2>&1) || fail "zypper $1 failed: $updates_lines"
	printf '%s\n' "$updates_lines" | awk -F'|' '
		{ for (i = 1; i <= NF; i++) gsub(/^ +| +$/, "", $i) }
		$1 == "v" { print $3, $4, $5 }
		$3 == "security" && / needed / { print $2, "-", "patch" }' | sort -u
}

# package_updates NAME...: lines "update NAME OLD NEW" for those names, or "updates unknown".
package_updates() {
	if [ "$F_PACKAGE_MANAGER" = apt ] && lists_files; then
		# Answers in 10 ms, where a simulated upgrade takes half a second.
		apt-cache policy -- "$@" | awk '
			/^[^ ].*:$/ { name = substr($0, 1, length($0) - 1) }
			$1 == "Installed:" { old = $2 }
			$1 == "Candidate:" && old != "(none)" && $2 != "(none)" && $2 != old { print "update", name, old, $2 }'
		return
	fi
	updates_all=$(available_updates)
	case $? in
	0) ;;
	3) say updates unknown; return 0 ;;
	*) return 1 ;;
	esac
	printf '%s\n' "$updates_all" | awk -v wanted="$*" '
		BEGIN { n = split(wanted, name, " "); for (i = 1; i <= n; i++) ask[name[i]] = 1 }
		$1 in ask { print "update", $0 }'
}
