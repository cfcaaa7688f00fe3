package ssh

import (
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
			fromAgent = append(fromAgent, l.identity(s.public, "agent", s.sign))
		}
	}
	all := slices.Concat(l.certificates(held, fromFiles), fromAgent, fromFiles)
	if named {
		all = slices.Concat(l.certificates(held, fromFiles), fromFiles, fromAgent)
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

// fromFile makes the identities of a key file: its certificates first. The agent signs where it holds the key, since it
// needs no passphrase; it may hold a certificate alone.
func (l *login) fromFile(f *identityFile, held []agentKey, word passphrase) []*identity {
	sign, source := f.sign(word), f.path
	var ids []*identity
	var plain *agentKey
	for i, k := range held {
		switch c, ok := k.public.(*ssh.Certificate); {
		case ok && sameKey(c.Key, f.public):
			ids = append(ids, l.identity(c, f.path+", agent", held[i].sign))
		case sameKey(k.public, f.public):
			plain = &held[i]
		}
	}
	switch {
	case plain != nil:
		sign, source = plain.sign, f.path+", agent"
	case sign == nil:
		return ids
	}
	if f.certificate != nil {
		ids = append([]*identity{l.identity(f.certificate, source, sign)}, ids...)
	}
	return append(ids, l.identity(f.public, source, sign))
}

// certificates reads the CertificateFiles, and joins them with the keys that they are for.
func (l *login) certificates(held []agentKey, files []*identity) []*identity {
	var ids []*identity
	for _, path := range l.target.CertificateFiles {
		c, ok := readPublic(path).(*ssh.Certificate)
		if !ok {
			l.notes = append(l.notes, path+": there is no certificate in it")
			continue
		}
		ofAgent := slices.IndexFunc(held, func(k agentKey) bool { return sameKey(k.public, c.Key) || sameKey(k.public, c) })
		ofFile := slices.IndexFunc(files, func(id *identity) bool { return sameKey(id.public, c.Key) })
		switch {
		case ofAgent >= 0:
			ids = append(ids, l.identity(c, path+", agent", held[ofAgent].sign))
		case ofFile >= 0:
			ids = append(ids, l.identity(c, path, files[ofFile].private))
		default:
			l.notes = append(l.notes, path+": nobody has the key that this certificate is for")
		}
	}
	return ids
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
		note += ", and none in the agent (a locked one shows none: ssh-add -X)"
	}
	l.notes = append(l.notes, note)
}

// An agentKey is a key that an agent holds.
type agentKey struct {
	public ssh.PublicKey
	login  *login
	agent  agent.ExtendedAgent
}

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
	client := agent.NewClient(nc)
	list, err := client.List()
	_ = nc.SetDeadline(time.Time{})
	if err != nil {
		l.notes = append(l.notes, fmt.Sprintf("the agent does not list its keys: %v", err))
		return nil
	}
	var keys []agentKey
	for _, k := range list {
		// A certificate must be one to the library. A key of a type that it does not know is passed on as the agent has it.
		public, err := ssh.ParsePublicKey(k.Blob)
		if err != nil {
			public = k
		}
		keys = append(keys, agentKey{public, l, client})
	}
	return keys
}

func (k agentKey) sign() (ssh.AlgorithmSigner, error) { return k, nil }

func (k agentKey) PublicKey() ssh.PublicKey { return k.public }

func (k agentKey) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	return k.SignWithAlgorithm(rand, data, "")
}

// SignWithAlgorithm lets the agent sign, with the time of the phase stopped: it may ask the person first.
func (k agentKey) SignWithAlgorithm(_ io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	var flags agent.SignatureFlags
	switch algorithm {
	case ssh.KeyAlgoRSASHA256:
		flags = agent.SignatureFlagRsaSha256
	case ssh.KeyAlgoRSASHA512:
		flags = agent.SignatureFlagRsaSha512
	}
	defer k.login.watch.pause()()
	signature, err := k.agent.SignWithFlags(k.public, data, flags)
	if err != nil {
		k.login.notes = append(k.login.notes, fmt.Sprintf("the agent lists %s and did not sign with it: %v", ssh.FingerprintSHA256(plainKey(k.public)), err))
	}
	return signature, err
}
