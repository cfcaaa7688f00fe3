package engine

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"provision/internal/shell"
)

//go:embed follow.sh
var followSource string

func followText() string { return shell.Strip(followSource) }

// errProgramStopped means that something other than this run told the program to end.
var errProgramStopped = errors.New("the program on the host was told to stop, and not by this run: somebody ended it, or the host restarted; run again to go on")

// errProgramDied means that the program ended without a word: it was killed, or the host restarted.
var errProgramDied = errors.New("the program on the host ended without finishing: it was killed, or the host restarted")

// errAbsent means that the program has not run, and will not.
var errAbsent = errors.New("the program has not reached the host")

// A faultError means that the program could not write what must not be lost, and stopped.
type faultError struct {
	number int // the step that was next or running; 0 if none was
	why    string
}

func (e *faultError) Error() string {
	return e.why + "; make it writable or make room there, then run again"
}

// A position is how far the client has followed a program. It is all that is needed to go on over a new
// connection.
type position struct {
	journal journalReader
	number  int      // the step whose output comes now
	out     [2]int64 // bytes of its stdout and stderr

	// The host sends what a step printed before the record that it has ended. This is not relied on: an end waits here until the
	// output that it announces has come, and what follows it waits, too.
	held []record
	got  map[int][2]int64 // by step: bytes of its output that have come

	ended bool // the record of its end has come
}

// progress is how far a position is.
type progress struct {
	journal int64
	number  int
	out     [2]int64
}

func (p *position) progress() progress { return progress{p.journal.at, p.number, p.out} }

// heldLimit bounds what a host makes the client keep with ends whose output never comes.
const heldLimit = 32 << 20

// hold takes records until they may be judged.
func (p *position) hold(records []record) error {
	p.held = append(p.held, records...)
	size := 0
	for i := range p.held {
		size += len(p.held[i].state) + entrySize
	}
	if size > heldLimit {
		return fmt.Errorf("the journal on the host is damaged: step %d announces output that does not come", p.held[0].number)
	}
	return nil
}

// ready takes the records that may be judged now; with all it takes the others, too, marked as lost.
func (p *position) ready(all bool) []record {
	n := 0
	for ; n < len(p.held); n++ {
		r := &p.held[n]
		if r.kind != "end" {
			continue
		}
		got := p.got[r.number]
		if got[0] < r.out[0] || got[1] < r.out[1] {
			if !all {
				break
			}
			r.lost = true
		}
		delete(p.got, r.number)
	}
	now := p.held[:n:n]
	p.held = p.held[n:]
	return now
}

// came notes how far the output of a step has come.
func (p *position) came(f frame) {
	if f.number != p.number {
		p.number, p.out = f.number, [2]int64{}
	}
	p.out[f.stream-1] = f.from + int64(len(f.body))
	if p.got == nil {
		p.got = map[int][2]int64{}
	}
	if len(p.got) < heldLimit/entrySize {
		p.got[f.number] = p.out
	}
}

// A listener takes what a program does, in order.
type listener interface {
	record(record) error
	output(number int, stream int, text []byte) // stream 1 is stdout, 2 stderr
}

// wordLimit is the most bytes of a program in one word. Where printf is a program, as it is for mksh, an argument takes 128 KiB at most
// (execve(2)), and no shell is quick with words of megabytes.
const wordLimit = 32 << 10

// following writes what the scripts of the follower stand on.
func (s *Session) following(b *strings.Builder, login string) {
	b.WriteString("{\n")
	s.library(b)
	if !s.follows {
		s.follows = true
		fmt.Fprintf(b, "%s%sLOGIN=%s\n", sweepText(), followText(), shell.Quote(login))
	}
}

// launch writes a program to the host, starts it detached, and follows it to its end. On a host that has had the program
// before it only follows.
func (s *Session) launch(ctx context.Context, p *program, text string, pos *position, to listener) error {
	var b strings.Builder
	s.following(&b, p.login)
	fmt.Fprintf(&b, "prepare %s\nPREPARED=$?\nif [ \"$PREPARED\" = 0 ]; then\n{\n", shell.Quote(p.id))
	unpack := ""
	if p.packed {
		text, unpack = pack(text), " | base64 -d | gzip -dc"
	}
	for at := 0; at < len(text); at += wordLimit {
		fmt.Fprintf(&b, "printf '%%s' %s &&\n", shell.Quote(text[at:min(at+wordLimit, len(text))]))
	}
	b.WriteString("true\n}" + unpack + " >\"$DIR/program\" || { no_room \"$DIR\" 65536 >&2; rm -rf \"$DIR\"; PREPARED=1; }\nfi\numask 022\n")
	fmt.Fprintf(&b, "if [ \"$PREPARED\" = 0 ]; then launch %[1]s \"$DIR/program\"; fi\nif [ \"$PREPARED\" = 1 ]; then mark 0 1; else follow %[1]s \"$DIR\" 0 0 0 0; mark 0 0; fi\n} </dev/null\n", shell.Quote(p.id))
	return s.followed(ctx, b.String(), pos, to)
}

// pack makes a text shorter, of characters that need no quotes.
func pack(text string) string {
	var packed bytes.Buffer
	encode := base64.NewEncoder(base64.StdEncoding, &packed)
	compress, _ := gzip.NewWriterLevel(encode, gzip.BestCompression)
	_, _ = io.WriteString(compress, text) // writes to memory do not fail
	_ = compress.Close()
	_ = encode.Close()
	return packed.String()
}

// attach follows a program that was sent over an earlier connection, and passes on the wish that it ends. The shells of
// earlier sessions are ended first: what they were sent may still be on its way to them.
func (s *Session) attach(ctx context.Context, p *program, w wish, earlier []string, pos *position, to listener) error {
	var b strings.Builder
	s.following(&b, p.login)
	// The journal goes on where the last whole record ended.
	at := pos.journal.at - int64(pos.journal.buf.Len())
	pos.journal.buf.Reset()
	pos.journal.at = at
	fmt.Fprintf(&b, "end_shells %s\n", shell.Words(earlier...))
	fmt.Fprintf(&b, "attach %s %d %d %d %d %d\nmark 0 0\n} </dev/null\n", shell.Quote(p.id), at, pos.number, pos.out[0], pos.out[1], w)
	return s.followed(ctx, b.String(), pos, to)
}

// taken lets the host remove what it has kept of a program for this client. Nobody waits for that before the session ends, and
// should the words be lost, the next run removes it.
func (s *Session) taken(id string) {
	s.told = true
	_ = s.send("{ taken " + shell.Quote(id) + "; } </dev/null >/dev/null 2>&1\n")
}

func (s *Session) followed(ctx context.Context, script string, pos *position, to listener) error {
	stop := context.AfterFunc(ctx, func() { s.abort(ctx.Err()) })
	defer stop()
	// Should this fail, so does what is read.
	go func() { _ = s.send(script) }()
	absent := false
	var locked *LockedError
	var fault *faultError
	judge := func(all bool) error {
		for _, r := range pos.ready(all) {
			// Nothing else tells that it came to its end. It may have been said over an earlier link.
			pos.ended = pos.ended || r.kind == "done"
			if err := to.record(r); err != nil {
				return err
			}
		}
		return nil
	}
	for {
		f, err := s.readFrame()
		if err != nil {
			return s.lost(err)
		}
		switch f.kind {
		case "mark":
			if err := judge(true); err != nil {
				return err
			}
			s.stderr.await("0")
			said := s.stderr.take("0")
			switch {
			case f.number != 0:
				return fmt.Errorf("the program could not be written to the host: %s", lastWords(strings.TrimSpace(said), 3))
			case absent:
				return errAbsent
			case fault != nil:
				return fault
			case locked != nil:
				return locked
			case !pos.ended:
				return errProgramDied
			}
			return nil
		case "journal":
			records, err := pos.journal.feed(f.body)
			if herr := pos.hold(records); herr != nil {
				return herr
			}
			if jerr := judge(false); jerr != nil {
				return jerr
			}
			if err != nil {
				return err
			}
		case "out":
			if f.stream == 1 || f.stream == 2 {
				pos.came(f)
				to.output(f.number, f.stream, f.body)
				if err := judge(false); err != nil {
					return err
				}
			}
		case "locked":
			locked = &LockedError{Owner: string(f.body)}
		case "absent":
			absent = true
		case "fault":
			number, why, _ := strings.Cut(string(f.body), " ")
			fault = &faultError{why: oneLine(why)}
			fault.number, _ = strconv.Atoi(number)
		}
	}
}

// A frame is a piece of what a program wrote.
type frame struct {
	kind           string
	number, stream int
	from           int64
	body           []byte
}

const frameLimit = 1 << 20

func (s *Session) readFrame() (frame, error) {
	for {
		line, err := s.stdout.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return frame{}, err
		}
		rest, ok := bytes.CutPrefix(line, []byte(s.nonce+" "))
		if !ok {
			continue // noise before the first frame, such as a login shell's greeting
		}
		head := string(rest)
		var f frame
		if n, err := fmt.Sscanf(head, "0 %d", &f.number); err == nil && n == 1 {
			f.kind = "mark"
			return f, nil
		}
		length := 0
		if _, err := fmt.Sscanf(head, "%s %d %d %d %d", &f.kind, &f.number, &f.stream, &f.from, &length); err != nil || length < 0 || length > frameLimit {
			return frame{}, fmt.Errorf("unexpected frame %q in the answer of the host", head)
		}
		f.body = make([]byte, length)
		_, err = io.ReadFull(s.stdout, f.body)
		return f, err
	}
}

// leaveTimeout is how long a session may take to do what it was told last.
const leaveTimeout = 500 * time.Millisecond

// nearby is the round trip of a link on which it costs nothing to wait for that.
const nearby = 20 * time.Millisecond

// leave ends the session once the host has done what it was told last. On a long link it does not wait for that: what was told is on its way,
// and the shell there does it whoever is still connected.
func (s *Session) leave() {
	if s.told && s.process.RoundTrip < nearby {
		_ = s.process.Stdin.Close()
		late := time.AfterFunc(leaveTimeout, func() { s.abort(context.DeadlineExceeded) })
		_, _ = io.Copy(io.Discard, s.stdout)
		late.Stop()
	}
	s.Close()
}

// A wish is the user's that a program ends.
type wish int32

const (
	wishNone    wish = iota
	wishStop         // after its current step
	wishStopNow      // at once, with all that it has started
)

// stopProgram tells a program of the wish that it ends.
func (s *Session) stopProgram(ctx context.Context, id string, w wish) error {
	text := sweepText() + followText() + fmt.Sprintf("DIR=$RUN/run-%s\n", id)
	if w == wishStopNow {
		text += "stop_now >/dev/null 2>&1"
	} else {
		text += `[ ! -d "$DIR" ] || true >"$DIR/stop"`
	}
	_, err := s.Ask(ctx, "", []Fragment{{Text: text}})
	return err
}

// answerProgram gives a program the client's verdict on the state of a step. run is the directory of programs on the host. The session does
// nothing else, so that it does without the library.
func (s *Session) answerProgram(ctx context.Context, run, id string, number int, verdict string) error {
	stop := s.guard(ctx)
	defer stop()
	script := fmt.Sprintf("{ d=%s; [ ! -d \"$d\" ] || printf '%%s\\n' %s >\"$d/answer.%d\"\nprintf '\\n%%s 0 %%s\\n' %s $?\n} </dev/null\n",
		shell.Quote(run+"/run-"+id), verdict, number, s.nonce)
	if err := s.send(script); err != nil {
		return s.lost(err)
	}
	_, status, err := s.readFragment(0, fragmentLimit)
	if err != nil {
		return s.lost(err)
	}
	if status != 0 {
		return fmt.Errorf("the answer could not be written: status %d", status)
	}
	return nil
}
