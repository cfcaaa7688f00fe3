# What fetch.sh, http_ask.sh and port_open.sh share.

# bounded SECONDS COMMAND...: with a time limit. Status 124 or above 128: it was over.
bounded() {
	# busybox before 1.30 wants "timeout -t SECONDS".
	if timeout 1 true 2>/dev/null; then
		timeout "$@"
		return
	fi
	bounded_left=$1
	shift
	"$@" &
	bounded_job=$!
	# It looks every second, so that it never outlives the command for long.
	while kill -0 "$bounded_job" && sleep 1; do
		bounded_left=$((bounded_left - 1))
		[ "$bounded_left" -gt 0 ] || kill "$bounded_job"
	done >/dev/null 2>&1 </dev/null &
	wait "$bounded_job"
}

# python_that IMPORTS: sets PYTHON to an interpreter that can execute the statement, or fails. Debian's python3-minimal
# comes without most of the library.
python_that() {
	for PYTHON in python3 python python2 /usr/libexec/platform-python; do
		if have "$PYTHON" && "$PYTHON" -c "$1" >/dev/null 2>&1 </dev/null; then return 0; fi
	done
	return 1
}

# python_web URL: python_that with what it takes to ask such a URL.
python_web() {
	case $1 in
	https:*) python_that 'import ssl, shutil
try: import urllib.request
except ImportError: import urllib2' ;;
	*) python_that 'import shutil
try: import urllib.request
except ImportError: import urllib2' ;;
	esac
}

# gnu_wget: is wget the one of GNU (1 or 2), not that of busybox?
gnu_wget() { have wget && wget --version >/dev/null 2>&1; }

# curl_headers: the lines of $FETCH_HEADERS as a configuration of curl: a value stands between quotes, with \ before " and \.
curl_headers() {
	[ -z "${FETCH_HEADERS:-}" ] || sed -e 's/[\\"]/\\&/g' -e 's/.*/header = "&"/' "$FETCH_HEADERS"
}
