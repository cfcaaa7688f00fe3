package record

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
)

// The files of a run that are not the log of a host.
const (
	eventsFile  = "events.jsonl"
	summaryFile = "summary.json"
)

// logFiles are files to append to, of which a bounded number is open at a time.
type logFiles struct {
	max    int
	open   []*logFile // the least recently used first
	create func(path string) (io.WriteCloser, error)
}

func newLogFiles(max int) *logFiles { return &logFiles{max: max, create: createLogFile} }

// A logFile is opened when something is written to it, and again if it was closed meanwhile.
type logFile struct {
	files *logFiles
	path  string
	keep  bool // open until the end
	f     io.WriteCloser
	w     *bufio.Writer
}

func (l *logFiles) file(path string) *logFile { return &logFile{files: l, path: path} }

// pinned is a file that others never cost its place.
func (l *logFiles) pinned(path string) *logFile { return &logFile{files: l, path: path, keep: true} }

func (f *logFile) write(p []byte) error {
	if err := f.use(); err != nil {
		return err
	}
	_, err := f.w.Write(p)
	return err
}

func (f *logFile) flush() error {
	if f.w == nil && !f.keep {
		return nil
	}
	if err := f.use(); err != nil {
		return err
	}
	return f.w.Flush()
}

// use opens the file, and makes it the most recently used one.
func (f *logFile) use() error {
	l := f.files
	if f.w == nil {
		out, err := l.create(f.path)
		if err != nil {
			return err
		}
		f.f, f.w = out, bufio.NewWriterSize(out, 16<<10)
	} else {
		l.drop(f)
	}
	l.open = append(l.open, f)
	for i := 0; len(l.open) > l.max && i < len(l.open)-1; i++ {
		if !l.open[i].keep {
			return l.open[i].close()
		}
	}
	return nil
}

func (l *logFiles) drop(f *logFile) {
	for i := range l.open {
		if l.open[i] == f {
			l.open = append(l.open[:i], l.open[i+1:]...)
			return
		}
	}
}

// close closes the file if it is open.
func (f *logFile) close() error {
	if f.w == nil {
		return nil
	}
	err := errors.Join(f.w.Flush(), f.f.Close())
	f.f, f.w = nil, nil
	f.files.drop(f)
	return err
}

// close closes all files.
func (l *logFiles) close() error {
	var err error
	for len(l.open) > 0 {
		err = errors.Join(err, l.open[0].close())
	}
	return err
}

// createLogFile opens a file to append to. A link that somebody put there is not followed out of the directory.
func createLogFile(path string) (io.WriteCloser, error) {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file; move it away", path)
	}
	return os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
}
