package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"provision/internal/engine"
)

// How a link breaks.
const (
	Reset     = "reset"     // both ends hear of it
	BlackHole = "hole"      // nothing arrives any more, and nobody hears of it
	HalfOpen  = "half-open" // the client hears of it, the host does not
	Late      = "late"      // as HalfOpen, but what was on its way to the host arrives, later
	Pause     = "pause"     // nothing arrives for a while, and then all of it
)

// A Break is the end of a link.
type Break struct {
	Kind    string
	Up      bool          // it is counted by what goes to the host, and not by what comes from it
	At      int64         // bytes
	Outage  time.Duration // how long nobody is let in afterwards
	Silent  bool          // who is not let in hears nothing, for the time of a connect timeout
	Linger  time.Duration // how long the host does not notice; for Late until what was held back arrives; for Pause how long it takes
	Restart bool          // as the first: but the host restarts at this point
}

const (
	keepAlive      = 30 * time.Second // after which package ssh gives up a silent link
	connectTimeout = 10 * time.Second
	window         = 2 << 20 // bytes of a channel that are on their way
	inFlight       = 256 << 10
)

// errLost is what package ssh says of a link that broke.
var errLost = fmt.Errorf("%w: session: the connection was lost", engine.ErrUnreachable)

// A Link is a connection from a client to the host.
type Link struct {
	w        *World
	breaks   *Break
	up, down int64
	channels []*channel

	dead     error // for the client
	hostDead bool  // for the host
	closing  bool  // for the host, once it has what was sent before
	hole     bool  // nothing goes through
	holed    int64 // bytes that the host has sent into it
	paused   bool  // and later it does
	timers   []*time.Timer
}

// A channel is one process with its streams.
type channel struct {
	link   *Link
	pid    int
	stdin  int    // -1: closed
	stdout [2]int // stdout and stderr

	in     []byte // from the client
	inEnd  bool
	out    [2][]byte // to the client
	outEnd [2]bool
	exited bool
	status int
	told   bool // the client knows of the exit
	given  bool // the client has given it up
}

// dial lets a client in.
func (w *World) dial(ctx context.Context, b *Break) (*Link, error) {
	w.mu.Lock()
	closed, silent := time.Now().Before(w.noDial), w.silence
	w.mu.Unlock()
	if closed && silent {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(connectTimeout):
			return nil, fmt.Errorf("%w: connect: no answer for %s", engine.ErrUnreachable, connectTimeout)
		}
	}
	if closed {
		return nil, fmt.Errorf("%w: connect: connection refused", engine.ErrUnreachable)
	}
	return &Link{w: w, breaks: b}, nil
}

// after does something later, unless the world has ended by then.
func (l *Link) after(d time.Duration, do func()) {
	l.timers = append(l.timers, time.AfterFunc(d, func() {
		l.w.mu.Lock()
		defer l.w.mu.Unlock()
		if l.w.ended {
			return
		}
		do()
		l.w.changed.Broadcast()
		l.w.wake()
	}))
}

// spend counts bytes, and returns how many of them get through before the link breaks.
func (l *Link) spend(up bool, n int) int {
	count := &l.down
	if up {
		count = &l.up
	}
	if b := l.breaks; b != nil && b.Up == up && *count+int64(n) >= b.At {
		n = int(max(0, b.At-*count))
	}
	*count += int64(n)
	return n
}

// snap breaks the link if it has carried all that it will carry.
func (l *Link) snap() bool {
	b := l.breaks
	if b == nil || b.Up && l.up < b.At || !b.Up && l.down < b.At {
		return false
	}
	l.breaks = nil
	l.snapped(b)
	return true
}

func (l *Link) snapped(b *Break) {
	w := l.w
	if w.Broken != nil {
		w.Broken(b)
	}
	if b.Outage > 0 && b.Kind != Pause {
		w.noDial, w.silence = time.Now().Add(b.Outage), b.Silent
	}
	switch b.Kind {
	case Reset:
		l.dead = errLost
		l.hostGone()
	case BlackHole:
		l.hole = true
		l.after(keepAlive, func() { l.dead = errLost })
		l.after(b.Linger, l.hostGone)
	case HalfOpen:
		l.hole, l.dead = true, errLost
		l.after(b.Linger, l.hostGone)
	case Late:
		l.hole, l.dead = true, errLost
		l.after(b.Linger, func() {
			l.hole = false
			for _, c := range l.channels {
				c.inEnd = c.inEnd || len(c.in) > 0
			}
			l.after(time.Second, l.hostGone)
		})
	case Pause:
		l.hole, l.paused = true, true
		l.after(b.Linger, func() { l.hole, l.paused = false, false })
	}
	w.changed.Broadcast()
}

// hostGone is when the host notices.
func (l *Link) hostGone() {
	l.hostDead = true
	for _, c := range l.channels {
		c.shut()
	}
}

// Start implements engine.Conn.
func (l *Link) Start(ctx context.Context, command string) (*engine.Process, error) {
	w := l.w
	w.mu.Lock()
	defer w.mu.Unlock()
	// To open a channel takes an answer.
	for l.hole && l.dead == nil && ctx.Err() == nil {
		w.changed.Wait()
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if l.dead != nil || w.ended {
		return nil, errLost
	}
	l.spend(true, 100)
	l.spend(false, 100)
	if l.snap() && l.dead != nil {
		return nil, l.dead
	}
	var pipes [3][2]int
	for i := range pipes {
		if err := unix.Pipe2(pipes[i][:], unix.O_CLOEXEC); err != nil {
			return nil, err
		}
	}
	c := &channel{link: l, stdin: pipes[0][1], stdout: [2]int{pipes[1][0], pipes[2][0]}}
	for _, fd := range []int{c.stdin, c.stdout[0], c.stdout[1]} {
		if err := unix.SetNonblock(fd, true); err != nil {
			return nil, err
		}
	}
	theirs := []int{pipes[0][0], pipes[1][1], pipes[2][1]}
	pid, err := w.start([]string{"/bin/sh", "-c", command}, []uintptr{uintptr(theirs[0]), uintptr(theirs[1]), uintptr(theirs[2])})
	for _, fd := range theirs {
		unix.Close(fd)
	}
	if err != nil {
		return nil, err
	}
	c.pid = pid
	l.channels = append(l.channels, c)
	w.channels = append(w.channels, c)
	w.wake()
	return &engine.Process{Stdin: input{c}, Stdout: output{c, 0}, Stderr: output{c, 1}, Wait: c.wait, Close: c.close}, nil
}

// Close implements engine.Conn.
func (l *Link) Close() error {
	w := l.w
	w.mu.Lock()
	defer w.mu.Unlock()
	l.leave(errors.New("closed"))
	return nil
}

// leave is when the client has gone. What it has sent still arrives.
func (l *Link) leave(why error) {
	if l.dead == nil {
		l.dead, l.closing = why, true
		l.after(5*time.Second, func() {
			if !l.hole {
				l.hostGone()
			}
		})
	}
	l.w.changed.Broadcast()
	l.w.wake()
}

// receive takes the content of an upload, as package ssh does it: beside the file, and renamed when it is complete.
const receive = `{ umask 077; set -C
exec 3>"$t" || exit 1
printf 'ready\n'
if cat >&3 && [ "$(($(wc -c <"$t")))" -eq "$size" ] && mv -f "$t" "$n"; then exit 0; fi
rm -f "$t"
exit 1
}
`

// Upload implements engine.Conn.
func (l *Link) Upload(ctx context.Context, name string, mode os.FileMode, size int64, r io.Reader) error {
	p, err := l.Start(ctx, "exec /bin/sh")
	if err != nil {
		return err
	}
	defer p.Close()
	stop := context.AfterFunc(ctx, func() { p.Close() })
	defer stop()
	script := fmt.Sprintf("n='%s' t='%s.provision-upload' size=%d\n", name, name, size) + receive
	if _, err := io.WriteString(p.Stdin, script); err != nil {
		return err
	}
	if _, err := io.ReadFull(p.Stdout, make([]byte, len("ready\n"))); err != nil {
		if l.lost() {
			return errLost
		}
		return err
	}
	if _, err := io.Copy(p.Stdin, r); err != nil {
		return err
	}
	if err := p.Stdin.Close(); err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, p.Stdout)
	status, err := p.Wait()
	if err == nil && status != 0 {
		err = fmt.Errorf("upload: status %d", status)
	}
	return err
}

func (l *Link) lost() bool {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	return l.dead != nil
}

type input struct{ c *channel }

func (i input) Write(p []byte) (int, error) {
	c, w := i.c, i.c.link.w
	w.mu.Lock()
	defer w.mu.Unlock()
	for c.link.dead == nil && !c.given && !c.told && len(c.in)+len(p) > window {
		w.changed.Wait()
	}
	switch {
	case c.link.dead != nil:
		return 0, errLost
	case c.given, c.told, c.inEnd:
		return 0, fmt.Errorf("the command reads no more: %w", io.ErrClosedPipe)
	}
	c.in = append(c.in, p...)
	w.wake()
	return len(p), nil
}

func (i input) Close() error {
	w := i.c.link.w
	w.mu.Lock()
	defer w.mu.Unlock()
	i.c.inEnd = true
	w.wake()
	return nil
}

type output struct {
	c      *channel
	stream int
}

func (o output) Read(p []byte) (int, error) {
	c, w := o.c, o.c.link.w
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		switch have := &c.out[o.stream]; {
		case c.given:
			return 0, io.EOF
		case len(*have) > 0:
			n := copy(p, *have)
			*have = (*have)[n:]
			w.wake()
			return n, nil
		case c.outEnd[o.stream], c.link.dead != nil:
			return 0, io.EOF
		}
		w.changed.Wait()
	}
}

// wait is how the command ended.
func (c *channel) wait() (int, error) {
	w := c.link.w
	w.mu.Lock()
	defer w.mu.Unlock()
	timed, late := false, false
	for {
		switch {
		case c.told:
			return c.status, nil
		case c.link.dead != nil:
			return -1, errLost
		case late:
			return -1, fmt.Errorf("%w: no answer to the end of the session", engine.ErrUnreachable)
		}
		if c.given && !timed {
			timed = true
			c.link.after(connectTimeout, func() { late = true })
		}
		w.changed.Wait()
	}
}

// close gives the channel up.
func (c *channel) close() error {
	w := c.link.w
	w.mu.Lock()
	defer w.mu.Unlock()
	c.given = true
	w.changed.Broadcast()
	w.wake()
	return nil
}

// ended is when the process has.
func (c *channel) ended(status syscall.WaitStatus) {
	c.exited = true
	if c.status = status.ExitStatus(); status.Signaled() {
		c.status = 128 + int(status.Signal())
	}
}

// shut closes the host's end.
func (c *channel) shut() {
	for _, fd := range []*int{&c.stdin, &c.stdout[0], &c.stdout[1]} {
		if *fd >= 0 {
			unix.Close(*fd)
			*fd = -1
		}
	}
}

// over tells whether nothing will happen to the channel any more.
func (c *channel) over() bool {
	return c.exited && c.stdin < 0 && c.stdout == [2]int{-1, -1} && (c.told || c.link.dead != nil)
}

func (c *channel) fds(list []unix.PollFd) []unix.PollFd {
	for s, fd := range c.stdout {
		if fd >= 0 && !c.full(s) {
			list = append(list, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
		}
	}
	return list
}

// full tells whether the host has to wait before it sends more.
func (c *channel) full(stream int) bool {
	if c.link.paused {
		return true
	}
	if c.link.hole {
		return c.link.holed >= inFlight
	}
	return len(c.out[stream]) >= window
}

// serve moves what can be moved, and tells whether that was anything.
func (c *channel) serve() bool {
	l, moved := c.link, false
	if l.closing && !l.hole && !l.hostDead && !slices.ContainsFunc(l.channels, func(c *channel) bool { return c.stdin >= 0 && len(c.in) > 0 }) {
		l.hostGone()
		moved = true
	}
	if l.hostDead {
		c.shut()
	}
	for c.stdin >= 0 && len(c.in) > 0 && !l.hole && !l.hostDead {
		n := min(len(c.in), 64<<10)
		if b := l.breaks; b != nil && b.Up {
			n = int(min(int64(n), max(0, b.At-l.up)))
		}
		got := 0
		if n > 0 {
			var err error
			if got, err = unix.Write(c.stdin, c.in[:n]); err == unix.EAGAIN {
				break
			} else if err != nil {
				unix.Close(c.stdin)
				c.stdin, c.in = -1, nil
				break
			}
		}
		moved = true
		c.in = c.in[got:]
		l.spend(true, got)
		if l.snap() {
			return true
		}
	}
	if c.stdin < 0 && len(c.in) > 0 {
		c.in = nil
	}
	if c.stdin >= 0 && len(c.in) == 0 && (c.inEnd || c.given) && !l.hole {
		unix.Close(c.stdin)
		c.stdin, moved = -1, true
	}
	if c.given && !l.hole && (c.stdout[0] >= 0 || c.stdout[1] >= 0) && c.stdin < 0 {
		c.shut()
		moved = true
	}
	for s := range c.stdout {
		for c.stdout[s] >= 0 && !c.full(s) {
			// Not more than what gets through before the link breaks: after a pause the rest comes.
			if l.snap() {
				return true
			}
			buf := make([]byte, 32<<10)
			if b := l.breaks; b != nil && !b.Up {
				buf = buf[:min(int64(len(buf)), b.At-l.down)]
			}
			n, err := unix.Read(c.stdout[s], buf)
			if err == unix.EAGAIN {
				break
			}
			moved = true
			if n <= 0 {
				unix.Close(c.stdout[s])
				c.stdout[s] = -1
				break
			}
			if l.hole {
				l.holed += int64(n)
				continue
			}
			l.spend(false, n)
			c.out[s] = append(c.out[s], buf[:n]...)
			if l.snap() {
				return true
			}
		}
		if c.stdout[s] < 0 && !l.hole && !l.hostDead && !c.outEnd[s] {
			c.outEnd[s], moved = true, true
		}
	}
	if c.exited && !c.told && c.outEnd == [2]bool{true, true} && !l.hole && !l.hostDead {
		c.told, moved = true, true
	}
	return moved
}
