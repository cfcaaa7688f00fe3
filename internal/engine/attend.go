package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// follow launches the program and stays with it, reconnecting when the link drops.
func (h *hostRun) follow(ctx context.Context, prog *program, text string, w *watcher) error {
	// An interrupt does not cut the link: it is told to the program, and the program's end is awaited.
	following, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w.stop = func() { h.tellProgram(following, prog.id, false) }
	done := make(chan struct{})
	var telling sync.WaitGroup
	telling.Go(func() { h.interrupts(ctx, following, cancel, prog.id, done) })
	defer telling.Wait() // the link is closed after this, and nothing is told of the program after its end
	defer cancel()
	defer close(done)

	var pos position
	err := h.session.launch(following, prog, text, &pos, w)
	for attempt := 1; errors.Is(err, ErrUnreachable) && ctx.Err() == nil; attempt++ {
		delay := h.run.backoff(attempt)
		if delay < 0 {
			return fmt.Errorf("%w; the program goes on there: run again to see what it did", err)
		}
		h.emit(Event{Type: EventHostRetry, HostRetry: &HostRetry{Attempt: attempt, Delay: Millis(delay), Why: err.Error()}})
		select {
		case <-ctx.Done():
			return context.Canceled
		case <-time.After(delay):
		}
		if err = h.reconnect(ctx); err != nil {
			continue
		}
		if err = h.session.resume(following, prog.id, &pos, w); errors.Is(err, errProgramDied) && pos.journal.at == 0 {
			// The link broke before the program was there. Nothing has happened yet.
			pos = position{}
			err = h.session.launch(following, prog, text, &pos, w)
		}
	}
	if err != nil && ctx.Err() != nil {
		return context.Canceled
	}
	return err
}

func (h *hostRun) reconnect(ctx context.Context) error {
	h.close()
	if err := h.back(ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return nil
}

// interrupts passes the user's wish to stop on to the program: after its step at the first, at once at the
// second.
func (h *hostRun) interrupts(ctx, following context.Context, cancel func(), id string, done <-chan struct{}) {
	select {
	case <-done:
		return
	case <-ctx.Done():
	case <-h.run.Stop:
		h.tellProgram(following, id, false)
		select {
		case <-done:
			return
		case <-ctx.Done():
		}
	}
	h.tellProgram(following, id, true)
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		cancel()
	}
}

// tellProgram reaches the program over a session of its own, as soon as there is a link.
func (h *hostRun) tellProgram(following context.Context, id string, now bool) {
	h.stopped.Store(true)
	ctx, cancel := context.WithTimeout(following, 15*time.Second)
	defer cancel()
	err := h.stopProgram(ctx, id, now)
	if err != nil && following.Err() == nil { // a program that has ended needs no word

		h.emit(Event{Type: EventWarning, Warning: &Warning{
			Message: "the program on the host could not be told to stop: " + err.Error(),
			Hint:    "it ends after the steps that it was sent",
		}})
	}
}

func (h *hostRun) stopProgram(ctx context.Context, id string, now bool) error {
	conn, err := h.link.await(ctx)
	if err != nil {
		return fmt.Errorf("the link did not come back in time: %w", err)
	}
	session, err := OpenSession(ctx, conn, h.privilege(), h.password)
	if err != nil {
		return err
	}
	defer session.Close()
	return session.stopProgram(ctx, id, now)
}
