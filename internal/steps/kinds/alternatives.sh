# alternatives_file NAME: sets FILE to where the group is kept. The format is one: Debian's tool, which openSUSE has too, took it
# from the same source as that of Red Hat.
alternatives_file() {
	FILE=/var/lib/alternatives/$1
	[ "${F_PACKAGE_MANAGER-}" = apt ] || [ ! -d /var/lib/alternatives ] || return 0
	FILE=/var/lib/dpkg/alternatives/$1
}

# probe_group NAME PATH: says what is known of a group and of one alternative in it: "status MODE", "link LINK", "group FOLLOWER LINK",
# "other PATH" for each but PATH, "top N", their highest priority, "best PATH" for each that has it, "priority N" and
# "follower NAME TARGET" of PATH, and "value TARGET".
probe_group() {
	alternatives_file "$1"
	[ -e "$FILE" ] || return 0
	[ -r "$FILE" ] || fail "$FILE: cannot be read"
	group_names= group_best= group_max=
	{
		IFS= read -r group_status && IFS= read -r group_link || fail "$FILE: not the file of a group of alternatives"
		say status "$group_status"
		say link "$group_link"
		while IFS= read -r group_name && [ -n "$group_name" ]; do
			IFS= read -r group_target || break
			say group "$group_name $group_target"
			group_names=$group_names$group_name$NL
		done
		while IFS= read -r group_path && [ -n "$group_path" ]; do
			IFS= read -r group_priority || break
			# Red Hat writes "@FAMILY@PATH", and an init script behind the priority.
			case $group_path in @*@*) group_path=${group_path#@*@} ;; esac
			group_priority=${group_priority%% *}
			case ${group_priority#-} in '' | *[!0-9]*) fail "$FILE: $group_priority is not a priority" ;; esac
			if [ "$group_path" = "$2" ]; then
				say priority "$group_priority"
			else
				say other "$group_path"
				if [ -z "$group_max" ] || [ "$group_priority" -gt "$group_max" ]; then
					group_max=$group_priority group_best=$group_path$NL
				elif [ "$group_priority" -eq "$group_max" ]; then
					group_best=$group_best$group_path$NL
				fi
			fi
			group_left=$group_names
			while [ -n "$group_left" ]; do
				IFS= read -r group_target || break
				[ "$group_path" != "$2" ] || [ -z "$group_target" ] || say follower "${group_left%%"$NL"*} $group_target"
				group_left=${group_left#*"$NL"}
			done
		done
	} <"$FILE" || exit 1
	[ -z "$group_max" ] || say top "$group_max"
	while [ -n "$group_best" ]; do
		say best "${group_best%%"$NL"*}"
		group_best=${group_best#*"$NL"}
	done
	! link_target "/etc/alternatives/$1" 2>/dev/null || say value "$LINK"
}

# probe_link LINK NAME: says what is at the link of a group or of a follower, if it is not the link that belongs there.
probe_link() {
	path_type "$1" || exit 1
	if [ "$TYPE" = symlink ]; then
		link_target "$1" || exit 1
		[ "$LINK" != "/etc/alternatives/$2" ] || return 0
	fi
	say at "$TYPE $1"
}
