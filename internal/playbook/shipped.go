package playbook

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// onDisk returns the absolute path of a local file or directory. One inside a shipped module is written
// into the user's cache first, under the hash of the whole module, since an upload reads files.
func (p *place) onDisk(name string) (string, error) {
	abs, inside := p.resolve(name)
	if inside == "" {
		return abs, nil
	}
	if !fs.ValidPath(inside) {
		return "", fs.ErrNotExist
	}
	if _, err := fs.Stat(p.fsys, inside); err != nil {
		return "", err
	}
	dir, err := p.unpack()
	if err != nil {
		return "", fmt.Errorf("cannot unpack the shipped module: %w", err)
	}
	return filepath.Join(dir, filepath.FromSlash(inside)), nil
}

func (p *place) unpack() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	files := map[string][]byte{}
	err = fs.WalkDir(p.fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(p.fsys, name)
		files[name] = data
		fmt.Fprintf(sum, "%q %d\n%s", name, len(data), data)
		return err
	})
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "provision", "shipped", hex.EncodeToString(sum.Sum(nil))[:32])
	for name, data := range files {
		target := filepath.Join(dir, filepath.FromSlash(name))
		if old, err := os.ReadFile(target); err == nil && string(old) == string(data) {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			return "", err
		}
		if err := renameio.WriteFile(target, data, 0o600); err != nil {
			return "", err
		}
	}
	return dir, nil
}
