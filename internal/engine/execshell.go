package engine

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// readyMark names the mark after which all output is that of the command.
const readyMark = "ready"

// readyTimeout is how long an interrupted run waits to learn whether the command has begun.
const readyTimeout = 10 * time.Second

// A shellProcess is the shell that runs the command, as /proc/PID/stat on the host has it.
type shellProcess struct {
	pid, parent, session string // numbers
	began                string // clock ticks after boot: together with pid it names the process for good
}

// errMaybeBegun is within the error of a command of which was not heard any more.
var errMaybeBegun = errors.New("nobody knows whether the command began: look at the host")

// begin sends a script as the last of the session, and returns once it runs. What comes on stdout then is that of the
// script. The end of a context does not leave open whether it runs: begin waits to hear of it.
func (s *Session) begin(ctx context.Context, script string, input []byte) (shellProcess, error) {
	stop := s.limit(ctx)
	defer stop()
	if err := s.send(beginScript(s.nonce, script, input != nil)); err != nil {
		return shellProcess{}, s.lost(err)
	}
	if input == nil {
		_ = s.process.Stdin.Close()
	}
	p, err := s.readReady()
	if err != nil {
		err = s.lost(err)
		if ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", errMaybeBegun, err)
		}
		return p, err
	}
	s.method = ""
	if input != nil {
		// Only now: a shell may read ahead of what it runs (dash does), but not what was not sent yet. A command that reads
		// less than this ends the writing by its own end.
		go func() {
			_, _ = io.Copy(s.process.Stdin, bytes.NewReader(input))
			_ = s.process.Stdin.Close()
		}()
	}
	return p, nil
}

// beginScript marks both streams, then runs the script, and ends the shell before it could take anything of the input for
// a script.
func beginScript(nonce, script string, input bool) string {
	var b strings.Builder
	b.WriteString("{\nIFS= read -r provision_stat </proc/$$/stat\n")
	fmt.Fprintf(&b, "printf '\\n%%s %s %%s\\n' %s \"$provision_stat\"\n", readyMark, nonce)
	fmt.Fprintf(&b, "printf '%%s %s\\n' %s >&2\n", readyMark, nonce)
	b.WriteString(script + "\nexit\n}")
	if !input {
		b.WriteString(" </dev/null")
	}
	b.WriteString("\n")
	return b.String()
}

// limit ends the session if the script does not begin: a while after the context has ended, and at the latest when
// the host has been silent for too long.
func (s *Session) limit(ctx context.Context) (stop func()) {
	begun := make(chan struct{})
	go func() {
		silence := time.NewTimer(silenceLimit)
		defer silence.Stop()
		select {
		case <-begun:
			return
		case <-silence.C:
		case <-ctx.Done():
			select {
			case <-begun:
				return
			case <-time.After(readyTimeout):
			}
		}
		_ = s.process.Close()
	}()
	return func() { close(begun) }
}

// readReady skips what a login shell prints before the script begins, and reads the mark.
func (s *Session) readReady() (shellProcess, error) {
	for skipped := 0; skipped < fragmentLimit; {
		line, err := s.stdout.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return shellProcess{}, err
		}
		skipped += len(line)
		if rest, ok := strings.CutPrefix(string(line), s.nonce+" "+readyMark+" "); ok {
			return parseStat(rest), nil
		}
	}
	return shellProcess{}, errors.New("the login shell prints without end")
}

// parseStat reads a line of /proc/PID/stat (proc_pid_stat(5)). Of anything else nothing is known.
func parseStat(line string) shellProcess {
	pid, _, _ := strings.Cut(line, " ")
	// The name, in parentheses, may hold anything.
	fields := strings.Fields(line[strings.LastIndexByte(line, ')')+1:])
	if len(fields) < 20 || !number(pid) || !number(fields[1]) || !number(fields[3]) || !number(fields[19]) {
		return shellProcess{}
	}
	return shellProcess{pid: pid, parent: fields[1], session: fields[3], began: fields[19]}
}

func number(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// killScript ends the shell with all that descends from it, and what has lost its parent but is in the session that sshd
// made for the command: that of the shell itself, or that of the sudo before it. A daemon has a session of its own.
func (p shellProcess) killScript(become bool) string {
	text := fmt.Sprintf("if alive %s %s; then end_tree %s %d; fi\n", p.pid, p.began, p.pid, killTenths)
	if p.session != p.pid && (!become || p.session != p.parent) {
		return text
	}
	return text + fmt.Sprintf(`for left in /proc/[0-9]*/stat; do
	IFS= read -r line <"$left" 2>/dev/null || continue
	set -f
	IFS=' '
	set -- ${line##*) }
	set +f
	left=${line%%%% *}
	if [ "$4" = %s ] && [ "$left" != "$$" ]; then (end_tree "$left" %d); fi
done
exit 0
`, p.session, killTenths/6)
}
