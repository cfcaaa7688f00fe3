package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"provision/internal/event"
)

// A runningError ends the work on a host whose program may still be running: the user did not want to wait for it, or it
// could not be told.
type runningError struct{}

func (e *runningError) Error() string {
	return "interrupted: nothing was heard of the end of the program; it may still be running there, and ends after the steps that it was sent; run again to see what it did"
}

// endTimeoutOfProgram is how long a program may take to end at once, and to say so.
const endTimeoutOfProgram = 10 * time.Second

// follow launches the program and stays with it to its end, over as many links as that takes.
func (h *hostRun) follow(ctx context.Context, prog *program, text string, w *watcher) error {
	// An interrupt does not cut the link: it is told to the program, and the program's end is awaited.
	following, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	var telling sync.WaitGroup
	w.stop = func() {
		telling.Go(func() { h.tell(following, prog.id, wishStop) })
	}
	telling.Go(func() { h.interrupts(ctx, following, cancel, prog.id, done) })
	run := h.state.Run
	w.answer = func(number int, verdict string) (taken func()) {
		ctx, cancel := context.WithCancel(following)
		telling.Go(func() { h.answerProgram(ctx, run, prog.id, number, verdict) })
		return cancel
	}
	defer telling.Wait() // the link is closed after this, and nothing is told of the program after its end
	defer cancel()
	defer close(done)

	var pos position
	sent := false
	err := h.persist(ctx, func() error {
		before := pos.progress()
		err := h.followOnce(following, prog, text, &sent, &pos, w)
		if pos.progress() != before {
			h.outage = outage{}
		}
		return err
	})
	var fault *faultError
	var locked *LockedError
	switch {
	case err == nil, errors.Is(err, errProgramDied), errors.As(err, &fault), errors.As(err, &locked):
		h.session.taken(prog.id)
		return err
	case errors.Is(err, errNotSent), ctx.Err() != nil && !sent:
		return errNotSent
	case ctx.Err() != nil:
		return &runningError{}
	}
	var lost *lostError
	if errors.As(err, &lost) && sent {
		lost.then = "; the program goes on there: run again to see what it did"
	}
	return err
}

// followOnce follows the program over the present link, and launches it if it has not been, or has not reached the host.
func (h *hostRun) followOnce(ctx context.Context, prog *program, text string, sent *bool, pos *position, w *watcher) error {
	// Whoever comes back must be able to end this session.
	if _, err := h.identify(ctx); err != nil {
		return err
	}
	var err error
	if *sent {
		err = h.session.attach(ctx, prog, wish(h.wish.Load()), h.earlier, pos, w)
	}
	if !*sent || errors.Is(err, errAbsent) && pos.progress() == (progress{}) {
		if *sent = false; h.wish.Load() != int32(wishNone) {
			return errNotSent
		}
		*sent = true
		err = h.session.launch(ctx, prog, text, pos, w)
	}
	var ended *shellEndedError
	switch {
	case errors.Is(err, errAbsent):
		return errProgramDied
	case errors.As(err, &ended): // that of the session, and not of the program
		return errors.Join(ErrUnreachable, err)
	}
	return err
}

// interrupts passes the user's wish to stop on to the program: after its step at the first, at once at the
// second.
func (h *hostRun) interrupts(ctx, following context.Context, cancel func(), id string, done <-chan struct{}) {
	select {
	case <-done:
		return
	case <-ctx.Done():
	case <-h.run.Stop:
		h.tell(ctx, id, wishStop)
		select {
		case <-done:
			return
		case <-ctx.Done():
		}
	}
	late := time.AfterFunc(endTimeoutOfProgram, cancel)
	defer late.Stop()
	h.tell(following, id, wishStopNow)
	select {
	case <-done:
	case <-following.Done():
	}
}

// tell passes a wish on to the program, over a session of its own. Where the link is lost, the wish is kept, and goes with the next
// words to the host.
func (h *hostRun) tell(ctx context.Context, id string, w wish) {
	if wish(h.wish.Load()) < w {
		h.wish.Store(int32(w))
	}
	conn := h.link.get()
	if conn == nil {
		return
	}
	limited, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	err := h.stopProgram(limited, conn, id, w)
	if err == nil || ctx.Err() != nil || errors.Is(err, ErrUnreachable) || h.link.get() != conn {
		return
	}
	h.emit(&event.Warning{
		Message: "the program on the host could not be told to stop: " + err.Error(),
		Hint:    "it ends after the steps that it was sent",
	})
}

// answerProgram gives the program the client's verdict on a state, over a session of its own, and again over the next link if this one
// drops. It ends when the program has gone on.
func (h *hostRun) answerProgram(ctx context.Context, run, id string, number int, verdict string) {
	for {
		conn, err := h.link.await(ctx)
		if err == nil {
			err = h.beside(ctx, conn, func(s *Session) error { return s.answerProgram(ctx, run, id, number, verdict) })
		}
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
}

func (h *hostRun) stopProgram(ctx context.Context, conn Conn, id string, w wish) error {
	return h.beside(ctx, conn, func(s *Session) error { return s.stopProgram(ctx, id, w) })
}
