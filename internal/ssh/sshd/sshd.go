// Package sshd is an SSH server that lives inside the process. The sandbox serves its throw-away host with it, and
// tests use it as the other end of a connection whose faults they choose.
//
// It behaves as OpenSSH does where a client can tell the difference: MaxSessions counts open sessions per connection,
// a dropped connection closes the pipes of a command and kills nothing, a command that a signal ended reports that
// signal, and the channel stays open while anything still holds the standard output of the command.
package sshd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// loginGrace bounds how long a connection may take to authenticate, as sshd_config's LoginGraceTime does.
const loginGrace = 2 * time.Minute

// A Handler runs one command or shell and returns its exit status. ctx ends when the server ends; a session whose
// client went away is told by [Session.Closed] instead, since a command may well outlive its connection.
type Handler func(ctx context.Context, s *Session) int

// Config says who may log in and what they get.
type Config struct {
	// HostKeys are what the server proves itself with; at least one.
	HostKeys []ssh.Signer
	// PublicKey decides whether a key may log in as user: nil error means yes. Certificates arrive as
	// *ssh.Certificate. Nil: the method is not offered.
	PublicKey func(user string, key ssh.PublicKey) error
	// Password decides whether a password is right. Nil: the method is not offered.
	Password func(user, password string) error
	// KeyboardInteractive asks for the password by keyboard-interactive instead of by the password method.
	KeyboardInteractive bool
	// MaxAuthTries is how many failed attempts end the connection; 0 is OpenSSH's 6.
	MaxAuthTries int
	// Banner is shown before authentication; empty: none.
	Banner string

	// Exec serves exec requests, Shell interactive shells. Nil: the request is refused.
	Exec, Shell Handler
	// SFTP serves the sftp subsystem on the file system of this process.
	SFTP bool
	// Forward lets clients open direct-tcpip channels: what ProxyJump needs.
	Forward bool
	// MaxSessions bounds the open sessions of one connection; 0 is OpenSSH's 10.
	MaxSessions int
	// MaxForwards bounds the open direct-tcpip channels of one connection, as some bastions do; 0: no bound.
	MaxForwards int

	// Algorithms restricts what is negotiated; an empty list leaves that kind at the library's choice.
	Algorithms ssh.Algorithms
	// Faults are the ways in which this server misbehaves.
	Faults Faults
}

// Serve accepts connections on l until ctx ends, then closes every connection, waits for every handler to return, and
// returns nil. It closes l. An error means that the configuration is unusable or that accepting failed.
func Serve(ctx context.Context, l net.Listener, c Config) error {
	defer l.Close()
	if len(c.HostKeys) == 0 {
		return errors.New("ssh server: no host key; give at least one")
	}
	hostKeys, err := restrictHostKeys(c.HostKeys, c.Algorithms.HostKeys)
	if err != nil {
		return err
	}
	c.HostKeys = hostKeys

	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()

	for {
		nc, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("ssh server: accept: %w", err)
		}
		running.Go(func() { c.serveConn(ctx, nc) })
	}
}

// serveConn serves one connection until either side ends it.
func (c Config) serveConn(ctx context.Context, nc net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if c.Faults.DropAfter > 0 {
		nc = &droppingConn{Conn: nc, left: c.Faults.DropAfter}
	}
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	defer stop()
	defer nc.Close()

	if c.Faults.Hang == HangAccept {
		holdOpen(nc)
		return
	}
	grace := time.AfterFunc(loginGrace, func() { nc.Close() })
	conn, channels, requests, err := ssh.NewServerConn(nc, c.serverConfig(ctx))
	grace.Stop()
	if err != nil {
		return
	}
	if c.Faults.Hang == HangSession {
		_ = conn.Wait()
		return
	}

	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { ssh.DiscardRequests(requests) })
	sessions := newSlots(c.MaxSessions)
	forwards := newSlots(cmp.Or(c.MaxForwards, math.MaxInt16))
	for ch := range channels {
		switch ch.ChannelType() {
		case "session":
			if !sessions.take() {
				_ = ch.Reject(ssh.ConnectionFailed, "open failed")
				continue
			}
			running.Go(func() {
				defer sessions.release()
				c.serveSession(ctx, conn, ch)
			})
		case "direct-tcpip":
			if !c.Forward {
				_ = ch.Reject(ssh.Prohibited, "open failed")
				continue
			}
			if !forwards.take() {
				_ = ch.Reject(ssh.ResourceShortage, "open failed")
				continue
			}
			running.Go(func() {
				defer forwards.release()
				forward(ctx, ch)
			})
		default:
			_ = ch.Reject(ssh.UnknownChannelType, "unknown channel type")
		}
	}
}

// serverConfig translates c for the library. Callbacks that hang end with ctx.
func (c Config) serverConfig(ctx context.Context) *ssh.ServerConfig {
	sc := &ssh.ServerConfig{
		Config: ssh.Config{
			KeyExchanges: c.Algorithms.KeyExchanges,
			Ciphers:      c.Algorithms.Ciphers,
			MACs:         c.Algorithms.MACs,
		},
		PublicKeyAuthAlgorithms: c.Algorithms.PublicKeyAuths,
		MaxAuthTries:            c.MaxAuthTries,
		ServerVersion:           "SSH-2.0-provision",
	}
	for _, k := range c.HostKeys {
		sc.AddHostKey(k)
	}
	if c.Banner != "" || c.Faults.Hang == HangAuth {
		sc.BannerCallback = func(ssh.ConnMetadata) string {
			if c.Faults.Hang == HangAuth {
				<-ctx.Done()
			}
			return c.Banner
		}
	}
	if c.PublicKey != nil {
		sc.PublicKeyCallback = func(m ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if c.Faults.RefuseAuth {
				return nil, errRefused
			}
			return nil, c.PublicKey(m.User(), key)
		}
	}
	if c.Password == nil {
		return sc
	}
	if !c.KeyboardInteractive {
		sc.PasswordCallback = func(m ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
			return nil, c.password(m.User(), string(password))
		}
		return sc
	}
	sc.KeyboardInteractiveCallback = func(m ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
		answers, err := ask("", "", []string{"Password: "}, []bool{false})
		if err != nil {
			return nil, err
		}
		if len(answers) != 1 {
			return nil, fmt.Errorf("ssh server: %d answers to one question", len(answers))
		}
		return nil, c.password(m.User(), answers[0])
	}
	return sc
}

func (c Config) password(user, password string) error {
	if c.Faults.RefuseAuth {
		return errRefused
	}
	return c.Password(user, password)
}

// slots counts the open sessions of a connection.
type slots struct{ free chan struct{} }

func newSlots(n int) slots {
	if n <= 0 {
		n = 10
	}
	return slots{free: make(chan struct{}, n)}
}

func (s slots) take() bool {
	select {
	case s.free <- struct{}{}:
		return true
	default:
		return false
	}
}

func (s slots) release() { <-s.free }
