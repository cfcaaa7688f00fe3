package engine

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/zclconf/go-cty/cty"
)

// However many steps a playbook has, each probe searches only through what was found out about its own files, and starts no
// process for it.
func TestAProbeSearchesItsOwnFilesOnly(t *testing.T) {
	const steps = 3*batchSize + 5
	for name, shell := range shells(t) {
		t.Run(name, func(t *testing.T) {
			host := newLocalHost(t, shell...)
			var fragments []Fragment
			var want []string
			for i := range steps {
				path := host.path(fmt.Sprintf("f%d: a\\b", i))
				if i%7 != 3 {
					if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
						t.Fatal(err)
					}
					if err := os.Chmod(path, 0o604+os.FileMode(i%4)); err != nil {
						t.Fatal(err)
					}
				}
				in := step(t, "file", fmt.Sprint(i), map[string]cty.Value{"path": str(path), "content": str("y")})
				text := fmt.Sprintf("[ ${#BATCH_stat} -lt 300 ] || echo long; PATH=/none; [ ! -f '%s' ] || { attributes '%s' && echo \"$A_mode $A_size\"; }", path, path)
				fragments = append(fragments, Fragment{Text: text, files: batchOf(&in)})
				if i%7 != 3 {
					want = append(want, fmt.Sprintf("%o 1\n", 0o604+i%4))
				} else {
					want = append(want, "")
				}
			}
			session := openLocal(t, host)
			defer session.Close()
			answers, err := session.Ask(t.Context(), "", fragments)
			if err != nil {
				t.Fatal(err)
			}
			for i := range answers {
				if answers[i].Stdout != want[i] || answers[i].Stderr != "" {
					t.Errorf("%d: %q, want %q; %s", i, answers[i].Stdout, want[i], answers[i].Stderr)
				}
			}
		})
	}
}

// An answer that is larger than what the streams between hold must not make the two sides wait for each other.
func TestMuchIsAskedAndMuchIsAnswered(t *testing.T) {
	host := newLocalHost(t)
	fragments := make([]Fragment, 10*batchSize)
	for i := range fragments {
		fragments[i].Text = "printf '%04000d' 0; # " + strings.Repeat("x", 4000)
	}
	session := openLocal(t, host)
	defer session.Close()
	if answers, err := session.Ask(t.Context(), "", fragments); err != nil || len(answers) != len(fragments) {
		t.Errorf("%d answers, %v", len(answers), err)
	}
}

// slowly is a host that says one byte after another.
type slowly struct {
	text  string
	pause time.Duration
}

func (s *slowly) Read(p []byte) (int, error) {
	time.Sleep(s.pause)
	if s.text == "" {
		return 0, io.EOF
	}
	p[0], s.text = s.text[0], s.text[1:]
	return 1, nil
}

// The limit of silence is for silence: a host that goes on answering is heard to the end, however long that takes.
func TestSilenceIsNotSlowness(t *testing.T) {
	session := func(out io.Reader, end func()) *Session {
		s := floodSession(strings.NewReader(""))
		s.nonce, s.silence = "provision-0123", 400*time.Millisecond
		s.read(out)
		s.process.Close = func() error { end(); return nil }
		return s
	}
	slow := &slowly{"it takes its time\n\nprovision-0123 0 0\n", 40 * time.Millisecond}
	answers, err := session(slow, func() {}).Ask(t.Context(), "", make([]Fragment, 1))
	if err != nil || answers[0].Stdout != "it takes its time\n" {
		t.Errorf("%v %+v", err, answers)
	}
	r, w := io.Pipe()
	began := time.Now()
	_, err = session(r, func() { w.Close() }).Ask(t.Context(), "", make([]Fragment, 1))
	if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "said nothing") || time.Since(began) > 20*time.Second {
		t.Errorf("%v after %s", err, time.Since(began))
	}
}

// nologin(8) and a shell for SFTP only say on standard output why there is no shell.
func TestWhatAHostSaysInsteadOfAShell(t *testing.T) {
	host := newLocalHost(t, "sh", "-c", "echo 'This account is currently not available.'; exit 1")
	session := openLocal(t, host)
	defer session.Close()
	_, err := session.Ask(t.Context(), "", []Fragment{{Text: "true"}})
	if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "and said: This account is currently not available.") {
		t.Errorf("error %v", err)
	}
}

// A password that must be changed is told in the same words, however the host says it, and so is what a certificate has the host run.
func TestWhyNoShellAnswers(t *testing.T) {
	for _, said := range []string{"Password change required but no TTY available.", "WARNING: Your password has expired."} {
		session := openLocal(t, newLocalHost(t, "sh", "-c", "echo '"+said+"' >&2; exit 1"))
		_, err := session.Ask(t.Context(), "", []Fragment{{Text: "true"}})
		session.Close()
		if err == nil || !strings.HasSuffix(err.Error(), said+"; the password of the account has expired, or must be changed; log in with ssh once and change it") {
			t.Errorf("error %v", err)
		}
	}
	conn, _ := newLocalHost(t, "sh", "-c", "echo backup of today; exit 0").Dial(t.Context(), "")
	session, err := OpenSession(t.Context(), forcedConn{conn}, Become{})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	_, err = session.Ask(t.Context(), "", []Fragment{{Text: "true"}})
	if err == nil || !strings.HasSuffix(err.Error(), "and said: backup of today; the certificate says so") {
		t.Errorf("error %v", err)
	}
}

// A forcedConn is one with a certificate that has a command of its own.
type forcedConn struct{ Conn }

func (forcedConn) Forced() string { return "the certificate says so" }

// A condition that kills its shell makes no host unreachable, and what the host had answered before is no reason.
func TestAProbeThatEndsItsShell(t *testing.T) {
	host := newLocalHost(t)
	rec := &recorder{}
	run := newRun(host, rec, stepList{
		step(t, "command", "odd", map[string]cty.Value{"run": cty.ListVal([]cty.Value{str("true")}), "unless": str("kill -9 $$")}),
	})
	run.Plan(t.Context())
	exit := run.Close()
	said := rec.dump()
	if exit != 1 || !strings.Contains(said, "while looking at step.command.odd: the shell on the host ended with status") || strings.Contains(said, "os_id") {
		t.Errorf("exit %d\n%s", exit, said)
	}
}
