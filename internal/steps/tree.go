package steps

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A Tree is a directory of the control machine as it was when the playbook was loaded, or some of its files. As the content
// of a Stdin it arrives as a tar archive.
type Tree struct {
	Root  string     // absolute
	Files []TreeFile // sorted by path, so that a directory comes before what is in it
}

// A TreeFile is a directory, a regular file or a symbolic link of a tree.
type TreeFile struct {
	Path     string // relative to the root, with slashes
	Type     byte   // one of the constants below
	Size     int64  // of a regular file, in bytes
	SHA256   string // of a regular file that is no secret, in hexadecimal
	Target   string // of a link
	Modified time.Time
	Content  *Text // of a secret, or of a file that is not on the disk; nil: it is read when it travels
}

// The types of files in a tree. Other types do not travel.
const (
	TreeDirectory  = 'd'
	TreeRegular    = 'f'
	TreeExecutable = 'x' // a regular file that its owner may execute
	TreeSecret     = 's' // a regular file for its owner alone, with its Content
	TreeLink       = 'l'
)

// AddParents sorts the files and adds the directories above them that are not there themselves.
func (t *Tree) AddParents() {
	known := map[string]bool{}
	for _, f := range t.Files {
		known[f.Path] = true
	}
	for _, f := range slices.Clone(t.Files) {
		for at := strings.LastIndexByte(f.Path, '/'); at > 0; at = strings.LastIndexByte(f.Path[:at], '/') {
			if parent := f.Path[:at]; !known[parent] {
				known[parent] = true
				t.Files = append(t.Files, TreeFile{Path: parent, Type: TreeDirectory, Modified: f.Modified})
			}
		}
	}
	slices.SortFunc(t.Files, func(a, b TreeFile) int { return strings.Compare(a.Path, b.Path) })
}

// Bytes is the size of all files together.
func (t *Tree) Bytes() int64 {
	var n int64
	for _, f := range t.Files {
		n += f.Size
	}
	return n
}

// Only returns the tree of some of the files, and of the directories that they are in.
func (t *Tree) Only(wanted func(TreeFile) bool) *Tree {
	some := &Tree{Root: t.Root}
	for _, f := range t.Files {
		if wanted(f) {
			some.Files = append(some.Files, f)
		}
	}
	some.AddParents()
	return some
}

func (f *TreeFile) header() *tar.Header {
	h := &tar.Header{Name: f.Path, Mode: f.Mode(), Size: f.Size, ModTime: f.Modified.Truncate(time.Second), Typeflag: tar.TypeReg}
	h.Format = tar.FormatGNU // busybox passes over the long names of PAX
	switch f.Type {
	case TreeDirectory:
		h.Typeflag, h.Name = tar.TypeDir, f.Path+"/"
	case TreeLink:
		h.Typeflag, h.Linkname = tar.TypeSymlink, f.Target
	}
	return h
}

// Mode is the mode that the file gets on the host.
func (f TreeFile) Mode() int64 {
	switch f.Type {
	case TreeDirectory, TreeExecutable:
		return 0o755
	case TreeLink:
		return 0o777
	case TreeSecret:
		return 0o600
	}
	return 0o644
}

// TarSize is the length in bytes of what WriteTar writes.
func (t *Tree) TarSize() (int64, error) {
	var n counter
	for _, f := range t.Files {
		// A writer for each header, since it insists on the content before the next one.
		if err := tar.NewWriter(&n).WriteHeader(f.header()); err != nil {
			return 0, err
		}
		n += counter((f.Size + 511) / 512 * 512)
	}
	return int64(n) + 1024, nil // two empty blocks end an archive
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// WriteTar writes the tree as a tar archive: directories 0755, files 0644 or 0755. A file that is no longer what it was when
// the playbook was loaded is an error.
func (t *Tree) WriteTar(w io.Writer) error {
	archive := tar.NewWriter(w)
	for _, f := range t.Files {
		if err := archive.WriteHeader(f.header()); err != nil {
			return err
		}
		switch {
		case f.Type == TreeDirectory || f.Type == TreeLink:
		case f.Content != nil:
			if _, err := io.WriteString(archive, f.Content.Reveal()); err != nil {
				return err
			}
		default:
			if err := t.copyFile(archive, f); err != nil {
				return err
			}
		}
	}
	return archive.Close()
}

var errChanged = errors.New("changed since the playbook was read; run again")

func (t *Tree) copyFile(w io.Writer, f TreeFile) error {
	file, err := os.Open(filepath.Join(t.Root, filepath.FromSlash(f.Path)))
	if err != nil {
		return err
	}
	defer file.Close()
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, h), io.LimitReader(file, f.Size))
	if err != nil {
		return fmt.Errorf("%s: %w", f.Path, err)
	}
	if n != f.Size || hex.EncodeToString(h.Sum(nil)) != f.SHA256 {
		return fmt.Errorf("%s: %w", f.Path, errChanged)
	}
	return nil
}
