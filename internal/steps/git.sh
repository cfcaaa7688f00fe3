# git without questions, for probes and operations. GIT_KEY and GIT_HOSTS may name files on the
# host: the private key, and known_hosts.
GIT_TERMINAL_PROMPT=0 GIT_OPTIONAL_LOCKS=0 GIT_ASKPASS=/bin/true SSH_ASKPASS=/bin/true
export GIT_TERMINAL_PROMPT GIT_OPTIONAL_LOCKS GIT_ASKPASS SSH_ASKPASS
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE

# git_ssh: sets up ssh as git shall call it.
git_ssh() {
	GIT_SSH_COMMAND="ssh -o BatchMode=yes -o ConnectTimeout=20"
	[ -z "${GIT_KEY:-}" ] || GIT_SSH_COMMAND="$GIT_SSH_COMMAND -i '$GIT_KEY' -o IdentitiesOnly=yes"
	[ -z "${GIT_HOSTS:-}" ] || GIT_SSH_COMMAND="$GIT_SSH_COMMAND -o UserKnownHostsFile='$GIT_HOSTS' -o StrictHostKeyChecking=yes"
	export GIT_SSH_COMMAND
	[ -n "${GIT_KEY:-}${GIT_HOSTS:-}" ] || return 0
	# git before 2.3 (CentOS 7 has 1.8.3.1) does not know the variable and wants a program.
	case $(git --version) in
	'git version 1.'* | 'git version 2.'[012].*) ;;
	*) return 0 ;;
	esac
	git_tmp "${TMPDIR:-/tmp}/provision-git.XXXXXX" || return 1
	printf '#!/bin/sh\nexec %s "$@"\n' "$GIT_SSH_COMMAND" >"$git_made" && chmod 700 "$git_made" || return 1
	GIT_SSH=$git_made
	export GIT_SSH
}

# git_tmp TEMPLATE: a private file that goes away with the fragment, in git_made.
git_tmp() {
	git_made=$(umask 077 && mktemp "$1") || return 1
	git_files="${git_files:-} $git_made"
	# shellcheck disable=SC2086
	trap 'rm -f -- $git_files' EXIT
}

# git_remote URL REF: prints "SHA REFNAME" of a branch, else of a tag (what it points to); of HEAD
# for "". Nothing if there is no such ref; status 1 if the repository could not be asked.
git_remote() {
	if [ -z "$2" ]; then
		git_refs=$(git_bounded git ls-remote "$1" HEAD 'refs/heads/*') || return 1
	else
		git_refs=$(git_bounded git ls-remote "$1" "refs/heads/$2" "refs/tags/$2" "refs/tags/$2^{}") || return 1
	fi
	printf '%s\n' "$git_refs" | awk -v ref="$2" '
		{ sha[$2] = $1 }
		ref == "" && $2 != "HEAD" && $1 == sha["HEAD"] && (head == "" || $2 == "refs/heads/main" || $2 == "refs/heads/master") { head = $2 }
		END {
			if (ref == "") { if (head != "") print sha["HEAD"], head }
			else if (("refs/heads/" ref) in sha) print sha["refs/heads/" ref], "refs/heads/" ref
			else if (("refs/tags/" ref "^{}") in sha) print sha["refs/tags/" ref "^{}"], "refs/tags/" ref
			else if (("refs/tags/" ref) in sha) print sha["refs/tags/" ref], "refs/tags/" ref
		}'
}

git_bounded() {
	if have timeout; then timeout 60 "$@"; else "$@"; fi
}
