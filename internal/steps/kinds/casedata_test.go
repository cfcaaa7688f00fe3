package kinds

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"golang.org/x/tools/txtar"

	"provision/internal/steps"
)

// defaultFacts is the host of a data file without a section of facts.
const defaultFacts = `os_id debian
os_name Debian GNU/Linux 12 (bookworm)
os_version 12
os_like debian
arch x86_64
kernel 6.1.0-18-amd64
hostname testhost
cpus 2
memory_mb 2048
user root
home /root
is_root true
package_manager apt
init systemd
selinux disabled
boot_id 8d2a0b8e-6e7c-4a6e-9c59-3c1d6a1c1f00
`

// A dataFile is one testdata/KIND/NAME.txtar. Its sections:
//
//	args      HCL attributes of the step; sensitive("…") makes a secret
//	local/F   a file on the control machine, named "$LOCAL/F" in args
//	facts     lines of print_facts that differ from those of a Debian 12 with systemd
//	setup     sh that makes the state below $WORK; then the probe is run for real in every shell
//	system    (empty) setup, probe and operations run as root in a private copy of /etc, /home and
//	          /var/mail, so that accounts can be made
//	shells    names of the shells to use, where not every one can
//	needs     programs that must be there, and "root" where only root's run is as written; without them it is left out
//	state     what the probe prints; without setup it is given by hand
//	plan      the change as text
//	converge  the operations are run too, and a second plan must be empty; "root": only as root
//	after     sh that shows what the operations left; its output is the section after.out
//	problems  what is wrong with the arguments
//
// $WORK, $LOCAL and $ME (the user who runs the test) stand for what differs between machines.
// go test -update rewrites state, plan, after.out and problems.
type dataFile struct {
	path     string
	comment  []byte
	order    []string
	sections map[string]string
}

func (d *dataFile) has(section string) bool {
	_, ok := d.sections[section]
	return ok
}

func (d *dataFile) set(section, text string) {
	if !d.has(section) {
		d.order = append(d.order, section)
	}
	d.sections[section] = text
}

func (d *dataFile) write(t *testing.T) {
	t.Helper()
	a := &txtar.Archive{Comment: d.comment}
	for _, name := range d.order {
		a.Files = append(a.Files, txtar.File{Name: name, Data: []byte(d.sections[name])})
	}
	if err := os.WriteFile(d.path, txtar.Format(a), 0o666); err != nil {
		t.Fatal(err)
	}
}

var knownSections = regexp.MustCompile(`^(args|local/[\w. /-]+|facts|setup|system|shells|needs|state|plan|converge|after|after\.out|problems)$`)

func readData(t testing.TB, path string) *dataFile {
	t.Helper()
	a, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d := &dataFile{path: path, comment: a.Comment, sections: map[string]string{}}
	for _, f := range a.Files {
		if !knownSections.MatchString(f.Name) {
			t.Fatalf("%s: there is no section %q", path, f.Name)
		}
		d.set(f.Name, string(f.Data))
	}
	if !d.has("args") {
		t.Fatalf("%s: no section args", path)
	}
	return d
}

// dataFiles lists the data files of a kind, in order of their names.
func dataFiles(t testing.TB, kind string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", kind, "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	sort.Strings(paths)
	return paths
}

// facts returns the facts of the case.
func (d *dataFile) facts() *steps.Facts {
	f := steps.ParseFacts(defaultFacts + d.sections["facts"])
	f.Salt = "salt"
	return f
}

// factVariables is sh that gives the variables F_… the case's values, after facts.sh has
// found those of this machine.
func (d *dataFile) factVariables() string {
	f := d.facts()
	return fmt.Sprintf("F_OS_ID='%s' F_OS_VERSION='%s' F_OS_LIKE='%s' F_PACKAGE_MANAGER='%s' F_INIT='%s'\n",
		f.OSID, f.OSVersion, strings.Join(f.OSLike, " "), f.PackageManager, f.Init)
}

// places are the parts of a case that differ between machines and runs.
type places struct{ work, local, me string }

func newPlaces(t testing.TB, d *dataFile) places {
	t.Helper()
	dir, err := os.MkdirTemp("", "steps")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := places{work: filepath.Join(dir, "work"), local: filepath.Join(dir, "local"), me: "$ME"}
	if u, err := osuser.Current(); err == nil && d.has("setup") && !d.has("system") {
		p.me = u.Username
	}
	if !d.has("setup") {
		p.work = "/work-of-the-test"
	} else if err := os.MkdirAll(p.work, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range d.sections {
		name, ok := strings.CutPrefix(name, "local/")
		if !ok {
			continue
		}
		if err := os.MkdirAll(p.local, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(p.local, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(p.local, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// expand puts the real places into the text of a data file, fold takes them out again.
func (p places) expand(s string) string {
	return strings.NewReplacer("$WORK", p.work, "$LOCAL", p.local, "$ME", p.me).Replace(s)
}

func (p places) fold(s string) string {
	s = strings.NewReplacer(p.work, "$WORK", p.local, "$LOCAL").Replace(s)
	if p.me == "$ME" {
		return s
	}
	return regexp.MustCompile(`\b`+regexp.QuoteMeta(p.me)+`\b`).ReplaceAllString(s, "$$ME")
}

// sameUser puts the user who runs the test in root's place.
func (p places) sameUser(s string) string {
	return regexp.MustCompile(`\broot\b`).ReplaceAllLiteralString(s, p.me)
}

// lacking returns what the case needs and this machine does not have.
func (d *dataFile) lacking() string {
	for _, name := range strings.Fields(d.sections["needs"]) {
		if name == "root" {
			if os.Getuid() != 0 {
				return name
			}
		} else if _, err := exec.LookPath(name); err != nil {
			return name
		}
	}
	return ""
}

// decode makes the step of a data file the way the playbook does, and reports what is wrong
// with its arguments.
func decode(t testing.TB, kind *steps.Kind, d *dataFile, p places) (steps.Step, string) {
	t.Helper()
	step, args := kind.New()
	return step, decodeInto(t, kind, step, args, p.expand(d.sections["args"]), d.path)
}

func decodeInto(t testing.TB, kind *steps.Kind, step steps.Step, args steps.Args, src, name string) string {
	t.Helper()
	file, diags := hclparse.NewParser().ParseHCL([]byte(src), name)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	attributes, diags := file.Body.JustAttributes()
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return decodeAttributes(t, kind, step, args, attributes)
}

func decodeAttributes(t testing.TB, kind *steps.Kind, step steps.Step, args steps.Args, attributes hcl.Attributes) string {
	t.Helper()
	var problems []string
	for name := range attributes {
		if args.Get(name) == nil {
			problems = append(problems, fmt.Sprintf("argument %s: there is no such argument", name))
		}
	}
	sort.Strings(problems)
	for i := range args {
		arg := &args[i]
		attribute, given := attributes[arg.Name]
		if !given {
			if arg.Required {
				problems = append(problems, fmt.Sprintf("argument %s: required", arg.Name))
			}
			continue
		}
		value, diags := attribute.Expr.Value(&hcl.EvalContext{Functions: map[string]function.Function{"sensitive": sensitiveFunction()}})
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		if err := setArg(arg, value); err != nil {
			problems = append(problems, fmt.Sprintf("argument %s: %v", arg.Name, err))
		}
	}
	if len(problems) == 0 {
		found := kind.Check(args)
		if l, ok := step.(steps.Loader); ok {
			found = append(found, l.Load(steps.NewDisk(t.Context()))...)
		}
		found = append(found, step.Validate()...)
		for _, p := range found {
			head := "step"
			if p.Arg != "" {
				head = "argument " + p.Arg
			}
			if p.Warning {
				head = "warning: " + head
			}
			problems = append(problems, fmt.Sprintf("%s: %s\n  %s", head, p.Summary, p.Detail))
		}
	}
	if len(problems) == 0 {
		return ""
	}
	return strings.Join(problems, "\n") + "\n"
}

// setArg honours the origin of an argument.
func setArg(arg *steps.Arg, value cty.Value) error {
	switch arg.Origin {
	case steps.File, steps.Template, steps.FileText:
		if value.Type() != cty.String || value.IsNull() {
			return fmt.Errorf("a path is required")
		}
		content, err := os.ReadFile(value.AsString())
		if err != nil {
			return err
		}
		switch arg.Origin {
		case steps.File:
			local, err := steps.ReadLocal(value.AsString(), bytes.NewReader(content))
			if err != nil {
				return err
			}
			arg.SetFile(local)
			return nil
		case steps.FileText:
			return arg.Set(cty.StringVal(string(content)).Mark(steps.Sensitive))
		}
		return arg.Set(cty.StringVal(string(content)))
	}
	if err := arg.Set(value); err != nil || arg.Constant == nil {
		return err
	}
	return arg.Constant()
}

func sensitiveFunction() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "value", Type: cty.DynamicPseudoType}},
		Type:   func(args []cty.Value) (cty.Type, error) { return args[0].Type(), nil },
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			return args[0].Mark(steps.Sensitive), nil
		},
	})
}

// quickDecode returns the step of a data file and its recorded state, or nil if its arguments
// are wrong.
func quickDecode(t testing.TB, k *steps.Kind, path string) (steps.Step, string) {
	t.Helper()
	d := readData(t, path)
	p := newPlaces(t, d)
	step, problems := decode(t, k, d, p)
	for _, line := range strings.Split(problems, "\n") {
		if line != "" && line[0] != ' ' && !strings.HasPrefix(line, "warning: ") {
			return nil, ""
		}
	}
	return step, p.expand(d.sections["state"])
}
