package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A tree is the file system of a sandbox while the first process builds it.
type tree struct {
	layers   string // where the upper layers are
	root     string // where the new root is being put together
	rootless bool
	oneID    bool
	note     func(string)

	mounts  []mount // of the machine
	upper   int     // upper layers so far
	claimed int     // directories made in them so far, without root
	dns     resolvConf
}

// build puts the file system together under t.root.
func (t *tree) build(inMemory bool) error {
	var err error
	if t.mounts, err = visibleMounts(); err != nil {
		return err
	}
	// Before anything else, so that nothing from here on is seen outside.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return refused("mount MS_PRIVATE /", "to keep the sandbox's mounts to itself", err)
	}
	t.dns = readResolvConf()
	if inMemory {
		if err := unix.Mount("tmpfs", t.layers, "tmpfs", unix.MS_NODEV, "mode=0755"); err != nil {
			return refused("mount tmpfs "+t.layers, "to hold what the sandbox writes", err)
		}
	}
	// MkdirTemp's 0700 would become the mode of the new root.
	t.root = filepath.Join(t.layers, "root")
	if err := os.Mkdir(t.root, 0o755); err != nil {
		return err
	}
	if t.rootless {
		err = t.layFromTop()
	} else {
		err = t.layWhole()
	}
	if err != nil {
		return err
	}
	return t.mountFresh(inMemory)
}

// layWhole lays an overlay over the whole of the machine, and deals with each file system mounted below. It takes root:
// in a user namespace the kernel refuses an overlay of a directory with mounts below it, since it would uncover what
// they cover.
func (t *tree) layWhole() error {
	if err := t.overlay("/"); err != nil {
		return err
	}
	for _, m := range t.mounts {
		if m.point == "/" || isUnder(m.point, t.layers) {
			continue
		}
		if err := t.laySubmount(m); err != nil {
			return err
		}
	}
	if treat(mount{point: t.layers, fsType: "tmpfs"}) == fresh {
		return nil
	}
	// The overlay of / shows its own upper layer where that is on disk.
	return t.cover(t.layers)
}

// laySubmount gives a mount of the machine its place in the sandbox. Whatever happens, what lies under the mount point
// does not come to light.
func (t *tree) laySubmount(m mount) error {
	target := t.root + m.point
	info, err := os.Lstat(target)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // below something that was left out
	}
	if err != nil {
		return fmt.Errorf("look at %s: %w", m.point, err)
	}
	how := treat(m)
	if how == fresh {
		return nil
	}
	if !info.IsDir() {
		return t.copyMounted(m)
	}
	if how == layered {
		if err = t.overlay(m.point); err == nil {
			return nil
		}
		t.note(fmt.Sprintf("%s is read-only: %v", m.point, err))
		how = readOnly
	}
	if how == readOnly {
		if err = t.bindReadOnly(m.point, 0); err == nil {
			return nil
		}
		t.note(fmt.Sprintf("%s is empty: %v", m.point, err))
	} else {
		t.noteLeftOut(m)
	}
	return t.cover(m.point)
}

func (t *tree) noteLeftOut(m mount) {
	if !isUnmissed(m) {
		t.note(fmt.Sprintf("%s is empty: it holds a file system of type %s", m.point, m.fsType))
	}
}

// copyMounted replaces a file that is a mount point, as a container's /etc/hosts is, with a writable copy, and removes
// what is no plain file: a container's docker.sock.
func (t *tree) copyMounted(m mount) error {
	target := t.root + m.point
	info, err := os.Stat(m.point)
	if err != nil {
		return fmt.Errorf("look at %s: %w", m.point, err)
	}
	if err := os.Remove(target); err != nil {
		return fmt.Errorf("replace %s: %w", m.point, err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxCopy {
		t.note(m.point + " is not there: a device, a socket or a large file is mounted on it")
		return nil
	}
	return copyFile(m.point, target, info)
}

// overlay lays a writable copy of dir over the directory of that name in the tree.
func (t *tree) overlay(dir string) error {
	upper, work, err := t.newLayer(dir)
	if err != nil {
		return err
	}
	return t.mountOverlay(dir, upper, work)
}

// newLayer makes an upper layer whose top has the mode and owner of dir.
func (t *tree) newLayer(dir string) (upper, work string, err error) {
	t.upper++
	base := filepath.Join(t.layers, strconv.Itoa(t.upper))
	upper, work = filepath.Join(base, "upper"), filepath.Join(base, "work")
	if err := os.MkdirAll(work, 0o755); err != nil {
		return "", "", err
	}
	if err := makeLike(dir, upper); err != nil {
		return "", "", err
	}
	return upper, work, nil
}

func (t *tree) mountOverlay(dir, upper, work string) error {
	// Without redirect_dir, renaming a directory fails with EXDEV; without root the kernel refuses redirect_dir.
	options := "redirect_dir=on"
	if t.rootless {
		options = "userxattr"
	}
	options += fmt.Sprintf(",lowerdir=%s,upperdir=%s,workdir=%s", escapeOption(dir), escapeOption(upper), escapeOption(work))
	// No device node that is or will be on it opens: they would be the machine's disks.
	if err := unix.Mount("overlay", filepath.Join(t.root, dir), "overlay", unix.MS_NODEV, options); err != nil {
		return refused("mount overlay of "+dir, "to have a writable copy of it", err)
	}
	return nil
}

// escapeOption protects what separates options and layers.
func escapeOption(path string) string {
	return strings.NewReplacer(`\`, `\\`, ":", `\:`, ",", `\,`).Replace(path)
}

// bindReadOnly shows dir of the machine, read-only. more is MS_REC where what is mounted below must come along.
func (t *tree) bindReadOnly(dir string, more uintptr) error {
	target := filepath.Join(t.root, dir)
	if err := unix.Mount(dir, target, "", unix.MS_BIND|more, ""); err != nil {
		return refused("mount MS_BIND "+dir, "to show it read-only", err)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(target, &st); err != nil {
		return refused("statfs "+dir, "to show it read-only", err)
	}
	// In a user namespace, a remount that drops one of these is refused: mount_namespaces(7). The ST_ flags of statfs
	// have the values of their MS_ namesakes.
	kept := uintptr(st.Flags) & (unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_NOATIME | unix.MS_NODIRATIME)
	if uintptr(st.Flags)&stRelatime != 0 {
		kept |= unix.MS_RELATIME
	}
	if err := unix.Mount("", target, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|kept, ""); err != nil {
		return refused("mount MS_REMOUNT "+dir, "to make it read-only", err)
	}
	return nil
}

// stRelatime is statfs(2)'s ST_RELATIME, the one flag whose value differs from its namesake's.
const stRelatime = 0x1000

// cover hides a directory of the tree under an empty one. There is nothing to do where there is no such directory.
func (t *tree) cover(dir string) error {
	err := unix.Mount("tmpfs", filepath.Join(t.root, dir), "tmpfs", unix.MS_RDONLY|unix.MS_NODEV|unix.MS_NOSUID, "mode=0555,size=4k")
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return refused("mount tmpfs "+dir, "to leave out what is there", err)
	}
	return nil
}

// enter makes dir, a mount point, the root, and lets go of the old one: pivot_root(2), "pivot_root(".", ".")".
func enter(dir string) error {
	if err := os.Chdir(dir); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return refused("pivot_root", "to make the copy the root", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return refused("umount", "to let go of the machine's root", err)
	}
	return os.Chdir("/")
}
