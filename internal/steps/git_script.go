package steps

import (
	_ "embed"
	"fmt"
	"path"
	"strings"

	"provision/internal/shell"
)

//go:embed git.sh
var gitScriptSource string

var gitScript = shell.Strip(gitScriptSource)

// setup is sh that makes git ready. Stdin holds the key in an operation.
func (g *git) setup(operation bool) string {
	var b strings.Builder
	b.WriteString(gitScript)
	if g.HostKey != "" {
		fmt.Fprintf(&b, "git_tmp \"${TMPDIR:-/tmp}/provision-git.XXXXXX\" && GIT_HOSTS=$git_made || exit 1\n{ %s\n} >\"$GIT_HOSTS\"\n", shell.Printf([]byte(g.HostKey+"\n")))
	}
	switch {
	case g.KeyFile != "":
		fmt.Fprintf(&b, "GIT_KEY=%s\n", shell.Quote(g.KeyFile))
	case g.Key != nil && operation:
		b.WriteString("git_tmp \"${TMPDIR:-/tmp}/provision-git.XXXXXX\" && GIT_KEY=$git_made && cat >\"$GIT_KEY\" && echo >>\"$GIT_KEY\" || exit 1\n")
	}
	b.WriteString("git_ssh || exit 1\n")
	return b.String()
}

func (g *git) Probe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "dest=%s\n", shell.Quote(g.Dest))
	b.WriteString(`t=$(path_type "$dest") || exit 1
if [ "$t" = directory ] && [ ! -e "$dest/.git" ]; then
	if e=$(ls -A "$dest") && [ -z "$e" ]; then t=empty; elif [ -z "$e" ]; then exit 1; fi
fi
have git || { say git missing; exit 0; }
say dest "$t"
[ "$t" = directory ] || exit 0
[ -e "$dest/.git" ] || { say repository no; exit 0; }
o=$(stat -c '%u %U' "$dest") || exit 1
[ "${o%% *}" = "$F_UID" ] || { say owner "${o#* }"; exit 0; }
`)
	b.WriteString(g.setup(false))
	b.WriteString(`cd "$dest" || exit 1
o=$(git config remote.origin.url) || o=-
say origin "$o"
h=$(git rev-parse -q --verify HEAD) || h=-
say head "$h"
n=$(git symbolic-ref -q HEAD) || n=detached
say branch "$n"
if [ -e .git/provision-unfinished ]; then
	say modified unfinished
else
	m=$(git status --porcelain --untracked-files=no --ignore-submodules) || exit 1
	if [ -n "$m" ]; then say modified yes; else say modified no; fi
fi
`)
	if g.Submodules {
		b.WriteString(`s=$(git submodule status --recursive) || exit 1
case "
$s" in
*"
"[-+U]*) say submodules differ ;;
*) say submodules same ;;
esac
`)
	}
	if !g.commit() && g.Key != nil {
		fmt.Fprintf(&b, `ref=%s
if [ -z "$ref" ]; then r="$h $n"
elif r=$(git rev-parse -q --verify "refs/remotes/origin/$ref"); then r="$r refs/heads/$ref"
elif r=$(git rev-parse -q --verify "refs/tags/$ref^{commit}"); then r="$r refs/tags/$ref"
else r=-; fi
say remote "$r"
case $r in
*' refs/tags/'*) ;;
*) if [ -n "$(find .git/FETCH_HEAD -mmin -1 2>/dev/null)" ]; then say fetched recently; else say fetched earlier; fi ;;
esac
`, shell.Quote(g.Ref))
	}
	if !g.commit() && g.Key == nil {
		fmt.Fprintf(&b, "r=$(git_remote %s %s) || exit 1\nsay remote \"${r:--}\"\n", shell.Quote(g.Repo), shell.Quote(g.Ref))
	}
	return b.String()
}

func (g *git) run() Run {
	run := Run{Script: g.script()}
	if g.Key != nil {
		run.Stdin = &Content{Text: *g.Key}
	}
	return run
}

// script brings the checkout to the wanted commit from any state that the plan lets pass: also from
// one where an earlier run was cut.
func (g *git) script() string {
	var b strings.Builder
	fmt.Fprintf(&b, "dest=%s repo=%s ref=%s depth=%d force=%s\n", shell.Quote(g.Dest), shell.Quote(g.Repo), shell.Quote(g.Ref), g.Depth, yesNo(g.Force))
	b.WriteString(g.setup(true))
	fmt.Fprintf(&b, "mkdir -p -- %s || exit 1\n", shell.Quote(path.Dir(g.Dest)))
	b.WriteString(`[ -d "$dest" ] || mkdir -- "$dest" || exit 1
cd "$dest" || exit 1
[ -e .git ] || git init -q . || exit 1
git config remote.origin.url "$repo" && git config remote.origin.fetch '+refs/heads/*:refs/remotes/origin/*' || exit 1
old=$(git rev-parse -q --verify HEAD) || old=-
[ "$depth" = 0 ] && depth_option= || depth_option=--depth=$depth
`)
	if g.commit() {
		b.WriteString(`name=
if ! git rev-parse -q --verify "$ref^{commit}" >/dev/null; then
	# Servers may refuse to send a single commit; then everything is fetched.
	{ [ -n "$depth_option" ] && git fetch -q "$depth_option" origin "$ref" 2>/dev/null; } ||
		git fetch -q --tags origin '+refs/heads/*:refs/remotes/origin/*' || fail "could not fetch from $repo"
fi
git rev-parse -q --verify "$ref^{commit}" >/dev/null || fail "$repo does not have the commit $ref"
new=$ref
`)
	} else {
		b.WriteString(`remote=$(git_remote "$repo" "$ref") || fail "could not ask $repo"
[ -n "$remote" ] || fail "$repo has no ${ref:+branch or tag }${ref:-default branch; set ref}"
name=${remote#* }
case $name in
refs/heads/*) to=refs/remotes/origin/${name#refs/heads/} ;;
*) to=$name ;;
esac
seen=$(git rev-parse -q --verify "$to^{commit}") || seen=
# shellcheck disable=SC2086
git fetch -q $depth_option origin "+$name:$to" || fail "could not fetch $name from $repo"
new=$(git rev-parse -q --verify "$to^{commit}") || exit 1
`)
	}
	b.WriteString(`if [ "$old" != - ] && [ "$force" = no ] && [ ! -e .git/provision-unfinished ]; then
	modified=$(git status --porcelain --untracked-files=no --ignore-submodules) || exit 1
	[ -z "$modified" ] || fail "files in $dest were modified on the host; commit them elsewhere, or set force = true"
	case $name in
	refs/heads/*)
		# Commits that only this host has are neither in the branch of origin as it is now, nor in
		# the one that was seen last (origin may have rewritten it).
		mine=$(git rev-parse -q --verify "$name") || mine=$new
		if ! git merge-base --is-ancestor "$mine" "$new" && ! git merge-base --is-ancestor "$mine" "${seen:-$new}"; then
			fail "the branch in $dest has commits that $repo lacks; push them elsewhere, or set force = true to lose them"
		fi
		;;
	esac
fi
: >.git/provision-unfinished || exit 1
case $name in
refs/heads/*) git checkout -q -f -B "${name#refs/heads/}" "$new" && git branch -q --set-upstream-to="origin/${name#refs/heads/}" >/dev/null ;;
*) git checkout -q -f --detach "$new" ;;
esac || fail "could not check out $new"
`)
	if g.Submodules {
		b.WriteString("git submodule sync --quiet --recursive && git submodule update --init --recursive --force || fail \"the submodules could not be checked out\"\n")
	}
	b.WriteString("rm -f .git/provision-unfinished\nif [ \"$old\" = \"$new\" ]; then echo 'nothing new'; else printf '%s\\n' \"$old -> $new\"; fi\n")
	return b.String()
}
