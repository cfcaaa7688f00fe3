#!/usr/bin/env bash
# Two files that supervisord includes may hold a section of one name, [program:web]. It is no error and no warning: the options of both
# are merged into one program, and of an option in both the file whose name sorts last wins. An option that supervisord does not know is
# passed over without a word as well. So a file that somebody left behind goes on to decide how another file's program runs.
#
# Versions: supervisor 4.2.5-1 of Debian 12.
# Why it matters: a tool that writes conf.d/web.conf and reads it back sees what it wrote, while the program has an option of an old file,
# and a misspelt option takes no effect without anybody being told.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq supervisor=4.2.5-1 >/dev/null 2>&1
dpkg -x supervisor_*.deb root
# The package asks pkg_resources for nothing but its version; an empty module of that name will do where it is not installed.
python3 -c 'import pkg_resources' 2>/dev/null || { mkdir stub && echo 'def require(*a): raise Exception' >stub/pkg_resources.py; }
export PYTHONPATH=$dir/root/usr/lib/python3/dist-packages:$dir/stub PYTHONDONTWRITEBYTECODE=1

mkdir conf.d
cat >supervisord.conf <<CONF
[supervisord]
logfile=$dir/log
pidfile=$dir/pid
nodaemon=true
user=$(id -un)
[include]
files=$dir/conf.d/*.conf
CONF
cat >conf.d/old.conf <<CONF
[program:web]
command=/bin/sh -c 'echo "MODE=\$MODE of old"'
environment=MODE="old"
startsecs=0
autorestart=false
stdout_logfile=$dir/out
CONF
cat >conf.d/web.conf <<CONF
[program:web]
command=/bin/sh -c 'echo "MODE=\$MODE of web"'
startsecs=0
autorestrat=true
CONF
timeout 60 python3 -c 'from supervisor.supervisord import main; main(["-c", "supervisord.conf"])' >said 2>&1 &
for _ in $(seq 50); do [ -s out ] && break || sleep 0.2; done
kill "$(cat pid)"
wait || :
echo "the program printed: $(cat out)"
echo "supervisord said of autorestrat: $(grep -c autorestrat said log | tr '\n' ' ')"
grep -qx 'MODE=old of web' out
! grep -q autorestrat said log
