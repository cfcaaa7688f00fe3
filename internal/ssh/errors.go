package ssh

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

// A Phase is the part of reaching a host in which something failed.
type Phase string

// The phases, in the order in which they are passed.
const (
	PhaseResolve      Phase = "resolve"
	PhaseConnect      Phase = "connect"
	PhaseHandshake    Phase = "handshake"
	PhaseHostKey      Phase = "host key"
	PhaseAuthenticate Phase = "authenticate"
	PhaseSession      Phase = "session"
	PhaseUpload       Phase = "upload"
)

// ErrLinkLost is within every error whose reason is that an established connection broke or went silent.
var ErrLinkLost = errors.New("the connection was lost")

// ErrTimeout is within every error whose reason is that the other side did not answer in time.
var ErrTimeout = errors.New("no answer in time")

// An Error says in which phase which host failed, why, and what to do.
type Error struct {
	Phase Phase
	Host  string // Target.Name
	Addr  string // host:port, "" before there is one
	Err   error
	Hint  string // what to do, "" where there is nothing better than the error itself
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Host)
	if e.Addr != "" {
		fmt.Fprintf(&b, " (%s)", e.Addr)
	}
	fmt.Fprintf(&b, ": %s: %v", e.Phase, e.Err)
	if e.Hint != "" {
		b.WriteString("; " + e.Hint)
	}
	return strings.TrimPrefix(b.String(), ": ")
}

func (e *Error) Unwrap() error { return e.Err }

// Unreachable reports whether err means that the host could not be reached or entered, or that the link to it broke, as
// opposed to something failing on a host that was reached. Refused host keys and refused logins count: nothing was done
// on such a host either, and their phase tells them apart. An interruption by the user is neither.
func Unreachable(err error) bool {
	var e *Error
	if !errors.As(err, &e) || errors.Is(err, context.Canceled) {
		return false
	}
	switch e.Phase {
	case PhaseSession, PhaseUpload:
		return errors.Is(err, ErrLinkLost)
	}
	return true
}

// TooManySessions reports whether the host refused a session because the connection has as many as it allows: the same
// may work on another connection.
func TooManySessions(err error) bool {
	var refused *ssh.OpenChannelError
	return errors.As(err, &refused)
}

// fail makes an Error about t.
func (t Target) fail(p Phase, err error, hint string) *Error {
	return &Error{Phase: p, Host: t.Name, Addr: t.addr(), Err: err, Hint: hint}
}

// An UnknownHostKeyError says that no known_hosts file knows the host.
type UnknownHostKeyError struct {
	Host        string // as known_hosts would name it
	Type        string // for example "ssh-ed25519"
	Fingerprint string // "SHA256:…", as ssh-keygen -l prints it
	Certificate error  // why the host's certificate does not count; nil if it showed none
	// Foreign are the lines about the host whose keys are of types that are not known here: "FILE:LINE (TYPE)".
	Foreign []string
}

func (e *UnknownHostKeyError) Error() string {
	text := fmt.Sprintf("the key of %s is not known: %s %s", e.Host, e.Type, e.Fingerprint)
	if e.Certificate != nil {
		text += fmt.Sprintf("; its certificate does not count: %v", e.Certificate)
	}
	if len(e.Foreign) > 0 {
		text += "; on record for it are keys of types that provision does not know: " + strings.Join(e.Foreign, ", ")
	}
	return text
}

// A ChangedHostKeyError says that the host proves itself with another key than the one on record, or a revoked one.
type ChangedHostKeyError struct {
	Host              string
	Type, Fingerprint string   // of the key presented
	Known             []string // "FILE:LINE (TYPE FINGERPRINT)" of each key on record
	Files             []string // that hold them, each once
	Revoked           bool     // the key presented is on record as @revoked
}

func (e *ChangedHostKeyError) Error() string {
	if e.Revoked {
		return fmt.Sprintf("the key of %s is revoked: %s %s, by %s", e.Host, e.Type, e.Fingerprint, strings.Join(e.Known, ", "))
	}
	return fmt.Sprintf("the key of %s has changed: it presents %s %s, and on record is %s",
		e.Host, e.Type, e.Fingerprint, strings.Join(e.Known, ", "))
}

// An AuthError says what was tried to log in.
type AuthError struct {
	User    string
	Offered []string // the keys that were offered, "FINGERPRINT (source)"
	Methods []string // what the server accepts
	Partial []string // what it has accepted, and wants more
	Said    string   // the server's own words
	Notes   []string // why a key was not offered, or what else went wrong
	Err     error    // what the library or the server said last
}

func (e *AuthError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "the host does not let user %s in", e.User)
	if len(e.Methods) > 0 {
		fmt.Fprintf(&b, " (it accepts %s)", strings.Join(e.Methods, ", "))
	}
	if len(e.Offered) > 0 {
		fmt.Fprintf(&b, "; offered %s", strings.Join(e.Offered, ", "))
	} else {
		b.WriteString("; no key was offered")
	}
	if len(e.Partial) > 0 {
		fmt.Fprintf(&b, "; it accepted %s, and wants %s besides", strings.Join(e.Partial, ", "), strings.Join(e.Methods, " or "))
	}
	for _, n := range e.Notes {
		b.WriteString("; " + n)
	}
	if e.Said != "" {
		fmt.Fprintf(&b, "; it says: %s", e.Said)
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

func (e *AuthError) Unwrap() error { return e.Err }
