# swap_look present|absent PATH LIVE PRIORITY: says "live" (is it in use?) and, if that matters, its "priority"; "what" is there: absent, swap, or for a device
# empty; of a file its "size" and "mode"; "by", the other name that a line of /etc/fstab has for the device. Sets SWAP_BY to that.
swap_look() {
	SWAP_BY=
	swap_live "$2"
	if [ "$3" = true ]; then
		if [ -n "$SWAP_LIVE" ]; then
			say live yes
			[ "$1:$4" != present:true ] || say priority "$SWAP_LIVE"
		else
			say live no
			[ "$1" = absent ] || swap_allowed
		fi
	fi
	path_type "$2" || return 1
	[ "$TYPE" != symlink ] || case $2 in
	/dev/*) TYPE=other ;;
	*) fail "$2 is a symbolic link; name the file that it leads to" ;;
	esac
	case $2 in
	/dev/*)
		if [ "$TYPE" = absent ] || [ ! -e "$2" ]; then
			[ "$1" = present ] || return 0
			need file "$2"
			say what absent
			return 0
		fi
		[ -b "$2" ] || fail "$2 is no block device; name a partition or a file"
		swap_by "$2"
		[ "$1" = present ] || return 0
		have mkswap && have swapon || need command swapon
		swap_signature "$2"
		if [ -n "$SWAP_SIGNATURE" ]; then
			say what swap
		else
			swap_empty "$2"
			say what empty
		fi
		;;
	*)
		case $TYPE in
		absent)
			say what absent
			[ "$1" = present ] || return 0
			have mkswap && have swapon || need command swapon
			[ "$3" = false ] || swap_place "$2"
			need_parent "$2"
			;;
		file)
			swap_signature "$2"
			[ -n "$SWAP_SIGNATURE" ] || fail "$2 is a file, and no swap file; it is neither overwritten nor removed: move it away, or name another path"
			say what swap
			[ "$1" = present ] || return 0
			attributes "$2" || return 1
			say size "$A_size"
			say mode "$A_mode"
			;;
		*) fail "$2 is a $TYPE, not a file; name another path" ;;
		esac
		;;
	esac
}

# swap_live PATH: sets SWAP_LIVE to the priority of swap space in use; empty if it is not.
swap_live() {
	SWAP_LIVE=
	[ -r /proc/swaps ] || return 0
	while read -r swap_file swap_type swap_size swap_used swap_priority; do
		[ "$swap_type" = file ] || [ "$swap_type" = partition ] || continue
		case $swap_file in *'\'*) swap_file=$(printf '%s\n' "$swap_file" | sed 's/\\040/ /g; s/\\011/	/g; s/\\134/\\/g') ;; esac
		if [ "$swap_file" = "$1" ] || [ "$swap_file" -ef "$1" ]; then
			SWAP_LIVE=$swap_priority
			return 0
		fi
	done </proc/swaps
}

# swap_allowed: swapon needs CAP_SYS_ADMIN, the bit 21, which root of a container has not.
swap_allowed() {
	[ "$F_UID" = 0 ] || fail "only root may switch swap space on; set become = true"
	swap_caps=$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status) || return 0
	swap_caps=${swap_caps%?????}
	case $swap_caps in
	'' | *[2367abefABEF]) ;;
	*) fail "root may not switch swap space on here: this is a container without that right. Leave the step out, or set live = false" ;;
	esac
}

# swap_place PATH: not every file system can hold a swap file.
swap_place() {
	[ -d "${1%/*}/" ] || return 0
	swap_fs=$(stat -f -c %T -- "${1%/*}/") || return 0
	case $swap_fs in
	tmpfs | ramfs | overlay* | zfs | nfs* | smb* | cifs | fuse* | squashfs)
		fail "$1 would be on $swap_fs, where the kernel takes no swap file; name a path on ext4, xfs or btrfs" ;;
	esac
}

# swap_signature PATH: sets SWAP_SIGNATURE, which stands at the end of the first page. Pages have 4, 16 or 64 KiB.
swap_signature() {
	SWAP_SIGNATURE=
	[ -r "$1" ] || fail "$1 cannot be read; set become = true"
	for swap_page in 4096 16384 65536; do
		SWAP_SIGNATURE=$(dd if="$1" bs=1 skip=$((swap_page - 10)) count=10 2>/dev/null | tr -d '\000') || fail "$1 cannot be read"
		case $SWAP_SIGNATURE in SWAPSPACE2 | SWAP-SPACE) return 0 ;; esac
	done
	SWAP_SIGNATURE=
}

# swap_empty DEVICE: fails unless nothing is on it.
swap_empty() {
	if have blkid; then
		swap_has=$(blkid -- "$1" 2>/dev/null | sed -n 's/.*[^A-Z]\(PT\)\{0,1\}TYPE="\([^"]*\)".*/\2/p')
		[ -z "$swap_has" ] || fail "$1 holds $swap_has, which is not overwritten; name another device, or clear it yourself (wipefs -a)"
	fi
	swap_bytes=$(dd if="$1" bs=65536 count=16 2>/dev/null | tr -d '\000' | head -c 1 | wc -c) || fail "$1 cannot be read"
	[ "$swap_bytes" -eq 0 ] || fail "$1 holds something in its first MiB, which is not overwritten; name another device, or clear it yourself (blkdiscard, or dd with zeros)"
	mount_place_of=$(sed -n "s|^\([^ ]*\) .*|\1|p" /proc/mounts 2>/dev/null)
	case $NL$mount_place_of$NL in *"$NL$1$NL"*) fail "$1 is mounted; name another device" ;; esac
}

# swap_by DEVICE: the line of /etc/fstab may have it by its UUID or label.
swap_by() {
	have findfs && [ -r /etc/fstab ] || return 0
	for swap_name in $(awk '$3 == "swap" && $1 ~ /^(PART)?(UUID|LABEL)=/ { print $1 }' /etc/fstab); do
		swap_found=$(findfs "$swap_name" 2>/dev/null) || continue
		if [ "$swap_found" -ef "$1" ]; then
			SWAP_BY=$swap_name
			say by "$SWAP_BY"
			return 0
		fi
	done
}

# swap_lines PATH BY PRIORITY: reads fstab; "one" if just one line is of the swap space and has the priority, "none" without a line, else
# "other".
swap_lines() {
	SWAP_PATH=$1 SWAP_NAME=$2 SWAP_PRIORITY=$3
	export SWAP_PATH SWAP_NAME SWAP_PRIORITY
	awk '
	{
		sub(/^[ \t]+/, "")
		n = split($0, w, /[ \t]+/)
		if (n > 0 && w[n] == "") n--
		if (n < 3 || w[3] != "swap") next
		if (w[1] != ENVIRON["SWAP_PATH"] && (ENVIRON["SWAP_NAME"] == "" || w[1] != ENVIRON["SWAP_NAME"])) next
		found++
		has = ""
		k = split(n > 3 ? w[4] : "defaults", o, ",")
		for (i = 1; i <= k; i++) if (substr(o[i], 1, 4) == "pri=") has = substr(o[i], 5)
		if (ENVIRON["SWAP_PRIORITY"] != "" && has "" != ENVIRON["SWAP_PRIORITY"] "") wrong = 1
	}
	END { print found == 0 ? "none" : found == 1 && !wrong ? "one" : "other" }'
}

# swap_make PATH MIB: a new file gets the name when it is whole. One of that name that is in use is switched off then; if it was,
# and the new one cannot take its place, it is switched on again.
swap_make() {
	swap_dir=${1%/*}
	swap_new=$swap_dir/.${1##*/}.provision
	rm -f -- "$swap_new"
	swap_free=$(df -Pk -- "$swap_dir/" | awk 'END { print $4 }') || exit 1
	[ "$swap_free" -ge $(($2 * 1024 + 1024)) ] ||
		fail "$1 needs $2 MiB, and its file system has $((swap_free / 1024)) MiB left; make room, or give another size"
	(umask 077 && : >"$swap_new") || exit 1
	if [ "$(stat -f -c %T -- "$swap_dir/")" = btrfs ]; then
		chattr +C "$swap_new" || { rm -f -- "$swap_new"; fail "btrfs takes no swap file with copy-on-write, and chattr could not switch that off"; }
	fi
	if ! dd if=/dev/zero of="$swap_new" bs=1048576 count="$2" conv=fsync 2>/dev/null || ! mkswap "$swap_new" >/dev/null; then
		rm -f -- "$swap_new"
		fail "$1 could not be made; is the disk full?"
	fi
	swap_live "$1"
	SWAP_HAD=$SWAP_LIVE
	if [ -n "$SWAP_LIVE" ] && ! swapoff "$1"; then
		rm -f -- "$swap_new"
		fail "$1 stays as it was: it could not be switched off, perhaps because there is too little memory for what it holds"
	fi
	mv -f -- "$swap_new" "$1" || { rm -f -- "$swap_new"; exit 1; }
}

# swap_format DEVICE: what was empty when it was looked at has to be so still.
swap_format() {
	swap_signature "$1"
	[ -z "$SWAP_SIGNATURE" ] || return 0
	swap_empty "$1"
	mkswap "$1" >/dev/null || fail "mkswap refuses $1"
}

# swap_on PATH [PRIORITY]: without a priority it is the one that swap_make found, if somebody gave that: the kernel's own are negative.
swap_on() {
	swap_live "$1"
	[ -z "$SWAP_LIVE" ] || return 0
	case ${2:-${SWAP_HAD:--1}} in
	-*) set -- "$1" ;;
	*) set -- "$1" "${2:-$SWAP_HAD}" ;;
	esac
	swapon ${2:+-p "$2"} "$1" || fail "$1 could not be switched on; the line above says why"
}

# swap_off PATH
swap_off() {
	swap_live "$1"
	[ -n "$SWAP_LIVE" ] || return 0
	swapoff "$1" || fail "$1 could not be switched off; perhaps there is too little memory for what it holds"
}
