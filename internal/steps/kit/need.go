package kit

import (
	"fmt"
	"path"

	"provision/internal/shell"
	"provision/internal/steps"
)

// ProbeType is sh that most probes of a path begin with: it puts the path into $p and what is there into $t (absent, file,
// directory, symlink or other; see path_type), and says so as "type". It never follows a symbolic link.
func ProbeType(path string) string {
	return fmt.Sprintf("p=%s\npath_type \"$p\" || exit 1; t=$TYPE\nsay type \"$t\"\n", shell.Quote(path))
}

// ProbeParent is sh that reports the directory of $p if it is missing.
const ProbeParent = "need_parent \"$p\"\n"

// FileSupply is that of a step which writes one file.
func FileSupply(p string) steps.Supply {
	return steps.Supply{Things: []steps.Thing{{Kind: steps.FileThing, Name: p}}}
}

// RemovalSupply is the supply of a step that removes a path, where it is sure to.
func RemovalSupply(change steps.Change, p string) steps.Supply {
	if change.Action != steps.Delete {
		return steps.Supply{}
	}
	return steps.Supply{Gone: []string{p}}
}

// ParentOf is the directory that a path needs.
func ParentOf(p string) []steps.Thing {
	if !path.IsAbs(p) {
		return nil
	}
	return []steps.Thing{{Kind: steps.DirectoryThing, Name: path.Dir(p)}}
}

// NetworkThings are what the answer of a server hangs on: the server, how it is found, and how it is trusted.
func NetworkThings() []steps.Thing {
	return []steps.Thing{
		{Kind: steps.RunningThing, Name: "server"},
		{Kind: steps.FileThing, Name: "/etc/hosts"},
		{Kind: steps.FileThing, Name: "/etc/resolv.conf"},
		{Kind: steps.FileThing, Name: "/etc/nsswitch.conf"},
		{Kind: steps.DirectoryThing, Name: "/etc/ssh"},
		{Kind: steps.DirectoryThing, Name: "/etc/ssl"},
		{Kind: steps.DirectoryThing, Name: "/etc/pki"},
		{Kind: steps.DirectoryThing, Name: "/usr/local/share/ca-certificates"},
		{Kind: steps.FileThing, Name: "/root/.ssh/config"},
		{Kind: steps.FileThing, Name: "/etc/gitconfig"},
		{Kind: steps.FileThing, Name: "/etc/pip.conf"},
	}
}
