#!/usr/bin/env bash
# Debian's ssh knows keywords of its own from long ago, SetupTimeOut and ProtocolKeepAlives. In Debian 12 both are other names of
# ServerAliveInterval. In Debian 13 SetupTimeOut has become another name of ConnectTimeout. One line of ssh_config, which an upgrade leaves as
# it is, stops watching the connection and limits connecting instead; neither version says a word.
#
# Versions: openssh-client 9.2p1-2+deb12u10 and 10.0p1-7+deb13u4 of Debian, amd64.
# Why it matters: a tool that reads ssh_config as ssh does cannot tell from the file alone what this line means. It depends on the ssh that is
# installed. The reader of a config that was written years ago is told nothing either.
set -euo pipefail

dir=$(mktemp -d /tmp/f.XXXXXX)
trap 'rm -rf "$dir"' EXIT
chmod 755 "$dir" && cd "$dir"
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -n 1)

# fetch SUITE PACKAGE=VERSION...: unpacks packages of a suite into a directory of its name, with lists of its own.
fetch() {
	suite=$1
	shift
	mkdir -p "$suite/lists/partial" "$suite/root"
	printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' "$mirror" "$suite" >"$suite/sources.list"
	apt=(-qq -o Dir::Etc::sourcelist="$dir/$suite/sources.list" -o Dir::Etc::sourceparts=/nonexistent -o Dir::State::lists="$dir/$suite/lists")
	apt-get "${apt[@]}" update
	(cd "$suite" && apt-get "${apt[@]}" download "$@" 2>/dev/null)
	for deb in "$suite"/*.deb; do dpkg -x "$deb" "$suite/root"; done
}
fetch bookworm openssh-client=1:9.2p1-2+deb12u10 libc6=2.36-9+deb12u14 libssl3=3.0.20-1~deb12u2 libselinux1=3.4-1+b6 libgssapi-krb5-2=1.20.1-2+deb12u5 \
	libkrb5-3=1.20.1-2+deb12u5 libk5crypto3=1.20.1-2+deb12u5 libkrb5support0=1.20.1-2+deb12u5 libcom-err2=1.47.0-2+b2 libkeyutils1=1.6.3-2 \
	zlib1g=1:1.2.13.dfsg-1 libpcre2-8-0=10.42-1
fetch trixie openssh-client=1:10.0p1-7+deb13u4 libc6=2.41-12+deb13u5 libssl3t64=3.5.9-1~deb13u1 libselinux1=3.8.1-1 libgssapi-krb5-2=1.21.3-5+deb13u1 \
	libkrb5-3=1.21.3-5+deb13u1 libk5crypto3=1.21.3-5+deb13u1 libkrb5support0=1.21.3-5+deb13u1 libcom-err2=1.47.2-3+b12 libkeyutils1=1.6.3-6 \
	zlib1g=1:1.3.dfsg+really1.3.1-1+deb13u1 libpcre2-8-0=10.46-1~deb13u3 libzstd1=1.5.7+dfsg-1

for suite in bookworm trixie; do
	root=$suite/root
	loader=$(find "$root" -name ld-linux-x86-64.so.2 -type f | head -n 1)
	for keyword in SetupTimeOut ProtocolKeepAlives; do
		"$loader" --library-path "$root/lib/x86_64-linux-gnu:$root/usr/lib/x86_64-linux-gnu" "$root/usr/bin/ssh" -T -G -F /dev/null -o "$keyword=7" host |
			sed -n "s/ 7\$//; s/^\(connecttimeout\|serveraliveinterval\)\$/$suite: $keyword is \1/p"
	done
done | tee seen
cmp seen - <<'SEEN'
bookworm: SetupTimeOut is serveraliveinterval
bookworm: ProtocolKeepAlives is serveraliveinterval
trixie: SetupTimeOut is connecttimeout
trixie: ProtocolKeepAlives is serveraliveinterval
SEEN
