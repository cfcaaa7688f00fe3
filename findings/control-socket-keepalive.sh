#!/usr/bin/env bash
# Over OpenSSH's control socket in proxy mode, which x/crypto's NewControlClientConn speaks, commands run as over a connection of one's
# own. A keepalive request as clients send it, a request to the connection as a whole, is no failure there and gets no answer: the
# master closes this client's connection, and what runs on it is lost. The master and the link to the host go on in good health.
#
# Versions: openssh 9.2p1 of Debian 12 (client and server), golang.org/x/crypto v0.58.0.
# Why it matters: a tool that borrows a ControlMaster and keeps its usual keepalives cuts off its own commands at the first one.
# The master's ServerAliveInterval has to watch the link instead.
set -euo pipefail

dir=$(mktemp -d /tmp/f.XXXXXX)
trap 'kill $(cat "$dir/pids" 2>/dev/null) 2>/dev/null || :; chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq openssh-client=1:9.2p1-2+deb12u10 openssh-server=1:9.2p1-2+deb12u10 >/dev/null 2>&1
for deb in *.deb; do dpkg -x "$deb" root; done
ssh-keygen -q -t ed25519 -N '' -f key && cp key.pub authorized
[ "$(id -u)" != 0 ] || mkdir -p /run/sshd
port=$((20000 + RANDOM % 20000))
"$dir/root/usr/sbin/sshd" -D -e -f /dev/null -h "$dir/key" -p "$port" -o ListenAddress=127.0.0.1 -o PidFile=none -o StrictModes=no \
	-o AuthorizedKeysFile="$dir/authorized" -o UsePAM=no 2>sshd.log & echo $! >>pids
until (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do sleep 0.1; done
root/usr/bin/ssh -F /dev/null -M -N -S "$dir/m" -i key -p "$port" -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no 127.0.0.1 2>ssh.log & echo $! >>pids
until [ -S m ]; do sleep 0.1; done
cat >go.mod <<'MOD'
module finding
go 1.25.0
MOD
cat >main.go <<'GO'
package main

import ("fmt"; "net"; "golang.org/x/crypto/ssh")

func main() {
	nc, _ := net.Dial("unix", "m")
	conn, chans, reqs, err := ssh.NewControlClientConn(nc)
	c := ssh.NewClient(conn, chans, reqs)
	run := func(when string) {
		session, err := c.NewSession()
		var out []byte
		if err == nil {
			out, err = session.Output("echo alive")
		}
		fmt.Printf("%s: %q, failed %v\n", when, out, err != nil)
	}
	run("before")
	_, _, err = c.SendRequest("keepalive@openssh.com", true, nil)
	fmt.Println("the keepalive:", err)
	run("after")
}
GO
go get golang.org/x/crypto/ssh@v0.58.0 >/dev/null 2>&1
go run . | tee seen
kill -0 "$(tail -n 1 pids)" 2>/dev/null && echo "the master goes on" | tee -a seen
cat >expected <<'SEEN'
before: "alive\n", failed false
the keepalive: EOF
after: "", failed true
the master goes on
SEEN
cmp seen expected
