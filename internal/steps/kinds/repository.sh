# Repositories of the package managers: tried first, then put in place. $t is a private directory,
# $name the repository, $file its place.

# apt_key PLACE: puts $t/key there if it was made. apt reads keys as a user of its own.
apt_key() {
	[ -e "$t/key" ] || return 0
	# Armored keys are told from binary ones by the name of the file, for apt before 2.4 too.
	case $(head -c 5 "$t/key") in
	-----) ;;
	*)
		have gpg || fail "the key is not armored, and gpg is not there to convert it; store it with a download step as .gpg and name that path"
		gpg --batch --enarmor <"$t/key" | sed 's/ARMORED FILE/PUBLIC KEY BLOCK/' >"$t/key.asc" && mv "$t/key.asc" "$t/key" || fail "the key could not be converted"
		;;
	esac
	mkdir -p "${1%/*}" && chmod 644 "$t/key" && cp "$t/key" "$1.new" && mv -f "$1.new" "$1"
}

# try_repository COPY: fetches the lists of the repository alone, from a copy of its file.
try_repository() {
	[ "$enabled" = yes ] || return 0
	wait_for_lock
	case $F_PACKAGE_MANAGER in
	apt)
		apt_get -o Dir::Etc::sourcelist="$1" -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0 -o APT::Update::Error-Mode=any update >"$t/log" 2>&1
		try_status=$?
		cat "$t/log" >&2
		# Before apt 2.4 a repository that cannot be reached is a warning only. A line Err: may be one of several attempts.
		! grep -q -e '^E:' -e '^W: Failed to fetch' "$t/log" || try_status=1
		[ "$try_status" = 0 ]
		;;
	dnf | yum)
		# --setopt=reposdir is known to yum 3 and dnf. -y accepts the key of the repository.
		"$F_PACKAGE_MANAGER" -y -q --setopt=reposdir="$t/repos" --setopt=skip_if_unavailable=0 makecache >&2
		;;
	zypper) zypper --non-interactive --gpg-auto-import-keys --reposd-dir "$t/repos" --cache-dir "$t/cache" refresh >&2 ;;
	esac || fail "the repository $name does not work, so it was not added; the lines above say why"
}

# whole_apt COPY: would apt still read its sources with the new file among them? Two that differ in what signs one archive
# break every command (apt 2.6: "Conflicting values set for option Signed-By").
whole_apt() {
	mkdir "$t/parts" || exit 1
	for part in /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
		[ ! -f "$part" ] || [ "$part" = "$file" ] || cp "$part" "$t/parts/" || exit 1
	done
	apt-get -o Dir::Etc::sourceparts="$t/parts" indextargets >/dev/null 2>&1 || return 0
	cp "$1" "$t/parts/" || exit 1
	apt-get -o Dir::Etc::sourceparts="$t/parts" indextargets >/dev/null ||
		fail "apt would read none of its sources with the repository $name among them, so it was not added; the lines above say why"
}

# install_repository COPY
install_repository() {
	mkdir -p "${file%/*}" && chmod 644 "$1" && cp "$1" "${file%/*}/.$name.new" &&
		mv -f "${file%/*}/.$name.new" "$file" || exit 1
	! have restorecon || restorecon -- "$file" 2>/dev/null || :
}

# apk_repository URL yes|no: adds or removes the line, and keeps it only if apk can use it.
apk_repository() {
	[ "$F_UID" = 0 ] || fail "repositories can only be changed as root: set become = true on the step, the play or the host"
	f=/etc/apk/repositories
	awk -v url="$1" -v want="$2" '$0 != url { print } END { if (want == "yes") print url }' "$f" >"$f.new" || exit 1
	if [ "$2" = yes ]; then
		apk --wait 300 update --repositories-file "$f.new" >&2 || {
			rm -f "$f.new"
			fail "the repository $1 does not work, so it was not added; the lines above say why"
		}
	fi
	mv -f "$f.new" "$f"
}
