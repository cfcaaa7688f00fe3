package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// agentTimeout bounds the listing of an agent's keys. Signing is not bounded: the person may have to touch a token.
const agentTimeout = 5 * time.Second

// maxKeysBeforePassword leaves a password attempts to be tried with: OpenSSH ends the connection at the sixth failure
// (sshd_config(5), MaxAuthTries).
const maxKeysBeforePassword = 4

// login chooses what to try next while the library authenticates one connection.
type login struct {
	ctx    context.Context
	target Target
	watch  *watchdog
	dialer *Dialer

	waiting  []*identity // not offered yet, in order
	offered  []*identity
	methods  []string // what the host accepts, as last heard
	notes    []string
	loaded   bool
	password struct{ tried bool }
	agent    net.Conn
}

// next is the library's AuthCallback: called after the opening "none" request and after each failed method.
func (l *login) next(c *ssh.ClientAuthContext) (ssh.AuthMethod, error) {
	l.methods = c.AllowedMethods
	if slices.Contains(l.methods, "publickey") {
		if !l.loaded {
			l.loaded = true
			l.load()
		}
		if len(l.waiting) > 0 {
			return ssh.PublicKeysCallback(l.signers), nil
		}
	}
	// A wrong password is not tried again by the other method: both mostly end at the same account, and failures are
	// counted (pam_faillock).
	if l.target.Password != nil && !l.password.tried {
		switch {
		case slices.Contains(l.methods, "password"):
			l.password.tried = true
			return ssh.PasswordCallback(l.askPassword), nil
		case slices.Contains(l.methods, "keyboard-interactive"):
			l.password.tried = true
			return ssh.KeyboardInteractive(l.answer), nil
		}
	}
	return nil, nil
}

// signers hands the waiting identities to the library; each leaves the queue when it is offered, so that a failure in
// the middle (an agent that declines to sign) goes on with the rest.
func (l *login) signers() ([]ssh.Signer, error) {
	all := make([]ssh.Signer, len(l.waiting))
	for i, id := range l.waiting {
		all[i] = id
	}
	return all, nil
}

func (l *login) markOffered(id *identity) {
	if i := slices.Index(l.waiting, id); i >= 0 {
		l.waiting = slices.Delete(slices.Clone(l.waiting), i, i+1)
		l.offered = append(l.offered, id)
		l.watch.enter(PhaseAuthenticate)
	}
}

func (l *login) askPassword() (string, error) {
	defer l.watch.pause()()
	return l.target.Password(l.ctx)
}

// answer gives the password to a single hidden question. Other questions (one-time codes) have no answer here.
func (l *login) answer(_, _ string, questions []string, echos []bool) ([]string, error) {
	switch {
	case len(questions) == 0:
		return nil, nil
	case len(questions) > 1 || echos[0]:
		return nil, fmt.Errorf("the host asks %q, which is more than a password", strings.Join(questions, ", "))
	}
	word, err := l.askPassword()
	if err != nil {
		return nil, err
	}
	return []string{word}, nil
}

// load fills the queue in ssh's order (ssh_config(5), IdentityFile): named keys before the agent's others, and the
// agent's keys before the default names.
func (l *login) load() {
	held := l.agentKeys()
	files := l.target.IdentityFiles
	named := files != nil
	if !named {
		files = []string{inHome(".ssh/id_ed25519"), inHome(".ssh/id_ecdsa"), inHome(".ssh/id_rsa")}
	}
	word := passphrase{l.ctx, l.target, l.watch}
	var fromFiles, fromAgent []*identity
	for _, path := range files {
		f, err := l.dialer.identity(path, word)
		if err != nil {
			if named || !errors.Is(err, errNoKeyFile) {
				l.notes = append(l.notes, fmt.Sprintf("%s: %v", path, err))
			}
			continue
		}
		ids := l.fromFile(f, held, word)
		if len(ids) == 0 {
			l.notes = append(l.notes, fmt.Sprintf("%s: there is no private key, and the agent does not hold it", path))
		}
		fromFiles = append(fromFiles, ids...)
	}
	if !l.target.IdentitiesOnly {
		for _, s := range held {
			fromAgent = append(fromAgent, l.identity(s.PublicKey(), "agent", s.sign))
		}
	}
	all := slices.Concat(fromAgent, fromFiles)
	if named {
		all = slices.Concat(fromFiles, fromAgent)
	}
	for _, id := range all {
		twice := func(other *identity) bool { return sameKey(other.public, id.public) }
		if !slices.ContainsFunc(l.waiting, twice) {
			l.waiting = append(l.waiting, id)
		}
	}
	if l.target.Password != nil && len(l.waiting) > maxKeysBeforePassword {
		l.notes = append(l.notes, fmt.Sprintf("only the first %d of %d keys, to leave attempts for the password", maxKeysBeforePassword, len(l.waiting)))
		l.waiting = l.waiting[:maxKeysBeforePassword]
	}
	if len(l.waiting) == 0 {
		l.noteNothing(files)
	}
}

// fromFile makes the identities of a key file: its certificate first. The agent signs where it holds the key, since it
// needs no passphrase.
func (l *login) fromFile(f *identityFile, held []agentKey, word passphrase) []*identity {
	sign, source := f.sign(word), f.path
	if i := slices.IndexFunc(held, func(k agentKey) bool { return sameKey(k.PublicKey(), f.public) }); i >= 0 {
		sign, source = held[i].sign, f.path+", agent"
	} else if sign == nil {
		return nil
	}
	var ids []*identity
	if f.certificate != nil {
		ids = append(ids, l.identity(f.certificate, source, sign))
	}
	return append(ids, l.identity(f.public, source, sign))
}

func (l *login) identity(public ssh.PublicKey, source string, sign func() (ssh.AlgorithmSigner, error)) *identity {
	return &identity{
		public: public, source: source, private: sign, offered: l.markOffered,
		algorithms: signatureAlgorithms(plainKey(public).Type(), l.target.Legacy),
	}
}

func (l *login) noteNothing(files []string) {
	note := "there is no key in " + strings.Join(files, ", ")
	if l.target.AgentSocket == "" {
		note += ", and no agent (SSH_AUTH_SOCK is not set)"
	} else {
		note += ", and none in the agent"
	}
	l.notes = append(l.notes, note)
}

// An agentKey is a key that an agent holds.
type agentKey struct{ ssh.AlgorithmSigner }

func (k agentKey) sign() (ssh.AlgorithmSigner, error) { return k.AlgorithmSigner, nil }

// agentKeys connects to the agent and lists its keys. The connection stays open for signing until close.
func (l *login) agentKeys() []agentKey {
	if l.target.AgentSocket == "" {
		return nil
	}
	d := net.Dialer{Timeout: agentTimeout}
	nc, err := d.DialContext(l.ctx, "unix", l.target.AgentSocket)
	if err != nil {
		l.notes = append(l.notes, fmt.Sprintf("the agent does not answer: %v", err))
		return nil
	}
	l.agent = nc
	_ = nc.SetDeadline(time.Now().Add(agentTimeout))
	signers, err := agent.NewClient(nc).Signers()
	_ = nc.SetDeadline(time.Time{})
	if err != nil {
		l.notes = append(l.notes, fmt.Sprintf("the agent does not list its keys: %v", err))
		return nil
	}
	var keys []agentKey
	for _, s := range signers {
		if as, ok := s.(ssh.AlgorithmSigner); ok {
			keys = append(keys, agentKey{watched{as, l}})
		}
	}
	return keys
}

// watched stops the time of the phase while the agent signs: it may ask the person first.
type watched struct {
	ssh.AlgorithmSigner
	login *login
}

func (w watched) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	defer w.login.watch.pause()()
	return w.AlgorithmSigner.SignWithAlgorithm(rand, data, algorithm)
}

func (l *login) close() {
	if l.agent != nil {
		l.agent.Close()
	}
}

// failure says what was tried, once authentication has failed with err.
func (l *login) failure(err error) (*AuthError, string) {
	e := &AuthError{User: l.target.User, Methods: l.methods, Notes: l.notes, Err: err}
	for _, id := range l.offered {
		e.Offered = append(e.Offered, id.describe())
	}
	text := err.Error()
	switch {
	case strings.Contains(text, "unable to authenticate"):
		e.Err = nil // the library's summary says less than ours
	case strings.Contains(text, "Too many authentication failures"):
		return e, "name the right key with identity_file and let IdentitiesOnly be yes"
	}
	hint := "is the user right, and is one of these keys in its authorized_keys?"
	switch {
	case len(l.offered) == 0 && l.password.tried:
		hint = "is the password right?"
	case len(l.offered) == 0 && slices.Contains(l.methods, "publickey"):
		hint = "make a key with ssh-keygen and put it on the host with ssh-copy-id, or name one with identity_file"
	case len(l.methods) > 0 && !slices.Contains(l.methods, "publickey"):
		hint = "the host takes no keys: give a password"
	}
	return e, hint
}
