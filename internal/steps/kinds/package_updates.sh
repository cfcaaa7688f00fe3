# What is newer in the lists of packages than on the host. After package_query.sh and
# package_lists.sh. Nothing is fetched and nothing is locked.

# available_updates SECURITY NAME...: a line "NAME OLD NEW" for every package with an update, sorted. OLD is "-" where the update
# brings a new package, and NEW where it takes one away; a fourth word is the package that takes its place, or whose place it
# takes, where the manager tells. Names narrow it down where the manager can; others are told too. Status 3: lists are lacking.
available_updates() {
	lists_files || return 3
	case $F_PACKAGE_MANAGER in
	apt) apt_updates "$@" ;;
	dnf | yum) yum_updates "$@" ;;
	apk) apk_updates ;;
	zypper) zypper_updates "$@" ;;
	pacman) pacman_updates ;;
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

# yum_look ARGUMENTS...: asks yum or dnf for what it knows, sets updates_lines, and returns its status; 3 if a repository has no
# lists. dnf passes such a one over where skip_if_unavailable is set, as Fedora ships it: whoever asks must not take that for "no
# updates", unless lists were fetched since the repositories are these. dnf 5 waits without end for whoever has a transaction open,
# a prompt too, unless it is told not to.
yum_look() {
	yum_strict='' yum_unlocked=''
	if [ "$F_PACKAGE_MANAGER" = dnf ]; then
		[ -e /var/cache/provision/package-lists ] &&
			[ -z "$(find /etc/yum.repos.d /etc/dnf/repos.override.d -newer /var/cache/provision/package-lists 2>/dev/null | head -n 1)" ] ||
			yum_strict='--setopt=skip_if_unavailable=0 --setopt=*.skip_if_unavailable=0'
		! dnf_is_5 || yum_unlocked=--skip-file-locks
	fi
	set -f
	# shellcheck disable=SC2086
	updates_lines=$("$F_PACKAGE_MANAGER" -q -C $yum_strict $yum_unlocked "$@" 2>&1)
	yum_status=$?
	case $yum_unlocked$yum_status$updates_lines in
	# Earlier ones have no such option, and take no lock to look.
	--skip-file-locks2*--skip-file-locks*)
		# shellcheck disable=SC2086
		updates_lines=$("$F_PACKAGE_MANAGER" -q -C $yum_strict "$@" 2>&1)
		yum_status=$?
		;;
	esac
	set +f
	case $yum_status in
	0 | 100) return "$yum_status" ;;
	esac
	case $updates_lines in
	*[Cc]ache* | *"Cannot retrieve"*) return 3 ;;
	*"no enabled repos"*) updates_lines='' && return 0 ;;
	# What list says when nothing is to be listed.
	*"No matching packages to list"*) updates_lines='' && return 0 ;;
	esac
	fail "$F_PACKAGE_MANAGER $1 failed: $updates_lines"
}

# check-update exits with 100 if there are updates. yum of CentOS 7 breaks lines at 80 columns: three words are a package, and what
# begins with a space goes on with the line before it. What would be replaced stands in a part of its own, indented below what takes its place; dnf 5 has a command for it.
yum_updates() {
	yum_look check-update ${1:+--security} || case $? in
	3) return 3 ;;
	100) ;;
	*) exit 1 ;;
	esac
	updates_found=$updates_lines
	if [ "$F_PACKAGE_MANAGER:$1" = dnf: ] && dnf_is_5; then
		yum_look list --obsoletes || return
		updates_found="$updates_found
$updates_lines"
	fi
	updates_found=$(printf '%s\n' "$updates_found" | awk '
		/^Obsoleting [Pp]ackages/ { replacing = 1; n = 0; next }
		{
			if (/^[^ \t]/) { n = 0; indented = 0 }
			else if (n == 0) indented = 1
			for (i = 1; i <= NF; i++) word[n++] = $i
			if (n < 3) next
			good = n == 3 && word[0] ~ /\.[a-z0-9_]+$/ && word[1] ~ /^[0-9]/
			n = 0
			if (!good) next
			if (!replacing) print "update", word[0], word[1]
			else if (!indented) { new = word[0]; version = word[1] }
			else if (new != word[0]) print "replace", word[0], word[1], new, version
		}')
	[ -n "$updates_found" ] || return 0
	# shellcheck disable=SC2046
	updates_old=$(rpm -q --qf '%{NAME}.%{ARCH} %|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\n' -- $(printf '%s\n' "$updates_found" | awk '{ print $2; if ($1 == "replace") print $4 }') 2>/dev/null)
	printf '%s\n==\n%s\n' "$updates_old" "$updates_found" | awk '
		function name(full) { sub(/\.[^.]*$/, "", full); return full }
		!listed && $0 == "==" { listed = 1; next }
		!listed { old[$1] = $2; next }
		$1 == "update" { print name($2), ($2 in old ? old[$2] : "-"), $3 }
		$1 == "replace" {
			if (!($4 in old)) print name($4), "-", $5, name($2)
			print name($2), $3, "-", name($4)
		}' | sort -u
}

# "busybox-1.36.1-r2   < 1.36.1-r5": the version begins at the last but one dash.
apk_updates() {
	apk version -v -l '<' 2>/dev/null | awk '
		$2 == "<" && match($1, /-[^-]*-r[0-9]+$/) {
			print substr($1, 1, RSTART - 1), substr($1, RSTART + 1), $3
		}' | sort
}

# What zypper would do, without its lock. Only root may ask that; others learn of newer versions, and not of what is replaced.
zypper_updates() {
	updates_security=$1
	shift
	if [ "$F_UID" = 0 ]; then
		if [ -n "$updates_security" ]; then
			set -- --category security
			updates_verb=patch
		else
			updates_verb=update
			[ $# = 0 ] || set -- -- "$@"
		fi
		updates_lines=$(ZYPP_READONLY_HACK=1 zypper --xmlout --non-interactive --no-refresh $updates_verb --dry-run --auto-agree-with-licenses "$@" 2>&1)
		case $? in
		0 | 10[0-36]) ;;
		# None of the names is installed, or known.
		104) return 0 ;;
		*) fail "zypper $updates_verb --dry-run failed: $(printf '%s\n' "$updates_lines" | sed -n -e 's/^<message type="error">\(.*\)<\/message>$/\1/p' -e 's/^<description>\(.*\)<\/description>$/\1/p' | sed -n 1,5p)" ;;
		esac
		printf '%s\n' "$updates_lines" | awk '
			function value(key) {
				if (!match($0, " " key "=\"[^\"]*\"")) return "-"
				return substr($0, RSTART + length(key) + 3, RLENGTH - length(key) - 4)
			}
			/^<to-/ { part = $1 }
			/^<\/to-/ { part = "" }
			part != "" && /^<solvable type="package"/ {
				if (part ~ /remove/) print value("name"), value("edition"), "-"
				else if (part !~ /reinstall/) print value("name"), value("edition-old"), value("edition")
			}' | sort -u
		return
	fi
	if [ -n "$updates_security" ]; then
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

# What pacman -Su would do. It names what it would install, and not what that replaces, which the new package itself says.
pacman_updates() {
	updates_lines=$(pacman -Su --print --print-format '%n %v' --noconfirm 2>&1) || fail "pacman cannot compute an upgrade: $updates_lines"
	updates_lines=$(printf '%s\n' "$updates_lines" | awk 'NF == 2 && $1 !~ /:$/')
	[ -n "$updates_lines" ] || return 0
	updates_old=$(pacman -Q) || fail "pacman could not read its database"
	updates_added=$(printf '%s\n==\n%s\n' "$updates_old" "$updates_lines" | awk '
		$0 == "==" { listed = 1; next }
		!listed { old[$1] = 1; next }
		!($1 in old) { print $1 }')
	updates_info=
	# shellcheck disable=SC2086
	[ -z "$updates_added" ] || updates_info=$(pacman -Si -- $updates_added) || fail "pacman does not know what it would install: $updates_added"
	printf '%s\n==\n%s\n==\n%s\n' "$updates_old" "$updates_lines" "$updates_info" | awk '
		$0 == "==" { part++; next }
		!part { old[$1] = $2; next }
		part == 1 { new[$1] = $2; next }
		/^Name / { name = $3 }
		/^Replaces / {
			sub(/^[^:]*: */, "")
			for (i = 1; i <= NF; i++) {
				gone = $i
				sub(/[<>=].*/, "", gone)
				if (gone in old && !(gone in new)) { print gone, old[gone], "-", name; taken[name] = gone }
			}
		}
		END { for (name in new) print name, (name in old ? old[name] : "-"), new[name] (name in taken ? " " taken[name] : "") }' | sort -u
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
	updates_all=$(available_updates '')
	case $? in
	0) ;;
	3) say updates unknown; return 0 ;;
	*) return 1 ;;
	esac
	printf '%s\n' "$updates_all" | awk -v wanted="$*" '
		BEGIN { n = split(wanted, name, " "); for (i = 1; i <= n; i++) ask[name[i]] = 1 }
		$1 in ask && $3 != "-" { print "update", $1, $2, $3 }'
}
