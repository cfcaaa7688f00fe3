# fetch URL FILE SECONDS: brings a file, with whatever the host has for it. The fields of the
# request are lines "Name: value" in the file $FETCH_HEADERS, if that is set; they may be secret, so
# they never become arguments of a process.
fetch() {
	if have curl; then
		curl_headers | curl -fsSL --retry 2 --connect-timeout 30 --max-time "$3" -K - -o "$2" --url "$1"
	elif gnu_wget; then
		fetch_config=
		if [ -n "${FETCH_HEADERS:-}" ]; then
			fetch_config=$2.wgetrc
			(umask 077 && sed 's/^/header = /' "$FETCH_HEADERS" >"$fetch_config") || return 1
		fi
		bounded "$3" wget ${fetch_config:+"--config=$fetch_config"} -nv --tries=3 --timeout=30 -O "$2" -- "$1"
		fetch_status=$?
		[ -z "$fetch_config" ] || rm -f -- "$fetch_config"
		return "$fetch_status"
	elif python_web "$1"; then
		bounded "$3" "$PYTHON" -c 'import shutil, sys
try:
    import urllib.request as web
except ImportError:
    import urllib2 as web
request = web.Request(sys.argv[1])
if sys.argv[3]:
    for line in open(sys.argv[3]):
        name, _, value = line.rstrip("\n").partition(": ")
        request.add_header(name, value)
try:
    reply = web.urlopen(request, timeout=30)
    with open(sys.argv[2], "wb") as out:
        shutil.copyfileobj(reply, out)
except EnvironmentError as error:
    sys.exit("%s: %s" % (sys.argv[1], error))' "$1" "$2" "${FETCH_HEADERS:-}"
	elif have wget; then
		[ -z "${FETCH_HEADERS:-}" ] || fail "headers need curl, GNU wget or python3 with its library on the host; install curl"
		bounded "$3" wget -q -O "$2" "$1"
	else
		fail "curl, wget or python3 is needed to download; install curl with a package step before this one"
	fi
}
