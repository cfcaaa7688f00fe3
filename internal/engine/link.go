package engine

import (
	"context"
	"sync"
)

// A link is the connection to a host. It is lost and made anew while others, who pass on the user's wish to stop, wait to use it.
type link struct {
	mu   sync.Mutex
	conn Conn
	made chan struct{} // closed by set; nil while nobody waits
}

// get returns the connection, nil where there is none at the moment.
func (l *link) get() Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conn
}

func (l *link) set(conn Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn = conn
	if l.made != nil {
		close(l.made)
		l.made = nil
	}
}

// close ends the connection, if there is one.
func (l *link) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		_ = l.conn.Close()
	}
	l.conn = nil
}

// await returns the connection as soon as there is one.
func (l *link) await(ctx context.Context) (Conn, error) {
	for {
		l.mu.Lock()
		conn, made := l.conn, l.made
		if conn == nil && made == nil {
			made = make(chan struct{})
			l.made = made
		}
		l.mu.Unlock()
		if conn != nil {
			return conn, nil
		}
		select {
		case <-made:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
