# Operations on services, the same for systemd, OpenRC and SysV.

# service_show NAME: why it failed, as far as the service manager knows.
service_show() {
	case $F_INIT in
	systemd) systemctl --no-pager -l -n 20 status -- "$1" ;;
	openrc) rc-service "$1" status ;;
	*) service_do status "$1" ;;
	esac >&2
	[ "$F_INIT" != systemd ] || return 0
	for show_file in /var/log/syslog /var/log/messages /var/log/daemon.log /var/log/rc.log; do
		[ ! -f "$show_file" ] || tail -n 200 "$show_file" | grep -F -e "$1" | tail -n 10 >&2
	done
}

# service_do VERB NAME: start, stop, restart or reload. What an init script starts inherits the environment.
service_do() {
	case $F_INIT in
	systemd) systemctl "$1" -- "$2" ;;
	openrc) as_login rc-service "$2" "$1" ;;
	*) if runit_has "$2"; then runit_do "$1" "$2"; else sysv_do "$1" "$2"; fi ;;
	esac
}

sysv_do() {
	if have service; then as_login service "$2" "$1"; else as_login "/etc/init.d/$2" "$1"; fi
}

runit_do() {
	[ "$1" != status ] || [ -e "/etc/service/$2" ] || return 3
	[ -e "/etc/service/$2" ] || fail "runit runs only what is enabled: set enabled = true for $2"
	# runsvdir looks every five seconds for what is new.
	runit_tries=0
	until runit_said=$(sv status "/etc/service/$2" 2>&1) || [ "$runit_tries" -ge 15 ]; do
		sleep 1
		runit_tries=$((runit_tries + 1))
	done
	case $1 in
	status)
		printf '%s\n' "$runit_said"
		case $runit_said in run:*) ;; *) return 3 ;; esac
		;;
	*) sv "$1" "/etc/service/$2" ;;
	esac
}

# service_start NAME and service_stays NAME: a service of Type=simple counts as started before it
# has done anything, so a second look tells whether it stays.
service_start() {
	# A unit that failed too often is refused otherwise (StartLimitBurst of systemd.unit(5)).
	[ "$F_INIT" != systemd ] || ! systemctl -q is-failed -- "$1" || systemctl reset-failed -- "$1"
	if [ "$F_INIT" = openrc ]; then
		# One that crashed counts as started, and start leaves it alone. 3 is stopped, 4, 8 and 16 are on the way.
		rc-service "$1" status >/dev/null 2>&1
		case $? in 0 | 3 | 4 | 8 | 16) ;; *) rc-service "$1" zap >/dev/null 2>&1 ;; esac
	fi
	service_do start "$1" || {
		service_show "$1"
		fail "$1 did not start; the lines above say why"
	}
	service_stays "$1"
}

service_stays() {
	if [ "$F_INIT" != systemd ]; then
		# An init script tells that it has started something, not that it runs.
		sleep 1
		! runit_has "$1" || sleep 1
		service_do status "$1" >/dev/null 2>&1 && return
		stays_status=$?
		service_show "$1"
		fail "$1 started, but did not stay: its status is $stays_status, and the lines above are what it and the log say. Its own log may say more"
	fi
	case $(systemctl show -p Type -- "$1") in
	Type=simple | Type=exec | Type=idle) ;;
	*) return 0 ;;
	esac
	sleep 1
	case $(systemctl show -p ActiveState -- "$1") in
	ActiveState=active | ActiveState=reloading) ;;
	*)
		service_show "$1"
		fail "$1 started, but did not stay; the lines above say why"
		;;
	esac
}

service_stop() {
	service_do stop "$1" || {
		service_show "$1"
		fail "$1 could not be stopped"
	}
}

# service_real NAME: sets real to the name of the unit that an alias stands for, since systemctl refuses the alias.
service_real() {
	real=$(systemctl show -p Id -- "$1" 2>/dev/null) && real=${real#Id=} && [ -n "$real" ] || real=$1
}

# service_mask yes|no NAME
service_mask() {
	service_real "$2"
	if [ "$1" = yes ]; then
		systemctl mask -- "$real"
	else
		systemctl unmask -- "$real" && systemctl unmask --runtime -- "$real"
	fi || fail "$2 could not be masked or unmasked"
}

# service_boot NAME yes|no: start at boot, or not.
service_boot() {
	[ "$F_INIT" != systemd ] || service_real "$1"
	case $F_INIT$2 in
	systemdyes) systemctl enable -- "$real" ;;
	systemdno) systemctl disable -- "$real" && systemctl disable --runtime -- "$real" ;;
	openrcyes) rc-update add "$1" default ;;
	openrcno)
		! openrc_boots "$1" || for boot_level in $boots_in; do
			rc-update del "$1" "$boot_level" || fail "$1 could not be taken out of the runlevel $boot_level"
		done
		;;
	*)
		if runit_has "$1"; then
			runit_dir=/etc/sv/$1
			[ -d "$runit_dir" ] || runit_dir=/usr/share/runit/sv.current/$1
			if [ "$2" = yes ]; then rm -f "$runit_dir/down" && ln -sfn "$runit_dir" "/etc/service/$1"; else rm -f "/etc/service/$1"; fi
		elif have update-rc.d; then
			if [ "$2" = yes ]; then
				# Links that exist already are kept by defaults, and switched by enable.
				update-rc.d "$1" defaults && update-rc.d "$1" enable &&
					{ sysv_boots "$1" || fail "$1 is enabled, but not in runlevel $boot_level, into which this host boots: Default-Start in /etc/init.d/$1 leaves that out"; }
			else
				update-rc.d "$1" disable
			fi
		elif have chkconfig; then
			if [ "$2" = yes ]; then chkconfig --add "$1" && chkconfig "$1" on; else chkconfig "$1" off; fi
		else
			fail "neither update-rc.d nor chkconfig is there to say whether $1 starts at boot"
		fi
		;;
	esac || fail "$1 could not be switched for the next boot"
}

# service_reloads NAME: has a script of OpenRC's own a function to reload? Without one OpenRC does nothing, and calls that success
# (since 0.64), while its list of commands names it all the same.
service_reloads() {
	[ "$F_INIT" = openrc ] && head -n 1 "/etc/init.d/$1" | grep -q -e openrc-run -e runscript || return 0
	cat "/etc/init.d/$1" "/etc/conf.d/$1" 2>/dev/null | grep -q -e '^[[:space:]]*reload[[:space:]]*()' -e '^[[:space:]]*supervisor=.*s6'
}

# service_event restart|reload NAME always|running: always starts what is stopped too.
service_event() {
	# Always: NeedDaemonReload misses the first drop-in of a unit, and files that are older than those before them.
	[ "$F_INIT" != systemd ] || systemctl daemon-reload || fail "systemctl daemon-reload failed"
	event_running=no
	case $F_INIT in
	systemd)
		case $(systemctl show -p ActiveState -- "$2") in
		ActiveState=active | ActiveState=activating | ActiveState=reloading) event_running=yes ;;
		esac
		;;
	*) ! service_do status "$2" >/dev/null 2>&1 || event_running=yes ;;
	esac
	if [ "$event_running" = no ]; then
		[ "$3" = always ] || return 0
		service_start "$2"
		return
	fi
	event_verb=$1
	if [ "$1" = reload ] && [ "$F_INIT" = systemd ]; then
		# What cannot reload is restarted.
		event_verb=reload-or-restart
	elif [ "$1" = reload ] && { ! service_reloads "$2" || ! service_do reload "$2"; }; then
		event_verb=restart
	elif [ "$1" = reload ]; then
		# What does not know the signal of a reload ends by it, and runit starts it again.
		[ "$F_INIT" = systemd ] || service_stays "$2"
		return 0
	fi
	service_do "$event_verb" "$2" || {
		service_show "$2"
		fail "$2: $1 failed; the lines above say why"
	}
	service_stays "$2"
}
