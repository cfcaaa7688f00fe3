package kinds

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"provision/internal/steps"
)

// gitScenario is sh for every scenario: an upstream with two commits, a tag and a submodule to come, and short names.
const gitScenario = `set -e
export GIT_CONFIG_NOSYSTEM=1 HOME="$WORK" GIT_AUTHOR_DATE='@1000000000 +0000' GIT_COMMITTER_DATE='@1000000000 +0000'
[ -e .gitconfig ] || printf '[user]\n\tname = a\n\temail = a@b\n[init]\n\tdefaultBranch = main\n[protocol "file"]\n\tallow = always\n[advice]\n\tdetachedHead = false\n' >.gitconfig
commit() { # DIR FILE CONTENT
	mkdir -p "$(dirname "$1/$2")"
	printf '%s\n' "$3" >"$1/$2"
	git -C "$1" add -f "$2"
	git -C "$1" commit -q -m "$2 $3"
}
if [ ! -d up ]; then
	git init -q up
	commit up f one
	git -C up tag v1
	git -C up rev-parse HEAD >first
	git init -q sub
	commit sub s one
fi
`

// A gitCase checks out, changes both sides, and applies again.
type gitCase struct {
	name   string
	before string // sh before the first apply
	args   string // of the first apply; repo and dest are added
	change string // sh between the two
	again  string // args of the second apply; "" for the same
	plan   string // a part of what the plan of the second one says: its error, reason and dangers; "" for anything
	err    string // a part of what the second one says; "" if it settles
	after  string // sh that prints what is left
	want   string
}

func TestGitLosesNothing(t *testing.T) {
	const untracked = "(cd co && echo mine >new); commit up new theirs"
	cases := []gitCase{
		{name: "untracked in the way", args: `ref = "main"`, change: untracked, err: "untracked", after: "cat co/new; git -C co status --porcelain", want: "mine\n?? new\n"},
		{name: "untracked in the way, force", args: "ref = \"main\"\nforce = true", change: untracked + "; echo x >co/y", plan: "/co that the new commit has too: new, y]", after: "cat co/new", want: "theirs\n"},
		{name: "untracked in the way of what is here, force", args: "ref = \"main\"\nforce = true", change: untracked + "; git -C co fetch -q; echo x >co/y", plan: "/co: new]", after: "cat co/new", want: "theirs\n"},
		{name: "untracked and ignored in the way, force", before: "commit up .gitignore '*.log'", args: "ref = \"main\"\nforce = true", change: "echo mine >co/x.log; commit up x.log theirs; git -C co fetch -q", plan: "/co: x.log]", after: "cat co/x.log", want: "theirs\n"},
		{name: "untracked directory in the way, force", args: "ref = \"main\"\nforce = true", change: "mkdir co/new; echo mine >co/new/a; commit up new theirs; git -C co fetch -q", plan: "/co: new/a]", after: "cat co/new", want: "theirs\n"},
		{name: "untracked file in the way of a directory, force", args: "ref = \"main\"\nforce = true", change: "echo mine >co/new; commit up new/a theirs; git -C co fetch -q", plan: "/co: new]", after: "cat co/new/a", want: "theirs\n"},
		{name: "untracked elsewhere, force", args: "ref = \"main\"\nforce = true", change: "echo mine >co/y; commit up new theirs; git -C co fetch -q", plan: " []", after: "cat co/y", want: "mine\n"},
		{name: "untracked in the way, then moved", args: `ref = "main"`, change: untracked + "; mv co/new co/other", after: "cat co/new co/other", want: "theirs\nmine\n"},
		{name: "ignored in the way", before: "commit up .gitignore '*.log'", args: `ref = "main"`, change: "echo mine >co/x.log; commit up x.log theirs", err: "overwritten", after: "cat co/x.log", want: "mine\n"},
		{name: "ignored elsewhere", before: "commit up .gitignore '*.log'", args: `ref = "main"`, change: "echo mine >co/y.log; commit up x two", after: "cat co/y.log co/x", want: "mine\ntwo\n"},
		{name: "directory in the way of a file", args: `ref = "main"`, change: "mkdir co/new; echo mine >co/new/a; commit up new theirs", err: "untracked", after: "cat co/new/a", want: "mine\n"},
		{name: "file in the way of a directory", args: `ref = "main"`, change: "echo mine >co/new; commit up new/a theirs", err: "overwritten", after: "cat co/new", want: "mine\n"},
		{name: "link in the way of a directory", args: `ref = "main"`, change: "mkdir aside; echo mine >aside/a; ln -s ../aside co/new; commit up new/a theirs", err: "overwritten", after: "cat aside/a; readlink co/new", want: "mine\n../aside\n"},
		{name: "nested repository in the way", args: `ref = "main"`, change: "git clone -q sub co/new; commit co/new s mine; commit up new theirs", err: "untracked", after: "cat co/new/s", want: "mine\n"},
		{name: "modified", args: `ref = "main"`, change: "echo mine >co/f; commit up x two", err: "modified", after: "cat co/f", want: "mine\n"},
		{name: "staged", args: `ref = "main"`, change: "echo mine >co/n; git -C co add n; commit up x two", err: "modified", after: "cat co/n", want: "mine\n"},
		{name: "mode changed", args: `ref = "main"`, change: "chmod +x co/f; commit up x two", err: "modified", after: "stat -c %A co/f | cut -c4", want: "x\n"},
		{name: "local commit", args: `ref = "main"`, change: "commit co mine mine; commit up x two", plan: "stops unless", err: "commits that", after: "cat co/mine; git -C co log --format=%s", want: "mine\nmine mine\nf one\n"},
		{name: "local commit, force", args: "ref = \"main\"\nforce = true", change: "commit co mine mine; commit up x two", plan: "throws away the commits that were made in", after: "git -C co log --format=%s", want: "x two\nf one\n"},
		{name: "local commit alone", args: `ref = "main"`, change: "commit co mine mine", plan: "push them elsewhere", err: "commits that", after: "cat co/mine", want: "mine\n"},
		{name: "local commit alone, force", args: "ref = \"main\"\nforce = true", change: "commit co mine mine", plan: "throws away commits that only", after: "git -C co log --format=%s", want: "f one\n"},
		{name: "local commit that upstream has under another name", args: `ref = "main"`, change: "commit co mine mine; git -C co push -q origin HEAD:refs/heads/other", plan: "<nil> from", after: "git -C co log --format=%s; git -C up log --format=%s other", want: "f one\nmine mine\nf one\n"},
		{name: "local commit, pinned to another", args: "ref = \"main\"", again: `ref = "$FIRST"`, change: "git -C co checkout -q --detach; commit co mine mine", plan: "push them elsewhere", err: "commits that", after: "cat co/mine", want: "mine\n"},
		{name: "local commit on a detached HEAD", args: `ref = "v1"`, change: "commit co mine mine; commit up x two; git -C up tag -f v1 2>/dev/null", err: "commits that", after: "cat co/mine", want: "mine\n"},
		{name: "local commit on a branch of its own", args: `ref = "main"`, change: "git -C co checkout -q -b own; commit co mine mine; commit up x two", after: "git -C co log -1 --format=%s own; cat co/x", want: "mine mine\ntwo\n"},
		{name: "merge", args: `ref = "main"`, change: "git -C co checkout -q -b own; commit co mine mine; git -C co checkout -q main; git -C co merge -q --no-ff --no-commit -s ours own >/dev/null 2>&1; commit up x two", err: "merge is going on", after: "[ -e co/.git/MERGE_HEAD ] && echo there", want: "there\n"},
		{name: "rebase", args: `ref = "main"`, change: "commit co a a; commit up f two; git -C co fetch -q origin; git -C co -c sequence.editor=\"sed -i 's/^pick/break\\npick/'\" rebase -q -i FETCH_HEAD >/dev/null 2>&1", err: "rebase is going on", after: "[ -d co/.git/rebase-merge ] && echo there", want: "there\n"},
		{name: "lock", args: `ref = "main"`, change: ": >co/.git/index.lock; commit up x two", err: "index.lock", after: "cat co/f", want: "one\n"},
		{name: "modified in a submodule", before: "git -C up submodule --quiet add \"$WORK/sub\" lib 2>/dev/null; git -C up commit -q -m sub", args: "ref = \"main\"\nsubmodules = true", change: "echo mine >co/lib/s; commit sub s two; git -C up/lib pull -q; commit up lib2 x; git -C up commit -q -am sub2", err: "modified", after: "cat co/lib/s", want: "mine\n"},
		{name: "untracked in the way in a submodule", before: "git -C up submodule --quiet add \"$WORK/sub\" lib 2>/dev/null; git -C up commit -q -m sub", args: "ref = \"main\"\nsubmodules = true", change: "echo mine >co/lib/n; commit sub n two; git -C up/lib pull -q; git -C up commit -q -am sub2", err: "untracked", after: "cat co/lib/n", want: "mine\n"},
		{name: "ignored in the way in a submodule", before: "commit sub .gitignore '*.log'; git -C up submodule --quiet add \"$WORK/sub\" lib 2>/dev/null; git -C up commit -q -m sub", args: "ref = \"main\"\nsubmodules = true", change: "echo mine >co/lib/n.log; commit sub n.log two; git -C up/lib pull -q; git -C up commit -q -am sub2", err: "overwritten", after: "cat co/lib/n.log", want: "mine\n"},
		{name: "local commit in a submodule", before: "git -C up submodule --quiet add \"$WORK/sub\" lib 2>/dev/null; git -C up commit -q -m sub", args: "ref = \"main\"\nsubmodules = true", change: "commit co/lib mine mine; commit sub n two; git -C up/lib pull -q; git -C up commit -q -am sub2", err: "commits that", after: "cat co/lib/mine", want: "mine\n"},
		{name: "submodule moves", before: "git -C up submodule --quiet add \"$WORK/sub\" lib 2>/dev/null; git -C up commit -q -m sub", args: "ref = \"main\"\nsubmodules = true", change: "commit sub n two; git -C up/lib pull -q; git -C up commit -q -am sub2", after: "cat co/lib/n", want: "two\n"},
		{name: "submodule in a submodule", before: "git init -q deep; commit deep d one; git -C sub submodule --quiet add \"$WORK/deep\" in 2>/dev/null; git -C sub commit -q -m in; git -C up submodule --quiet add \"$WORK/sub\" lib 2>/dev/null; git -C up commit -q -m sub", args: "ref = \"main\"\nsubmodules = true", change: "commit deep d two; git -C sub/in pull -q; git -C sub commit -q -am in2; git -C up/lib pull -q; git -C up commit -q -am sub2", after: "cat co/lib/in/d", want: "two\n"},
		{name: "submodule, force", before: "git -C up submodule --quiet add \"$WORK/sub\" lib 2>/dev/null; git -C up commit -q -m sub", args: "ref = \"main\"\nsubmodules = true\nforce = true", change: "echo mine >co/lib/s; commit sub s two; git -C up/lib pull -q; git -C up commit -q -am sub2", after: "cat co/lib/s", want: "two\n"},
		{name: "cut in the middle, with a file of somebody", args: `ref = "main"`, change: "commit up a theirs; commit up b theirs; : >co/.git/provision-unfinished; echo theirs >co/a; echo mine >co/b", err: "overwritten", after: "cat co/a co/b", want: "theirs\nmine\n"},
		{name: "cut in the middle of a file", args: `ref = "main"`, change: "commit up a 'much longer'; commit up f 'much longer'; : >co/.git/provision-unfinished; printf 'much ' >co/a; printf much >co/f", after: "cat co/a co/f; git -C co status --porcelain", want: "much longer\nmuch longer\n"},
		{name: "cut between two files", args: `ref = "main"`, change: ": >co/.git/provision-unfinished; rm co/f", after: "cat co/f; git -C co status --porcelain", want: "one\n"},
		{name: "cut in the middle", args: `ref = "main"`, change: "commit up a theirs; commit up f two; : >co/.git/provision-unfinished; echo theirs >co/a; echo two >co/f", after: "cat co/a co/f; git -C co status --porcelain", want: "theirs\ntwo\n"},
	}
	runGitCases(t, cases)
}

func TestGitFollowsUpstream(t *testing.T) {
	commitRef := `ref = "$FIRST"`
	cases := []gitCase{
		{name: "pinned, after a tag has moved", args: commitRef, change: "git -C co fetch -q --tags; commit up f two; git -C up tag -f v1 >/dev/null; git -C up rev-parse HEAD >next", again: `ref = "$NEXT"`, after: "cat co/f", want: "two\n"},
		{name: "pinned, on a tag alone", args: commitRef, change: "git -C up checkout -q --detach; commit up f two; git -C up tag only; git -C up rev-parse HEAD >next; git -C up checkout -q main", again: `ref = "$NEXT"`, after: "cat co/f", want: "two\n"},
		{name: "pinned, annotated tag moved to a name below it", args: commitRef, change: "git -C up tag -a -m x a v1; git -C co fetch -q --tags; git -C up tag -d a >/dev/null; commit up f two; git -C up tag -a -m x a/b; git -C up rev-parse HEAD >next", again: `ref = "$NEXT"`, after: "cat co/f", want: "two\n"},
		{name: "pinned, an older commit in a shallow checkout", before: "commit up f two; commit up f three; git -C up config uploadpack.allowAnySHA1InWant false", args: "ref = \"main\"\ndepth = 1", again: commitRef, change: ":", after: "cat co/f", want: "one\n"},
		{name: "branch replaced by one below its name", before: "git -C up branch x", args: `ref = "x"`, change: "git -C up branch -D x >/dev/null; git -C up checkout -q -b x/y; commit up f two", again: `ref = "x/y"`, after: "cat co/f; git -C co symbolic-ref HEAD", want: "two\nrefs/heads/x/y\n"},
		{name: "branch of this host in the way", args: `ref = "main"`, change: "git -C co checkout -q -b x; commit co mine mine; git -C up checkout -q -b x/y; commit up f two", again: `ref = "x/y"`, err: "in the way", after: "cat co/f co/mine", want: "one\nmine\n"},
		{name: "another branch replaced by one below its name", before: "git -C up branch x", args: `ref = "main"`, change: "git -C co fetch -q; git -C up branch -D x >/dev/null; git -C up checkout -q -b x/y; commit up f two", again: `ref = "x/y"`, after: "cat co/f", want: "two\n"},
		{name: "rewritten", before: "commit up f two", args: `ref = "main"`, change: "git -C up reset -q --hard HEAD~; commit up f three", after: "cat co/f; git -C co log --format=%s", want: "three\nf three\nf one\n"},
		{name: "rewritten while a run was cut", before: "commit up f two", args: `ref = "main"`, change: "git -C up reset -q --hard HEAD~; commit up f three; git -C co fetch -q; : >co/.git/provision-unfinished", after: "cat co/f", want: "three\n"},
		{name: "annotated tag", before: "git -C up tag -a -m x t v1", args: `ref = "t"`, change: "commit up f two; git -C up tag -f -a -m x t >/dev/null", after: "cat co/f", want: "two\n"},
		{name: "branch of the name of a tag", before: "git -C up branch v1; git -C up checkout -q v1 2>/dev/null; git -C up checkout -q refs/heads/v1 2>/dev/null; :", args: `ref = "v1"`, change: "git -C up checkout -q main; commit up f two; git -C up update-ref refs/heads/v1 HEAD", after: "cat co/f; git -C co symbolic-ref HEAD", want: "two\nrefs/heads/v1\n"},
		{name: "tag of the name of a branch", before: "commit up f two; git -C up branch v1", args: `ref = "refs/tags/v1"`, change: ":", after: "cat co/f; git -C co symbolic-ref -q HEAD || echo detached", want: "one\ndetached\n"},
		{name: "default branch beside one at the same commit", before: "git -C up checkout -q -b trunk", args: "", change: "commit up f two", after: "cat co/f; git -C co symbolic-ref HEAD", want: "two\nrefs/heads/trunk\n"},
		{name: "shallow branch", before: "commit up f two", args: "ref = \"main\"\ndepth = 1", change: "commit up f three; commit up f four", after: "cat co/f", want: "four\n"},
		{name: "pinned, shallow, over the network protocol", args: "ref = \"$FIRST\"\ndepth = 1", change: "commit up f two; git -C up rev-parse HEAD >next", again: "ref = \"$NEXT\"\ndepth = 1", after: "cat co/f", want: "two\n"},
		{name: "deleted branch", before: "git -C up branch x", args: `ref = "x"`, change: "git -C up branch -D x >/dev/null", err: "no branch or tag", after: "cat co/f", want: "one\n"},
		{name: "names with blanks", before: "commit up 'a b/-c' one; commit up 'é' x", args: `ref = "main"`, change: "commit up 'a b/-c' two", after: "cat 'co/a b/-c'", want: "two\n"},
		{name: "gitfile", args: `ref = "main"`, change: "mv co/.git aside; echo 'gitdir: ../aside' >co/.git; commit up f two", after: "cat co/f", want: "two\n"},
	}
	runGitCases(t, cases)
}

func runGitCases(t *testing.T, cases []gitCase) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, &host{shell: []string{"dash"}, work: filepath.Join(t.TempDir(), "work")})
		})
	}
}

func (c gitCase) run(t *testing.T, h *host) {
	t.Helper()
	if err := os.Mkdir(h.work, 0o755); err != nil {
		t.Fatal(err)
	}
	h.before = "HOME=" + h.work + " GIT_CONFIG_NOSYSTEM=1\nexport HOME GIT_CONFIG_NOSYSTEM\n"
	script := func(text string) string {
		r := h.script(t, gitScenario+text, nil)
		if r.exit != 0 {
			t.Fatalf("%v: %s: %+v", h.shell, text, r)
		}
		return r.stdout
	}
	read := func(name string) string {
		b, _ := os.ReadFile(filepath.Join(h.work, name))
		return strings.TrimSpace(string(b))
	}
	step := func(args string) steps.Step {
		args = strings.NewReplacer("$FIRST", read("first"), "$NEXT", read("next")).Replace(args)
		return stepOf(t, "git", "repo = \"file://"+h.work+"/up\"\ndest = \""+h.work+"/co\"\n"+args+"\n")
	}
	script(c.before)
	if got := h.settled(t, step(c.args)); got != "" {
		t.Fatalf("%v: the first one: %s", h.shell, got)
	}
	script(c.change)
	again := c.again
	if again == "" {
		again = c.args
	}
	if c.plan != "" {
		change, err := step(again).Plan(steps.ParseFacts(defaultFacts), h.probe(t, step(again), true))
		if said := fmt.Sprintln(err, change.Reason, change.Dangers); !strings.Contains(said, c.plan) {
			t.Errorf("%v: the plan says %q, want %q", h.shell, said, c.plan)
		}
	}
	got := h.settled(t, step(again))
	matches := false
	for _, part := range strings.Split(c.err, "|") {
		matches = matches || c.err != "" && strings.Contains(got, part)
	}
	if c.err == "" && got != "" || c.err != "" && !matches {
		t.Errorf("%v: %q, want %q", h.shell, got, c.err)
	}
	if left := script(c.after); left != c.want {
		t.Errorf("%v: left %q, want %q", h.shell, left, c.want)
	}
}
