package kinds

import (
	_ "embed"
	"fmt"
	"path"
	"strings"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

//go:embed sysctl.sh
var sysctlScript string

var sysctlKind = &steps.Kind{
	Name: "sysctl",
	Doc: `A key of the kernel: its value in a file that is read at boot, and in the running kernel.

The line of the key in the file is set, and further ones for the same key go; all else in the file
stays. The file is made if it is not there. Then, and first of all, the kernel gets the value: what
it refuses, or turns into something else, is not written. The key is written with dots, or with
slashes as below /proc/sys. In a name with dots a slash stands for a dot, so that the interface
eth0.1 is net.ipv4.conf.eth0/1.forwarding. Blanks and tabs between numbers are alike.

A key that the kernel does not have is an error, unless an earlier step may bring it (a command
that loads a module); with ignore = true only the file is written. Where /proc/sys is read-only, as in
most containers, only the file is written, and the plan says so.

Another file that is read later and sets the key to something else wins at the next boot: that is an
error with its place. At boot systemd-sysctl reads files NAME.conf of /etc/sysctl.d, /run/sysctl.d,
/usr/local/lib/sysctl.d and /usr/lib/sysctl.d in the order of their names. "sysctl --system" of procps
reads /etc/sysctl.conf after them, systemd does not read it unless a link in /etc/sysctl.d leads to it.
Patterns (net.ipv4.conf.*.rp_filter) give way to a key written out, and are not looked at.

With state = "absent" the lines go. The running kernel keeps its value until it restarts: nobody knows
what it was before.`,
	Example: `step "sysctl" "backlog" {
  name  = "net.core.somaxconn"
  value = "1024"
}

step "sysctl" "ports" {
  name  = "net.ipv4.ip_local_port_range"
  value = "20000 60000"
  path  = "/etc/sysctl.d/60-demo.conf"
}
`,
	Rules: []steps.Rule{steps.AbsentTakes("name", "path")},
	New: func() (steps.Step, steps.Args) {
		s := &sysctl{Live: true, Edit: kit.Edit{Path: "/etc/sysctl.d/99-provision.conf", State: "present", Create: true}}
		return s, steps.Args{
			kit.ParsedArg("name", &s.Name, "The key, such as net.ipv4.ip_forward.", parseSysctlName).Must(),
			kit.LineArg("value", &s.Value, "Its value, as the kernel shows it. Required unless state is absent."),
			kit.PathArg("path", &s.Path, "Absolute path of the file.").With("/etc/sysctl.d/99-provision.conf"),
			kit.BoolArg("live", &s.Live, "Set it in the running kernel too; otherwise it takes effect at the next boot."),
			kit.BoolArg("ignore", &s.Ignore, "Write the file only if the kernel does not have the key."),
			kit.EnumArg("state", &s.State, "Whether the file sets the key.", "present", "absent"),
		}
	},
}

type sysctl struct {
	kit.Edit
	Name         string
	Value        *string
	Live, Ignore bool
}

var (
	_ steps.Bringer  = (*sysctl)(nil)
	_ steps.Requirer = (*sysctl)(nil)
	_ steps.Settler  = (*sysctl)(nil)
	_ steps.Asker    = (*sysctl)(nil)
)

// sysctlDirs are read at boot, the first one first where two files have one name.
var sysctlDirs = []string{"/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"}

func parseSysctlName(name string) (string, error) {
	if err := kit.NoControl(name); err != nil {
		return "", err
	}
	if strings.ContainsAny(name, " =*?[]#;") || strings.HasPrefix(name, "-") {
		return "", fmt.Errorf("%q is no key: it holds a blank or one of = * ? [ ] # ;, or begins with a dash; give one key a step", name)
	}
	key := sysctlKey(name)
	if !strings.Contains(key, "/") {
		return "", fmt.Errorf("%q is no key; write it as sysctl does, such as net.ipv4.ip_forward", name)
	}
	for part := range strings.SplitSeq(key, "/") {
		if part == "" || part == "." || part == ".." {
			return "", fmt.Errorf("%q is no key: a part of it is empty or made of dots only", name)
		}
	}
	if strings.HasPrefix(key, "proc/sys/") {
		return "", fmt.Errorf("%q is a path; write the key as %s", name, strings.TrimPrefix(key, "proc/sys/"))
	}
	return strings.TrimPrefix(name, "/"), nil
}

// sysctlKey is a key as it stands below /proc/sys: where its first separator is a dot, dots and slashes change places, as both
// sysctl(8) and sysctl.d(5) have it.
func sysctlKey(name string) string {
	if i := strings.IndexAny(name, "./"); i >= 0 && name[i] == '.' {
		name = strings.NewReplacer(".", "/", "/", ".").Replace(name)
	}
	for strings.Contains(name, "//") {
		name = strings.ReplaceAll(name, "//", "/")
	}
	return strings.TrimPrefix(name, "/")
}

// sysctlValue is a value with single blanks.
func sysctlValue(v string) string {
	return strings.Join(strings.FieldsFunc(v, func(r rune) bool { return r == ' ' || r == '\t' }), " ")
}

// sysctlSetting reads a line as the function settings of sysctl.sh does.
func sysctlSetting(line string) (key, value string, dash, ok bool) {
	line = strings.TrimLeft(line, " \t")
	name, value, ok := strings.Cut(line, "=")
	if !ok || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
		return "", "", false, false
	}
	name, dash = strings.CutPrefix(name, "-")
	return sysctlKey(strings.Trim(name, " \t")), sysctlValue(value), dash, true
}

func (s *sysctl) wanted() string {
	if s.Value == nil {
		return ""
	}
	return sysctlValue(*s.Value)
}

func (s *sysctl) line() string { return strings.TrimRight(s.Name+" = "+s.wanted(), " ") }

// readAtBoot tells whether the file is where programs look for it.
func (s *sysctl) readAtBoot() bool {
	if s.Path == "/etc/sysctl.conf" {
		return true
	}
	for _, dir := range sysctlDirs {
		if path.Dir(s.Path) == dir {
			return true
		}
	}
	return false
}

func (s *sysctl) Validate() []steps.Problem {
	var problems []steps.Problem
	if !s.Absent() && s.Value == nil {
		problems = append(problems, steps.Problem{Arg: "value", Summary: "a key needs a value", Detail: "Give the value that the kernel should have."})
	}
	switch {
	case !s.readAtBoot():
		problems = append(problems, steps.Problem{
			Arg: "path", Warning: true, Summary: "nothing reads this file at boot",
			Detail: "Name a file below /etc/sysctl.d whose name ends in .conf, unless a program of your own loads it.",
		})
	case !strings.HasSuffix(s.Path, ".conf"):
		problems = append(problems, steps.Problem{Arg: "path", Summary: "a file whose name does not end in .conf is not read", Detail: "Name it " + s.Path + ".conf."})
	case strings.HasPrefix(path.Base(s.Path), "."):
		problems = append(problems, steps.Problem{Arg: "path", Summary: "systemd does not read a file whose name begins with a dot", Detail: "Give it another name."})
	}
	return problems
}

func (s *sysctl) kernelFile() string { return "/proc/sys/" + sysctlKey(s.Name) }

// Asks implements steps.Asker.
func (s *sysctl) Asks(*steps.Facts) []steps.Thing {
	if s.Absent() {
		return nil
	}
	things := []steps.Thing{{Kind: steps.FileThing, Name: "/etc/sysctl.conf"}}
	for _, dir := range sysctlDirs {
		things = append(things, steps.Thing{Kind: steps.DirectoryThing, Name: dir})
	}
	return things
}

// Touches implements steps.Toucher.
func (s *sysctl) Touches(steps.Observation) steps.Supply { return steps.Supply{Trees: kernelTrees()} }

func (s *sysctl) Probe() string {
	b := shell.Strip(sysctlScript)
	words := shell.Words(s.kernelFile(), s.Name, s.wanted())
	if s.Live && !s.Absent() {
		missing := "need key " + shell.Quote(s.Name)
		if s.Ignore {
			missing = "say ignored yes"
		}
		b += "probe_kernel " + words + " || " + missing + "\n"
	}
	if s.readAtBoot() && !s.Absent() {
		b += "rivals " + shell.Words(sysctlKey(s.Name), s.wanted(), s.Path, s.Name) + "\n"
	}
	right := ""
	if !s.Absent() {
		right = "=" + s.wanted()
	}
	return b + s.Edit.Probe(kit.ProbeLines+fmt.Sprintf(`[ "$(head -c 3 "$p")" != "$bom" ] || fail "$p begins with a byte order mark, which becomes a part of its first key; remove it"
r=$(lines | settings %s) || exit 1
if [ "$r" = %s ]; then r=same; else r=differ; fi
`, shell.Quote(sysctlKey(s.Name)), shell.Quote(right)))
}

// Foresee implements steps.Foreseer: what the kernel will have is not known before.
func (s *sysctl) Foresee(func(string) (string, bool)) []steps.Observation { return nil }

// Settled implements steps.Settler.
func (s *sysctl) Settled(f *steps.Facts) []steps.Observation {
	settled := s.Edit.Settled(f)
	if s.Live && !s.Absent() {
		for i := range settled {
			settled[i].Stdout = "kernel " + s.wanted() + "\n" + settled[i].Stdout
		}
	}
	return settled
}

func (s *sysctl) Plan(_ *steps.Facts, obs steps.Observation) (steps.Change, error) {
	change, err := s.Edit.Plan(obs, s.Same, s.edit)
	if err != nil || s.Absent() || !s.Live || obs.Yes("ignored") {
		if err == nil && obs.Yes("ignored") {
			change.Reason = "the file only: the kernel has no such key"
		}
		return change, err
	}
	kernel, there := obs.Get("kernel")
	switch {
	case there && kernel == s.wanted():
	case obs.Yes("frozen"):
		change.Reason = fmt.Sprintf("the file only: /proc/sys is read-only here, and the kernel has %q", kernel)
	default:
		file := change.Ops
		change.Also(steps.Attr{Name: "kernel", Before: kernel, BeforeMissing: !there, After: s.wanted()})
		// What the kernel refuses must not be tried again at each boot.
		change.Ops = append([]steps.Op{steps.Run{
			Script: shell.Strip(sysctlScript) + "set_kernel " + shell.Words(s.kernelFile(), s.Name, s.wanted()),
			Shown:  "set " + s.Name + " in the kernel",
		}}, file...)
		if !there && len(change.Needs) == 0 {
			change.AddNeeds(obs)
		}
	}
	return change, nil
}

// edit leaves one line for the key, or none.
func (s *sysctl) edit(change *steps.Change, before string) (steps.Text, error) {
	lines := kit.ReadLines(before)
	kept := lines.All[:0:0]
	done := s.Absent()
	for i, l := range lines.All {
		key, value, dash, ok := sysctlSetting(l.Text)
		if !ok || key != sysctlKey(s.Name) {
			kept = append(kept, l)
			continue
		}
		attr := steps.Attr{Name: fmt.Sprintf("line %d", i+1), Before: l.Text, AfterMissing: true}
		if !done {
			done = true
			attr.AfterMissing = false
			if dash || value != s.wanted() {
				l.Text = s.line()
			}
			attr.After = l.Text
			kept = append(kept, l)
		}
		if attr.AfterMissing || attr.Before != attr.After {
			change.Diff = append(change.Diff, attr)
		}
	}
	lines.All = kept
	if !done {
		lines.Insert(len(lines.All), s.line())
		change.Diff = append(change.Diff, steps.Attr{Name: "line", BeforeMissing: true, After: s.line()})
	}
	return steps.Plain(lines.String()), nil
}
