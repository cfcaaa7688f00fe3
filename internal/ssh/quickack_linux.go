package ssh

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// quickAck returns a function that sets TCP_QUICKACK on a TCP connection, nil for any other.
func quickAck(nc net.Conn) func() {
	tc, ok := nc.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tc.SyscallConn()
	if err != nil {
		return nil
	}
	set := func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, unix.TCP_QUICKACK, 1)
	}
	return func() { _ = raw.Control(set) }
}
