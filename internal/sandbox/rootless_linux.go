package sandbox

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Without root, two things differ.
//
// The kernel refuses an overlay of a directory with mounts below it, so that such a directory, / first of all, is made
// anew and filled one entry at a time.
//
// And root's files have no owner in the user namespace, so that its root may write to none of them, nor into a directory
// of theirs, and an overlay cannot copy them up. So each upper layer begins with all of the directories, which belong to
// the sandbox's root then: in them files can be made, replaced and removed, and that is how packages are installed. What
// programs write in place is copied: all of /etc, and the package managers' state in /var.

// layFromTop fills the root, which has been made a mount so that it can become the root.
func (t *tree) layFromTop() error {
	if err := unix.Mount(t.root, t.root, "", unix.MS_BIND, ""); err != nil {
		return refused("mount MS_BIND", "to put the new root together", err)
	}
	return t.fill("/")
}

// lay puts a writable copy of a directory of the machine into the tree.
func (t *tree) lay(dir string) error {
	if slices.Contains(freshDirs(), dir) || dir == t.layers {
		return os.Mkdir(filepath.Join(t.root, dir), 0o755)
	}
	how := layered
	if i := slices.IndexFunc(t.mounts, func(m mount) bool { return m.point == dir }); i >= 0 {
		how = treat(t.mounts[i])
		if how == leftOut {
			t.noteLeftOut(t.mounts[i])
			return os.Mkdir(filepath.Join(t.root, dir), 0o755)
		}
	}
	if err := makeLike(dir, filepath.Join(t.root, dir)); err != nil {
		return err
	}
	if unix.Access(dir, unix.R_OK|unix.X_OK) != nil {
		return nil // another user's, /root for example: empty
	}
	if dir == "/etc" {
		_, err := copyTree(dir, filepath.Join(t.root, dir))
		return err
	}
	if t.hasMountsBelow(dir) {
		return t.fill(dir)
	}
	if how == readOnly {
		return t.bindReadOnly(dir, 0)
	}
	upper, work, err := t.newLayer(dir)
	if err != nil {
		return err
	}
	if err := t.claim(dir, upper); err != nil {
		return fmt.Errorf("prepare a writable copy of %s: %w", dir, err)
	}
	return t.mountOverlay(dir, upper, work)
}

// fill lays each entry of a directory whose copy has been made.
func (t *tree) fill(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		target := filepath.Join(t.root, path)
		switch {
		case e.IsDir():
			err = t.lay(path)
		case e.Type()&fs.ModeSymlink != 0:
			err = copyLink(path, target)
		case e.Type().IsRegular():
			err = t.fillFile(path, target)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// fillFile copies a file that stands beside a mount, such as a container's image leaves in /.
func (t *tree) fillFile(path, target string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if info.Size() > maxCopy {
		t.note(path + " is not there: it is large, and beside a mount point")
		return nil
	}
	_, err = copyReadable(path, target)
	return err
}

func (t *tree) hasMountsBelow(dir string) bool {
	return slices.ContainsFunc(t.mounts, func(m mount) bool { return m.point != dir && isUnder(m.point, dir) })
}

// maxClaimed bounds how many directories are made, at some 30 µs each: a machine with Nix or a mail store has millions.
const maxClaimed = 200_000

// claim makes, in an upper layer, the directories of lower that belong to nobody in the user namespace, and copies the
// files that are used in place. Where the caller owns a directory there is nothing to do from there on.
func (t *tree) claim(lower, upper string) error {
	if t.claimed++; t.claimed == maxClaimed {
		t.note(fmt.Sprintf("%s and what comes after it is partly read-only: there are more than %d directories", lower, maxClaimed))
	}
	if t.claimed >= maxClaimed {
		return nil
	}
	entries, err := os.ReadDir(lower)
	if errors.Is(err, fs.ErrPermission) {
		// Opaque, it is simply empty, and can be removed.
		return unix.Setxattr(upper, "user.overlay.opaque", []byte("y"), 0)
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		from, to := filepath.Join(lower, e.Name()), filepath.Join(upper, e.Name())
		switch {
		case e.IsDir():
			err = t.claimDir(from, to)
		case e.Type().IsRegular():
			err = claimFile(from, to, len(entries))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (t *tree) claimDir(from, to string) error {
	var st unix.Stat_t
	if err := unix.Lstat(from, &st); err != nil {
		return err
	}
	if st.Uid != overflowID {
		return nil
	}
	if err := makeLike(from, to); err != nil {
		return err
	}
	return t.claim(from, to)
}

// claimFile copies a file that a program would refuse or fail to use with no owner: set-user-ID programs, sudo's parts,
// and what package managers lock, append to and rewrite in place.
func claimFile(from, to string, siblings int) error {
	dir := filepath.Dir(from)
	inVar := isUnder(dir, "/var")
	switch {
	case strings.Contains(dir, "/rpm") || isUnder(dir, "/usr/lib/apk/db") || filepath.Base(dir) == "sudo":
	case strings.HasSuffix(dir, "bin"):
		var st unix.Stat_t
		if err := unix.Lstat(from, &st); err != nil || st.Mode&unix.S_ISUID == 0 {
			return err
		}
	case inVar && siblings <= 1000: // dpkg's info directory has more, and is only ever written by renaming
		var st unix.Stat_t
		if err := unix.Lstat(from, &st); err != nil || st.Size > 4<<20 || st.Uid != overflowID {
			return err
		}
	default:
		return nil
	}
	unreadable, err := copyReadable(from, to)
	if err != nil || unreadable == 0 || !inVar {
		return err
	}
	// A lock or a log of root's: an empty one does.
	return os.WriteFile(to, nil, 0o640)
}

// writeRootless writes the files of /etc that only root may read, as a new machine has them, and what package managers
// need to know.
func (t *tree) writeRootless() error {
	passwd, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return fmt.Errorf("read the accounts: %w", err)
	}
	group, err := os.ReadFile("/etc/group")
	if err != nil {
		return fmt.Errorf("read the groups: %w", err)
	}
	files := []struct {
		path string
		mode os.FileMode
		text []byte
	}{
		{"/etc/shadow", 0o640, locked(passwd, ":*:19000:0:99999:7:::\n")},
		{"/etc/gshadow", 0o640, locked(group, ":*::\n")},
		{"/etc/sudoers", 0o440, []byte("root ALL=(ALL:ALL) ALL\n%sudo ALL=(ALL:ALL) ALL\n%wheel ALL=(ALL:ALL) ALL\n#includedir /etc/sudoers.d\n")},
		// In a user namespace apt's own sandbox may fail to become the user _apt.
		{"/etc/apt/apt.conf.d/99provision-sandbox", 0o644, []byte("APT::Sandbox::User \"root\";\n")},
	}
	for _, f := range files {
		if _, err := os.Stat(f.path); err == nil {
			continue
		}
		if _, err := os.Stat(filepath.Dir(f.path)); err != nil {
			continue
		}
		if err := os.WriteFile(f.path, f.text, f.mode); err != nil {
			return err
		}
	}
	t.note("it runs without root: accounts have no passwords, and files that only root may read are missing")
	return nil
}

// locked makes the shadow file of an account file: nobody has a password.
func locked(accounts []byte, rest string) []byte {
	var out bytes.Buffer
	for lines := bufio.NewScanner(bytes.NewReader(accounts)); lines.Scan(); {
		if name, _, ok := strings.Cut(lines.Text(), ":"); ok && name != "" {
			out.WriteString(name + rest)
		}
	}
	return out.Bytes()
}
