package sandbox

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// An owner is who owns a file of the machine that is not all root's. In a user namespace owners without an id look alike,
// so that this is found out outside of it, and restored inside: mandb, postfix and many others check.
type owner struct {
	Path     string
	UID, GID int
	Mode     uint32 // as in chmod(2), since chown(2) clears some of it
}

// maxOwners bounds what is sent: a mail server has millions of files.
const maxOwners = 20000

// owners finds the files and directories below dirs that belong to system accounts and groups. What cannot be looked at
// is passed over, since it cannot be copied either.
func (m *idMaps) owners(dirs ...string) []owner {
	var found []owner
	for _, dir := range dirs {
		_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return nil
			}
			info, err := e.Info()
			if err != nil {
				return nil
			}
			st := info.Sys().(*syscall.Stat_t)
			uid, gid := int(st.Uid), int(st.Gid)
			if uid == m.uid {
				uid = 0
			}
			if gid == m.gid {
				gid = 0
			}
			if (uid != 0 || gid != 0) && uid <= m.subUID.count && gid <= m.subGID.count {
				found = append(found, owner{path, uid, gid, st.Mode & 0o7777})
			}
			if len(found) == maxOwners {
				return filepath.SkipAll
			}
			return nil
		})
	}
	return found
}

// restore gives the copies of files their owners. A file that was not copied is still the machine's, and the kernel
// refuses to change it.
func restore(owners []owner) {
	for _, o := range owners {
		if os.Lchown(o.Path, o.UID, o.GID) != nil {
			continue
		}
		if info, err := os.Lstat(o.Path); err == nil && info.Mode()&fs.ModeSymlink == 0 {
			_ = unix.Chmod(o.Path, o.Mode)
		}
	}
}
