# Probe and operations of the kind compose. Set before it: project, dir, files (a list of options -f, words of sh), options (more
# of them: --env-file, --profile), keep_logs. Runs after dockerProbe.

# compose_find: which compose there is, in $compose_how. It is looked for once in a shell.
compose_find() {
	[ -z "${compose_how:-}" ] || return 0
	if docker compose version >/dev/null 2>&1; then
		compose_how=plugin
	elif have docker-compose; then
		compose_how=command
	else
		compose_how=none
	fi
}

# compose ARGUMENTS…: docker compose, or docker-compose where the plugin is not there. Status 125 if neither is.
compose() {
	compose_find
	case $compose_how in
	plugin) (cd -- "$dir" && eval "set -- $files $options \"\$@\"" && exec docker compose -p "$project" "$@") ;;
	command) (cd -- "$dir" && eval "set -- $files $options \"\$@\"" && exec docker-compose -p "$project" "$@") ;;
	*) return 125 ;;
	esac
}

# compose_owe PHASE: notes what is to be done again if the program breaks off from here on: build, up or wait (and what follows).
compose_owe() {
	(umask 077 && mkdir -p -- "${sent%/*}" && printf '%s\n' "$1" >"$sent.owed.new" && mv -f -- "$sent.owed.new" "$sent.owed") ||
		fail "what is being done to $project could not be noted in ${sent%/*}; is there room?"
}

# compose_paid: nothing is to be done again.
compose_paid() { rm -f -- "$sent.owed"; }

# compose_owed: "owed PHASE", if an earlier program broke off.
compose_owed() {
	[ -e "$sent.owed" ] || return 0
	compose_phase=$(cat -- "$sent.owed") || fail "$sent.owed could not be read"
	say owed "${compose_phase:-build}"
}

# compose_sweep: what a program that was killed while it received files has left would be part of images that are built.
compose_sweep() { rm -rf -- "$dir"/.provision-sync.??????; }

# compose_containers: a line for each container of the project: id, service, hash, status, health, exit status, restart
# policy, restarts, image id, image name.
compose_containers() {
	compose_ids=$(docker ps -a -q --no-trunc --filter "label=com.docker.compose.project=$project") || return 1
	[ -n "$compose_ids" ] || return 0
	# A container may go away in between; the rest is told all the same. ID, not Id: docker falls back on untyped data then,
	# which has no Health where there is none.
	# shellcheck disable=SC2086
	docker inspect --type container --format '{{.ID}} {{index .Config.Labels "com.docker.compose.service"}} {{with index .Config.Labels "com.docker.compose.config-hash"}}{{.}}{{else}}-{{end}} {{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{else}}-{{end}} {{.State.ExitCode}} {{with .HostConfig.RestartPolicy.Name}}{{.}}{{else}}no{{end}} {{.RestartCount}} {{.Image}} {{.Config.Image}} {{with index .Config.Labels "com.docker.compose.oneoff"}}{{.}}{{else}}False{{end}}' $compose_ids 2>/dev/null |
		awk 'NF == 11 && tolower($11) != "true"'
}

# compose_images: "NAME ID" of the images that the containers on the standard input were made from, as they are now.
compose_images() {
	# shellcheck disable=SC2046
	set -- $(awk '{ print $10 }' | sort -u)
	for compose_image in "$@"; do
		compose_id=$(docker image inspect --format '{{.Id}}' "$compose_image" 2>/dev/null) || compose_id=none
		printf '%s %s\n' "$compose_image" "$compose_id"
	done
}

# compose_states HASHES CONTAINERS IMAGES: "service NAME STATE". HASHES are lines of a service and its hash, or empty where only the
# containers matter.
compose_states() {
	printf '%s\n//containers\n%s\n//images\n%s\n//end\n' "$1" "$2" "$3" | awk '
		function worse(s, new) { if (!(s in rank) || order[new] > order[rank[s]]) rank[s] = new }
		BEGIN { n = split("done up starting image changed paused stopped unhealthy restarting failed", w); for (i = 1; i <= n; i++) order[w[i]] = i }
		/^\/\// { part = $0; next }
		NF == 0 { next }
		part == "" { wanted[$1] = $2; names[++count] = $1; hashes = 1; next }
		part == "//containers" { line[++lines] = $0; next }
		part == "//images" { now[$1] = $2 }
		END {
			for (i = 1; i <= lines; i++) {
				split(line[i], c)
				s = c[2]
				if (hashes && !(s in wanted)) { orphan[s] = 1; continue }
				state = "up"
				if (c[4] == "restarting") state = "restarting"
				else if (c[4] == "exited" || c[4] == "dead") {
					state = (c[6] != 0) ? "failed" : (c[7] == "no" || c[7] == "on-failure") ? "done" : "stopped"
				} else if (c[4] == "paused") state = "paused"
				else if (c[4] != "running") state = "stopped"
				else if (c[5] == "unhealthy") state = "unhealthy"
				else if (c[5] == "starting") state = "starting"
				worse(s, state)
				if (hashes && c[3] != wanted[s]) worse(s, "changed")
				else if (hashes && (c[10] in now) && now[c[10]] != c[9]) worse(s, "image")
			}
			if (!hashes) { for (s in rank) print "service", s, rank[s]; exit }
			for (i = 1; i <= count; i++) print "service", names[i], (names[i] in rank) ? rank[names[i]] : "absent"
			for (s in orphan) print "orphan", s
		}' | sort
}

# compose_hashes: "SERVICE HASH", as compose up would label the containers. config --hash of the plugin leaves environment
# files out (seen in 2.26), so it is asked about the configuration that it prints, where they are resolved.
compose_hashes() {
	if [ "$compose_how" != plugin ]; then
		compose config --hash '*' 2>&1
		return
	fi
	# Its output holds the environment, so what it says about mistakes is asked for apart.
	compose_text=$(compose config 2>/dev/null) || {
		compose_status=$?
		compose config --quiet 2>&1
		return "$compose_status"
	}
	(cd -- "$dir" && eval "set -- $options" && printf '%s\n' "$compose_text" | docker compose -p "$project" -f - "$@" config --hash '*' 2>&1)
}

# compose_look: the state of every service.
compose_look() {
	compose_all=$(compose_containers) || fail "the containers of $project could not be listed"
	compose_file=
	compose_find
	compose_hashes=$(compose_hashes)
	case $? in
	0) ;;
	125)
		need command 'docker-compose or /usr/libexec/docker/cli-plugins/docker-compose'
		return 0
		;;
	*)
		# The files may be about to be replaced.
		printf '%s\n' "$compose_hashes" | tail -n 3 >&2
		say config broken
		[ -z "$compose_all" ] || say containers yes
		return 0
		;;
	esac
	# Warnings about variables are mixed in.
	compose_hashes=$(printf '%s\n' "$compose_hashes" | awk 'NF == 2 && $2 ~ /^[0-9a-f]+$/ && length($2) == 64' | sort)
	[ -n "$compose_hashes" ] || fail "compose names no service of $project: it needs docker compose 2.7 or docker-compose 1.25"
	compose_now=$(printf '%s\n' "$compose_all" | awk NF | compose_images)
	compose_states "$compose_hashes" "$compose_all" "$compose_now"
}

# compose_wait SECONDS: until every service is up and stays so, or healthy where it says, or has done its work.
compose_wait() {
	compose_steady=0
	compose_waited=0
	compose_begun=
	while :; do
		compose_all=$(compose_containers) || return 1
		compose_now=$(compose_states "" "$compose_all" "")
		compose_restarts=$(printf '%s\n' "$compose_all" | awk '{ n += $8 } END { print n + 0 }')
		compose_begun=${compose_begun:-$compose_restarts}
		case "
$compose_now
" in
		*' failed
'* | *' unhealthy
'*) return 1 ;;
		*' starting
'* | *' restarting
'* | *' stopped
'*) compose_steady=0 ;;
		*) compose_steady=$((compose_steady + 1)) ;;
		esac
		[ "$compose_restarts" -lt $((compose_begun + 3)) ] || return 1
		[ "$compose_restarts" = "${compose_before:-$compose_restarts}" ] || compose_steady=0
		compose_before=$compose_restarts
		[ "$compose_steady" -lt 4 ] || return 0
		[ "$compose_waited" -lt "$1" ] || return 1
		sleep 1
		compose_waited=$((compose_waited + 1))
	done
}

# compose_logs: the last lines of every service that is not as it should be.
compose_logs() {
	compose_all=$(compose_containers)
	printf '%s\n' "$compose_all" | awk 'NF && !($4 == "running" && ($5 == "-" || $5 == "healthy") && $8 == 0) && !($4 == "exited" && $6 == 0)' |
		while IFS=' ' read -r compose_id compose_service compose_hash compose_status compose_health compose_exit compose_rest; do
			printf -- '-- %s is %s' "$compose_service" "$compose_status"
			[ "$compose_health" = - ] || printf ', %s' "$compose_health"
			[ "$compose_status" != exited ] || printf ' with status %s' "$compose_exit"
			printf '; its log ends with:\n'
			docker logs --tail 30 "$compose_id" 2>&1
		done >&2
}

# compose_save PATH…: what a rollback needs: these files of the project, if they exist, the list of what was sent, and which image
# each service has.
compose_save() {
	compose_saved=$(mktemp -d) || exit 1
	# There may be secrets in it. dash and busybox run no EXIT trap when a signal ends them.
	trap 'rm -rf -- "$compose_saved" ${sync_temp:+"$sync_temp"}' EXIT
	trap 'exit 1' HUP INT TERM
	compose_containers | awk '{ print $9, $10 }' | sort -u >"$compose_saved/images"
	[ -d "$dir" ] || return 0
	[ ! -e "$sent" ] || cp -- "$sent" "$compose_saved/sent" || exit 1
	[ ! -e "$sent.owed" ] || cp -- "$sent.owed" "$compose_saved/owed" || exit 1
	for compose_path in "$@"; do
		if [ -d "$dir/$compose_path" ] && [ ! -h "$dir/$compose_path" ]; then
			printf './%s\n' "$compose_path" >>"$compose_saved/directories"
		elif [ -e "$dir/$compose_path" ] || [ -h "$dir/$compose_path" ]; then
			printf './%s\n' "$compose_path" >>"$compose_saved/old"
		else
			printf './%s\n' "$compose_path" >>"$compose_saved/new"
		fi
	done
	[ -e "$compose_saved/old" ] || return 0
	# Not every busybox has tar -T, so there may be several archives.
	# shellcheck disable=SC2016
	tr '\n' '\0' <"$compose_saved/old" | (cd -- "$dir" && xargs -0 -n 500 sh -c 'tar -cf "$0.$$" "$@"' "$compose_saved/files") || exit 1
}

# compose_restore: the files as compose_save found them. Directories that came since go if they are empty.
compose_restore() {
	(
		cd -- "$dir" || exit 1
		touch "$compose_saved/new" "$compose_saved/old" "$compose_saved/directories"
		sort -r "$compose_saved/new" | while IFS= read -r compose_path; do
			if [ -d "$compose_path" ] && [ ! -h "$compose_path" ]; then
				rmdir -- "$compose_path" 2>/dev/null
			else
				rm -f -- "$compose_path"
			fi
		done
		# What was a file may be a directory now, and the other way round.
		while IFS= read -r compose_path; do
			[ ! -d "$compose_path" ] || [ -h "$compose_path" ] || rmdir -- "$compose_path" || exit 1
		done <"$compose_saved/old"
		while IFS= read -r compose_path; do
			[ -d "$compose_path" ] && [ ! -h "$compose_path" ] || {
				rm -f -- "$compose_path" && mkdir -p -- "$compose_path" || exit 1
				[ -z "${owner_words:-}" ] || chown -- "$owner_words" "$compose_path" || exit 1
			}
		done <"$compose_saved/directories"
		for compose_path in "$compose_saved/files".*; do
			[ ! -e "$compose_path" ] || tar -xf "$compose_path" || exit 1
		done
	)
}

# compose_rollback [FILES]: the previous files and images, brought up again. If files had been sent, what was owed before them is
# owed again: they themselves will be sent once more.
compose_rollback() {
	[ -s "$compose_saved/images" ] || {
		echo "nothing was running before, so there is nothing to go back to" >&2
		return 1
	}
	if [ "${1:-}" = files ]; then
		rm -f -- "$sent"
		[ ! -e "$compose_saved/sent" ] || cp -- "$compose_saved/sent" "$sent" || return 1
	fi
	compose_restore || return 1
	while IFS=' ' read -r compose_id compose_image; do
		case $compose_image in
		sha256:* | *@*) ;;
		*) docker tag "$compose_id" "$compose_image" || return 1 ;;
		esac
	done <"$compose_saved/images"
	compose up -d --no-build --remove-orphans </dev/null >&2 && compose_wait "$wait" || return 1
	[ "${1:-}" = files ] || return 0
	if [ -e "$compose_saved/owed" ]; then cp -- "$compose_saved/owed" "$sent.owed"; else compose_paid; fi
}
