package kinds

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

var repositoryKind = &steps.Kind{
	Name: "repository",
	Doc: `A package repository of yum, dnf, zypper, apt or apk.

One step can serve hosts of several families: each takes the arguments that it knows. yum, dnf and zypper
need baseurl, mirrorlist or metalink, or url, the address of a ready .repo file. apt needs uris and
suites; apk needs baseurl.

The repository is tried before it is written: its lists are fetched with a copy of the file, and if that
fails nothing changes, since one broken repository makes every later installation fail. After that a
package step finds its packages at once. The file is NAME.repo or NAME.sources and is compared as a
whole; one that is there already is replaced. To change one line of a file that a package owns, use the
kind ini. A .repo file from url is downloaded once, and again when sha256 changes.

With apt, another file that has the same archive with another key is an error of the plan: apt refuses
to do anything with two that differ.

gpgkey and signed_by say which key must sign. A key given as a URL or as text is stored in
/etc/apt/keyrings by apt; with rpm, yum imports it. gpgcheck = false trusts anyone on the way to the server.
A password in a URL is refused, since the file is readable by everyone: put it into
/etc/apt/auth.conf.d or /etc/yum.repos.d with a step of the kind file and a sensitive content.`,
	Example: `step "command" "packages" {
  script  = "mkdir -p /srv/packages && : >/srv/packages/Packages"
  creates = "/srv/packages/Packages"
}

step "repository" "demo" {
  name     = "demo"
  uris     = ["file:/srv/packages"]
  suites   = ["./"]
  gpgcheck = false
}
`,
	New: func() (steps.Step, steps.Args) {
		r := &repository{State: "present", Enabled: true, GPGCheck: true}
		return r, steps.Args{
			kit.NameArg("name", &r.Name, "Name of the repository, and of its file.").Must(),
			kit.EnumArg("state", &r.State, "Whether the repository is there.", "present", "absent"),
			kit.StringArg("description", &r.Description, "What people call it.").With("the name"),
			kit.StringArg("baseurl", &r.BaseURL, "Address of the packages (yum, dnf, zypper, apk). Variables such as $releasever are left to the package manager."),
			kit.StringArg("mirrorlist", &r.MirrorList, "Address of a list of mirrors (yum, dnf)."),
			kit.StringArg("metalink", &r.Metalink, "Address of a metalink (yum, dnf)."),
			kit.URLArg("url", &r.URL, "Address of a .repo file, which is used as it is (yum, dnf, zypper).", "https", "http", "file"),
			kit.SHA256Arg("sha256", &r.SHA256, "SHA-256 of the .repo file from url."),
			kit.StringArg("gpgkey", &r.GPGKey, "Address of the key that signs the packages (yum, dnf, zypper)."),
			kit.BoolArg("gpgcheck", &r.GPGCheck, "Whether signatures are checked."),
			kit.BoolArg("enabled", &r.Enabled, "Whether the repository is used."),
			kit.StringsArg("uris", &r.URIs, "Addresses of the archive (apt)."),
			kit.StringsArg("suites", &r.Suites, "Suites, such as bookworm; one that ends in / is an exact path and takes no components (apt)."),
			kit.StringsArg("components", &r.Components, "Components, such as main (apt)."),
			kit.StringsArg("architectures", &r.Architectures, "Architectures, such as amd64. Left out, those of the host (apt)."),
			kit.StringsArg("types", &r.Types, "deb, deb-src or both (apt).").With("[\"deb\"]"),
			plainTextArg("signed_by", &r.SignedBy, "The key that signs the archive: an absolute path on the host, a URL, or the text of an armored key (apt)."),
		}
	},
}

// plainTextArg is text of several lines that is no secret.
func plainTextArg(name string, to *string, doc string) steps.Arg {
	var text *steps.Text
	a := kit.TextArg(name, &text, doc)
	set := a.Decode
	a.Secret = false
	a.Decode = func(v cty.Value) error {
		if err := set(v); err != nil {
			return err
		}
		*to = text.Reveal()
		return nil
	}
	return a
}

type repository struct {
	Name, State, Description, BaseURL, MirrorList, Metalink, URL, SHA256, GPGKey, SignedBy string
	GPGCheck, Enabled                                                                      bool
	URIs, Suites, Components, Architectures, Types                                         []string
}

var (
	_ steps.Bringer  = (*repository)(nil)
	_ steps.Requirer = (*repository)(nil)
)

var credentials = regexp.MustCompile(`://[^/@\s]+:[^/@\s]+@`)

func (r *repository) Validate() []steps.Problem {
	var problems []steps.Problem
	for _, address := range append([]string{r.BaseURL, r.MirrorList, r.Metalink, r.GPGKey, r.SignedBy}, r.URIs...) {
		if credentials.MatchString(address) {
			problems = append(problems, steps.Problem{Summary: "a URL holds a password, which everyone on the host could read", Detail: "apt: a file in /etc/apt/auth.conf.d; yum: username and password in a file with mode 0600. Use a step of the kind file."})
			break
		}
	}
	for _, address := range append([]string{r.BaseURL, r.MirrorList, r.Metalink, r.GPGKey}, r.URIs...) {
		if strings.ContainsAny(address, " \t") {
			problems = append(problems, steps.Problem{Summary: fmt.Sprintf("%q is no URL", address), Detail: "A URL holds no spaces; several uris are a list."})
		}
	}
	if r.State == "absent" {
		return problems
	}
	yum := r.BaseURL != "" || r.MirrorList != "" || r.Metalink != ""
	apt := len(r.URIs) > 0
	switch {
	case r.URL != "" && yum:
		problems = append(problems, steps.Problem{Arg: "url", Summary: "url is a whole .repo file and cannot be joined with baseurl, mirrorlist or metalink", Detail: "Leave one of them out."})
	case !apt && !yum && r.URL == "":
		problems = append(problems, steps.Problem{Summary: "the address of the repository is missing", Detail: "yum and dnf: baseurl, mirrorlist, metalink or url. apt: uris and suites."})
	}
	if apt && len(r.Suites) == 0 {
		problems = append(problems, steps.Problem{Arg: "suites", Summary: "apt needs suites", Detail: "Such as [\"bookworm\"], or [\"./\"] for a plain directory."})
	}
	for _, suite := range r.Suites {
		if exact := strings.HasSuffix(suite, "/"); exact == (len(r.Components) > 0) {
			problems = append(problems, steps.Problem{Arg: "components", Summary: fmt.Sprintf("the suite %q and the components do not fit", suite), Detail: "A suite needs components, such as [\"main\"], unless it ends in / and is an exact path."})
			break
		}
	}
	if r.SHA256 != "" && r.URL == "" {
		problems = append(problems, steps.Problem{Arg: "sha256", Summary: "sha256 belongs to url", Detail: "Set url, or leave sha256 out."})
	}
	if r.SignedBy != "" && !strings.HasPrefix(r.SignedBy, "/") && !strings.HasPrefix(r.SignedBy, "https://") && !r.armored() {
		problems = append(problems, steps.Problem{Arg: "signed_by", Summary: "signed_by is no key", Detail: "Give an absolute path on the host, an https URL, or the text that begins with -----BEGIN PGP PUBLIC KEY BLOCK-----."})
	}
	return problems
}

// Brings implements steps.Bringer.
func (r *repository) Brings(steps.Change) steps.Supply {
	var s steps.Supply
	if r.State == "absent" {
		return s
	}
	for _, manager := range []string{"apt", "zypper", "apk", "yum"} {
		s.Things = append(s.Things, steps.Thing{Kind: steps.FileThing, Name: r.path(manager)})
	}
	if key := r.keyPath(); key != "" && key != r.SignedBy {
		s.Things = append(s.Things, steps.Thing{Kind: steps.FileThing, Name: key})
		s.AddDirectory("/etc/apt/keyrings")
	}
	return s
}

// Touches implements steps.Toucher: the package manager writes its lists.
func (r *repository) Touches(steps.Observation) steps.Supply { return steps.Anything() }

// Requires implements steps.Requirer.
func (r *repository) Requires() []steps.Thing {
	if r.State == "absent" || !strings.HasPrefix(r.SignedBy, "/") {
		return nil
	}
	return []steps.Thing{{Kind: steps.FileThing, Name: r.SignedBy}}
}

func (r *repository) Probe() string {
	var b strings.Builder
	fmt.Fprintf(&b, `case $F_PACKAGE_MANAGER in
apt) p=%s k=%s ;;
zypper) p=%s k= ;;
apk)
	[ -r /etc/apk/repositories ] || fail "/etc/apk/repositories cannot be read"
	l=no
	while IFS= read -r line; do [ "$line" != %s ] || l=yes; done </etc/apk/repositories
	say line "$l"
	exit 0
	;;
*) p=%s k= ;;
esac
`, shell.Quote(r.path("apt")), shell.Quote(r.keyPath()), shell.Quote(r.path("zypper")), shell.Quote(r.BaseURL), shell.Quote(r.path("yum")))
	b.WriteString(`path_type "$p" || exit 1; t=$TYPE
say type "$t"
if [ "$t" = file ]; then
	sum_of "$p" || exit 1; s=$SUM
	say sum "$s"
fi
`)
	if r.State == "absent" {
		return b.String()
	}
	b.WriteString("if [ -n \"$k\" ]; then\n\tpath_type \"$k\" || exit 1; t=$TYPE\n\tsay key \"$t\"\n")
	if r.armored() {
		b.WriteString("\t[ \"$t\" != file ] || { sum_of \"$k\" || exit 1; s=$SUM; say key_sum \"$s\"; }\n")
	}
	b.WriteString("fi\n")
	if len(r.URIs) > 0 && r.Enabled {
		// Only what names one of these archives is of interest, in an order that stays.
		b.WriteString(shell.Strip(repositoryProbeSource) + "if [ \"$F_PACKAGE_MANAGER\" = apt ]; then\n\tl=$(apt_sources \"$p\") || fail \"the sources of apt cannot be read\"\n")
		b.WriteString("\tprintf '%s\\n' \"$l\" | while IFS='|' read -r file uri suite key; do\n\t\tcase ${uri%/} in\n\t\t")
		var patterns []string
		for _, uri := range r.URIs {
			patterns = append(patterns, quotedPattern(strings.TrimSuffix(uri, "/")))
		}
		b.WriteString(strings.Join(patterns, " | ") + ") say source \"$suite $key $uri $file\" ;;\n\t\tesac\n\tdone\nfi\n")
	}
	b.WriteString("[ ! -f \"$p\" ] || detail content \"$p\"\n")
	return b.String()
}

// quotedPattern is a pattern of case that matches s alone.
func quotedPattern(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// conflict says which other source of apt signs the same archive with another key: apt refuses to work with two that differ.
func (r *repository) conflict(obs steps.Observation) error {
	wanted := r.keyPath()
	if wanted == "" {
		wanted = "none"
	}
	for _, line := range obs.All("source") {
		fields := strings.SplitN(line, " ", 4)
		if len(fields) != 4 || !slices.Contains(r.Suites, fields[0]) || fields[1] == wanted {
			continue
		}
		has := "is signed by " + fields[1]
		switch fields[1] {
		case "none":
			has = "names no key"
		case "inline":
			has = "holds a key of its own"
		}
		return fmt.Errorf("%s has the same archive already (%s %s) and %s, where this step has %s: apt would refuse every command. Remove that file, or give this one the same signed_by",
			fields[3], fields[2], fields[0], has, wanted)
	}
	return nil
}

func (r *repository) Plan(f *steps.Facts, obs steps.Observation) (steps.Change, error) {
	manager := f.PackageManager
	if err := r.serves(manager); err != nil {
		return steps.Change{}, err
	}
	if manager == "apk" {
		return r.planLine(obs), nil
	}
	kind, _ := obs.Get("type")
	file := r.path(manager)
	if kind != "absent" && kind != "file" {
		return steps.Change{}, fmt.Errorf("%s is a %s, not a file; move it away", file, kind)
	}
	if r.State == "absent" {
		if kind == "absent" {
			return steps.Change{Action: steps.NoOp}, nil
		}
		return steps.Change{
			Action: steps.Delete, Diff: []steps.Attr{{Name: "path", Before: file, AfterMissing: true}},
			Ops: []steps.Op{steps.Run{Script: "rm -f -- " + shell.Quote(file) + "\n"}}, Dangers: []string{"removes repository " + r.Name},
		}, nil
	}
	if err := r.conflict(obs); manager == "apt" && err != nil {
		return steps.Change{}, err
	}
	sum, _ := obs.Get("sum")
	key, hasKey := obs.Get("key")
	keySum, _ := obs.Get("key_sum")
	change := steps.Change{Action: steps.NoOp}
	before, known := obs.Detail("content")
	wanted := r.content(manager)
	switch {
	case r.URL != "" && manager != "apt":
		if kind == "absent" || r.SHA256 != "" && sum != r.SHA256 {
			change.Diff = []steps.Attr{{Name: "file", Before: sum, BeforeMissing: kind == "absent", After: r.URL}}
		}
	case kind == "absent" || sum != steps.Plain(wanted).Sum(f):
		change.Diff = []steps.Attr{{Name: "content", Before: before, BeforeMissing: kind == "absent" || !known, After: wanted}}
	}
	if hasKey && (key == "absent" || r.armored() && keySum != steps.Plain(r.key()).Sum(f)) {
		if strings.HasPrefix(r.SignedBy, "/") {
			change.Needs = []steps.Thing{{Kind: steps.FileThing, Name: r.SignedBy}}
		} else {
			change.Diff = append(change.Diff, steps.Attr{Name: "key", Before: keySum, BeforeMissing: keySum == "", After: r.keyPath()})
		}
	}
	if len(change.Diff) == 0 {
		return steps.Change{Action: steps.NoOp}, nil
	}
	change.Action = steps.Update
	if kind == "absent" {
		change.Action = steps.Create
	}
	if len(change.Needs) > 0 {
		lines := []string{"type " + kind}
		if sum != "" {
			lines = append(lines, "sum "+sum)
		}
		change.Predict = []steps.Observation{steps.Observe(append(lines, "key file")...)}
	}
	change.Ops = []steps.Op{steps.Run{Script: r.script(manager)}}
	return change, nil
}

// serves tells whether the arguments describe a repository for a package manager.
func (r *repository) serves(manager string) error {
	switch {
	case manager == "pacman" || manager == "":
		return fmt.Errorf("repositories of this host cannot be managed (package manager %q); edit pacman.conf with the kind ini, or set when", manager)
	case r.State == "absent":
		return nil
	case manager == "apt" && len(r.URIs) == 0:
		return fmt.Errorf("this host uses apt, which needs uris and suites; add them, or limit the step with when")
	case manager == "apk" && r.BaseURL == "":
		return fmt.Errorf("this host uses apk, which needs baseurl; add it, or limit the step with when")
	case manager != "apt" && manager != "apk" && r.BaseURL+r.MirrorList+r.Metalink+r.URL == "":
		return fmt.Errorf("this host uses %s, which needs baseurl, mirrorlist, metalink or url; add one, or limit the step with when", manager)
	}
	return nil
}
