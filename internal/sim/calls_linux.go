package sim

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"provision/internal/seccomp"
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

// filter is the program of BPF that sorts the calls.
func filter(list []call) []unix.SockFilter {
	const ask = unix.SECCOMP_RET_USER_NOTIF
	out := seccomp.Begin()
	for _, c := range list {
		if c.what != opens {
			out = append(out, seccomp.Equal(uint32(c.nr), 0, 1), seccomp.Give(ask))
			continue
		}
		change := unix.SockFilter{
			Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: unix.O_WRONLY | unix.O_RDWR | unix.O_CREAT | unix.O_TRUNC, Jt: 0, Jf: 1,
		}
		out = append(out, seccomp.Equal(uint32(c.nr), 0, 4), seccomp.Load(uint32(16+8*c.flags)), change, seccomp.Give(ask), seccomp.Give(unix.SECCOMP_RET_ALLOW))
	}
	return append(out, seccomp.Give(unix.SECCOMP_RET_ALLOW))
}

// A starter starts processes under the filter: those of a thread that is under it itself.
type starter struct {
	listener seccomp.Listener
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
	if seccomp.Arch == 0 {
		return nil, fmt.Errorf("the simulator knows no system calls of %s", runtime.GOARCH)
	}
	s := &starter{requests: make(chan startRequest), replies: make(chan startReply)}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread()
		var err error
		if s.listener, err = seccomp.Listen(filter(calls()), seccomp.WaitKillable); err != nil {
			ready <- err
			return
		}
		ready <- nil
		for r := range s.requests {
			pid, err := syscall.ForkExec(r.argv[0], r.argv, r.attr)
			s.replies <- startReply{pid, err}
		}
	}()
	return s, <-ready
}

// named returns the path that a call names, as the host sees it; "" if it cannot be told, or if it is no path.
func named(n *seccomp.Notification, c *call, root string, arg int) string {
	proc := "/proc/" + strconv.Itoa(int(n.PID)) + "/"
	if arg < 0 {
		if c.dir < 0 {
			return ""
		}
		return inside(root, link(proc+"fd/"+strconv.Itoa(int(int32(n.Args[c.dir])))))
	}
	name, err := n.Text(n.Args[arg])
	if err != nil {
		return ""
	}
	if strings.HasPrefix(name, "/") {
		return name
	}
	base := proc + "cwd"
	if c.dir >= 0 && int32(n.Args[c.dir]) != unix.AT_FDCWD {
		base = proc + "fd/" + strconv.Itoa(int(int32(n.Args[c.dir])))
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
