# Makes what the mirror serves, in /out: rpm repositories as on a vault of CentOS 7 and on Docker's site, source archives, a Python
# index. Runs in a container of the image "rpm", whose apt works; TRIXIE_SOURCES are apt's sources for the release after it.
export DEBIAN_FRONTEND=noninteractive
export here
here=$(dirname "$0")
mkdir -p /w && cd /w

# Debian 13 has a Docker engine, but no other package may come from there: so a second apt.
newer() { tool=$1; shift; "$tool" -o Dir=/newer -o Dir::State::status=/newer/status "$@"; }
mkdir -p /newer/var/lib/apt/lists/partial /newer/var/cache/apt/archives/partial /newer/etc/apt/preferences.d
cp -r /etc/apt/trusted.gpg.d /etc/apt/apt.conf.d /newer/etc/apt/
printf '%s\n' "$TRIXIE_SOURCES" | sed 'p; s/^deb /deb-src /' >/newer/etc/apt/sources.list
touch /newer/status
sed 's/^deb /deb-src /' /etc/apt/sources.list >/etc/apt/sources.list.d/sources.list

# Each line of work writes a log of its own, which is shown if it fails.
start() { sh -eu -c "$2" >"$1.log" 2>&1 & eval "pid_$1=$!"; }
finish() { eval "wait \$pid_$1" || { echo "making the mirror: $1 failed" >&2; tail -n 30 "$1.log" >&2; exit 1; }; }

newer apt-get -qq update & newer_pid=$!
apt-get -qq update
wait $newer_pid

# What these need beside what a host has: the dependencies that a host lacks, and nothing of what the tools below bring along.
list() { apt-get -qq --no-install-recommends --print-uris install "$@" | sed -n "s/^'[^']*' \([^ ]*\) .*/\1/p"; }
list $(cat "$here/packages") >debs.el7
list python3-django gunicorn supervisor pipenv docker-compose >debs.python
apt-get -qq --no-install-recommends --download-only install $(cat "$here/packages")
apt-get -qq --no-install-recommends --download-only install python3-django gunicorn supervisor pipenv docker-compose
mkdir debs
for deb in $(cat debs.el7 debs.python); do cp -n "/var/cache/apt/archives/$deb" debs/; done
mkdir newer-debs
(cd newer-debs && newer apt-get -qq download docker.io docker-cli containerd docker-compose docker-buildx)
(cd newer-debs && apt-get -qq download runc tini)

# source APT PACKAGE: the original archive of a source package, checked by apt.
source() {
	"$1" apt-get -qq --print-uris --only-source source "$2" |
		sed -n "s/^'\([^']*\)' [^ ]*\.orig\.tar\.[gx]z [0-9]* \([^ ]*\)$/\1 \2/p" | {
		read -r uri sum
		/usr/lib/apt/apt-helper download-file "$uri" "$2.orig" "$sum"
	}
}
source newer sqlite3
source env python3.11

apt-get -qq --no-install-recommends install createrepo-c tcl autoconf automake libtool gcc make >tools.log 2>&1 || {
	cat tools.log >&2
	exit 1
}
start rpms ". $here/rpms.sh"
start sources ". $here/sources.sh"
start wheels "python3 $here/wheels.py /out/pypi/simple \$(sed 's,^,debs/,' debs.python)"
finish rpms
finish sources
finish wheels
chmod -R a+rX /out
