# http_ask METHOD URL SECONDS BODY FOLLOW INSECURE: one request; its body goes to the file BODY, and the
# status into http_status: 000 if there was no answer, with the cause in http_error. FOLLOW and
# INSECURE are 1 or 0. The fields of the request are lines "Name: value" in the file $FETCH_HEADERS,
# if that is set. Status 127: no tool to ask with.
http_ask() {
	http_status=000 http_error=
	: >"$4"
	if have curl; then
		set -- "$1" "$2" "$3" "$4" "$5" "$6" -sS
		[ "$5" = 0 ] || set -- "$@" -L
		[ "$6" = 0 ] || set -- "$@" -k
		if [ "$1" = HEAD ]; then set -- "$@" -I; else set -- "$@" -X "$1"; fi
		http_error=$({ [ -z "${FETCH_HEADERS:-}" ] || sed -e 's/[\\"]/\\&/g' -e 's/.*/header = "&"/' "$FETCH_HEADERS"; } |
			{
				http_url=$2 http_limit=$3 http_body=$4
				shift 6
				curl "$@" -K - --max-time "$http_limit" -o "$http_body" -w '%{http_code}' --url "$http_url" 2>&1
			})
		# The status is the last three characters, after the message if there is one.
		http_status=${http_error#"${http_error%???}"}
		http_error=${http_error%???}
	elif have python3; then
		http_error=$(python3 -c 'import ssl, sys, urllib.error, urllib.request
method, url, limit, body, follow, insecure, headers = sys.argv[1:]
class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments):
        return None
context = ssl.create_default_context()
if insecure == "1":
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
handlers = [urllib.request.HTTPSHandler(context=context)]
if follow == "0":
    handlers.append(Stay())
request = urllib.request.Request(url, method=method)
if headers:
    for line in open(headers):
        name, _, value = line.rstrip("\n").partition(": ")
        request.add_header(name, value)
try:
    try:
        reply = urllib.request.build_opener(*handlers).open(request, timeout=float(limit))
    except urllib.error.HTTPError as error:
        reply = error
    with open(body, "wb") as out:
        out.write(reply.read(1 << 20))
    print("%03d" % reply.code)
except Exception as error:
    print("%s\n000" % error)' "$1" "$2" "$3" "$4" "$5" "$6" "${FETCH_HEADERS:-}" 2>&1)
		http_status=${http_error#"${http_error%???}"}
		http_error=${http_error%???}
	elif have wget; then
		[ "$1" = GET ] || { echo "the method $1 needs curl or python3 on the host; install curl" >&2; return 127; }
		[ -z "${FETCH_HEADERS:-}" ] || { echo "headers need curl or python3 on the host; install curl" >&2; return 127; }
		set -- "$@" -S -O "$4"
		if wget --version >/dev/null 2>&1; then
			set -- "$@" --tries=1 --content-on-error
			[ "$5" = 1 ] || set -- "$@" --max-redirect=0
		fi
		[ "$6" = 0 ] || set -- "$@" --no-check-certificate
		http_url=$2 http_limit=$3
		shift 6
		# Not by -T: busybox 1.35 of Debian crashes with it.
		http_error=$(timeout "$http_limit" wget "$@" "$http_url" 2>&1)
		# Every answer on the way is shown; the last one counts.
		http_status=$(printf '%s\n' "$http_error" | awk '$1 ~ /^HTTP\/[0-9.]+$/ { code = $2 } END { print code == "" ? "000" : code }')
	else
		echo 'curl, wget or python3 is needed to ask a web server; install curl with a package step before this one' >&2
		return 127
	fi
	case $http_status in [0-9][0-9][0-9]) ;; *) http_status=000 ;; esac
	return 0
}
