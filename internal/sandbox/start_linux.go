package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"
)

// A setup is what the first child is told, as JSON on its lifeline.
type setup struct {
	Rootless   bool
	OneID      bool   // without root, and without subordinate ids
	AccessDir  string // holds the client's key and known_hosts; removed at the end
	LayerDir   string // holds what the sandbox writes, or is the mount point of the memory that does; removed at the end
	Missing    string // what it takes to have more ids than one
	InMemory   bool
	HostKey    []byte // PEM
	Authorized []byte // authorized_keys form
	Owners     []owner
}

// A message is what the children report while the sandbox starts: one of its fields.
type message struct {
	Note  string `json:",omitempty"`
	Error string `json:",omitempty"`
	Ready bool   `json:",omitempty"`
}

// endGrace is how long the first child may take to end everything and to delete what was written to disk.
const endGrace = 30 * time.Second

// start makes the files, the listener and the first child, and waits for its report.
func start(ctx context.Context, o Options) (_ *Sandbox, err error) {
	var ids *idMaps
	rootless := !canMount()
	if rootless {
		if ids, err = findIDMaps(); err != nil {
			return nil, err
		}
	}
	accessDir, layerDir, inMemory, err := makeDirs(o, rootless)
	if err != nil {
		return nil, err
	}
	c := &child{dirs: []string{accessDir, layerDir}, done: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.end())
		}
	}()

	client, err := newKeyPair("provision sandbox")
	if err != nil {
		return nil, fmt.Errorf("sandbox: make the key to log in with: %w", err)
	}
	host, err := newKeyPair("")
	if err != nil {
		return nil, fmt.Errorf("sandbox: make the host key: %w", err)
	}
	// Made out here, the socket belongs to the machine's network, and the port is known before the server runs.
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, fmt.Errorf("sandbox: listen on 127.0.0.1: %w", err)
	}
	defer l.Close()
	addr := l.Addr().(*net.TCPAddr)
	s := &Sandbox{Address: addr.IP.String(), Port: addr.Port, User: "root", end: c.end, done: c.done}
	if err := s.writeAccess(accessDir, client, host, addr); err != nil {
		return nil, err
	}
	reports, err := c.start(l, rootless, o.Log)
	if err != nil {
		return nil, err
	}
	defer reports.Close()
	if ids != nil {
		if err := ids.apply(ctx, c.cmd.Process.Pid); err != nil {
			return nil, err
		}
	}
	what := setup{
		Rootless: rootless, OneID: ids != nil && ids.single(), AccessDir: accessDir, LayerDir: layerDir, InMemory: inMemory,
		HostKey: host.private, Authorized: ssh.MarshalAuthorizedKey(client.public),
	}
	if ids != nil {
		what.Owners = ids.owners("/etc", "/var")
		what.Missing = ids.missing
	}
	if err := c.tell(what); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { reports.Close() })
	defer stop()
	if s.Notes, err = c.awaitReady(reports); ctx.Err() != nil {
		return nil, fmt.Errorf("sandbox: while starting: %w", ctx.Err())
	}
	return s, err
}

// canMount reports whether this process may make mount namespaces without a user namespace: root with CAP_SYS_ADMIN.
func canMount() bool {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return false
	}
	return os.Geteuid() == 0 && data[0].Effective&(1<<unix.CAP_SYS_ADMIN) != 0
}

// makeDirs makes the two directories of a sandbox, and decides between memory and disk.
func makeDirs(o Options, rootless bool) (accessDir, layerDir string, inMemory bool, err error) {
	if accessDir, err = tempDir(os.TempDir(), "provision-sandbox-"); err != nil {
		return "", "", false, fmt.Errorf("sandbox: make a directory for its keys: %w", err)
	}
	parent := o.Dir
	if parent == "" {
		inMemory = memoryServes(rootless)
		parent = "/var/tmp"
		if inMemory {
			parent = os.TempDir()
		}
	}
	if layerDir, err = tempDir(parent, "provision-layers-"); err != nil {
		return "", "", false, errors.Join(fmt.Errorf("sandbox: make a directory for what it writes: %w", err), os.RemoveAll(accessDir))
	}
	return accessDir, layerDir, inMemory, nil
}

// tempDir makes a directory and returns its real path, which means the same to a child with another working directory,
// and compares with the mount table.
func tempDir(parent, prefix string) (string, error) {
	parent, err := filepath.Abs(parent)
	if err != nil {
		return "", err
	}
	if parent, err = filepath.EvalSymlinks(parent); err != nil {
		return "", err
	}
	return os.MkdirTemp(parent, prefix)
}

// A child is the first process of the sandbox, seen from its parent. It lives until the write end of its lifeline is
// closed, which the kernel does when this process ends in whatever way.
//
// A parent-death signal would not do: it would kill the child before it could remove the files, and it is sent when the
// thread that forked ends, not the process (prctl(2), golang/go 27505).
type child struct {
	cmd      *exec.Cmd
	lifeline *os.File
	log      logBuffer
	dirs     []string
	done     chan struct{} // closed when the process has been waited for
}

// start starts the process in its namespaces and returns where it reports.
func (c *child) start(l *net.TCPListener, rootless bool, log io.Writer) (reports *os.File, err error) {
	listener, err := l.File()
	if err != nil {
		return nil, fmt.Errorf("sandbox: hand the listener over: %w", err)
	}
	defer listener.Close()
	life, lifeline, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("sandbox: pipe, to tell the child what to do: %w", err)
	}
	defer life.Close()
	c.lifeline = lifeline
	reports, reporting, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("sandbox: pipe, to hear from the child: %w", err)
	}
	defer reporting.Close()

	c.log.tee = log
	flags := uintptr(unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS)
	if rootless {
		flags |= unix.CLONE_NEWUSER
	}
	cmd := exec.Command("/proc/self/exe", childArg, stageWait)
	cmd.Env = []string{"PATH=" + rootPath}
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = &c.log, &c.log
	cmd.ExtraFiles = []*os.File{life, listener, reporting}
	// A session of its own keeps the terminal's Ctrl-C from the sandbox: its end is the caller's to decide.
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags, Setsid: true}
	if err := cmd.Start(); err != nil {
		reports.Close()
		return nil, cloneRefused(rootless, err)
	}
	c.cmd = cmd
	go func() {
		_ = cmd.Wait()
		close(c.done)
	}()
	return reports, nil
}

// tell lets the child go on, and says how.
func (c *child) tell(s setup) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if _, err := c.lifeline.Write(append([]byte{goOn}, text...)); err != nil {
		return c.failed(fmt.Errorf("sandbox: tell the child what to do: %w", err))
	}
	return nil
}

// awaitReady reads reports until the server runs.
func (c *child) awaitReady(reports io.Reader) (notes []string, err error) {
	for d := json.NewDecoder(reports); ; {
		var m message
		if err := d.Decode(&m); err != nil {
			select { // until all that it printed has arrived
			case <-c.done:
			case <-time.After(time.Second):
			}
			return nil, c.failed(errors.New("sandbox: its first process ended while starting"))
		}
		switch {
		case m.Error != "":
			return nil, c.failed(fmt.Errorf("sandbox: %s", m.Error))
		case m.Ready:
			return notes, nil
		}
		notes = append(notes, m.Note)
	}
}

// failed adds to err what the child printed.
func (c *child) failed(err error) error {
	if text := c.log.text(); text != "" {
		return fmt.Errorf("%w\n%s", err, text)
	}
	return err
}

// end lets go of the lifeline, waits until everything has ended, and sees to it that the directories are gone.
func (c *child) end() error {
	if c.lifeline != nil {
		c.lifeline.Close()
	}
	if c.cmd != nil {
		select {
		case <-c.done:
		case <-time.After(endGrace):
			// The first process of a pid namespace takes all others with it.
			_ = c.cmd.Process.Kill()
			<-c.done
		}
	} else {
		close(c.done)
	}
	var errs []error
	for _, dir := range c.dirs {
		if err := os.RemoveAll(dir); err != nil {
			errs = append(errs, fmt.Errorf("sandbox: remove what it wrote: %w; remove %s yourself", err, dir))
		}
	}
	return errors.Join(errs...)
}

// A logBuffer keeps the first 64 KiB of what the children print, and passes everything on to tee.
type logBuffer struct {
	tee  io.Writer
	mu   sync.Mutex
	kept bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kept.Write(p[:min(len(p), max(0, 64<<10-b.kept.Len()))])
	if b.tee != nil {
		_, _ = b.tee.Write(p)
	}
	return len(p), nil
}

func (b *logBuffer) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.TrimSpace(b.kept.String())
}
