package kinds

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/hashicorp/go-version"
	"github.com/zclconf/go-cty/cty"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

//go:embed source_build.sh
var sourceBuildScriptSource string

var sourceBuildKind = &steps.Kind{
	Name: "source_build",
	Doc: `A program that the host builds from its source: configure, make, make install.

What is there is told by the program itself: installed names a command, such as "sqlite3 --version", and the
version that its output must show. The first thing in the output that looks like a version counts. If the version
does not fit, or the command does not exist, the source is fetched, verified, unpacked, built and installed. A
command that exists and does not run, for want of a library for example, is built anew as well. /usr/local/bin
comes first in the search path.

Every stage that is done leaves a mark, so an interrupted build goes on where it stopped. A build with other
arguments never meets the rest of an earlier one. When it is installed, the source and what was built are removed,
unless keep is set. ldconfig is run at the end.

The host needs the commands of tools. The variables of env are set for configure, make and make install; a program
that shall find libraries in /usr/local/lib of a Red Hat system needs LD_RUN_PATH there, or an entry in
/etc/ld.so.conf.d.`,
	Example: `step "package" "make" {
  name = "make"
}

step "command" "source" {
  script = <<-EOT
    mkdir -p /srv/greet-1.2 && cd /srv/greet-1.2
    printf '#!/bin/sh\necho greet 1.2\n' >greet
    printf 'all:\n\ninstall:\n\tinstall -m 755 greet /usr/local/bin/greet\n' >Makefile
    tar -czf /srv/greet-1.2.tar.gz -C /srv greet-1.2
  EOT
  creates = "/srv/greet-1.2.tar.gz"
}

step "source_build" "greet" {
  url       = "file:///srv/greet-1.2.tar.gz"
  tools     = ["make"]
  installed = { command = "greet --version", version = ">= 1.2" }
}
`,
	Outputs: []steps.Output{
		{Name: "version", Type: cty.String, Doc: "The version that is installed; null if there is none."},
	},
	Rules: []steps.Rule{steps.OneOf("url is downloaded by the host, source is a local archive.", "url", "source")},
	New: func() (steps.Step, steps.Args) {
		s := &sourceBuild{Prefix: "/usr/local", Install: []string{"install"}, Tools: []string{"cc", "make"}, Timeout: 1800}
		env := kit.VariablesArg("env", &s.Env, "Environment variables for configure and make, such as LD_RUN_PATH, LDFLAGS, CPPFLAGS or CFLAGS.")
		env.Secret = false // compilers and make print them
		return s, steps.Args{
			kit.NameArg("name", &s.Name, "Name of the program, for messages and the directory of the build.").With("the name of the archive"),
			kit.URLArg("url", &s.URL, "Where the host downloads the source archive: https, http, ftp or file.", "https", "http", "ftp", "file"),
			kit.FileArg("source", &s.Source, "A local source archive, which is uploaded."),
			kit.SHA256Arg("sha256", &s.SHA256, "SHA-256 of the archive. Required with a url that is not https or file."),
			installedArg("installed", &s.Command, &s.Version, "How to tell what is installed: command is text for sh that only looks and prints a version; version is one version, which must be there exactly, or conditions such as \">= 3.8.3, < 4\".").Must(),
			kit.WordsArg("configure", &s.Configure, "Arguments of configure. --prefix is given by itself."),
			kit.PathWithinArg("configure_script", &s.ConfigureScript, "The configure script, relative to the source. Where the source has none of the default name, and configure is left out, make is all there is.").With("configure"),
			env,
			kit.WordsArg("make", &s.Make, "Targets and variables for make."),
			kit.WordsArg("make_install", &s.Install, "Targets and variables for make when it installs.").With(`["install"]`),
			kit.IntArg("jobs", &s.Jobs, 1, 1024, "How many jobs make runs at once.").With("the number of processors"),
			kit.PathArg("prefix", &s.Prefix, "Where the program is installed.").With("/usr/local"),
			kit.PathWithinArg("subdir", &s.Subdir, "A directory in the source to build in."),
			kit.NamesArg("tools", &s.Tools, "Commands that the build needs; cc is any C compiler.").With(`["cc", "make"]`),
			kit.PathArg("work_dir", &s.WorkDir, "Where it is built. Programs must be allowed to run there.").With("/var/tmp/provision-build, or ~/.cache/provision-build without root"),
			kit.NameArg("build_user", &s.BuildUser, "A user that configures and makes. Installing is left to whoever runs the step, who must be root.").With("whoever runs the step"),
			kit.BoolArg("keep", &s.Keep, "Keep the source and what was built."),
			kit.SecondsArg("download_timeout", &s.Timeout, "How long the download may take."),
		}
	},
}

type sourceBuild struct {
	Name, URL, SHA256, Command, Version string
	Prefix, Subdir, WorkDir, BuildUser  string
	ConfigureScript                     string
	Source                              *steps.Local
	Configure, Make, Install, Tools     []string
	Env                                 []steps.Variable
	Jobs, Timeout                       int
	Keep                                bool
}

var (
	_ steps.Bringer   = (*sourceBuild)(nil)
	_ steps.Requirer  = (*sourceBuild)(nil)
	_ steps.Outputter = (*sourceBuild)(nil)
)

// installedArg is the object { command, version }.
func installedArg(name string, command, wanted *string, doc string) steps.Arg {
	return steps.Arg{
		Name: name, Doc: doc, Type: cty.Object(map[string]cty.Type{"command": cty.String, "version": cty.String}),
		Decode: func(v cty.Value) error {
			c, w := v.GetAttr("command"), v.GetAttr("version")
			if c.IsNull() || w.IsNull() || strings.TrimSpace(c.AsString()) == "" {
				return errors.New("command and version are both required")
			}
			if err := kit.NoControl(c.AsString()); err != nil {
				return err
			}
			if err := shell.Check(c.AsString(), false); err != nil {
				return fmt.Errorf("the command does not parse: %w", err)
			}
			*command, *wanted = c.AsString(), strings.TrimSpace(w.AsString())
			if exactVersion.MatchString(*wanted) {
				return nil
			}
			if _, err := version.NewConstraint(*wanted); err != nil {
				return fmt.Errorf("%q is no version and no condition on versions: write it as \"3.7.4\" or \">= 3.8.3, < 4\"", *wanted)
			}
			return nil
		},
	}
}

// exactVersion is a version as it stands in the output of a program: digits with dots, and what some append to them (1.1.1w).
var exactVersion = regexp.MustCompile(`^[0-9]+(\.[0-9]+)*[A-Za-z0-9]*$`)

func (s *sourceBuild) Validate() []steps.Problem {
	var problems []steps.Problem
	if s.URL != "" {
		if p := kit.Unverified(s.URL, s.SHA256, false); p != nil {
			if !p.Warning {
				p.Detail = "Anyone on the way can change the source. Set sha256."
			}
			problems = append(problems, *p)
		}
	}
	if s.Source != nil && s.SHA256 != "" && s.SHA256 != s.Source.SHA256 {
		problems = append(problems, steps.Problem{Arg: "sha256", Summary: "the local archive has another SHA-256: " + s.Source.SHA256, Detail: "Fetch the archive again, or mend sha256."})
	}
	if kit.ProtectedPath(s.WorkDir) {
		problems = append(problems, steps.Problem{Arg: "work_dir", Summary: s.WorkDir + " is shared with others", Detail: "Name a directory of its own below it."})
	}
	return problems
}

// title is the name in messages.
func (s *sourceBuild) title() string {
	if s.Name != "" {
		return s.Name
	}
	base := path.Base(s.URL)
	if s.Source != nil {
		base = path.Base(s.Source.Path)
	}
	base, _, _ = strings.Cut(base, "?")
	base = archiveSuffix.ReplaceAllString(base, "")
	if base = notInName.ReplaceAllString(base, ""); base == "" || base[0] == '-' || base[0] == '.' {
		return "source"
	}
	return base
}

var (
	archiveSuffix = regexp.MustCompile(`\.(tgz|tbz2|txz|zip|tar|tar\.[a-z0-9]+)$`)
	notInName     = regexp.MustCompile(`[^A-Za-z0-9._+-]`)
)

// key is a hash of everything that the stages of a build depend on.
func (s *sourceBuild) key() string {
	h := sha256.New()
	sum := s.SHA256
	if s.Source != nil {
		sum = s.Source.SHA256
	}
	fmt.Fprintf(h, "%q %q %q %q %q %q %q %q %q\n", s.URL, sum, s.Configure, s.ConfigureScript, s.Make, s.Install, s.Prefix, s.Subdir, s.BuildUser)
	for _, v := range s.Env {
		fmt.Fprintf(h, "%s=%q\n", v.Name, v.Value.Reveal())
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
}

// Probe prints the version that the command shows: "found 3.29.0", "found none" without such a command, "found broken"
// if it exists and shows no version; and what the build would lack.
func (s *sourceBuild) Probe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "out=$( ( eval %s ) </dev/null 2>&1)\nstatus=$?\n", shell.Quote(s.Command))
	b.WriteString(`found=$(printf '%s\n' "$out" | awk '
		match($0, /[0-9]+(\.[0-9]+)+[A-Za-z0-9]*/) { print substr($0, RSTART, RLENGTH); done = 1; exit }
		plain == "" && match($0, /[0-9]+/) { plain = substr($0, RSTART, RLENGTH) }
		END { if (!done && plain != "") print plain }') || exit 1
case $status:$found in
0:?*) say found "$found" ;;
0:*) fail "the command of installed shows no version: $out" ;;
127:*)
	# A library that is missing gives the same status as a missing command.
	case $out in
	*'shared librar'*) say found broken ;;
	*) say found none ;;
	esac
	;;
126:*) fail "the command of installed may not be run: $out" ;;
*) say found broken ;;
esac
`)
	for _, tool := range s.Tools {
		if tool == "cc" {
			b.WriteString("have cc || have gcc || have clang || need command 'cc or gcc or clang'\n")
			continue
		}
		fmt.Fprintf(&b, "have %[1]s || need command %[1]s\n", shell.Quote(tool))
	}
	if s.BuildUser != "" {
		b.WriteString((&kit.Ownership{Owner: s.BuildUser}).ProbeNames(false))
	}
	return b.String()
}

// Brings implements steps.Bringer: what make install does is the program's own.
func (s *sourceBuild) Brings(steps.Change) steps.Supply { return steps.Anything() }

// Requires implements steps.Requirer.
func (s *sourceBuild) Requires() []steps.Thing {
	return (&kit.Ownership{Owner: s.BuildUser}).Accounts()
}

// fits tells whether a version that was found is the wanted one.
func (s *sourceBuild) fits(found string) bool {
	if found == "none" || found == "broken" {
		return false
	}
	if found == s.Version {
		return true
	}
	v, err := version.NewVersion(strings.TrimRight(found, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"))
	if err != nil {
		return false
	}
	if exactVersion.MatchString(s.Version) {
		wanted, err := version.NewVersion(s.Version)
		return err == nil && v.Equal(wanted) && v.Original() == found
	}
	constraints, err := version.NewConstraint(s.Version)
	return err == nil && constraints.Check(v)
}

func (s *sourceBuild) Plan(f *steps.Facts, obs steps.Observation) (steps.Change, error) {
	found, _ := obs.Get("found")
	if s.fits(found) {
		// Another version may be installed, by an upgrade of packages, before this step's turn comes.
		return steps.Change{Action: steps.NoOp}, nil
	}
	change := steps.Change{Action: steps.Update}
	attr := steps.Attr{Name: "version", Before: found, After: s.Version}
	shown := found
	switch found {
	case "none":
		change.Action = steps.Create
		attr = steps.Attr{Name: "version", BeforeMissing: true, After: s.Version}
		shown = "not installed"
	case "broken":
		shown = "installed, but it does not run"
	}
	change.Reason = shown + " → " + s.Version
	change.Diff = []steps.Attr{attr}
	change.Ops = s.ops(f)
	change.AddNeeds(obs)
	return change, nil
}

func (s *sourceBuild) ops(f *steps.Facts) []steps.Op {
	if s.Source == nil {
		return []steps.Op{steps.Run{Script: s.script(f), Env: s.Env}}
	}
	fetch := s.head() + "[ -e \"$w/archive\" ] || { cat >\"$w/archive.new\" && mv -- \"$w/archive.new\" \"$w/archive\"; } || exit 1\n"
	return []steps.Op{
		steps.Run{Script: fetch, Stdin: &steps.Content{Local: s.Source}},
		steps.Run{Script: s.script(f), Env: s.Env},
	}
}

// head is the sh that every operation begins with: it leaves the directory of the build in $w.
func (s *sourceBuild) head() string {
	var given []string
	for _, v := range s.Env {
		given = append(given, v.Name)
	}
	return shell.Strip(sourceBuildScriptSource) + fmt.Sprintf("name=%s\nkey=%s\nwork=%s\nbuilder=%s\nsubdir=%s\ngiven=%s\nbuild_place\n",
		shell.Words(s.title()), s.key(), shell.Quote(s.WorkDir), shell.Quote(s.BuildUser), shell.Quote(s.Subdir), shell.Quote(strings.Join(given, " ")))
}

func (s *sourceBuild) script(f *steps.Facts) string {
	var b strings.Builder
	b.WriteString(shell.Strip(unpackScriptSource))
	if s.URL != "" {
		b.WriteString(kit.FetchScript())
	}
	b.WriteString(s.head())
	sum := s.SHA256
	if s.Source != nil {
		sum = s.Source.SHA256
	} else {
		b.WriteString("if [ ! -e \"$w/archive\" ]; then\n" + kit.FetchInto(s.URL, `"$w/archive.new"`, s.Timeout) +
			kit.VerifySum(s.SHA256, `"$w/archive.new"`) + "mv -- \"$w/archive.new\" \"$w/archive\" || exit 1\nfi\n")
	}
	if sum != "" {
		// What an earlier run left may have been damaged since.
		fmt.Fprintf(&b, "sum_of \"$w/archive\" || exit 1; s=$SUM\n[ \"$s\" = %s ] || { rm -f -- \"$w/archive\"; fail \"the archive in $w was damaged, and is gone now; run again\"; }\n", sum)
	}
	if s.BuildUser != "" {
		b.WriteString("[ \"$F_UID\" = 0 ] || fail 'build_user needs root: set become = true'\n")
	}
	b.WriteString("build_unpack\n")
	b.WriteString(s.configure())
	jobs := max(s.Jobs, 1)
	if s.Jobs == 0 && f.CPUs > 0 {
		jobs = f.CPUs
	}
	fmt.Fprintf(&b, "build_stage make %s\n", shell.Quote(shell.Words(append([]string{"make", fmt.Sprintf("-j%d", jobs)}, s.Make...)...)))
	b.WriteString("builder=\n") // installing is for whoever runs the step
	fmt.Fprintf(&b, "printf '== %%s: install\\n' \"$name\"\nbuild_run %s || fail \"the installation of $name failed; its last lines say why. The build stays in $w\"\n",
		shell.Quote(shell.Words(append([]string{"make"}, s.Install...)...)))
	// A second one beside it, of a package that is being installed, makes ldconfig fail.
	b.WriteString("if [ \"$F_UID\" = 0 ] && have ldconfig; then\n\tldconfig 2>/dev/null || { sleep 1; ldconfig; } || exit 1\nfi\n")
	b.WriteString("! have hash || hash -r 2>/dev/null || :\n")
	fmt.Fprintf(&b, "out=$( ( eval %s ) </dev/null 2>&1) || fail \"$name was installed, but does not run: $out\"\n", shell.Quote(s.Command))
	if !s.Keep {
		b.WriteString("rm -rf -- \"$w\" || exit 1\nrmdir -- \"$work\" 2>/dev/null || :\n")
	}
	return b.String()
}

// configure is sh for that stage. Without any argument for it, a source that has no configure script is made at once.
func (s *sourceBuild) configure() string {
	script := s.ConfigureScript
	if script == "" {
		script = "configure"
	}
	words := append([]string{"./" + script, "--prefix=" + s.Prefix}, s.Configure...)
	stage := fmt.Sprintf("build_stage configure %s\n", shell.Quote(shell.Words(words...)))
	if s.ConfigureScript != "" || len(s.Configure) > 0 {
		return stage
	}
	return "if [ -e \"$w/src${subdir:+/$subdir}/configure\" ]; then\n" + stage + "fi\n"
}

// Outputs implements steps.Outputter.
func (s *sourceBuild) Outputs(_ *steps.Facts, obs steps.Observation, _ steps.Result) map[string]cty.Value {
	found, _ := obs.Get("found")
	if found == "" || found == "none" || found == "broken" {
		return nil
	}
	return map[string]cty.Value{"version": cty.StringVal(found)}
}
