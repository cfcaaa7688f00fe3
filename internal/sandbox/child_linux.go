package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// The hidden first argument of a child, and the second, which says what the child is.
const (
	childArg    = "provision-sandbox-child"
	stageWait   = "wait"   // the first process, before it may go on
	stageFirst  = "first"  // the first process: process 1 of the sandbox
	stageServer = "server" // the SSH server, inside
)

// goOn is the byte that lets the first process pass from stageWait to stageFirst.
const goOn = '!'

// The descriptors that the children inherit.
const (
	lifelineFD = 3 // first process
	listenerFD = 4 // first process
	reportsFD  = 5 // first process

	serverListenerFD = 3
	serverReportsFD  = 4
)

const rootPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// MaybeChild turns this process into a part of a sandbox if [Start] started it as one, and then never returns. Otherwise
// it returns at once. Call it first thing in main, and in TestMain.
func MaybeChild() {
	if len(os.Args) != 3 || os.Args[1] != childArg {
		return
	}
	var err error
	switch stage := os.Args[2]; stage {
	case stageWait:
		err = awaitIDs()
	case stageFirst:
		err = runFirst()
	case stageServer:
		err = runServer()
	default:
		err = fmt.Errorf("unknown stage %q", stage)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sandbox:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// awaitIDs waits until the parent has given the user namespace its ids, then becomes the first process. Starting this
// executable once more is what gives the capabilities back that a process without an id lost when it was started:
// user_namespaces(7).
func awaitIDs() error {
	var b [1]byte
	if n, err := syscall.Read(lifelineFD, b[:]); err != nil || n != 1 || b[0] != goOn {
		return errors.New("only provision itself starts a sandbox this way: run \"provision sandbox\"")
	}
	return syscall.Exec("/proc/self/exe", []string{os.Args[0], childArg, stageFirst}, os.Environ())
}

// A first is the first process of the sandbox. It builds the file system, starts the server, reaps orphans, and cleans up.
type first struct {
	setup   setup
	reports *json.Encoder
	doomed  []doomedDir
	ending  sync.Mutex // held for ever by whoever ends the sandbox
}

// A doomedDir is a directory of the machine to be removed at the end, by way of its parent: its path means nothing after
// the change of root. Nobody else in the sandbox can use this way out, since reading another's descriptors takes
// capabilities that they lack (ptrace(2)).
type doomedDir struct {
	parent       *os.Root
	name         string
	isMountPoint bool // of memory, which the kernel frees faster than we can
}

func (d doomedDir) remove() error {
	if d.isMountPoint {
		return d.parent.Remove(d.name)
	}
	return d.parent.RemoveAll(d.name)
}

func runFirst() error {
	// Programs ask process 1 to reboot and the like by signals.
	signal.Ignore(unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGPIPE)
	unix.CloseOnExec(lifelineFD)
	unix.CloseOnExec(listenerFD)
	unix.CloseOnExec(reportsFD)
	lifeline := os.NewFile(lifelineFD, "lifeline")
	reports := os.NewFile(reportsFD, "reports")
	f := &first{reports: json.NewEncoder(reports)}
	in := json.NewDecoder(lifeline)
	if err := in.Decode(&f.setup); err != nil {
		return fmt.Errorf("read what to do: %w", err)
	}
	for _, dir := range []string{f.setup.AccessDir, f.setup.LayerDir} {
		parent, err := os.OpenRoot(filepath.Dir(dir))
		if err != nil {
			return fmt.Errorf("keep hold of %s, to remove it at the end: %w", dir, err)
		}
		isMountPoint := dir == f.setup.LayerDir && f.setup.InMemory
		f.doomed = append(f.doomed, doomedDir{parent, filepath.Base(dir), isMountPoint})
	}
	go func() {
		_, _ = io.Copy(io.Discard, lifeline)
		f.end(0)
	}()

	server, err := f.launch(reports)
	if err != nil {
		_ = f.reports.Encode(message{Error: err.Error()})
		f.end(1)
	}
	reports.Close()
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil || pid == server:
			f.end(1)
		}
	}
}

// launch builds the sandbox's file system, makes it the root, and starts the server in it.
func (f *first) launch(reports *os.File) (pid int, err error) {
	t := &tree{layers: f.setup.LayerDir, rootless: f.setup.Rootless, oneID: f.setup.OneID, note: func(text string) {
		_ = f.reports.Encode(message{Note: text})
	}}
	if err := t.build(f.setup.InMemory); err != nil {
		return 0, err
	}
	if err := enter(t.root); err != nil {
		return 0, err
	}
	if err := t.writeOwn(); err != nil {
		return 0, err
	}
	if f.setup.OneID {
		noteOwners(f.setup.Owners)
		t.note("it has one account: every command runs as root, whichever user it is for, and what it makes belongs to the owner of the directory; for more, " + f.setup.Missing)
	} else {
		restore(f.setup.Owners)
	}
	if err := unix.Sethostname([]byte(hostname)); err != nil {
		return 0, refused("sethostname", "to give the sandbox a name of its own", err)
	}
	return f.startServer(reports)
}

// startServer starts the SSH server with a container's capabilities, its keys on its standard input.
func (f *first) startServer(reports *os.File) (pid int, err error) {
	keys, err := json.Marshal(serverKeys{Host: f.setup.HostKey, Authorized: f.setup.Authorized})
	if err != nil {
		return 0, err
	}
	stdin, w, err := os.Pipe()
	if err != nil {
		return 0, refused("pipe", "to hand the server its keys", err)
	}
	defer stdin.Close()
	// A pipe holds 64 KiB: two keys fit, and nobody need read while we write.
	_, err = w.Write(keys)
	w.Close()
	if err != nil {
		return 0, refused("write", "to hand the server its keys", err)
	}
	listener := os.NewFile(listenerFD, "listener")
	defer listener.Close()

	type started struct {
		p   *os.Process
		err error
	}
	result := make(chan started)
	go func() {
		// The bounding set belongs to the thread, and what the thread starts inherits it. Never unlocked, the thread
		// ends with this goroutine, so the rest of this process keeps its capabilities.
		runtime.LockOSThread()
		if f.setup.OneID {
			o, err := fakeOwnership()
			if err != nil {
				result <- started{err: refused("seccomp", "to have files that belong to several users", err)}
				return
			}
			go o.serve()
		}
		if err := dropCapabilities(); err != nil {
			result <- started{err: err}
			return
		}
		p, err := os.StartProcess("/proc/self/exe", []string{os.Args[0], childArg, stageServer}, &os.ProcAttr{
			Dir:   "/",
			Env:   serverEnv(),
			Files: []*os.File{stdin, os.Stderr, os.Stderr, listener, reports},
			Sys:   &syscall.SysProcAttr{Setsid: true},
		})
		if err != nil {
			err = refused("execve", "to start the SSH server inside", err)
		}
		result <- started{p, err}
	}()
	r := <-result
	if r.err != nil {
		return 0, r.err
	}
	return r.p.Pid, nil
}

// serverEnv is the whole environment of the server and so of the commands: nothing of the caller's.
func serverEnv() []string {
	return []string{"PATH=" + rootPath, "HOME=/root", "USER=root", "LOGNAME=root", "LANG=C.UTF-8", "TERM=dumb"}
}

// end kills every process of the sandbox, removes what it left on disk, and exits. The kernel does the rest: the mounts
// go with the namespace.
func (f *first) end(status int) {
	f.ending.Lock()
	_ = unix.Kill(-1, unix.SIGKILL)
	for {
		if _, err := unix.Wait4(-1, nil, 0, nil); err != nil && !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if !f.setup.InMemory {
		unmountAll()
	}
	for _, d := range f.doomed {
		if err := d.remove(); err != nil {
			fmt.Fprintln(os.Stderr, "sandbox: remove what it wrote:", err)
			status = 1
		}
	}
	os.Exit(status)
}

// unmountAll unmounts what it can of this namespace, so that the directories below that are to be removed: without root,
// the root itself is one of them, and the kernel does not remove a mount point of the caller's own namespace.
func unmountAll() {
	mounts, err := visibleMounts()
	if err != nil {
		return // the removal fails then, and says so
	}
	for _, m := range slices.Backward(mounts) {
		_ = unix.Unmount(m.point, unix.MNT_DETACH)
	}
}

// keptCapabilities are those that a container's root has by default (moby's list). The others reach through to the
// machine: its clock, its modules, its network and its mounts.
func keptCapabilities() map[uintptr]bool {
	return map[uintptr]bool{
		unix.CAP_CHOWN: true, unix.CAP_DAC_OVERRIDE: true, unix.CAP_FSETID: true, unix.CAP_FOWNER: true,
		unix.CAP_MKNOD: true, unix.CAP_NET_RAW: true, unix.CAP_SETGID: true, unix.CAP_SETUID: true,
		unix.CAP_SETFCAP: true, unix.CAP_SETPCAP: true, unix.CAP_NET_BIND_SERVICE: true, unix.CAP_SYS_CHROOT: true,
		unix.CAP_KILL: true, unix.CAP_AUDIT_WRITE: true,
	}
}

func dropCapabilities() error {
	kept := keptCapabilities()
	for c := uintptr(0); c <= 63; c++ {
		if kept[c] {
			continue
		}
		// EINVAL: a capability that this kernel does not know.
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) {
			return refused("prctl PR_CAPBSET_DROP", "to keep the sandbox from the machine's settings", err)
		}
	}
	return nil
}
