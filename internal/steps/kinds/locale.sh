# What glibc has of a locale, what it could make, and what the files of the host say of it. $name is the locale, as a user writes it.

unset LOCPATH I18NPATH

# The same locale has several names: glibc takes utf8 for UTF-8, and en_IL has a charset that its name does not say.
# same(NAME, CHARSET): is this the locale $name? CHARSET is that of a NAME without one.
names='
function charset(cs) {
	cs = tolower(cs)
	gsub(/[^a-z0-9]/, "", cs)
	return cs ~ /^[0-9]+$/ ? "iso" cs : cs
}
function key(name, cs,  at, mod, dot) {
	at = index(name, "@")
	if (at) { mod = substr(name, at); name = substr(name, 1, at - 1) }
	dot = index(name, ".")
	if (dot) { cs = substr(name, dot + 1); name = substr(name, 1, dot - 1) }
	return name "." charset(cs) mod
}
function same(name, cs) { return index(want, ".") ? key(name, cs) == key(want) : name == want }
'

# only_glibc: of another C library there is nothing to look after.
only_glibc() {
	[ "$F_PACKAGE_MANAGER" != apk ] || fail "this host has musl, which has no locales but C.UTF-8 and takes every name for it; leave the step out, with when"
	have locale && have localedef || fail "there is no command locale or no localedef here, with which glibc looks after its locales"
}

# locale_there NAME: can programs use it? glibc passes over a modifier that it does not know, so that such a name has to be listed.
locale_there() {
	[ -z "$(LC_ALL="$1" locale charmap 2>&1 >/dev/null)" ] || return 1
	case $1 in *@*) locale -a 2>/dev/null | awk -v want="$1" "$names"'same($0) { found = 1 } END { exit !found }' ;; esac
}

# in_archive: is it in the file that localedef writes, and locale-gen writes anew? What is beside that came with a package.
in_archive() {
	[ -e /usr/lib/locale/locale-archive ] || return 1
	localedef --list-archive | awk -v want="$name" "$names"'same($0) { found = 1 } END { exit !found }'
}

# entry_of FILE…: sets ENTRY to the line "NAME CHARSET" of the first of the files that has one, or to nothing.
entry_of() {
	ENTRY=
	for entry_file in "$@"; do
		[ -e "$entry_file" ] || continue
		ENTRY=$(awk -v want="$name" "$names"'NF > 1 && $1 !~ /^#/ && same($1, $2) { print $1, $2; exit }' "$entry_file") || exit 1
		[ -z "$ENTRY" ] || return 0
	done
}

# supported: sets ENTRY to what localedef can make of $name, or to nothing. Status 1: nobody on this host knows, because the sources are missing.
supported() {
	entry_of /usr/local/share/i18n/SUPPORTED /usr/share/i18n/SUPPORTED
	[ -z "$ENTRY" ] && [ ! -e /usr/share/i18n/SUPPORTED ] || return 0
	source=${name%%[.@]*}
	case $name in *@*) source=$source@${name#*@} ;; esac
	[ -e "/usr/share/i18n/locales/$source" ] || { [ -e /usr/share/i18n/locales/en_US ]; return; }
	case $name in
	*.*) charset=${name#*.} ENTRY="$name ${charset%@*}" ;;
	*) fail "no file /usr/share/i18n/SUPPORTED says which charset $name has; give it, as in $name.UTF-8" ;;
	esac
}

# uses_list: locale-gen makes what /etc/locale.gen lists, and throws away what it does not list.
uses_list() { have locale-gen; }

# listed: status 0 if /etc/locale.gen has a line of the locale, which LISTED is then. It leaves ENTRY as it is.
listed() {
	listed_entry=${ENTRY-}
	entry_of /etc/locale.gen
	LISTED=$ENTRY ENTRY=$listed_entry
	[ -n "$LISTED" ]
}

# default_file: sets FILE to the file that says which locale is the default. Debian from 13 on has /etc/locale.conf too, with a link to
# it in the old place, which systemd makes anew at each boot.
default_file() {
	FILE=/etc/locale.conf
	if [ "$F_PACKAGE_MANAGER" = apt ] && ! grep -qs '/etc/default/locale.*locale\.conf' /usr/lib/tmpfiles.d/debian.conf; then FILE=/etc/default/locale; fi
	if [ -h "$FILE" ]; then
		FILE=$(readlink -f "$FILE") && [ -n "$FILE" ] || fail "the symbolic link $FILE leads nowhere; remove it"
	fi
	path_type "$FILE" || exit 1
	case $TYPE in
	file) ;;
	absent) need_parent "$FILE" ;;
	*) fail "$FILE is no file; move it away" ;;
	esac
}

lang='
function value(s) {
	sub(/^[ \t]+/, "", s)
	sub(/^export[ \t]+/, "", s)
	if (s !~ /^LANG=/) return -1
	s = substr(s, 6)
	sub(/\r$/, "", s)
	if (s ~ /^".*"/) { s = substr(s, 2); sub(/".*/, "", s) }
	else if (s ~ /^\047.*\047/) { s = substr(s, 2); sub(/\047.*/, "", s) }
	else { sub(/#.*/, "", s); sub(/[ \t]+$/, "", s) }
	found = s
	return 1
}
'

# say_default: the locale of the file, as the last line with LANG has it.
say_default() {
	say file "$FILE"
	[ -e "$FILE" ] || return 0
	lang_now=$(awk "$lang"'value($0) > 0 { last = found; any = 1 } END { if (any) print "lang", last }' "$FILE") || exit 1
	[ -z "$lang_now" ] || printf '%s\n' "$lang_now"
}

probe_present() {
	only_glibc
	if locale_there "$name"; then
		say there yes
		if uses_list && in_archive && ! listed; then
			entry_of /usr/local/share/i18n/SUPPORTED /usr/share/i18n/SUPPORTED
			[ -z "$ENTRY" ] || say unlisted "$ENTRY"
		fi
		return 0
	fi
	say there no
	if ! supported; then
		say_package
	elif [ -n "$ENTRY" ]; then
		! uses_list || listed || say unlisted "$ENTRY"
	else
		say_unsupported
	fi
}

# say_package: which package has the locale, or its sources.
say_package() {
	case $F_PACKAGE_MANAGER in
	apt) need locale "$name locales" ;;
	dnf)
		package=glibc-langpack-${name%%[_.@]*}
		if have rpm && rpm -q "$package" >/dev/null 2>&1; then say_unsupported; else need locale "$name $package"; fi
		;;
	zypper) need locale "$name glibc-locale" ;;
	*) fail "neither the locale $name is here nor its source in /usr/share/i18n/locales, and it is not known which package has that; install it by hand" ;;
	esac
}

# say_unsupported: with the names of the same language that there are, and of the same charset if the name says one.
say_unsupported() {
	say supported no
	for near_file in /usr/local/share/i18n/SUPPORTED /usr/share/i18n/SUPPORTED; do
		[ ! -e "$near_file" ] || cat "$near_file" || exit 1
	done | awk -v want="$name" "$names"'
		BEGIN { lang = want; sub(/[_.@].*/, "", lang); cs = want; if (!sub(/.*\./, "", cs)) cs = ""; sub(/@.*/, "", cs) }
		{ of = $1; sub(/[_.@].*/, "", of) }
		of == lang && (cs == "" || charset($2) == charset(cs)) && !seen[$1]++ && n++ < 12 { print "near", $1 }'
	[ -e /usr/share/i18n/SUPPORTED ] || locale -a | awk -v want="${name%%[_.@]*}_" 'index($0, want) == 1 && n++ < 12 { print "near", $0 }'
}

probe_absent() {
	only_glibc
	if locale_there "$name"; then
		say there yes
		in_archive || say packaged yes
		for default_of in /etc/default/locale /etc/locale.conf; do
			[ -f "$default_of" ] || continue
			if awk -v want="$name" "$names$lang"'value($0) > 0 { last = found } END { exit !same(last) }' "$default_of"; then
				say default "$default_of"
				break
			fi
		done
	else
		say there no
	fi
	if uses_list && listed; then
		say listed "$LISTED"
		[ "$(readlink -f /etc/locale.gen)" != /usr/share/i18n/SUPPORTED ] || say all yes
	fi
}

# rewrite FILE PROGRAM [ASSIGNMENT…]: puts what awk makes of a file in its place, or in the place that a link leads to. Owner, mode and a mount
# point stay.
rewrite() {
	rewrite_to=$(readlink -f "$1") && [ -n "$rewrite_to" ] || fail "$1 leads nowhere"
	rewrite_program=$2
	shift 2
	rewrite_new=${rewrite_to%/*}/.provision.locale
	rm -f -- "$rewrite_new"
	if [ -e "$rewrite_to" ]; then
		cp -p -- "$rewrite_to" "$rewrite_new" || exit 1
	else
		(umask 022 && : >"$rewrite_new") || exit 1
	fi
	rewrite_from=$rewrite_to
	[ -e "$rewrite_from" ] || rewrite_from=/dev/null
	awk "$@" "$rewrite_program" "$rewrite_from" >"$rewrite_new" || fail "$rewrite_to could not be written"
	if mounted "$rewrite_to"; then
		cat "$rewrite_new" >"$rewrite_to" || exit 1
		rm -f -- "$rewrite_new"
		return
	fi
	mv -f -- "$rewrite_new" "$rewrite_to" || exit 1
	! have restorecon || restorecon "$rewrite_to" 2>/dev/null || :
}

# list_locale: /etc/locale.gen gets the line; if it is there as a comment, in that place.
list_locale() {
	uses_list && ! listed || return 0
	supported && [ -n "$ENTRY" ] || fail "$name is not in /usr/share/i18n/SUPPORTED"
	rewrite /etc/locale.gen '
		{ text = $0; sub(/^[# \t]+/, "", text); sub(/[ \t]+$/, "", text) }
		!done && text == entry { $0 = entry; done = 1 }
		{ print }
		END { if (!done) print entry }' -v entry="$ENTRY"
}

# make_locale: what locale-gen does for one locale. locale-gen itself throws all locales away first and makes all that are listed, which
# takes minutes, and its status says nothing.
make_locale() {
	! locale_there "$name" || return 0
	supported && [ -n "$ENTRY" ] || fail "$name is not in /usr/share/i18n/SUPPORTED"
	make_name=${ENTRY% *}
	make_source=${make_name%%[.@]*}
	case $make_name in *@*) make_source=$make_source@${make_name#*@} ;; esac
	for make_from in "$make_name" "$make_source"; do
		if [ -e "/usr/local/share/i18n/locales/$make_from" ]; then
			make_source=/usr/local/share/i18n/locales/$make_from
			break
		elif [ -e "/usr/share/i18n/locales/$make_from" ]; then
			make_source=$make_from
			break
		fi
	done
	make_charset=${ENTRY#* }
	set -- -i "$make_source" -c -f "$make_charset"
	[ ! -e /usr/share/locale/locale.alias ] || set -- "$@" -A /usr/share/locale/locale.alias
	mkdir -p /usr/lib/locale || exit 1
	# Its status is not 0 for a mere warning about the source.
	make_said=$(localedef "$@" "$make_name" 2>&1) || :
	locale_there "$name" || fail "localedef did not make $make_name: $make_said"
}

# set_default: the last line with LANG says the locale, or a new line at the end.
set_default() {
	default_file
	rewrite "$FILE" "$lang"'
		value($0) > 0 { last = NR }
		{ line[NR] = $0 }
		END {
			if (last) line[last] = "LANG=" name (line[last] ~ /\r$/ ? "\r" : "")
			for (i = 1; i <= NR; i++) print line[i]
			if (!last) print "LANG=" name
		}' -v name="$1"
}

# unlist_locale: every line of /etc/locale.gen that lists it becomes a comment, which is how the package locales has it.
unlist_locale() {
	! listed || rewrite /etc/locale.gen "$names"'NF > 1 && $1 !~ /^#/ && same($1, $2) { print "# " $0; next } { print }' -v want="$name"
}

# remove_locale: the archive holds a locale under its name with the charset, in the spelling of glibc, perhaps under one without, and under the
# aliases of locale.alias.
remove_locale() {
	locale_there "$name" || return 0
	remove_charset=$(LC_ALL="$name" locale charmap 2>/dev/null) || exit 1
	remove_bare=${name%%[.@]*}
	case $name in *@*) remove_bare=$remove_bare@${name#*@} ;; esac
	[ "$(LC_ALL="$remove_bare" locale charmap 2>/dev/null)" = "$remove_charset" ] || remove_bare=
	[ ! -e /usr/share/locale/locale.alias ] || set -- /usr/share/locale/locale.alias
	remove_names=$(localedef --list-archive | awk -v want="$name" -v cs="$remove_charset" -v bare="$remove_bare" "$names"'
		BEGIN { full = key(want, cs) }
		FILENAME != "-" { if ($1 !~ /^#/ && NF > 1 && key($2, "") == full) alias[$1] = 1; next }
		$0 == bare || key($0, "") == full || $0 in alias' "$@" -) || exit 1
	[ -n "$remove_names" ] || fail "$name is not in /usr/lib/locale/locale-archive"
	for remove_name in $remove_names; do localedef --delete-from-archive "$remove_name" || exit 1; done
}
