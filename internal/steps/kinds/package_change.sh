# Changing packages: waiting for the lock, lists, installing, removing. After package_query.sh and
# package_lists.sh. APT_OPTIONS may hold words for apt-get.

[ "$F_UID" = 0 ] || fail "packages can only be changed as root: set become = true on the step, the play or the host"

# How long zypper itself waits for whoever comes between (zypper(8)).
ZYPP_LOCK_TIMEOUT=300
export ZYPP_LOCK_TIMEOUT

# lock_holder: sets holder to "PID COMMAND" of who holds the package manager's lock, or fails.
lock_holder() {
	case $F_PACKAGE_MANAGER in
	apt) set -- /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock /var/cache/apt/archives/lock ;;
	# The first two are dnf 5's, whose lock is held at a prompt already.
	dnf | yum) set -- /var/lib/dnf/system-repo.lock /run/dnf/rpmtransaction.lock /var/lib/rpm/.rpm.lock /usr/lib/sysimage/rpm/.rpm.lock ;;
	apk) set -- /lib/apk/db/lock /usr/lib/apk/db/lock ;;
	*) set -- ;;
	esac
	for lock_file in "$@"; do
		[ -e "$lock_file" ] || continue
		lock_inode=$(stat -c %i "$lock_file") || continue
		while read -r lock_line; do
			case $lock_line in
			*'->'*) continue ;;
			*":$lock_inode "*) ;;
			*) continue ;;
			esac
			# "1: POSIX  ADVISORY  WRITE 123 00:2d:456 0 EOF": the device is no help, since
			# overlay file systems show another one, so the open files of the process decide.
			# shellcheck disable=SC2086
			set -f && set -- $lock_line && set +f
			for lock_fd in /proc/"$5"/fd/*; do
				if [ "$lock_fd" -ef "$lock_file" ]; then
					name_holder "$5"
					return 0
				fi
			done
		done </proc/locks
	done
	case $F_PACKAGE_MANAGER in
	dnf | yum) set -- /var/run/yum.pid /var/cache/dnf/metadata_lock.pid /var/cache/dnf/download_lock.pid /var/lib/dnf/rpmdb_lock.pid ;;
	zypper) set -- /run/zypp.pid ;;
	*) set -- ;;
	esac
	for lock_file in "$@"; do
		lock_pid=
		[ -s "$lock_file" ] && read -r lock_pid <"$lock_file"
		case $lock_pid in '' | *[!0-9]*) continue ;; esac
		# A file left behind by a process that died holds nothing, whoever has its number now.
		case $(tr '\0' ' ' </proc/"$lock_pid"/cmdline 2>/dev/null) in
		*yum* | *dnf* | *PackageKit* | *packagekit* | *zypp* | *YaST*)
			name_holder "$lock_pid"
			return 0
			;;
		esac
	done
	if [ "$F_PACKAGE_MANAGER" = pacman ] && [ -e /var/lib/pacman/db.lck ]; then
		holder="whoever made /var/lib/pacman/db.lck"
		return 0
	fi
	return 1
}

name_holder() {
	holder="process $1 ($(tr '\0' ' ' </proc/"$1"/cmdline 2>/dev/null | cut -c 1-100))"
}

# wait_for_lock: at most 5 minutes, and says for whom.
wait_for_lock() {
	lock_waited=0
	while lock_holder; do
		if [ "$lock_waited" -ge 300 ]; then
			fail "the package manager is locked by $holder, still after 5 minutes; let it finish, or end it, and apply again"
		fi
		[ $((lock_waited % 30)) -ne 0 ] || printf 'waiting for the package manager: it is locked by %s\n' "$holder" >&2
		sleep 2
		lock_waited=$((lock_waited + 2))
	done
}

apt_get() {
	wait_for_lock
	[ -n "${apt_said:-}" ] || apt_said=$(mktemp) || exit 1
	# apt itself waits too (since 1.9.11), for whoever comes between. Configuration files that
	# were changed on the host stay as they are. What it says on stderr is kept for package_failed.
	{
		{
			# shellcheck disable=SC2086
			as_login apt-get -y -q -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 \
				-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold ${APT_OPTIONS:-} "$@"
			echo "$?" >"$apt_said.status"
		} 2>&1 >&3 3>&- | tee "$apt_said" >&2 3>&-
	} 3>&1
	read -r apt_status <"$apt_said.status" || apt_status=1
	apt_reason=$(sed -n -e 's/^E: //p' "$apt_said" | sed -n '1,3p' | tr '\n' ' ')
	dpkg_reason=$(dpkg_errors <"$apt_said")
	rm -f "$apt_said" "$apt_said.status"
	apt_said=
	return "$apt_status"
}

# dpkg_errors: what dpkg could not do, one package a line with dpkg's own words. In every language it says "dpkg: ... NAME
# (--OPERATION):" with the reason, indented, in the next line. An archive counts for the package that its name begins with.
dpkg_errors() {
	awk '
		name != "" && /^ / { sub(/^ +/, ""); print name ": " $0 }
		{ name = "" }
		/^dpkg: .*\(--[a-z-]+\) ?:$/ {
			line = $0
			sub(/ *\(--[a-z-]+\) ?:$/, "", line)
			count = split(line, words, " ")
			name = words[count]
			if (sub(/.*\//, "", name)) sub(/_.*/, "", name)
			sub(/:.*/, "", name)
		}'
}

# apt_broken: the packages that dpkg did not finish, with what is the matter, one a line.
apt_broken() {
	dpkg-query -W -f '${db:Status-Abbrev}|${Package}\n' 2>/dev/null | awk -F'|' '
		{ state = substr($1, 2, 1) }
		state == "F" { print $2 " is unpacked, but its post-installation script failed" }
		state == "H" { print $2 " is half installed: unpacking it, or its pre-installation script, failed" }
		state == "U" { print $2 " is unpacked, but not configured: what it depends on failed" }' |
		LC_ALL=C sort -t' ' -k3
}

# broken_now: the packages that dpkg complained of in this run. A package that an earlier run left broken is no reason why
# another one has no candidate. Only where neither apt nor dpkg told a reason, all that are broken are named.
broken_now() {
	broken_break='
'
	broken_all=$(apt_broken)
	case ${dpkg_reason:-}:${apt_reason:-} in
	: | :"Sub-process "*)
		[ -z "$broken_all" ] || printf '%s\n' "$broken_all"
		return
		;;
	:*) return ;;
	esac
	printf '%s\n' "$broken_all" | while read -r broken_name broken_state; do
		case "$broken_break$dpkg_reason" in *"$broken_break$broken_name: "*) printf '%s %s\n' "$broken_name" "$broken_state" ;; esac
	done
	printf '%s\n' "$dpkg_reason" | while read -r broken_name broken_why; do
		case "$broken_break$broken_all" in *"$broken_break${broken_name%:} "*) ;; *) printf '%s %s\n' "$broken_name" "$broken_why" ;; esac
	done
}

# package_failed NAME...: ends with why these are not as they should be, as far as the package manager tells.
package_failed() {
	failed_names=$*
	if [ "$F_PACKAGE_MANAGER" != apt ]; then
		[ -z "$failed_names" ] || fail "not installed: $failed_names; the lines above say why. Check the names, and that a repository of this host has them"
		fail "the package manager failed; its last lines say why"
	fi
	failed_broken=$(broken_now | sed -n '1,5s/$/;/p' | tr '\n' ' ')
	[ -z "$failed_broken" ] || fail "dpkg could not finish: ${failed_broken}the lines above say why"
	failed_unknown=
	for failed_name in "$@"; do
		case $(apt-cache policy -- "$failed_name" 2>/dev/null) in
		*'Candidate: (none)'* | '')
			[ -n "$(apt-cache showpkg -- "$failed_name" 2>/dev/null | sed '1,/^Reverse Provides:/d')" ] ||
				failed_unknown="$failed_unknown $failed_name"
			;;
		esac
	done
	[ -z "$failed_unknown" ] || fail "not installed: $failed_names. No repository of this host has$failed_unknown: check the names, and the repositories"
	failed_held=
	for failed_name in $(apt-mark showhold 2>/dev/null); do
		case " $failed_names " in *" $failed_name "*) failed_held="$failed_held $failed_name" ;; esac
	done
	[ -z "$failed_held" ] || fail "on hold:$failed_held. Somebody keeps that from being changed; apt-mark unhold ends it"
	[ -z "$failed_names" ] || failed_needs=$(apt-get -s -q -o Debug::NoLocking=1 install -- "$@" 2>/dev/null | sed -n 's/^ *\([^ ].* : [A-Za-z-]*: .*\)/\1/p' | sed -n '1,3s/$/;/p' | tr '\n' ' ')
	apt_reason="${failed_needs:-}${apt_reason:-}"
	fail "${failed_names:+not installed: $failed_names; }apt-get failed: ${apt_reason:-its last lines say why}"
}

# mend_dpkg: finishes what an interrupted dpkg left, without which apt refuses to work.
mend_dpkg() {
	for mend_file in /var/lib/dpkg/updates/[0-9]*; do
		[ -e "$mend_file" ] || return 0
		wait_for_lock
		echo 'dpkg was interrupted earlier: finishing with dpkg --configure -a' >&2
		as_login dpkg --force-confdef --force-confold --configure -a
		return
	done
}

# refresh_lists: fetches the lists of all repositories. The stamp is for managers that leave no
# trace when the lists were new already.
refresh_lists() {
	wait_for_lock
	case $F_PACKAGE_MANAGER in
	apt) apt_get update ;;
	dnf | yum) "$F_PACKAGE_MANAGER" -q clean expire-cache && "$F_PACKAGE_MANAGER" -y -q makecache ;;
	apk) apk update ;;
	# 106: some repositories were refreshed, and others passed over.
	zypper) zypper --non-interactive refresh || [ $? = 106 ] ;;
	pacman) pacman -Sy --noconfirm ;;
	esac || fail "the package lists could not be refreshed; the lines above name the repository"
	mkdir -p /var/cache/provision && : >/var/cache/provision/package-lists
}

# lacking NAME...: sets missing to those that are not installed.
lacking() {
	missing=$(package_versions "$@") || exit 1
	missing=$(printf '%s\n' "$missing" | sed -n 's/ -$//p' | tr '\n' ' ')
	missing=${missing% }
}

# zypper_do ARGUMENTS...: 102 and 103 advise a reboot or another run, and 106 says that some repository was passed over
# (zypper(8)); none of them is a failure of what was asked for.
zypper_do() {
	wait_for_lock
	as_login zypper --non-interactive "$@"
	zypper_status=$?
	case $zypper_status in 102 | 103 | 106) return 0 ;; esac
	return "$zypper_status"
}

# REFRESH is 1 if the lists may be refreshed before installing, else 0.

# install_packages NAME...: names as the manager takes them, with versions where wanted.
install_packages() {
	case $F_PACKAGE_MANAGER in
	apt) apt_get install -- "$@" ;;
	dnf | yum) wait_for_lock && as_login "$F_PACKAGE_MANAGER" -y install -- "$@" ;;
	apk) as_login apk --wait 300 add -- "$@" ;;
	zypper) zypper_do install --auto-agree-with-licenses --oldpackage -- "$@" ;;
	pacman) wait_for_lock && as_login pacman -S --noconfirm --needed -- "$@" ;;
	esac
}

# ensure_installed NAME...: installs what is lacking, refreshing the lists where REFRESH is 1 and
# they are old or do not know a package. Looks afterwards, since yum of CentOS 7 exits with 0
# when it finds one of two names.
ensure_installed() {
	[ "$F_PACKAGE_MANAGER" != apt ] || mend_dpkg || fail "dpkg --configure -a failed: $(apt_broken | tr '\n' ';') the lines above say why"
	ensure_fetched=0
	case $F_PACKAGE_MANAGER in
	apt | apk | pacman)
		if [ "$REFRESH" = 1 ] && ! lists_fresh 1440; then
			refresh_lists
			ensure_fetched=1
		fi
		;;
	esac
	if [ "$REFRESH$ensure_fetched$F_PACKAGE_MANAGER" = 10apt ] && ! apt-get -q -s -o Debug::NoLocking=1 install -- "$@" >/dev/null 2>&1; then
		refresh_lists
		ensure_fetched=1
	fi
	install_packages "$@"
	ensure_status=$?
	if [ "$ensure_status" != 0 ] || [ "$F_PACKAGE_MANAGER" = yum ]; then
		lacking "$@"
		if [ -n "$missing" ] && [ "$REFRESH$ensure_fetched" = 10 ]; then
			case $F_PACKAGE_MANAGER in
			dnf | yum | zypper | apk)
				refresh_lists
				install_packages "$@"
				ensure_status=$?
				;;
			esac
		fi
	fi
	lacking "$@"
	# shellcheck disable=SC2086
	[ -z "$missing" ] || package_failed $missing
	[ "$ensure_status" = 0 ] || package_failed
}

# remove_packages NAME...: what is installed goes, with what depends on it.
remove_packages() {
	case $F_PACKAGE_MANAGER in
	apt)
		mend_dpkg || fail "dpkg --configure -a failed: $(apt_broken | tr '\n' ';') the lines above say why"
		apt_get remove -- "$@"
		;;
	dnf | yum) wait_for_lock && as_login "$F_PACKAGE_MANAGER" -y remove -- "$@" ;;
	apk) as_login apk --wait 300 del -- "$@" ;;
	zypper) zypper_do remove -- "$@" ;;
	# What depends on a package goes with it, as the plan says.
	pacman) wait_for_lock && as_login pacman -Rc --noconfirm -- "$@" ;;
	esac || package_failed
}

# ensure_latest NAME...: refreshes the lists, since the step says that something newer is known or
# that nothing is known, installs what is lacking and upgrades the rest.
ensure_latest() {
	[ "$F_PACKAGE_MANAGER" != apt ] || mend_dpkg || fail "dpkg --configure -a failed: $(apt_broken | tr '\n' ';') the lines above say why"
	[ "$REFRESH" = 0 ] || refresh_lists
	case $F_PACKAGE_MANAGER in
	dnf | yum)
		lacking "$@"
		# shellcheck disable=SC2086
		[ -z "$missing" ] || install_packages $missing || fail "the package manager failed; its last lines say why"
		wait_for_lock && as_login "$F_PACKAGE_MANAGER" -y update -- "$@"
		;;
	apk) as_login apk --wait 300 add --upgrade -- "$@" ;;
	*) install_packages "$@" ;;
	esac || package_failed "$@"
	lacking "$@"
	# shellcheck disable=SC2086
	[ -z "$missing" ] || package_failed $missing
}

# version_matches VERSION WANTED: the same but for epoch and release, or what a final * leaves open.
version_matches() {
	set -- "$1" "$2" "${1#*:}"
	case $2 in
	*'*') case $1 in "${2%?}"*) return 0 ;; esac; case $3 in "${2%?}"*) return 0 ;; esac ;;
	*) case $1 in "$2" | "$2"-*) return 0 ;; esac; case $3 in "$2" | "$2"-*) return 0 ;; esac ;;
	esac
	return 1
}

# version_present NAME WANTED: is such a version installed?
version_present() {
	present_line=$(package_versions "$1") || exit 1
	for present_version in ${present_line#* }; do
		version_matches "$present_version" "$2" && return 0
	done
	return 1
}

# apt_candidate NAME WANTED: sets candidate to the first version on offer that matches.
apt_candidate() {
	candidate=
	offered=$(apt-cache madison "$1" | awk -F'|' '{ gsub(/ /, "", $2); print $2 }')
	for offered_version in $offered; do
		if version_matches "$offered_version" "$2"; then
			candidate=$offered_version
			return 0
		fi
	done
	return 1
}

# offered_versions NAME: sets offered to the versions of it that repositories have, the newest last.
offered_versions() {
	offered_name=$1
	case $F_PACKAGE_MANAGER in
	dnf | yum)
		wait_for_lock
		# Three words are a package, and yum of CentOS 7 breaks lines.
		offered=$("$F_PACKAGE_MANAGER" -q list --showduplicates "$1" 2>/dev/null | awk -v wanted="$1" '
			/^[^ \t]/ { n = 0 }
			{
				for (i = 1; i <= NF; i++) word[n++] = $i
				if (n != 3) next
				bare = word[0]
				sub(/\.[^.]*$/, "", bare)
				if (bare == wanted || word[0] == wanted) print word[1]
			}')
		;;
	zypper)
		case $1 in *.x86_64 | *.i[3-6]86 | *.aarch64 | *.noarch) offered_name=${1%.*} ;; esac
		wait_for_lock
		offered=$(zypper --xmlout --non-interactive --no-refresh search -s -x -t package -- "$offered_name" 2>/dev/null |
			sed -n 's/^<solvable .* edition="\([^"]*\)".*/\1/p' | awk '{ line[NR] = $0 } END { for (i = NR; i > 0; i--) print line[i] }')
		;;
	esac
}

# offers NAME WANTED: sets candidate to the newest version on offer that matches.
offers() {
	candidate=
	offered_versions "$1"
	for offered_version in $offered; do
		! version_matches "$offered_version" "$2" || candidate=$offered_version
	done
	[ -n "$candidate" ]
}

# rpm_candidate NAME WANTED: like offers, with lists that are refreshed if they do not know it. A version needs its epoch and release
# to be found.
rpm_candidate() {
	offers "$1" "$2" && return
	if [ "$REFRESH" = 1 ]; then
		refresh_lists
		offers "$1" "$2" && return
	fi
	# shellcheck disable=SC2086
	set -- "$1" "$2" $offered
	fail "no repository offers $1 in version $2; on offer: $(shift 2; [ $# -gt 0 ] || set -- nothing; echo "$@")"
}

# ensure_version NAME WANTED
ensure_version() {
	case $F_PACKAGE_MANAGER in
	apt)
		mend_dpkg || fail "dpkg --configure -a failed: $(apt_broken | tr '\n' ';') the lines above say why"
		if [ "$REFRESH" = 1 ] && { ! lists_fresh 1440 || ! apt_candidate "$1" "$2"; }; then
			refresh_lists
		fi
		apt_candidate "$1" "$2" || fail "no repository offers $1 in version $2; on offer:" ${offered:-nothing}
		apt_get --allow-downgrades install -- "$1=$candidate"
		;;
	dnf | yum)
		rpm_candidate "$1" "$2"
		case $1 in
		*.x86_64 | *.i[3-6]86 | *.aarch64 | *.noarch) version_spec=${1%.*}-$candidate.${1##*.} ;;
		*) version_spec=$1-$candidate ;;
		esac
		install_packages "$version_spec"
		# An older version than the installed one counts as "nothing to do" here.
		version_present "$1" "$2" || as_login "$F_PACKAGE_MANAGER" -y downgrade -- "$version_spec"
		;;
	apk)
		case $2 in
		*-r[0-9]*) install_packages "$1=$2" ;;
		*) install_packages "$1~${2%\*}" ;;
		esac
		;;
	zypper)
		rpm_candidate "$1" "$2"
		install_packages "$1=$candidate"
		;;
	esac
	version_present "$1" "$2" && return
	[ "$F_PACKAGE_MANAGER" != apt ] || package_failed "$1"
	fail "$1 in version $2 could not be installed; the lines above say why"
}
