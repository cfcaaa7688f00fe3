# What is installed, for the probes and the operations of the kinds about packages.

# package_versions NAME...: a line "NAME VERSION..." for every name, in order, with the versions
# that are installed; "-" if none is, and "provided" if another package provides the name.
package_versions() {
	case $F_PACKAGE_MANAGER in
	apt) dpkg_versions "$@" ;;
	dnf | yum | zypper) rpm_versions "$@" ;;
	apk) apk_versions "$@" ;;
	pacman) pacman_versions "$@" ;;
	*) fail "no package manager was found on this host: apt, dnf, yum, apk, zypper and pacman are known" ;;
	esac
}

# Status letters of dpkg-query(1): i, W and t in the second place are installed packages. What is
# unpacked or half-configured (U, F, H) counts as not installed, and so does c, the configuration
# that stays after a removal.
dpkg_versions() {
	dpkg_lines=$(dpkg-query -W -f '${db:Status-Abbrev}|${Package}|${Architecture}|${Version}\n' -- "$@" 2>/dev/null)
	[ $? -lt 2 ] || fail "dpkg-query could not read the list of packages; see dpkg --audit"
	dpkg_lines=$(printf '%s\n' "$dpkg_lines" | awk -F'|' -v wanted="$*" '
		substr($1, 2, 1) ~ /[iWt]/ { has[$2] = has[$2] " " $4; has[$2 ":" $3] = has[$2 ":" $3] " " $4 }
		END {
			n = split(wanted, name, " ")
			for (i = 1; i <= n; i++) print name[i] (name[i] in has ? has[name[i]] : " -")
		}')
	case "$dpkg_lines
" in
	*" -
"*) ;;
	*)
		printf '%s\n' "$dpkg_lines"
		return
		;;
	esac
	# A name that is lacking may be a virtual package, such as awk, which mawk provides.
	{
		printf '%s\n==\n' "$dpkg_lines"
		dpkg-query -W -f '${db:Status-Abbrev}|${Provides}\n'
	} | awk -F'|' '
		!listed && $0 == "==" { listed = 1; next }
		!listed { line[++n] = $0; next }
		substr($1, 2, 1) ~ /[iWt]/ && $2 != "" {
			gsub(/ *\([^)]*\)/, "", $2)
			m = split($2, part, /, */)
			for (i = 1; i <= m; i++) provided[part[i]] = 1
		}
		END {
			for (i = 1; i <= n; i++) {
				name = line[i]
				if (sub(/ -$/, "", name)) print name (name in provided ? " provided" : " -")
				else print line[i]
			}
		}'
}

# rpm exits with the number of names that are not installed, and says which on stdout. The last |
# in the format ends the condition and is not printed.
rpm_versions() {
	rpm_lines=$(rpm -q --qf '%{NAME}|%{ARCH}|%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\n' -- "$@" 2>&1)
	rpm_lacking=$(printf '%s\n' "$rpm_lines" | sed -n 's/^package \(.*\) is not installed$/\1/p')
	case $rpm_lines in
	error:* | *"
error:"*) fail "rpm could not read its database: $rpm_lines" ;;
	esac
	rpm_provided=
	if [ -n "$rpm_lacking" ]; then
		# The names came from "$@", which holds no spaces, so the words are the names.
		# shellcheck disable=SC2086
		rpm_provided=$(rpm -q --whatprovides --qf '%{NAME}\n' -- $rpm_lacking 2>&1)
		case $rpm_provided in *error:*) fail "rpm could not read its database: $rpm_provided" ;; esac
		rpm_provided=$(printf '%s\n' "$rpm_provided" | sed -n 's/^no package provides //p')
	fi
	printf '%s\n==\n%s\n' "$rpm_lines" "$rpm_provided" | awk -F'|' -v wanted="$*" '
		!listed && $0 == "==" { listed = 1; next }
		listed { absent[$0] = 1; next }
		NF == 3 {
			has[$1] = has[$1] " " $3
			has[$1 "." $2] = has[$1 "." $2] " " $3
		}
		END {
			n = split(wanted, name, " ")
			for (i = 1; i <= n; i++) {
				if (name[i] in has) print name[i] has[name[i]]
				else print name[i] (name[i] in absent ? " -" : " provided")
			}
		}'
}

# The database of apk is text: P: a name, V: its version, p: what it provides.
apk_versions() {
	for apk_db in /lib/apk/db/installed /usr/lib/apk/db/installed; do
		[ -e "$apk_db" ] && break
	done
	[ -r "$apk_db" ] || fail "$apk_db cannot be read"
	awk -v wanted="$*" '
		/^P:/ { package = substr($0, 3) }
		/^V:/ { has[package] = substr($0, 3) }
		/^p:/ {
			m = split(substr($0, 3), part, " ")
			for (i = 1; i <= m; i++) { sub(/[<>=~].*/, "", part[i]); provided[part[i]] = 1 }
		}
		END {
			n = split(wanted, name, " ")
			for (i = 1; i <= n; i++)
				print name[i] " " (name[i] in has ? has[name[i]] : name[i] in provided ? "provided" : "-")
		}' "$apk_db"
}

pacman_versions() {
	pacman_lines=$(pacman -Q -- "$@" 2>&1)
	case $pacman_lines in
	*"could not"* | *"failed to"*) fail "pacman could not read its database: $pacman_lines" ;;
	esac
	printf '%s\n' "$pacman_lines" | awk -v wanted="$*" -v quote="'" '
		/^error: package / { split($0, part, quote); absent[part[2]] = 1; next }
		NF == 2 { has[$1] = $2 }
		END {
			n = split(wanted, name, " ")
			for (i = 1; i <= n; i++)
				print name[i] " " (name[i] in has ? has[name[i]] : name[i] in absent ? "-" : "provided")
		}'
}
