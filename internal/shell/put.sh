# put PATH OWNER GROUP MODE NEWMODE VALIDATE BACKUP [WRITER]: write standard input, or what the function WRITER prints, to a file,
# atomically. MODE "" keeps that of an existing file; NEWMODE is for a new one. A file that is a mount point cannot be replaced: it is
# written in place.
put() {
	put_dir=${1%/*}
	[ -d "${put_dir:-/}" ] || fail "${put_dir:-/}: no such directory; let a step \"directory\" make it first"
	[ ! -d "$1" ] || fail "$1 is a directory"
	put_mounted=
	if [ -e "$1" ] && mounted "$1"; then
		# Its directory may be read-only.
		put_mounted=1
		put_dir=${TMPDIR:-/tmp}
	fi
	# A program notes what it is about to make, so that it does not stay if the program is killed.
	if [ -n "${PUT_NOTE:-}" ]; then
		printf '%s\n' "$put_dir/.provision.$$." 2>/dev/null >"$PUT_NOTE" || {
			# Not every shell says why.
			put_why=$({ head -c 4096 /dev/zero >"$PUT_NOTE"; } 2>&1)
			rm -f "$PUT_NOTE"
			fail "$PUT_NOTE cannot be written: ${put_why##*: }"
		}
	fi
	put_new "$put_dir"
	trap 'rm -f -- "$put_temp" "$put_temp.old"; exit 143' HUP INT TERM
	put_copy "$@"
	put_status=$?
	[ "$put_status$put_mounted" = 0 ] || rm -f -- "$put_temp" "$put_temp.old"
	trap - HUP INT TERM
	[ "$put_status" -eq 0 ] || exit 1
}

# put_new DIRECTORY: makes a new empty file there, put_temp, that nobody else can open. The shell does so itself, by O_EXCL; mktemp says why it
# cannot be done, and finds another name where somebody takes them all.
put_new() {
	put_n=100000
	put_temp=$1/.provision.$$.$put_n
	while [ "$put_n" -lt 100100 ] && { [ -e "$put_temp" ] || [ -h "$put_temp" ]; }; do
		put_n=$((put_n + 1))
		put_temp=$1/.provision.$$.$put_n
	done
	umask 077
	set -C
	{ true >"$put_temp"; } 2>/dev/null || put_temp=
	set +C
	umask 022
	[ -n "$put_temp" ] || put_temp=$(mktemp "$1/.provision.$$.XXXXXX") || exit 1
}

put_copy() {
	put_mode=${4:-$5}
	put_old=
	# Opened first: with the mode that it gets its owner may not be able to.
	true >"$put_temp" || return 1 # a failed exec ends some shells
	exec 3>"$put_temp"
	if [ -f "$1" ] && [ ! -h "$1" ]; then
		put_old=1
		[ -n "$4" ] || put_mode=$(stat -c %a -- "$1") || return 1
		# Owner, access list, extended attributes and label of the old file, before the new content is in it.
		if [ -z "$put_mounted" ] && ! cp -p --attributes-only --preserve=all -- "$1" "$put_temp" 2>/dev/null; then
			put_old=
			chown "$(stat -c %u:%g -- "$1")" "$put_temp" 2>/dev/null
		fi
	fi
	put_attributes "$2" "$3" "$put_mode" "$put_temp" || return 1
	${8:-cat} >&3 || {
		# A shell's own printf does not say why.
		[ -z "${8:-}" ] || no_room "${put_temp%/*}" 65536 >&2
		return 1
	}
	exec 3>&-
	# Writing clears setuid and setgid, and capabilities.
	case $put_mode in ????) chmod "$put_mode" "$put_temp" || return 1 ;; esac
	[ -z "$put_old" ] || [ "$F_UID" != 0 ] || cp --attributes-only --preserve=xattr -- "$1" "$put_temp" 2>/dev/null
	if [ -n "$6" ]; then put_validate "$1" "$6" "$put_mode" || return 1; fi
	if [ -n "$7" ] && [ -f "$1" ]; then put_backup "$1" || return 1; fi
	if [ -n "$put_mounted" ]; then
		put_in_place "$@"
		return
	fi
	mv -f -- "$put_temp" "$1" || {
		printf '%s could not be replaced; if it is immutable (lsattr), chattr -i ends that\n' "$1" >&2
		return 1
	}
	# The label of an old file stays.
	if [ -z "$put_old" ] && have restorecon; then restorecon "$1" 2>/dev/null; fi
	return 0
}

# put_attributes OWNER GROUP MODE FILE: but for setuid and setgid, which belong to the whole content.
put_attributes() {
	if [ -n "$1$2" ]; then chown -- "$1${2:+:$2}" "$4" || return 1; fi
	case $3 in ????) chmod "${3#?}" "$4" ;; *) chmod "$3" "$4" ;; esac
}

# put_validate PATH COMMAND MODE: %s in the command becomes the temporary file; where its directory has a name that the
# command might not take as one word, a relative name. What it prints of a file that only its owner may read is not shown.
put_validate() {
	case $put_temp in
	*[!A-Za-z0-9/._+,:@-]*) put_name=./${put_temp##*/} ;;
	*) put_name=$put_temp ;;
	esac
	put_check= put_rest=$2
	while :; do
		case $put_rest in *%s*) ;; *) break ;; esac
		put_check=$put_check${put_rest%%"%s"*}$put_name
		put_rest=${put_rest#*"%s"}
	done
	put_note=
	case $3 in
	*00 | 0)
		put_note='; what it printed is not shown, since only its owner may read the file'
		put_judge </dev/null >/dev/null 2>&1
		;;
	*) put_judge </dev/null ;;
	esac || {
		printf 'the new content of %s did not pass: %s%s\n' "$1" "$2" "$put_note" >&2
		return 1
	}
}

put_judge() (
	[ "$put_name" = "$put_temp" ] || cd -- "${put_temp%/*}/" || exit 1
	login_environment
	eval "$put_check$put_rest"
)

put_backup() {
	put_name=$1.~$(date +%Y-%m-%dT%H:%M:%S)~
	while [ -e "$put_name" ] || [ -h "$put_name" ]; do put_name=$put_name~; done
	cp -p -- "$1" "$put_name"
}

# put_in_place: as put, once the new content is in the temporary file.
put_in_place() {
	(umask 077 && cat -- "$1" >"$put_temp.old") || return 1
	put_attributes "$2" "$3" "$put_mode" "$1" || return 1
	cat -- "$put_temp" >"$1" || {
		cat -- "$put_temp.old" >"$1"
		printf '%s is a mount point, and could not be written\n' "$1" >&2
		return 1
	}
	chmod "$put_mode" "$1"
}
