package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// errNoSFTP says that the host has no SFTP subsystem.
var errNoSFTP = errors.New("the host has no SFTP subsystem")

// sftpSession is the one SFTP session of a client, opened at the first upload and shared. It takes one of the sessions
// that the host allows, so it is given back when another is refused.
type sftpSession struct {
	mu     sync.Mutex
	absent bool // the host has no SFTP subsystem
	client *sftp.Client
	users  int
}

// get returns the session and a function that gives it back. It may be opened by another goroutine at the moment: then
// get waits for that one.
func (s *sftpSession) get(ctx context.Context, c *Client) (client *sftp.Client, release func(error), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.absent {
		return nil, nil, errNoSFTP
	}
	if s.client == nil {
		opened, err := c.openSFTP(ctx)
		s.absent = errors.Is(err, errNoSFTP)
		if err != nil {
			return nil, nil, err
		}
		s.client = opened
	}
	s.users++
	client = s.client
	return client, func(err error) { s.release(client, err) }, nil
}

// release gives the session back after an upload that ended with err. One that has ended is not used again.
func (s *sftpSession) release(used *sftp.Client, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users--
	if errors.Is(err, sftp.ErrSSHFxConnectionLost) && s.client == used {
		s.client = nil
	}
}

// isOpen reports whether there is a session already, or another goroutine is opening it.
func (s *sftpSession) isOpen() bool {
	if !s.mu.TryLock() {
		return true
	}
	defer s.mu.Unlock()
	return s.client != nil
}

// busy reports whether an upload uses this session.
func (s *sftpSession) busy(client *sftp.Client) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.client == client && s.users > 0
}

// closeIdle closes the session if nobody uses it.
func (s *sftpSession) closeIdle() {
	if !s.mu.TryLock() {
		return // an upload is opening it right now
	}
	defer s.mu.Unlock()
	if s.client == nil || s.users > 0 {
		return
	}
	_ = s.client.Close()
	_ = s.client.Wait()
	s.client = nil
}

// openSFTP opens an SFTP session: three round trips, for the channel, the subsystem, and the version. The reply to the
// subsystem request must be awaited: OpenSSH answers one without a reply by silence where it has no such subsystem.
func (c *Client) openSFTP(ctx context.Context) (*sftp.Client, error) {
	ch, requests, err := c.openSession(ctx, PhaseUpload)
	if err != nil {
		return nil, err
	}
	go ssh.DiscardRequests(requests)
	type result struct {
		client *sftp.Client
		err    error
	}
	opened := make(chan result, 1)
	go func() {
		client, err := startSFTP(ch)
		opened <- result{client, err}
	}()
	timer := time.NewTimer(c.target.ConnectTimeout)
	defer timer.Stop()
	var failed error
	select {
	case r := <-opened:
		if r.err == nil || errors.Is(r.err, errNoSFTP) {
			return r.client, r.err
		}
		return nil, c.uploadError(ctx, "start of SFTP", r.err)
	case <-timer.C:
		failed = fmt.Errorf("start of SFTP: %w (%s)", ErrTimeout, c.target.ConnectTimeout)
	case <-ctx.Done():
		failed = ctx.Err()
	}
	_ = ch.Close()
	go func() {
		if r := <-opened; r.err == nil {
			r.client.Close()
		}
	}()
	return nil, c.target.fail(PhaseUpload, failed, "")
}

func startSFTP(ch ssh.Channel) (*sftp.Client, error) {
	ok, err := ch.SendRequest("subsystem", true, ssh.Marshal(struct{ Name string }{"sftp"}))
	if err == nil && !ok {
		err = errNoSFTP
	}
	if err != nil {
		_ = ch.Close()
		return nil, err
	}
	go func() { _, _ = io.Copy(io.Discard, ch.Stderr()) }()
	client, err := sftp.NewClientPipe(ch, ch, sftp.UseConcurrentWrites(true))
	if err != nil {
		_ = ch.Close()
		// A login script that prints, say. What lost the link will fail the other way too.
		return nil, fmt.Errorf("%w that speaks its protocol: %w", errNoSFTP, err)
	}
	if _, ok := client.HasExtension("posix-rename@openssh.com"); !ok {
		_ = client.Close()
		return nil, errNoSFTP // without it a file cannot be replaced atomically
	}
	return client, nil
}
