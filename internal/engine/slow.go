package engine

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"provision/internal/steps"
)

// probeLimit is how long a probe may take whose step has no timeout.
const probeLimit = 3 * time.Minute

// statusSlow is the status of a fragment that was ended because it took too long. No process has it.
const statusSlow = -1

// lookLimit is how long the probe of a step may take.
func lookLimit(in *steps.Instance) time.Duration {
	seconds := in.Timeout
	if p, ok := in.Step.(steps.Patient); ok && seconds == 0 {
		seconds = p.Patience()
	}
	if seconds > 0 {
		return time.Duration(seconds) * time.Second
	}
	return probeLimit
}

// tookLonger says of a probe why it was ended.
func tookLonger(limit time.Duration) string {
	return fmt.Sprintf("its probe took longer than %d s, and was ended", limit/time.Second)
}

const (
	lateEnd   = 500 * time.Millisecond // beyond its limit, before a fragment is ended over a session of its own
	endAgain  = 5 * time.Second        // between attempts to end it
	endWait   = 15 * time.Second       // for one attempt
	leaveWait = 3 * time.Second        // for the attempt to end what was asked, when nobody waits for the answer any more
	goneWait  = 30 * time.Second       // beyond the limit of its fragment, before a silent host is given up
)

// An overseer watches over a script that only looks. It ends a fragment that takes too long, and what is asked when nobody waits for the
// answer any more, over a session of its own: a script that is well needs nobody on the host for that.
type overseer struct {
	session   *Session
	fragments []Fragment

	mu    sync.Mutex
	at    int       // the fragment whose answer is awaited
	since time.Time // since when
	tries map[int]bool
}

// oversee begins to watch over a script.
func (s *Session) oversee(ctx context.Context, fragments []Fragment) (o *overseer, stop func()) {
	s.heard.now()
	o = &overseer{session: s, fragments: fragments, since: time.Now(), tries: map[int]bool{}}
	done := make(chan struct{})
	go o.watch(ctx, done)
	return o, sync.OnceFunc(func() { close(done) })
}

// awaits notes which answer is awaited.
func (o *overseer) awaits(i int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.at, o.since = i, time.Now()
}

// ended tells whether somebody was sent to end a fragment.
func (o *overseer) ended(i int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.tries[i]
}

// late returns the limit of the fragment whose answer is awaited, and how long until it is to be ended; 0 if it has no limit.
func (o *overseer) late(sent time.Time) (limit, left time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.at >= len(o.fragments) || o.fragments[o.at].limit == 0 {
		return 0, 0
	}
	since := o.since
	if sent.After(since) { // its text was still on its way
		since = sent
	}
	limit = o.fragments[o.at].limit
	return limit, max(limit+lateEnd-time.Since(since), 0)
}

func (o *overseer) watch(ctx context.Context, done <-chan struct{}) {
	s := o.session
	silence := silenceLimit
	if s.silence > 0 {
		silence = s.silence
	}
	var tried time.Time
	for {
		select {
		case <-done:
			return
		default:
		}
		limit, left := o.late(time.Unix(0, s.sent.Load()))
		quiet := max(silence, limit+goneWait)
		if limit == 0 {
			quiet = silence
		}
		pause := quiet - time.Since(time.Unix(0, s.heard.at.Load()))
		if pause <= 0 {
			s.abort(&silenceError{quiet})
			return
		}
		if limit > 0 && s.aside != nil {
			if left = max(left, endAgain-time.Since(tried)); left <= 0 {
				o.end(ctx, limit)
				tried = time.Now()
				continue
			}
			pause = min(pause, left)
		}
		select {
		case <-done:
			return
		case <-ctx.Done():
			o.leave(ctx)
			s.abort(ctx.Err())
			return
		case <-time.After(min(pause, time.Second)): // another answer may be awaited by then, with another limit
		}
	}
}

// end ends the fragment whose answer is awaited, if it has really run for so long: the host knows best.
func (o *overseer) end(ctx context.Context, limit time.Duration) {
	pid := o.session.shell.Load()
	if pid == 0 {
		return
	}
	o.mu.Lock()
	o.tries[o.at] = true
	o.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, endWait)
	defer cancel()
	_ = o.session.aside(ctx, fmt.Sprintf("end_slow %d %d", pid, limit.Milliseconds()/10)) // it is tried again
}

// leave ends what was asked, with all that it has started.
func (o *overseer) leave(ctx context.Context) {
	pid := o.session.shell.Load()
	if pid == 0 || o.session.aside == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveWait)
	defer cancel()
	_ = o.session.aside(ctx, "end_asked "+strconv.FormatInt(pid, 10))
}
