package truth

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Lab is where the hosts of one process stand, one after the other. The process must be the first of a process namespace and have a
// mount namespace of its own.
type Lab struct {
	dir string
}

// NewLab prepares what all hosts share in a directory that is there and empty.
func NewLab(dir string) (*Lab, error) {
	l := &Lab{dir: dir}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return nil, fmt.Errorf("making the mounts private: %w", err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=0755"); err != nil {
		return nil, fmt.Errorf("tmpfs: %w", err)
	}
	for _, name := range []string{"usr", "proc", "host", "work"} {
		if err := os.Mkdir(l.path(name), 0o755); err != nil {
			return nil, err
		}
	}
	if err := unix.Mount("/usr", l.path("usr"), "", unix.MS_BIND, ""); err != nil {
		return nil, fmt.Errorf("/usr: %w", err)
	}
	if err := unix.Mount("", l.path("usr"), "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		return nil, fmt.Errorf("/usr read-only: %w", err)
	}
	if err := unix.Mount("proc", l.path("proc"), "proc", 0, ""); err != nil {
		return nil, fmt.Errorf("/proc: %w", err)
	}
	return l, nil
}

func (l *Lab) path(name string) string { return filepath.Join(l.dir, name) }

// Work is an empty directory for what belongs to the machine that runs provision.
func (l *Lab) Work() (string, error) {
	dir := l.path("work")
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	return dir, os.Mkdir(dir, 0o755)
}

// A Root is the file system of one host.
type Root struct {
	lab *Lab
	dir string
}

// NewRoot makes a fresh host whose /bin/sh is one of the shells of this machine. It has the directories, devices and accounts that
// every host has.
func (l *Lab) NewRoot(shell string) (*Root, error) {
	r := &Root{lab: l, dir: l.path("host")}
	if err := unix.Mount("tmpfs", r.dir, "tmpfs", 0, "mode=0755,size=256m"); err != nil {
		return nil, fmt.Errorf("tmpfs: %w", err)
	}
	if err := r.fill(shell); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *Root) fill(shell string) error {
	for _, d := range strings.Fields("usr proc dev dev/shm etc etc/pam.d etc/skel etc/default etc/alternatives root home srv opt run tmp var var/tmp var/lib var/log var/mail var/cache var/spool bin") {
		if err := os.Mkdir(r.Path(d), 0o755); err != nil {
			return err
		}
	}
	for d, mode := range map[string]os.FileMode{"tmp": 0o777 | os.ModeSticky, "var/tmp": 0o777 | os.ModeSticky, "dev/shm": 0o777 | os.ModeSticky, "root": 0o700} {
		if err := os.Chmod(r.Path(d), mode); err != nil {
			return err
		}
	}
	for _, name := range []string{"usr", "proc"} {
		if err := unix.Mount(r.lab.path(name), r.Path(name), "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	links := map[string]string{
		"sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64",
		"bin/sh": shell, "bin/bash": "/usr/bin/bash", "bin/dash": "/usr/bin/dash",
		"etc/mtab": "/proc/self/mounts", "dev/fd": "/proc/self/fd",
	}
	if awk, err := os.Readlink("/etc/alternatives/awk"); err == nil {
		links["etc/alternatives/awk"] = awk
	}
	for name, target := range links {
		if err := os.Symlink(target, r.Path(name)); err != nil {
			return err
		}
	}
	for name, minor := range map[string]uint32{"null": 3, "zero": 5, "full": 7, "random": 8, "urandom": 9} {
		if err := unix.Mknod(r.Path("dev/"+name), unix.S_IFCHR|0o666, int(unix.Mkdev(1, minor))); err != nil {
			return err
		}
		if err := os.Chmod(r.Path("dev/"+name), 0o666); err != nil {
			return err
		}
	}
	pam := "auth sufficient pam_rootok.so\nauth required pam_permit.so\naccount required pam_permit.so\npassword required pam_permit.so\nsession required pam_permit.so\n"
	for name, content := range map[string]string{
		"etc/os-release":      "ID=debian\nPRETTY_NAME=\"Host of a test\"\nVERSION_ID=\"12\"\n",
		"etc/nsswitch.conf":   "passwd: files\ngroup: files\nshadow: files\ngshadow: files\n",
		"etc/hosts":           "127.0.0.1 localhost\n",
		"etc/login.defs":      "MAIL_DIR /var/mail\nUID_MIN 1000\nUID_MAX 60000\nGID_MIN 1000\nGID_MAX 60000\nSYS_UID_MIN 100\nSYS_UID_MAX 999\nSYS_GID_MIN 100\nSYS_GID_MAX 999\nUSERGROUPS_ENAB yes\nENCRYPT_METHOD SHA512\nUMASK 022\n",
		"etc/default/useradd": "SHELL=/bin/sh\nCREATE_MAIL_SPOOL=no\n",
		"etc/skel/.profile":   "umask 022\n",
		"etc/skel/.bashrc":    "alias l=ls\n",
		"etc/pam.d/other":     pam,
		"etc/pam.d/runuser":   pam,
		"etc/pam.d/su":        pam,
		"etc/shells":          "/bin/sh\n/bin/bash\n",
	} {
		if err := os.WriteFile(r.Path(name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Path is a path of the host as this process sees it.
func (r *Root) Path(name string) string { return filepath.Join(r.dir, name) }

// Close removes the host.
func (r *Root) Close() error { return unix.Unmount(r.dir, unix.MNT_DETACH) }

// strays names the processes of the host that are still there, after those that have lost their parent and ended were collected. The
// process that calls it is the first of its namespace.
func (r *Root) strays() []string {
	entries, err := os.ReadDir(r.Path("proc"))
	if err != nil {
		return []string{err.Error()}
	}
	var left []string
	for _, e := range entries {
		pid := 0
		if _, err := fmt.Sscan(e.Name(), &pid); err != nil || pid == 1 {
			continue
		}
		if got, _ := syscall.Wait4(pid, nil, syscall.WNOHANG, nil); got == pid {
			continue
		}
		line, err := os.ReadFile(r.Path("proc/" + e.Name() + "/cmdline"))
		if err != nil {
			continue
		}
		left = append(left, e.Name()+" "+strings.ReplaceAll(string(line), "\x00", " "))
	}
	return left
}
