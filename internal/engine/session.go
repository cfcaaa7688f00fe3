package engine

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"provision/internal/shell"
	"provision/internal/steps"
)

// A Session is one shell on a host, fed scripts on its standard input: no limit on the length of
// an argument, no quoting by a login shell, nothing in a process list. What one script defines is
// there for the next.
type Session struct {
	process  *Process
	stdout   *bufio.Reader
	abortion *io.PipeWriter // its error ends every read of stdout
	stderr   *stderrReader
	nonce    string // begins every mark; nothing on the host can know it beforehand
	method   string // of become, until the first answer has shown that it worked
	forced   string // a command that the host runs in place of the shell, and why; ""
	user     string // that it has become; "" is root, or who logs in
	answered bool   // something has been answered
	greeted  bool   // the library has been sent
	follows  bool   // and the functions of the follower
	told     bool   // the host was told something that it has not answered
	heard    heard
	first    firstWords
	clean    func(said string) string // takes our own words out of what was said; nil: there are none
	silence  time.Duration            // how long it may be silent; 0: silenceLimit

	sent  atomic.Int64                                 // when the last part of a script went on its way, in nanoseconds
	shell atomic.Int64                                 // its process number, once it has said so
	aside func(ctx context.Context, text string) error // runs sh with the same rights over a session of its own; nil: nothing does
}

// The command is without a character that a login shell expands: tcsh expands "!" even within single quotes, and fish refuses
// assignments.
const plainCommand = "exec /bin/sh"

// quietCommand starts a shell that nothing is asked for: what is sent is its script at once.
func (b *Become) quietCommand() string {
	switch {
	case b.Method == "":
		return plainCommand
	case b.User == "":
		return "exec " + b.Method + " -n /bin/sh"
	}
	return "exec " + b.Method + " -n -u " + b.User + " /bin/sh"
}

const (
	silenceLimit  = 3 * time.Minute // without any output of a script that only looks
	fragmentLimit = 4 << 20         // bytes of one fragment's output
	answerLimit   = 32 << 20        // bytes of the output of all fragments of a script
	stderrLimit   = 64 << 10        // bytes of one fragment's standard error
	stderrTotal   = 4 << 20         // of all that are not read yet
)

// OpenSession starts the shell, as root or another user where become asks for it. Where no password is there to be given, it shows in
// the first exchange whether that was granted, as a *BecomeError.
func OpenSession(ctx context.Context, conn Conn, become Become) (*Session, error) {
	asks := false
	switch become.Method {
	case "", "doas": // doas reads no password from its standard input
	case "sudo":
		asks = become.Password != nil
	case "su":
		if asks = true; become.Password == nil {
			return nil, needPassword(become.Method)
		}
	default:
		return nil, fmt.Errorf("unknown become_method %q: sudo, su and doas are known", become.Method)
	}
	command := plainCommand
	if !asks {
		command = become.quietCommand()
	}
	process, err := conn.Start(ctx, command)
	if err != nil {
		return nil, err
	}
	s := &Session{process: process, method: become.Method, user: become.User, nonce: newNonce()}
	if c, ok := conn.(certified); ok {
		s.forced = c.Forced()
	}
	s.read(process.Stdout)
	s.stderr = readStderr(&listening{process.Stderr, &s.heard}, s.nonce)
	if asks {
		a := &asker{session: s, conn: conn, method: become.Method, mark: newNonce()}
		if err := a.begin(ctx, become); err != nil {
			s.Close()
			return nil, err
		}
	}
	return s, nil
}

// read lets stdout be what comes from a stream.
func (s *Session) read(from io.Reader) {
	r, w := io.Pipe()
	s.abortion = w
	go func() {
		_, err := io.Copy(w, from)
		_ = w.CloseWithError(err)
	}()
	s.stdout = bufio.NewReaderSize(io.TeeReader(&listening{r, &s.heard}, &s.first), 64<<10)
}

// abort ends the session at once, whatever the host does: reads end with an error.
func (s *Session) abort(err error) {
	_ = s.abortion.CloseWithError(abortedError{err})
	go s.Close() // which may wait for a host that does not listen
}

// An abortedError is why this side has ended a session.
type abortedError struct{ error }

func (e abortedError) Unwrap() error { return e.error }

func newNonce() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails, see crypto/rand
	return "provision-" + hex.EncodeToString(b)
}

// Close ends the channel. What was detached from it goes on.
func (s *Session) Close() {
	_ = s.abortion.CloseWithError(io.EOF)
	_ = s.process.Stdin.Close()
	_ = s.process.Close()
}

// A Fragment is a piece of sh with a place in a script.
type Fragment struct {
	Text  string
	RunAs string        // user; "" for the session's own
	files batch         // that it asks for
	take  string        // sh that gives it what a batch found out about them
	limit time.Duration // after which it is ended; 0: never
}

// Ask runs fragments that only look, all in one exchange, and returns what each printed. Their files are looked at beforehand, those
// of many fragments at once. A fragment that was not reached is missing from the end of the result, and the error says why.
func (s *Session) Ask(ctx context.Context, salt string, fragments []Fragment) ([]steps.Observation, error) {
	var b strings.Builder
	b.WriteString("{\n")
	s.library(&b)
	// Accounts are looked up often, and nothing changes them while this script looks.
	fmt.Fprintf(&b, "SALT=%s DETAIL=1\nACCOUNTS_passwd=$(cat /etc/passwd) ACCOUNTS_group=$(cat /etc/group)\n", shell.Quote(salt))
	for i, f := range fragments {
		if i%batchSize == 0 {
			if i > 0 {
				b.WriteString("} </dev/null\n{\n")
			}
			writeBatch(&b, fragments[i:min(i+batchSize, len(fragments))])
		}
		b.WriteString(fragments[i].take)
		if f.RunAs == s.user {
			f.RunAs = ""
		}
		b.WriteString(fragmentText(f))
		fmt.Fprintf(&b, "\nmark %d $?\n", i)
	}
	b.WriteString("unset ACCOUNTS_passwd ACCOUNTS_group BATCH_stat BATCH_sums\n} </dev/null\n")
	watch, stop := s.oversee(ctx, fragments)
	defer stop()
	// The host may answer the first batches while the last are still on their way, and would stop listening if nobody took its answers.
	sent := make(chan error, 1)
	go func() { sent <- s.send(b.String()) }()
	var answers []steps.Observation
	left := answerLimit
	for i := range fragments {
		watch.awaits(i)
		out, status, err := s.readFragment(i, min(left, fragmentLimit))
		if err != nil {
			return answers, s.lost(err)
		}
		if status != 0 && watch.ended(i) {
			out, status = "", statusSlow
		}
		s.answered = true
		left -= len(out)
		answers = append(answers, steps.Observation{Stdout: out, Exit: status})
	}
	if err := <-sent; err != nil {
		return answers, s.lost(err)
	}
	s.method, s.told = "", false
	if len(fragments) > 0 {
		s.stderr.await(strconv.Itoa(len(fragments) - 1))
	}
	for i := range answers {
		answers[i].Stderr = s.stderr.take(strconv.Itoa(i))
		if answers[i].Exit == statusSlow {
			answers[i].Stderr = tookLonger(fragments[i].limit)
		}
	}
	return answers, nil
}

// A batch names the files that probes ask for.
type batch struct{ attributes, sums []string }

// batchSize is how many fragments are one compound command, for whose files the host looks together. With more, the shell would hold
// a longer text, and be slower at each fork; of a script that is cut off, only whole batches run, and they only look.
const batchSize = 64

// batchOf returns the files that the probe of a step asks for. A path with a line break would be two in the list.
func batchOf(in *steps.Instance) batch {
	batcher, ok := in.Step.(steps.Batcher)
	if !ok {
		return batch{}
	}
	broken := func(path string) bool { return strings.Contains(path, "\n") }
	attributes, sums := batcher.Batch()
	if slices.ContainsFunc(attributes, broken) || slices.ContainsFunc(sums, broken) {
		return batch{}
	}
	return batch{attributes, sums}
}

// writeBatch writes the look at the files of fragments, and in front of their texts what each of them takes of the answer.
func writeBatch(b *strings.Builder, fragments []Fragment) {
	var all batch
	for i := range fragments {
		all.attributes = append(all.attributes, fragments[i].files.attributes...)
		all.sums = append(all.sums, fragments[i].files.sums...)
	}
	if len(all.attributes)+len(all.sums) == 0 {
		return
	}
	fmt.Fprintf(b, "batch %s\n", shell.Words(strings.Join(all.attributes, "\n"), strings.Join(all.sums, "\n")))
	attributes, sums := 0, 0
	for i := range fragments {
		f := &fragments[i]
		f.take = "BATCH_stat=" + numbered("a", &attributes, len(f.files.attributes)) + " BATCH_sums=" + numbered("s", &sums, len(f.files.sums)) + "\n"
	}
}

// numbered is a word of sh: the next n variables of a batch, each on a line.
func numbered(letter string, last *int, n int) string {
	var words []string
	for range n {
		*last++
		words = append(words, fmt.Sprintf("${BATCH_%s%d}", letter, *last))
	}
	return strings.Join(words, "$NL")
}

// library writes what every script stands on, once a session.
func (s *Session) library(b *strings.Builder) {
	if s.greeted {
		return
	}
	s.greeted = true
	if s.user != "" {
		// sudo leaves the directory as it was, and with !env_reset the home.
		fmt.Fprintf(b, "RUN_AS=%s\n", shell.Quote(s.user))
	}
	fmt.Fprintf(b, "NONCE=%s\nLIBRARY=%s\neval \"$LIBRARY\"\n", s.nonce, shell.Quote(library()))
}

// fragmentText runs a fragment so that exit, cd, set and even syntax errors stay inside it.
func fragmentText(f Fragment) string {
	return "fragment " + shell.Words(f.RunAs, "", "", f.Text)
}

func (s *Session) send(script string) error {
	for at := 0; at < len(script); at += sendSize {
		if _, err := io.WriteString(s.process.Stdin, script[at:min(at+sendSize, len(script))]); err != nil {
			return err
		}
		s.heard.now()
		s.sent.Store(time.Now().UnixNano())
	}
	return nil
}

// sendSize is the part of a script whose departure counts as a sign of life: a long script may take minutes on a slow link.
const sendSize = 32 << 10

// heard is when the host last gave a sign of life.
type heard struct {
	at   atomic.Int64
	host atomic.Bool // the host itself has said something
}

func (h *heard) now() { h.at.Store(time.Now().UnixNano()) }

// firstWords keeps what a stream began with.
type firstWords struct{ text []byte }

func (f *firstWords) Write(p []byte) (int, error) {
	const most = 300
	f.text = append(f.text, p[:min(len(p), max(0, most-len(f.text)))]...)
	return len(p), nil
}

// before returns, in one line, what came before a mark; "" if there is a mark, since the shell has answered then.
func (f *firstWords) before(mark string) string {
	if bytes.Contains(f.text, []byte(mark)) {
		return ""
	}
	return strings.Join(strings.Fields(strings.ToValidUTF8(string(f.text), "?")), " ")
}

// A listening reader notes when something came.
type listening struct {
	io.Reader
	heard *heard
}

func (l *listening) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	if n > 0 {
		l.heard.now()
		l.heard.host.Store(true)
	}
	return n, err
}

// guard ends the session if the context ends or nothing is heard for too long. A host that answers may take as long as it likes.
func (s *Session) guard(ctx context.Context) (stop func()) {
	s.heard.now()
	limit := silenceLimit
	if s.silence > 0 {
		limit = s.silence
	}
	done := make(chan struct{})
	go func() {
		for left := limit; left > 0; left = limit - time.Duration(time.Now().UnixNano()-s.heard.at.Load()) {
			select {
			case <-done:
				return
			case <-ctx.Done():
				s.abort(ctx.Err())
				return
			case <-time.After(left):
			}
		}
		s.abort(&silenceError{limit})
	}()
	return sync.OnceFunc(func() { close(done) })
}

// readFragment reads up to the mark of fragment n. More bytes than the limit before it are an error: a host's output is
// bounded in memory.
func (s *Session) readFragment(n, limit int) (out string, status int, err error) {
	var body bytes.Buffer
	for {
		line, err := s.stdout.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			return "", 0, err
		}
		if rest, ok := bytes.CutPrefix(line, []byte(s.nonce+" ")); ok {
			var number int
			var shell int64
			if read, err := fmt.Sscanf(string(rest), "%d %d %d", &number, &status, &shell); err != nil && read < 2 || number != n {
				return "", 0, fmt.Errorf("unexpected mark %q in the answer of the host", rest)
			}
			s.shell.Store(shell)
			// The mark begins with a line break of its own.
			return strings.TrimSuffix(body.String(), "\n"), status, nil
		}
		if body.Len()+len(line) > limit {
			return "", 0, fmt.Errorf("the answer of the host is longer than %d MiB, or %d MiB for all steps together", fragmentLimit>>20, answerLimit>>20)
		}
		body.Write(line)
	}
}

// readLine skips what comes before a line, and reads that line.
func (s *Session) readLine(want string) error {
	for skipped := 0; skipped < fragmentLimit; {
		line, err := s.stdout.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		if strings.TrimRight(string(line), "\r\n") == want {
			return nil
		}
		skipped += len(line)
	}
	return errors.New("the login shell prints without end")
}

// A shellEndedError says that the host can be reached, and that its shell ended while it was looking at something.
type shellEndedError struct {
	status int
	said   string
}

func (e *shellEndedError) Error() string {
	message := fmt.Sprintf("the shell on the host ended with status %d", e.status)
	if e.said != "" {
		message += ", and said: " + e.said
	}
	return message + "; look at the conditions of this step, and at what limits processes on the host"
}

// A silenceError says that the host can be reached, and that nothing is heard of what it was asked.
type silenceError struct{ limit time.Duration }

func (e *silenceError) Error() string {
	return fmt.Sprintf("%v: the host said nothing for %s", ErrUnreachable, e.limit)
}

func (e *silenceError) Is(target error) bool { return target == ErrUnreachable }

// A noShellError says that the host can be reached, and that no shell answers: the account has none. In the middle of a conversation
// it is a host that goes down.
type noShellError struct{ message string }

func (e *noShellError) Error() string { return e.message }

func (e *noShellError) Is(target error) bool { return target == ErrUnreachable }

// passwordChange is how sshd and pam_unix(8) tell in a session that has no terminal, after a login by a key or the password itself,
// that the password must be changed.
var passwordChange = regexp.MustCompile(`(?i)password change required|password has expired|required to change your password`)

// lost turns the end of the stream into an error that says why.
func (s *Session) lost(err error) error {
	var aborted abortedError
	if errors.As(err, &aborted) {
		return aborted.error
	}
	s.Close()
	said := s.stderr.wait()
	if s.clean != nil {
		said = s.clean(said)
	}
	if s.method != "" {
		if refused := becomeError(s.method, said); refused != nil {
			return refused
		}
	}
	status, werr := s.process.Wait()
	switch {
	case werr != nil:
		return fmt.Errorf("%w: the connection was lost: %w", ErrUnreachable, werr)
	case err == io.EOF || err == io.ErrClosedPipe:
		if s.answered {
			return &shellEndedError{status: status, said: lastWords(said, 3)}
		}
		message := fmt.Sprintf("the shell on the host ended with status %d before it had answered", status)
		if words := s.first.before(s.nonce); words != "" {
			message += ", and said: " + words // nologin(8) and a shell for SFTP only tell it there
		}
		if said != "" {
			message += ": " + lastWords(said, 3)
		}
		if passwordChange.MatchString(said) {
			message += "; the password of the account has expired, or must be changed; log in with ssh once and change it"
		}
		if s.forced != "" {
			message += "; " + s.forced
		}
		return &noShellError{message}
	}
	return err
}
