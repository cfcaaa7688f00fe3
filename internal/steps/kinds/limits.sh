# limits_found DOMAIN ITEM [FILE...]: what files of limits.conf(5), or stdin, say of an item, as pam_limits reads them: the lines
# "soft VALUE" and "hard VALUE" with the last values, "types WORDS" with the types that occur, "at FILE:LINE" with the place of the last.
limits_found() {
	LIMITS_DOMAIN=$1 LIMITS_ITEM=$2
	export LIMITS_DOMAIN LIMITS_ITEM
	shift 2
	awk '
	{
		sub(/\r$/, "")
		sub(/#.*/, "")
		gsub(/\t/, " ")
		sub(/^ +/, "")
		n = split($0, w, / +/)
		if (n > 0 && w[n] == "") n--
		if (n < 4 || w[1] != ENVIRON["LIMITS_DOMAIN"] || tolower(w[3]) != ENVIRON["LIMITS_ITEM"]) next
		type = tolower(w[2])
		value = tolower(w[4])
		if (value == "infinity" || value == "-1") value = "unlimited"
		if (type != "soft" && type != "hard" && type != "-") next
		if (type != "hard") soft = value
		if (type != "soft") hard = value
		seen[type] = 1
		at = FILENAME ":" FNR
	}
	END {
		if (soft != "") print "soft " soft
		if (hard != "") print "hard " hard
		print "types" ("-" in seen ? " -" : "") ("hard" in seen ? " hard" : "") ("soft" in seen ? " soft" : "")
		if (at != "") print "at " at
	}' "$@"
}

# limits_rival DOMAIN ITEM TYPE VALUE PATH: fails if a file that is read after PATH has another value.
limits_rival() {
	for rival_file in /etc/security/limits.d/*.conf; do
		[ -f "$rival_file" ] || continue
		rival_found=$(limits_found "$1" "$2" "$rival_file") || exit 1
		rival_after=yes
		if [ "$5" != /etc/security/limits.conf ]; then
			# The names are read in the order of bytes.
			[ "$(printf '%s\n' "${rival_file##*/}" "${5##*/}" | sort | head -n 1)" = "${5##*/}" ] && [ "$rival_file" != "$5" ] || rival_after=no
		fi
		[ $rival_after = yes ] || continue
		while read -r rival_key rival_value; do
			case $rival_key:$3 in
			soft:soft | soft:- | hard:hard | hard:-)
				[ "$rival_value" = "$4" ] || fail "${rival_found##*"${NL}at "} sets $rival_key $2 of $1 to $rival_value in place of $4, and is read later, so that it wins; remove that line with a step \"limits\" of state \"absent\" before this one, or give path a later name"
				;;
			esac
		done <<END
$rival_found
END
	done
}
