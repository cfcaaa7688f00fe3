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

// defaultIdentities are the files whose keys ssh offers where none are named, in its order.
func defaultIdentities() []string {
	var all []string
	for _, kind := range []string{"rsa", "ecdsa", "ecdsa_sk", "ed25519", "ed25519_sk"} {
		all = append(all, inHome(".ssh/id_"+kind))
	}
	return all
}

// load fills the queue in the order of OpenSSH (sshconnect2.c, pubkey_prepare): the certificates of CertificateFile; what the
// agent has of the keys in files, in the agent's order; the agent's others; the keys that only files have. Certificates come
// first among those that nobody has named. Where IdentityFiles are not ssh_config's, all of them come before the agent's others:
// an agent with many keys must not use up the attempts.
func (l *login) load() {
	held := l.agentKeys()
	files, named := l.target.IdentityFiles, true
	if files == nil {
		files, named = defaultIdentities(), false
	}
	word := passphrase{l.ctx, l.target, l.watch}
	var ofFiles []*identity
	for _, path := range files {
		f, err := l.dialer.identity(path, word)
		if err == nil {
			ofFiles = append(ofFiles, l.fromFile(f, word)...)
		} else if named || !errors.Is(err, errNoKeyFile) {
			l.notes = append(l.notes, fmt.Sprintf("%s: %v", path, err))
			l.unreadable = l.unreadable || !errors.Is(err, errNoKeyFile)
		}
	}
	var first, others []*identity
	for _, k := range held {
		same := func(id *identity) bool { return sameKey(id.public, k.public) }
		if i := slices.IndexFunc(ofFiles, same); i >= 0 {
			ofFiles[i].source, ofFiles[i].private, ofFiles[i].other = ofFiles[i].source+", agent", k.sign, nil
			first = append(first, ofFiles[i])
			ofFiles = slices.Delete(ofFiles, i, i+1)
		} else if l.target.IdentitiesOnly {
			l.kept = append(l.kept, keptKey{k.public, "the agent has its private half, and IdentitiesOnly keeps the agent from being asked for that"})
		} else {
			others = append(others, l.identity(k.public, "agent", k.sign))
		}
	}
	var order []*identity
	switch {
	case !named:
		order = slices.Concat(certificatesFirst(first, others), certificatesFirst(ofFiles))
	case l.target.AgentFirst:
		order = slices.Concat(first, certificatesFirst(others), ofFiles)
	default:
		order = slices.Concat(first, ofFiles, certificatesFirst(others))
	}
	order = slices.Concat(l.certificates(), order)
	left := len(l.kept) // of the agent's
	order = slices.DeleteFunc(order, func(id *identity) bool {
		why := id.leftOut()
		if why == "" {
			return false
		}
		l.notes = append(l.notes, fmt.Sprintf("%s: %s", id.source, why))
		l.kept = append(l.kept, keptKey{id.public, fmt.Sprintf("the key that signs for it (%s) is left out", id.source)})
		l.leftOut = true
		return true
	})
	for _, id := range order {
		twice := func(other *identity) bool { return sameKey(other.public, id.public) }
		if !slices.ContainsFunc(l.waiting, twice) {
			id.joinCertificate(order)
			l.waiting = append(l.waiting, id)
		}
	}
	if len(l.waiting) == 0 {
		l.noteNothing(files, len(held), left)
	}
}

// certificatesFirst is how OpenSSH 10 orders keys that nobody has named.
func certificatesFirst(lists ...[]*identity) []*identity {
	all := slices.Concat(lists...)
	slices.SortStableFunc(all, func(a, b *identity) int {
		_, first := a.public.(*ssh.Certificate)
		_, second := b.public.(*ssh.Certificate)
		switch {
		case first == second:
			return 0
		case first:
			return -1
		}
		return 1
	})
	return all
}

// fromFile makes the identities of a key file: its key, and the certificate beside it unless CertificateFile names others.
func (l *login) fromFile(f *identityFile, word passphrase) []*identity {
	var ids []*identity
	if c, ok := f.public.(*ssh.Certificate); f.public != nil && (!ok || c.CertType == ssh.UserCert) {
		ids = append(ids, l.identity(f.public, f.path, f.sign(word)))
	}
	if f.certificate != nil && len(l.target.CertificateFiles) == 0 {
		ids = append(ids, l.identity(f.certificate, f.path, f.sign(word)))
	}
	for _, id := range ids {
		if f.owner != nil && !sameKey(plainKey(id.public), f.owner) {
			id.other = f.owner
		}
	}
	return ids
}

// certificates reads the CertificateFiles.
func (l *login) certificates() []*identity {
	var ids []*identity
	for _, path := range l.target.CertificateFiles {
		c, ok := readPublic(path).(*ssh.Certificate)
		if !ok || c.CertType != ssh.UserCert {
			l.notes = append(l.notes, path+": there is no certificate for users in it")
			continue
		}
		ids = append(ids, l.identity(c, path, nil))
	}
	return ids
}

// joinCertificate finds what signs for a certificate: the private key of another identity. As with ssh, one that the agent has
// is not among them where IdentitiesOnly leaves it out.
func (i *identity) joinCertificate(all []*identity) {
	c, ok := i.public.(*ssh.Certificate)
	if !ok {
		return
	}
	for _, other := range all {
		plain := sameKey(other.public, c.Key)
		if other.private != nil && (plain || i.private == nil && sameKey(other.public, c)) {
			if i.own == nil && plain {
				i.own = i.private
			}
			i.private = other.private
			if plain {
				return
			}
		}
	}
}

func (l *login) identity(public ssh.PublicKey, source string, sign func() (ssh.AlgorithmSigner, error)) *identity {
	return &identity{
		login: l, public: public, source: source, private: sign,
		algorithms: l.target.signatureAlgorithms(public),
	}
}

// leftOut is why ssh_config keeps a key from being offered; "": it does not.
func (i *identity) leftOut() string {
	if bits := rsaBits(i.public); bits > 0 && bits < i.login.target.RequiredRSASize {
		return fmt.Sprintf("the RSA key has %d bits, and RequiredRSASize is %d", bits, i.login.target.RequiredRSASize)
	}
	if len(i.algorithms) == 0 {
		return "PubkeyAcceptedAlgorithms leaves no algorithm for a key of type " + i.public.Type()
	}
	return ""
}

// A keptKey is one that ssh_config keeps from being used.
type keptKey struct {
	public ssh.PublicKey
	why    string // what it would have signed for is not signed for
}

// noteNothing says why no key is offered: of held keys in the agent, left were left out by IdentitiesOnly.
func (l *login) noteNothing(files []string, held, left int) {
	note := "there is no key in " + strings.Join(files, ", ")
	if len(files) == 0 {
		note = "IdentityFile none leaves no key of a file"
	}
	switch {
	case l.target.AgentSocket == "":
		note += ", and no agent (SSH_AUTH_SOCK is not set)"
	case l.target.AgentSocket == "none":
		note += ", and no agent (IdentityAgent is none, or names a variable that is not set)"
	case left > 0:
		l.leftOut = true
		note += fmt.Sprintf("; the agent has %d, and IdentitiesOnly keeps them from being offered", left)
	case held == 0:
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
	if l.target.AgentSocket == "" || l.target.AgentSocket == "none" {
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
		return nil, fmt.Errorf("the agent lists %s and did not sign with it: %w", ssh.FingerprintSHA256(plainKey(k.public)), err)
	}
	return signature, nil
}
