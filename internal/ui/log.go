package ui

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"provision/internal/engine"
)

// LogOptions are what a Log can be told.
type LogOptions struct {
	MaxOutput int64 // bytes of step output kept of each host; 0 is 16 MiB
	Keep      int   // how many runs stay, this one among them; 0 is 50
}

// A Log is a Sink that keeps a run in a directory of its own, ROOT/ID: events.jsonl, a readable
// HOST.log with all output, and summary.json. The directory is made with the first event, 0700,
// and the files are 0600. Put it behind a Redactor.
type Log struct {
	root string
	o    LogOptions

	mu      sync.Mutex
	dir     string
	events  *logFile
	hosts   map[string]*hostLog
	names   map[string]bool // file names in use
	summary RunSummary
	err     error
	closed  bool
}

type hostLog struct {
	file     *logFile
	verdicts *verdicts
	output   int64 // bytes so far
	full     bool  // the note about output that is left out was written
}

type logFile struct {
	f *os.File
	w *bufio.Writer
}

// NewLog returns a Log for runs under root, usually .provision/runs beside the playbook.
func NewLog(root string, o LogOptions) *Log {
	if o.MaxOutput <= 0 {
		o.MaxOutput = 16 << 20
	}
	if o.Keep <= 0 {
		o.Keep = 50
	}
	return &Log{root: root, o: o, hosts: map[string]*hostLog{}, names: map[string]bool{}}
}

// Dir returns the directory of the run, "" before the first event.
func (l *Log) Dir() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dir
}

// Err returns why the log is incomplete, if it is. A run does not fail because of its log.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Event implements engine.Sink.
func (l *Log) Event(e engine.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil || l.closed {
		return
	}
	l.err = l.write(e)
}

func (l *Log) write(e engine.Event) error {
	if l.dir == "" {
		if err := l.open(e); err != nil {
			return err
		}
	}
	l.summary.add(e)
	h, err := l.host(e.Host)
	if err != nil {
		return err
	}
	if h != nil && e.StepOutput != nil {
		h.output += int64(len(e.StepOutput.Text))
		if h.output > l.o.MaxOutput {
			if h.full {
				return nil
			}
			h.full = true
			note := fmt.Sprintf("[more than %s of output: the rest is not kept]", size(int(l.o.MaxOutput)))
			_, err := fmt.Fprintln(h.file.w, note)
			return err
		}
	}
	if _, err := l.events.w.Write(eventLine(e)); err != nil {
		return err
	}
	if h != nil {
		stamp := e.Time.UTC().Format("15:04:05.000")
		for _, text := range h.verdicts.lines(e) {
			if _, err := fmt.Fprintf(h.file.w, "%s %s\n", stamp, text); err != nil {
				return err
			}
		}
	}
	// Who follows the log sees each event at once; only plans, which come in bulk, may wait.
	if e.PlanStep == nil {
		if h != nil {
			if err := h.file.w.Flush(); err != nil {
				return err
			}
		}
		return l.events.w.Flush()
	}
	return nil
}

func (l *Log) open(e engine.Event) error {
	id := safeName(e.Run)
	if id == "" {
		id = e.Time.UTC().Format("20060102T150405Z")
	}
	if err := os.MkdirAll(l.root, 0o700); err != nil {
		return fmt.Errorf("no log of this run: %w", err)
	}
	l.dir = filepath.Join(l.root, id)
	if err := os.Mkdir(l.dir, 0o700); err != nil && !os.IsExist(err) {
		return fmt.Errorf("no log of this run: %w", err)
	}
	prune(l.root, l.o.Keep, id)
	l.summary = RunSummary{ID: id, Start: e.Time}
	var err error
	l.events, err = newLogFile(filepath.Join(l.dir, "events.jsonl"))
	l.names["events.jsonl"], l.names["summary.json"] = true, true
	return err
}

// newLogFile opens a file to append to: a resumed run goes on in its log. A link that somebody
// put there is not followed out of the directory.
func newLogFile(path string) (*logFile, error) {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("no log of this run: %s is not a file; move it away", path)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("no log of this run: %w", err)
	}
	return &logFile{f: f, w: bufio.NewWriterSize(f, 16<<10)}, nil
}

func (l *Log) host(name string) (*hostLog, error) {
	if name == "" {
		return nil, nil
	}
	if h := l.hosts[name]; h != nil {
		return h, nil
	}
	file := safeName(name)
	for n := 2; file == "" || l.names[strings.ToLower(file)+".log"]; n++ {
		file = fmt.Sprintf("%s~%d", safeName(name), n)
	}
	l.names[strings.ToLower(file)+".log"] = true // some file systems take Web1 for web1
	f, err := newLogFile(filepath.Join(l.dir, file+".log"))
	if err != nil {
		return nil, err
	}
	h := &hostLog{file: f, verdicts: &verdicts{style: Style{Unicode: true}, verbose: true, output: newLineSplitter()}}
	l.hosts[name] = h
	return h, nil
}

// safeName makes a file name of a host's: letters, digits, '.', '_' and '-' stay, and nothing
// begins with a dot. It is "" if nothing is left.
func safeName(name string) string {
	safe := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
			return r
		}
		return '_'
	}, name)
	safe = strings.TrimLeft(safe, ".")
	return safe[:min(len(safe), 100)]
}

// Close writes summary.json and closes the files. A Log without events leaves nothing.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.dir == "" {
		l.closed = true
		return l.err
	}
	l.closed = true
	note := func(err error) {
		if l.err == nil {
			l.err = err
		}
	}
	if l.events != nil {
		note(l.events.close())
	}
	for _, h := range l.hosts {
		note(h.file.close())
	}
	data, err := json.MarshalIndent(l.summary, "", "  ")
	if err != nil {
		panic(err) // a struct of strings and numbers
	}
	note(os.WriteFile(filepath.Join(l.dir, "summary.json"), append(data, '\n'), 0o600))
	return l.err
}

func (f *logFile) close() error {
	err := f.w.Flush()
	if cerr := f.f.Close(); err == nil {
		err = cerr
	}
	return err
}
