package engine

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"provision/internal/event"
	"provision/internal/steps"
)

// A conversation is what is said with one host: a session on a link, and another one on another link where they are lost. Whatever is
// asked, staged, launched and followed goes on over the next one (persist), so that no part of the engine knows of lost links but this.
type conversation struct {
	link    link
	session *Session
	self    string   // the shell of the session, PID.START.BOOT; "" if it has not said so yet
	earlier []string // those of sessions that were lost
	root    bool     // the session became root
	as      string   // the other user that it became; "" if none
	byRoot  bool     // the rights of another user are reached by way of root only
	entered int      // how often it let us in before it ever answered in this run
	reached bool     // the host has answered in this run: it is not simply unreachable
	outage  outage
}

// An outage is a time in which nothing more is heard of a host that was reached before.
type outage struct {
	since    time.Time // zero if there is none
	attempts int
}

// The pauses between attempts to reach a host again.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 10 * time.Second
)

// maxEntered is how often a host may let us in and hang up before a session answers. It may have been the link, and a host that
// does so each time is not to be logged in to without end.
const maxEntered = 2

// A lostError is why a host is given up whose link was lost.
type lostError struct {
	error
	after time.Duration
	then  string // what becomes of the host
}

func (e *lostError) Error() string { return e.error.Error() + e.suffix() }
func (e *lostError) Unwrap() error { return e.error }
func (e *lostError) suffix() string {
	return fmt.Sprintf("; it did not come back within %s%s", e.after, e.then)
}

// persist does a part of the conversation, and all of it again over another link whenever the link is lost, until the host has not
// been heard of for the time that the user allows. The part must bear to be repeated.
func (h *hostRun) persist(ctx context.Context, part func() error) error {
	for {
		err := h.linked(ctx)
		if err == nil {
			err = part()
		}
		if err == nil {
			h.outage, h.reached = outage{}, true
		}
		if !h.lost(err) {
			return err
		}
		if err := h.pause(ctx, err); err != nil {
			return err
		}
	}
}

// lost tells whether an error means that the link was lost, and that another one may serve.
func (h *hostRun) lost(err error) bool {
	h.reached = h.reached || h.session != nil && h.session.heard.host.Load()
	if !errors.Is(err, ErrUnreachable) || !h.reached && (h.entered == 0 || h.entered > maxEntered) {
		return false
	}
	var silence *silenceError
	var shell *noShellError
	var detailed interface {
		Unreachable() (phase, message, hint string)
	}
	switch {
	case errors.As(err, &silence):
		return false
	case errors.As(err, &shell):
		return h.facts != nil
	case errors.As(err, &detailed):
		phase, _, _ := detailed.Unreachable()
		return phase != "host key"
	}
	return true
}

// pause waits before the next attempt. Its error ends them.
func (h *hostRun) pause(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case h.run.Reconnect == 0:
		return err
	}
	o := &h.outage
	if o.since.IsZero() {
		o.since = time.Now()
	}
	delay := min(firstPause<<min(o.attempts, 16), longestPause)
	o.attempts++
	if time.Since(o.since)+delay > h.run.Reconnect {
		return &lostError{error: err, after: h.run.Reconnect}
	}
	h.close()
	h.emit(&event.HostRetry{Attempt: o.attempts, Delay: event.Millis(delay), Why: err.Error()})
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(delay):
		return nil
	}
}

// linked opens the session, on a new connection if there is none.
func (h *hostRun) linked(ctx context.Context) error {
	if h.session != nil && h.as != "" && h.privilege().User != h.as { // more is known of the steps by now
		h.session.leave()
		h.forget()
	}
	if h.session != nil {
		return nil
	}
	if h.link.get() == nil {
		if err := h.connect(ctx); err != nil {
			return err
		}
	}
	return h.open(ctx)
}

// connect makes a connection.
func (h *hostRun) connect(ctx context.Context) error {
	conn, err := h.run.Dialer.Dial(ctx, h.Name)
	if err != nil {
		return err
	}
	h.link.set(conn)
	if !h.reached {
		h.entered++
	}
	return nil
}

// open starts the session.
func (h *hostRun) open(ctx context.Context) error {
	become := h.privilege()
	session, err := OpenSession(ctx, h.link.get(), become)
	if h.roundabout(err) {
		return h.open(ctx)
	}
	if err != nil {
		return err
	}
	h.forget()
	session.aside = h.aside
	h.session, h.root, h.as = session, become.Method != "" && become.User == "", become.User
	return nil
}

// roundabout tells whether an error means that the login user may not become the other user of all steps. Root may, and is tried in
// its place. A password that was not accepted is not tried once more.
func (h *hostRun) roundabout(err error) bool {
	var refused *BecomeError
	if !errors.As(err, &refused) || refused.NotAccepted || h.byRoot || h.privilege().User == "" {
		return false
	}
	h.byRoot = true
	return true
}

// forget notes that the session is over.
func (h *hostRun) forget() {
	if h.self != "" {
		h.earlier = append(h.earlier, h.self)
	}
	h.session, h.self = nil, ""
}

// close ends the session and the link.
func (h *hostRun) close() {
	if h.session != nil {
		h.session.leave()
	}
	h.link.close()
	h.forget()
}

// privilege tells who the session has to become: root where any step needs its rights, or the one other user that all steps run as,
// which the login user may be allowed without root.
func (h *hostRun) privilege() Become {
	if h.User == "root" || len(h.instances) == 0 {
		return Become{}
	}
	become, needed := h.Become, false
	become.User = h.instances[0].RunAs
	for i := range h.instances {
		in := &h.instances[i]
		needed = needed || in.Become || in.RunAs != ""
		if in.RunAs != become.User {
			become.User = ""
		}
	}
	if !needed {
		return Become{}
	}
	if become.Method == "" {
		become.Method = "sudo"
	}
	if become.Method == "su" || h.byRoot || become.User == "root" || !plainName.MatchString(become.User) {
		become.User = ""
	}
	return become
}

// plainName matches names of users that no login shell changes.
var plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

// ask runs fragments that only look.
func (h *hostRun) ask(ctx context.Context, fragments []Fragment) (answers []steps.Observation, err error) {
	err = h.persist(ctx, func() (err error) {
		answers, err = h.askOnce(ctx, fragments)
		return err
	})
	return answers, err
}

func (h *hostRun) askOnce(ctx context.Context, fragments []Fragment) ([]steps.Observation, error) {
	h.exchanges++
	answers, err := h.session.Ask(ctx, h.run.Salt, fragments)
	if len(answers) == 0 && h.roundabout(err) {
		if err := h.open(ctx); err != nil {
			return nil, err
		}
		h.exchanges++
		return h.session.Ask(ctx, h.run.Salt, fragments)
	}
	return answers, err
}

// aside runs sh over a session of its own, with the rights of the one that there is.
func (h *hostRun) aside(ctx context.Context, text string) error {
	conn := h.link.get()
	if conn == nil {
		return ErrUnreachable
	}
	return h.beside(ctx, conn, func(s *Session) error {
		_, err := s.Ask(ctx, "", []Fragment{{Text: text}})
		return err
	})
}

// beside gives a function a session of its own, with the rights of the one that there is.
func (h *hostRun) beside(ctx context.Context, conn Conn, do func(*Session) error) error {
	session, err := OpenSession(ctx, conn, h.privilege())
	if err != nil {
		return err
	}
	defer session.Close()
	return do(session)
}

// askState asks for what the host says beside the states of its steps.
func (h *hostRun) askState(ctx context.Context) (HostState, error) {
	answers, err := h.ask(ctx, []Fragment{{Text: "print_state"}})
	if err != nil {
		return HostState{}, err
	}
	return h.tookState(answers[0].Stdout), nil
}

// tookState reads an answer of print_state.
func (h *hostRun) tookState(answer string) HostState {
	state := parseHostState(answer, h.run.Title)
	h.self = state.Session
	return state
}

// conn is the link as the staging uses it: what is staged belongs to who runs the program, and to the login user where that is root.
func (h *hostRun) conn() Conn {
	conn := h.link.get()
	if conn == nil || h.as == "" {
		return conn
	}
	return userConn{conn, h.privilege()}
}

// identify returns the shell of the session, PID.START.BOOT. It is part of a conversation that persists.
func (h *hostRun) identify(ctx context.Context) (string, error) {
	if h.self == "" {
		answers, err := h.askOnce(ctx, []Fragment{{Text: "print_state"}})
		if err != nil {
			return "", err
		}
		h.tookState(answers[0].Stdout)
	}
	return h.self, nil
}
