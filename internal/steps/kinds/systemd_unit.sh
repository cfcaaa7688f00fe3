# systemd_unit_state NAME PATH: what systemd knows of a unit, and whether it has read the file at PATH.
systemd_unit_state() {
	unit_load=not-found unit_active=inactive unit_enabled=none unit_read=yes unit_stale=no unit_fragment='' unit_dropins=''
	unit_lines=$(systemctl show -p LoadState,ActiveState,UnitFileState,NeedDaemonReload,FragmentPath,DropInPaths -- "$1") || exit 1
	while IFS='=' read -r unit_key unit_value; do
		case $unit_key in
		LoadState) unit_load=$unit_value ;;
		ActiveState) unit_active=$unit_value ;;
		UnitFileState) unit_enabled=${unit_value:-none} ;;
		NeedDaemonReload) unit_stale=$unit_value ;;
		FragmentPath) unit_fragment=$unit_value ;;
		DropInPaths) unit_dropins=$unit_value ;;
		esac
	done <<END
$unit_lines
END
	# A first drop-in leaves NeedDaemonReload=no on systemd 252, and so does a file that became older.
	case $2 in
	*.d/*)
		unit_known=no
		case " $unit_dropins " in *" $2 "*) unit_known=yes ;; esac
		;;
	*)
		unit_known=no
		[ "$unit_fragment" != "$2" ] || unit_known=yes
		;;
	esac
	unit_there=no
	[ ! -f "$2" ] || unit_there=yes
	[ "$unit_known" = "$unit_there" ] || unit_read=no
	if [ "$unit_stale" = yes ] && [ "$unit_there" = yes ]; then
		# systemd does not say which file of the unit is newer than what it read. The newest is.
		for unit_file in "$unit_fragment" $unit_dropins; do
			[ ! "$unit_file" -nt "$2" ] || unit_stale=no
		done
		[ "$unit_stale" = no ] || unit_read=no
	fi
	case $unit_load:$2 in
	masked:*) unit_read=yes ;;
	# A drop-in of a unit that is not there waits for it.
	not-found:*.d/*) unit_read=yes ;;
	esac
	case $unit_active in
	reloading | refreshing) unit_active=active ;;
	deactivating) unit_active=inactive ;;
	esac
	say load "$unit_load"
	say active "$unit_active"
}

# systemd_instances NAME: the running instances of a template.
systemd_instances() {
	unit_list=$(systemctl list-units --plain --no-legend --state=active,activating -- "${1%@*}@*${1##*@}") || exit 1
	while read -r unit_key unit_value; do
		[ -z "$unit_key" ] || say instance "$unit_key"
	done <<END
$unit_list
END
}

# systemd_exists NAME: is there a file of the unit? Asks systemd only where a generator may have made it.
systemd_exists() {
	for unit_dir in /etc/systemd/system /run/systemd/system /usr/local/lib/systemd/system /usr/lib/systemd/system /lib/systemd/system; do
		[ ! -e "$unit_dir/$1" ] || return 0
		case $1 in
		*@*) [ ! -e "$unit_dir/${1%%@*}@.${1##*.}" ] || return 0 ;;
		esac
	done
	[ "$(systemctl show -p LoadState -- "$1")" != LoadState=not-found ]
}

# systemd_vendor NAME: is there a unit of the name elsewhere, which the one in /etc stands in front of?
systemd_vendor() {
	for unit_dir in /run/systemd/system /run/systemd/generator /run/systemd/generator.late /usr/local/lib/systemd/system /usr/lib/systemd/system /lib/systemd/system; do
		[ ! -e "$unit_dir/$1" ] || return 0
	done
	return 1
}

# systemd_verify NAME PATH STRICT: has systemd-analyze read the text on stdin as if it were at PATH.
systemd_verify() {
	have systemd-analyze || { cat >/dev/null; return 0; }
	verify_dir=$(mktemp -d) || exit 1
	trap 'rm -rf "$verify_dir"; exit 1' HUP INT TERM
	verify_in "$@"
	verify_status=$?
	rm -rf "$verify_dir"
	trap - HUP INT TERM
	[ "$verify_status" -eq 0 ] || exit 1
}

verify_in() {
	verify_file=$verify_dir/$1
	case $2 in
	*.d/*)
		verify_file=$verify_dir/$1.d/${2##*/}
		verify_from=
		case $1 in
		*@.*)
			for verify_up in /usr/lib/systemd/system /usr/local/lib/systemd/system /etc/systemd/system; do
				[ ! -f "$verify_up/$1" ] || verify_from=$verify_up/$1
			done
			;;
		*)
			verify_from=$(systemctl show -p FragmentPath -- "$1") || return 1
			verify_from=${verify_from#FragmentPath=}
			;;
		esac
		[ -f "$verify_from" ] || return 0
		mkdir "$verify_dir/$1.d" && cp -- "$verify_from" "$verify_dir/$1" || return 1
		;;
	esac
	cat >"$verify_file" || return 1
	verify_said=$(systemd-analyze --man=no verify "$verify_dir/$1" 2>&1)
	verify_status=$?
	# What systemd passes over leaves the status 0. Faults of other files are not this step's.
	verify_own=$(printf '%s\n' "$verify_said" | grep -F -- "$verify_file:" | sort -u)
	if [ "$verify_status" -ne 0 ]; then
		printf '%s\n' "$verify_said" | sed "s|$verify_dir/|/etc/systemd/system/|g" >&2
		printf '%s\n' "systemd-analyze verify refuses $2, and nothing was written; mend it, or set verify = \"none\" if it needs what a later step brings" >&2
		return 1
	fi
	[ "$3" = yes ] && [ -n "$verify_own" ] || return 0
	printf '%s\n' "$verify_own" | sed "s|$verify_dir/|/etc/systemd/system/|g" >&2
	printf '%s\n' "systemd would pass over parts of $2, and nothing was written; mend them, or set verify = \"errors\" to allow that" >&2
	return 1
}

# systemd_mark FILE: what is written from here on is not yet in force. It is forgotten at a restart of the host, as it should be.
systemd_mark() {
	mkdir -p "${1%/*}" && : >"$1" || exit 1
}

systemd_reload() {
	systemctl daemon-reload || fail "systemctl daemon-reload failed"
}

# systemd_links VERB NAME: enable, reenable or disable.
systemd_links() {
	systemctl "$1" -- "$2" || fail "systemctl $1 $2 failed"
}

# systemd_update VERB NAME: restarts or reloads a unit that runs.
systemd_update() {
	case $(systemctl show -p ActiveState -- "$2") in
	ActiveState=active | ActiveState=activating | ActiveState=reloading | ActiveState=refreshing) ;;
	*) return 0 ;;
	esac
	update_verb=$1
	[ "$1" != reload ] || update_verb=reload-or-restart
	service_do "$update_verb" "$2" || {
		service_show "$2"
		fail "$2: $1 failed; the lines above say why"
	}
	service_stays "$2"
}
