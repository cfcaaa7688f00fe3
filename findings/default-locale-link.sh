#!/usr/bin/env bash
# Debian 13 has the default locale in /etc/locale.conf, and systemd makes /etc/default/locale a symbolic link to it at each boot (tmpfiles.d,
# type L+). A regular file in the old place, as Debian 12 and older tools write it, is thrown away then with what it says, without a copy
# and without a word: the system comes up with the locale of the other file, or with none.
#
# Versions: systemd 257.13-1~deb13u1 of Debian 13, amd64.
# Why it matters: a tool that sets LANG in /etc/default/locale, and puts a new file in the place of the old one as safe writers do, finds its
# setting in force until the next boot, and gone after it. The same file in a backup or an image does so, too.
set -euo pipefail

dir=$(mktemp -d /tmp/f.XXXXXX)
trap 'rm -rf "$dir"' EXIT
chmod 755 "$dir" && cd "$dir"
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -n 1)

mkdir -p lists/partial packages system/etc/default system/etc/tmpfiles.d
printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s trixie main\n' "$mirror" >sources.list
apt=(-qq -o Dir::Etc::sourcelist="$dir/sources.list" -o Dir::Etc::sourceparts=/nonexistent -o Dir::State::lists="$dir/lists")
apt-get "${apt[@]}" update
apt-get "${apt[@]}" download systemd=257.13-1~deb13u1 libsystemd-shared=257.13-1~deb13u1 libc6=2.41-12+deb13u5 libacl1=2.3.2-2+b1 \
	libcap2=1:2.75-10+deb13u1+b3 libcrypt1=1:4.4.38-1 libselinux1=3.8.1-1 libmount1=2.41.5-0+deb13u1 libblkid1=2.41.5-0+deb13u1 \
	libssl3t64=3.5.9-1~deb13u1 libseccomp2=2.6.0-2 libpcre2-8-0=10.46-1~deb13u3 libaudit1=1:4.0.2-2+deb13u1 libcap-ng0=0.8.5-4+b1 \
	libpam0g=1.7.0-5 libzstd1=1.5.7+dfsg-1 2>/dev/null
for deb in *.deb; do dpkg -x "$deb" packages; done

# A system of its own, with the two files and the line of Debian's tmpfiles.d that is about them.
printf 'LANG=de_DE.UTF-8\n' >system/etc/default/locale
printf 'LANG=C.UTF-8\n' >system/etc/locale.conf
grep /etc/default/locale packages/usr/lib/tmpfiles.d/debian.conf >system/etc/tmpfiles.d/debian.conf

root=packages/usr/lib/x86_64-linux-gnu
loader=$(find packages -name ld-linux-x86-64.so.2 -type f | head -n 1)
{
	sed 's/^/before: /' system/etc/default/locale
	said=$("$loader" --library-path "$root:$root/systemd" packages/usr/bin/systemd-tmpfiles --root="$dir/system" --create --boot debian.conf 2>&1) || :
	sed 's/^/after: /' system/etc/default/locale
	echo "a link to $(readlink system/etc/default/locale)"
	echo "copies of the old text: $(grep -rl de_DE system | wc -l), words about it: $(grep -c default/locale <<<"$said" || :)"
} | tee seen
cmp seen - <<'SEEN'
before: LANG=de_DE.UTF-8
after: LANG=C.UTF-8
a link to ../locale.conf
copies of the old text: 0, words about it: 0
SEEN
