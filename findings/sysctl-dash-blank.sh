#!/usr/bin/env bash
# A line of sysctl.d may begin with "-", which means that a failure to set the key is no failure. With a blank behind the dash,
# "- net.ipv4.ip_forward = 1", systemd-sysctl sets the key. sysctl(8) of procps looks for a key whose name begins with the blank,
# says that there is none, in spite of the dash, and exits 1. Without the blank both set it.
#
# Versions: procps 4.0.2 and systemd 252 of Debian 12.
# Why it matters: the value is there after a boot, and gone after `sysctl --system`, which people and tools run to apply a file. A tool
# that manages these files has to write what both read, and to warn of lines that only one does.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
chmod 755 "$dir"
apt-get download -qq procps=2:4.0.2-3 libproc2-0=2:4.0.2-3 systemd=252.39-1~deb12u2 libsystemd-shared=252.39-1~deb12u2 >/dev/null 2>&1
for deb in *.deb; do dpkg -x "$deb" root; done

printf '%s\n' '- net.ipv4.ip_forward = 1' >blank.conf
printf '%s\n' '-net.ipv4.ip_forward = 1' >dash.conf
cat >look.sh <<'SH'
set -e
export LD_LIBRARY_PATH=$1/root/usr/lib/x86_64-linux-gnu:$1/root/lib/x86_64-linux-gnu:$1/root/usr/lib/x86_64-linux-gnu/systemd:$1/root/lib/systemd
for file in blank dash; do
	for reader in "$1/root/lib/systemd/systemd-sysctl" "$1/root/sbin/sysctl -q -p"; do
		echo 0 >/proc/sys/net/ipv4/ip_forward
		status=0
		$reader "$1/$file.conf" 2>>"$1/said" || status=$?
		printf '%s: %s: status %s, value %s\n' "$file" "${reader##*/}" "$status" "$(cat /proc/sys/net/ipv4/ip_forward)"
	done
done
SH
# A network namespace has values of its own for this key.
if [ "$(id -u)" = 0 ]; then new=(unshare -n); else new=(unshare -rn); fi
"${new[@]}" bash look.sh "$dir" | tee seen

cat >expected <<'SEEN'
blank: systemd-sysctl: status 0, value 1
blank: sysctl -q -p: status 1, value 0
dash: systemd-sysctl: status 0, value 1
dash: sysctl -q -p: status 0, value 1
SEEN
cmp seen expected
