package ssh

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// maxForwards is how many hosts one connection to a jump host carries before another is made. A forwarded connection
// takes a descriptor of the jump host's sshd process, which mostly has 1024.
const maxForwards = 64

// A jump is one connection to a jump host, shared by the hosts behind it. Its fields are guarded by Dialer.mu, but for
// client and err, which are set before done is closed.
type jump struct {
	key    string
	cancel context.CancelFunc // of the dialling
	done   chan struct{}      // closed once there is a client or an error
	client *Client
	err    error

	users int
	limit int         // of users
	idle  *time.Timer // closes it; nil while it is used
}

// usable reports whether one more host may go through.
func (j *jump) usable() bool {
	if j.users >= j.limit {
		return false
	}
	select {
	case <-j.done:
		return j.alive()
	default:
		return true // being dialled
	}
}

// alive reports whether there is a connection.
func (j *jump) alive() bool {
	select {
	case <-j.done:
	default:
		return false
	}
	if j.err != nil {
		return false
	}
	select {
	case <-j.client.closed:
		return false
	default:
		return true
	}
}

// A passage is the right of one host to be reached through a jump host.
type passage struct {
	dialer *Dialer
	jump   *jump
}

// through returns a passage over the hosts of path, the nearest first, connecting to the last of them if no connection
// is there that can be shared. A path without hosts gives nil. The error is an *Error that names a host of the path, or
// that of ctx.
func (d *Dialer) through(ctx context.Context, path []Target) (*passage, error) {
	if len(path) == 0 {
		return nil, nil
	}
	key := pathKey(path)
	d.mu.Lock()
	var j *jump
	if i := slices.IndexFunc(d.jumps[key], (*jump).usable); i >= 0 {
		j = d.jumps[key][i]
		if j.idle != nil {
			j.idle.Stop()
			j.idle = nil
		}
	} else {
		j = d.dialJump(ctx, key, path)
	}
	j.users++
	d.mu.Unlock()

	p := &passage{dialer: d, jump: j}
	select {
	case <-j.done:
	case <-ctx.Done():
		p.release()
		return nil, ctx.Err()
	}
	if j.err != nil {
		p.release()
		return nil, j.err
	}
	return p, nil
}

// dialJump starts to connect to the last host of path. It goes on as long as anyone waits for it, whoever came first.
// Dialer.mu is held.
func (d *Dialer) dialJump(ctx context.Context, key string, path []Target) *jump {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	j := &jump{key: key, cancel: cancel, done: make(chan struct{}), limit: maxForwards}
	if d.jumps == nil {
		d.jumps = map[string][]*jump{}
	}
	d.jumps[key] = append(d.jumps[key], j)
	go func() {
		client, err := d.dial(ctx, path)
		if err == nil && ctx.Err() != nil { // nobody waits for it any more
			client.Close()
			client, err = nil, ctx.Err()
		}
		j.client, j.err = client, err
		close(j.done)
		d.mu.Lock()
		abandoned := j.users == 0 && j.idle == nil
		d.mu.Unlock()
		if abandoned && client != nil {
			client.Close()
		}
	}()
	return j
}

// share returns a second hold on the passage, to be released by itself.
func (p *passage) share() *passage {
	if p != nil {
		p.dialer.mu.Lock()
		defer p.dialer.mu.Unlock()
		p.jump.users++
	}
	return p
}

// release gives the passage back. The last one closes the connection, at once or after Dialer.Linger.
func (p *passage) release() {
	if p == nil {
		return
	}
	d, j := p.dialer, p.jump
	d.mu.Lock()
	j.users--
	if j.users > 0 {
		d.mu.Unlock()
		return
	}
	if d.Linger > 0 && j.alive() {
		j.idle = time.AfterFunc(d.Linger, func() { d.expire(j) })
		d.mu.Unlock()
		return
	}
	d.forget(j)
	d.mu.Unlock()
	j.close()
}

// expire closes a connection that nobody has used for a while.
func (d *Dialer) expire(j *jump) {
	d.mu.Lock()
	if j.idle == nil {
		d.mu.Unlock()
		return
	}
	j.idle = nil
	d.forget(j)
	d.mu.Unlock()
	j.close()
}

// forget takes a connection out of those that are shared. Dialer.mu is held.
func (d *Dialer) forget(j *jump) {
	rest := slices.DeleteFunc(d.jumps[j.key], func(other *jump) bool { return other == j })
	if d.jumps[j.key] = rest; len(rest) == 0 {
		delete(d.jumps, j.key)
	}
}

// close ends the connection, or the dialling of it.
func (j *jump) close() {
	j.cancel()
	select {
	case <-j.done:
		if j.client != nil {
			j.client.Close()
		}
	default:
	}
}

// name is what the user calls the jump host.
func (p *passage) name() string { return p.jump.client.target.Name }

// lost reports whether the connection to the jump host has ended.
func (p *passage) lost() bool {
	if p == nil {
		return false
	}
	return !p.jump.alive()
}

// full notes that the jump host takes no more on this connection, and reports whether another may help.
func (p *passage) full() bool {
	p.dialer.mu.Lock()
	defer p.dialer.mu.Unlock()
	p.jump.limit = max(1, p.jump.users-1)
	return p.jump.users > 1
}

// pathKey is the same for two ways over the same hosts, entered in the same way. Every field of a Target counts but those that
// say how to ask a person, so that none is forgotten.
func pathKey(path []Target) string {
	var b strings.Builder
	for _, t := range path {
		t.Password, t.Answer, t.Passphrase, t.Notice = nil, nil, nil, nil
		t.Jumps, t.Unheeded, t.NotDone = nil, nil, nil // the hosts of path, and what is said of them
		fmt.Fprintf(&b, "%#v\n", t)
	}
	return b.String()
}
