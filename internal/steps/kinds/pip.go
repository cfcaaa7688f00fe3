package kinds

import (
	_ "embed"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

//go:embed pip_probe.py
var pipProbe string

var pipKind = &steps.Kind{
	Name: "pip",
	Doc: `Python packages, installed by pip.

What is there is told by that Python itself: every package that is named, and every line of requirements, is compared
with what it would import. Names are compared as Python does (PEP 503), versions too. Works with every pip since that of CentOS 7,
and with Python 2.

virtualenv is a directory whose own Python is used. It is made if it does not exist, with python -m venv (on Debian
the package python3-venv) or virtualenv. Without it the packages go where pip puts them: for the whole system as root,
else into the home directory.

A distribution may reserve its Python for its own packages (Debian 12 and Ubuntu 23.04 do: PEP 668). Then use a
virtualenv; break_system_packages does it all the same.

requirements is a local file, which travels with the step. Lines with -r or -c, URLs and paths in it are not
supported. index_url may hold a password; it is not shown.`,
	Example: `step "package" "python" {
  names = ["python3-venv", "python3-wheel-whl"]
}

step "pip" "wheel" {
  names      = ["wheel > 0.30"]
  virtualenv = "/opt/demo"
  find_links = "/usr/share/python-wheels"
  no_index   = true
}
`,
	Rules: []steps.Rule{steps.OneOf("name is one package, names a list, requirements a local file.", "name", "names", "requirements")},
	New: func() (steps.Step, steps.Args) {
		p := &pip{Python: "python3", State: "installed"}
		return p, steps.Args{
			pipNameArg("name", &p.Name, "A package, with a version if it matters: \"pipenv\", \"pipenv==2023.1\", \"urllib3<2\". One of name, names and requirements is required."),
			pipNamesArg("names", &p.Names, "Packages."),
			kit.FileArg("requirements", &p.Requirements, "A local requirements file."),
			kit.StringArg("version", &p.Version, "The version of the one package that name gives."),
			kit.EnumArg("state", &p.State, "Whether the packages are there. latest asks the index while planning.", "installed", "latest", "absent"),
			pythonArg("python", &p.Python, "The Python whose packages they are, such as \"python3.11\" or \"/usr/local/bin/python3.7\"."),
			kit.PathArg("virtualenv", &p.Virtualenv, "A virtual environment. It is made if it does not exist."),
			kit.TextArg("index_url", &p.IndexURL, "The package index. It may be sensitive.").With("what pip is configured for"),
			kit.NameArg("trusted_host", &p.TrustedHost, "A host of the index that is trusted without a valid certificate."),
			kit.StringArg("find_links", &p.FindLinks, "A directory of the host, or a URL, with archives to look at beside the index."),
			kit.BoolArg("no_index", &p.NoIndex, "Do not ask the index; look at find_links alone."),
			kit.BoolArg("user", &p.User, "Install into the home directory of the user who runs the step."),
			kit.BoolArg("break_system_packages", &p.Break, "Install into a Python that the distribution reserves for itself."),
		}
	},
}

type pip struct {
	Name, Version, State, Python, Virtualenv string
	TrustedHost, FindLinks                   string
	Names                                    []string
	Requirements                             *steps.Local
	IndexURL                                 *steps.Text
	NoIndex, User, Break                     bool

	requirements string   // content of the file
	lines        []string // its requirements
}

var (
	_ steps.Bringer = (*pip)(nil)
	_ steps.Asker   = (*pip)(nil)
	_ steps.Loader  = (*pip)(nil)
)

var (
	pipRequirement = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?(\[[A-Za-z0-9._, -]*\])?\s*([<>=!~]=?=?\s*[A-Za-z0-9.*+!_-]+(\s*,\s*[<>=!~]=?=?\s*[A-Za-z0-9.*+!_-]+)*)?(\s*;.*)?$`)
	pipURL         = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9._, -]*\])?\s*@\s*\S+(\s*;.*)?$`)
	pipBareName    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*`)
	pythonName     = regexp.MustCompile(`^[A-Za-z0-9/][A-Za-z0-9_./+-]*$`)
	pipSeparators  = regexp.MustCompile(`[-_.]+`)
)

// Load implements steps.Loader.
func (p *pip) Load(d *steps.Disk) []steps.Problem {
	if p.Requirements == nil {
		return nil
	}
	text, err := d.Text(p.Requirements.Path)
	if err == nil {
		p.requirements = text
		p.lines, err = requirementLines(text)
	}
	if err != nil {
		return []steps.Problem{{Arg: "requirements", Summary: "the requirements cannot be used", Detail: err.Error() + "."}}
	}
	return nil
}

func (p *pip) Validate() []steps.Problem {
	var problems []steps.Problem
	if p.Version != "" && (p.Name == "" || pipBareName.FindString(p.Name) != p.Name) {
		problems = append(problems, steps.Problem{Arg: "version", Summary: "version belongs to a name without one", Detail: "Write the version beside each name: \"pipenv==2023.1\"."})
	} else if p.Version != "" && checkPipName(p.Name+"=="+p.Version) != nil {
		problems = append(problems, steps.Problem{Arg: "version", Summary: fmt.Sprintf("%q is no version", p.Version), Detail: "Write conditions into name: \"urllib3<2\"."})
	}
	if p.Requirements != nil && p.State != "installed" {
		problems = append(problems, steps.Problem{Arg: "state", Summary: "requirements can only be installed", Detail: "Name the packages for state = \"" + p.State + "\"."})
	}
	if p.Virtualenv != "" && (p.User || p.Break) {
		problems = append(problems, steps.Problem{Arg: "virtualenv", Summary: "a virtualenv is neither the user's nor the system's", Detail: "Leave user and break_system_packages out."})
	}
	if kit.ProtectedPath(p.Virtualenv) {
		problems = append(problems, steps.Problem{Arg: "virtualenv", Summary: p.Virtualenv + " cannot be a virtualenv", Detail: "Name a directory of its own below it."})
	}
	if p.NoIndex && p.FindLinks == "" {
		problems = append(problems, steps.Problem{Arg: "no_index", Summary: "no_index needs find_links", Detail: "Nothing could be found otherwise."})
	}
	if p.IndexURL != nil {
		if err := kit.NoControl(p.IndexURL.Reveal()); err != nil || !strings.Contains(p.IndexURL.Reveal(), "://") {
			problems = append(problems, steps.Problem{Arg: "index_url", Summary: "index_url is no URL", Detail: "Write it as \"https://pypi.org/simple\"."})
		}
	}
	return problems
}

// wanted lists the requirements.
func (p *pip) wanted() []string {
	switch {
	case p.Requirements != nil:
		return p.lines
	case p.Version != "":
		return []string{p.Name + "==" + p.Version}
	case p.Name != "":
		return []string{p.Name}
	}
	return p.Names
}

// setPython is sh that puts the Python into $py, or says that it is missing.
func (p *pip) setPython(missing string) string {
	if p.Virtualenv == "" {
		return fmt.Sprintf("py=%s\nhave \"$py\" || { %s; }\n", shell.Quote(p.Python), missing)
	}
	return fmt.Sprintf("py=%s\n", shell.Quote(path.Join(p.Virtualenv, "bin/python")))
}

// absent is sh that prints the state in which nothing is installed.
func (p *pip) absent() string {
	var b strings.Builder
	for _, r := range p.wanted() {
		fmt.Fprintf(&b, "say have %s\n", shell.Quote(normal(r)+" - absent"))
	}
	return b.String()
}

// Brings implements steps.Bringer.
func (p *pip) Brings(steps.Change) steps.Supply {
	if p.State == "absent" {
		return steps.Supply{}
	}
	if p.Virtualenv == "" {
		return steps.Supply{Trees: []string{"/usr/local", "*/.local"}, May: []string{steps.CommandThing, steps.ModuleThing}}
	}
	s := steps.Supply{Trees: []string{p.Virtualenv}}
	s.AddDirectory(p.Virtualenv)
	return s
}

// Asks implements steps.Asker.
func (p *pip) Asks(*steps.Facts) []steps.Thing {
	return append([]steps.Thing{{Kind: steps.FileThing, Name: p.Python}}, kit.NetworkThings()...)
}

func (p *pip) Probe() string {
	var b strings.Builder
	if p.Virtualenv != "" {
		fmt.Fprintf(&b, "base=%s\n", shell.Quote(p.Python))
		b.WriteString(p.setPython(""))
		b.WriteString("path_type \"$py\" || exit 1; t=$TYPE\n[ \"$t\" != symlink ] || [ -e \"$py\" ] || t=absent\n")
		b.WriteString("if [ \"$t\" = absent ]; then\nsay virtualenv no\n" + p.absent() + "have \"$base\" || need command \"$base\"\nexit 0\nfi\n")
	} else {
		b.WriteString(p.setPython("\n" + p.absent() + "need command \"$py\"; exit 0"))
	}
	// The Python must not take modules from where it is run, nor what a user's environment says.
	fmt.Fprintf(&b, "cd / && unset PYTHONPATH PYTHONHOME PYTHONSTARTUP\n\"$py\" -c %s %s || exit 1\n", shell.Quote(pipProbe), shell.Words(p.wanted()...))
	if p.State == "latest" {
		b.WriteString(p.probeLatest())
	}
	return b.String()
}

// probeLatest is sh that prints "newer NAME VERSION" for packages that the index has in a newer version. The secret URL
// of an index is not at hand while planning, so pip is asked only where there is none.
func (p *pip) probeLatest() string {
	return fmt.Sprintf(`export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 %s
list=$("$py" -m pip list --outdated --format=json) || fail "pip could not ask the index for newer versions"
"$py" -c 'import json, re, sys
for d in json.loads(sys.argv[1]):
    name = re.sub(r"[-_.]+", "-", d["name"]).lower()
    if name in sys.argv[2:]:
        print("newer %%s %%s" %% (name, d["latest_version"]))' "$list" %s || exit 1
`, p.plainEnv(), shell.Words(normals(p.wanted())...))
}

func normals(requirements []string) []string {
	var list []string
	for _, r := range requirements {
		list = append(list, normal(r))
	}
	return list
}

// plainEnv is the environment that is no secret as words of export.
func (p *pip) plainEnv() string {
	var words []string
	for _, v := range p.env() {
		if !v.Value.Sensitive() {
			words = append(words, v.Name+"="+shell.Quote(v.Value.Reveal()))
		}
	}
	return strings.Join(words, " ")
}

func (p *pip) Plan(_ *steps.Facts, obs steps.Observation) (steps.Change, error) {
	change := steps.Change{Action: steps.NoOp}
	if p.State == "latest" && p.IndexURL != nil && p.IndexURL.Sensitive() {
		return steps.Change{}, errors.New("state latest asks the index while planning, where its secret URL is not at hand; give versions instead")
	}
	newer := map[string]string{}
	for _, line := range obs.All("newer") {
		name, version, _ := strings.Cut(line, " ")
		newer[name] = version
	}
	requirement := map[string]string{}
	for _, r := range p.wanted() {
		requirement[normal(r)] = r
	}
	var touched []string
	create := true
	for _, line := range obs.All("have") {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			return steps.Change{}, fmt.Errorf("the host answered %q, which is no package; is its Python whole?", line)
		}
		name, found, how := fields[0], fields[1], fields[2]
		attr := steps.Attr{Name: name, Before: found, After: p.target(requirement[name], newer[name])}
		switch {
		case p.State == "absent" && how == "absent":
			continue
		case p.State == "absent":
			attr.After, attr.AfterMissing = "", true
			touched = append(touched, name)
		case how == "absent":
			attr.Before, attr.BeforeMissing = "", true
			touched = append(touched, requirement[name])
		case how == "differs", newer[name] != "":
			create = false
			touched = append(touched, requirement[name])
		default:
			continue
		}
		change.Diff = append(change.Diff, attr)
	}
	if v, _ := obs.Get("virtualenv"); v == "no" && p.State != "absent" {
		change.Diff = append([]steps.Attr{{Name: "virtualenv", BeforeMissing: true, After: p.Virtualenv}}, change.Diff...)
	}
	if len(change.Diff) == 0 {
		return change, nil
	}
	if obs.Yes("managed") && !p.Break && !p.User {
		return steps.Change{}, fmt.Errorf("%s belongs to the distribution, which wants no packages of pip in it (PEP 668); set virtualenv to a directory such as /opt/app, or break_system_packages = true", p.Python)
	}
	switch {
	case p.State == "absent":
		change.Action = steps.Delete
		change.Dangers = []string{"removes the Python packages " + strings.Join(touched, ", ")}
	case create:
		change.Action = steps.Create
	default:
		change.Action = steps.Update
	}
	change.Ops = []steps.Op{p.op(touched)}
	change.AddNeeds(obs)
	return change, nil
}

// target is the version that will be there, as far as it is known.
func (p *pip) target(requirement, newer string) string {
	if newer != "" {
		return newer
	}
	if rest := strings.TrimSpace(strings.TrimPrefix(requirement, pipBareName.FindString(requirement))); rest != "" {
		return strings.TrimPrefix(rest, "==")
	}
	return p.State
}

// env is the configuration of pip. Variables, unlike options, are unknown to no version of it, and are not seen by others.
func (p *pip) env() []steps.Variable {
	list := []steps.Variable{{Name: "PIP_DISABLE_PIP_VERSION_CHECK", Value: steps.Plain("1")}, {Name: "PIP_NO_INPUT", Value: steps.Plain("1")}, {Name: "PIP_ROOT_USER_ACTION", Value: steps.Plain("ignore")}}
	if p.Break {
		list = append(list, steps.Variable{Name: "PIP_BREAK_SYSTEM_PACKAGES", Value: steps.Plain("1")})
	}
	if p.FindLinks != "" {
		list = append(list, steps.Variable{Name: "PIP_FIND_LINKS", Value: steps.Plain(p.FindLinks)})
	}
	if p.IndexURL != nil {
		list = append(list, steps.Variable{Name: "PIP_INDEX_URL", Value: *p.IndexURL})
	}
	if p.NoIndex {
		list = append(list, steps.Variable{Name: "PIP_NO_INDEX", Value: steps.Plain("1")})
	}
	if p.TrustedHost != "" {
		list = append(list, steps.Variable{Name: "PIP_TRUSTED_HOST", Value: steps.Plain(p.TrustedHost)})
	}
	if p.User {
		list = append(list, steps.Variable{Name: "PIP_USER", Value: steps.Plain("1")})
	}
	return list
}

func (p *pip) op(touched []string) steps.Op {
	var b strings.Builder
	// What a package builds sees the locale of the host. The Python is the one that the probe found in our PATH.
	b.WriteString(kit.LoginEnvironment(append([]steps.Variable{{Name: "PATH"}}, p.env()...)))
	b.WriteString("cd / && unset PYTHONPATH PYTHONHOME PYTHONSTARTUP\n")
	b.WriteString(p.setPython(fmt.Sprintf("fail %s", shell.Quote(p.Python+" is not there; an earlier step has to bring it"))))
	if p.Virtualenv != "" && p.State != "absent" {
		fmt.Fprintf(&b, `env=%s base=%s
if [ ! -e "$py" ]; then
	"$base" -m venv "$env" || "$base" -m virtualenv "$env" ||
		fail "$base could not make the virtualenv $env; on Debian and Ubuntu it needs the package python3-venv, elsewhere virtualenv"
fi
`, shell.Quote(p.Virtualenv), shell.Quote(p.Python))
	}
	run := steps.Run{Env: p.env()}
	switch {
	case p.State == "absent":
		fmt.Fprintf(&b, "\"$py\" -m pip uninstall -y %s\n", shell.Words(touched...))
	case p.Requirements != nil:
		b.WriteString("t=$(mktemp) || exit 1\ntrap 'rm -f \"$t\"' EXIT\ncat >\"$t\" || exit 1\n\"$py\" -m pip install -r \"$t\"\n")
		run.Stdin = &steps.Content{Text: steps.Plain(p.requirements)}
	case p.State == "latest":
		fmt.Fprintf(&b, "\"$py\" -m pip install --upgrade %s\n", shell.Words(touched...))
	case len(touched) > 0:
		fmt.Fprintf(&b, "\"$py\" -m pip install %s\n", shell.Words(touched...))
	}
	run.Script = b.String()
	return run
}
