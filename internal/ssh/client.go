package ssh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// A Client is a logged-in connection to one host. Its methods may be called from several goroutines.
type Client struct {
	target Target
	conn   *ssh.Client
	link   *link
	via    *passage // through the jump host that carries the link, owned; nil: direct

	closed chan struct{} // closed once the connection is gone
	served atomic.Bool   // the host has opened a channel

	mu    sync.Mutex
	cause error // why we closed the connection ourselves, nil otherwise

	files sftpSession
}

func newClient(t Target, conn *ssh.Client, l *link, via *passage) *Client {
	c := &Client{target: t, conn: conn, link: l, via: via, closed: make(chan struct{})}
	go func() {
		_ = conn.Wait()
		via.release()
		close(c.closed)
	}()
	if t.KeepAlive > 0 {
		go c.keepAlive(t.KeepAlive)
	}
	return c
}

// Forced says that the certificate which has let us in has the host run a command of its own; "": it does not.
func (c *Client) Forced() string { return c.link.forced }

// Target is the target as dialled, its defaults filled in.
func (c *Client) Target() Target { return c.target }

// ServerVersion is the version line of the host's SSH server.
func (c *Client) ServerVersion() string { return string(c.conn.ServerVersion()) }

// Closed is closed once the connection is gone, for whatever reason.
func (c *Client) Closed() <-chan struct{} { return c.closed }

// Close ends the connection, and those to the jumps that no other host uses. Commands that still run see their pipes close; nothing on the host
// is killed. It returns when everything of the connection has ended, and is safe to call twice.
func (c *Client) Close() error {
	c.drop(net.ErrClosed)
	<-c.closed
	return nil
}

// drop closes the connection for a reason, which Wait of its processes will give.
func (c *Client) drop(cause error) {
	c.mu.Lock()
	if c.cause == nil {
		c.cause = cause
	}
	c.mu.Unlock()
	// The link first: closing the connection alone would wait for a write to a host that no longer reads.
	c.link.Close()
	_ = c.conn.Close()
}

// lost is the error of what was under way when the connection ended.
func (c *Client) lost(p Phase) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		return c.target.fail(p, fmt.Errorf("%w: %w", ErrLinkLost, c.cause), "")
	}
	if !c.served.Load() {
		return c.target.fail(p, ErrLinkLost, fmt.Sprintf("the host lets user %s in, and hangs up before a session: its own log has the reason", c.target.User))
	}
	return c.target.fail(p, ErrLinkLost, "")
}

// keepAlive asks for a sign of life when the host has been silent, and drops the link after too much silence. OpenSSH
// answers the request with a failure, which is as good a sign as any; bytes of running commands are one too.
func (c *Client) keepAlive(interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	answered := make(chan struct{}, 1)
	var asked time.Time // zero: nothing is waiting for an answer
	for {
		select {
		case <-c.closed:
			return
		case <-answered:
			asked = time.Time{}
			continue
		case <-tick.C:
		}
		silence := c.link.silence()
		switch {
		case silence < interval:
		case asked.IsZero():
			asked = time.Now()
			go func() {
				_, _, _ = c.conn.SendRequest("keepalive@openssh.com", true, nil)
				answered <- struct{}{}
			}()
		// The time since the question counts too: after a suspend of this machine the silence is long at once.
		case min(silence, time.Since(asked)) >= c.patience(interval):
			c.drop(fmt.Errorf("%w: the host was silent for %s", ErrTimeout, silence.Round(time.Millisecond)))
			return
		}
	}
}

// patience is how long a host may leave a question open. One that has just let us in may still be busy with that (PAM).
func (c *Client) patience(interval time.Duration) time.Duration {
	usual := time.Duration(c.target.KeepAliveMisses-1) * interval
	if !c.served.Load() {
		return max(usual, c.target.LoginTimeout)
	}
	return usual
}

// forward opens a connection from the host.
func (c *Client) forward(ctx context.Context, addr string) (net.Conn, error) {
	nc, err := c.conn.DialContext(ctx, "tcp", addr)
	var refused *ssh.OpenChannelError
	if err == nil || errors.As(err, &refused) {
		c.served.Store(true)
	}
	return nc, err
}

// open opens a channel within the time of a login. A host that does not answer at all in that time is given up.
func (c *Client) open(ctx context.Context, p Phase, kind string, extra []byte) (ssh.Channel, <-chan *ssh.Request, error) {
	type opened struct {
		ch       ssh.Channel
		requests <-chan *ssh.Request
		err      error
	}
	result := make(chan opened, 1)
	go func() {
		ch, requests, err := c.conn.OpenChannel(kind, extra)
		result <- opened{ch, requests, err}
	}()
	timer := time.NewTimer(c.target.LoginTimeout)
	defer timer.Stop()
	select {
	case o := <-result:
		return o.ch, o.requests, c.openError(p, o.err)
	case <-timer.C:
		c.drop(fmt.Errorf("%w (%s) to a new session", ErrTimeout, c.target.LoginTimeout))
		<-result
		return nil, nil, c.lost(p)
	case <-ctx.Done():
		go func() {
			if o := <-result; o.err == nil {
				_ = o.ch.Close()
				ssh.DiscardRequests(o.requests)
			}
		}()
		return nil, nil, c.target.fail(p, ctx.Err(), "")
	}
}

func (c *Client) openError(p Phase, err error) error {
	if err == nil {
		c.served.Store(true)
		return nil
	}
	var refused *ssh.OpenChannelError
	switch {
	case errors.As(err, &refused) && !c.served.Load():
		// Another connection would be told the same.
		return c.target.fail(p, fmt.Errorf("the host lets user %s in, and refuses a session: %s", c.target.User, refused.Message), "see to MaxSessions, and PermitTTY or restrictions of the key, on the host")
	case errors.As(err, &refused):
		return c.target.fail(p, err, "the host allows no more sessions on this connection (MaxSessions in its sshd_config)")
	}
	return c.lost(p)
}

// DialTCP connects from the host to an address as seen from there ("127.0.0.1:8000"): what ssh -W does. The connection
// has no deadlines.
func (c *Client) DialTCP(ctx context.Context, addr string) (net.Conn, error) {
	nc, err := c.forward(ctx, addr)
	if err != nil {
		return nil, c.target.fail(PhaseSession, fmt.Errorf("connect to %s from the host: %w", addr, err), "")
	}
	return nc, nil
}
