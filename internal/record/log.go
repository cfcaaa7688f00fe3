package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"provision/internal/event"
)

// Options are what a Log can be told.
type Options struct {
	Lines     func() func(e event.Event) []string // makes what renders the events of one host for its log; nil: hosts have none
	MaxOutput int64                               // bytes of step output kept of each host; 0 is 16 MiB
	MaxTotal  int64                               // bytes of step output kept of all hosts; 0 is 512 MiB
	Keep      int                                 // how many runs stay, this one among them; 0 is 50
	KeepFor   time.Duration                       // younger ones stay however many they are; 0 is a day
	KeepBytes int64                               // how much all runs may take together; 0 is 1 GiB
}

// maxOpenLogs is how many host logs are open at a time: with hundreds of hosts, descriptors are for connections.
const maxOpenLogs = 64

// A Log is a Sink that keeps a run in a directory of its own, ROOT/ID: events.jsonl, a readable
// HOST.log with all output, and summary.json. The directory is made with the first event, 0700,
// and the files are 0600. While the run goes on, events.jsonl is locked.
type Log struct {
	root string
	o    Options

	mu      sync.Mutex
	dir     string
	alive   *flock.Flock // nil where files cannot be locked
	files   *logFiles
	events  *logFile
	hosts   map[string]*hostLog
	names   map[string]bool // file names in use
	output  int64           // bytes of step output so far
	summary Run
	err     error
	closed  bool
}

type hostLog struct {
	file   *logFile
	lines  func(e event.Event) []string
	output int64 // bytes so far
	full   bool  // that output is left out was told
}

// NewLog returns a Log for runs under root, usually .provision/runs beside the playbook.
func NewLog(root string, o Options) *Log {
	if o.MaxOutput <= 0 {
		o.MaxOutput = 16 << 20
	}
	if o.MaxTotal <= 0 {
		o.MaxTotal = 512 << 20
	}
	if o.Keep <= 0 {
		o.Keep = 50
	}
	if o.KeepFor <= 0 {
		o.KeepFor = 24 * time.Hour
	}
	if o.KeepBytes <= 0 {
		o.KeepBytes = 1 << 30
	}
	return &Log{root: root, o: o, files: newLogFiles(maxOpenLogs), hosts: map[string]*hostLog{}, names: map[string]bool{}}
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
func (l *Log) Event(e event.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil || l.closed {
		return
	}
	l.err = l.write(e)
}

func (l *Log) write(e event.Event) error {
	if l.dir == "" {
		if err := l.open(e); err != nil {
			return fmt.Errorf("no log of this run: %w", err)
		}
	}
	l.summary.add(e)
	h := l.host(e.Host)
	if h != nil && e.StepOutput != nil {
		n := int64(len(e.StepOutput.Text))
		if h.full || h.output+n > l.o.MaxOutput || l.output+n > l.o.MaxTotal {
			if h.full {
				return nil
			}
			h.full = true
			e = l.cutOff(e, h)
		}
		h.output += n
		l.output += n
	}
	if err := l.events.write(e.Line()); err != nil {
		return err
	}
	if h != nil {
		for _, text := range h.lines(e) {
			if err := h.file.write([]byte(HostLine(e, text))); err != nil {
				return err
			}
		}
	}
	if e.HostEnd != nil && h != nil {
		if err := h.file.close(); err != nil {
			return err
		}
	}
	// Who follows the log sees each event at once; only plans, which come in bulk, may wait.
	if e.PlanStep != nil {
		return nil
	}
	if h != nil {
		if err := h.file.flush(); err != nil {
			return err
		}
	}
	return l.events.flush()
}

// cutOff is the event that stands for output from which on none is kept.
func (l *Log) cutOff(e event.Event, h *hostLog) event.Event {
	why := "more than " + limitText(l.o.MaxOutput) + " of output"
	if h.output+int64(len(e.StepOutput.Text)) <= l.o.MaxOutput {
		why = "more than " + limitText(l.o.MaxTotal) + " of output on all hosts"
	}
	left := &event.Warning{Addr: e.StepOutput.Addr, Message: why + ": the rest of this host is not kept"}
	return event.Event{Time: e.Time, Run: e.Run, Host: e.Host}.With(left)
}

// limitText shows a number of bytes.
func limitText(n int64) string {
	if n%(1<<20) == 0 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d bytes", n)
}

// HostLine is a line of a host's log.
func HostLine(e event.Event, text string) string {
	return e.Time.UTC().Format("15:04:05.000") + " " + text + "\n"
}

func (l *Log) open(e event.Event) error {
	id := safeName(e.Run)
	if id == "" {
		id = e.Time.UTC().Format("20060102T150405Z")
	}
	if err := os.MkdirAll(l.root, 0o700); err != nil {
		return err
	}
	if err := ignore(l.root); err != nil {
		return err
	}
	dir := filepath.Join(l.root, id)
	err := os.Mkdir(dir, 0o700)
	// Two runs that began in the same second may have the same ID.
	for n := 2; errors.Is(err, fs.ErrExist) && n < 100; n++ {
		dir = filepath.Join(l.root, fmt.Sprintf("%s-%d", id, n))
		err = os.Mkdir(dir, 0o700)
	}
	if err != nil {
		return err
	}
	l.dir = dir
	l.summary = Run{ID: filepath.Base(dir), Start: e.Time}
	events := filepath.Join(dir, eventsFile)
	l.names[eventsFile], l.names[summaryFile] = true, true
	l.events = l.files.pinned(events)
	if err := l.events.flush(); err != nil {
		return err
	}
	l.alive = flock.New(events, flock.SetFlag(os.O_RDWR), flock.SetPermissions(0o600))
	if err := l.alive.Lock(); err != nil {
		l.alive = nil // some network file systems have no locks; then nobody can tell that this run goes on
	}
	return nil
}

// ignore keeps git away from a .provision directory: who commits everything does not mean the runs.
func ignore(root string) error {
	dir := filepath.Dir(root)
	if filepath.Base(dir) != ".provision" {
		return nil
	}
	f, err := os.OpenFile(filepath.Join(dir, ".gitignore"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString("*\n")
	return errors.Join(err, f.Close())
}

func (l *Log) host(name string) *hostLog {
	if name == "" || l.o.Lines == nil {
		return nil
	}
	if h := l.hosts[name]; h != nil {
		return h
	}
	file := safeName(name)
	for n := 2; file == "" || l.names[strings.ToLower(file)+".log"]; n++ {
		file = fmt.Sprintf("%s~%d", safeName(name), n)
	}
	l.names[strings.ToLower(file)+".log"] = true // some file systems take Web1 for web1
	h := &hostLog{file: l.files.file(filepath.Join(l.dir, file+".log")), lines: l.o.Lines()}
	l.hosts[name] = h
	return h
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

// Close writes summary.json, closes the files, and removes the oldest runs that are too many. A Log without events
// leaves nothing.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.dir == "" {
		l.closed = true
		return l.err
	}
	l.closed = true
	err := l.files.close()
	data, merr := json.MarshalIndent(l.summary, "", "  ")
	if merr != nil {
		panic(merr) // a struct of strings and numbers
	}
	err = errors.Join(err, os.WriteFile(filepath.Join(l.dir, summaryFile), append(data, '\n'), 0o600))
	if l.alive != nil {
		err = errors.Join(err, l.alive.Close())
	}
	if l.err == nil {
		l.err = err
	}
	retain(l.root, l.o, filepath.Base(l.dir))
	return l.err
}

// Discard closes the Log and removes what it kept: of a run that did not come about.
func (l *Log) Discard() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.dir == "" {
		l.closed = true
		return nil
	}
	l.closed = true
	err := errors.Join(l.files.close(), os.RemoveAll(l.dir))
	if l.alive != nil {
		err = errors.Join(err, l.alive.Close())
	}
	return err
}
