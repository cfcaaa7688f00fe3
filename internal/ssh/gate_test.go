package ssh

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
)

func TestGateBoundsHandshakes(t *testing.T) {
	g := newGate()
	var inside, most atomic.Int32
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			if err := g.enter(t.Context()); err != nil {
				t.Error(err)
				return
			}
			now := inside.Add(1)
			for {
				m := most.Load()
				if now <= m || most.CompareAndSwap(m, now) {
					break
				}
			}
			inside.Add(-1)
			g.leave(false)
		})
	}
	all.Wait()
	if m := most.Load(); m > maxHandshakes {
		t.Errorf("%d at a time", m)
	}
}

func TestGateNarrowsAndWidens(t *testing.T) {
	g := newGate()
	fill := func() (n int) {
		for ; g.inside < int(g.limit); n++ {
			if err := g.enter(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		return n
	}
	if n := fill(); n != maxHandshakes {
		t.Fatalf("%d at first", n)
	}
	for range maxHandshakes {
		g.leave(true)
	}
	if n := fill(); n != 1 {
		t.Fatalf("%d after the server turned all away, want 1", n)
	}
	for range 60 {
		g.leave(false)
		if err := g.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if g.limit != maxHandshakes {
		t.Errorf("a bound of %v after 60 handshakes that went well", g.limit)
	}
}

func TestGateForgetsWhoGaveUp(t *testing.T) {
	g := newGate()
	g.limit = 1
	if err := g.enter(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.enter(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	g.leave(true)
	if err := g.enter(t.Context()); err != nil || g.inside != 1 {
		t.Errorf("error %v, %d inside", err, g.inside)
	}
}
