package sshtest

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A Proxy carries TCP connections to another address, each byte later by half a round trip in each direction, without
// limiting how many are on their way. It can cut its connections, go silent, or refuse new ones.
type Proxy struct {
	Address string // 127.0.0.1:PORT
	Port    int

	backend string
	oneWay  atomic.Int64 // nanoseconds
	up      atomic.Int64
	down    atomic.Int64

	mu       sync.Mutex
	conns    map[net.Conn]bool
	refuse   bool
	silent   chan struct{} // nil: bytes flow; else closed when they flow again
	finished bool
	running  sync.WaitGroup
}

// NewProxy starts a proxy to address, with a round-trip time, that ends with the test.
func NewProxy(t testing.TB, address string, roundTrip time.Duration) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{
		Address: l.Addr().String(), Port: l.Addr().(*net.TCPAddr).Port,
		backend: address, conns: map[net.Conn]bool{},
	}
	p.SetRoundTrip(roundTrip)
	p.running.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			p.running.Go(func() { p.carry(nc) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.mu.Lock()
		p.finished = true
		p.mu.Unlock()
		p.Hang(false)
		p.Cut()
		p.running.Wait()
	})
	return p
}

// SetRoundTrip changes the round-trip time for the bytes that come from now on.
func (p *Proxy) SetRoundTrip(d time.Duration) { p.oneWay.Store(int64(d / 2)) }

// Bytes are the numbers of bytes that came from the clients and from the backend so far.
func (p *Proxy) Bytes() (up, down int64) { return p.up.Load(), p.down.Load() }

// Cut resets every connection, as a failing link does. New connections work.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for nc := range p.conns {
		if tc, ok := nc.(*net.TCPConn); ok {
			_ = tc.SetLinger(0)
		}
		nc.Close()
	}
}

// Hang stops all bytes, with the connections left open, until it is called with false.
func (p *Proxy) Hang(hang bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case hang && p.silent == nil && !p.finished:
		p.silent = make(chan struct{})
	case !hang && p.silent != nil:
		close(p.silent)
		p.silent = nil
	}
}

// Refuse closes new connections at once, until it is called with false.
func (p *Proxy) Refuse(refuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = refuse
}

// track remembers a connection so that Cut finds it; false: it is to be closed.
func (p *Proxy) track(nc net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse || p.finished {
		return false
	}
	p.conns[nc] = true
	return true
}

func (p *Proxy) forget(nc net.Conn) {
	nc.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, nc)
}

func (p *Proxy) carry(nc net.Conn) {
	defer p.forget(nc)
	if !p.track(nc) {
		return
	}
	// The handshake of TCP costs a round trip too.
	time.Sleep(2 * time.Duration(p.oneWay.Load()))
	backend, err := net.Dial("tcp", p.backend)
	if err != nil {
		return
	}
	defer p.forget(backend)
	if !p.track(backend) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { p.pipe(backend, nc, &p.up) })
	both.Go(func() { p.pipe(nc, backend, &p.down) })
	both.Wait()
}

// A chunk is what was read at once, and when it is due on the other side.
type chunk struct {
	data []byte
	due  time.Time
}

// pipe carries one direction. What is on its way waits in a queue, so that the delay does not limit the throughput.
func (p *Proxy) pipe(to, from net.Conn, count *atomic.Int64) {
	queue := make(chan chunk, 1<<14)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for c := range queue {
			time.Sleep(time.Until(c.due))
			p.await()
			if _, err := to.Write(c.data); err != nil {
				from.Close()
			}
		}
		if tc, ok := to.(*net.TCPConn); ok {
			_ = tc.CloseWrite()
		}
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			acknowledge(from)
			count.Add(int64(n))
			queue <- chunk{append([]byte(nil), buf[:n]...), time.Now().Add(time.Duration(p.oneWay.Load()))}
		}
		if err != nil {
			break
		}
	}
	close(queue)
	<-done
}

// await blocks while the proxy is silent.
func (p *Proxy) await() {
	p.mu.Lock()
	silent := p.silent
	p.mu.Unlock()
	if silent != nil {
		<-silent
	}
}
