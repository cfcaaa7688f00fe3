package steps

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
)

// A Loader is a Step that has to see more of the control machine than the content of an argument: a directory tree, what
// is in an archive, a compose file. The playbook calls Load once every argument is set, before Validate.
type Loader interface {
	Load(*Disk) []Problem
}

// A Disk is the control machine's disk, read-only. What was read once stays as it was, however many hosts share a playbook:
// what a plan showed is what is applied. It may be used by several goroutines.
type Disk struct {
	ctx      context.Context // ends what takes long
	mu       sync.Mutex
	secrets  []string
	texts    map[string]kept[string]
	trees    map[string]kept[*Tree]
	images   map[string]kept[*imageArchive]
	projects map[string]kept[*composeProject]
}

type kept[T any] struct {
	value T
	err   error
}

// NewDisk returns a disk of which nothing was read yet. ctx ends the reading of large trees.
func NewDisk(ctx context.Context) *Disk {
	return &Disk{ctx: ctx, texts: map[string]kept[string]{}, trees: map[string]kept[*Tree]{}, images: map[string]kept[*imageArchive]{}, projects: map[string]kept[*composeProject]{}}
}

// Secrets returns the contents of files that are secret by what they are for. More may come with each Load.
func (d *Disk) Secrets() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.secrets)
}

// note remembers a secret.
func (d *Disk) note(secret string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Contains(d.secrets, secret) {
		d.secrets = append(d.secrets, secret)
	}
}

// once reads something, or returns what was read before.
func once[T any](d *Disk, m map[string]kept[T], key string, read func() (T, error)) (T, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if k, ok := m[key]; ok {
		return k.value, k.err
	}
	var k kept[T]
	k.value, k.err = read()
	m[key] = k
	return k.value, k.err
}

// textLimit is the size in bytes up to which a local file is read as text.
const textLimit = 1 << 20

// text returns the content of a small local file.
func (d *Disk) text(path string) (string, error) {
	return once(d, d.texts, path, func() (string, error) {
		info, err := os.Stat(path)
		if err != nil {
			return "", localError(err)
		}
		if info.Size() > textLimit {
			return "", fmt.Errorf("it is larger than %d MiB", textLimit>>20)
		}
		content, err := os.ReadFile(path)
		return string(content), localError(err)
	})
}

// localError words an error of the control machine without its path, which the reader of a diagnostic has before his eyes.
func localError(err error) error {
	var inner *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("there is no such file on this machine")
	case errors.Is(err, fs.ErrPermission):
		return errors.New("it may not be read; change its permissions")
	case errors.As(err, &inner):
		return inner.Err
	}
	return err
}
