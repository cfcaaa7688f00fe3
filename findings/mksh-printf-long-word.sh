#!/usr/bin/env bash
# mksh as Debian packs it has no printf of its own: the word after the name of a command goes to /usr/bin/printf by execve(2), which takes at
# most 128 KiB in one argument. A script of POSIX sh that prints a longer variable with printf works in dash and busybox, and fails here with
# status 126 and "Argument list too long". The shell's own print, and a here-document, have no such limit.
#
# Versions: mksh 59c-28+deb12u1, dash 0.5.12-2 and busybox-static 1:1.35.0-4+deb12u1+b1 of Debian 12, amd64.
# Why it matters: printf '%s\n' "$text" is the portable way to print a text, and what a host calls sh is not always dash. A file of which the
# script holds the content in a variable arrives as long as it is short.
set -euo pipefail

dir=$(mktemp -d /tmp/f.XXXXXX)
trap 'rm -rf "$dir"' EXIT
chmod 755 "$dir" && cd "$dir"
apt-get download -qq mksh=59c-28+deb12u1 dash=0.5.12-2 busybox-static=1:1.35.0-4+deb12u1+b1 2>/dev/null
for deb in *.deb; do dpkg -x "$deb" root; done

cat >long.sh <<'SH'
text=aaaaaaaaaaaaaaaa
while [ "${#text}" -lt "$1" ]; do text=$text$text; done
printf '%s' "$text" 2>error >out
status=$?
length=$(wc -c <out)
word=
case $(cat error) in *"rgument list too long"*) word=" (argument list too long)" ;; esac
cat >out <<TEXT
$text
TEXT
echo "$2: printf of ${#text} bytes: status $status, $((length)) bytes$word; by a here-document: $(($(wc -c <out) - 1)) bytes"
SH
{
	for size in 65536 262144; do
		root/bin/dash long.sh "$size" dash
		busybox=$(find root -path '*bin/busybox' -type f)
		"$busybox" sh long.sh "$size" busybox
		root/bin/mksh long.sh "$size" mksh
	done
} | tee seen
cmp seen - <<'SEEN'
dash: printf of 65536 bytes: status 0, 65536 bytes; by a here-document: 65536 bytes
busybox: printf of 65536 bytes: status 0, 65536 bytes; by a here-document: 65536 bytes
mksh: printf of 65536 bytes: status 0, 65536 bytes; by a here-document: 65536 bytes
dash: printf of 262144 bytes: status 0, 262144 bytes; by a here-document: 262144 bytes
busybox: printf of 262144 bytes: status 0, 262144 bytes; by a here-document: 262144 bytes
mksh: printf of 262144 bytes: status 126, 0 bytes (argument list too long); by a here-document: 262144 bytes
SEEN
