# port_open HOST PORT: does it accept a TCP connection within three seconds? Status 127: no tool
# to find out.
port_open() {
	if have bash; then
		port_error=$(bounded 3 bash -c ': <"/dev/tcp/$0/$1"' "$1" "$2" 2>&1) && return 0
		# Some are built without /dev/tcp, and then look for a file.
		case $port_error in *'/dev/tcp/'*'No such file'*) ;; *) return 1 ;; esac
	fi
	if python_that 'import socket'; then
		"$PYTHON" -c 'import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 3).close()
except EnvironmentError:
    sys.exit(1)' "$1" "$2"
	elif have nc; then
		bounded 5 nc -w 3 "$1" "$2" </dev/null >/dev/null 2>&1
	else
		echo 'bash, python3 or nc is needed to look at a port of another host; install one' >&2
		return 127
	fi
}
