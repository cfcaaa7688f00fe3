package ssh

import (
	"context"
	"sync"
	"time"
)

// forgetAfter is how long a refusal counts that may be a passing one: of a host that is just starting (pam_nologin(8)), or that let
// us in before. sshd counts each failed login as five seconds of penalty, so that one in ten seconds never adds up.
const forgetAfter = 10 * time.Second

// A way is a way to log in: by the same hops to the same address with the same keys. Until it is known where it leads, one goes
// and the others wait for what becomes of it: a hundred hosts behind a jump host that does not let us in, or a hundred names of one
// server, are one failed login.
type way struct {
	mu      sync.Mutex
	reached bool
	going   *walk
	refusal error
	until   time.Time // until when refusal counts; zero: for good
}

// A walk is the attempt that others wait for.
type walk struct {
	done chan struct{}
	err  error // nil as well if it was given up
}

func (d *Dialer) way(path []Target, t Target) *way {
	if t.Password == nil {
		t.Name = "" // the same for all names of the server
	}
	t.ConnectTimeout, t.ConnectionAttempts, t.LoginTimeout, t.KeepAlive, t.KeepAliveMisses = 0, 0, 0, 0, 0
	key := pathKey(append(append([]Target{}, path...), t))
	d.mu.Lock()
	defer d.mu.Unlock()
	w := d.ways[key]
	if w == nil {
		if d.ways == nil {
			d.ways = map[string]*way{}
		}
		w = &way{}
		d.ways[key] = w
	}
	return w
}

// enter returns what to call with the outcome, or the refusal that another has met.
func (w *way) enter(ctx context.Context) (leave func(context.Context, error), err error) {
	for {
		w.mu.Lock()
		if w.refusal != nil && (w.until.IsZero() || time.Now().Before(w.until)) {
			defer w.mu.Unlock()
			return nil, w.refusal
		}
		if w.reached {
			w.mu.Unlock()
			return w.settle, nil
		}
		other := w.going
		if other == nil {
			own := &walk{done: make(chan struct{})}
			w.going = own
			w.mu.Unlock()
			return func(ctx context.Context, err error) {
				w.settle(ctx, err)
				if ctx.Err() == nil {
					own.err = err
				}
				close(own.done)
			}, nil
		}
		w.mu.Unlock()
		select {
		case <-other.done:
			if other.err != nil {
				return nil, other.err
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (w *way) settle(ctx context.Context, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.going = nil
	if ctx.Err() != nil {
		return
	}
	var until time.Time
	switch {
	case err == nil:
		w.reached, w.refusal = true, nil
		return
	case !definite(err) && !turnedOut(err):
		return
	case w.reached || !definite(err):
		until = time.Now().Add(forgetAfter)
	}
	w.refusal, w.until = err, until
}
