# Operations of the kind supervisor_program. Set before it: name, ctl (the command supervisorctl), config, ini (the file of
# the program), new (what the file shall be, until supervisord has taken it; absent if only the process is to change).

supervisor() { "$ctl" -c "$config" "$@" 2>&1; }

# supervisor_ask ARGUMENTS…: leaves what supervisorctl says in $supervisor_out. That tells whether it went well: supervisorctl of CentOS 7 exits
# with 0 whatever happened.
supervisor_ask() {
	supervisor_out=$(supervisor "$@")
	case $supervisor_out in
	*ERROR* | *'no such file'* | *'refused connection'* | *Traceback* | *'error: <'*) return 1 ;;
	esac
	[ -z "$supervisor_out" ] || printf '%s\n' "$supervisor_out"
}

supervisor_must() { supervisor_ask "$@" || fail "supervisorctl $1: $supervisor_out"; }

# supervisor_state: the worst state of the program's processes; none if supervisord does not know it, down if there
# is no supervisord.
supervisor_state() {
	supervisor_out=$(supervisor status "$name:*")
	case $supervisor_out in
	*'no such file'* | *'refused connection'*) echo down ;;
	*[Nn]'o such '*) echo none ;;
	*' FATAL '* | *' UNKNOWN '*) echo fatal ;;
	*' STARTING '* | *' BACKOFF '*) echo starting ;;
	*' EXITED '*) echo exited ;;
	*' STOPPED '* | *' STOPPING '*) echo stopped ;;
	*' RUNNING '*) echo running ;;
	*)
		printf 'supervisorctl status: %s\n' "$supervisor_out" >&2
		return 1
		;;
	esac
}

# supervisor_tail: the end of what the program wrote.
supervisor_tail() {
	supervisor_process=$(supervisor status "$name:*")
	supervisor_process=${supervisor_process%%[ 	]*}
	for supervisor_stream in stdout stderr; do
		printf '%s of %s ends with:\n' "$supervisor_stream" "$supervisor_process"
		supervisor tail -4000 "$supervisor_process" "$supervisor_stream"
	done
}

# supervisor_take: puts the new file in place and has supervisord read it. What is left of $new tells a later run that this
# was not finished. supervisord itself is the judge of the file, since what it expands is its own environment; what it cannot read would keep it
# from starting at its next start, so the old file comes back.
supervisor_take() {
	if [ -e "$new" ]; then
		if [ -e "$new.old" ] || [ -e "$new.none" ]; then
			: # of a run that was cut: that is the file to come back to
		elif [ -e "$ini" ]; then
			cp -p -- "$ini" "$new.copy" && mv -f -- "$new.copy" "$new.old" || exit 1
		else
			: >"$new.none" || exit 1
		fi
		cp -p -- "$new" "$new.copy" && mv -f -- "$new.copy" "$ini" || exit 1
		! have restorecon || restorecon -- "$ini" 2>/dev/null || :
	fi
	supervisor_ask reread || {
		supervisor_refused=$supervisor_out
		supervisor_back || fail "supervisorctl reread: $supervisor_refused"
		supervisor_ask reread >/dev/null || supervisor_refused="$supervisor_refused$NL(it cannot read its configuration without the new file either)"
		fail "supervisord refuses the new file: $supervisor_refused$NL$supervisor_restored"
	}
	supervisor_must update "$name"
}

# supervisor_back: puts the file back that was there before supervisor_take; $supervisor_restored says so. Status 1 if it is not this run that
# has put one in place.
supervisor_back() {
	[ -e "$new" ] || return 1
	if [ -e "$new.old" ]; then
		mv -f -- "$new.old" "$ini" || exit 1
		supervisor_restored="the file that was there before is back: $ini"
	elif [ -e "$new.none" ]; then
		rm -f -- "$ini" || exit 1
		supervisor_restored="it was removed again: $ini"
	else
		return 1
	fi
	! have restorecon || restorecon -- "$ini" 2>/dev/null || :
	supervisor_done
}

# supervisor_done: nothing is left to be done with the new file.
supervisor_done() { rm -f -- "$new" "$new.copy" "$new.old" "$new.none" || exit 1; }

# supervisor_cannot: what supervisord says if it can never start the program as its file has it; status 1 if it says nothing like that.
supervisor_cannot() {
	supervisor status "$name:*" | sed -n "s/^[^ ]*  *[A-Z]*  *\(can't find command .*\|can't parse command .*\|no permission to run command .*\|command at .* is .*\|command is empty.*\)\$/\1/p" | grep . && return 0
	case $1 in
	*'supervisor: child process was not spawned'*) printf '%s\n' "$1" | grep '^supervisor: ' | sort -u ;;
	*) return 1 ;;
	esac
}

# supervisor_gives_up SAID: fails with what is known. A file with which the program cannot be started at all does not stay.
supervisor_gives_up() {
	supervisor_text=$(supervisor_tail)
	if supervisor_words=$(supervisor_cannot "$supervisor_text") && supervisor_back; then
		supervisor reread >/dev/null
		supervisor update "$name" >/dev/null
		fail "supervisord cannot start $name: $supervisor_words$NL$supervisor_restored"
	fi
	printf '%s\n' "$supervisor_text" >&2
	fail "$1${supervisor_words:+: $supervisor_words}"
}

# supervisor_run SECONDS: has the program run, and waits until it does.
supervisor_run() {
	supervisor_waited=0
	supervisor_asked=
	while :; do
		supervisor_now=$(supervisor_state) || exit 1
		case $supervisor_now in
		running) return 0 ;;
		starting) ! supervisor_cannot '' >/dev/null || supervisor_gives_up "$name cannot be started" ;;
		down) fail "supervisord does not answer; is it running with $config?" ;;
		none) fail "supervisord does not know $name, though it has read $ini" ;;
		*)
			[ -z "$supervisor_asked" ] || supervisor_gives_up "$name does not stay up: it is $supervisor_now"
			supervisor_asked=yes
			supervisor start "$name:*"
			continue
			;;
		esac
		[ "$supervisor_waited" -lt "$1" ] || supervisor_gives_up "$name was not running after $1 seconds"
		sleep 1
		supervisor_waited=$((supervisor_waited + 1))
	done
}

# supervisor_find: with dir set, leaves the configuration in $config, the program's file in $ini and its pending copy in $new. Or says
# what is missing, with status 1.
supervisor_find() {
	wanted=$config
	if [ -z "$config" ]; then
		for config in /etc/supervisor/supervisord.conf /etc/supervisord.conf ''; do
			[ ! -e "$config" ] || break
		done
	else
		path_type "$config" || exit 1; t=$TYPE
		[ "$t" != absent ] || config=
	fi
	[ -n "$config" ] && have "$ctl" || {
		if ! have "$ctl"; then need command "$ctl"; elif [ -n "$wanted" ]; then need file "$wanted"; else need file /etc/supervisor/supervisord.conf; fi
		return 1
	}
	patterns=$(awk -v here="${config%/*}" '
		/^[ \t]*[;#]/ { next }
		/^\[/ { inside = ($0 ~ /^\[include\]/); next }
		inside && /^files[ \t]*[=:]/ { sub(/^[^=:]*[=:]/, ""); more = 1 }
		inside && more && (/^[ \t]/ || /^[^ \t]/) {
			if ($0 ~ /^[a-z_]+[ \t]*[=:]/) { more = 0; next }
			sub(/[ \t][;#].*/, "")
			n = split($0, word)
			for (i = 1; i <= n; i++) {
				gsub(/%\(here\)s/, here, word[i])
				if (word[i] !~ /^\//) word[i] = here "/" word[i]
				print word[i]
			}
		}' "$config") || exit 1
	ini=
	set -f
	for pattern in $patterns; do
		at=${pattern%/*}
		case $at in *[*?[]*) continue ;; esac
		[ -z "$dir" ] || [ "$at" = "$dir" ] || continue
		case ${pattern##*/} in
		*.*) ini=$at/$name.${pattern##*.} ;;
		*) ini=$at/$name.conf ;;
		esac
		break
	done
	set +f
	[ -n "$ini" ] || {
		need setting "$config [include] section with files = …${dir:+ in $dir}"
		return 1
	}
	new=${ini%/*}/.${ini##*/}.provision
}

# supervisor_elsewhere, after supervisor_find: reports other files with a section for the program. supervisord takes the sections for one, and
# the later file wins.
supervisor_elsewhere() {
	for supervisor_file in "$config" $patterns; do
		[ -f "$supervisor_file" ] && [ "$supervisor_file" != "$ini" ] || continue
		awk -v header="[program:$name]" 'index($0, header) == 1 { found = 1 } END { exit !found }' "$supervisor_file" || continue
		need setting "$supervisor_file no $(printf '[program:%s]' "$name"), since that stands in $ini"
	done
}
