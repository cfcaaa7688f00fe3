# Operations of the kind source_build. Set before it: name, key, work (or ""), builder (a user, or ""), subdir, given (the names
# of the variables of the playbook, as words).

# build_place: the directory of this build, in $w. What is in it was left by an interrupted build with the very same
# arguments, since the key is a hash of them.
build_place() {
	if [ -z "$work" ]; then
		if [ "$F_UID" = 0 ]; then work=/var/tmp/provision-build; else work=$HOME/.cache/provision-build; fi
	fi
	mkdir -p -- "$work" || exit 1
	# /var/tmp belongs to everybody: whoever owns the directory could change what is built.
	[ ! -h "$work" ] && [ "$(stat -c %u -- "$work")" = "$F_UID" ] ||
		fail "$work belongs to somebody else; remove it, or name another work_dir"
	w=$work/$name-$key
	for old in "$work/$name"-????????????; do
		case ${old##*-} in
		*[!0-9a-f]*) ;;
		*) [ "$old" = "$w" ] || [ ! -d "$old" ] || rm -rf -- "$old" || exit 1 ;;
		esac
	done
	mkdir -p -- "$w" || exit 1
	printf '#!/bin/sh\n' >"$w/try" && chmod 755 "$w/try" || fail "$w cannot be written"
	"$w/try" 2>/dev/null || fail "no program may run in $work (is it mounted with noexec?); name another work_dir"
	rm -f -- "$w/try"
}

# build_unpack: brings the archive $w/archive into $w/src. A directory src is always whole.
build_unpack() {
	[ ! -d "$w/src" ] || return 0
	rm -rf -- "$w/src.new" && mkdir -- "$w/src.new" || exit 1
	unpack "$w/archive" "$w/src.new" || fail "the archive could not be unpacked; is there room in $work?"
	# An archive holds one directory, as a rule: that is the source.
	set -- "$w/src.new"/* "$w/src.new"/.[!.]*
	build_top=
	for build_entry in "$@"; do
		[ -e "$build_entry" ] || [ -h "$build_entry" ] || continue
		build_top=${build_top:+many}
		build_top=${build_top:-$build_entry}
	done
	[ -n "$build_top" ] || fail "the archive is empty"
	if [ -d "$build_top" ] && [ ! -h "$build_top" ]; then
		mv -- "$build_top" "$w/src.top" && rmdir -- "$w/src.new" && mv -- "$w/src.top" "$w/src.new" || exit 1
	fi
	[ -z "$builder" ] || chown -R -h -- "$builder" "$w/src.new" || exit 1
	mv -- "$w/src.new" "$w/src" || exit 1
}

# build_run TEXT: in the source, as the user who builds, in the environment of a login.
build_run() {
	if [ -z "$builder" ]; then
		# shellcheck disable=SC2086
		(login_environment $given; cd -- "$w/src${subdir:+/$subdir}" && eval "$1")
		return
	fi
	if have runuser; then build_switch=runuser; else build_switch=su; fi
	build_at=$w/src${subdir:+/$subdir}
	build_text=$1
	(
		# shellcheck disable=SC2086
		login_environment $given
		build_path=$PATH
		export build_at build_path
		exec "$build_switch" -s /bin/sh "$builder" -c "PATH=\$build_path; export PATH; cd -- \"\$build_at\" && unset build_path build_at && $build_text"
	)
}

# build_stage NAME TEXT: once; a stamp says that it is done.
build_stage() {
	[ ! -e "$w/done-$1" ] || return 0
	printf '== %s: %s\n' "$name" "$1"
	build_run "$2" || fail "$1 of $name failed; its last lines say why. The build stays in $w, and the next run goes on there"
	: >"$w/done-$1" || exit 1
}
