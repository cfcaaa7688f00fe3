# How old the lists of packages are.

# lists_files: sets lists_files to what a refresh touches, one word each; fails if there are no lists.
lists_files() {
	lists_files=
	case $F_PACKAGE_MANAGER in
	apt)
		# The lists themselves carry the time of the server; the directories that of the refresh.
		set -- /var/lib/apt/lists/*_Packages*
		[ -e "$1" ] || return 1
		lists_files='/var/lib/apt/lists /var/lib/apt/lists/partial'
		;;
	dnf | yum) set -- /var/cache/dnf/*/repodata/repomd.xml /var/cache/libdnf5/*/repodata/repomd.xml /var/cache/yum/*/*/*/cachecookie ;;
	apk) set -- /var/cache/apk/APKINDEX*.tar.gz /etc/apk/cache/APKINDEX*.tar.gz ;;
	zypper) set -- /var/cache/zypp/raw/*/repodata/repomd.xml /var/cache/zypp/raw/*/cookie ;;
	pacman) set -- /var/lib/pacman/sync/*.db ;;
	esac
	[ "$F_PACKAGE_MANAGER" = apt ] || for lists_file in "$@"; do
		[ ! -e "$lists_file" ] || lists_files="$lists_files $lists_file"
	done
	[ -n "$lists_files" ]
}

# lists_fresh MINUTES: are there lists, refreshed within that time? The stamp is of our own
# refreshing, for managers that leave no trace when the lists were new already.
lists_fresh() {
	lists_files || return 1
	# shellcheck disable=SC2086
	[ -n "$(find $lists_files /var/cache/provision/package-lists -maxdepth 0 -mmin "-$1" 2>/dev/null | head -n 1)" ]
}

# lists_hours: how many hours ago the lists were refreshed.
lists_hours() {
	lists_files || return 1
	lists_now=$(date +%s)
	# shellcheck disable=SC2086
	stat -c %Y $lists_files /var/cache/provision/package-lists 2>/dev/null |
		awk -v now="$lists_now" '$1 > newest { newest = $1 } END { printf "%d\n", (now - newest) / 3600 }'
}

# dnf_is_5: is what is called dnf or yum dnf 5?
dnf_is_5() {
	case $(readlink -f "$(command -v "$F_PACKAGE_MANAGER")") in */dnf5) ;; *) return 1 ;; esac
}
