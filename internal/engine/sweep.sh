# What was left behind, by whom it does not matter, and who removes it.

# Staging is a directory .provision-stage.PID.START.BOOT.NONCE: its name says which process it belongs to, from its first moment to its
# last. A session makes it, a program takes it over by renaming it, and what belongs to nobody alive is removed by whoever finds it.

# unstage DIRECTORY: removes staging, and its part on a disk.
unstage() {
	if [ -h "$1/disk" ]; then
		unstage_disk=$(readlink "$1/disk")
		case ${unstage_disk##*/} in .provision-stage.*) rm -rf "$unstage_disk" ;; esac
	fi
	rm -rf "$1"
}

# stages: sets STAGES to all staging that may be on this host, that in memory first. LOGIN is the user who logs in.
stages() {
	stages_home=
	[ -z "${LOGIN:-}" ] || stages_home=$(home_of "$LOGIN") || stages_home=
	STAGES=
	for stages_dir in /dev/shm/.provision-stage.* /run/user/*/.provision-stage.* /tmp/.provision-stage.* /var/tmp/.provision-stage.* \
		"$HOME"/.provision-stage.* "$stages_home"/.provision-stage.*; do
		[ ! -d "$stages_dir" ] || [ -h "$stages_dir" ] || STAGES=$STAGES$stages_dir$NL
	done
}

# sweep_stages: removes the staging of ours, or of the user who logs in, that belongs to nobody alive.
sweep_stages() {
	stages
	[ -n "$STAGES" ] || return 0
	sweep_self=$(self)
	sweep_login=
	[ -z "${LOGIN:-}" ] || sweep_login=$(id -u "$LOGIN" 2>/dev/null)
	printf '%s' "$STAGES" | while IFS= read -r sweep_dir; do
		! lives "${sweep_dir##*/.provision-stage.}" || continue
		case $(stat -c %u "$sweep_dir" 2>/dev/null) in "$F_UID" | "$sweep_login") ;; *) continue ;; esac
		# Renamed first: a program may be taking it over at this moment, and one of the two has it.
		sweep_mine=${sweep_dir%/*}/.provision-stage.$sweep_self.${sweep_dir##*.}
		mv "$sweep_dir" "$sweep_mine" 2>/dev/null && rm -rf "$sweep_mine"
	done
}

# end_session SESSION SINCE: ends the processes of a session that began no earlier than SINCE, in hundredths of a second after the
# boot, with all that descends from them. A daemon has a session of its own, and lives on.
end_session() {
	IFS=' ' read -r end_session_self end_session_rest </proc/self/stat
	end_session_list=
	for end_session_stat in /proc/[0-9]*/stat; do
		IFS= read -r end_session_line 2>/dev/null <"$end_session_stat" || continue
		set -f
		# shellcheck disable=SC2086
		set -- "$1" "$2" ${end_session_line##*\) }
		set +f
		# proc(5): the session is the sixth field, and the start the twenty-second.
		if [ "$6" = "$1" ] && [ "$3" != Z ] && [ "${22}" -ge "$2" ]; then
			end_session_list="$end_session_list ${end_session_line%% *}"
		fi
	done
	for end_session_pid in $end_session_list; do
		[ "$end_session_pid" = "$end_session_self" ] || end_tree "$end_session_pid" 20
	done
}

# bury DIRECTORY: what a program that was killed has left behind: its secrets first, then the processes of the step that it was at.
bury() {
	sweep_stages
	[ -s "$1/number" ] && ! holder "$1/pid" && [ "${HOLDER#*.*.}" = "$(boot_id)" ] || return 0
	IFS=' ' read -r bury_number bury_since bury_rest <"$1/number"
	bury_pid=${HOLDER%%.*}
	# Its number may be that of another process by now.
	[ -n "$bury_since" ] && [ -z "$(started "$bury_pid")" ] || return 0
	end_session "$bury_pid" "$bury_since"
}

# break_dead FILE: removes the file of a lock whose holder, HOLDER, is gone. Between the look and the removal the lock may be broken and
# taken by others. So only who has made the one file that is named after this holder may remove what names it, and looks once
# more; and whoever made that file may be gone, too.
break_dead() {
	break_rest=${HOLDER#*.}
	set -- "$1" "$1.${HOLDER%%.*}.${break_rest%%.*}" "$HOLDER"
	if ln "$lock_mine" "$2" 2>/dev/null; then
		if ! holder "$1" && [ "$HOLDER" = "$3" ]; then rm -f "$1"; fi
		rm -f "$2"
	elif holder "$2"; then
		sleep 0.05 2>/dev/null || sleep 1
	elif [ -n "$HOLDER" ]; then
		break_dead "$2"
	fi
}

# sweep_lock: removes the lock of a program that is gone.
sweep_lock() {
	[ -f "$RUN/lock" ] && ! holder "$RUN/lock" && [ -n "$HOLDER" ] || return 0
	sweep_dead=$HOLDER
	IFS=' ' read -r sweep_self sweep_rest </proc/self/stat # not $$: that may be gone, and this its watcher
	lock_mine=$RUN/lock.$sweep_self
	printf '%s %s %s sweeping\n' "$sweep_self" "$(started "$sweep_self")" "$(boot_id)" >"$lock_mine" || return
	HOLDER=$sweep_dead
	break_dead "$RUN/lock"
	rm -f "$lock_mine"
}

# sweep_claims FILE…: removes those of processes that died while they wanted the lock. One that died before it wrote its own left it empty.
sweep_claims() {
	for claim_file in "$@"; do
		if [ -s "$claim_file" ]; then
			holder "$claim_file" && continue
		elif [ -e "$claim_file" ]; then
			claim_pid=${claim_file##*/lock.}
			[ -z "$(started "${claim_pid%%.*}")" ] || continue
		fi
		rm -f "$claim_file"
	done
}

# sweep_written NOTE: removes the temporary file that a note tells of, which put was writing and has not put in its place, and the note.
sweep_written() {
	IFS= read -r written_temp 2>/dev/null <"$1"
	case $written_temp in
	*/.provision.*.) rm -f -- "$written_temp"??????* "$1" ;;
	*) rm -f -- "$1" ;;
	esac
}

# is_read DIRECTORY: does a client still read what a program that is over has printed? One whose link is dead may seem to for minutes.
is_read() {
	for read_file in "$1"/reader.*; do
		lives "${read_file##*/reader.}" && [ -n "$(find "$read_file" -prune -mmin -5)" ] && return 0
	done
	return 1
}

# sweep: removes what runs have left that are over, and that no client has asked for.
sweep() {
	sweep_stages
	for sweep_run in "$RUN"/run-*; do
		[ "$sweep_run" != "${DIR:-}" ] && [ -d "$sweep_run" ] || continue
		holder "$sweep_run/pid" && continue
		if [ -n "$HOLDER" ]; then
			[ -f "$sweep_run/done" ] || bury "$sweep_run"
		else
			# Whoever makes it writes there at once, and a program that begins writes the file anew.
			[ -n "$(find "$sweep_run" -prune -mmin +1)" ] || continue
		fi
		is_read "$sweep_run" || rm -rf "$sweep_run"
	done
	sweep_lock
	for sweep_file in "$RUN"/lock.*; do
		# The others are of those who break a lock: break_dead goes by them.
		case ${sweep_file##*/lock.} in *.*) ;; *) sweep_claims "$sweep_file" ;; esac
	done
	for sweep_file in "$STATE"/writing.*; do # of programs that were killed
		if [ -f "$sweep_file" ] && ! lives "${sweep_file##*/writing.}"; then sweep_written "$sweep_file"; fi
	done
}
