package steps

import "strings"

// Words of states and diffs that the planner reads. A kind that has one of these things uses this word for it; all other words are its own.
const (
	TypeKey   = "type"   // what is at the path of the step: absent, file, directory, symlink or another type
	ExistsKey = "exists" // yes or no: what is no path, such as an account
	OwnerKey  = "owner"
	GroupKey  = "group"
	SumKey    = "sum"   // of a file's content
	BelowKey  = "below" // what is so of all that is below a directory

	ContentAttr = "content" // a file's content, as text where it can be shown
	OwnerAttr   = "owner"   // OWNER, or OWNER:GROUP
)

// Present is the state that a step which removes a thing finds where the thing is there and nothing more is known of it.
func (t Thing) Present() Observation {
	if IsPath(t.Kind) {
		return Observe(TypeKey + " " + t.Kind)
	}
	return Observe(ExistsKey + " yes")
}

// Contained tells of a key of a state that its value depends on what a file or a directory contains, so that it is not known after a step
// that may have changed that.
func Contained(key string) bool { return key == SumKey || key == BelowKey }

// someNumber stands for any number.
const someNumber = "4711"

// AnyNumber tells whether a settled state leaves a number open.
func (o Observation) AnyNumber() bool { return strings.Contains(o.State()+"\n", " "+AnyNumber+"\n") }

// Numbered is a settled state with a number where it leaves one open.
func (o Observation) Numbered() Observation {
	return Observe(strings.Split(strings.TrimSuffix(strings.ReplaceAll(o.State()+"\n", " "+AnyNumber+"\n", " "+someNumber+"\n"), "\n"), "\n")...)
}
