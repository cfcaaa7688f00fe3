package ssh

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A link is the byte stream below an SSH connection. It remembers when the host last sent anything.
type link struct {
	net.Conn
	ack      func() // asks the kernel to acknowledge at once; nil where it cannot
	lastRead atomic.Int64
	forced   string // that the certificate which has let us in has a command of its own run
	stays    string // that it lets nobody go on to other hosts
	head     *head  // what came first; nil once nobody asks for it any more
}

func newLink(nc net.Conn) *link {
	l := &link{Conn: nc, ack: quickAck(nc), head: &head{}}
	l.lastRead.Store(time.Now().UnixNano())
	return l
}

// Read also asks for an immediate acknowledgement: sshd writes its answers in small pieces, and Nagle's algorithm on
// its side holds each back until the one before is acknowledged. Delaying that costs 40 ms apiece (tcp(7), TCP_QUICKACK
// is not permanent).
func (l *link) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	if n > 0 {
		l.lastRead.Store(time.Now().UnixNano())
		l.head.keep(p[:n])
		if l.ack != nil {
			l.ack()
		}
	}
	return n, err
}

// silence is how long the host has sent nothing.
func (l *link) silence() time.Duration { return time.Since(time.Unix(0, l.lastRead.Load())) }

// A watchdog bounds the phases of a handshake by closing the connection: channels of a jump host have no deadlines.
type watchdog struct {
	timeout time.Duration
	login   time.Duration // of PhaseAuthenticate; 0: timeout
	bite    func()

	mu    sync.Mutex
	phase Phase
	timer *time.Timer
	bit   bool
	over  bool
}

// newWatchdog starts in a phase, and calls bite when one lasts longer than timeout.
func newWatchdog(phase Phase, timeout time.Duration, bite func()) *watchdog {
	w := &watchdog{timeout: timeout, bite: bite, phase: phase}
	w.timer = time.AfterFunc(timeout, w.fire)
	return w
}

func (w *watchdog) fire() {
	w.mu.Lock()
	w.bit = true
	w.mu.Unlock()
	w.bite()
}

// enter begins the next phase with the full time.
func (w *watchdog) enter(p Phase) {
	w.mu.Lock()
	defer w.mu.Unlock()
	// A later key exchange calls the host key callback again, long after the phases are over.
	if w.over || w.bit {
		return
	}
	w.phase = p
	w.timer.Reset(w.limit())
}

// limit is how long the phase may last.
func (w *watchdog) limit() time.Duration {
	if w.phase == PhaseAuthenticate && w.login > 0 {
		return w.login
	}
	return w.timeout
}

// pause stops the time while a person is asked something; the function that it returns starts it again.
func (w *watchdog) pause() (resume func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Stop()
	phase := w.phase
	return func() { w.enter(phase) }
}

// end stops the time for good and tells in which phase it ended and whether it ran out.
func (w *watchdog) end() (phase Phase, ranOut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Stop()
	w.over = true
	return w.phase, w.bit
}
