# prepare ID: makes the directory of a program that is to be launched. Status 2: the host has had it before, since its name decides, and
# words may arrive twice; 1: there is no room.
prepare() {
	DIR=$RUN/run-$1
	[ ! -d "$DIR" ] && [ ! -f "$STATE/journal.$1" ] || return 2
	umask 077
	make_run_directory || {
		[ ! -d "$DIR" ] || return 2
		prepare_why=$(no_room "${RUN%/*}" 65536) || prepare_why="$RUN: $(mkdir -p "$DIR" 2>&1)"
		printf '%s\n' "$prepare_why" >&2
		return 1
	}
	# The file for a fault is written in place later, when there may be no room for a new one.
	printf '%s %s %s launching\n' "$$" "$(started $$)" "$(boot_id)" >"$DIR/pid" && printf '%512s\n' '' >"$DIR/fault" &&
		printf . >"$DIR/reader.$(self)" || {
		no_room "$DIR" 65536 >&2
		rm -rf "$DIR"
		return 1
	}
}

# make_run_directory: DIR, private, and new. A program that is just ending may remove the empty directory above it meanwhile.
make_run_directory() {
	for make_attempt in 1 2 3; do
		mkdir -p "$RUN" && chmod 700 "$RUN" && mkdir "$DIR" && return 0
		[ ! -d "$DIR" ] || return 1
	done 2>/dev/null
	return 1
}

# launch PROGRAM: start a program detached. As root under systemd it becomes a transient unit of its own: only
# so it outlives a logind restart and KillUserProcesses=yes. The flags are those of systemd 219.
launch() {
	if [ "$F_UID" = 0 ] && [ "$F_INIT" = systemd ] && have systemd-run &&
		systemd-run --quiet --unit="provision-$1" --slice=system.slice --description=provision \
			--property=KillMode=process /bin/sh "$2" >/dev/null 2>&1; then
		return 0
	fi
	# Should it have been started in spite of a failure, the second one ends at once.
	if have setsid; then
		setsid /bin/sh "$2" </dev/null >/dev/null 2>&1 &
	else
		(trap '' HUP; exec /bin/sh "$2" </dev/null >/dev/null 2>&1) &
	fi
}

# size FILE: sets SIZE to how many bytes it holds; 0 if it is not there.
size() {
	SIZE=0
	[ ! -s "$1" ] || SIZE=$(wc -c <"$1") || SIZE=0
	SIZE=$((SIZE))
}

# reading: notes that a client reads what the program has printed, so that no other run removes it meanwhile.
reading() { [ ! -d "${FOLLOW_READER%/*}" ] || printf . >"$FOLLOW_READER"; } 2>/dev/null

# frames KIND NUMBER STREAM FROM TO FILE: send the bytes of FILE from FROM up to TO, 64 KiB a frame. TO is a size that was
# measured before: what has been written since waits for the next look. Sets AT to where the next frame begins.
frames() {
	AT=$4
	[ "$5" -ge "$AT" ] || AT=0
	while [ "$5" -gt "$AT" ]; do
		frame_length=$(($5 - AT))
		[ "$frame_length" -le 65536 ] || frame_length=65536
		reading
		printf '%s %s %s %s %s %s\n' "$NONCE" "$1" "$2" "$3" "$AT" "$frame_length"
		if [ "$5" -lt 16777216 ]; then
			tail -c "+$((AT + 1))" "$6" | head -c "$frame_length"
		else
			# The program may cut so large a file at this moment: a frame has its announced length even so.
			{ tail -c "+$((AT + 1))" "$6"; head -c 65536 /dev/zero; } 2>/dev/null | head -c "$frame_length"
		fi
		AT=$((AT + frame_length))
		FOLLOW_MOVED=1
	done
}

# outputs NUMBER: what the step has printed since the last look. Sets FOLLOW_1 and FOLLOW_2.
outputs() {
	size "$DIR/out.$1.1"
	frames out "$1" 1 "$FOLLOW_1" "$SIZE" "$DIR/out.$1.1"
	FOLLOW_1=$AT
	size "$DIR/out.$1.2"
	frames out "$1" 2 "$FOLLOW_2" "$SIZE" "$DIR/out.$1.2"
	FOLLOW_2=$AT
}

# end_shells SELF…: ends the shells of earlier sessions of this client. They may hang on a link that is gone, with words on their way to
# them that were sent again since.
end_shells() {
	for end_shell in "$@"; do
		! lives "$end_shell" || kill -s KILL "${end_shell%%.*}" 2>/dev/null
	done
}

# attach ID JOURNAL-OFFSET NUMBER OFFSET1 OFFSET2 WISH: follow a program that was sent over an earlier connection, or say that there is
# none, and that there will be none. WISH: 1, it is to end after its step; 2, at once.
attach() {
	DIR=$RUN/run-$1
	if [ ! -d "$DIR" ] && [ ! -f "$STATE/journal.$1" ]; then
		printf '%s absent 0 0 0 0\n' "$NONCE"
		return 0
	fi
	case $6 in
	1) true >"$DIR/stop" ;;
	2) stop_now </dev/null >/dev/null 2>&1 & ;;
	esac 2>/dev/null
	follow "$1" "$DIR" "$2" "$3" "$4" "$5"
}

# follow ID DIR JOURNAL-OFFSET NUMBER OFFSET1 OFFSET2: send frames until the program has ended. Nothing of it is removed: the client says
# when it has it all.
follow() {
	FOLLOW_JOURNAL=$STATE/journal.$1 FOLLOW_READER=$2/reader.$(self)
	reading
	DIR=$2 FOLLOW_AT=$3 FOLLOW_NUMBER=$4 FOLLOW_1=$5 FOLLOW_2=$6
	follow_idle=0 follow_told= follow_elapsed=0 follow_since=100 follow_unread=0
	while :; do
		FOLLOW_MOVED=
		follow_done=
		# The order matters: what is looked at first was written last. Each file is measured once in a look, the journal before
		# the outputs: all that a record of it speaks of is on its way before the record.
		if [ -f "$DIR/done" ] || [ ! -d "$DIR" ]; then follow_done=1; fi
		# The pauses grow with the time that it takes: most programs are done in a moment. A look takes a few processes from what the
		# host is busy with, so there is none unless a step has begun or 0.2 seconds are over, and the journal is looked at if a
		# step has begun, at every third look, and whenever the program may have ended.
		follow_line=
		[ ! -s "$DIR/number" ] || IFS= read -r follow_line <"$DIR/number"
		if [ -z "$follow_done" ] && [ "$follow_since" -lt 20 ] && { [ "$follow_line" = "$follow_told" ] || [ "$follow_since" -lt 15 ]; }; then
			follow_pause
			continue
		fi
		follow_since=0
		follow_unread=$((follow_unread + 1))
		if [ -n "$follow_done" ] || [ "$follow_line" != "$follow_told" ] || [ "$follow_unread" -ge 3 ] || [ "$follow_idle" -ge 10 ]; then
			follow_unread=0
		fi
		follow_told=$follow_line
		follow_size=$FOLLOW_AT
		[ "$follow_unread" -gt 0 ] || {
			size "$FOLLOW_JOURNAL"
			follow_size=$SIZE
		}
		follow_current=$FOLLOW_NUMBER
		[ ! -s "$DIR/number" ] || IFS=' ' read -r follow_current follow_began <"$DIR/number"
		outputs "$FOLLOW_NUMBER"
		while [ "$FOLLOW_NUMBER" -lt "$follow_current" ]; do
			FOLLOW_NUMBER=$((FOLLOW_NUMBER + 1)) FOLLOW_1=0 FOLLOW_2=0
			outputs "$FOLLOW_NUMBER"
		done
		# A journal only grows: one that is shorter than what was sent of it is not there, and is never sent anew.
		if [ "$FOLLOW_AT" -lt "$follow_size" ]; then
			frames journal 0 0 "$FOLLOW_AT" "$follow_size" "$FOLLOW_JOURNAL"
			FOLLOW_AT=$AT
		fi
		if [ -n "$follow_done" ]; then break; fi
		if [ -n "$FOLLOW_MOVED" ]; then follow_idle=0; else follow_idle=$((follow_idle + 1)); fi
		# A word more than once a second: sshd closes a channel that is silent for its ChannelTimeout.
		[ $((follow_idle % 3)) -ne 2 ] || printf '%s alive 0 0 0 0\n' "$NONCE"
		if [ "$follow_idle" -gt 10 ] && ! follow_alive; then
			# It may have ended since that was looked at.
			[ -f "$DIR/done" ] || [ ! -d "$DIR" ] || break
		fi
		follow_pause
	done
	if [ -f "$DIR/locked" ]; then
		IFS= read -r follow_line <"$DIR/locked"
		printf '%s locked 0 0 0 %s\n%s' "$NONCE" "${#follow_line}" "$follow_line"
	elif [ -n "$follow_done" ]; then
		follow_fault
	elif [ "$follow_size" = 0 ] && mkdir "$DIR/started" 2>/dev/null; then
		# Whoever was about to start it is gone, and it cannot start any more.
		rm -rf "$DIR"
		printf '%s absent 0 0 0 0\n' "$NONCE"
	else
		follow_fault
		printf '%s dead 0 0 0 0\n' "$NONCE"
	fi
}

# follow_pause: sleeps for an eighth of the time since the first look, 0.03 seconds at least and 0.2 at most.
follow_pause() {
	follow_tick=$((follow_elapsed / 8))
	[ "$follow_tick" -ge 3 ] || follow_tick=3
	[ "$follow_tick" -le 20 ] || follow_tick=20
	case $follow_tick in ?) sleep "0.0$follow_tick" ;; *) sleep "0.$follow_tick" ;; esac 2>/dev/null || sleep 1
	follow_elapsed=$((follow_elapsed + follow_tick)) follow_since=$((follow_since + follow_tick))
}

# follow_fault: why the program could not go on, if it could not. The file has had its room since the launch.
follow_fault() {
	[ -s "$DIR/fault" ] || return 0
	IFS= read -r follow_line <"$DIR/fault"
	[ -z "${follow_line%% *}" ] || printf '%s fault 0 0 0 %s\n%s' "$NONCE" "${#follow_line}" "$follow_line"
}

# follow_alive: does the program run? It may take a while until one that was started begins.
follow_alive() {
	holder "$DIR/pid" || return
	[ "$HOLDER_TEXT" != launching ] || [ "$follow_idle" -lt 160 ]
}

# taken ID: the client has all of the program.
taken() {
	DIR=$RUN/run-$1
	[ -d "$DIR" ] || return 0
	[ -f "$DIR/done" ] || bury "$DIR"
	# Once more, should a wish that it ends have been written there meanwhile.
	rm -rf "$DIR" 2>/dev/null || rm -rf "$DIR"
	rmdir "$RUN" 2>/dev/null
}

# end_children PID: kills what a process has started, and not the process.
end_children() {
	for children_stat in /proc/[0-9]*/stat; do
		IFS= read -r children_line 2>/dev/null <"$children_stat" || continue
		children_rest=${children_line##*\) ? }
		[ "${children_rest%% *}" != "$1" ] || kill_tree KILL "${children_line%% *}" >/dev/null
	done
}

# stop_now: the program of DIR ends now, with its step and all that it has started. It does so itself where it can.
stop_now() {
	[ -f "$DIR/pid" ] && holder "$DIR/pid" && [ "$HOLDER_TEXT" = program ] || return 0
	stop_now_pid=${HOLDER%%.*}
	true >"$DIR/stop"
	[ -f "$DIR/ending" ] || kill -s TERM "$stop_now_pid"
	stop_now_wait=0
	while holder "$DIR/pid" && [ ! -f "$DIR/done" ] && [ "$stop_now_wait" -lt 70 ]; do
		stop_now_wait=$((stop_now_wait + 1))
		# A shell that looks at something hears of it only once that has ended.
		[ $((stop_now_wait % 20)) -ne 10 ] || [ -f "$DIR/ending" ] || end_children "$stop_now_pid"
		sleep 0.1 || sleep 1
	done
	[ ! -f "$DIR/done" ] && holder "$DIR/pid" || return 0
	kill_tree KILL "$stop_now_pid" >/dev/null
	bury "$DIR"
}
