package engine

import (
	"context"
	"io"
	"os"
	"time"
)

// A Conn is what the engine needs of an SSH connection to one host.
type Conn interface {
	// Start runs a command on the host. The caller may write to Stdin at once.
	Start(ctx context.Context, command string) (*Process, error)

	// Upload writes size bytes of r to a file of the login user. The directory must exist.
	Upload(ctx context.Context, path string, mode os.FileMode, size int64, r io.Reader) error

	Close() error
}

// A certified connection knows that the host runs another command than the one that is started, since a certificate says so.
type certified interface {
	Forced() string // a sentence; "" where it does not
}

// A Process is a command that runs on a host.
type Process struct {
	Stdin          io.WriteCloser
	Stdout, Stderr io.Reader
	Wait           func() (status int, err error) // err is for a lost connection, not for a status
	Close          func() error                   // ends the channel, not what runs at its other end
	RoundTrip      time.Duration                  // how long the host took to open the channel; 0 if that is not known
}

// A Dialer makes a connection. The error of an unreachable host wraps ErrUnreachable.
type Dialer interface {
	Dial(ctx context.Context, host string) (Conn, error)
}

// Become says how a session becomes root, or another user.
type Become struct {
	Method   string                                // sudo, su or doas; "" if the login user's own rights do
	User     string                                // of letters, digits, "_", "-" and "."; "" is root
	Password func(context.Context) (string, error) // asked only if the host wants one; may be nil
}

func (b *Become) user() string {
	if b.User == "" {
		return "root"
	}
	return b.User
}
