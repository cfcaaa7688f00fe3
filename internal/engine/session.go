package engine

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"provision/internal/shell"
	"provision/internal/steps"
)

// A Session is one shell on a host, fed scripts on its standard input: no limit on the length of
// an argument, no quoting by a login shell, nothing in a process list. What one script defines is
// there for the next.
type Session struct {
	process *Process
	stdout  *bufio.Reader
	stderr  *stderrReader
	nonce   string // begins every mark; nothing on the host can know it beforehand
	method  string // of become, until the first answer has shown that it worked
	greeted bool   // the library has been sent

	// Exchanges counts the scripts whose answer was waited for.
	Exchanges int
}

// The commands are constants without a character that a login shell expands: tcsh expands "!" even
// within single quotes, and fish refuses assignments.
const (
	plainCommand = "exec /bin/sh"
	sudoCommand  = "exec sudo -n /bin/sh"
	// -k makes sudo ask even if it remembers an earlier answer, so that the password always has a
	// reader: without the question it would reach the shell as a command.
	sudoPasswordCommand = "exec sudo -k -S -p provision-password: /bin/sh"
	doasCommand         = "exec doas -n /bin/sh"
	suCommand           = "exec su root -c /bin/sh"
)

const (
	passwordTimeout = 30 * time.Second
	silenceLimit    = 3 * time.Minute // without any output of a script that only looks
	fragmentLimit   = 4 << 20         // bytes of one fragment's output
	answerLimit     = 32 << 20        // bytes of the output of all fragments of a script
	stderrLimit     = 64 << 10        // bytes of one fragment's standard error
	stderrTotal     = 4 << 20         // of all that are not read yet
)

// OpenSession starts the shell, as root where become asks for it. Whether that was granted shows in
// the first exchange, as a *BecomeError. With usePassword the password is asked for and sent.
func OpenSession(ctx context.Context, conn Conn, become Become, usePassword bool) (*Session, error) {
	command := plainCommand
	switch become.Method {
	case "":
	case "sudo":
		command = sudoCommand
		if usePassword {
			command = sudoPasswordCommand
		}
	case "doas":
		command = doasCommand
	case "su":
		command, usePassword = suCommand, true
	default:
		return nil, fmt.Errorf("unknown become_method %q: sudo, su and doas are known", become.Method)
	}
	password := ""
	if usePassword {
		if become.Password == nil {
			return nil, needPassword(become.Method)
		}
		var err error
		if password, err = become.Password(ctx); err != nil {
			return nil, err
		}
	}
	process, err := conn.Start(ctx, command)
	if err != nil {
		return nil, err
	}
	s := &Session{process: process, method: become.Method, nonce: newNonce(), stdout: bufio.NewReaderSize(process.Stdout, 64<<10)}
	s.stderr = readStderr(process.Stderr, s.nonce)
	if usePassword {
		if err := s.givePassword(ctx, password); err != nil {
			s.Close()
			return nil, err
		}
	}
	return s, nil
}

func newNonce() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails, see crypto/rand
	return "provision-" + hex.EncodeToString(b)
}

// givePassword answers the question of sudo or su, which comes on standard error.
func (s *Session) givePassword(ctx context.Context, password string) error {
	if !s.stderr.waitFor(ctx, "assword:", passwordTimeout) {
		if err := becomeError(s.method, s.stderr.take("")); err != nil {
			return err
		}
		return &BecomeError{Method: s.method, Cause: "it did not ask for a password", Hint: "try it by hand over ssh"}
	}
	s.stderr.take("")
	_, err := io.WriteString(s.process.Stdin, password+"\n")
	return err
}

// Close ends the channel. What was detached from it goes on.
func (s *Session) Close() {
	_ = s.process.Stdin.Close()
	_ = s.process.Close()
}

// A Fragment is a piece of sh with a place in a script.
type Fragment struct {
	Text  string
	RunAs string // user; "" for the session's own
}

// Ask runs fragments that only look, all in one exchange, and returns what each printed. The files of the batch are looked
// at beforehand. A fragment
// that was not reached is missing from the end of the result, and the error says why.
func (s *Session) Ask(ctx context.Context, salt string, files batch, fragments []Fragment) ([]steps.Observation, error) {
	var b strings.Builder
	b.WriteString("{\n")
	s.library(&b)
	// Accounts are looked up often, and nothing changes them while this script looks.
	fmt.Fprintf(&b, "SALT=%s DETAIL=1\nACCOUNTS_passwd=$(cat /etc/passwd) ACCOUNTS_group=$(cat /etc/group)\n", shell.Quote(salt))
	if len(files.attributes)+len(files.sums) > 0 {
		fmt.Fprintf(&b, "batch %s\n", shell.Words(strings.Join(files.attributes, "\n"), strings.Join(files.sums, "\n")))
	}
	for i, f := range fragments {
		b.WriteString(fragmentText(f))
		fmt.Fprintf(&b, "\nmark %d $?\n", i)
	}
	b.WriteString("unset ACCOUNTS_passwd ACCOUNTS_group BATCH_stat BATCH_sums\n} </dev/null\n")
	if err := s.send(b.String()); err != nil {
		return nil, s.lost(err)
	}
	stop := s.guard(ctx)
	defer stop()
	var answers []steps.Observation
	left := answerLimit
	for i := range fragments {
		out, status, err := s.readFragment(i, min(left, fragmentLimit))
		if err != nil {
			return answers, s.lost(err)
		}
		left -= len(out)
		answers = append(answers, steps.Observation{Stdout: out, Exit: status})
	}
	s.method = ""
	if len(fragments) > 0 {
		s.stderr.await(strconv.Itoa(len(fragments) - 1))
	}
	for i := range answers {
		answers[i].Stderr = s.stderr.take(strconv.Itoa(i))
	}
	return answers, nil
}

// A batch names the files that the probes of a script ask for.
type batch struct{ attributes, sums []string }

func (b *batch) add(in *steps.Instance) {
	if batcher, ok := in.Step.(steps.Batcher); ok {
		attributes, sums := batcher.Batch()
		b.attributes = append(b.attributes, attributes...)
		b.sums = append(b.sums, sums...)
	}
}

// library writes what every script stands on, once a session.
func (s *Session) library(b *strings.Builder) {
	if s.greeted {
		return
	}
	s.greeted = true
	fmt.Fprintf(b, "NONCE=%s\nLIBRARY=%s\neval \"$LIBRARY\"\n", s.nonce, shell.Quote(library))
}

// fragmentText runs a fragment so that exit, cd, set and even syntax errors stay inside it.
func fragmentText(f Fragment) string {
	return "fragment " + shell.Words(f.RunAs, "", "", f.Text)
}

func (s *Session) send(script string) error {
	s.Exchanges++
	_, err := io.WriteString(s.process.Stdin, script)
	return err
}

// guard ends the session if the context ends or nothing is heard for too long.
func (s *Session) guard(ctx context.Context) (stop func()) {
	timer := time.AfterFunc(silenceLimit, func() { _ = s.process.Close() })
	cancel := context.AfterFunc(ctx, func() { _ = s.process.Close() })
	return func() { timer.Stop(); cancel() }
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
			if _, err := fmt.Sscanf(string(rest), "%d %d", &number, &status); err != nil || number != n {
				return "", 0, fmt.Errorf("unexpected mark %q in the answer of the host", rest)
			}
			// The mark begins with a line break of its own.
			return strings.TrimSuffix(body.String(), "\n"), status, nil
		}
		if body.Len()+len(line) > limit {
			return "", 0, fmt.Errorf("the answer of the host is longer than %d MiB, or %d MiB for all steps together", fragmentLimit>>20, answerLimit>>20)
		}
		body.Write(line)
	}
}

// lost turns the end of the stream into an error that says why.
func (s *Session) lost(err error) error {
	s.Close()
	said := s.stderr.wait()
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
		message := fmt.Sprintf("the shell on the host ended with status %d before it had answered", status)
		if said != "" {
			message += ": " + lastLines(said, 3)
		}
		return fmt.Errorf("%w: %s", ErrUnreachable, message)
	}
	return err
}
