// Package seccomp answers system calls of other processes in their place (seccomp_unotify(2)).
package seccomp

import (
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Notification is a call that waits for its answer, as seccomp_notif has it.
type Notification struct {
	ID    uint64
	PID   uint32
	flags uint32
	Nr    int32
	arch  uint32
	ip    uint64
	Args  [6]uint64
}

// A response is an answer, as seccomp_notif_resp has it.
type response struct {
	id    uint64
	val   int64
	errno int32
	flags uint32
}

const (
	ioctlReceive = 0xc0502100 // SECCOMP_IOCTL_NOTIF_RECV
	ioctlSend    = 0xc0182101 // SECCOMP_IOCTL_NOTIF_SEND
	ioctlValid   = 0x40082102 // SECCOMP_IOCTL_NOTIF_ID_VALID
	letGoOn      = 1          // SECCOMP_USER_NOTIF_FLAG_CONTINUE
)

// WaitKillable, from Linux 5.19 on, keeps a signal from beginning a call anew (SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV).
const WaitKillable = 1 << 5

// Load is the instruction of BPF that loads a word of seccomp_data.
func Load(offset uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
}

// Give is the instruction that ends the filter with a value, such as SECCOMP_RET_ALLOW.
func Give(value uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: value}
}

// Equal is the instruction that goes on after yes others if the loaded word has the value, after no others else.
func Equal(value uint32, yes, no uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: value, Jt: yes, Jf: no}
}

// Begin are the first instructions of a filter: calls of another architecture go on, and of others the number is loaded.
func Begin() []unix.SockFilter {
	return []unix.SockFilter{Load(4), Equal(Arch, 1, 0), Give(unix.SECCOMP_RET_ALLOW), Load(0)}
}

// A Listener is the descriptor that notifications come from.
type Listener int

// Listen puts the calling thread, and what it will start, under a filter. The thread must be locked to its goroutine. The flags are
// tried in order, as long as the kernel does not know them.
func Listen(filter []unix.SockFilter, flags ...uintptr) (Listener, error) {
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	for _, more := range flags {
		fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER|more, uintptr(unsafe.Pointer(&program)))
		if errno == 0 {
			unix.CloseOnExec(int(fd))
			return Listener(fd), nil
		}
		if errno != unix.EINVAL {
			return -1, os.NewSyscallError("seccomp", errno)
		}
	}
	return -1, os.NewSyscallError("seccomp", unix.EINVAL)
}

func (l Listener) ioctl(request uintptr, p unsafe.Pointer) unix.Errno {
	for {
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(l), request, uintptr(p)); errno != unix.EINTR {
			return errno
		}
	}
}

// Receive waits for a call. ENOENT says that who called has been killed.
func (l Listener) Receive() (*Notification, unix.Errno) {
	n := &Notification{}
	return n, l.ioctl(ioctlReceive, unsafe.Pointer(n))
}

// LetGoOn leaves a call to the kernel.
func (l Listener) LetGoOn(n *Notification) { l.send(&response{id: n.ID, flags: letGoOn}) }

// Answer ends a call: with success if errno is 0.
func (l Listener) Answer(n *Notification, errno unix.Errno) {
	l.send(&response{id: n.ID, errno: -int32(errno)})
}

// send does not look at errors: who called may be gone.
func (l Listener) send(r *response) { _ = l.ioctl(ioctlSend, unsafe.Pointer(r)) }

// Valid tells whether who called is still there, and its number not another's.
func (l Listener) Valid(n *Notification) bool {
	return l.ioctl(ioctlValid, unsafe.Pointer(&n.ID)) == 0
}

// Text reads a string of the calling process. A page that is not there must not be read along with one that is.
func (n *Notification) Text(address uint64) (string, error) {
	const page = 4096
	var text []byte
	for len(text) < unix.PathMax {
		part := make([]byte, page-address%page)
		got, err := n.Read(address, part)
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
	return "", errors.New("a text without an end")
}

// Read reads the memory of the calling process, and returns how many bytes it got.
func (n *Notification) Read(address uint64, into []byte) (int, error) {
	return unix.ProcessVMReadv(int(n.PID), []unix.Iovec{iovec(into)}, []unix.RemoteIovec{{Base: uintptr(address), Len: len(into)}}, 0)
}

// Write writes into the memory of the calling process.
func (n *Notification) Write(address uint64, data []byte) error {
	_, err := unix.ProcessVMWritev(int(n.PID), []unix.Iovec{iovec(data)}, []unix.RemoteIovec{{Base: uintptr(address), Len: len(data)}}, 0)
	return err
}

func iovec(data []byte) unix.Iovec {
	v := unix.Iovec{Base: &data[0]}
	v.SetLen(len(data))
	return v
}
