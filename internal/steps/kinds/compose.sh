# Probe and operations of the kind compose. Set before it: project, dir, files (a list of options -f, words of sh), options (more
# of them: --env-file, --profile), update_order (start-first, stop-first or nothing), monitor (seconds), wait. Runs after dockerProbe.

# compose_find: which compose there is, in $compose_how. It is looked for once in a shell.
compose_find() {
	[ -z "${compose_how:-}" ] || return 0
	if compose_version=$(docker compose version --short 2>/dev/null); then
		compose_how=plugin
	elif have docker-compose; then
		compose_how=command
		compose_version=$(docker-compose version --short 2>/dev/null)
	else
		compose_how=none
	fi
}

# compose_fits: fails if compose is too old, or cannot build here what is to be built.
compose_fits() {
	compose_fit=$(printf '%s\n' "$compose_version" | awk -F . -v builds="${compose_builds:-}" '
		{ sub(/^[^0-9]*/, "", $1); major = $1 + 0; minor = $2 + 0 }
		major == 0 { exit }
		major == 1 && minor < 25 || major == 2 && minor < 7 { print "old"; exit }
		major > 2 && builds != "" { print "buildx" }')
	case $compose_fit in
	old) fail "compose $compose_version is too old: this needs docker compose 2.7 or docker-compose 1.25" ;;
	buildx) docker buildx version >/dev/null 2>&1 || need command /usr/libexec/docker/cli-plugins/docker-buildx ;;
	esac
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

# compose_states HASHES CONTAINERS IMAGES FACTS: "service NAME STATE" for each, "count NAME HAVE WANTED" where the numbers of containers
# differ, "shares NAME OTHER", "orphan NAME". HASHES are lines of a service and its hash. FACTS are those of compose_parse, what compose_record
# noted, and "now NAME SUM INSIDE". Without FACTS only the containers matter.
#
# A container is as its configuration says if compose would give it the same label, or if it was brought up with a configuration of
# the same sum. A service that ended with 0 has done its work, unless it is to be restarted always, publishes ports, or is known to have run for
# good. What says of itself that it is a job has.
compose_states() {
	printf '%s\n//containers\n%s\n//images\n%s\n//facts\n%s\n' "$1" "$2" "$3" "${4:-}" | awk '
		function short(id) { sub(/^sha256:/, "", id); return substr(id, 1, 12) }
		function worse(s, new) { if (!(s in rank) || order[new] > order[rank[s]]) rank[s] = new }
		BEGIN { n = split("done up starting inside image changed paused stopped unhealthy restarting failed", w); for (i = 1; i <= n; i++) order[w[i]] = i }
		/^\/\// { part = $0; next }
		NF == 0 { next }
		part == "" { hash[$1] = $2; next }
		part == "//containers" { line[++lines] = $0; next }
		part == "//images" { now[$1] = $2; next }
		$1 == "services" { names[++count] = $2; known[$2] = 1; next }
		$1 == "scale" { wanted[$2] = $3; next }
		$1 == "shares" { shares[++shared] = $0; next }
		$1 == "sum" { noted[$2] = $3; inside[$2] = $4; next }
		$1 == "now" { config[$2] = $3; content[$2] = $4; next }
		$1 == "label" { label[$2, $3] = 1; next }
		{ is[$1, $2] = 1 }
		END {
			for (i = 1; i <= lines; i++) {
				split(line[i], c)
				s = c[2]
				if (count && !(s in known)) { orphan[s] = 1; continue }
				have[s]++
				ended = c[4] == "exited" && c[6] == 0
				state = "up"
				if (c[4] == "restarting") state = "restarting"
				else if (c[4] == "exited" || c[4] == "dead") {
					if (c[6] != 0) state = (("halted", s) in is) ? "stopped" : "failed"
					else if (c[7] != "no" && c[7] != "on-failure" || ("halted", s) in is) state = "stopped"
					else if (("job", s) in is) state = "done"
					else if (("serves", s) in is || ("running", s) in is) state = "stopped"
					else if (("checked", s) in is && !(s in noted)) state = "stopped"
					else state = "done"
				} else if (c[4] == "paused") state = "paused"
				else if (c[4] != "running") state = "stopped"
				else if (c[5] == "unhealthy") state = "unhealthy"
				else if (c[5] == "starting") state = "starting"
				worse(s, state)
				if (!count) continue
				if (c[3] != hash[s] && !((s in noted) && noted[s] == config[s] && (s, c[3]) in label)) worse(s, "changed")
				else if ((c[10] in now) && now[c[10]] != c[9]) { worse(s, "image"); print "cause", s, c[10], short(c[9]) ", now", short(now[c[10]]) }
				else if ((s in inside) && inside[s] != content[s]) worse(s, "inside")
			}
			if (!count) { for (s in rank) print "service", s, rank[s]; exit }
			for (i = 1; i <= count; i++) {
				s = names[i]
				print "service", s, (s in rank) ? rank[s] : (wanted[s] == "0") ? "none" : "absent"
				if (have[s] && wanted[s] ~ /^[0-9]+$/ && have[s] != wanted[s]) print "count", s, have[s], wanted[s]
			}
			for (i = 1; i <= shared; i++) print shares[i]
			for (s in orphan) print "orphan", s
		}' | sort
}

# compose_parse MODE: reads what compose config prints, between the lines of options of compose_sums. The form of that text is always
# the same: two spaces for each level. MODE facts prints what the states hang on: "services NAME", "scale NAME NUMBER", "job NAME" (it
# says so, or others wait for its end), "serves NAME" (it publishes ports), "checked NAME" (it has a health check), "shares NAME OTHER",
# "file NAME WHAT PATH" and "variable NAME WHAT VARIABLE" (where its secrets, configurations and mounts come from); mounts that may be
# written to are "written NAME WHAT PATH"; "order NAME WORD" (what its files say), "inplace NAME RANK WHY" (why its containers cannot be
# two; from 50 on that may be overruled), "depends NAME OTHER", "follows NAME OTHER". MODE sums prints "sum NAME SUM INSIDE", MODE parts "part NAME WHAT SUM".
compose_parse() {
	awk -v mode="$1" -v parts="${2:-}" -v loud=" ${compose_loud:-} " '
		function plain(s) {
			sub(/^[ -]*/, "", s)
			if (s ~ /^'"'"'.*'"'"'$/) { s = substr(s, 2, length(s) - 2); gsub(/'"'"''"'"'/, "'"'"'", s) }
			else if (s ~ /^".*"$/) s = substr(s, 2, length(s) - 2)
			return s
		}
		function value(s) { sub(/^[^:]*: */, "", s); return plain(s) }
		function sum(text) { # prints a line of its own: what was printed before must be out
			fflush()
			printf "%s", salt text | "sha256sum"
			close("sha256sum")
		}
		function mounted(path, readonly) {
			if (path != dir && substr(path, 1, length(dir) + 1) != dir "/") return
			uses[name, ++used[name]] = "mount " path
			if (mode == "facts") print (readonly ? "file" : "written"), name, "mount", path
		}
		function item() { # a volume in the long form has ended
			if (bind != "") mounted(bind, readonly)
			if (type == "volume" && volume == "") inplace(name, 18, "keeps an anonymous volume")
			else if (type !~ /^(|tmpfs|image)$/ && !readonly) inplace(name, 50, "may write to " target)
			bind = ""; readonly = 0; type = ""; volume = ""; target = ""
		}
		function inplace(n, rank, text) { hinders[++hindered] = n " " rank " " text }
		$0 == "//config" { part = "config"; next }
		$0 == "//variables" { item(); part = "variables"; next }
		$0 == "//files" { part = "files"; next }
		part == "" { if (/^salt /) salt = $2; else if (/^dir /) dir = substr($0, 5); next }
		part == "variables" {
			if (/^      [A-Za-z_]/) { variable = $1; sub(/:$/, "", variable) }
			if (/^      /) variables[variable] = variables[variable] $0 "\n"
			next
		}
		part == "files" { f = $0; sub(/^[^ ]* [ *]?/, "", f); sums[++files] = $1; paths[files] = f; next }
		/^[^ ]/ { item(); section = $1; sub(/:.*/, "", section); name = ""; next }
		/^  [^ -]/ {
			item(); name = $0; sub(/:[^:]*$/, "", name); name = plain(name); field = ""
			if (section == "services") { names[++count] = name; scale[name] = 1 }
			next
		}
		section != "services" {
			element[section, name] = element[section, name] $0 "\n"
			if (/^    file: /) source[section, name] = value($0)
			if (/^    name: /) called[section, name] = value($0)
			if (/^    external: true/) external[section, name] = 1
			if (section == "networks" || section == "volumes") { if (!((section, name) in listed)) elements[++parts_of] = section SUBSEP name; listed[section, name] = 1 }
			if (/^    environment: /) fromenv[section, name] = value($0)
			next
		}
		/^    [^ -]/ { item(); field = $1; sub(/:.*/, "", field); key = "" }
		/^      [^ -]/ { key = plain($0); sub(/:.*/, "", key) }
		{
			if (field == "scale") scale[name] = value($0)
			else if (field == "restart") { if (value($0) == "no" || value($0) == "false") job[name] = 1 }
			else if (field == "ports" && /^ *- /) { serves[name] = 1; address = ""; port = "" }
			if (field == "ports") {
				if (/host_ip: /) address = value($0)
				else if (/published: /) port = value($0)
				else if (/protocol: / && port ~ /^[0-9]+$/) published[name, ++ports[name]] = (address == "" ? "-" : address) " " port " " value($0)
			}
			if (field == "healthcheck") { checked[name] = 1; if (/disable: true/) off[name] = 1 }
			else if (field == "deploy" && /^      replicas: /) scale[name] = value($0)
			else if (field == "deploy" && key == "update_config" && /^        order: /) declared[name] = value($0)
			else if (field == "depends_on" && /^        condition: /) { depends[name, ++needs[name]] = key; if (/: service_completed_successfully/) job[key] = 1 }
			else if (field == "depends_on" && /^        restart: true/) follows[name, ++followed[name]] = key
			else if (field == "network_mode" || field == "ipc" || field == "pid") { if (value($0) ~ /^service:/) shares[name, ++shared[name]] = substr(value($0), 9) }
			else if (field == "links" && /^ *- /) { v = plain($0); sub(/:.*/, "", v); inplace(v, 17, name " links to it") }
			else if (field == "networks" && /^        (ipv[46]_address|mac_address|link_local_ips):/) inplace(name, 14, "has a fixed address")
			else if (field == "devices" && /^ *- /) inplace(name, 51, "uses devices")
			else if (field == "volumes_from" && /^ *- / && !/- container:/) { v = plain($0); sub(/:.*/, "", v); shares[name, ++shared[name]] = v }
			else if (field == "volumes" && /^ *- type: /) { item(); type = value($0); isbind = type == "bind" }
			else if (field == "volumes" && /^        source: /) { volume = value($0); if (isbind) bind = volume }
			else if (field == "volumes" && /^        target: /) target = value($0)
			else if (field == "volumes" && /^        read_only: true/) readonly = 1
			else if (field == "volumes" && /^ *- \//) { v = plain($0); readonly = v ~ /:([a-zA-Z]+,)*ro(,[a-zA-Z]+)*$/; sub(/:.*/, "", v); mounted(v, readonly); readonly = 0 }
			else if ((field == "secrets" || field == "configs") && /^ *- source: /) uses[name, ++used[name]] = field " " value($0)
		}
		/^    [^ -]/ {
			if (field == "container_name") inplace(name, 11, "has a container_name")
			else if (field == "network_mode" && value($0) ~ /^(host$|service:|container:)/) inplace(name, 13, "has network_mode " value($0))
			else if (field == "mac_address") inplace(name, 14, "has a fixed address")
			else if (field == "pre_stop") inplace(name, 19, "has pre_stop, which compose alone runs")
		}
		field == "ports" && /^        published: / { v = value($0); if (v != "" && v != "0") inplace(name, 12, "publishes port " v) }
		# What up does not make containers anew for. Some versions do for two of them.
		field ~ /^(build|pull_policy|scale)$/ || (field ~ /^(depends_on|profiles)$/ && index(loud, " " field " ") == 0) || (field == "deploy" && /^      replicas: /) { next }
		{
			block[name] = block[name] $0 "\n"
			what = field
			if (field ~ /^(environment|labels|deploy|healthcheck|build)$/ && key ~ /^[A-Za-z0-9_.-]+$/) what = field "." key
			if (!((name, what) in text)) whats[name, ++whatcount[name]] = what
			text[name, what] = text[name, what] $0 "\n"
		}
		function content(n, i, kind, id, f, all) {
			kind = uses[n, i]; sub(/ .*/, "", kind)
			id = uses[n, i]; sub(/^[^ ]* /, "", id)
			all = kind " " id "\n"
			if (kind != "mount") {
				all = all element[kind, id]
				if ((kind, id) in fromenv) all = all variables[fromenv[kind, id]]
				if (!((kind, id) in source)) return all
				id = source[kind, id]
			}
			for (f = 1; f <= files; f++) if (paths[f] == id || substr(paths[f], 1, length(id) + 1) == id "/") all = all sums[f] " " paths[f] "\n"
			return all
		}
		END {
			item()
			if (mode == "facts") for (i = 1; i <= parts_of; i++) {
				split(elements[i], u, SUBSEP)
				if (elements[i] in called) print substr(u[1], 1, length(u[1]) - 1), u[2], called[elements[i]], (elements[i] in external) ? "external" : "own"
			}
			for (c = 1; c <= count; c++) {
				n = names[c]
				if (n !~ /^[A-Za-z0-9._-]+$/) continue
				if (mode == "facts") {
					print "services", n
					print "scale", n, scale[n]
					if (job[n]) print "job", n
					if (serves[n]) print "serves", n
					if (scale[n] != "0") for (i = 1; i <= ports[n]; i++) print "port", published[n, i]
					if (checked[n] && !off[n]) print "checked", n
					for (i = 1; i <= shared[n]; i++) {
						print "shares", n, shares[n, i]
						inplace(n, 15, "uses what is of " shares[n, i])
						inplace(shares[n, i], 16, n " uses what is of it")
					}
					if (n in declared) print "order", n, declared[n]
					for (i = 1; i <= needs[n]; i++) print "depends", n, depends[n, i]
					for (i = 1; i <= followed[n]; i++) print "follows", n, follows[n, i]
					if (job[n]) inplace(n, 10, "runs to its end")
					for (i = 1; i <= used[n]; i++) {
						split(uses[n, i], u, " ")
						if (u[1] == "mount") continue
						if ((u[1], u[2]) in source) print "file", n, u[1], source[u[1], u[2]]
						if ((u[1], u[2]) in fromenv) print "variable", n, u[1], fromenv[u[1], u[2]]
					}
				} else if (mode == "sums") {
					all = ""
					for (i = 1; i <= used[n]; i++) all = all content(n, i)
					print "sum", n; sum(n block[n]); sum(n all)
				} else if (index(" " parts " ", " " n " ")) {
					for (i = 1; i <= whatcount[n]; i++) { print "part", n, whats[n, i]; sum(n text[n, whats[n, i]]) }
					for (i = 1; i <= used[n]; i++) {
						w = uses[n, i]
						if (index(w, "mount " dir "/") == 1) w = "mount " substr(w, length(dir) + 8)
						sub(/^secrets /, "secret ", w); sub(/^configs /, "config ", w)
						print "part", n, w
						sum(n content(n, i))
					}
				}
			}
			if (mode == "facts") for (i = 1; i <= hindered; i++) print "inplace", hinders[i]
		}' | awk '
			# A sum follows on a line of its own, or two do.
			/^(sum|part) / { if (line != "") print line; line = $0; next }
			line != "" { sub(/ .*/, ""); line = line "\t" $0; next }
			{ print }
			END { if (line != "") print line }'
}

# compose_document: what compose_parse reads, of compose_text, compose_salt, compose_values and compose_files.
compose_document() {
	printf 'salt %s\ndir %s\n//config\n%s\n' "${compose_salt:-}" "$dir" "$compose_text"
	printf '//variables\n%s\n//files\n%s\n' "${compose_values:-}" "${compose_files:-}"
}

# compose_contents: sets compose_values and compose_files to what the hash of compose leaves out: the values of variables that are
# secrets or configurations, and the sums of files that are mounted. What a container may have written itself does not count: where
# it can, only what was sent does.
compose_contents() {
	compose_values=
	compose_list=$(printf '%s\n' "$compose_facts" | awk '$1 == "variable" { print $4 }' | sort -u)
	if [ -n "$compose_list" ]; then
		# The only one who knows how compose finds a value is compose.
		compose_values=$(
			cd -- "$dir" && eval "set -- $files" && compose_first=${2:-.}
			case $compose_first in */*) compose_first=${compose_first%/*} ;; *) compose_first=. ;; esac
			eval "set -- $options"
			{
				printf 'services:\n  values:\n    image: none\n    environment:\n'
				for compose_name in $compose_list; do printf '      %s: "${%s-}"\n' "$compose_name" "$compose_name"; done
			} | docker compose -p "$project" --project-directory "$compose_first" -f - "$@" config 2>/dev/null
		)
	fi
	compose_files=$({
		printf '%s\n' "$compose_facts"
		echo //sent
		[ ! -e "$sent" ] || cat -- "$sent"
	} | awk -v dir="$dir" '
		function within(path, top) { return path == top || substr(path, 1, length(top) + 1) == top "/" }
		$0 == "//sent" { sent = 1; next }
		!sent && ($1 == "file" || $1 == "written") {
			kind = $1; what = $3
			sub(/^[^ ]+ [^ ]+ [^ ]+ /, "")
			if (kind == "written") written[++writes] = $0
			else if (what == "mount") reads[++read] = $0
			else print "own " $0
			tops[++top] = $0
			next
		}
		sent && /^[fxs] / {
			sub(/^[^ ]+ [^ ]+ /, "")
			path = dir "/" $0
			for (i = 1; i <= top; i++) if (within(path, tops[i])) { print "own " path; break }
			any = 1
		}
		END {
			for (i = 1; i <= read; i++) {
				for (w = 1; w <= writes; w++) if (within(reads[i], written[w]) || within(written[w], reads[i])) break
				if (w > writes) print any ? "own" : "all", reads[i]
			}
		}' | sort -u | while IFS=' ' read -r compose_how_much compose_path; do
		if [ -f "$compose_path" ]; then
			printf '%s\n' "$compose_path"
		elif [ "$compose_how_much" = all ] && [ -d "$compose_path" ]; then
			find "$compose_path" -type f -size -2048 | sort | head -n 500
		fi
	done | tr '\n' '\0' | xargs -0 sha256sum 2>/dev/null | awk '!seen[$0]++')
}

# compose_sums MODE [SERVICES]: what compose_parse says in a mode, with salt.
compose_sums() { compose_document | compose_parse "$@"; }

# compose_belongings [volumes]: "belongs service NAME", "belongs network NAME" and so on, for what goes with the project.
compose_belongings() {
	docker ps -a --filter "label=com.docker.compose.project=$project" --format 'belongs service {{.Label "com.docker.compose.service"}}' || return 1
	for compose_kind in network "$@"; do
		docker "${compose_kind%s}" ls --filter "label=com.docker.compose.project=$project" --format "belongs ${compose_kind%s} {{.Name}}" || return 1
	done
}

# compose_hear: sets compose_loud to the fields for whose sake this compose makes new containers, and another version does not (2.26 and 2.40).
compose_hear() {
	compose_loud=
	[ "$compose_how" = plugin ] || return 0
	for compose_field in '' 'depends_on: [b]' 'profiles: [p]'; do
		compose_one=$(printf 'services:\n  b:\n    image: x\n  a:\n    image: x\n    %s\n' "$compose_field" |
			docker compose -p provision --profile p --env-file /dev/null -f - config --hash a 2>/dev/null) || return 0
		[ -n "$compose_field" ] || compose_none=$compose_one
		[ "$compose_one" = "$compose_none" ] || compose_loud="$compose_loud${compose_loud:+ }${compose_field%%:*}"
	done
}

# compose_record: notes with what the services were brought up: salted sums of their configuration and contents, and the labels that
# compose gave their containers. After compose_bring has set compose_text and compose_facts.
compose_record() {
	compose_salt=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n') && [ -n "$compose_salt" ] || return 1
	compose_contents
	compose_hear
	compose_all=$(compose_containers) || return 1
	(umask 077 && {
		printf 'salt %s\n' "$compose_salt"
		for compose_field in $compose_loud; do printf 'loud %s\n' "$compose_field"; done
		compose_sums sums
		compose_sums parts "$(printf '%s\n' "$compose_facts" | awk '$1 == "services" { printf "%s ", $2 }')"
		printf '%s\n' "$compose_all" | awk 'NF { print "label", $2, $3 }' | sort -u
	} >"$sent.up.new" && mv -f -- "$sent.up.new" "$sent.up" && {
		[ -z "${compose_project:-}" ] || printf '%s\n' "$compose_project" >"$sent.project"
	})
}

# compose_running WORD: notes which services run, as "WORD SERVICE".
compose_running() {
	compose_all=$(compose_containers) || return 1
	(umask 077 && mkdir -p -- "${sent%/*}" && {
		[ ! -e "$sent.up" ] || cat -- "$sent.up"
		printf '%s\n' "$compose_all" | awk -v word="$1" '$4 == "running" || $4 == "paused" || $4 == "restarting" { print word, $2 }' | sort -u
	} >"$sent.up.new" && mv -f -- "$sent.up.new" "$sent.up")
}

# compose_stale: the services whose contents are others than those with which they were brought up.
compose_stale() {
	[ -e "$sent.up" ] || return 0
	compose_salt=$(awk '$1 == "salt" { print $2; exit }' "$sent.up")
	compose_loud=$(awk '$1 == "loud" { printf "%s ", $2 }' "$sent.up")
	compose_contents
	{ cat -- "$sent.up" && echo //now && compose_sums sums; } | awk -F '[ \t]' '
		$0 == "//now" { now = 1; next }
		$1 != "sum" { next }
		!now { was[$2] = $4; next }
		($2 in was) && was[$2] != $4 { print $2 }'
}

# compose_bring OPTIONS…: up with these options; services named in compose_again, and those whose contents changed, get new containers
# even where compose sees no reason.
compose_bring() {
	compose_mend || return 1
	compose_text=$(compose config 2>/dev/null) || return 1
	compose_facts=$(compose_document | compose_parse facts)
	compose_again="${compose_again:-} $(compose_stale)" || return 1
	# What is noted of the project is of what runs; while that is neither the old one nor the new one, nothing is.
	[ -z "${compose_saved:-}" ] || [ ! -e "$sent.project" ] || mv -f -- "$sent.project" "$compose_saved/project" || return 1
	rm -f -- "$sent.project"
	compose_rest=all
	# The networks of compose_networks cannot be there twice.
	if [ -n "${compose_networks:-}" ]; then compose_unnet || return 1; else compose_beside "$@" || return 1; fi
	compose_before_up=$(compose_containers | awk '{ print $1, $2 }') || return 1
	case $compose_rest in
	'') ;;
	all) compose up -d "$@" || return 1 ;;
	# shellcheck disable=SC2086
	*) compose up -d "$@" $compose_rest || return 1 ;;
	esac
	compose_again=$({
		printf '%s\n' "$compose_before_up"
		echo //now
		compose_containers
	} | awk -v names=" $(printf '%s ' $compose_again)" '
		$0 == "//now" { now = 1; next }
		!now { was[$1] = 1; next }
		($1 in was) && index(names, " " $2 " ") && !seen[$2]++ { print $2 }')
	if [ -n "$compose_again" ]; then
		# shellcheck disable=SC2086
		compose up -d --no-deps --force-recreate --no-build $compose_again || return 1
		compose_again=$(compose_sharing $compose_again)
		# shellcheck disable=SC2086
		[ -z "$compose_again" ] || compose up -d --no-deps --no-build $compose_again || return 1
	fi
	compose_again=
	compose_record
}

# compose_beside OPTIONS…: replaces the containers of services that are to be updated start-first, and brings up what they depend on. Those
# that come are steady for a while before the old ones go; if they are not, they go, and the old ones stay. Sets compose_rest to what up
# has still to bring up: all, nothing, or operands.
compose_beside() {
	compose_rest=all
	[ "${compose_candidates-all}" != "" ] || return 0
	compose_find
	compose_told=
	compose_kept=
	compose_all=$(compose_containers) || return 1
	compose_ordered=$(compose_orders | awk -v names=" ${compose_candidates-all} " '$1 == "order" && $3 == "start-first" && (names == " all " || index(names, " " $2 " ")) { print "first", $2 }')
	[ -n "$compose_ordered" ] || return 0
	compose_judge || return 1
	compose_sequence=$(printf '%s\n%s\n%s\n//containers\n%s\n' "$compose_facts" "$compose_ordered" "$compose_found" "$compose_all" | compose_sequence "$compose_again" "$*")
	[ -n "$compose_sequence" ] || return 0
	(umask 077 && printf '%s\n' "$compose_sequence" | sed -n '/^old /p' >"$sent.beside.new" && mv -f -- "$sent.beside.new" "$sent.beside") || return 1
	if ! compose_start "$@"; then
		compose_new=$(compose_added)
		compose_logs
		compose_told=yes
		compose_again=
		# shellcheck disable=SC2086
		compose_drop $compose_new && rm -f -- "$sent.beside" || return 1
		compose_kept=", and what ran before serves on"
		return 1
	fi
	echo over >>"$sent.beside" || return 1
	# shellcheck disable=SC2046
	compose_drop $(compose_in_sequence old | awk '{ print $2 }') || return 1
	rm -f -- "$sent.beside"
	compose_again=$(compose_in_sequence again)
	compose_rest=$(compose_in_sequence rest)
	[ -n "$compose_rest" ] || return 0
	# Jobs would run twice. But the hash of some versions has what a service depends on, so all of it must be named.
	[ -z "$(compose_in_sequence jobs)" ] || compose_hear
	case "$(compose_in_sequence jobs):$compose_loud" in :* | *depends_on*) compose_rest=all ;; *) compose_rest="--no-deps $compose_rest" ;; esac
}

# compose_in_sequence WORD: the rest of the lines of compose_sequence that begin with it.
compose_in_sequence() { printf '%s\n' "$compose_sequence" | sed -n "s/^$1 //p"; }

# compose_sequence AGAIN OPTIONS: what is to be done so that containers are replaced start-first: "old SERVICE ID", "up SERVICE…" (what they
# depend on, and is replaced or started itself), "force SERVICE…" (the same, where compose sees no reason), "jobs SERVICE…" and "anew SERVICE…" (those of them that get new containers), "first
# SERVICE=NUMBER…" (and those that are to stay while what they depend on is replaced), "again SERVICE…" and "rest SERVICE…" (if there is something to do). Nothing if none are. Reads the facts, "first
# SERVICE" and the states of services, and their containers.
compose_sequence() {
	awk -v again=" $(printf '%s ' $1)" -v orphans="$(case $2 in *--remove-orphans*) echo yes ;; esac)" '
		$0 == "//containers" { part = 1; next }
		part { if (NF) { old[++olds] = $2 " " $1; have[$2]++ } next }
		$1 == "services" { names[++count] = $2; known[$2] = 1 }
		$1 == "scale" { scale[$2] = $3 + 0 }
		$1 == "job" { job[$2] = 1 }
		$1 == "first" { may[$2] = 1 }
		$1 == "service" { state[$2] = $3 }
		$1 == "count" { rescaled[$2] = 1 }
		$1 == "orphan" { orphan = 1 }
		$1 == "depends" { edge[++edges] = $2 " " $3 }
		$1 == "follows" { follower[++followers] = $2 " " $3 }
		function renewed(s) { return state[s] ~ /^(changed|image|inside)$/ || index(again, " " s " ") }
		function forced(s) { return state[s] == "inside" || index(again, " " s " ") }
		function troubled(s) { return state[s] ~ /^(paused|stopped|unhealthy|restarting|failed)$/ }
		function below(set, i, e, more) { # with all that these services depend on
			for (more = 1; more;) {
				more = 0
				for (i = 1; i <= edges; i++) {
					split(edge[i], e, " ")
					if ((e[1] in set) && (e[2] in known) && !(e[2] in set)) set[e[2]] = more = 1
				}
			}
		}
		function list(word, set, i, line) {
			line = word
			for (i = 1; i <= count; i++) if (names[i] in set) line = line " " names[i]
			if (line != word) print line
		}
		function disturbed(s, i) { # compose 2.26 replaces what depends on something that it replaces
			if (!(s in may) || !have[s] || scale[s] == 0 || (s in first)) return 0
			split("", under)
			under[s] = 1
			below(under)
			for (i in under) if (i != s && have[i] && (renewed(i) || troubled(i))) return 1
			return 0
		}
		function find(i, s, f, more) { # those that are replaced start-first, what they need, and what of that is replaced too
			split("", first); split("", needed); split("", before); split("", anew); split("", kept)
			for (i = 1; i <= count; i++) {
				s = names[i]
				if ((s in may) && have[s] && scale[s] > 0 && renewed(s)) first[s] = 1
			}
			for (more = 1; more;) {
				for (i = 1; i <= count; i++) if (disturbed(names[i])) kept[names[i]] = needed[names[i]] = 1; else delete kept[names[i]]
				for (s in first) needed[s] = 1
				below(needed)
				for (s in needed) if (!(s in first) && !(s in kept) && !(s in job) && have[s] && (renewed(s) || troubled(s))) before[s] = 1
				more = 0
				for (i = 1; i <= followers; i++) {
					split(follower[i], f, " ")
					if (!(f[2] in first) && !(f[2] in before) && !(f[2] in anew) || !have[f[1]] || (f[1] in first) || (f[1] in before) || (f[1] in anew)) continue
					if ((f[1] in may) && scale[f[1]] > 0) first[f[1]] = 1
					else anew[f[1]] = 1
					more = 1
				}
			}
			split("", under)
			for (s in before) under[s] = 1
			below(under)
			more = 0
			for (s in under) if (s in first) { delete may[s]; more = 1 }
			return more
		}
		END {
			while (find()) continue
			for (s in first) any = 1
			for (s in kept) any = 1
			if (!any) exit
			for (i = 1; i <= olds; i++) { split(old[i], o, " "); if (o[1] in first) print "old", old[i] }
			split("", anyhow); split("", usual); split("", jobs); split("", remade); split("", rest)
			for (s in before) if (forced(s)) anyhow[s] = 1; else usual[s] = 1
			list("up", usual)
			list("force", anyhow)
			for (s in needed) if (s in job) { jobs[s] = 1; if (renewed(s) || troubled(s)) remade[s] = 1 }
			list("jobs", jobs)
			list("anew", remade)
			line = "first"
			for (i = 1; i <= count; i++) if (names[i] in first) line = line " " names[i] "=" (scale[names[i]] + have[names[i]])
			else if (names[i] in kept) line = line " " names[i] "=" scale[names[i]]
			print line
			for (i = 1; i <= count; i++) {
				s = names[i]
				if (index(again, " " s " ") && !(s in first) && !(s in before) && !(s in jobs)) anew[s] = 1
				if ((s in first) || (s in before) || (s in needed)) continue
				rest[s] = 1
				if (state[s] !~ /^(up|none)$/ || (s in rescaled)) todo = 1
			}
			list("again", anew)
			if (todo || orphan && orphans != "") list("rest", rest)
		}'
}

# compose_start OPTIONS…: goes through compose_sequence until the new containers have been steady for a while.
compose_start() {
	compose_options=
	for compose_option in "$@"; do
		[ "$compose_option" = --remove-orphans ] || compose_options="$compose_options $compose_option"
	done
	compose_names=$(compose_in_sequence up)
	# shellcheck disable=SC2086
	[ -z "$compose_names" ] || compose up -d $compose_options $compose_names || return 1
	compose_names=$(compose_in_sequence force)
	# shellcheck disable=SC2086
	[ -z "$compose_names" ] || compose up -d --force-recreate $compose_options $compose_names || return 1
	for compose_name in $(compose_in_sequence anew); do
		# shellcheck disable=SC2046
		set -- $(printf '%s\n' "$compose_all" | awk -v s="$compose_name" '$2 == s && $4 != "running" { print $1 }')
		[ $# -eq 0 ] || docker rm "$@" >/dev/null || return 1
	done
	compose_names=
	for compose_name in $(compose_in_sequence first); do
		compose_names="--scale $compose_name $compose_names ${compose_name%=*}"
	done
	# shellcheck disable=SC2086
	compose up -d --no-recreate $compose_options $compose_names || return 1
	compose_new=$(compose_added)
	[ -s "$sent.beside" ] || return 0
	[ -n "$compose_new" ] || return 1
	# shellcheck disable=SC2086
	compose_watch "$wait" $compose_new
}

# compose_added: the containers that stand beside those of the note.
compose_added() {
	compose_all=$(compose_containers) || return 1
	{ cat -- "$sent.beside" && echo //now && printf '%s\n' "$compose_all"; } | awk '
		$0 == "//now" { now = 1; next }
		!now { if ($1 == "old") { old[$3] = 1; of[$2] = 1 } next }
		($2 in of) && !($1 in old) { print $1 }'
}

# compose_drop ID…: stops containers as long as their services allow, and removes them.
compose_drop() {
	[ $# -gt 0 ] || return 0
	docker stop "$@" >/dev/null 2>&1
	docker rm -f "$@" >/dev/null 2>&1
	for compose_id in "$@"; do
		! docker inspect --type container "$compose_id" >/dev/null 2>&1 || {
			echo "the container $compose_id could not be removed" >&2
			return 1
		}
	done
}

# compose_watch SECONDS ID…: until these containers are healthy, or run, for $monitor seconds without a break.
compose_watch() {
	compose_limit=$(($1 + monitor))
	shift
	compose_steady=0
	compose_waited=0
	compose_seen=0
	while :; do
		compose_now=$(docker inspect --type container --format '{{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{else}}-{{end}} {{.RestartCount}}' "$@" 2>/dev/null) || return 1
		case $compose_now in *exited* | *dead* | *unhealthy*) return 1 ;; esac
		compose_restarts=$(printf '%s\n' "$compose_now" | awk '{ n += $3 } END { print n + 0 }')
		[ "$compose_restarts" -lt 3 ] || return 1
		if [ "$compose_restarts" -gt "$compose_seen" ]; then compose_steady=0; fi
		compose_seen=$compose_restarts
		case $compose_now in
		*restarting* | *starting* | *created* | *paused*) compose_steady=0 ;;
		*) compose_steady=$((compose_steady + 1)) ;;
		esac
		[ "$compose_steady" -le "$monitor" ] || return 0
		[ "$compose_waited" -lt "$compose_limit" ] || return 1
		sleep 1
		compose_waited=$((compose_waited + 1))
	done
}

# compose_mend: ends what an earlier program began and did not get done: if the new containers had been found good, the old ones go. If not,
# the new ones go, as long as an old one runs.
compose_mend() {
	[ -e "$sent.beside" ] || return 0
	if grep -qx over "$sent.beside"; then
		# shellcheck disable=SC2046
		compose_drop $(awk '$1 == "old" { print $3 }' "$sent.beside") || return 1
	else
		compose_all=$(compose_containers) || return 1
		# shellcheck disable=SC2046
		compose_drop $({ cat -- "$sent.beside" && echo //now && printf '%s\n' "$compose_all"; } | awk '
			$0 == "//now" { now = 1; next }
			!now { if ($1 == "old") { old[$3] = 1; of[$2] = 1 } next }
			!($2 in of) { next }
			($1 in old) { if ($4 == "running") serves[$2] = 1; next }
			{ new[++lines] = $1; service[lines] = $2 }
			END { for (i = 1; i <= lines; i++) if (service[i] in serves) print new[i] }') || return 1
	fi
	rm -f -- "$sent.beside"
}

# compose_unnet: removes the networks in compose_networks, which are to be made with other settings; not every version does (2.26 does not).
compose_unnet() {
	for compose_network in ${compose_networks:-}; do
		docker network inspect "$compose_network" >/dev/null 2>&1 || continue
		for compose_id in $(docker ps -aq --filter "network=$compose_network" --filter "label=com.docker.compose.project=$project"); do
			docker network disconnect -f "$compose_network" "$compose_id" || return 1
		done
		docker network rm "$compose_network" >/dev/null || {
			echo "the network $compose_network has other settings now, and cannot be made anew while others use it" >&2
			return 1
		}
	done
	compose_networks=
}

# compose_sharing SERVICE…: the services that use the network, processes or volumes of these, by compose_facts.
compose_sharing() {
	printf '%s\n' "$compose_facts" | awk -v names="$*" '
		BEGIN { n = split(names, w, " "); for (i = 1; i <= n; i++) of[w[i]] = 1 }
		$1 == "shares" { from[++lines] = $2; to[lines] = $3 }
		END {
			for (again = 1; again;) {
				again = 0
				for (i = 1; i <= lines; i++) if ((to[i] in of) && !(from[i] in of)) { of[from[i]] = again = 1; print from[i] }
			}
		}'
}

# compose_causes: "cause SERVICE WHAT" for services that were brought up with something else. Their names are operands.
compose_causes() {
	{ printf '%s\n' "$compose_noted" && echo //now && compose_sums parts "$*"; } | awk -F '\t' -v names=" $* " '
		$0 == "//now" { now = 1; next }
		!/^part / { next }
		{ n = $1; sub(/^part /, "", n); s = n; sub(/ .*/, "", s); if (!index(names, " " s " ")) next }
		!now { was[n] = $2; any[s] = 1; next }
		!any[s] { next }
		!(n in was) || was[n] != $2 { print "cause", n }
		{ delete was[n] }
		END { for (n in was) print "cause", n }' | sort | awk '++lines <= 20'
}

# compose_outside: what of the host the project needs and makes, from the lines "port ADDRESS NUMBER PROTOCOL", "network KEY NAME own" and
# "volume KEY NAME external" on the standard input: "network KEY NAME" and "volume KEY NAME" for what up makes, and as missing what is external
# and not there, and the ports that another container or a process has. After compose_look has set compose_all.
compose_outside() {
	compose_needs=$(sort -u)
	for compose_kind in network volume; do
		compose_named=$(printf '%s\n' "$compose_needs" | awk -v kind="$compose_kind" '$1 == kind { print $3 }')
		[ -n "$compose_named" ] || continue
		# shellcheck disable=SC2086
		compose_there=$(docker $compose_kind inspect --format '{{.Name}}' $compose_named 2>/dev/null)
		printf '%s\n' "$compose_needs" | while IFS=' ' read -r compose_what compose_key compose_name compose_how_much; do
			[ "$compose_what" = "$compose_kind" ] || continue
			case "
$compose_there
" in
			*"
$compose_name
"*) continue ;;
			esac
			if [ "$compose_how_much" = external ]; then need "$compose_kind" "$compose_name"; else say "$compose_kind" "$compose_key $compose_name"; fi
		done
	done
	printf '%s\n' "$compose_needs" | grep -q '^port ' || return 0
	compose_taken=$(docker ps --format '{{if eq (.Label "com.docker.compose.project") "'"$project"'"}}own{{else}}other{{end}} {{.Names}} {{.Ports}}' 2>/dev/null) || return 0
	for compose_table in tcp tcp6 udp udp6; do sed "s/^/socket $compose_table /" "/proc/net/$compose_table" 2>/dev/null; done |
		awk -v needs="$compose_needs" -v taken="$compose_taken" '
		function hex(s, i, n) { n = 0; for (i = 1; i <= length(s); i++) n = n * 16 + index("0123456789ABCDEF", substr(s, i, 1)) - 1; return n }
		function clash(a, b) { return a == "any" || b == "any" || a == b }
		BEGIN {
			n = split(needs, line, "\n")
			for (i = 1; i <= n; i++) {
				split(line[i], w, " ")
				if (w[1] != "port") continue
				if (w[2] == "-" || w[2] == "0.0.0.0" || w[2] == "::") w[2] = "any"
				else if (split(w[2], o, ".") == 4) w[2] = sprintf("%02X%02X%02X%02X", o[4], o[3], o[2], o[1])
				want[++wants] = w[2]; port[wants] = w[3]; protocol[wants] = w[4]
			}
			n = split(taken, line, "\n")
			for (i = 1; i <= n; i++) {
				m = split(line[i], w, /[ ,]+/)
				for (j = 3; j <= m; j++) {
					if (w[j] !~ /->/) continue
					p = w[j]; sub(/->.*/, "", p); address = p; sub(/.*:/, "", p); sub(/:[^:]*$/, "", address)
					how = w[j]; sub(/.*\//, "", how)
					address = (address == "0.0.0.0" || address == "[::]" || address == "::") ? "any" : address
					if (split(address, o, ".") == 4) address = sprintf("%02X%02X%02X%02X", o[4], o[3], o[2], o[1])
					split(p, range, "-")
					if (range[2] == "") range[2] = range[1]
					for (q = range[1] + 0; q <= range[2] + 0; q++) {
						docker[q, how] = 1
						if (w[1] == "other") for (k = 1; k <= wants; k++) if (port[k] == q && protocol[k] == how && clash(want[k], address)) held[q "/" how] = "container " w[2]
					}
				}
			}
		}
		$1 == "socket" && $4 ~ /:/ {
			how = substr($2, 1, 3)
			if (how == "tcp" && $6 != "0A" || how == "udp" && $5 !~ /:0000$/) next
			split($4, a, ":")
			q = hex(a[2])
			if ((q, how) in docker) next
			address = a[1] ~ /^0+$/ ? "any" : a[1]
			for (k = 1; k <= wants; k++) if (port[k] == q && protocol[k] == how && clash(want[k], address)) process[q "/" how] = $12
		}
		END {
			for (h in held) print h, "-", held[h]
			for (p in process) if (!(p in held)) print p, process[p], "a process"
		}' | sort | while IFS=' ' read -r compose_port compose_inode compose_who; do
		if [ "$compose_inode" != - ]; then
			compose_pid=$(find /proc/[0-9]*/fd -lname "socket:\[$compose_inode\]" 2>/dev/null | sed -n '1s,^/proc/\([0-9]*\)/.*,\1,p')
			if [ -n "$compose_pid" ]; then
				# One with the network of the host may be of the project itself.
				compose_of=$(grep -o '[0-9a-f]\{64\}' "/proc/$compose_pid/cgroup" 2>/dev/null | tail -n 1)
				case " $(printf '%s ' $compose_all)" in *" ${compose_of:-none} "*) continue ;; esac
				compose_who="process $(cat "/proc/$compose_pid/comm" 2>/dev/null)"
			fi
		fi
		need port "$compose_port ($compose_who has it)"
	done
}

# compose_hashes: "SERVICE HASH", as compose up would label the containers, where that can be told. config --hash of the plugin leaves
# environment files out (seen in 2.26), so it is asked about the configuration that it prints, where they are resolved; it does not
# take all that it prints.
compose_hashes() {
	if [ "$compose_how" = plugin ]; then
		(cd -- "$dir" && eval "set -- $options" && printf '%s\n' "$compose_text" | docker compose -p "$project" -f - "$@" config --hash '*' 2>/dev/null)
	else
		compose config --hash '*' 2>/dev/null
	fi | awk 'NF == 2 && $2 ~ /^[0-9a-f]+$/ && length($2) == 64' # warnings about variables are mixed in
}

# compose_judge: sets compose_found to the state of every service, from compose_text, compose_facts and compose_all.
compose_judge() {
	compose_noted=
	compose_now=
	compose_loud=
	if [ -e "$sent.up" ]; then
		compose_noted=$(cat -- "$sent.up") || return 1
		compose_salt=$(printf '%s\n' "$compose_noted" | awk '$1 == "salt" { print $2; exit }')
		compose_loud=$(printf '%s\n' "$compose_noted" | awk '$1 == "loud" { printf "%s ", $2 }')
		compose_contents
		compose_now=$(compose_sums sums | sed 's/^sum/now/')
	fi
	compose_found=$(compose_states "$(compose_hashes)" "$compose_all" "$(printf '%s\n' "$compose_all" | awk NF | compose_images)" "$compose_facts$NL$compose_noted$NL$compose_now")
}

# compose_hinders: "inplace NAME RANK WHY" for services whose containers here cannot be replaced by others beside them.
compose_hinders() {
	case $compose_version in 1.* | v1.*) printf '%s\n' "$compose_facts" | awk '$1 == "services" { print "inplace", $2, 1, "docker-compose 1 is there" }' ;; esac
	printf '%s\n' "$compose_all" | awk 'NF && $4 != "running" { print "inplace", $2, 20, "not all of its containers run" }' | sort -u
	# shellcheck disable=SC2046
	set -- $(printf '%s\n' "$compose_all" | awk '{ print $1 }')
	[ $# -eq 0 ] || docker inspect --type container --format '{{index .Config.Labels "com.docker.compose.service"}}{{range .Mounts}}{{if eq .Type "volume"}} {{.Name}}{{end}}{{end}}' "$@" 2>/dev/null |
		awk '{ for (i = 2; i <= NF; i++) if (length($i) == 64 && $i ~ /^[0-9a-f]+$/) { print "inplace", $1, 18, "keeps an anonymous volume"; next } }' | sort -u
}

# compose_orders: "order NAME start-first" or "order NAME stop-first WHY" for the services whose order somebody has set. What hangs on the
# containers that are there is told as hinders too: the files may be about to change.
compose_orders() {
	[ "$update_order" != stop-first ] || return 0
	[ -n "$update_order${compose_asks:-}" ] || printf '%s\n' "$compose_facts" | grep -q '^order .* start-first$' || return 0
	compose_hindered=$(compose_hinders)
	printf '%s\n%s\n' "$compose_facts" "$compose_hindered" | awk -v order="$update_order" '
		$1 == "services" { names[++count] = $2 }
		$1 == "order" { declared[$2] = $3 }
		$1 == "inplace" { hinders[++lines] = $0 }
		END {
			for (i = 1; i <= lines; i++) {
				split(hinders[i], w, " ")
				s = w[2]
				if (w[3] >= 50 && declared[s] == "start-first") continue
				if ((s in rank) && rank[s] <= w[3] + 0) continue
				rank[s] = w[3] + 0
				why[s] = hinders[i]
				sub(/^[^ ]+ [^ ]+ [^ ]+ /, "", why[s])
			}
			for (i = 1; i <= count; i++) {
				s = names[i]
				if (declared[s] == "stop-first") print "order", s, "stop-first its files say so"
				else if (order != "start-first" && declared[s] != "start-first") continue
				else if (s in rank) print "order", s, "stop-first", why[s]
				else print "order", s, "start-first"
			}
		}'
	[ -z "$compose_hindered" ] || printf '%s\n' "$compose_hindered" | sed 's/^inplace/hinders/'
}

# compose_look: the state of every service.
compose_look() {
	compose_all=$(compose_containers) || fail "the containers of $project could not be listed"
	compose_find
	compose_fits || return 1
	# Its output holds the environment, so what it says about mistakes is asked for apart.
	compose_text=$(compose config 2>/dev/null)
	case $? in
	0) ;;
	125)
		need command 'docker-compose or /usr/libexec/docker/cli-plugins/docker-compose'
		return 0
		;;
	*)
		# The files may be about to be replaced.
		compose config --quiet 2>&1 | tail -n 3 >&2
		say config broken
		[ -z "$compose_all" ] || say containers yes
		return 0
		;;
	esac
	if [ -z "${compose_builds:-}" ] && [ -n "${compose_building:-}" ] && printf '%s\n' "$compose_text" | grep -q '^    build:'; then
		compose_builds=yes
		compose_fits || return 1
	fi
	compose_facts=$(compose_document | compose_parse facts)
	[ -n "$compose_facts" ] || fail "compose names no service of $project: it needs docker compose 2.7 or docker-compose 1.25"
	compose_judge || fail "$sent.up could not be read"
	for compose_field in $compose_loud; do say loud "$compose_field"; done
	printf '%s\n' "$compose_found"
	compose_orders
	[ -n "${compose_wanted:-}" ] || printf '%s\n' "$compose_facts" | awk '$1 == "port" || $1 == "network" || $1 == "volume"' | compose_outside
	compose_changed=$(printf '%s\n' "$compose_found" | awk '$1 == "service" && ($3 == "changed" || $3 == "inside") { print $2 }')
	# shellcheck disable=SC2086
	[ -z "$compose_changed" ] || [ -z "$compose_noted" ] || compose_causes $compose_changed
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
	[ -z "${compose_told:-}" ] || return 0
	compose_all=$(compose_containers)
	printf '%s\n' "$compose_all" | awk -v new=" $(printf '%s ' ${compose_new:-})" '
		NF && !($4 == "running" && ($5 == "-" || $5 == "healthy") && $8 == 0) && !($4 == "exited" && $6 == 0 && !index(new, " " $1 " ")) && !($4 == "created" && index(new, " " $1 " "))' |
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
	compose_project=
	[ ! -e "$compose_saved/project" ] || compose_project=$(cat -- "$compose_saved/project") || return 1
	compose_bring --no-build --remove-orphans </dev/null >&2 && compose_wait "$wait" || return 1
	[ "${1:-}" = files ] || return 0
	if [ -e "$compose_saved/owed" ]; then cp -- "$compose_saved/owed" "$sent.owed"; else compose_paid; fi
}
