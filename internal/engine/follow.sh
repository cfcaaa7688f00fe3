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

# frame KIND NUMBER STREAM FROM FILE: send what FILE holds beyond FROM bytes, at most 64 KiB; sets AT to where the
# next one begins.
frame() {
	AT=$4
	[ -s "$5" ] || return 0
	frame_size=$(wc -c <"$5") || return 0
	frame_size=$((frame_size))
	[ "$frame_size" -ge "$4" ] || AT=0
	[ "$frame_size" -gt "$AT" ] || return 0
	frame_length=$((frame_size - AT))
	[ "$frame_length" -le 65536 ] || frame_length=65536
	printf '%s %s %s %s %s %s\n' "$NONCE" "$1" "$2" "$3" "$AT" "$frame_length"
	tail -c "+$((AT + 1))" "$5" | head -c "$frame_length"
	AT=$((AT + frame_length))
	FOLLOW_MOVED=1
}

# outputs NUMBER: what the step has printed since the last look. Sets FOLLOW_1 and FOLLOW_2.
outputs() {
	while :; do
		outputs_before=$FOLLOW_1.$FOLLOW_2
		frame out "$1" 1 "$FOLLOW_1" "$DIR/out.$1.1"
		FOLLOW_1=$AT
		frame out "$1" 2 "$FOLLOW_2" "$DIR/out.$1.2"
		FOLLOW_2=$AT
		[ "$outputs_before" != "$FOLLOW_1.$FOLLOW_2" ] || return 0
	done
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
		# The order matters: what is looked at first was written last.
		[ ! -f "$DIR/done" ] || follow_done=1
		# Quick at first, since most programs are done in a moment; but a whole look takes a few processes from what the host
		# is busy with, so only every fifth is one.
		follow_looks=$((follow_looks + 1))
		if [ -z "$follow_done" ] && [ "$follow_looks" -lt 50 ] && [ $((follow_looks % 5)) -ne 0 ]; then
			sleep 0.02 2>/dev/null || sleep 1
			continue
		fi
		follow_size=0
		[ ! -s "$FOLLOW_JOURNAL" ] || follow_size=$(wc -c <"$FOLLOW_JOURNAL")
		if [ -s "$DIR/number" ]; then IFS= read -r follow_current <"$DIR/number"; else follow_current=$FOLLOW_NUMBER; fi
		outputs "$FOLLOW_NUMBER"
		while [ "$FOLLOW_NUMBER" -lt "$follow_current" ]; do
			FOLLOW_NUMBER=$((FOLLOW_NUMBER + 1)) FOLLOW_1=0 FOLLOW_2=0
			outputs "$FOLLOW_NUMBER"
		done
		while [ "$FOLLOW_AT" -lt "$((follow_size))" ]; do
			frame journal 0 0 "$FOLLOW_AT" "$FOLLOW_JOURNAL"
			[ "$AT" != "$FOLLOW_AT" ] || break
			FOLLOW_AT=$AT
		done
		if [ -n "$follow_done" ]; then break; fi
		if [ -n "$FOLLOW_MOVED" ]; then follow_idle=0; else follow_idle=$((follow_idle + 1)); fi
		if [ "$follow_idle" -gt 20 ] && ! follow_alive; then
			[ -f "$DIR/done" ] || { printf '%s dead 0 0 0 0\n' "$NONCE"; return 0; }
		fi
		if [ "$follow_looks" -lt 50 ]; then sleep 0.02; else sleep 0.2; fi 2>/dev/null || sleep 1
	done
	if [ -f "$DIR/locked" ]; then
		IFS= read -r follow_line <"$DIR/locked"
		printf '%s locked 0 0 0 %s\n%s' "$NONCE" "${#follow_line}" "$follow_line"
		rm -rf "$DIR"
		return 0
	fi
	: >"$DIR/ack"
	printf '%s done 0 0 0 0\n' "$NONCE"
	rm -rf "$DIR"
	rmdir "$RUN" 2>/dev/null
	return 0
}

follow_alive() {
	if [ ! -f "$DIR/pid" ]; then
		[ "$follow_idle" -lt 160 ]
		return
	fi
	IFS=' ' read -r follow_pid follow_began <"$DIR/pid"
	alive "$follow_pid" "$follow_began"
}
