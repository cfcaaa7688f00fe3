# make_run_directory: DIR, private. A program that is just ending may remove the empty directory above it meanwhile.
make_run_directory() {
	for make_attempt in 1 2 3; do
		mkdir -p "$RUN" && chmod 700 "$RUN" && mkdir "$DIR" && return 0
	done 2>/dev/null
	mkdir -p "$RUN" && chmod 700 "$RUN" && mkdir "$DIR"
}

# launch PROGRAM: start a program detached. As root under systemd it becomes a transient unit of its own: only
# so it outlives a logind restart and KillUserProcesses=yes. The flags are those of systemd 219.
launch() {
	if [ "$F_UID" = 0 ] && [ "$F_INIT" = systemd ] && have systemd-run &&
		systemd-run --quiet --unit="provision-$1" --slice=system.slice --description=provision \
			--property=KillMode=process /bin/sh "$2" >/dev/null 2>&1; then
		return 0
	fi
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

# frames KIND NUMBER STREAM FROM TO FILE: send the bytes of FILE from FROM up to TO, 64 KiB a frame. TO is a size that was
# measured before: what has been written since waits for the next look. Sets AT to where the next frame begins.
frames() {
	AT=$4
	[ "$5" -ge "$AT" ] || AT=0
	while [ "$5" -gt "$AT" ]; do
		frame_length=$(($5 - AT))
		[ "$frame_length" -le 65536 ] || frame_length=65536
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

# follow ID DIR JOURNAL-OFFSET NUMBER OFFSET1 OFFSET2: send frames until the program has ended, then
# tidy up after it.
follow() {
	FOLLOW_JOURNAL=$STATE/journal.$1
	DIR=$2 FOLLOW_AT=$3 FOLLOW_NUMBER=$4 FOLLOW_1=$5 FOLLOW_2=$6
	follow_idle=0 follow_looks=0
	while :; do
		FOLLOW_MOVED=
		follow_done=
		# The order matters: what is looked at first was written last. Each file is measured once in a look, the journal before
		# the outputs: all that a record of it speaks of is on its way before the record.
		[ ! -f "$DIR/done" ] || follow_done=1
		# Quick at first, since most programs are done in a moment; but a whole look takes a few processes from what the host
		# is busy with, so only every fifth is one.
		follow_looks=$((follow_looks + 1))
		if [ -z "$follow_done" ] && [ "$follow_looks" -lt 50 ] && [ $((follow_looks % 5)) -ne 0 ]; then
			sleep 0.02 2>/dev/null || sleep 1
			continue
		fi
		size "$FOLLOW_JOURNAL"
		follow_size=$SIZE
		if [ -s "$DIR/number" ]; then IFS= read -r follow_current <"$DIR/number"; else follow_current=$FOLLOW_NUMBER; fi
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
		if [ "$follow_idle" -gt 20 ] && ! follow_alive; then
			[ -f "$DIR/done" ] || {
				follow_fault
				printf '%s dead 0 0 0 0\n' "$NONCE"
				return 0
			}
		fi
		if [ "$follow_looks" -lt 50 ]; then sleep 0.02; else sleep 0.2; fi 2>/dev/null || sleep 1
	done
	if [ -f "$DIR/locked" ]; then
		IFS= read -r follow_line <"$DIR/locked"
		printf '%s locked 0 0 0 %s\n%s' "$NONCE" "${#follow_line}" "$follow_line"
		rm -rf "$DIR"
		return 0
	fi
	follow_fault
	true >"$DIR/ack"
	printf '%s done 0 0 0 0\n' "$NONCE"
	rm -rf "$DIR"
	rmdir "$RUN" 2>/dev/null
	return 0
}

# follow_fault: why the program could not go on, if it could not. The file has had its room since the launch.
follow_fault() {
	[ -s "$DIR/fault" ] || return 0
	IFS= read -r follow_line <"$DIR/fault"
	[ -z "${follow_line%% *}" ] || printf '%s fault 0 0 0 %s\n%s' "$NONCE" "${#follow_line}" "$follow_line"
}

follow_alive() {
	if [ ! -f "$DIR/pid" ]; then
		[ "$follow_idle" -lt 160 ]
		return
	fi
	IFS=' ' read -r follow_pid follow_began <"$DIR/pid"
	alive "$follow_pid" "$follow_began"
}
