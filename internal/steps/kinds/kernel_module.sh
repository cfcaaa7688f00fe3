# module_look STATE NAME LIVE: says whether the module is loaded (yes, no, builtin), if it is to be, and fails where that cannot be had.
module_look() {
	module_fixed=$(module_pattern "$2")
	if [ "$1" = present ]; then
		for module_dir in /etc/modprobe.d /run/modprobe.d /usr/local/lib/modprobe.d /usr/lib/modprobe.d /lib/modprobe.d; do
			for module_conf in "$module_dir"/*.conf; do
				[ -f "$module_conf" ] && [ "$module_conf" != "/etc/modprobe.d/provision-$2.conf" ] || continue
				! grep -q "^[[:space:]]*blacklist[[:space:]]\{1,\}$module_fixed[[:space:]]*\$" "$module_conf" ||
					fail "$module_conf blacklists $2, so that it would not be loaded at boot; remove that line, or name another module"
			done
		done
		if [ "$F_INIT" = systemd ] && [ ! -e /lib/systemd/system/systemd-modules-load.service ] && [ ! -e /usr/lib/systemd/system/systemd-modules-load.service ]; then
			say unread yes
		fi
	fi
	[ "$3" = true ] || return 0
	if grep -q "^$2 " /proc/modules 2>/dev/null; then
		module_loaded=yes
	elif [ -d "/sys/module/$2" ] && [ ! -e "/sys/module/$2/initstate" ] ||
		grep -q "/$module_fixed\.ko\$" "/lib/modules/$(uname -r)/modules.builtin" 2>/dev/null; then
		module_loaded=builtin
	else
		module_loaded=no
	fi
	case $1:$module_loaded in
	present:no)
		module_allowed
		have modprobe || { need command modprobe; say loaded no; return 0; }
		modprobe -n "$2" >/dev/null 2>&1 ||
			fail "the kernel $(uname -r) has no module $2; correct the name, or install the package that has it by a step \"package\" before this one"
		;;
	absent:yes | blacklisted:yes) module_allowed ;;
	present:builtin) module_loaded=yes ;;
	esac
	say loaded "$module_loaded"
}

# module_pattern NAME: a regular expression for both ways to write it.
module_pattern() { printf '%s\n' "$1" | sed 's/_/[_-]/g'; }

# module_allowed: it takes CAP_SYS_MODULE, the bit 16, which root of a container has not.
module_allowed() {
	[ "$F_UID" = 0 ] || fail "only root may load modules of the kernel; set become = true"
	module_caps=$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status) || return 0
	module_caps=${module_caps%????}
	case $module_caps in
	'' | *[13579bdfBDF]) ;;
	*) fail "root may not load or unload modules here: this is a container, which has the kernel of its host. Do it there, or set live = false" ;;
	esac
}

# module_file KEY PATH: says what the file holds; nothing if it is not there.
module_file() {
	path_type "$2" || exit 1
	case $TYPE in
	absent) ;;
	file)
		[ -r "$2" ] || fail "$2 cannot be read; set become = true"
		module_text=$(head -c 4096 "$2" | tr '\n' '\001' && echo .) || exit 1
		module_text=${module_text%.}
		# The last line break goes.
		module_one=$(printf '\001')
		say "$1" "${module_text%"$module_one"}"
		;;
	*) fail "$2 is a $TYPE, not a file; remove it" ;;
	esac
}

# module_load NAME
module_load() {
	modprobe "$1" || fail "the module $1 could not be loaded; the line above says why"
}

# module_unload NAME
module_unload() {
	modprobe -r "$1" || fail "the module $1 could not be unloaded; stop what uses it, or set live = false"
}
