package truth

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"provision/internal/event"
	"provision/internal/steps"
)

// A Judge holds what provision said against what two snapshots show.
type Judge struct {
	Before, After *Snapshot
	Ended         map[string]event.StepStatus // by address

	diffs     []Difference
	differs   map[[2]string]Difference
	explained map[[2]string]bool // path and attribute; the attribute "" is all of them
	trees     []string           // below which everything is explained
	problems  []string
	step      *Step
}

func newJudge(before, after *Snapshot) *Judge {
	j := &Judge{Before: before, After: after, differs: map[[2]string]Difference{}, explained: map[[2]string]bool{}}
	j.diffs = append(Diff(before, after), diffAccounts(before.Accounts, after.Accounts)...)
	for _, d := range j.diffs {
		j.differs[[2]string{d.Path, d.Attr}] = d
	}
	return j
}

// say reports something that is not true.
func (j *Judge) say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if j.step != nil {
		text = j.step.Addr + ": " + text
	}
	j.problems = append(j.problems, text)
}

// explain marks differences of a path as accounted for; no attribute means all.
func (j *Judge) explain(name string, attrs ...string) {
	if len(attrs) == 0 {
		attrs = []string{""}
	}
	for _, a := range attrs {
		j.explained[[2]string{name, a}] = true
	}
}

func (j *Judge) accounted(d Difference) bool {
	if j.explained[[2]string{d.Path, d.Attr}] || j.explained[[2]string{d.Path, ""}] {
		return true
	}
	for _, t := range j.trees {
		if d.Path == t || strings.HasPrefix(d.Path, t+"/") {
			return true
		}
	}
	// A directory is touched when a name in it comes, goes or gets another file.
	if d.Attr == attrMtime && j.After.Files[d.Path].Type == "directory" {
		for _, other := range j.diffs {
			if other.Path != d.Path && path.Dir(other.Path) == d.Path && (other.Attr == attrExists || other.Attr == attrInode || other.Attr == attrType) {
				return true
			}
		}
	}
	return ours(d)
}

const (
	stateDir = "/var/lib/provision"
	runDir   = "/run/provision"
)

// ours tells whether a difference is that of a place where provision keeps its own state, or of the directory around it.
func ours(d Difference) bool {
	name := d.Path
	if d.Attr == attrMtime && slices.Contains([]string{path.Dir(stateDir), path.Dir(runDir), "/dev/shm", "/root", "/tmp"}, name) {
		return true // something was there on its way
	}
	for _, dir := range []string{stateDir, runDir} {
		if name == dir || strings.HasPrefix(name, dir+"/") {
			return true
		}
	}
	return false
}

// accountsChanged lets the files of accounts, their backups and locks differ: what is in them is compared by itself.
func (j *Judge) accountsChanged() {
	for _, name := range accountFiles {
		j.explain(name)
		j.explain(name + "-")
	}
	for _, name := range []string{"/etc/.pwd.lock", "/etc/subuid", "/etc/subgid"} {
		j.explain(name)
	}
}

// unexplained reports what differs and was not in the plan.
func (j *Judge) unexplained() {
	j.step = nil
	for _, d := range j.diffs {
		if !j.accounted(d) {
			j.say("not in the plan: %s", d)
		}
	}
}

// changed requires that an attribute of a path differs, and marks it.
func (j *Judge) changed(name, attr string) {
	if _, yes := j.differs[[2]string{name, attr}]; !yes {
		j.say("the plan says that %s of %s changes, and it does not", attr, name)
	}
	j.explain(name, attr)
}

// A fileWish is what a step wants of a regular file, as the playbook says it.
type fileWish struct {
	path               string
	content            *string // nil: it stays
	owner, group, mode string  // "": they stay
	hidden             bool    // its content is never shown
	defaultMode        string  // of a new file
	runAs              string  // the user that runs the step; "" is root
	behind             string  // the file that a link at the path leads to; "" without a link
}

// owns tells whether a number is that of a wanted name or number.
func owns(wanted string, number uint32, ids func(string) string) bool {
	if _, err := strconv.Atoi(wanted); err == nil {
		return wanted == fmt.Sprint(number)
	}
	return ids(wanted) == fmt.Sprint(number)
}

func (s *Snapshot) uidOf(name string) string { return s.Accounts.Users[name].UID }
func (s *Snapshot) gidOf(name string) string {
	if g, ok := s.Accounts.Groups[name]; ok {
		return g.GID
	}
	return "none"
}

// ownership checks owner, group and mode that a diff names.
func (j *Judge) ownership(a steps.Attr, name string, owner, group, mode string) bool {
	return j.ownershipOf(a, name, j.Before.Files[name], j.After.Files[name], owner, group, mode)
}

func (j *Judge) ownershipOf(a steps.Attr, name string, b, e *Entry, owner, group, mode string) bool {
	value := func(number uint32, wanted, called string) string {
		if _, err := strconv.Atoi(wanted); err == nil {
			return fmt.Sprint(number)
		}
		return called
	}
	switch a.Name {
	case "owner":
		j.explain(name, attrUID)
		if b != nil {
			j.beforeIs(a, value(b.UID, owner, j.Before.Accounts.userName(b.UID)), name)
			if b.UID == e.UID {
				j.say("the plan says that the owner of %s changes, and it does not", name)
			}
		}
		if a.After != owner || !owns(owner, e.UID, j.After.uidOf) {
			j.say("the plan says that the owner of %s becomes %s, and it is %d", name, a.After, e.UID)
		}
	case "group":
		j.explain(name, attrGID)
		if b != nil {
			j.beforeIs(a, value(b.GID, group, j.Before.Accounts.groupName(b.GID)), name)
			if b.GID == e.GID {
				j.say("the plan says that the group of %s changes, and it does not", name)
			}
		}
		if a.After != group || !owns(group, e.GID, j.After.gidOf) {
			j.say("the plan says that the group of %s becomes %s, and it is %d", name, a.After, e.GID)
		}
	case "mode":
		j.explain(name, attrMode)
		if b != nil {
			j.beforeIs(a, fmt.Sprintf("%04o", b.Mode), name)
			if b.Mode == e.Mode {
				j.say("the plan says that the mode of %s changes, and it does not", name)
			}
		}
		if octal(a.After) != octal(mode) || octal(mode) != e.Mode {
			j.say("the plan says that the mode of %s becomes %s, and it is %04o", name, a.After, e.Mode)
		}
	default:
		return false
	}
	return true
}

func (j *Judge) beforeIs(a steps.Attr, was, name string) {
	if a.Name == "mode" && octal(a.Before) == octal(was) {
		return
	}
	if a.Before != was || a.BeforeMissing {
		j.say("the plan says that %s of %s was %q, and it was %q", a.Name, name, a.Before, was)
	}
}

func octal(s string) uint32 {
	n, err := strconv.ParseUint(s, 8, 32)
	if err != nil {
		return 1 << 31
	}
	return uint32(n)
}

// file checks the planned change of a regular file.
func (j *Judge) file(p *event.PlanStep, w fileWish) {
	b, e := j.Before.Files[w.path], j.After.Files[w.path]
	switch p.Action {
	case steps.NoOp:
		return
	case steps.Create:
		j.explain(w.path)
		if b != nil {
			j.say("the plan says that %s is created, and it was there", w.path)
		}
	case steps.Update:
		if b == nil {
			j.say("the plan says that %s is updated, and it was not there", w.path)
			return
		}
	case steps.Delete:
		j.removed(p, w.path)
		return
	}
	if e == nil {
		j.say("the plan says that %s comes or changes, and it is not there", w.path)
		return
	}
	if len(p.Diff) == 0 {
		j.say("the plan says %s and names no attribute", p.Action)
	}
	for _, a := range p.Diff {
		switch {
		case j.ownership(a, w.path, w.owner, w.group, w.mode):
		case a.Name == "content", a.Name == "sha256":
			if b != nil {
				j.changed(w.path, attrContent)
				j.explain(w.path, attrInode, attrMtime)
				if a.Name == "sha256" {
					j.explain(w.path, attrXattr) // a download is another file in its place
				}
			}
			j.content(a, b, e, w)
		case a.Name == "path" && p.Action == steps.Create:
			if a.After != w.path || !a.BeforeMissing {
				j.say("the plan says path %q", a.After)
			}
		default:
			j.say("the plan names an attribute %q that is not known", a.Name)
		}
	}
}

func (j *Judge) content(a steps.Attr, b, e *Entry, w fileWish) {
	if w.hidden {
		if !a.Sensitive || a.Before != "" || a.After != "" {
			j.say("the plan shows the content of %s, which is a secret", w.path)
		}
		return
	}
	if a.Sensitive {
		return
	}
	same := func(shown string, e *Entry) bool {
		return shown == e.Content && e.Size <= contentLimit || shown == "sha256 "+e.Sum || shown == e.Sum
	}
	if a.BeforeMissing != (b == nil) || b != nil && !same(a.Before, b) {
		j.say("the plan says that the content of %s was %.300q, and it was %.300q", w.path, a.Before, b.shown())
	}
	if !same(a.After, e) {
		j.say("the plan says that the content of %s becomes %.300q, and it is %.300q", w.path, a.After, e.shown())
	}
}

// removed checks a planned removal of a path with everything below.
func (j *Judge) removed(p *event.PlanStep, name string) {
	if j.Before.Files[name] == nil {
		j.say("the plan says that %s is removed, and it was not there", name)
	}
	if j.After.Files[name] != nil {
		j.say("the plan says that %s is removed, and it is there", name)
	}
	if len(p.Diff) != 1 || p.Diff[0].Before != name || !p.Diff[0].AfterMissing {
		j.say("the plan of the removal of %s says %+v", name, p.Diff)
	}
	j.trees = append(j.trees, name)
}

// wishFile looks whether a regular file is as it is wanted.
func (j *Judge) wishFile(w fileWish) {
	e := j.After.Files[w.path]
	if e == nil || e.Type != "file" {
		j.say("%s is no file afterwards", w.path)
		return
	}
	b := j.Before.Files[w.path]
	switch {
	case w.content != nil && *w.content != e.shown() && sumOf(*w.content) != e.Sum:
		j.say("the content of %s is %.300q afterwards, and %.300q is wanted", w.path, e.shown(), *w.content)
	case w.owner != "" && !owns(w.owner, e.UID, j.After.uidOf):
		j.say("%s belongs to %d afterwards, and %s is wanted", w.path, e.UID, w.owner)
	case w.group != "" && !owns(w.group, e.GID, j.After.gidOf):
		j.say("the group of %s is %d afterwards, and %s is wanted", w.path, e.GID, w.group)
	case w.mode != "" && octal(w.mode) != e.Mode:
		j.say("the mode of %s is %04o afterwards, and %s is wanted", w.path, e.Mode, w.mode)
	case b == nil && w.mode == "" && w.defaultMode != "" && octal(w.defaultMode) != e.Mode:
		j.say("the mode of the new file %s is %04o, and %s is the default", w.path, e.Mode, w.defaultMode)
	case b == nil && w.owner == "" && e.UID != uint32(uids[w.runAs]):
		j.say("the new file %s belongs to %d, and not to who ran the step", w.path, e.UID)
	}
}

// linked checks the planned change of a download onto a link to a file: the file behind it gets other attributes, or another file takes
// the place of the link.
func (j *Judge) linked(p *event.PlanStep, w fileWish) {
	behind := j.Before.Files[w.behind]
	switch {
	case p.Action == steps.NoOp:
		return
	case p.Action != steps.Update || behind == nil:
		j.say("the plan says %s of a link to %+v", p.Action, behind)
		return
	}
	name, is := w.behind, j.After.Files[w.behind]
	if slices.ContainsFunc(p.Diff, func(a steps.Attr) bool { return a.Name == "sha256" }) {
		j.changed(w.path, attrType)
		j.explain(w.path)
		name, is = w.path, j.After.Files[w.path]
	}
	for _, a := range p.Diff {
		switch {
		case is == nil || is.Type != "file":
			j.say("%s is no file afterwards", name)
			return
		case j.ownershipOf(a, name, behind, is, w.owner, w.group, w.mode):
		case name == w.path && a == (steps.Attr{Name: "type", Before: "link", After: "file"}):
		case name == w.path && a == (steps.Attr{Name: "sha256", Before: behind.Sum, After: is.Sum}):
		default:
			j.say("the plan says %+v", a)
		}
	}
	if name == w.path && p.Diff[0].Name != "type" {
		j.say("the plan does not say that the link goes")
	}
}

func (j *Judge) wishGone(name string) {
	if j.After.Files[name] != nil {
		j.say("%s is there afterwards", name)
	}
}
