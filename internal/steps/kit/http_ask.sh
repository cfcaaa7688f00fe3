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
		http_error=$(curl_headers |
			{
				http_url=$2 http_limit=$3 http_body=$4
				shift 6
				curl "$@" -K - --max-time "$http_limit" -o "$http_body" -w '%{http_code}' --url "$http_url" 2>&1
			})
		# The status is the last three characters, after the message if there is one.
		http_status=${http_error#"${http_error%???}"}
		http_error=${http_error%???}
	elif python_web "$2"; then
		http_error=$(bounded "$(($3 + 1))" "$PYTHON" -c 'import sys
try:
    import urllib.request as web
    from urllib.error import HTTPError
except ImportError:
    import urllib2 as web
    from urllib2 import HTTPError
method, url, limit, body, follow, insecure, headers = sys.argv[1:]
class Stay(web.HTTPRedirectHandler):
    def redirect_request(self, *arguments):
        return None
handlers = []
if url.startswith("https:") and insecure == "1":
    import ssl
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    handlers.append(web.HTTPSHandler(context=context))
if follow == "0":
    handlers.append(Stay())
request = web.Request(url)
request.get_method = lambda: method
if headers:
    for line in open(headers):
        name, _, value = line.rstrip("\n").partition(": ")
        request.add_header(name, value)
try:
    try:
        reply = web.build_opener(*handlers).open(request, timeout=float(limit))
    except HTTPError as error:
        reply = error
    with open(body, "wb") as out:
        out.write(reply.read(1 << 20))
    print("%03d" % reply.code)
except Exception as error:
    print("%s\n000" % error)' "$1" "$2" "$3" "$4" "$5" "$6" "${FETCH_HEADERS:-}" 2>&1)
		http_status=${http_error#"${http_error%???}"}
		http_error=${http_error%???}
	elif have wget; then
		[ "$1" = GET ] || { echo "the method $1 needs curl or python3 with its library on the host; install curl" >&2; return 127; }
		set -- "$@" -S -O "$4"
		http_config= http_which=last
		# That of busybox and wget2 follow whatever they are told: then the first answer counts.
		[ "$5" = 1 ] || http_which=first
		if gnu_wget; then
			set -- "$@" --tries=1 --content-on-error
			[ "$5" = 1 ] || set -- "$@" --max-redirect=0
			if [ -n "${FETCH_HEADERS:-}" ]; then
				http_config=$FETCH_HEADERS.wgetrc
				(umask 077 && sed 's/^/header = /' "$FETCH_HEADERS" >"$http_config") || return 1
				set -- "$@" --config="$http_config"
			fi
		else
			[ -z "${FETCH_HEADERS:-}" ] || { echo "headers need curl, GNU wget or python3 with its library on the host; install curl" >&2; return 127; }
		fi
		[ "$6" = 0 ] || set -- "$@" --no-check-certificate
		http_url=$2 http_limit=$3
		shift 6
		# Not by -T: busybox 1.35 of Debian crashes with it.
		http_error=$(bounded "$http_limit" wget "$@" "$http_url" 2>&1)
		[ -z "$http_config" ] || rm -f -- "$http_config"
		# Every answer on the way is shown, by wget2 in a way of its own.
		http_status=$(printf '%s\n' "$http_error" | awk -v which="$http_which" '
			{ answer = "" }
			$1 ~ /^HTTP\/[0-9.]+$/ { answer = $2 }
			/^HTTP (ERROR )?response [0-9]+/ { sub(/^.*response /, ""); answer = $1 }
			answer != "" && (which == "last" || code == "") { code = answer }
			END { print code == "" ? "000" : code }')
	else
		echo 'curl, wget or python3 is needed to ask a web server; install curl with a package step before this one' >&2
		return 127
	fi
	case $http_status in [0-9][0-9][0-9]) ;; *) http_status=000 ;; esac
	return 0
}
