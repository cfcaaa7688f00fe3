# What the engine's own scripts need, beside the prelude and the facts.

# Where a run keeps what must outlive a reboot (STATE) and what must not (RUN).
if [ "$F_UID" = 0 ]; then
	STATE=/var/lib/provision
	if [ -d /run ]; then RUN=/run/provision; else RUN=$STATE/run; fi
else
	# An account may have no home, or one that it cannot write. Nobody else's directory or link serves in its place.
	STATE=${HOME:-}/.provision
	if [ ! -d "$STATE" ] && { [ ! -d "${HOME:-}" ] || [ ! -w "$HOME" ]; } && [ ! -h "/var/tmp/.provision-$F_UID" ]; then
		STATE=/var/tmp/.provision-$F_UID
	fi
	RUN=$STATE/run
fi

# The same home, names and directory for a probe as for a program, whatever sshd, sudo, su, doas or systemd make of
# them: those of a login. RUN_AS names the user that a fragment has become.

# whoami_line: our own line of passwd(5). Several names may have one number.
whoami_line() {
	whoami_name=${RUN_AS:-${USER:-}}
	if [ -n "$whoami_name" ] && whoami_all=$(account passwd "$whoami_name") && whoami_own; then
		printf '%s\n' "$whoami_all"
	elif have getent; then
		getent passwd "$F_UID"
	else
		while IFS= read -r whoami_all; do
			! whoami_own || { printf '%s\n' "$whoami_all"; return; }
		done </etc/passwd
	fi
}

whoami_own() {
	whoami_rest=${whoami_all#*:*:}
	[ "${whoami_rest%%:*}" = "$F_UID" ]
}

if WHOAMI=$(whoami_line) && [ -n "$WHOAMI" ]; then
	USER=${WHOAMI%%:*} SHELL=${WHOAMI##*:} WHOAMI=${WHOAMI%:*}
	LOGNAME=$USER
	[ -z "${RUN_AS:-}" ] && [ -n "${HOME:-}" ] || HOME=${WHOAMI##*:}
	# Programs start $SHELL: that of an account that nobody may log in to ends at once.
	case $SHELL in '' | */nologin | */false | */true | */sync) SHELL=/bin/sh ;; esac
	export USER LOGNAME SHELL
fi
if [ "$F_UID" = 0 ] && { [ -d /root ] || [ -z "${HOME:-}" ]; }; then HOME=/root; fi
export HOME
cd "$HOME" 2>/dev/null || cd /

# mark NUMBER STATUS: the end of a fragment, on both streams, and who says so.
mark() {
	printf '\n%s %s %s %s\n' "$NONCE" "$1" "$2" "$$"
	printf '%s %s\n' "$NONCE" "$1" >&2
}

# fragment USER EXPORTS INPUT TEXT: run TEXT as USER ("" for the one we are), after sourcing the file
# EXPORTS and with the file INPUT as standard input where they are not "". For another user it is a
# fresh login of that user without its profile, which may print: new groups are in force at once.
# Status 119: there is no such user.
fragment() {
	if [ -z "$1" ]; then
		(
			if [ -n "$2" ]; then . "$2" || exit 1; fi
			if [ -n "$3" ]; then exec <"$3" || exit 1; fi
			eval "$4"
		)
		return
	fi
	find_account passwd "$1" || { printf 'there is no user %s to run as\n' "$1" >&2; return 119; }
	case $1 in *"'"*) return 119 ;; esac
	if have runuser; then fragment_switch=runuser; else fragment_switch=su; fi
	{
		printf 'NONCE= SALT=%s DETAIL=%s RUN_AS='"'%s'"' LIBRARY=\n%s\n' "$SALT" "$DETAIL" "$1" "$LIBRARY"
		if [ -n "$2" ]; then cat "$2"; fi
		printf '%s\n' "$4"
	} | {
		# Standard input carries the text, so the input of the text comes as descriptor 3. Not by exec: ksh keeps what exec opens to itself.
		"$fragment_switch" -s /bin/sh "$1" -c 'text=$(cat) || exit 1; cd 2>/dev/null || cd /; exec <&3 3<&-; eval "$text"' 3<"${3:-/dev/null}"
	}
}

# no_room DIRECTORY BYTES: prints why so many bytes cannot be written to a new file there; status 1 if they can. Not with the shell's
# own printf, which says "I/O error" in dash.
no_room() {
	no_room_file=$1/.room.$$
	no_room_why=$({ head -c "$2" /dev/zero >"$no_room_file"; } 2>&1)
	no_room_status=$?
	rm -f "$no_room_file" 2>/dev/null
	[ "$no_room_status" -ne 0 ] || return 1
	printf '%s: %s\n' "$1" "${no_room_why##*: }"
}

# alive PID START: is that process still the one that it was? START is field 22 of /proc/PID/stat.
alive() {
	[ -n "$2" ] && [ "$(started "$1")" = "$2" ]
}

# started PID: when the process began, in clock ticks since boot; empty if there is none, or only what its parent has yet to
# collect.
started() {
	[ -r "/proc/$1/stat" ] || return 0
	IFS= read -r started_line <"/proc/$1/stat" 2>/dev/null || return 0
	# The name, in parentheses, may hold spaces and parentheses of its own.
	set -f
	# shellcheck disable=SC2086
	set -- ${started_line##*\) }
	set +f
	[ "$1" = Z ] || printf '%s\n' "${20}"
}

boot_id() {
	IFS= read -r boot_line </proc/sys/kernel/random/boot_id
	printf '%s\n' "$boot_line"
}

# self: PID.START.BOOT, which names this shell among all that ever ran.
self() { printf '%s.%s.%s\n' "$$" "$(started $$)" "$(boot_id)"; }

# lives SELF[.REST]: may what has that name still run? Where processes are hidden (hidepid of proc(5)), what cannot be seen may.
lives() {
	lives_rest=${1#*.}
	lives_start=${lives_rest%%.*}
	lives_rest=${lives_rest#*.}
	[ "${lives_rest%%.*}" = "$(boot_id)" ] || return 1
	case ${1%%.*}$lives_start in *[!0-9]*) return 1 ;; esac
	alive "${1%%.*}" "$lives_start" || [ ! -r /proc/1/stat ]
}

# holder FILE: does who made this file of a lock still run? Sets HOLDER to PID.START.BOOT, and HOLDER_TEXT to what the file says of the owner.
holder() {
	HOLDER= HOLDER_TEXT=
	IFS=' ' read -r holder_pid holder_start holder_boot HOLDER_TEXT 2>/dev/null <"$1" || return 1
	case $holder_pid$holder_start in *[!0-9]*) holder_pid=0 ;; esac
	HOLDER=$holder_pid.$holder_start.$holder_boot
	[ "$holder_boot" = "$(boot_id)" ] && alive "$holder_pid" "$holder_start"
}

# lock_owner: the owner of the host's lock if it is held; status 1 if not.
lock_owner() { [ -f "$RUN/lock" ] && holder "$RUN/lock" && printf '%s\n' "$HOLDER_TEXT"; }

# kill_tree SIGNAL PID: a process and all that descends from it, each printed as PID START. Each is stopped before its
# children are looked for, so that none starts another or goes on with its next command.
kill_tree() {
	kill -s STOP "$2" 2>/dev/null
	printf '%s %s\n' "$2" "$(started "$2")"
	for kill_stat in /proc/[0-9]*/stat; do
		IFS= read -r kill_line <"$kill_stat" 2>/dev/null || continue
		kill_child=${kill_line%% *}
		kill_rest=${kill_line##*\) ? }
		if [ "${kill_rest%% *}" = "$2" ] && [ "$kill_child" != "$$" ]; then
			(kill_tree "$1" "$kill_child")
		fi
	done
	kill -s "$1" "$2" 2>/dev/null
	kill -s CONT "$2" 2>/dev/null
}

# end_tree PID TENTHS: TERM for a process and all that descends from it, KILL for what is left after so many tenths of a
# second. What ignores TERM has lost its parent by then: it is found by what TERM was sent to.
end_tree() {
	end_list=$(kill_tree TERM "$1")
	end_tenths=$2
	while [ "$end_tenths" -gt 0 ] && [ -n "$(still_alive "$end_list")" ]; do
		sleep 0.1 2>/dev/null || { sleep 1; end_tenths=$((end_tenths - 9)); }
		end_tenths=$((end_tenths - 1))
	done
	for end_pid in $(still_alive "$end_list"); do
		kill_tree KILL "$end_pid" >/dev/null
	done
}

# end_asked PID: ends the shell of a session, with all that it has started. The sudo that runs it stops itself when it sees it stopped, and
# has to be woken to end.
end_asked() {
	IFS= read -r asked_line 2>/dev/null <"/proc/$1/stat" || return 0
	asked_rest=${asked_line##*\) ? }
	asked_parent=${asked_rest%% *}
	end_tree "$1" 5
	asked_left=10
	while [ "$asked_left" -gt 0 ] && IFS= read -r asked_line 2>/dev/null <"/proc/$asked_parent/stat"; do
		case $asked_line in *") T "* | *") Z "*) kill -s CONT "$asked_parent" 2>/dev/null ;; *) [ "$asked_left" -gt 7 ] || return 0 ;; esac
		sleep 0.1 2>/dev/null || return 0
		asked_left=$((asked_left - 1))
	done
	return 0
}

# end_slow PID AGE [EXCEPT]: ends what a shell has started and what has run for AGE hundredths of a second or longer, with all that descends
# from it. Where the start of a process lies in the future, /proc has two clocks (lxcfs), and its age is not known: it goes, too.
end_slow() {
	IFS=' ' read -r slow_now slow_rest </proc/uptime
	slow_now=${slow_now%.*}${slow_now#*.} slow_shell=$1 slow_least=$2 slow_except=${3:-}
	for slow_stat in /proc/[0-9]*/stat; do
		IFS= read -r slow_line 2>/dev/null <"$slow_stat" || continue
		slow_pid=${slow_line%% *} slow_rest=${slow_line##*\) ? }
		[ "${slow_rest%% *}" = "$slow_shell" ] && [ "$slow_pid" != "$slow_except" ] || continue
		set -f
		# shellcheck disable=SC2086
		set -- ${slow_line##*\) }
		set +f
		slow_age=$((slow_now - ${20}))
		if [ "$slow_age" -lt 0 ] || [ "$slow_age" -ge "$slow_least" ]; then end_tree "$slow_pid" 10; fi
	done
}

# still_alive LIST: the processes of lines PID START that have not ended.
still_alive() {
	printf '%s\n' "$1" | while IFS=' ' read -r still_pid still_start; do
		if [ -n "$still_start" ] && alive "$still_pid" "$still_start"; then printf '%s\n' "$still_pid"; fi
	done
}

# cut_off JOURNAL TITLE: tells of the step that a program was at when it was killed, by the playbook's TITLE, and of the owner of the program.
cut_off() {
	cut_step= cut_owner= cut_left=0
	while IFS= read -r cut_line; do
		if [ "$cut_left" -gt 0 ]; then # a state
			cut_left=$((cut_left - ${#cut_line} - 1))
			continue
		fi
		case $cut_line in
		"run "*) cut_owner=${cut_line#run * * } ;;
		"begin "*) cut_step=${cut_line#begin * } ;;
		"end "* | "ask "*)
			case $cut_line in "end "*) cut_step= ;; esac
			cut_left=${cut_line##* }
			case $cut_left in '' | *[!0-9]*) return 0 ;; esac
			cut_left=$((cut_left + 1))
			;;
		"done "*) return 0 ;;
		esac
	done 2>/dev/null <"$1"
	[ -z "$cut_step" ] || { say cut "$2 $cut_step"; say cut_owner "$cut_owner"; }
}

# print_state: what the engine wants to know before it plans: this session, notifications that are still owed, the owner of the lock,
# steps that must not simply run again, that an earlier run began and never ended, and the step at which the last program was killed, unless an
# apply has been told of it.
print_state() {
	say session "$(self)"
	say run "$RUN"
	if have gzip && have base64; then say unpacks yes; fi
	for state_file in "$STATE"/pending/*; do
		[ -f "$state_file" ] && say pending "${state_file##*/}"
	done
	# What a run of the same user without root owes is not with what root owes. Somebody else chooses the names there.
	if [ "$F_UID" = 0 ] && [ "${LOGIN:-root}" != root ] && state_home=$(home_of "$LOGIN"); then
		for state_file in "$state_home"/.provision/pending/*; do
			case ${state_file##*/} in *"$NL"*) continue ;; esac
			[ -f "$state_file" ] && say login_pending "${state_file##*/}"
		done
	fi
	if state_line=$(lock_owner); then say lock "$state_line"; return 0; fi
	for state_file in "$STATE"/begun/*; do
		[ -f "$state_file" ] && say begun "${state_file##*/}"
	done
	STATE_CUT=
	if IFS=' ' read -r state_id state_running state_title 2>/dev/null <"$STATE/last" && [ -n "$state_running" ]; then
		IFS= read -r state_told 2>/dev/null <"$STATE/told" && [ "$state_told" = "$state_id" ] || {
			STATE_CUT=$state_id
			cut_off "$STATE/journal.$state_id" "$state_title"
		}
	fi
	return 0
}

# real_paths PATH…: each without the symbolic links on its way, as far as it exists.
real_paths() {
	for real_path in "$@"; do
		real_up=$real_path
		real_rest=
		while [ -n "$real_up" ] && [ ! -d "$real_up" ]; do
			real_rest=/${real_up##*/}$real_rest
			real_up=${real_up%/*}
		done
		real_up=$(cd -P -- "${real_up:-/}" 2>/dev/null && pwd -P) || real_up=${real_path%"$real_rest"}
		printf '%s\n' "${real_up%/}$real_rest"
	done
}
