package playbook

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// decryptTime bounds a program that decrypts: it may ask a person for a passphrase, or a service of keys over the network.
const decryptTime = 3 * time.Minute

// runDecrypt runs a program that decrypts the file of a name, and returns what it prints, all of it or nothing. Its words are the error's.
func (pb *Playbook) runDecrypt(name string, environ []string, program string, args ...string) ([]byte, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return nil, fmt.Errorf("%q needs the program %s, which is not installed on this machine", name, program)
	}
	cmd := exec.CommandContext(pb.whole, path, args...)
	cmd.Env = environ
	out, err := runSecretly(cmd)
	if late := new(lateError); errors.As(err, &late) {
		return nil, fmt.Errorf("%q: %w", name, err)
	} else if err != nil {
		return nil, fmt.Errorf("%q cannot be decrypted: %w", name, err)
	}
	return out, nil
}

// A lateError says that a program was ended since it took too long.
type lateError struct{ program, words string }

func (e *lateError) Error() string {
	return fmt.Sprintf("%s does not end in %s%s", e.program, decryptTime, saidBy(e.words))
}

// runSecretly runs a program and returns what it prints, all of it or nothing. An error names it as it was called, and gives its words.
func runSecretly(cmd *exec.Cmd) ([]byte, error) {
	program := filepath.Base(cmd.Path)
	cmd.WaitDelay = time.Second
	var out, words bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &words
	late := time.AfterFunc(decryptTime, func() { _ = cmd.Cancel() })
	err := cmd.Run()
	switch {
	case !late.Stop():
		return nil, &lateError{program, words.String()}
	case err != nil:
		return nil, fmt.Errorf("%s: %w%s", program, err, saidBy(words.String()))
	}
	return out.Bytes(), nil
}

// saidBy is what a program has written to its standard error, as a part of an error in one line.
func saidBy(words string) string {
	const longest = 700
	fields := strings.Fields(strings.ToValidUTF8(words, "?"))
	fields = slices.DeleteFunc(fields, func(f string) bool { return f == "|" || f == "-" }) // the frame of sops' errors
	words = strings.TrimRight(strings.Join(fields, " "), ".")
	if words == "" {
		return ""
	}
	if len(words) > longest {
		words = strings.ToValidUTF8(words[:longest], "") + "…"
	}
	return ": " + words
}

// isOpenPGP recognizes an OpenPGP message by its armour or its first packet (RFC 9580, 4.2 and 5): a session key that a public key or
// a passphrase encrypts.
func isOpenPGP(data []byte) bool {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("-----BEGIN PGP MESSAGE-----")) {
		return true
	}
	if len(data) == 0 || data[0]&0x80 == 0 {
		return false
	}
	tag := data[0] & 0x3f // of the new form
	if data[0]&0x40 == 0 {
		tag = data[0] >> 2 & 0x0f
	}
	return tag == 1 || tag == 3
}

// openGPG has gpg decrypt a file: one of gpg's own, or an entry of a store of pass(1).
func (pb *Playbook) openGPG(p *place, name string) ([]byte, error) {
	path, err := p.onDisk(name)
	if err != nil {
		return nil, err
	}
	plain, err := pb.runDecrypt(name, os.Environ(), "gpg", "--quiet", "--no-tty", "--decrypt", "--", path)
	if err != nil && strings.Contains(err.Error(), "Inappropriate ioctl") {
		err = fmt.Errorf("%w; gpg has no terminal to ask on: export GPG_TTY=$(tty), or unlock the key before (gpg --decrypt %s)", err, filepath.Base(name))
	}
	if err == nil && len(plain) == 0 { // gpg 2.2 ends with 0 where the file ends within its first packet
		err = fmt.Errorf("%q cannot be decrypted: gpg gives nothing; is the file whole?", name)
	}
	return plain, err
}
