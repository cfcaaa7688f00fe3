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

# git_remote URL REF: prints "SHA REFNAME" of a branch, else of a tag (what it points to), or of the one that REF names in full;
# of HEAD for "". Nothing if there is no such ref; status 1 if the repository could not be asked.
git_remote() {
	case $2 in
	'')
		# git before 2.8 does not know the option: then the branch of HEAD is guessed by its commit.
		git_refs=$(git_bounded git ls-remote --symref "$1" HEAD 'refs/heads/*' 2>/dev/null) ||
			git_refs=$(git_bounded git ls-remote "$1" HEAD 'refs/heads/*') || return 1
		;;
	refs/*) git_refs=$(git_bounded git ls-remote "$1" "$2" "$2^{}") || return 1 ;;
	*) git_refs=$(git_bounded git ls-remote "$1" "refs/heads/$2" "refs/tags/$2" "refs/tags/$2^{}") || return 1 ;;
	esac
	printf '%s\n' "$git_refs" | awk -v ref="$2" '
		function told(name) {
			if ((name "^{}") in sha) print sha[name "^{}"], name
			else if (name in sha) print sha[name], name
			else return 0
			return 1
		}
		NF < 2 { next } # a repository without commits has no refs
		$1 == "ref:" { if ($3 == "HEAD") head = $2; next }
		{ sha[$2] = $1 }
		ref == "" && head == "" && $2 != "HEAD" && $1 == sha["HEAD"] { guess = guess == "" || $2 == "refs/heads/main" || $2 == "refs/heads/master" ? $2 : guess }
		END {
			if (ref == "") told(head == "" ? guess : head)
			else if (ref ~ /^refs\//) told(ref)
			else told("refs/heads/" ref) || told("refs/tags/" ref)
		}'
}

# git_fetch REFSPEC…: from origin. What upstream has deleted may be in the way of what it has now, as a is of a/b.
git_fetch() {
	# shellcheck disable=SC2086
	git fetch -q $git_fetch_options origin "$@" && return
	git remote prune origin >/dev/null || return
	git for-each-ref --format='%(refname)' refs/provision/tags | while IFS= read -r git_ref; do
		git update-ref -d "$git_ref" || exit
	done
	# git brings tags along by itself; one of this host may be in their way.
	# shellcheck disable=SC2086
	git fetch -q --no-tags $git_fetch_options origin "$@"
}

# git_has COMMIT: is it here?
git_has() { git rev-parse -q --verify "$1^{commit}" >/dev/null; }

# git_busy: prints what is half done in this checkout; nothing if nothing is.
git_busy() {
	git_dir=$(git rev-parse --git-dir) || return 1
	for git_ref in MERGE_HEAD:merge CHERRY_PICK_HEAD:cherry-pick REVERT_HEAD:revert rebase-merge:rebase rebase-apply:rebase BISECT_LOG:bisect; do
		[ ! -e "$git_dir/${git_ref%:*}" ] || { printf '%s\n' "${git_ref#*:}"; return 0; }
	done
}

# git_modified: prints the files that git knows and that were changed here.
git_modified() { git status --porcelain --untracked-files=no --ignore-submodules; }

# git_only_here COMMIT WANTED [EXCLUDE…]: is the commit, or one before it, neither upstream nor what was checked out before, and
# so lost with the last name for it?
git_only_here() {
	git_commit=$1
	shift
	git_known=$(git rev-parse -q --verify refs/provision/checkout) || {
		git_known=
		# Checked out before that was noted.
		case $(git log -g -1 --format=%gs HEAD 2>/dev/null) in 'checkout: moving'*) git_known=HEAD ;; esac
	}
	# shellcheck disable=SC2086
	git_ref=$(git rev-list -n 1 "$git_commit" --not "$@" $git_known --remotes --tags) || exit 1
	[ -n "$git_ref" ]
}

# git_untracked COMMIT: prints the files which git does not know and a forced checkout of the commit overwrites; where the commit is not
# here yet, "perhaps" and all that there are.
git_untracked() {
	if ! git_has "$1"; then
		echo perhaps
		git -c core.quotepath=false ls-files -o
		return
	fi
	{
		git -c core.quotepath=false ls-tree -r --name-only "$1" && echo // && git -c core.quotepath=false ls-files -o
	} | awk '
		$0 == "//" { other = 1; next }
		!other { tree[$0] = 1; up = $0; while (sub(/\/[^\/]*$/, "", up)) above[up] = 1; next }
		{
			up = $0
			sub(/\/$/, "", up)
			hit = up in tree || up in above
			while (!hit && sub(/\/[^\/]*$/, "", up)) hit = up in tree
			if (hit) print
		}'
}

# git_own NAME COMMIT: says "own yes" if the checkout is to go to that commit, as the branch NAME if it is one, and loses commits that
# only it has; "own perhaps" where only fetching the commit can tell.
git_own() {
	git_there=$2 git_word=yes
	git_has "$2" || git_there='' git_word=perhaps
	case $1 in
	refs/heads/*)
		# shellcheck disable=SC2086
		if git rev-parse -q --verify "$1" >/dev/null && git_only_here "$1" $git_there; then
			say own $git_word
			return 0
		fi
		;;
	esac
	# shellcheck disable=SC2086
	if ! git symbolic-ref -q HEAD >/dev/null && git_only_here HEAD $git_there --branches; then say own $git_word; fi
}

# git_make_way BRANCH: a local branch whose name is the beginning of this one, or begins with it, is in its way. It goes if all
# its commits are elsewhere too.
git_make_way() {
	git for-each-ref --format='%(refname)' refs/heads | while IFS= read -r git_ref; do
		git_blocking=$git_ref
		case refs/heads/$1 in
		"$git_ref"/*) ;;
		*) case $git_ref in "refs/heads/$1"/*) ;; *) continue ;; esac ;;
		esac
		if [ "$force" = no ] && git_only_here "$git_blocking" "$new"; then
			fail "the branch ${git_blocking#refs/heads/} is in the way of $1, and has commits that $repo lacks; push them elsewhere and delete it, or set force = true"
		fi
		git checkout -q --detach && git branch -q -D "${git_blocking#refs/heads/}" || exit
	done
}

# git_switch COMMIT [BRANCH]: check it out, as that branch. Without force, files that are in the way are an error: also those
# that git ignores. A mark tells the next run that this one was cut.
git_switch() {
	git_dir=$(git rev-parse --git-dir) || return
	git_old=$(git rev-parse -q --verify HEAD) || git_old=-
	git_how=-f
	if [ "$force" = no ]; then
		git_how=--no-overwrite-ignore
		[ ! -e "$git_dir/provision-unfinished" ] || git_adopt "$1" || return
	fi
	: >"$git_dir/provision-unfinished" || return
	git_target=$1
	if [ -n "${2:-}" ]; then set -- -B "$2"; else set -- --detach; fi
	if git -c submodule.recurse=false checkout -q "$git_how" "$@" "$git_target"; then
		# git takes a file that is missing for a wish, and leaves it out.
		git diff-files --name-only --diff-filter=D -z | git checkout-index -q -u -z --stdin
		return
	fi
	# git looks before it begins: if it refused, nothing was changed.
	if [ "$(git rev-parse -q --verify HEAD || echo -)" = "$git_old" ] && git_ref=$(git_modified) && [ -z "$git_ref" ]; then
		rm -f "$git_dir/provision-unfinished"
	fi
	return 1
}

# git_adopt COMMIT: files that a checkout which was cut has brought already are no changes of somebody: the index learns of
# those that are as the commit has them, and those that were written in part go.
git_adopt() {
	rm -f "$git_dir/provision-index"
	GIT_INDEX_FILE=$git_dir/provision-index git read-tree "$1" || return
	GIT_INDEX_FILE=$git_dir/provision-index git update-index -q --refresh >/dev/null
	GIT_INDEX_FILE=$git_dir/provision-index git -c core.quotepath=false diff-files --name-only | while IFS= read -r git_path; do
		[ -f "$git_path" ] && [ ! -h "$git_path" ] && have cmp || continue
		git_size=$(wc -c <"$git_path") || exit
		! git cat-file blob "$1:$git_path" 2>/dev/null | head -c "$git_size" | cmp -s - "$git_path" || rm -f -- "$git_path"
	done || return
	{
		GIT_INDEX_FILE=$git_dir/provision-index git diff-files --name-only &&
			echo // &&
			GIT_INDEX_FILE=$git_dir/provision-index git ls-files -s
	} | awk -F '\t' '$0 == "//" { listed = 1; next } !listed { differs[$0] = 1; next } $1 !~ /^160000/ && !($2 in differs) { print }' |
		git update-index --index-info
	git_status=$?
	rm -f "$git_dir/provision-index"
	return "$git_status"
}

# git_submodules OLD: those of this checkout, which was at OLD. Each is looked at as the checkout is.
git_submodules() {
	git submodule --quiet sync && git submodule --quiet init || return
	git_links=$(git -c core.quotepath=false ls-files -s | sed -n 's/^160000 \([0-9a-f]*\) [0-9]*	/\1 /p')
	[ -n "$git_links" ] || return 0
	printf '%s\n' "$git_links" | while IFS=' ' read -r git_want git_path; do
		[ -e "$git_path/.git" ] || continue
		git_was=$(git rev-parse -q --verify "$1:$git_path" 2>/dev/null) || git_was=
		(cd -- "$git_path" && git_submodule "$git_want" "${git_was:-$git_want}") </dev/null || exit
	done || return
	if [ "$force" = yes ]; then git submodule --quiet update --init --force; else git submodule --quiet update --init; fi || return
	printf '%s\n' "$git_links" | while IFS=' ' read -r git_want git_path; do
		[ -e "$git_path/.gitmodules" ] || continue
		(cd -- "$git_path" && git_submodules HEAD) </dev/null || exit
	done
}

# git_submodule COMMIT WAS: bring this one to a commit.
git_submodule() {
	git_now=$(git rev-parse -q --verify HEAD) || git_now=-
	git_dir=$(git rev-parse --git-dir) || return
	[ "$git_now" != "$1" ] || [ -e "$git_dir/provision-unfinished" ] || return 0
	git_has "$1" || git fetch -q || return
	git_has "$1" || git fetch -q origin "$1" || return
	if [ "$force" = no ] && [ "$git_now" != - ] && ! git symbolic-ref -q HEAD >/dev/null; then
		! git_only_here "$git_now" "$1" "$2" --branches || fail "the submodule in $PWD has commits that its origin lacks; push them elsewhere, or set force = true to lose them"
	fi
	git_switch "$1" && rm -f "$git_dir/provision-unfinished"
}

git_bounded() {
	if have timeout; then timeout 60 "$@"; else "$@"; fi
}
