# The program: what changes a host. The client writes it to a private directory and starts it
# detached; everything below runs without a client. Variables set before this text: ID, DIR (the
# private directory), OWNER (who runs it, for others to read), LIBRARY, SALT.
#
# The journal is one record a line:
#   run ID BOOT OWNER
#   begin NUMBER ADDRESS          (an address may hold spaces: it is the rest of the line)
#   end NUMBER VERDICT STATUS SECONDS STDOUT STDERR BYTES, a line break, that many bytes of state, a line break
#       (STDOUT and STDERR are how many bytes the step has printed: nobody judges it who does not have them)
#   done VERDICT
# Verdicts of a step: changed, unchanged, unsettled (its state still asks for something), skipped, stale, failed, timeout, blind (its state could not
# be told), interrupted, reboot. Verdicts of a program: ok, failed, stale, stopped, locked, reboot.

DETAIL=0
NONCE=
umask 022

JOURNAL=$STATE/journal.$ID
NUMBER=
WATCH=
FAULT=
BEGUN=
OPERATING=

record() { printf '%s\n' "$*" >>"$JOURNAL" || fault "$STATE"; }

# fault DIRECTORY: the program cannot write there what it must not lose. It ends here, before its next step, and says why in a file
# that has its room since the launch. The journal gets no further record: the last one may be cut off.
fault() {
	trap - HUP INT TERM
	FAULT=1
	fault_why=$(no_room "$1" "${2:-4096}") || fault_why="$1 could not be written"
	printf '%s %s\n' "${NUMBER:-0}" "$fault_why" 1<>"$DIR/fault"
	finish fault
}

# sync_record: as record, and on the disk when it returns. Only where a lost record would do harm.
sync_record() { printf '%s\n' "$*" | dd of="$JOURNAL" oflag=append conv=notrunc,fsync 2>/dev/null || record "$@"; }

# clock: sets NOW to the seconds since boot, without starting a process.
clock() {
	IFS=' ' read -r NOW clock_idle </proc/uptime
}

# take_lock: become the one program of this host. The lock names its owner; one whose process is
# gone, or that an earlier boot left, is broken.
take_lock() {
	lock_mine="$RUN/lock.$$"
	printf '%s %s %s %s\n' "$$" "$(started $$)" "$(boot_id)" "$OWNER" >"$lock_mine" || fault "$RUN"
	lock_tries=0
	until ln "$lock_mine" "$RUN/lock" 2>/dev/null; do
		if lock_text=$(lock_owner) || [ "$lock_tries" -ge 5 ]; then
			rm -f "$lock_mine"
			printf 'locked %s\n' "$lock_text" >"$DIR/locked"
			return 1
		fi
		# rename is atomic: of several that break a dead lock, one gets it.
		mv "$RUN/lock" "$RUN/lock.dead.$$" 2>/dev/null && rm -f "$RUN/lock.dead.$$"
		lock_tries=$((lock_tries + 1))
	done
	rm -f "$lock_mine"
}

# watch: in the background, enforces the time limit of the running step and bounds its output.
watch() {
	while sleep 1; do
		[ -s "$DIR/job" ] || continue
		IFS=' ' read -r watch_pid watch_number watch_end <"$DIR/job" || continue
		for watch_file in "$DIR/out.$watch_number.1" "$DIR/out.$watch_number.2"; do
			[ -s "$watch_file" ] || continue
			if [ "$(wc -c <"$watch_file")" -gt 33554432 ]; then true >"$watch_file"; fi
		done
		[ "$watch_end" != 0 ] || continue
		clock
		if [ "${NOW%.*}" -ge "$watch_end" ]; then
			true >"$DIR/timeout.$watch_number"
			end_tree "$watch_pid" 30
			true >"$DIR/ended.$watch_number"
		fi
	done
}

# finish VERDICT: the end of the program, whatever happened.
finish() {
	trap - HUP INT TERM
	[ -z "$WATCH" ] || kill_tree KILL "$WATCH" >/dev/null
	[ ! -d "$STAGE" ] || unstage "$STAGE"
	if [ -z "$FAULT" ]; then
		rm -f "$STATE/current"
		record "done $1"
	elif [ -z "$BEGUN" ]; then
		rm -f "$STATE/current"
	fi
	if lock_mine=$(cat "$RUN/lock" 2>/dev/null) && [ "${lock_mine%% *}" = "$$" ]; then rm -f "$RUN/lock"; fi
	true >"$DIR/done"
	# The client collects the output and says so; without a client nobody needs it for long.
	finish_wait=0
	while [ -d "$DIR" ] && [ ! -f "$DIR/ack" ] && [ "$finish_wait" -lt 300 ]; do
		sleep 0.1 2>/dev/null || sleep 1
		finish_wait=$((finish_wait + 1))
	done
	rm -rf "$DIR"
	rmdir "$RUN" 2>/dev/null
	if [ "$1" = reboot ]; then
		sync
		systemctl reboot 2>/dev/null || shutdown -r now 2>/dev/null || reboot
	fi
	exit 0
}

interrupted() {
	# Not by the file of the job: the signal may come before it is written.
	[ -z "$OPERATING" ] || end_tree "$!" 10
	if [ -n "$NUMBER" ]; then end interrupted 130 ""; fi
	# A host that shuts down has no client any more, and must not wait for one.
	case $(systemctl is-system-running 2>/dev/null) in stopping) true >"$DIR/ack" ;; esac
	finish stopped
}

begin() {
	NUMBER=$1 BEGUN=
	clock
	BEGAN=$NOW
	if [ -f "$DIR/stop" ]; then NUMBER=; finish stopped; fi
	{ printf '%s\n' "$1" >"$DIR/number" && true >>"$DIR/out.$1.1" && true >>"$DIR/out.$1.2"; } 2>/dev/null || fault "$DIR"
	if [ "$3" = 1 ]; then record "begin $1 $2"; else sync_record "begin $1 $2"; fi
	BEGUN=1
}

# end VERDICT STATUS STATE
end() {
	clock
	end_out=0 end_err=0
	[ ! -s "$DIR/out.$NUMBER.1" ] || end_out=$(wc -c <"$DIR/out.$NUMBER.1")
	[ ! -s "$DIR/out.$NUMBER.2" ] || end_err=$(wc -c <"$DIR/out.$NUMBER.2")
	end_state=$3
	# A step that fails because its output has no room cannot say so there.
	case $1 in failed | blind) end_state=$(no_room "$DIR" 16384) ;; esac
	printf 'end %s %s %s %s-%s %s %s %s\n%s\n' "$NUMBER" "$1" "$2" "$BEGAN" "$NOW" "$((end_out))" "$((end_err))" "${#end_state}" "$end_state" >>"$JOURNAL" ||
		fault "$STATE"
	NUMBER= BEGUN=
}

# look USER: run the probe of the step, PROBE, setting STATUS and STATEMENT; what it says on stderr is part of the
# step's output.
look() {
	if [ -z "$1" ]; then
		STATEMENT=$(eval "$PROBE" 2>>"$DIR/out.$NUMBER.2" </dev/null)
	else
		STATEMENT=$(fragment "$1" "" "" "$PROBE" 2>>"$DIR/out.$NUMBER.2" </dev/null)
	fi
	STATUS=$?
}

# run_here EXPORTS INPUT TEXT: as fragment, for our own user, and in the process that calls it: its last command.
run_here() {
	if [ -n "$1" ]; then . "$1" || exit 1; fi
	if [ -n "$2" ]; then exec <"$2" || exit 1; fi
	eval "$3"
}

# owe NAME…: notifications that steps are owed if this one changes something; on disk before it does. OWED_NEW: those that nobody
# was owed before.
owe() {
	[ -d "$STATE/pending" ] || mkdir -p "$STATE/pending" 2>/dev/null || fault "$STATE"
	for owe_name in "$@"; do
		[ ! -f "$STATE/pending/$owe_name" ] || continue
		OWED_NEW="$OWED_NEW $owe_name"
		true 2>/dev/null >"$STATE/pending/$owe_name" || fault "$STATE"
	done
	sync -f "$STATE/pending" 2>/dev/null || sync
}

# disown_owed: the step has changed nothing after all.
disown_owed() {
	for owe_name in $OWED_NEW; do paid "$owe_name"; done
}

owed() { [ -f "$STATE/pending/$1" ]; }

paid() { [ ! -f "$STATE/pending/$1" ] || rm -f "$STATE/pending/$1"; }

# operate LIMIT RETRIES FUNCTION: run the operations of a step in the background, so that they can be
# stopped, with a limit in seconds (0: none). Sets STATUS.
operate() {
	operate_left=$2
	operate_pause=1
	while :; do
		operate_end=0
		if [ "$1" -gt 0 ]; then clock; operate_end=$((${NOW%.*} + $1)); fi
		OPERATING=1
		("$3") >>"$DIR/out.$NUMBER.1" 2>>"$DIR/out.$NUMBER.2" </dev/null &
		operate_job=$!
		printf '%s %s %s\n' "$operate_job" "$NUMBER" "$operate_end" 2>/dev/null >"$DIR/job" || { end_tree "$operate_job" 10; fault "$DIR"; }
		wait "$operate_job"
		STATUS=$?
		OPERATING=
		true >"$DIR/job" # starts no process, as rm would
		# The first process ends at once; what it started may take longer, or has to be killed.
		operate_wait=0
		while [ -f "$DIR/timeout.$NUMBER" ] && [ ! -f "$DIR/ended.$NUMBER" ] && [ "$operate_wait" -lt 100 ]; do
			sleep 0.1 2>/dev/null || sleep 1
			operate_wait=$((operate_wait + 1))
		done
		[ "$STATUS" -ne 0 ] && [ "$operate_left" -gt 0 ] && [ ! -f "$DIR/timeout.$NUMBER" ] && [ ! -f "$DIR/stop" ] || return 0
		operate_left=$((operate_left - 1))
		printf 'failed with status %s; trying again in %s s\n' "$STATUS" "$operate_pause" >>"$DIR/out.$NUMBER.2"
		sleep "$operate_pause"
		operate_pause=$((operate_pause * 2))
	done
}

start() {
	printf '%s %s\n' "$$" "$(started $$)" >"$DIR/pid" || fault "$RUN"
	# Before anything is done: is there room for what this program has to remember?
	{ mkdir -p "$STATE" && chmod 700 "$STATE"; } 2>/dev/null || fault "$STATE"
	if no_room "$STATE" "$ROOM" >/dev/null; then fault "$STATE" "$ROOM"; fi
	if ! take_lock; then
		true >"$DIR/done"
		exit 0
	fi
	trap interrupted HUP INT TERM
	record "run $ID $(boot_id) $OWNER"
	ln -sf "journal.$ID" "$STATE/current" 2>/dev/null || fault "$STATE"
	set -- "$STATE"/journal.*
	while [ $# -gt 5 ]; do
		rm -f "$1"
		shift
	done
	watch </dev/null >/dev/null 2>&1 &
	WATCH=$!
	# Directories of programs that were killed, and staging that no program fetched.
	for start_dir in "$RUN"/run-*; do
		[ "$start_dir" = "$DIR" ] || [ ! -f "$start_dir/pid" ] || {
			IFS=' ' read -r start_pid start_began <"$start_dir/pid"
			alive "$start_pid" "$start_began" || rm -rf "$start_dir"
		}
	done
}
