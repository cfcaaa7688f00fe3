package kinds

import (
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

//go:embed mount.sh
var mountSource string

var mountKind = &steps.Kind{
	Name: "mount",
	Doc: `A file system that is mounted: its line in /etc/fstab, and now.

The line of the mount point is set, further ones for it go, and all else in the file stays. Before it is
written the file system is mounted, so that what cannot be mounted does not hold up the next boot. Nothing is ever formatted: a device without a file system is an error of mount.
The directory must exist. A device, an image and a directory that is bound must exist too, or come from an
earlier step; with the option nofail a device may be missing, and is then not mounted.

Changed options are given to what is mounted by a remount. Some take effect only when it is mounted anew (mode and uid of tmpfs, the version of
NFS). Of what is in force the flags ro, rw, nosuid, nodev, noexec, noatime and nodiratime are compared; other options look
different once they are in force, and only the line is compared. Where something else is mounted at the place, that is an error.

NFS and CIFS need their programs (mount.nfs, mount.cifs), which a package brings. Passwords belong in a file: credentials=FILE.
With live = false only the line is looked at. With state = "absent" the file system is
unmounted and its lines go; one that is in use is an error which names its users, where fuser is there.`,
	Example: `step "directory" "scratch" {
  path = "/srv/demo-scratch"
}

step "mount" "scratch" {
  path    = "/srv/demo-scratch"
  source  = "tmpfs"
  type    = "tmpfs"
  options = ["size=16m", "nosuid", "nodev"]
}
`,
	Rules: []steps.Rule{steps.AbsentTakes("path", "live")},
	New: func() (steps.Step, steps.Args) {
		s := &mount{State: "present", Live: true}
		return s, steps.Args{
			kit.PathArg("path", &s.Path, "Absolute path of the mount point.").Must(),
			kit.StringArg("source", &s.Source, "What is mounted: a device, UUID=…, LABEL=…, a server's HOST:/path, an image, a directory to bind, or a word for what has none, such as tmpfs. Required unless state is absent."),
			kit.StringArg("type", &s.Type, "Type of the file system, such as ext4, xfs, nfs or tmpfs; none for a directory that is bound. Required unless state is absent."),
			kit.ListArg("options", &s.Options, "Its options, one an item.", parseMountOption).With("[\"defaults\"]"),
			kit.IntArg("dump", &s.Dump, 0, 1, "Whether dump backs it up: the fifth field of the line."),
			kit.IntArg("pass", &s.Pass, 0, 2, "When fsck looks at it at boot: 1 for the root, 2 for others, 0 for never."),
			kit.BoolArg("live", &s.Live, "Mount or unmount it now; otherwise it takes effect at the next boot."),
			kit.EnumArg("state", &s.State, "Whether it is mounted and in the file.", "present", "absent"),
		}
	},
}

type mount struct {
	Path, Source, Type, State string
	Options                   []string
	Dump, Pass                int
	Live                      bool
}

var (
	_ steps.Bringer  = (*mount)(nil)
	_ steps.Requirer = (*mount)(nil)
	_ steps.Settler  = (*mount)(nil)
)

func parseMountOption(s string) (string, error) {
	switch {
	case s == "":
		return "", fmt.Errorf("an option is empty; leave it out")
	case strings.ContainsAny(s, ", \t\n"):
		return "", fmt.Errorf("%q holds a comma or a blank; write each option as an item of its own", s)
	case strings.HasPrefix(s, "password=") || strings.HasPrefix(s, "pass="):
		return "", fmt.Errorf("a password would be readable by everybody in /etc/fstab; write it into a file for root alone, and give credentials=FILE")
	}
	return s, nil
}

var mountType = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)

func (s *mount) absent() bool { return s.State == "absent" }

func (s *mount) bind() bool {
	return slices.Contains(s.Options, "bind") || slices.Contains(s.Options, "rbind")
}

func (s *mount) Validate() []steps.Problem {
	var problems []steps.Problem
	add := func(arg, summary, detail string) {
		problems = append(problems, steps.Problem{Arg: arg, Summary: summary, Detail: detail})
	}
	if s.absent() {
		if kit.ProtectedPath(s.Path) {
			add("path", s.Path+" is a part of the system, which is not unmounted", "Name another path.")
		}
		return problems
	}
	switch {
	case s.Source == "":
		add("source", "a mount needs a source", "Give a device, UUID=…, HOST:/path, or tmpfs and the like.")
	case strings.HasPrefix(s.Source, "#"):
		add("source", "a line that begins with # is a comment", "Correct the source.")
	}
	switch {
	case s.Type == "":
		add("type", "a mount needs a type", "Give the type of the file system, such as ext4 or nfs.")
	case !mountType.MatchString(s.Type):
		add("type", fmt.Sprintf("%q is no type of a file system", s.Type), "Write one such as ext4, xfs, nfs or tmpfs.")
	case s.Type == "swap":
		add("type", "swap is not mounted", "It is a step \"swap\".")
	case s.Type == "none" && !s.bind():
		add("type", "the type none is for what is bound", "Add the option bind, or give the type.")
	case s.bind() && !strings.HasPrefix(s.Source, "/"):
		add("source", "what is bound is an absolute path", "Correct the source, or leave the option bind out.")
	case (s.Type == "nfs" || s.Type == "nfs4") && !strings.Contains(s.Source, ":/"):
		add("source", "the source of NFS is HOST:/path", "Correct the source.")
	case s.Type == "cifs" && !strings.HasPrefix(s.Source, "//"):
		add("source", "the source of CIFS is //HOST/share", "Correct the source.")
	}
	return problems
}

// Brings implements steps.Bringer: what is mounted may hold anything.
func (s *mount) Brings(change steps.Change) steps.Supply {
	supply := kit.FileSupply(fstab)
	if !s.absent() {
		supply.Trees = []string{s.Path}
	} else if s.Live {
		supply.Things = append(supply.Things, steps.Thing{Kind: steps.UnmountedThing, Name: s.Path})
	}
	if slices.ContainsFunc(change.Diff, func(a steps.Attr) bool { return a.Name == "mounted" && (a.Before == "no" || a.After == "no") }) {
		supply.Replaced = []steps.Replaced{{Path: s.Path}}
	}
	return supply
}

// Touches implements steps.Toucher: below the place is something else afterwards, and the kernel has a list of what is mounted.
func (s *mount) Touches(steps.Observation) steps.Supply {
	return steps.Supply{Trees: append(kernelTrees(), s.Path, "/etc/mtab", "/run/mount")}
}

// kernelTrees are where the kernel says how it is.
func kernelTrees() []string { return []string{"/proc", "/sys"} }

// Requires implements steps.Requirer.
func (s *mount) Requires() []steps.Thing {
	if s.absent() || !s.Live {
		return nil
	}
	things := []steps.Thing{{Kind: steps.DirectoryThing, Name: s.Path}}
	if s.bind() {
		things = append(things, steps.Thing{Kind: steps.PathThing, Name: s.Source})
	}
	return things
}

const fstab = "/etc/fstab"

func (s *mount) edit() *kit.Edit { return &kit.Edit{Path: fstab, State: s.State, Create: true} }

func (s *mount) options() string {
	if len(s.Options) == 0 {
		return "defaults"
	}
	return strings.Join(s.Options, ",")
}

var fstabEscape = strings.NewReplacer(`\`, `\134`, " ", `\040`, "\t", `\011`)

// fields are those of the line; see fstab(5).
func (s *mount) fields() []string {
	return []string{fstabEscape.Replace(s.Source), fstabEscape.Replace(s.Path), s.Type, s.options(), strconv.Itoa(s.Dump), strconv.Itoa(s.Pass)}
}

// readFstab reads the fields of a line as the function mount_fields of mount.sh does; nil for one of another mount point.
func (s *mount) readFstab(line string) []string {
	words := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
	if len(words) < 2 || strings.HasPrefix(words[0], "#") {
		return nil
	}
	if words[1] != "/" {
		words[1] = strings.TrimRight(words[1], "/")
	}
	if words[1] != fstabEscape.Replace(s.Path) {
		return nil
	}
	for i, or := range []string{"", "", "auto", "defaults", "0", "0"} {
		if i >= len(words) {
			words = append(words, or)
		}
	}
	return words[:6]
}

func (s *mount) Probe() string {
	var b strings.Builder
	b.WriteString(shell.Strip(mountSource))
	p, source := shell.Quote(s.Path), shell.Quote(s.Source)
	if s.Live {
		fmt.Fprintf(&b, "mount_live %s\n", p)
		if s.absent() {
			b.WriteString("if [ -n \"$LIVE_TYPE\" ]; then say live yes; else say live no; fi\n")
		} else {
			fmt.Fprintf(&b, `if [ -z "$LIVE_TYPE" ]; then
	say live no
	[ -d %[1]s ] || need directory %[1]s
	[ ! -h %[1]s ] || fail %[1]s" is a symbolic link; name the directory that it leads to"
	mount_device %[2]s || %[3]s
`, p, source, s.missing())
			switch s.Type {
			case "nfs", "nfs4", "cifs":
				fmt.Fprintf(&b, "\thave mount.%[1]s || need command mount.%[1]s\n", s.Type)
			}
			fmt.Fprintf(&b, "elif mount_same %[1]s %[2]s %[3]s %[4]s; then\n\tsay live yes\n\tmount_flags %[3]s\nelse\n\tsay live \"other $LIVE_SOURCE ($LIVE_TYPE)\"\nfi\n",
				source, shell.Quote(s.Type), shell.Quote(s.options()), p)
		}
	}
	wanted := ""
	if !s.absent() {
		wanted = strings.Join(s.fields(), " ")
	}
	b.WriteString(s.edit().Probe(kit.ProbeLines + fmt.Sprintf("r=$(lines | mount_fields %s) || exit 1\nif [ \"$r\" = %s ]; then r=same; else r=differ; fi\n",
		shell.Quote(fstabEscape.Replace(s.Path)), shell.Quote(wanted))))
	return b.String()
}

// missing is the sh for a source that is not there.
func (s *mount) missing() string {
	if slices.Contains(s.Options, "nofail") {
		return "say source missing"
	}
	if s.bind() && !strings.HasPrefix(s.Source, "/dev/") {
		return "need directory " + shell.Quote(s.Source)
	}
	return "need file " + shell.Quote(s.Source)
}

// Settled implements steps.Settler.
func (s *mount) Settled(f *steps.Facts) []steps.Observation {
	settled := s.edit().Settled(f)
	if s.absent() {
		settled = append(settled, steps.Observe("type absent"))
	}
	if s.Live {
		for i := range settled {
			settled[i].Stdout = "live " + yesNo(!s.absent()) + "\n" + settled[i].Stdout
		}
	}
	return settled
}

func (s *mount) Plan(_ *steps.Facts, obs steps.Observation) (steps.Change, error) {
	live, _ := obs.Get("live")
	if other, found := strings.CutPrefix(live, "other "); found {
		return steps.Change{}, fmt.Errorf("%s is mounted at %s, not %s; unmount it, or mount this elsewhere", other, s.Path, s.Source)
	}
	edit := s.edit()
	options := ""
	change, err := edit.Plan(obs, edit.Same, func(change *steps.Change, before string) (steps.Text, error) {
		text, was := s.rewrite(change, before)
		options = was
		return steps.Plain(text), nil
	})
	if err != nil {
		return steps.Change{}, err
	}
	file := change.Ops
	first := ""
	words := func(list ...string) string { return " " + shell.Words(list...) }
	if s.Live {
		switch {
		case s.absent() && live == "yes":
			change.Also(steps.Attr{Name: "mounted", Before: "yes", After: "no"})
			change.Dangers = append(change.Dangers, "unmounts "+s.Path)
			first = "mount_gone" + words(s.Path)
		case s.absent():
		case live == "no" && obs.All("source") != nil:
			change.Reason = strings.TrimPrefix(change.Reason+"; not mounted: there is no "+s.Source+", which nofail allows", "; ")
		case live == "no":
			change.Also(steps.Attr{Name: "mounted", Before: "no", After: "yes"})
			first = "mount_now" + words(s.Source, s.Type, s.options(), s.Path)
		case len(obs.All("lacks")) > 0:
			change.Also(steps.Attr{Name: "in force", Before: "without " + strings.Join(obs.All("lacks"), ", "), After: "with them"})
			first = "mount_again" + words(s.Source, s.options(), s.Path)
		case options != "" && options != s.options():
			change.Also(steps.Attr{Name: "mounted", Before: "with " + options, After: "again with " + s.options()})
			first = "mount_again" + words(s.Source, s.options(), s.Path)
		}
	}
	// What is in use, and what cannot be mounted, leaves the file as it was.
	if first != "" {
		change.Ops = append([]steps.Op{steps.Run{Script: shell.Strip(mountSource) + first + "\n"}}, file...)
	}
	if len(file) > 0 {
		change.Ops = append(change.Ops, steps.Run{Script: shell.Strip(mountSource) + "mount_reload\n"})
	}
	if change.Action == steps.Create && obs.Yes("live") {
		change.Action = steps.Update
	}
	if change.Action != steps.NoOp && len(change.Needs) == 0 {
		change.AddNeeds(obs)
	}
	return change, nil
}

// rewrite leaves one line for the mount point, or none, and returns the options that it had.
func (s *mount) rewrite(change *steps.Change, before string) (text, options string) {
	lines := kit.ReadLines(before)
	kept := lines.All[:0:0]
	done := s.absent()
	wanted := strings.Join(s.fields(), " ")
	for i, l := range lines.All {
		fields := s.readFstab(l.Text)
		if fields == nil {
			kept = append(kept, l)
			continue
		}
		attr := steps.Attr{Name: fmt.Sprintf("line %d", i+1), Before: l.Text, AfterMissing: true}
		if !done {
			done = true
			options = fields[3]
			attr.AfterMissing = false
			if strings.Join(fields, " ") != wanted {
				l.Text = wanted
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
		lines.Insert(len(lines.All), wanted)
		change.Diff = append(change.Diff, steps.Attr{Name: "line", BeforeMissing: true, After: wanted})
	}
	return lines.String(), options
}
