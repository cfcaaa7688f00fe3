# acl_look present|absent DEFAULTS PATH ENTRY...: says "of" which path, which of the entries there are ("entry"), with their rights, and which the mask limits
# ("masked"). An entry is user:NAME[:RIGHTS] or group:NAME[:RIGHTS], behind "default:" or not.
acl_look() {
	acl_state=$1 acl_defaults=$2 acl_path=$3
	shift 3
	say of "$acl_path"
	path_type "$acl_path" || exit 1
	case $TYPE in
	absent)
		[ "$acl_state" = present ] || return 0
		need path "$acl_path"
		;;
	symlink) fail "$acl_path is a symbolic link, which has no access list; name the path that it leads to" ;;
	directory) ;;
	*) [ "$acl_defaults" = false ] || fail "$acl_path is a $TYPE; only directories have default entries" ;;
	esac
	if ! have getfacl || ! have setfacl; then
		[ "$acl_state" = present ] || fail "there is no getfacl to tell whether the entries are there; install the package acl"
		need command setfacl
		acl_all=
	elif [ "$TYPE" = absent ]; then
		acl_all=
	else
		acl_all=$(getfacl -cnpE -- "$acl_path") || fail "the access list of $acl_path cannot be read"
	fi
	for acl_entry in "$@"; do
		acl_mask=$(printf '%s\n' "$acl_all" | sed -n 's/^mask::\(...\).*/\1/p') acl_prefix=
		case $acl_entry in
		default:*)
			acl_prefix=default:
			acl_mask=$(printf '%s\n' "$acl_all" | sed -n 's/^default:mask::\(...\).*/\1/p')
			;;
		esac
		acl_rest=${acl_entry#"$acl_prefix"}
		acl_kind=${acl_rest%%:*} acl_name=${acl_rest#*:}
		acl_name=${acl_name%%:*}
		case $acl_kind in user) acl_database=passwd ;; *) acl_database=group ;; esac
		case $acl_name in
		*[!0-9]*)
			acl_status=0
			id_of "$acl_database" "$acl_name" || acl_status=$?
			case $acl_status in
			0) ;;
			2)
				[ "$acl_state" = absent ] || need "$acl_kind" "$acl_name"
				continue
				;;
			*) fail "$acl_kind $acl_name cannot be looked up" ;;
			esac
			;;
		*) ID=$acl_name ;;
		esac
		acl_has=$(printf '%s\n' "$acl_all" | sed -n "s/^$acl_prefix$acl_kind:$ID:\(...\).*/\1/p")
		[ -n "$acl_has" ] || continue
		say entry "$acl_prefix$acl_kind:$acl_name:$acl_has"
		case $acl_has:$acl_mask in
		r??:-?? | ?w?:?-? | ??x:??-) [ "$acl_state" = absent ] || say masked "$acl_prefix$acl_kind:$acl_name" ;;
		esac
	done
}
