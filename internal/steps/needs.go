package steps

import "path"

// probeParent is sh that reports the directory of $p if it is missing.
const probeParent = `d=${p%/*}
[ -d "${d:-/}" ] || need directory "${d:-/}"
`

// fileSupply is that of a step which writes one file.
func fileSupply(p string) Supply { return Supply{Things: []Thing{{FileThing, p}}} }

// removal is the supply of a step that removes a path, where it is sure to.
func removal(change Change, p string) Supply {
	if change.Action != Delete {
		return Supply{}
	}
	return Supply{Gone: []string{p}}
}

// parentOf is the directory that a path needs.
func parentOf(p string) []Thing {
	if !path.IsAbs(p) {
		return nil
	}
	return []Thing{{DirectoryThing, path.Dir(p)}}
}

// networkThings are what the answer of a server hangs on: the server, how it is found, and how it is trusted.
func networkThings() []Thing {
	return []Thing{
		{RunningThing, "server"},
		{FileThing, "/etc/hosts"},
		{FileThing, "/etc/resolv.conf"},
		{FileThing, "/etc/nsswitch.conf"},
		{DirectoryThing, "/etc/ssh"},
		{DirectoryThing, "/etc/ssl"},
		{DirectoryThing, "/etc/pki"},
		{DirectoryThing, "/usr/local/share/ca-certificates"},
		{FileThing, "/root/.ssh/config"},
		{FileThing, "/etc/gitconfig"},
		{FileThing, "/etc/pip.conf"},
	}
}
