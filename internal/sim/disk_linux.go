package sim

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// An entry is a file as it lies on the disk of the host.
type entry struct {
	mode     os.FileMode
	uid, gid int
	content  string // or the target of a link
}

// inMemory are the directories that a restart of the host empties.
var inMemory = []string{"run", "dev/shm"}

// offDisk are the directories that are not on its disk.
var offDisk = []string{"usr", "proc", "dev", "run", "sim"}

// synced notes that everything that was written so far is on the disk: file systems that keep their order promise no less.
func (w *World) synced(*Op) { w.disk = w.readDisk() }

func (w *World) readDisk() map[string]entry {
	disk := map[string]entry{}
	w.walk(func(name string, e entry) bool {
		disk[name] = e
		return true
	}, offDisk)
	return disk
}

// walk visits the files of the host, except for those in some directories. What returns false is not entered.
func (w *World) walk(visit func(name string, e entry) bool, except []string) {
	_ = filepath.WalkDir(w.dir, func(full string, d os.DirEntry, err error) error {
		name := strings.TrimPrefix(strings.TrimPrefix(full, strings.TrimSuffix(w.dir, "/")), "/")
		if name == "" {
			return nil
		}
		if slices.Contains(except, name) {
			return filepath.SkipDir
		}
		if err != nil {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		st := info.Sys().(*syscall.Stat_t)
		e := entry{mode: info.Mode(), uid: int(st.Uid), gid: int(st.Gid)}
		switch {
		case info.Mode().IsRegular():
			data, err := os.ReadFile(full)
			if err != nil {
				return nil
			}
			e.content = string(data)
		case info.Mode()&os.ModeSymlink != 0:
			e.content, _ = os.Readlink(full)
		}
		if !visit(name, e) && info.IsDir() {
			return filepath.SkipDir
		}
		return nil
	})
}

// losePower takes back what was not synced to the disk. torn leaves half of what a journal has grown by.
func (w *World) losePower(torn bool) {
	is := w.readDisk()
	var names []string
	for name := range is {
		names = append(names, name)
	}
	slices.Sort(names)
	slices.Reverse(names)
	for _, name := range names {
		was, kept := w.disk[name]
		if kept && was == is[name] {
			continue
		}
		if torn && is[name].mode.IsRegular() && strings.Contains(name, "/journal.") && strings.HasPrefix(is[name].content, was.content) {
			grown := len(is[name].content) - len(was.content)
			w.problem(os.WriteFile(w.root.Path(name), []byte(is[name].content[:len(was.content)+grown/2]), 0o600))
			continue
		}
		if !kept || was.mode.Type() != is[name].mode.Type() {
			w.problem(os.RemoveAll(w.root.Path(name)))
		}
	}
	names = names[:0]
	for name := range w.disk {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		e, path := w.disk[name], w.root.Path(name)
		if e == is[name] {
			continue
		}
		switch {
		case e.mode.IsDir():
			w.problem(os.MkdirAll(path, 0o700))
		case e.mode.IsRegular():
			if torn && strings.Contains(name, "/journal.") {
				continue
			}
			w.problem(os.WriteFile(path, []byte(e.content), 0o600))
		case e.mode&os.ModeSymlink != 0:
			_ = os.Remove(path)
			w.problem(os.Symlink(e.content, path))
			continue
		default:
			continue
		}
		w.problem(os.Lchown(path, e.uid, e.gid))
		w.problem(os.Chmod(path, e.mode.Perm()|e.mode&(os.ModeSetuid|os.ModeSetgid|os.ModeSticky)))
	}
}

// restart is a restart of the host: everything that runs ends, and what is in memory is gone. With lost also what was not synced is.
func (w *World) restart(lost, torn bool) {
	w.killAll()
	if lost {
		w.losePower(torn)
	}
	for _, dir := range inMemory {
		entries, _ := os.ReadDir(w.root.Path(dir))
		for _, e := range entries {
			w.problem(os.RemoveAll(filepath.Join(w.root.Path(dir), e.Name())))
		}
	}
	w.synced(nil)
	w.startClock()
}
