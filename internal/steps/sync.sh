# Probe and operations of the kind sync. Set before it: dest; manifest, lines "TYPE SHA256 PATH" of what shall be there, with
# the types d, f, x (executable) and l; links, lines of a link's target, a tab and its path; owner_format for stat and
# owner, "" if nobody asks.

# sync_state PRUNE…: what differs, a line each: "absent PATH", "differs PATH" (content), "type PATH" (it is something else), "mode
# PATH", "owner PATH". With a first argument, also "extra PATH" for what the manifest does not name; the arguments are then
# directories that are not looked into.
sync_state() {
	t=$(path_type "$dest") || exit 1
	say dest "$t"
	[ "$t" = directory ] || return 0
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
			want["d"] = "4"; want["f"] = "8"; want["x"] = "8"; want["l"] = "a"
			for (i = 1; i <= n; i++) {
				p = path[i]
				if (!(p in mode)) { print "absent " p; continue }
				if (substr(mode[p], 1, 1) != want[type[i]]) { print "type " p; continue }
				if (want[type[i]] == "8") {
					if (got[p] != sum[i]) print "differs " p
					else if ((substr(mode[p], 3, 1) ~ /[4-7c-f]/) != (type[i] == "x")) print "mode " p
				}
				if (owner != "" && own[p] != owner) print "owner " p
			}
			for (i = 1; i <= extras; i++) print "extra " extra[i]
		}') || exit 1
	[ -n "$sync_found" ] || { sync_links; return 0; }
	case "
$sync_found" in
	*'
absent '*)
		while IFS= read -r sync_line; do
			case $sync_line in
			'absent '*) path_type "${sync_line#absent }" >/dev/null || exit 1 ;;
			esac
		done <<-EOF || exit 1
			$sync_found
		EOF
		;;
	esac
	printf '%s\n' "$sync_found"
	sync_links
}

# sync_links: "differs PATH" for links that lead elsewhere.
sync_links() {
	[ -n "$links" ] || return 0
	while IFS='	' read -r sync_target sync_path; do
		[ ! -h "$sync_path" ] || [ "$(readlink "./$sync_path")" = "$sync_target" ] || say differs "$sync_path"
	done <<-EOF
		$links
	EOF
}

# sync_find DIRECTORY…: everything there is, but for what is in these directories.
sync_find() {
	sync_words=$#
	while [ "$sync_words" -gt 0 ]; do
		set -- "$@" -path "./$1" -prune -o
		shift
		sync_words=$((sync_words - 1))
	done
	find . "$@" -path './.provision-sync.*' -prune -o ! -name . -print | sort
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
	[ -z "$owner_words" ] || chown -R -h -- "$owner_words" "$sync_temp" || exit 1
	merge "$sync_temp" "$dest" || fail "not all files could be put into $dest"
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
