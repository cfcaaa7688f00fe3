package ssh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	defaultPort           = 22
	defaultConnectTimeout = 15 * time.Second
	// defaultLoginTimeout is how long sshd by itself gives a login (sshd_config(5), LoginGraceTime). ssh sets no limit.
	defaultLoginTimeout = 2 * time.Minute
	defaultKeepAlive    = 10 * time.Second
	// defaultPasswordPrompts is NumberOfPasswordPrompts of ssh_config(5).
	defaultPasswordPrompts = 3
	// keepAliveMisses is how many intervals without a single byte from the host mean that the link is dead.
	keepAliveMisses = 3
)

// A Target is one host and how to reach and enter it. Empty fields mean what ssh would do.
type Target struct {
	// Name is what the user calls the host; it appears in messages.
	Name string
	// Address is a DNS name or an IP address without a port; empty: Name.
	Address string
	// Port is the TCP port; 0: 22.
	Port int
	// User is who to log in as; empty: the local user.
	User string
	// IdentityFiles are the private keys to offer, or public keys whose private half the agent holds. They are
	// offered before what else the agent has. Nil: ssh's default names in ~/.ssh, after the agent's keys.
	IdentityFiles []string
	// AgentFirst offers them as ssh does those of ssh_config: after the agent's other keys unless the agent has them, too.
	AgentFirst bool
	// IdentitiesOnly offers no key of the agent that is not among IdentityFiles.
	IdentitiesOnly bool
	// AgentSocket is the agent's socket; empty: $SSH_AUTH_SOCK; "none": no agent.
	AgentSocket string
	// KnownHostsFiles hold the trusted host keys; a missing file is an empty one. Nil: the user's and the system's.
	KnownHostsFiles []string
	// NewKnownHosts is the file among them in which a key is recorded; empty: the first, or the user's; "none": there is none.
	NewKnownHosts string
	// KnownHostsCommand prints lines that count as those of KnownHostsFiles do.
	KnownHostsCommand KnownHostsCommand
	// HashKnownHosts has the name hashed where the host's key is recorded.
	HashKnownHosts bool
	// HostKeyAlias is the name to look up in KnownHostsFiles instead of the address and port.
	HostKeyAlias string
	// Password is asked once, when the server wants a password and no key was accepted; nil: there is none.
	Password func(ctx context.Context) (string, error)
	// Answer asks a person what the server asks: a code, or a password where there is no Password; nil: nobody is there.
	Answer Answer
	// Passphrase asks a person for that of a key file which the server accepted; nil: such keys are skipped. attempt is 1 at first,
	// and more where the last passphrase was wrong.
	Passphrase func(ctx context.Context, file string, attempt int) (string, error)
	// PasswordPrompts is how often a person is asked for one password or passphrase; 0: three times.
	PasswordPrompts int
	// Jumps are the hosts to go through, the nearest first. A hop's own Jumps come before it.
	Jumps []Target
	// ConnectTimeout bounds each phase by itself: resolving and connecting, and the key exchange. 0: 15 seconds.
	ConnectTimeout time.Duration
	// ConnectionAttempts is how often a connection is tried, a second apart; 0: once.
	ConnectionAttempts int
	// LoginTimeout bounds each answer of the host while it is logged in to, and the opening of a channel, which PAM may make slow.
	// Waiting for a person to type does not count. 0: two minutes, or ConnectTimeout where that is longer.
	LoginTimeout time.Duration
	// KeepAlive is how long the link may be silent before the host is asked for a sign of life; after KeepAliveMisses such
	// spans of silence the link is dropped. 0: 10 seconds; negative: never.
	KeepAlive time.Duration
	// KeepAliveMisses is how many; 0: three.
	KeepAliveMisses int
	// ProxyCommand is a command that carries the connection on its standard input and output, run by the user's shell; empty: a
	// connection of our own. It is not used where there are Jumps.
	ProxyCommand string
	// AddressFamily is "inet" for IPv4 alone, "inet6" for IPv6 alone; empty or "any": both.
	AddressFamily string
	// BindAddress is the local address to connect from; empty: the system's choice.
	BindAddress string
	// CertificateFiles hold certificates to offer with the keys that they are for, before those keys.
	CertificateFiles []string
	// HostKeyAlgorithms is what the host may prove itself with, in the words of ssh_config(5): a list, or one that begins with
	// + - or ^; empty: all that are safe.
	HostKeyAlgorithms string
	// KexAlgorithms, Ciphers and MACs are what is negotiated otherwise, PubkeyAcceptedAlgorithms what keys may sign a login with, and
	// CASignatureAlgorithms what an authority may sign a host's certificate with, in the same words.
	KexAlgorithms, Ciphers, MACs, PubkeyAcceptedAlgorithms, CASignatureAlgorithms string
	// RequiredRSASize is how many bits an RSA key needs, the host's or one to log in with; 0: 1024.
	RequiredRSASize int
	// RevokedHostKeys is a file of host keys that are never accepted: public keys, one a line, or a key revocation list.
	RevokedHostKeys string
	// PreferredAuthentications lists the methods to try, in order; empty: keys, then passwords.
	PreferredAuthentications string
	// WithoutMethods are methods of authentication that are not tried.
	WithoutMethods []string
	// Unheeded says what ssh_config sets for the host and is not done, one sentence each with file and line.
	Unheeded []string
	// NotDone says what ssh_config sets for the host and no transport does, likewise.
	NotDone []string
	// Refused is why the host must not be connected to, as ssh_config says; empty: it may.
	Refused string
	// Transport is who connects and logs in.
	Transport Transport
	// Notice is told what ssh(1) wants of the person, such as to touch a key; nil: nobody is.
	Notice func(text string)
	// OpenSSHWords are the options and the host as ssh(1) takes them, and a command where ssh_config asks for it, from Resolve.
	OpenSSHWords []string
	// OpenSSHSession has ssh(1) run that command, since ssh_config asks for the type of the session.
	OpenSSHSession bool
	// Outside says that ssh_config alone has the settings of a jump host: it is none of the hosts of the caller. Resolve sets it.
	Outside bool
	// Legacy also allows algorithms with known weaknesses (SHA-1, CBC), for hosts that know no others.
	Legacy bool
}

// withDefaults fills the empty fields that have one value for everyone.
func (t Target) withDefaults() (Target, error) {
	if t.Address == "" {
		t.Address = t.Name
	}
	if t.Name == "" {
		t.Name = t.Address
	}
	if t.Address == "" {
		return t, &Error{Phase: PhaseResolve, Err: errors.New("the host has no address"), Hint: "give it one"}
	}
	if strings.HasPrefix(t.Address, "[") {
		return t, &Error{Phase: PhaseResolve, Host: t.Name, Err: fmt.Errorf("HostName %s: ssh takes that for a name", t.Address), Hint: "write the address without brackets"}
	}
	if t.Port == 0 {
		t.Port = defaultPort
	}
	if t.ConnectTimeout <= 0 {
		t.ConnectTimeout = defaultConnectTimeout
	}
	if t.LoginTimeout <= 0 {
		t.LoginTimeout = max(defaultLoginTimeout, t.ConnectTimeout)
	}
	if t.PasswordPrompts == 0 {
		t.PasswordPrompts = defaultPasswordPrompts
	}
	if t.KeepAliveMisses == 0 {
		t.KeepAliveMisses = keepAliveMisses
	}
	if t.KeepAlive == 0 {
		t.KeepAlive = defaultKeepAlive
	}
	if t.User == "" {
		u, err := user.Current()
		if err != nil {
			return t, &Error{Phase: PhaseResolve, Host: t.Name, Err: err, Hint: "name the user to log in as"}
		}
		t.User = u.Username
	}
	if t.AgentSocket == "" {
		t.AgentSocket = os.Getenv("SSH_AUTH_SOCK")
	}
	if t.KnownHostsFiles == nil {
		t.KnownHostsFiles = []string{
			inHome(".ssh/known_hosts"), inHome(".ssh/known_hosts2"),
			"/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2",
		}
	}
	return t, nil
}

// addr is the address with the port, as net.Dial wants it.
func (t Target) addr() string { return net.JoinHostPort(t.Address, strconv.Itoa(t.Port)) }

// hops lists the hosts on the way, the nearest first and the target itself last.
func (t Target) hops() []Target {
	var all []Target
	for _, j := range t.Jumps {
		all = append(all, j.hops()...)
	}
	return append(all, t)
}

// Way returns the jump hosts on the way to t, in their order, each with those before it as its own jumps.
func (t Target) Way() []Target {
	path := t.hops()
	path = path[:len(path)-1]
	for i := range path {
		path[i].Jumps = nil
	}
	way := slices.Clone(path)
	for i := range way {
		way[i].Jumps = path[:i:i]
	}
	return way
}

// inHome is a path below the home directory; without a home it is one that does not exist.
func inHome(name string) string {
	home, err := os.UserHomeDir()
	if err != nil {
		return filepath.Join("/nonexistent", name)
	}
	return filepath.Join(home, name)
}
