package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// hostname is the name that the sandbox gives itself.
const hostname = "sandbox"

// mountFresh mounts what the sandbox does not take from the machine.
func (t *tree) mountFresh(inMemory bool) error {
	if err := t.mountProc(); err != nil {
		return err
	}
	if err := t.mountDev(); err != nil {
		return err
	}
	if err := t.bindSys(); err != nil {
		return err
	}
	if err := t.mountEmpty("/run", 0o755, true); err != nil {
		return err
	}
	// Debian's /var/lock leads here, and may be written by all.
	if err := makeDir(filepath.Join(t.root, "run/lock"), 0o1777); err != nil {
		return err
	}
	// A directory, not the usual link to /run, on old and small systems.
	if info, err := os.Lstat(filepath.Join(t.root, "var/run")); err == nil && info.IsDir() {
		if err := t.mountEmpty("/var/run", 0o755, true); err != nil {
			return err
		}
	}
	return t.mountEmpty("/tmp", 0o1777, inMemory)
}

// mountEmpty mounts a new directory, in memory or among the layers on disk.
func (t *tree) mountEmpty(dir string, mode os.FileMode, inMemory bool) error {
	target, err := t.place(dir)
	if err != nil || target == "" {
		return err
	}
	if inMemory {
		options := fmt.Sprintf("mode=%04o", mode)
		if err := unix.Mount("tmpfs", target, "tmpfs", unix.MS_NODEV|unix.MS_NOSUID, options); err != nil {
			return refused("mount tmpfs "+dir, "to have an empty one", err)
		}
		return nil
	}
	source := t.layers + "/empty" + strings.ReplaceAll(dir, "/", "-")
	if err := makeDir(source, mode); err != nil {
		return err
	}
	if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
		return refused("mount MS_BIND "+dir, "to have an empty one", err)
	}
	return nil
}

// place returns where dir is mounted, and makes the directory where the machine has none. It returns "" where the
// machine has a symbolic link: to follow it from here would leave the tree, and where it leads is dealt with there.
func (t *tree) place(dir string) (string, error) {
	target := filepath.Join(t.root, dir)
	info, err := os.Lstat(target)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return target, os.Mkdir(target, 0o755)
	case err != nil:
		return "", err
	case !info.IsDir():
		t.note(dir + " is the machine's: it is not a directory")
		return "", nil
	}
	return target, nil
}

func (t *tree) mountProc() error {
	target, err := t.place("/proc")
	if err != nil || target == "" {
		return err
	}
	if err := unix.Mount("proc", target, "proc", unix.MS_NODEV|unix.MS_NOSUID|unix.MS_NOEXEC, ""); err != nil {
		if t.rootless && errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("mount proc, to show only the sandbox's processes: %w; the machine covers parts of its own /proc, "+
				"as a container does, and without root that counts: use sudo, or in a container --security-opt systempaths=unconfined", err)
		}
		return refused("mount proc", "to show only the sandbox's processes", err)
	}
	// What the kernel checks by user id and not by capability.
	for _, name := range []string{"bus", "fs", "irq", "sys", "sysrq-trigger"} {
		path := filepath.Join(target, name)
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := unix.Mount(path, path, "", unix.MS_BIND, ""); err != nil {
			return refused("mount MS_BIND /proc/"+name, "to make it read-only", err)
		}
		const flags = unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY | unix.MS_NODEV | unix.MS_NOSUID | unix.MS_NOEXEC
		if err := unix.Mount("", path, "", flags, ""); err != nil {
			return refused("mount MS_REMOUNT /proc/"+name, "to make it read-only", err)
		}
	}
	return nil
}

// mountDev makes a /dev with the devices that a container has: none of them holds data.
func (t *tree) mountDev() error {
	target, err := t.place("/dev")
	if err != nil || target == "" {
		return err
	}
	if err := unix.Mount("tmpfs", target, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"); err != nil {
		return refused("mount tmpfs /dev", "to have only harmless devices", err)
	}
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		node := filepath.Join(target, name)
		if err := os.WriteFile(node, nil, 0o600); err != nil {
			return err
		}
		if err := unix.Mount("/dev/"+name, node, "", unix.MS_BIND, ""); err != nil {
			return refused("mount MS_BIND /dev/"+name, "to have it inside", err)
		}
	}
	for name, to := range map[string]string{
		"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
		"ptmx": "pts/ptmx",
	} {
		if err := os.Symlink(to, filepath.Join(target, name)); err != nil {
			return err
		}
	}
	for _, dir := range []string{"pts", "shm"} {
		if err := os.Mkdir(filepath.Join(target, dir), 0o755); err != nil {
			return err
		}
	}
	// Group 5 is tty everywhere that terminals have a group.
	ptsOptions := "newinstance,ptmxmode=0666,mode=0620"
	if !t.oneID {
		ptsOptions += ",gid=5"
	}
	if err := unix.Mount("devpts", filepath.Join(target, "pts"), "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, ptsOptions); err != nil {
		return refused("mount devpts", "to have terminals", err)
	}
	if err := unix.Mount("tmpfs", filepath.Join(target, "shm"), "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777"); err != nil {
		return refused("mount tmpfs /dev/shm", "to have shared memory", err)
	}
	return nil
}

// bindSys shows the machine's devices, read-only, without the control groups below.
func (t *tree) bindSys() error {
	target, err := t.place("/sys")
	if err != nil || target == "" {
		return err
	}
	var more uintptr
	if t.rootless {
		// There the kernel binds a mount only with those below it: mount_namespaces(7).
		more = unix.MS_REC
	}
	if err := t.bindReadOnly("/sys", more); err != nil {
		t.note("/sys is empty: " + err.Error())
		return t.cover("/sys")
	}
	return nil
}

// A resolvConf is the machine's /etc/resolv.conf: its text and where it really is, often in /run.
type resolvConf struct {
	text []byte
	path string
}

// readResolvConf is empty where the machine has no such file.
func readResolvConf() resolvConf {
	path, err := filepath.EvalSymlinks("/etc/resolv.conf")
	if err != nil {
		return resolvConf{}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return resolvConf{}
	}
	return resolvConf{text, path}
}

// writeOwn writes what differs from the machine's files. It runs after the change of root, where symbolic links lead
// where they should. What cannot be written is a note, since a playbook may never ask.
func (t *tree) writeOwn() error {
	if _, err := os.Stat("/etc/resolv.conf"); err != nil && t.dns.path != "" {
		if err := writeNew(t.dns.path, t.dns.text); err != nil {
			t.note("names are not resolved: " + err.Error())
		}
	}
	// sudo complains of a host that cannot resolve its own name.
	if hosts, err := os.ReadFile("/etc/hosts"); err == nil {
		text := strings.TrimRight(string(hosts), "\n") + "\n127.0.1.1\t" + hostname + "\n"
		if err := os.WriteFile("/etc/hosts", []byte(text), 0o644); err != nil {
			t.note("its own name is not resolved: " + err.Error())
		}
	}
	if _, err := os.Stat("/etc/hostname"); err == nil {
		if err := os.WriteFile("/etc/hostname", []byte(hostname+"\n"), 0o644); err != nil {
			t.note("/etc/hostname names the machine: " + err.Error())
		}
	}
	if !t.rootless {
		return nil
	}
	return t.writeRootless()
}

// writeNew writes a file, with the directories above it, that is not there.
func writeNew(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}
