# The environment and the functions that every fragment of a probe or an operation may use.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
DEBIAN_FRONTEND=noninteractive
export PATH LC_ALL DEBIAN_FRONTEND
unset IFS CDPATH ENV BASH_ENV LANGUAGE POSIXLY_CORRECT GREP_OPTIONS
umask 022

# have COMMAND: is there such a command?
have() { command -v "$1" >/dev/null 2>&1; }

# say KEY VALUE: one line of state. The value is the rest of the line.
say() { printf '%s %s\n' "$1" "$2"; }

# need KIND NAME: a probe lacks something that an earlier step may bring; the kinds are those of steps.Thing.
need() { printf 'missing %s %s\n' "$1" "$2"; }

# above PATH: fails if what is nearest above it is no directory, so that nothing can be made there. A link to what is not there is
# something that the probe lacks; then the status is 1.
above() {
	above_up=${1%/*}
	while [ -n "$above_up" ] && [ ! -e "$above_up" ] && [ ! -h "$above_up" ]; do above_up=${above_up%/*}; done
	[ -n "$above_up" ] && [ ! -d "$above_up" ] || return 0
	if [ -h "$above_up" ] && [ ! -e "$above_up" ]; then
		above_to=$above_up above_links=0
		while [ -h "$above_to" ]; do
			above_links=$((above_links + 1))
			[ "$above_links" -le 40 ] || fail "$above_up is a symbolic link that leads back to itself; remove it, or name another path"
			above_next=$(readlink "$above_to")
			case $above_next in /*) above_to=$above_next ;; *) above_to=${above_to%/*}/$above_next ;; esac
		done
		need link "$above_up -> $above_to"
		return 1
	fi
	fail "$above_up is not a directory; move it away, or name another path"
}

# need_parent PATH: the directory of a path is needed.
need_parent() {
	need_up=${1%/*}
	[ -d "${need_up:-/}" ] || { above "$1" && need directory "${need_up:-/}"; }
}

# fail MESSAGE: end the fragment as "could not tell" (a probe) or as failed (an operation).
fail() { printf '%s\n' "$*" >&2; exit 1; }

NL='
'

# find_account DATABASE NAME: sets ACCOUNT to the line of passwd, group or shadow, like getent, which Debian's
# busybox and some Alpine images lack. Status 2 if there is no such name, as getent(1) has it;
# any other failure is "could not tell". While probing, ACCOUNTS_passwd and ACCOUNTS_group hold the local files.
find_account() {
	ACCOUNT=
	case $1 in
	passwd) account_all=${ACCOUNTS_passwd-} ;;
	group) account_all=${ACCOUNTS_group-} ;;
	*) account_all= ;;
	esac
	case $NL$account_all in
	*"$NL$2:"*)
		account_all=${account_all#"$2:"}
		account_all=${account_all##*"$NL$2:"}
		ACCOUNT=$2:${account_all%%"$NL"*}
		return 0
		;;
	esac
	if have getent; then
		ACCOUNT=$(getent "$1" "$2")
		return
	fi
	[ -r "/etc/$1" ] || return 1
	while IFS= read -r account_line; do
		case $account_line in
		"$2":*)
			ACCOUNT=$account_line
			return 0
			;;
		esac
	done <"/etc/$1"
	return 2
}

# account DATABASE NAME: prints the line that find_account finds. Not with its output sent away: within $(…) ksh93 loses what is printed
# after a function that was called so and redirects something itself.
account() {
	find_account "$1" "$2" || return
	printf '%s\n' "$ACCOUNT"
}

# id_name DATABASE NUMBER: the name in passwd or group that has a number; nothing if none has.
id_name() {
	id_name_line=
	! have getent || id_name_line=$(getent "$1" "$2") || id_name_line=
	[ -n "$id_name_line" ] || id_name_line=$(awk -F: -v id="$2" '$3 == id { print; exit }' "/etc/$1") || return 1
	printf '%s\n' "${id_name_line%%:*}"
}

# id_of DATABASE NAME: sets ID to the number of a name in passwd or group, and fails as account does.
id_of() {
	ID=-
	id_line=$(account "$1" "$2") || return
	id_line=${id_line#*:*:}
	ID=${id_line%%:*}
}

# number_only DATABASE NUMBER: fails if somebody with another number has it for a name: chown(1) and find(1) would take it for
# that name.
number_only() {
	while IFS=: read -r number_name number_password number_id number_rest; do
		[ "$number_name" != "$2" ] || [ "$number_id" = "$2" ] ||
			fail "the number $2 is also a name in /etc/$1, of number $number_id, and tools prefer the name; rename that one, or give its number"
	done <"/etc/$1"
}

# home_of USER: the home directory; status 2 if there is no such user.
home_of() {
	home_line=$(account passwd "$1") || return 2
	home_line=${home_line%:*}
	printf '%s\n' "${home_line##*:}"
}

# login_environment [NAME...]: what a login on this host has in its environment, for programs that belong to the user: the
# host's locale in place of our own C, and what /etc/environment says. pam_env and the profiles of distributions read
# the same files. Variables NAME were given by the playbook, and stay. It comes last before the program.
login_environment() {
	login_keep=" $* "
	for login_name in LANG LANGUAGE LC_ALL LC_ADDRESS LC_COLLATE LC_CTYPE LC_IDENTIFICATION LC_MEASUREMENT LC_MESSAGES LC_MONETARY LC_NAME LC_NUMERIC LC_PAPER LC_TELEPHONE LC_TIME; do
		case $login_keep in *" $login_name "*) ;; *) unset "$login_name" ;; esac
	done
	unset SUDO_COMMAND SUDO_USER SUDO_UID SUDO_GID SUDO_HOME DOAS_USER INVOCATION_ID JOURNAL_STREAM SYSTEMD_EXEC_PID
	login_path= login_cr=$(printf '\r')
	# The last one wins: on Debian sshd and sudo read /etc/default/locale after /etc/environment.
	for login_file in /etc/sysconfig/i18n /etc/locale.conf /etc/environment /etc/default/locale; do
		[ -f "$login_file" ] && [ -r "$login_file" ] || continue
		while IFS= read -r login_line || [ -n "$login_line" ]; do
			login_variable
		done <"$login_file"
	done
	[ -z "$login_path" ] || PATH=$login_path:$PATH
	return 0
}

# as_login PROGRAM ARGUMENTS...: a program that runs what is not ours, such as maintainer scripts, as a login would run it. Its
# messages come in the host's language: nothing of ours reads them.
as_login() { (login_environment DEBIAN_FRONTEND && exec "$@"); }

# login_variable: exports the variable of the line $login_line of $login_file, if it is one. Quotes and comments are
# those of pam_env(8) and locale.conf(5).
login_variable() {
	login_line=${login_line#"${login_line%%[! 	]*}"}
	login_line=${login_line#export }
	case $login_line in '#'* | '='*) return 0 ;; *=*) ;; *) return 0 ;; esac
	login_name=${login_line%%=*}
	case $login_name in *[!A-Za-z0-9_]* | [0-9]*) return 0 ;; esac
	case $login_keep in *" $login_name "*) return 0 ;; esac
	login_line=${login_line#*=}
	login_line=${login_line%"$login_cr"}
	case $login_line in
	\"*\"*) login_line=${login_line#\"} login_line=${login_line%%\"*} ;;
	\'*\'*) login_line=${login_line#\'} login_line=${login_line%%\'*} ;;
	*)
		login_line=${login_line%%#*}
		login_line=${login_line%"${login_line##*[! 	]}"}
		;;
	esac
	case $login_file:$login_name in
	*:LANG | *:LANGUAGE | *:LC_*) export "$login_name=$login_line" ;;
	# The directories that only we know come after those of the host.
	/etc/environment:PATH) login_path=$login_line ;;
	/etc/environment:HOME | /etc/environment:USER | /etc/environment:LOGNAME | /etc/environment:SHELL) ;;
	# These mean something to the shell that runs this.
	/etc/environment:IFS | /etc/environment:ENV | /etc/environment:BASH* | /etc/environment:*OPTS) ;;
	/etc/environment:UID | /etc/environment:EUID | /etc/environment:PPID | /etc/environment:*PWD | /etc/environment:PS[124]) ;;
	/etc/environment:*) export "$login_name=$login_line" ;;
	esac
}

# path_type PATH: sets TYPE to absent, file, directory, symlink or other; status 1 if it could not be told, because a directory
# on the way may not be searched.
path_type() {
	if [ -h "$1" ]; then
		TYPE=symlink
	elif [ -f "$1" ]; then
		TYPE=file
	elif [ -d "$1" ]; then
		TYPE=directory
	elif [ -e "$1" ]; then
		TYPE=other
	else
		path_up=${1%/*}
		while [ -n "$path_up" ] && [ ! -e "$path_up" ] && [ ! -h "$path_up" ]; do
			case $path_up in */*) path_up=${path_up%/*} ;; *) path_up= ;; esac
		done
		if [ -d "${path_up:-/}" ] && [ ! -x "${path_up:-/}" ]; then
			printf '%s: permission denied\n' "$path_up" >&2
			return 1
		fi
		TYPE=absent
	fi
}

# link_target PATH: sets LINK to where a symbolic link leads; each line break in that becomes the byte 1, which no value of a playbook holds.
link_target() {
	LINK=$(readlink "$1" && echo .) || return 1
	LINK=${LINK%"$NL."}
	case $LINK in *"$NL"*) LINK=$(printf '%s' "$LINK" | tr '\n' '\001') ;; esac
}

# mount_place PATH: sets PLACE to the path as mountinfo has it: without symbolic links above it, blanks and backslashes in octal. What
# is mounted there is not touched, since a server that is gone would never answer.
mount_place() {
	PLACE=$(cd -P -- "${1%/*}/" 2>/dev/null && pwd -P) || return 1
	PLACE=${PLACE%/}/${1##*/}
	case $PLACE in
	*[' 	\']*) PLACE=$(printf '%s\n' "$PLACE" | sed 's/\\/\\134/g; s/ /\\040/g; s/	/\\011/g') ;;
	esac
}

# mounted PATH: is it a mount point, as some files of a container are? Such a one can be neither replaced nor removed.
mounted() {
	[ -r /proc/self/mountinfo ] && mount_place "$1" || return 1
	while IFS=' ' read -r mounted_id mounted_parent mounted_device mounted_root mounted_at mounted_rest; do
		[ "$mounted_at" != "$PLACE" ] || return 0
	done </proc/self/mountinfo
	return 1
}

# need_unmounted PATH: what keeps it from being removed is what is mounted there or below.
need_unmounted() {
	[ -r /proc/self/mountinfo ] && mount_place "$1" || return 0
	while IFS=' ' read -r mounted_id mounted_parent mounted_device mounted_root mounted_at mounted_rest; do
		case $mounted_at in
		"$PLACE") need unmounted "$1" ;;
		"$PLACE"/*)
			mounted_at=${1%/}${mounted_at#"$PLACE"}
			case $mounted_at in *'\'*) mounted_at=$(printf '%s\n' "$mounted_at" | sed 's/\\040/ /g; s/\\011/	/g; s/\\134/\\/g') ;; esac
			need unmounted "$mounted_at"
			;;
		esac
	done </proc/self/mountinfo
}

# batch ATTRIBUTES SUMS, each a list of paths separated by line breaks: look at many files with two processes. Sets BATCH_a1,
# BATCH_a2, … to what there is to say of the first path of ATTRIBUTES, the second, …, and BATCH_s1, … likewise; "" for a path
# that is not there. Whoever asks for the files of one step then sets BATCH_stat and BATCH_sums to its few lines, for attributes and
# sum_of to search: a search through the lines of all steps would make each look-up slower the more steps there are.
batch() {
	set -f
	IFS=$NL
	batch_sums=$2
	# shellcheck disable=SC2086
	set -- $1
	[ $# -eq 0 ] || batch_number a "$(stat -c '%U:%u:%G:%g:%a:%s:%n' -- "$@" 2>/dev/null)" "$@"
	# shellcheck disable=SC2086
	set -- $batch_sums
	batch_sums=
	for batch_path in "$@"; do
		[ ! -f "$batch_path" ] || batch_sums=$batch_sums$NL$batch_path
	done
	# shellcheck disable=SC2086
	[ $# -eq 0 ] || batch_number s "$([ -z "$batch_sums" ] || sha256sum -- $batch_sums 2>/dev/null)" "$@"
	unset IFS
	set +f
}

# batch_number LETTER LINES PATH…: set BATCH_LETTER1, … to the line of each path. The lines come in the order of the paths, but not
# every path has one.
batch_number() {
	batch_letter=$1 batch_n=0
	# shellcheck disable=SC2086
	for batch_line in $2; do
		while [ $# -gt 2 ]; do
			batch_path=$3
			shift
			batch_n=$((batch_n + 1))
			case $batch_letter in a) batch_named=${batch_line#*:*:*:*:*:*:} ;; *) batch_named=${batch_line#*  } ;; esac
			if [ "$batch_named" = "$batch_path" ]; then
				eval "BATCH_$batch_letter$batch_n=\$batch_line"
				break
			fi
			eval "BATCH_$batch_letter$batch_n="
		done
	done
	while [ $# -gt 2 ]; do
		shift
		batch_n=$((batch_n + 1))
		eval "BATCH_$batch_letter$batch_n="
	done
}

# attributes PATH: sets A_owner and A_group (names, or numbers where there is no name), A_uid, A_gid, A_mode (octal, without a leading
# zero) and A_size (bytes). It does not follow a symbolic link.
attributes() {
	A_left=${BATCH_stat-}
	while [ -n "$A_left" ]; do
		A_all=${A_left%%"$NL"*}
		A_left=${A_left#"$A_all"}
		A_left=${A_left#"$NL"}
		if [ "${A_all#*:*:*:*:*:*:}" = "$1" ]; then break; fi
		A_all=
	done
	[ -n "${BATCH_stat-}" ] && [ -n "$A_all" ] || A_all=$(stat -c '%U:%u:%G:%g:%a:%s:' -- "$1") || return 1
	A_owner=${A_all%%:*} A_all=${A_all#*:}
	A_uid=${A_all%%:*} A_all=${A_all#*:}
	A_group=${A_all%%:*} A_all=${A_all#*:}
	A_gid=${A_all%%:*} A_all=${A_all#*:}
	A_mode=${A_all%%:*} A_all=${A_all#*:}
	A_size=${A_all%%:*}
	# So stat(1) calls who has no name, and somebody may be called that.
	[ "$A_owner" != UNKNOWN ] || A_owner=$(id_name passwd "$A_uid") || return 1
	[ "$A_group" != UNKNOWN ] || A_group=$(id_name group "$A_gid") || return 1
	A_owner=${A_owner:-$A_uid} A_group=${A_group:-$A_gid}
}

# sum_of FILE: sets SUM to its SHA-256 in hexadecimal.
sum_of() {
	sum_left=${BATCH_sums-}
	while [ -n "$sum_left" ]; do
		SUM=${sum_left%%"$NL"*}
		sum_left=${sum_left#"$SUM"}
		sum_left=${sum_left#"$NL"}
		if [ "${SUM#*  }" = "$1" ]; then
			SUM=${SUM%% *}
			return 0
		fi
	done
	SUM=$(sha256sum <"$1") || return 1
	SUM=${SUM%% *}
}

# salted_sum_of FILE: sets SUM to the SHA-256 over the run's salt followed by the file: for content that is secret.
salted_sum_of() {
	[ -r "$1" ] || { printf '%s: cannot be read\n' "$1" >&2; return 1; }
	SUM=$({ printf '%s' "$SALT"; cat "$1"; } | sha256sum) || return 1
	SUM=${SUM%% *}
}

# detail NAME FILE: the content of a file for the diff that a person sees, at most 256 KiB. Sent
# only while planning. Lines that begin with "|" are never part of a state.
detail() {
	[ "${DETAIL:-0}" = 1 ] || return 0
	printf '|%s\n' "$1"
	head -c 262144 "$2" | sed 's/^/|:/'
	printf '\n|.\n'
}
