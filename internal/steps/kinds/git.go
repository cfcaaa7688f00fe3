package kinds

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/steps"
	"provision/internal/steps/kit"
)

var gitKind = &steps.Kind{
	Name: "git",
	Doc: `A checkout of a git repository at a branch, a tag or a commit.

Planning asks the repository (git ls-remote) where a branch or tag is now, and compares it with the
checkout; where there is none yet, it asks whether the repository has the ref. A whole commit id needs
no network. If the repository cannot be asked, the step says so instead of guessing. A branch is
followed by a local branch of its name, anything else is a detached HEAD. An interrupted checkout is
finished by the next run.

Modified files are an error, in submodules too, and so are commits that origin does not have, a merge
or rebase that is not finished, and files in the way that git does not know or ignores. The plan says so
of commits unless only fetching can tell; then it names that as a reason to stop. With force all
of them are lost. Other files that git does not know stay. A checkout that belongs to another user is refused
(git run by root would obey that user's hooks): set run_as to its owner.

Over ssh the keys and known hosts of the user who runs the step are used, or key_file and host_key; key is
the text of a private key, which travels with the operation only: then planning cannot ask, and a
branch is fetched whenever the last fetch is more than a minute ago. git never asks a question. Works with git 1.8 of CentOS 7.`,
	Example: `step "package" "git" {
  name = "git"
}

step "command" "upstream" {
  script = <<-EOT
    git init -q --bare /srv/demo.git
    git init -q /srv/demo-work && cd /srv/demo-work
    echo hello >README && git add README
    git -c user.name=demo -c user.email=demo@example.org commit -q -m first
    git push -q /srv/demo.git HEAD:refs/heads/main
  EOT
  creates = "/srv/demo.git"
}

step "git" "demo" {
  repo = "file:///srv/demo.git"
  ref  = "main"
  dest = "/opt/demo-checkout"
}
`,
	Outputs: []steps.Output{
		{Name: "commit", Type: cty.String, Doc: "The commit that is checked out."},
	},
	Rules: []steps.Rule{steps.AtMostOne("key", "key_file")},
	New: func() (steps.Step, steps.Args) {
		g := &git{}
		return g, steps.Args{
			gitURLArg("repo", &g.Repo, "URL of the repository: https, http, ssh, git, file, user@host:path, or a path on the host.").Must(),
			kit.PathArg("dest", &g.Dest, "The directory of the checkout.").Must(),
			gitRefArg("ref", &g.Ref, "A branch, a tag, or the whole id of a commit. refs/tags/NAME is the tag where a branch has that name, too.").With("the default branch of the repository"),
			kit.IntArg("depth", &g.Depth, 0, 1<<20, "How many commits of history to fetch; 0 is all.").With("0"),
			kit.BoolArg("force", &g.Force, "Throw away modified files, and commits that origin does not have."),
			kit.BoolArg("submodules", &g.Submodules, "Check out submodules too."),
			kit.TextArg("key", &g.Key, "A private key for ssh, for this step alone. It may be sensitive."),
			kit.PathArg("key_file", &g.KeyFile, "A private key on the host. It must be readable by the user who runs the step."),
			kit.StringArg("host_key", &g.HostKey, "The line of known_hosts that the server must match, such as \"github.com ssh-ed25519 AAAA…\"."),
		}
	},
}

type git struct {
	Repo, Dest, Ref, KeyFile, HostKey string
	Depth                             int
	Force, Submodules                 bool
	Key                               *steps.Text
}

var (
	_ steps.Bringer   = (*git)(nil)
	_ steps.Asker     = (*git)(nil)
	_ steps.Outputter = (*git)(nil)
)

var (
	gitSCP  = regexp.MustCompile(`^[A-Za-z0-9_.-]+@[A-Za-z0-9.-]+:[^ ]+$`)
	gitRef  = regexp.MustCompile(`^[^-./\x00-\x20\x7f~^:?*[\\][^\x00-\x20\x7f~^:?*[\\]*$`) // git-check-ref-format(1)
	gitHash = regexp.MustCompile(`^[0-9a-f]{40}$|^[0-9a-f]{64}$`)
)

func gitURLArg(name string, to *string, doc string) steps.Arg {
	return kit.ParsedArg(name, to, doc, func(s string) (string, error) {
		if gitSCP.MatchString(s) || strings.HasPrefix(s, "/") && kit.NoControl(s) == nil {
			return s, nil
		}
		return s, kit.CheckURL(s, []string{"https", "http", "ssh", "git", "file"})
	})
}

func gitRefArg(name string, to *string, doc string) steps.Arg {
	return kit.ParsedArg(name, to, doc, func(s string) (string, error) {
		if !gitRef.MatchString(s) || strings.Contains(s, "..") || strings.Contains(s, "@{") || strings.Contains(s, "//") || strings.HasSuffix(s, "/") {
			return "", fmt.Errorf("%q is no branch, tag or commit", s)
		}
		if hash := strings.ToLower(s); gitHash.MatchString(hash) {
			return hash, nil
		}
		return s, nil
	})
}

// fullNames lists what the ref may be called, in the order in which a repository is asked.
func (g *git) fullNames() []string {
	if strings.HasPrefix(g.Ref, "refs/") {
		return []string{g.Ref}
	}
	return []string{"refs/heads/" + g.Ref, "refs/tags/" + g.Ref}
}

func (g *git) commit() bool { return gitHash.MatchString(g.Ref) }

func (g *git) Validate() []steps.Problem {
	var problems []steps.Problem
	if strings.Contains(g.KeyFile, "'") {
		problems = append(problems, steps.Problem{Arg: "key_file", Summary: "the path holds a quote, which ssh cannot be told", Detail: "Use another path."})
	}
	if kit.ProtectedPath(g.Dest) {
		problems = append(problems, steps.Problem{Arg: "dest", Summary: g.Dest + " cannot be a checkout", Detail: "Name a directory of its own below it."})
	}
	if u, err := url.Parse(g.Repo); err == nil && (u.Scheme == "http" || u.Scheme == "git") && !g.commit() {
		problems = append(problems, steps.Problem{Arg: "repo", Warning: true, Summary: "nothing protects this repository on its way", Detail: "Use https or ssh, or name a commit as ref."})
	}
	return problems
}

// Brings implements steps.Bringer.
func (g *git) Brings(steps.Change) steps.Supply {
	s := steps.Supply{Trees: []string{g.Dest}, Filled: []string{g.Dest}}
	s.AddDirectory(g.Dest)
	return s
}

// Asks implements steps.Asker: the answer of a repository hangs on the server, and on how it is found and trusted.
func (g *git) Asks(*steps.Facts) []steps.Thing {
	list := []steps.Thing{{Kind: steps.FileThing, Name: g.KeyFile}}
	if local := strings.TrimPrefix(g.Repo, "file://"); path.IsAbs(local) {
		return append(list, steps.Thing{Kind: steps.DirectoryThing, Name: local})
	}
	return append(list, kit.NetworkThings()...)
}

func (g *git) Plan(f *steps.Facts, obs steps.Observation) (steps.Change, error) {
	if needs := obs.Needs(); len(needs) > 0 {
		return steps.Change{Action: steps.Unknown, Needs: needs, Predict: []steps.Observation{steps.Observe("dest absent"), steps.Observe("dest empty")}}, nil
	}
	dest, _ := obs.Get("dest")
	repository, _ := obs.Get("repository")
	if owner, other := obs.Get("owner"); kit.IsNumber(owner) {
		return steps.Change{}, fmt.Errorf("%s belongs to number %s, which is no user; give it to one with chown -R, and set run_as to that user", g.Dest, owner)
	} else if other {
		return steps.Change{}, fmt.Errorf("%s belongs to %s: set run_as = %q on the step", g.Dest, owner, owner)
	}
	switch {
	case dest == "absent" || dest == "empty":
		if remote, _ := obs.Get("remote"); remote == "-" {
			return steps.Change{}, g.noRef()
		}
		change := steps.Change{Action: steps.Create, Diff: []steps.Attr{{Name: "dest", BeforeMissing: true, After: g.Dest}}, Reason: "from " + g.shownRef()}
		change.Ops = []steps.Op{g.run()}
		if dest == "absent" {
			change.Predict = []steps.Observation{steps.Observe("dest empty")}
		}
		return change, nil
	case dest != "directory":
		return steps.Change{}, fmt.Errorf("%s is a %s, not a directory; move it away, or name another path", g.Dest, dest)
	case repository == "no":
		return steps.Change{}, fmt.Errorf("%s holds files that are no checkout; move them away, or name another path", g.Dest)
	}
	return g.planCheckout(obs)
}

// noRef is the error about a repository that does not have what is wanted.
func (g *git) noRef() error {
	if g.Ref == "" {
		return fmt.Errorf("%s has no default branch: it has no commits yet, or its HEAD names a branch that is not there; push to it, or set ref", g.Repo)
	}
	return fmt.Errorf("%s has no branch or tag %q; an abbreviated commit will not do", g.Repo, g.Ref)
}

// planCheckout compares a checkout with the wanted commit.
func (g *git) planCheckout(obs steps.Observation) (steps.Change, error) {
	origin, _ := obs.Get("origin")
	head, _ := obs.Get("head")
	branch, _ := obs.Get("branch")
	modified, _ := obs.Get("modified")
	submodules, _ := obs.Get("submodules")
	remote, asked := obs.Get("remote")
	wanted, name, _ := strings.Cut(remote, " ")
	if g.commit() {
		wanted, name = g.Ref, ""
	} else if remote == "-" && g.Key != nil {
		wanted = ""
	} else if asked && remote == "-" {
		return steps.Change{}, g.noRef()
	}
	if modified == "yes" && head != "-" && !g.Force {
		return steps.Change{}, fmt.Errorf("files in %s were modified on the host: keep them by committing them elsewhere, or set force = true to lose them", g.Dest)
	}
	change := steps.Change{Action: steps.Update, Reason: "from " + g.shownRef()}
	if origin != g.Repo {
		change.Diff = append(change.Diff, steps.Attr{Name: "origin", Before: dash(origin), BeforeMissing: origin == "-", After: g.Repo})
	}
	onBranch := strings.HasPrefix(name, "refs/heads/")
	if wanted != "" && head != wanted {
		change.Diff = append(change.Diff, steps.Attr{Name: "commit", Before: dash(head), BeforeMissing: head == "-", After: wanted})
	} else if wanted != "" && onBranch && branch != name {
		change.Diff = append(change.Diff, steps.Attr{Name: "branch", Before: strings.TrimPrefix(branch, "refs/heads/"), After: strings.TrimPrefix(name, "refs/heads/")})
	}
	if modified != "no" && head != "-" {
		change.Diff = append(change.Diff, steps.Attr{Name: "modified files", Before: modified, After: "no"})
		if modified == "yes" {
			change.Dangers = append(change.Dangers, "throws away modified files in "+g.Dest)
		}
	}
	if submodules == "differ" {
		change.Diff = append(change.Diff, steps.Attr{Name: "submodules", Before: "other commits", After: "checked out"})
	}
	fetched, _ := obs.Get("fetched")
	if len(change.Diff) == 0 && fetched != "earlier" {
		return steps.Change{Action: steps.NoOp}, nil
	}
	if busy, yes := obs.Get("busy"); yes {
		if !g.Force {
			return steps.Change{}, fmt.Errorf("a %s is going on in %s: finish or abort it, or set force = true to lose it", busy, g.Dest)
		}
		change.Dangers = append(change.Dangers, "ends the "+busy+" that is going on in "+g.Dest)
	}
	if _, yes := obs.Get("locked"); yes {
		return steps.Change{}, fmt.Errorf("another git is at work in %s, or was cut: if none runs, remove index.lock in its directory .git", g.Dest)
	}
	switch own, _ := obs.Get("own"); {
	case own == "yes" && g.Force:
		change.Dangers = append(change.Dangers, "throws away commits that only "+g.Dest+" has")
	case own == "yes":
		return steps.Change{}, fmt.Errorf("the checkout in %s has commits that %s lacks: push them elsewhere, or set force = true to lose them", g.Dest, g.Repo)
	case own == "perhaps" && g.Force:
		change.Dangers = append(change.Dangers, "throws away the commits that were made in "+g.Dest+", unless "+g.Repo+" has them now")
	case own == "perhaps":
		change.Reason += "; stops unless " + g.Repo + " has the commits that were made in " + g.Dest
	}
	if text, found := obs.Detail("untracked"); found && strings.Trim(text, "\n") != "" {
		if danger := g.overwrites(strings.Split(strings.Trim(text, "\n"), "\n")); danger != "" {
			change.Dangers = append(change.Dangers, danger)
		}
	}
	change.Ops = []steps.Op{g.run()}
	if len(change.Diff) == 0 {
		change.Action = steps.Execute
		change.Reason = "fetches " + g.shownRef() + ": without its key nothing tells whether it moved"
		change.ChangedIf = `case $stdout in *"nothing new"*) exit 1 ;; esac`
	}
	return change, nil
}

// overwrites names the files that git does not know and the checkout takes the place of; see git_untracked.
func (g *git) overwrites(files []string) string {
	said := "overwrites untracked files in " + g.Dest + ": "
	if files[0] == "perhaps" {
		said, files = "overwrites those untracked files in "+g.Dest+" that the new commit has too: ", files[1:]
	}
	if len(files) == 0 {
		return ""
	}
	more := ""
	if n := len(files) - shownFiles; n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	return said + strings.Join(files[:min(len(files), shownFiles)], ", ") + more
}

func dash(s string) string {
	if s == "-" {
		return ""
	}
	return s
}

func (g *git) shownRef() string {
	if g.Ref == "" {
		return g.Repo
	}
	return g.Repo + " at " + g.Ref
}

// Outputs implements steps.Outputter.
func (g *git) Outputs(_ *steps.Facts, obs steps.Observation, _ steps.Result) map[string]cty.Value {
	head, ok := obs.Get("head")
	if !ok || head == "-" {
		return nil
	}
	return map[string]cty.Value{"commit": cty.StringVal(head)}
}
