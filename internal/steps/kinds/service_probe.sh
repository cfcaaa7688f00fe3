# service_state NAME ACTIVE ENABLED MASKED: lines about a service: load, type, active, enabled, mask,
# reload_daemon, the same words for systemd, OpenRC and SysV. NAME has its suffix on systemd alone. ACTIVE, ENABLED
# and MASKED are yes if those lines are wanted.
service_state() {
	want_active=$2 want_enabled=$3 want_masked=$4
	unit_mask=no unit_links=no unit_own=no unit_script=no
	case $F_INIT in
	systemd) systemd_state "$1" ;;
	openrc) openrc_state "$1" ;;
	sysv) sysv_state "$1" ;;
	*) fail "no service manager was found on this host: systemd, OpenRC and SysV are known" ;;
	esac
}

systemd_state() {
	unit_load=not-found unit_active=inactive unit_enabled='' unit_reload=no unit_type='' unit_remain=no unit_source='' unit_id=$1
	case $1 in
	*@ | *@.*)
		# A template is only a file: show does not know it.
		unit_enabled=$(systemctl is-enabled -- "$1" 2>/dev/null)
		case $unit_enabled in
		'' | not-found) ;;
		masked*) unit_load=masked unit_mask=yes ;;
		*) unit_load=loaded ;;
		esac
		say_service
		return
		;;
	esac
	unit_lines=$(systemctl show -p LoadState,ActiveState,UnitFileState,NeedDaemonReload,Type,RemainAfterExit,SourcePath,Id -- "$1") || exit 1
	while IFS='=' read -r unit_key unit_value; do
		case $unit_key in
		LoadState) unit_load=$unit_value ;;
		ActiveState) unit_active=$unit_value ;;
		UnitFileState) unit_enabled=$unit_value ;;
		NeedDaemonReload) unit_reload=$unit_value ;;
		Type) unit_type=$unit_value ;;
		RemainAfterExit) unit_remain=$unit_value ;;
		SourcePath) unit_source=$unit_value ;;
		Id) unit_id=${unit_value:-$1} ;;
		esac
	done <<END
$unit_lines
END
	if [ "$unit_load" = not-found ]; then
		# A file that systemd has not read yet, because something else names the unit.
		for unit_dir in /etc/systemd/system /run/systemd/system /usr/local/lib/systemd/system /usr/lib/systemd/system /lib/systemd/system; do
			[ ! -e "$unit_dir/$1" ] || unit_load=unread
		done
	fi
	if [ "$unit_load" = not-found ] && [ -x "/etc/init.d/${1%.service}" ]; then
		# A generator makes units of such scripts; systemd has none from version 260 on.
		unit_script=yes
		for unit_dir in /usr/lib/systemd /lib/systemd; do
			[ ! -x "$unit_dir/system-generators/systemd-sysv-generator" ] || unit_load=unread unit_script=no
		done
	fi
	# Scripts of SysV have no state of their own before systemd 220; is-enabled asks chkconfig.
	case $unit_load$unit_enabled$want_enabled:$unit_source in
	loadedyes:* | loadedgeneratedyes:/etc/init.d/* | loadedgeneratedyes:/etc/rc.d/init.d/*)
		if systemctl is-enabled "$1" >/dev/null 2>&1; then unit_enabled=enabled; else unit_enabled=disabled; fi
		;;
	esac
	case $unit_load:$unit_enabled in
	*:masked-runtime) unit_mask=runtime unit_load=masked ;;
	# The alias of a masked unit is an error to load.
	masked:* | *:masked) unit_mask=yes unit_load=masked ;;
	esac
	if [ "$unit_mask" = no ]; then
		# The link of a mask would take the place of a file that lies there.
		[ ! -f "/etc/systemd/system/$unit_id" ] || [ -h "/etc/systemd/system/$unit_id" ] || unit_own=yes
	else
		# What starts it at boot is hidden by the mask, and comes back with the unit.
		for unit_dir in /etc/systemd/system/*.wants /etc/systemd/system/*.requires; do
			[ ! -h "$unit_dir/$1" ] || unit_links=yes
		done
	fi
	# A oneshot that does not remain is inactive once it is done.
	if [ "$unit_type$unit_remain" = oneshotno ]; then unit_type=oneshot; else unit_type=; fi
	say_service
}

# say_service prints what the others found.
say_service() {
	say load "$unit_load"
	if [ "$want_active" = yes ]; then
		[ -z "$unit_type" ] || say type "$unit_type"
		say active "$unit_active"
	fi
	if [ "$want_enabled" = yes ]; then
		say enabled "${unit_enabled:-none}"
		[ "$unit_links" = no ] || say links yes
	fi
	if [ "$want_masked" = yes ]; then
		say mask "$unit_mask"
		[ "$unit_own" = no ] || say own_file yes
	fi
	[ "$unit_script" = no ] || say script_only yes
	say reload_daemon "$unit_reload"
}

openrc_state() {
	if [ ! -e "/etc/init.d/$1" ]; then
		unit_load=not-found unit_active=inactive unit_enabled=none
	else
		unit_load=loaded unit_enabled=disabled
		rc-service "$1" status >/dev/null 2>&1
		case $? in
		0) unit_active=active ;;
		# 1 and 2 are those of init scripts that are not OpenRC's.
		1 | 2 | 32) unit_active=failed ;;
		*) unit_active=inactive ;;
		esac
		! openrc_boots "$1" || unit_enabled=enabled
	fi
	unit_type='' unit_reload=no
	say_service
}

sysv_state() {
	if runit_has "$1"; then
		unit_load=loaded unit_enabled=disabled unit_active=inactive unit_type='' unit_reload=no
		[ ! -e "/etc/service/$1" ] || [ -e "/etc/service/$1/down" ] || unit_enabled=enabled
		case $(sv status "/etc/service/$1" 2>/dev/null) in run:*) unit_active=active ;; finish:*) unit_active=failed ;; esac
		say_service
		return
	fi
	if [ ! -e "/etc/init.d/$1" ]; then
		unit_load=not-found unit_active=inactive unit_enabled=none
	else
		unit_load=loaded unit_enabled=disabled
		# 0 runs, 1 and 2 died, 3 is stopped (LSB).
		if have service; then service "$1" status >/dev/null 2>&1; else "/etc/init.d/$1" status >/dev/null 2>&1; fi
		case $? in
		0) unit_active=active ;;
		1 | 2) unit_active=failed ;;
		*) unit_active=inactive ;;
		esac
		! sysv_boots "$1" || unit_enabled=enabled
	fi
	unit_type='' unit_reload=no
	say_service
}
