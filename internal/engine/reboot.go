package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"provision/internal/event"
	"provision/internal/steps"
)

const (
	bootLimit = 15 * time.Minute // servers with much memory take their time
	bootPause = 2 * time.Second  // between two looks
)

// awaitBoot waits until the host is back: reachable, and with another boot id. A host that answers with the old one has not
// gone down yet.
func (h *hostRun) awaitBoot(ctx context.Context) error {
	before := h.facts.BootID
	deadline := time.Now().Add(bootLimit)
	h.emit(&event.HostRetry{Attempt: 1, Delay: event.Millis(bootPause), Why: "reboot"})
	for {
		select {
		case <-ctx.Done():
			return context.Canceled
		case <-time.After(bootPause):
		}
		id, err := h.bootID(ctx)
		var refused *BecomeError
		switch {
		case errors.As(err, &refused):
			return err
		case err == nil && id != before:
			h.facts.BootID = id
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("%w: the host did not come back within %s after its restart", ErrUnreachable, bootLimit)
		}
	}
}

// bootID connects anew and asks for the boot id.
func (h *hostRun) bootID(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	h.close()
	if err := h.linked(ctx); err != nil {
		return "", err
	}
	answers, err := h.session.Ask(ctx, "", []Fragment{{Text: "print_facts"}})
	if err != nil {
		return "", err
	}
	return steps.ParseFacts(answers[0].Stdout).BootID, nil
}
