package ssh

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// linkGrace is how long a channel that ended without a status waits to learn whether the whole connection ended: the
// library closes the channels a moment before it says so.
const linkGrace = 200 * time.Millisecond

// A Process is a command on a host. Read Stdout and Stderr to their ends, at the same time: what is not read fills the
// channel's window (2 MiB for both together), and then the command waits. Nothing else is buffered.
type Process struct {
	Stdin          io.WriteCloser
	Stdout, Stderr io.Reader

	client *Client
	ch     ssh.Channel
	closed sync.Once
	asked  time.Time // when the channel was asked for
	began  time.Time

	done   chan struct{} // closed once the host has closed the channel
	mute   chan struct{} // closed once it should have done so, after Close
	exited bool
	status int
	signal string
}

// Start runs a command by the login shell of the user. It costs one round trip, the opening of the channel: the request
// to run is sent without waiting for its reply (RFC 4254 section 6.5 makes the reply optional), so that what the caller
// writes to Stdin travels right behind it. A host that refuses to run it closes the channel, which Wait reports.
func (c *Client) Start(ctx context.Context, command string) (*Process, error) {
	asked := time.Now()
	ch, requests, err := c.openSession(ctx, PhaseSession)
	if err != nil {
		return nil, err
	}
	p := &Process{client: c, ch: ch, asked: asked, began: time.Now(), done: make(chan struct{}), mute: make(chan struct{}), Stdout: ch, Stderr: ch.Stderr()}
	p.Stdin = stdin{p}
	if _, err := ch.SendRequest("exec", false, ssh.Marshal(struct{ Command string }{command})); err != nil {
		go ssh.DiscardRequests(requests)
		return nil, c.lost(PhaseSession)
	}
	go p.follow(requests)
	return p, nil
}

// RoundTrip is how long the host took to open the channel of the command.
func (p *Process) RoundTrip() time.Duration { return p.began.Sub(p.asked) }

// openSession opens a session channel. A refusal may be about a session that has just ended: OpenSSH counts it until its
// process is reaped and its channel swept up, a moment after both sides have closed it. So a refused one is tried again
// a little later, and the idle session kept for uploads is given back first.
func (c *Client) openSession(ctx context.Context, p Phase) (ssh.Channel, <-chan *ssh.Request, error) {
	for _, pause := range []time.Duration{0, 50 * time.Millisecond, 200 * time.Millisecond} {
		ch, requests, err := c.open(ctx, p, "session", nil)
		var refused *ssh.OpenChannelError
		if !errors.As(err, &refused) || refused.Reason == ssh.Prohibited {
			return ch, requests, err
		}
		c.files.closeIdle()
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
	return c.open(ctx, p, "session", nil)
}

// follow reads how the command ended (RFC 4254 section 6.10).
func (p *Process) follow(requests <-chan *ssh.Request) {
	defer close(p.done)
	for r := range requests {
		switch r.Type {
		case "exit-status":
			if len(r.Payload) >= 4 {
				p.status, p.exited = int(binary.BigEndian.Uint32(r.Payload)), true
			}
		case "exit-signal":
			var sig struct {
				Name       string
				CoreDumped bool
				Error      string
				Language   string
			}
			if ssh.Unmarshal(r.Payload, &sig) == nil {
				p.signal, p.exited = sig.Name, true
				p.status = 128 + signalNumber(sig.Name)
			}
		}
		// keepalive@openssh.com of the server is among what is left.
		_ = r.Reply(false, nil)
	}
}

// shortestTimeout is after how long a channel may have been closed for its silence (sshd_config(5), ChannelTimeout). sshd counts in
// whole seconds.
const shortestTimeout = 500 * time.Millisecond

// Wait returns the exit status of the command once it has ended and the host has closed the channel: 128 plus the
// signal's number where a signal ended it, as a shell has it. An error means that the status is not known: the link
// broke (ErrLinkLost), or the host refused the command or ended it without telling. Wait reads nothing: output must be
// read by then, or while waiting. After Close it waits no longer than the connect timeout. It may be called more than once.
func (p *Process) Wait() (status int, err error) {
	select {
	case <-p.done:
	case <-p.mute:
		return -1, p.client.target.fail(PhaseSession, fmt.Errorf("%w (%s) to the end of the session", ErrTimeout, p.client.target.ConnectTimeout), "")
	}
	if p.exited {
		return p.status, nil
	}
	grace := time.NewTimer(linkGrace)
	defer grace.Stop()
	select {
	case <-p.client.closed:
		return -1, p.client.lost(PhaseSession)
	case <-grace.C:
	}
	// A channel that is closed for its silence is like a command that was refused, but for the time.
	hint := "does it allow this user to run commands?"
	if time.Since(p.began) > shortestTimeout+linkGrace {
		hint = "does ChannelTimeout in its sshd_config close channels that are silent? The command may still be running there"
	}
	return -1, p.client.target.fail(PhaseSession, errors.New("the host closed the channel of the command without an exit status"), hint)
}

// Signal is the name, without SIG, of the signal that ended the command; empty if none did, or if that is not known. It is
// known after Wait.
func (p *Process) Signal() string {
	select {
	case <-p.done:
		return p.signal
	case <-p.mute:
		return ""
	}
}

// Close gives the channel up. The command is not killed: it sees its input end and its output refused. Close does not
// wait for the host.
func (p *Process) Close() error {
	p.closed.Do(func() {
		_ = p.ch.Close()
		late := time.AfterFunc(p.client.target.ConnectTimeout, func() { close(p.mute) })
		go func() {
			<-p.done
			late.Stop() // which would keep all of a connection in memory that has ended
		}()
	})
	return nil
}

// stdin writes to the command and half-closes the channel.
type stdin struct{ p *Process }

func (s stdin) Write(b []byte) (int, error) {
	n, err := s.p.ch.Write(b)
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("the command reads no more: %w", io.ErrClosedPipe)
	}
	return n, err
}

func (s stdin) Close() error {
	if err := s.p.ch.CloseWrite(); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// signalNumber is the number that Linux gives the signals of RFC 4254 section 6.10; 0 for others.
func signalNumber(name string) int {
	return map[string]int{
		"HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "ABRT": 6, "FPE": 8, "KILL": 9, "USR1": 10, "SEGV": 11, "USR2": 12,
		"PIPE": 13, "ALRM": 14, "TERM": 15,
	}[name]
}
