# Operations of the kind supervisor_program. Set before it: name, ctl (the command supervisorctl), config, ini (the file of
# the program), new (what the file shall be, until supervisord has taken it; absent if only the process is to change).

supervisor() { "$ctl" -c "$config" "$@" 2>&1; }

# supervisor_must ARGUMENTS…: supervisorctl of CentOS 7 exits with 0 whatever happened; what it says tells.
supervisor_must() {
	supervisor_out=$(supervisor "$@")
	case $supervisor_out in
	*ERROR* | *'no such file'* | *'refused connection'* | *Traceback*) fail "supervisorctl $1: $supervisor_out" ;;
	esac
	[ -z "$supervisor_out" ] || printf '%s\n' "$supervisor_out"
}

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
	done >&2
}

# supervisor_take: puts the new file in place and has supervisord read it. What is left of $new tells a later run that this
# was not finished.
supervisor_take() {
	if [ -e "$new" ]; then
		cp -p -- "$new" "$new.copy" && mv -f -- "$new.copy" "$ini" || exit 1
		! have restorecon || restorecon -- "$ini" 2>/dev/null || :
	fi
	supervisor_must reread
	supervisor_must update "$name"
}

# supervisor_run SECONDS: has the program run, and waits until it does.
supervisor_run() {
	supervisor_waited=0
	supervisor_asked=
	while :; do
		supervisor_now=$(supervisor_state) || exit 1
		case $supervisor_now in
		running) return 0 ;;
		starting) ;;
		down) fail "supervisord does not answer; is it running with $config?" ;;
		none) fail "supervisord does not know $name, though it has read $ini" ;;
		*)
			if [ -n "$supervisor_asked" ]; then
				supervisor_tail
				fail "$name does not stay up: it is $supervisor_now"
			fi
			supervisor_asked=yes
			supervisor start "$name:*"
			continue
			;;
		esac
		if [ "$supervisor_waited" -ge "$1" ]; then
			supervisor_tail
			fail "$name was not running after $1 seconds"
		fi
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
