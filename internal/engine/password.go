package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"provision/internal/shell"
)

// An asker is the process that may ask for a password: sudo or su, on the standard input and error of a session. What it reads
// beyond the password, it takes for further answers, each of which may count as a failed attempt. So it is sent nothing but the
// password until the shell behind it has printed the mark.
type asker struct {
	session *Session
	conn    Conn
	method  string
	mark    string // begins its standard error with its process id, is its question where it lets one choose, and tells that the shell runs
	pid     string // "" until it is known
	sent    bool   // the password
}

// passwordTimeout is how long it may take to ask, and then to accept the password: a directory service, a second factor.
const passwordTimeout = 30 * time.Second

// askerScript is sh that becomes the asker. A shell that reads its script in blocks reads no more than this.
func askerScript(b Become, mark string) string {
	start := shell.Quote("echo " + mark + "; exec /bin/sh")
	user := ""
	switch b.Method {
	case "su":
		// The shell of the account runs it, and fish and tcsh know these words, too.
		user = "su " + shell.Quote(b.user()) + " -c " + start
	default:
		if b.User != "" {
			user = "-u " + shell.Quote(b.User) + " "
		}
		// -k: whether it asks does not depend on what it remembers, and it remembers nothing.
		user = "sudo -k -S -p " + mark + ": " + user + "/bin/sh -c " + start
	}
	return fmt.Sprintf("{ printf '\\n%%s %%s\\n' %s $$ >&2\nexec %s\nexit 127\n}\n", mark, user)
}

// begin gets through to the mark of the shell, with the password where one is asked for.
func (a *asker) begin(ctx context.Context, become Become) error {
	s := a.session
	s.clean = a.words
	if err := s.send(askerScript(become, a.mark)); err != nil {
		return s.lost(err)
	}
	began := make(chan error, 1)
	go func() { began <- s.readLine(a.mark) }()
	late := time.NewTimer(passwordTimeout)
	defer late.Stop()
	said := "" // since the question was answered
	for {
		select {
		case err := <-began:
			if err == nil {
				s.stderr.take("")
				s.first.text = nil
				s.method, s.clean = "", nil
				return nil
			}
			return a.ended(err)
		case <-s.stderr.grew:
			said = s.stderr.peek()
			if !a.asks(said) {
				continue
			}
			if a.sent {
				a.kill(ctx)
				return notAccepted(a.method)
			}
			s.stderr.take("")
			password, err := become.Password(ctx)
			if err == nil {
				_, err = io.WriteString(s.process.Stdin, password+"\n")
			}
			if err != nil {
				a.kill(ctx)
				return err
			}
			a.sent = true
			late.Reset(passwordTimeout)
		case <-late.C:
			a.kill(ctx)
			return a.silent(said)
		case <-ctx.Done():
			a.kill(ctx)
			return ctx.Err()
		}
	}
}

// namesPassword matches questions for a password that are not our own: those of PAM modules, in many languages.
var namesPassword = regexp.MustCompile(`(?i)passw|passphrase|mot de passe|contrase|senha|wachtwoord|parol|hasło|heslo|lösenord|salasana|jelszó|şifre|密码|密碼|パスワード|암호`)

// asks tells whether the asker waits for a password, of what was said since it began, or since it was answered.
func (a *asker) asks(said string) bool {
	if a.pid == "" {
		_, rest, _ := strings.Cut(said, a.mark+" ")
		pid, _, ok := strings.Cut(rest, "\n")
		if !ok || !number(pid) {
			return false
		}
		a.pid = pid
	}
	if _, rest, ok := strings.Cut(said, a.mark+" "+a.pid+"\n"); ok {
		said = rest
	}
	if strings.Contains(said, a.mark+":") {
		return true
	}
	open := strings.TrimSpace(said[strings.LastIndexByte(said, '\n')+1:])
	return namesPassword.MatchString(open) && (strings.HasSuffix(open, ":") || strings.HasSuffix(open, "："))
}

// words are those of the asker in what was said, without those of the login before it, and without the question.
func (a *asker) words(said string) string {
	if _, rest, ok := strings.Cut(said, a.mark+" "); ok {
		_, said, _ = strings.Cut(rest, "\n")
	}
	return regexp.MustCompile(`(\[sudo: )?`+a.mark+`:(\] Password:)?`).ReplaceAllString(said, "")
}

// ended is the error of an asker that ended before the shell ran.
func (a *asker) ended(err error) error {
	err = a.session.lost(err)
	var refused *BecomeError
	if !a.sent || !errors.As(err, &refused) || refused.NotAccepted {
		return err
	}
	switch {
	case refused.NeedPassword: // and had one
		return notAccepted(a.method)
	case refused.Hint == unknownWords:
		told := *notAccepted(a.method)
		told.Cause = "it ended after it had the password, and said: " + refused.Cause
		return &told
	}
	return err
}

// silent is the error of an asker that neither asked for a password nor ran the shell.
func (a *asker) silent(said string) error {
	e := &BecomeError{Method: a.method, Cause: fmt.Sprintf("it did not ask for a password within %s", passwordTimeout), Hint: "try it by hand over ssh"}
	if a.sent {
		e.Cause = fmt.Sprintf("it had the password, and ran no shell within %s", passwordTimeout)
	}
	if words := lastWords(a.words(said), 2); words != "" {
		e.Cause += "; it said: " + words
	}
	return e
}

// kill ends the asker at once, over a channel of its own. The end of its input would do so, too, but would be one more wrong answer: PAM
// counts it, and may lock the account. The process is root's, and the login user may end it as long as it asks (kill(2): the real user id).
func (a *asker) kill(ctx context.Context) {
	s := a.session
	if a.pid != "" {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), killTimeout)
		defer cancel()
		_, _ = runScript(ctx, a.conn, "kill -KILL "+a.pid+" 2>/dev/null\nexit 0\n", "", nil)
		select {
		case <-s.stderr.ended:
		case <-ctx.Done():
		}
	}
	s.Close()
}

// killTimeout is how long a host may take to end an asker.
const killTimeout = 10 * time.Second

// A userConn starts its shells as the user that a session has become.
type userConn struct {
	Conn
	become Become
}

func (c userConn) Start(ctx context.Context, command string) (*Process, error) {
	if command != plainCommand {
		return c.Conn.Start(ctx, command)
	}
	s, err := OpenSession(ctx, c.Conn, c.become)
	if err != nil {
		return nil, err
	}
	return &Process{
		Stdin: s.process.Stdin, Stdout: s.stdout, Stderr: &lateReader{from: s.stderr}, Wait: s.process.Wait,
		Close: func() error { s.Close(); return nil },
	}, nil
}

// Upload would write as the login user.
func (c userConn) Upload(context.Context, string, os.FileMode, int64, io.Reader) error {
	return fmt.Errorf("large files reach the user %s only where the host has tar: install it", c.become.User)
}

// A lateReader has what was said on standard error, once that has ended.
type lateReader struct {
	from *stderrReader
	text io.Reader
}

func (l *lateReader) Read(p []byte) (int, error) {
	if l.text == nil {
		l.text = strings.NewReader(l.from.wait())
	}
	return l.text.Read(p)
}
