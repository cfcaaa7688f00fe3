package engine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"provision/internal/event"
)

// executed runs one command on one host and returns the exit status and what happened.
func executed(t *testing.T, host Dialer, c *Command) (int, *recorder) {
	t.Helper()
	rec := &recorder{}
	run := commandRun(host, rec, "web1")
	run.Exec(t.Context(), c)
	return run.Close(), rec
}

// commandRun is a run over hosts of these names, all of them the same.
func commandRun(host Dialer, rec *recorder, names ...string) *Run {
	run := &Run{ID: NewID(timeNow()), Owner: "test@here", Command: event.CommandRun, Parallel: len(names), Dialer: host, Sink: rec}
	for _, name := range names {
		run.Hosts = append(run.Hosts, Host{Name: name, User: "app"})
	}
	return run
}

// printed is what the command printed on a stream.
func (r *recorder) printed(stream string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	for _, e := range r.events {
		if e.StepOutput != nil && e.StepOutput.Stream == stream {
			b.WriteString(e.StepOutput.Text)
		}
	}
	return b.String()
}

func TestExecRunsTheWordsAsTheyAre(t *testing.T) {
	words := []string{"printf", "[%s]", "a b", "it's", `"$HOME"`, "`id`", "two\nlines", "", "*", "é", `back\slash`}
	want := "[a b][it's][\"$HOME\"][`id`][two\nlines][][*][é][back\\slash]"
	for name, sh := range shells(t) {
		t.Run(name, func(t *testing.T) {
			exit, rec := executed(t, newLocalHost(t, sh...), &Command{Argv: words})
			if got := rec.printed(event.StreamStdout); exit != 0 || got != want {
				t.Errorf("exit %d, printed %q, want %q\n%s", exit, got, want, rec.dump())
			}
		})
	}
}

func TestExecTellsHowItEnded(t *testing.T) {
	cases := []struct {
		argv           []string
		exit           int // of the command on the host
		stdout, stderr string
		message, hint  string
	}{
		{argv: []string{"sh", "-c", "echo out; echo err >&2; exit 7"}, exit: 7, stdout: "out\n", stderr: "err\n", message: "exit status 7"},
		{argv: []string{"printf", "no line break"}, stdout: "no line break"},
		{argv: []string{"cat"}}, // there is nothing to read, and nobody waits for it
		{argv: []string{"exit", "3"}, exit: 3, message: "exit status 3"},
		{argv: []string{"no-such-command"}, exit: 127, message: "exit status 127", hint: "sh -c 'LINE'"},
		{argv: []string{"if"}, exit: 127, message: "exit status 127", hint: "sh -c 'LINE'"},
		{argv: []string{"sh", "-c", "kill -9 $$"}, exit: 137, message: "exit status 137 (signal 9)"},
		{argv: []string{"A=two words", "B=$A", "sh", "-c", `echo "$A $B"`}, stdout: "two words $A\n"},
	}
	for name, sh := range shells(t) {
		host := newLocalHost(t, sh...)
		for _, c := range cases {
			t.Run(name+" "+strings.Join(c.argv, " "), func(t *testing.T) {
				exit, rec := executed(t, host, &Command{Argv: c.argv})
				end := rec.ends()["run"]
				if end == nil {
					t.Fatalf("no step_end\n%s", rec.dump())
				}
				if got := rec.printed(event.StreamStdout); got != c.stdout {
					t.Errorf("stdout %q, want %q", got, c.stdout)
				}
				if got := rec.printed(event.StreamStderr); c.exit < 126 && got != c.stderr {
					t.Errorf("stderr %q, want %q", got, c.stderr)
				}
				if c.exit == 0 {
					if exit != 0 || end.Status != event.StepChanged || end.Error != nil {
						t.Errorf("exit %d\n%s", exit, rec.dump())
					}
					return
				}
				if exit != 1 || end.Status != event.StepFailed || end.Error.Exit != c.exit || end.Error.Message != c.message || !strings.Contains(end.Error.Hint, c.hint) {
					t.Errorf("exit %d, %+v", exit, end.Error)
				}
			})
		}
	}
}

// The order in which a sink sees the events of a host is a promise of docs/events.md.
func TestExecTellsInOrder(t *testing.T) {
	rec := &recorder{}
	run := commandRun(newLocalHost(t), rec, "web1")
	run.Exec(t.Context(), &Command{Argv: []string{"sh", "-c", "echo err >&2"}})
	run.Close()
	var got []event.Type
	for _, e := range rec.events {
		got = append(got, e.Type)
	}
	want := []event.Type{
		event.TypeRunStart, event.TypeHostConnecting, event.TypeHostConnected, event.TypeStepStart, event.TypeStepOutput, event.TypeStepEnd, event.TypeHostEnd, event.TypeRunEnd,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"sh", "-c", "echo err >&2"}, rec.events[0].RunStart.Argv); diff != "" {
		t.Error(diff)
	}
}

// No shell may take the input for a script, whatever it reads ahead.
func TestExecGivesTheInputToTheCommandAlone(t *testing.T) {
	input := []byte("touch stolen\n\x00\xff binary\n" + strings.Repeat("touch stolen\n", 20000))
	for name, sh := range shells(t) {
		t.Run(name, func(t *testing.T) {
			host := newLocalHost(t, sh...)
			exit, rec := executed(t, host, &Command{Argv: []string{"cat"}, Input: input})
			if got := rec.printed(event.StreamStdout); exit != 0 || got != string(input) {
				t.Errorf("exit %d, %d bytes came back of %d", exit, len(got), len(input))
			}
			exit, rec = executed(t, host, &Command{Argv: []string{"true"}, Input: input})
			if exit != 0 || host.exists("stolen") {
				t.Errorf("a command that reads nothing: exit %d\n%s", exit, rec.dump())
			}
			exit, rec = executed(t, host, &Command{Argv: []string{"wc", "-c"}, Input: []byte{}})
			if got := strings.TrimSpace(rec.printed(event.StreamStdout)); exit != 0 || got != "0" {
				t.Errorf("empty input: exit %d, %q", exit, got)
			}
		})
	}
}

// longCommand starts a child, says that it has begun, and does not end.
func longCommand(host *localHost) []string {
	return []string{"sh", "-c", "sleep 4242 & echo $! >" + host.path("child") + "; echo begun; wait"}
}

// deafCommand does not listen to TERM.
func deafCommand(host *localHost) []string {
	return []string{"sh", "-c", `trap "" TERM; echo $$ >` + host.path("deaf") + "; while :; do sleep 4243; done"}
}

// gone fails the test if a process that the command noted stays. On a busy machine one that was killed is there for a moment.
func (l *localHost) gone(names ...string) {
	l.t.Helper()
	for _, name := range names {
		pid, err := strconv.Atoi(strings.TrimSpace(l.read(name)))
		if err != nil {
			l.t.Fatal(err)
		}
		stat := filepath.Join("/proc", strconv.Itoa(pid), "stat")
		state, err := os.ReadFile(stat)
		for end := time.Now().Add(5 * time.Second); err == nil && !strings.Contains(string(state), ") Z "); state, err = os.ReadFile(stat) {
			if time.Now().After(end) {
				l.t.Errorf("%s still runs: %s", name, state)
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

func TestEndOfContextKillsWhatRuns(t *testing.T) {
	for name, sh := range shells(t) {
		t.Run(name, func(t *testing.T) {
			host := newLocalHost(t, sh...)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			rec := &recorder{notify: func(e event.Event) {
				if e.StepOutput != nil {
					cancel()
				}
			}}
			run := commandRun(host, rec, "web1")
			run.Exec(ctx, &Command{Argv: longCommand(host)})
			if exit := run.Close(); exit != 130 {
				t.Errorf("exit %d\n%s", exit, rec.dump())
			}
			if end := rec.ends()["run"]; end == nil || end.Status != event.StepInterrupted || !strings.Contains(end.Reason, "it was killed") {
				t.Errorf("%s", rec.dump())
			}
			host.gone("child")
		})
	}
}

func TestExecTimeout(t *testing.T) {
	host := newLocalHost(t)
	exit, rec := executed(t, host, &Command{Argv: deafCommand(host), Timeout: 500 * time.Millisecond})
	end := rec.ends()["run"]
	if exit != 1 || end == nil || end.Status != event.StepFailed || !strings.Contains(end.Error.Message, "had not ended after 500ms: it was killed") {
		t.Errorf("exit %d\n%s", exit, rec.dump())
	}
	host.gone("deaf")
}

// The first interrupt lets what runs end, and begins nothing more.
func TestExecStop(t *testing.T) {
	host := newLocalHost(t)
	stop := make(chan struct{})
	rec := &recorder{notify: func(e event.Event) {
		if e.StepOutput != nil && strings.Contains(e.StepOutput.Text, "begun") {
			close(stop)
		}
	}}
	run := commandRun(host, rec, "web1", "web2")
	run.Parallel, run.Stop = 1, stop
	run.Exec(t.Context(), &Command{Argv: []string{"sh", "-c", "echo begun; sleep 0.3; echo ended >>log"}})
	if exit := run.Close(); exit != 130 || host.read("log") != "ended\n" {
		t.Errorf("exit %d\n%s", exit, rec.dump())
	}
	for _, e := range rec.events {
		if e.HostEnd != nil && (e.HostEnd.Status == event.HostOK) != (e.Host == "web1") {
			t.Errorf("%s: %+v", e.Host, e.HostEnd)
		}
	}
}

// A lost link is neither success nor failure of the command.
func TestExecLinkLost(t *testing.T) {
	host := newLocalHost(t)
	rec := &recorder{notify: func(e event.Event) {
		if e.StepOutput != nil {
			go host.cut()
		}
	}}
	run := commandRun(lossy{host}, rec, "web1")
	run.Exec(t.Context(), &Command{Argv: []string{"sh", "-c", "echo begun; exec sleep 3"}})
	exit := run.Close()
	end := rec.ends()["run"]
	if exit != 3 || end == nil || end.Status != event.StepInterrupted || !strings.Contains(end.Reason, "nobody knows how it ended") {
		t.Errorf("exit %d\n%s", exit, rec.dump())
	}
}

// lossy says of a link that is cut what the real transport says.
type lossy struct{ *localHost }

func (l lossy) Dial(ctx context.Context, name string) (Conn, error) {
	c, err := l.localHost.Dial(ctx, name)
	return lossyConn{c}, err
}

type lossyConn struct{ Conn }

func (c lossyConn) Start(ctx context.Context, command string) (*Process, error) {
	p, err := c.Conn.Start(ctx, command)
	if err != nil {
		return nil, err
	}
	wait := p.Wait
	p.Wait = func() (int, error) {
		status, err := wait()
		if err != nil {
			err = fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
		return status, err
	}
	return p, nil
}

// A host that prints without end costs the client no memory to speak of: everything goes to the sink at once.
func TestExecKeepsOnlyTheEndOfTheOutput(t *testing.T) {
	const lines = 200000
	rec := &recorder{}
	size := 0
	counting := sinkFunc(func(e event.Event) {
		if e.StepOutput != nil {
			size += len(e.StepOutput.Text)
			return
		}
		rec.Event(e)
	})
	run := commandRun(newLocalHost(t), rec, "web1")
	run.Sink = counting
	run.Exec(t.Context(), &Command{Argv: []string{"sh", "-c", fmt.Sprintf("seq %d; exit 1", lines)}})
	run.Close()
	want := 0
	for i := 1; i <= lines; i++ {
		want += len(strconv.Itoa(i)) + 1
	}
	end := rec.ends()["run"]
	if size != want || end == nil || len(end.Error.Output) > tailLimit || !strings.HasSuffix(end.Error.Output, "\n"+strconv.Itoa(lines)) {
		t.Errorf("%d bytes, want %d; %d bytes kept", size, want, len(end.Error.Output))
	}
}

type sinkFunc func(event.Event)

func (f sinkFunc) Event(e event.Event) { f(e) }

// What a login shell prints by itself is not the command's.
func TestExecSkipsWhatTheLoginShellPrints(t *testing.T) {
	host := newLocalHost(t, "/bin/sh", "-c", "printf '%s' '"+strings.Repeat("welcome ", 10000)+"'; echo hello >&2; exec sh")
	exit, rec := executed(t, host, &Command{Argv: []string{"echo", "only this"}})
	if exit != 0 || rec.printed(event.StreamStdout) != "only this\n" || rec.printed(event.StreamStderr) != "" {
		t.Errorf("exit %d, %.200q %q", exit, rec.printed(event.StreamStdout), rec.printed(event.StreamStderr))
	}
}
