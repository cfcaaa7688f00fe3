package sim

import "golang.org/x/sys/unix"

// legacyCalls are those that only old architectures have.
func legacyCalls() []call {
	return []call{
		{nr: unix.SYS_OPEN, what: opens, path: 0, dir: -1, flags: 1, to: -1},
		{nr: unix.SYS_CREAT, what: changes, path: 0, dir: -1, flags: -1, to: -1},
		{nr: unix.SYS_RENAME, what: changes, path: 0, dir: -1, flags: -1, to: 1},
		{nr: unix.SYS_UNLINK, what: removes, path: 0, dir: -1, flags: -1, to: -1},
		{nr: unix.SYS_RMDIR, what: removes, path: 0, dir: -1, flags: -1, to: -1},
		{nr: unix.SYS_MKDIR, what: changes, path: 0, dir: -1, flags: -1, to: -1},
		{nr: unix.SYS_LINK, what: changes, path: 1, dir: -1, flags: -1, to: -1},
		{nr: unix.SYS_SYMLINK, what: changes, path: 1, dir: -1, flags: -1, to: -1},
		{nr: unix.SYS_CHMOD, what: changes, path: 0, dir: -1, flags: -1, to: -1},
		{nr: unix.SYS_CHOWN, what: changes, path: 0, dir: -1, flags: -1, to: -1},
		{nr: unix.SYS_LCHOWN, what: changes, path: 0, dir: -1, flags: -1, to: -1},
	}
}
