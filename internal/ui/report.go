package ui

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/google/renameio/v2"

	"provision/internal/event"
)

// A ReportFormat is what a report is written as.
type ReportFormat int

// The formats.
const (
	ReportHTML  ReportFormat = iota // one self-contained page for people
	ReportJUnit                     // XML for CI servers, in the form that Jenkins reads
)

// A ReportFile is a file that a Report writes.
type ReportFile struct {
	Path   string
	Format ReportFormat
}

// A Report is a Sink that keeps what a run came to, and writes it as files when it is told to. What it keeps is bounded for each step, and equal plans of many hosts are kept once.
type Report struct {
	files []ReportFile

	mu  sync.Mutex
	run *reported
}

// NewReport returns a Report for files that do not have to exist. It fails if one of them could not be written, so that
// nobody learns of it after the run.
func NewReport(files ...ReportFile) (*Report, error) {
	r := &Report{run: newReported()}
	seen := map[string]bool{}
	for _, f := range files {
		path, err := writable(f.Path)
		if err != nil {
			return nil, fmt.Errorf("the report cannot be written: %w", err)
		}
		if seen[path] {
			return nil, fmt.Errorf("two reports cannot both be %s: name another file for one of them", f.Path)
		}
		seen[path] = true
		r.files = append(r.files, ReportFile{Path: path, Format: f.Format})
	}
	return r, nil
}

// writable returns the path of a file after links, and whether it can be made or replaced.
func writable(path string) (string, error) {
	if path == "" {
		return "", errors.New("its path is empty; name a file")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	switch target, err := filepath.EvalSymlinks(path); {
	case err == nil:
		path = target // the link stays, and what it leads to is replaced
	case !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	switch info, err := os.Stat(path); {
	case err == nil && info.IsDir():
		return "", fmt.Errorf("%s is a directory; name a file in it", path)
	case err == nil && !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is no regular file; name one", path)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	dir := filepath.Dir(path)
	trial, err := os.CreateTemp(dir, ".report-*")
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("there is no directory %s; make it first", dir)
	}
	if err != nil {
		return "", err
	}
	return path, errors.Join(trial.Close(), os.Remove(trial.Name()))
}

// Event implements engine.Sink.
func (r *Report) Event(e event.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.run.event(e)
}

// Write writes the files, each at once or not at all, with what is known by now: a run that was cut off has a report
// that says so. It may be called again after further events.
func (r *Report) Write() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, f := range r.files {
		var page bytes.Buffer
		if err := r.run.render(&page, f.Format); err != nil {
			errs = append(errs, err)
			continue
		}
		if err := renameio.WriteFile(f.Path, page.Bytes(), 0o644, renameio.WithTempDir(filepath.Dir(f.Path))); err != nil {
			errs = append(errs, fmt.Errorf("the report cannot be written: %w", err))
		}
	}
	return errors.Join(errs...)
}

func (r *reported) render(w io.Writer, format ReportFormat) error {
	if format == ReportJUnit {
		return r.junit(w)
	}
	return r.html(w)
}
