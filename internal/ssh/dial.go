package ssh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
)

// connect opens the byte stream to t: directly, or through via.
func connect(ctx context.Context, t Target, via *passage) (net.Conn, error) {
	dctx, cancel := context.WithTimeout(ctx, t.ConnectTimeout)
	defer cancel()
	var nc net.Conn
	var err error
	switch {
	case via != nil:
		nc, err = via.jump.client.forward(dctx, t.addr())
	case t.ProxyCommand != "":
		nc, err = dialCommand(dctx, t.ProxyCommand)
		if err != nil {
			return nil, t.fail(PhaseConnect, fmt.Errorf("ProxyCommand %q: %w", t.ProxyCommand, err), "")
		}
	default:
		nc, err = t.dialNetwork(dctx)
		for attempt := 1; err != nil && attempt < t.ConnectionAttempts && sleep(ctx, attemptPause) == nil; attempt++ {
			nc, err = t.dialAgain(ctx)
		}
	}
	if err != nil {
		return nil, t.connectError(ctx, via, err)
	}
	return nc, nil
}

// attemptPause is how long ssh waits between two of ConnectionAttempts.
const attemptPause = time.Second

func (t Target) dialAgain(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, t.ConnectTimeout)
	defer cancel()
	return t.dialNetwork(ctx)
}

// dialNetwork connects over the network, from and to the addresses that ssh_config allows.
func (t Target) dialNetwork(ctx context.Context) (net.Conn, error) {
	d := net.Dialer{FallbackDelay: -1} // one address after the other, as ssh
	if t.BindAddress != "" {
		local, err := net.ResolveTCPAddr("tcp", net.JoinHostPort(t.BindAddress, "0"))
		if err != nil {
			return nil, fmt.Errorf("BindAddress: %w", err)
		}
		d.LocalAddr = local
	}
	network := "tcp"
	switch t.AddressFamily {
	case "inet":
		network = "tcp4"
	case "inet6":
		network = "tcp6"
	}
	return d.DialContext(ctx, network, t.addr())
}

// connectError tells the reasons apart for which a connection does not come about.
func (t Target) connectError(ctx context.Context, via *passage, err error) error {
	if ctx.Err() != nil {
		return t.fail(PhaseConnect, ctx.Err(), "")
	}
	var refused *ssh.OpenChannelError
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.As(err, &refused) && refused.Reason == ssh.Prohibited && via.jump.client.link.stays != "":
		return t.fail(PhaseConnect, fmt.Errorf("jump host %s does not forward connections: %w; %s", via.name(), err, via.jump.client.link.stays), "have the certificate made anew with permit-port-forwarding")
	case errors.As(err, &refused) && refused.Reason == ssh.Prohibited:
		return t.fail(PhaseConnect, fmt.Errorf("jump host %s does not forward connections: %w", via.name(), err), "set AllowTcpForwarding in its sshd_config")
	case errors.As(err, &refused):
		return t.fail(PhaseConnect, fmt.Errorf("jump host %s cannot connect: %w", via.name(), err), "are the address and the port right as seen from there?")
	case errors.As(err, &dns) && dns.IsTimeout:
		return t.fail(PhaseResolve, fmt.Errorf("%w from the name server: %w", ErrTimeout, err), "check the network, or give an IP address")
	case errors.As(err, &dns) && dns.IsTemporary && !dns.IsNotFound:
		return t.fail(PhaseResolve, err, "the name server does not answer for that name at the moment: check the network, or give an IP address")
	case errors.As(err, &dns) && strings.Count(t.Address, ":") == 1:
		return t.fail(PhaseResolve, err, "the address has no port in it: give that with port")
	case errors.As(err, &dns):
		return t.fail(PhaseResolve, err, "check the address, or give the host an IP address")
	case via.lost():
		return t.fail(PhaseConnect, fmt.Errorf("the connection to the jump host %s was lost: %w", via.name(), err), "")
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return t.fail(PhaseConnect, err, "allow more open files (ulimit -n) or fewer hosts at a time (--parallel)")
	case errors.Is(err, syscall.ECONNREFUSED):
		return t.fail(PhaseConnect, err, "is sshd running there, and is the port right?")
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return t.fail(PhaseConnect, fmt.Errorf("%w (%s)", ErrTimeout, t.ConnectTimeout), "is the host up, and does a firewall let port "+fmt.Sprint(t.Port)+" through?")
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return t.fail(PhaseConnect, err, "check the address and this machine's network")
	}
	return t.fail(PhaseConnect, err, "")
}

// handshake exchanges keys and logs in over l, which it closes on failure.
func (d *Dialer) handshake(ctx context.Context, t Target, l *link, keys hostKeys) (*ssh.Client, error) {
	watch := newWatchdog(PhaseHandshake, t.ConnectTimeout, func() { l.Close() })
	watch.login = t.LoginTimeout
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	login := &login{ctx: ctx, target: t, watch: watch, dialer: d}
	defer login.close()
	keys, keyErr := keys.ask(ctx, askedForOrder, nil)
	if keyErr != nil {
		l.Close()
		return nil, t.fail(PhaseHostKey, keyErr, "")
	}
	config := clientConfig(t, d.width(t), t.hostKeyAlgorithms(keys, d.whole(t)))
	if err := t.checkOffer(config); err != nil {
		l.Close()
		return nil, err
	}
	shown := false // the callback is called at each exchange of keys
	config.HostKeyCallback = func(_ string, _ net.Addr, key ssh.PublicKey) error {
		if !shown {
			if keyErr = d.withoutTerrapin(t, l, config.Ciphers); keyErr != nil {
				return keyErr
			}
		}
		shown = true
		if keyErr = d.wholeOrder(t, keys, config.HostKeyAlgorithms, key); keyErr != nil {
			return keyErr
		}
		if keyErr = keys.check(ctx, key); keyErr == nil {
			keyErr = t.checkRevoked(ctx, key)
		}
		if keyErr == nil {
			watch.enter(PhaseAuthenticate)
			l.head.forget()
		}
		return keyErr
	}
	config.AuthCallback = login.next
	config.BannerCallback = login.hear

	conn, channels, requests, err := ssh.NewClientConn(l, t.addr(), config)
	phase, ranOut := watch.end()
	switch {
	case err == nil && !ranOut && ctx.Err() == nil:
		if login.last != nil {
			if c, ok := login.last.public.(*ssh.Certificate); ok {
				l.forced, l.stays = forced(c, login.last.source), forwardsNot(c, login.last.source)
			}
		}
		return ssh.NewClient(conn, channels, requests), nil
	case err == nil:
		conn.Close()
		ssh.NewClient(conn, channels, requests)
	}
	switch {
	case ctx.Err() != nil:
		return nil, t.fail(phase, ctx.Err(), "")
	case ranOut && phase == PhaseAuthenticate:
		return nil, t.fail(phase, fmt.Errorf("%w (%s)", ErrTimeout, t.LoginTimeout), "the host does not decide on the login: its own log may have the reason, such as a directory of users that does not answer")
	case ranOut:
		return nil, t.fail(phase, fmt.Errorf("%w (%s)", ErrTimeout, t.ConnectTimeout), "the port is open but the host does not go on: is it overloaded, or is that no SSH server?")
	case keyErr != nil:
		return nil, t.fail(PhaseHostKey, keyErr, hostKeyHint(keyErr))
	}
	if inner := errors.Unwrap(err); inner != nil {
		err = inner // the library's "ssh: handshake failed" is said by the phase
	}
	if phase == PhaseAuthenticate {
		authErr, hint := login.failure(err)
		return nil, t.fail(phase, authErr, hint)
	}
	if told := t.saidInstead(l, config.HostKeyAlgorithms, err); told != nil {
		return nil, told
	}
	var mismatch *ssh.AlgorithmNegotiationError
	if errors.As(err, &mismatch) {
		if wider := d.wholeOrder(t, keys, config.HostKeyAlgorithms, nil); wider != nil {
			return nil, t.fail(phase, wider, "")
		}
	}
	err = d.widen(t, l, err)
	if command, ok := l.Conn.(*commandConn); ok {
		return nil, t.fail(phase, command.explain(err), "")
	}
	return nil, t.fail(phase, err, t.negotiationHint(l.head, config.HostKeyAlgorithms, err))
}

// wholeOrder returns errWider where the host is to be asked once more, with an order of algorithms that heeds all that is on
// record. key is what it has shown in the order that was offered: certificates and Ed25519 keys stand first in any.
func (d *Dialer) wholeOrder(t Target, keys hostKeys, offered []string, key ssh.PublicKey) error {
	if _, certificate := key.(*ssh.Certificate); certificate || key != nil && key.Type() == ssh.KeyAlgoED25519 || d.whole(t) {
		return nil
	}
	if slices.Equal(offered, t.hostKeyAlgorithms(keys, true)) {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.wholes == nil {
		d.wholes = map[string]bool{}
	}
	d.wholes[t.addr()+t.HostKeyAlias] = true
	return errWider
}

func (d *Dialer) whole(t Target) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.wholes[t.addr()+t.HostKeyAlias]
}

// clientConfig lists what is negotiated. Nothing is left to the library's choice.
func clientConfig(t Target, w width, hostKeyAlgorithms []string) *ssh.ClientConfig {
	ciphers, macs := t.ciphersAndMACs(w)
	return &ssh.ClientConfig{
		Config:            ssh.Config{KeyExchanges: t.keyExchanges(w), Ciphers: ciphers, MACs: macs},
		User:              t.User,
		HostKeyAlgorithms: hostKeyAlgorithms,
		ClientVersion:     "SSH-2.0-provision",
	}
}

// saidInstead is an error of what a host says in place of the protocol, or of one that it speaks alone; nil where it says nothing.
func (t Target) saidInstead(l *link, hostKeys []string, err error) error {
	said, version, _ := l.head.split()
	switch {
	case strings.HasPrefix(version, "SSH-1.") && !strings.HasPrefix(version, "SSH-1.99-"):
		return t.fail(PhaseHandshake, fmt.Errorf("the host speaks the first version of the protocol alone: %q", version), "its SSH server is too old for any client of today: renew it")
	case foreign(said, version):
		return t.fail(PhaseHandshake, fmt.Errorf("the host says %q: %v", said, err), t.saidHint(l.head, hostKeys, err)) //nolint:errorlint // it says so each time
	case said != "":
		return t.fail(PhaseHandshake, fmt.Errorf("the host says %q: %w", said, err), t.saidHint(l.head, hostKeys, err))
	}
	return nil
}

// banned reports whether sshd says that it lets nobody in from here for a while (sshd_config(5), PerSourcePenalties).
func banned(said string) bool { return strings.Contains(said, "Not allowed at this time") }

// foreign reports whether words are those of another protocol.
func foreign(said, version string) bool {
	return said != "" && version == "" && !banned(said) && !strings.Contains(said, "Exceeded MaxStartups") && !strings.Contains(strings.ToLower(said), "ssh")
}

// saidHint says what to do about what a host says before it hangs up.
func (t Target) saidHint(h *head, hostKeys []string, err error) string {
	said, version, _ := h.split()
	switch {
	case banned(said):
		return "too many failed logins came from this address (PerSourcePenalties in its sshd_config): mend them, and wait until it forgets them"
	case strings.Contains(said, "Exceeded MaxStartups"):
		return "too many connections are not logged in (MaxStartups in its sshd_config): try again later, or with a smaller --parallel"
	case strings.HasPrefix(said, "HTTP/"):
		return "that is a web server: is the port right?"
	case foreign(said, version):
		return "these are not the words of an SSH server: is the port right?"
	}
	return t.negotiationHint(h, hostKeys, err)
}
