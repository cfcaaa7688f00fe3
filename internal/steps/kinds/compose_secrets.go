package kinds

import (
	"fmt"
	"path/filepath"
	"slices"

	"provision/internal/steps"
)

// withSecrets returns a tree that was read from the disk with some of its regular files as secrets.
func withSecrets(d *steps.Disk, t *steps.Tree, secret func(path string) bool) (*steps.Tree, error) {
	hiding := &steps.Tree{Root: t.Root, Files: slices.Clone(t.Files)}
	for i, f := range t.Files {
		if f.Type != steps.TreeRegular && f.Type != steps.TreeExecutable || !secret(f.Path) {
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
		content := steps.Secret(text)
		hiding.Files[i] = steps.TreeFile{Path: f.Path, Type: steps.TreeSecret, Size: int64(len(text)), Modified: f.Modified, Content: &content}
	}
	return hiding, nil
}
