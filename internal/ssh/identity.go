package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/crypto/ssh"
)

// An identity is a key that can be offered. The host is asked about its public half first, and only a key that it
// accepts is unlocked: a passphrase is never asked for nothing.
type identity struct {
	public     ssh.PublicKey
	source     string // where it is from, for messages
	algorithms []string
	private    func() (ssh.AlgorithmSigner, error)
	offered    func(*identity) // told when the host is asked about the key
}

// PublicKey is what the library calls right before it asks the host about the key.
func (i *identity) PublicKey() ssh.PublicKey {
	i.offered(i)
	return i.public
}

// Algorithms makes it a MultiAlgorithmSigner: RSA keys must not sign with SHA-1.
func (i *identity) Algorithms() []string { return i.algorithms }

func (i *identity) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	return i.SignWithAlgorithm(rand, data, "")
}

func (i *identity) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
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

// An identityFile is what a private key file and the files beside it say.
type identityFile struct {
	path        string
	public      ssh.PublicKey
	certificate *ssh.Certificate // from path-cert.pub; nil: none
	signer      ssh.AlgorithmSigner
	encrypted   []byte // the private key, still encrypted; nil where signer is there or there is no private key
}

// errNoKeyFile says that neither the private nor the public key file exists.
var errNoKeyFile = errors.New("no such file")

// readIdentity reads path, path.pub and path-cert.pub. path may also be a public key whose private half the agent has.
// A private key in an old format that hides its public half needs path.pub beside it, or else its passphrase now.
func readIdentity(path string, passphrase func(file string) ([]byte, error)) (*identityFile, error) {
	f := &identityFile{path: path}
	pem, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if f.public = readPublic(path + ".pub"); f.public == nil {
			return nil, errNoKeyFile
		}
	case err != nil:
		return nil, err
	default:
		if err := f.parsePrivate(pem, passphrase); err != nil {
			return nil, err
		}
	}
	for _, beside := range []string{path + "-cert.pub", path} {
		if c, ok := readPublic(beside).(*ssh.Certificate); ok && sameKey(c.Key, plainKey(f.public)) {
			f.certificate = c
			break
		}
	}
	f.public = plainKey(f.public)
	return f, nil
}

func (f *identityFile) parsePrivate(pem []byte, passphrase func(file string) ([]byte, error)) error {
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
		return f.unlock(passphrase)
	}
	return nil
}

// unlock decrypts the private key.
func (f *identityFile) unlock(passphrase func(file string) ([]byte, error)) error {
	word, err := passphrase(f.path)
	if err != nil {
		return err
	}
	signer, err := ssh.ParsePrivateKeyWithPassphrase(f.encrypted, word)
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

// hasPrivate reports whether the file itself can sign, once unlocked.
func (f *identityFile) hasPrivate() bool { return f.signer != nil || f.encrypted != nil }

// sign returns the private key, asking for its passphrase where it needs one.
func (f *identityFile) sign(passphrase func(file string) ([]byte, error)) func() (ssh.AlgorithmSigner, error) {
	return func() (ssh.AlgorithmSigner, error) {
		if f.signer == nil {
			if err := f.unlock(passphrase); err != nil {
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

// passphraseOf asks the user, with the time of the phase stopped.
func (t Target) passphraseOf(ctx context.Context, w *watchdog) func(file string) ([]byte, error) {
	return func(file string) ([]byte, error) {
		if t.Passphrase == nil {
			return nil, errors.New("it is encrypted and nobody can be asked for its passphrase: add it to an agent with ssh-add")
		}
		defer w.pause()()
		word, err := t.Passphrase(ctx, file)
		return []byte(word), err
	}
}
