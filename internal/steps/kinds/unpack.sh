# unpack ARCHIVE DIRECTORY: by the first bytes of the archive, whatever its name.
unpack() {
	case $(od -An -tx1 -N 6 "$1" | tr -d ' \n') in
	504b0304* | 504b0506*) unpack_zip "$1" "$2" ;;
	1f8b*) unpack_tar "$1" "$2" gzip gzip ;;
	425a68*) unpack_tar "$1" "$2" bzip2 bzip2 ;;
	fd377a585a00) unpack_tar "$1" "$2" xz 'xz (xz-utils on Debian)' ;;
	28b52ffd*) unpack_tar "$1" "$2" zstd zstd ;;
	*) unpack_tar "$1" "$2" cat cat ;;
	esac
}

# Owners in the archive mean nothing here: -o gives the files to whoever unpacks. tar itself
# refuses names that lead out of the directory.
unpack_tar() {
	have tar || fail "tar is needed to unpack; install it with a package step before this one"
	have "$3" || fail "$3 is needed to unpack; install the package $4"
	if [ "$3" = cat ]; then
		tar -x -o -f "$1" -C "$2"
		return
	fi
	# tar of CentOS 7 knows no zstd, and busybox not every option, so the pipe is ours. Its status is that of
	# tar, which may be content with a stream that was cut: hence the file.
	{ "$3" -dc <"$1" || : >"$2.broken"; } | tar -x -o -f - -C "$2" && [ ! -e "$2.broken" ]
}

unpack_zip() {
	if have unzip; then
		unzip -q -o "$1" -d "$2" </dev/null
	elif have bsdtar; then
		bsdtar -x -o -f "$1" -C "$2"
	elif have busybox && busybox unzip --help >/dev/null 2>&1; then
		busybox unzip -q -o "$1" -d "$2"
	elif python_zip; then
		# The module drops the modes of the files, which are in the upper half of external_attr.
		"$PYTHON" -c 'import os, sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
for entry in archive.infolist():
    path = archive.extract(entry, sys.argv[2])
    mode = entry.external_attr >> 16 & 0o777
    if mode:
        os.chmod(path, mode)' "$1" "$2"
	else
		fail "unzip, bsdtar or python3 is needed to unpack a zip archive; install unzip"
	fi
}

# python_zip: sets PYTHON to one that has the module; Debian's python3-minimal lacks much of the library.
python_zip() {
	for PYTHON in python3 python python2; do
		if have "$PYTHON" && "$PYTHON" -c 'import zipfile' >/dev/null 2>&1 </dev/null; then return 0; fi
	done
	return 1
}
