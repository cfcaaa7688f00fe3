# mount_live PATH: sets LIVE_TYPE, LIVE_SOURCE and LIVE_OPTIONS to what is mounted last at a path; LIVE_TYPE is empty where nothing is.
mount_live() {
	mount_place "$1" || PLACE=$1
	LIVE_TYPE='' LIVE_SOURCE='' LIVE_OPTIONS=''
	live_lines=$(PLACE=$PLACE awk '
	$5 == ENVIRON["PLACE"] {
		for (i = 7; i <= NF && $i != "-"; i++);
		type = $(i + 1)
		source = $(i + 2)
		options = $6 "," $(i + 3)
	}
	END { if (type != "") print type "\n" source "\n" options }' /proc/self/mountinfo) || fail "/proc/self/mountinfo cannot be read"
	[ -n "$live_lines" ] || return 0
	LIVE_TYPE=${live_lines%%"$NL"*} live_lines=${live_lines#*"$NL"}
	LIVE_SOURCE=${live_lines%%"$NL"*} LIVE_OPTIONS=${live_lines#*"$NL"}
	LIVE_SOURCE=$(printf '%s\n' "$LIVE_SOURCE" | sed 's/\\040/ /g; s/\\011/	/g; s/\\043/#/g; s/\\134/\\/g')
}

# mount_device SOURCE: sets DEVICE to the file of a device, a directory or an image; empty for what is no file. Status 1: there is none.
mount_device() {
	case $1 in
	//*) DEVICE= ;;
	/*)
		DEVICE=$1
		[ -e "$1" ]
		;;
	*=*)
		DEVICE=
		have findfs || fail "there is no findfs to tell which device $1 is; name the device"
		DEVICE=$(findfs "$1" 2>/dev/null) && [ -n "$DEVICE" ]
		;;
	*) DEVICE= ;;
	esac
}

# mount_same SOURCE TYPE OPTIONS PATH: is what is mounted what is wanted?
mount_same() {
	case ,$3, in *,x-systemd.automount,*) [ "$LIVE_TYPE" != autofs ] || return 0 ;; esac
	case ,$3, in
	*,bind,* | *,rbind,*)
		[ "$1" -ef "$4" ]
		return
		;;
	esac
	case $2:$LIVE_TYPE in
	auto:* | "$LIVE_TYPE:$2" | nfs:nfs4) ;;
	*) return 1 ;;
	esac
	mount_device "$1" || return 1
	if [ -z "$DEVICE" ]; then
		case $1 in
		*:/* | //*) [ "${1%/}" = "${LIVE_SOURCE%/}" ] ;;
		*) return 0 ;;
		esac
		return
	fi
	case $LIVE_SOURCE in
	/dev/loop*)
		same_file=$(cat "/sys/block/${LIVE_SOURCE#/dev/}/loop/backing_file" 2>/dev/null) && [ "$same_file" -ef "$DEVICE" ] && return 0
		;;
	esac
	[ "$LIVE_SOURCE" -ef "$DEVICE" ]
}

# mount_flags OPTIONS: says the flags that are wanted and not in force. Other options look different once they are.
mount_flags() {
	# What systemd mounts at the first access has no flags of its own until then.
	[ "$LIVE_TYPE" != autofs ] || return 0
	flags_left=$1,
	while [ -n "$flags_left" ]; do
		flags_one=${flags_left%%,*}
		flags_left=${flags_left#*,}
		case $flags_one in
		ro | nosuid | nodev | noexec | noatime | nodiratime)
			case ,$LIVE_OPTIONS, in *",$flags_one,"*) ;; *) say lacks "$flags_one" ;; esac
			;;
		rw)
			case $LIVE_OPTIONS in ro,* | ro) say lacks rw ;; esac
			;;
		esac
	done
}

# mount_fields PATH: the fields of the lines of a mount point, from an fstab on stdin, with what may be left out.
mount_fields() {
	MOUNT_POINT=$1
	export MOUNT_POINT
	awk '
	/^[ \t]*#/ { next }
	{
		sub(/^[ \t]+/, "")
		n = split($0, w, /[ \t]+/)
		if (n > 0 && w[n] == "") n--
		if (n < 2) next
		p = w[2]
		if (p != "/") sub(/\/+$/, "", p)
		if (p != ENVIRON["MOUNT_POINT"]) next
		print w[1], p, (n > 2 ? w[3] : "auto"), (n > 3 ? w[4] : "defaults"), (n > 4 ? w[5] : "0"), (n > 5 ? w[6] : "0")
	}'
}

# mount_reload: systemd makes its units of fstab only when it is told to read it again, and might take down what an old one does not name.
mount_reload() {
	[ "$F_INIT" != systemd ] || systemctl daemon-reload || fail "systemctl daemon-reload failed"
}

# mount_now SOURCE TYPE OPTIONS PATH: before the line is written, so that what cannot be mounted does not hold up the next boot.
mount_now() {
	mount_live "$4"
	[ -n "$LIVE_TYPE" ] || mount -t "$2" -o "$3" -- "$1" "$4" || fail "$4 could not be mounted: mount ended with status $?. Nothing was formatted, and the file was not changed"
	mount_live "$4"
	# Old releases of mount leave out the flags of what they bind.
	[ -z "$(mount_flags "$3")" ] || mount_again "$1" "$3" "$4"
}

# mount_again SOURCE OPTIONS PATH
mount_again() {
	mount -o "remount,$2" -- "$1" "$3" || fail "$3 does not take its new options, and the file was not changed; with live = false they take effect at the next boot"
}

# mount_gone PATH
mount_gone() {
	mount_live "$1"
	while [ -n "$LIVE_TYPE" ]; do
		umount "$1" || {
			if have fuser; then fuser -vm "$1" >&2; fi
			fail "$1 could not be unmounted; end what uses it, and apply again"
		}
		mount_live "$1"
	done
}
