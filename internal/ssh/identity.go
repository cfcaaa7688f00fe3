package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/crypto/ssh"
)

// An identity is a key that can be offered. The host is asked about its public half first, and only a key that it
// accepts is unlocked: a passphrase is never asked for nothing.
type identity struct {
	login      *login
	public     ssh.PublicKey
	source     string // where it is from, for messages
	algorithms []string
	private    func() (ssh.AlgorithmSigner, error) // nil: nobody has it
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
	signature, err := i.sign(rand, data, algorithm)
	if err != nil {
		i.login.notes = append(i.login.notes, err.Error())
		err = errors.Join(errNoSignature, err)
	}
	return signature, err
}

// errNoSignature is within the error of a key that could not sign.
var errNoSignature = errors.New("there is no signature")

func (i *identity) sign(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	if i.private == nil {
		return nil, fmt.Errorf("key %s: the host accepts it, and its private half is neither in a file nor in the agent", i.source)
	}
	s, err := i.private()
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", i.source, err)
	}
	return s.SignWithAlgorithm(rand, data, algorithm)
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
	if k.file != nil {
		return k.file, nil
	}
	f, err := readIdentity(path, word)
	if err == nil {
		f.shared, k.file = &k.mu, f
	}
	return f, err
}

// An identityFile is what a private key file and the files beside it say.
type identityFile struct {
	shared      *sync.Mutex // guards signer and encrypted
	path        string
	public      ssh.PublicKey    // a certificate where path is one
	certificate *ssh.Certificate // from path-cert.pub; nil: none
	signer      ssh.AlgorithmSigner
	encrypted   []byte // the private key, still encrypted; nil where signer is there or there is no private key
}

// errNoKeyFile says that none of the files of a key exists.
var errNoKeyFile = errors.New("no such file")

// readIdentity reads path, path.pub and path-cert.pub. path may also be a public key whose private half the agent has.
// A private key in an old format that hides its public half needs path.pub beside it, or else its passphrase now.
func readIdentity(path string, word passphrase) (*identityFile, error) {
	f := &identityFile{path: path}
	pem, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		f.public = readPublic(path + ".pub")
	case err != nil:
		return nil, err
	default:
		// The public half alone is enough where the agent has a key that only it can use, such as that of a token.
		if err := f.parsePrivate(pem, word); err != nil {
			if f.public = readPublic(path + ".pub"); f.public == nil {
				return nil, err
			}
		}
	}
	// As with ssh, whether it is for the key beside it is left to the host.
	if c, ok := readPublic(path + "-cert.pub").(*ssh.Certificate); ok && c.CertType == ssh.UserCert {
		f.certificate = c
	}
	if f.public == nil && f.certificate == nil {
		return nil, errNoKeyFile
	}
	return f, nil
}

func (f *identityFile) parsePrivate(pem []byte, word passphrase) error {
	if public := parsePublic(pem); public != nil {
		f.public = public
		return nil
	}
	signer, err := ssh.ParsePrivateKey(pem)
	var locked *ssh.PassphraseMissingError
	switch {
	case err == nil:
		return f.setSigner(signer)
	case !errors.As(err, &locked):
		return err
	}
	f.encrypted = pem
	if f.public = locked.PublicKey; f.public == nil {
		f.public = readPublic(f.path + ".pub")
	}
	if f.public == nil {
		return f.unlock(word)
	}
	return nil
}

// unlock decrypts the private key.
func (f *identityFile) unlock(word passphrase) error {
	text, err := word.ask(f.path)
	if err != nil {
		return err
	}
	resume := word.watch.pause() // it takes long on purpose, and the host has no part in it
	signer, err := ssh.ParsePrivateKeyWithPassphrase(f.encrypted, text)
	resume()
	if err != nil {
		return fmt.Errorf("cannot decrypt it: %w", err)
	}
	return f.setSigner(signer)
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
	if f.signer == nil && f.encrypted == nil {
		return nil
	}
	return func() (ssh.AlgorithmSigner, error) {
		defer word.wait(f.shared)()
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

func parsePublic(b []byte) ssh.PublicKey {
	public, _, _, _, err := ssh.ParseAuthorizedKey(b)
	if err != nil {
		return nil
	}
	return public
}

// A passphrase asks the user for one, with the time of the phase stopped.
type passphrase struct {
	ctx    context.Context
	target Target
	watch  *watchdog
}

func (p passphrase) ask(file string) ([]byte, error) {
	if p.target.Passphrase == nil {
		return nil, errors.New("it is encrypted and nobody can be asked for its passphrase: add it to an agent with ssh-add")
	}
	defer p.watch.pause()()
	word, err := p.target.Passphrase(p.ctx, file)
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
