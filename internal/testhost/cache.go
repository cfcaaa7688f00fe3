package testhost

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const (
	// cacheDir is where lies what takes minutes to make. It outlives the tests.
	cacheDir = "/var/cache/provision-test"
	// cacheLife is how long something that nobody used stays there.
	cacheLife = 7 * 24 * time.Hour
)

// cached returns the path of a directory in the cache, filled by fill if it is not there. Of several processes one fills it and the
// others wait; a directory half filled never has the name.
func cached(ctx context.Context, name string, fill func(work string) error) (dir string, err error) {
	dir = filepath.Join(cacheDir, name)
	unlock, err := lock(ctx, "cache-"+name)
	if err != nil {
		return "", err
	}
	defer unlock()
	now := time.Now()
	if err := os.Chtimes(dir, now, now); err == nil {
		return dir, nil
	}
	work := dir + ".new"
	if err := errors.Join(os.RemoveAll(work), os.MkdirAll(work, 0o755)); err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	if err := fill(work); err != nil {
		return "", fmt.Errorf("making %s: %w", dir, err)
	}
	if err := os.Rename(work, dir); err != nil {
		return "", err
	}
	return dir, expire(now.Add(-cacheLife))
}

// expire removes what nobody has used since then.
func expire(since time.Time) error {
	entries, err := os.ReadDir(cacheDir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.ModTime().Before(since) {
			errs = append(errs, os.RemoveAll(filepath.Join(cacheDir, e.Name())))
		}
	}
	return errors.Join(errs...)
}
