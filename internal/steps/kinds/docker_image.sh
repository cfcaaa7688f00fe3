# Operations of the kind docker_image, after dockerProbe. An image is the wanted one if the JSON of its file system holds $layers.

# image_look NAME: prints the state of an image; leaves it in $docker_out, empty if there is none.
image_look() {
	for image_created in 'created {{json .Created}}' created; do
		image_format="id {{.Id}}$NL$image_created${NL}rootfs {{json .RootFS}}${NL}config {{json .Config}}"
		if docker_ask image inspect --format "$image_format" -- "$1"; then
			printf '%s\n' "$docker_out"
			return 0
		fi
		case $docker_out in
		*'o such image'*)
			docker_out=
			say id none
			return 0
			;;
		*'no entry for key'*) ;; # Docker 28 leaves out a time that is not set
		*) break ;;
		esac
	done
	fail "docker image inspect: $docker_out"
}

# image_engine: what loads an archive, and which image it loads of several.
image_engine() {
	if docker_ask version --format '{{.Server.Os}}/{{.Server.Arch}}'; then say engine "$docker_out"; fi
	[ -n "$1" ] || return 0
	docker_ask info --format '{{json .DriverStatus}}' || fail "docker info: $docker_out"
	case $docker_out in
	*io.containerd.snapshotter*) say store containerd ;;
	*) say store layers ;;
	esac
}

# image_is NAME: whether it is the wanted one, as far as layers tell.
image_is() {
	image_found=$(docker image inspect --format '{{json .RootFS}}' -- "$1" 2>/dev/null) || return 1
	case $image_found in
	*"$layers"*) ;;
	*) return 1 ;;
	esac
}

# image_name ID NAME…: gives an image these names.
image_name() {
	image_id=$1
	shift
	for image_given; do
		docker tag -- "$image_id" "$image_given" || exit 1
	done
}

# image_load NAME…: loads the archive on stdin. Which image that was is asked by $ids first, since the store of containerd may keep a name from an
# OCI archive in a form that it does not find again. docker load ends with 0 also if nothing could be unpacked. Then the names go back
# to the images that had them.
image_load() {
	image_keep "$@" </dev/null
	image_said=$(docker load 2>&1)
	image_status=$?
	if [ "$image_status" -eq 0 ]; then
		for image_loaded in $ids $(printf '%s\n' "$image_said" | sed -n 's/^Loaded image: //p; s/^Loaded image ID: //p'); do
			if image_is "$image_loaded"; then
				image_name "$image_loaded" "$@"
				image_let_go
				printf '%s\n' "$image_said"
				return 0
			fi
		done
	fi
	printf '%s' "$image_before" | while read -r image_id image_given; do docker tag -- "$image_id" "$image_given" 2>/dev/null || :; done
	image_let_go
	[ "$image_status" -eq 0 ] || fail "docker load failed: $image_said"
	fail "docker load ended well, but the engine has no image with the layers of the archive; it said: $image_said"
}

# image_keep NAME…: notes in $image_before which images have these names. containerd's store drops an image with its last name, and so needs another
# for it meanwhile.
image_keep() {
	image_before= image_kept=
	image_drops=
	case $(docker info --format '{{json .DriverStatus}}' 2>/dev/null) in
	*io.containerd.snapshotter*) image_drops=yes ;;
	esac
	for image_given; do
		image_id=$(docker image inspect --format '{{.Id}}' -- "$image_given" 2>/dev/null) || continue
		image_before="$image_before$image_id $image_given$NL"
		[ -n "$image_drops" ] || continue
		image_other=provision-meanwhile:${image_id#*:}
		docker tag -- "$image_id" "$image_other" || exit 1
		image_kept="$image_kept $image_other"
	done
}

# image_let_go: takes the other names away. An image that a container uses stays without a name, as after every load.
image_let_go() {
	for image_other in $image_kept; do docker image rm -f -- "$image_other" >/dev/null || exit 1; done
}
