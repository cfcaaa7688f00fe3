package container

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
)

// A record is a directory that says that a container exists and whose it is. The process that started the container holds a lock in
// it, which the kernel takes away when that process ends in whatever way: what is not locked is a left-over. That needs no process
// numbers, which are used again and differ between namespaces, and works on every Unix.
type record struct {
	dir  string
	lock *flock.Flock
}

const (
	lockFile   = "lock"
	engineFile = "engine" // the id of the engine that has the container
	newPrefix  = ".new-"  // of a record that is being made
)

func newRecord(dir, name, engineID string) (*record, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	// Locked before it has its name: nobody finds it without its owner.
	making := filepath.Join(dir, newPrefix+name)
	if err := os.Mkdir(making, 0o700); err != nil {
		return nil, err
	}
	lock := flock.New(filepath.Join(making, lockFile))
	locked, err := lock.TryLock()
	if err == nil && !locked {
		err = errors.New("it is locked already")
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(making, engineFile), []byte(engineID), 0o600)
	}
	r := &record{filepath.Join(dir, name), lock}
	if err == nil {
		err = os.Rename(making, r.dir)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make the record of a container: %w", err), lock.Close(), os.RemoveAll(making))
	}
	return r, nil
}

// drop removes the record: the container is gone, or the user's.
func (r *record) drop() error { return errors.Join(os.RemoveAll(r.dir), r.lock.Close()) }

// release leaves the container to the next run.
func (r *record) release() error { return r.lock.Close() }

// sweep removes the containers of processes that ended without doing so. Those of another engine stay for a run that uses it.
func sweep(ctx context.Context, e engine, dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := sweepOne(ctx, e, filepath.Join(dir, entry.Name())); err != nil {
			return fmt.Errorf("remove what an earlier run left (%s): %w", entry.Name(), err)
		}
	}
	return nil
}

func sweepOne(ctx context.Context, e engine, dir string) error {
	r := &record{dir, flock.New(filepath.Join(dir, lockFile), flock.SetFlag(os.O_RDWR))}
	locked, err := r.lock.TryLock()
	if errors.Is(err, os.ErrNotExist) {
		return nil // gone meanwhile, or not locked yet
	}
	if err != nil || !locked {
		return err
	}
	id, err := os.ReadFile(filepath.Join(dir, engineFile))
	name := filepath.Base(dir)
	switch {
	case strings.HasPrefix(name, newPrefix):
		return r.drop() // its container was never started
	case err != nil || string(id) != e.id:
		return errors.Join(err, r.release())
	}
	if err := e.remove(ctx, name); err != nil {
		return errors.Join(err, r.release())
	}
	return r.drop()
}
