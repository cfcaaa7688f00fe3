package sshd

import (
	"errors"
	"io"
	"net"
	"sync"
)

// Faults are the ways in which a server misbehaves for a test. The zero value misbehaves in none.
type Faults struct {
	// RefuseAuth refuses every key and password.
	RefuseAuth bool
	// RefuseExec refuses every exec and shell request: a failure reply where one is wanted, and the channel closes
	// without a status, as OpenSSH does.
	RefuseExec bool
	// Hang is the phase in which the server stops answering, with the connection left open.
	Hang Phase
	// DropAfter closes the connection once this many bytes went out to the client, key exchange included; 0: never.
	DropAfter int64
}

// A Phase is a point at which a server can stop answering.
type Phase int

const (
	// HangNever is a server that answers.
	HangNever Phase = iota
	// HangAccept accepts the connection and never sends its version.
	HangAccept
	// HangAuth completes the key exchange and answers no authentication request.
	HangAuth
	// HangSession lets the client log in, and answers neither channel opens nor keepalives.
	HangSession
)

var errRefused = errors.New("ssh server: refused by the test")

// holdOpen reads and forgets until the connection ends.
func holdOpen(nc net.Conn) { _, _ = io.Copy(io.Discard, nc) }

// droppingConn closes itself after a number of bytes were written.
type droppingConn struct {
	net.Conn
	mu   sync.Mutex
	left int64
}

func (c *droppingConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if int64(len(p)) < c.left {
		c.left -= int64(len(p))
		return c.Conn.Write(p)
	}
	n, _ := c.Conn.Write(p[:c.left])
	c.left = 0
	c.Conn.Close()
	return n, net.ErrClosed
}
