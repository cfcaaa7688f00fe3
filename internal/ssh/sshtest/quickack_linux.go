package sshtest

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// acknowledge answers what was read at once. The proxy would otherwise add delays of its own: sshd holds a small packet
// back until the one before is acknowledged, and the kernel takes 40 ms for that.
func acknowledge(nc net.Conn) {
	tc, ok := nc.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tc.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, unix.TCP_QUICKACK, 1)
	})
}
