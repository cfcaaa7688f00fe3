package kinds

import (
	_ "embed"
	"fmt"
	"path"
	"strings"

	"provision/internal/shell"
	"provision/internal/steps"
)

//go:embed git.sh
var gitScriptSource string

// setup is sh that makes git ready. Stdin holds the key in an operation.
func (g *git) setup(operation bool) string {
	var b strings.Builder
	b.WriteString(shell.Strip(gitScriptSource))
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
	b.WriteString(`path_type "$dest" || exit 1; t=$TYPE
if [ "$t" = directory ] && [ ! -e "$dest/.git" ]; then
	if e=$(ls -A "$dest") && [ -z "$e" ]; then t=empty; elif [ -z "$e" ]; then exit 1; fi
fi
[ "$t" != absent ] || above "$dest"
have git || { need command git; exit 0; }
say dest "$t"
if [ "$t" = empty ]; then
	# git refuses a directory of somebody else (safe.directory of git-config(1)).
	attributes "$dest" || exit 1
	[ "$A_uid" = "$F_UID" ] || { say owner "$A_owner"; exit 0; }
fi
`)
	if !g.commit() && g.Key == nil {
		// Only while planning: the operation asks by itself.
		fmt.Fprintf(&b, `case ${DETAIL-}$t in
1absent | 1empty)
	%s
	r=$(git_remote %s %s) || exit 1
	[ -n "$r" ] || say remote -
	;;
esac
`, strings.ReplaceAll(strings.TrimSuffix(g.setup(false), "\n"), "\n", "\n\t"), shell.Quote(g.Repo), shell.Quote(g.Ref))
	}
	b.WriteString(`[ "$t" = directory ] || exit 0
[ -e "$dest/.git" ] || { say repository no; exit 0; }
for o in "$dest" "$dest/.git"; do
	attributes "$o" || exit 1
	[ "$A_uid" = "$F_UID" ] || { say owner "$A_owner"; exit 0; }
done
`)
	b.WriteString(g.setup(false))
	b.WriteString(`cd "$dest" || exit 1
G=$(git rev-parse --git-dir) || exit 1
o=$(git config remote.origin.url)
case $? in
0) ;;
1) o=- ;;
*) exit 1 ;;
esac
say origin "$o"
h=$(git rev-parse -q --verify HEAD) || h=-
say head "$h"
n=$(git symbolic-ref -q HEAD) || n=detached
say branch "$n"
b=$(git_busy) || exit 1
[ -z "$b" ] || say busy "$b"
[ ! -e "$G/index.lock" ] || say locked yes
if [ -e "$G/provision-unfinished" ]; then
	say modified unfinished
else
	m=$(git_modified) || exit 1
`)
	if g.Submodules {
		b.WriteString("	m=$m$(git submodule --quiet foreach --recursive 'git status --porcelain --untracked-files=no --ignore-submodules') || exit 1\n")
	}
	b.WriteString(`	if [ -n "$m" ]; then say modified yes; else say modified no; fi
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
r=-
if [ -z "$ref" ]; then
	r="$h $n"
else
	for c in %s; do
		case $c in
		refs/heads/*) l=refs/remotes/origin/${c#refs/heads/} ;;
		*) l=$c ;;
		esac
		if l=$(git rev-parse -q --verify "$l^{commit}"); then
			r="$l $c"
			break
		fi
	done
fi
say remote "$r"
case $r in
*' refs/tags/'*) ;;
*) if [ -n "$(find "$G/FETCH_HEAD" -mmin -1 2>/dev/null)" ]; then say fetched recently; else say fetched earlier; fi ;;
esac
`, shell.Quote(g.Ref), shell.Words(g.fullNames()...))
	}
	if !g.commit() && g.Key == nil {
		fmt.Fprintf(&b, "r=$(git_remote %s %s) || exit 1\nsay remote \"${r:--}\"\n", shell.Quote(g.Repo), shell.Quote(g.Ref))
	}
	if g.commit() {
		fmt.Fprintf(&b, "r=%s c=\n", g.Ref)
	} else {
		b.WriteString("c=${r#* }\n")
	}
	b.WriteString(`case $c in refs/heads/*) ;; *) r="${r%% *} $n" ;; esac
case $h$r in
-* | *-) ;;
*) [ "$h $n" = "$r" ] || git_own "$c" "${r%% *}" ;;
esac
`)
	if g.Force { // only while planning
		b.WriteString(`case ${DETAIL-}$r in
1-*) ;;
1*)
	[ "$h" = "${r%% *}" ] || {
		git_tmp "${TMPDIR:-/tmp}/provision-git.XXXXXX" && git_untracked "${r%% *}" >"$git_made" && detail untracked "$git_made"
	} || exit 1
	;;
esac
`)
	}
	return b.String()
}

func (g *git) run() steps.Run {
	run := steps.Run{Script: g.script()}
	if g.Key != nil {
		run.Stdin = &steps.Content{Text: *g.Key}
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
G=$(git rev-parse --git-dir) || exit 1
git config remote.origin.url "$repo" && git config remote.origin.fetch '+refs/heads/*:refs/remotes/origin/*' || exit 1
old=$(git rev-parse -q --verify HEAD) || old=-
git_fetch_options=
seen=
`)
	if g.commit() {
		b.WriteString(`name=
if ! git_has "$ref"; then
	# Servers may refuse to send a single commit; then everything is fetched. Tags get names of their own: git refuses to
	# move one that is there, and those of this host stay.
	{ [ "$depth" != 0 ] && git fetch -q --depth="$depth" origin "$ref" 2>/dev/null; } || {
		[ ! -f "$G/shallow" ] || git_fetch_options=--unshallow
		git_fetch '+refs/heads/*:refs/remotes/origin/*' '+refs/tags/*:refs/provision/tags/*' || fail "could not fetch from $repo"
		git_has "$ref" || git fetch -q origin "$ref" || :
	}
fi
git_has "$ref" || fail "$repo does not have the commit $ref"
new=$ref
`)
	} else {
		b.WriteString(`[ "$depth" = 0 ] || git_fetch_options=--depth=$depth
remote=$(git_remote "$repo" "$ref") || fail "could not ask $repo"
[ -n "$remote" ] || fail "$repo has no ${ref:+branch or tag }${ref:-default branch; set ref}"
name=${remote#* }
case $name in
refs/heads/*) to=refs/remotes/origin/${name#refs/heads/} ;;
*) to=$name ;;
esac
seen=$(git rev-parse -q --verify "$to^{commit}") || seen=
git_fetch "+$name:$to" || fail "could not fetch $name from $repo"
new=$(git rev-parse -q --verify "$to^{commit}") || exit 1
`)
	}
	b.WriteString(`branch=
case $name in refs/heads/*) branch=${name#refs/heads/} ;; esac
if [ "$force" = no ]; then
	busy=$(git_busy) || exit 1
	[ -z "$busy" ] || fail "a $busy is going on in $dest; finish or abort it, or set force = true"
	if [ "$old" != - ] && [ ! -e "$G/provision-unfinished" ]; then
		modified=$(git_modified) || exit 1
		[ -z "$modified" ] || fail "files in $dest were modified on the host; commit them elsewhere, or set force = true"
	fi
	# Commits that only this host has are neither upstream as it is now, nor what was seen of it last (it may have been
	# rewritten). They are lost where the branch moves away from them, or HEAD, if no branch has them.
	lost=no
	if [ -n "$branch" ] && git rev-parse -q --verify "refs/heads/$branch" >/dev/null; then
		! git_only_here "refs/heads/$branch" "$new" $seen || lost=yes
	fi
	if [ "$old" != - ] && ! git symbolic-ref -q HEAD >/dev/null; then
		! git_only_here "$old" "$new" $seen --branches || lost=yes
	fi
	[ "$lost" = no ] || fail "the checkout in $dest has commits that $repo lacks; push them elsewhere, or set force = true to lose them"
fi
[ -z "$branch" ] || git_make_way "$branch" || exit 1
git_switch "$new" "$branch" || fail "could not check out $new"
if [ "$force" = yes ]; then rm -rf "$G/rebase-merge" "$G/rebase-apply"; fi
if [ -n "$branch" ]; then git config "branch.$branch.remote" origin && git config "branch.$branch.merge" "$name"; fi || exit 1
git update-ref refs/provision/checkout "$new" || exit 1
`)
	if g.Submodules {
		b.WriteString("git_submodules \"$old\" || fail \"the submodules could not be checked out\"\n")
	}
	b.WriteString("rm -f \"$G/provision-unfinished\"\nif [ \"$old\" = \"$new\" ]; then echo 'nothing new'; else printf '%s\\n' \"$old -> $new\"; fi\n")
	return b.String()
}
