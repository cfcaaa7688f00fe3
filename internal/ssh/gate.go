package ssh

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// maxHandshakes is how many connections to one address may be on their way to a login at a time. sshd turns new ones
	// away at random from the tenth on (sshd_config(5), MaxStartups 10:30:100), and others log in there too.
	maxHandshakes = 8
	// maxAttempts is how often a host is tried that hangs up before it has said anything: the pauses between come to
	// some five seconds.
	maxAttempts = 7
	// aloneAttempts is how often it is tried where it has no other connection of ours, and gives no reason.
	aloneAttempts = 3
	firstPause    = 100 * time.Millisecond
	longestPause  = 2 * time.Second
	jitterPercent = 50
)

// A gate bounds the handshakes with one address. A server that hangs up halves the bound, and every handshake that comes
// to its end afterwards widens it a little, so that it settles where the server goes along.
type gate struct {
	mu      sync.Mutex
	limit   float64
	inside  int
	waiting []chan struct{} // each closed when its turn has come
	shared  bool            // several were on their way at a time, or one has come to its end

	closed  time.Time // until when nobody enters
	penalty int       // how often it was closed
	pauses  []time.Duration
}

func newGate() *gate { return &gate{limit: maxHandshakes, pauses: penaltyPauses()} }

// enter waits for a turn, which leave gives back. Its error is that of ctx.
func (g *gate) enter(ctx context.Context) error {
	if err := g.awaitOpen(ctx); err != nil {
		return err
	}
	g.mu.Lock()
	g.shared = g.shared || g.inside > 0
	if g.inside < int(g.limit) && len(g.waiting) == 0 {
		g.inside++
		g.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	g.waiting = append(g.waiting, turn)
	g.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	for i := range g.waiting {
		if g.waiting[i] == turn {
			g.waiting = append(g.waiting[:i:i], g.waiting[i+1:]...)
			g.mu.Unlock()
			return ctx.Err()
		}
	}
	g.mu.Unlock()
	g.leave(false) // the turn came at the same moment
	return ctx.Err()
}

// leave ends a turn. turnedAway says that the server hung up since it had too many.
func (g *gate) leave(turnedAway bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	if turnedAway {
		g.limit = max(1, g.limit/2)
	} else {
		g.limit = min(maxHandshakes, g.limit+1/g.limit)
		g.shared = true
	}
	for len(g.waiting) > 0 && g.inside < int(g.limit) {
		g.inside++
		close(g.waiting[0])
		g.waiting = g.waiting[1:]
	}
}

// crowded reports whether the server may hang up because of connections of ours.
func (g *gate) crowded() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shared
}

// penaltyPauses are how long nobody comes back to a server that has banned this address. sshd enforces penalties from 15
// seconds on, and attempts meanwhile do not prolong them (sshd_config(5), PerSourcePenalties, min).
func penaltyPauses() []time.Duration {
	return []time.Duration{16 * time.Second, 20 * time.Second, 30 * time.Second, 40 * time.Second}
}

// isBan reports whether err says that the server has banned this address.
func isBan(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Phase == PhaseHandshake && banned(e.Err.Error())
}

// banned closes the gate of a server that has banned this address, and reports false if the ban has lasted too long.
func (g *gate) banned() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if time.Until(g.closed) > 0 {
		return true // another one of the same time has closed it
	}
	if g.penalty == len(g.pauses) {
		return false
	}
	g.closed = time.Now().Add(g.pauses[g.penalty])
	g.penalty++
	return true
}

func (g *gate) awaitOpen(ctx context.Context) error {
	for {
		g.mu.Lock()
		left := time.Until(g.closed)
		g.mu.Unlock()
		if left <= 0 {
			return nil
		}
		if err := sleep(ctx, left); err != nil {
			return err
		}
	}
}

// pauseBefore is how long to wait before the nth attempt, the second being the first that waits. No two hosts that were
// turned away together come back together.
func pauseBefore(attempt int) time.Duration {
	pause := min(firstPause<<(attempt-2), longestPause)
	spread := int64(pause) * jitterPercent / 100
	return pause + time.Duration(rand.Int64N(2*spread)-spread)
}

// sleep waits, or returns the error of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
