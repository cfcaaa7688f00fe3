// Package sandbox starts a throw-away host: a copy-on-write view of this very machine behind a real SSH connection on
// loopback. Whoever logs in is root there, adds users, writes to /etc and installs packages; when it ends, nothing of
// that is left.
//
// On Linux it is made of namespaces and overlay mounts, with nothing to set up. Without root it needs user namespaces; where the user
// has no subordinate ids in addition, files have owners and processes do not. Elsewhere [Start] says what to do instead.
//
// What is the machine's own and what is not:
//   - every file system is a writable copy, except that network and other users' file systems are left out, and what is
//     read-only outside is read-only inside; [Sandbox.Notes] names both;
//   - /run and /tmp are empty, so that no socket of a service of the machine is there: not docker's, systemd's or dbus's;
//   - processes, hostname and System V IPC are its own, and so is /dev, with the few devices that hold no data;
//   - the network is shared: what listens on loopback can be reached, and a daemon started inside takes a real port;
//   - its root has the capabilities that a container's root has by default, so it can change neither the clock, the
//     kernel's settings and modules, the firewall nor the machine's mounts.
//
// It guards against accidents, not against an attacker: do not run what you would not run on the machine itself.
package sandbox

import (
	"context"
	"io"
	"sync"
)

// Options say how to start a sandbox. The zero value is ready to use.
type Options struct {
	// Log receives what the processes that make up the sandbox print, which is diagnosis only and not the output of
	// commands. Nil: it is kept for the error of a failed [Start] and otherwise dropped.
	Log io.Writer
	// Dir is a directory on a local disk for what the sandbox writes. Empty: memory, or /var/tmp where the machine has
	// little of it.
	Dir string
}

// A Sandbox is a running throw-away host. Its fields say how ssh reaches it.
type Sandbox struct {
	// Address and Port are where its SSH server listens: loopback only.
	Address string
	Port    int
	// User is the account to log in as.
	User string
	// IdentityFile is the private key to log in with, mode 0600, and KnownHostsFile pins the key of the server. Both go
	// away with the sandbox.
	IdentityFile   string
	KnownHostsFile string
	// Notes say in what the sandbox differs from the machine, one sentence each.
	Notes []string

	end  func() error
	done <-chan struct{}
}

// Start starts a sandbox. ctx bounds the start only; the sandbox lives until [Sandbox.Close], or until this process ends
// in whatever way. The process must call [MaybeChild] first thing in main: the sandbox runs in children of the same
// executable. An error says which call failed, what it was for, and what to do.
func Start(ctx context.Context, o Options) (*Sandbox, error) {
	s, err := start(ctx, o)
	if err != nil {
		return nil, err
	}
	s.end = sync.OnceValue(s.end)
	return s, nil
}

// Close ends every process in the sandbox and removes all that it wrote. It is safe to call more than once. An error
// names what could not be removed.
func (s *Sandbox) Close() error { return s.end() }

// Done is closed when the sandbox has ended, whether by [Sandbox.Close] or by itself.
func (s *Sandbox) Done() <-chan struct{} { return s.done }
