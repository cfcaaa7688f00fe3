package ssh

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"provision/internal/ssh/sshconfig"
)

// An identity is a key that can be offered. The host is asked about its public half first, and only a key that it
// accepts is unlocked: a passphrase is never asked for nothing.
type identity struct {
	login      *login
	public     ssh.PublicKey
	source     string // where it is from, for messages
	algorithms []string
	private    func() (ssh.AlgorithmSigner, error) // nil: nobody has it
	own        func() (ssh.AlgorithmSigner, error) // of a certificate that the plain key signs for: what signs where that does not; nil: nothing
	other      ssh.PublicKey                       // of the private key in the file, where public is not its own; nil: none
	accepted   bool                                // by the host, which asked for a signature
}

// PublicKey is what the library calls right before it asks the host about the key.
func (i *identity) PublicKey() ssh.PublicKey {
	i.login.markOffered(i)
	return i.public
}

// Algorithms makes it a MultiAlgorithmSigner: RSA keys must not sign with SHA-1.
func (i *identity) Algorithms() []string { return i.algorithms }

func (i *identity) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	return i.SignWithAlgorithm(rand, data, "")
}

// SignWithAlgorithm ends this key's turn where it cannot sign: the next one is offered then, and a note says why.
func (i *identity) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	i.accepted = true
	signature, err := i.sign(rand, data, algorithm)
	if err != nil && i.own != nil {
		i.private, i.own = i.own, nil
		if again, other := i.sign(rand, data, algorithm); other == nil {
			signature, err = again, nil
		}
	}
	if err == nil {
		i.login.signed, i.login.last = true, i
	} else {
		i.login.unsigned = true
		i.login.notes = append(i.login.notes, err.Error())
		err = errors.Join(errNoSignature, err)
	}
	return signature, err
}

// errNoSignature is within the error of a key that could not sign.
var errNoSignature = errors.New("there is no signature")

func (i *identity) sign(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	kept := slices.IndexFunc(i.login.kept, func(k keptKey) bool { return sameKey(plainKey(k.public), plainKey(i.public)) })
	switch {
	case i.private == nil && kept >= 0:
		i.login.keptBack = true
		return nil, fmt.Errorf("key %s: the host accepts it, and %s", i.source, i.login.kept[kept].why)
	case i.private == nil && i.login.target.AgentSocket == "none":
		return nil, fmt.Errorf("key %s: the host accepts it, its private half is in no file, and no agent is asked (IdentityAgent)", i.source)
	case i.private == nil && i.login.target.AgentSocket == "":
		return nil, fmt.Errorf("key %s: the host accepts it, its private half is in no file, and there is no agent (SSH_AUTH_SOCK is not set)", i.source)
	case i.private == nil:
		return nil, fmt.Errorf("key %s: the host accepts it, and its private half is neither in a file nor in the agent", i.source)
	}
	s, err := i.private()
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", i.source, err)
	}
	if own := plainKey(s.PublicKey()); !sameKey(own, plainKey(i.public)) {
		return nil, fmt.Errorf("key %s: the private key there is another, %s: is the public key or certificate beside it an old one?", i.source, ssh.FingerprintSHA256(own))
	}
	return s.SignWithAlgorithm(rand, data, algorithm)
}

// doubts says what may be why the host has not accepted the key, which it does not tell.
func (i *identity) doubts() (notes []string) {
	if i.accepted {
		return nil
	}
	if i.other != nil {
		notes = append(notes, fmt.Sprintf("key %s: what was offered is the public key or certificate beside it, and the private key there is another, %s", i.source, ssh.FingerprintSHA256(i.other)))
	}
	if c, ok := i.public.(*ssh.Certificate); ok {
		for _, lack := range lacks(c, i.login.target.User) {
			i.login.lacking = true
			notes = append(notes, fmt.Sprintf("the certificate of %s %s", i.source, lack))
		}
	}
	return notes
}

// lacks says why a host may refuse a certificate for user.
func lacks(c *ssh.Certificate, user string) (why []string) {
	if now := uint64(time.Now().Unix()); now < c.ValidAfter {
		why = append(why, "is valid only from "+certTime(c.ValidAfter))
	} else if now >= c.ValidBefore {
		why = append(why, "has expired at "+certTime(c.ValidBefore))
	}
	switch {
	case len(c.ValidPrincipals) == 0:
		why = append(why, "names no user (ssh-keygen -n)")
	case !slices.Contains(c.ValidPrincipals, user):
		why = append(why, "is for "+strings.Join(c.ValidPrincipals, ", "))
	}
	for _, name := range slices.Sorted(maps.Keys(c.CriticalOptions)) {
		switch name {
		case sourceAddress:
			why = append(why, "is good from "+c.CriticalOptions[name]+" alone (source-address)")
		case forceCommand, "verify-required":
		default:
			why = append(why, fmt.Sprintf("has the critical option %s, which OpenSSH does not know", name))
		}
	}
	if c.Signature != nil && (c.Signature.Format == ssh.KeyAlgoRSA || c.Signature.Format == "ssh-dss") {
		why = append(why, "is signed with "+c.Signature.Format+", which OpenSSH takes from no authority since 8.2")
	}
	return why
}

// The critical options of a certificate that OpenSSH knows (PROTOCOL.certkeys).
const (
	forceCommand  = "force-command"
	sourceAddress = "source-address"
)

// forced says that a certificate which was accepted has the host run a command of its own; "": it does not.
func forced(c *ssh.Certificate, source string) string {
	command, set := c.CriticalOptions[forceCommand]
	if !set {
		return ""
	}
	return fmt.Sprintf("the certificate of %s has the host run %q whatever it is asked to run (force-command)", source, command)
}

// forwardsNot says that a certificate which was accepted lets nobody go on to other hosts; "": it does.
func forwardsNot(c *ssh.Certificate, source string) string {
	if _, set := c.Extensions["permit-port-forwarding"]; set {
		return ""
	}
	return "the certificate of " + source + " does not allow it (permit-port-forwarding)"
}

// describe names the key as ssh-add -l does.
func (i *identity) describe() string {
	kind := i.public.Type()
	return fmt.Sprintf("%s %s (%s)", kind, ssh.FingerprintSHA256(plainKey(i.public)), i.source)
}

// plainKey is the key inside a certificate, and any other key itself.
func plainKey(k ssh.PublicKey) ssh.PublicKey {
	if c, ok := k.(*ssh.Certificate); ok {
		return c.Key
	}
	return k
}

func sameKey(a, b ssh.PublicKey) bool { return bytes.Equal(a.Marshal(), b.Marshal()) }

// A keyFile is a private key file that several hosts use: it is read once, and decrypted once.
type keyFile struct {
	mu   sync.Mutex // held while it is read, or its passphrase asked for
	file *identityFile
	err  error // for good: nobody knows its passphrase
}

// identity is readIdentity, once for all hosts.
func (d *Dialer) identity(path string, word passphrase) (*identityFile, error) {
	d.mu.Lock()
	k := d.keyFiles[path]
	if k == nil {
		if d.keyFiles == nil {
			d.keyFiles = map[string]*keyFile{}
		}
		k = &keyFile{}
		d.keyFiles[path] = k
	}
	d.mu.Unlock()
	defer word.wait(&k.mu)()
	if k.file != nil || k.err != nil {
		return k.file, k.err
	}
	f, err := readIdentity(path, word)
	switch {
	case err == nil:
		f.shared, k.file = &k.mu, f
	case errors.Is(err, ErrNoAnswer), errors.Is(err, x509.IncorrectPasswordError):
		k.err = err
	}
	return f, err
}

// An identityFile is what a private key file and the files beside it say.
type identityFile struct {
	shared      *sync.Mutex // guards signer and encrypted
	path        string
	public      ssh.PublicKey    // a certificate where path is one
	certificate *ssh.Certificate // from path-cert.pub; nil: none
	owner       ssh.PublicKey    // of the private key, where it is known without a passphrase
	signer      ssh.AlgorithmSigner
	encrypted   []byte // the private key, still encrypted; nil where signer is there or there is no private key
	unusable    error  // why there is no private key although there is a file
}

// errNoKeyFile says that none of the files of a key exists.
var errNoKeyFile = errors.New("no such file")

// readIdentity reads path, path.pub and path-cert.pub. As with ssh, the public half is that of path.pub where there is one, and
// the private half must fit it. path may also be a public key whose private half the agent has. A private key in an old format
// that hides its public half needs path.pub beside it, or else its passphrase now.
func readIdentity(path string, word passphrase) (*identityFile, error) {
	f := &identityFile{path: path}
	text, err := os.ReadFile(path)
	if err == nil {
		f.public = parsePublic(text)
	}
	if f.public == nil {
		f.public = readPublic(path + ".pub")
		if err == nil {
			err = f.parsePrivate(text, word)
		}
		// The public half alone is enough where the agent has a key that only it can use, such as that of a token.
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			f.unusable = err
		}
	}
	// As with ssh, whether it is for the key beside it shows when the host accepts it.
	if c, ok := readPublic(path + "-cert.pub").(*ssh.Certificate); ok && c.CertType == ssh.UserCert {
		f.certificate = c
	}
	if f.public == nil && f.certificate == nil {
		return nil, cmp.Or(f.unusable, errNoKeyFile)
	}
	return f, nil
}

// parsePrivate reads a private key. Its public half is known afterwards, if there was none before.
func (f *identityFile) parsePrivate(text []byte, word passphrase) error {
	if err := readableBySSH(text); err != nil {
		return err
	}
	text = privateBlock(text)
	signer, err := ssh.ParsePrivateKey(text)
	var locked *ssh.PassphraseMissingError
	switch {
	case err == nil:
		f.owner = signer.PublicKey()
		if f.public == nil {
			f.public = f.owner
		}
		if err := protected(f.path); err != nil {
			return err
		}
		return f.setSigner(signer)
	case !errors.As(err, &locked):
		return notRead(f.path, err)
	}
	if f.owner = locked.PublicKey; f.public == nil {
		f.public = f.owner
	}
	if err := protected(f.path); err != nil {
		return err
	}
	if f.encrypted = text; f.public == nil {
		return f.unlock(word)
	}
	return nil
}

// protected is an error for a private key of this user that others may read. As ssh, nobody uses such a key (authfile.c,
// sshkey_perm_ok).
func protected(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if owner, known := sshconfig.OwnerOf(info); known && owner == os.Getuid() && info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("others may read it (mode %#o), so it is not used; run chmod 600 %s", info.Mode().Perm(), path)
	}
	return nil
}

// readableBySSH is an error for a key in the format of OpenSSH that ssh itself cannot read: the library does not look at the lines
// around it (sshkey.c, private2_uudecode).
func readableBySSH(text []byte) error {
	const begin, end = "-----BEGIN OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----"
	switch {
	case !bytes.Contains(text, []byte(begin)):
		return nil
	case bytes.Contains(text, []byte(begin+"\r")), bytes.Contains(text, []byte(end+"\r")):
		return errors.New("its lines end as those of Windows do, and ssh does not read it; take the carriage returns out (tr -d '\\r')")
	case !bytes.HasPrefix(text, []byte(begin+"\n")):
		return fmt.Errorf("ssh does not read it: %q must be its first line", begin)
	case !bytes.Contains(text, []byte("\n"+end+"\n")):
		return fmt.Errorf("ssh does not read it: %q must be a line of its own, with a line break behind it", end)
	}
	return nil
}

// privateBlock is the private key of a PEM file, which `openssl ecparam -genkey` writes behind the parameters of its curve, and servers
// behind a certificate. As with ssh, the first block that is one counts. A text without one comes back as it is.
func privateBlock(text []byte) []byte {
	for rest := text; ; {
		block, after := pem.Decode(rest)
		switch {
		case block == nil:
			return text
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			return pem.EncodeToMemory(block)
		}
		rest = after
	}
}

// notRead adds to why the library does not read a private key how ssh, which reads more, can write it anew.
func notRead(path string, err error) error {
	if strings.Contains(err.Error(), `"ENCRYPTED PRIVATE KEY"`) {
		err = errors.New("it is in PKCS#8 with a passphrase, which provision does not read")
	}
	return fmt.Errorf("%w; `ssh-keygen -p -f %s` writes it in a form that is read here, if ssh reads it (OpenSSH 9.6 or later for Ed25519 in PKCS#8), or add it to an agent", err, path)
}

// unlock decrypts the private key. Once the person has used up the attempts, nobody is asked for it again.
func (f *identityFile) unlock(word passphrase) error {
	for attempt := 1; ; attempt++ {
		text, err := word.ask(f.path, attempt)
		if err == nil && len(text) == 0 {
			err = fmt.Errorf("its passphrase: %w", ErrNoAnswer)
		}
		if errors.Is(err, ErrNoAnswer) {
			f.unusable = err
		}
		if err != nil {
			return err
		}
		resume := word.watch.pause() // it takes long on purpose, and the host has no part in it
		signer, err := ssh.ParsePrivateKeyWithPassphrase(f.encrypted, text)
		resume()
		switch {
		case err == nil:
			return f.setSigner(signer)
		case !errors.Is(err, x509.IncorrectPasswordError):
			return notRead(f.path, fmt.Errorf("cannot decrypt it: %w", err))
		case attempt >= word.target.PasswordPrompts:
			f.unusable = fmt.Errorf("cannot decrypt it: %w", err)
			return f.unusable
		}
	}
}

func (f *identityFile) setSigner(signer ssh.Signer) error {
	as, ok := signer.(ssh.AlgorithmSigner)
	if !ok {
		return fmt.Errorf("a key of type %s cannot sign", signer.PublicKey().Type())
	}
	f.signer, f.encrypted = as, nil
	if f.public == nil {
		f.public = signer.PublicKey()
	}
	return nil
}

// sign returns what gives the private key, asking for its passphrase where it needs one; nil if the file has none.
func (f *identityFile) sign(word passphrase) func() (ssh.AlgorithmSigner, error) {
	defer word.wait(f.shared)()
	if f.unusable != nil {
		return func() (ssh.AlgorithmSigner, error) { return nil, f.unusable }
	}
	if f.signer == nil && f.encrypted == nil {
		return nil
	}
	return func() (ssh.AlgorithmSigner, error) {
		defer word.wait(f.shared)()
		if f.unusable != nil {
			return nil, f.unusable
		}
		if f.signer == nil {
			if err := f.unlock(word); err != nil {
				return nil, err
			}
		}
		return f.signer, nil
	}
}

// readPublic reads a public key or certificate in the format of authorized_keys; nil if there is none.
func readPublic(path string) ssh.PublicKey {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return parsePublic(b)
}

// parsePublic reads the first key in a text. Unlike in authorized_keys, nothing stands before the type.
func parsePublic(text []byte) ssh.PublicKey {
	for line := range bytes.Lines(text) {
		if bytes.HasPrefix(line, []byte("-----BEGIN")) {
			return nil
		}
		public, _, options, _, err := ssh.ParseAuthorizedKey(line)
		if err == nil && len(options) == 0 {
			return public
		}
	}
	return nil
}

// A passphrase asks the user for one, with the time of the phase stopped.
type passphrase struct {
	ctx    context.Context
	target Target
	watch  *watchdog
}

func (p passphrase) ask(file string, attempt int) ([]byte, error) {
	if p.target.Passphrase == nil {
		return nil, errors.New("it is encrypted and nobody can be asked for its passphrase: add it to an agent with ssh-add")
	}
	defer p.watch.pause()()
	word, err := p.target.Passphrase(p.ctx, file, attempt)
	return []byte(word), err
}

// wait locks a key file; the function that it returns unlocks it. Another host may be asking for its passphrase meanwhile.
func (p passphrase) wait(mu *sync.Mutex) (unlock func()) {
	if !mu.TryLock() {
		defer p.watch.pause()()
		mu.Lock()
	}
	return mu.Unlock
}
