# The program: what changes a host. The client writes it to a private directory and starts it
# detached; everything below runs without a client. Variables set before this text: ID, DIR (the
# private directory), OWNER (who runs it, for others to read), LOGIN (the user who logs in), AFTER (the program of the same run before this
# one), BOOTED (the boot that it was planned in), STAGE (staging for it), LIBRARY, SALT, ROOM, PATIENCE.
#
# The journal is one record a line:
#   run ID BOOT OWNER
#   between OWNER                 (another run had its turn after the program before this one)
#   begin NUMBER ADDRESS          (an address may hold spaces: it is the rest of the line)
#   end NUMBER VERDICT STATUS SECONDS STDOUT STDERR BYTES, a line break, that many bytes of state, a line break
#       (STDOUT and STDERR are how many bytes the step has printed: nobody judges it who does not have them)
#   ask NUMBER BYTES, a line break, that many bytes of state, a line break: the client is to judge a state (answer.NUMBER in DIR: go or stop)
#   done VERDICT
# Verdicts of a step: changed, unchanged, unsettled (its state still asks for something), skipped, stale, failed, timeout, undecided (its
# changed_if took too long), blind (its state could not be told, and nothing ran), unseen (it ran, and its state could not be told afterwards),
# interrupted, reboot. Verdicts of a program: ok, failed, stale, stopped, reboot, unstaged (what was staged for it is
# gone; nothing was done), moved (the host has restarted since it was planned; nothing was done), unjudged (nobody judged the state of the last
# step).

DETAIL=0
NONCE=
umask 022

JOURNAL=$STATE/journal.$ID
NUMBER=
WATCH=
FAULT=
LASTING=
OPERATING=
MARKED=
PUT_NOTE=

record() { printf '%s\n' "$*" >>"$JOURNAL" || fault "$STATE"; }

# fault DIRECTORY: the program cannot write there what it must not lose. It ends here, before its next step, and says why in a file
# that has its room since the launch. The journal gets no further record: the last one may be cut off.
fault() {
	trap '' HUP INT TERM
	FAULT=1
	fault_why=$(no_room "$1" "${2:-4096}") || fault_why="$1 could not be written"
	printf '%s %s\n' "${NUMBER:-0}" "$fault_why" 1<>"$DIR/fault"
	finish fault
}

# clock: sets NOW to the seconds since boot, without starting a process.
clock() {
	IFS=' ' read -r NOW clock_idle </proc/uptime
}

# take_lock: become the one program of this host. The file of the lock names its owner, and appears whole or not at all.
take_lock() {
	lock_mine=$RUN/lock.$$
	printf '%s %s %s %s\n' "$$" "$STARTED" "$BOOT" "$OWNER" >"$lock_mine" || fault "$RUN"
	lock_tries=0
	until ln "$lock_mine" "$RUN/lock" 2>/dev/null; do
		lock_tries=$((lock_tries + 1))
		if holder "$RUN/lock"; then
			rm -f "$lock_mine"
			printf '%s\n' "$HOLDER_TEXT" 2>/dev/null >"$DIR/locked" || fault "$RUN"
			return 1
		elif [ "$lock_tries" -ge 200 ]; then
			rm -f "$lock_mine"
			fault "$RUN"
		elif [ -n "$HOLDER" ] || [ -f "$RUN/lock" ]; then
			break_dead "$RUN/lock"
		fi
	done
	rm -f "$lock_mine"
	sweep_claims "$RUN"/lock.*
}

# take_stage: what was staged belongs to this program from here on, or is gone.
take_stage() {
	take_mine=.provision-stage.$$.$STARTED.$BOOT
	take_from=$STAGE
	STAGE=${STAGE%/*}/$take_mine.${STAGE##*.}
	mv "$take_from" "$STAGE" 2>/dev/null || return 1
	[ -h "$STAGE/disk" ] || return 0
	take_disk=$(readlink "$STAGE/disk")
	case ${take_disk##*/} in .provision-stage.*) ;; *) return 1 ;; esac
	mv "$take_disk" "${take_disk%/*}/$take_mine.${take_disk##*.}" 2>/dev/null &&
		ln -sfn "${take_disk%/*}/$take_mine.${take_disk##*.}" "$STAGE/disk"
}

# watch: in the background, enforces the time limits of the running step and of its probe, and bounds its output; and if the program is killed, it
# removes what must not stay.
watch() {
	while sleep 1; do
		alive "$$" "$STARTED" || {
			bury "$DIR"
			sweep_lock
			return
		}
		[ -s "$DIR/job" ] || continue
		IFS=' ' read -r watch_pid watch_number watch_end watch_limit <"$DIR/job" || continue
		for watch_file in "$DIR/out.$watch_number.1" "$DIR/out.$watch_number.2" "$DIR/said"; do
			[ -s "$watch_file" ] || continue
			if [ "$(wc -c <"$watch_file")" -gt 33554432 ]; then true >"$watch_file"; fi
		done
		[ "$watch_end" != 0 ] || continue
		clock
		if [ "${NOW%.*}" -ge "$watch_end" ] && [ "$watch_pid" = look ]; then
			true >"$DIR/slow.$watch_number"
			IFS=' ' read -r watch_self watch_rest </proc/self/stat
			end_slow "$$" "${watch_limit}00" "$watch_self"
			true >"$DIR/slowed.$watch_number"
		elif [ "${NOW%.*}" -ge "$watch_end" ]; then
			# Each try has files of its own: this one may have ended meanwhile.
			true >"$DIR/timeout.$watch_number.$watch_pid"
			end_tree "$watch_pid" 30
			true >"$DIR/ended.$watch_number.$watch_pid"
		fi
	done
}

# finish VERDICT: the end of the program, whatever happened. Its directory stays until a client has what is in it, or another run
# removes it: that a client comes is no condition for anything.
finish() {
	trap '' HUP INT TERM
	true >"$DIR/ending"
	[ -z "$WATCH" ] || kill_tree KILL "$WATCH" >/dev/null
	[ ! -d "$STAGE" ] || unstage "$STAGE"
	[ ! -f "$PUT_NOTE" ] || sweep_written "$PUT_NOTE"
	[ -n "$FAULT" ] || record "done $1"
	[ -z "$LASTING" ] || printf '%s\n' "$ID" 2>/dev/null >"$STATE/last"
	if [ "$1" = reboot ]; then restart; fi
	if holder "$RUN/lock" && [ "$HOLDER" = "$$.$STARTED.$BOOT" ]; then rm -f "$RUN/lock"; fi
	true >"$DIR/done"
	exit 0
}

# restart: restarts the host, once a client has collected what would be lost by that, or after a while. The lock is kept: nobody begins
# into a restart.
restart() {
	trap - HUP INT TERM
	true >"$DIR/done"
	restart_wait=0
	while [ -d "$DIR" ] && [ "$restart_wait" -lt 300 ]; do
		sleep 0.1 2>/dev/null || sleep 1
		restart_wait=$((restart_wait + 1))
	done
	sync
	systemctl reboot 2>/dev/null || shutdown -r now 2>/dev/null || reboot
	sleep 300
}

interrupted() {
	trap '' HUP INT TERM
	true >"$DIR/ending"
	# Not by the file of the job: the signal may come before it is written.
	[ -z "$OPERATING" ] || end_tree "$!" 10
	if [ -n "$NUMBER" ]; then ended interrupted 130 ""; fi
	finish stopped
}

begin() {
	NUMBER=$1
	clock
	BEGAN=$NOW
	if [ -f "$DIR/stop" ]; then NUMBER=; finish stopped; fi
	SINCE=${NOW%.*}${NOW#*.}
	{ printf '%s %s\n' "$1" "$SINCE" >"$DIR/number" && true >>"$DIR/out.$1.1" && true >>"$DIR/out.$1.2"; } 2>/dev/null || fault "$DIR"
	record "begin $1 $2"
}

# ended VERDICT STATUS STATE: the end of a step. zsh has a word "end" of its own.
ended() {
	clock
	end_out=0 end_err=0
	[ ! -s "$DIR/out.$NUMBER.1" ] || end_out=$(wc -c <"$DIR/out.$NUMBER.1")
	[ ! -s "$DIR/out.$NUMBER.2" ] || end_err=$(wc -c <"$DIR/out.$NUMBER.2")
	end_state=$3
	# Why the probe failed, apart from what else the step has printed.
	case $1 in blind | unseen) end_state=$(tail -c 4096 "$DIR/said" 2>/dev/null) ;; esac
	# A step that fails because its output has no room cannot say so there.
	case $1$end_state in failed | blind | unseen) end_state=$(no_room "$DIR" 16384) ;; esac
	printf 'end %s %s %s %s-%s %s %s %s\n%s\n' "$NUMBER" "$1" "$2" "$BEGAN" "$NOW" "$((end_out))" "$((end_err))" "${#end_state}" "$end_state" >>"$JOURNAL" ||
		fault "$STATE"
	[ -z "$MARKED" ] || rm -f "$STATE/begun/$MARKED"
	NUMBER= MARKED=
}

# await_watch FILE: waits until watch has made a file, when what it ended has ended.
await_watch() {
	await_left=100
	while [ ! -f "$DIR/$1" ] && [ "$await_left" -gt 0 ]; do
		sleep 0.1 2>/dev/null || sleep 1
		await_left=$((await_left - 1))
	done
}

# looking LIMIT: what is run from here on has so many seconds.
looking() {
	clock
	printf 'look %s %s %s\n' "$NUMBER" "$((${NOW%.*} + $1 + 1))" "$1" 2>/dev/null >"$DIR/job" || fault "$DIR"
}

# looked: it has ended. Status 0 if it took too long. What ignores TERM has been killed then: nobody could do so after the end of this program.
looked() {
	true >"$DIR/job"
	[ -f "$DIR/slow.$NUMBER" ] || return 1
	await_watch "slowed.$NUMBER"
	rm -f "$DIR/slow.$NUMBER" "$DIR/slowed.$NUMBER"
}

# asked LIMIT TEXT: does sh that looks at what the step did say yes, in so many seconds? Sets STATUS, and TIMEOUT if it took longer.
asked() {
	TIMEOUT=
	looking "$1"
	(eval "$2") >/dev/null 2>&1 </dev/null
	STATUS=$?
	if looked && [ "$STATUS" -ne 0 ]; then TIMEOUT=1; fi
}

# look USER LIMIT: run the probe of the step, PROBE, setting STATUS and STATEMENT; what it says on stderr is part of the
# step's output. It has so many seconds.
look() {
	looking "$2"
	true >"$DIR/said"
	if [ -z "$1" ]; then
		STATEMENT=$(eval "$PROBE" 2>>"$DIR/said" </dev/null)
	else
		STATEMENT=$(fragment "$1" "" "" "$PROBE" 2>>"$DIR/said" </dev/null)
	fi
	STATUS=$?
	if looked && [ "$STATUS" -ne 0 ]; then printf 'its probe took longer than %s s, and was ended\n' "$2" >>"$DIR/said"; fi
	[ ! -s "$DIR/said" ] || tail -c 65536 "$DIR/said" >>"$DIR/out.$NUMBER.2"
}

# run_here EXPORTS INPUT TEXT: as fragment, for our own user, and in the process that calls it: its last command.
run_here() {
	if [ -n "$1" ]; then . "$1" || exit 1; fi
	if [ -n "$2" ]; then exec <"$2" || exit 1; fi
	eval "$3"
}

# alike STATE…: is STATEMENT one of these? A line "KEY #" of them is one with any number.
alike() {
	for alike_want in "$@"; do
		alike_have=$STATEMENT$NL alike_want=$alike_want$NL
		while [ -n "$alike_want" ] && [ -n "$alike_have" ]; do
			alike_line=${alike_have%%"$NL"*} alike_like=${alike_want%%"$NL"*}
			if [ "$alike_line" != "$alike_like" ]; then
				[ "${alike_line% *} #" = "$alike_like" ] || break
				case ${alike_line##* } in '' | *[!0-9]*) break ;; esac
			fi
			alike_have=${alike_have#*"$NL"} alike_want=${alike_want#*"$NL"}
		done
		[ -n "$alike_want$alike_have" ] || return 0
	done
	return 1
}

# judge: nothing here knows whether STATEMENT, the state after the operations, is the wanted one. The client does, and its answer, go or
# stop, becomes ANSWER; it stays empty if none comes: then the program ends after this step.
judge() {
	ANSWER=
	printf 'ask %s %s\n%s\n' "$NUMBER" "${#STATEMENT}" "$STATEMENT" >>"$JOURNAL" || fault "$STATE"
	# The follower looks into the journal when this file says something else.
	printf '%s %s ask\n' "$NUMBER" "$SINCE" 2>/dev/null >"$DIR/number" || fault "$DIR"
	clock
	judge_end=$((${NOW%.*} + PATIENCE))
	while [ ! -f "$DIR/stop" ] && [ "${NOW%.*}" -lt "$judge_end" ]; do
		if [ -s "$DIR/answer.$NUMBER" ]; then
			IFS= read -r ANSWER <"$DIR/answer.$NUMBER"
			return
		fi
		sleep 0.05 2>/dev/null || sleep 1
		clock
	done
}

# judged: end the program where no answer came.
judged() {
	[ -z "$ANSWER" ] || return 0
	if [ -f "$DIR/stop" ]; then finish stopped; fi
	finish unjudged
}

# owe NAME…: notifications that steps are owed if this one changes something. OWED_NEW: those that nobody was owed before.
owe() {
	[ -d "$STATE/pending" ] || mkdir -p "$STATE/pending" 2>/dev/null || fault "$STATE"
	for owe_name in "$@"; do
		! owed "$owe_name" || continue
		OWED_NEW="$OWED_NEW $owe_name"
		true 2>/dev/null >"$STATE/pending/$owe_name.$TITLE" || fault "$STATE"
	done
}

# mark_begun NAME ADDRESS: the step must not simply run again if nobody learns how it ended. Other runs do not change that.
mark_begun() {
	[ -d "$STATE/begun" ] || mkdir -p "$STATE/begun" 2>/dev/null || fault "$STATE"
	printf '%s\n' "$2" 2>/dev/null >"$STATE/begun/$1.$TITLE" || fault "$STATE"
	MARKED=$1.$TITLE
}

# keep: what was noted is on the disk before the step changes anything.
keep() { sync -f "$STATE/." 2>/dev/null || sync; }

# disown_owed: the step has changed nothing after all.
disown_owed() {
	for owe_name in $OWED_NEW; do paid "$owe_name"; done
}

owed() { [ -f "$STATE/pending/$1.$TITLE" ]; }

paid() { ! owed "$1" || rm -f "$STATE/pending/$1.$TITLE"; }

# adopt NAME…: what runs of other playbooks owe or began under these names is this one's.
adopt() {
	for adopt_name in "$@"; do
		for adopt_kept in pending begun; do
			for adopt_file in "$STATE/$adopt_kept/$adopt_name".*; do
				[ ! -f "$adopt_file" ] || [ "$adopt_file" = "$STATE/$adopt_kept/$adopt_name.$TITLE" ] ||
					mv -f "$adopt_file" "$STATE/$adopt_kept/$adopt_name.$TITLE" 2>/dev/null || fault "$STATE"
			done
		done
	done
}

# again WHY: after a failure, waits for the next try of the step. Fails if there is none: LEFT are left, after PAUSE seconds.
again() {
	[ "$LEFT" -gt 0 ] && [ ! -f "$DIR/stop" ] || return 1
	LEFT=$((LEFT - 1))
	printf '%s; trying again in %s s\n' "$1" "$PAUSE" >>"$DIR/out.$NUMBER.2"
	sleep "$PAUSE"
	PAUSE=$((PAUSE * 2))
}

# operate LIMIT FUNCTION: run the operations of a step in the background, so that they can be
# stopped, with a limit in seconds for each try (0: none). Sets STATUS, and TIMEOUT if the last try took too long.
operate() {
	while :; do
		TIMEOUT=
		operate_end=0
		if [ "$1" -gt 0 ]; then clock; operate_end=$((${NOW%.*} + $1)); fi
		OPERATING=1
		("$2") >>"$DIR/out.$NUMBER.1" 2>>"$DIR/out.$NUMBER.2" </dev/null &
		operate_job=$!
		printf '%s %s %s\n' "$operate_job" "$NUMBER" "$operate_end" 2>/dev/null >"$DIR/job" || { end_tree "$operate_job" 10; fault "$DIR"; }
		wait "$operate_job"
		STATUS=$?
		OPERATING=
		true >"$DIR/job" # starts no process, as rm would
		# The first process ends at once; what it started may take longer, or has to be killed.
		if [ -f "$DIR/timeout.$NUMBER.$operate_job" ]; then
			TIMEOUT=1
			await_watch "ended.$NUMBER.$operate_job"
			again "did not end within its timeout of $1 s" || return 0
		elif [ "$STATUS" -ne 0 ]; then
			again "failed with status $STATUS" || return 0
		else
			return 0
		fi
	done
}

start() {
	# A program runs once, however often it is started.
	mkdir "$DIR/started" 2>/dev/null || {
		[ -d "$DIR" ] && [ ! -d "$DIR/started" ] || exit 0
		fault "$RUN"
	}
	STARTED=$(started $$) BOOT=$(boot_id)
	{ printf '%s %s %s program\n' "$$" "$STARTED" "$BOOT" >"$DIR/pid.new" && mv "$DIR/pid.new" "$DIR/pid"; } || fault "$RUN"
	trap interrupted HUP INT TERM
	# Before anything is done: is there room for what this program has to remember?
	{ mkdir -p "$STATE" && chmod 700 "$STATE"; } 2>/dev/null || fault "$STATE"
	# What was looked at before the host restarted may not be there any more.
	[ -z "$BOOTED" ] || [ "$BOOTED" = "$BOOT" ] || finish moved
	if [ -n "$STAGE" ] && ! take_stage; then finish unstaged; fi
	PUT_NOTE=$STATE/writing.$$.$STARTED.$BOOT
	if no_room "$STATE" "$ROOM" >/dev/null; then fault "$STATE" "$ROOM"; fi
	if ! take_lock; then
		[ ! -d "$STAGE" ] || unstage "$STAGE"
		true >"$DIR/done"
		exit 0
	fi
	sweep
	record "run $ID $BOOT $OWNER"
	between
	set -- "$STATE"/journal.*
	if [ $# -gt 5 ]; then prune; fi
	watch </dev/null >/dev/null 2>&1 &
	WATCH=$!
}

# between: tells of another run that has had its turn since the program before this one, and notes this one, as running: if it is killed,
# the next run tells at which step (cut_off).
between() {
	if IFS=' ' read -r between_last between_rest 2>/dev/null <"$STATE/last" && [ -n "$AFTER" ] && [ "$between_last" != "$AFTER" ]; then
		between_who=
		! IFS=' ' read -r between_run between_id between_boot between_who 2>/dev/null <"$STATE/journal.$between_last" || :
		record "between ${between_who:-another run}"
	fi
	printf '%s running %s\n' "$ID" "$TITLE" 2>/dev/null >"$STATE/last" || fault "$STATE"
	LASTING=1
}

# prune: keeps the journals of this program and of the four before it. Their age is told by this host alone: the names come from
# clients, whose clocks differ.
prune() {
	prune_kept=0
	ls -t "$STATE" | while IFS= read -r prune_name; do
		case $prune_name in "journal.$ID" | [!j]*) continue ;; journal.*) ;; *) continue ;; esac
		prune_kept=$((prune_kept + 1))
		[ "$prune_kept" -le 4 ] || rm -f "$STATE/$prune_name"
	done
}
