package sim

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"provision/internal/seccomp"
	"provision/internal/truth"
)

// A Lab is where hosts stand, one after the other, in a process that is the first of its process namespace.
type Lab struct {
	lab     *truth.Lab
	starter *starter
	calls   map[int32]*call
	files   string
	boots   int
}

// NewLab prepares what all hosts share, in an empty directory.
func NewLab(dir string) (*Lab, error) {
	lab, err := truth.NewLab(dir)
	if err != nil {
		return nil, err
	}
	// What is below /proc must be the processes of this namespace.
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return nil, fmt.Errorf("/proc: %w", err)
	}
	s, err := newStarter()
	if err != nil {
		return nil, err
	}
	l := &Lab{lab: lab, starter: s, calls: map[int32]*call{}, files: filepath.Join(dir, "sim")}
	for _, c := range calls() {
		l.calls[int32(c.nr)] = &c
	}
	return l, os.Mkdir(l.files, 0o755)
}

// A World is one host and the links to it. Its time is that of the bubble in which it runs: it passes when no process of the host has
// anything to do, and none of the clients has.
type World struct {
	lab  *Lab
	root *truth.Root
	dir  string // the host's file system, as this process sees it

	mu                 sync.Mutex
	changed            *sync.Cond // something has come for a client, or will not come any more
	kick               chan struct{}
	channels           []*channel
	asleep             map[uint64]*sleeper
	ended              bool
	done               chan struct{}
	born               time.Time
	boot               string
	lookedAt           int64  // when a look was last unlike the one before
	times, timesBefore []byte // that the processes have had the processor, in two looks
	uptime             string
	seen               map[int]bool // processes whose arguments were looked at
	sessions           map[int]bool // leaders of the sessions that clients have opened
	noDial             time.Time    // until then nobody is let in
	silence            bool         // those who are not let in hear nothing

	// Observe sees each call that changes a file, before it is made, and decides about it. It runs with the world's lock held.
	Observe func(*Op) Answer
	// Broken hears of each link that breaks.
	Broken func(*Break)
	// Arguments sees the arguments of each process of the host.
	Arguments func(pid int, argv string)

	disk     map[string]entry // what is on the disk for sure
	Problems []string         // of the simulator itself
}

// An Op is a call that changes a file of the host.
type Op struct {
	What      int
	Path, To  string // as the host sees them
	PID, SID  int
	Program   bool // it is a process of a program: one that was detached from its session
	Operation string
	n         *seccomp.Notification
}

// An Answer is what becomes of an Op.
type Answer struct {
	Errno unix.Errno // instead of making the call
	Dead  bool       // who called has been killed: there is nobody to answer
}

// newWorld makes a host. It must be called in the bubble in which the world runs.
func newWorld(lab *Lab, shell string) (*World, error) {
	root, err := lab.lab.NewRoot(shell)
	if err != nil {
		return nil, err
	}
	w := &World{
		lab: lab, root: root, dir: root.Path(""), kick: make(chan struct{}, 1), asleep: map[uint64]*sleeper{}, done: make(chan struct{}),
		seen: map[int]bool{}, sessions: map[int]bool{},
	}
	w.changed = sync.NewCond(&w.mu)
	for name, content := range map[string]string{
		"etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\napp:x:1000:1000::/home/app:/bin/sh\n",
		"etc/group":  "root:x:0:\nnogroup:x:65534:\napp:x:1000:\n",
		"etc/shadow": "root:*:19000:0:99999:7:::\napp:*:19000:0:99999:7:::\n",
	} {
		if err := os.WriteFile(root.Path(name), []byte(content), 0o644); err != nil {
			return nil, err
		}
	}
	for _, name := range []string{"sim", "home/app"} {
		if err := os.Mkdir(root.Path(name), 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.Chown(root.Path("home/app"), 1000, 1000); err != nil {
		return nil, err
	}
	w.startClock()
	for name, over := range map[string]string{"uptime": "proc/uptime", "boot_id": "proc/sys/kernel/random/boot_id"} {
		if err := unix.Mount(filepath.Join(lab.files, name), root.Path(over), "", unix.MS_BIND, ""); err != nil {
			return nil, fmt.Errorf("%s: %w", over, err)
		}
	}
	go w.loop()
	return w, nil
}

// startClock begins a boot of the host.
func (w *World) startClock() {
	w.born, w.uptime = time.Now().Add(-100*time.Second), ""
	w.lab.boots++
	w.boot = fmt.Sprintf("00000000-0000-4000-8000-%012d", w.lab.boots)
	w.problem(os.WriteFile(filepath.Join(w.lab.files, "boot_id"), []byte(w.boot+"\n"), 0o644))
	w.tick()
}

// tick writes what time it is on the host.
func (w *World) tick() {
	up := time.Since(w.born)
	text := fmt.Sprintf("%d.%02d 1.00\n", int(up.Seconds()), int(up.Milliseconds()/10%100))
	if text != w.uptime {
		w.uptime = text
		w.problem(os.WriteFile(filepath.Join(w.lab.files, "uptime"), []byte(text), 0o644))
	}
}

func (w *World) problem(err error) {
	if err != nil {
		w.Problems = append(w.Problems, err.Error())
	}
}

// wake tells the loop that there may be something to do on the host.
func (w *World) wake() {
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

// close ends the world: its processes are killed.
func (w *World) close() {
	w.mu.Lock()
	w.ended = true
	for _, s := range w.asleep {
		s.timer.Stop()
	}
	w.mu.Unlock()
	w.wake()
	<-w.done
	w.mu.Lock()
	w.killAll()
	w.mu.Unlock()
	for _, over := range []string{"proc/uptime", "proc/sys/kernel/random/boot_id"} {
		w.problem(unix.Unmount(w.root.Path(over), unix.MNT_DETACH))
	}
	w.problem(w.root.Close())
}

const firstPause = 10 * time.Millisecond

// stuck is how long the host may be busy without a pause, in real time.
const stuck = 20 * time.Second

// loop serves the host until the world ends.
func (w *World) loop() {
	defer close(w.done)
	var busy int64 // since when, in real nanoseconds
	looks, pause := 0, firstPause
	for {
		w.mu.Lock()
		if w.ended {
			w.mu.Unlock()
			return
		}
		w.tick()
		moved, state := w.serve(), working
		if !moved {
			state = w.look()
		}
		fds := w.fds()
		if state == idle {
			// Who waited for an answer when it was looked at has asked by now.
			if n, _ := unix.Poll(fds, 0); n == 0 {
				w.mu.Unlock()
				busy, looks = 0, 0
				// Time passes. Should somebody have been overlooked, it passes slowly at first.
				timer := time.NewTimer(pause)
				select {
				case <-w.kick:
					pause = firstPause
				case <-timer.C:
					pause = min(2*pause, time.Minute)
				}
				timer.Stop()
				continue
			}
		}
		if busy == 0 {
			busy = now()
		} else if now()-busy > int64(stuck) {
			w.Problems = append(w.Problems, "the host is busy for ever: "+strings.Join(w.processes(), "; "))
			w.killAll()
			busy = 0
		}
		w.mu.Unlock()
		switch {
		case moved:
			looks, pause = 0, firstPause
		case state == working:
			looks, pause = looks+1, firstPause
			_, _ = unix.Ppoll(fds, &unix.Timespec{Nsec: min(100_000*int64(looks), 1_000_000)}, nil)
		case state == unsure:
			_, _ = unix.Ppoll(fds, &unix.Timespec{Nsec: 50_000}, nil)
		}
	}
}

// now is the real time.
func now() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano()
}

// fds are what the host may say something on.
func (w *World) fds() []unix.PollFd {
	fds := []unix.PollFd{{Fd: int32(w.lab.starter.listener), Events: unix.POLLIN}}
	for _, c := range w.channels {
		fds = c.fds(fds)
	}
	return fds
}

// serve does what can be done at once, and tells whether there was anything.
func (w *World) serve() bool {
	moved := w.answerAll()
	kept := w.channels[:0]
	for _, c := range w.channels {
		moved = c.serve() || moved
		if !c.over() {
			kept = append(kept, c)
		}
	}
	w.channels = kept
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if pid <= 0 || err != nil {
			break
		}
		moved = true
		delete(w.seen, pid)
		for _, c := range w.channels {
			if c.pid == pid {
				c.ended(status)
			}
		}
	}
	if moved {
		w.changed.Broadcast()
	}
	return moved
}

// answerAll answers the calls that wait.
func (w *World) answerAll() bool {
	moved := false
	for {
		fds := []unix.PollFd{{Fd: int32(w.lab.starter.listener), Events: unix.POLLIN}}
		if n, err := unix.Poll(fds, 0); err == unix.EINTR {
			continue
		} else if n <= 0 || err != nil || fds[0].Revents&unix.POLLIN == 0 {
			return moved
		}
		n, errno := w.lab.starter.listener.Receive()
		if errno != 0 {
			continue // who called has been killed
		}
		moved = true
		w.answer(n)
	}
}

func (w *World) answer(n *seccomp.Notification) {
	c := w.lab.calls[n.Nr]
	if _, err := os.Stat("/proc/1/task/" + strconv.Itoa(int(n.PID))); err == nil {
		w.lab.starter.listener.LetGoOn(n) // the thread that starts processes
		return
	}
	if c.what == sleeps {
		w.sleep(n, c)
		return
	}
	op := &Op{What: c.what, n: n, PID: int(n.PID)}
	op.Path = named(n, c, strings.TrimSuffix(w.dir, "/"), c.path)
	if c.to >= 0 {
		op.To = named(n, c, strings.TrimSuffix(w.dir, "/"), c.to)
	}
	if c.what == syncs {
		w.synced(op)
		w.lab.starter.listener.Answer(n, 0)
		return
	}
	if real(op.Path) && w.Observe != nil {
		op.SID = session(op.PID)
		op.Program = w.detached(op.SID)
		switch a := w.Observe(op); {
		case a.Dead:
			w.lab.starter.listener.Answer(n, unix.EINTR)
			return
		case a.Errno != 0:
			w.lab.starter.listener.Answer(n, a.Errno)
			return
		}
	}
	w.lab.starter.listener.LetGoOn(n)
}

// real tells of a path whether it is a file that somebody may miss.
func real(name string) bool {
	return strings.HasPrefix(name, "/") && !strings.HasPrefix(name, "/dev/null") && !strings.HasPrefix(name, "/dev/tty") && !strings.HasPrefix(name, "/proc/") &&
		!strings.HasPrefix(name, "/sim/") && !strings.HasPrefix(name, "/dev/fd") && !strings.HasPrefix(name, "/dev/std")
}

// sleep lets a process sleep in the time of the bubble.
func (w *World) sleep(n *seccomp.Notification, c *call) {
	var ts [16]byte
	if c.flags >= 0 && n.Args[c.flags] != 0 {
		w.lab.starter.listener.LetGoOn(n)
		return
	}
	if _, err := n.Read(n.Args[c.path], ts[:]); err != nil {
		w.lab.starter.listener.Answer(n, unix.EFAULT)
		return
	}
	d := time.Duration(binary.NativeEndian.Uint64(ts[:8]))*time.Second + time.Duration(binary.NativeEndian.Uint64(ts[8:]))
	w.asleep[n.ID] = &sleeper{pid: int(n.PID), timer: time.AfterFunc(d, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.ended {
			return
		}
		delete(w.asleep, n.ID)
		w.tick()
		w.lab.starter.listener.Answer(n, 0)
		w.wake()
	})}
}

// A sleeper is a process that sleeps until a timer wakes it.
type sleeper struct {
	pid   int
	timer *time.Timer
}

// The states of a host.
const (
	idle = iota
	working
	unsure // nobody seems to run: look again
)

// look tells whether a process of the host has something to do. Those that began last are the likeliest.
func (w *World) look() int {
	list := pids()
	slices.Sort(list)
	for _, pid := range slices.Backward(list) {
		if !w.seen[pid] {
			if argv := slurp(pid, "cmdline"); len(argv) > 0 {
				w.seen[pid] = true
				if w.Arguments != nil {
					w.Arguments(pid, string(argv))
				}
			}
		}
		line := slurp(pid, "stat")
		if at := bytes.LastIndexByte(line, ')'); at >= 0 && at+2 < len(line) && (line[at+2] == 'R' || line[at+2] == 'D' && !w.sleeping(pid)) {
			return working
		}
	}
	// Nobody was running when it was looked at. Whether somebody ran in between, the times tell that each of them has had the processor.
	w.times = w.times[:0]
	for _, pid := range list {
		w.times = strconv.AppendInt(w.times, int64(pid), 10)
		w.times = append(append(w.times, ' '), slurp(pid, "schedstat")...)
	}
	if bytes.Equal(w.times, w.timesBefore) {
		if now()-w.lookedAt < int64(overlooked) && !explained(list) {
			return unsure
		}
		return idle
	}
	w.lookedAt = now()
	w.times, w.timesBefore = w.timesBefore, w.times
	return unsure
}

// explained tells whether each session has a process that waits for something outside of it: for time to pass, for input, or for
// somebody to take its output. Where none does, the end of a process is on its way to who waits for it: with two processors and a
// load, that takes milliseconds in which nobody is seen to run.
func explained(list []int) bool {
	sessions := map[int]bool{}
	for _, pid := range list {
		line := string(slurp(pid, "syscall"))
		var nr int
		var fd uint64
		_, _ = fmt.Sscanf(line, "%d 0x%x", &nr, &fd)
		waits := nr == unix.SYS_CLOCK_NANOSLEEP || nr == unix.SYS_READ && fd == 0 || nr == unix.SYS_WRITE
		sid := session(pid)
		sessions[sid] = sessions[sid] || waits
	}
	for _, yes := range sessions {
		if !yes {
			return false
		}
	}
	return true
}

// sleeping tells whether a process sleeps in simulated time. A signal makes of such a sleep one that only death ends.
func (w *World) sleeping(pid int) bool {
	for _, s := range w.asleep {
		if s.pid == pid {
			return true
		}
	}
	return false
}

// overlooked is how long such an end may take.
const overlooked = 50 * time.Millisecond

// slurp reads a file of /proc.
func slurp(pid int, name string) []byte {
	fd, err := unix.Open("/proc/"+strconv.Itoa(pid)+"/"+name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	buf := make([]byte, 4096)
	n, err := unix.Read(fd, buf)
	if err != nil || n < 0 {
		return nil
	}
	return buf[:n]
}

// pids are the processes of the host.
func pids() []int {
	fd, err := unix.Open("/proc", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	buf := make([]byte, 16<<10)
	var list []int
	for {
		n, err := unix.ReadDirent(fd, buf)
		if n <= 0 || err != nil {
			return list
		}
		_, _, names := unix.ParseDirent(buf[:n], -1, nil)
		for _, name := range names {
			if name[0] > '0' && name[0] <= '9' {
				if pid, err := strconv.Atoi(name); err == nil && pid != 1 {
					list = append(list, pid)
				}
			}
		}
	}
}

// stat returns the fields of /proc/PID/stat from the state on.
func stat(pid int) []string {
	line := slurp(pid, "stat")
	at := bytes.LastIndexByte(line, ')')
	fields := strings.Fields(string(line[at+1:]))
	if len(fields) < 20 {
		return nil
	}
	return fields
}

// session is the number of the session that a process is in.
func session(pid int) int {
	if s := stat(pid); s != nil {
		sid, _ := strconv.Atoi(s[3])
		return sid
	}
	return 0
}

// detached tells whether a session is none that a client has opened.
func (w *World) detached(sid int) bool { return sid != 0 && !w.sessions[sid] }

// processes describes the processes of the host that have not ended.
func (w *World) processes() []string {
	var list []string
	for _, pid := range pids() {
		s := stat(pid)
		argv, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
		if err != nil || s == nil || s[0] == "Z" || s[0] == "X" {
			continue
		}
		list = append(list, fmt.Sprintf("%d %s parent %s session %s: %.200s", pid, s[0], s[1], s[3], strings.ReplaceAll(string(argv), "\x00", " ")))
	}
	return list
}

// killAll kills every process of the host.
func (w *World) killAll() {
	for {
		list := pids()
		for _, pid := range list {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		w.collect()
		if len(list) == 0 {
			return
		}
		_, _ = unix.Ppoll(nil, &unix.Timespec{Nsec: 100_000}, nil)
	}
}

// collect takes those who have ended.
func (w *World) collect() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if pid <= 0 || err != nil {
			return
		}
		delete(w.seen, pid)
		for _, c := range w.channels {
			if c.pid == pid {
				c.ended(status)
			}
		}
	}
}

// start starts a process of the host.
func (w *World) start(argv []string, files []uintptr) (int, error) {
	w.lab.starter.requests <- startRequest{argv: argv, attr: &syscall.ProcAttr{
		Dir: "/root", Files: files,
		Env: []string{"HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/sh", "PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8"},
		Sys: &syscall.SysProcAttr{Chroot: w.dir, Setsid: true},
	}}
	for {
		select {
		case r := <-w.lab.starter.replies:
			w.sessions[r.pid] = true
			return r.pid, r.err
		default:
			w.answerAll() // the starting thread may be waiting for one, too
		}
	}
}
