package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// refused wraps the error of a system call with what it was for and what the user can do about it.
func refused(call, purpose string, err error) error {
	hint := ""
	switch {
	case errors.Is(err, fs.ErrPermission):
		hint = permissionHint()
	case errors.Is(err, unix.ENODEV) && strings.Contains(call, "overlay"):
		hint = "this kernel has no overlay file system: load it with \"modprobe overlay\""
	case errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.ENOMEM):
		hint = "there is no room for it: free some, or name a directory on a larger disk"
	case errors.Is(err, unix.EINVAL) && strings.Contains(call, "overlay"):
		hint = "the kernel's log (dmesg) says why it refused the overlay; a real host or a virtual machine will do instead"
	}
	if hint != "" {
		return fmt.Errorf("%s, %s: %w; %s", call, purpose, err, hint)
	}
	return fmt.Errorf("%s, %s: %w", call, purpose, err)
}

// permissionHint names the setting that most likely denies namespaces or mounts here.
func permissionHint() string {
	switch {
	case sysctl("kernel/apparmor_restrict_unprivileged_userns") == "1" && os.Getuid() != 0:
		return "AppArmor restricts user namespaces: \"sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0\", or use sudo"
	case sysctl("kernel/unprivileged_userns_clone") == "0" && os.Getuid() != 0:
		return "user namespaces are for root only: \"sudo sysctl kernel.unprivileged_userns_clone=1\", or use sudo"
	case sysctl("user/max_user_namespaces") == "0":
		return "user namespaces are switched off: \"sudo sysctl user.max_user_namespaces=15000\", or use sudo"
	case inChroot() && os.Getuid() != 0:
		return "this is a chroot, in which the kernel allows no user namespace: use sudo, or enter it with pivot_root"
	case inContainer():
		return "this is a container: start it with \"--cap-add SYS_ADMIN --security-opt seccomp=unconfined --security-opt apparmor=unconfined\""
	}
	return "a security module or seccomp filter forbids it: use sudo, or a virtual machine"
}

// sysctl is the value of a kernel setting, "" where there is none.
func sysctl(name string) string {
	data, err := os.ReadFile("/proc/sys/" + name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// inChroot reports whether the root is no mount point, which is what clone(2) asks before it refuses.
func inChroot() bool {
	mounts, err := visibleMounts()
	return err == nil && !slices.ContainsFunc(mounts, func(m mount) bool { return m.point == "/" })
}

func inContainer() bool {
	for _, mark := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := os.Lstat(mark); err == nil {
			return true
		}
	}
	return false
}

// cloneRefused explains why the kernel would not make the namespaces.
func cloneRefused(rootless bool, err error) error {
	kinds := "mount, pid, ipc and uts"
	if rootless {
		kinds = "user, mount, pid, ipc and uts"
		// user_namespaces(7): clone fails with ENOSPC where the limit on their number is reached.
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EUSERS) {
			return fmt.Errorf("sandbox: clone, to make %s namespaces: %w; user namespaces are switched off or used up: "+
				"\"sudo sysctl user.max_user_namespaces=15000\", or use sudo", kinds, err)
		}
	}
	return fmt.Errorf("sandbox: %w", refused("clone", "to make "+kinds+" namespaces", err))
}
