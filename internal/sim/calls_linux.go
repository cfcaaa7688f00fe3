package sim

import (
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What a call does, as far as the simulator cares.
const (
	opens   = iota // changes a file if its flags say so
	changes        // needs room
	removes
	writes // needs room, and is a call on a descriptor
	syncs
	sleeps
)

// A call is a system call that waits for the simulator. Numbers of arguments are -1 where there is no such argument.
type call struct {
	nr, what             int
	path, dir, flags, to int // of the path, the directory that it is relative to, the flags of an opening, the second path
}

func calls() []call {
	return append(legacyCalls(),
		call{nr: unix.SYS_OPENAT, what: opens, path: 1, dir: 0, flags: 2, to: -1},
		call{nr: unix.SYS_RENAMEAT, what: changes, path: 1, dir: 0, flags: -1, to: 3},
		call{nr: unix.SYS_RENAMEAT2, what: changes, path: 1, dir: 0, flags: -1, to: 3},
		call{nr: unix.SYS_UNLINKAT, what: removes, path: 1, dir: 0, flags: -1, to: -1},
		call{nr: unix.SYS_MKDIRAT, what: changes, path: 1, dir: 0, flags: -1, to: -1},
		call{nr: unix.SYS_LINKAT, what: changes, path: 3, dir: 2, flags: -1, to: -1},
		call{nr: unix.SYS_SYMLINKAT, what: changes, path: 2, dir: 1, flags: -1, to: -1},
		call{nr: unix.SYS_FCHMODAT, what: changes, path: 1, dir: 0, flags: -1, to: -1},
		call{nr: unix.SYS_FCHOWNAT, what: changes, path: 1, dir: 0, flags: -1, to: -1},
		call{nr: unix.SYS_WRITE, what: writes, path: -1, dir: 0, flags: -1, to: -1},
		call{nr: unix.SYS_COPY_FILE_RANGE, what: writes, path: -1, dir: 2, flags: -1, to: -1},
		call{nr: unix.SYS_FSYNC, what: syncs, path: -1, dir: 0, flags: -1, to: -1},
		call{nr: unix.SYS_FDATASYNC, what: syncs, path: -1, dir: 0, flags: -1, to: -1},
		call{nr: unix.SYS_SYNCFS, what: syncs, path: -1, dir: 0, flags: -1, to: -1},
		call{nr: unix.SYS_SYNC, what: syncs, path: -1, dir: -1, flags: -1, to: -1},
		// Not nanosleep: nobody calls it but the runtime of Go, on the thread that starts processes.
		call{nr: unix.SYS_CLOCK_NANOSLEEP, what: sleeps, path: 2, dir: -1, flags: 1, to: -1},
	)
}

// What seccomp_unotify(2) calls seccomp_notif and seccomp_notif_resp.
type notification struct {
	id    uint64
	pid   uint32
	flags uint32
	nr    int32
	arch  uint32
	ip    uint64
	args  [6]uint64
}

type response struct {
	id    uint64
	val   int64
	errno int32
	flags uint32
}

const (
	ioctlReceive = 0xc0502100 // SECCOMP_IOCTL_NOTIF_RECV
	ioctlSend    = 0xc0182101 // SECCOMP_IOCTL_NOTIF_SEND
	letGoOn      = 1          // SECCOMP_USER_NOTIF_FLAG_CONTINUE
	waitKillable = 1 << 5     // SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, from Linux 5.19 on: a signal does not begin a call anew
)

// filter is the program of BPF that sorts the calls.
func filter(list []call) []unix.SockFilter {
	load := func(offset uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
	}
	give := func(value uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: value} }
	equal := func(value uint32, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: value, Jt: yes, Jf: no}
	}
	const ask = unix.SECCOMP_RET_USER_NOTIF
	out := []unix.SockFilter{load(4), equal(auditArch, 1, 0), give(unix.SECCOMP_RET_ALLOW), load(0)}
	for _, c := range list {
		if c.what != opens {
			out = append(out, equal(uint32(c.nr), 0, 1), give(ask))
			continue
		}
		change := unix.SockFilter{
			Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: unix.O_WRONLY | unix.O_RDWR | unix.O_CREAT | unix.O_TRUNC, Jt: 0, Jf: 1,
		}
		out = append(out, equal(uint32(c.nr), 0, 4), load(uint32(16+8*c.flags)), change, give(ask), give(unix.SECCOMP_RET_ALLOW))
	}
	return append(out, give(unix.SECCOMP_RET_ALLOW))
}

// A starter starts processes under the filter: those of a thread that is under it itself.
type starter struct {
	listener int
	requests chan startRequest
	replies  chan startReply
}

type startRequest struct {
	argv []string
	attr *syscall.ProcAttr
}

type startReply struct {
	pid int
	err error
}

// newStarter puts a thread under the filter, for as long as this process lives.
func newStarter() (*starter, error) {
	if auditArch == 0 {
		return nil, fmt.Errorf("the simulator knows no system calls of %s", runtime.GOARCH)
	}
	s := &starter{requests: make(chan startRequest), replies: make(chan startReply)}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread()
		program := filter(calls())
		fprog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
		fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER|waitKillable, uintptr(unsafe.Pointer(&fprog)))
		if errno != 0 {
			ready <- fmt.Errorf("seccomp: %w", errno)
			return
		}
		unix.CloseOnExec(int(fd))
		s.listener = int(fd)
		ready <- nil
		for r := range s.requests {
			pid, err := syscall.ForkExec(r.argv[0], r.argv, r.attr)
			s.replies <- startReply{pid, err}
		}
	}()
	return s, <-ready
}

func (s *starter) ioctl(request uintptr, p unsafe.Pointer) unix.Errno {
	for {
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(s.listener), request, uintptr(p)); errno != unix.EINTR {
			return errno
		}
	}
}

// text reads a string of the calling process. A page that is not there must not be read along with one that is.
func (n *notification) text(address uint64) (string, error) {
	const page = 4096
	var text []byte
	for len(text) < unix.PathMax {
		part := make([]byte, page-address%page)
		got, err := n.read(address, part)
		if err != nil {
			return "", err
		}
		for i, b := range part[:got] {
			if b == 0 {
				return string(append(text, part[:i]...)), nil
			}
		}
		text = append(text, part[:got]...)
		address += uint64(got)
	}
	return "", errors.New("a path without an end")
}

func (n *notification) read(address uint64, into []byte) (int, error) {
	local := unix.Iovec{Base: &into[0]}
	local.SetLen(len(into))
	return unix.ProcessVMReadv(int(n.pid), []unix.Iovec{local}, []unix.RemoteIovec{{Base: uintptr(address), Len: len(into)}}, 0)
}

// file returns the path that a call names, as the host sees it; "" if it cannot be told, or if it is no path.
func (n *notification) file(c *call, root string, arg int) string {
	proc := "/proc/" + strconv.Itoa(int(n.pid)) + "/"
	if arg < 0 {
		if c.dir < 0 {
			return ""
		}
		return inside(root, link(proc+"fd/"+strconv.Itoa(int(int32(n.args[c.dir])))))
	}
	name, err := n.text(n.args[arg])
	if err != nil {
		return ""
	}
	if strings.HasPrefix(name, "/") {
		return name
	}
	base := proc + "cwd"
	if c.dir >= 0 && int32(n.args[c.dir]) != unix.AT_FDCWD {
		base = proc + "fd/" + strconv.Itoa(int(int32(n.args[c.dir])))
	}
	return inside(root, link(base)) + "/" + name
}

func link(name string) string {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlink(name, buf)
	if err != nil {
		return ""
	}
	return string(buf[:n])
}

// inside turns a path of this process into one of the host.
func inside(root, name string) string {
	rest, yes := strings.CutPrefix(name, root)
	if !yes {
		return ""
	}
	if rest == "" {
		return "/"
	}
	return rest
}
