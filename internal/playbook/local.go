package playbook

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"provision/internal/steps"
)

// maxText bounds a local file that is read as text, in bytes: a text lives in memory and in
// the program. Larger files travel through the source argument of a step.
const maxText = 16 << 20

// A place is a directory that holds a module: on disk, or shipped inside the program.
type place struct {
	shown string // how its file names begin in diagnostics: "", "site/", "provision/python/"
	dir   string // absolute; of a shipped module, "provision/NAME"
	fsys  fs.FS  // of a shipped module; nil on disk
}

// resolve makes a path absolute, relative to the place. For a path inside a shipped module it
// returns the path within it instead.
func (p *place) resolve(name string) (abs, inside string) {
	if strings.HasPrefix(name, "~/") {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, name[2:]), ""
		}
	}
	if filepath.IsAbs(name) {
		return filepath.Clean(name), ""
	}
	if p.fsys != nil {
		return "", path.Clean(strings.TrimPrefix(filepath.ToSlash(name), p.dir+"/"))
	}
	return filepath.Join(p.dir, name), ""
}

// showing is the name under which diagnostics show a file of the place.
func (p *place) showing(name string) string {
	if abs, inside := p.resolve(name); inside != "" {
		return p.shown + inside
	} else if rel, err := filepath.Rel(p.dir, abs); err == nil && filepath.IsLocal(rel) {
		return p.shown + rel
	}
	return name
}

// localFiles reads the files of the control machine. Each is read once: what a plan showed is
// what is applied, whatever happens to the file in between.
type localFiles struct {
	mu    sync.Mutex
	texts map[string]textFile
	sums  map[string]sumFile
}

type textFile struct {
	data []byte
	err  error
}

type sumFile struct {
	local *steps.Local
	err   error
}

func newLocalFiles() *localFiles {
	return &localFiles{texts: map[string]textFile{}, sums: map[string]sumFile{}}
}

// read returns the content of a file of a place.
func (l *localFiles) read(p *place, name string) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	abs, inside := p.resolve(name)
	key := abs
	if inside != "" {
		key = p.dir + "//" + inside
	}
	if done, ok := l.texts[key]; ok {
		return done.data, done.err
	}
	var done textFile
	if inside != "" {
		done.data, done.err = fs.ReadFile(p.fsys, inside)
	} else {
		done.data, done.err = readRegular(abs)
	}
	if done.err != nil {
		done.err = explain(name, done.err)
	}
	l.texts[key] = done
	return done.data, done.err
}

func readRegular(name string) ([]byte, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, errDirectory
	case !info.Mode().IsRegular():
		return nil, errIrregular
	case info.Size() > maxText:
		return nil, fmt.Errorf("it is larger than %d MiB; upload it with the source argument of a step", maxText>>20)
	}
	return os.ReadFile(name)
}

var (
	errDirectory = errors.New("it is a directory; name a file in it")
	errIrregular = errors.New("it is no regular file")
)

// explain words an error of a local file for a person, without the path of the machine twice.
func explain(name string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no local file %q; paths are relative to the directory of the playbook or module", name)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("the local file %q may not be read; change its permissions", name)
	}
	var inner *fs.PathError
	if errors.As(err, &inner) {
		err = inner.Err
	}
	return fmt.Errorf("the local file %q cannot be read: %w", name, err)
}

// hash returns a regular file with its SHA-256.
func (l *localFiles) hash(p *place, name string) (*steps.Local, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	abs, err := p.onDisk(name)
	if err != nil {
		return nil, explain(name, err)
	}
	if done, ok := l.sums[abs]; ok {
		return done.local, done.err
	}
	var done sumFile
	if done.local, done.err = sumOf(abs); done.err != nil {
		done.err = explain(name, done.err)
	}
	l.sums[abs] = done
	return done.local, done.err
}

func sumOf(name string) (*steps.Local, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, errDirectory
	case !info.Mode().IsRegular():
		return nil, errIrregular
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return steps.ReadLocal(name, f)
}

// directory returns the absolute path of a local directory.
func (l *localFiles) directory(p *place, name string) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	abs, err := p.onDisk(name)
	if err != nil {
		return "", explain(name, err)
	}
	info, err := os.Stat(abs)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("there is no local directory %q; paths are relative to the directory of the playbook or module", name)
	case err != nil:
		return "", explain(name, err)
	case !info.IsDir():
		return "", fmt.Errorf("%q is a file, and a directory is required", name)
	}
	return abs, nil
}
