package sshd

import (
	"context"
	"io"
	"net"
	"strconv"
	"sync"

	"golang.org/x/crypto/ssh"
)

// forward serves one direct-tcpip channel (RFC 4254 section 7.2): connects to where the client asks, and carries bytes
// until both directions have ended.
func forward(ctx context.Context, nch ssh.NewChannel) {
	var open struct {
		Host       string
		Port       uint32
		OriginHost string
		OriginPort uint32
	}
	if err := ssh.Unmarshal(nch.ExtraData(), &open); err != nil {
		_ = nch.Reject(ssh.ConnectionFailed, "malformed request")
		return
	}
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", net.JoinHostPort(open.Host, strconv.Itoa(int(open.Port))))
	if err != nil {
		_ = nch.Reject(ssh.ConnectionFailed, err.Error())
		return
	}
	defer nc.Close()
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	defer stop()
	ch, requests, err := nch.Accept()
	if err != nil {
		return
	}
	defer ch.Close()

	var running sync.WaitGroup
	running.Go(func() {
		ssh.DiscardRequests(requests)
		nc.Close()
	})
	running.Go(func() {
		_, _ = io.Copy(ch, nc)
		_ = ch.Close()
	})
	running.Go(func() {
		_, _ = io.Copy(nc, ch)
		if tc, ok := nc.(*net.TCPConn); ok {
			_ = tc.CloseWrite()
		}
	})
	running.Wait()
}
