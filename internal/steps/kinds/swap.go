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

//go:embed swap.sh
var swapSource string

var swapKind = &steps.Kind{
	Name: "swap",
	Doc: `Swap space in a file or on a device: made, in /etc/fstab, and in use.

A file is written out with zeros, so that it has no holes, under another name, and gets its own when it is
whole; on btrfs it is one without copy-on-write. A file of another size is made anew beside the old one, which stays in use until then: there
has to be room for both. A partition or another device keeps the size that it has.

Nothing that is there is overwritten. A file that is no swap file is an error, and so is a device that holds anything:
a file system, a partition table, or bytes other than zero in its first MiB. Clear such a device yourself (wipefs, blkdiscard).

Of the line in /etc/fstab only the priority is looked at, and all else in it stays; one that names the device by UUID= counts. Swap needs
a kernel that may be told so: in a container it is an error that says so, unless live = false.

With state absent the swap space is switched off, its line goes, and so does the file. A device keeps its content.`,
	Example: `step "swap" "file" {
  path     = "/swapfile"
  size     = "64M"
  priority = 10
  live     = false
}
`,
	Rules: []steps.Rule{steps.AbsentTakes("path", "live")},
	New: func() (steps.Step, steps.Args) {
		s := &swap{State: "present", Live: true}
		return s, steps.Args{
			kit.PathArg("path", &s.Path, "Absolute path of the file, or of a device below /dev.").Must(),
			kit.ParsedArg("size", &s.Size, "Size of the file, such as 512M or 4G. Required for a file unless state is absent.", parseSwapSize),
			kit.OptIntArg("priority", &s.Priority, 0, 32767, "Its priority; swap space with a higher one is used first. Left out, none is given, and any is right."),
			kit.BoolArg("live", &s.Live, "Switch it on or off now; otherwise it takes effect at the next boot."),
			kit.EnumArg("state", &s.State, "Whether the swap space is there.", "present", "absent"),
		}
	},
}

type swap struct {
	Path, State string
	Size        int // MiB
	Priority    *int
	Live        bool
}

var (
	_ steps.Bringer  = (*swap)(nil)
	_ steps.Requirer = (*swap)(nil)
	_ steps.Settler  = (*swap)(nil)
)

var swapSize = regexp.MustCompile(`^([1-9][0-9]{0,6})([MG])$`)

// parseSwapSize returns MiB.
func parseSwapSize(s string) (int, error) {
	m := swapSize.FindStringSubmatch(s)
	if m == nil {
		return 0, fmt.Errorf("%q is no size: write a whole number followed by M (MiB) or G (GiB), such as 512M", s)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return 0, err
	}
	if m[2] == "G" {
		n *= 1024
	}
	return n, nil
}

func (s *swap) absent() bool { return s.State == "absent" }

func (s *swap) device() bool { return strings.HasPrefix(s.Path, "/dev/") }

func (s *swap) Validate() []steps.Problem {
	switch {
	case s.absent():
		return nil
	case s.device() && s.Size != 0:
		return []steps.Problem{{Arg: "size", Summary: "a device has a size already", Detail: "Leave the size out; it is for a file."}}
	case !s.device() && s.Size == 0:
		return []steps.Problem{{Arg: "size", Summary: "a swap file needs a size", Detail: "Give one such as 512M or 4G."}}
	}
	return nil
}

// Brings implements steps.Bringer.
func (s *swap) Brings(change steps.Change) steps.Supply {
	supply := kit.FileSupply(fstab)
	switch {
	case s.device():
	case !s.absent():
		supply.Things = append(supply.Things, steps.Thing{Kind: steps.FileThing, Name: s.Path})
	case slices.ContainsFunc(change.Diff, func(a steps.Attr) bool { return a.Name == "path" }):
		supply.Gone = []string{s.Path}
	}
	return supply
}

// Requires implements steps.Requirer.
func (s *swap) Requires() []steps.Thing {
	switch {
	case s.absent():
		return nil
	case s.device():
		return []steps.Thing{{Kind: steps.FileThing, Name: s.Path}}
	}
	return kit.ParentOf(s.Path)
}

func (s *swap) edit() *kit.Edit { return &kit.Edit{Path: fstab, State: s.State, Create: true} }

// priority is what the line and the kernel should have; "" where any is right.
func (s *swap) priority() string {
	if s.Priority == nil {
		return ""
	}
	return strconv.Itoa(*s.Priority)
}

// Touches implements steps.Toucher.
func (s *swap) Touches(steps.Observation) steps.Supply {
	return steps.Supply{Trees: append(kernelTrees(), s.Path)}
}

func (s *swap) Probe() string {
	quoted := shell.Quote(s.Path)
	wanted := "none"
	if !s.absent() {
		wanted = "one"
	}
	return shell.Strip(swapSource) + fmt.Sprintf("swap_look %s %s %t %t\n", s.State, quoted, s.Live, s.Priority != nil) +
		s.edit().Probe(kit.ProbeLines+fmt.Sprintf("r=$(lines | swap_lines %s \"$SWAP_BY\" %s) || exit 1\nif [ \"$r\" = %s ]; then r=same; else r=differ; fi\n",
			shell.Quote(fstabEscape.Replace(s.Path)), shell.Quote(s.priority()), wanted))
}

// Settled implements steps.Settler.
func (s *swap) Settled(f *steps.Facts) []steps.Observation {
	settled := s.edit().Settled(f)
	front := ""
	if s.Live {
		front = "live " + yesNo(!s.absent()) + "\n"
	}
	switch {
	case s.absent():
		settled = append(settled, steps.Observe("type absent"))
		if !s.device() {
			front += "what absent\n"
		}
	default:
		if s.Live && s.Priority != nil {
			front += "priority " + s.priority() + "\n"
		}
		front += "what swap\n"
		if !s.device() {
			front += fmt.Sprintf("size %d\nmode 600\n", s.Size<<20)
		}
	}
	for i := range settled {
		settled[i].Stdout = front + settled[i].Stdout
	}
	return settled
}

func (s *swap) Plan(_ *steps.Facts, obs steps.Observation) (steps.Change, error) {
	edit := s.edit()
	change, err := edit.Plan(obs, edit.Same, func(change *steps.Change, before string) (steps.Text, error) {
		by, _ := obs.Get("by")
		return steps.Plain(s.rewrite(change, before, by)), nil
	})
	if err != nil {
		return steps.Change{}, err
	}
	line := change.Ops
	first := ""
	if s.absent() {
		first = s.remove(&change, obs)
	} else {
		first = s.make(&change, obs)
	}
	// What cannot be made or switched off leaves the file as it was.
	if first != "" {
		change.Ops = append([]steps.Op{steps.Run{Script: shell.Strip(swapSource) + first, Shown: "mkswap, swapon or swapoff"}}, line...)
	}
	if len(line) > 0 {
		change.Ops = append(change.Ops, steps.Run{Script: shell.Strip(mountSource) + "mount_reload\n"})
	}
	if change.Action != steps.NoOp && len(change.Needs) == 0 {
		change.AddNeeds(obs)
	}
	return change, nil
}

// make returns the sh that makes the swap space and switches it on.
func (s *swap) make(change *steps.Change, obs steps.Observation) string {
	what, _ := obs.Get("what")
	script := ""
	live := obs.Yes("live")
	quoted := shell.Quote(s.Path)
	size, _ := obs.Get("size")
	mode, _ := obs.Get("mode")
	bytes := strconv.Itoa(s.Size << 20)
	on := false
	switch {
	case what == "absent" || what == "empty":
		script = fmt.Sprintf("swap_format %s\n", quoted)
		attr := steps.Attr{Name: "swap space", BeforeMissing: true, After: "on the whole device"}
		if !s.device() {
			script = fmt.Sprintf("swap_make %s %d\n", quoted, s.Size)
			attr = steps.Attr{Name: "size", BeforeMissing: true, After: shownBytes(bytes)}
		}
		change.Also(attr)
		on = s.Live
	case !s.device() && size != bytes:
		change.Also(steps.Attr{Name: "size", Before: shownBytes(size), After: shownBytes(bytes)})
		change.Dangers = append(change.Dangers, "switches the swap file "+s.Path+" off and makes it anew")
		script = fmt.Sprintf("swap_make %s %d\n", quoted, s.Size)
		on = s.Live || live
		live = false
	case !s.device() && mode != "600":
		change.Also(steps.Attr{Name: "mode", Before: kit.ShownMode(mode), After: "0600"})
		script = "chmod 600 -- " + quoted + " || exit 1\n"
	}
	if !s.Live {
		return script
	}
	priority, _ := obs.Get("priority")
	switch {
	case !live:
		if !on || !obs.Yes("live") {
			change.Also(steps.Attr{Name: "in use", Before: "no", After: "yes"})
		}
		script += fmt.Sprintf("swap_on %s %s\n", quoted, s.priority())
	case s.Priority != nil && priority != s.priority():
		change.Also(steps.Attr{Name: "priority", Before: priority, After: s.priority()})
		script += fmt.Sprintf("swap_off %s && swap_on %s %s\n", quoted, quoted, s.priority())
	}
	return script
}

// remove returns the sh that switches the swap space off, and removes a file.
func (s *swap) remove(change *steps.Change, obs steps.Observation) string {
	script := ""
	if s.Live && obs.Yes("live") {
		change.Also(steps.Attr{Name: "in use", Before: "yes", After: "no"})
		script = "swap_off " + shell.Quote(s.Path) + "\n"
	}
	if what, _ := obs.Get("what"); what == "swap" && !s.device() {
		change.Also(steps.Attr{Name: "path", Before: s.Path, AfterMissing: true})
		change.Dangers = append(change.Dangers, "removes the swap file "+s.Path)
		script += "rm -f -- " + shell.Quote(s.Path) + "\n"
	}
	return script
}

// shownBytes shows a number of bytes in MiB where it is one.
func shownBytes(n string) string {
	bytes, err := strconv.Atoi(n)
	if err != nil || bytes%(1<<20) != 0 {
		return n + " bytes"
	}
	return strconv.Itoa(bytes>>20) + "M"
}

// rewrite leaves one line for the swap space, or none; by is another name that a line may have for it.
func (s *swap) rewrite(change *steps.Change, before, by string) string {
	lines := kit.ReadLines(before)
	kept := lines.All[:0:0]
	done := s.absent()
	for i, l := range lines.All {
		fields := s.readFstab(l.Text, by)
		if fields == nil {
			kept = append(kept, l)
			continue
		}
		attr := steps.Attr{Name: fmt.Sprintf("line %d", i+1), Before: l.Text, AfterMissing: true}
		if !done {
			done = true
			attr.AfterMissing = false
			if s.Priority != nil && swapPriority(fields[3]) != s.priority() {
				fields[3] = s.options(fields[3])
				l.Text = strings.Join(fields, " ")
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
		line := strings.Join([]string{fstabEscape.Replace(s.Path), "none", "swap", s.options("sw"), "0", "0"}, " ")
		lines.Insert(len(lines.All), line)
		change.Diff = append(change.Diff, steps.Attr{Name: "line", BeforeMissing: true, After: line})
	}
	return lines.String()
}

// options are those of a line, with the wanted priority.
func (s *swap) options(had string) string {
	var kept []string
	for option := range strings.SplitSeq(had, ",") {
		if s.Priority == nil || !strings.HasPrefix(option, "pri=") {
			kept = append(kept, option)
		}
	}
	if s.Priority != nil {
		kept = append(kept, "pri="+s.priority())
	}
	return strings.Join(kept, ",")
}

// swapPriority is the last priority among the options of a line, "" without one.
func swapPriority(options string) string {
	priority := ""
	for option := range strings.SplitSeq(options, ",") {
		if p, ok := strings.CutPrefix(option, "pri="); ok {
			priority = p
		}
	}
	return priority
}

// readFstab reads the fields of a line as the function swap_lines of swap.sh does; nil for one of something else.
func (s *swap) readFstab(line, by string) []string {
	words := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
	if len(words) < 3 || words[2] != "swap" || words[0] != fstabEscape.Replace(s.Path) && (by == "" || words[0] != by) {
		return nil
	}
	for i, or := range []string{"", "", "", "defaults", "0", "0"} {
		if i >= len(words) {
			words = append(words, or)
		}
	}
	return words[:6]
}
