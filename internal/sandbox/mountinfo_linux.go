package sandbox

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

// A mount is one visible line of /proc/self/mountinfo: proc_pid_mountinfo(5).
type mount struct {
	point    string // absolute path of the mount point
	fsType   string // "ext4", "fuse.sshfs"
	readOnly bool   // the mount or its file system is read-only
}

// visibleMounts reads the mounts of this process whose mount point can be reached: one that a later mount hides is not
// among them. They are sorted by path, so that a mount comes before those below it.
func visibleMounts() ([]mount, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("read the mount table: %w", err)
	}
	return parseMountinfo(string(data))
}

func parseMountinfo(table string) ([]mount, error) {
	var mounts []mount
	for line := range strings.Lines(table) {
		m, err := parseMount(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return nil, err
		}
		mounts = slices.DeleteFunc(mounts, func(old mount) bool { return m.point != "/" && isUnder(old.point, m.point) })
		mounts = append(mounts, m)
	}
	slices.SortFunc(mounts, func(a, b mount) int { return strings.Compare(a.point, b.point) })
	return slices.CompactFunc(mounts, func(a, b mount) bool { return a.point == b.point }), nil
}

// parseMount reads a line such as
//
//	36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
func parseMount(line string) (mount, error) {
	own, fs, ok := strings.Cut(line, " - ")
	ownFields, fsFields := strings.Fields(own), strings.Fields(fs)
	if !ok || len(ownFields) < 6 || len(fsFields) < 1 {
		return mount{}, fmt.Errorf("the mount table has a line of unknown form: %q", line)
	}
	readOnly := slices.Contains(strings.Split(ownFields[5], ","), "ro")
	if len(fsFields) > 2 {
		readOnly = readOnly || slices.Contains(strings.Split(fsFields[2], ","), "ro")
	}
	return mount{point: path.Clean(unescape(ownFields[4])), fsType: fsFields[0], readOnly: readOnly}, nil
}

// unescape undoes the octal escapes of the mount table: a space is \040.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+4 <= len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// isUnder reports whether name is dir or below it. Both are absolute and clean.
func isUnder(name, dir string) bool {
	return name == dir || dir == "/" || strings.HasPrefix(name, dir+"/")
}

// A treatment is what becomes of a mount of the machine in the sandbox.
type treatment int

const (
	fresh    treatment = iota // below a directory that the sandbox has anew: nothing to do
	layered                   // a writable copy
	readOnly                  // visible, read-only
	leftOut                   // an empty directory takes its place
)

// freshDirs are the directories that the sandbox does not take from the machine.
func freshDirs() []string { return []string{"/proc", "/sys", "/dev", "/run", "/tmp"} }

// treat decides by place and type. What is mounted read-only needs no copy. File systems that another machine or a
// process serves are left out unseen, since to look at a dead one may take for ever.
func treat(m mount) treatment {
	for _, dir := range freshDirs() {
		if isUnder(m.point, dir) {
			return fresh
		}
	}
	if isContainerStore(m.point) {
		return leftOut
	}
	switch m.fsType {
	case "ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs", "bcachefs", "jfs", "reiserfs", "nilfs2", "ntfs3", "vfat", "exfat",
		"overlay", "tmpfs", "ramfs", "virtiofs", "squashfs", "erofs", "iso9660", "udf":
		if m.readOnly {
			return readOnly
		}
		return layered
	}
	return leftOut
}

// isContainerStore reports whether a mount point is where a container engine keeps the roots of running containers.
func isContainerStore(point string) bool {
	for _, dir := range []string{"/var/lib/docker", "/var/lib/containers", "/var/lib/containerd", "/var/lib/kubelet"} {
		if strings.HasPrefix(point, dir+"/") {
			return true
		}
	}
	return false
}

// isUnmissed reports whether a mount that is left out needs no mention: it holds the kernel's data rather than anyone's
// files, or is a container's.
func isUnmissed(m mount) bool {
	switch m.fsType {
	case "proc", "sysfs", "devtmpfs", "devpts", "cgroup", "cgroup2", "debugfs", "tracefs", "securityfs", "pstore", "efivarfs",
		"bpf", "configfs", "selinuxfs", "mqueue", "hugetlbfs", "fusectl", "binfmt_misc", "rpc_pipefs", "nfsd", "nsfs", "autofs":
		return true
	}
	return isContainerStore(m.point)
}
