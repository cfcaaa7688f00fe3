package kit

import (
	"strings"

	"provision/internal/steps"
)

// A Writing is how a file is written, for the kinds that write one.
type Writing struct {
	Check  string // a command that must accept the new content; see Put.Validate
	Backup bool
}

// Args are the arguments validate and backup.
func (w *Writing) Args() steps.Args {
	return steps.Args{
		StringArg("validate", &w.Check, "A command that must accept the new content before it is in force; %s in it stands for a temporary file, such as \"visudo -cf %s\"."),
		BoolArg("backup", &w.Backup, "Keep the old content beside the file, as PATH.~TIMESTAMP~."),
	}
}

// Problems reports a command of validate that does not name the file.
func (w *Writing) Problems() []steps.Problem {
	if w.Check != "" && !strings.Contains(w.Check, "%s") {
		return []steps.Problem{{Arg: "validate", Summary: "the command does not name the file", Detail: "Put %s where the path of the temporary file belongs."}}
	}
	return nil
}
