package steps

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/moby/patternmatcher"
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

// treeLimit is how many files a tree may have: a probe names each of them.
const treeLimit = 20000

// tree reads a directory tree, without what matches the patterns of a .dockerignore, save for the paths in keep and what is below them.
func (d *Disk) tree(root string, patterns, keep []string) (*Tree, error) {
	return once(d, d.trees, fmt.Sprintf("%q %q %q", root, patterns, keep), func() (*Tree, error) {
		matcher, err := patternmatcher.New(patterns)
		if err != nil {
			return nil, fmt.Errorf("the patterns are wrong: %w", err)
		}
		real, err := filepath.EvalSymlinks(root)
		if err != nil {
			return nil, localError(err)
		}
		t := &Tree{Root: real}
		err = filepath.WalkDir(real, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return fmt.Errorf("%s: %w", path, localError(err))
			}
			if path == real || d.ctx.Err() != nil {
				return d.ctx.Err()
			}
			rel, err := filepath.Rel(real, path)
			if err != nil {
				return err
			}
			return t.add(filepath.ToSlash(rel), entry, matcher, keep)
		})
		if err != nil {
			return nil, err
		}
		t.withParents()
		return t, nil
	})
}

func (t *Tree) add(rel string, entry fs.DirEntry, matcher *patternmatcher.PatternMatcher, keep []string) error {
	ignored, err := matcher.MatchesOrParentMatches(rel)
	if err != nil {
		return err
	}
	kept := slices.ContainsFunc(keep, func(k string) bool { return rel == k || strings.HasPrefix(rel, k+"/") })
	if ignored && !kept {
		if !entry.IsDir() || matcher.Exclusions() {
			return nil // a pattern with ! may take back what is below
		}
		for _, k := range keep {
			if strings.HasPrefix(k, rel+"/") {
				return nil
			}
		}
		return fs.SkipDir
	}
	if !utf8.ValidString(rel) || noControl(rel) != nil || strings.Contains(rel, `\`) {
		return fmt.Errorf("the name %q holds characters that do not travel safely; rename the file, or exclude it", rel)
	}
	if len(t.Files) >= treeLimit {
		return fmt.Errorf("there are more than %d files; exclude some, or pack them into an archive", treeLimit)
	}
	info, err := entry.Info()
	if err != nil {
		return localError(err)
	}
	f := TreeFile{Path: rel, Modified: info.ModTime()}
	switch {
	case info.IsDir():
		f.Type = TreeDirectory
	case info.Mode()&fs.ModeSymlink != 0:
		f.Type = TreeLink
		if f.Target, err = os.Readlink(filepath.Join(t.Root, rel)); err != nil {
			return localError(err)
		}
		if noControl(f.Target) != nil {
			return fmt.Errorf("the link %s leads to a name with control characters; remove it, or exclude it", rel)
		}
	case info.Mode().IsRegular():
		f.Type = TreeRegular
		if info.Mode()&0o100 != 0 {
			f.Type = TreeExecutable
		}
		if f.Size, f.SHA256, err = sumFile(filepath.Join(t.Root, rel)); err != nil {
			return fmt.Errorf("%s: %w", rel, localError(err))
		}
	default:
		return nil // a socket or a pipe belongs to a process of this machine
	}
	t.Files = append(t.Files, f)
	return nil
}

// withParents sorts the files and adds directories that were ignored themselves, but hold something that was not.
func (t *Tree) withParents() {
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

func sumFile(name string) (int64, string, error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return n, hex.EncodeToString(h.Sum(nil)), err
}

// withSecrets returns the tree with some of its regular files as secrets.
func (d *Disk) withSecrets(t *Tree, secret func(path string) bool) (*Tree, error) {
	hiding := &Tree{Root: t.Root, Files: slices.Clone(t.Files)}
	for i, f := range t.Files {
		if f.Type != TreeRegular && f.Type != TreeExecutable || !secret(f.Path) {
			continue
		}
		text, err := d.text(filepath.Join(t.Root, filepath.FromSlash(f.Path)))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Path, err)
		}
		d.note(text)
		for _, value := range secretValues(text) {
			d.note(value)
		}
		content := Secret(text)
		hiding.Files[i] = TreeFile{Path: f.Path, Type: TreeSecret, Size: int64(len(text)), Modified: f.Modified, Content: &content}
	}
	return hiding, nil
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
	some.withParents()
	return some
}

func (f *TreeFile) header() *tar.Header {
	h := &tar.Header{Name: f.Path, Mode: f.mode(), Size: f.Size, ModTime: f.Modified.Truncate(time.Second), Typeflag: tar.TypeReg}
	h.Format = tar.FormatGNU // busybox passes over the long names of PAX
	switch f.Type {
	case TreeDirectory:
		h.Typeflag, h.Name = tar.TypeDir, f.Path+"/"
	case TreeLink:
		h.Typeflag, h.Linkname = tar.TypeSymlink, f.Target
	}
	return h
}

// mode is the mode that the file gets on the host.
func (f TreeFile) mode() int64 {
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
