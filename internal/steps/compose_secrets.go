package steps

import (
	"fmt"
	"path/filepath"
	"slices"
)

// withSecrets returns a tree that was read from the disk with some of its regular files as secrets.
func withSecrets(d *Disk, t *Tree, secret func(path string) bool) (*Tree, error) {
	hiding := &Tree{Root: t.Root, Files: slices.Clone(t.Files)}
	for i, f := range t.Files {
		if f.Type != TreeRegular && f.Type != TreeExecutable || !secret(f.Path) {
			continue
		}
		text, err := d.Text(filepath.Join(t.Root, filepath.FromSlash(f.Path)))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Path, err)
		}
		d.AddSecret(text)
		for _, value := range secretValues(text) {
			d.AddSecret(value)
		}
		content := Secret(text)
		hiding.Files[i] = TreeFile{Path: f.Path, Type: TreeSecret, Size: int64(len(text)), Modified: f.Modified, Content: &content}
	}
	return hiding, nil
}
