# divert_look present|absent PATH TO RENAME: says whose diversion of the path there is ("nobody"), and where it leads. Unless that is
# the end of it: "moves", what is where a file would be moved from. Where it would go nothing may be.
divert_look() {
	if ! have dpkg-divert; then
		[ "$F_PACKAGE_MANAGER" = apt ] || fail "diversions belong to dpkg, and the packages of $F_OS_NAME are not dpkg's; leave the step out with when"
		fail "there is no dpkg-divert, which every Debian has; install dpkg"
	fi
	divert_by=$(dpkg-divert --listpackage "$2") && divert_to=$(dpkg-divert --truename "$2") || fail "dpkg's diversions cannot be read"
	if [ -z "$divert_by" ]; then
		say by nobody
		[ "$1" = present ] || return 0
		divert_known "$2"
		divert_from=$2 divert_into=$3
	else
		say by "$divert_by"
		say to "$divert_to"
		case $1 in
		present)
			[ "$divert_to" != "$3" ] || return 0
			divert_into=$3
			;;
		absent) divert_into=$2 ;;
		esac
		divert_from=$divert_to
	fi
	# dpkg-divert does not look for the directory, and without it no package with the file can be unpacked any more.
	[ "$1" = absent ] || need_parent "$divert_into"
	if [ "$4" = false ]; then return 0; fi
	path_type "$divert_from" || return 1
	say moves "$TYPE"
	if [ "$TYPE" = absent ]; then return 0; fi
	path_type "$divert_into" || return 1
	if [ "$TYPE" = absent ]; then
		[ "$1" = present ] || need_parent "$divert_into"
		return 0
	fi
	[ "$1" = present ] || fail "$2 is still there, and the package's file at $divert_from would overwrite it; remove it by a step \"file\" before this one, or set rename = false to leave both"
	fail "both $divert_from and $divert_into exist, and neither may overwrite the other; remove one of them by a step \"file\" before this one, or set rename = false to leave both"
}

# divert_known PATH: says "known" and another path if dpkg has the file under that one alone, because /bin and its like are links.
divert_known() {
	divert_base=${1##*/}
	divert_has "$1" && return 0
	divert_real=$(cd -P -- "${1%/*}/" 2>/dev/null && pwd -P) || return 0
	divert_real=${divert_real%/}/$divert_base
	if [ "$divert_real" != "$1" ]; then
		! divert_has "$divert_real" || say known "$divert_real"
		return 0
	fi
	case $1 in
	/usr/*)
		divert_link=${1#/usr}
		[ -e "$divert_link" ] && [ "$divert_link" -ef "$1" ] && divert_has "$divert_link" && say known "$divert_link"
		;;
	esac
	return 0
}

# divert_has PATH: has a package a file of this name?
divert_has() {
	divert_pattern=$(printf '%s\n' "$1" | sed 's/[][\\*?]/\\&/g')
	dpkg-query -S "$divert_pattern" 2>/dev/null | grep -v '^diversion by \|^local diversion ' | grep -q .
}

# divert_moved FROM TO: what dpkg-divert moves after it has noted the diversion; it does not do so the second time.
divert_moved() {
	[ -n "$1" ] || return 0
	if [ -e "$2" ] || [ -h "$2" ]; then return 0; fi
	mv -- "$1" "$2"
}

# divert_of PACKAGE: sets $divert_whose to the option for it.
divert_of() {
	[ "$F_UID" = 0 ] || fail "only root may change dpkg's diversions; set become = true"
	case $1 in '') divert_whose=--local ;; *) divert_whose=--package=$1 ;; esac
}

# divert_add PATH TO PACKAGE FROM: FROM is "" where nothing is moved.
divert_add() {
	divert_of "$3"
	case $4 in '') divert_rename=--no-rename ;; *) divert_rename=--rename ;; esac
	dpkg-divert --quiet "$divert_whose" "$divert_rename" --divert "$2" --add "$1" || exit 1
	divert_moved "$4" "$2"
}

# divert_change PATH TO PACKAGE FROM: the file goes first, so that there is never a diversion to where it is not.
divert_change() {
	divert_moved "$4" "$2" || exit 1
	dpkg-divert --quiet --no-rename --remove "$1" || exit 1
	divert_add "$1" "$2" "$3" ''
}

# divert_remove PATH TO PACKAGE FROM
divert_remove() {
	divert_of "$3"
	case $4 in '') divert_rename=--no-rename ;; *) divert_rename=--rename ;; esac
	dpkg-divert --quiet "$divert_rename" --remove "$1" || exit 1
	divert_moved "$4" "$1"
}
