package ssh

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
)

// A Dialer connects to the hosts of a fleet, and does once what its hosts have in common: a jump host is connected to
// once for all hosts behind it, known_hosts files and private keys are read once. To one address it keeps the number of
// connections that are not logged in below what sshd allows (MaxStartups), and it comes back to a server that hung up
// because it had too many. The zero value is ready for use, by several goroutines at once.
type Dialer struct {
	// Linger is how long a connection to a jump host is kept after the last host behind it has gone; 0: not at all.
	Linger time.Duration

	mu         sync.Mutex
	gates      map[string]*gate   // by the way to an address
	jumps      map[string][]*jump // by the way to a jump host
	knownHosts map[string]*knownHostsFiles
	keyFiles   map[string]*keyFile
	scanned    map[string]*scans // by the way to an address with its port
	widths     map[string]width  // by address with port
	wholes     map[string]bool   // by address with port and HostKeyAlias: all that is on record decides the order of algorithms
	ways       map[string]*way   // by the way to a login
	pauses     []time.Duration   // of a server that has banned us, for tests; nil: penaltyPauses
}

// Dial connects to t, through its jumps, and logs in. See [Dialer] for many hosts. Every phase of every hop ends within
// that hop's ConnectTimeout or with ctx. The error is an *Error that names the hop. Once connected, ctx no longer matters.
func Dial(ctx context.Context, t Target) (*Client, error) { return new(Dialer).Dial(ctx, t) }

// Dial connects to t, through its jumps, and logs in. Every phase of every hop ends within that hop's ConnectTimeout or
// with ctx, waiting for others at the same address not counted. The error is an *Error that names the hop. Once
// connected, ctx no longer matters.
func (d *Dialer) Dial(ctx context.Context, t Target) (*Client, error) { return d.dial(ctx, t.hops()) }

// dial connects to the last of hops, through the others.
func (d *Dialer) dial(ctx context.Context, hops []Target) (client *Client, err error) {
	t, err := hops[len(hops)-1].withDefaults()
	if err != nil {
		return nil, err
	}
	if t.Refused != "" {
		return nil, t.fail(PhaseConnect, errors.New(t.Refused), "")
	}
	way := d.way(hops[:len(hops)-1], t)
	leave, err := way.enter(ctx)
	if err != nil {
		return nil, t.as(err)
	}
	defer func() { leave(ctx, err) }()
	if t.Transport == TransportOpenSSH || t.Transport == TransportAuto && len(t.Unheeded) > 0 {
		return d.dialOpenSSH(ctx, t)
	}
	keys := d.loadHostKeys(t)
	err = d.reach(ctx, t, hops[:len(hops)-1], func(l *link, via *passage) error {
		conn, err := d.handshake(ctx, t, l, keys)
		if err == nil {
			client = newClient(t, conn, l, via.share())
		}
		return err
	})
	if err != nil && t.Transport == TransportAuto && beyondUs(err) && ctx.Err() == nil {
		if client, other := d.dialOpenSSH(ctx, t); other == nil {
			return client, nil
		}
	}
	return client, err
}

// beyondUs reports whether ssh(1) may get further than this package did: it knows other algorithms and other ways to log in.
func beyondUs(err error) bool {
	var e *Error
	return errors.As(err, &e) && (e.Phase == PhaseHandshake && !cut(err) && !errors.Is(err, ErrTimeout) || e.Phase == PhaseAuthenticate)
}

// reach opens the byte stream to t and has shake use it, when there is a turn, and again if the server hangs up on it.
// shake owns the link, and the passage for as long as it runs.
func (d *Dialer) reach(ctx context.Context, t Target, path []Target, shake func(*link, *passage) error) error {
	gate := d.gate(pathKey(path) + t.Address)
	for attempt := 1; ; attempt++ {
		if err := gate.enter(ctx); err != nil {
			return t.fail(PhaseConnect, err, "")
		}
		again, err := d.reachOnce(ctx, t, path, shake)
		gate.leave(again && hungUp(err))
		if errors.Is(err, errWider) && attempt < maxAttempts {
			continue
		}
		if again && isBan(err) && ctx.Err() == nil {
			if gate.banned() {
				attempt--
				continue // enter waits
			}
			return err
		}
		if err == nil || !again || attempt == maxAttempts || attempt >= aloneAttempts && hungUp(err) && !gate.crowded() && !overloaded(err) || ctx.Err() != nil {
			return err
		}
		if err := sleep(ctx, pauseBefore(attempt+1)); err != nil {
			return t.fail(PhaseConnect, err, "")
		}
	}
}

// reachOnce is one attempt of reach; again says that another may go better.
func (d *Dialer) reachOnce(ctx context.Context, t Target, path []Target, shake func(*link, *passage) error) (again bool, err error) {
	via, err := d.through(ctx, path)
	if err != nil {
		return false, t.stopped(ctx, err)
	}
	defer via.release()
	nc, err := connect(ctx, t, via)
	if err != nil {
		var refused *ssh.OpenChannelError
		return via.lost() || via != nil && cut(err) || errors.As(err, &refused) && refused.Reason == ssh.ResourceShortage && via.full(), err
	}
	err = shake(newLink(nc), via)
	return hungUp(err) || err != nil && via.lost(), err
}

// hungUp reports whether err is a server's that closed the connection before it had proved itself: what sshd does with
// one too many.
func hungUp(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Phase == PhaseHandshake && cut(err)
}

// overloaded reports whether sshd says that it has too many connections.
func overloaded(err error) bool { return strings.Contains(err.Error(), "Exceeded MaxStartups") }

// cut reports whether err is that of a connection which the other side has ended. Through a jump host it may come before the
// connection to that host is known to be lost.
func cut(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// stopped makes an Error about t of one that ended the wait for a jump host.
func (t Target) stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return t.fail(PhaseConnect, ctx.Err(), "")
	}
	return err
}

// gate returns the gate of an address.
func (d *Dialer) gate(key string) *gate {
	d.mu.Lock()
	defer d.mu.Unlock()
	g := d.gates[key]
	if g == nil {
		if d.gates == nil {
			d.gates = map[string]*gate{}
		}
		g = newGate()
		if d.pauses != nil {
			g.pauses = d.pauses
		}
		d.gates[key] = g
	}
	return g
}
