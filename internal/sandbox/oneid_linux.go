package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"provision/internal/seccomp"
)

// Without subordinate ids a user namespace has one id, and the kernel lets no file belong to another. What useradd, chown and stat
// need is then supplied from outside of them: the calls that give a file away, or ask whose it is, go to the first process
// (seccomp_unotify(2)), which notes the owner in an attribute of the file and answers with it. Calls that change who a process is
// succeed and do nothing, so that every command runs as the sandbox's root, whichever user it is for. What a command makes belongs
// to the owner of the directory in which it is made: that is right for a user's command at home, and for root's elsewhere.
//
// A call that cannot be answered so is the kernel's own: nothing here guards anything.

// ownerAttribute holds "UID:GID". An overlay with userxattr keeps it with the file.
const ownerAttribute = "user.provision.owner"

// A fileID tells a file that can have no such attribute, a symbolic link say, from all others. Numbers of inodes are used again, and
// so the time of birth is part of it.
type fileID struct {
	dev, ino uint64
	born     unix.StatxTimestamp
}

// An ids is a user and a group.
type ids struct{ uid, gid uint32 }

// ownership answers the calls of the processes that are under its filter.
type ownership struct {
	listener seccomp.Listener
	links    map[fileID]ids
}

// errUntouched leaves a call to the kernel.
var errUntouched = errors.New("the kernel's own")

// fakeOwnership puts the calling thread, and what it will start, under the filter. The thread must be locked to its goroutine.
func fakeOwnership() (*ownership, error) {
	if seccomp.Arch == 0 {
		return nil, fmt.Errorf("not on %s", runtime.GOARCH)
	}
	listener, err := seccomp.Listen(filter(), seccomp.WaitKillable, 0)
	if err != nil {
		return nil, err
	}
	return &ownership{listener: listener, links: map[fileID]ids{}}, nil
}

// filter is the program of BPF that sorts the calls.
func filter() []unix.SockFilter {
	out := seccomp.Begin()
	for nr := range ownershipCalls() {
		out = append(out, seccomp.Equal(uint32(nr), 0, 1), seccomp.Give(unix.SECCOMP_RET_USER_NOTIF))
	}
	for _, nr := range identityCalls() {
		out = append(out, seccomp.Equal(uint32(nr), 0, 1), seccomp.Give(unix.SECCOMP_RET_ERRNO)) // error 0: it succeeds
	}
	return append(out, seccomp.Give(unix.SECCOMP_RET_ALLOW))
}

// serve answers until the listener is of no use any more.
func (o *ownership) serve() {
	calls := ownershipCalls()
	for {
		n, errno := o.listener.Receive()
		switch {
		case errno == unix.ENOENT: // who called has been killed
			continue
		case errno != 0:
			return
		}
		err := calls[int(n.Nr)](o, n)
		switch {
		case err == nil, errors.As(err, &errno):
			o.listener.Answer(n, errno)
		default:
			o.listener.LetGoOn(n)
		}
	}
}

// A call does what one system call asks for: nil is success, a unix.Errno its error.
type call func(*ownership, *seccomp.Notification) error

// A named says where in the arguments of a call the file stands. -1: not there.
type named struct {
	dir, path, flags int
	nofollow         bool
}

// open opens what a call names, only to look at it.
func open(n *seccomp.Notification, w named) (fd int, err error) {
	proc := "/proc/" + strconv.Itoa(int(n.PID)) + "/"
	flags, dir, path := 0, int32(unix.AT_FDCWD), ""
	if w.flags >= 0 {
		flags = int(n.Args[w.flags])
	}
	if w.dir >= 0 {
		dir = int32(n.Args[w.dir])
	}
	if w.path >= 0 {
		if path, err = n.Text(n.Args[w.path]); err != nil {
			return -1, errUntouched
		}
	}
	base := proc + "fd/" + strconv.Itoa(int(dir))
	if dir == unix.AT_FDCWD {
		base = proc + "cwd"
	}
	mode := unix.O_PATH | unix.O_CLOEXEC
	switch {
	case path == "" && (w.path < 0 || flags&unix.AT_EMPTY_PATH != 0):
		return unix.Open(base, mode, 0)
	case path == "":
		return -1, errUntouched
	case strings.HasPrefix(path, "/"):
		// These mean the process that looks.
		for _, own := range []string{"/proc/self", "/proc/thread-self", "/dev/fd", "/dev/std"} {
			if strings.HasPrefix(filepath.Clean(path), own) {
				return -1, errUntouched
			}
		}
		base = proc + "root"
	}
	if w.nofollow || flags&unix.AT_SYMLINK_NOFOLLOW != 0 {
		mode |= unix.O_NOFOLLOW
	}
	return unix.Open(base+"/"+path, mode, 0)
}

// put writes into the memory of the calling process.
func (o *ownership) put(n *seccomp.Notification, address uint64, data []byte) error {
	if !o.listener.Valid(n) || n.Write(address, data) != nil {
		return errUntouched // it may have gone, and its number be another's
	}
	return nil
}

// chown notes the owner that a call gives.
func chown(w named, owner int) call {
	return func(o *ownership, n *seccomp.Notification) error {
		fd, err := open(n, w)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		uid, gid := uint32(n.Args[owner]), uint32(n.Args[owner+1])
		const keep = ^uint32(0)
		have, noted := o.owner(fd)
		// The kernel's part of it: may the file be given away at all, and what becomes of its mode. An overlay copies it now.
		var zero [2]int
		for i, id := range []uint32{uid, gid} {
			if id == keep {
				zero[i] = -1
			}
		}
		if err := unix.Fchownat(fd, "", zero[0], zero[1], unix.AT_EMPTY_PATH); err != nil {
			return err
		}
		if uid != keep {
			have.uid = uid
		}
		if gid != keep {
			have.gid = gid
		}
		if !noted && have == (ids{}) {
			return nil
		}
		return o.note(fd, have)
	}
}

// stat answers with the owner that was noted, if one was.
func stat(w named, buffer int) call {
	return func(o *ownership, n *seccomp.Notification) error {
		fd, err := open(n, w)
		if err != nil {
			return errUntouched
		}
		defer unix.Close(fd)
		owner, noted := o.owner(fd)
		if !noted {
			return errUntouched
		}
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return errUntouched
		}
		st.Uid, st.Gid = owner.uid, owner.gid
		return o.put(n, n.Args[buffer], unsafe.Slice((*byte)(unsafe.Pointer(&st)), unsafe.Sizeof(st)))
	}
}

// statx is stat for statx(2).
func statx(o *ownership, n *seccomp.Notification) error {
	fd, err := open(n, named{dir: 0, path: 1, flags: 2})
	if err != nil {
		return errUntouched
	}
	defer unix.Close(fd)
	owner, noted := o.owner(fd)
	if !noted {
		return errUntouched
	}
	var st unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, int(n.Args[3]), &st); err != nil {
		return errUntouched
	}
	st.Uid, st.Gid = owner.uid, owner.gid
	return o.put(n, n.Args[4], unsafe.Slice((*byte)(unsafe.Pointer(&st)), unsafe.Sizeof(st)))
}

// owner returns what was noted for a file, or for the nearest directory above it.
func (o *ownership) owner(fd int) (owner ids, noted bool) {
	if owner, noted = readNote(magicLink(fd)); noted {
		return owner, true
	}
	if len(o.links) > 0 {
		if id, err := identify(fd); err == nil {
			if owner, noted = o.links[id]; noted {
				return owner, true
			}
		}
	}
	var st unix.Stat_t
	path, err := os.Readlink(magicLink(fd))
	for err == nil && strings.HasPrefix(path, "/") && path != "/" {
		// What is the machine's, and what has left its directory, takes after nobody.
		if err = unix.Lstat(path, &st); err != nil || st.Uid == overflowID {
			break
		}
		path = filepath.Dir(path)
		if owner, noted = readNote(path); noted {
			return owner, true
		}
	}
	return ids{}, false
}

// readNote reads the attribute of a file.
func readNote(path string) (owner ids, noted bool) {
	var text [24]byte
	n, err := unix.Getxattr(path, ownerAttribute, text[:])
	if err != nil {
		return ids{}, false
	}
	_, err = fmt.Sscanf(string(text[:n]), "%d:%d", &owner.uid, &owner.gid)
	return owner, err == nil
}

func (o *ownership) note(fd int, owner ids) error {
	err := unix.Setxattr(magicLink(fd), ownerAttribute, fmt.Appendf(nil, "%d:%d", owner.uid, owner.gid), 0)
	if !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EOPNOTSUPP) {
		return err
	}
	// No regular file or directory, or a file system without attributes: xattr(7).
	id, err := identify(fd)
	if err != nil {
		return err
	}
	o.links[id] = owner
	return nil
}

func identify(fd int) (fileID, error) {
	var st unix.Statx_t
	err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_INO|unix.STATX_BTIME, &st)
	return fileID{unix.Mkdev(st.Dev_major, st.Dev_minor), st.Ino, st.Btime}, err
}

// magicLink is a path to a file that is open only to be looked at, which fgetxattr(2) refuses.
func magicLink(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// identityCalls are the calls that make a process another user's.
func identityCalls() []int {
	return []int{
		unix.SYS_SETUID, unix.SYS_SETGID, unix.SYS_SETREUID, unix.SYS_SETREGID, unix.SYS_SETRESUID, unix.SYS_SETRESGID,
		unix.SYS_SETGROUPS, unix.SYS_SETFSUID, unix.SYS_SETFSGID,
	}
}

// noteOwners is restore where there is one id.
func noteOwners(owners []owner) {
	for _, f := range owners {
		// A file that was not copied is the machine's, and takes no attribute.
		_ = unix.Lsetxattr(f.Path, ownerAttribute, fmt.Appendf(nil, "%d:%d", f.UID, f.GID), 0)
	}
}
