package engine

import (
	"context"
	"errors"
	"time"

	"provision/internal/event"
)

// The pauses between looks whether a lock is still held.
const (
	firstLook   = 200 * time.Millisecond
	longestLook = 3 * time.Second
)

// orphanLimit is how long a run that nobody follows any more is waited for, if the user has not said more.
const orphanLimit = time.Hour

// unlocked does what another run may keep from being done, and does it again once that run has ended, as long as the user waits for it.
// After a wait the host is another one than was planned for: again looks at it, and tells whether part is to be done still.
func (h *hostRun) unlocked(ctx context.Context, part func() error, again func() error) error {
	for {
		err := part()
		var locked *LockedError
		if !errors.As(err, &locked) {
			return err
		}
		if err := h.awaitLock(ctx, locked); err != nil {
			return err
		}
		if err := again(); err != nil {
			return err
		}
	}
}

// awaitLock waits until the lock is free. The error is that somebody holds it still.
func (h *hostRun) awaitLock(ctx context.Context, locked *LockedError) error {
	began, told := time.Now(), ""
	for pause := firstLook; ; pause = min(2*pause, longestLook) {
		limit := h.run.LockWait
		orphan := h.run.Orphan != nil && h.run.Orphan(locked.Owner)
		if orphan {
			limit = max(limit, orphanLimit)
		}
		left := limit - time.Since(began)
		if left <= 0 {
			return locked
		}
		pause = min(pause, left)
		if told != locked.Owner {
			told = locked.Owner
			h.emit(&event.HostLocked{Owner: told, Waits: true, Limit: event.Millis(left), Orphan: orphan})
		}
		select {
		case <-ctx.Done():
			return context.Canceled
		case <-time.After(pause):
		}
		state, err := h.askState(ctx)
		if err != nil || state.Lock == "" {
			return err
		}
		locked = &LockedError{Owner: state.Lock} // it may be another one's now
	}
}
