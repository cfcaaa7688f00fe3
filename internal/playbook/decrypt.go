package playbook

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"filippo.io/age/armor"
)

// decrypt returns the text of a local file that age, SOPS or OpenPGP encrypted; its content tells which. The key of age is the one in
// the file that PROVISION_AGE_IDENTITY names (or in the variable itself), else that in ~/.config/provision/age.key, else an SSH
// key of the user without a passphrase. SOPS and OpenPGP are left to sops and gpg, which find their keys themselves.
func (pb *Playbook) decrypt(p *place, name string) (string, error) {
	data, err := pb.local.read(p, name)
	if err != nil {
		return "", err
	}
	abs, inside := p.resolve(name)
	key := abs + "\x00" + inside
	pb.local.mu.Lock()
	defer pb.local.mu.Unlock()
	if done, ok := pb.local.texts["age "+key]; ok {
		return string(done.data), done.err
	}
	plain, err := pb.open(p, name, data)
	if err == nil && !utf8.Valid(plain) {
		plain, err = nil, fmt.Errorf("%q holds no UTF-8 text", name)
	}
	pb.local.texts["age "+key] = textFile{plain, err}
	return string(plain), err
}

func (pb *Playbook) open(p *place, name string, data []byte) ([]byte, error) {
	if format := sopsFormat(name, data); format != "" {
		return pb.openSOPS(p, name, format, data)
	}
	if isOpenPGP(data) {
		return pb.openGPG(p, name)
	}
	return pb.openAge(name, data)
}

func (pb *Playbook) openAge(name string, data []byte) ([]byte, error) {
	identities, err := pb.identities()
	if err != nil {
		return nil, err
	}
	if len(identities) == 0 {
		return nil, errors.New("there is no key to decrypt with; name a file with one in PROVISION_AGE_IDENTITY, or put it into ~/.config/provision/age.key (age-keygen makes one)")
	}
	var in io.Reader = bytes.NewReader(data)
	if strings.HasPrefix(strings.TrimSpace(string(data[:min(len(data), 200)])), armor.Header) {
		in = armor.NewReader(bytes.NewReader(bytes.TrimSpace(data)))
	}
	out, err := age.Decrypt(in, identities...)
	if err != nil {
		var none *age.NoIdentityMatchError
		if errors.As(err, &none) {
			return nil, fmt.Errorf("%q is encrypted for other keys than the %d that were tried; encrypt it for one of them, or name another in PROVISION_AGE_IDENTITY", name, len(identities))
		}
		if len(bytes.TrimSpace(data)) == 0 {
			return nil, fmt.Errorf("%q is empty", name)
		}
		return nil, fmt.Errorf("%q cannot be decrypted; is it a file of age, SOPS or OpenPGP, and whole? %w", name, err)
	}
	plain, err := io.ReadAll(out)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("%q is cut short: copy it again, or take it from where it was made", name)
	}
	if err != nil {
		return nil, fmt.Errorf("%q cannot be decrypted; it is cut short or was changed: %w", name, err)
	}
	return plain, nil
}

func (pb *Playbook) identities() ([]age.Identity, error) {
	if named := pb.environ["PROVISION_AGE_IDENTITY"]; named != "" {
		if strings.HasPrefix(named, "AGE-SECRET-KEY-") {
			list, err := age.ParseIdentities(strings.NewReader(named))
			if err != nil {
				return nil, errors.New("PROVISION_AGE_IDENTITY holds no valid key of age")
			}
			return list, nil
		}
		list, err := identityFile(named)
		if err != nil {
			return nil, fmt.Errorf("the key file %q of PROVISION_AGE_IDENTITY: %w", named, err)
		}
		return list, nil
	}
	home := pb.environ["HOME"]
	if home == "" {
		return nil, nil
	}
	list, err := identityFile(filepath.Join(home, ".config", "provision", "age.key"))
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return list, err
	}
	for _, key := range []string{"id_ed25519", "id_rsa"} {
		// A key with a passphrase, or in a format of its own, is passed over: nobody said that it
		// is the one.
		if one, err := identityFile(filepath.Join(home, ".ssh", key)); err == nil {
			list = append(list, one...)
		}
	}
	return list, nil
}

// identityFile reads the keys of a file: age's own format, or an SSH private key.
func identityFile(name string) ([]age.Identity, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("-----BEGIN")) {
		one, err := agessh.ParseIdentity(data)
		if err != nil {
			return nil, errors.New("it is an SSH key with a passphrase or of an unknown type; use a key of age")
		}
		return []age.Identity{one}, nil
	}
	list, err := age.ParseIdentities(bytes.NewReader(data))
	if err != nil {
		return nil, errors.New("it holds no valid key of age")
	}
	return list, nil
}
