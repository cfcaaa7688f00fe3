# settings KEY [FILE...]: the settings of a key in files of sysctl.d(5), or in stdin: "=VALUE" or, where errors are to be ignored,
# "-VALUE"; with files, FILE:LINE and a tab come first. KEY is as below /proc/sys.
settings() {
	SYSCTL_KEY=$1
	export SYSCTL_KEY
	shift
	awk '
	function path(k) {
		if (match(k, /[.\/]/) && substr(k, RSTART, 1) == ".") {
			gsub(/\./, "\001", k)
			gsub(/\//, ".", k)
			gsub(/\001/, "/", k)
		}
		gsub(/\/+/, "/", k)
		sub(/^\//, "", k)
		return k
	}
	{
		sub(/\r$/, "")
		sub(/^[ \t]+/, "")
		i = index($0, "=")
		if (/^[#;]/ || !i) next
		k = substr($0, 1, i - 1)
		v = substr($0, i + 1)
		dash = sub(/^-[ \t]*/, "", k) ? "-" : "="
		sub(/[ \t]+$/, "", k)
		gsub(/[ \t]+/, " ", v)
		sub(/^ /, "", v)
		sub(/ $/, "", v)
		if (path(k) != ENVIRON["SYSCTL_KEY"]) next
		print (FILENAME == "" || FILENAME == "-" ? "" : FILENAME ":" FNR "\t") dash v
	}' "$@"
}

# files_after PATH: the files that are read at boot after a path, in order, one a line. Of files with one name that in the first of the
# directories is read, and no other. Status 2: it prints the file that hides PATH.
files_after() {
	after_seen=$NL after_all=
	for after_d in /etc/sysctl.d /run/sysctl.d /usr/local/lib/sysctl.d /usr/lib/sysctl.d /lib/sysctl.d; do
		for after_f in "$after_d"/*.conf "$1"; do
			[ -e "$after_f" ] || [ -h "$after_f" ] || [ "$after_f" = "$1" ] || continue
			[ "${after_f%/*}" = "$after_d" ] || continue
			after_b=${after_f##*/}
			case $after_seen in *"$NL$after_b$NL"*) continue ;; esac
			after_seen=$after_seen$after_b$NL
			if [ "$after_b" = "${1##*/}" ] && [ "$after_f" != "$1" ]; then
				printf '%s\n' "$after_f"
				return 2
			fi
			after_all="$after_all$after_b	$after_f$NL"
		done
	done
	after_seen=
	printf '%s' "$after_all" | sort | while IFS='	' read -r after_b after_f; do
		[ -z "$after_seen" ] || [ ! -f "$after_f" ] || [ "$after_f" -ef "$1" ] || printf '%s\n' "$after_f"
		[ "$after_f" != "$1" ] || after_seen=yes
	done
}

# rivals KEY VALUE PATH NAME: fails if something wins over a setting in a file: an earlier step may change that, so that it is "could not
# tell" and no state.
rivals() {
	rivals_in=no
	if [ "$3" != /etc/sysctl.conf ]; then
		rivals_files=$(files_after "$3")
		case $? in 0) ;; 2) fail "$3 is not read: $rivals_files has the same name and comes first; set path to that, or to another name" ;; *) return 1 ;; esac
	else
		# Links to it have its place in the order, such as Debian's 99-sysctl.conf.
		rivals_files=
		for rivals_f in /etc/sysctl.d/*.conf; do
			[ ! "$rivals_f" -ef "$3" ] || { rivals_in=yes; rivals_files=$(files_after "$rivals_f") || return 1; }
		done
		[ $rivals_in = yes ] || [ "${F_INIT-}" != systemd ] ||
			fail "systemd does not read /etc/sysctl.conf at boot; set path to a file below /etc/sysctl.d"
	fi
	set -f
	IFS=$NL
	# shellcheck disable=SC2086
	set -- "$1" "$2" "$3" "$4" $rivals_files
	unset IFS
	set +f
	rivals_key=$1 rivals_value=$2 rivals_path=$3 rivals_name=$4
	shift 4
	[ $# -eq 0 ] || rival "is read later, so that it wins at the next boot; remove that line with a step \"sysctl\" of state \"absent\" before this one, or give path a later name" "$@"
	[ "$rivals_path" = /etc/sysctl.conf ] || [ ! -f /etc/sysctl.conf ] || [ /etc/sysctl.conf -ef "$rivals_path" ] ||
		rival "wins when \"sysctl --system\" reads it last; remove that line with a step \"sysctl\" of state \"absent\" before this one" /etc/sysctl.conf
}

# rival WHY FILE...: fails if the last setting in some files is another one.
rival() {
	rival_why=$1
	shift
	rival_line=$(settings "$rivals_key" "$@") || exit 1
	rival_line=${rival_line##*"$NL"}
	case $rival_line in
	'' | *"	"[=-]"$rivals_value") ;;
	*) fail "${rival_line%%	*} sets $rivals_name to \"${rival_line#*	[=-]}\" in place of \"$rivals_value\", and $rival_why" ;;
	esac
}

# kernel_value FILE KEY: sets VALUE to what the kernel has, with single blanks.
kernel_value() {
	VALUE=$(cat "$1") || fail "the kernel does not let $2 be read; set it with a step \"command\""
	set -f
	# shellcheck disable=SC2086
	set -- $VALUE
	VALUE=$*
	set +f
}

# probe_kernel FILE KEY VALUE: says what the kernel has, and why it cannot be changed here.
probe_kernel() {
	if [ -d "$1" ]; then
		fail "$2 is a group of keys; name one of those that \"sysctl $2\" prints"
	elif [ ! -e "$1" ]; then
		[ -d /proc/sys/kernel ] || fail "/proc is not mounted; set live = false to write the file only"
		return 1
	fi
	kernel_value "$1" "$2"
	say kernel "$VALUE"
	[ "$VALUE" != "$3" ] || return 0
	# Opening for writing changes nothing, and knows of read-only mounts, modes and containers.
	{ true >>"$1"; } 2>/dev/null && return 0
	attributes "$1" || exit 1
	case $A_mode in
	[2367]??) ;;
	*) fail "the kernel lets nobody change $2, which is $VALUE" ;;
	esac
	[ "$(id -u)" -eq 0 ] || fail "only root may change $2; set become = true"
	say frozen yes
}

# set_kernel FILE KEY VALUE: has the kernel take a value, and looks whether it did.
set_kernel() {
	[ -e "$1" ] || fail "the kernel has no key $2; load the module that brings it, or set ignore = true"
	kernel_value "$1" "$2"
	[ "$VALUE" != "$3" ] || return 0
	set_old=$VALUE
	printf '%s\n' "$3" >"$1" || fail "the kernel refuses $2 = $3 and keeps $set_old; nothing was changed"
	kernel_value "$1" "$2"
	[ "$VALUE" = "$3" ] || {
		set_new=$VALUE
		printf '%s\n' "$set_old" >"$1"
		fail "the kernel makes $set_new of $2 = $3; give the value as the kernel shows it. It was put back to $set_old"
	}
}
