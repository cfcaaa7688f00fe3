# fetch URL FILE SECONDS: brings a file, with whatever the host has for it. The fields of the
# request are lines "Name: value" in the file $FETCH_HEADERS, if that is set; they may be secret, so
# they never become arguments of a process.
fetch() {
	if have curl; then
		# In a curl configuration a value stands between quotes, with \ before " and \.
		{ [ -z "${FETCH_HEADERS:-}" ] || sed -e 's/[\\"]/\\&/g' -e 's/.*/header = "&"/' "$FETCH_HEADERS"; } |
			curl -fsSL --retry 2 --connect-timeout 30 --max-time "$3" -K - -o "$2" --url "$1"
	elif have wget && wget --version >/dev/null 2>&1; then
		if [ -n "${FETCH_HEADERS:-}" ]; then
			sed 's/^/header = /' "$FETCH_HEADERS" >"$2.wgetrc" || return 1
			WGETRC="$2.wgetrc"
			export WGETRC
		fi
		bounded "$3" wget -nv --tries=3 --timeout=30 -O "$2" -- "$1"
		fetch_status=$?
		rm -f -- "$2.wgetrc"
		return "$fetch_status"
	elif have python3; then
		python3 -c 'import shutil, socket, sys, urllib.request
request = urllib.request.Request(sys.argv[1])
if sys.argv[4]:
    for line in open(sys.argv[4]):
        name, _, value = line.rstrip("\n").partition(": ")
        request.add_header(name, value)
try:
    with urllib.request.urlopen(request, timeout=float(sys.argv[3])) as reply, open(sys.argv[2], "wb") as out:
        shutil.copyfileobj(reply, out)
except OSError as error:
    sys.exit("%s: %s" % (sys.argv[1], error))' "$1" "$2" "$3" "${FETCH_HEADERS:-}"
	elif have wget; then
		[ -z "${FETCH_HEADERS:-}" ] || fail "headers need curl, GNU wget or python3 on the host; install curl"
		bounded "$3" wget -q -O "$2" "$1"
	else
		fail "curl, wget or python3 is needed to download; install curl with a package step before this one"
	fi
}

# bounded SECONDS COMMAND...: with a time limit where timeout(1) is there.
bounded() {
	if have timeout; then
		timeout "$@"
	else
		shift
		"$@"
	fi
}
