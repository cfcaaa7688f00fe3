package kit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/moby/patternmatcher"

	"provision/internal/steps"
)

// treeLimit is how many files a tree may have: a probe names each of them.
const treeLimit = 20000

type treeKey string

// ReadTree reads a directory tree of the control machine, without what matches the patterns of a .dockerignore, save for the paths in keep and what is below them.
func ReadTree(d *steps.Disk, root string, patterns, keep []string) (*steps.Tree, error) {
	return steps.Once(d, treeKey(fmt.Sprintf("%q %q %q", root, patterns, keep)), func(ctx context.Context) (*steps.Tree, error) {
		matcher, err := patternmatcher.New(patterns)
		if err != nil {
			return nil, fmt.Errorf("the patterns are wrong: %w", err)
		}
		return readTree(ctx, root, matcher, keep)
	})
}

// An Ignore tells what does not travel. Exclusions tells whether something may travel of a directory that does not.
type Ignore interface {
	MatchesOrParentMatches(path string) (bool, error)
	Exclusions() bool
	String() string // of two that differ it differs
}

// ReadTreeWithout is like [ReadTree], for what patterns alone cannot tell.
func ReadTreeWithout(d *steps.Disk, root string, ignore Ignore, keep []string) (*steps.Tree, error) {
	return steps.Once(d, treeKey(fmt.Sprintf("%q %q %q", root, ignore.String(), keep)), func(ctx context.Context) (*steps.Tree, error) {
		return readTree(ctx, root, ignore, keep)
	})
}

type matcher interface {
	MatchesOrParentMatches(path string) (bool, error)
	Exclusions() bool
}

func readTree(ctx context.Context, root string, ignore matcher, keep []string) (*steps.Tree, error) {
	real, err := filepath.EvalSymlinks(root)
	if err != nil {
		return nil, steps.LocalError(err)
	}
	t := &steps.Tree{Root: real}
	err = filepath.WalkDir(real, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("%s: %w", path, steps.LocalError(err))
		}
		if path == real || ctx.Err() != nil {
			return ctx.Err()
		}
		rel, err := filepath.Rel(real, path)
		if err != nil {
			return err
		}
		return addToTree(t, filepath.ToSlash(rel), entry, ignore, keep)
	})
	if err != nil {
		return nil, err
	}
	t.AddParents()
	return t, nil
}

func addToTree(t *steps.Tree, rel string, entry fs.DirEntry, matcher matcher, keep []string) error {
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
	if !utf8.ValidString(rel) || NoControl(rel) != nil || strings.Contains(rel, `\`) {
		return fmt.Errorf("the name %q holds characters that do not travel safely; rename the file, or exclude it", rel)
	}
	if len(t.Files) >= treeLimit {
		return fmt.Errorf("there are more than %d files; exclude some, or pack them into an archive", treeLimit)
	}
	info, err := entry.Info()
	if err != nil {
		return steps.LocalError(err)
	}
	f := steps.TreeFile{Path: rel, Modified: info.ModTime()}
	switch {
	case info.IsDir():
		f.Type = steps.TreeDirectory
	case info.Mode()&fs.ModeSymlink != 0:
		f.Type = steps.TreeLink
		if f.Target, err = os.Readlink(filepath.Join(t.Root, rel)); err != nil {
			return steps.LocalError(err)
		}
		if NoControl(f.Target) != nil {
			return fmt.Errorf("the link %s leads to a name with control characters; remove it, or exclude it", rel)
		}
	case info.Mode().IsRegular():
		f.Type = steps.TreeRegular
		if info.Mode()&0o100 != 0 {
			f.Type = steps.TreeExecutable
		}
		if f.Size, f.SHA256, err = sumFile(filepath.Join(t.Root, rel)); err != nil {
			return fmt.Errorf("%s: %w", rel, steps.LocalError(err))
		}
	default:
		return nil // a socket or a pipe belongs to a process of this machine
	}
	t.Files = append(t.Files, f)
	return nil
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
