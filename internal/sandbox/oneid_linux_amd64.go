package sandbox

import "golang.org/x/sys/unix"

// ownershipCalls are the calls that give files away, or ask whose they are.
func ownershipCalls() map[int]call {
	return map[int]call{
		unix.SYS_CHOWN:      chown(named{dir: -1, path: 0, flags: -1}, 1),
		unix.SYS_LCHOWN:     chown(named{dir: -1, path: 0, flags: -1, nofollow: true}, 1),
		unix.SYS_FCHOWN:     chown(named{dir: 0, path: -1, flags: -1}, 1),
		unix.SYS_FCHOWNAT:   chown(named{dir: 0, path: 1, flags: 4}, 2),
		unix.SYS_STAT:       stat(named{dir: -1, path: 0, flags: -1}, 1),
		unix.SYS_LSTAT:      stat(named{dir: -1, path: 0, flags: -1, nofollow: true}, 1),
		unix.SYS_FSTAT:      stat(named{dir: 0, path: -1, flags: -1}, 1),
		unix.SYS_NEWFSTATAT: stat(named{dir: 0, path: 1, flags: 3}, 2),
		unix.SYS_STATX:      statx,
	}
}
