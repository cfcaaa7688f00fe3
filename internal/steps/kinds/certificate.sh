# cert_place KEY PATH: says what is there; it has to be a file, or nothing.
cert_place() {
	path_type "$2" || exit 1
	case $TYPE in
	absent | file) say "$1" "$TYPE" ;;
	*) fail "$2 is a $TYPE, not a file; name another path" ;;
	esac
	cert_at=$TYPE
}

# cert_look x509|req PATH KEY SECONDS: says what is at the path, and of a certificate or request its subject, its names, whether it is of the
# key ("match"), whether it expires within so many seconds, and by whom it is signed if that is somebody else ("issuer").
cert_look() {
	cert_key_at=$cert_at
	cert_place certificate "$2"
	if ! have openssl; then
		[ "$cert_at:$cert_key_at" = absent:absent ] || fail "there is no openssl to look at $2; install it by a step \"package\" before this one"
		need command openssl
	fi
	cert_public=
	if [ "$cert_key_at" = file ]; then
		[ -r "$3" ] || fail "$3 cannot be read; set become = true"
		cert_public=$(openssl pkey -in "$3" -passin pass: -pubout 2>/dev/null </dev/null) ||
			fail "$3 is no private key that openssl can read without a passphrase; it is not replaced: move it away, or name another path"
	fi
	if [ "$cert_at" = absent ]; then
		need_parent "$2"
		return 0
	fi
	[ -r "$2" ] || fail "$2 cannot be read; set become = true"
	cert_subject=$(openssl "$1" -in "$2" -noout -subject -nameopt RFC2253,utf8,-esc_msb 2>/dev/null </dev/null) || {
		case $1 in x509) cert_form='certificate' ;; *) cert_form='request for a certificate' ;; esac
		fail "$2 is no $cert_form in PEM; it is not replaced: move it away, or name another path"
	}
	cert_subject=${cert_subject#subject=}
	cert_subject=${cert_subject# }
	say subject "$cert_subject"
	cert_text=$(openssl "$1" -in "$2" -noout -text </dev/null) || fail "$2 cannot be read"
	say names "$(printf '%s\n' "$cert_text" | sed -n '/Subject Alternative Name:/{n;s/^ *//;p;q;}')"
	cert_its=$(openssl "$1" -in "$2" -noout -pubkey </dev/null) || fail "$2 cannot be read"
	if [ "$cert_its" = "$cert_public" ]; then say match yes; else say match no; fi
	[ "$1" = x509 ] || return 0
	openssl x509 -in "$2" -noout -checkend "$4" >/dev/null </dev/null || say expires yes
	cert_issuer=$(openssl x509 -in "$2" -noout -issuer -nameopt RFC2253,utf8,-esc_msb </dev/null) || fail "$2 cannot be read"
	cert_issuer=${cert_issuer#issuer=}
	cert_issuer=${cert_issuer# }
	[ "$cert_issuer" = "$cert_subject" ] || say issuer "$cert_issuer"
}

# cert_key PATH TYPE MODE OWNER: makes a private key beside its place.
cert_key() {
	[ ! -e "$1" ] || return 0
	cert_new=${1%/*}/.${1##*/}.provision
	case $2 in
	ec) set -- "$@" EC ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:named_curve ;;
	*) set -- "$@" RSA "rsa_keygen_bits:${2#rsa}" ;;
	esac
	cert_path=$1 cert_mode=$3 cert_owner=$4
	shift 4
	cert_algorithm=$1
	shift
	rm -f -- "$cert_new"
	(umask 077 && openssl genpkey -algorithm "$cert_algorithm" -pkeyopt "$@" -out "$cert_new" 2>/dev/null) &&
		{ [ -z "$cert_owner" ] || chown -- "$cert_owner" "$cert_new"; } && chmod "$cert_mode" "$cert_new" && mv -f -- "$cert_new" "$cert_path" || {
		rm -f -- "$cert_new"
		fail "the key $cert_path could not be made"
	}
}

# cert_make x509|req PATH KEY DAYS CN O NAMES: beside its place, too.
cert_make() {
	cert_new=${2%/*}/.${2##*/}.provision
	cert_config=$(mktemp) || exit 1
	{
		printf '%s\n' '[req]' 'distinguished_name = dn' 'prompt = no' 'utf8 = yes' 'string_mask = utf8only' \
			'x509_extensions = ext' 'req_extensions = ext' '[dn]'
		[ -z "$6" ] || printf 'O = %s\n' "$6"
		printf 'CN = %s\n' "$5"
		printf '%s\n' '[ext]' 'basicConstraints = critical,CA:FALSE' 'keyUsage = critical,digitalSignature,keyEncipherment' \
			'extendedKeyUsage = serverAuth,clientAuth'
		[ -z "$7" ] || printf 'subjectAltName = %s\n' "$7"
	} >"$cert_config"
	case $1 in
	x509) set -- "$2" "$3" -x509 -days "$4" ;;
	req) set -- "$2" "$3" ;;
	esac
	cert_path=$1 cert_from=$2
	shift 2
	rm -f -- "$cert_new"
	openssl req -new -sha256 -batch -key "$cert_from" -passin pass: -config "$cert_config" -out "$cert_new" "$@" </dev/null || {
		rm -f -- "$cert_new" "$cert_config"
		fail "$cert_path could not be made; the line above says why"
	}
	rm -f -- "$cert_config"
	chmod 644 "$cert_new" && mv -f -- "$cert_new" "$cert_path" || { rm -f -- "$cert_new"; exit 1; }
}
