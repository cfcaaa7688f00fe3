package kinds

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/moby/patternmatcher"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

// A remoteTree is a local tree and its copy on the host: what the kinds sync and compose have in common.
type remoteTree struct {
	*steps.Tree
	dest     string
	remove   bool   // what the tree does not have
	noted    string // sh that sets sent, the file with the list of what was sent; "" keeps none
	patterns []string
	owner    kit.Ownership
}

func (t *remoteTree) ownerArgs() steps.Args {
	return t.owner.Args("files")[:2]
}

// setup is sh that sets the variables of sync.sh.
func (t *remoteTree) setup() string {
	var links, secrets strings.Builder
	manifest := t.manifest()
	if t.ownerFormat() != "" {
		manifest = "d - .\n" + manifest
	}
	for _, f := range t.Files {
		switch f.Type {
		case steps.TreeLink:
			fmt.Fprintf(&links, "%s\t%s\n", f.Target, f.Path)
		case steps.TreeSecret:
			secrets.WriteString(f.Path + "\n")
		}
	}
	return shell.Strip(syncScriptSource) + t.ownerWanted() + fmt.Sprintf("dest=%s\nowner_format=%s\nlinks=%s\nsecrets=%s\nmanifest=%s\n",
		shell.Quote(t.dest), shell.Quote(t.ownerFormat()),
		shell.Quote(strings.TrimSuffix(links.String(), "\n")), shell.Quote(strings.TrimSuffix(secrets.String(), "\n")),
		shell.Quote(strings.TrimSuffix(manifest, "\n")))
}

// manifest lists the files, a line "TYPE SHA256 PATH" each. Of a secret it tells no sum: without salt it would give away
// whether somebody guesses right.
func (t *remoteTree) manifest() string {
	var b strings.Builder
	for _, f := range t.Files {
		sum := f.SHA256
		if sum == "" {
			sum = "-"
		}
		fmt.Fprintf(&b, "%c %s %s\n", f.Type, sum, f.Path)
	}
	return b.String()
}

// ownerFormat is the format of stat for the numbers of the owner and the group, as far as they matter.
func (t *remoteTree) ownerFormat() string {
	switch {
	case t.owner.Owner != "" && t.owner.Group != "":
		return "%u:%g"
	case t.owner.Owner != "":
		return "%u"
	case t.owner.Group != "":
		return "%g"
	}
	return ""
}

// ownerWanted is sh that sets owner to what stat should print by that format. Of a name that nobody has it is no number.
func (t *remoteTree) ownerWanted() string {
	script, owner := "", ""
	for _, part := range []struct{ database, wanted string }{{"passwd", t.owner.Owner}, {"group", t.owner.Group}} {
		if part.wanted == "" {
			continue
		}
		if owner != "" {
			owner += ":"
		}
		if kit.IsNumber(part.wanted) {
			owner += part.wanted
			continue
		}
		script += fmt.Sprintf("id_of %[1]s %[2]s; id_%[1]s=$ID\n", part.database, shell.Quote(part.wanted))
		owner += "$id_" + part.database
	}
	return script + "owner=" + owner + "\n"
}

func (t *remoteTree) probe() string {
	words := []string{"sync_state"}
	if t.remove {
		words = append(words, "delete")
		words = append(words, t.wholly()...)
	}
	return t.setup() + shell.Words(words...) + "\n" + t.owner.ProbeNames(false)
}

// supply is what the tree brings to its destination.
func (t *remoteTree) supply(dest string) steps.Supply {
	var s steps.Supply
	s.AddDirectory(dest)
	if t.Tree == nil {
		s.Trees, s.Filled = []string{dest}, []string{dest}
		return s
	}
	for _, f := range t.Files {
		p := path.Join(dest, f.Path)
		switch f.Type {
		case steps.TreeDirectory:
			s.Things = append(s.Things, steps.Thing{Kind: steps.DirectoryThing, Name: p})
		case steps.TreeLink:
			s.Trees = append(s.Trees, p)
		default:
			s.Things = append(s.Things, steps.Thing{Kind: steps.FileThing, Name: p})
		}
	}
	return s
}

// differences are the paths of a state, by what is wrong with them.
type differences struct {
	send, chmod, chown, replace, remove []string
	prune                               []string // directories to be removed if they are empty
	created                             int      // how many of send are not there at all: the first ones
}

func (t *remoteTree) differences(f *steps.Facts, obs steps.Observation) (differences, error) {
	var d differences
	matcher, err := patternmatcher.New(t.patterns)
	if err != nil {
		return d, err
	}
	kind, _ := obs.Get("dest")
	if kind == "absent" {
		for _, f := range t.Files {
			d.send = append(d.send, f.Path)
		}
		d.created = len(d.send)
		return d, nil
	}
	d.send = obs.All("absent")
	d.created = len(d.send)
	d.send = append(d.send, obs.All("differs")...)
	d.send = append(d.send, t.otherSecrets(f, obs)...)
	d.replace = obs.All("type")
	d.send = append(d.send, d.replace...)
	for _, f := range t.Files {
		for _, p := range d.replace {
			// What was seen below it is somewhere else, behind a link.
			if strings.HasPrefix(f.Path, p+"/") && !slices.Contains(d.send, f.Path) {
				d.send = append(d.send, f.Path)
			}
		}
	}
	d.chmod = obs.All("mode")
	d.chown = obs.All("owner")
	protected := map[string]bool{}
	protect := func(p string) {
		for p = path.Dir(p); p != "."; p = path.Dir(p) {
			protected[p] = true
		}
	}
	for _, p := range t.wholly() {
		protect(p)
	}
	extras := obs.All("extra")
	for _, p := range slices.Backward(extras) { // what is in a directory comes first
		p = strings.ReplaceAll(p, "\x01", "\n")
		ignored, err := matcher.MatchesOrParentMatches(p)
		if err != nil {
			return d, err
		}
		if ignored {
			protect(p)
		} else if !protected[p] {
			d.remove = append(d.remove, p)
		}
	}
	return d, nil
}

// otherSecrets lists the secrets of which the host has another content.
func (t *remoteTree) otherSecrets(f *steps.Facts, obs steps.Observation) []string {
	found := map[string]string{}
	for _, line := range obs.All("secret") {
		sum, name, _ := strings.Cut(line, " ")
		found[name] = sum
	}
	var list []string
	for _, file := range t.Files {
		if sum, there := found[file.Path]; there && sum != file.Content.Sum(f) {
			list = append(list, file.Path)
		}
	}
	return list
}

// wholly lists the directories and files that a pattern names as they are, and no other takes a part of back: they need not be
// looked into.
func (t *remoteTree) wholly() []string {
	var list []string
	for _, p := range t.patterns {
		if strings.HasPrefix(p, "!") {
			return nil
		}
		if clean := strings.Trim(path.Clean(p), "/"); !strings.ContainsAny(p, "*?[\\") && clean != "." {
			list = append(list, clean)
		}
	}
	return list
}

func (t *remoteTree) plan(f *steps.Facts, obs steps.Observation) (steps.Change, error) {
	kind, _ := obs.Get("dest")
	if kind != "absent" && kind != "directory" {
		return steps.Change{}, kit.NotA(t.dest, kind, "directory")
	}
	d, err := t.differences(f, obs)
	if err != nil {
		return steps.Change{}, err
	}
	if len(d.replace) > 0 && !t.remove {
		return steps.Change{}, fmt.Errorf("%s/%s is of another type than the local one (a directory, a file, a link); move it away, or set delete = true", t.dest, d.replace[0])
	}
	change := steps.Change{Action: steps.NoOp}
	t.describe(&change, d, kind)
	if len(change.Diff) == 0 {
		return change, nil
	}
	change.Action = steps.Update
	if kind == "absent" {
		change.Action = steps.Create
		change.Predict = []steps.Observation{t.empty()}
	}
	change.Ops = t.ops(d)
	change.AddNeeds(obs)
	for _, p := range obs.All("mounted") {
		if slices.Contains(d.remove, p) {
			change.Needs = append(change.Needs, steps.Thing{Kind: steps.UnmountedThing, Name: path.Join(t.dest, p)})
		}
	}
	return change, nil
}

// empty is the state of a directory that is there and empty, such as an earlier step makes.
func (t *remoteTree) empty() steps.Observation {
	lines := []string{"dest directory"}
	root := func(name string) bool { return name == "" || name == "root" || name == "0" }
	if !root(t.owner.Owner) || !root(t.owner.Group) {
		lines = append(lines, "owner .")
	}
	for _, f := range t.Files {
		lines = append(lines, "absent "+f.Path)
	}
	return steps.Observe(lines...)
}

// shownFiles is how many files a diff names.
const shownFiles = 30

func (t *remoteTree) describe(change *steps.Change, d differences, kind string) {
	files := map[string]steps.TreeFile{}
	for _, f := range t.Files {
		files[f.Path] = f
	}
	replaced := map[string]bool{}
	for _, p := range d.replace {
		replaced[p] = true
	}
	var bytes int64
	sent := 0
	for i, p := range d.send {
		f := files[p]
		bytes += f.Size
		if f.Type == steps.TreeDirectory {
			continue // its files tell
		}
		sent++
		attr := steps.Attr{Name: p, After: shownFile(f), BeforeMissing: i < d.created, Sensitive: f.Type == steps.TreeSecret}
		if !attr.BeforeMissing && !attr.Sensitive {
			attr.Before = "differs"
			if replaced[p] {
				attr.Before = "of another type"
			}
		}
		change.Diff = append(change.Diff, attr)
	}
	if sent == 0 && len(d.send) > 0 {
		change.Diff = append(change.Diff, steps.Attr{Name: "directories", BeforeMissing: true, After: fmt.Sprint(len(d.send))})
	}
	for _, p := range d.chmod {
		change.Diff = append(change.Diff, steps.Attr{Name: p, Before: "mode differs", After: fmt.Sprintf("%04o", files[p].Mode())})
	}
	for _, p := range d.remove {
		change.Diff = append(change.Diff, steps.Attr{Name: p, Before: "not in the local tree", AfterMissing: true})
	}
	if len(change.Diff) > shownFiles {
		more := len(change.Diff) - shownFiles
		change.Diff = append(change.Diff[:shownFiles], steps.Attr{Name: "more", BeforeMissing: true, After: fmt.Sprintf("%d files", more)})
	}
	if len(d.chown) > 0 {
		change.Diff = append(change.Diff, steps.Attr{Name: "owner", Before: fmt.Sprintf("differs for %d files", len(d.chown)), After: t.owner.Operand()})
	}
	if sent > 0 {
		change.Reason = fmt.Sprintf("%d of %d files travel, %s", sent, t.count(), size(bytes))
	}
	if len(d.remove) > 0 {
		change.Dangers = append(change.Dangers, fmt.Sprintf("removes %d files in %s that the local tree does not have", len(d.remove), t.dest))
	}
	if len(d.replace) > 0 {
		change.Dangers = append(change.Dangers, fmt.Sprintf("replaces %s/%s, which is of another type", t.dest, d.replace[0]))
	}
}

// count is the number of files that are no directories.
func (t *remoteTree) count() int {
	n := 0
	for _, f := range t.Files {
		if f.Type != steps.TreeDirectory {
			n++
		}
	}
	return n
}

// shownFile is what a diff says of a file.
func shownFile(f steps.TreeFile) string {
	switch f.Type {
	case steps.TreeLink:
		return "link to " + f.Target
	case steps.TreeSecret:
		return ""
	}
	return size(f.Size)
}

// size shows a number of bytes.
func size(n int64) string {
	switch {
	case n < 10<<10:
		return fmt.Sprintf("%d bytes", n)
	case n < 10<<20:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}
