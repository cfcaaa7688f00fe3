package bench

import (
	"bytes"
	"net"
	"sync"
	"time"
)

// farAway is a listener whose connections take their time in both directions.
type farAway struct {
	net.Listener
	oneWay time.Duration
}

func (l farAway) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil || l.oneWay == 0 {
		return nc, err
	}
	c := &farConn{Conn: nc, oneWay: l.oneWay, in: make(chan piece, 1<<10), out: make(chan piece, 1<<10), closed: make(chan struct{})}
	go c.receive()
	go c.send()
	return c, nil
}

// A farConn delays what it carries, without limiting how much is on its way.
type farConn struct {
	net.Conn
	oneWay  time.Duration
	in, out chan piece
	once    sync.Once
	closed  chan struct{}
	greeted bool   // of the writing side
	rest    []byte // of the reading side, as is err
	err     error
}

// A piece is what was read or written at once, and when it is there.
type piece struct {
	data []byte
	due  time.Time
	err  error
}

func (c *farConn) receive() {
	late := 2 * c.oneWay // the handshake of TCP has taken no time on loopback
	for {
		buf := make([]byte, 16<<10)
		n, err := c.Conn.Read(buf)
		select {
		case c.in <- piece{buf[:n], time.Now().Add(c.oneWay + late), err}:
		case <-c.closed:
			return
		}
		late = 0
		if err != nil {
			return
		}
	}
}

func (c *farConn) Read(p []byte) (int, error) {
	for len(c.rest) == 0 && c.err == nil {
		select {
		case next := <-c.in:
			time.Sleep(time.Until(next.due))
			c.rest, c.err = next.data, next.err
		case <-c.closed:
			return 0, net.ErrClosed
		}
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	if n == 0 {
		return 0, c.err
	}
	return n, nil
}

func (c *farConn) Write(p []byte) (int, error) {
	due := time.Now().Add(c.oneWay)
	if !c.greeted {
		c.greeted = true
		due = due.Add(3 * c.oneWay) // the connection is there for the server once the third packet of TCP has come
	}
	select {
	case c.out <- piece{data: bytes.Clone(p), due: due}:
		return len(p), nil
	case <-c.closed:
		return 0, net.ErrClosed
	}
}

// Close lets what is on its way arrive first.
func (c *farConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

func (c *farConn) send() {
	defer c.Conn.Close()
	for {
		select {
		case next := <-c.out:
			time.Sleep(time.Until(next.due))
			_, _ = c.Conn.Write(next.data)
		case <-c.closed:
			if len(c.out) == 0 {
				return
			}
		}
	}
}
