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
	ctx     context.Context // ends what takes long
	mu      sync.Mutex
	secrets []string
	kept    map[any]any // the result of once by its key: kept[T] for a reader of T
}

type kept[T any] struct {
	value T
	err   error
}

// NewDisk returns a disk of which nothing was read yet. ctx ends the reading of large trees.
func NewDisk(ctx context.Context) *Disk {
	return &Disk{ctx: ctx, kept: map[any]any{}}
}

// Secrets returns the contents of files that are secret by what they are for. More may come with each Load.
func (d *Disk) Secrets() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.secrets)
}

// AddSecret remembers a secret, so that it is hidden from every output.
func (d *Disk) AddSecret(secret string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Contains(d.secrets, secret) {
		d.secrets = append(d.secrets, secret)
	}
}

// Once reads something, or returns what was read before under an equal key, or the error of that. A key is of a type of its
// reader, which no other uses. The context of read ends what takes long.
func Once[T any, K comparable](d *Disk, key K, read func(context.Context) (T, error)) (T, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if k, ok := d.kept[key].(kept[T]); ok {
		return k.value, k.err
	}
	var k kept[T]
	k.value, k.err = read(d.ctx)
	d.kept[key] = k
	return k.value, k.err
}

// textLimit is the size in bytes up to which a local file is read as text.
const textLimit = 1 << 20

type textKey string

// Text returns the content of a local file of at most 1 MiB, as bytes. path is absolute; the error does not repeat it.
func (d *Disk) Text(path string) (string, error) {
	return Once(d, textKey(path), func(context.Context) (string, error) {
		info, err := os.Stat(path)
		if err != nil {
			return "", LocalError(err)
		}
		if info.Size() > textLimit {
			return "", fmt.Errorf("it is larger than %d MiB", textLimit>>20)
		}
		content, err := os.ReadFile(path)
		return string(content), LocalError(err)
	})
}

// LocalError words an error of the control machine without its path, which the reader of a diagnostic has before his eyes.
func LocalError(err error) error {
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
