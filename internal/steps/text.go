package steps

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"unicode/utf8"
)

const hidden = "(sensitive)"

// A Text is a string that may be secret. Its value comes out through Reveal only: String,
// every fmt verb and JSON show "(sensitive)" for a secret.
type Text struct {
	value     string
	sensitive bool
}

// Plain returns a text that may be shown.
func Plain(s string) Text { return Text{value: s} }

// Secret returns a text that is never shown.
func Secret(s string) Text { return Text{value: s, sensitive: true} }

// Reveal returns the value, for the operations and nothing else.
func (t Text) Reveal() string { return t.value }

// Sensitive tells whether the text is a secret.
func (t Text) Sensitive() bool { return t.sensitive }

// String returns the value, or "(sensitive)".
func (t Text) String() string {
	if t.sensitive {
		return hidden
	}
	return t.value
}

// Format keeps %v, %q, %#v and %x from seeing a secret.
func (t Text) Format(s fmt.State, verb rune) {
	format := fmt.FormatString(s, verb)
	if verb == 'v' {
		format = "%s"
	}
	if _, err := fmt.Fprintf(s, format, t.String()); err != nil {
		_, _ = io.WriteString(s, hidden)
	}
}

// MarshalText implements encoding.TextMarshaler, and through it JSON.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// Sum returns what a probe prints for a file with this content: the SHA-256, salted with the
// run's salt where the text is secret (shell functions sum_of and salted_sum_of).
func (t Text) Sum(f *Facts) string {
	content := t.value
	if t.sensitive {
		content = f.Salt + content
	}
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

// A Local is a regular file on the control machine, found readable when the playbook was
// loaded. Its content travels by content address, so that an unchanged file costs nothing.
type Local struct {
	Path   string // absolute
	Size   int64  // bytes
	SHA256 string // hexadecimal

	// Preview is the content for the diff that a person sees: nil if it is no UTF-8 text, holds
	// a NUL byte, or is larger than PreviewLimit.
	Preview []byte
}

// ReadLocal returns the local file with a name, whose content r reads.
func ReadLocal(name string, r io.Reader) (*Local, error) {
	sum := sha256.New()
	preview, err := io.ReadAll(io.TeeReader(io.LimitReader(r, PreviewLimit+1), sum))
	if err != nil {
		return nil, err
	}
	rest, err := io.Copy(sum, r)
	if err != nil {
		return nil, err
	}
	l := &Local{Path: name, Size: int64(len(preview)) + rest, SHA256: hex.EncodeToString(sum.Sum(nil))}
	if len(preview) <= PreviewLimit && utf8.Valid(preview) && !bytes.Contains(preview, []byte{0}) {
		l.Preview = preview
	}
	return l, nil
}

// Read returns the content, which is an error if it is no longer what it was when the playbook was loaded.
func (l *Local) Read() ([]byte, error) {
	if l.Preview != nil {
		return l.Preview, nil
	}
	content, err := os.ReadFile(l.Path)
	if err != nil {
		return nil, LocalError(err)
	}
	if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != l.SHA256 {
		return nil, errChanged
	}
	return content, nil
}

// CopyTo writes the content, with the same error.
func (l *Local) CopyTo(w io.Writer) error {
	file, err := os.Open(l.Path)
	if err != nil {
		return LocalError(err)
	}
	defer file.Close()
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, h), io.LimitReader(file, l.Size))
	if err != nil {
		return err
	}
	if more, _ := file.Read(make([]byte, 1)); n != l.Size || more > 0 || hex.EncodeToString(h.Sum(nil)) != l.SHA256 {
		return errChanged
	}
	return nil
}

// PreviewLimit is the size in bytes up to which contents are shown as diffs. The shell
// function detail has the same limit.
const PreviewLimit = 256 << 10

// A Content is what a Put writes or a Run reads: a text, a local file, or for a Run a local tree as a tar archive.
type Content struct {
	Text  Text
	Local *Local // wins over Text if it is set
	Tree  *Tree  // wins over both; never in a Put
}

// Sum returns the SHA-256 of the content, salted if it is secret.
func (c Content) Sum(f *Facts) string {
	if c.Local != nil {
		return c.Local.SHA256
	}
	return c.Text.Sum(f)
}

// A Variable is one variable of the environment of an operation.
type Variable struct {
	Name  string
	Value Text
}
