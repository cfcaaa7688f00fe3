# port_open HOST PORT: does it accept a TCP connection within three seconds? Status 127: no tool
# to find out.
port_open() {
	if have timeout && have bash; then
		timeout 3 bash -c ': <"/dev/tcp/$0/$1"' "$1" "$2" 2>/dev/null
	elif have nc; then
		nc -w 3 "$1" "$2" </dev/null >/dev/null 2>&1
	elif have python3; then
		python3 -c 'import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 3).close()
except OSError:
    sys.exit(1)' "$1" "$2"
	else
		echo 'bash with timeout, nc or python3 is needed to look at a port of another host; install one' >&2
		return 127
	fi
}
