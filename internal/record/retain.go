package record

import (
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// removedPrefix marks a run that is being removed, so that the next run goes on with it after a crash.
const removedPrefix = ".removed-"

// retain removes the oldest runs until the rest is what the options let stay: the shards of a large fleet may have one
// directory in common, so that it is not their number alone. It touches only directories that hold the events of a run,
// never the current run, and none that still goes on.
func retain(root string, o Options, current string) {
	keep, bytes, young := o.Keep, o.KeepBytes, time.Now().Add(-o.KeepFor)
	type run struct {
		name string
		last time.Time
		size int64
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return
	}
	var runs []run
	for _, entry := range entries {
		dir := filepath.Join(root, entry.Name())
		switch {
		case !entry.IsDir():
			continue
		case strings.HasPrefix(entry.Name(), removedPrefix):
			// What cannot be removed now is tried again by the next run.
			_ = os.RemoveAll(dir)
			continue
		case entry.Name() == current:
			bytes -= dirSize(dir)
			keep--
			continue
		}
		if info, err := os.Lstat(filepath.Join(dir, eventsFile)); err == nil && info.Mode().IsRegular() {
			runs = append(runs, run{entry.Name(), info.ModTime(), dirSize(dir)})
		}
	}
	sort.Slice(runs, func(i, j int) bool { return runs[i].last.After(runs[j].last) })
	for _, r := range runs {
		keep--
		bytes -= r.size
		dir := filepath.Join(root, r.name)
		if (keep >= 0 || r.last.After(young)) && bytes >= 0 || goesOn(dir) {
			continue
		}
		// First out of the way, so that no half of a run is ever taken for one.
		gone := filepath.Join(root, removedPrefix+r.name)
		if os.Rename(dir, gone) == nil {
			_ = os.RemoveAll(gone)
			bytes += r.size
		}
	}
}

// dirSize is what the files of a run take.
func dirSize(dir string) int64 {
	var n int64
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil // what cannot be seen counts as nothing
		}
		if info, err := d.Info(); err == nil {
			n += info.Size()
		}
		return nil
	})
	return n
}

// goesOn tells whether the run in a directory is still going on: its process holds the lock of the events.
func goesOn(dir string) bool {
	lock := flock.New(filepath.Join(dir, eventsFile), flock.SetFlag(os.O_RDONLY))
	free, err := lock.TryRLock()
	if free {
		_ = lock.Close()
	}
	return err == nil && !free
}
