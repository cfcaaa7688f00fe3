package sandbox

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxCopy bounds what is copied rather than laid over.
const maxCopy = 16 << 20

// makeDir makes a directory with exactly this mode, whatever the umask. mode is as chmod(2) has it: 0o1777 is sticky.
func makeDir(path string, mode os.FileMode) error {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return unix.Chmod(path, uint32(mode))
}

// makeLike makes the directory path with the mode and, where it has an id here, the owner of dir.
func makeLike(dir, path string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		return err
	}
	return takeAfter(path, info)
}

// takeAfter gives path the owner and mode of info. An owner without an id in this user namespace becomes root.
func takeAfter(path string, info fs.FileInfo) error {
	st := info.Sys().(*syscall.Stat_t)
	if err := os.Lchown(path, mappedID(st.Uid), mappedID(st.Gid)); err != nil {
		return err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		return nil
	}
	return unix.Chmod(path, st.Mode&0o7777)
}

// overflowID is what ids outside of the user namespace look like: /proc/sys/kernel/overflowuid. In the machine's own
// namespace it is nobody, for whom root will do just as well in the few directories that nobody owns.
const overflowID = 65534

func mappedID(id uint32) int {
	if id == overflowID {
		return 0
	}
	return int(id)
}

// copyFile copies a regular file to a path where there is none.
func copyFile(from, to string, info fs.FileInfo) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	if err := takeAfter(to, info); err != nil {
		return err
	}
	return os.Chtimes(to, info.ModTime(), info.ModTime())
}

// copyLink copies a symbolic link to a path where there is none.
func copyLink(from, to string) error {
	target, err := os.Readlink(from)
	if err != nil {
		return err
	}
	return os.Symlink(target, to)
}

// copyTree copies a directory into one that exists. What may not be read is left out; it returns how many files that are.
func copyTree(from, to string) (unreadable int, err error) {
	entries, err := os.ReadDir(from)
	if errors.Is(err, fs.ErrPermission) {
		return 1, nil
	}
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		source, target := filepath.Join(from, e.Name()), filepath.Join(to, e.Name())
		n := 0
		switch {
		case e.IsDir():
			if err := makeLike(source, target); err != nil {
				return unreadable, err
			}
			n, err = copyTree(source, target)
		case e.Type()&fs.ModeSymlink != 0:
			err = copyLink(source, target)
		case e.Type().IsRegular():
			n, err = copyReadable(source, target)
		}
		if err != nil {
			return unreadable, err
		}
		unreadable += n
	}
	return unreadable, nil
}

// copyReadable copies a regular file unless it may not be read or has gone in the meantime. It returns 1 if it may not.
func copyReadable(from, to string) (unreadable int, err error) {
	info, err := os.Lstat(from)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	switch err := copyFile(from, to, info); {
	case errors.Is(err, fs.ErrPermission):
		return 1, nil
	case errors.Is(err, fs.ErrNotExist):
		return 0, nil
	default:
		return 0, err
	}
}
