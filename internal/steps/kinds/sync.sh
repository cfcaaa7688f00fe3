# Probe and operations of the kind sync. Set before it: dest; manifest, lines "TYPE SHA256 PATH" of what shall be there, with
# the types d, f, x (executable), l and s (secret, without a sum); links, lines of a link's target, a tab and its path; secrets,
# the paths of those; owner_format for stat and owner, "" if nobody asks; sent, the file with the manifest of what was sent
# before, if one is kept.

# sync_state PRUNE…: what differs, a line each: "absent PATH", "differs PATH" (content), "type PATH" (it is something else), "mode
# PATH", "owner PATH"; and of every secret "secret SUM PATH", salted. With a first argument, also "extra PATH" for what the manifest
# does not name; the arguments are then directories that are not looked into.
sync_state() {
	path_type "$dest" || exit 1; t=$TYPE
	say dest "$t"
	[ "$t" != absent ] || above "$dest"
	[ "$t" = directory ] || return 0
	for sync_tool in awk sha256sum stat tr xargs; do
		have "$sync_tool" || fail "$sync_tool is needed on the host; install it with a package step before this one"
	done
	cd -- "$dest" || exit 1
	sync_paths=$(printf '%s\n' "$manifest" | awk '{ sub(/^[^ ]+ [^ ]+ /, ""); print "./" $0 }') || exit 1
	# What does not exist is left out here, and looked at again below.
	sync_seen=$(printf '%s\n' "$sync_paths" | tr '\n' '\0' | xargs -0 stat -c "%f ${owner_format:--} %n" 2>/dev/null)
	sync_sums=
	case $sync_seen in
	8* | *'
'8*)
		sync_sums=$(printf '%s\n' "$sync_seen" | awk '/^8/ { sub(/^[^ ]+ [^ ]+ /, ""); print }' | tr '\n' '\0' | xargs -0 sha256sum) ||
			fail "not every file in $dest could be read"
		;;
	esac
	sync_all=
	if [ $# -gt 0 ]; then
		shift
		sync_all=$(sync_find "$@") || exit 1
	fi
	sync_found=$({
		printf '%s\n//seen\n%s\n//sums\n%s\n//all\n%s\n' "$manifest" "$sync_seen" "$sync_sums" "$sync_all"
	} | awk -v owner="$owner" '
		/^\/\/(seen|sums|all)$/ { part = $0; next }
		$0 == "" { next }
		part == "" { n++; type[n] = $1; sum[n] = $2; sub(/^[^ ]+ [^ ]+ /, ""); path[n] = $0; known[$0] = 1; next }
		part == "//seen" { m = $1; o = $2; sub(/^[^ ]+ [^ ]+ \.\//, ""); mode[$0] = m; own[$0] = o; next }
		part == "//sums" { s = $1; sub(/^[^ ]+ [ *]\.\//, ""); got[$0] = s; next }
		/^\.\// { p = substr($0, 3); if (!(p in known)) extra[++extras] = p }
		END {
			want["d"] = "4"; want["f"] = "8"; want["x"] = "8"; want["l"] = "a"; want["s"] = "8"
			for (i = 1; i <= n; i++) {
				p = path[i]
				if (!(p in mode)) { print "absent " p; continue }
				if (substr(mode[p], 1, 1) != want[type[i]]) { print "type " p; continue }
				if (type[i] == "s") {
					if (mode[p] != "8180") print "mode " p
				} else if (want[type[i]] == "8") {
					if (got[p] != sum[i]) print "differs " p
					if ((substr(mode[p], 3, 1) ~ /[4-7c-f]/) != (type[i] == "x") || substr(mode[p], 2, 1) ~ /[4-9a-f]/) print "mode " p
				}
				if (owner != "" && own[p] != owner) print "owner " p
			}
			for (i = 1; i <= extras; i++) print "extra " extra[i]
		}') || exit 1
	[ -n "$sync_found" ] || { sync_links; sync_secrets; return 0; }
	case "
$sync_found" in
	*'
absent '*)
		while IFS= read -r sync_line; do
			case $sync_line in
			'absent '*) path_type "${sync_line#absent }" || exit 1 ;;
			esac
		done <<-EOF || exit 1
			$sync_found
		EOF
		;;
	esac
	printf '%s\n' "$sync_found"
	case "
$sync_found" in
	*'
extra '*)
		need_unmounted "$dest" | while IFS= read -r sync_line; do
			sync_path=${sync_line#"missing unmounted $dest/"}
			[ "$sync_path" = "$sync_line" ] || say mounted "$sync_path"
		done
		;;
	esac
	sync_links
	sync_secrets
}

# sync_secrets: "secret SUM PATH" for those that are there.
sync_secrets() {
	[ -n "$secrets" ] || return 0
	while IFS= read -r sync_path; do
		[ -f "./$sync_path" ] && [ ! -h "./$sync_path" ] || continue
		salted_sum_of "./$sync_path" || exit 1; sync_sum=$SUM
		say secret "$sync_sum $sync_path"
	done <<-EOF || exit 1
		$secrets
	EOF
}

# sync_sent, after sync_state: what was sent before and is not in the manifest any more: "dropped PATH" for a file that is still
# as it was sent, "emptied PATH" for a directory; and "holds PATH" for a directory in the way of a file that has more in it.
# Nothing outside of the destination, and nothing behind a link, is looked at.
sync_sent() {
	[ "$t" = directory ] || return 0
	sync_dropped=
	sync_gone=
	if [ -e "$sent" ]; then
		sync_gone=$({ printf '%s\n//sent\n' "$manifest" && cat -- "$sent"; } | awk '
			$0 == "//sent" { sent = 1; next }
			{ line = $0; sub(/^[^ ]+ [^ ]+ /, "", line) }
			!sent { known[line] = 1; next }
			/^[dfxls] [0-9a-f-]+ ./ && !(line in known) && ("/" line "/") !~ /\/(\.|\.\.)?\// { print }') || exit 1
	fi
	if [ -n "$sync_gone" ]; then
		while IFS=' ' read -r sync_type sync_sum sync_path; do
			sync_inside "$sync_path" || continue
			case $sync_type in
			d)
				[ ! -d "./$sync_path" ] || [ -h "./$sync_path" ] || say emptied "$sync_path"
				continue
				;;
			l) [ -h "./$sync_path" ] || continue ;;
			*) [ -f "./$sync_path" ] && [ ! -h "./$sync_path" ] || continue ;;
			esac
			if [ "$sync_sum" != - ]; then
				sum_of "./$sync_path" || exit 1; sync_now=$SUM
				[ "$sync_now" = "$sync_sum" ] || continue
			fi
			say dropped "$sync_path"
			sync_dropped="$sync_dropped./$sync_path$NL"
		done <<-EOF || exit 1
			$sync_gone
		EOF
	fi
	while IFS= read -r sync_line; do
		case $sync_line in
		'type '*) sync_path=./${sync_line#type } ;;
		*) continue ;;
		esac
		[ -d "$sync_path" ] && [ ! -h "$sync_path" ] || continue
		sync_all=$(find "$sync_path" ! -type d) || exit 1
		sync_all=$(printf '%s\n//\n%s\n' "$sync_dropped" "$sync_all" | awk '$0 == "//" { found = 1; next } !found { known[$0] = 1; next } $0 != "" && !($0 in known)')
		[ -z "$sync_all" ] || say holds "${sync_path#./}"
	done <<-EOF || exit 1
		$sync_found
	EOF
}

# sync_inside PATH: no link leads there.
sync_inside() {
	sync_up=$1
	while :; do
		case $sync_up in
		*/*) sync_up=${sync_up%/*} ;;
		*) return 0 ;;
		esac
		[ ! -h "./$sync_up" ] || return 1
	done
}

# sync_links: "differs PATH" for links that lead elsewhere.
sync_links() {
	[ -n "$links" ] || return 0
	while IFS='	' read -r sync_target sync_path; do
		[ -h "$sync_path" ] || continue
		link_target "./$sync_path" || exit 1
		[ "$LINK" = "$sync_target" ] || say differs "$sync_path"
	done <<-EOF
		$links
	EOF
}

# sync_find DIRECTORY…: everything there is, but for what is in these directories. A line break in a name becomes the byte 1.
sync_find() {
	sync_words=$#
	while [ "$sync_words" -gt 0 ]; do
		set -- "$@" -path "./$1" -prune -o
		shift
		sync_words=$((sync_words - 1))
	done
	find . "$@" -path './.provision-sync.*' -prune -o ! -name . -print0 | tr '\n\000' '\001\n' | sort
}

# sync_keep: what takes the place of another file has its owner, group and permissions; a secret has a mode of its own. Whatever else
# shall differ is changed afterwards, as the plan says.
sync_keep() {
	sync_new=$(cd -- "$sync_temp" && find . \( -type f -o -type l \) -print) || return 1
	while IFS= read -r sync_path; do
		[ -f "$dest/$sync_path" ] || [ -h "$dest/$sync_path" ] || continue
		sync_was=$(stat -c '%u:%g %a' -- "$dest/$sync_path" "$sync_temp/$sync_path") || return 1
		sync_is=${sync_was##* } sync_was=${sync_was%%"$NL"*}
		case $sync_was in *' '[2-7]???) sync_was=${sync_was% *}' '${sync_was##* ?} ;; esac # neither setuid nor setgid
		chown -h -- "${sync_was% *}" "$sync_temp/$sync_path" 2>/dev/null || :
		[ -z "$owner_words" ] || chown -h -- "$owner_words" "$sync_temp/$sync_path" || return 1
		[ -h "$sync_temp/$sync_path" ] || [ "$sync_is" = 600 ] || chmod "${sync_was#* }" -- "$sync_temp/$sync_path" || return 1
	done <<-EOF
		$sync_new
	EOF
}

# sync_receive: unpacks the archive on the standard input beside its destination, and moves what is in it into place.
sync_receive() {
	have tar || fail "tar is needed on the host; install it with a package step before this one"
	mkdir -p -- "$dest" || exit 1
	# What an interrupted run left behind.
	rm -rf -- "$dest"/.provision-sync.??????
	sync_temp=$(mktemp -d "$dest/.provision-sync.XXXXXX") || exit 1
	trap 'rm -rf -- "$sync_temp"' EXIT
	tar -x -o -f - -C "$sync_temp" || fail "the files could not be unpacked; is there room in $dest?"
	sync_note=$sync_temp/.provision-sent
	if [ -n "${sent:-}" ]; then
		(umask 077 && mkdir -p -- "${sent%/*}" && cat -- "$sync_note" >"$sent.new" && rm -f -- "$sync_note") || exit 1
	fi
	[ -z "$owner_words" ] || chown -R -h -- "$owner_words" "$sync_temp" || exit 1
	[ -z "$replaces" ] || sync_keep || fail "the owners and modes of files in $dest could not be kept"
	merge "$sync_temp" "$dest" || fail "not all files could be put into $dest"
	rm -rf -- "$sync_temp" # at once: an image may be built from the directory before the program ends
	[ -z "${sent:-}" ] || mv -f -- "$sent.new" "$sent" || exit 1
}

# sync_prune PATH…: directories, unless there is something in them.
sync_prune() {
	for sync_path in "$@"; do
		rmdir -- "$sync_path" 2>/dev/null || :
	done
}

# sync_replace PATH…: what is of another type than it shall be. A directory goes with the directories in it, and stays if there is
# more.
sync_replace() {
	for sync_path in "$@"; do
		if [ -d "$sync_path" ] && [ ! -h "$sync_path" ]; then
			find "$sync_path" -depth -type d -exec rmdir -- {} \;
			[ ! -d "$sync_path" ] || return 1
		else
			rm -f -- "$sync_path" || return 1
		fi
	done
}

# sync_remove PATH…: files, and directories that are empty. What is in a directory comes before it.
sync_remove() {
	for sync_path in "$@"; do
		if [ -d "$sync_path" ] && [ ! -h "$sync_path" ]; then
			rmdir -- "$sync_path" || return 1
		else
			rm -f -- "$sync_path" || return 1
		fi
	done
}
